//! Sales: what came in, by day and by file, and how it becomes money at the broker.

use super::downloads::Names;
use super::{Context, peer_name};
use crate::app::settle::Waiting;
use crate::app::view::{CertificationView, ErrorView, HandoffView, SaleView, TillView, WalletView};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Day, Pages, Tone, badge, chart, figure, icon, money, pager, table, title,
};
use maud::{Markup, html};

/// What a file brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSum {
    /// Its content root.
    pub root: String,
    /// Its name; empty if it is no longer shared.
    pub name: String,
    /// How often it was sold.
    pub count: u64,
    /// Coins.
    pub coins: u64,
}

/// What the page shows.
#[derive(Debug, Default)]
pub struct Sales<'a> {
    /// Sales in all.
    pub count: u64,
    /// Coins in all.
    pub coins: u64,
    /// The last days, oldest first, those without a sale too.
    pub days: &'a [Day],
    /// The files that brought most.
    pub files: &'a [FileSum],
    /// The sales on this page, newest first.
    pub sales: &'a [SaleView],
    /// What buyers call themselves, by their keys.
    pub names: Names,
    /// Where the list stands.
    pub pages: Pages,
    /// The wallet.
    pub wallet: WalletView,
    /// What was claimed and cannot be paid yet.
    pub waiting: Waiting,
    /// The till.
    pub till: &'a [TillView],
    /// Certifications, newest first.
    pub certifications: &'a [CertificationView],
    /// Handoffs, newest first.
    pub handoffs: &'a [HandoffView],
    /// Why redeeming failed.
    pub error: Option<&'a ErrorView>,
    /// The key under which is redeemed once.
    pub key: String,
}

/// The page.
#[must_use]
pub fn page(context: &Context, sales: &Sales<'_>) -> Markup {
    let due = sales.wallet.earned.saturating_sub(sales.waiting.coins);
    let redeem = html! {
        @if due > 0 {
            form.inline method="post" action="/sales/redeem" {
                (context.sealed(&sales.key).fields())
                button.primary type="submit" {
                    (icon("broker")) "Redeem " (parts::coins(due))
                }
            }
        }
    };
    let body = html! {
        (title("Sales", &redeem))
        @if let Some(error) = sales.error { (problem(error)) }
        dl.figures {
            (figure("Sold", &shown::grouped(sales.count), "times, in all"))
            (figure("Brought", &money(sales.coins), "in all"))
            (figure("Earned", &money(sales.wallet.earned), "not yet redeemed"))
            (figure("Waiting", &money(sales.wallet.pending), "at the broker"))
        }
        @if let Some(until) = sales.waiting.held_until {
            p {
                (money(sales.waiting.held)) (if sales.waiting.held == 1 { " is" } else { " are" }) " held until "
                (parts::moment(until)) ": fair sales can be disputed for a day. Then the broker pays by itself."
            }
        }
        @if sales.count == 0 {
            (parts::empty("sales", "Nothing sold yet",
                "What you share is found by others. Each sale is listed here as it ends.",
                &html! { a.button href="/files" { "Share files" } }))
        } @else {
            (days(sales))
            (files(sales))
            (list(sales))
        }
        (behind(sales))
        (parts::command("netpay redeem --all"))
    };
    context.page("/sales", "Sales", &body)
}

fn days(sales: &Sales<'_>) -> Markup {
    let columns = [Column::text("Day"), Column::amount("Sold"), Column::amount("Brought")];
    let with_sales = sales.days.iter().rev().filter(|day| day.count > 0);
    let rows: Vec<Vec<Markup>> = with_sales
        .map(|day| vec![html! { (day.day) }, html! { (shown::grouped(day.count)) }, money(day.coins)])
        .collect();
    html! {
        section.card aria-labelledby="days" {
            h2 #days { "The last " (sales.days.len()) " days" }
            (chart(
                &format!(
                    "Coins earned on each of the last {} days; the table below has the figures",
                    sales.days.len(),
                ),
                sales.days,
            ))
            @if rows.is_empty() { p.quiet { "Nothing was sold on these days." } }
            @else { details { summary { "As a table" } (table("Sales by day (UTC)", &columns, &rows)) } }
        }
    }
}

fn files(sales: &Sales<'_>) -> Markup {
    let columns = [Column::name("File"), Column::amount("Sold"), Column::amount("Brought")];
    let row = |file: &FileSum| {
        vec![file_name(&file.name, &file.root), html! { (shown::grouped(file.count)) }, money(file.coins)]
    };
    html! {
        section.stack aria-labelledby="files" {
            h2 #files { "By file" }
            (table(
                "Sales by file, those that brought most",
                &columns,
                &sales.files.iter().map(row).collect::<Vec<_>>(),
            ))
        }
    }
}

fn list(sales: &Sales<'_>) -> Markup {
    let columns =
        [Column::name("File"), Column::text("When"), Column::text("Buyer"), Column::amount("Brought")];
    let row = |sale: &SaleView| {
        vec![
            file_name(&sale.name, &sale.root),
            parts::moment(sale.at),
            html! {
                a href=(format!("/peers/{}", sale.buyer)) {
                    (peer_name(sales.names.get(&sale.buyer).map(String::as_str), &sale.buyer))
                }
            },
            money(sale.coins),
        ]
    };
    html! {
        section.stack aria-labelledby="list" {
            h2 #list { "One by one" }
            (table("Sales, newest first", &columns, &sales.sales.iter().map(row).collect::<Vec<_>>()))
            (pager(&sales.pages))
        }
    }
}

fn file_name(name: &str, root: &str) -> Markup {
    html! {
        @if name.is_empty() { (parts::id(root)) span.sub { "no longer shared" } } @else {
            (parts::foreign(name))
        }
    }
}

/// The machinery of payment, for whoever wants to see it.
fn behind(sales: &Sales<'_>) -> Markup {
    html! {
        section.card aria-labelledby="behind" {
            h2 #behind { (icon("key")) " Behind the scenes" }
            p.hint {
                "Coins arrive as segments of buyers' chains. Witnesses certify each, so that nobody can \
                 spend it twice; then the broker pays, a day later for what was sold in fair mode."
            }
            details { summary { "The till: " (sales.till.len()) " segments" } (till(sales.till)) }
            details {
                summary { "Certifications lately: " (sales.certifications.len()) }
                (certifications(sales.certifications))
            }
            details { summary { "Handoffs lately: " (sales.handoffs.len()) } (handoffs(sales.handoffs)) }
        }
    }
}

fn till(till: &[TillView]) -> Markup {
    let columns =
        [Column::text("Chain"), Column::amount("Segment"), Column::amount("Coins"), Column::text("State")];
    let row = |line: &TillView| {
        let tone = match line.state.as_str() {
            "paid" | "certified" => Tone::Good,
            "pending" | "open" => Tone::Busy,
            "refused" => Tone::Bad,
            _ => Tone::Idle,
        };
        let state = html! {
            (badge(tone, &line.state))
            @if let Some(until) = line.until {
                span.sub { (if line.held { "held until " } else { "until settlement, " }) (parts::moment(until)) }
            }
        };
        vec![parts::id(&line.chain), html! { (line.segment) }, money(line.coins), state]
    };
    html! {
        @if till.is_empty() { p.quiet { "Empty." } } @else {
            (table("The till", &columns, &till.iter().map(row).collect::<Vec<_>>()))
        }
    }
}

fn certifications(list: &[CertificationView]) -> Markup {
    let columns =
        [Column::text("Chain"), Column::text("When"), Column::amount("Certificates"), Column::amount("Took")];
    let row = |one: &CertificationView| {
        vec![
            parts::id(&one.chain),
            parts::moment(one.at / 1000),
            html! { (one.certificates) },
            took(one.micros),
        ]
    };
    html! {
        @if list.is_empty() { p.quiet { "None since the peer was started." } } @else {
            (table("Certifications", &columns, &list.iter().map(row).collect::<Vec<_>>()))
        }
    }
}

fn handoffs(list: &[HandoffView]) -> Markup {
    let columns = [Column::text("Chain"), Column::text("When"), Column::text("From"), Column::amount("Took")];
    let row = |one: &HandoffView| {
        let how = match one.how.as_str() {
            "vendor" => "the last vendor",
            "record" => "its record",
            _ => "nobody: it is gone",
        };
        vec![parts::id(&one.chain), parts::moment(one.at / 1000), html! { (how) }, took(one.micros)]
    };
    html! {
        @if list.is_empty() { p.quiet { "None since the peer was started." } } @else {
            (table("Handoffs", &columns, &list.iter().map(row).collect::<Vec<_>>()))
        }
    }
}

fn took(micros: u64) -> Markup {
    html! { (micros / 1000) "." (micros % 1000 / 100) " ms" }
}

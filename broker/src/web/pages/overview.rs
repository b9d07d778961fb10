//! Overview: how many coins there are and where, whether the books balance, who is there.

use super::{Context, counted, grouped, sign_out};
use crate::admin::view::StatusView;
use maud::{Markup, html};
use netpay_node::ui::parts::{
    self, Column, Day, Tone, badge, chart, facts, figure, icon, money, nothing, qr, table, title,
};

/// What became of coins on one day.
#[derive(Clone, Debug, Default)]
pub struct CoinDay {
    /// Which, as in 2026-11-27.
    pub day: String,
    /// Coins issued.
    pub issued: u64,
    /// Coins redeemed.
    pub redeemed: u64,
    /// Coins refunded.
    pub refunded: u64,
    /// Coins outstanding at its end.
    pub outstanding: u64,
}

/// What the page shows.
pub struct Overview<'a> {
    /// The broker at a glance.
    pub status: &'a StatusView,
    /// The last days, the newest last.
    pub days: &'a [CoinDay],
    /// Payouts to be made.
    pub payouts: usize,
}

/// The page.
#[must_use]
pub fn page(context: &Context, shown: &Overview<'_>) -> Markup {
    let books = &shown.status.books;
    let body = html! {
        (title("Overview", &sign_out(context, "/logout")))
        dl.figures {
            (figure("Issued", &money(books.issued), "coins ever sold"))
            (figure("Outstanding", &money(positive(books.coins)), "in buyers' and vendors' hands"))
            (figure("Redeemed", &money(books.redeemed), "paid to vendors"))
            (figure("Gone back", &money(books.refunded), "unspent at settlement"))
        }
        (days(shown.days))
        div.pair { (balance(context, shown)) (people(shown)) }
        (invite(shown.status))
        (parts::command("netpay-broker status"))
    };
    context.page("/", "Overview", &body)
}

/// A book that is never on the wrong side, as an amount.
pub(crate) fn positive(book: i64) -> u64 {
    u64::try_from(book).unwrap_or(0)
}

fn days(days: &[CoinDay]) -> Markup {
    let series = |coins: fn(&CoinDay) -> u64| -> Vec<Day> {
        days.iter().map(|day| Day { day: day.day.clone(), count: 0, coins: coins(day) }).collect()
    };
    let one = |word: &str, coins: fn(&CoinDay) -> u64| {
        let name = format!("{word} on each of the last {} days; the table below has the figures", days.len());
        html! { div.stack { h3 { (word) } (chart(&name, &series(coins))) } }
    };
    let columns = [
        Column::text("Day"),
        Column::amount("Issued"),
        Column::amount("Redeemed"),
        Column::amount("Gone back"),
        Column::amount("Outstanding at its end"),
    ];
    let moved = days.iter().rev().filter(|day| day.issued + day.redeemed + day.refunded > 0);
    let rows: Vec<Vec<Markup>> = moved
        .map(|day| {
            let amounts = [day.issued, day.redeemed, day.refunded, day.outstanding];
            std::iter::once(html! { (day.day) }).chain(amounts.map(money)).collect()
        })
        .collect();
    html! {
        section.card aria-labelledby="days" {
            h2 #days { "The last " (days.len()) " days" }
            @if rows.is_empty() { p.quiet { "No coins were moved on these days." } } @else {
                div.three {
                    (one("Coins issued", |day| day.issued))
                    (one("Coins redeemed", |day| day.redeemed))
                    (one("Coins outstanding", |day| day.outstanding))
                }
                details { summary { "As a table" } (table("Coins by day (UTC)", &columns, &rows)) }
            }
        }
    }
}

fn balance(context: &Context, shown: &Overview<'_>) -> Markup {
    let books = &shown.status.books;
    html! {
        section.card aria-labelledby="balance" {
            h2 #balance { "The books" }
            p {
                @if books.balance { (badge(Tone::Good, "the books balance")) } @else {
                    (badge(Tone::Bad, "the books do not balance"))
                }
            }
            (facts(&[
                ("Money held", money(books.cash)),
                ("Balances", money(positive(books.balances))),
                ("Coins outstanding", money(positive(books.coins))),
                ("Bonds", money(positive(books.bonds))),
                ("Payouts", money(positive(books.payouts))),
                ("Vouchers", money(positive(books.vouchers))),
            ]))
            p.hint { "What is held is what is owed: the five below sum up to the first. The check reads the whole journal." }
            form method="post" action="/books/check" {
                (context.seal().fields())
                div.buttons { button type="submit" { (icon("check")) "Prove it from the journal" } }
            }
            (parts::command("netpay-broker ledger check"))
        }
    }
}

fn people(shown: &Overview<'_>) -> Markup {
    let status = shown.status;
    html! {
        section.card aria-labelledby="people" {
            h2 #people { "Members and vouchers" }
            (facts(&[
                ("Members online", html! { b { (grouped(status.alive)) } " within the last hour" }),
                ("Accounts", html! { a href="/accounts" { (grouped(status.accounts)) } }),
                ("Chains", html! { a href="/chains" { (grouped(status.chains)) } }),
                ("Vouchers", html! {
                    (grouped(status.vouchers_sold)) " made, " (grouped(status.vouchers_used)) " paid in"
                }),
                ("Payouts", html! {
                    @if shown.payouts == 0 { "none to be made" } @else {
                        a href="/payouts" { (grouped(shown.payouts)) " to be made" }
                    }
                }),
                ("Disputes", html! {
                    @if status.convictions == 0 { "none" } @else { a href="/disputes" { (grouped(status.convictions)) } }
                }),
                ("Journal", html! { (counted(status.records, "record")) }),
            ]))
            p { a.button href="/vouchers" { (icon("key")) "Make vouchers" } }
        }
    }
}

fn invite(status: &StatusView) -> Markup {
    html! {
        section.card aria-labelledby="invite" {
            h2 #invite { "Invite" }
            p.hint { "Whoever sets up a peer with this line joins the network. It is no secret." }
            p { code { (status.invite) } }
            (qr("The invite as a QR code", &status.invite))
            @if status.pages.is_empty() { (nothing()) } @else {
                p.hint { "The public's pages, with the same invite:" }
                p { code { (status.pages) } }
            }
        }
    }
}

//! Vouchers: made here, and shown once.

use super::{Context, grouped};
use crate::admin::view::VouchersView;
use crate::ledger::{MAX_MONEY, MAX_VOUCHERS};
use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::ui::parts::{
    self, Confirm, Field, coins, confirm, error_box, facts, field, money, nothing, title,
};

/// What was typed.
#[derive(Clone, Copy, Default)]
pub struct Typed<'a> {
    /// What each is worth.
    pub value: &'a str,
    /// How many.
    pub count: &'a str,
}

/// The page.
#[must_use]
pub fn page(
    context: &Context,
    (made, used): (usize, usize),
    typed: Typed<'_>,
    error: Option<&ErrorView>,
) -> Markup {
    let body = html! {
        (title("Vouchers", &nothing()))
        @if let Some(error) = error { (error_box(error)) }
        p.lead { "A voucher brings money into an account, once. Sell its code for what it is worth; whoever has the code has the money." }
        div.pair {
            section.card aria-labelledby="make" {
                h2 #make { "Make some" }
                form method="get" action="/vouchers/new" {
                    div.row {
                        (field(&Field {
                            name: "value",
                            label: "Coins each",
                            kind: "number",
                            value: typed.value,
                            required: true,
                            range: Some((1, MAX_MONEY)),
                            ..Field::default()
                        }))
                        (field(&Field {
                            name: "count",
                            label: "How many",
                            kind: "number",
                            value: if typed.count.is_empty() { "1" } else { typed.count },
                            required: true,
                            range: Some((1, MAX_VOUCHERS as u64)),
                            ..Field::default()
                        }))
                    }
                    div.buttons { button.primary type="submit" { "Continue" } }
                }
                (parts::command("netpay-broker voucher new COINS --count N"))
            }
            section.card aria-labelledby="sold" {
                h2 #sold { "So far" }
                (facts(&[
                    ("Made", html! { (grouped(made)) }),
                    ("Paid in", html! { (grouped(used)) }),
                    ("Not yet", html! { (grouped(made.saturating_sub(used))) }),
                ]))
                p.hint { "The books keep the codes' hashes only: a code that is lost cannot be shown again." }
            }
        }
    };
    context.page("/vouchers", "Vouchers", &body)
}

/// The question before they are made.
#[must_use]
pub fn ask(context: &Context, value: u64, count: u64, key: &str) -> Markup {
    let all = value.saturating_mul(count);
    let body = confirm(&Confirm {
        title: &if count == 1 {
            "Make a voucher?".to_owned()
        } else {
            format!("Make {} vouchers?", grouped(count))
        },
        body: html! {
            dl.sum {
                div { dt { "Each" } dd { (money(value)) } }
                div { dt { "How many" } dd { (grouped(count)) } }
                div.total { dt { "In all" } dd { (money(all)) } }
            }
            p.quiet { "They are booked as money that you took. The codes are shown once, on the next page." }
        },
        action: "/vouchers",
        fields: &[("value", &value.to_string()), ("count", &count.to_string())],
        seal: context.sealed(key),
        yes: &format!("Make them for {}", coins(all)),
        destroys: false,
        back: "/vouchers",
        command: &format!("netpay-broker voucher new {value} --count {count} --request {key}"),
    });
    context.page("/vouchers", "Make vouchers", &body)
}

/// The codes, which are shown once.
#[must_use]
pub fn made(context: &Context, vouchers: &VouchersView) -> Markup {
    let body = html! {
        (title("The vouchers", &nothing()))
        p.notice.warn role="status" {
            (parts::icon("warning"))
            span { "They are shown this once. Copy or print them now: nobody can show them again." }
        }
        section.card aria-labelledby="codes" {
            h2 #codes { (grouped(vouchers.codes.len())) " of " (coins(vouchers.value)) " each" }
            ul.stack { @for code in &vouchers.codes { li { code { (code) } } } }
        }
        p { a.button href="/vouchers" { "Done" } }
    };
    context.page("/vouchers", "The vouchers", &body)
}

//! Home: what this broker is, its terms, and how to join.

use super::{Context, grouped};
use crate::ledger::{FALSE_ACCUSATION, HELD_FOR};
use crate::service::Terms;
use maud::{Markup, html};
use netpay_node::shown;
use netpay_node::ui::parts::{self, coins, facts, figure, foreign, icon, qr, title};

/// What the page shows.
pub struct Home<'a> {
    /// The terms.
    pub terms: &'a Terms,
    /// The signing key.
    pub broker: String,
    /// Members online.
    pub alive: usize,
    /// What peers need to join.
    pub invite: String,
}

/// The page.
#[must_use]
pub fn page(context: &Context, shown: &Home<'_>) -> Markup {
    let terms = shown.terms;
    let body = html! {
        (title(&shown::foreign(&terms.name), &html! {
            a.button.primary href="/register" { (icon("plus")) "Join" }
        }))
        p.lead {
            "This broker sells coins with which people pay each other for files, piece by piece, and takes them \
             back. It is in no sale: peers find each other, trade and pay while it is away."
        }
        dl.figures {
            (figure("Members online", &html! { (grouped(shown.alive)) }, "within the last hour"))
            (figure("A coin is", &foreign(&terms.denomination), "says the operator"))
            (figure("To join", &html! { @if terms.voucher_needed { "a voucher" } @else { "nothing" } },
                if terms.voucher_needed { "sold by the operator" } else { "an account is free" }))
            (figure("Bond", &html! { @if terms.bond.0 == 0 { "none" } @else { (coins(terms.bond.0)) } },
                if terms.bond.0 == 0 { "nothing is set aside" } else { "set aside, and returned" }))
        }
        div.pair {
            (about(shown))
            (joining(&shown.invite))
        }
        (promises(terms))
    };
    context.page("/", "Home", &body)
}

fn about(shown: &Home<'_>) -> Markup {
    html! {
        section.card aria-labelledby="about" {
            h2 #about { "About" }
            (facts(&[
                ("Network", foreign(&shown.terms.network)),
                ("Operator", foreign(&shown.terms.contact)),
                ("Key", html! { code { (shown.broker) } }),
            ]))
            p.hint { "The key is what every coin of this network is signed with. Peers have it from the invite." }
        }
    }
}

fn joining(invite: &str) -> Markup {
    html! {
        section.card aria-labelledby="invite" {
            h2 #invite { "The invite" }
            p.hint { "One line that has the network, the key and the address in it. It is no secret." }
            p { code { (invite) } }
            (qr("The invite as a QR code", invite))
            (parts::command("netpay up --join INVITE"))
        }
    }
}

/// What is promised, and for how long.
fn promises(terms: &Terms) -> Markup {
    html! {
        section.card aria-labelledby="terms" {
            h2 #terms { "Terms" }
            (facts(&[
                ("Worth", html! { "One coin is " (foreign(&terms.denomination)) "." }),
                ("To spend", html! { "Coins can be spent for " (span(terms.spend_for)) " after they were bought." }),
                ("To redeem", html! {
                    "Whoever earned them has " (span(terms.redeem_for)) " more. Then the chain is settled: what is \
                     not spent goes back to its buyer's account."
                }),
                ("Voucher", html! {
                    @if terms.voucher_needed { "An account takes a voucher, which the operator sells." }
                    @else { "An account takes none. Vouchers, which the operator sells, bring money in." }
                }),
                ("Disputes", html! {
                    "In fair mode whoever sells is paid " (span(HELD_FOR)) " after the claim came. Until then its buyer can \
                     show that what came is not what was promised: nothing is paid then, and the vendor is banned. Saying so \
                     falsely costs " (coins(FALSE_ACCUSATION.0)) "."
                }),
                ("Bond", html! {
                    @if terms.bond.0 == 0 { "None is asked for." } @else {
                        "A new account sets " (coins(terms.bond.0)) " aside. They pay for what its nodes sign twice, \
                         and come back when the account is closed."
                    }
                }),
            ]))
        }
    }
}

/// A span of time as it is promised: in whole days where it is so long.
pub(super) fn span(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    match (seconds / DAY, seconds % DAY) {
        (1, 0) => "a day".to_owned(),
        (days, 0) if days > 0 => format!("{days} days"),
        _ => shown::span(seconds),
    }
}

//! Register: three steps, and what is said about whoever takes them.

use super::Context;
use super::home::span;
use crate::service::Terms;
use maud::{Markup, html};
use netpay_node::ui::parts::{self, coins, facts, foreign, nothing, qr, quoted, title};

/// The page.
#[must_use]
pub fn page(context: &Context, terms: &Terms, invite: &str) -> Markup {
    let body = html! {
        (title("Register", &nothing()))
        p.lead { "An account is a key that your own peer makes. There is no form to fill in here, and no name to give." }
        section.card aria-labelledby="steps" {
            h2 #steps { "Three steps" }
            ol.steps {
                (step(1, "Get the software", &html! {
                    p { "It is a program of your own that runs on your machine." }
                    p { a href="/software" { "How to get it" } }
                }))
                (step(2, "Start it with the invite", &html! {
                    p { "It makes a wallet, asks for a passphrase, and finds the network:" }
                    p { code { "netpay up --join " (quoted(invite)) } }
                    (qr("The invite as a QR code", invite))
                }))
                (step(3, voucher_title(terms), &voucher(terms)))
            }
        }
        (told(terms))
    };
    context.page("/register", "Register", &body)
}

fn step(number: u32, heading: &str, body: &Markup) -> Markup {
    html! {
        li {
            span.mark aria-hidden="true" { (number) }
            h3 { (heading) }
            div.body { (body) }
        }
    }
}

const fn voucher_title(terms: &Terms) -> &'static str {
    if terms.voucher_needed { "Open the account with a voucher" } else { "Open the account" }
}

fn voucher(terms: &Terms) -> Markup {
    html! {
        p {
            @if terms.voucher_needed {
                "An account takes a voucher. Ask the operator for one: " (foreign(&terms.contact)) "."
            } @else {
                "It is free. To buy coins, ask the operator for a voucher: " (foreign(&terms.contact)) "."
            }
        }
        @if terms.bond.0 > 0 {
            p { "Of its value " (coins(terms.bond.0)) " are set aside as the account's bond." }
        }
        p { code { @if terms.voucher_needed { "netpay broker register --voucher" } @else { "netpay broker register" } } }
        p { "The same is a button on the Wallet page of your peer." }
    }
}

/// Who learns what.
fn told(terms: &Terms) -> Markup {
    html! {
        section.card aria-labelledby="told" {
            h2 #told { "What is said about you, and to whom" }
            (facts(&[
                ("This broker", html! {
                    "keeps your account's key, the name that your peer gives itself, its node's key, what you paid in, \
                     which chains of coins you bought, and how much of which chain you redeemed. Not which files."
                }),
                ("Vendors", html! { "see your node's key and the chain that pays them. Not your account." }),
                ("Buyers", html! { "see your node's key and what you offer. Not your account." }),
                ("Witnesses", html! { "see chains, sums and vendors' keys. Neither file nor buyer." }),
                ("Other members", html! { "see what you offer and search for, while you do." }),
            ]))
            p.hint {
                "Claims can be brought until " (span(terms.redeem_for))
                " after a chain's last day. The broker's books keep them for good."
            }
            (parts::command("netpay broker show"))
        }
    }
}

//! Software: what there is to get, under which licences, and what it runs.

use super::Context;
use maud::{Markup, html};
use netpay_node::ui::parts::{facts, nothing, title};

/// The page.
#[must_use]
pub fn page(context: &Context) -> Markup {
    let body = html! {
        (title("Software", &nothing()))
        p.lead { "NetPay is free software. You run it yourself; nothing of it runs here but the bank." }
        div.pair {
            section.card aria-labelledby="get" {
                h2 #get { "Get it" }
                p { "With its source at hand, Rust and a C compiler, one command builds and installs it:" }
                p { code { "cargo install --locked --path node" } }
                p.hint { "Ask the operator for the source if you do not have it. Linux and other Unix systems." }
                h3 { "Then" }
                p { a.button href="/register" { "Register" } }
            }
            section.card aria-labelledby="what" {
                h2 #what { "What it is" }
                (facts(&[
                    ("Version", html! { (env!("CARGO_PKG_VERSION")) " (this broker's)" }),
                    ("Licence", html! { "MIT or Apache-2.0, as you choose" }),
                    ("Source", html! { "in Rust: core, node, broker, tests" }),
                ]))
            }
        }
        section.card aria-labelledby="runs" {
            h2 #runs { "What it runs" }
            (facts(&[
                ("netpay", html! {
                    "a peer: it buys, sells, searches, and keeps records for others. It listens on port 4780 for other \
                     peers, and on 127.0.0.1:5780 for you alone."
                }),
                ("netpay-broker", html! { "a node that is also the bank, for whoever runs a network of their own." }),
                ("On your disk", html! { "one directory, which it tells you, with your keys, your wallet and your files." }),
                ("Elsewhere", html! { "nothing. It reports to nobody, and loads nothing from anywhere." }),
            ]))
        }
    };
    context.page("/software", "Software", &body)
}

//! What is shown to whoever is not signed in as the operator.

use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::ui::layout;
use netpay_node::ui::parts::{error_box, foreign};

/// The page: a link from the command lets in.
#[must_use]
pub fn page(bank: &str, error: Option<&ErrorView>) -> Markup {
    let body = html! {
        h1 { "Sign in" }
        @if let Some(error) = error { (error_box(error)) }
        div.card {
            p {
                "These pages are for the operator of " (foreign(bank))
                ". On the broker's machine, have a link made that lets you in once:"
            }
            p { code { "netpay-broker open" } }
            p.hint { "The link works for a minute, in one browser." }
        }
    };
    layout::bare("NetPay broker", "Sign in", &body)
}

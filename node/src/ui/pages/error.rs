//! What is shown when something did not go as it should.

use super::Context;
use crate::app::view::ErrorView;
use crate::ui::parts::{error_box, title};
use maud::{Markup, html};

/// An error as a page.
#[must_use]
pub fn page(context: &Context, error: &ErrorView) -> Markup {
    let heading = if error.status == 404 { "There is no such thing" } else { "That did not work" };
    let body = html! {
        (title(heading, &crate::ui::parts::nothing()))
        (problem(error))
        p { a href="/" { "To the first page" } }
    };
    context.page("", heading, &body)
}

/// An address at which nothing is.
#[must_use]
pub fn missing(context: &Context) -> Markup {
    let body = html! {
        (title("There is no such page", &crate::ui::parts::nothing()))
        p.lead { "The address may be mistyped, or what was there is gone." }
        p { a.button href="/" { "To the first page" } }
    };
    context.page("", "There is no such page", &body)
}

/// An error, and where on these pages it can be helped.
#[must_use]
pub fn problem(error: &ErrorView) -> Markup {
    html! {
        (error_box(error))
        @if let Some((href, word)) = remedy(&error.code) { p { a.button href=(href) { (word) } } }
    }
}

/// The page that helps.
fn remedy(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "NP-WALLET-001" => ("/wallet#buy", "Buy coins"),
        "NP-WALLET-003" => ("/wallet#unlock", "Unlock the wallet"),
        "NP-BROKER-001" => ("/wallet#register", "Open an account"),
        "NP-WALLET-007" | "NP-WALLET-008" => ("/wallet", "To the wallet"),
        _ => return None,
    })
}

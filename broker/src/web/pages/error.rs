//! What is shown when something did not go as it should.

use super::Context;
use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::ui::parts::{error_box, nothing, title};

/// An error as a page.
#[must_use]
pub fn page(context: &Context, error: &ErrorView) -> Markup {
    let heading = if error.status == 404 { "There is no such thing" } else { "That did not work" };
    let body = html! {
        (title(heading, &nothing()))
        (error_box(error))
        p { a href="/" { "To the first page" } }
    };
    context.page("", heading, &body)
}

/// An address at which nothing is.
#[must_use]
pub fn missing(context: &Context) -> Markup {
    let body = html! {
        (title("There is no such page", &nothing()))
        p.lead { "The address may be mistyped, or what was there is gone." }
        p { a.button href="/" { "To the first page" } }
    };
    context.page("", "There is no such page", &body)
}

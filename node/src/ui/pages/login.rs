//! What is shown to whoever is not signed in.

use crate::app::view::ErrorView;
use crate::ui::layout;
use crate::ui::parts::{Field, error_box, field};
use maud::{Markup, html};

/// The page. With a password set it can be typed here; without one, only a link from the command lets in.
#[must_use]
pub fn page(has_password: bool, error: Option<&ErrorView>) -> Markup {
    let body = html! {
        h1 { "Sign in" }
        @if let Some(error) = error { (error_box(error)) }
        div.card {
            p {
                "This page commands a wallet, so it asks who you are. On the peer's machine, have a link \
                 made that lets you in once:"
            }
            p { code { "netpay open" } }
            p.hint { "The link works for a minute, in one browser." }
        }
        @if has_password {
            form.card method="post" action="/login" {
                (field(&Field {
                    name: "password",
                    label: "Password",
                    kind: "password",
                    required: true,
                    ..Field::default()
                }))
                div.buttons { button.primary type="submit" { "Sign in" } }
            }
        }
    };
    layout::bare("NetPay", "Sign in", &body)
}

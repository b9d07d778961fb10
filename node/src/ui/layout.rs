//! The frame of every page: head, header, navigation, main. It knows nothing of a peer, so that a broker's pages are in
//! the same one.

use super::assets;
use super::parts::{Tone, foreign, icon};
use maud::{DOCTYPE, Markup, html};

/// What scripts, styles and forms a page may use: its own. Sent with every page.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How htmx is set up: it adds no styles, runs no code from attributes, and shows refusals like any other answer.
const HTMX: &str = concat!(
    r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"#,
    r#""historyCacheSize":0,"refreshOnHistoryMiss":true,"#,
    r#""responseHandling":[{"code":"204","swap":false},{"code":"...","swap":true}]}"#
);

/// A place in the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Where it is.
    pub href: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// Its icon in `icons.svg`.
    pub icon: &'static str,
}

/// Something to be said once, above the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it went well.
    pub tone: Tone,
    /// What there is to say.
    pub text: String,
}

/// What stands around a page.
#[derive(Debug)]
pub struct Shell<'a> {
    /// The program.
    pub product: &'a str,
    /// Whose pages these are: a peer's name, a bank's.
    pub owner: &'a str,
    /// The places one can go to.
    pub sections: &'a [Section],
    /// `href` of the section that this page belongs to.
    pub current: &'a str,
    /// The figures in the header.
    pub status: Markup,
    /// Where the figures are had anew, every two seconds; nowhere if `None`.
    pub status_url: Option<&'a str>,
    /// What to say first.
    pub notice: Option<Notice>,
}

/// A whole page. `title` is its heading too.
#[must_use]
pub fn page(shell: &Shell<'_>, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, shell.owner, shell.product))
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    div.brand {
                        a.product href="/" { (icon("mark")) span { (shell.product) } }
                        span.owner { (foreign(shell.owner)) }
                    }
                    (status(shell))
                }
                div.frame {
                    nav.sections aria-label="Sections" {
                        ul {
                            @for section in shell.sections {
                                li {
                                    a href=(section.href)
                                        aria-current=[(section.href == shell.current).then_some("page")] {
                                        (icon(section.icon)) span { (section.label) }
                                    }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        @if let Some(said) = &shell.notice { (notice(said)) }
                        (body)
                    }
                }
                dialog #dialog aria-label="Confirmation" {}
            }
        }
    }
}

/// A page without navigation: for whoever is not signed in.
#[must_use]
pub fn bare(product: &str, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, "", product))
            body.bare {
                header.top { div.brand { span.product { (icon("mark")) span { (product) } } } }
                main #main { (body) }
            }
        }
    }
}

/// Something to be said once. Screen readers say it as soon as it is there.
#[must_use]
pub fn notice(notice: &Notice) -> Markup {
    html! {
        p.notice.(notice.tone.class()) role="status" {
            (icon(notice.tone.icon())) span { (foreign(&notice.text)) }
        }
    }
}

fn head(title: &str, owner: &str, product: &str) -> Markup {
    let owner = crate::shown::foreign(owner);
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            // With none at all browsers leave their own pages out of Origin, too, and forms would be refused.
            meta name="referrer" content="same-origin";
            meta name="htmx-config" content=(HTMX);
            title {
                (title) " · "
                @if !owner.is_empty() { (owner) " · " }
                (product)
            }
            link rel="icon" type="image/svg+xml" href=(assets::url("mark.svg"));
            link rel="stylesheet" href=(assets::url("style.css"));
            script src=(assets::url("htmx.min.js")) defer {}
            script src=(assets::url("app.js")) defer {}
        }
    }
}

fn status(shell: &Shell<'_>) -> Markup {
    html! {
        div.status #status hx-get=[shell.status_url] hx-trigger=[shell.status_url.map(|_| "every 2s")]
            hx-swap="innerHTML" { (shell.status) }
    }
}

//! Search: what is for sale in the network.

use super::{Context, peer_name};
use crate::app::view::{ErrorView, Found};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Field, Pages, Tone, badge, field, icon, money, pager, quoted, select, table, title,
};
use maud::{Markup, html};

/// What was typed, as it was typed.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Words, a link or an id.
    pub words: String,
    /// Nothing dearer.
    pub max_price: String,
    /// Only names that end so.
    pub extension: String,
    /// `best`, `price`, `name` or `size`.
    pub sort: String,
    /// The first row shown.
    pub at: usize,
}

impl Typed {
    /// The address of this search from some row on.
    #[must_use]
    pub fn address(&self, at: usize) -> String {
        let escaped = crate::api::client::escaped;
        let mut address = format!("/search?words={}", escaped(&self.words));
        for (name, value) in
            [("max_price", &self.max_price), ("extension", &self.extension), ("sort", &self.sort)]
        {
            if !value.is_empty() {
                address.push_str(&format!("&{name}={}", escaped(value)));
            }
        }
        if at > 0 {
            address.push_str(&format!("&at={at}"));
        }
        address
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Nothing was asked yet.
    Nothing,
    /// A page of what was found.
    Found(&'a [Found], Pages),
    /// It was refused.
    Refused(&'a ErrorView),
}

/// The page.
#[must_use]
pub fn page(context: &Context, typed: &Typed, outcome: &Outcome<'_>) -> Markup {
    let body = html! {
        (title("Search", &parts::nothing()))
        (form(typed))
        @match outcome {
            Outcome::Nothing => (parts::empty(
                "search",
                "What are you looking for?",
                "Words in any order, all of which must match a name or a tag; or a netpay: link somebody \
                 gave you.",
                &parts::nothing(),
            )),
            Outcome::Refused(error) => (problem(error)),
            Outcome::Found([], _) => (parts::empty(
                "search",
                "Nothing found",
                "Try fewer or other words, or no limits. Vendors come and go: what is not there now may be \
                 later.",
                &html! { a.button href="/peers" { "See who is online" } },
            )),
            Outcome::Found(found, pages) => {
                (offers(found))
                (pager(pages))
                (parts::command(&command(typed)))
            }
        }
    };
    let heading = if typed.words.is_empty() {
        "Search".to_owned()
    } else {
        format!("{} – Search", shown::foreign(&typed.words))
    };
    context.page("/search", &heading, &body)
}

fn form(typed: &Typed) -> Markup {
    let limited = [&typed.max_price, &typed.extension, &typed.sort].iter().any(|limit| !limit.is_empty());
    html! {
        form.card method="get" action="/search" role="search" {
            div.row {
                div.field.wide {
                    label for="f-words" { "Words or a link" }
                    input #f-words name="words" type="search" value=(typed.words) required autocomplete="off"
                        autofocus[typed.words.is_empty()];
                }
                button.primary type="submit" { (icon("search")) "Search" }
            }
            details open[limited] {
                summary { "Limits and order" }
                div.row {
                    (field(&Field {
                        name: "max_price",
                        label: "At most, coins",
                        kind: "number",
                        value: &typed.max_price,
                        range: Some((0, 1 << 40)),
                        ..Field::default()
                    }))
                    (field(&Field {
                        name: "extension",
                        label: "Type, as in mp4",
                        value: &typed.extension,
                        ..Field::default()
                    }))
                    (select(
                        "sort",
                        "Order",
                        &[("", "Best match"), ("price", "Price"), ("name", "Name"), ("size", "Size")],
                        &typed.sort,
                        "",
                    ))
                }
            }
        }
    }
}

/// Offers as rows: what was found, or what one peer has.
#[must_use]
pub fn offers(found: &[Found]) -> Markup {
    let columns = [
        Column::name("Name"),
        Column::amount("Size"),
        Column::amount("Price"),
        Column::text("Vendor"),
        Column::text("State"),
        Column::acts("Actions"),
    ];
    let rows: Vec<Vec<Markup>> = found.iter().map(offer).collect();
    table("Offers", &columns, &rows)
}

fn offer(found: &Found) -> Vec<Markup> {
    let buy = format!("/buy?what={}&from={}", found.id, found.vendor);
    let vendor = format!("/peers/{}", found.vendor);
    let online = if found.online { badge(Tone::Good, "online") } else { badge(Tone::Idle, "away") };
    let what = shown::foreign(&found.name);
    vec![
        html! {
            a href=(buy) data-ask data-menu=(if found.price == 0 { "Download…" } else { "Buy…" }) {
                (parts::foreign(&found.name))
            }
            @if !found.tags.is_empty() { span.sub { (tags(&found.tags)) } }
        },
        html! { (shown::size(found.size)) },
        html! { @if found.price == 0 { "free" } @else { (money(found.price)) } },
        html! {
            a href=(vendor) data-menu="Browse this peer" {
                (peer_name(found.vendor_name.as_deref(), &found.vendor))
            }
        },
        online,
        html! {
            a.button href=(buy) data-ask {
                (icon("down")) (if found.price == 0 { "Get" } else { "Buy" }) span.hidden { " " (what) }
            }
        },
    ]
}

/// Tags, which come from other peers.
#[must_use]
pub fn tags(tags: &[String]) -> Markup {
    html! { @for (at, tag) in tags.iter().enumerate() { @if at > 0 { ", " } (parts::foreign(tag)) } }
}

fn command(typed: &Typed) -> String {
    let mut command = format!("netpay search {}", quoted(&typed.words));
    for (flag, value) in [("max-price", &typed.max_price), ("type", &typed.extension), ("sort", &typed.sort)]
    {
        if !value.is_empty() {
            command.push_str(&format!(" --{flag} {}", quoted(value)));
        }
    }
    command
}

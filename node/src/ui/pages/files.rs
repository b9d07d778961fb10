//! Files: what this peer sells.

use super::{Context, search};
use crate::app::view::{ErrorView, SharedFile};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Confirm, Field, Pages, Tone, badge, confirm, field, icon, money, pager, quoted, table,
    title,
};
use maud::{Markup, html};

/// What was typed into the form that shares a path.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Typed {
    /// A file or a folder on the peer's machine.
    pub path: String,
    /// Coins for the whole of each file.
    pub price: String,
    /// Further words, with commas between them.
    pub tags: String,
    /// Whether everything in a folder is meant.
    pub recursive: Option<String>,
}

/// What the page shows.
#[derive(Debug, Default)]
pub struct Files<'a> {
    /// The files on this page of the list.
    pub shared: &'a [SharedFile],
    /// Where the list stands.
    pub pages: Pages,
    /// Words by which the list was narrowed.
    pub words: &'a str,
    /// What was typed and refused.
    pub typed: Typed,
    /// Why it was refused.
    pub error: Option<&'a ErrorView>,
    /// The most that can be uploaded, in bytes.
    pub upload_limit: u64,
}

/// The page.
#[must_use]
pub fn page(context: &Context, files: &Files<'_>) -> Markup {
    let add = html! { a.button.primary href="#add" { (icon("plus")) "Share files" } };
    let body = html! {
        (title("Files", &add))
        @if let Some(error) = files.error { (problem(error)) }
        @if files.shared.is_empty() && files.words.is_empty() {
            (parts::empty(
                "file",
                "You share nothing yet",
                "Name a file or a folder of this machine below, and its price. Buyers find it by the words \
                 of its name and its tags.",
                &parts::nothing(),
            ))
        } @else {
            (narrow(files))
            @if files.shared.is_empty() {
                (parts::empty(
                    "search",
                    "None of your files has these words",
                    "Try fewer.",
                    &html! { a.button href="/files" { "All files" } },
                ))
            } @else {
                (list(context, files.shared))
                (pager(&files.pages))
            }
        }
        div.pair #add {
            (by_path(context, &files.typed))
            (upload(context, files.upload_limit))
        }
    };
    context.page("/files", "Files", &body)
}

fn narrow(files: &Files<'_>) -> Markup {
    let long = files.pages.before.is_some() || files.pages.behind.is_some();
    if !long && files.words.is_empty() {
        return parts::nothing();
    }
    html! {
        form.row method="get" action="/files" role="search" {
            (field(&Field {
                name: "words",
                label: "Only names with",
                kind: "search",
                value: files.words,
                ..Field::default()
            }))
            button type="submit" { "Show" }
        }
    }
}

fn list(context: &Context, shared: &[SharedFile]) -> Markup {
    let columns = [
        Column::name("Name"),
        Column::amount("Size"),
        Column::amount("Price"),
        Column::amount("Sold"),
        Column::amount("Earned"),
        Column::text("State"),
        Column::acts("Actions"),
    ];
    let rows: Vec<Vec<Markup>> = shared.iter().map(|file| row(context, file)).collect();
    table("Your files", &columns, &rows)
}

fn row(context: &Context, file: &SharedFile) -> Vec<Markup> {
    let name = shown::foreign(&file.name);
    vec![
        html! {
            span title=(shown::foreign(&file.path)) { (parts::foreign(&file.name)) }
            @if !file.tags.is_empty() { span.sub { (search::tags(&file.tags)) } }
        },
        html! { (shown::size(file.size)) },
        price(context, file),
        html! { (shown::grouped(file.sold)) },
        money(file.earned),
        if file.present { badge(Tone::Good, "offered") } else { badge(Tone::Warn, "changed or gone") },
        html! {
            a.button href=(format!("/files/{}/remove", file.id)) data-ask {
                (icon("cross")) "Stop sharing" span.hidden { " " (name) }
            }
        },
    ]
}

/// The price of a file, which can be changed in its place. With scripts only this form is replaced.
#[must_use]
pub fn price(context: &Context, file: &SharedFile) -> Markup {
    let action = format!("/files/{}/price", file.id);
    let id = format!("price-{}", file.id.get(..16).unwrap_or(&file.id));
    html! {
        form.price method="post" action=(action) hx-post=(action) hx-swap="outerHTML" data-again {
            (context.seal().fields())
            label.hidden for=(id) { "Price of " (shown::foreign(&file.name)) ", in coins" }
            input id=(id) name="price" type="number" min="0" inputmode="numeric" required value=(file.price)
                autocomplete="off";
            span.quiet aria-hidden="true" { (parts::unit(file.price)) }
            button type="submit" { "Set" span.hidden { " the price of " (shown::foreign(&file.name)) } }
        }
    }
}

fn by_path(context: &Context, typed: &Typed) -> Markup {
    let (path, price) = (&typed.path, &typed.price);
    let shown_path = if path.is_empty() { "FILE".to_owned() } else { quoted(path) };
    let shown_price = if price.is_empty() { "N".to_owned() } else { quoted(price) };
    html! {
        section.card aria-labelledby="by-path" {
            h2 #by-path { "Share from this machine" }
            p.hint { "The file stays where it is; the peer reads it there whenever it sells it." }
            form method="post" action="/files" {
                (context.seal().fields())
                (field(&Field {
                    name: "path",
                    label: "Path of a file or folder",
                    value: path,
                    required: true,
                    hint: "In full, as in /home/ann/music",
                    ..Field::default()
                }))
                div.row {
                    (field(&Field {
                        name: "price",
                        label: "Price of each file, in coins",
                        kind: "number",
                        value: price,
                        required: true,
                        range: Some((0, 1 << 40)),
                        ..Field::default()
                    }))
                    (field(&Field {
                        name: "tags",
                        label: "Tags, with commas",
                        value: &typed.tags,
                        ..Field::default()
                    }))
                }
                div.check {
                    input #f-recursive name="recursive" type="checkbox" value="yes"
                        checked[typed.recursive.is_some()];
                    label for="f-recursive" { "Everything in the folder, and in folders in it" }
                }
                div.buttons { button.primary type="submit" { "Share" } }
            }
            (parts::command(&format!("netpay share add {shown_path} --price {shown_price}")))
        }
    }
}

fn upload(context: &Context, limit: u64) -> Markup {
    html! {
        section.card aria-labelledby="upload" {
            h2 #upload { "Share from this browser" }
            p.hint { "The file is copied into the folder “shared” of the peer's home." }
            form method="post" action="/files/upload" enctype="multipart/form-data" {
                (context.seal().fields())
                (field(&Field {
                    name: "upload_price",
                    label: "Price, in coins",
                    kind: "number",
                    required: true,
                    range: Some((0, 1 << 40)),
                    ..Field::default()
                }))
                div.drop {
                    (field(&Field {
                        name: "file",
                        label: "File: choose one, or drop it here",
                        kind: "file",
                        required: true,
                        hint: &format!("At most {}.", shown::size(limit)),
                        ..Field::default()
                    }))
                }
                div.buttons { button.primary type="submit" { (icon("up")) "Upload and share" } }
            }
        }
    }
}

/// The question before a file is taken back.
#[must_use]
pub fn remove(context: &Context, file: &SharedFile) -> Markup {
    let name = shown::foreign(&file.name);
    let body = confirm(&Confirm {
        title: &format!("Stop sharing “{name}”?"),
        body: html! {
            p {
                "It is no longer offered, for " (money(file.price))
                " or at all. The file itself stays where it is, and what it earned stays yours."
            }
            p.quiet { (parts::foreign(&file.path)) }
        },
        action: &format!("/files/{}/remove", file.id),
        fields: &[],
        seal: context.seal(),
        yes: "Stop sharing",
        destroys: true,
        back: "/files",
        command: &format!("netpay share rm {}", file.id),
    });
    context.page("/files", "Stop sharing", &body)
}

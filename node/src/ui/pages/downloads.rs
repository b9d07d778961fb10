//! Downloads: how far each has come, and what happened to it.

use super::{Context, peer_name, rate};
use crate::app::view::{DownloadState, DownloadView, TimelineEntry};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Confirm, Pages, Tone, badge, bar, button, confirm, facts, icon, money, pager, table, title,
};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Names of peers, by their keys.
pub type Names = BTreeMap<String, String>;

/// The page of all downloads.
#[must_use]
pub fn page(context: &Context, shown: &[DownloadView], pages: &Pages) -> Markup {
    let body = html! {
        (title("Downloads", &html! { a.button.primary href="/search" { (icon("search")) "Find files" } }))
        @if shown.is_empty() {
            (parts::empty("down", "Nothing downloaded yet",
                "Search for a file by its name or a link, and buy it from there.",
                &html! { a.button href="/search" { "Search" } }))
        } @else {
            (list(Some(context), shown))
            (pager(pages))
            (poll(shown))
            (parts::command("netpay downloads"))
        }
    };
    context.page("/downloads", "Downloads", &body)
}

/// Downloads as rows; with a context also with what can be done.
#[must_use]
pub fn list(context: Option<&Context>, shown: &[DownloadView]) -> Markup {
    let mut columns =
        vec![Column::name("Name"), Column::bar("Progress"), Column::amount("Paid"), Column::text("State")];
    columns.extend(context.map(|_| Column::acts("Actions")));
    let row = |view: &DownloadView| {
        let mut cells = vec![
            html! { a href=(format!("/downloads/{}", view.id)) { (parts::foreign(&view.name)) } },
            progress(view, false),
            paid(view, false),
            state(view, false),
        ];
        cells.extend(context.map(|context| acts(context, view, false)));
        cells
    };
    let rows: Vec<Vec<Markup>> = shown.iter().map(row).collect();
    table("Downloads", &columns, &rows)
}

/// Asks twice a second how far those shown have come, as long as one of them moves. It carries which state each is
/// shown in, so that buttons are only replaced when others are due.
#[must_use]
pub fn poll(shown: &[DownloadView]) -> Markup {
    let moving = shown.iter().any(|view| is_moving(view.state));
    let seen: Vec<String> = shown
        .iter()
        .filter(|view| is_moving(view.state))
        .map(|view| format!("{}-{}", view.id, word(view.state)))
        .collect();
    html! {
        div #poll hx-get=[moving.then(|| format!("/live/downloads?seen={}", seen.join(",")))]
            hx-trigger=[moving.then_some("every 300ms")] hx-swap=[moving.then_some("outerHTML")] {}
    }
}

/// What has changed of downloads, as parts that htmx puts in the place of the old ones. `seen` are those that the page
/// shows with the state that it shows.
#[must_use]
pub fn changes(context: &Context, now: &[DownloadView], seen: &BTreeMap<u64, String>) -> Markup {
    html! {
        (poll(now))
        @for view in now {
            (progress(view, true))
            (paid(view, true))
            @if seen.get(&view.id).is_none_or(|seen| seen != word(view.state)) {
                (state(view, true))
                (acts(context, view, true))
            }
        }
    }
}

fn swap(in_place: bool) -> Option<&'static str> {
    in_place.then_some("true")
}

fn progress(view: &DownloadView, in_place: bool) -> Markup {
    html! {
        div.progress id=(format!("progress-{}", view.id)) hx-swap-oob=[swap(in_place)] {
            (bar(&format!("Progress of {}", shown::foreign(&view.name)), view.have, view.size))
            span.sub { (so_far(view)) }
        }
    }
}

fn paid(view: &DownloadView, in_place: bool) -> Markup {
    html! { div id=(format!("paid-{}", view.id)) hx-swap-oob=[swap(in_place)] { (money(view.paid)) } }
}

fn state(view: &DownloadView, in_place: bool) -> Markup {
    html! { div id=(format!("state-{}", view.id)) hx-swap-oob=[swap(in_place)] { (state_badge(view)) } }
}

/// Where it stands.
#[must_use]
pub fn state_badge(view: &DownloadView) -> Markup {
    let tone = match view.state {
        DownloadState::Waiting => Tone::Idle,
        DownloadState::Running => Tone::Busy,
        DownloadState::Paused => Tone::Warn,
        DownloadState::Done => Tone::Good,
        DownloadState::Failed => Tone::Bad,
        DownloadState::Cancelled => Tone::Idle,
    };
    badge(tone, word(view.state))
}

/// The word for a state.
#[must_use]
pub const fn word(state: DownloadState) -> &'static str {
    state.word()
}

/// Whether it changes by itself.
#[must_use]
pub const fn is_moving(state: DownloadState) -> bool {
    matches!(state, DownloadState::Waiting | DownloadState::Running)
}

fn so_far(view: &DownloadView) -> String {
    if view.state == DownloadState::Done {
        return shown::size(view.size);
    }
    let mut text = format!("{} of {}", shown::size(view.have), shown::size(view.size));
    if view.state == DownloadState::Running {
        text.push_str(&format!(" · {}", rate(view.rate)));
        if let Some(left) = view.size.saturating_sub(view.have).checked_div(view.rate) {
            text.push_str(&format!(" · {} left", shown::span(left.max(1))));
        }
    }
    text
}

fn acts(context: &Context, view: &DownloadView, in_place: bool) -> Markup {
    let (base, name) = (format!("/downloads/{}", view.id), shown::foreign(&view.name));
    let act = |act: &str, picture: &str, word: &str| {
        button(&format!("{base}/{act}"), context.seal(), picture, word, &name)
    };
    let cancel = html! {
        a.button href=(format!("{base}/cancel")) data-ask {
            (icon("cross")) "Cancel" span.hidden { " " (name) }
        }
    };
    html! {
        div.acts id=(format!("acts-{}", view.id)) hx-swap-oob=[swap(in_place)] {
            @match view.state {
                DownloadState::Waiting | DownloadState::Running => {
                    (act("pause", "pause", "Pause")) (cancel)
                }
                DownloadState::Paused => { (act("resume", "play", "Resume")) (cancel) }
                DownloadState::Failed => { (act("retry", "arrows", "Retry")) (cancel) }
                DownloadState::Done | DownloadState::Cancelled => {}
            }
        }
    }
}

/// The page of one download.
#[must_use]
pub fn detail(context: &Context, view: &DownloadView, names: &Names) -> Markup {
    let name = shown::foreign(&view.name);
    let body = html! {
        (title(&name, &acts(context, view, false)))
        (live(context, view, names, None))
        (parts::command(&format!("netpay downloads show {}", view.id)))
        p { a href="/downloads" { "All downloads" } }
    };
    context.page("/downloads", &format!("{name} – Downloads"), &body)
}

/// What changes on the page of a download: everything but its buttons, and these when its state is another than the one
/// `seen`.
#[must_use]
pub fn live(context: &Context, view: &DownloadView, names: &Names, seen: Option<&str>) -> Markup {
    // A receipt may come a moment after the file is in its place.
    let moving = is_moving(view.state) || (view.state == DownloadState::Done && view.sales > 0);
    let address = format!("/live/downloads/{}?seen={}", view.id, word(view.state));
    html! {
        div.stack.live #live hx-get=[moving.then_some(address)] hx-trigger=[moving.then_some("every 300ms")]
            hx-swap=[moving.then_some("outerHTML")] {
            section.card aria-label="Progress" {
                div.title { (state_badge(view)) span.quiet { (so_far(view)) } }
                (bar("Progress", view.have, view.size))
                (facts(&told(view, names)))
            }
            @if let Some(error) = &view.error { (problem(error)) }
            section.card aria-labelledby="happened" {
                h2 #happened { "What happened" }
                @if view.timeline.is_empty() {
                    p.quiet { "What happened before the peer was last started is not kept." }
                } @else {
                    ol.timeline { @for entry in &view.timeline { (happened(entry, names)) } }
                }
            }
        }
        @if seen.is_some_and(|seen| seen != word(view.state)) { (acts(context, view, true)) }
    }
}

fn told<'a>(view: &DownloadView, names: &Names) -> Vec<(&'a str, Markup)> {
    let vendors = html! {
        @if view.vendors.is_empty() { "nobody yet" }
        @for (at, vendor) in view.vendors.iter().enumerate() {
            @if at > 0 { ", " }
            a href=(format!("/peers/{vendor}")) { (peer_name(names.get(vendor).map(String::as_str), vendor)) }
        }
    };
    let place = if view.state == DownloadState::Done { "File" } else { "Will be at" };
    vec![
        ("Paid", html! { (money(view.paid)) " of " (money(view.price)) }),
        ("From", vendors),
        (place, parts::foreign(&view.path)),
        ("Begun", parts::moment(view.began)),
        ("Content", html! { code { (view.root) } }),
    ]
}

fn happened(entry: &TimelineEntry, names: &Names) -> Markup {
    let name =
        || names.get(&entry.detail).map_or_else(|| shown::short(&entry.detail).to_owned(), Clone::clone);
    let detail = entry.detail.clone();
    let (what, more) = match entry.what.as_str() {
        "quoted" => ("Quoted".to_owned(), detail),
        "ordered" => (
            format!("Ordered from {}", name()),
            "The chain's index goes along, so that it knows where payment begins.".to_owned(),
        ),
        "handoff" => ("Chain handed over".to_owned(), detail),
        "paid" => ("Paid".to_owned(), detail),
        "complete" => ("Verified".to_owned(), detail),
        "receipt" => (format!("Receipt from {}", name()), "It counted what was paid.".to_owned()),
        "settled" => (format!("Settled with {}", name()), "What was still open there is paid.".to_owned()),
        "done" => ("In its place".to_owned(), detail),
        "paused" => ("Paused".to_owned(), detail),
        "resumed" => ("Resumed".to_owned(), detail),
        "failed" => ("Failed".to_owned(), detail),
        "broke off" => ("Broke off".to_owned(), detail),
        "refused" => ("Refused".to_owned(), detail),
        other => (other.to_owned(), detail),
    };
    let bad = matches!(entry.what.as_str(), "failed" | "refused" | "broke off");
    html! {
        li.bad[bad] {
            span { (parts::foreign(&what)) }
            (parts::moment(entry.at / 1000))
            span.sub { (parts::foreign(&more)) }
        }
    }
}

/// The question before a download is called off.
#[must_use]
pub fn cancel(context: &Context, view: &DownloadView) -> Markup {
    let name = shown::foreign(&view.name);
    let body = confirm(&Confirm {
        title: &format!("Cancel “{name}”?"),
        body: html! {
            @if view.paid > 0 {
                p {
                    "The part that is there is deleted, and the " (money(view.paid)) " paid for it are gone."
                }
                p.quiet { "To go on later, pause it in place of that: what was paid stays paid." }
            } @else {
                p { "The part that is there is deleted. Nothing was paid for it." }
            }
        },
        action: &format!("/downloads/{}/cancel", view.id),
        fields: &[],
        seal: context.seal(),
        yes: "Cancel the download",
        destroys: true,
        back: &format!("/downloads/{}", view.id),
        command: &format!("netpay downloads cancel {}", view.id),
    });
    context.page("/downloads", "Cancel a download", &body)
}

//! Downloads: how far each has come, and what happened to it.

use super::{Context, PAGE, peer_name, rate};
use crate::app::view::{DisputeState, DisputeView, DownloadState, DownloadView, TimelineEntry};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Confirm, Pages, Tone, badge, bar, button, confirm, facts, icon, money, pager, table, title,
};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Names of peers, by their keys.
pub type Names = BTreeMap<String, String>;

/// What is or was in dispute, with the names of those who sold it.
#[derive(Clone, Debug, Default)]
pub struct InDispute {
    /// The disputes, newest first.
    pub disputes: Vec<DisputeView>,
    /// What peers call themselves, by their keys.
    pub names: Names,
}

/// The page of all downloads.
#[must_use]
pub fn page(context: &Context, shown: &[DownloadView], pages: &Pages, in_dispute: &InDispute) -> Markup {
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
        @if !in_dispute.disputes.is_empty() {
            section.stack aria-labelledby="disputes" {
                h2 #disputes { "Disputes" }
                p.hint {
                    "What was bought in fair mode and did not end as it should. Your peer takes it to the broker by \
                     itself, and again until there is an answer."
                }
                (disputes(context, in_dispute, true))
                (parts::command("netpay dispute"))
            }
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
pub fn detail(context: &Context, view: &DownloadView, in_dispute: &InDispute) -> Markup {
    let name = shown::foreign(&view.name);
    let body = html! {
        (title(&name, &acts(context, view, false)))
        (live(context, view, in_dispute, None))
        (parts::command(&format!("netpay downloads show {}", view.id)))
        p { a href="/downloads" { "All downloads" } }
    };
    context.page("/downloads", &format!("{name} – Downloads"), &body)
}

/// What changes on the page of a download: everything but its buttons, and these when its state is another than the one
/// `seen`.
#[must_use]
pub fn live(context: &Context, view: &DownloadView, in_dispute: &InDispute, seen: Option<&str>) -> Markup {
    let names = &in_dispute.names;
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
            @if !in_dispute.disputes.is_empty() { (about_disputes(context, view, in_dispute)) }
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

/// What of a download is or was in dispute.
fn about_disputes(context: &Context, view: &DownloadView, in_dispute: &InDispute) -> Markup {
    let open = in_dispute.disputes.iter().filter(|one| one.state.is_open());
    let coins = open.clone().map(|one| one.coins).fold(0, u64::saturating_add);
    html! {
        section.card aria-labelledby="disputes" {
            h2 #disputes { "In dispute" }
            @if open.count() > 0 {
                p {
                    (money(coins)) " paid for this download are in dispute. They are not lost: either the broker gives \
                     the key that is missing, or they come back."
                }
            }
            (disputes(context, in_dispute, false))
            (parts::command(&format!("netpay dispute open {}", view.id)))
        }
    }
}

/// Disputes as rows, the newest of them; `named` with the downloads that they are about.
fn disputes(context: &Context, in_dispute: &InDispute, named: bool) -> Markup {
    let columns = [
        Column::name("Why"),
        Column::text("State"),
        Column::text("Vendor"),
        Column::amount("Coins"),
        Column::acts("Actions"),
    ];
    let row = |one: &DisputeView| {
        let tone = match one.state {
            DisputeState::KeyMissing => Tone::Warn,
            DisputeState::Accused => Tone::Busy,
            DisputeState::Convicted => Tone::Good,
            DisputeState::Rejected => Tone::Bad,
        };
        let vendor = in_dispute.names.get(&one.vendor).map(String::as_str);
        vec![
            html! {
                @if named { a href=(format!("/downloads/{}", one.download)) { (parts::foreign(&one.name)) } }
                span.sub { (parts::sentence(&one.why)) "." }
            },
            html! {
                (badge(tone, one.state.word()))
                span.sub { "since " (parts::moment(one.at)) }
            },
            html! { a href=(format!("/peers/{}", one.vendor)) { (peer_name(vendor, &one.vendor)) } },
            money(one.coins),
            html! {
                @if one.state.is_open() {
                    (button(
                        &format!("/downloads/{}/dispute", one.download),
                        context.seal(),
                        "broker",
                        "Take it to the broker now",
                        &shown::foreign(&one.name),
                    ))
                }
            },
        ]
    };
    let rows: Vec<Vec<Markup>> = in_dispute.disputes.iter().take(PAGE).map(row).collect();
    html! {
        (table("Disputes, newest first", &columns, &rows))
        @if in_dispute.disputes.len() > PAGE {
            p.quiet { "The newest " (PAGE) " of " (shown::grouped(in_dispute.disputes.len() as u64)) "." }
        }
    }
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
        "settled" => (
            format!("Settled with {}", name()),
            "What was still open there is ended: what it delivered is paid.".to_owned(),
        ),
        "deal" => (
            format!("Asked {} for a deal", name()),
            "In fair mode: pieces come under seal, and their key follows on the payment.".to_owned(),
        ),
        "sealed" => (
            format!("Deal with {}", name()),
            "It signed what it sells for which price. Pieces come under seal.".to_owned(),
        ),
        "junk" => (
            format!("Junk from {}", name()),
            "A piece opened to something else than was promised. The proof goes to the broker, and the vendor is \
             blocked."
                .to_owned(),
        ),
        "key" => ("Key from the broker".to_owned(), "The vendor kept it back, and had to show it to be paid.".to_owned()),
        "convicted" => (
            format!("{} is convicted", name()),
            "The broker judged the proof: the vendor's claim is void, and the coins come back when the chain is settled."
                .to_owned(),
        ),
        "not convicted" => {
            (format!("{} is not convicted", name()), "The broker found that the proof does not hold.".to_owned())
        }
        "done" => ("In its place".to_owned(), detail),
        "paused" => ("Paused".to_owned(), detail),
        "resumed" => ("Resumed".to_owned(), detail),
        "failed" => ("Failed".to_owned(), detail),
        "broke off" => ("Broke off".to_owned(), detail),
        "refused" => ("Refused".to_owned(), detail),
        other => (other.to_owned(), detail),
    };
    let bad = matches!(entry.what.as_str(), "failed" | "refused" | "broke off" | "junk" | "not convicted");
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

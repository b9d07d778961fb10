//! Peers: who is there, and what each has.

use super::{Context, peer_name, search};
use crate::app::view::{ErrorView, Found, PeerView};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{self, Column, Pages, Tone, badge, facts, icon, pager, quoted, table, title};
use maud::{Markup, html};

/// The page of all peers. `address` is what was typed into the form that connects.
#[must_use]
pub fn page(
    context: &Context,
    peers: &[PeerView],
    pages: &Pages,
    address: &str,
    error: Option<&ErrorView>,
) -> Markup {
    let shown = if address.is_empty() { "ADDRESS".to_owned() } else { quoted(address) };
    let body = html! {
        (title("Peers", &parts::nothing()))
        @if let Some(error) = error { (problem(error)) }
        @if peers.is_empty() {
            (parts::empty(
                "peers",
                "Nobody else is here",
                "Others are found through the broker as soon as it is connected; or connect to one by its \
                 address.",
                &parts::nothing(),
            ))
        } @else {
            (list(peers))
            (pager(pages))
        }
        section.card aria-labelledby="connect" {
            h2 #connect { "Connect to a peer" }
            form.row method="post" action="/peers" {
                (context.seal().fields())
                div.field.wide {
                    label for="f-address" { "Its address" }
                    input #f-address name="address" value=(address) required autocomplete="off"
                        spellcheck="false" aria-describedby="f-address-hint";
                    p.hint #f-address-hint {
                        "As in /ip4/192.0.2.7/tcp/4780/p2p/12D3Koo…; its owner finds it under Settings."
                    }
                }
                button type="submit" { (icon("link")) "Connect" }
            }
            (parts::command(&format!("netpay connect {shown}")))
        }
    };
    context.page("/peers", "Peers", &body)
}

fn list(peers: &[PeerView]) -> Markup {
    let columns = [
        Column::name("Name"),
        Column::amount("Files"),
        Column::amount("Round trip"),
        Column::text("Member"),
        Column::text("State"),
        Column::acts("Actions"),
    ];
    let rows: Vec<Vec<Markup>> = peers.iter().map(row).collect();
    table("Peers", &columns, &rows)
}

fn row(peer: &PeerView) -> Vec<Markup> {
    let address = format!("/peers/{}", peer.node);
    vec![
        html! {
            a href=(address) data-menu="Browse its files" { (peer_name(peer.name.as_deref(), &peer.node)) }
            @if peer.name.is_some() { span.sub { (parts::id(&peer.node)) } }
        },
        html! {
            @match peer.files {
                Some(files) => (shown::grouped(u64::from(files))),
                None => span.quiet { "not known" },
            }
        },
        round_trip(peer),
        html! { @if peer.member { "yes" } @else { span.quiet { "not shown" } } },
        state(peer),
        html! {
            a.button href=(address) {
                "Browse" span.hidden { " " (shown::foreign(peer.name.as_deref().unwrap_or(&peer.node))) }
            }
        },
    ]
}

fn state(peer: &PeerView) -> Markup {
    match (peer.blocked, peer.connected) {
        (true, _) => badge(Tone::Bad, "blocked"),
        (false, true) => badge(Tone::Good, "online"),
        (false, false) => badge(Tone::Idle, "away"),
    }
}

/// Having nothing to do with a peer any more, or again.
fn block(context: &Context, peer: &PeerView) -> Markup {
    let (act, button, hint) = if peer.blocked {
        ("unblock", "Unblock", "It is connected again as soon as it can be reached.")
    } else {
        ("block", "Block", "No connection, no search result, no sale, until you unblock it.")
    };
    html! {
        section.card aria-labelledby="block" {
            h2 #block { (button) " this peer" }
            p.hint { (hint) }
            form method="post" action=(format!("/peers/{}/{act}", peer.node)) {
                (context.seal().fields())
                div.buttons { button type="submit" { (button) } }
            }
            (parts::command(&format!("netpay {act} {}", peer.node)))
        }
    }
}

fn round_trip(peer: &PeerView) -> Markup {
    html! {
        @match peer.round_trip {
            Some(micros) if micros < 10_000 => { (micros / 1000) "." (micros % 1000 / 100) " ms" }
            Some(micros) => { (micros / 1000) " ms" }
            None => span.quiet { "–" },
        }
    }
}

/// The page of one peer: what it has. `peer` is what is known of it beside its key.
#[must_use]
pub fn browse(
    context: &Context,
    peer: &PeerView,
    found: Result<&[Found], &ErrorView>,
    pages: &Pages,
) -> Markup {
    let name = shown::foreign(peer.name.as_deref().unwrap_or_else(|| shown::short(&peer.node)));
    let body = html! {
        (title(&name, &parts::nothing()))
        section.card aria-label="About it" {
            (facts(&[
                ("State", state(peer)),
                ("Round trip", round_trip(peer)),
                ("Key", html! { code { (peer.node) } }),
                (
                    "Addresses",
                    html! {
                        @for address in &peer.addresses { code { (parts::foreign(address)) } br; }
                        @if peer.addresses.is_empty() { "none known" }
                    },
                ),
            ]))
        }
        h2 { "What it offers" }
        @match found {
            Err(error) => (problem(error)),
            Ok([]) => (parts::empty(
                "file",
                "It offers nothing now",
                "It may share something later.",
                &parts::nothing(),
            )),
            Ok(found) => {
                (search::offers(found)) (pager(pages))
                (parts::command(&format!("netpay browse {}", peer.node)))
            }
        }
        (block(context, peer))
        p { a href="/peers" { "All peers" } }
    };
    context.page("/peers", &format!("{name} – Peers"), &body)
}

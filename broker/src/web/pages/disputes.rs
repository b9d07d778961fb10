//! Disputes: who signed two things of which the rules allow one, who sold junk, and who said falsely that somebody did; with
//! both sides of it beside each other.

mod junk;

use super::chains::claims;
use super::{Context, account_link, chain_link, pages, when};
use crate::admin::view::{DisputeView, PageView, SideView};
use maud::{Markup, html};
use netpay_node::shown;
use netpay_node::ui::parts::{self, Column, Tone, badge, facts, foreign, icon, nothing, pager, table, title};

/// The list.
#[must_use]
pub fn page(context: &Context, found: &PageView<DisputeView>, is_later: bool) -> Markup {
    let columns = [
        Column::name("Accused"),
        Column::text("Of"),
        Column::text("Chain"),
        Column::text("Since"),
        Column::text("State"),
    ];
    let row = |dispute: &DisputeView| {
        vec![
            html! { a href=(format!("/disputes/{}", dispute.id)) { (accused(dispute)) } },
            html! { (what(dispute)) },
            chain_link(&dispute.chain),
            when(&dispute.at),
            state(dispute),
        ]
    };
    let body = html! {
        (title("Disputes", &nothing()))
        p.lead {
            "Whoever opens one stretch of a chain to two vendors, or attests to both, signs its own conviction, and so does a \
             vendor that sells junk in fair mode. It makes up for it, and is banned. A false accusation costs a fee."
        }
        @if found.items.is_empty() {
            (parts::empty("check", "Nobody is convicted",
                "Evidence that peers send, and claims that contradict each other, are listed here.", &nothing()))
        } @else {
            (table("The convicted and the charged, newest first", &columns, &found.items.iter().map(row).collect::<Vec<_>>()))
        }
        (pager(&pages("/disputes", is_later, found.next.as_deref())))
    };
    context.page("/disputes", "Disputes", &body)
}

fn accused(dispute: &DisputeView) -> Markup {
    html! {
        @match (&dispute.name, &dispute.node) {
            (Some(name), _) if !name.is_empty() => (foreign(name)),
            (_, Some(node)) => (parts::id(node)),
            _ if dispute.accused == "vendor" => { "a vendor of chain " (shown::short(&dispute.chain)) }
            _ => { "the buyer of chain " (shown::short(&dispute.chain)) }
        }
    }
}

fn what(dispute: &DisputeView) -> &'static str {
    match &*dispute.accused {
        "buyer" => "promised coins twice",
        "vendor" => "sold junk",
        "accuser" => "accused falsely",
        _ => "attested to both",
    }
}

fn state(dispute: &DisputeView) -> Markup {
    match (&*dispute.accused, &dispute.settled) {
        ("accuser", _) => badge(Tone::Idle, "charged"),
        (_, Some(_)) => badge(Tone::Good, "settled"),
        (_, None) => badge(Tone::Warn, "waits for settlement"),
    }
}

/// One dispute.
#[must_use]
pub fn one(context: &Context, dispute: &DisputeView) -> Markup {
    if let Some(found) = &dispute.junk {
        return junk::page(context, dispute, found);
    }
    let heading =
        if dispute.accused == "buyer" { "Coins promised twice" } else { "Two words of one witness" };
    let body = html! {
        (title(heading, &state(dispute)))
        section.card aria-labelledby="accused" {
            h2 #accused { "The accused" }
            (facts(&[
                ("Who", accused(dispute)),
                ("As", html! { @if dispute.accused == "buyer" { "the chain's buyer" } @else { "a witness of the chain" } }),
                ("Account", html! {
                    @match &dispute.account { Some(account) => (account_link(account)), None => "none of this broker's" }
                }),
                ("Chain", chain_link(&dispute.chain)),
                ("Since", when(&dispute.at)),
                ("Evidence", html! { "record " (shown::grouped(dispute.record)) " of the journal" }),
                ("Made up for", html! { (parts::money(dispute.made_up)) }),
                ("Lost by vendors", html! { (parts::money(dispute.short)) }),
                ("Settled", html! { @match &dispute.settled { Some(at) => (when(at)), None => "not yet" } }),
            ]))
        }
        @if dispute.sides.is_empty() {
            p.quiet { "The claims that contradicted each other are no longer apart in the books." }
        }
        @for (at, one) in dispute.sides.iter().enumerate() { (side(at, one)) }
        p.hint {
            (icon("check")) " The books charge the convicted by themselves when the chain is settled; there is nothing to decide here."
        }
        (kept(dispute))
        p { a href="/disputes" { "All disputes" } }
        (parts::command(&format!("netpay-broker disputes show {}", dispute.id)))
    };
    context.page("/disputes", heading, &body)
}

/// The evidence as a file.
fn kept(dispute: &DisputeView) -> Markup {
    html! {
        @if dispute.evidence.is_some() {
            p { a.button href=(format!("/disputes/{}/evidence", dispute.id)) { (icon("down")) "Save the evidence" } }
        }
    }
}

fn side(at: usize, side: &SideView) -> Markup {
    let id = format!("side-{at}");
    let name = char::from(b'A' + u8::try_from(at % 26).unwrap_or(0));
    html! {
        section.card aria-labelledby=(id) {
            h2 id=(id) { "Side " (name) }
            (facts(&[
                ("Segment", html! { (side.segment) }),
                ("Opened to", html! {
                    @match &side.holder { Some(holder) => (parts::id(holder)), None => "a key that only its vendor knows" }
                }),
                ("Coins", html! { (side.start.saturating_add(1)) " to " (side.end) }),
                ("Closed at", html! { @match side.closed { Some(end) => (end), None => "not in the evidence" } }),
                ("Open", html! { code { (side.open) } }),
            ]))
            (claims(&side.claims))
        }
    }
}

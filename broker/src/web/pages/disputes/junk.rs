//! One dispute about junk: what the deal promised beside what came, the key's place, and who signed what.

use super::{accused, kept, state};
use crate::admin::view::{DisputeView, JunkView, ProofView, SignatureView};
use crate::web::pages::chains::claims;
use crate::web::pages::{Context, account_link, chain_link, when};
use maud::{Markup, html};
use netpay_node::shown;
use netpay_node::ui::parts::{self, Column, Tone, badge, facts, icon, money, table, title};

/// The page.
#[must_use]
pub fn page(context: &Context, dispute: &DisputeView, found: &JunkView) -> Markup {
    let is_vendor = dispute.accused == "vendor";
    let heading = if is_vendor { "Junk sold" } else { "A false accusation" };
    let body = html! {
        (title(heading, &state(dispute)))
        (the_accused(dispute, found, is_vendor))
        @match &found.proof {
            Some(proof) => (sides(proof)),
            None => p.quiet {
                "What was shown is not kept: the accuser had less than the whole fee, and nobody fills the books for less."
            },
        }
        @match &found.claim {
            Some(claim) => section.stack aria-labelledby="claim" {
                h2 #claim { "The claim" }
                (claims(std::slice::from_ref(claim)))
            },
            None => p.quiet { "No claim of this segment was brought." },
        }
        @if let Some(verdict) = &found.verdict {
            section.card aria-labelledby="verdict" {
                h2 #verdict { "The verdict" }
                p.hint { "This broker's signed word. Whoever accused was given the same." }
                p { code { (verdict) } }
            }
        }
        (kept(dispute))
        p.hint { (icon("check")) " " (ending(found, is_vendor)) }
        p { a href="/disputes" { "All disputes" } }
        (parts::command(&format!("netpay-broker disputes show {}", dispute.id)))
    };
    context.page("/disputes", heading, &body)
}

fn ending(found: &JunkView, is_vendor: bool) -> &'static str {
    match (is_vendor, found.paid, &found.claim) {
        (false, ..) => "The fee was charged by the books; there is nothing to decide here.",
        (true, 0, None) => {
            "Whoever claims this segment is paid nothing and frozen; there is nothing to decide here."
        }
        (true, 0, _) => {
            "The void coins go back to the buyer when the chain is settled, and the vendor is frozen; there is nothing to \
             decide here."
        }
        (true, ..) => {
            "The accusation came after the claim was paid: the vendor is frozen, and what was paid stays paid. There is \
             nothing to decide here."
        }
    }
}

fn the_accused(dispute: &DisputeView, found: &JunkView, is_vendor: bool) -> Markup {
    let not_yet = if is_vendor { "not known before it claims" } else { "none of this broker's" };
    let mut rows = vec![
        ("Who", accused(dispute)),
        ("As", html! { @if is_vendor { "the vendor" } @else { "the chain's buyer" } }),
        (
            "Account",
            html! {
                @match &dispute.account { Some(account) => (account_link(account)), None => (not_yet) }
            },
        ),
        ("Chain", chain_link(&dispute.chain)),
        ("Segment", html! { (found.segment) }),
    ];
    if let Some(content) = &found.content {
        rows.push(("Content", html! { code { (content) } }));
    }
    if let Some(holder) = &found.holder {
        rows.push(("Vendor's key", html! { code { (holder) } }));
    }
    if is_vendor {
        rows.push(("Sold to", account_link(&found.accuser)));
        rows.push(("Void", money(found.void.into())));
        rows.push(("Paid before", money(found.paid.into())));
    }
    if let Some(why) = &found.why {
        rows.push(("Why not", html! { (why) }));
    }
    if let Some(fee) = found.fee {
        rows.push(("Fee", money(fee)));
    }
    rows.push(("Since", when(&dispute.at)));
    rows.push(("In the books", html! { "record " (shown::grouped(dispute.record)) " of the journal" }));
    if is_vendor {
        rows.push((
            "Settled",
            html! { @match &dispute.settled { Some(at) => (when(at)), None => "not yet" } },
        ));
    }
    html! {
        section.card aria-labelledby="accused" {
            h2 #accused { @if is_vendor { "The accused" } @else { "The accuser" } }
            (facts(&rows))
        }
    }
}

fn sides(proof: &ProofView) -> Markup {
    let columns =
        [Column::name("What"), Column::text("Side"), Column::text("Key"), Column::text("Signature")];
    let row = |signed: &SignatureView| {
        vec![
            html! { (signed.what) },
            html! { (signed.side) },
            html! { @match &signed.key { Some(key) => (parts::id(key)), None => "nobody's" } },
            holds(signed.holds, "holds", "does not hold"),
        ]
    };
    html! {
        div.pair {
            (promised(proof))
            (came(proof))
        }
        section.stack aria-labelledby="signed" {
            h2 #signed { "Who signed what" }
            (table("Signatures in the proof", &columns, &proof.signed.iter().map(row).collect::<Vec<_>>()))
        }
        p {
            "Judged again now: "
            @match &proof.judged {
                None => (badge(Tone::Bad, "it is junk")),
                Some(why) => { (badge(Tone::Good, "nothing is proven")) " " (why) },
            }
        }
    }
}

/// The vendor's promise, as both signed it.
fn promised(proof: &ProofView) -> Markup {
    let mut rows = Vec::new();
    if let Some(deal) = &proof.deal {
        let last = deal.first.saturating_add(deal.count).saturating_sub(1);
        rows.extend([
            ("Content", html! { code { (deal.content) } }),
            ("Size", html! { (shown::size(deal.size)) }),
            ("Units sold", html! { (deal.first) " to " (last) }),
            (
                "A unit has",
                html! { @match deal.unit_size { Some(size) => (shown::size(size)), None => "no size" } },
            ),
            ("For", html! { @match deal.coins { Some(coins) => (money(coins.into())), None => "no price" } }),
            ("Keys begin at", html! { code { (deal.key_root) } }),
            ("Made", when(&deal.made)),
            ("Deal", html! { code { (deal.deal) } }),
        ]);
    }
    rows.push((
        "Leaf's hash",
        html! { @match &proof.promised { Some(hash) => code { (hash) }, None => "not in the deal" } },
    ));
    html! {
        section.card aria-labelledby="promised" {
            h2 #promised { "What was promised" }
            (facts(&rows))
        }
    }
}

/// What the vendor sent, and the key that opens it.
fn came(proof: &ProofView) -> Markup {
    let unit = proof.unit.map_or_else(|| "no unit".to_owned(), |unit| format!("unit {unit}"));
    let place = html! {
        @match proof.key_coin { Some(coin) => { "coin " (coin) }, None => "no coin of the deal" }
        " " (holds(proof.key_leads_to_root, "leads to the deal's first key", "does not lead to the deal's first key"))
    };
    html! {
        section.card aria-labelledby="came" {
            h2 #came { "What came" }
            (facts(&[
                ("Shown", html! { "leaf " (proof.leaf) " of " (unit) }),
                ("Sealed as", html! { @match &proof.sealed { Some(root) => code { (root) }, None => "nothing" } }),
                ("Key", html! { code { (proof.key) } }),
                ("Its place", place),
                ("Leaf's hash", html! {
                    @match &proof.came { Some(hash) => code { (hash) }, None => "not to be opened" }
                    " "
                    @if proof.came.is_some() {
                        (holds(proof.came == proof.promised, "as promised", "something else"))
                    }
                }),
            ]))
        }
    }
}

fn holds(yes: bool, good: &str, bad: &str) -> Markup {
    if yes { badge(Tone::Good, good) } else { badge(Tone::Bad, bad) }
}

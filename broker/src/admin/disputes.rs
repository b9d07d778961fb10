//! Disputes for people and programs: who signed two things of which the rules allow one, who sold junk, and who said falsely
//! that somebody did.

use super::evidence::Proof;
use super::lists::page;
use super::proof;
use super::view::{DisputeView, JunkView, PageView, RedemptionView, SideView, time};
use crate::ledger::{ChainBook, ClaimKey, ClaimState, Dispute, FalseAccusation, JunkBook, Ledger};
use data_encoding::HEXLOWER;
use netpay_core::coin::segment::{Open, SegmentNo};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::record::chain::{Culprit, Evidence};
use netpay_core::time::Time;

/// Those that became known before one, the newest first.
#[must_use]
pub fn before(ledger: &Ledger, before: Option<&Dispute>, limit: usize) -> PageView<DisputeView> {
    let earlier = ledger.disputes_before(before);
    page(earlier.filter_map(|dispute| Some((name(&dispute), view(ledger, &dispute)?))), limit)
}

/// One dispute, with both sides of it as the proof has them.
#[must_use]
pub fn whole(
    ledger: &Ledger,
    network: &NetworkId,
    dispute: &Dispute,
    found: Option<&Proof>,
) -> Option<DisputeView> {
    let mut view = view(ledger, dispute)?;
    view.evidence = found.map(|proof| HEXLOWER.encode(&proof.bytes()));
    match (dispute, found) {
        (Dispute::Twice(culprit), Some(Proof::Twice(evidence))) => {
            view.sides = sides(ledger, network, ledger.chain(chain_of(culprit)), evidence);
        }
        (_, Some(Proof::Junk(junk))) => {
            let chain = ledger.chain(&view.chain.parse().ok()?)?;
            let shown = proof::view(network, &chain.facts().touchstone.chain_key, junk);
            if let Some(of) = &mut view.junk {
                of.content = shown.deal.as_ref().map(|deal| deal.content.clone());
                of.proof = Some(shown);
            }
        }
        _ => {}
    }
    Some(view)
}

fn view(ledger: &Ledger, dispute: &Dispute) -> Option<DisputeView> {
    match dispute {
        Dispute::Twice(culprit) => twice(ledger, culprit),
        Dispute::Junk(chain, key) => {
            let book = ledger.chain(chain)?;
            Some(junk(ledger, book, key, book.junk_of(key)?))
        }
        Dispute::Falsely(digest) => falsely(ledger, digest, ledger.false_accusation(digest)?),
    }
}

fn twice(ledger: &Ledger, culprit: &Culprit) -> Option<DisputeView> {
    let (chain, conviction) = (ledger.chain(chain_of(culprit)), ledger.conviction(culprit)?);
    let claims = || chain.into_iter().flat_map(|chain| chain.claims().map(|(_, claim)| claim));
    let (accused, account, node) = match culprit {
        Culprit::Buyer(_) => ("buyer", chain.map(|chain| chain.buyer), None),
        Culprit::Witness(node, _) => ("witness", ledger.account_of(node).copied(), Some(node.to_string())),
    };
    Some(DisputeView {
        id: name(&Dispute::Twice(*culprit)),
        accused: accused.to_owned(),
        name: called(ledger, account.as_ref()),
        account: account.map(|account| account.to_string()),
        node,
        chain: chain_of(culprit).to_string(),
        at: time(conviction.at),
        record: conviction.record,
        settled: chain.and_then(|chain| chain.settled).map(time),
        made_up: claims().map(|claim| u64::from(claim.charged.0)).sum(),
        short: claims().map(|claim| u64::from(claim.short().0)).sum(),
        sides: Vec::new(),
        junk: None,
        evidence: None,
    })
}

fn junk(ledger: &Ledger, chain: &ChainBook, key: &ClaimKey, found: &JunkBook) -> DisputeView {
    let (id, claim) = (chain.facts().id, chain.claim(key));
    // Before it claims nobody knows whose account it is.
    let account = claim.map(|claim| claim.account);
    let void = claim.filter(|claim| claim.state == ClaimState::Void).map_or(0, |claim| claim.range.count().0);
    let paid = claim.map_or(0, |claim| if let ClaimState::Paid(count) = claim.state { count.0 } else { 0 });
    DisputeView {
        junk: Some(JunkView {
            segment: key.0.0,
            open: key.1.to_string(),
            holder: Some(found.holder.to_string()),
            accuser: chain.buyer.to_string(),
            content: Some(found.content.to_string()),
            claim: claim.map(|claim| RedemptionView::of(ledger, &id, key.0, claim)),
            void,
            paid,
            why: None,
            fee: None,
            verdict: None,
            proof: None,
        }),
        ..of_deal(
            ledger,
            &Dispute::Junk(id, *key),
            "vendor",
            account.as_ref(),
            chain,
            (found.at, found.record),
        )
    }
}

fn falsely(ledger: &Ledger, digest: &ObjectHash, found: &FalseAccusation) -> Option<DisputeView> {
    let FalseAccusation { account, chain: id, claim: key, .. } = found;
    let chain = ledger.chain(id)?;
    Some(DisputeView {
        junk: Some(JunkView {
            segment: key.0.0,
            open: key.1.to_string(),
            holder: None,
            accuser: account.to_string(),
            content: None,
            claim: chain.claim(key).map(|claim| RedemptionView::of(ledger, id, key.0, claim)),
            void: 0,
            paid: 0,
            why: Some(found.why.to_string()),
            fee: Some(found.fee.0),
            verdict: None,
            proof: None,
        }),
        ..of_deal(
            ledger,
            &Dispute::Falsely(*digest),
            "accuser",
            Some(account),
            chain,
            (found.at, found.record),
        )
    })
}

/// What there is to say of any dispute about a deal.
fn of_deal(
    ledger: &Ledger,
    dispute: &Dispute,
    accused: &str,
    account: Option<&PublicKey>,
    chain: &ChainBook,
    (at, record): (Time, u64),
) -> DisputeView {
    DisputeView {
        id: name(dispute),
        accused: accused.to_owned(),
        name: called(ledger, account),
        account: account.map(ToString::to_string),
        node: None,
        chain: chain.facts().id.to_string(),
        at: time(at),
        record,
        settled: chain.settled.map(time),
        made_up: 0,
        short: 0,
        sides: Vec::new(),
        junk: None,
        evidence: None,
    }
}

fn called(ledger: &Ledger, account: Option<&PublicKey>) -> Option<String> {
    ledger.customer(account?).map(|customer| customer.name.to_string())
}

fn sides(
    ledger: &Ledger,
    network: &NetworkId,
    chain: Option<&ChainBook>,
    evidence: &Evidence,
) -> Vec<SideView> {
    match evidence {
        Evidence::TwoOpens { one, other, .. } => {
            [one, other].into_iter().filter_map(|open| side(ledger, chain, network, open, None)).collect()
        }
        Evidence::TwoAcks { one, other, .. } => [one, other]
            .into_iter()
            .filter_map(|(link, _)| {
                let close = link.close.as_ref().and_then(|close| close.claim().ok());
                side(ledger, chain, network, &link.open, close.map(|close| close.end.0))
            })
            .collect(),
    }
}

fn side(
    ledger: &Ledger,
    chain: Option<&ChainBook>,
    network: &NetworkId,
    open: &Unverified<Open>,
    closed: Option<u32>,
) -> Option<SideView> {
    let (hash, body) = (open.hash(network), open.claim().ok()?);
    let claims = chain.and_then(|chain| {
        let claim = chain.claim(&(body.j, hash))?;
        Some(RedemptionView::of(ledger, &chain.facts().id, body.j, claim))
    });
    Some(SideView {
        open: hash.to_string(),
        segment: body.j.0,
        holder: Some(body.holder.to_string()),
        start: body.start.0,
        end: body.cap.0,
        closed,
        claims: claims.into_iter().collect(),
    })
}

const fn chain_of(culprit: &Culprit) -> &ChainId {
    match culprit {
        Culprit::Buyer(chain) | Culprit::Witness(_, chain) => chain,
    }
}

fn name(dispute: &Dispute) -> String {
    match dispute {
        Dispute::Twice(Culprit::Buyer(chain)) => format!("buyer-{chain}"),
        Dispute::Twice(Culprit::Witness(node, chain)) => format!("witness-{node}-{chain}"),
        Dispute::Junk(chain, (j, open)) => format!("vendor-{chain}-{}-{open}", j.0),
        Dispute::Falsely(digest) => format!("accuser-{digest}"),
    }
}

/// A dispute from its name.
#[must_use]
pub fn named(text: &str) -> Option<Dispute> {
    match text.split('-').collect::<Vec<_>>()[..] {
        ["buyer", chain] => Some(Dispute::Twice(Culprit::Buyer(chain.parse().ok()?))),
        ["witness", node, chain] => {
            Some(Dispute::Twice(Culprit::Witness(node.parse().ok()?, chain.parse().ok()?)))
        }
        ["vendor", chain, j, open] => {
            Some(Dispute::Junk(chain.parse().ok()?, (SegmentNo(j.parse().ok()?), open.parse().ok()?)))
        }
        ["accuser", digest] => Some(Dispute::Falsely(digest.parse().ok()?)),
        _ => None,
    }
}

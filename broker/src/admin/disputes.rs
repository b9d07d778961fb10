//! Who was found out or shut out, and what the books have on it: both sides of a double spend or a double ack as they
//! were signed, and accounts that the operator or a settlement froze.

use super::view::{PageView, time};
use super::{Failure, State};
use crate::errors;
use crate::ledger::{Conviction, Event, Ledger, Record};
use crate::store::Journal;
use axum::extract::{Path, Query, State as Extract};
use axum::routing::get;
use axum::{Json, Router};
use netpay_core::codec::{self, Wire};
use netpay_core::coin::segment::{Close, Open};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::record::chain::{Culprit, Evidence, Link};
use netpay_core::time::Time;
use netpay_core::wire::bank::Claim;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Disputes in one page of the list.
const PAGE: usize = 200;

/// Somebody who was found out or shut out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeView {
    /// Its name: the number of the record that convicts, or the account that is frozen.
    pub id: String,
    /// `double spend`, `double ack` or `frozen`.
    pub kind: String,
    /// When.
    pub at: String,
    /// The account that is responsible, if the books know it.
    pub account: Option<String>,
    /// The witness's node, where it is about one.
    pub node: Option<String>,
    /// The chain, where it is about one.
    pub chain: Option<String>,
    /// When that chain was settled.
    pub settled: Option<String>,
    /// Coins of that chain that were promised twice and made up for by the convicted.
    pub made_up: u64,
    /// Coins of it that were promised twice and that nobody made up for.
    pub short: u64,
    /// Why, where somebody said so.
    pub why: Option<String>,
    /// What was signed; only where one dispute is shown.
    pub signed: Vec<SignedView>,
    /// All of the evidence in hexadecimal digits, as `netpay evidence check` takes it; only where one is shown.
    pub evidence: Option<String>,
}

/// One thing that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedView {
    /// `Open` or `Close`.
    pub what: String,
    /// Who signed it: `buyer`, `vendor`, or both of `vendor` and the convicted witness.
    pub by: String,
    /// The segment.
    pub segment: u32,
    /// The coins that it is about: above this …
    pub start: Option<u32>,
    /// … and up to this.
    pub end: u32,
    /// The vendor's key for this chain.
    pub holder: Option<String>,
    /// The record of the journal that it is in.
    pub record: u64,
    /// It, with its signature, in hexadecimal digits.
    pub data: String,
}

/// The routes about disputes.
pub(super) fn router() -> Router<Arc<State>> {
    Router::new().route("/disputes", get(list)).route("/disputes/{id}", get(show))
}

#[derive(Deserialize)]
struct From {
    after: Option<String>,
}

async fn list(
    Extract(state): Extract<Arc<State>>,
    Query(from): Query<From>,
) -> Result<Json<PageView<DisputeView>>, Failure> {
    let views = state.bank.look(all).await?;
    let later =
        views.into_iter().skip_while(|view| from.after.as_ref().is_some_and(|after| view.id != *after));
    let items: Vec<DisputeView> = later.skip(usize::from(from.after.is_some())).take(PAGE).collect();
    let next = items.last().filter(|_| items.len() == PAGE).map(|view| view.id.clone());
    Ok(Json(PageView { items, next }))
}

async fn show(
    Extract(state): Extract<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<DisputeView>, Failure> {
    let wanted = id.clone();
    let found = state.bank.look(move |ledger| find(ledger, &wanted)).await?;
    let (mut view, sources) = found.ok_or_else(|| errors::not_found("dispute", &id))?;
    let journal = state.bank.journal().clone();
    let reading = tokio::task::spawn_blocking(move || sources.read(&journal, &mut view).map(|()| view));
    Ok(Json(reading.await.map_err(errors::books)?.map_err(errors::books)?))
}

/// All disputes, the newest first.
fn all(ledger: &Ledger) -> Vec<DisputeView> {
    let convicted =
        ledger.convicted().map(|(culprit, conviction)| (conviction.at, of(ledger, culprit, conviction)));
    let frozen = ledger.customers().filter_map(|(account, customer)| {
        let (at, why) = customer.frozen.as_ref()?;
        Some((*at, frozen(account, *at, why)))
    });
    let mut views: Vec<(Time, DisputeView)> = convicted.chain(frozen).collect();
    views.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
    views.into_iter().map(|(_, view)| view).collect()
}

fn find(ledger: &Ledger, id: &str) -> Option<(DisputeView, Sources)> {
    let named = |conviction: &Conviction, culprit: &Culprit| id_of(conviction, culprit) == id;
    if let Some((culprit, conviction)) =
        ledger.convicted().find(|(culprit, conviction)| named(conviction, culprit))
    {
        return Some((of(ledger, culprit, conviction), Sources::of(ledger, culprit, conviction)));
    }
    let account: PublicKey = id.parse().ok()?;
    let (at, why) = ledger.customer(&account)?.frozen.as_ref()?;
    Some((frozen(&account, *at, why), Sources::default()))
}

/// One redemption can show two Opens of several chains: then the chain tells them apart.
fn id_of(conviction: &Conviction, culprit: &Culprit) -> String {
    match culprit {
        Culprit::Buyer(chain) if !conviction.noted => format!("{}-{chain:.8}", conviction.record),
        _ => conviction.record.to_string(),
    }
}

fn of(ledger: &Ledger, culprit: &Culprit, conviction: &Conviction) -> DisputeView {
    let (chain, node) = match culprit {
        Culprit::Buyer(chain) => (chain, None),
        Culprit::Witness(node, chain) => (chain, Some(*node)),
    };
    let book = ledger.chain(chain);
    let account = match node {
        None => book.map(|book| book.buyer),
        Some(node) => ledger.nodes().find(|(known, _)| **known == node).map(|(_, account)| *account),
    };
    let claims = || book.into_iter().flat_map(|book| book.claims().map(|(_, claim)| claim));
    DisputeView {
        id: id_of(conviction, culprit),
        kind: if node.is_some() { "double ack" } else { "double spend" }.to_owned(),
        at: time(conviction.at),
        account: account.map(|account| account.to_string()),
        node: node.map(|node| node.to_string()),
        chain: Some(chain.to_string()),
        settled: book.and_then(|book| book.settled).map(time),
        made_up: claims().map(|claim| u64::from(claim.charged.0)).sum(),
        short: claims().map(|claim| u64::from(claim.short().0)).sum(),
        why: None,
        signed: Vec::new(),
        evidence: None,
    }
}

fn frozen(account: &PublicKey, at: Time, why: &str) -> DisputeView {
    DisputeView {
        id: account.to_string(),
        kind: "frozen".to_owned(),
        at: time(at),
        account: Some(account.to_string()),
        node: None,
        chain: None,
        settled: None,
        made_up: 0,
        short: 0,
        why: Some(why.to_owned()),
        signed: Vec::new(),
        evidence: None,
    }
}

/// Where the evidence is.
#[derive(Default)]
struct Sources {
    /// The record that notes it whole.
    noted: Option<u64>,
    /// Or the records that the claims came in which show it, and the chain.
    claims: Vec<u64>,
    chain: Option<(ChainId, Unverified<Touchstone>)>,
}

impl Sources {
    fn of(ledger: &Ledger, culprit: &Culprit, conviction: &Conviction) -> Self {
        if conviction.noted {
            return Self { noted: Some(conviction.record), ..Self::default() };
        }
        let (Culprit::Buyer(chain) | Culprit::Witness(_, chain)) = culprit;
        let book = ledger.chain(chain);
        Self {
            noted: None,
            claims: book.map(|book| book.opened_twice()).unwrap_or_default(),
            chain: book.map(|book| (*chain, book.facts().wire().clone())),
        }
    }

    /// Adds what was signed to a view.
    fn read(&self, journal: &Journal, view: &mut DisputeView) -> Result<(), crate::store::JournalError> {
        if let Some(number) = self.noted
            && let Some(Record { event: Event::EvidenceNoted { evidence, .. }, .. }) = journal.read(number)?
        {
            view.signed = signed(&evidence, number);
            view.evidence = Some(hex(&codec::encode(&evidence)));
        }
        let Some((chain, touchstone)) = &self.chain else { return Ok(()) };
        let mut found: Vec<(u64, Claim)> = Vec::new();
        for number in &self.claims {
            let Some(Record { event: Event::Redeemed { claims, .. }, .. }) = journal.read(*number)? else {
                continue;
            };
            let of_chain = claims.into_vec().into_iter().filter(|claim| claim.chain == *chain);
            found.extend(of_chain.map(|claim| (*number, claim.proof)));
        }
        view.evidence = two_opens(touchstone, &found).map(|evidence| hex(&codec::encode(&evidence)));
        for (number, proof) in found {
            let link = Link { open: proof.open, close: Some(proof.close) };
            let new = of_link(&link, number, "buyer", "vendor");
            let known = |view: &DisputeView, data: &str| view.signed.iter().any(|other| other.data == data);
            let new = new.into_iter().filter(|signed| !known(view, &signed.data)).collect::<Vec<_>>();
            view.signed.extend(new);
        }
        Ok(())
    }
}

/// What the claims prove together.
fn two_opens(touchstone: &Unverified<Touchstone>, claims: &[(u64, Claim)]) -> Option<Evidence> {
    let number = |open: &Unverified<Open>| open.claim().ok().map(|open| open.j);
    let mut opens = claims.iter().map(|(_, claim)| &claim.open);
    while let Some(one) = opens.next() {
        let other = opens.clone().find(|other| *other != one && number(other) == number(one));
        if let Some(other) = other {
            let (one, other) = (one.clone(), other.clone());
            return Some(Evidence::TwoOpens { touchstone: touchstone.clone(), one, other });
        }
    }
    None
}

fn signed(evidence: &Evidence, record: u64) -> Vec<SignedView> {
    match evidence {
        Evidence::TwoOpens { one, other, .. } => {
            [one, other].into_iter().filter_map(|open| of_open(open, record, "buyer")).collect()
        }
        Evidence::TwoAcks { one, other, .. } => [one, other]
            .into_iter()
            .flat_map(|(link, _)| {
                of_link(link, record, "buyer, acked by the witness", "vendor, acked by the witness")
            })
            .collect(),
    }
}

fn of_link(link: &Link, record: u64, opener: &str, closer: &str) -> Vec<SignedView> {
    let close = link.close.as_ref().and_then(|close| of_close(close, record, closer));
    of_open(&link.open, record, opener).into_iter().chain(close).collect()
}

fn of_open(open: &Unverified<Open>, record: u64, by: &str) -> Option<SignedView> {
    let claim = open.claim().ok()?;
    Some(SignedView {
        what: "Open".to_owned(),
        by: by.to_owned(),
        segment: claim.j.0,
        start: Some(claim.start.0),
        end: claim.cap.0,
        holder: Some(claim.holder.to_string()),
        record,
        data: data(open),
    })
}

fn of_close(close: &Unverified<Close>, record: u64, by: &str) -> Option<SignedView> {
    let claim = close.claim().ok()?;
    Some(SignedView {
        what: "Close".to_owned(),
        by: by.to_owned(),
        segment: claim.j.0,
        start: None,
        end: claim.end.0,
        holder: None,
        record,
        data: data(close),
    })
}

fn data<T: Wire>(signed: &T) -> String {
    hex(&codec::encode(signed))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

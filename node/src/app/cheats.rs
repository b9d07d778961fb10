//! Those who were caught: proofs are kept and reported, and a vendor that sees too many of them risks nothing for a while.

use super::view::{EvidenceView, Page, Part};
use super::{Node, Trouble, lock};
use crate::store::{Batch, Table};
use netpay_core::amount::Coins;
use netpay_core::codec;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::record::chain::{Culprit, Evidence};
use netpay_core::session::vendor::Policy;
use netpay_core::wire::bank::BankRequest;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What was seen of evidence, kept under its hash.
const EVIDENCE: Table = Table::new("evidence");
/// Those who were reported, remembered at most; once there are more the broker hears again of some.
const MAX_REPORTED: usize = 10_000;
/// After so many conflicts …
const TOO_MANY: usize = 3;
/// … within such a time a vendor certifies first (PROTOCOL section 5 of the design).
const WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Whom evidence is against: the buyer of a chain, or a seat of its committee.
type Accused = (ChainId, Option<u8>);

/// What this node knows of cheats since it started.
#[derive(Default)]
pub struct Cheats {
    /// Whom the broker has evidence against from here.
    reported: Mutex<BTreeSet<Accused>>,
    /// The last who were caught here, the newest last.
    caught: Mutex<VecDeque<(Accused, Instant)>>,
}

impl Cheats {
    /// What the vendor risks now: nothing without a certificate, if too many were caught lately.
    pub fn policy(&self, usual: Policy) -> Policy {
        let caught = lock(&self.caught);
        let recent = caught.iter().filter(|(_, at)| at.elapsed() < WITHIN).count();
        if recent < TOO_MANY { usual } else { Policy { per_chain: Coins::ZERO, in_all: Coins::ZERO } }
    }

    fn note(&self, accused: Accused) {
        let mut caught = lock(&self.caught);
        if caught.iter().any(|(known, _)| *known == accused) {
            return;
        }
        if caught.len() >= TOO_MANY {
            caught.pop_front();
        }
        caught.push_back((accused, Instant::now()));
    }

    fn is_reported(&self, accused: &Accused) -> bool {
        lock(&self.reported).contains(accused)
    }

    fn reported(&self, accused: Accused) {
        let mut reported = lock(&self.reported);
        if reported.len() >= MAX_REPORTED {
            reported.clear();
        }
        reported.insert(accused);
    }
}

impl Node {
    /// Keeps a proof against somebody, and reports it to the broker: one of each is enough.
    pub(super) fn report(&self, evidence: &Evidence) {
        let accused = accused(evidence, &self.network());
        self.0.cheats.note(accused);
        if self.0.cheats.is_reported(&accused) {
            return;
        }
        let (node, evidence) = (self.clone(), evidence.clone());
        tokio::spawn(async move {
            let bytes = codec::encode(&evidence);
            let mut batch = Batch::new();
            batch.put(EVIDENCE, blake3::hash(&bytes).as_bytes(), &bytes);
            if let Err(error) = node.db().commit(batch).await {
                tracing::error!(%error, "evidence was not kept");
            }
            match node.bank(&BankRequest::Evidence(evidence)).await {
                Ok(_) => node.0.cheats.reported(accused),
                Err(trouble) => tracing::warn!(%trouble, "the broker does not have the evidence yet"),
            }
        });
    }
}

impl Node {
    /// A part of the proofs that were seen, in the order of their ids.
    ///
    /// # Errors
    /// If the part is none of this list, or the store fails.
    pub fn evidence_list(&self, part: &Part) -> Result<Page<EvidenceView>, Trouble> {
        let (after, limit) = (part.after(|id| proof_id(id).ok())?, part.limit()?);
        let found = self.db().scan(EVIDENCE, &[], after.as_deref(), limit + 1)?;
        let found = found.iter().map(|(key, proof)| self.evidence_view(key, proof));
        Ok(Page::of(found, limit, |view| view.id.clone(), |view| view))
    }

    /// One proof, with its bytes.
    ///
    /// # Errors
    /// If there is none of this id, or the store fails.
    pub fn evidence(&self, id: &str) -> Result<EvidenceView, Trouble> {
        let key = proof_id(id)?;
        let none = || Trouble::NotFound { what: "proof", id: id.to_owned() };
        let proof = self.db().get(EVIDENCE, &key)?.ok_or_else(none)?;
        let bytes = Some(data_encoding::HEXLOWER.encode(&proof));
        Ok(EvidenceView { proof: bytes, ..self.evidence_view(&key, &proof) })
    }

    fn evidence_view(&self, key: &[u8], proof: &[u8]) -> EvidenceView {
        let culprit = codec::decode::<Evidence>(proof).ok();
        let culprit = culprit.and_then(|proof| proof.convicts(&self.network(), &self.broker_key()));
        EvidenceView { id: data_encoding::HEXLOWER.encode(key), ..EvidenceView::of(culprit) }
    }
}

impl EvidenceView {
    /// What is to be said of a proof that convicts this one.
    #[must_use]
    pub fn of(culprit: Option<Culprit>) -> Self {
        let (convicts, node, chain) = match culprit {
            Some(Culprit::Buyer(chain)) => ("buyer", None, Some(chain)),
            Some(Culprit::Witness(node, chain)) => ("witness", Some(node), Some(chain)),
            None => ("nobody", None, None),
        };
        Self {
            convicts: convicts.to_owned(),
            node: node.map(|node| node.to_string()),
            chain: chain.map(|chain| chain.to_string()),
            ..Self::default()
        }
    }
}

fn proof_id(id: &str) -> Result<Vec<u8>, Trouble> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(id.as_bytes());
    bytes.map_err(|error| Trouble::bad("id", id, error))
}

fn accused(evidence: &Evidence, network: &NetworkId) -> Accused {
    match evidence {
        Evidence::TwoOpens { touchstone, .. } => (ChainId::of(touchstone.hash(network)), None),
        Evidence::TwoAcks { touchstone, seat, .. } => (ChainId::of(touchstone.hash(network)), Some(*seat)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_three_cheats_nothing_is_risked_and_the_same_one_counts_once() {
        let cheats = Cheats::default();
        let usual = Policy::default();
        for n in [1, 1, 2, 2, 1] {
            cheats.note((ChainId([n; 32]), None));
            assert_eq!(cheats.policy(usual), usual, "{n}");
        }
        cheats.note((ChainId([3; 32]), None));
        assert_eq!(cheats.policy(usual).per_chain, Coins::ZERO);
    }
}

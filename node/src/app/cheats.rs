//! Those who were caught: proofs are kept and reported, and a vendor that sees too many of them risks nothing for a while.

use super::{Node, lock};
use crate::store::{Batch, Table};
use netpay_core::amount::Coins;
use netpay_core::codec;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::record::chain::Evidence;
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

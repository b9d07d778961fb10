//! Disputes: everything that somebody was convicted of, or said falsely of another, in the order in which it became known.

use super::chain::{ClaimKey, JunkBook};
use super::{Conviction, Ledger};
use netpay_core::amount::Coins;
use netpay_core::codec::Text;
use netpay_core::fair::judge::Verdict;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::PublicKey;
use netpay_core::record::chain::Culprit;
use netpay_core::time::Time;
use std::collections::btree_map::Entry;
use std::ops::Bound;

/// What a dispute is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dispute {
    /// Somebody signed two things of which the rules allow one.
    Twice(Culprit),
    /// A vendor sold junk in a segment of this chain.
    Junk(ChainId, ClaimKey),
    /// What was shown as junk is none; its digest.
    Falsely(ObjectHash),
}

/// An accusation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FalseAccusation {
    /// Who said so: whoever bought the chain.
    pub account: PublicKey,
    /// The chain that paid.
    pub chain: ChainId,
    /// Segment and Open.
    pub claim: ClaimKey,
    /// Why it does not hold.
    pub why: Text<80>,
    /// What it cost.
    pub fee: Coins,
    /// When it came.
    pub at: Time,
    /// The journal record it came in.
    pub record: u64,
    /// Whether that has what was shown: whoever pays less than the whole fee does not fill the journal.
    pub is_kept: bool,
}

impl Ledger {
    /// The disputes that became known before one, or all of them; the newest first.
    pub fn disputes_before(&self, before: Option<&Dispute>) -> impl Iterator<Item = Dispute> {
        let end = match before {
            None => Bound::Unbounded,
            // Behind one that is not there is nothing.
            Some(dispute) => Bound::Excluded((self.dispute_record(dispute).unwrap_or(0), *dispute)),
        };
        self.disputes.range((Bound::Unbounded, end)).rev().map(|(_, dispute)| *dispute)
    }

    /// The journal record that brought a dispute; `None` if there is no such.
    #[must_use]
    pub fn dispute_record(&self, dispute: &Dispute) -> Option<u64> {
        match dispute {
            Dispute::Twice(culprit) => self.conviction(culprit).map(|found| found.record),
            Dispute::Junk(chain, key) => self.chain(chain)?.junk_of(key).map(|found| found.record),
            Dispute::Falsely(digest) => self.false_accusation(digest).map(|found| found.record),
        }
    }

    /// What the bank says of the vendor that sold junk in a segment.
    #[must_use]
    pub fn verdict(&self, chain: ChainId, key: &ClaimKey) -> Option<Verdict> {
        let JunkBook { holder, at, .. } = *self.chain(&chain)?.junk_of(key)?;
        Some(Verdict { chain, j: key.0, open: key.1, holder, at })
    }

    /// An accusation that did not hold, by the digest of what was shown.
    #[must_use]
    pub fn false_accusation(&self, digest: &ObjectHash) -> Option<&FalseAccusation> {
        self.accused_falsely.get(digest)
    }

    /// Notes evidence against somebody against whom there was none.
    pub(super) fn convict(&mut self, culprit: Culprit, conviction: Conviction) {
        if let Entry::Vacant(place) = self.convicted.entry(culprit) {
            place.insert(conviction);
            self.disputes.insert((conviction.record, Dispute::Twice(culprit)));
        }
    }
}

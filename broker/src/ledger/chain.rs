//! What the bank keeps of a chain: the promise as it was signed, what was paid of it, and the claims on it.

use super::intervals::{Intervals, Range};
use netpay_core::amount::{Coins, Count, Index};
use netpay_core::codec::{Bytes, CodecError};
use netpay_core::coin::chain::Coin;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Outcome, SEALED_SEED};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A chain as it was promised.
#[derive(Debug)]
pub struct Facts {
    /// Its id.
    pub id: ChainId,
    /// What the touchstone says.
    pub touchstone: Touchstone,
    wire: Unverified<Touchstone>,
    signed: OnceLock<Option<Signed<Touchstone>>>,
}

impl Facts {
    /// The facts of a touchstone that this bank signed; it is not verified here, as the journal is checksummed.
    ///
    /// # Errors
    /// If the body is no touchstone.
    pub fn new(wire: Unverified<Touchstone>, network: &NetworkId) -> Result<Self, CodecError> {
        let id = ChainId::of(wire.hash(network));
        Ok(Self { id, touchstone: wire.claim()?, wire, signed: OnceLock::new() })
    }

    /// The facts of a touchstone that is believed already.
    #[must_use]
    pub fn of(signed: Signed<Touchstone>) -> Self {
        let (id, touchstone, wire) = (touchstone::chain_id(&signed), signed.value().clone(), signed.wire());
        Self { id, touchstone, wire, signed: OnceLock::from(Some(signed)) }
    }

    /// The touchstone as it travels.
    #[must_use]
    pub const fn wire(&self) -> &Unverified<Touchstone> {
        &self.wire
    }

    /// The touchstone believed, as certificates ask for it: verified when it is first needed, and then remembered.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed<Touchstone>> {
        let verify =
            || touchstone::verify(self.wire.clone(), &self.touchstone.network, &self.touchstone.broker).ok();
        self.signed.get_or_init(verify).as_ref()
    }
}

/// What is kept of a chain.
#[derive(Clone, Debug)]
pub struct ChainBook {
    pub(super) facts: Arc<Facts>,
    /// Who bought it.
    pub buyer: PublicKey,
    /// The hash of the request that bought it.
    pub request: ObjectHash,
    /// The seed, sealed to the buyer.
    pub sealed: Bytes<SEALED_SEED>,
    /// The highest coin that a claim has proven.
    pub anchor: (Index, Coin),
    /// The coins paid, each once.
    pub paid: Intervals,
    pub(super) claims: BTreeMap<SegmentNo, ClaimBook>,
    /// Coins that went back to the buyer.
    pub refunded: Count,
    /// Whether the buyer gave it up.
    pub retired: bool,
    /// When it was settled.
    pub settled: Option<Time>,
}

impl ChainBook {
    /// The chain as it was promised.
    #[must_use]
    pub const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// The claims, by segment.
    pub fn claims(&self) -> impl Iterator<Item = (&SegmentNo, &ClaimBook)> {
        self.claims.iter()
    }

    /// Coins neither paid nor refunded.
    #[must_use]
    pub fn outstanding(&self) -> Count {
        Count(self.facts.touchstone.n.0.saturating_sub(self.paid.total().0).saturating_sub(self.refunded.0))
    }
}

/// One segment's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimBook {
    /// Who is paid.
    pub account: PublicKey,
    /// Hash of the Open.
    pub open: ObjectHash,
    /// Hash of the Close.
    pub close: ObjectHash,
    /// The coins claimed.
    pub range: Range,
    /// The journal record it came in: the order of arrival, and where its proof is kept.
    pub arrived: u64,
    /// What became of it.
    pub state: ClaimState,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// Paid, finally: so many coins.
    Paid(Count),
    /// Uncertified: waits for settlement.
    Pending,
}

impl ClaimBook {
    /// Whether nothing can change it any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.state, ClaimState::Paid(_))
    }

    pub(super) fn outcome(&self, until: Time) -> Outcome {
        match self.state {
            ClaimState::Paid(count) => Outcome::Paid(count.into()),
            ClaimState::Pending => Outcome::Pending { coins: Coins::from(self.range.count()), until },
        }
    }
}

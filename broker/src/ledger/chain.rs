//! What the bank keeps of a chain: the promise as it was signed, what was paid of it, and the claims on it.

use super::command::Standing;
use super::intervals::{Intervals, Range};
use netpay_core::amount::{Coins, Count, Index};
use netpay_core::codec::{Bytes, CodecError};
use netpay_core::coin::chain::Coin;
use netpay_core::coin::key::Key;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::id::{ChainId, ContentRoot, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Outcome, SEALED_SEED, ShownKey};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Of every so many coins that a walk passes one is remembered, so that no later walk is longer.
pub const STATION: u32 = 256;

/// A chain as it was promised.
#[derive(Debug)]
pub struct Facts {
    /// Its id.
    pub id: ChainId,
    /// What the touchstone says.
    pub touchstone: Touchstone,
    wire: Unverified<Touchstone>,
    signed: OnceLock<Option<Signed<Touchstone>>>,
    proven: Mutex<Proven>,
}

/// Coins that were seen to walk down to the root. A memory and nothing else: it is empty after every start.
#[derive(Debug, Default)]
struct Proven {
    /// The highest: most claims come in their order, and walk only to the one before.
    highest: Option<(Index, Coin)>,
    /// Those at the multiples of [`STATION`], for claims that come out of order.
    stations: BTreeMap<Index, Coin>,
}

impl Facts {
    /// The facts of a touchstone that this bank signed; it is not verified here, as the journal is checksummed.
    ///
    /// # Errors
    /// If the body is no touchstone.
    pub fn new(wire: Unverified<Touchstone>, network: &NetworkId) -> Result<Self, CodecError> {
        let id = ChainId::of(wire.hash(network));
        Ok(Self { id, touchstone: wire.claim()?, wire, signed: OnceLock::new(), proven: Mutex::default() })
    }

    /// The facts of a touchstone that is believed already.
    #[must_use]
    pub fn of(signed: Signed<Touchstone>) -> Self {
        let (id, touchstone, wire) = (touchstone::chain_id(&signed), signed.value().clone(), signed.wire());
        Self { id, touchstone, wire, signed: OnceLock::from(Some(signed)), proven: Mutex::default() }
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

    /// Whether the coin at `end` walks down to the root: over the nearest one below that is known to, be it `anchor` or one
    /// that was seen here before. A coin that passes beside it still counts if it meets the root.
    #[must_use]
    pub fn is_coin(&self, coin: Coin, end: Index, anchor: (Index, Coin)) -> bool {
        let (known, known_coin) = self.known_below(end, anchor);
        let (mut at, mut passed) = (coin, Vec::new());
        for index in (known.0 + 1..=end.0).rev() {
            if index % STATION == 0 {
                passed.push((Index(index), at));
            }
            at = at.below();
        }
        if at != known_coin {
            return at.walk_down(known.0) == self.touchstone.root;
        }
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.stations.extend(passed);
        if proven.highest.is_none_or(|(highest, _)| highest < end) {
            proven.highest = Some((end, coin));
        }
        true
    }

    fn known_below(&self, end: Index, anchor: (Index, Coin)) -> (Index, Coin) {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let station = proven.stations.range(..=end).next_back().map(|(index, coin)| (*index, *coin));
        let others = [Some(anchor), proven.highest].into_iter().flatten().filter(|(index, _)| *index <= end);
        others.chain(station).max_by_key(|(index, _)| *index).unwrap_or((Index::ZERO, self.touchstone.root))
    }
}

/// One Open is claimed once. Of a segment that a dishonest buyer opened twice there are two claims.
pub type ClaimKey = (SegmentNo, ObjectHash);

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
    pub(super) claims: BTreeMap<ClaimKey, ClaimBook>,
    /// Those of fair mode that wait, by the time until which they can be disputed.
    pub(super) disputable: BTreeSet<(Time, ClaimKey)>,
    /// Segments whose vendor was convicted of having sold junk in them.
    pub(super) junk: BTreeMap<ClaimKey, JunkBook>,
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
        self.claims.iter().map(|((j, _), claim)| (j, claim))
    }

    /// The keys shown with claims of fair mode, from segment `from` on.
    pub fn keys(&self, from: SegmentNo) -> impl Iterator<Item = ShownKey> {
        let claims = self.claims.range((from, ObjectHash([0; 32]))..);
        claims.filter_map(|((j, _), claim)| {
            Some(ShownKey { j: *j, end: claim.range.end, key: claim.fair?.key })
        })
    }

    /// The conviction of the vendor that sold junk in a segment.
    #[must_use]
    pub fn junk_of(&self, key: &ClaimKey) -> Option<&JunkBook> {
        self.junk.get(key)
    }

    /// The claim of an Open.
    #[must_use]
    pub fn claim(&self, key: &ClaimKey) -> Option<&ClaimBook> {
        self.claims.get(key)
    }

    /// When the last claim of fair mode that waits may be paid.
    pub(super) fn held_until(&self) -> Option<Time> {
        self.disputable.last().map(|(until, _)| *until)
    }

    /// Whether the claims show two Opens of one segment: both are the chain key's word, which convicts the buyer.
    pub(super) fn is_opened_twice(&self, j: SegmentNo) -> bool {
        self.claims.range((j, ObjectHash([0; 32]))..=(j, ObjectHash([0xff; 32]))).nth(1).is_some()
    }

    /// The journal records that claims came in which show two Opens of one segment.
    #[must_use]
    pub fn opened_twice(&self) -> Vec<u64> {
        let twice = self.claims.iter().filter(|((j, _), _)| self.is_opened_twice(*j));
        let mut records: Vec<u64> = twice.map(|(_, claim)| claim.arrived).collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Coins neither paid nor refunded.
    #[must_use]
    pub fn outstanding(&self) -> Count {
        Count(self.facts.touchstone.n.0.saturating_sub(self.paid.total().0).saturating_sub(self.refunded.0))
    }
}

/// A vendor's conviction of having sold junk in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JunkBook {
    /// Its holder key.
    pub holder: PublicKey,
    /// What it sold, says its deal.
    pub content: ContentRoot,
    /// When it was judged.
    pub at: Time,
    /// The journal record that has the proof.
    pub record: u64,
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
    /// How it stands with the chain's committee.
    pub standing: Standing,
    /// The journal record it came in first: the order of arrival, and where its proof is kept.
    pub arrived: u64,
    /// What a convicted buyer paid for coins of it that another claim was paid.
    pub charged: Count,
    /// Of a claim of fair mode, its key and when it can be paid.
    pub fair: Option<Fair>,
    /// What became of it.
    pub state: ClaimState,
}

/// What a claim of fair mode has beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fair {
    /// `K_{e−s}`, which the buyer may ask for.
    pub key: Key,
    /// Until then it can be disputed, and is not paid.
    pub until: Time,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// Paid, finally: so many coins.
    Paid(Count),
    /// Waits: uncertified for settlement, of fair mode until it can be disputed no more.
    Pending,
    /// Its vendor was convicted of having sold junk: nothing of it is paid.
    Void,
}

impl ClaimBook {
    /// Whether nothing can change it any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.state, ClaimState::Paid(_) | ClaimState::Void)
    }

    /// Coins claimed that others were paid, and nobody made up for.
    #[must_use]
    pub const fn short(&self) -> Count {
        match self.state {
            ClaimState::Paid(count) => Count(self.range.count().0 - count.0 - self.charged.0),
            ClaimState::Pending | ClaimState::Void => Count::ZERO,
        }
    }

    pub(super) fn outcome(&self, until: Time) -> Outcome {
        match self.state {
            ClaimState::Paid(count) => Outcome::Paid(Coins::from(count).saturating_add(self.charged.into())),
            ClaimState::Pending => Outcome::Pending { coins: Coins::from(self.range.count()), until },
            ClaimState::Void => Outcome::Refused(convicted_of_junk()),
        }
    }
}

/// What a vendor hears that claims where it sold junk.
pub(super) fn convicted_of_junk() -> Reject {
    Reject::new(RejectCode::Junk, "its vendor was convicted of having sold junk in this segment")
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::amount::Cap;
    use netpay_core::codec::List;
    use netpay_core::coin::chain::{Chain, Seed};
    use netpay_core::keys::SecretKey;

    const COINS: u32 = 3 * STATION + 19;

    fn sold() -> (Facts, Chain) {
        let (key, network) = (SecretKey::from_seed(&[1; 32]), NetworkId([2; 32]));
        let chain = Chain::grow(&Seed([3; 16]), Cap(COINS));
        let touchstone = Touchstone {
            network,
            broker: key.public(),
            chain_key: SecretKey::from_seed(&[4; 32]).public(),
            n: Cap(COINS),
            root: chain.root(),
            nonce: [5; 16],
            committee: List::first_of([key.public()]),
            issued: Time(1),
            spend_by: Time(2),
            redeem_by: Time(3),
        };
        (Facts::of(key.sign(&network, touchstone)), chain)
    }

    #[test]
    fn every_coin_is_proven_in_whatever_order_and_no_other() {
        for step in [1, 255, 256, 600] {
            let (facts, chain) = sold();
            let root = (Index::ZERO, chain.root());
            // `step` has no divisor with COINS in common: every index comes once, forwards or by leaps.
            for index in (1..=COINS).map(|i| 1 + (i * step) % COINS) {
                let coin = chain.coin(Index(index)).expect("within the chain");
                assert!(facts.is_coin(coin, Index(index), root), "{index}");
                let beside = chain.coin(Index(index - 1)).expect("within the chain");
                assert!(!facts.is_coin(beside, Index(index), root), "{index}");
                assert!(!facts.is_coin(Coin([9; 16]), Index(index), root), "{index}");
            }
            let proven = facts.proven.lock().expect("no panic");
            assert_eq!(proven.highest, Some((Index(COINS), chain.coin(Index(COINS)).expect("the last"))));
            assert_eq!(proven.stations.len(), 3);
            assert!(proven.stations.iter().all(|(index, coin)| chain.coin(*index) == Some(*coin)));
        }
    }

    #[test]
    fn the_anchor_of_the_books_shortens_the_walk_but_proves_nothing_by_itself() {
        let (facts, chain) = sold();
        let coin = |index| chain.coin(Index(index)).expect("within the chain");
        let anchor = (Index(300), coin(300));
        assert!(facts.is_coin(coin(310), Index(310), anchor));
        assert!(facts.is_coin(coin(200), Index(200), anchor), "below the anchor it walks to the root");
        assert!(!facts.is_coin(coin(311), Index(310), anchor));
        // A coin that passes beside the anchor counts if it meets the root.
        assert!(facts.is_coin(coin(290), Index(290), (Index(280), Coin([8; 16]))));
    }
}

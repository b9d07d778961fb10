//! The segments in the till, and what is asked of all of them together at every payment.

use crate::amount::{Coins, Count, Index};
use crate::codec::Wire;
use crate::coin::chain::Coin;
use crate::coin::key::Key;
use crate::coin::payment::Meter;
use crate::coin::segment::{Close, Open, Release, SegmentNo};
use crate::coin::touchstone::Touchstone;
use crate::id::{ChainId, ObjectHash};
use crate::keys::{Signed, Unverified};
use crate::record::chain::Certificate;
use crate::wire::hello::HolderTag;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One segment in the till.
#[derive(Clone, Debug)]
pub struct Held {
    pub(super) touchstone: Signed<Touchstone>,
    pub(super) open: Signed<Open>,
    pub(super) tag: HolderTag,
    pub(super) meter: Meter,
    pub(super) close: Option<Signed<Close>>,
    /// A certificate of the Open.
    pub(super) open_certificate: Option<Certificate>,
    /// A certificate of the Close: the claim is final at once.
    pub(super) close_certificate: Option<Certificate>,
    /// It was paid out. It is remembered while its chain can be spent, or its Open could be shown again as new.
    pub(super) redeemed: bool,
    /// The key that goes with the Close, in fair mode.
    pub(super) key: Option<Key>,
}

/// A segment as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SegmentRow {
    /// T.
    pub touchstone: Unverified<Touchstone>,
    /// O_j.
    pub open: Unverified<Open>,
    /// Whence the holder key.
    pub tag: HolderTag,
    /// The highest verified coin and the index it is of.
    pub anchor: (Index, Coin),
    /// Paid up to here.
    pub index: Index,
    /// The release that proves it.
    pub release: Release,
    /// C_j.
    pub close: Option<Unverified<Close>>,
    /// Of O_j.
    pub open_certificate: Option<Certificate>,
    /// Of C_j.
    pub close_certificate: Option<Certificate>,
    /// Whether it was paid out.
    pub redeemed: bool,
    /// `K_{e−s}`, which the claim has to show in fair mode; `None` while it is open, and in plain mode.
    pub key: Option<Key>,
}

impl Wire for SegmentRow {
    const MAX: usize = 8 * 1024;
}

impl Held {
    /// T.
    #[must_use]
    pub const fn touchstone(&self) -> &Signed<Touchstone> {
        &self.touchstone
    }

    /// O_j.
    #[must_use]
    pub const fn open(&self) -> &Signed<Open> {
        &self.open
    }

    /// C_j.
    #[must_use]
    pub const fn close(&self) -> Option<&Signed<Close>> {
        self.close.as_ref()
    }

    /// The tag its holder key follows from.
    #[must_use]
    pub const fn tag(&self) -> HolderTag {
        self.tag
    }

    /// Coins paid in it.
    #[must_use]
    pub fn paid(&self) -> Count {
        self.meter.paid()
    }

    /// Coins of the lease not yet paid, none once closed.
    #[must_use]
    pub fn left(&self) -> Count {
        if self.close.is_some() { Count::ZERO } else { self.meter.left() }
    }

    /// Whether no other Open of this number can be certified any more.
    #[must_use]
    pub const fn is_certified(&self) -> bool {
        self.redeemed || self.open_certificate.is_some() || self.close_certificate.is_some()
    }

    /// Coins paid in it that no certificate protects yet.
    #[must_use]
    pub fn at_risk(&self) -> Coins {
        if self.is_certified() { Coins::ZERO } else { self.meter.paid().into() }
    }

    /// The certificate that makes its claim final at once.
    #[must_use]
    pub const fn close_certificate(&self) -> Option<&Certificate> {
        self.close_certificate.as_ref()
    }

    /// Whether an open segment lacks the certificate of its Open, or a closed one that of its Close. One that was
    /// closed with nothing paid in it needs none.
    #[must_use]
    pub fn lacks_certificate(&self) -> bool {
        let lacks = if self.close.is_some() {
            self.close_certificate.is_none() && self.meter.paid() > Count::ZERO
        } else {
            !self.is_certified()
        };
        lacks && !self.redeemed
    }

    /// Whether `object` is its Open or its Close.
    #[must_use]
    pub fn is(&self, object: &ObjectHash) -> bool {
        self.open.hash() == *object || self.close.as_ref().is_some_and(|close| close.hash() == *object)
    }
}

/// Which segment.
type Place = (ChainId, SegmentNo);

/// All segments, with sums over them that cost nothing to ask for: a busy vendor holds thousands.
#[derive(Debug, Default)]
pub(super) struct Segments {
    held: BTreeMap<Place, Held>,
    /// The chain that each tag serves, and in how many segments.
    tags: BTreeMap<HolderTag, (ChainId, usize)>,
    /// How many are not redeemed.
    live: usize,
    /// Coins that no certificate protects yet: of each chain that has any …
    at_risk_of: BTreeMap<ChainId, u64>,
    /// … and of all.
    at_risk: u64,
}

impl Segments {
    pub const fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            tags: BTreeMap::new(),
            live: 0,
            at_risk_of: BTreeMap::new(),
            at_risk: 0,
        }
    }

    pub fn get(&self, chain: &ChainId, j: SegmentNo) -> Option<&Held> {
        self.held.get(&(*chain, j))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Those of one chain, oldest first.
    pub fn of_chain(&self, chain: &ChainId) -> impl DoubleEndedIterator<Item = &Held> {
        self.held.range((*chain, SegmentNo(0))..=(*chain, SegmentNo(u32::MAX))).map(|(_, held)| held)
    }

    /// How many are not redeemed.
    pub const fn live(&self) -> usize {
        self.live
    }

    /// Coins that no certificate protects yet.
    pub const fn at_risk(&self) -> Coins {
        Coins(self.at_risk)
    }

    /// Coins of this chain that no certificate protects yet.
    pub fn at_risk_of(&self, chain: &ChainId) -> Coins {
        Coins(self.at_risk_of.get(chain).copied().unwrap_or(0))
    }

    /// The chains of which there are such coins.
    pub fn chains_at_risk(&self) -> impl Iterator<Item = &ChainId> {
        self.at_risk_of.keys()
    }

    /// The chain that a tag serves here.
    pub fn served_by(&self, tag: &HolderTag) -> Option<ChainId> {
        self.tags.get(tag).map(|(chain, _)| *chain)
    }

    pub fn insert(&mut self, held: Held) {
        let key = (held.open.chain, held.open.j);
        self.remove(&key.0, key.1);
        self.count(&held);
        self.tags.entry(held.tag).or_insert((key.0, 0)).1 += 1;
        self.held.insert(key, held);
    }

    pub fn remove(&mut self, chain: &ChainId, j: SegmentNo) {
        let Some(held) = self.held.remove(&(*chain, j)) else { return };
        self.discount(&held);
        if let Some((_, segments)) = self.tags.get_mut(&held.tag) {
            *segments -= 1;
            if *segments == 0 {
                self.tags.remove(&held.tag);
            }
        }
    }

    /// Changes one; the sums follow.
    pub fn change<T>(
        &mut self,
        chain: &ChainId,
        j: SegmentNo,
        change: impl FnOnce(&mut Held) -> T,
    ) -> Option<T> {
        let mut held = self.held.remove(&(*chain, j))?;
        self.discount(&held);
        let value = change(&mut held);
        self.count(&held);
        self.held.insert((*chain, j), held);
        Some(value)
    }

    fn count(&mut self, held: &Held) {
        self.live += usize::from(!held.redeemed);
        let coins = held.at_risk().0;
        if coins > 0 {
            *self.at_risk_of.entry(held.open.chain).or_insert(0) += coins;
            self.at_risk += coins;
        }
    }

    fn discount(&mut self, held: &Held) {
        self.live -= usize::from(!held.redeemed);
        let coins = held.at_risk().0;
        self.at_risk -= coins;
        if let Some(of_chain) = self.at_risk_of.get_mut(&held.open.chain) {
            *of_chain -= coins;
            if *of_chain == 0 {
                self.at_risk_of.remove(&held.open.chain);
            }
        }
    }
}

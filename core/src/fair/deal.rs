//! The deal `C*`: who sells what to whom, out of which segment, for how much, and under which keys. The survey's fix of the
//! File Market is that the request is inside: nobody can say later that something else was asked for or promised.

use crate::amount::{Coins, Count};
use crate::codec::Wire;
use crate::coin::key::{Key, KeyStep};
use crate::coin::segment::{FairTerms, Open, SegmentNo};
use crate::content::units::Units;
use crate::id::{ChainId, ContentRoot};
use crate::keys::{Domain, PublicKey, Signable, Signed};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most coins of a deal: what a vendor keeps keys for, and the longest walk down to `K_0`.
pub const MAX_COINS: Count = Count(4096);

/// A run of units of one file, sold for the coins of one segment. Signed by the holder key; the buyer signs its hash with
/// the Open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// The chain that pays.
    pub chain: ChainId,
    /// The segment: the deal's serial number, since a chain has one Open per number.
    pub j: SegmentNo,
    /// The vendor: its holder key in this chain.
    pub holder: PublicKey,
    /// The buyer: the chain's key.
    pub buyer: PublicKey,
    /// The content.
    pub root: ContentRoot,
    /// Its size, in bytes.
    pub size: u64,
    /// The price of the whole of it.
    pub price: Coins,
    /// Units of `16 KiB << unit_log`, 0..=4.
    pub unit_log: u8,
    /// The first unit sold.
    pub first: u64,
    /// How many, at least 1.
    pub count: u64,
    /// `K_0`.
    pub key_root: Key,
    /// When it was made, by the vendor's clock.
    pub made: Time,
    /// Random: the deal's hash tells nothing to those who see the Open, and no two deals share a key.
    pub salt: [u8; 16],
}

impl Wire for Deal {
    const MAX: usize = 256;
}

impl Signable for Deal {
    const DOMAIN: Domain = *b"netpay/fair-deal";
}

/// Why an Open is not the other half of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBound {
    /// It is of another chain, segment or vendor.
    #[error("the Open is of another segment or vendor")]
    Segment,
    /// It has no fair terms, or other ones.
    #[error("the Open names another deal or other keys")]
    Terms,
    /// It has fewer coins than the deal costs.
    #[error("the lease is shorter than the deal costs")]
    Lease,
}

impl Deal {
    /// The file's geometry, or `None` if there is no such file or no such run of units in it.
    #[must_use]
    pub fn units(&self) -> Option<Units> {
        let units = Units::new(self.size, self.unit_log)?;
        let behind = self.first.checked_add(self.count)?;
        (self.count > 0 && behind <= units.count()).then_some(units)
    }

    /// The place in the segment, from 1, of the last coin of unit `b`; `None` if the unit is not sold here, or the coins are
    /// too many for a segment. Every unit has a last coin, also one that costs nothing by itself.
    #[must_use]
    pub fn last_coin(&self, b: u64) -> Option<Count> {
        let units = self.units()?;
        if b < self.first || b - self.first >= self.count {
            return None;
        }
        let start = units.range(self.first)?.start;
        let before = if start == 0 { Coins::ZERO } else { units.due(self.price, start) };
        let due = units.due(self.price, units.range(b)?.end).saturating_sub(before);
        Count::from_coins(due.max(Coins(1))).filter(|coins| *coins <= MAX_COINS)
    }

    /// The place of the coin whose key seals unit `b`: its first, so that whoever claims any coin of a unit shows what opens
    /// it. A vendor gives the key when the last coin is there. A unit that costs nothing by itself goes with the coin before.
    #[must_use]
    pub fn key_coin(&self, b: u64) -> Option<Count> {
        let last = self.last_coin(b)?;
        let before = match b.checked_sub(1).filter(|_| b > self.first) {
            Some(before) => self.last_coin(before)?,
            None => Count::ZERO,
        };
        Some(Count(before.0.saturating_add(1)).min(last))
    }

    /// What all of it costs; `None` if that is more than a segment can have, or there is nothing sold.
    #[must_use]
    pub fn coins(&self) -> Option<Count> {
        self.last_coin(self.first.checked_add(self.count)?.checked_sub(1)?)
    }

    /// The last unit that so many coins pay for wholly, and with it all before; `None` if they do not reach for the first.
    #[must_use]
    pub fn paid_by(&self, coins: Count) -> Option<u64> {
        let is_paid = |b| self.last_coin(b).is_some_and(|last| last <= coins);
        let (mut paid, mut unpaid) = (0, self.count);
        // Of the run `paid` units are paid, and the one at `unpaid` is not.
        while paid < unpaid {
            let middle = paid + (unpaid - paid) / 2;
            if is_paid(self.first.saturating_add(middle)) {
                paid = middle + 1;
            } else {
                unpaid = middle;
            }
        }
        paid.checked_sub(1).map(|at| self.first.saturating_add(at))
    }

    /// How its keys follow from each other.
    #[must_use]
    pub fn step(&self) -> KeyStep {
        KeyStep::of(self.chain, self.j, &self.holder)
    }

    /// Whether this is the key of the deal's coin `m`.
    #[must_use]
    pub fn has_key(&self, m: Count, key: &Key) -> bool {
        self.coins().is_some_and(|coins| m <= coins) && self.step().walk_down(m, key, m) == self.key_root
    }
}

/// What an Open says of this deal.
#[must_use]
pub fn terms(deal: &Signed<Deal>) -> FairTerms {
    FairTerms { key_root: deal.key_root, deal: deal.hash() }
}

/// Whether the Open is the buyer's word for this deal.
///
/// # Errors
/// Says what does not fit.
pub fn bound(deal: &Signed<Deal>, open: &Open) -> Result<(), NotBound> {
    if (open.chain, open.j, open.holder) != (deal.chain, deal.j, deal.holder) {
        return Err(NotBound::Segment);
    }
    if open.fair.as_ref() != Some(&terms(deal)) {
        return Err(NotBound::Terms);
    }
    match deal.coins() {
        Some(coins) if coins <= open.lease() => Ok(()),
        _ => Err(NotBound::Lease),
    }
}

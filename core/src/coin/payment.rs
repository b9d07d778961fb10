//! A payment: two hashes, no signature. The [`Meter`] is what a vendor has verified of one segment.

use super::chain::Coin;
use super::segment::{Open, Release, ReleaseKey, SegmentNo};
use crate::amount::{Cap, Count, Index};
use crate::codec::Wire;
use serde::{Deserialize, Serialize};

/// How far one payment may jump past the last accepted one, in coins.
pub const MAX_GAP: u32 = 4096;

/// `Pay(j, i, W_i, U_{i−s})`: the coins of segment `j` up to index `i` are the holder's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pay {
    /// The segment.
    pub j: SegmentNo,
    /// The new index.
    pub index: Index,
    /// `W_i`.
    pub coin: Coin,
    /// `U_{i−s}`.
    pub release: Release,
}

impl Wire for Pay {
    const MAX: usize = 64;
}

/// Why a payment does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPay {
    /// It names another segment.
    #[error("it is for another segment")]
    Segment,
    /// It lies outside the lease.
    #[error("its index lies outside the lease")]
    Lease,
    /// It takes back what was paid.
    #[error("its index lies below what was already paid")]
    Backwards,
    /// It jumps too far at once.
    #[error("it pays more than {MAX_GAP} coins at once")]
    Gap,
    /// The coin does not hash to the last accepted one.
    #[error("its coin does not hash to the last accepted coin")]
    Coin,
    /// The release does not hash to the last accepted one.
    #[error("its release does not hash to the last accepted release")]
    Release,
}

/// What has been paid in one segment: the last accepted pair, and where coins can be checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    j: SegmentNo,
    start: Index,
    cap: Cap,
    key: ReleaseKey,
    /// The highest coin of the chain verified so far, at or below `index`; `W_0` at worst.
    anchor: (Index, Coin),
    index: Index,
    release: Release,
}

impl Meter {
    /// A meter at zero for a verified Open; `anchor` is the highest verified coin of the chain at or
    /// below the Open's start, `(0, W_0)` if there is none better.
    #[must_use]
    pub fn new(open: &Open, anchor: (Index, Coin)) -> Self {
        Self {
            j: open.j,
            start: open.start,
            cap: open.cap,
            key: open.release_key(),
            anchor,
            index: open.start,
            release: open.release_root,
        }
    }

    /// Puts a stored meter back to where it stood. The pair was verified before it was stored.
    pub const fn restore(&mut self, index: Index, release: Release) {
        self.index = index;
        self.release = release;
    }

    /// The index paid up to.
    #[must_use]
    pub const fn index(&self) -> Index {
        self.index
    }

    /// Coins paid in this segment.
    #[must_use]
    pub fn paid(&self) -> Count {
        Count(self.index.0 - self.start.0)
    }

    /// Coins of the lease not yet paid.
    #[must_use]
    pub const fn left(&self) -> Count {
        self.cap.room(self.index)
    }

    /// The release accepted last, `U_0` if nothing was paid.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// The highest verified coin.
    #[must_use]
    pub const fn anchor(&self) -> (Index, Coin) {
        self.anchor
    }

    /// Whether this payment, or one beyond it, was accepted before. Its release is checked, not just its
    /// index, which anybody could name.
    #[must_use]
    pub fn has_counted(&self, pay: &Pay) -> bool {
        let (Some(m), Some(below)) = (pay.index.since(self.start), self.index.since(pay.index)) else {
            return false;
        };
        let own = self.key.walk_down(self.paid(), &self.release, below);
        pay.j == self.j && m > Count::ZERO && own == pay.release
    }

    /// Checks a payment and, if it holds, counts it. The same payment again holds and adds nothing.
    ///
    /// # Errors
    /// Says what does not hold; the meter is then unchanged.
    pub fn accept(&mut self, pay: &Pay) -> Result<Count, BadPay> {
        if pay.j != self.j {
            return Err(BadPay::Segment);
        }
        if pay.index <= self.start || pay.index.0 > self.cap.0 {
            return Err(BadPay::Lease);
        }
        let gap = pay.index.since(self.index).ok_or(BadPay::Backwards)?;
        if gap.0 > MAX_GAP {
            return Err(BadPay::Gap);
        }
        let m = Count(pay.index.0 - self.start.0);
        if self.key.walk_down(m, &pay.release, gap) != self.release {
            return Err(BadPay::Release);
        }
        let steps = pay.index.since(self.anchor.0).ok_or(BadPay::Backwards)?;
        if pay.coin.walk_down(steps.0) != self.anchor.1 {
            return Err(BadPay::Coin);
        }
        self.anchor = (pay.index, pay.coin);
        self.index = pay.index;
        self.release = pay.release;
        Ok(gap)
    }
}

//! Money and positions as types: an amount of coins, an index into a chain, a cap, a count.
//!
//! They are different types so that no place can mix a position with an amount, and every
//! operation that could leave its range says so.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest chain the broker mints, in coins (PROTOCOL section 3).
pub const MAX_CHAIN: u32 = 16_384;

/// An amount of coins: a price, a balance, an earning. Unit: one coin of the network's denomination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coins(pub u64);

impl Coins {
    /// No coins.
    pub const ZERO: Self = Self(0);

    /// `self + other`, or `None` above `u64::MAX`.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// `self - other`, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// `self - other`, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self + other`, not above `u64::MAX`.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} coin{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl From<Count> for Coins {
    fn from(count: Count) -> Self {
        Self(u64::from(count.0))
    }
}

/// The papers' index `I`: how many coins of a chain are spent; also the position `i` of coin `W_i`.
/// Range 0..=[`MAX_CHAIN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub u32);

/// The upper end of a lease `(s, c]`, or the length `n` of a chain: no coin above it may be paid.
/// Range 0..=[`MAX_CHAIN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cap(pub u32);

/// How many coins: the length of a lease or of a payment, the position `m` of a release `U_m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Count(pub u32);

impl Index {
    /// Nothing spent: the position of the root `W_0`.
    pub const ZERO: Self = Self(0);

    /// The index `count` coins further on.
    #[must_use]
    pub const fn advance(self, count: Count) -> Option<Self> {
        match self.0.checked_add(count.0) {
            Some(i) => Some(Self(i)),
            None => None,
        }
    }

    /// The coins between `start` and this index, or `None` if this index lies below it.
    #[must_use]
    pub const fn since(self, start: Self) -> Option<Count> {
        match self.0.checked_sub(start.0) {
            Some(m) => Some(Count(m)),
            None => None,
        }
    }
}

impl Cap {
    /// The coins left between `index` and this cap, zero if the index has reached it.
    #[must_use]
    pub const fn room(self, index: Index) -> Count {
        Count(self.0.saturating_sub(index.0))
    }

    /// The index at which everything up to the cap is spent.
    #[must_use]
    pub const fn as_index(self) -> Index {
        Index(self.0)
    }
}

impl Count {
    /// None.
    pub const ZERO: Self = Self(0);

    /// An amount as a count, or `None` if it is more than a chain can hold.
    #[must_use]
    pub fn from_coins(coins: Coins) -> Option<Self> {
        u32::try_from(coins.0).ok().filter(|c| *c <= MAX_CHAIN).map(Self)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

//! The papers' payword chain: `W_{i-1} = MD5(W_i)`, down from a random seed to the root `W_0`
//! (seed paper 001, section 3.4).
//!
//! MD5 is here because the papers have it, and any chain can be checked with `md5sum`. Nothing rests
//! on it: a coin pays only together with its release ([`super::segment`]).

use crate::amount::{Cap, Index};
use crate::id::{parse_hex, write_hex};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An e-coin, the papers' payword `W_i`: 16 bytes whose MD5 is the coin below it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coin(pub [u8; 16]);

impl Coin {
    /// The coin below: `MD5` of these 16 bytes.
    #[must_use]
    pub fn below(&self) -> Self {
        Self(Md5::digest(self.0).into())
    }

    /// The coin `steps` below this one.
    #[must_use]
    pub fn walk_down(&self, steps: u32) -> Self {
        (0..steps).fold(*self, |coin, _| coin.below())
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coin({self:.4}…)")
    }
}

impl std::str::FromStr for Coin {
    type Err = crate::id::BadHex;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text).map(Self)
    }
}

/// The secret a whole chain grows from: the papers' `W_{n+1}`. Whoever has it has every coin.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Seed(pub [u8; 16]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

/// A chain with every coin at hand, `W_0` to `W_n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    coins: Vec<Coin>,
}

impl Chain {
    /// The chain of `n` coins that grows from `seed`: `W_n = MD5(seed)`, …, `W_0`.
    #[must_use]
    pub fn grow(seed: &Seed, n: Cap) -> Self {
        let mut coins = Vec::with_capacity(n.0 as usize + 1);
        let mut coin = Coin(seed.0).below();
        for _ in 0..n.0 {
            coins.push(coin);
            coin = coin.below();
        }
        coins.push(coin);
        coins.reverse();
        Self { coins }
    }

    /// The root of the chain of `n` coins from `seed`, without keeping the coins.
    #[must_use]
    pub fn root_of(seed: &Seed, n: Cap) -> Coin {
        Coin(seed.0).walk_down(n.0.saturating_add(1))
    }

    /// The root `W_0`.
    #[must_use]
    pub fn root(&self) -> Coin {
        self.coins[0]
    }

    /// Coin `W_i`, or `None` beyond the chain's end.
    #[must_use]
    pub fn coin(&self, i: Index) -> Option<Coin> {
        self.coins.get(i.0 as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_md5_all_the_way_down() {
        let chain = Chain::grow(&Seed([7; 16]), Cap(10));
        for i in 0..10 {
            let above = chain.coin(Index(i + 1)).expect("within the chain");
            assert_eq!(chain.coin(Index(i)), Some(above.below()));
        }
        assert_eq!(chain.coin(Index(11)), None);
        assert_eq!(chain.root(), Chain::root_of(&Seed([7; 16]), Cap(10)));
    }

    #[test]
    fn one_step_is_the_md5_of_sixteen_bytes() {
        // printf '\0%.0s' {1..16} | md5sum
        let step = Coin([0; 16]).below();
        assert_eq!(step.to_string(), "4ae71336e44bf9bf79d2752e234818a5");
    }
}

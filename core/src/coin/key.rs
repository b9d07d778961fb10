//! In fair mode (PROTOCOL section 10) the vendor's key chain is the twin of the buyer's release chain: `K_m` opens what
//! coin `s + m` paid for, and all below it.

use super::segment::SegmentNo;
use crate::amount::Count;
use crate::id::{ChainId, write_hex};
use crate::keys::PublicKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A link `K_m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(")?;
        write_hex(&self.0[..4], f)?;
        f.write_str("…)")
    }
}

/// How the keys of one segment follow from each other: `BLAKE3-derive("netpay 2026 fair key chain", chain ‖ j ‖ holder)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStep([u8; 32]);

impl KeyStep {
    /// For segment `j` of `chain`, held by `holder`.
    #[must_use]
    pub fn of(chain: ChainId, j: SegmentNo, holder: &PublicKey) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("netpay 2026 fair key chain");
        hasher.update(&chain.0).update(&j.0.to_le_bytes()).update(&holder.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// `K_{m−1}` from `K_m`.
    #[must_use]
    pub fn below(&self, m: Count, key: &Key) -> Key {
        let mut block = [0; 36];
        block[..4].copy_from_slice(&m.0.to_le_bytes());
        block[4..].copy_from_slice(&key.0);
        Key(*blake3::keyed_hash(&self.0, &block).as_bytes())
    }

    /// The link `steps` below `key`, which is link `m`.
    #[must_use]
    pub fn walk_down(&self, m: Count, key: &Key, steps: Count) -> Key {
        (0..steps.0).fold(*key, |link, step| self.below(Count(m.0.saturating_sub(step)), &link))
    }
}

/// The vendor's key chain for one deal, every link at hand: `K_0` to `K_n`.
#[derive(Clone)]
pub struct KeyChain {
    links: Vec<Key>,
}

impl KeyChain {
    /// The chain of `coins` keys. The last follows from the vendor's secret and the deal's salt: two deals share no key,
    /// so what is paid in one opens nothing of another.
    #[must_use]
    pub fn grow(secret: &[u8; 32], salt: &[u8; 16], step: &KeyStep, coins: Count) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(secret);
        hasher.update(&step.0).update(salt).update(&coins.0.to_le_bytes());
        let mut links = vec![Key(*hasher.finalize().as_bytes())];
        for m in (1..=coins.0).rev() {
            let above = links[links.len() - 1];
            links.push(step.below(Count(m), &above));
        }
        links.reverse();
        Self { links }
    }

    /// `K_0`, which deal and Open bind.
    #[must_use]
    pub fn root(&self) -> Key {
        self.links[0]
    }

    /// `K_m`, or `None` beyond the deal.
    #[must_use]
    pub fn link(&self, m: Count) -> Option<Key> {
        self.links.get(m.0 as usize).copied()
    }
}

impl fmt::Debug for KeyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyChain of {} (secret)", self.links.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> KeyStep {
        KeyStep::of(ChainId([1; 32]), SegmentNo(2), &PublicKey([3; 32]))
    }

    #[test]
    fn every_key_leads_down_to_the_root_and_none_up() {
        let chain = KeyChain::grow(&[4; 32], &[5; 16], &step(), Count(20));
        for m in 0..=20 {
            let key = chain.link(Count(m)).expect("within the chain");
            assert_eq!(step().walk_down(Count(m), &key, Count(m)), chain.root());
        }
        assert_eq!(chain.link(Count(21)), None);
        let middle = chain.link(Count(10)).expect("within the chain");
        let guess = step().below(Count(11), &middle);
        assert_ne!(Some(guess), chain.link(Count(11)));
    }

    #[test]
    fn no_other_deal_segment_or_place_has_these_keys() {
        let chain = KeyChain::grow(&[4; 32], &[5; 16], &step(), Count(4));
        let others = [
            KeyChain::grow(&[4; 32], &[6; 16], &step(), Count(4)),
            KeyChain::grow(&[4; 32], &[5; 16], &step(), Count(5)),
            KeyChain::grow(&[7; 32], &[5; 16], &step(), Count(4)),
            KeyChain::grow(
                &[4; 32],
                &[5; 16],
                &KeyStep::of(ChainId([1; 32]), SegmentNo(3), &PublicKey([3; 32])),
                Count(4),
            ),
        ];
        for other in &others {
            assert!(chain.links.iter().all(|key| !other.links.contains(key)));
        }
        let key = chain.link(Count(3)).expect("within the chain");
        assert_ne!(step().walk_down(Count(4), &key, Count(3)), chain.root());
    }
}

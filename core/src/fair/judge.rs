//! The judge: one leaf of a unit, as it was signed for, under the key that was released for it, either is what the deal says
//! or is not. Anybody can judge; the broker does, and the buyer before it accuses.

use super::deal::{self, Deal, NotBound};
use super::sealed::{self, Sealed, UnitKey};
use crate::codec::{self, Bytes, Wire};
use crate::coin::key::Key;
use crate::coin::segment::{Open, SegmentNo};
use crate::content::tree::{self, ChainingValue, Proof};
use crate::content::units::{GROUP, Units};
use crate::id::{ChainId, NetworkId, ObjectHash};
use crate::keys::{Domain, PublicKey, Signable, Unverified};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A leaf that is said to be junk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Junk {
    /// The buyer's word: the Open that binds the deal.
    pub open: Unverified<Open>,
    /// The vendor's: the deal.
    pub deal: Unverified<Deal>,
    /// The vendor's: what it sent.
    pub sealed: Unverified<Sealed>,
    /// The leaf's number in the unit.
    pub leaf: u64,
    /// Its bytes, under seal.
    pub bytes: Bytes<{ GROUP as usize }>,
    /// Their path to the root in `sealed`.
    pub sealed_path: Proof,
    /// The key of the unit's first coin.
    pub key: Key,
    /// What the leaf should hash to; of no meaning in a file of one leaf.
    pub should_be: ChainingValue,
    /// The path of that to the content root.
    pub path: Proof,
}

impl Wire for Junk {
    const MAX: usize = 20 * 1024;
}

/// The broker's word that a vendor sold junk: its claim of the segment is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The chain that paid.
    pub chain: ChainId,
    /// The segment.
    pub j: SegmentNo,
    /// The hash of its Open, which binds the deal.
    pub open: ObjectHash,
    /// The convicted vendor's holder key.
    pub holder: PublicKey,
    /// When it was judged.
    pub at: Time,
}

impl Wire for Verdict {
    const MAX: usize = 128;
}

impl Signable for Verdict {
    const DOMAIN: Domain = *b"netpay/verdict\0\0";
}

/// What the buyer's account signs of a proof.
#[must_use]
pub fn digest(junk: &Junk) -> ObjectHash {
    ObjectHash(*blake3::hash(&codec::encode(junk)).as_bytes())
}

/// Why an accusation does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// A signature does not hold.
    #[error("a signature in it does not hold")]
    Forged,
    /// Open and deal are not two halves of one thing.
    #[error("{0}")]
    NotBound(#[from] NotBound),
    /// What was signed for is of another deal, or the deal has no such unit or leaf.
    #[error("the deal has no such unit or leaf")]
    NoSuchLeaf,
    /// The key is not the one of this coin of the deal.
    #[error("the key does not lead to the deal's")]
    WrongKey,
    /// The bytes are not part of what was signed for.
    #[error("the bytes are not what the vendor signed for")]
    OtherBytes,
    /// What the leaf is said to have to hash to is not in the content.
    #[error("the content has no such leaf")]
    OtherContent,
    /// The leaf is what it should be.
    #[error("the leaf is what the deal says")]
    Right,
}

/// Whether the leaf convicts the vendor of the deal, which is returned then. `buyer` is the key of the chain named.
///
/// # Errors
/// Why it does not.
pub fn judge(network: &NetworkId, buyer: &PublicKey, junk: &Junk) -> Result<Deal, NotProven> {
    let forged = |_| NotProven::Forged;
    let open = junk.open.clone().verify(network, buyer).map_err(forged)?;
    let holder = open.holder;
    let deal = junk.deal.clone().verify(network, &holder).map_err(forged)?;
    let sent = junk.sealed.clone().verify(network, &holder).map_err(forged)?;
    deal::bound(&deal, &open)?;
    let coin = deal.key_coin(sent.unit).filter(|_| sent.deal == deal.hash()).ok_or(NotProven::NoSuchLeaf)?;
    if !deal.has_key(coin, &junk.key) {
        return Err(NotProven::WrongKey);
    }
    let units = deal.units().ok_or(NotProven::NoSuchLeaf)?;
    let len = units.len_of(sent.unit).and_then(|len| u64::try_from(len).ok()).ok_or(NotProven::NoSuchLeaf)?;
    let within =
        Units::new(len, 0).filter(|within| junk.leaf < within.count()).ok_or(NotProven::NoSuchLeaf)?;
    tree::verify_unit(&sent.root, within, junk.leaf, &junk.bytes, &junk.sealed_path)
        .map_err(|_| NotProven::OtherBytes)?;

    let by_leaf = Units::new(deal.size, 0).ok_or(NotProven::NoSuchLeaf)?;
    let leaf = sealed::first_leaf(units, sent.unit) + junk.leaf;
    if by_leaf.count() > 1 {
        tree::verify_node(&deal.root, by_leaf, leaf, &junk.should_be, &junk.path)
            .map_err(|_| NotProven::OtherContent)?;
    } else if !junk.path.is_empty() {
        return Err(NotProven::OtherContent);
    }
    let hashes = leaf_hashes(&deal, &sent, junk).ok_or(NotProven::NoSuchLeaf)?;
    if hashes.came == hashes.promised { Err(NotProven::Right) } else { Ok(Deal::clone(&deal)) }
}

/// What a leaf should hash to, and what it does once it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafHashes {
    /// What the deal's content has there, as far as the path of the proof leads to its root.
    pub promised: ChainingValue,
    /// What came.
    pub came: ChainingValue,
}

/// Opens the leaf of a proof; nothing is believed or refused here. `None` if deal and unit have no such leaf.
#[must_use]
pub fn leaf_hashes(deal: &Deal, sent: &Sealed, junk: &Junk) -> Option<LeafHashes> {
    let (units, by_leaf) = (deal.units()?, Units::new(deal.size, 0)?);
    let leaves = u64::try_from(units.len_of(sent.unit)?).ok()?.div_ceil(GROUP);
    if junk.leaf >= leaves {
        return None;
    }
    let mut bytes = junk.bytes.to_vec();
    let key = UnitKey::of(&junk.key, &sent.deal, sent.unit);
    sealed::turn_from(&key, junk.leaf * GROUP, &mut bytes);
    let promised = if by_leaf.count() > 1 { junk.should_be } else { deal.root.0 };
    let came = tree::hash_of(by_leaf, sealed::first_leaf(units, sent.unit) + junk.leaf, &bytes)?;
    Some(LeafHashes { promised, came })
}

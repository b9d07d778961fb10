//! A unit under seal: AES-256 in counter mode, since each key seals one unit, once, and any part of it can be opened alone.
//! Its vendor signs the BLAKE3 root of what it sends, and sends in clear what the leaves below hash to.

use super::keystream;
use crate::codec::{List, Wire};
use crate::coin::key::Key;
use crate::content::tree::{self, BadUnit, ChainingValue, Proof, TreeBuilder};
use crate::content::units::{GROUP, MAX_LOG, Units};
use crate::id::{ContentRoot, ObjectHash};
use crate::keys::{Domain, Signable, Signature};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize as _;

/// The most leaves of 16 KiB in a unit.
pub const MAX_LEAVES: usize = 1 << MAX_LOG;

/// What the leaves of a unit hash to, in their order; none for a file of one leaf, whose hash is the content root.
pub type Leaves = List<ChainingValue, MAX_LEAVES>;

/// What a vendor says that it sent: signed by the holder key, one per unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The hash of the deal.
    pub deal: ObjectHash,
    /// The unit.
    pub unit: u64,
    /// The BLAKE3 hash of the sealed bytes.
    pub root: ContentRoot,
}

impl Wire for Sealed {
    const MAX: usize = 80;
}

impl Signable for Sealed {
    const DOMAIN: Domain = *b"netpay/sealed-un";
}

/// What comes with a unit under seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedUnit {
    /// Which.
    pub unit: u64,
    /// How many bytes follow.
    pub len: u32,
    /// The unit's path to the content root.
    pub proof: Proof,
    /// What its leaves hash to in clear.
    pub leaves: Leaves,
    /// The holder key's, over [`Sealed`]: deal, unit, and the root of the bytes that follow.
    pub signature: Signature,
}

impl Wire for SealedUnit {
    const MAX: usize = 2048;
}

/// The key of one unit, used for nothing else and only once.
pub struct UnitKey([u8; 32]);

impl UnitKey {
    /// Of unit `b` of the deal, from the key of its first coin ([`Deal::key_coin`](super::deal::Deal::key_coin)).
    #[must_use]
    pub fn of(key: &Key, deal: &ObjectHash, b: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("netpay 2026 fair unit");
        hasher.update(&key.0).update(&deal.0).update(&b.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

impl Drop for UnitKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnitKey (secret)")
    }
}

/// Seals the bytes of a unit, or opens them: the same act.
pub fn turn(key: &UnitKey, bytes: &mut [u8]) {
    turn_from(key, 0, bytes);
}

/// The same for bytes that begin at `at` in the unit.
pub fn turn_from(key: &UnitKey, at: u64, bytes: &mut [u8]) {
    keystream::apply(&key.0, at, bytes);
}

/// What the sealed bytes hash to.
#[must_use]
pub fn root_of(sealed: &[u8]) -> ContentRoot {
    ContentRoot(*blake3::hash(sealed).as_bytes())
}

/// The path from one leaf of sealed bytes to their root; `None` if there is no such leaf.
#[must_use]
pub fn path_in(sealed: &[u8], leaf: u64) -> Option<Proof> {
    let mut builder = TreeBuilder::new();
    builder.update(sealed);
    let tree = builder.finish();
    tree.proof(Units::new(tree.size(), 0)?, leaf)
}

/// Whether these are the leaves of unit `b` of the content.
///
/// # Errors
/// If they are too few or too many, or do not lead to the content root.
pub fn check_leaves(
    root: &ContentRoot,
    units: Units,
    b: u64,
    leaves: &Leaves,
    proof: &Proof,
) -> Result<(), BadUnit> {
    let by_leaf = Units::new(units.size(), 0).ok_or(BadUnit::Index)?;
    let Some(first) = leaves.first() else {
        return if by_leaf.count() == 1 && proof.is_empty() { Ok(()) } else { Err(BadUnit::Proof) };
    };
    let path = leaf_path(units, b, leaves, 0, proof).ok_or(BadUnit::Proof)?;
    tree::verify_node(root, by_leaf, first_leaf(units, b), first, &path)
}

/// The path to the content root of leaf `leaf` of unit `b`, from its neighbours in the unit and the unit's own path; `None`
/// if that is not the number of leaves the unit has.
#[must_use]
pub fn leaf_path(units: Units, b: u64, leaves: &Leaves, leaf: u64, proof: &Proof) -> Option<Proof> {
    let by_leaf = Units::new(units.size(), 0)?;
    let expected =
        if by_leaf.count() == 1 { 0 } else { u64::try_from(units.len_of(b)?).ok()?.div_ceil(GROUP) };
    if u64::try_from(leaves.len()).ok()? != expected {
        return None;
    }
    let path =
        if expected == 0 { Vec::new() } else { tree::path_below(leaves, usize::try_from(leaf).ok()?)? };
    let whole = path.into_iter().chain(proof.iter().copied()).collect::<Vec<_>>();
    Proof::try_from(whole).ok()
}

/// The number in the file of the first leaf of unit `b`.
#[must_use]
pub const fn first_leaf(units: Units, b: u64) -> u64 {
    b << units.log()
}

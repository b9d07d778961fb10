//! The BLAKE3 tree of a file, so that every unit can be checked on its own against the content root, which
//! is the plain BLAKE3 hash of the whole file, as `b3sum` prints it.
//!
//! Level 0 holds the chaining values of the file's groups of 16 KiB; each level above merges pairs, and an
//! odd last node moves up as it is. A unit of `16 KiB << log` is exactly one node of level `log`. A file
//! of one group has no nodes: its hash is the root.
//!
//! A unit also proves its own length, and the last unit thereby the file's size: under a wrong size it
//! does not verify.

use super::units::{GROUP, Units};
use crate::codec::List;
use crate::id::ContentRoot;
use blake3::Hasher;
pub use blake3::hazmat::ChainingValue;
use blake3::hazmat::{self, HasherExt as _, Mode};

/// The most siblings in a proof: the height above 16 KiB of the largest file, rounded up.
pub const MAX_PROOF: usize = 40;

/// The siblings of a unit on its way to the root, bottom up.
pub type Proof = List<ChainingValue, MAX_PROOF>;

/// Why bytes are not the unit they are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnit {
    /// The file has no such unit.
    #[error("the file has no such unit")]
    Index,
    /// The unit has another length.
    #[error("the unit has another length")]
    Length,
    /// The proof has not one sibling for each level.
    #[error("the proof is too short or too long")]
    Proof,
    /// The bytes or the proof do not hash to the root.
    #[error("the bytes do not hash to the content root")]
    Hash,
}

/// The tree of one file, every level at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: ContentRoot,
    size: u64,
    nodes: Vec<ChainingValue>,
}

impl Tree {
    /// The BLAKE3 hash of the file.
    #[must_use]
    pub const fn root(&self) -> ContentRoot {
        self.root
    }

    /// The file's size, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// All nodes below the root, level by level from the groups up: [`node_count`] of them, 32 bytes each.
    /// Whoever keeps them in this order can prove units with [`proof_with`] without loading them.
    #[must_use]
    pub fn nodes(&self) -> &[ChainingValue] {
        &self.nodes
    }

    /// The proof of unit `b`, or `None` if the geometry is another file's or has no such unit.
    #[must_use]
    pub fn proof(&self, units: Units, b: u64) -> Option<Proof> {
        if units.size() != self.size {
            return None;
        }
        let node = |at: u64| usize::try_from(at).ok().and_then(|at| self.nodes.get(at)).copied().ok_or(());
        proof_with(units, b, node).ok().flatten()
    }
}

/// How many nodes the tree of a file of `size` bytes has below its root.
#[must_use]
pub fn node_count(size: u64) -> u64 {
    levels(size).sum()
}

/// The proof of unit `b` from nodes kept elsewhere: `read` is asked for nodes by their position in
/// [`Tree::nodes`]. `None` if there is no such unit.
///
/// # Errors
/// The first error of `read`.
pub fn proof_with<E>(
    units: Units,
    b: u64,
    mut read: impl FnMut(u64) -> Result<ChainingValue, E>,
) -> Result<Option<Proof>, E> {
    if b >= units.count() {
        return Ok(None);
    }
    let mut proof = Proof::new();
    let mut start: u64 = levels(units.size()).take(usize::from(units.log())).sum();
    for step in climb(units, b) {
        if let Some(sibling) = step.sibling() {
            // A file within MAX_SIZE has no more levels than a proof has room for.
            let Ok(()) = proof.push(read(start + sibling)?) else { return Ok(None) };
        }
        start += step.width;
    }
    Ok(Some(proof))
}

/// Whether `bytes` are unit `b` of the file with this root.
///
/// # Errors
/// Says what is wrong with them or with the proof.
pub fn verify_unit(
    root: &ContentRoot,
    units: Units,
    b: u64,
    bytes: &[u8],
    proof: &Proof,
) -> Result<(), BadUnit> {
    let range = units.range(b).ok_or(BadUnit::Index)?;
    if units.len_of(b) != Some(bytes.len()) {
        return Err(BadUnit::Length);
    }
    if units.count() == 1 {
        // The only unit there is: its hash is the root.
        return match (proof.is_empty(), blake3::hash(bytes) == root.0) {
            (false, _) => Err(BadUnit::Proof),
            (true, holds) => holds.then_some(()).ok_or(BadUnit::Hash),
        };
    }
    verify_node(root, units, b, &subtree(range.start, bytes), proof)
}

/// What unit `b` hashes to if it is these bytes: a node of the file's tree, or its root where it is the only unit. `None` if
/// there is no such unit, or it is longer or shorter.
#[must_use]
pub fn hash_of(units: Units, b: u64, bytes: &[u8]) -> Option<ChainingValue> {
    let range = units.range(b)?;
    if units.len_of(b) != Some(bytes.len()) {
        return None;
    }
    let is_whole = units.count() == 1;
    Some(if is_whole { *blake3::hash(bytes).as_bytes() } else { subtree(range.start, bytes) })
}

/// Whether unit `b` of the file with this root, of which it is not the only one, hashes to `node`.
///
/// # Errors
/// Says what is wrong with it or with the proof.
pub fn verify_node(
    root: &ContentRoot,
    units: Units,
    b: u64,
    node: &ChainingValue,
    proof: &Proof,
) -> Result<(), BadUnit> {
    if b >= units.count() {
        return Err(BadUnit::Index);
    }
    let steps = climb(units, b);
    if steps.clone().filter(|step| step.sibling().is_some()).count() != proof.len() {
        return Err(BadUnit::Proof);
    }
    let mut node = *node;
    let mut siblings = proof.iter();
    for step in steps {
        let Some(at) = step.sibling() else { continue };
        let sibling = siblings.next().ok_or(BadUnit::Proof)?;
        let (left, right) = if at < step.index { (sibling, &node) } else { (&node, sibling) };
        if step.width == 2 {
            let holds = hazmat::merge_subtrees_root(left, right, Mode::Hash) == root.0;
            return holds.then_some(()).ok_or(BadUnit::Hash);
        }
        node = hazmat::merge_subtrees_non_root(left, right, Mode::Hash);
    }
    Err(BadUnit::Proof)
}

/// The siblings of node `at` among neighbours that make one node of a higher level, bottom up; `None` if there is no such
/// node among them.
#[must_use]
pub fn path_below(nodes: &[ChainingValue], mut at: usize) -> Option<Vec<ChainingValue>> {
    let mut level = nodes.to_vec();
    if at >= level.len() {
        return None;
    }
    let mut path = Vec::new();
    while level.len() > 1 {
        path.extend(level.get(at ^ 1));
        level = above(&level);
        at /= 2;
    }
    Some(path)
}

/// The node that such neighbours make; `None` if there are none.
#[must_use]
pub fn node_of(nodes: &[ChainingValue]) -> Option<ChainingValue> {
    let mut level = nodes.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied()
}

fn above(level: &[ChainingValue]) -> Vec<ChainingValue> {
    let pairs = level.chunks(2).map(|pair| match pair {
        [left, right] => hazmat::merge_subtrees_non_root(left, right, Mode::Hash),
        alone => alone[0],
    });
    pairs.collect()
}

/// Builds the tree of a file whose bytes come in order, in slices of any length; slices of whole groups
/// (16 KiB) are hashed fastest.
#[derive(Clone, Debug)]
pub struct TreeBuilder {
    /// Of the group begun last, which is finished only when another byte comes: alone it would be the root.
    group: Hasher,
    filled: usize,
    groups: Vec<ChainingValue>,
}

impl TreeBuilder {
    /// A tree of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { group: Hasher::new(), filled: 0, groups: Vec::new() }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == GROUP as usize {
                self.groups.push(self.group.finalize_non_root());
                // A new hasher: `reset` does not take back an input offset.
                self.group = Hasher::new();
                self.group.set_input_offset(self.groups.len() as u64 * GROUP);
                self.filled = 0;
            }
            let (now, later) = bytes.split_at(bytes.len().min(GROUP as usize - self.filled));
            self.group.update(now);
            self.filled += now.len();
            bytes = later;
        }
    }

    /// The tree of everything that came.
    #[must_use]
    pub fn finish(mut self) -> Tree {
        let size = self.groups.len() as u64 * GROUP + self.filled as u64;
        if self.groups.is_empty() {
            let root = ContentRoot(*self.group.finalize().as_bytes());
            return Tree { root, size, nodes: Vec::new() };
        }
        self.groups.push(self.group.finalize_non_root());
        let mut nodes = self.groups;
        let (mut start, mut width) = (0, nodes.len());
        while width > 2 {
            for left in (start..start + width).step_by(2) {
                let alone = left + 1 == start + width;
                let above = if alone {
                    nodes[left]
                } else {
                    hazmat::merge_subtrees_non_root(&nodes[left], &nodes[left + 1], Mode::Hash)
                };
                nodes.push(above);
            }
            start += width;
            width = nodes.len() - start;
        }
        let root = hazmat::merge_subtrees_root(&nodes[start], &nodes[start + 1], Mode::Hash);
        Tree { root: ContentRoot(*root.as_bytes()), size, nodes }
    }
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// One node on the way from a unit to the root, in a level of `width` nodes.
#[derive(Clone, Copy, Debug)]
struct Step {
    index: u64,
    width: u64,
}

impl Step {
    /// The node to be merged with, or `None` for an odd last node.
    const fn sibling(&self) -> Option<u64> {
        let sibling = self.index ^ 1;
        if sibling < self.width { Some(sibling) } else { None }
    }
}

/// The nodes from unit `b` up to just below the root.
fn climb(units: Units, b: u64) -> impl Iterator<Item = Step> + Clone {
    let first = Step { index: b, width: units.count() };
    let above = |step: &Step| Some(Step { index: step.index / 2, width: step.width.div_ceil(2) });
    std::iter::successors(Some(first), above).take_while(|step| step.width > 1)
}

/// The widths of the levels below the root, from the groups up.
fn levels(size: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(size.div_ceil(GROUP)), |width| Some(width.div_ceil(2)))
        .take_while(|width| *width > 1)
}

/// The chaining value of a unit, which is never empty when it is not the only one.
fn subtree(start: u64, bytes: &[u8]) -> ChainingValue {
    Hasher::new().set_input_offset(start).update(bytes).finalize_non_root()
}

#[cfg(test)]
mod tests {
    use super::super::units::MAX_LOG;
    use super::*;
    use proptest::prelude::*;

    const KIB: usize = 1024;

    fn file(size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        Hasher::new().update(&size.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn tree_of(bytes: &[u8]) -> Tree {
        let mut builder = TreeBuilder::new();
        builder.update(bytes);
        builder.finish()
    }

    fn unit(bytes: &[u8], units: Units, b: u64) -> &[u8] {
        let range = units.range(b).expect("a unit");
        &bytes[range.start as usize..range.end as usize]
    }

    fn every_unit_verifies(bytes: &[u8]) {
        let tree = tree_of(bytes);
        assert_eq!(tree.root().0, *blake3::hash(bytes).as_bytes(), "{} bytes", bytes.len());
        assert_eq!(tree.size(), bytes.len() as u64);
        assert_eq!(tree.nodes().len() as u64, node_count(tree.size()));
        for log in 0..=MAX_LOG {
            let units = Units::new(tree.size(), log).expect("in range");
            for b in 0..units.count() {
                let proof = tree.proof(units, b).expect("a unit");
                assert_eq!(verify_unit(&tree.root(), units, b, unit(bytes, units, b), &proof), Ok(()));
            }
            assert_eq!(tree.proof(units, units.count()), None);
        }
    }

    #[test]
    fn the_root_is_the_plain_hash_around_every_boundary() {
        let at = [
            0,
            KIB,
            2 * KIB,
            16 * KIB,
            32 * KIB,
            48 * KIB,
            64 * KIB,
            80 * KIB,
            256 * KIB,
            272 * KIB,
            512 * KIB,
        ];
        for size in at.into_iter().chain([768 * KIB, 1024 * KIB, 1280 * KIB]) {
            for size in [size.saturating_sub(1), size, size + 1] {
                every_unit_verifies(&file(size));
            }
        }
    }

    #[test]
    fn every_tree_of_up_to_forty_groups_holds() {
        for groups in 1..=40 {
            every_unit_verifies(&file(groups * GROUP as usize - 7));
        }
    }

    #[test]
    fn the_tallest_proof_has_room() {
        let units = Units::new(super::super::units::MAX_SIZE, 0).expect("in range");
        let proof = proof_with(units, 0, |_| Ok::<_, ()>([0; 32])).expect("readable").expect("a unit");
        assert_eq!(proof.len(), 39);
        assert_eq!(
            verify_unit(&ContentRoot([0; 32]), units, 0, &file(GROUP as usize), &proof),
            Err(BadUnit::Hash)
        );
    }

    #[test]
    fn another_size_does_not_verify() {
        let bytes = file(100 * KIB);
        let tree = tree_of(&bytes);
        let shorter = Units::new(tree.size() - 1, 0).expect("in range");
        let last = shorter.count() - 1;
        let proof = tree.proof(Units::new(tree.size(), 0).expect("in range"), last).expect("a unit");
        let cut = unit(&bytes, shorter, last);
        assert_eq!(verify_unit(&tree.root(), shorter, last, cut, &proof), Err(BadUnit::Hash));
        assert_eq!(tree.proof(shorter, last), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn slices_of_any_length_give_the_same_tree(size in 0..200 * KIB, slices in prop::collection::vec(1..40 * KIB, 1..8)) {
            let bytes = file(size);
            let mut builder = TreeBuilder::new();
            let (mut rest, mut lengths) = (bytes.as_slice(), slices.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*lengths.next().expect("endless")));
                builder.update(now);
                rest = later;
            }
            prop_assert_eq!(builder.finish(), tree_of(&bytes));
        }

        #[test]
        fn nothing_but_the_unit_itself_verifies(
            size in 1..600 * KIB, log in 0..=MAX_LOG, b in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
            bit in 0..8u8, other in any::<prop::sample::Index>(),
        ) {
            let bytes = file(size);
            let tree = tree_of(&bytes);
            let units = Units::new(tree.size(), log).expect("in range");
            let count = units.count();
            let (b, other) = (b.index(count as usize) as u64, other.index(count as usize) as u64);
            let proof = tree.proof(units, b).expect("a unit");
            let verify = |b, bytes: &[u8], proof: &Proof| verify_unit(&tree.root(), units, b, bytes, proof);
            let good = unit(&bytes, units, b);
            prop_assert_eq!(verify(b, good, &proof), Ok(()));

            let mut flipped = good.to_vec();
            flipped[at.index(good.len())] ^= 1 << bit;
            prop_assert_eq!(verify(b, &flipped, &proof), Err(BadUnit::Hash));
            prop_assert_eq!(verify(b, &good[1..], &proof), Err(BadUnit::Length));
            prop_assert_eq!(verify(count, good, &proof), Err(BadUnit::Index));
            if other != b {
                prop_assert!(verify(b, unit(&bytes, units, other), &proof).is_err());
                prop_assert!(verify(other, good, &proof).is_err());
                prop_assert!(verify(b, good, &tree.proof(units, other).expect("a unit")).is_err());
            }

            let mut longer = proof.clone();
            longer.push([0; 32]).expect("room");
            prop_assert_eq!(verify(b, good, &longer), Err(BadUnit::Proof));
            if let Some((_, shorter)) = proof.split_last() {
                let shorter = Proof::first_of(shorter.iter().copied());
                prop_assert_eq!(verify(b, good, &shorter), Err(BadUnit::Proof));
                let mut bent = proof.clone().into_vec();
                let i = at.index(bent.len());
                bent[i][0] ^= 1 << bit;
                let bent = Proof::first_of(bent);
                prop_assert_eq!(verify(b, good, &bent), Err(BadUnit::Hash));
            }
        }
    }
}

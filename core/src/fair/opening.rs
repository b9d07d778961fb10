//! The buyer opens a unit with the key that it got for it, from the vendor or from the broker: it is the content, or it is
//! proof against the vendor.

use super::deal::{self, Deal};
use super::judge::{self, Junk};
use super::sealed::{self, Sealed, SealedUnit, UnitKey};
use crate::amount::Count;
use crate::codec::Bytes;
use crate::coin::key::Key;
use crate::coin::segment::Open;
use crate::content::tree;
use crate::content::units::{GROUP, Units};
use crate::id::NetworkId;
use crate::keys::{Signed, Unverified};

/// A unit under seal as the buyer keeps it from before it is paid until it is opened and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUnit {
    /// What came with it.
    pub unit: SealedUnit,
    /// Its bytes, under seal.
    pub bytes: Vec<u8>,
}

/// Why a unit does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It is under another key.
    Key,
    /// It is not what the vendor promised: this convicts it.
    Junk(Box<Junk>),
}

/// Opens a unit with `K_m` of the deal, which was checked to be that. Its bytes are taken out; if it does not open they stay as
/// they are.
///
/// # Errors
/// If the key is one below the unit's, or the unit is junk.
pub fn open(
    network: &NetworkId,
    open: &Signed<Open>,
    deal: &Signed<Deal>,
    kept: &mut KeptUnit,
    (m, key): (Count, &Key),
) -> Result<Vec<u8>, NotOpened> {
    let b = kept.unit.unit;
    let coin = deal.key_coin(b).filter(|coin| *coin <= m).ok_or(NotOpened::Key)?;
    let units = deal.units().ok_or(NotOpened::Key)?;
    let key = deal.step().walk_down(m, key, Count(m.0 - coin.0));
    let unit_key = UnitKey::of(&key, &deal.hash(), b);
    sealed::turn(&unit_key, &mut kept.bytes);
    if tree::verify_unit(&deal.root, units, b, &kept.bytes, &kept.unit.proof).is_ok() {
        return Ok(std::mem::take(&mut kept.bytes));
    }
    let plain = kept.bytes.clone();
    sealed::turn(&unit_key, &mut kept.bytes);
    let junk = accuse(open, deal, kept, &plain, key).ok_or(NotOpened::Key)?;
    judge::judge(network, &deal.buyer, &junk).map_err(|_| NotOpened::Key)?;
    Err(NotOpened::Junk(Box::new(junk)))
}

/// What is shown of the first leaf that is not the content's.
fn accuse(open: &Signed<Open>, deal: &Signed<Deal>, kept: &KeptUnit, plain: &[u8], key: Key) -> Option<Junk> {
    debug_assert!(deal::bound(deal, open).is_ok(), "only what was opened for is accused");
    let (unit, units) = (&kept.unit, deal.units()?);
    let by_leaf = Units::new(deal.size, 0)?;
    let first = sealed::first_leaf(units, unit.unit);
    let size = usize::try_from(GROUP).ok()?;
    let (leaf, path) = (0u64..).zip(plain.chunks(size)).find_map(|(leaf, bytes)| {
        let path = sealed::leaf_path(units, unit.unit, &unit.leaves, leaf, &unit.proof)?;
        tree::verify_unit(&deal.root, by_leaf, first + leaf, bytes, &path).is_err().then_some((leaf, path))
    })?;
    let at = usize::try_from(leaf).ok()?;
    let said = Sealed { deal: deal.hash(), unit: unit.unit, root: sealed::root_of(&kept.bytes) };
    Some(Junk {
        open: open.wire(),
        deal: deal.wire(),
        sealed: Unverified::rebuild(&said, unit.signature),
        leaf,
        bytes: Bytes::try_from(kept.bytes.chunks(size).nth(at)?.to_vec()).ok()?,
        sealed_path: sealed::path_in(&kept.bytes, leaf)?,
        key,
        should_be: unit.leaves.get(at).copied().unwrap_or_default(),
        path,
    })
}

//! A unit goes under seal at the vendor's, and is looked at by the buyer before it is paid.

use super::deal::Deal;
use super::sealed::{self, Leaves, Sealed, SealedUnit, UnitKey};
use crate::amount::Count;
use crate::coin::key::{Key, KeyChain};
use crate::content::tree::{self, BadUnit, Proof};
use crate::id::NetworkId;
use crate::keys::{SecretKey, Signed, Unverified};

/// What a vendor seals the units of a deal with, at hand as long as it sells by it.
#[derive(Debug)]
pub struct Sealer {
    network: NetworkId,
    holder: SecretKey,
    deal: Signed<Deal>,
    keys: KeyChain,
}

impl Sealer {
    /// For a deal that the holder made, with its keys.
    #[must_use]
    pub const fn new(network: NetworkId, holder: SecretKey, deal: Signed<Deal>, keys: KeyChain) -> Self {
        Self { network, holder, deal, keys }
    }

    /// The deal.
    #[must_use]
    pub const fn deal(&self) -> &Signed<Deal> {
        &self.deal
    }

    /// `K_m`, or `None` beyond the deal's coins.
    #[must_use]
    pub fn key(&self, m: Count) -> Option<Key> {
        self.keys.link(m)
    }

    /// What it takes to put unit `b` under seal, or `None` if the deal has no such unit.
    #[must_use]
    pub fn packing(&self, b: u64) -> Option<Packing> {
        let key = self.key(self.deal.key_coin(b)?)?;
        Some(Packing::new(self.network, self.holder.clone(), self.deal.clone(), b, &key))
    }
}

/// What it takes to put one unit under seal; apart from the till, since it means hashing hundreds of kilobytes.
#[derive(Debug)]
pub struct Packing {
    network: NetworkId,
    holder: SecretKey,
    deal: Signed<Deal>,
    unit: u64,
    key: UnitKey,
}

impl Packing {
    /// For unit `unit` of the deal, under the key of its first coin.
    #[must_use]
    pub fn new(network: NetworkId, holder: SecretKey, deal: Signed<Deal>, unit: u64, key: &Key) -> Self {
        let key = UnitKey::of(key, &deal.hash(), unit);
        Self { network, holder, deal, unit, key }
    }

    /// Puts the unit's bytes under seal. They are compared with the content first: a bad disk would make its owner a cheat.
    ///
    /// # Errors
    /// If the bytes, or the hash values that go along in clear, are not the content's.
    pub fn pack(
        &self,
        mut bytes: Vec<u8>,
        leaves: Leaves,
        proof: Proof,
    ) -> Result<(SealedUnit, Vec<u8>), BadUnit> {
        let units = self.deal.units().ok_or(BadUnit::Index)?;
        tree::verify_unit(&self.deal.root, units, self.unit, &bytes, &proof)?;
        sealed::check_leaves(&self.deal.root, units, self.unit, &leaves, &proof)?;
        sealed::turn(&self.key, &mut bytes);
        let said = Sealed { deal: self.deal.hash(), unit: self.unit, root: sealed::root_of(&bytes) };
        let signature = self.holder.sign(&self.network, said).signature();
        let len = u32::try_from(bytes.len()).map_err(|_| BadUnit::Index)?;
        Ok((SealedUnit { unit: self.unit, len, proof, leaves, signature }, bytes))
    }
}

/// What the vendor signed of these bytes, if they are the unit that comes with them, and its leaves are the content's.
#[must_use]
pub fn look_at(
    network: &NetworkId,
    deal: &Signed<Deal>,
    unit: &SealedUnit,
    bytes: &[u8],
) -> Option<Signed<Sealed>> {
    let units = deal.units()?;
    if units.len_of(unit.unit)? != bytes.len() || deal.last_coin(unit.unit).is_none() {
        return None;
    }
    sealed::check_leaves(&deal.root, units, unit.unit, &unit.leaves, &unit.proof).ok()?;
    let said = Sealed { deal: deal.hash(), unit: unit.unit, root: sealed::root_of(bytes) };
    Unverified::rebuild(&said, unit.signature).verify(network, &deal.holder).ok()
}

//! What a buyer keeps of deals in fair mode: the deal, and its units under seal from before they are paid until they are
//! opened. Their bytes are in one small file per deal, all else is in rows.

use crate::app::{Node, Trouble, lock};
use crate::store::{Batch, Db, Table};
use netpay_core::codec::{self, Wire};
use netpay_core::coin::segment::Open;
use netpay_core::content::tree;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::opening::KeptUnit;
use netpay_core::fair::sealed::SealedUnit;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{Signed, Unverified};
use netpay_core::session::fair_vendor::MAX_SEALED_AHEAD;
use netpay_core::time::Time;
use netpay_core::wallet::Seller;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The deals, by their hash.
const DEALS: Table = Table::new("bought-deals");
/// The units under seal, by deal and number.
const KEPT: Table = Table::new("kept-units");
/// Units that were opened, and whose bytes may not be on the disk yet: how they are checked after a loss of power.
const OPENED: Table = Table::new("opened-units");
/// Rows read at once.
const PAGE: usize = 256;
/// Units that a deal's file has places for: twice as many as may be under seal. A unit takes the place of one that was opened
/// so long ago that a payment went out since, and with it what notes the opened one is durable.
const PLACES: u64 = 2 * MAX_SEALED_AHEAD;

/// A deal as the buyer keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::app) struct DealRow {
    /// The vendor's word.
    pub deal: Unverified<Deal>,
    /// The buyer's, once something was paid.
    pub open: Option<Unverified<Open>>,
    /// Who sells.
    pub seller: Seller,
    /// For which download.
    pub download: u64,
    /// On which of its tabs.
    pub tab: usize,
    /// When it was made, by this peer's clock.
    pub at: Time,
}

impl Wire for DealRow {
    const MAX: usize = 1024;
}

impl DealRow {
    /// The deal and the Open that binds it, if there is one.
    pub fn verified(&self, node: &Node) -> Option<(Signed<Deal>, Option<Signed<Open>>)> {
        let deal = self.deal.clone().verify(&node.network(), &self.seller.holder).ok()?;
        let open =
            self.open.clone().map(|open| open.verify(&node.network(), &deal.buyer)).transpose().ok()?;
        Some((deal, open))
    }
}

/// The deals that are not over.
#[derive(Default)]
pub(in crate::app) struct Deals {
    all: Mutex<BTreeMap<ObjectHash, DealRow>>,
    /// Chains of which a segment was named in a question to a vendor and is not opened yet.
    asking: Mutex<BTreeSet<ChainId>>,
}

/// Keeps a chain from being named twice at once.
pub(super) struct Asking(Node, ChainId);

impl Asking {
    /// Which.
    pub const fn chain(&self) -> ChainId {
        self.1
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        lock(&self.0.0.deals.asking).remove(&self.1);
    }
}

impl Deals {
    /// Takes up the deals of the last run.
    pub fn open(db: &Db) -> Result<Self, Trouble> {
        let (mut all, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
        loop {
            let page = db.scan(DEALS, &[], after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(Self { all: Mutex::new(all), ..Self::default() });
            };
            after = Some(last.clone());
            let rows = page.iter().filter_map(|(key, row)| {
                Some((ObjectHash(key.as_slice().try_into().ok()?), codec::decode(row).ok()?))
            });
            all.extend(rows);
        }
    }
}

impl Node {
    /// The deals for which this holds.
    pub(in crate::app) fn deals(&self, of: impl Fn(&DealRow) -> bool) -> Vec<(ObjectHash, DealRow)> {
        let all = lock(&self.0.deals.all);
        all.iter().filter(|(_, row)| of(row)).map(|(hash, row)| (*hash, row.clone())).collect()
    }

    /// Keeps a deal, or what is new of it.
    pub(super) fn keep_deal(&self, hash: ObjectHash, row: DealRow, batch: &mut Batch) {
        batch.put(DEALS, hash.0, codec::encode(&row));
        lock(&self.0.deals.all).insert(hash, row);
    }

    /// Forgets a deal that is over, with what is kept of it.
    ///
    /// # Errors
    /// If the store fails.
    pub(in crate::app) async fn forget_deal(&self, hash: ObjectHash) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        for table in [KEPT, OPENED] {
            for (key, _) in self.db().scan(table, &hash.0, None, PAGE)? {
                batch.delete(table, key);
            }
        }
        batch.delete(DEALS, hash.0);
        self.db().commit(batch).await?;
        lock(&self.0.deals.all).remove(&hash);
        let _ = std::fs::remove_file(self.chest(&hash));
        Ok(())
    }

    /// Has a chain named in no other question until what is returned is dropped; `None` if it is in one.
    pub(super) fn ask_about(&self, chain: ChainId) -> Option<Asking> {
        lock(&self.0.deals.asking).insert(chain).then(|| Asking(self.clone(), chain))
    }

    /// Whether a chain is named in a question.
    pub(in crate::app) fn is_asked_about(&self, chain: &ChainId) -> bool {
        lock(&self.0.deals.asking).contains(chain)
    }

    /// Makes units under seal durable. Their rows are for whoever calls to write ([`put_unit`]). Blocks.
    pub(super) fn keep_units(
        &self,
        deal: &Signed<Deal>,
        units: &[&(SealedUnit, Vec<u8>)],
    ) -> Result<(), Trouble> {
        if units.is_empty() {
            return Ok(());
        }
        let path = self.chest(&deal.hash());
        let is_new = !path.exists();
        let keep = || {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            for (unit, bytes) in units {
                file.write_all_at(bytes, place(deal, unit.unit))?;
            }
            file.sync_data()?;
            match path.parent().filter(|_| is_new) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        keep().map_err(|e| Trouble::file(&path, e))
    }

    /// The units under seal that are kept of a deal, in order. Blocks.
    pub(in crate::app) fn kept_units(
        &self,
        hash: &ObjectHash,
        deal: &Signed<Deal>,
    ) -> Result<Vec<Arc<KeptUnit>>, Trouble> {
        let rows = self.db().scan(KEPT, &hash.0, None, PAGE)?;
        let Ok(file) = File::open(self.chest(hash)) else { return Ok(Vec::new()) };
        let units = rows.iter().filter_map(|(_, row)| codec::decode::<SealedUnit>(row).ok());
        let kept = units.filter_map(|unit| {
            let mut bytes = vec![0; usize::try_from(unit.len).ok()?];
            file.read_exact_at(&mut bytes, place(deal, unit.unit)).ok()?;
            Some(Arc::new(KeptUnit { unit, bytes }))
        });
        Ok(kept.collect())
    }

    /// The units of a deal that were opened in an earlier run, and whose bytes are not what they were: the power went before
    /// they reached the disk. Blocks.
    pub(super) fn lost_units(
        &self,
        hash: &ObjectHash,
        deal: &Deal,
        file: &File,
    ) -> Result<Vec<u64>, Trouble> {
        let Some(units) = deal.units() else { return Ok(Vec::new()) };
        let rows = self.db().scan(OPENED, &hash.0, None, PAGE)?;
        let opened = rows.iter().filter_map(|(_, row)| codec::decode::<SealedUnit>(row).ok());
        let whole = |unit: &SealedUnit| {
            let (range, len) = units.range(unit.unit).zip(units.len_of(unit.unit))?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, range.start).ok()?;
            tree::verify_unit(&deal.root, units, unit.unit, &bytes, &unit.proof).ok()
        };
        Ok(opened.filter(|unit| whole(unit).is_none()).map(|unit| unit.unit).collect())
    }

    /// How many units of a deal are under seal here.
    pub(in crate::app) fn kept_count(&self, hash: &ObjectHash) -> usize {
        self.db().scan(KEPT, &hash.0, None, PAGE).map_or(0, |rows| rows.len())
    }

    /// The file with the bytes of a deal's units.
    fn chest(&self, hash: &ObjectHash) -> PathBuf {
        self.home().partial().join(format!("{hash}.sealed"))
    }
}

/// Writes that a unit is kept under seal.
pub(super) fn put_unit(batch: &mut Batch, hash: &ObjectHash, unit: &SealedUnit) {
    batch.put(KEPT, key(hash, unit.unit), codec::encode(unit));
}

/// Writes that a unit is under seal no more.
pub(super) fn take_out(batch: &mut Batch, hash: &ObjectHash, unit: u64) {
    batch.delete(KEPT, key(hash, unit));
}

/// Writes that a unit was opened, and its bytes are on their way to the disk.
pub(super) fn put_opened(batch: &mut Batch, hash: &ObjectHash, unit: &SealedUnit) {
    take_out(batch, hash, unit.unit);
    batch.put(OPENED, key(hash, unit.unit), codec::encode(unit));
}

/// Writes that the bytes of a unit are on the disk.
pub(super) fn put_stored(batch: &mut Batch, hash: &ObjectHash, unit: u64) {
    batch.delete(OPENED, key(hash, unit));
}

/// Where in the file a unit's bytes are.
fn place(deal: &Deal, unit: u64) -> u64 {
    let room = deal.units().map_or(0, |units| units.unit_len());
    unit.saturating_sub(deal.first) % PLACES * room
}

fn key(hash: &ObjectHash, unit: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&hash.0);
    key[32..].copy_from_slice(&unit.to_be_bytes());
    key
}

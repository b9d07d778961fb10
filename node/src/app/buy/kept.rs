//! What a buyer keeps of deals in fair mode: the deal, and its units under seal from before they are paid until they are
//! opened. They are in one small file per deal; rows say which of them count.

use super::DownloadState;
use crate::app::pipe::framed;
use crate::app::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Batch, Db, Table};
use netpay_core::codec::{self, Wire};
use netpay_core::coin::segment::Open;
use netpay_core::content::tree::{self, ChainingValue};
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
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The deals, by their hash.
const DEALS: Table = Table::new("bought-deals");
/// The units under seal, by deal and number.
const KEPT: Table = Table::new("kept-units");
/// Units that were opened, and whose bytes may not be on the disk yet: what they hash to, to be compared after a loss of
/// power.
const OPENED: Table = Table::new("opened-units");
/// Rows read at once: more than a deal ever has. Of units opened these are thrice those synced together: gathered, on their way,
/// and there but not yet noted.
const PAGE: usize = 1024;
/// Units that a deal's file has places for: twice as many as may be under seal. A unit takes the place of one that was opened
/// so long ago that a payment went out since, and with it what notes the opened one is durable.
const PLACES: u64 = 2 * MAX_SEALED_AHEAD;
/// How the names of such files end.
const SEALED: &str = "sealed";

/// Bytes of a place ahead of the unit's own: what comes with it, behind its length.
const HEADER: u64 = 4096;

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
    /// Takes up the deals of the last run, and clears away the units under seal of which it left no deal: a crash came
    /// before the deal was durable, or after it was forgotten. Blocks.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(db: &Db, partial: &Path) -> Result<Self, Trouble> {
        let (mut all, mut chests, mut after) = (BTreeMap::new(), BTreeSet::new(), None::<Vec<u8>>);
        loop {
            let page = db.scan(DEALS, &[], after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, row) in page {
                let Ok(hash) = key.as_slice().try_into().map(ObjectHash) else { continue };
                // What a later version keeps stays for it, though it is not understood here.
                chests.insert(chest(partial, &hash));
                all.extend(codec::decode(&row).ok().map(|row| (hash, row)));
            }
        }
        let entries = std::fs::read_dir(partial).into_iter().flatten().flatten();
        let is_left =
            |path: &PathBuf| path.extension().is_some_and(|end| end == SEALED) && !chests.contains(path);
        entries.map(|entry| entry.path()).filter(is_left).for_each(|path| remove(&path));
        Ok(Self { all: Mutex::new(all), ..Self::default() })
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
    pub(super) async fn forget_deal(&self, hash: ObjectHash) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        self.take_all_out(&mut batch, &hash)?;
        self.rows(OPENED, &hash)?.for_each(|(unit, _)| put_stored(&mut batch, &hash, unit));
        batch.delete(DEALS, hash.0);
        self.db().commit(batch).await?;
        lock(&self.0.deals.all).remove(&hash);
        remove(&self.chest(&hash));
        Ok(())
    }

    /// Forgets those of these deals of which nothing can come any more.
    ///
    /// # Errors
    /// If the wallet is locked, or the store fails.
    pub(in crate::app) async fn forget_deals_over(
        &self,
        of: impl Fn(&DealRow) -> bool,
    ) -> Result<(), Trouble> {
        for (hash, row) in self.deals(of) {
            // Whoever asks about its chain may yet open for it, and keeps that Open before it asks no more.
            let is_asked = row.deal.claim().is_ok_and(|deal| self.is_asked_about(&deal.chain));
            if !is_asked && self.is_over(&hash)? {
                self.forget_deal(hash).await?;
            }
        }
        Ok(())
    }

    /// Whether nothing can come of a deal any more about whose chain nobody asks.
    fn is_over(&self, hash: &ObjectHash) -> Result<bool, Trouble> {
        let Some(row) = lock(&self.0.deals.all).get(hash).cloned() else { return Ok(false) };
        let Some((deal, open)) = row.verified(self) else { return Ok(true) };
        let found = self.wallet(|wallet| {
            let chain = wallet.chain(&deal.chain)?;
            let lease = chain.lease(deal.j);
            Some((chain.touchstone().redeem_by, lease.is_none_or(|lease| lease.closed)))
        })?;
        let Some((redeem_by, is_closed)) = found else { return Ok(true) };
        let is_late = clock::time() > redeem_by;
        let is_done = self
            .download(row.download)
            .map_or(true, |view| matches!(view.state, DownloadState::Done | DownloadState::Cancelled));
        let brings_nothing = open.is_none() || (is_closed && self.kept_count(hash) == 0);
        Ok(is_late || (is_done && brings_nothing))
    }

    /// Has a chain named in no other question until what is returned is dropped; `None` if it is in one.
    pub(super) fn ask_about(&self, chain: ChainId) -> Option<Asking> {
        lock(&self.0.deals.asking).insert(chain).then(|| Asking(self.clone(), chain))
    }

    /// Whether a chain is named in a question.
    pub(in crate::app) fn is_asked_about(&self, chain: &ChainId) -> bool {
        lock(&self.0.deals.asking).contains(chain)
    }

    /// Writes units under seal down, and makes them durable if `is_synced`: else they outlive this process, and not the power.
    /// Their rows are for whoever calls to write ([`put_unit`]). Blocks.
    pub(super) fn keep_units(
        &self,
        deal: &Signed<Deal>,
        units: &[&(SealedUnit, Vec<u8>)],
        is_synced: bool,
    ) -> Result<(), Trouble> {
        let hash = deal.hash();
        if units.is_empty() {
            return Ok(());
        }
        let path = self.chest(&hash);
        let keep = || {
            let is_new = !path.exists();
            let Some(file) = self.open_chest(&hash)? else { return Ok(()) };
            for (unit, bytes) in units {
                let at = place(deal, unit.unit);
                file.write_all_at(&framed(&codec::encode(unit), 0), at)?;
                file.write_all_at(bytes, at + HEADER)?;
            }
            if is_synced {
                file.sync_data()?;
            }
            match path.parent().filter(|_| is_new) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        keep().map_err(|e| Trouble::file(&path, e))
    }

    /// The file for a deal's units, created if it is not there; `None` if the deal is over. Blocks.
    fn open_chest(&self, hash: &ObjectHash) -> std::io::Result<Option<File>> {
        // The deals are held meanwhile: whoever forgets this one has done it, or removes the file that is made.
        let all = lock(&self.0.deals.all);
        if !all.contains_key(hash) {
            return Ok(None);
        }
        File::options().create(true).truncate(false).write(true).open(self.chest(hash)).map(Some)
    }

    /// The units under seal that are kept of a deal and that the power left, in order. Blocks.
    pub(in crate::app) fn kept_units(
        &self,
        hash: &ObjectHash,
        deal: &Signed<Deal>,
    ) -> Result<Vec<Arc<KeptUnit>>, Trouble> {
        let rows = self.rows(KEPT, hash)?;
        let Ok(file) = File::open(self.chest(hash)) else { return Ok(Vec::new()) };
        let kept = rows.filter_map(|(number, _)| {
            let at = place(deal, number);
            let read = |len: usize, at| {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, at).is_ok().then_some(bytes)
            };
            let len = u32::from_le_bytes(read(4, at)?.try_into().ok()?);
            let len = usize::try_from(len).ok().filter(|len| *len <= SealedUnit::MAX)?;
            let unit: SealedUnit = codec::decode(&read(len, at + 4)?).ok()?;
            let bytes = read(deal.units()?.len_of(number)?, at + HEADER)?;
            // The one that had the place before may be there again.
            let is_it = unit.unit == number && usize::try_from(unit.len) == Ok(bytes.len());
            is_it.then(|| Arc::new(KeptUnit { unit, bytes }))
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
        let opened = self.rows(OPENED, hash)?;
        let hash_now = |unit: u64| {
            let (range, len) = units.range(unit).zip(units.len_of(unit))?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, range.start).ok()?;
            tree::hash_of(units, unit, &bytes)
        };
        let lost = opened.filter(|(unit, hash)| hash_now(*unit).is_none_or(|now| now != hash.as_slice()));
        Ok(lost.map(|(unit, _)| unit).collect())
    }

    /// The units of a deal that were opened and are not noted to be on the disk.
    pub(super) fn opened_units(&self, hash: &ObjectHash) -> Result<Vec<u64>, Trouble> {
        Ok(self.rows(OPENED, hash)?.map(|(unit, _)| unit).collect())
    }

    /// Writes that nothing of a deal is under seal any more.
    pub(super) fn take_all_out(&self, batch: &mut Batch, hash: &ObjectHash) -> Result<(), Trouble> {
        self.rows(KEPT, hash)?.for_each(|(unit, _)| take_out(batch, hash, unit));
        Ok(())
    }

    /// Makes durable what was written down of a deal and not synced. Blocks.
    pub(super) fn sync_kept(&self, hash: &ObjectHash) -> Result<(), Trouble> {
        let path = self.chest(hash);
        let Ok(file) = File::open(&path) else { return Ok(()) };
        file.sync_data().map_err(|e| Trouble::file(&path, e))
    }

    /// The first unit of a deal that was written down under seal and is not opened.
    pub(super) fn first_kept(&self, hash: &ObjectHash) -> Result<Option<u64>, Trouble> {
        let rows = self.db().scan(KEPT, &hash.0, None, 1)?;
        Ok(rows.first().and_then(|(key, _)| unit_in(key)))
    }

    /// How many units of a deal are under seal here.
    pub(in crate::app) fn kept_count(&self, hash: &ObjectHash) -> usize {
        self.rows(KEPT, hash).map_or(0, Iterator::count)
    }

    /// The units of a deal of which a table has a row, in order, and what it says.
    fn rows(
        &self,
        table: Table,
        hash: &ObjectHash,
    ) -> Result<impl Iterator<Item = (u64, Vec<u8>)> + use<>, Trouble> {
        let rows = self.db().scan(table, &hash.0, None, PAGE)?;
        Ok(rows.into_iter().filter_map(|(key, row)| Some((unit_in(&key)?, row))))
    }

    /// The file with the bytes of a deal's units.
    fn chest(&self, hash: &ObjectHash) -> PathBuf {
        chest(&self.home().partial(), hash)
    }
}

/// The file with the bytes of a deal's units, in this directory.
fn chest(partial: &Path, hash: &ObjectHash) -> PathBuf {
    partial.join(format!("{hash}.{SEALED}"))
}

/// Removes the file of a deal that is over, if there is one.
fn remove(chest: &Path) {
    match std::fs::remove_file(chest) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %chest.display(), "what is left under seal stays till the next start");
        }
        _ => {}
    }
}

/// Writes that a unit is kept under seal.
pub(super) fn put_unit(batch: &mut Batch, hash: &ObjectHash, unit: u64) {
    batch.put(KEPT, key(hash, unit), []);
}

/// Writes that a unit is under seal no more.
pub(super) fn take_out(batch: &mut Batch, hash: &ObjectHash, unit: u64) {
    batch.delete(KEPT, key(hash, unit));
}

/// Writes that a unit was opened, and its bytes are on their way to the disk.
pub(super) fn put_opened(batch: &mut Batch, hash: &ObjectHash, unit: u64, hashes_to: &ChainingValue) {
    take_out(batch, hash, unit);
    batch.put(OPENED, key(hash, unit), hashes_to);
}

/// Writes that the bytes of a unit are on the disk.
pub(super) fn put_stored(batch: &mut Batch, hash: &ObjectHash, unit: u64) {
    batch.delete(OPENED, key(hash, unit));
}

/// Where in the file a unit's bytes are.
fn place(deal: &Deal, unit: u64) -> u64 {
    let room = HEADER + deal.units().map_or(0, |units| units.unit_len());
    unit.saturating_sub(deal.first) % PLACES * room
}

/// The unit whose row has this key.
fn unit_in(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|unit| u64::from_be_bytes(*unit))
}

fn key(hash: &ObjectHash, unit: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&hash.0);
    key[32..].copy_from_slice(&unit.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::Town;
    use crate::app::view::GetRequest;
    use netpay_core::amount::Coins;
    use netpay_core::coin::key::Key;
    use netpay_core::coin::segment::SegmentNo;
    use netpay_core::content::tree::TreeBuilder;
    use netpay_core::fair::sealed::Leaves;
    use netpay_core::keys::{SecretKey, Signature};
    use netpay_core::wallet::Wallet;
    use netpay_core::wire::hello::HolderTag;

    const UNIT: usize = 16 * 1024;

    type Came = (SealedUnit, Vec<u8>);

    /// A deal about a file of so many units and some bytes, the file, and its units as they might come.
    fn scene(node: &Node, chain: ChainId, units: usize) -> (Signed<Deal>, DealRow, Vec<u8>, Vec<Came>) {
        let content: Vec<u8> = (0..units * UNIT - 7).map(|at| (at / 3 % 251) as u8).collect();
        let mut builder = TreeBuilder::new();
        builder.update(&content);
        let tree = builder.finish();
        let holder = SecretKey::from_seed(&[2; 32]);
        let deal = Deal {
            chain,
            j: SegmentNo(1),
            holder: holder.public(),
            buyer: SecretKey::from_seed(&[1; 32]).public(),
            root: tree.root(),
            size: content.len() as u64,
            price: Coins(units as u64),
            unit_log: 0,
            first: 0,
            count: units as u64,
            key_root: Key([4; 32]),
            made: Time(0),
            salt: [5; 16],
        };
        let deal = holder.sign(&node.network(), deal);
        let seller = Seller { node: node.me(), tag: HolderTag([6; 16]), holder: holder.public() };
        let row = DealRow { deal: deal.wire(), open: None, seller, download: 1, tab: 0, at: Time(0) };
        let geometry = deal.units().expect("a geometry");
        let sealed = content.chunks(UNIT).enumerate().map(|(b, bytes)| {
            let unit = SealedUnit {
                unit: b as u64,
                len: u32::try_from(bytes.len()).expect("a unit"),
                proof: tree.proof(geometry, b as u64).expect("a path"),
                leaves: Leaves::first_of(tree.nodes().get(b).copied()),
                signature: Signature([7; 64]),
            };
            (unit, bytes.iter().map(|byte| !byte).collect())
        });
        let sealed = sealed.collect();
        (deal, row, content, sealed)
    }

    /// A chain of the first peer.
    async fn minted(town: &Town) -> ChainId {
        town.mint(0, 10).await;
        let first = |wallet: &mut Wallet| wallet.chains().next().map(|(chain, _)| *chain);
        town.peers[0].wallet(first).expect("open").expect("minted")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_under_seal_is_there_again_and_what_the_power_took_is_found() {
        let town = Town::of(3).await;
        let node = &town.peers[0];
        let chain = minted(&town).await;
        // Whoever looks for deals that are over leaves it alone.
        let _asking = node.ask_about(chain).expect("by nobody else");
        let (deal, row, content, sealed) = scene(node, chain, 3);
        let hash = deal.hash();
        let all: Vec<_> = sealed.iter().collect();
        // Of a deal that is forgotten nothing is kept.
        node.keep_units(&deal, &all, true).expect("nothing to do");
        assert!(!node.chest(&hash).exists());

        let mut batch = Batch::new();
        node.keep_deal(hash, row, &mut batch);
        node.keep_units(&deal, &all, true).expect("kept");
        // Only what has a row counts.
        [0, 2].into_iter().for_each(|unit| put_unit(&mut batch, &hash, unit));
        node.db().commit(batch).await.expect("durable");
        let kept: Vec<_> = node.kept_units(&hash, &deal).expect("readable");
        let kept: Vec<_> = kept.iter().map(|kept| (kept.unit.clone(), kept.bytes.clone())).collect();
        assert!(kept == [sealed[0].clone(), sealed[2].clone()], "{} are there", kept.len());
        assert_eq!(node.kept_count(&hash), 2);
        assert_eq!(node.first_kept(&hash).expect("readable"), Some(0));
        // What had the place before is no unit under seal, nor is one of another length.
        let chest = File::options().write(true).open(node.chest(&hash)).expect("there");
        let before = SealedUnit { unit: 1, ..sealed[0].0.clone() };
        let shorter = SealedUnit { len: 9, ..sealed[0].0.clone() };
        for other in [before, shorter] {
            chest.write_all_at(&framed(&codec::encode(&other), 0), place(&deal, 0)).expect("written");
            let kept = node.kept_units(&hash, &deal).expect("readable");
            assert_eq!(kept.iter().map(|kept| kept.unit.unit).collect::<Vec<_>>(), [2]);
        }
        assert_eq!(node.first_kept(&hash).expect("readable"), Some(0));

        let mut batch = Batch::new();
        for unit in [0, 2] {
            let hashes_to = tree::node_of(&sealed[unit].0.leaves).expect("a leaf");
            put_opened(&mut batch, &hash, unit as u64, &hashes_to);
        }
        node.db().commit(batch).await.expect("durable");
        assert_eq!(node.kept_count(&hash), 0);
        let path = town.dir.path().join("part");
        std::fs::write(&path, &content).expect("written");
        let file = File::options().read(true).write(true).open(&path).expect("there");
        let lost = || node.lost_units(&hash, &deal, &file).expect("readable");
        assert!(lost().is_empty());
        file.write_all_at(&[0; 5], 2 * UNIT as u64 + 9).expect("written");
        assert_eq!(lost(), [2]);
        file.set_len(UNIT as u64 - 1).expect("cut");
        assert_eq!(lost(), [0, 2]);

        node.forget_deal(hash).await.expect("durable");
        assert!(lost().is_empty());
        assert!(!node.chest(&hash).exists());
        town.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_next_start_clears_away_what_a_crash_left_under_seal_of_no_deal() {
        let town = Town::of(3).await;
        let node = &town.peers[0];
        let chain = minted(&town).await;
        let _asking = node.ask_about(chain).expect("by nobody else");
        let (deal, row, _, sealed) = scene(node, chain, 3);
        let hash = deal.hash();
        let partial = node.home().partial();
        let mut batch = Batch::new();
        node.keep_deal(hash, row, &mut batch);
        batch.put(DEALS, [8; 32], b"of a later version");
        node.db().commit(batch).await.expect("durable");
        node.keep_units(&deal, &[&sealed[0]], false).expect("kept");
        let left = chest(&partial, &ObjectHash([7; 32]));
        let others = [chest(&partial, &ObjectHash([8; 32])), partial.join("7.part")];
        for path in others.iter().chain([&left]) {
            std::fs::write(path, "left").expect("written");
        }
        let deals = Deals::open(node.db(), &partial).expect("readable");
        assert_eq!(lock(&deals.all).keys().collect::<Vec<_>>(), [&hash]);
        assert!(!left.exists());
        assert!(others.iter().chain([&node.chest(&hash)]).all(|path| path.exists()));
        node.forget_deal(hash).await.expect("durable");
        town.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_download_that_ends_leaves_no_deal_of_which_nothing_can_come() {
        let town = Town::of(3).await;
        let node = &town.peers[0];
        let (deal, row, _, sealed) = scene(node, minted(&town).await, 3);
        let (hash, download) = (deal.hash(), row.download);
        // It was never opened for: a crash came first.
        let mut batch = Batch::new();
        node.keep_deal(hash, row, &mut batch);
        put_unit(&mut batch, &hash, 0);
        node.db().commit(batch).await.expect("durable");
        node.keep_units(&deal, &[&sealed[0]], false).expect("kept");
        let file = town.file("song.flac", 1_000);
        let shared = town.peers[1].share_add(vec![file], 0, vec![], false).await.expect("shared");
        let request = GetRequest { what: shared[0].id.clone(), ..GetRequest::default() };
        assert_eq!(node.get(request).await.expect("somebody has it").id, download);
        node.settled(download).await;
        // Whoever works at it holds its turn to the end.
        drop(node.turn(download).expect("it is there").lock().await);
        assert!(node.deals(|_| true).is_empty());
        assert_eq!(node.kept_count(&hash), 0);
        assert!(!node.chest(&hash).exists());
        town.stop().await;
    }
}

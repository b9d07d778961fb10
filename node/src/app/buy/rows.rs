//! What is stored of downloads: a row each, and a row for each unit it has.

use crate::app::Trouble;
use crate::app::view::{DownloadState, DownloadView};
use crate::store::{Batch, Db, Table};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Text, Wire};
use netpay_core::content::units::Units;
use netpay_core::fair::policy::Fair;
use netpay_core::id::ContentRoot;
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
use netpay_core::wire::trade::TabId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The downloads.
pub(super) const DOWNLOADS: Table = Table::new("downloads");
/// The units each has: who they came from.
const UNITS: Table = Table::new("download-units");
/// Vendors one download may have bought from.
pub(super) const MAX_TABS: usize = 32;
/// Units forgotten in one batch.
const FORGET: usize = 4096;

/// A running account at one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TabRow {
    pub vendor: PublicKey,
    pub tab: TabId,
    /// The vendor's price of the whole file.
    pub price: Coins,
    pub paid: Coins,
    /// What its units cost that are verified.
    pub owed: Coins,
    /// Whether it is of fair mode: what was paid for deals, of which its vendor keeps no account.
    pub is_fair: bool,
}

/// A download as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DownloadRow {
    pub id: u64,
    pub root: ContentRoot,
    pub name: Text<255>,
    pub size: u64,
    /// As quoted.
    pub price: Coins,
    /// No vendor dearer than this.
    pub ceiling: Coins,
    pub unit_log: u8,
    pub output: Text<4096>,
    pub from: Option<PublicKey>,
    /// When it is bought in fair mode.
    pub fair: Fair,
    pub keep_open: bool,
    pub state: DownloadState,
    pub began: Time,
    pub tabs: List<TabRow, MAX_TABS>,
}

impl Wire for DownloadRow {
    const MAX: usize = 16 * 1024;
}

impl DownloadRow {
    /// Writes it.
    pub fn put(&self, batch: &mut Batch) {
        batch.put(DOWNLOADS, self.id.to_be_bytes(), codec::encode(self));
    }

    /// Paid on all tabs.
    pub fn paid(&self) -> Coins {
        Coins(self.tabs.iter().map(|tab| tab.paid.0).sum())
    }

    /// How it looks before anything happened in this run.
    pub fn view(&self) -> DownloadView {
        DownloadView {
            id: self.id,
            root: self.root.to_string(),
            name: self.name.to_string(),
            size: self.size,
            price: self.price.0,
            paid: self.paid().0,
            have: if self.state == DownloadState::Done { self.size } else { 0 },
            state: self.state,
            path: self.output.to_string(),
            vendors: self.tabs.iter().map(|tab| tab.vendor.to_string()).collect(),
            began: self.began.0,
            ..DownloadView::default()
        }
    }
}

/// Writes that a download has a unit, and from which of its tabs.
pub(super) fn put_unit(batch: &mut Batch, id: u64, unit: u64, tab: usize) {
    batch.put(UNITS, unit_key(id, unit), [u8::try_from(tab).unwrap_or(u8::MAX)]);
}

/// The units a download has, and from which of its tabs.
pub(super) fn units(db: &Db, id: u64) -> Result<BTreeMap<u64, usize>, Trouble> {
    let (mut units, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
    loop {
        let page = db.scan(UNITS, &id.to_be_bytes(), after.as_deref(), FORGET)?;
        let Some((last, _)) = page.last() else { return Ok(units) };
        after = Some(last.clone());
        for (key, value) in &page {
            let unit = key.get(8..16).and_then(|unit| unit.try_into().ok()).map(u64::from_be_bytes);
            let tab = value.first().map(|tab| usize::from(*tab));
            units.extend(unit.zip(tab));
        }
    }
}

/// The bytes a download has.
pub(super) fn have_bytes(db: &Db, row: &DownloadRow) -> Result<u64, Trouble> {
    if row.state == DownloadState::Done {
        return Ok(row.size);
    }
    let Some(geometry) = Units::new(row.size, row.unit_log) else { return Ok(0) };
    Ok(units(db, row.id)?.keys().filter_map(|unit| geometry.len_of(*unit)).map(|len| len as u64).sum())
}

/// A batch that forgets some of a download's units; empty when none are left.
pub(super) fn forget(db: &Db, id: u64) -> Result<Batch, Trouble> {
    let mut batch = Batch::new();
    for (key, _) in db.scan(UNITS, &id.to_be_bytes(), None, FORGET)? {
        batch.delete(UNITS, key);
    }
    Ok(batch)
}

/// All downloads stored.
pub(super) fn load(db: &Db) -> Result<Vec<DownloadRow>, Trouble> {
    let (mut rows, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = db.scan(DOWNLOADS, &[], after.as_deref(), 256)?;
        let Some((last, _)) = page.last() else { return Ok(rows) };
        after = Some(last.clone());
        rows.extend(page.iter().filter_map(|(_, row)| codec::decode::<DownloadRow>(row).ok()));
    }
}

fn unit_key(id: u64, unit: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&id.to_be_bytes());
    key[8..].copy_from_slice(&unit.to_be_bytes());
    key
}

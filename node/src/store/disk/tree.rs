//! What is read from: sled. Everything in it since the last checkpoint is in the journal as well.
//!
//! Three things about sled 0.34.7 shape this file. Its `flush` does not reach through the cache of a disk, so a checkpoint syncs
//! its files itself. Pages over a quarter of a segment go into files of their own which are never synced, so long values
//! are cut into pieces here, and no page gets that large. After a failed write it refuses everything, so the store stops then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::store::batch::{Op, ops};
use crate::store::files;
use crate::store::{KEY_MAX, Page, SCAN_MAX_BYTES, SCAN_MAX_ROWS, StoreError, TABLE_NAME_MAX, Table};

/// sled's page cache. The operating system caches the file as well; a peer at rest is to stay small.
const CACHE_BYTES: u64 = 4 << 20;
/// sled's own default, stated because [`PIECE_MAX`] follows from it.
const SEGMENT_BYTES: usize = 512 << 10;
/// How often sled is asked again for its lock, and how long after each time. Its threads let go of a database a moment after
/// its last handle is gone; who holds our own lock has nobody else to fear.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Longer values are cut into pieces of this.
const PIECE_MAX: usize = 4 << 10;

// sled stores a page in a file of its own from a quarter of a segment on. A leaf has up to 17 rows, and 3 more while it
// takes in a neighbour; an inner page up to 257 keys and 63 more. 64 bytes a row are more than its encoding adds.
const PAGE_MAX: usize = SEGMENT_BYTES / 4;
const _: () = assert!(20 * (PIECE_MAX + KEY_MAX + PIECE_KEY_EXTRA + 64) < PAGE_MAX);
const _: () = assert!(320 * (KEY_MAX + PIECE_KEY_EXTRA + 32) < PAGE_MAX);
const PIECE_KEY_EXTRA: usize = TABLE_NAME_MAX + 1 + 4;

// Names that no `Table` can have.
const META: &str = "store.meta";
const PIECES: &str = "store.pieces";
const SLED_DEFAULT: &[u8] = b"__sled__default";
/// The row of `META` with the number of the group that was applied last.
const APPLIED: &[u8] = b"applied";

const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;

/// See the module.
pub(super) struct Tree {
    path: PathBuf,
    db: sled::Db,
    meta: sled::Tree,
    pieces: sled::Tree,
    /// The lock is what makes a group visible at once: readers hold it shared, `apply` alone.
    tables: RwLock<BTreeMap<String, sled::Tree>>,
}

type Tables = BTreeMap<String, sled::Tree>;

impl Tree {
    /// Opens sled in that directory, or creates it. The caller holds the lock of the database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        let db = open_patiently(&config).map_err(|e| open_error(path, e))?;
        let tree = |name: &[u8]| db.open_tree(name).map_err(|e| open_error(path, e));
        let mut tables = Tables::new();
        for name in db.tree_names() {
            if name.as_ref() != SLED_DEFAULT
                && let Ok(text) = std::str::from_utf8(&name)
            {
                tables.insert(text.to_owned(), tree(&name)?);
            }
        }
        let (meta, pieces) = (tree(META.as_bytes())?, tree(PIECES.as_bytes())?);
        Ok(Self { path: path.to_owned(), meta, pieces, tables: RwLock::new(tables), db })
    }

    /// The number of the group that was applied last; `None` in a new one.
    pub fn applied(&self) -> Result<Option<u64>, StoreError> {
        let Some(row) = self.meta.get(APPLIED).map_err(|e| self.error(e))? else {
            return Ok(None);
        };
        let number = row.as_ref().try_into().map_err(|_| self.damaged("the row of the last group"))?;
        Ok(Some(u64::from_be_bytes(number)))
    }

    /// Carries out a group. Doing so again, also after only a part of it was done, gives the same.
    pub fn apply(&self, group: u64, changes: &[u8]) -> Result<(), StoreError> {
        // The last change of a row counts. In the order of keys, neighbouring rows find their page in the cache.
        let mut folded = BTreeMap::new();
        for op in ops(changes) {
            let Op { table, key, value } = op?;
            folded.insert((table, key), value);
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for ((table, key), value) in folded {
            let rows = match tables.get(table) {
                Some(rows) => rows,
                None => {
                    let rows = self.db.open_tree(table).map_err(|e| self.error(e))?;
                    tables.entry(table.to_owned()).or_insert(rows)
                }
            };
            self.change(rows, Op { table, key, value })?;
        }
        self.meta.insert(APPLIED, &group.to_be_bytes()).map_err(|e| self.error(e))?;
        Ok(())
    }

    /// The value of a row.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = tables.get(table.name()) else {
            return Ok(None);
        };
        match rows.get(key).map_err(|e| self.error(e))? {
            Some(stored) => self.read(table.name(), key, &stored).map(Some),
            None => Ok(None),
        }
    }

    /// A page of rows; see [`crate::store::Store::scan`].
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = tables.get(table.name()) else {
            return Ok(Page::new());
        };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page = Page::new();
        let mut bytes = 0;
        for row in rows.range::<&[u8], _>((start, Bound::Unbounded)).take(limit.min(SCAN_MAX_ROWS)) {
            let (key, stored) = row.map_err(|e| self.error(e))?;
            if !key.starts_with(prefix) || bytes >= SCAN_MAX_BYTES {
                break;
            }
            let value = self.read(table.name(), &key, &stored)?;
            bytes += key.len() + value.len();
            page.push((key.to_vec(), value));
        }
        Ok(page)
    }

    /// A page of rows, the last first; see [`crate::store::Store::scan_back`].
    pub fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = tables.get(table.name()) else {
            return Ok(Page::new());
        };
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Page::new();
        let mut bytes = 0;
        for row in rows.range::<&[u8], _>((Bound::Unbounded, end)).rev().take(limit.min(SCAN_MAX_ROWS)) {
            let (key, stored) = row.map_err(|e| self.error(e))?;
            if bytes >= SCAN_MAX_BYTES {
                break;
            }
            let value = self.read(table.name(), &key, &stored)?;
            bytes += key.len() + value.len();
            page.push((key.to_vec(), value));
        }
        Ok(page)
    }

    /// Makes everything applied durable without the journal.
    pub fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|e| self.error(e))?;
        for entry in fs::read_dir(&self.path).map_err(|e| StoreError::io("listing", &self.path, e))? {
            let path = entry.map_err(|e| StoreError::io("listing", &self.path, e))?.path();
            if path.is_file() {
                File::open(&path)
                    .and_then(|file| file.sync_data())
                    .map_err(|e| StoreError::io("syncing", &path, e))?;
            }
        }
        files::sync_dir(&self.path).map_err(|e| StoreError::io("syncing", &self.path, e))
    }

    fn change(&self, rows: &sled::Tree, op: Op<'_>) -> Result<(), StoreError> {
        let Op { table, key, value } = op;
        let old_pieces = match value.filter(|value| value.len() > PIECE_MAX) {
            None => {
                let old = match value {
                    Some(value) => rows.insert(key, whole(value)),
                    None => rows.remove(key),
                };
                return self.drop_pieces(
                    table,
                    key,
                    pieces_of(old.map_err(|e| self.error(e))?.as_deref()),
                    0,
                );
            }
            Some(_) => pieces_of(rows.get(key).map_err(|e| self.error(e))?.as_deref()),
        };
        let value = value.unwrap_or_default();
        for (index, piece) in value.chunks(PIECE_MAX).enumerate() {
            self.pieces.insert(piece_key(table, key, index), piece).map_err(|e| self.error(e))?;
        }
        let mut head = vec![IN_PIECES];
        head.extend_from_slice(&(value.len() as u32).to_le_bytes());
        rows.insert(key, head).map_err(|e| self.error(e))?;
        self.drop_pieces(table, key, old_pieces, value.len().div_ceil(PIECE_MAX))
    }

    fn drop_pieces(&self, table: &str, key: &[u8], had: usize, has: usize) -> Result<(), StoreError> {
        for index in has..had {
            self.pieces.remove(piece_key(table, key, index)).map_err(|e| self.error(e))?;
        }
        Ok(())
    }

    fn read(&self, table: &str, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(value.to_vec()),
            Some((&IN_PIECES, length)) => {
                let length =
                    length.try_into().map(u32::from_le_bytes).map_err(|_| self.damaged("a row"))? as usize;
                let mut value = Vec::with_capacity(length);
                for index in 0..length.div_ceil(PIECE_MAX) {
                    let piece = self.pieces.get(piece_key(table, key, index)).map_err(|e| self.error(e))?;
                    value.extend_from_slice(&piece.ok_or_else(|| self.damaged("a long row"))?);
                }
                if value.len() == length { Ok(value) } else { Err(self.damaged("a long row")) }
            }
            _ => Err(self.damaged("a row")),
        }
    }

    fn error(&self, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Io(error) => StoreError::io("using", &self.path, error),
            other => StoreError::Corrupt(format!("{}: {other}", self.path.display())),
        }
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Corrupt(format!("{}: {what} is not in the form it was written", self.path.display()))
    }
}

fn whole(value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + value.len());
    stored.push(WHOLE);
    stored.extend_from_slice(value);
    stored
}

/// How many pieces belong to what is stored.
fn pieces_of(stored: Option<&[u8]>) -> usize {
    match stored.and_then(<[u8]>::split_first) {
        Some((&IN_PIECES, length)) => {
            length.try_into().map_or(0, |length| (u32::from_le_bytes(length) as usize).div_ceil(PIECE_MAX))
        }
        _ => 0,
    }
}

fn piece_key(table: &str, key: &[u8], index: usize) -> Vec<u8> {
    [table.as_bytes(), &[0], key, &(index as u32).to_be_bytes()].concat()
}

fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 1..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    config.open()
}

fn open_error(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if is_locked(&error) => StoreError::InUse(path.to_owned()),
        sled::Error::Io(error) => StoreError::io("opening", path, error),
        other => StoreError::Corrupt(format!("{}: {other}", path.display())),
    }
}

/// sled says in words only that somebody else has the file.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

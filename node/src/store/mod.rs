//! Where everything a peer or a broker must not forget is kept: ordered tables of opaque bytes, changed by batches
//! that are durable before anyone is told so.
//!
//! Two backends behind one trait: [`Db::open`] (a journal as the source of truth, sled for reading) and [`Db::memory`]
//! (for simulations and tests). One suite runs on both.

mod batch;
mod commit;
mod disk;
mod error;
pub mod files;
mod memory;
mod row;
#[cfg(test)]
mod suite;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

pub use batch::{BATCH_MAX_BYTES, BATCH_MAX_OPS, Batch, KEY_MAX, TABLE_NAME_MAX, Table, VALUE_MAX};
pub use commit::Commit;
pub use error::StoreError;
pub use row::{Row, Rows};

/// Most rows in one page of a scan, whatever limit was asked for.
pub const SCAN_MAX_ROWS: usize = 4_096;
/// A page of a scan ends with the row that takes it over this many bytes.
pub const SCAN_MAX_BYTES: usize = 4 << 20;

/// Ordered tables of bytes.
///
/// Reads see a batch once it is durable, and then whole. Batches become durable in the order of their `commit` calls.
/// A commit that was answered with `Ok` survives the loss of the process and of power.
pub trait Store: Send + Sync + 'static {
    /// The value of a row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// A page of the rows whose keys begin with `prefix`, in the order of their keys, from the first one behind `after` on.
    /// A page is as of one moment and has at most `limit`, [`SCAN_MAX_ROWS`] or (about) [`SCAN_MAX_BYTES`]; only an empty
    /// page is the end. The next page is `scan` again with the last key as `after`.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// A page of rows in the opposite order, from the last one ahead of `before`, or of all, on; otherwise as
    /// [`Store::scan`].
    fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError>;

    /// Hands over a batch; it is carried out whether or not the answer is awaited. While the queue to the disk is full this
    /// blocks the calling thread, for about one write; the writer depends on nobody, so it always goes on.
    fn commit(&self, batch: Batch) -> Commit;

    /// Carries out what was committed, tidies up, and refuses everything afterwards. Dropping the last handle does the
    /// same, but cannot say whether it went well.
    fn close(&self) -> Result<(), StoreError>;
}

/// Rows as keys and values.
pub type Page = Vec<(Vec<u8>, Vec<u8>)>;

/// A handle to a store, cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<dyn Store>);

impl Db {
    /// Opens the database in that directory, and creates it where there is none. Replays the journal, so it may take a second
    /// after a crash.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(disk::Disk::open(directory, disk::Options::default())?)))
    }

    /// An empty database that is forgotten with its last handle.
    pub fn memory() -> Self {
        Self(Arc::new(memory::Memory::default()))
    }

    /// A handle to a store of one's own, for tests that make it fail.
    pub fn from_store(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Db {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

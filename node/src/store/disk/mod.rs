//! The backend that remembers: one writer thread, a checksummed journal, and sled to read from.
//!
//! A group of batches is appended to the journal and fsynced, then applied to sled, then acknowledged. At a
//! checkpoint sled is made durable, a new journal is begun, and the old one removed. What is found after a loss of power:
//!
//! | lost when | found |
//! |---|---|
//! | before the fsync of a group ended | the group whole, or a torn end that is cut off; nobody was told of it |
//! | before sled had the group | the journal has it: replayed |
//! | sled flushed, no new journal | the old journal, replayed over what it led to: the same |
//! | new journal made, old one still there | the newest counts, the others are removed |
//!
//! What is left to trust: sled writes between checkpoints, and reuses space of its file after `sync_file_range` only. The
//! fsyncs of the journal also commit these writes where both files share a file system that journals in order and a disk
//! (ext4, xfs). If they ever got lost all the same, the number of the last group in sled and its own checksums tell.

mod journal;
mod queue;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use self::journal::{Found, Journal, Medium, NotCreated, RealMedium};
use self::queue::{Job, Queue};
use self::tree::Tree;
use self::writer::Writer;
use super::files::{self, FileLock};
use super::{Batch, Commit, Page, Store, StoreError, Table};

/// A journal of this size is followed by a checkpoint.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Commits are refused while the file system has less room than this: what was journaled must still find its place in sled,
/// which does not survive a failed write.
const RESERVE_BYTES: u64 = 32 << 20;

/// What tests change.
pub(super) struct Options {
    checkpoint_bytes: u64,
    reserve_bytes: u64,
    checkpoint_on_close: bool,
    medium: Arc<dyn Medium>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checkpoint_bytes: CHECKPOINT_BYTES,
            reserve_bytes: RESERVE_BYTES,
            checkpoint_on_close: true,
            medium: Arc::new(RealMedium),
        }
    }
}

/// See the module.
pub(super) struct Disk {
    shared: Arc<Shared>,
    writer: Mutex<Option<Running>>,
}

/// The writer, and the lock that it is protected by until it has ended.
struct Running {
    thread: JoinHandle<Result<(), StoreError>>,
    _lock: FileLock,
}

/// What the writer and its callers share.
struct Shared {
    queue: Queue,
    /// `None` once closed, so that closing also lets go of sled's lock.
    tree: RwLock<Option<Arc<Tree>>>,
    /// Why nothing works any more.
    stopped: OnceLock<StoreError>,
}

impl Disk {
    /// Opens or creates the database in that directory.
    pub fn open(directory: &Path, options: Options) -> Result<Self, StoreError> {
        files::create_dir_durably(directory).map_err(|e| StoreError::io("creating", directory, e))?;
        let lock = directory.join("lock");
        let lock = FileLock::take(&lock).map_err(|e| StoreError::io("locking", &lock, e))?;
        let lock = lock.ok_or_else(|| StoreError::InUse(directory.to_owned()))?;
        let tree = Arc::new(Tree::open(&directory.join("sled"))?);
        let journal = recover(directory, &tree, &*options.medium)?;
        journal::remove_others(directory, journal.path())?;
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            tree: RwLock::new(Some(tree.clone())),
            stopped: OnceLock::new(),
        });
        let writer = Writer::new(directory, options, journal, tree, shared.clone());
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())
            .map_err(|e| StoreError::io("starting the writer of", directory, e))?;
        Ok(Self { shared, writer: Mutex::new(Some(Running { thread, _lock: lock })) })
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.tree()?.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.shared.tree()?.scan(table, prefix, after, limit)
    }

    fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError> {
        self.shared.tree()?.scan_back(table, before, limit)
    }

    fn commit(&self, batch: Batch) -> Commit {
        let bytes = match batch.into_bytes() {
            Ok(bytes) => bytes,
            Err(error) => return Commit::known(Err(error)),
        };
        let (answer, commit) = Commit::pending();
        match self.shared.queue.push(Job { bytes, answer }) {
            Ok(()) => commit,
            Err(_) => Commit::known(Err(self.shared.stopped.get().cloned().unwrap_or(StoreError::Closed))),
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        self.shared.queue.close();
        // Held while joining, so that a second caller returns no earlier than the first.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running { thread, _lock }) = writer.take() else {
            return Ok(());
        };
        // A panic of the writer has been recorded as the reason to stop.
        let result = thread.join().unwrap_or(Ok(()));
        self.shared.tree.write().unwrap_or_else(PoisonError::into_inner).take();
        match self.shared.stopped.get() {
            Some(error) => Err(error.clone()),
            None => result,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the database");
        }
    }
}

impl Shared {
    fn tree(&self) -> Result<Arc<Tree>, StoreError> {
        if let Some(error) = self.stopped.get() {
            return Err(error.clone());
        }
        self.tree.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)
    }

    /// Ends everything: what waits, what comes, and reads, which could see half of a group.
    fn stop(&self, why: String) -> StoreError {
        let error = self.stopped.get_or_init(|| StoreError::Stopped(why)).clone();
        tracing::error!(%error, "the database has stopped");
        self.queue.close();
        error
    }
}

/// Brings sled to where the journal ends, and gives the journal to go on with.
fn recover(directory: &Path, tree: &Tree, medium: &dyn Medium) -> Result<Journal, StoreError> {
    let applied = tree.applied()?;
    let Some(found) = Found::newest(directory)? else {
        // A crash while creating leaves no journal, but no group in sled either.
        return match applied {
            None => Journal::create(medium, directory, 0).map_err(NotCreated::into_error),
            Some(_) => Err(StoreError::Corrupt(format!("{} has data but no journal", directory.display()))),
        };
    };
    let applied = applied.unwrap_or(0);
    if applied < found.base {
        return Err(StoreError::Corrupt(format!(
            "{}: the checkpoint was at group {}, but only group {applied} is there",
            directory.display(),
            found.base
        )));
    }
    if applied > found.last {
        // The end of the journal was damaged after it had been applied. sled has all of it, and replaying the
        // rest would take rows back to what they were before.
        tracing::warn!(journal = %found.path().display(), applied, last = found.last, "the end of the journal is damaged, but was applied");
        tree.make_durable()?;
        return Journal::create(medium, directory, applied).map_err(NotCreated::into_error);
    }
    for (group, changes) in found.groups() {
        tree.apply(group, changes)?;
    }
    Journal::resume(medium, found)
}

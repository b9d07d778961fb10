//! The one thread that writes: takes what waits, journals it, applies it, answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::{self, AppendError, Journal, NotCreated};
use super::queue::Job;
use super::tree::Tree;
use super::{Options, Shared};
use crate::store::StoreError;

/// The memory for a record that is kept between groups.
const RECORD_KEEP: usize = 256 << 10;
/// Commits are refused when checkpoints failed until the journal was this many times as large as it should be.
const OVERGROWN: u64 = 4;

/// See the module.
pub(super) struct Writer {
    directory: PathBuf,
    options: Options,
    journal: Journal,
    tree: Arc<Tree>,
    shared: Arc<Shared>,
    /// Why no more can be written, if so.
    read_only: Option<StoreError>,
}

impl Writer {
    /// A writer that goes on with that journal.
    pub fn new(
        directory: &Path,
        options: Options,
        journal: Journal,
        tree: Arc<Tree>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { directory: directory.to_owned(), options, journal, tree, shared, read_only: None }
    }

    /// Runs until the queue is closed and empty.
    pub fn run(mut self) -> Result<(), StoreError> {
        let _guard = StopOnPanic(self.shared.clone());
        while let Some(group) = self.shared.queue.take_group() {
            let result = self.write(&group);
            for job in group {
                // Who dropped the commit does not want to know.
                let _ = job.answer.send(result.clone());
            }
            if self.journal.used() >= self.options.checkpoint_bytes
                && self.is_sound()
                && let Err(error) = self.checkpoint()
            {
                tracing::warn!(%error, "a checkpoint failed; the journal grows until one succeeds");
            }
        }
        // So that the next open has nothing to replay.
        if self.is_sound() && self.journal.used() > 0 && self.options.checkpoint_on_close {
            self.checkpoint()
        } else {
            Ok(())
        }
    }

    fn write(&mut self, group: &[Job]) -> Result<(), StoreError> {
        if let Some(error) = self.shared.stopped.get().or(self.read_only.as_ref()) {
            return Err(error.clone());
        }
        if group.iter().all(|job| job.bytes.is_empty()) {
            return Ok(());
        }
        if self.journal.used() >= OVERGROWN * self.options.checkpoint_bytes {
            self.checkpoint()?;
        }
        self.check_room()?;
        let number = match self.journal.append(group.iter().map(|job| job.bytes.as_slice())) {
            Ok(number) => number,
            Err(AppendError::Undone(error)) => {
                tracing::warn!(%error, "a group of commits failed");
                return Err(error);
            }
            Err(AppendError::Stuck(why)) => {
                tracing::error!(why, "the database is read-only from now on");
                return Err(self.read_only.insert(StoreError::ReadOnly(why)).clone());
            }
        };
        // From here on the group is durable and will be there after the next open, whatever happens now.
        self.tree
            .apply(number, self.journal.last_changes())
            .map_err(|error| self.shared.stop(error.to_string()))?;
        self.journal.trim(RECORD_KEEP);
        Ok(())
    }

    /// Moves the truth from the journal into sled and begins a new journal. Each step leaves a state that opens.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.tree.make_durable()?;
        self.journal = match Journal::create(&*self.options.medium, &self.directory, self.journal.group()) {
            Ok(journal) => journal,
            Err(NotCreated::Undone(error)) => return Err(error),
            Err(NotCreated::InTheWay(why)) => {
                tracing::error!(why, "the database is read-only from now on");
                return Err(self.read_only.insert(StoreError::ReadOnly(why)).clone());
            }
        };
        if let Err(error) = journal::remove_others(&self.directory, self.journal.path()) {
            tracing::warn!(%error, "an old journal could not be removed; the next checkpoint tries again");
        }
        Ok(())
    }

    fn is_sound(&self) -> bool {
        self.read_only.is_none() && self.shared.stopped.get().is_none()
    }

    #[cfg(unix)]
    fn check_room(&self) -> Result<(), StoreError> {
        // Where it cannot be asked for, the write itself will tell.
        match rustix::fs::statvfs(&self.directory) {
            Ok(stat) if stat.f_bavail.saturating_mul(stat.f_frsize) < self.options.reserve_bytes => {
                Err(StoreError::Full)
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Sees to it that nobody waits for a writer that is gone.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the writer failed; this is a bug".into());
            self.0.queue.abandon();
        }
    }
}

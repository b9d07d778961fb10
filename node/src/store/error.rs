//! What can go wrong with a store, sorted by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a store could not do what was asked. One failed write fails every batch of its group, so errors can be cloned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room. The batch is not there and never will be; later commits succeed once there is room.
    #[error("the disk is full")]
    Full,
    /// The operating system refused. From a commit: the batch is not there and never will be; later commits may succeed.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "writing".
        doing: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// What is on the disk is not what was written there.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Another process, or another handle in this one, has the database open.
    #[error("the database {} is in use", .0.display())]
    InUse(PathBuf),
    /// The batch breaks a limit of [`crate::store`]; it was not tried.
    #[error("too large for the store: {0}")]
    TooLarge(&'static str),
    /// A failed write could not be taken back. Reads go on; commits are refused until the store is opened again.
    /// Whether the batch that failed first is there then is as open as after a crash.
    #[error("the database is read-only until it is opened again: {0}")]
    ReadOnly(String),
    /// The store stopped after a failure it cannot mend while running. Opening it again replays the journal;
    /// whether batches that were answered with this error are there then is as open as after a crash.
    #[error("the database has stopped and has to be opened again: {0}")]
    Stopped(String),
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Sorts an error of the operating system.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full
            }
            _ => Self::Io { doing, path: path.to_owned(), source: Arc::new(source) },
        }
    }
}

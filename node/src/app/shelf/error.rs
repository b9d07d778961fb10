//! Why a file cannot be sold.

use netpay_core::id::ContentRoot;
use std::io;
use std::path::{Path, PathBuf};

/// What the store said.
pub type RowsError = Box<dyn std::error::Error + Send + Sync>;

/// Why the shelf could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// No file of this content is on the shelf.
    #[error("no file with content {0:.16} is offered")]
    NotOffered(ContentRoot),
    /// The file has no such unit, or the geometry is another file's.
    #[error("the file has no such unit")]
    NoSuchUnit,
    /// The file is not as it was when it was added.
    #[error("{} has changed since it was added", .0.display())]
    Changed(PathBuf),
    /// The file is gone.
    #[error("{} is gone", .0.display())]
    Vanished(PathBuf),
    /// The tree in the home is gone or damaged; adding the file again rebuilds it.
    #[error("the hash tree {} is gone or damaged", .0.display())]
    Tree(PathBuf),
    /// It is a directory, and only files were asked for.
    #[error("{} is a directory", .0.display())]
    Directory(PathBuf),
    /// It is neither a file nor a directory.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It belongs to the peer itself.
    #[error("{} is in the home of this peer", .0.display())]
    Private(PathBuf),
    /// The path is not Unicode, or too long.
    #[error("the path {} is too long or not Unicode", .0.display())]
    Path(PathBuf),
    /// The file is larger than any that can be listed.
    #[error("{} is too large", .0.display())]
    TooLarge(PathBuf),
    /// Somebody stopped it.
    #[error("stopped")]
    Stopped,
    /// The operating system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "reading".
        doing: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store failed.
    #[error("the shelf could not be stored: {0}")]
    Rows(#[from] RowsError),
}

impl ShelfError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Vanished(path.to_owned()),
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}

//! A file that a person sends through the pages, kept in the home's `shared` directory: whole or not at all, never over
//! another file, and never anywhere else.

use super::{Node, Trouble};
use crate::store::files;
use netpay_core::content::name::safe_file_name;
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt as _;

/// The largest file taken, in bytes. Larger ones are named by their path.
pub const MAX_UPLOAD: u64 = 1 << 30;
/// Names tried for one file, with numbers behind the first.
const MAX_NAMES: u32 = 10_000;
/// How the name of a file on its way begins.
const DRAFT: &str = "upload-";

/// A file on its way. Dropped before it is kept, nothing of it is left.
pub struct Upload {
    draft: PathBuf,
    directory: PathBuf,
    name: String,
    file: tokio::fs::File,
    written: u64,
    kept: bool,
}

impl Node {
    /// Begins to take a file that its sender calls `name`. What of the name could lead elsewhere is taken off.
    ///
    /// # Errors
    /// If the directory or the file cannot be made.
    pub async fn upload(&self, name: &str) -> Result<Upload, Trouble> {
        let directory = self.home().shared();
        files::create_dir_durably(&directory).map_err(|e| Trouble::file(&directory, e))?;
        // A browser may send a whole path.
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let draft = self
            .home()
            .partial()
            .join(format!("{DRAFT}{}.part", data_encoding::HEXLOWER.encode(&crate::clock::random::<8>())));
        let file = tokio::fs::File::create_new(&draft).await.map_err(|e| Trouble::file(&draft, e))?;
        Ok(Upload { draft, directory, name: safe_file_name(last), file, written: 0, kept: false })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the file is over [`MAX_UPLOAD`], or cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.written > MAX_UPLOAD {
            let why = format!("it is larger than {}", crate::shown::size(MAX_UPLOAD));
            return Err(Trouble::bad("file to share", &*self.name, why));
        }
        self.file.write_all(bytes).await.map_err(|e| Trouble::file(&self.draft, e))
    }

    /// Keeps the file, durably, under its name or, if there is such a file, with a number behind it.
    ///
    /// # Errors
    /// If it is empty or cannot be kept.
    pub async fn keep(mut self) -> Result<PathBuf, Trouble> {
        if self.written == 0 {
            return Err(Trouble::bad("file to share", &*self.name, "it is empty, or none was chosen"));
        }
        self.file.sync_all().await.map_err(|e| Trouble::file(&self.draft, e))?;
        let kept = place(&self.draft, &self.directory.join(&self.name))
            .map_err(|e| Trouble::file(&self.directory, e))?;
        self.kept = true;
        Ok(kept)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

/// Removes what a crash has left of files on their way. Blocks.
pub(super) fn sweep(partial: &Path) {
    let entries = std::fs::read_dir(partial).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(DRAFT)) {
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "the rest of an upload stays");
        }
    }
}

/// Gives a file its name, which no other file has. A link is never made over another file, whoever else makes one at the
/// same time.
fn place(draft: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let numbered = |n: u32| path.with_file_name(format!("{stem} ({n}){extension}"));
    for candidate in std::iter::once(path.to_owned()).chain((1..MAX_NAMES).map(numbered)) {
        match std::fs::hard_link(draft, &candidate) {
            Ok(()) => {
                std::fs::remove_file(draft)?;
                return Ok(candidate);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_start_tidies_up_what_a_crash_left_of_an_upload_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["upload-00ff.part", "7.part"] {
            std::fs::write(dir.path().join(name), "half").expect("written");
        }
        sweep(dir.path());
        sweep(&dir.path().join("nothing here"));
        assert!(!dir.path().join("upload-00ff.part").exists());
        assert!(dir.path().join("7.part").exists(), "that is a download");
    }

    #[test]
    fn a_second_file_of_a_name_does_not_replace_the_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("song.mp3");
        for text in ["one", "two"] {
            let draft = dir.path().join("draft");
            std::fs::write(&draft, text).expect("written");
            place(&draft, &path).expect("placed");
            assert!(!draft.exists());
        }
        assert_eq!(std::fs::read_to_string(&path).expect("the first"), "one");
        assert_eq!(std::fs::read_to_string(dir.path().join("song (1).mp3")).expect("the second"), "two");
    }
}

//! Files that are there whole or not at all, also after power was lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// Readable and writable by the owner only: keys, tokens, wallets.
pub const PRIVATE: u32 = 0o600;
/// Readable by everybody.
pub const PUBLIC: u32 = 0o644;
/// How the name of a file ends while it is being written. What is left of one means nothing and may be removed.
pub const UNFINISHED: &str = ".unfinished";

/// Replaces a file in one step: whoever opens `path`, also after a loss of power at any point, finds the old bytes or the
/// new. `mode` holds from the first byte on. One writer per path at a time.
pub fn atomic_write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let unfinished = unfinished(path)?;
    // A leftover may have another mode or owner; it is replaced, never reused.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let result = write_and_rename(&unfinished, path, bytes, mode);
    if result.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&unfinished);
    }
    result
}

/// Makes the names in a directory durable: files created, renamed and removed there.
pub fn sync_dir(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    // Elsewhere directories cannot be opened as files, and renames are made durable by the file system.
    Ok(())
}

/// Creates a directory with its parents, durably, readable by the owner only.
pub fn create_dir_durably(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = parent(directory);
    create_dir_durably(parent)?;
    match create_private_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        other => other?,
    }
    sync_dir(parent)
}

/// The right to something, held by whoever has a file locked, until it is dropped or the process ends. The file is never
/// removed: a lock on a removed file would keep nobody out.
#[derive(Debug)]
#[must_use = "free again when this is dropped"]
pub struct FileLock(File);

impl FileLock {
    /// Takes it, or says with `None` that somebody has it. The file is created where there is none, and keeps what is in it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(fs4::TryLockError::WouldBlock) => Ok(None),
            Err(fs4::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Leaves a note in the file, for those who find it locked.
    pub fn note(&mut self, note: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(note.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone does not free it while a process that is just being started still has our files.
        if let Err(error) = fs4::FileExt::unlock(&self.0) {
            tracing::warn!(%error, "a lock could not be freed");
        }
    }
}

fn write_and_rename(unfinished: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create_with_mode(unfinished, mode)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(unfinished, path)?;
    sync_dir(parent(path))
}

fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(UNFINISHED);
    Ok(path.with_file_name(name))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(unix)]
fn create_with_mode(path: &Path, mode: u32) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(not(unix))]
fn create_with_mode(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

//! The home directory of one peer: where its files are, who holds it, and whether it is a copy.
//!
//! A copied or restored home would spend coins a second time, so a home remembers which file its identity is in: the
//! device, the inode and the time the file was made. A copy has the same bytes in another file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::store::files::{self, FileLock, PRIVATE};

/// The environment variable that names the home.
pub const HOME_VARIABLE: &str = "NETPAY_HOME";
/// Longest note in the lock that is looked at.
const NOTE_MAX: u64 = 256;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A running peer holds it.
    #[error("{} is in use by process {}", path.display(), pid.map_or("unknown".to_owned(), |pid| pid.to_string()))]
    Locked {
        /// The process that holds it, unless it has only just begun to.
        pid: Option<u32>,
        /// The home.
        path: PathBuf,
    },
    /// Neither an option nor a variable names a home, and the user has no home directory.
    #[error("no home directory: give one with --home or {HOME_VARIABLE}")]
    Unknown,
    /// The operating system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "creating".
        doing: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A home directory. Having one says nothing about who else has it; see [`Home::lock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

/// The right to change a home, until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "the home is free again when this is dropped"]
pub struct HomeLock {
    _lock: FileLock,
}

impl Home {
    /// The home that the user means: the one given with `--home`, else the one of [`HOME_VARIABLE`], else the place for an
    /// application's data on this system. Creates nothing.
    pub fn resolve(given: Option<&Path>) -> Result<Self, HomeError> {
        Self::resolve_from(given, std::env::var_os(HOME_VARIABLE))
    }

    /// The home at that path. Creates nothing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates what is missing of its directories, readable by the owner only.
    pub fn create(&self) -> Result<(), HomeError> {
        for directory in [self.path.clone(), self.partial()] {
            files::create_dir_durably(&directory).map_err(|e| io_error("creating", &directory, e))?;
        }
        Ok(())
    }

    /// Takes the home for this process. The directory has to exist. The file is `lock`, and names the process.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.lock_file();
        let Some(mut lock) = FileLock::take(&path).map_err(|e| io_error("locking", &path, e))? else {
            return Err(HomeError::Locked { pid: noted_pid(&path), path: self.path.clone() });
        };
        lock.note(&format!("{}\n", std::process::id())).map_err(|e| io_error("writing", &path, e))?;
        Ok(HomeLock { _lock: lock })
    }

    /// Writes the identity of a new home, and remembers which file it is in.
    pub fn write_identity(&self, key: &[u8]) -> Result<(), HomeError> {
        let path = self.identity();
        files::atomic_write(&path, key, PRIVATE).map_err(|e| io_error("writing", &path, e))?;
        self.adopt()
    }

    /// Whether this is not the home that its identity was written in, or last adopted in: copied, restored from a backup, or
    /// moved to another disk. Its chains must be retired then, never spent. When in doubt it is a copy.
    pub fn is_copy(&self) -> bool {
        match file_identity(&self.identity()) {
            Ok(present) => {
                fs::read_to_string(self.identity_place()).map_or(true, |recorded| recorded != present)
            }
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Makes this the home of its identity. Only after all its chains were retired.
    pub fn adopt(&self) -> Result<(), HomeError> {
        let identity = self.identity();
        let present = file_identity(&identity).map_err(|e| io_error("looking at", &identity, e))?;
        let path = self.identity_place();
        files::atomic_write(&path, present.as_bytes(), PRIVATE).map_err(|e| io_error("writing", &path, e))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`: settings.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `identity.key`: the node key, 0600.
    pub fn identity(&self) -> PathBuf {
        self.path.join("identity.key")
    }

    /// `wallet`: chains, encrypted.
    pub fn wallet(&self) -> PathBuf {
        self.path.join("wallet")
    }

    /// `db/`: the store.
    pub fn db(&self) -> PathBuf {
        self.path.join("db")
    }

    /// `partial/`: downloads that are not finished.
    pub fn partial(&self) -> PathBuf {
        self.path.join("partial")
    }

    /// `shared/`: files that were sent through the pages to be sold.
    pub fn shared(&self) -> PathBuf {
        self.path.join("shared")
    }

    /// `api-token`: lets programs in, 0600.
    pub fn api_token(&self) -> PathBuf {
        self.path.join("api-token")
    }

    /// `api-token-read`: lets programs look, 0600.
    pub fn read_token(&self) -> PathBuf {
        self.path.join("api-token-read")
    }

    /// `interface-password`: the hash of the password for people on other machines, 0600.
    pub fn interface_password(&self) -> PathBuf {
        self.path.join("interface-password")
    }

    /// `logs/`: log files.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// `lock`: names the process that holds the home.
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// `identity.place`: which file the identity was written in.
    fn identity_place(&self) -> PathBuf {
        self.path.join("identity.place")
    }

    fn resolve_from(given: Option<&Path>, variable: Option<OsString>) -> Result<Self, HomeError> {
        if let Some(given) = given {
            return Ok(Self::at(given));
        }
        if let Some(variable) = variable.filter(|value| !value.is_empty()) {
            return Ok(Self::at(variable));
        }
        let directories = directories::ProjectDirs::from("", "", "netpay").ok_or(HomeError::Unknown)?;
        Ok(Self::at(directories.data_dir()))
    }
}

/// What tells one file from another with the same bytes. The time it was made is there because an inode that was freed
/// is soon given out again, as when a home is removed and restored.
fn file_identity(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let made = metadata
        .created()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |age| age.as_nanos());
    let (device, inode) = device_and_inode(&metadata);
    Ok(format!("device {device} inode {inode} made {made}\n"))
}

#[cfg(unix)]
fn device_and_inode(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn device_and_inode(_metadata: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

fn noted_pid(path: &Path) -> Option<u32> {
    let mut note = String::new();
    File::open(path).ok()?.take(NOTE_MAX).read_to_string(&mut note).ok()?;
    note.trim().parse().ok()
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> HomeError {
    HomeError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn home(directory: &tempfile::TempDir) -> Result<Home, HomeError> {
        let home = Home::at(directory.path().join("a/b"));
        home.create()?;
        Ok(home)
    }

    #[test]
    fn the_option_wins_over_the_variable_over_the_system() -> Outcome {
        let resolve = |given: Option<&str>, variable: Option<&str>| {
            Home::resolve_from(given.map(Path::new), variable.map(OsString::from)).map(|home| home.path)
        };
        assert_eq!(resolve(Some("x"), Some("y"))?, Path::new("x"));
        assert_eq!(resolve(None, Some("y"))?, Path::new("y"));
        assert!(resolve(None, Some(""))?.ends_with("netpay"));
        Ok(())
    }

    #[test]
    fn a_second_peer_is_told_who_holds_the_home() -> Outcome {
        let directory = tempfile::tempdir()?;
        let home = home(&directory)?;
        let lock = home.lock()?;
        let Err(HomeError::Locked { pid, path }) = home.lock() else {
            return Err("locked twice".into());
        };
        assert_eq!((pid, path.as_path()), (Some(std::process::id()), home.path()));
        drop(lock);
        let _lock = home.lock()?;
        Ok(())
    }

    #[test]
    fn a_copied_home_knows_that_it_is_one() -> Outcome {
        let directory = tempfile::tempdir()?;
        let original = home(&directory)?;
        assert!(!original.is_copy(), "a home without an identity is new");
        original.write_identity(b"secret")?;
        assert!(!original.is_copy());

        let copy = Home::at(directory.path().join("copy"));
        copy.create()?;
        for name in ["identity.key", "identity.place"] {
            fs::copy(original.path().join(name), copy.path().join(name))?;
        }
        assert!(copy.is_copy());
        assert!(!original.is_copy());
        copy.adopt()?;
        assert!(!copy.is_copy());

        let moved = Home::at(directory.path().join("moved"));
        fs::rename(original.path(), moved.path())?;
        assert!(!moved.is_copy(), "the same file under another name is no copy");
        fs::remove_file(moved.identity_place())?;
        assert!(moved.is_copy(), "when in doubt it is a copy");
        Ok(())
    }

    #[test]
    fn a_home_restored_in_its_own_place_is_a_copy() -> Outcome {
        let directory = tempfile::tempdir()?;
        let home = home(&directory)?;
        home.write_identity(b"secret")?;
        let place = fs::read(home.identity_place())?;
        fs::remove_dir_all(home.path())?;
        home.create()?;
        fs::write(home.identity(), b"secret")?;
        fs::write(home.identity_place(), place)?;
        assert!(home.is_copy());
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_readable_by_their_owner_only() -> Outcome {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir()?;
        let home = home(&directory)?;
        home.write_identity(b"secret")?;
        assert_eq!(fs::metadata(home.identity())?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(home.path())?.permissions().mode() & 0o777, 0o700);
        Ok(())
    }
}

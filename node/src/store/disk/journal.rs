//! The journal: the source of truth for everything since the last checkpoint.
//!
//! ```text
//! file    journal-<base>            base: number of the last group that the tree had durably when the file was made
//! header  magic[8] version:u32 base:u64 marker[8] crc32:u32           little-endian, written and renamed as a whole
//! record  marker[8] length:u32 crc32(length ‖ payload):u32 payload    one per group, each fsynced before the next
//! payload group:u64 changes
//! ```
//!
//! Behind the last record there may be room, zeros that were written ahead: overwriting them changes neither the file's length
//! nor where it lies on the disk, so that a sync need not wait for the file system's own journal, and behind it for whatever
//! else is being written. Under load that is the difference between a tenth of a millisecond and several.
//!
//! Since a record is durable before the next one is begun, only the last can be torn: bad bytes with a good record behind them
//! are damage, bad bytes at the end are a write that nobody was told about. The marker is random per file, so that no value a
//! stranger had stored can pass for a record when the end of a file is searched.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::queue::GROUP_MAX_BYTES;
use crate::store::StoreError;
use crate::store::files::{self, UNFINISHED};

const MAGIC: &[u8; 8] = b"NPjournl";
const VERSION: u32 = 1;
const MARKER: usize = 8;
const HEADER: usize = 8 + 4 + 8 + MARKER + 4;
const RECORD_HEADER: usize = MARKER + 4 + 4;
const GROUP_NUMBER: usize = 8;
const PAYLOAD_MAX: usize = GROUP_NUMBER + GROUP_MAX_BYTES;
const NAME_PREFIX: &str = "journal-";
/// The room that is written ahead, in bytes.
const ROOM: usize = 1 << 20;

/// The file under a journal, so that tests can put one there that fails.
pub(super) trait JournalFile: Send {
    /// Writes behind what was written last.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable what was written, and the length.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to that length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// Where journal files come from.
pub(super) trait Medium: Send + Sync {
    /// Makes a file with these bytes, durably and as a whole.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file to append to, behind its first `end` bytes.
    fn open(&self, path: &Path, end: u64) -> io::Result<Box<dyn JournalFile>>;
}

/// The disk.
pub(super) struct RealMedium;

/// An open journal.
pub(super) struct Journal {
    file: Box<dyn JournalFile>,
    path: PathBuf,
    marker: [u8; MARKER],
    length: u64,
    group: u64,
    record: Vec<u8>,
}

/// Why a record was not appended.
pub(super) enum AppendError {
    /// It was taken back; the journal is as before.
    Undone(StoreError),
    /// It could not be taken back; nothing can be appended behind it.
    Stuck(String),
}

/// Why a journal was not begun.
pub(super) enum NotCreated {
    /// Nothing is left of it.
    Undone(StoreError),
    /// It may be there; nothing can be written to the one before.
    InTheWay(String),
}

/// What a journal on the disk holds.
pub(super) struct Found {
    path: PathBuf,
    bytes: Vec<u8>,
    marker: [u8; MARKER],
    /// The group before its first.
    pub base: u64,
    /// Its last group; `base` when there is none.
    pub last: u64,
    good: usize,
}

impl Journal {
    /// Makes the journal that follows group `base`, and opens it.
    pub fn create(medium: &dyn Medium, directory: &Path, base: u64) -> Result<Self, NotCreated> {
        let path = directory.join(format!("{NAME_PREFIX}{base:020}"));
        let mut marker = [0; MARKER];
        let file = getrandom::fill(&mut marker)
            .map_err(|_| io::Error::other("no randomness"))
            .and_then(|()| medium.create(&path, &header(base, &marker)))
            .and_then(|()| medium.open(&path, HEADER as u64));
        match file {
            Ok(file) => {
                Ok(Self { file, path, marker, length: HEADER as u64, group: base, record: Vec::new() })
            }
            // It may be there all the same, say when only the sync of the directory failed. The next open would take it for
            // the newest and miss what is still written to the one before.
            Err(error) => match remove_durably(directory, &path) {
                Ok(()) => Err(NotCreated::Undone(StoreError::io("creating", &path, error))),
                Err(second) => Err(NotCreated::InTheWay(format!(
                    "creating {} failed ({error}), and so did removing it again ({second})",
                    path.display()
                ))),
            },
        }
    }

    /// Goes on with a journal that was found; a torn end is cut off for good.
    pub fn resume(medium: &dyn Medium, found: Found) -> Result<Self, StoreError> {
        let Found { path, bytes, marker, last, good, .. } = found;
        let mut file = medium.open(&path, good as u64).map_err(|e| StoreError::io("opening", &path, e))?;
        if bytes[good..].iter().any(|byte| *byte != 0) {
            tracing::warn!(journal = %path.display(), torn = bytes.len() - good, "cut off a write that was never acknowledged");
            file.truncate(good as u64)
                .and_then(|()| file.sync())
                .map_err(|e| StoreError::io("truncating", &path, e))?;
        }
        Ok(Self { file, path, marker, length: good as u64, group: last, record: Vec::new() })
    }

    /// Makes one group durable: the changes of several batches, one after the other. Returns its number.
    pub fn append<'a>(&mut self, batches: impl Iterator<Item = &'a [u8]>) -> Result<u64, AppendError> {
        let group = self.group + 1;
        self.encode(group, batches);
        match self.file.append(&self.record).and_then(|()| self.file.sync()) {
            Ok(()) => {
                self.length += self.record.len() as u64;
                self.group = group;
                Ok(group)
            }
            // Whatever arrived of it is no record until it was synced; it must not be found by the next open, nor stand
            // between the last good record and the next.
            Err(error) => match self.file.truncate(self.length).and_then(|()| self.file.sync()) {
                Ok(()) => Err(AppendError::Undone(StoreError::io("writing", &self.path, error))),
                Err(second) => Err(AppendError::Stuck(format!(
                    "writing {} failed ({error}), and so did cutting the write off again ({second})",
                    self.path.display()
                ))),
            },
        }
    }

    /// The changes of the record that was appended last.
    pub fn last_changes(&self) -> &[u8] {
        self.record.get(RECORD_HEADER + GROUP_NUMBER..).unwrap_or_default()
    }

    /// The number of the last group.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// How many bytes of records are in it.
    pub fn used(&self) -> u64 {
        self.length - HEADER as u64
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives back the memory of an unusually large record.
    pub fn trim(&mut self, keep: usize) {
        self.record.clear();
        self.record.shrink_to(keep);
    }

    fn encode<'a>(&mut self, group: u64, batches: impl Iterator<Item = &'a [u8]>) {
        self.record.clear();
        self.record.extend_from_slice(&self.marker);
        self.record.extend_from_slice(&[0; RECORD_HEADER - MARKER]);
        self.record.extend_from_slice(&group.to_le_bytes());
        for batch in batches {
            self.record.extend_from_slice(batch);
        }
        let payload = &self.record[RECORD_HEADER..];
        let length = (payload.len() as u32).to_le_bytes();
        let crc = checksum(&[&length, payload]).to_le_bytes();
        self.record[MARKER..MARKER + 4].copy_from_slice(&length);
        self.record[MARKER + 4..RECORD_HEADER].copy_from_slice(&crc);
    }
}

impl NotCreated {
    /// For the time of opening, where there is no journal before that could go on.
    pub fn into_error(self) -> StoreError {
        match self {
            Self::Undone(error) => error,
            Self::InTheWay(why) => StoreError::ReadOnly(why),
        }
    }
}

impl Found {
    /// Reads the newest journal of a directory, and checks every record of it. `None` when there is none.
    pub fn newest(directory: &Path) -> Result<Option<Self>, StoreError> {
        let Some((base, path)) = list(directory)?.pop() else {
            return Ok(None);
        };
        let bytes = fs::read(&path).map_err(|e| StoreError::io("reading", &path, e))?;
        let Some(marker) = read_header(&bytes, base) else {
            return Err(StoreError::Corrupt(format!("{} has a damaged header", path.display())));
        };
        let mut found = Self { path, bytes, marker, base, last: base, good: HEADER };
        while let Some(record) = record_at(&found.bytes, found.good, &found.marker) {
            if record.group != found.last + 1 {
                let message =
                    format!("{}: group {} follows group {}", found.path.display(), record.group, found.last);
                return Err(StoreError::Corrupt(message));
            }
            found.last = record.group;
            found.good = record.end;
        }
        found.check_tail()?;
        Ok(Some(found))
    }

    /// Every group with its changes, in order.
    pub fn groups(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let record = record_at(&self.bytes, at, &self.marker)?;
            at = record.end;
            Some((record.group, record.changes))
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length of what is good of it; behind that is room, or a torn end.
    #[cfg(test)]
    pub fn length(&self) -> u64 {
        self.good as u64
    }

    /// Bad bytes with a good record behind them are damage; see the module.
    fn check_tail(&self) -> Result<(), StoreError> {
        let tail = self.bytes.get(self.good..).unwrap_or_default();
        let behind =
            tail.windows(MARKER).enumerate().skip(1).filter(|(_, window)| *window == self.marker.as_slice());
        for (offset, _) in behind {
            let at = self.good + offset;
            if let Some(record) =
                record_at(&self.bytes, at, &self.marker).filter(|record| record.group > self.last)
            {
                return Err(StoreError::Corrupt(format!(
                    "{} is damaged in the middle: after group {} there are bad bytes from {} on, and group {} follows at {at}",
                    self.path.display(),
                    self.last,
                    self.good,
                    record.group
                )));
            }
        }
        Ok(())
    }
}

/// Removes the journals before `current`, and what is left of unfinished ones. Done when nothing needs them; where it
/// fails, the next open does it.
pub(super) fn remove_others(directory: &Path, current: &Path) -> Result<(), StoreError> {
    for (_, path) in list(directory)?.into_iter().filter(|(_, path)| path != current) {
        fs::remove_file(&path).map_err(|e| StoreError::io("removing", &path, e))?;
    }
    for entry in fs::read_dir(directory).map_err(|e| StoreError::io("listing", directory, e))?.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(NAME_PREFIX) && name.ends_with(UNFINISHED)) {
            fs::remove_file(entry.path()).map_err(|e| StoreError::io("removing", &entry.path(), e))?;
        }
    }
    Ok(())
}

fn remove_durably(directory: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    files::sync_dir(directory)
}

/// The journals of a directory, oldest first.
fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| StoreError::io("listing", directory, e))? {
        let entry = entry.map_err(|e| StoreError::io("listing", directory, e))?;
        let name = entry.file_name();
        let base =
            name.to_str().and_then(|name| name.strip_prefix(NAME_PREFIX)).and_then(|base| base.parse().ok());
        if let Some(base) = base {
            found.push((base, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

struct Record<'a> {
    group: u64,
    changes: &'a [u8],
    end: usize,
}

/// The record that begins there, if a whole and intact one does.
fn record_at<'a>(bytes: &'a [u8], at: usize, marker: &[u8; MARKER]) -> Option<Record<'a>> {
    let (found, rest) = bytes.get(at..)?.split_first_chunk::<MARKER>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let payload_length = u32::from_le_bytes(*length) as usize;
    if found != marker || payload_length > PAYLOAD_MAX {
        return None;
    }
    let payload = rest.get(..payload_length)?;
    if checksum(&[length, payload]) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (group, changes) = payload.split_first_chunk::<GROUP_NUMBER>()?;
    Some(Record { group: u64::from_le_bytes(*group), changes, end: at + RECORD_HEADER + payload_length })
}

fn header(base: u64, marker: &[u8; MARKER]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&base.to_le_bytes());
    bytes.extend_from_slice(marker);
    let crc = checksum(&[&bytes]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The marker, if the bytes begin with exactly the header that a journal of that base has.
fn read_header(bytes: &[u8], base: u64) -> Option<[u8; MARKER]> {
    let marker: [u8; MARKER] = bytes.get(HEADER - 4 - MARKER..HEADER - 4)?.try_into().ok()?;
    bytes.starts_with(&header(base, &marker)).then_some(marker)
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

impl Medium for RealMedium {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        files::atomic_write(path, bytes, files::PRIVATE)
    }

    fn open(&self, path: &Path, end: u64) -> io::Result<Box<dyn JournalFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Box::new(RealFile { file, end, length }))
    }
}

struct RealFile {
    file: File,
    /// Where the next bytes go.
    end: u64,
    /// Of the file, room included.
    length: u64,
}

impl JournalFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if end > self.length {
            self.file.write_all_at(&vec![0; ROOM], end)?;
            self.length = end + ROOM as u64;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.end = end;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        (self.end, self.length) = (length, length);
        Ok(())
    }
}

//! The journal as text, a record per line: in words and entries for people, and whole for [`import`]. Each line bears a
//! seal over itself and all before it, and the last line says how many there are, so that nothing can be changed, left out
//! or cut off unseen. It is no secret of the bank's keys, and proves nothing to others: it holds off accidents.

use crate::admin::view::{AuditView, RecordView};
use crate::errors::{self, ErrorView};
use crate::home::{self, BrokerHome};
use crate::ledger::{Auditor, Record};
use crate::store::{self, Journal, JournalError};
use netpay_core::codec;
use netpay_core::id::NetworkId;
use netpay_node::store::{Batch, Db, files};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::path::Path;

/// Where books are put together before they are in their place. What a break leaves there means nothing.
pub const STAGING: &str = "db.import";
/// The longest line that is read, in bytes: a settlement with all its entries is far below.
const LINE_MAX: usize = 16 << 20;
/// Bytes of records per batch; one record more always fits.
const BATCH_BYTES: usize = 1 << 20;

/// A line of an export.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Record(Sealed),
    End(End),
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    view: RecordView,
    /// The record itself, in hexadecimal digits.
    data: String,
    seal: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    records: u64,
    network: String,
    seal: String,
}

/// The seal so far.
#[derive(Clone, Copy)]
struct Seal([u8; 32]);

impl Seal {
    fn new(network: &NetworkId) -> Self {
        Self(blake3::derive_key("netpay 2026 ledger export", &network.0))
    }

    fn add(&mut self, bytes: &[u8]) -> String {
        self.0 = *blake3::keyed_hash(&self.0, bytes).as_bytes();
        hex(&self.0)
    }
}

/// Writes the journal, one record in JSON per line, and a last line about all of them.
///
/// # Errors
/// If the journal cannot be read or nobody reads.
pub fn write(out: &mut dyn Write, journal: &Journal, network: NetworkId) -> io::Result<()> {
    let (mut auditor, mut seal, mut records) = (Auditor::new(network), Seal::new(&network), 0);
    let mut written = Ok(());
    let read = journal.each(|record| {
        let entries = auditor.read(&record)?;
        if written.is_ok() {
            let data = codec::encode(&record);
            let view = RecordView::of(&record, &entries);
            let line = Line::Record(Sealed { view, seal: seal.add(&data), data: hex(&data) });
            written = write_line(out, &line);
            records += 1;
        }
        Ok::<(), JournalError>(())
    });
    read.map_err(io::Error::other)?;
    written?;
    let end = End { records, network: hex(&network.0), seal: seal.add(&u64::to_le_bytes(records)) };
    write_line(out, &Line::End(end))
}

/// Makes the books of a home that has keys and none: reads an export, holds every record against its seal, books it
/// again, and puts the whole in place in one step.
///
/// # Errors
/// If the export is not whole, or not of this broker; or the home has books, or is in use; or the disk fails. The home is
/// as it was then.
pub fn import(path: &Path, home: &BrokerHome) -> Result<AuditView, ErrorView> {
    let opened = home.open()?;
    let _lock = home.home().lock().map_err(|error| home::of_home(&error))?;
    let network = NetworkId::of(&opened.settings.network, &opened.signing.public());
    must_be_empty(home, &network)?;
    let staging = home.path().join(STAGING);
    remove(&staging)?;
    match stage(path, &staging, network) {
        Ok(audit) => put_in_place(home, &staging).map(|()| audit),
        Err(error) => {
            // What is left of it means nothing; the error that matters is the first one.
            let _ = remove(&staging);
            Err(error)
        }
    }
}

fn must_be_empty(home: &BrokerHome, network: &NetworkId) -> Result<(), ErrorView> {
    let directory = home.home().db();
    if !directory.exists() {
        return Ok(());
    }
    let db = Db::open(&directory).map_err(errors::books)?;
    let journal = Journal::open(db, network).map_err(errors::books)?;
    let records = journal.last().map_err(errors::books)?;
    journal.close().map_err(errors::books)?;
    if records == 0 { Ok(()) } else { Err(errors::has_books(home.path().display(), records)) }
}

fn stage(path: &Path, staging: &Path, network: NetworkId) -> Result<AuditView, ErrorView> {
    let db = Db::open(staging).map_err(errors::books)?;
    let journal = Journal::open(db, &network).map_err(errors::books)?;
    let (mut auditor, mut batch) = (Auditor::new(network), Batch::new());
    read(path, network, |record, shown| {
        let entries = auditor.read(&record).map_err(|error| error.to_string())?;
        if RecordView::of(&record, &entries) != *shown {
            return Err("its words and entries are not those of its record".to_owned());
        }
        store::put(&mut batch, &record);
        if batch.size() < BATCH_BYTES {
            return Ok(());
        }
        journal.commit(std::mem::take(&mut batch)).map_err(|error| error.to_string())
    })?;
    let audit = auditor.finish().map_err(errors::books)?;
    if !batch.is_empty() {
        journal.commit(batch).map_err(errors::books)?;
    }
    journal.close().map_err(errors::books)?;
    Ok(AuditView::from(&audit))
}

/// Reads line after line up to the last, which must be there.
fn read(
    path: &Path,
    network: NetworkId,
    mut each: impl FnMut(Record, &RecordView) -> Result<(), String>,
) -> Result<(), ErrorView> {
    let file = File::open(path).map_err(|error| errors::io("reading", path, error))?;
    let (mut input, mut bytes) = (BufReader::new(file), Vec::new());
    let (mut seal, mut records) = (Seal::new(&network), 0);
    loop {
        let bad = |why: &dyn Display| errors::bad_export(path.display(), records + 1, why);
        bytes.clear();
        let length = input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut bytes);
        if length.map_err(|error| errors::io("reading", path, error))? == 0 {
            return Err(bad(&"it ends before its last line"));
        }
        match serde_json::from_slice(&bytes).map_err(|error| bad(&error))? {
            Line::Record(line) => {
                let data =
                    data_encoding::HEXLOWER.decode(line.data.as_bytes()).map_err(|error| bad(&error))?;
                if seal.add(&data) != line.seal {
                    return Err(bad(&"its seal does not hold: it was changed, or is another broker's"));
                }
                let record: Record = codec::decode(&data).map_err(|error| bad(&error))?;
                each(record, &line.view).map_err(|why| bad(&why))?;
                records += 1;
            }
            Line::End(end) => {
                let is_whole = end.records == records
                    && end.network == hex(&network.0)
                    && end.seal == seal.add(&u64::to_le_bytes(records));
                return if is_whole {
                    Ok(())
                } else {
                    Err(bad(&"the last line is not that of these records"))
                };
            }
        }
    }
}

/// A start that comes between the two steps finds no books at all, as before the import.
fn put_in_place(home: &BrokerHome, staging: &Path) -> Result<(), ErrorView> {
    let place = home.home().db();
    remove(&place)?;
    let moved = fs::rename(staging, &place).and_then(|()| files::sync_dir(home.path()));
    moved.map_err(|error| errors::io("writing", &place, error))
}

fn remove(directory: &Path) -> Result<(), ErrorView> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(errors::io("removing", directory, error))
        }
        _ => Ok(()),
    }
}

fn write_line(out: &mut dyn Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

//! A backup: one file with the configuration, both keys and every record of the journal, and a hash over all of it. It is
//! as secret as the keys in it, and whoever restores an old one forgets what was paid since.

use crate::errors::{self, ErrorView};
use crate::home::{BrokerHome, Settings};
use crate::ledger::Record;
use crate::store::{self, Journal, JournalError};
use netpay_core::codec::{self, Wire};
use netpay_core::id::NetworkId;
use netpay_core::keys::SecretKey;
use netpay_node::store::{Batch, Db};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

const MAGIC: &[u8] = b"netpay-broker backup 1\n";
const CONFIG: u8 = 1;
const SIGNING: u8 = 2;
const NODE: u8 = 3;
const RECORD: u8 = 4;
const END: u8 = 0;
/// Records per batch of a restore; each is at most 512 KiB, and most are below one.
const BATCH_BYTES: usize = 1 << 20;

/// Writes a backup of the journal, as it is now, and of what is beside it.
///
/// # Errors
/// If the journal cannot be read or the file not written.
pub fn save(
    out: impl Write,
    settings: &Settings,
    keys: (&SecretKey, &SecretKey),
    journal: &Journal,
) -> io::Result<()> {
    let mut out = Hashed { inner: out, hasher: blake3::Hasher::new() };
    out.write_all(MAGIC)?;
    let config = toml::to_string_pretty(settings).map_err(io::Error::other)?;
    section(&mut out, CONFIG, config.as_bytes())?;
    section(&mut out, SIGNING, &keys.0.seed())?;
    section(&mut out, NODE, &keys.1.seed())?;
    let mut failed = Ok(());
    let read: Result<(), JournalError> = journal.each(|record| {
        if failed.is_ok() {
            failed = section(&mut out, RECORD, &codec::encode(&record));
        }
        Ok(())
    });
    read.map_err(io::Error::other)?;
    failed?;
    let hash = out.hasher.finalize();
    section(&mut out, END, hash.as_bytes())?;
    out.flush()
}

/// Makes a broker of a backup, in a home where there is none.
///
/// # Errors
/// If the backup is not whole, or there is a broker already, or the disk fails.
pub fn restore(path: &Path, home: &BrokerHome) -> Result<u64, ErrorView> {
    let bad = |why: &dyn std::fmt::Display| errors::bad_backup(path, why);
    // Once to see that it is whole, and then again for good.
    read(path, |_, _| Ok(())).map_err(|error| bad(&error))?;
    let (mut settings, mut signing, mut node) = (None, None, None);
    let mut journal: Option<Journal> = None;
    let (mut batch, mut records) = (Batch::new(), 0);
    let mut trouble = None;
    let finished = read(path, |kind, bytes| {
        match kind {
            CONFIG => {
                settings =
                    std::str::from_utf8(bytes).ok().and_then(|text| toml::from_str::<Settings>(text).ok())
            }
            SIGNING => signing = <[u8; 32]>::try_from(bytes).ok(),
            NODE => node = <[u8; 32]>::try_from(bytes).ok(),
            _ => {
                let record: Record = codec::decode(bytes).map_err(io::Error::other)?;
                store::put(&mut batch, &record);
                records += 1;
            }
        }
        if journal.is_none()
            && let (Some(settings), Some(signing), Some(node)) = (&settings, &signing, &node)
        {
            match create(home, settings, signing, node) {
                Ok(created) => journal = Some(created),
                Err(error) => {
                    trouble = Some(error);
                    return Err(io::Error::other("the home"));
                }
            }
        }
        if batch.size() >= BATCH_BYTES
            && let Some(journal) = &journal
        {
            journal.commit(std::mem::take(&mut batch)).map_err(io::Error::other)?;
        }
        Ok(())
    });
    if let Some(error) = trouble {
        return Err(error);
    }
    finished.map_err(|error| bad(&error))?;
    let journal = journal.ok_or_else(|| bad(&"its keys or its configuration are missing"))?;
    journal.commit(batch).and_then(|()| journal.close()).map_err(errors::books)?;
    Ok(records)
}

fn create(
    home: &BrokerHome,
    settings: &Settings,
    signing: &[u8; 32],
    node: &[u8; 32],
) -> Result<Journal, ErrorView> {
    let opened = home.init_with(settings, signing, node)?;
    let network = NetworkId::of(&settings.network, &opened.signing.public());
    let db = Db::open(&home.home().db()).map_err(errors::books)?;
    Journal::open(db, &network).map_err(errors::books)
}

fn section(out: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&[kind])?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(bytes)
}

/// Reads the sections up to the end, whose hash must be that of all before.
fn read(path: &Path, mut each: impl FnMut(u8, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut hasher = blake3::Hasher::new();
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(io::Error::other("it does not begin as a backup"));
    }
    hasher.update(&magic);
    loop {
        let mut head = [0; 5];
        input.read_exact(&mut head)?;
        let (kind, len) = (head[0], u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize);
        if kind > RECORD || len > Record::MAX {
            return Err(io::Error::other("a section of it is not of this version"));
        }
        let mut bytes = vec![0; len];
        input.read_exact(&mut bytes)?;
        if kind == END {
            let whole = bytes == hasher.finalize().as_bytes();
            return if whole { Ok(()) } else { Err(io::Error::other("its hash does not hold")) };
        }
        hasher.update(&head);
        hasher.update(&bytes);
        each(kind, &bytes)?;
    }
}

struct Hashed<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

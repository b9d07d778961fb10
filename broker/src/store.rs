//! The journal on disk: one row per record, checksummed and made durable by the store; the bank is their fold.

use crate::ledger::{Broken, Ledger, Record};
use netpay_core::codec::{self, CodecError};
use netpay_core::id::NetworkId;
use netpay_core::time::Time;
use netpay_node::store::{Batch, Commit, Db, StoreError, Table};

const JOURNAL: Table = Table::new("bank-journal");
const META: Table = Table::new("bank-meta");
/// Which network the journal is of.
const NETWORK: &[u8] = b"network";
/// When the bank was last known to run.
const ALIVE: &[u8] = b"alive";
/// The latest time of a link that let an account's owner in.
const ENTERED: &[u8] = b"entered";
/// What a row begins with; a new form of records gets a new number.
const ROW_VERSION: u8 = 1;
/// Rows per read.
const PAGE: usize = 1024;

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is not a record.
    #[error("row {0} of the journal is damaged: {1}")]
    Row(u64, CodecError),
    /// A row was written by other software.
    #[error("row {0} of the journal has version {1:?}, which is not read here (this is {ROW_VERSION})")]
    Version(u64, Option<u8>),
    /// A record does not fit the books.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The journal is another bank's.
    #[error("the journal is of another network: its key or name was changed")]
    OtherNetwork,
}

/// The journal.
#[derive(Clone, Debug)]
pub struct Journal {
    db: Db,
}

impl Journal {
    /// The journal in a database, which becomes this network's if it is nobody's yet.
    ///
    /// # Errors
    /// If it is another network's, or the disk fails.
    pub fn open(db: Db, network: &NetworkId) -> Result<Self, JournalError> {
        match db.get(META, NETWORK)? {
            Some(known) if known == network.0 => {}
            Some(_) => return Err(JournalError::OtherNetwork),
            None => {
                let mut batch = Batch::new();
                batch.put(META, NETWORK, network.0);
                db.commit(batch).wait()?;
            }
        }
        Ok(Self { db })
    }

    /// The books: the fold of every record.
    ///
    /// # Errors
    /// If a row is damaged or does not fit.
    pub fn fold(&self, network: NetworkId) -> Result<Ledger, JournalError> {
        let mut ledger = Ledger::new(network);
        self.each(|record| ledger.apply(&record).map(|_| ()).map_err(JournalError::from))?;
        Ok(ledger)
    }

    /// Hands every record to `read`, oldest first.
    ///
    /// # Errors
    /// If a row is damaged, or `read` says so.
    pub fn each<E: From<JournalError>>(
        &self,
        mut read: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.db.scan(JOURNAL, &[], after.as_deref(), PAGE).map_err(JournalError::from)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                read(parse(&key, &value)?)?;
            }
        }
    }

    /// One record.
    ///
    /// # Errors
    /// If the disk fails or the row is damaged.
    pub fn record(&self, seq: u64) -> Result<Option<Record>, JournalError> {
        let key = seq.to_be_bytes();
        self.db.get(JOURNAL, &key)?.map(|row| parse(&key, &row)).transpose()
    }

    /// The number of the last record; 0 if there is none.
    ///
    /// # Errors
    /// If a row is damaged, or the disk fails.
    pub fn last(&self) -> Result<u64, JournalError> {
        let last = self.db.scan_back(JOURNAL, None, 1)?;
        last.first().map_or(Ok(0), |(key, row)| Ok(parse(key, row)?.seq))
    }

    /// When the bank was last known to run.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn last_alive(&self) -> Result<Option<Time>, JournalError> {
        self.time(ALIVE)
    }

    /// Notes that the bank runs.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn note_alive(&self, now: Time) -> Result<(), JournalError> {
        Ok(self.put_time(ALIVE, now).await?)
    }

    /// The latest time of a link that ever let an account's owner in.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn last_entered(&self) -> Result<Option<Time>, JournalError> {
        self.time(ENTERED)
    }

    /// Notes the latest time of a link that let an account's owner in. What is noted last counts.
    pub fn note_entered(&self, latest: Time) -> Commit {
        self.put_time(ENTERED, latest)
    }

    fn time(&self, of: &[u8]) -> Result<Option<Time>, JournalError> {
        let row = self.db.get(META, of)?;
        Ok(row.and_then(|row| row.try_into().ok()).map(|row| Time(u64::from_be_bytes(row))))
    }

    fn put_time(&self, of: &[u8], time: Time) -> Commit {
        let mut batch = Batch::new();
        batch.put(META, of, time.0.to_be_bytes());
        self.db.commit(batch)
    }

    /// Makes a batch durable.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn commit(&self, batch: Batch) -> Result<(), JournalError> {
        Ok(self.db.commit(batch).wait()?)
    }

    /// Stops the disk.
    ///
    /// # Errors
    /// If something could not be tidied up; nothing acknowledged is lost.
    pub fn close(&self) -> Result<(), JournalError> {
        Ok(self.db.close()?)
    }
}

/// Adds a record to a batch.
pub fn put(batch: &mut Batch, record: &Record) {
    let mut row = vec![ROW_VERSION];
    row.extend(codec::encode(record));
    batch.put(JOURNAL, record.seq.to_be_bytes(), row);
}

fn parse(key: &[u8], value: &[u8]) -> Result<Record, JournalError> {
    let seq = key.try_into().map(u64::from_be_bytes).unwrap_or_default();
    let body = match value.split_first() {
        Some((&ROW_VERSION, body)) => body,
        other => return Err(JournalError::Version(seq, other.map(|(version, _)| *version))),
    };
    codec::decode(body).map_err(|error| JournalError::Row(seq, error))
}

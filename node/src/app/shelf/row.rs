//! What is remembered of a file on the shelf.

use super::error::{RowsError, ShelfError};
use super::media::media_of;
use netpay_core::amount::Coins;
use netpay_core::codec::{List, Text, Wire};
use netpay_core::content::listing::{LISTING_LIFE, Listing, MAX_BROKERS, Modes};
use netpay_core::content::name::{MAX_NAME, is_single_name, safe_file_name};
use netpay_core::content::token::{MAX_TOKEN, MAX_TOKENS};
use netpay_core::id::ContentRoot;
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;

/// Where the shelf keeps its rows: one for each content root.
pub trait ShelfRows: Send + Sync + 'static {
    /// All rows.
    ///
    /// # Errors
    /// If they cannot be read.
    fn load(&self) -> Result<Vec<ShelfRow>, RowsError>;

    /// Makes rows durable, all or none, each in place of an earlier one with its root. May block.
    ///
    /// # Errors
    /// If they are not durable.
    fn save(&self, rows: &[ShelfRow]) -> Result<(), RowsError>;

    /// Removes a row durably; one that is not there stays so. May block.
    ///
    /// # Errors
    /// If that is not durable.
    fn remove(&self, root: &ContentRoot) -> Result<(), RowsError>;
}

/// On which terms a file is put on the shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The price of the whole of it.
    pub price: Coins,
    /// Further words to find it by.
    pub tags: List<Text<MAX_TOKEN>, MAX_TOKENS>,
}

/// By which a changed file is told: if both are as they were, so is the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its size, in bytes.
    pub size: u64,
    /// When it was changed last, in nanoseconds since 1970; 0 where that is not known.
    pub modified: i64,
}

impl Stamp {
    pub(super) fn of(file: &File, path: &Path) -> Result<Self, ShelfError> {
        file.metadata().map(|found| Self::from(&found)).map_err(|e| ShelfError::io("reading", path, e))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        let modified = found.modified().map_or(0, |at| match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        });
        Self { size: found.len(), modified }
    }
}

/// A file on the shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfRow {
    /// The content.
    pub root: ContentRoot,
    path: Text<MAX_PATH>,
    /// As it was when it was hashed.
    pub stamp: Stamp,
    /// What it is called in its listing.
    pub name: Text<MAX_NAME>,
    /// The price of the whole of it.
    pub price: Coins,
    /// Further words to find it by.
    pub tags: List<Text<MAX_TOKEN>, MAX_TOKENS>,
    /// The sequence of its last listing, 0 if it was never listed.
    pub sequence: u64,
}

impl Wire for ShelfRow {
    const MAX: usize = 5200;
}

impl ShelfRow {
    pub(super) fn new(
        root: ContentRoot,
        path: &Path,
        stamp: Stamp,
        offer: Offer,
    ) -> Result<Self, ShelfError> {
        let unfit = || ShelfError::Path(path.to_owned());
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unfit)?;
        let name = if is_single_name(name) { Text::cut(name) } else { Text::cut(&safe_file_name(name)) };
        let path = path.to_str().and_then(|path| Text::try_from(path).ok()).ok_or_else(unfit)?;
        Ok(Self { root, path, stamp, name, price: offer.price, tags: offer.tags, sequence: 0 })
    }

    /// Where the file is: absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        Path::new(&*self.path)
    }

    /// Its size, in bytes.
    pub const fn size(&self) -> u64 {
        self.stamp.size
    }

    /// The listing of this file by `vendor`, from `now` on, with the row's sequence as it is
    /// ([`super::Shelf::next_sequence`] gives the next).
    pub fn listing(
        &self,
        vendor: PublicKey,
        modes: Modes,
        brokers: List<PublicKey, MAX_BROKERS>,
        now: Time,
    ) -> Listing {
        Listing {
            vendor,
            root: self.root,
            name: self.name.clone(),
            size: self.stamp.size,
            price: self.price,
            media: Text::cut(media_of(&self.name)),
            tags: self.tags.clone(),
            modes,
            brokers,
            sequence: self.sequence,
            expires: now.plus(LISTING_LIFE),
            withdrawn: false,
        }
    }
}

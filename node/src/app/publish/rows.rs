//! The shelf's rows in the peer's store.

use crate::app::shelf::{RowsError, ShelfRow, ShelfRows};
use crate::store::{Batch, Db, Row, Table};
use netpay_core::codec::{self, CodecError};
use netpay_core::id::ContentRoot;

impl Row for ShelfRow {
    const TABLE: Table = Table::new("shelf");
    type Error = CodecError;

    fn key(&self) -> Vec<u8> {
        self.root.0.to_vec()
    }

    fn value(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn parse(_key: &[u8], value: &[u8]) -> Result<Self, CodecError> {
        codec::decode(value)
    }
}

/// The shelf's rows, in the peer's store.
pub struct Rows {
    db: Db,
}

impl Rows {
    /// The rows in this store.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

impl ShelfRows for Rows {
    fn load(&self) -> Result<Vec<ShelfRow>, RowsError> {
        Ok(self.db.rows([]).collect::<Result<_, _>>()?)
    }

    fn save(&self, rows: &[ShelfRow]) -> Result<(), RowsError> {
        let mut batch = Batch::new();
        for row in rows {
            batch.put_row(row);
        }
        Ok(self.db.commit(batch).wait()?)
    }

    fn remove(&self, root: &ContentRoot) -> Result<(), RowsError> {
        let mut batch = Batch::new();
        batch.delete(ShelfRow::TABLE, root.0);
        Ok(self.db.commit(batch).wait()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::shelf::{Hashing, Offer, Shelf};
    use netpay_core::amount::Coins;

    #[test]
    fn the_shelf_is_after_a_restart_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let (home, path) = (directory.path().join("home"), directory.path().join("song.flac"));
        std::fs::write(&path, b"la la").expect("a file");
        let db = Db::memory();
        let shelf = Shelf::open(&home, Rows::new(db.clone())).expect("a shelf");
        let offer = Offer { price: Coins(3), ..Offer::default() };
        let added = shelf.add_blocking(&path, offer, &Hashing::default()).expect("on the shelf");
        let again = Shelf::open(&home, Rows::new(db.clone())).expect("a shelf");
        assert_eq!(again.rows(), std::slice::from_ref(&added.row));
        again.remove(&added.row.root).expect("taken off");
        assert!(Rows::new(db).load().expect("rows").is_empty());
    }
}

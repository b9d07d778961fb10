//! Typed rows: what a caller says once about a type, so that reading and writing it is one word each.

use std::fmt::Display;
use std::marker::PhantomData;

use super::{Batch, Db, SCAN_MAX_ROWS, StoreError, Table};

/// A type that is kept as rows of one table. Its callers encode it; the store keeps bytes.
pub trait Row: Sized {
    /// Where its rows are.
    const TABLE: Table;
    /// Why bytes may not be such a row.
    type Error: Display;

    /// The key of this row. Integers go in big-endian, so that rows are ordered by them.
    fn key(&self) -> Vec<u8>;
    /// The value of this row.
    fn value(&self) -> Vec<u8>;
    /// The row that these bytes are.
    fn parse(key: &[u8], value: &[u8]) -> Result<Self, Self::Error>;
}

impl Batch {
    /// Sets a typed row.
    pub fn put_row<R: Row>(&mut self, row: &R) -> &mut Self {
        self.put(R::TABLE, row.key(), row.value())
    }
}

impl Db {
    /// The row of that key.
    pub fn row<R: Row>(&self, key: impl AsRef<[u8]>) -> Result<Option<R>, StoreError> {
        let key = key.as_ref();
        self.get(R::TABLE, key)?.map(|value| parse(key, &value)).transpose()
    }

    /// All rows whose key begins with `prefix`, in order, fetched page by page. A row that is changed meanwhile
    /// is seen as it was or as it is.
    pub fn rows<R: Row>(&self, prefix: impl AsRef<[u8]>) -> Rows<'_, R> {
        Rows {
            db: self,
            prefix: prefix.as_ref().to_vec(),
            after: None,
            page: Vec::new().into_iter(),
            ended: false,
            row: PhantomData,
        }
    }
}

/// See [`Db::rows`].
pub struct Rows<'a, R> {
    db: &'a Db,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    page: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    ended: bool,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Iterator for Rows<'_, R> {
    type Item = Result<R, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.ended {
            match self.db.scan(R::TABLE, &self.prefix, self.after.as_deref(), SCAN_MAX_ROWS) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        let Some((key, value)) = self.page.next() else {
            self.ended = true;
            return None;
        };
        let row = parse(&key, &value);
        self.after = Some(key);
        Some(row)
    }
}

fn parse<R: Row>(key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    R::parse(key, value).map_err(|why| {
        let key = data_encoding::HEXLOWER.encode(key);
        StoreError::Corrupt(format!("row {key} of table {}: {why}", R::TABLE.name()))
    })
}

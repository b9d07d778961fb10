//! The backend that forgets: maps behind a lock. Same semantics, no durability.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::batch::ops;
use super::{Batch, Commit, Page, SCAN_MAX_BYTES, SCAN_MAX_ROWS, Store, StoreError, Table};

/// See the module.
pub(super) struct Memory {
    /// `None` once closed.
    tables: RwLock<Option<Tables>>,
}

type Tables = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

impl Default for Memory {
    fn default() -> Self {
        Self { tables: RwLock::new(Some(Tables::new())) }
    }
}

impl Store for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tables = self.read();
        let tables = tables.as_ref().ok_or(StoreError::Closed)?;
        Ok(tables.get(table.name()).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let tables = self.read();
        let tables = tables.as_ref().ok_or(StoreError::Closed)?;
        let Some(rows) = tables.get(table.name()) else {
            return Ok(Page::new());
        };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page = Page::new();
        let mut bytes = 0;
        for (key, value) in rows.range::<[u8], _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) || page.len() >= limit.min(SCAN_MAX_ROWS) || bytes >= SCAN_MAX_BYTES {
                break;
            }
            bytes += key.len() + value.len();
            page.push((key.clone(), value.clone()));
        }
        Ok(page)
    }

    fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError> {
        let tables = self.read();
        let tables = tables.as_ref().ok_or(StoreError::Closed)?;
        let Some(rows) = tables.get(table.name()) else {
            return Ok(Page::new());
        };
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Page::new();
        let mut bytes = 0;
        for (key, value) in rows.range::<[u8], _>((Bound::Unbounded, end)).rev() {
            if page.len() >= limit.min(SCAN_MAX_ROWS) || bytes >= SCAN_MAX_BYTES {
                break;
            }
            bytes += key.len() + value.len();
            page.push((key.clone(), value.clone()));
        }
        Ok(page)
    }

    fn commit(&self, batch: Batch) -> Commit {
        Commit::known(batch.into_bytes().and_then(|bytes| self.apply(&bytes)))
    }

    fn close(&self) -> Result<(), StoreError> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Option<Tables>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let tables = tables.as_mut().ok_or(StoreError::Closed)?;
        for op in ops(bytes) {
            let op = op?;
            if !tables.contains_key(op.table) {
                tables.insert(op.table.to_owned(), BTreeMap::new());
            }
            if let Some(rows) = tables.get_mut(op.table) {
                match op.value {
                    Some(value) => rows.insert(op.key.to_vec(), value.to_vec()),
                    None => rows.remove(op.key),
                };
            }
        }
        Ok(())
    }
}

//! Tables, and batches of changes to them. A batch is encoded as it is built; the same bytes go into the journal
//! and are read by whoever applies them, so there is one form of a change and no copy in between.

use super::StoreError;

/// Longest key. With the piece size of the disk backend it keeps every page of sled inside sled's log.
pub const KEY_MAX: usize = 256;
/// Longest value.
pub const VALUE_MAX: usize = 1 << 20;
/// Longest name of a table.
pub const TABLE_NAME_MAX: usize = 32;
/// Most changes in one batch.
pub const BATCH_MAX_OPS: usize = 16_384;
/// Most bytes in one batch, encoded.
pub const BATCH_MAX_BYTES: usize = 2 << 20;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// A named table. Its constant lives with its user: `const COINS: Table = Table::new("coins");`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(&'static str);

impl Table {
    /// A table of that name: a lower-case letter, then lower-case letters, digits, `-` and `_`.
    ///
    /// # Panics
    /// When the name is not of that form; in a `const` that is a compile error.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= TABLE_NAME_MAX, "a table name has 1 to 32 characters");
        assert!(bytes[0].is_ascii_lowercase(), "a table name begins with a lower-case letter");
        let mut i = 0;
        while i < bytes.len() {
            assert!(
                matches!(bytes[i], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'),
                "a table name is made of lower-case letters, digits, - and _"
            );
            i += 1;
        }
        Self(name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Puts and deletes over any number of tables, carried out all or not at all. Where one batch names a row twice, the later
/// change counts. A batch over a limit is refused when it is committed, so that building one needs no error handling.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ops: usize,
    fault: Option<StoreError>,
}

impl Batch {
    /// An empty batch. Committing one is a barrier: it resolves after everything committed before.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(table, key.as_ref(), Some(value.as_ref()))
    }

    /// Removes a row; a row that is not there stays so.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) -> &mut Self {
        self.push(table, key.as_ref(), None)
    }

    /// Adds the changes of another batch after the ones in this.
    pub fn append(&mut self, other: Batch) -> &mut Self {
        self.fault = self.fault.take().or(other.fault);
        if self.admit(other.ops, other.bytes.len()) {
            self.bytes.extend_from_slice(&other.bytes);
            self.ops += other.ops;
        }
        self
    }

    /// How many changes are in it.
    pub fn len(&self) -> usize {
        self.ops
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops == 0
    }

    /// How many bytes it takes in the journal.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The encoded changes, or the first limit that was broken.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, StoreError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.bytes),
        }
    }

    fn push(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> &mut Self {
        let value_len = value.map_or(0, <[u8]>::len);
        if key.len() > KEY_MAX {
            self.fault.get_or_insert(StoreError::TooLarge("a key"));
        } else if value_len > VALUE_MAX {
            self.fault.get_or_insert(StoreError::TooLarge("a value"));
        }
        // kind, table length, key length, value length
        let size = 1 + 1 + table.0.len() + 2 + key.len() + value.map_or(0, |v| 4 + v.len());
        if !self.admit(1, size) {
            return self;
        }
        self.ops += 1;
        self.bytes.reserve(size);
        self.bytes.push(if value.is_some() { PUT } else { DELETE });
        self.bytes.push(table.0.len() as u8);
        self.bytes.extend_from_slice(table.0.as_bytes());
        self.bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(key);
        if let Some(value) = value {
            self.bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(value);
        }
        self
    }

    /// Whether that much more fits. What does not is dropped at once: a refused batch must not grow.
    fn admit(&mut self, ops: usize, size: usize) -> bool {
        if self.ops + ops > BATCH_MAX_OPS {
            self.fault.get_or_insert(StoreError::TooLarge("a batch has too many changes"));
        } else if self.bytes.len() + size > BATCH_MAX_BYTES {
            self.fault.get_or_insert(StoreError::TooLarge("a batch has too many bytes"));
        }
        self.fault.is_none()
    }
}

/// One change, borrowed from the bytes of a batch. `value` is `None` for a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op<'a> {
    pub table: &'a str,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The changes in the bytes of one batch or of several after one another.
pub(super) fn ops(bytes: &[u8]) -> Ops<'_> {
    Ops { rest: bytes }
}

/// See [`ops`]. Bytes that are no changes give one error and then the end.
pub(super) struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<Op<'a>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let op = self.decode();
        if op.is_none() {
            self.rest = &[];
        }
        // The checksum held, so this is a fault of the writer (or a later version of it), not of the disk.
        Some(op.ok_or_else(|| StoreError::Corrupt("a change in the journal is not of a known form".into())))
    }
}

impl<'a> Ops<'a> {
    fn decode(&mut self) -> Option<Op<'a>> {
        let [kind, table_len] = *self.take_array::<2>()?;
        let table = std::str::from_utf8(self.take(usize::from(table_len))?).ok()?;
        let key_len = u16::from_le_bytes(*self.take_array()?);
        let key = self.take(usize::from(key_len))?;
        let value = match kind {
            PUT => {
                let len = u32::from_le_bytes(*self.take_array()?);
                Some(self.take(len as usize)?)
            }
            DELETE => None,
            _ => return None,
        };
        Some(Op { table, key, value })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    fn take_array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(head)
    }
}

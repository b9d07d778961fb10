//! Files that are being sold, kept open: a bounded number of them.

use super::error::ShelfError;
use super::row::{ShelfRow, Stamp};
use netpay_core::content::tree::{Proof, node_count, proof_with};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::sealed::{Leaves, first_leaf};
use netpay_core::id::ContentRoot;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many files are kept open for sale; each takes up to two descriptors.
pub const MAX_OPEN: usize = 64;
/// The length of a node of a tree, in bytes.
const NODE: u64 = 32;

/// Opens a regular file for reading; anything else could block or never end.
pub fn open(path: &Path) -> Result<File, ShelfError> {
    let found = fs::metadata(path).map_err(|e| ShelfError::io("opening", path, e))?;
    if found.is_dir() {
        return Err(ShelfError::Directory(path.to_owned()));
    }
    if !found.is_file() {
        return Err(ShelfError::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(|e| ShelfError::io("opening", path, e))
}

/// A file being sold, and its tree.
#[derive(Debug)]
pub struct Goods {
    path: PathBuf,
    file: File,
    stamp: Stamp,
    tree_path: PathBuf,
    /// None for a file of one group.
    tree: Option<File>,
}

impl Goods {
    /// Opens a file as it is on the shelf.
    ///
    /// # Errors
    /// If it or its tree is not as it was.
    pub fn open(row: &ShelfRow, tree_path: &Path) -> Result<Self, ShelfError> {
        let damaged = || ShelfError::Tree(tree_path.to_owned());
        let nodes = node_count(row.size());
        let tree = if nodes == 0 { None } else { Some(File::open(tree_path).map_err(|_| damaged())?) };
        if let Some(tree) = &tree
            && !tree.metadata().is_ok_and(|found| found.len() == nodes * NODE)
        {
            return Err(damaged());
        }
        let path = row.path().to_owned();
        let goods =
            Self { file: open(&path)?, path, stamp: row.stamp, tree_path: tree_path.to_owned(), tree };
        goods.is_unchanged()?;
        Ok(goods)
    }

    /// Unit `b`, behind the header that `header` makes of its length and its proof.
    ///
    /// # Errors
    /// If there is no such unit, or the file has changed.
    pub fn read_unit(
        &self,
        units: Units,
        b: u64,
        header: impl FnOnce(usize, Proof) -> Vec<u8>,
    ) -> Result<Vec<u8>, ShelfError> {
        if units.size() != self.stamp.size {
            return Err(ShelfError::NoSuchUnit);
        }
        let (range, len) = units.range(b).zip(units.len_of(b)).ok_or(ShelfError::NoSuchUnit)?;
        let proof = proof_with(units, b, |at| self.node(at))?.ok_or(ShelfError::NoSuchUnit)?;
        let mut frame = header(len, proof);
        let begin = frame.len();
        frame.resize(begin + len, 0);
        let read = read_exact_at(&self.file, &mut frame[begin..], range.start);
        // After reading: what was changed before is then noticed, whenever it was.
        self.is_unchanged()?;
        read.map_err(|e| ShelfError::io("reading", &self.path, e))?;
        Ok(frame)
    }

    /// What the leaves of unit `b` hash to; none for a file of one leaf.
    ///
    /// # Errors
    /// If there is no such unit, or the tree is damaged.
    pub fn leaves(&self, units: Units, b: u64) -> Result<Leaves, ShelfError> {
        if units.size() != self.stamp.size {
            return Err(ShelfError::NoSuchUnit);
        }
        let len = units.len_of(b).and_then(|len| u64::try_from(len).ok()).ok_or(ShelfError::NoSuchUnit)?;
        let Some(tree) = &self.tree else { return Ok(Leaves::new()) };
        let mut leaves = vec![[0; 32]; usize::try_from(len.div_ceil(GROUP)).unwrap_or(0)];
        read_exact_at(tree, leaves.as_flattened_mut(), first_leaf(units, b) * NODE)
            .map_err(|_| ShelfError::Tree(self.tree_path.clone()))?;
        Leaves::try_from(leaves).map_err(|_| ShelfError::NoSuchUnit)
    }

    fn node(&self, at: u64) -> Result<[u8; 32], ShelfError> {
        let mut node = [0; 32];
        let read = self.tree.as_ref().map(|tree| read_exact_at(tree, &mut node, at * NODE));
        match read {
            Some(Ok(())) => Ok(node),
            _ => Err(ShelfError::Tree(self.tree_path.clone())),
        }
    }

    fn is_unchanged(&self) -> Result<(), ShelfError> {
        let found = self.file.metadata().map_err(|e| ShelfError::io("reading", &self.path, e))?;
        if Stamp::from(&found) != self.stamp {
            return Err(ShelfError::Changed(self.path.clone()));
        }
        if is_deleted(&found) {
            return Err(ShelfError::Vanished(self.path.clone()));
        }
        Ok(())
    }
}

/// The goods that were asked for last.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    goods: BTreeMap<ContentRoot, (u64, Arc<Goods>)>,
    asked: u64,
}

impl Counter {
    /// Goods that are open.
    pub fn get(&self, root: &ContentRoot) -> Option<Arc<Goods>> {
        let mut open = self.open();
        open.asked += 1;
        let asked = open.asked;
        let (last, goods) = open.goods.get_mut(root)?;
        *last = asked;
        Some(Arc::clone(goods))
    }

    /// Keeps goods open, in place of those that nobody has asked for longest.
    pub fn put(&self, root: ContentRoot, goods: Goods) -> Arc<Goods> {
        let goods = Arc::new(goods);
        let mut open = self.open();
        while open.goods.len() >= MAX_OPEN {
            let oldest = open.goods.iter().min_by_key(|(_, (last, _))| *last).map(|(root, _)| *root);
            let Some(oldest) = oldest else { break };
            open.goods.remove(&oldest);
        }
        open.asked += 1;
        let asked = open.asked;
        open.goods.insert(root, (asked, Arc::clone(&goods)));
        goods
    }

    /// Closes goods, once nobody reads them any more.
    pub fn clear(&self, root: &ContentRoot) {
        self.open().goods.remove(root);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.open().goods.len()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_deleted(found: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(found) == 0
}

#[cfg(not(unix))]
fn is_deleted(_found: &fs::Metadata) -> bool {
    false
}

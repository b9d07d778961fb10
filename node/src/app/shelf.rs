//! The vendor's shelf: which files are for sale at which price, and their bytes with proofs when sold.
//!
//! A file is hashed once, when it is added; its tree stays under `trees/` in the home, and is read there node by
//! node. A file whose size or time of change differs from then is not sold: its bytes may no longer be those
//! that were listed.

mod error;
mod goods;
mod media;
mod row;
mod walk;

pub use error::{RowsError, ShelfError};
pub use row::{MAX_PATH, Offer, ShelfRow, ShelfRows, Stamp};
pub use walk::files_in;

use goods::{Counter, Goods};
use netpay_core::amount::Coins;
use netpay_core::content::tree::{Proof, Tree, TreeBuilder};
use netpay_core::content::units::{MAX_SIZE, Units};
use netpay_core::fair::sealed::Leaves;
use netpay_core::id::ContentRoot;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Where in the home the trees are.
pub const TREES: &str = "trees";
/// The directories in the home from which files may be sold: what was bought, and what was sent through the pages.
pub const SOLD_FROM: [&str; 2] = ["downloads", "shared"];
/// How many files are hashed at once; more would only make a disk seek.
pub const MAX_HASHING: usize = 2;
/// How much of a file is read at once while it is hashed, in bytes.
const READ: usize = 1 << 20;

/// What a file on the shelf is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be sold.
    Ready,
    /// Its size or time of change differs from when it was added.
    Changed,
    /// It is not there, or cannot be opened.
    Vanished,
}

/// What became of a file that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// As it is on the shelf now.
    pub row: ShelfRow,
    /// What was at this path before, if the file had changed since: its listing has to be withdrawn.
    pub replaces: Option<ContentRoot>,
}

/// How far hashing has come, and how to stop it.
#[derive(Debug, Default)]
pub struct Hashing {
    done: AtomicU64,
    stop: AtomicBool,
}

impl Hashing {
    /// Bytes hashed so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Makes [`Shelf::add`] end soon with [`ShelfError::Stopped`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The shelf. All its methods may be called from many threads; those that touch the disk say so.
pub struct Shelf<R> {
    home: PathBuf,
    rows: R,
    /// What `rows` keeps. Locked while a row is written, so that both change in the same order.
    shown: Mutex<BTreeMap<ContentRoot, ShelfRow>>,
    counter: Counter,
    hashing: Semaphore,
}

impl<R: ShelfRows> Shelf<R> {
    /// The shelf of the peer with this home, as it was left. Blocks.
    ///
    /// # Errors
    /// If the rows cannot be read, or the directory for the trees not be made.
    pub fn open(home: &Path, rows: R) -> Result<Self, ShelfError> {
        let trees = home.join(TREES);
        fs::create_dir_all(&trees).map_err(|e| ShelfError::io("creating", &trees, e))?;
        let home = home.canonicalize().map_err(|e| ShelfError::io("opening", home, e))?;
        let shown: BTreeMap<_, _> = rows.load()?.into_iter().map(|row| (row.root, row)).collect();
        sweep(&trees, &shown).map_err(|e| ShelfError::io("tidying", &trees, e))?;
        Ok(Self {
            home,
            rows,
            shown: Mutex::new(shown),
            counter: Counter::default(),
            hashing: Semaphore::new(MAX_HASHING),
        })
    }

    /// Everything on the shelf, by content root.
    pub fn rows(&self) -> Vec<ShelfRow> {
        self.shown().values().cloned().collect()
    }

    /// So many files behind a content root, in the order of these.
    pub fn behind(&self, root: Option<ContentRoot>, many: usize) -> Vec<ShelfRow> {
        let first = root.map_or(Bound::Unbounded, Bound::Excluded);
        self.shown().range((first, Bound::Unbounded)).take(many).map(|(_, row)| row.clone()).collect()
    }

    /// So many of the files that are wanted, by name, from number `from` on (counted from 0); and how many are wanted.
    pub fn page(
        &self,
        wanted: impl Fn(&ShelfRow) -> bool,
        from: usize,
        many: usize,
    ) -> (Vec<ShelfRow>, usize) {
        let shown = self.shown();
        let mut rows: Vec<&ShelfRow> = shown.values().filter(|row| wanted(row)).collect();
        let (total, end) = (rows.len(), from.saturating_add(many));
        let by_name = |a: &&ShelfRow, b: &&ShelfRow| (&*a.name, a.root).cmp(&(&*b.name, b.root));
        // Only those up to the page's end need to be in order.
        if end < total {
            rows.select_nth_unstable_by(end, by_name);
            rows.truncate(end);
        }
        rows.sort_unstable_by(by_name);
        (rows.into_iter().skip(from).cloned().collect(), total)
    }

    /// How many files are on it.
    pub fn count(&self) -> usize {
        self.shown().len()
    }

    /// A file on the shelf.
    pub fn row(&self, root: &ContentRoot) -> Option<ShelfRow> {
        self.shown().get(root).cloned()
    }

    /// Puts a file on the shelf, or offers one that is there under new terms. It is hashed on a blocking thread,
    /// unless it is there and has not changed; dropping the future stops that.
    ///
    /// # Errors
    /// If it is not a file that can be sold, or changed meanwhile, or the operating system refused.
    pub async fn add(
        self: &Arc<Self>,
        path: PathBuf,
        offer: Offer,
        hashing: Arc<Hashing>,
    ) -> Result<Added, ShelfError> {
        let _permit = self.hashing.acquire().await.map_err(|_| ShelfError::Stopped)?;
        let guard = StopOnDrop(Arc::clone(&hashing));
        let shelf = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || shelf.add_blocking(&path, offer, &hashing));
        let added = task.await.map_err(|_| ShelfError::Stopped)?;
        drop(guard);
        added
    }

    /// As [`Shelf::add`], on this thread.
    ///
    /// # Errors
    /// As [`Shelf::add`].
    pub fn add_blocking(&self, path: &Path, offer: Offer, hashing: &Hashing) -> Result<Added, ShelfError> {
        let (added, stopped) = self.add_all_blocking(&[path.to_owned()], &offer, hashing);
        added.into_iter().next().ok_or_else(|| stopped.unwrap_or(ShelfError::Stopped))
    }

    /// Puts files on the shelf as [`Shelf::add`] does, hashing several at once and making all of them durable in one
    /// step. Returns those before the first that could not be added, and why it could not. Blocks.
    pub fn add_all_blocking(
        &self,
        paths: &[PathBuf],
        offer: &Offer,
        hashing: &Hashing,
    ) -> (Vec<Added>, Option<ShelfError>) {
        let known: BTreeMap<PathBuf, ShelfRow> =
            self.shown().values().map(|row| (row.path().to_owned(), row.clone())).collect();
        let look = |path: &PathBuf| self.look(path, &known, offer, hashing);
        let (mut looked, mut stopped) = (Vec::with_capacity(paths.len()), None);
        for one in in_parallel(paths, look) {
            match one {
                Ok(one) => looked.push(one),
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        match self.keep_all(looked, offer) {
            Ok(added) => (added, stopped),
            Err(error) => (Vec::new(), Some(error)),
        }
    }

    /// Hashes a file, unless it is known and has not changed, and keeps its tree; its row is not kept yet.
    fn look(
        &self,
        path: &Path,
        known: &BTreeMap<PathBuf, ShelfRow>,
        offer: &Offer,
        hashing: &Hashing,
    ) -> Result<Looked, ShelfError> {
        let path = path.canonicalize().map_err(|e| ShelfError::io("opening", path, e))?;
        self.may_be_sold(&path)?;
        let file = goods::open(&path)?;
        let before = Stamp::of(&file, &path)?;
        let earlier = known.get(&path);
        if let Some(row) = earlier.filter(|row| row.stamp == before && self.has_tree(row)) {
            hashing.done.fetch_add(row.stamp.size, Ordering::Relaxed);
            return Ok(Looked { row: row.clone(), hashed: false, earlier: None });
        }
        let tree = hash(&file, &path, before, hashing)?;
        if Stamp::of(&file, &path)? != before {
            return Err(ShelfError::Changed(path));
        }
        self.save_tree(&tree)?;
        let row = ShelfRow::new(tree.root(), &path, before, offer.clone())?;
        let earlier = earlier.map(|row| row.root).filter(|root| *root != row.root);
        Ok(Looked { row, hashed: true, earlier })
    }

    /// Keeps the rows of files that were looked at, in one step, and drops what they replace.
    fn keep_all(&self, looked: Vec<Looked>, offer: &Offer) -> Result<Vec<Added>, ShelfError> {
        let mut added = Vec::with_capacity(looked.len());
        let mut shown = self.shown();
        for Looked { mut row, hashed, earlier } in looked {
            let kept = shown.get(&row.root);
            match kept {
                Some(kept) if !hashed => row = kept.clone(),
                None if !hashed => return Err(ShelfError::NotOffered(row.root)),
                kept => row.sequence = kept.map_or(0, |kept| kept.sequence),
            }
            (row.price, row.tags) = (offer.price, offer.tags.clone());
            if hashed {
                self.counter.clear(&row.root);
            }
            added.push(Added { row, replaces: earlier });
        }
        let rows: Vec<_> = added.iter().map(|added| added.row.clone()).collect();
        if !rows.is_empty() {
            self.rows.save(&rows)?;
        }
        shown.extend(rows.into_iter().map(|row| (row.root, row)));
        drop(shown);
        for root in added.iter().filter_map(|added| added.replaces) {
            match self.remove(&root) {
                // The same file may have been named twice.
                Ok(_) | Err(ShelfError::NotOffered(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(added)
    }

    /// Changes the price of a file. Blocks.
    ///
    /// # Errors
    /// If it is not on the shelf, or could not be kept.
    pub fn set_price(&self, root: &ContentRoot, price: Coins) -> Result<ShelfRow, ShelfError> {
        self.change(root, |row| row.price = price)
    }

    /// The sequence for the next listing of a file, kept before it is given: max(last + 1, now). Blocks.
    ///
    /// # Errors
    /// If it is not on the shelf, or could not be kept.
    pub fn next_sequence(&self, root: &ContentRoot, now: u64) -> Result<u64, ShelfError> {
        let row = self.change(root, |row| row.sequence = row.sequence.saturating_add(1).max(now))?;
        Ok(row.sequence)
    }

    /// Takes a file from the shelf; the file itself stays where it is. Blocks. Returns what it was.
    ///
    /// # Errors
    /// If it is not on the shelf, or that could not be kept.
    pub fn remove(&self, root: &ContentRoot) -> Result<ShelfRow, ShelfError> {
        let mut shown = self.shown();
        if !shown.contains_key(root) {
            return Err(ShelfError::NotOffered(*root));
        }
        self.rows.remove(root)?;
        let row = shown.remove(root).ok_or(ShelfError::NotOffered(*root))?;
        self.counter.clear(root);
        let path = self.tree_path(root);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ShelfError::io("removing", &path, error))
            }
            _ => Ok(row),
        }
    }

    /// Whether a file can still be sold. Blocks.
    ///
    /// # Errors
    /// If it is not on the shelf.
    pub fn state(&self, root: &ContentRoot) -> Result<State, ShelfError> {
        let row = self.row(root).ok_or(ShelfError::NotOffered(*root))?;
        Ok(match fs::metadata(row.path()).map(|found| Stamp::from(&found)) {
            Ok(stamp) if stamp == row.stamp => State::Ready,
            Ok(_) => State::Changed,
            Err(_) => State::Vanished,
        })
    }

    /// What cannot be sold any more, to be withdrawn or added again. Blocks.
    pub fn spoilt(&self) -> Vec<(ShelfRow, State)> {
        let state = |row: ShelfRow| self.state(&row.root).ok().map(|state| (row, state));
        self.rows().into_iter().filter_map(state).filter(|(_, state)| *state != State::Ready).collect()
    }

    /// Unit `b` of a file, behind the header that `header` makes of its length and its proof. Blocks: a positional read
    /// of the file and one for each level of its tree.
    ///
    /// # Errors
    /// If it is not on the shelf, has changed or vanished, or has no such unit.
    pub fn read_unit(
        &self,
        root: &ContentRoot,
        units: Units,
        b: u64,
        header: impl FnOnce(usize, Proof) -> Vec<u8>,
    ) -> Result<Vec<u8>, ShelfError> {
        self.reading(root, |goods| goods.read_unit(units, b, header))
    }

    /// What the leaves of unit `b` of a file hash to, for fair mode. Blocks: a positional read for each.
    ///
    /// # Errors
    /// If it is not on the shelf, or has no such unit.
    pub fn read_leaves(&self, root: &ContentRoot, units: Units, b: u64) -> Result<Leaves, ShelfError> {
        self.reading(root, |goods| goods.leaves(units, b))
    }

    /// Reads goods, which are open then; those that cannot be read are closed.
    fn reading<T>(
        &self,
        root: &ContentRoot,
        read: impl FnOnce(&Goods) -> Result<T, ShelfError>,
    ) -> Result<T, ShelfError> {
        let goods = match self.counter.get(root) {
            Some(goods) => goods,
            None => {
                let row = self.row(root).ok_or(ShelfError::NotOffered(*root))?;
                let goods = self.counter.put(*root, Goods::open(&row, &self.tree_path(root))?);
                if self.row(root).is_none() {
                    // Taken away meanwhile: it must not stay open.
                    self.counter.clear(root);
                    return Err(ShelfError::NotOffered(*root));
                }
                goods
            }
        };
        let read = read(&goods);
        if matches!(&read, Err(error) if !matches!(error, ShelfError::NoSuchUnit)) {
            self.counter.clear(root);
        }
        read
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<ContentRoot, ShelfRow>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, root: &ContentRoot, change: impl FnOnce(&mut ShelfRow)) -> Result<ShelfRow, ShelfError> {
        let mut shown = self.shown();
        let kept = shown.get_mut(root).ok_or(ShelfError::NotOffered(*root))?;
        let mut row = kept.clone();
        change(&mut row);
        self.rows.save(std::slice::from_ref(&row))?;
        kept.clone_from(&row);
        Ok(row)
    }

    /// Nothing of the peer's own: somebody who shares a directory around the home shall not sell the wallet.
    fn may_be_sold(&self, path: &Path) -> Result<(), ShelfError> {
        let public = || SOLD_FROM.iter().any(|directory| path.starts_with(self.home.join(directory)));
        if path.starts_with(&self.home) && !public() {
            return Err(ShelfError::Private(path.to_owned()));
        }
        Ok(())
    }

    fn tree_path(&self, root: &ContentRoot) -> PathBuf {
        self.home.join(TREES).join(root.to_string())
    }

    fn has_tree(&self, row: &ShelfRow) -> bool {
        Goods::open(row, &self.tree_path(&row.root)).is_ok()
    }

    /// Writes a tree's nodes, 32 bytes each, whole or not at all. A tree without nodes has no file.
    fn save_tree(&self, tree: &Tree) -> Result<(), ShelfError> {
        if tree.nodes().is_empty() {
            return Ok(());
        }
        let path = self.tree_path(&tree.root());
        let draft = path.with_extension(format!("{:?}.new", std::thread::current().id()));
        let written = File::create(&draft).and_then(|file| {
            let mut writer = BufWriter::with_capacity(READ, file);
            tree.nodes().iter().try_for_each(|node| writer.write_all(node))?;
            let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_data()?;
            fs::rename(&draft, &path)
        });
        written.map_err(|e| {
            let _ = fs::remove_file(&draft);
            ShelfError::io("writing", &path, e)
        })
    }
}

/// A file that was looked at and whose row is not kept yet.
struct Looked {
    row: ShelfRow,
    /// Whether it is new or has changed.
    hashed: bool,
    /// What was at its path before.
    earlier: Option<ContentRoot>,
}

/// Does the same with each, [`MAX_HASHING`] at once; the outcomes come in order, and end after the first error.
fn in_parallel<A: Sync, B: Send>(
    all: &[A],
    work: impl Fn(&A) -> Result<B, ShelfError> + Sync,
) -> Vec<Result<B, ShelfError>> {
    let (next, end) = (AtomicUsize::new(0), AtomicUsize::new(all.len()));
    let share = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            // What comes after an error is not wanted any more.
            if at >= end.load(Ordering::Relaxed) {
                return done;
            }
            let Some(one) = all.get(at) else { return done };
            let outcome = work(one);
            if outcome.is_err() {
                end.fetch_min(at, Ordering::Relaxed);
            }
            done.push((at, outcome));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..MAX_HASHING.min(all.len())).map(|_| scope.spawn(share)).collect();
        let mut done = share();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.truncate(end.into_inner().saturating_add(1));
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Removes what a crash has left behind: drafts, and trees of files that are not on the shelf.
fn sweep(trees: &Path, shown: &BTreeMap<ContentRoot, ShelfRow>) -> std::io::Result<()> {
    for entry in fs::read_dir(trees)? {
        let entry = entry?;
        let root = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let is_left = root.is_none_or(|root| !shown.contains_key(&root));
        if is_left && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

struct StopOnDrop(Arc<Hashing>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn hash(mut file: &File, path: &Path, stamp: Stamp, hashing: &Hashing) -> Result<Tree, ShelfError> {
    if stamp.size > MAX_SIZE {
        return Err(ShelfError::TooLarge(path.to_owned()));
    }
    let mut builder = TreeBuilder::new();
    let mut buffer = vec![0; READ.min(usize::try_from(stamp.size).unwrap_or(READ).saturating_add(1))];
    let mut left = stamp.size;
    loop {
        if hashing.stop.load(Ordering::Relaxed) {
            return Err(ShelfError::Stopped);
        }
        let read = file.read(&mut buffer).map_err(|e| ShelfError::io("reading", path, e))?;
        // A file that grows without end is not followed.
        left = left.checked_sub(read as u64).ok_or_else(|| ShelfError::Changed(path.to_owned()))?;
        match (read, left) {
            (0, 0) => return Ok(builder.finish()),
            (0, _) => return Err(ShelfError::Changed(path.to_owned())),
            _ => builder.update(&buffer[..read]),
        }
        hashing.done.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

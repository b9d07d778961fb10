use super::goods::MAX_OPEN;
use super::*;
use netpay_core::codec::{List, Text, decode, encode};
use netpay_core::content::listing::Modes;
use netpay_core::content::tree::verify_unit;
use netpay_core::content::units::MAX_LOG;
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
use std::time::{Duration, SystemTime};

type Outcome = Result<(), RowsError>;

/// Rows as bytes, as a store would keep them; shared, so that a shelf can be opened again.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<ContentRoot, Vec<u8>>>>);

impl ShelfRows for Memory {
    fn load(&self) -> Result<Vec<ShelfRow>, RowsError> {
        let rows = self.0.lock().expect("not poisoned");
        rows.values().map(|bytes| decode(bytes).map_err(RowsError::from)).collect()
    }

    fn save(&self, row: &ShelfRow) -> Result<(), RowsError> {
        self.0.lock().expect("not poisoned").insert(row.root, encode(row));
        Ok(())
    }

    fn remove(&self, root: &ContentRoot) -> Result<(), RowsError> {
        self.0.lock().expect("not poisoned").remove(root);
        Ok(())
    }
}

struct Shop {
    directory: tempfile::TempDir,
    rows: Memory,
    shelf: Arc<Shelf<Memory>>,
}

impl Shop {
    fn new() -> Result<Self, ShelfError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let rows = Memory::default();
        let shelf = Arc::new(Shelf::open(&directory.path().join("home"), rows.clone())?);
        Ok(Self { directory, rows, shelf })
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("creatable");
        fs::write(&path, bytes).expect("writable");
        path
    }

    fn add(&self, path: &Path, price: u64) -> Result<Added, ShelfError> {
        self.shelf.add_blocking(path, offer(price), &Hashing::default())
    }

    fn sells_all_of(&self, root: &ContentRoot, bytes: &[u8]) -> Result<(), ShelfError> {
        for log in 0..=MAX_LOG {
            let units = Units::new(bytes.len() as u64, log).expect("in range");
            let mut got = Vec::new();
            for b in 0..units.count() {
                let (unit, proof) = read(&self.shelf, root, units, b)?;
                assert_eq!(verify_unit(root, units, b, &unit, &proof), Ok(()));
                got.extend(unit);
            }
            assert!(got == bytes);
        }
        Ok(())
    }
}

/// A unit and its proof.
fn read(
    shelf: &Shelf<Memory>,
    root: &ContentRoot,
    units: Units,
    b: u64,
) -> Result<(Vec<u8>, Proof), ShelfError> {
    let mut shown = None;
    let bytes = shelf.read_unit(root, units, b, |_, proof| {
        shown = Some(proof);
        Vec::new()
    })?;
    Ok((bytes, shown.expect("the header is asked for")))
}

fn offer(price: u64) -> Offer {
    Offer { price: Coins(price), tags: List::first_of([Text::cut("tag")]) }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i / 16_384) as u8).collect()
}

/// As an editor would: other bytes, a later time.
fn touch(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("writable");
    let file = File::options().write(true).open(path).expect("a file");
    file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("settable");
}

#[test]
fn what_is_added_is_sold_unit_by_unit() -> Outcome {
    let shop = Shop::new()?;
    for len in [0, 1, 16_384, 16_385, 300_000, 1_500_000] {
        let content = bytes(len);
        let added = shop.add(&shop.file(&format!("{len}.bin"), &content), 9)?;
        assert_eq!(added.row.root.0, *blake3::hash(&content).as_bytes());
        assert_eq!(added.replaces, None);
        shop.sells_all_of(&added.row.root, &content)?;
    }
    assert_eq!(shop.shelf.rows().len(), 6);
    assert!(shop.shelf.spoilt().is_empty());
    Ok(())
}

#[test]
fn a_vendor_that_restarts_still_sells() -> Outcome {
    let shop = Shop::new()?;
    let content = bytes(100_000);
    let row = shop.add(&shop.file("a.flac", &content), 9)?.row;
    assert_eq!(shop.shelf.next_sequence(&row.root, 50)?, 50);
    assert_eq!(shop.shelf.next_sequence(&row.root, 50)?, 51);
    shop.shelf.set_price(&row.root, Coins(12))?;
    let draft = shop.file("home/trees/half.new", b"left by a crash");
    let shelf = Arc::new(Shelf::open(&shop.directory.path().join("home"), shop.rows.clone())?);
    let again = Shop { shelf, ..shop };
    let kept = again.shelf.row(&row.root).ok_or("kept")?;
    assert_eq!((kept.price, kept.sequence), (Coins(12), 51));
    again.sells_all_of(&row.root, &content)?;
    assert!(!draft.exists());
    let listing =
        kept.listing(PublicKey([1; 32]), Modes::PLAIN, List::first_of([PublicKey([2; 32])]), Time(100));
    assert_eq!(listing.check(Time(100)), Ok(()));
    assert_eq!((&*listing.name, &*listing.media), ("a.flac", "audio/flac"));
    Ok(())
}

#[test]
fn a_changed_file_is_not_sold_until_it_is_added_again() -> Outcome {
    let shop = Shop::new()?;
    let path = shop.file("a", &bytes(50_000));
    let old = shop.add(&path, 9)?.row;
    let units = Units::new(50_000, 0).ok_or("in range")?;
    read(&shop.shelf, &old.root, units, 0)?;

    let other = vec![1; 50_000];
    touch(&path, &other);
    for _ in 0..2 {
        let refused = read(&shop.shelf, &old.root, units, 0);
        assert!(matches!(refused, Err(ShelfError::Changed(_))), "{refused:?}");
    }
    assert_eq!(shop.shelf.spoilt(), [(old.clone(), State::Changed)]);

    let added = shop.add(&path, 9)?;
    assert_eq!(added.replaces, Some(old.root));
    shop.sells_all_of(&added.row.root, &other)?;
    assert_eq!(shop.shelf.rows(), [added.row]);
    assert!(!shop.shelf.tree_path(&old.root).exists());
    Ok(())
}

#[test]
fn a_vanished_file_is_not_sold() -> Outcome {
    let shop = Shop::new()?;
    let path = shop.file("a", &bytes(50_000));
    let row = shop.add(&path, 9)?.row;
    let units = Units::new(50_000, 0).ok_or("in range")?;
    read(&shop.shelf, &row.root, units, 0)?;
    fs::remove_file(&path)?;
    for _ in 0..2 {
        assert!(matches!(read(&shop.shelf, &row.root, units, 0), Err(ShelfError::Vanished(_))));
    }
    assert_eq!(shop.shelf.state(&row.root)?, State::Vanished);
    shop.shelf.remove(&row.root)?;
    assert!(matches!(read(&shop.shelf, &row.root, units, 0), Err(ShelfError::NotOffered(_))));
    assert!(shop.rows.load()?.is_empty());
    Ok(())
}

#[test]
fn a_lost_tree_is_rebuilt_by_adding_the_file_again() -> Outcome {
    let shop = Shop::new()?;
    let content = bytes(50_000);
    let path = shop.file("a", &content);
    let row = shop.add(&path, 9)?.row;
    fs::write(shop.shelf.tree_path(&row.root), b"short")?;
    let units = Units::new(50_000, 0).ok_or("in range")?;
    assert!(matches!(read(&shop.shelf, &row.root, units, 0), Err(ShelfError::Tree(_))));
    assert_eq!(shop.add(&path, 9)?.row, row);
    shop.sells_all_of(&row.root, &content)?;
    Ok(())
}

#[test]
fn an_unchanged_file_is_not_hashed_again_but_takes_the_new_terms() -> Outcome {
    let shop = Shop::new()?;
    let path = shop.file("a", &bytes(50_000));
    let row = shop.add(&path, 9)?.row;
    let before = fs::metadata(shop.shelf.tree_path(&row.root))?.modified()?;
    let again = shop.add(&path, 11)?.row;
    let mut expected = row;
    expected.price = Coins(11);
    assert_eq!(again, expected);
    assert_eq!(fs::metadata(shop.shelf.tree_path(&again.root))?.modified()?, before);
    Ok(())
}

#[test]
fn what_is_not_the_files_is_not_read() -> Outcome {
    let shop = Shop::new()?;
    let row = shop.add(&shop.file("a", &bytes(50_000)), 9)?.row;
    let read_as = |size, b| read(&shop.shelf, &row.root, Units::new(size, 0).expect("in range"), b);
    assert!(matches!(read_as(50_000, 4), Err(ShelfError::NoSuchUnit)));
    assert!(matches!(read_as(50_001, 0), Err(ShelfError::NoSuchUnit)));
    assert!(read_as(50_000, 3).is_ok());
    Ok(())
}

#[test]
fn only_so_many_files_stay_open() -> Outcome {
    let shop = Shop::new()?;
    let units = Units::new(2, 0).ok_or("in range")?;
    for i in 0..=MAX_OPEN {
        let row = shop.add(&shop.file(&format!("{i}"), &[i as u8, 1]), 0)?.row;
        read(&shop.shelf, &row.root, units, 0)?;
    }
    assert_eq!(shop.shelf.counter.len(), MAX_OPEN);
    Ok(())
}

#[test]
fn the_wallet_is_not_for_sale() -> Outcome {
    let shop = Shop::new()?;
    let wallet = shop.file("home/wallet", b"secret");
    assert!(matches!(shop.add(&wallet, 9), Err(ShelfError::Private(_))));
    #[cfg(unix)]
    {
        let link = shop.directory.path().join("innocent");
        std::os::unix::fs::symlink(&wallet, &link)?;
        assert!(matches!(shop.add(&link, 9), Err(ShelfError::Private(_))));
    }
    shop.add(&shop.file("home/downloads/song", b"la"), 9)?;
    Ok(())
}

#[test]
fn a_directory_is_walked_without_hidden_files_and_links() -> Outcome {
    let shop = Shop::new()?;
    let root = shop.directory.path().join("share");
    for name in ["share/b.txt", "share/a/z.txt", "share/.hidden", "share/.git/config"] {
        shop.file(name, b"x");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(shop.file("outside", b"x"), root.join("link"))?;
    let found = files_in(&root, true).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(found, [root.join("a/z.txt"), root.join("b.txt")]);
    assert!(matches!(files_in(&root, false).next(), Some(Err(ShelfError::Directory(_)))));
    assert!(matches!(files_in(&root.join("none"), true).next(), Some(Err(ShelfError::Vanished(_)))));
    let hidden = root.join(".hidden");
    assert_eq!(files_in(&hidden, false).collect::<Result<Vec<_>, _>>()?, [hidden]);
    Ok(())
}

#[tokio::test]
async fn hashing_shows_how_far_it_is_and_can_be_stopped() -> Outcome {
    let shop = Shop::new()?;
    let path = shop.file("a", &bytes(3 << 20));
    let hashing = Arc::new(Hashing::default());
    let added = shop.shelf.add(path.clone(), offer(1), Arc::clone(&hashing)).await?;
    assert_eq!(hashing.done(), 3 << 20);
    shop.shelf.remove(&added.row.root)?;

    let stopped = Arc::new(Hashing::default());
    stopped.stop();
    let refused = shop.shelf.add(path, offer(1), stopped).await;
    assert!(matches!(refused, Err(ShelfError::Stopped)));
    assert!(shop.shelf.rows().is_empty());
    Ok(())
}

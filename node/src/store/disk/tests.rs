//! What the disk backend finds after it was torn, flipped, killed, or given a disk that fails.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::journal::JournalFile;
use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const COINS: Table = Table::new("coins");
const SALES: Table = Table::new("sales");

/// What is durable after a crash is all there is: nothing is tidied up when the store is dropped.
fn crashing() -> Options {
    Options { checkpoint_on_close: false, ..Options::default() }
}

/// Batch `n`: the same number in two tables, and one row that every batch overwrites. Sizes differ.
fn numbered(n: u64) -> Batch {
    let mut batch = Batch::new();
    let filler = vec![n as u8; (n % 17 * 400) as usize];
    batch.put(COINS, n.to_be_bytes(), &filler).put(SALES, n.to_be_bytes(), n.to_be_bytes()).put(
        SALES,
        "last",
        n.to_be_bytes(),
    );
    batch
}

/// How many numbered batches are there; fails when one is there in part, one is missing, or one too many.
fn count(disk: &Disk) -> Result<u64, Box<dyn std::error::Error>> {
    let mut n = 0_u64;
    while let Some(filler) = disk.get(COINS, &n.to_be_bytes())? {
        if filler != vec![n as u8; (n % 17 * 400) as usize] || disk.get(SALES, &n.to_be_bytes())?.is_none() {
            return Err(format!("batch {n} is there in part").into());
        }
        n += 1;
    }
    let last = n.checked_sub(1).map(|last| last.to_be_bytes().to_vec());
    if disk.get(SALES, &n.to_be_bytes())?.is_some() || disk.get(SALES, b"last")? != last {
        return Err(format!("batch {n} or one behind it is there in part").into());
    }
    Ok(n)
}

fn write(disk: &Disk, numbers: std::ops::Range<u64>) -> Result<(), StoreError> {
    numbers.into_iter().try_for_each(|n| disk.commit(numbered(n)).wait())
}

fn journal_of(directory: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    Ok(Found::newest(directory)?.ok_or("no journal")?.path().to_owned())
}

/// A copy as it would be found on the disk had power gone at this moment, with sled as of `sled`.
fn copy(journal: &Path, sled: &Path, to: &Path) -> Outcome {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to.join("sled/blobs"))?;
    fs::copy(journal, to.join(journal.file_name().ok_or("no name")?))?;
    for entry in fs::read_dir(sled)? {
        let entry = entry?;
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join("sled").join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A database whose journal has `batches` records that sled, saved in `sled-before`, does not have.
fn journaled(directory: &Path, batches: u64) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let db = directory.join("db");
    drop(Disk::open(&db, crashing())?);
    let before = directory.join("before");
    copy(&journal_of(&db)?, &db.join("sled"), &before)?;
    let disk = Disk::open(&db, crashing())?;
    write(&disk, 0..batches)?;
    drop(disk);
    let journal = journal_of(&db)?;
    // Without the room behind the last record, so that every byte there is means something.
    let records = journal::Found::newest(&db)?.ok_or("no journal")?.length();
    assert!(records < fs::metadata(&journal)?.len(), "room is written ahead");
    fs::OpenOptions::new().write(true).open(&journal)?.set_len(records)?;
    Ok(journal)
}

#[test]
fn a_write_torn_at_any_byte_is_cut_off_and_the_rest_is_there() -> Outcome {
    let directory = tempfile::tempdir()?;
    let journal = journaled(directory.path(), 3)?;
    let whole = fs::read(&journal)?;
    let to = directory.path().join("torn");
    let torn = to.join(journal.file_name().ok_or("no name")?);
    let ends = ends_of_records(&journal)?;
    let [.., second, third] = ends.as_slice() else {
        return Err("records are missing".into());
    };
    assert_eq!(*third, whole.len());
    for length in (*second..=*third).rev() {
        copy(&journal, &directory.path().join("before/sled"), &to)?;
        fs::write(&torn, &whole[..length])?;
        // Every way is looked at; every tenth is also opened, which takes longer.
        let found = Found::newest(&to)?.ok_or("no journal")?;
        assert_eq!(found.last, if length == *third { 3 } else { 2 });
        // Torn in the room that was written ahead: zeros follow.
        let mut roomy = whole[..length].to_vec();
        roomy.resize(whole.len() + 500, 0);
        fs::write(&torn, roomy)?;
        let found = Found::newest(&to)?.ok_or("no journal")?;
        let complete = whole[length..].iter().all(|byte| *byte == 0);
        assert_eq!(found.last, if complete { 3 } else { 2 });
        fs::write(&torn, &whole[..length])?;
        if length % 10 == 0 || length + 1 >= *third || length <= *second + 1 {
            let disk = Disk::open(&to, crashing())?;
            assert_eq!(count(&disk)?, if length == *third { 3 } else { 2 });
            write(&disk, count(&disk)?..5)?;
            drop(disk);
            assert_eq!(count(&Disk::open(&to, crashing())?)?, 5, "what follows a cut is kept");
        }
    }
    Ok(())
}

fn ends_of_records(journal: &Path) -> Result<Vec<usize>, Box<dyn std::error::Error>> {
    let bytes = fs::read(journal)?;
    let marker = &bytes[20..28];
    let mut ends: Vec<usize> = bytes
        .windows(8)
        .enumerate()
        .skip(28)
        .filter(|(_, window)| *window == marker)
        .map(|(at, _)| at)
        .collect();
    ends.push(bytes.len());
    Ok(ends)
}

#[test]
fn a_flipped_bit_is_damage_in_the_middle_and_a_torn_write_at_the_end() -> Outcome {
    let directory = tempfile::tempdir()?;
    let journal = journaled(directory.path(), 3)?;
    let whole = fs::read(&journal)?;
    let last = ends_of_records(&journal)?[2];
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&journal, &bytes)?;
        match Found::newest(journal.parent().ok_or("no parent")?) {
            Err(StoreError::Corrupt(why)) if at < last => {
                assert!(
                    why.contains(if at < 32 { "header" } else { "damaged in the middle" }),
                    "{at}: {why}"
                );
            }
            Ok(Some(found)) if at >= last => assert_eq!(found.last, 2),
            other => {
                return Err(
                    format!("byte {at}: {:?}", other.map(|found| found.map(|found| found.last))).into()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_journal_damaged_behind_what_sled_has_takes_nothing_back() -> Outcome {
    let directory = tempfile::tempdir()?;
    let journal = journaled(directory.path(), 4)?;
    let db = directory.path().join("db");
    let length = fs::metadata(&journal)?.len();
    fs::OpenOptions::new().write(true).open(&journal)?.set_len(length - 1)?;
    let disk = Disk::open(&db, crashing())?;
    assert_eq!(count(&disk)?, 4);
    write(&disk, 4..6)?;
    drop(disk);
    assert_eq!(count(&Disk::open(&db, crashing())?)?, 6);
    Ok(())
}

#[test]
fn replaying_twice_or_over_any_state_gives_the_same() -> Outcome {
    let directory = tempfile::tempdir()?;
    let journal = journaled(directory.path(), 40)?;
    let to = directory.path().join("again");
    copy(&journal, &directory.path().join("before/sled"), &to)?;
    for _ in 0..3 {
        assert_eq!(count(&Disk::open(&to, crashing())?)?, 40, "sled has nothing at first, then everything");
    }
    let disk = Disk::open(&directory.path().join("db"), crashing())?;
    let half = directory.path().join("half");
    write(&disk, 40..50)?;
    disk.shared.tree()?.make_durable()?;
    copy(&journal, &directory.path().join("db/sled"), &half)?;
    write(&disk, 50..70)?;
    fs::copy(&journal, half.join(journal.file_name().ok_or("no name")?))?;
    assert_eq!(count(&Disk::open(&half, crashing())?)?, 70, "sled has some, the journal has all");
    Ok(())
}

#[test]
fn checkpoints_leave_one_journal_and_everything_is_there() -> Outcome {
    let directory = tempfile::tempdir()?;
    let db = directory.path().join("db");
    let options = || Options { checkpoint_bytes: 20_000, ..crashing() };
    let disk = Disk::open(&db, options())?;
    write(&disk, 0..100)?;
    drop(disk);
    let journals = fs::read_dir(&db)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-"));
    assert_eq!(journals.count(), 1);
    let found = Found::newest(&db)?.ok_or("no journal")?;
    assert!(found.base > 0);
    assert_eq!(found.last, 100);
    drop(found);
    assert_eq!(count(&Disk::open(&db, options())?)?, 100);

    drop(Disk::open(&db, Options::default())?);
    let found = Found::newest(&db)?.ok_or("no journal")?;
    assert_eq!((found.base, found.last), (100, 100), "closing leaves nothing to replay");
    Ok(())
}

#[test]
fn crashes_around_a_checkpoint_leave_a_state_that_opens() -> Outcome {
    let directory = tempfile::tempdir()?;
    let old = journaled(directory.path(), 10)?;
    let db = directory.path().join("db");
    let saved = fs::read(&old)?;
    drop(Disk::open(&db, Options::default())?);
    // The new journal is there, and the old one was not removed yet; a third was being written.
    fs::write(&old, &saved)?;
    fs::write(db.join(format!("journal-{:020}{}", 99, files::UNFINISHED)), b"NP")?;
    assert_eq!(count(&Disk::open(&db, crashing())?)?, 10);
    assert!(!old.exists());
    assert_eq!(fs::read_dir(&db)?.count(), 3, "the lock, sled, and one journal");

    // sled without what the checkpoint promised, and sled without its journal.
    let to = directory.path().join("lost");
    copy(&journal_of(&db)?, &directory.path().join("before/sled"), &to)?;
    assert!(
        matches!(Disk::open(&to, crashing()), Err(StoreError::Corrupt(why)) if why.contains("only group 0"))
    );
    fs::remove_file(journal_of(&db)?)?;
    assert!(
        matches!(Disk::open(&db, crashing()), Err(StoreError::Corrupt(why)) if why.contains("no journal"))
    );
    Ok(())
}

#[test]
fn sled_is_never_given_a_page_that_it_would_not_sync() -> Outcome {
    let directory = tempfile::tempdir()?;
    let disk = Disk::open(directory.path(), crashing())?;
    let key = |n: u32| {
        let mut key = vec![0xab; crate::store::KEY_MAX];
        key[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
        key
    };
    for n in 0..3_000 {
        // The longest keys, with the longest values that are kept whole, and some that are not.
        let length = if n % 100 == 0 { 200_000 } else { 4_096 };
        let mut batch = Batch::new();
        batch.put(COINS, key(n), vec![n as u8; length]);
        if n % 3 == 0 {
            batch.delete(COINS, key(n / 2));
        }
        drop(disk.commit(batch));
    }
    disk.commit(Batch::new()).wait()?;
    disk.shared.tree()?.make_durable()?;
    assert_eq!(fs::read_dir(directory.path().join("sled/blobs"))?.count(), 0);
    Ok(())
}

#[test]
fn a_second_handle_is_told_that_the_database_is_in_use() -> Outcome {
    let directory = tempfile::tempdir()?;
    let _disk = Disk::open(directory.path(), crashing())?;
    assert!(matches!(Disk::open(directory.path(), crashing()), Err(StoreError::InUse(_))));
    Ok(())
}

#[test]
fn a_file_system_without_room_refuses_commits_and_loses_nothing() -> Outcome {
    let directory = tempfile::tempdir()?;
    let disk = Disk::open(directory.path(), Options { reserve_bytes: u64::MAX, ..crashing() })?;
    assert!(matches!(write(&disk, 0..1), Err(StoreError::Full)));
    assert_eq!(count(&disk)?, 0);
    drop(disk);
    assert_eq!(count(&Disk::open(directory.path(), crashing())?)?, 0);
    Ok(())
}

/// A disk with room for so many more bytes of journal, and perhaps with a file that cannot be cut or made.
#[derive(Default)]
struct Failing {
    room: AtomicU64,
    sync_fails: AtomicBool,
    truncate_fails: AtomicBool,
    create_fails: AtomicBool,
}

struct FailingMedium(Arc<Failing>);
struct FailingFile(Arc<Failing>, Box<dyn JournalFile>);

impl Medium for FailingMedium {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // It fails after the file has its name, as when the directory cannot be synced.
        RealMedium.create(path, bytes)?;
        fail_if(&self.0.create_fails)
    }

    fn open(&self, path: &Path, end: u64) -> io::Result<Box<dyn JournalFile>> {
        Ok(Box::new(FailingFile(self.0.clone(), RealMedium.open(path, end)?)))
    }
}

impl JournalFile for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.0.room.load(Ordering::SeqCst);
        let fits = bytes.len().min(room as usize);
        self.0.room.store(room - fits as u64, Ordering::SeqCst);
        self.1.append(&bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.sync()?;
        if self.0.sync_fails.swap(false, Ordering::SeqCst) {
            Err(io::Error::other("a bad sector"))
        } else {
            Ok(())
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        fail_if(&self.0.truncate_fails)?;
        self.1.truncate(length)
    }
}

fn fail_if(flag: &AtomicBool) -> io::Result<()> {
    if flag.load(Ordering::SeqCst) { Err(io::Error::other("a bad disk")) } else { Ok(()) }
}

fn failing(failing: &Arc<Failing>) -> Options {
    Options { medium: Arc::new(FailingMedium(failing.clone())), ..crashing() }
}

#[test]
fn a_full_disk_fails_the_batch_only_and_later_commits_succeed_once_there_is_room() -> Outcome {
    let directory = tempfile::tempdir()?;
    let state = Arc::new(Failing { room: AtomicU64::new(2_000), ..Failing::default() });
    let disk = Disk::open(directory.path(), failing(&state))?;
    let mut n = 0;
    for room in [0, 1, 7, 100, 1_000, 5_000, 20_000] {
        while write(&disk, n..n + 1).is_ok() {
            n += 1;
        }
        assert!(matches!(write(&disk, n..n + 1), Err(StoreError::Full)));
        assert_eq!(count(&disk)?, n, "the failed batch is not there, what was before is");
        state.room.store(room, Ordering::SeqCst);
    }
    drop(disk);
    assert!(n > 3);
    assert_eq!(count(&Disk::open(directory.path(), crashing())?)?, n);
    Ok(())
}

#[test]
fn a_failed_sync_fails_the_batch_and_it_never_appears() -> Outcome {
    let directory = tempfile::tempdir()?;
    let state = Arc::new(Failing { room: AtomicU64::new(u64::MAX), ..Failing::default() });
    let disk = Disk::open(directory.path(), failing(&state))?;
    write(&disk, 0..3)?;
    state.sync_fails.store(true, Ordering::SeqCst);
    assert!(matches!(write(&disk, 3..4), Err(StoreError::Io { .. })));
    assert_eq!(count(&disk)?, 3);
    drop(disk);
    let disk = Disk::open(directory.path(), failing(&state))?;
    assert_eq!(count(&disk)?, 3);
    write(&disk, 3..5)?;
    assert_eq!(count(&disk)?, 5);
    Ok(())
}

#[test]
fn a_write_that_cannot_be_taken_back_makes_the_store_read_only() -> Outcome {
    let directory = tempfile::tempdir()?;
    let state = Arc::new(Failing { room: AtomicU64::new(1_500), ..Failing::default() });
    let disk = Disk::open(directory.path(), failing(&state))?;
    state.truncate_fails.store(true, Ordering::SeqCst);
    let mut n = 0;
    while write(&disk, n..n + 1).is_ok() {
        n += 1;
    }
    state.room.store(u64::MAX, Ordering::SeqCst);
    assert!(matches!(write(&disk, n..n + 1), Err(StoreError::ReadOnly(why)) if why.contains("cutting")));
    assert_eq!(count(&disk)?, n, "reads go on");
    drop(disk);
    assert_eq!(count(&Disk::open(directory.path(), crashing())?)?, n);
    Ok(())
}

#[test]
fn a_journal_that_cannot_be_begun_leaves_the_old_one_in_use() -> Outcome {
    let directory = tempfile::tempdir()?;
    let state = Arc::new(Failing { room: AtomicU64::new(u64::MAX), ..Failing::default() });
    let options = || Options { checkpoint_bytes: 20_000, ..failing(&state) };
    let disk = Disk::open(directory.path(), options())?;
    write(&disk, 0..5)?;
    state.create_fails.store(true, Ordering::SeqCst);
    let mut n = 5;
    while write(&disk, n..n + 1).is_ok() {
        n += 1;
    }
    assert!(n > 20, "a failed checkpoint costs room, not service, until the journal is overgrown");
    let sled = directory.path().join("sled");
    let to = directory.path().join("power-loss");
    copy(&journal_of(directory.path())?, &sled, &to)?;
    assert_eq!(
        Found::newest(&to)?.ok_or("no journal")?.base,
        0,
        "no later journal hides what is in the old one"
    );
    state.create_fails.store(false, Ordering::SeqCst);
    write(&disk, n..n + 5)?;
    drop(disk);
    assert_eq!(count(&Disk::open(directory.path(), crashing())?)?, n + 5);
    Ok(())
}

const KILLED: &str = "NETPAY_TEST_STORE_TO_KILL";
const ROUNDS: u64 = 20;
const IN_FLIGHT: u64 = 8;

/// Not a test of its own: the process that is killed below. Writes numbered batches for ever, telling each acknowledged number.
#[test]
fn killed_process() -> Outcome {
    let Some(directory) = std::env::var_os(KILLED) else {
        return Ok(());
    };
    let disk = Disk::open(Path::new(&directory), Options { checkpoint_bytes: 100_000, ..crashing() })?;
    let mut n = count(&disk)?;
    loop {
        let commits: Vec<_> = (n..n + IN_FLIGHT).map(|n| (n, disk.commit(numbered(n)))).collect();
        for (n, commit) in commits {
            commit.wait()?;
            println!("acknowledged {n}");
        }
        n += IN_FLIGHT;
    }
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_there_after_it() -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut there = 0;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let acknowledged = run_until_killed(directory.path(), random >> 56)?;
        let disk = Disk::open(directory.path(), crashing())?;
        let found = count(&disk)?;
        assert!(
            found > acknowledged,
            "round {round}: {acknowledged} was acknowledged, {found} batches are there"
        );
        assert!(found >= there, "round {round}: {found} batches are there, there were {there}");
        there = found;
    }
    Ok(())
}

/// The last number that the process told before it was killed, which is after it told so many. The kill comes while it
/// goes on, wherever it is then.
fn run_until_killed(directory: &Path, after: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["store::disk::tests::killed_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(KILLED, directory)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut last = None;
    let mut told = 0;
    for line in lines.by_ref() {
        if let Some((_, number)) = line?.split_once("acknowledged ") {
            last = Some(number.parse()?);
            told += 1;
        }
        if told > after {
            child.kill()?;
            break;
        }
    }
    // What it had told before it died is still in the pipe; a line cut short is none.
    for line in lines {
        last = line?.strip_prefix("acknowledged ").and_then(|number| number.parse().ok()).or(last);
    }
    child.wait()?;
    last.ok_or_else(|| "it told nothing".into())
}

//! What every backend has to do. One list of promises, run on each of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const COINS: Table = Table::new("coins");
const SALES: Table = Table::new("sales");

#[test]
fn the_memory_backend_keeps_every_promise() -> Outcome {
    for promise in PROMISES {
        promise(&Db::memory())?;
    }
    Ok(())
}

#[test]
fn the_disk_backend_keeps_every_promise() -> Outcome {
    for promise in PROMISES {
        let directory = tempfile::tempdir()?;
        promise(&Db::open(&directory.path().join("db"))?)?;
    }
    Ok(())
}

#[test]
fn both_backends_answer_alike_whatever_is_asked() -> Outcome {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..Default::default()
    });
    runner.run(&proptest::collection::vec(step(), 1..60), |steps| {
        let directory = tempfile::tempdir()?;
        let mut disk = Db::open(directory.path()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let memory = Db::memory();
        for step in steps {
            let same = run(step, &mut disk, &memory, directory.path())
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(same);
        }
        Ok(())
    })?;
    Ok(())
}

const PROMISES: &[fn(&Db) -> Outcome] = &[
    a_row_is_there_once_its_commit_resolved,
    the_later_change_of_a_row_counts,
    tables_do_not_mix,
    scans_are_ordered_and_paged,
    long_values_come_back_whole_and_leave_nothing_behind,
    a_batch_over_a_limit_changes_nothing,
    a_dropped_commit_is_carried_out,
    commits_of_many_threads_are_all_there,
    nobody_sees_half_a_batch,
    typed_rows_come_back,
    a_closed_store_says_so,
];

fn a_row_is_there_once_its_commit_resolved(db: &Db) -> Outcome {
    assert_eq!(db.get(COINS, b"a")?, None);
    db.commit(batch(|b| b.put(COINS, "a", "1").put(COINS, "", "empty key").put(COINS, "e", ""))).wait()?;
    assert_eq!(db.get(COINS, b"a")?.as_deref(), Some(b"1".as_slice()));
    assert_eq!(db.get(COINS, b"")?.as_deref(), Some(b"empty key".as_slice()));
    assert_eq!(db.get(COINS, b"e")?.as_deref(), Some(b"".as_slice()));
    db.commit(batch(|b| b.delete(COINS, "a").delete(COINS, "never there"))).wait()?;
    assert_eq!(db.get(COINS, b"a")?, None);
    db.commit(Batch::new()).wait()?;
    Ok(())
}

fn the_later_change_of_a_row_counts(db: &Db) -> Outcome {
    let mut first = batch(|b| b.put(COINS, "a", "1").delete(COINS, "a").put(COINS, "b", "1"));
    first.append(batch(|b| b.put(COINS, "a", "2").delete(COINS, "b")));
    assert_eq!((first.len(), first.is_empty()), (5, false));
    let commits =
        [first, batch(|b| b.put(COINS, "c", "1")), batch(|b| b.put(COINS, "c", "2"))].map(|b| db.commit(b));
    for commit in commits {
        commit.wait()?;
    }
    assert_eq!(texts(db.scan(COINS, b"", None, 9)?), [("a", "2"), ("c", "2")].map(owned));
    Ok(())
}

fn tables_do_not_mix(db: &Db) -> Outcome {
    db.commit(batch(|b| b.put(COINS, "a", "coin").put(SALES, "a", "sale"))).wait()?;
    db.commit(batch(|b| b.delete(COINS, "a"))).wait()?;
    assert_eq!(texts(db.scan(SALES, b"", None, 9)?), [("a", "sale")].map(owned));
    assert!(db.scan(COINS, b"", None, 9)?.is_empty());
    assert!(db.scan(Table::new("never-written"), b"", None, 9)?.is_empty());
    Ok(())
}

fn scans_are_ordered_and_paged(db: &Db) -> Outcome {
    db.commit(batch(|b| {
        for key in ["b2", "a1", "b1", "c1", "b3", "b", "ab"] {
            b.put(COINS, key, "");
        }
        b
    }))
    .wait()?;
    let keys = |prefix: &str, after: Option<&str>, limit| -> Result<Vec<String>, StoreError> {
        let page = db.scan(COINS, prefix.as_bytes(), after.map(str::as_bytes), limit)?;
        Ok(texts(page).into_iter().map(|(key, _)| key).collect())
    };
    assert_eq!(keys("", None, 99)?, ["a1", "ab", "b", "b1", "b2", "b3", "c1"]);
    assert_eq!(keys("b", None, 2)?, ["b", "b1"]);
    assert_eq!(keys("b", Some("b1"), 2)?, ["b2", "b3"]);
    assert!(keys("b", Some("b3"), 2)?.is_empty());
    assert_eq!(keys("b", Some("a"), 1)?, ["b"], "a key before the prefix is before its first row");
    assert!(keys("b", Some("c"), 9)?.is_empty(), "a key behind the prefix is behind its last row");
    assert_eq!(keys("b", Some("b2x"), 9)?, ["b3"], "the key need not be there");
    assert!(keys("b", None, 0)?.is_empty());
    let back = |before: Option<&str>, limit| -> Result<Vec<String>, StoreError> {
        let page = db.scan_back(COINS, before.map(str::as_bytes), limit)?;
        Ok(texts(page).into_iter().map(|(key, _)| key).collect())
    };
    assert_eq!(back(None, 99)?, ["c1", "b3", "b2", "b1", "b", "ab", "a1"]);
    assert_eq!(back(Some("b2"), 2)?, ["b1", "b"]);
    assert_eq!(back(Some("b2x"), 1)?, ["b2"], "the key need not be there");
    assert!(back(Some("a1"), 9)?.is_empty() && back(None, 0)?.is_empty());
    Ok(())
}

fn long_values_come_back_whole_and_leave_nothing_behind(db: &Db) -> Outcome {
    for size in [4_095, 4_096, 4_097, 300_000, VALUE_MAX, 9_000, 8_192, 3, 5_000, 0] {
        let value: Vec<u8> = (0..size).map(|i| (i * 31 + size) as u8).collect();
        let commits = [COINS, SALES].map(|table| db.commit(batch(|b| b.put(table, "long", &value))));
        for commit in commits {
            commit.wait()?;
        }
        assert!(db.get(COINS, b"long")? == Some(value.clone()), "{size}");
        assert!(db.scan(SALES, b"lo", None, 9)? == [(b"long".to_vec(), value)], "{size}");
    }
    db.commit(batch(|b| b.put(COINS, "long", vec![1; 9_000]))).wait()?;
    db.commit(batch(|b| b.delete(COINS, "long"))).wait()?;
    assert_eq!(db.get(COINS, b"long")?, None);
    Ok(())
}

fn a_batch_over_a_limit_changes_nothing(db: &Db) -> Outcome {
    let too_large = [
        batch(|b| b.put(COINS, "a", "1").put(COINS, [0; KEY_MAX + 1], "")),
        batch(|b| b.put(COINS, "a", "1").delete(COINS, [0; KEY_MAX + 1])),
        batch(|b| b.put(COINS, "a", "1").put(COINS, "b", vec![0; VALUE_MAX + 1])),
        batch(|b| {
            b.put(COINS, "a", "1").put(COINS, "b", vec![0; VALUE_MAX]).put(COINS, "c", vec![0; VALUE_MAX])
        }),
        batch(|b| (0..=BATCH_MAX_OPS).fold(b, |b, _| b.put(COINS, "a", "1"))),
    ];
    for batch in too_large {
        assert!(batch.size() <= BATCH_MAX_BYTES);
        assert!(matches!(db.commit(batch).wait(), Err(StoreError::TooLarge(_))));
    }
    assert!(db.scan(COINS, b"", None, 9)?.is_empty());
    db.commit(batch(|b| b.put(COINS, [9; KEY_MAX], vec![7; VALUE_MAX]))).wait()?;
    assert_eq!(db.get(COINS, &[9; KEY_MAX])?.map(|value| value.len()), Some(VALUE_MAX));
    Ok(())
}

fn a_dropped_commit_is_carried_out(db: &Db) -> Outcome {
    drop(db.commit(batch(|b| b.put(COINS, "a", "1"))));
    db.commit(Batch::new()).wait()?;
    assert!(db.get(COINS, b"a")?.is_some());
    Ok(())
}

fn commits_of_many_threads_are_all_there(db: &Db) -> Outcome {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|thread| {
                scope.spawn(move || {
                    (0..50_u8).try_for_each(|n| {
                        db.commit(batch(|b| b.put(COINS, [thread, n], "").put(SALES, [thread], [n]))).wait()
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?.map_err(|e| e.to_string()))
    })?;
    assert_eq!(db.scan(COINS, b"", None, 999)?.len(), 8 * 50);
    assert!(
        db.scan(SALES, b"", None, 999)?.iter().all(|(_, last)| last == &[49]),
        "batches are carried out in order"
    );
    Ok(())
}

fn nobody_sees_half_a_batch(db: &Db) -> Outcome {
    std::thread::scope(|scope| -> Outcome {
        let writer = scope.spawn(|| {
            (0..200_u8).try_for_each(|n| {
                db.commit(batch(|b| (0..20_u8).fold(b, |b, key| b.put(COINS, [key], [n])))).wait()
            })
        });
        while !writer.is_finished() {
            let page = db.scan(COINS, b"", None, 99)?;
            assert!(page.is_empty() || page.len() == 20);
            assert!(page.windows(2).all(|pair| pair[0].1 == pair[1].1), "rows of two batches in one page");
        }
        writer.join().map_err(|_| "the writer panicked")??;
        Ok(())
    })
}

fn typed_rows_come_back(db: &Db) -> Outcome {
    #[derive(Debug, PartialEq)]
    struct Sale(u64, String);
    impl Row for Sale {
        const TABLE: Table = SALES;
        type Error = std::string::FromUtf8Error;
        fn key(&self) -> Vec<u8> {
            self.0.to_be_bytes().to_vec()
        }
        fn value(&self) -> Vec<u8> {
            self.1.clone().into_bytes()
        }
        fn parse(key: &[u8], value: &[u8]) -> Result<Self, Self::Error> {
            let number = key.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            Ok(Self(number, String::from_utf8(value.to_vec())?))
        }
    }
    let sales: Vec<_> = (0..SCAN_MAX_ROWS as u64 + 10).map(|n| Sale(n, format!("sale {n}"))).collect();
    let mut all = Batch::new();
    sales.iter().for_each(|sale| {
        all.put_row(sale);
    });
    db.commit(all).wait()?;
    assert_eq!(db.row::<Sale>(7_u64.to_be_bytes())?, Some(Sale(7, "sale 7".into())));
    assert_eq!(db.row::<Sale>(u64::MAX.to_be_bytes())?, None);
    assert_eq!(db.rows::<Sale>("").collect::<Result<Vec<_>, _>>()?, sales, "more rows than a page has");
    db.commit(batch(|b| b.put(SALES, 1_u64.to_be_bytes(), [0xff]))).wait()?;
    assert!(
        matches!(db.row::<Sale>(1_u64.to_be_bytes()), Err(StoreError::Corrupt(why)) if why.contains("table sales"))
    );
    Ok(())
}

fn a_closed_store_says_so(db: &Db) -> Outcome {
    let last = db.commit(batch(|b| b.put(COINS, "a", "1")));
    db.close()?;
    last.wait()?;
    db.close()?;
    assert!(matches!(db.commit(Batch::new()).wait(), Err(StoreError::Closed)));
    assert!(matches!(db.get(COINS, b"a"), Err(StoreError::Closed)));
    assert!(matches!(db.scan(COINS, b"a", None, 1), Err(StoreError::Closed)));
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(bool, u8, Option<u16>)>),
    Scan(bool, Vec<u8>, Option<Vec<u8>>, usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let change = (any::<bool>(), 0..40_u8, proptest::option::weighted(0.7, 0..9_000_u16));
    let bytes = || proptest::collection::vec(0..7_u8, 0..3);
    prop_oneof![
        8 => proptest::collection::vec(change, 0..30).prop_map(Step::Commit),
        4 => (any::<bool>(), bytes(), proptest::option::of(bytes()), 0..50_usize).prop_map(|(t, p, a, l)| Step::Scan(t, p, a, l)),
        1 => Just(Step::Reopen),
    ]
}

fn run(step: Step, disk: &mut Db, memory: &Db, directory: &Path) -> Result<bool, StoreError> {
    let table = |coins| if coins { COINS } else { SALES };
    match step {
        Step::Commit(changes) => {
            let mut batch = Batch::new();
            for (coins, key, value) in changes {
                let key = [key / 7, key % 7];
                match value {
                    Some(length) => batch.put(table(coins), key, vec![length as u8; usize::from(length)]),
                    None => batch.delete(table(coins), key),
                };
            }
            memory.commit(batch.clone()).wait()?;
            disk.commit(batch).wait()?;
            Ok(true)
        }
        Step::Scan(coins, prefix, after, limit) => {
            let scan = |db: &Db| db.scan(table(coins), &prefix, after.as_deref(), limit);
            let page = scan(memory)?;
            let rows: BTreeMap<_, _> = page.iter().cloned().collect();
            let gets = rows.iter().all(|(key, value)| {
                disk.get(table(coins), key).is_ok_and(|found| found.as_ref() == Some(value))
            });
            Ok(gets && scan(disk)? == page)
        }
        Step::Reopen => {
            disk.close()?;
            *disk = Db::open(directory)?;
            Ok(true)
        }
    }
}

fn batch(build: impl FnOnce(&mut Batch) -> &mut Batch) -> Batch {
    let mut batch = Batch::new();
    build(&mut batch);
    batch
}

fn texts(page: Page) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    page.into_iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

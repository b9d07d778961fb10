//! What the fuzz targets were shown before, and what comes of it when bytes are changed, doubled and cut. `tests/fuzz/run`
//! tries for longer, and looks where it gets. With `NETPAY_BLESS=1` the honest inputs are written to `tests/fuzz/corpus`.

use data_encoding::HEXLOWER;
use netpay_tests::fuzz::{Target, corpora, targets};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// All corpora together stay below so many bytes.
const MAX_CORPORA: u64 = 300 << 10;

/// The inputs that were kept, in the order of their names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(target.corpus()) else { return Vec::new() };
    let mut files: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).expect("readable")).collect()
}

/// Tries an input, and says which it was if something did not hold.
fn holds(target: &Target, bytes: &[u8]) -> bool {
    let held = catch_unwind(AssertUnwindSafe(|| target.run(bytes))).is_ok();
    if !held {
        eprintln!("{} fails on {}", target.name, HEXLOWER.encode(bytes));
    }
    held
}

#[test]
fn whatever_was_tried_once_is_withstood_ever_after() {
    for target in targets() {
        assert!(corpus(target).iter().all(|bytes| holds(target, bytes)), "{}", target.name);
    }
}

#[test]
fn mangled_bytes_break_nothing() {
    for target in targets() {
        let corpus = corpus(target);
        assert!(target.mutants(&corpus).all(|bytes| holds(target, &bytes)), "{}", target.name);
    }
}

#[test]
fn every_target_begins_with_what_an_honest_party_says() {
    for target in targets() {
        for (number, seed) in target.seeds().iter().enumerate() {
            let file = target.corpus().join(format!("honest-{number:02}"));
            if std::env::var_os("NETPAY_BLESS").is_some() {
                fs::create_dir_all(target.corpus()).expect("writable");
                fs::write(&file, seed).expect("writable");
            }
            assert_eq!(fs::read(&file).ok().as_ref(), Some(seed), "{}", file.display());
        }
    }
}

#[test]
fn corpora_are_small_and_each_has_its_target() {
    let names: BTreeSet<String> = targets().iter().map(|target| target.name.clone()).collect();
    assert_eq!(names.len(), targets().len(), "two targets have one name");
    let files = fs::read_dir(corpora()).expect("readable");
    let corpora: BTreeSet<String> =
        files.map(|file| file.expect("readable").file_name().into_string().expect("a plain name")).collect();
    assert_eq!(corpora, names);
    let bytes: usize = targets().iter().flat_map(corpus).map(|input| input.len()).sum();
    assert!(bytes as u64 <= MAX_CORPORA, "{bytes} bytes of corpora");
}

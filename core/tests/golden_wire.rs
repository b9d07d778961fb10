//! The bytes of every message, signed object and stored row never change by accident: each is compared with
//! a file in `vectors/`. To accept a new message or version, run with `NETPAY_BLESS=1` and read the difference.

mod samples;

use netpay_core::coin::segment::{Close, Handover, Open};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::content::listing::Listing;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::Verdict;
use netpay_core::fair::sealed::Sealed;
use netpay_core::keys::{Domain, Signable};
use netpay_core::record::chain::Ack;
use netpay_core::record::freeze::Freeze;
use netpay_core::record::presence::Card;
use netpay_core::record::revoke::Revocations;
use netpay_core::wire::bank::{Accuse, AskKeys, Buy, PayIn, Payout, Query, Redeem, Register, Retire, SignIn};
use netpay_core::wire::hello::Membership;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn no_message_changes_its_bytes_by_accident() {
    for sample in samples::all() {
        samples::check(sample.name, &sample.bytes);
        assert_eq!((sample.recode)(&sample.bytes).as_ref(), Ok(&sample.bytes), "{}", sample.name);
        assert!(sample.bytes.len() <= sample.max, "{}", sample.name);
    }
}

#[test]
fn every_vector_belongs_to_a_sample() {
    let names: BTreeSet<String> =
        samples::all().into_iter().map(|sample| format!("{}.hex", sample.name)).collect();
    let files = std::fs::read_dir(samples::vector("x").parent().expect("a directory")).expect("readable");
    let files: BTreeSet<String> =
        files.map(|file| file.expect("readable").file_name().into_string().expect("a plain name")).collect();
    assert_eq!(files, names);
}

#[test]
fn no_two_signed_types_share_a_domain() {
    fn named<T: Signable>() -> (Domain, &'static str) {
        (T::DOMAIN, std::any::type_name::<T>())
    }
    let all = [
        named::<Touchstone>(),
        named::<Open>(),
        named::<Close>(),
        named::<Handover>(),
        named::<Ack>(),
        named::<Freeze>(),
        named::<Revocations>(),
        named::<Membership>(),
        named::<Listing>(),
        named::<Card>(),
        named::<Register>(),
        named::<PayIn>(),
        named::<Buy>(),
        named::<Redeem>(),
        named::<Query>(),
        named::<Retire>(),
        named::<Payout>(),
        named::<Accuse>(),
        named::<AskKeys>(),
        named::<Verdict>(),
        named::<Deal>(),
        named::<Sealed>(),
        named::<SignIn>(),
    ];
    let distinct: BTreeMap<Domain, &str> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len(), "{distinct:?}");
    assert!(distinct.keys().all(|domain| domain.starts_with(b"netpay/")));
    // Whoever adds a signed type adds it here.
    assert_eq!(all.len(), domains_in_the_source());
}

/// How many domains the sources declare.
fn domains_in_the_source() -> usize {
    fn count(directory: &std::path::Path) -> usize {
        let entries =
            std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
        entries.map(|path| if path.is_dir() { count(&path) } else { in_file(&path) }).sum()
    }
    fn in_file(path: &std::path::Path) -> usize {
        let text = std::fs::read_to_string(path).expect("text");
        let literals = text.lines().filter_map(|line| line.split("b\"netpay/").nth(1)?.split('"').next());
        literals.filter(|literal| literal.replace("\\0", "0").len() == 16 - "netpay/".len()).count()
    }
    count(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

//! What it costs to convict a vendor of junk, where it costs most: the longest walk down to the root of the keys.

mod common;

use common::{NETWORK, sale, unit};
use criterion::{Criterion, criterion_group};
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::codec;
use netpay_core::coin::segment::{Open, ReleaseChain, SegmentNo};
use netpay_core::fair::deal::{self, MAX_COINS};
use netpay_core::fair::judge::{Junk, judge};
use netpay_core::fair::opening::{self, KeptUnit, NotOpened};
use netpay_core::fair::packing::Packing;
use netpay_core::fair::sealed::{self, Sealed};
use netpay_core::id::ObjectHash;
use netpay_core::keys::{PublicKey, SecretKey};
use std::hint::black_box;

/// Proof that the last unit of the dearest deal is junk, and the buyer's key.
fn proof() -> (PublicKey, Junk) {
    let (buyer, holder) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let (deal, keys, file) = sale((&buyer, &holder), |_| MAX_COINS);
    let (chain, b) = (deal.chain, deal.count - 1);
    let (plain, leaves, path) = unit(&deal, &file, b);
    let key = keys.link(deal.key_coin(b).expect("sold")).expect("a key");
    let packing = Packing::new(NETWORK, holder.clone(), deal.clone(), b, &key);
    let (mut unit, mut bytes) = packing.pack(plain, leaves, path).expect("the content's");
    bytes[200_000] ^= 1;
    let said = Sealed { deal: deal.hash(), unit: b, root: sealed::root_of(&bytes) };
    unit.signature = holder.sign(&NETWORK, said).signature();

    let (start, cap) = (Index::ZERO, Cap(MAX_COINS.0));
    let releases = ReleaseChain::grow(&[6; 32], chain, SegmentNo(1), &holder.public(), (start, cap));
    let open = Open {
        chain,
        j: SegmentNo(1),
        prev: ObjectHash([8; 32]),
        holder: holder.public(),
        start,
        cap,
        release_root: releases.root(),
        fair: Some(deal::terms(&deal)),
    };
    let open = buyer.sign(&NETWORK, open);
    let last = keys.link(MAX_COINS).expect("a key");
    let mut kept = KeptUnit { unit, bytes };
    match opening::open(&NETWORK, &open, &deal, &mut kept, (Count(MAX_COINS.0), &last)) {
        Err(NotOpened::Junk(junk)) => (buyer.public(), *junk),
        other => panic!("it is junk: {other:?}"),
    }
}

fn conviction(c: &mut Criterion) {
    let (buyer, junk) = proof();
    println!("evidence: {} bytes", codec::encode(&junk).len());
    c.bench_function("conviction", |b| {
        b.iter(|| judge(&NETWORK, &buyer, black_box(&junk)).expect("it convicts"));
    });
}

criterion_group!(benches, conviction);
// Not criterion_main!, whose function is without a comment.
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}

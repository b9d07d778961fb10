//! What it costs to convict a vendor of junk, where it costs most: the longest walk down to the root of the keys.

use criterion::{Criterion, criterion_group};
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec;
use netpay_core::coin::key::KeyChain;
use netpay_core::coin::segment::{Open, ReleaseChain, SegmentNo};
use netpay_core::content::tree::TreeBuilder;
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::{self, Deal, MAX_COINS};
use netpay_core::fair::judge::{Junk, judge};
use netpay_core::fair::opening::{self, KeptUnit, NotOpened};
use netpay_core::fair::packing::Packing;
use netpay_core::fair::sealed::{self, Leaves, Sealed};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::time::Time;
use std::hint::black_box;

const NETWORK: NetworkId = NetworkId([7; 32]);
const SIZE: u64 = 64 << 20;

/// Proof that the last unit of the dearest deal is junk, and the buyer's key.
fn proof() -> (PublicKey, Junk) {
    let (buyer, holder) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let chain = ChainId([3; 32]);
    let mut content = vec![0; usize::try_from(SIZE).expect("it fits")];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let mut builder = TreeBuilder::new();
    builder.update(&content);
    let tree = builder.finish();
    let units = Units::new(SIZE, 4).expect("in range");
    let mut deal = Deal {
        chain,
        j: SegmentNo(1),
        holder: holder.public(),
        buyer: buyer.public(),
        root: tree.root(),
        size: SIZE,
        price: Coins::from(MAX_COINS),
        unit_log: 4,
        first: 0,
        count: units.count(),
        key_root: netpay_core::coin::key::Key([0; 32]),
        made: Time(0),
        salt: [4; 16],
    };
    let keys = KeyChain::grow(&[5; 32], &deal.salt, &deal.step(), MAX_COINS);
    deal.key_root = keys.root();
    let deal = holder.sign(&NETWORK, deal);
    let b = units.count() - 1;
    let range = units.range(b).expect("a unit");
    let plain = content[usize::try_from(range.start).expect("it fits")..].to_vec();
    let first = usize::try_from(sealed::first_leaf(units, b)).expect("it fits");
    let count = plain.len().div_ceil(usize::try_from(GROUP).expect("it fits"));
    let leaves = Leaves::first_of(tree.nodes()[first..first + count].iter().copied());
    let path = tree.proof(units, b).expect("a path");
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

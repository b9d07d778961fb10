//! What a payment costs a vendor, next to the two bare hash blocks it is made of; and what minting, signing
//! and verifying cost.

use criterion::{BatchSize, Criterion, criterion_group};
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::coin::chain::{Chain, Coin, Seed};
use netpay_core::coin::payment::{Meter, Pay};
use netpay_core::coin::segment::{Open, Release, ReleaseChain, ReleaseKey, SegmentNo};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::SecretKey;
use std::hint::black_box;
use std::time::{Duration, Instant};

const COINS: u32 = 4096;
const NETWORK: NetworkId = NetworkId([7; 32]);

/// An Open over a whole chain, and every payment in it, coin by coin.
fn sale() -> (Open, Coin, Vec<Pay>) {
    let (chain, holder) = (ChainId([1; 32]), SecretKey::from_seed(&[2; 32]).public());
    let coins = Chain::grow(&Seed([3; 16]), Cap(COINS));
    let releases = ReleaseChain::grow(&[4; 32], chain, SegmentNo(1), &holder, (Index(0), Cap(COINS)));
    let open = Open {
        chain,
        j: SegmentNo(1),
        prev: ObjectHash([5; 32]),
        holder,
        start: Index(0),
        cap: Cap(COINS),
        release_root: releases.root(),
        fair: None,
    };
    let pay = |i| {
        let (coin, release) = coins.coin(Index(i)).zip(releases.link(Count(i))).expect("within the chain");
        Pay { j: SegmentNo(1), index: Index(i), coin, release }
    };
    (open, coins.root(), (1..=COINS).map(pay).collect())
}

/// Verifies every payment of the sale once.
fn payments(open: &Open, root: Coin, pays: &[Pay]) {
    let mut meter = Meter::new(open, (Index(0), root));
    for pay in pays {
        black_box(meter.accept(black_box(pay)).expect("good"));
    }
}

/// As many bare blocks of each hash.
fn blocks(key: &ReleaseKey, count: u32) {
    let (mut coin, mut release) = (Coin([8; 16]), Release([9; 32]));
    for m in 0..count {
        coin = black_box(coin).below();
        release = key.below(Count(m), &black_box(release));
    }
    black_box((coin, release));
}

fn payment(c: &mut Criterion) {
    let (open, root, pays) = sale();
    let key = open.release_key();
    let mut group = c.benchmark_group("payment");
    group.throughput(criterion::Throughput::Elements(u64::from(COINS)));
    group.bench_function("verify one, both chains (x4096)", |b| b.iter(|| payments(&open, root, &pays)));
    group.bench_function("one MD5 and one BLAKE3 block (x4096)", |b| b.iter(|| blocks(&key, COINS)));
    group.finish();
    print_ratio(&open, root, &pays);
}

/// Both in turn in one run, so that the machine's moods cancel out.
fn print_ratio(open: &Open, root: Coin, pays: &[Pay]) {
    let key = open.release_key();
    let timed = |work: &dyn Fn()| {
        #[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut ratios: Vec<(f64, Duration)> = (0..201)
        .map(|_| {
            let paid = timed(&|| payments(open, root, pays));
            let bare = timed(&|| blocks(&key, COINS));
            (paid.as_secs_f64() / bare.as_secs_f64(), paid)
        })
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, paid) = ratios[ratios.len() / 2];
    println!("payment / (MD5 block + BLAKE3 block): {ratio:.2} (goal <= 2.5), {:?} a payment", paid / COINS);
}

fn mint(c: &mut Criterion) {
    let mut seed = 0u128;
    c.bench_function("mint/chain of 100", |b| {
        b.iter(|| {
            seed += 1;
            black_box(Chain::root_of(&Seed(seed.to_le_bytes()), Cap(100)))
        });
    });
    c.bench_function("mint/chain of 100, coins kept", |b| {
        b.iter(|| black_box(Chain::grow(&Seed(black_box([1; 16])), Cap(100))));
    });
    let holder = SecretKey::from_seed(&[2; 32]).public();
    c.bench_function("mint/release chain of 100", |b| {
        b.iter(|| {
            let lease = (Index(0), Cap(100));
            black_box(ReleaseChain::grow(black_box(&[4; 32]), ChainId([1; 32]), SegmentNo(1), &holder, lease))
        });
    });
}

fn signatures(c: &mut Criterion) {
    let key = SecretKey::from_seed(&[6; 32]);
    let (open, _, _) = sale();
    c.bench_function("open/sign", |b| {
        b.iter_batched(|| open.clone(), |open| black_box(key.sign(&NETWORK, open)), BatchSize::SmallInput);
    });
    let (signed, public) = (key.sign(&NETWORK, open.clone()).wire(), key.public());
    c.bench_function("open/verify", |b| {
        b.iter_batched(
            || signed.clone(),
            |open| black_box(open.verify(&NETWORK, &public)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, payment, mint, signatures);

// Not criterion_main!, whose function is without a comment.
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}

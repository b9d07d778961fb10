//! What a put costs a witness: believing the record, judging it, and signing the ack.

use criterion::{Criterion, criterion_group};
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::codec::List;
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::segment::{Close, Open, ReleaseChain, SegmentNo, pay_to};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::{NetworkId, ObjectHash};
use netpay_core::keys::SecretKey;
use netpay_core::record::chain::{Ack, ChainRecord, Line, verify_again};
use netpay_core::record::witness::{Bench, Kept, judge};
use netpay_core::time::Time;
use std::hint::black_box;

const NETWORK: NetworkId = NetworkId([7; 32]);
const COINS: Cap = Cap(100);
const NOW: Time = Time(100);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// A line with one segment, and the same with its Close.
fn lines() -> (Line, Line) {
    let (broker, chain_key, holder) = (key(1), key(2), key(3));
    let coins = Chain::grow(&Seed([4; 16]), COINS);
    let touchstone = Touchstone {
        network: NETWORK,
        broker: broker.public(),
        chain_key: chain_key.public(),
        n: COINS,
        root: coins.root(),
        nonce: [5; 16],
        committee: List::first_of((10..30).map(|n| key(n).public())),
        issued: Time(0),
        spend_by: Time(1_000_000),
        redeem_by: Time(2_000_000),
    };
    let mut line = Line::fresh(broker.sign(&NETWORK, touchstone));
    let (j, prev, start) = line.next();
    let releases = ReleaseChain::grow(&[6; 32], line.chain(), j, &holder.public(), (start, Cap(40)));
    let open = Open {
        chain: line.chain(),
        j,
        prev,
        holder: holder.public(),
        start,
        cap: Cap(40),
        release_root: releases.root(),
        fair: None,
    };
    line.extend(chain_key.sign(&NETWORK, open)).expect("it extends the chain");
    let open = line.segment(SegmentNo::FIRST).expect("opened").open.clone();
    let close = Close {
        chain: line.chain(),
        j,
        open: open.hash(),
        end: Index(30),
        coin: coins.coin(Index(30)).expect("within the chain"),
        release: releases.link(Count(30)).expect("within the lease"),
        pay_to: pay_to(&[8; 32], &key(9).public()),
    };
    let mut closed = line.clone();
    closed.close(holder.sign(&NETWORK, close)).expect("of its Open");
    (line, closed)
}

/// A put from its bytes to the verdict; what was believed before need not be verified again.
fn put(record: ChainRecord, kept: Option<&Kept>, me: &SecretKey) -> Option<Kept> {
    let believed = kept.map(Kept::believed).unwrap_or_default();
    let line = verify_again(record, &NETWORK, &key(1).public(), &believed).expect("it holds");
    let me = me.public();
    judge(kept, &line, &[], Bench { network: &NETWORK, me: &me, birth: Time(0), now: NOW }).0
}

fn witness(c: &mut Criterion) {
    let (me, (opened, closed)) = (key(10), lines());
    let (open, close) = (opened.record().expect("short"), closed.record().expect("short"));
    let kept = put(open.clone(), None, &me);
    let object = ObjectHash([9; 32]);
    let mut group = c.benchmark_group("witness");
    group.bench_function("a put with a new Open: T and O verified, judged", |b| {
        b.iter(|| black_box(put(black_box(open.clone()), None, &me)));
    });
    group.bench_function("a put with its Close: C verified, judged", |b| {
        b.iter(|| black_box(put(black_box(close.clone()), kept.as_ref(), &me)));
    });
    group.bench_function("an ack signed", |b| {
        b.iter(|| Ack { chain: opened.chain(), object: black_box(object) }.sign(&NETWORK, &me));
    });
    group.finish();
}

criterion_group!(benches, witness);

// Not criterion_main!, whose function is without a comment.
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}

//! What fair mode costs per unit of 256 KiB, beside what plain mode costs the buyer.

use criterion::{Criterion, Throughput, criterion_group};
use netpay_core::amount::{Coins, Count};
use netpay_core::coin::key::KeyChain;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::content::tree::{self, TreeBuilder};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::Deal;
use netpay_core::fair::packing::{self, Packing};
use netpay_core::fair::sealed::{self, Leaves, UnitKey};
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::SecretKey;
use netpay_core::time::Time;
use std::hint::black_box;

const NETWORK: NetworkId = NetworkId([7; 32]);
const SIZE: u64 = 64 << 20;

fn sealing(c: &mut Criterion) {
    let (buyer, holder) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let mut content = vec![0; usize::try_from(SIZE).expect("it fits")];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let mut builder = TreeBuilder::new();
    builder.update(&content);
    let tree = builder.finish();
    let units = Units::new(SIZE, 4).expect("in range");
    let coins = Count(u32::try_from(units.count()).expect("it fits"));
    let mut deal = Deal {
        chain: ChainId([3; 32]),
        j: SegmentNo(1),
        holder: holder.public(),
        buyer: buyer.public(),
        root: tree.root(),
        size: SIZE,
        price: Coins::from(coins),
        unit_log: 4,
        first: 0,
        count: units.count(),
        key_root: netpay_core::coin::key::Key([0; 32]),
        made: Time(0),
        salt: [4; 16],
    };
    let keys = KeyChain::grow(&[5; 32], &deal.salt, &deal.step(), coins);
    deal.key_root = keys.root();
    let deal = holder.sign(&NETWORK, deal);
    let b = 7;
    let range = units.range(b).expect("a unit");
    let at = |n: u64| usize::try_from(n).expect("it fits");
    let plain = content[at(range.start)..at(range.end)].to_vec();
    let first = at(sealed::first_leaf(units, b));
    let count = plain.len().div_ceil(at(GROUP));
    let leaves = Leaves::first_of(tree.nodes()[first..first + count].iter().copied());
    let path = tree.proof(units, b).expect("a path");
    let key = keys.link(deal.key_coin(b).expect("sold")).expect("a key");
    let packing = Packing::new(NETWORK, holder.clone(), deal.clone(), b, &key);
    let (unit, bytes) = packing.pack(plain.clone(), leaves.clone(), path.clone()).expect("the content's");

    let mut group = c.benchmark_group("unit");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("verify (plain mode)", |bench| {
        bench.iter(|| {
            tree::verify_unit(&deal.root, units, b, black_box(&plain), &path).expect("the content's")
        });
    });
    group.bench_function("pack", |bench| {
        bench.iter_batched(
            || plain.clone(),
            |plain| packing.pack(plain, leaves.clone(), path.clone()).expect("the content's"),
            criterion::BatchSize::LargeInput,
        );
    });
    group.bench_function("look at", |bench| {
        bench.iter(|| packing::look_at(&NETWORK, &deal, &unit, black_box(&bytes)).expect("the vendor's"));
    });
    let unit_key = UnitKey::of(&key, &deal.hash(), b);
    let mut turned = bytes.clone();
    group.bench_function("turn", |bench| bench.iter(|| sealed::turn(&unit_key, black_box(&mut turned))));
    group.bench_function("root", |bench| bench.iter(|| sealed::root_of(black_box(&bytes))));
    group.bench_function("check leaves", |bench| {
        bench.iter(|| sealed::check_leaves(&deal.root, units, b, &leaves, &path))
    });
    group.bench_function("copy", |bench| bench.iter(|| black_box(&bytes).clone()));
    let said = sealed::Sealed { deal: deal.hash(), unit: b, root: sealed::root_of(&bytes) };
    group.bench_function("sign", |bench| bench.iter(|| holder.sign(&NETWORK, said.clone()).signature()));
}

criterion_group!(benches, sealing);
// Not criterion_main!, whose function is without a comment.
fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}

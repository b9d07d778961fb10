//! What fair mode costs per unit of 256 KiB, beside what plain mode costs the buyer.

mod common;

use common::{NETWORK, sale, unit};
use criterion::{Criterion, Throughput, criterion_group};
use netpay_core::amount::Count;
use netpay_core::content::tree;
use netpay_core::fair::packing::{self, Packing};
use netpay_core::fair::sealed::{self, UnitKey};
use netpay_core::keys::SecretKey;
use std::hint::black_box;

fn sealing(c: &mut Criterion) {
    let (buyer, holder) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let (deal, keys, file) = sale((&buyer, &holder), |units| Count(u32::try_from(units).expect("it fits")));
    let (b, units) = (7, deal.units().expect("in range"));
    let (plain, leaves, path) = unit(&deal, &file, b);
    let key = keys.link(deal.key_coin(b).expect("sold")).expect("a key");
    let packing = Packing::new(NETWORK, holder.clone(), deal.clone(), b, &key);
    let (sealed_unit, bytes) =
        packing.pack(plain.clone(), leaves.clone(), path.clone()).expect("the content's");

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
        bench.iter(|| {
            packing::look_at(&NETWORK, &deal, &sealed_unit, black_box(&bytes)).expect("the vendor's")
        });
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

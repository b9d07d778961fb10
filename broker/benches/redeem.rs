//! How many segments per second the bank redeems, durably, while 1,024 are asked for at once: each with the buyer's
//! signature on its Open and the vendor's on its Close, uncertified; and where the time goes.

#[path = "../tests/town/mod.rs"]
mod town;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netpay_broker::checks::Checks;
use netpay_broker::ledger::{Command, Event, Ledger, Record};
use netpay_broker::store;
use netpay_core::codec;
use netpay_core::time::Time;
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, MAX_CLAIMS, Outcome};
use netpay_node::store::{Batch, Db};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use town::{Bought, MORNING, Person, Town, broker_key, network, terms};

/// Segments asked for at once.
const CONCURRENT: usize = 1024;
/// Coins per segment: the shortest lease.
const LEASE: u32 = 8;
/// Segments of the longest chain.
const SEGMENTS: u32 = 16_384 / LEASE;

/// A bank on disk, a buyer with chains, and a vendor with claims on them.
struct Fair {
    _directory: tempfile::TempDir,
    town: Arc<Town>,
    vendor: Person,
    buyer: Person,
    chains: u64,
}

impl Fair {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let town = Town::with(Db::open(&directory.path().join("db")).expect("a database"), terms());
        let buyer = town.person(1, 1 << 40).await;
        let vendor = town.person(2, 0).await;
        Self { _directory: directory, town: Arc::new(town), vendor, buyer, chains: 0 }
    }

    /// New claims of full leases, over as many new chains as that takes.
    async fn claims(&mut self, count: usize) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(count);
        while claims.len() < count {
            self.chains += 1;
            let chain: Bought = self.town.chain(&self.buyer, self.chains, SEGMENTS * LEASE).await;
            let left = u32::try_from(count - claims.len()).unwrap_or(u32::MAX).min(SEGMENTS);
            claims
                .extend((0..left).map(|i| {
                    self.vendor.claim(&chain, i + 1, (i * LEASE, (i + 1) * LEASE, (i + 1) * LEASE))
                }));
        }
        claims
    }

    fn frames(&self, claims: &[Claim], per_request: usize) -> Vec<Vec<u8>> {
        claims.chunks(per_request).map(|claims| codec::encode(&self.vendor.redeem(claims.to_vec()))).collect()
    }

    /// Asks for everything, so much at once, and returns how long that took.
    async fn redeem(&self, frames: Vec<Vec<u8>>, at_once: usize) -> Duration {
        let frames = Arc::new(Mutex::new(VecDeque::from(frames)));
        let begin = Instant::now();
        let asking = (0..at_once).map(|_| {
            let (town, frames, from) = (self.town.clone(), frames.clone(), self.vendor.node.public());
            tokio::spawn(async move {
                loop {
                    let frame = frames.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(frame) = frame else { return };
                    let reply = codec::decode::<BankReply>(&town.bank.handle(from, frame).await);
                    let Ok(BankReply::Redeemed(outcomes)) = reply else { panic!("{reply:?}") };
                    assert!(
                        outcomes.iter().all(|(_, _, outcome)| matches!(outcome, Outcome::Pending { .. }))
                    );
                }
            })
        });
        for asking in asking.collect::<Vec<_>>() {
            asking.await.expect("no panic");
        }
        begin.elapsed()
    }
}

fn redeem(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let fair = Arc::new(tokio::sync::Mutex::new(runtime.block_on(Fair::new())));
    let mut group = c.benchmark_group("redeem");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(1));
    for per_request in [1, MAX_CLAIMS] {
        group.bench_function(format!("segments, {per_request} per request, 1024 at once"), |b| {
            b.iter_custom(|segments| {
                runtime.block_on(async {
                    let mut fair = fair.lock().await;
                    // Fewer than are asked for at once would measure how long one waits, not how many are done.
                    let count = usize::try_from(segments).unwrap_or(usize::MAX).max(2 * CONCURRENT);
                    let claims = fair.claims(count).await;
                    let frames = fair.frames(&claims, per_request);
                    let took = fair.redeem(frames, CONCURRENT.div_ceil(per_request)).await;
                    took.mul_f64(segments as f64 / count as f64)
                })
            });
        });
    }
    group.finish();
    runtime.block_on(async { shares(&mut *fair.lock().await).await });
}

/// The parts, each alone on one core, as microseconds per segment at one segment per request.
async fn shares(fair: &mut Fair) {
    const COUNT: usize = 8192;
    let claims = fair.claims(COUNT).await;
    let frames = fair.frames(&claims, 1);
    let mut ledger = Ledger::new(network());
    let fold = fair
        .town
        .bank
        .journal()
        .each(|record| ledger.apply(&record).map(|_| ()).map_err(store::JournalError::from));
    fold.expect("the books are right");
    let shared = Arc::new(RwLock::new(ledger.clone()));
    let checks = Checks { network: network(), broker: broker_key().public(), ledger: shared };

    let begin = Instant::now();
    let commands: Vec<_> = frames.iter().map(|frame| believe(&checks, frame)).collect();
    let signatures = begin.elapsed();

    let begin = Instant::now();
    let mut records = Vec::with_capacity(COUNT);
    for command in commands {
        let event: Event = ledger.decide(command, Time(MORNING)).expect("allowed").event.expect("new");
        let record = Record { seq: ledger.seq() + 1, at: Time(MORNING), event };
        ledger.apply(&record).expect("it fits");
        records.push(record);
    }
    let books = begin.elapsed();

    let directory = tempfile::tempdir().expect("a directory");
    let db = Db::open(&directory.path().join("db")).expect("a database");
    let begin = Instant::now();
    for group in records.chunks(256) {
        let mut batch = Batch::new();
        group.iter().for_each(|record| store::put(&mut batch, record));
        db.commit(batch).wait().expect("durable");
    }
    let disk = begin.elapsed();

    let count = COUNT as f64;
    let all = (signatures + books + disk).as_secs_f64();
    println!("redeem: on one core per segment, one per request");
    for (part, time) in [
        ("request: decode, three signatures, walks", signatures),
        ("books: decide and fold", books),
        ("disk: row, journal in groups of 256, fdatasync", disk),
    ] {
        let time = time.as_secs_f64();
        println!("  {part:<48} {:>7.1} us {:>5.1} %", 1e6 * time / count, 100.0 * time / all);
    }
}

fn believe(checks: &Checks, frame: &[u8]) -> Command {
    match codec::decode(frame).expect("a request") {
        BankRequest::Redeem { redeem, claims } => checks.redeem(redeem, claims).expect("genuine"),
        other => panic!("{other:?}"),
    }
}

criterion_group!(benches, redeem);
criterion_main!(benches);

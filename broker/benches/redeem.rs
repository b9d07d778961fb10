//! How many segments per second the bank redeems, durably, while 1,024 are asked for at once: each with the buyer's
//! signature on its Open and the vendor's on its Close, uncertified; and where the time goes.
//!
//! The parts are told in processor time, which does not depend on what else the machine does.

#[path = "../tests/town/mod.rs"]
mod town;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use netpay_broker::checks::Checks;
use netpay_broker::ledger::{Command, Event, Ledger, Record};
use netpay_broker::store::{self, Journal};
use netpay_core::amount::Count;
use netpay_core::codec;
use netpay_core::coin::segment::{Close, Open, pay_to};
use netpay_core::time::Time;
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, MAX_CLAIMS, Outcome};
use netpay_node::store::{Batch, Db};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use town::{MORNING, Person, Town, broker_key, network, terms};

/// Segments asked for at once.
const CONCURRENT: usize = 1024;
/// Coins per segment: the shortest lease.
const LEASE: u32 = 8;
/// Coins of the usual chain, and of the longest.
const USUAL: u32 = 100;
const LONGEST: u32 = 16_384;
/// Segments of which the parts are told.
const COUNT: usize = 8192;
/// Segments in one stretch of them.
const STRETCH: usize = 64;
/// How often the whole is measured.
const ROUNDS: usize = 3;
/// Records in one group of the journal.
const GROUP: usize = 256;

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

    /// New claims of full leases, over as many new chains of so many coins as that takes.
    async fn claims(&mut self, count: usize, coins: u32) -> Vec<Claim> {
        let per_chain = coins / LEASE;
        let chains = u64::try_from(count).unwrap_or(u64::MAX).div_ceil(per_chain.into());
        let numbers = self.chains + 1..=self.chains + chains;
        self.chains += chains;
        let bought = join_all(numbers.map(|number| self.town.chain(&self.buyer, number, coins))).await;
        let segments = bought.iter().flat_map(|chain| (0..per_chain).map(move |i| (chain, i)));
        let claim =
            |(chain, i)| self.vendor.claim(chain, i + 1, (i * LEASE, (i + 1) * LEASE, (i + 1) * LEASE));
        segments.take(count).map(claim).collect()
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
    group.sample_size(10).measurement_time(Duration::from_secs(5)).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));
    for (coins, per_request) in [(USUAL, 1), (USUAL, MAX_CLAIMS), (LONGEST, 1)] {
        let name = format!("segments of chains of {coins}, {per_request} per request, 1024 at once");
        group.bench_function(name, |b| {
            b.iter_custom(|segments| {
                runtime.block_on(async {
                    let mut fair = fair.lock().await;
                    // Fewer than are asked for at once would measure how long one waits, not how many are done.
                    let count = usize::try_from(segments).unwrap_or(usize::MAX).max(2 * CONCURRENT);
                    let claims = fair.claims(count, coins).await;
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

/// The parts, each alone, as microseconds of processor time per segment at one segment per request.
async fn shares(fair: &mut Fair) {
    let (mut wholes, mut fastest) = (Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        let claims = fair.claims(COUNT, USUAL).await;
        let frames = fair.frames(&claims, 1);
        let before = processor_time();
        let took = fair.redeem(frames, CONCURRENT).await;
        wholes.push(micros(processor_time() - before) / COUNT as f64);
        fastest = fastest.max(COUNT as f64 / took.as_secs_f64());
    }
    let whole = median(wholes);
    let claims = fair.claims(COUNT, USUAL).await;
    let frames = fair.frames(&claims, 1);
    let mut ledger = Ledger::new(network());
    let journal = fair.town.bank.journal();
    let fold = journal.each(|record| ledger.apply(&record).map(|_| ()).map_err(store::JournalError::from));
    fold.expect("the books are right");
    let checks = Checks {
        network: network(),
        broker: broker_key().public(),
        ledger: Arc::new(RwLock::new(ledger.clone())),
    };
    let (signatures, hashes) = (signatures(&frames, &ledger), hashes(fair, &claims));
    let mut commands = Vec::with_capacity(COUNT);
    let believing = per_segment(frames.iter(), |frame| commands.push(believe(&checks, frame)));
    let mut records = Vec::with_capacity(COUNT);
    let books = per_segment(commands.into_iter(), |command| {
        let event: Event = ledger.decide(command, Time(MORNING)).expect("allowed").event.expect("new");
        let record = Record { seq: ledger.seq() + 1, at: Time(MORNING), event };
        ledger.apply(&record).expect("it fits");
        records.push(record);
    });
    let (began, before) = (Instant::now(), processor_time());
    journal_all(journal, &records);
    let (disk, disk_took) = (micros(processor_time() - before) / COUNT as f64, began.elapsed());

    println!("redeem: {whole:.1} us of processor time per segment, one per request, of which");
    for (part, time) in [
        ("signatures: three", signatures),
        ("hashes: two walks, pay_to", hashes),
        ("request: decode, digest, look up", believing - signatures - hashes),
        ("books: decide and fold", books),
        ("disk: row, journal in groups of 256, sled", disk),
        ("threads, tasks, replies", whole - believing - books - disk),
    ] {
        println!("  {part:<44} {time:>7.1} us {:>5.1} %", 100.0 * time / whole);
    }
    println!("  two cores have time for {:.0} segments/s; the fastest run did {fastest:.0}/s", 2e6 / whole);
    println!("  the disk alone took {:.0} segments/s", COUNT as f64 / disk_took.as_secs_f64());
}

/// The three signatures of every request.
fn signatures(frames: &[Vec<u8>], ledger: &Ledger) -> f64 {
    let opened = |frame: &Vec<u8>| match codec::decode(frame).expect("a request") {
        BankRequest::Redeem { redeem, claims } => {
            let claim = claims.0.into_vec().remove(0);
            let open: Open = claim.open.claim().expect("an Open");
            let chain = ledger.chain(&open.chain).expect("sold");
            (redeem, claim, chain.facts().touchstone.chain_key, open.holder)
        }
        other => panic!("{other:?}"),
    };
    let requests: Vec<_> = frames.iter().map(opened).collect();
    let network = network();
    per_segment(requests.into_iter(), |(redeem, claim, chain_key, holder)| {
        let account = redeem.claim().expect("a redemption").account;
        black_box(redeem.verify(&network, &account).expect("genuine"));
        black_box(claim.open.verify(&network, &chain_key).expect("genuine"));
        black_box(claim.close.verify(&network, &holder).expect("genuine"));
    })
}

/// The hashes of every claim, the coin's walk from where the claim before ended.
fn hashes(fair: &Fair, claims: &[Claim]) -> f64 {
    let read = |claim: &Claim| -> (Open, Close, [u8; 32]) {
        (claim.open.claim().expect("an Open"), claim.close.claim().expect("a Close"), claim.salt)
    };
    let claims: Vec<_> = claims.iter().map(read).collect();
    let account = fair.vendor.id();
    per_segment(claims.into_iter(), |(open, close, salt)| {
        let count = close.end.0 - open.start.0;
        black_box(pay_to(&salt, &account));
        black_box(open.release_key().walk_down(Count(count), &close.release, Count(count)));
        black_box(close.coin.walk_down(count));
    })
}

/// The very journal of the bank, as long as it is by now. The records go on where it ends; nobody uses it afterwards.
fn journal_all(journal: &Journal, records: &[Record]) {
    for group in records.chunks(GROUP) {
        let mut batch = Batch::new();
        group.iter().for_each(|record| store::put(&mut batch, record));
        journal.commit(batch).expect("durable");
    }
}

fn believe(checks: &Checks, frame: &[u8]) -> Command {
    match codec::decode(frame).expect("a request") {
        BankRequest::Redeem { redeem, claims } => checks.redeem(redeem, claims).expect("genuine"),
        other => panic!("{other:?}"),
    }
}

/// Microseconds of processor time for one, the median of many stretches: what else the machine does is in few of them.
fn per_segment<T>(mut segments: impl Iterator<Item = T>, mut part: impl FnMut(T)) -> f64 {
    let mut stretches = Vec::new();
    while stretches.len() < COUNT / STRETCH {
        let before = processor_time();
        segments.by_ref().take(STRETCH).for_each(&mut part);
        stretches.push(micros(processor_time() - before) / STRETCH as f64);
    }
    median(stretches)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn micros(time: Duration) -> f64 {
    1e6 * time.as_secs_f64()
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

criterion_group!(benches, redeem);
criterion_main!(benches);

//! How many chains of 100 coins one core issues per second, request verification included, and where the time goes.

#[path = "../tests/town/mod.rs"]
mod town;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use netpay_broker::checks::{Checks, Purchase};
use netpay_broker::ledger::{Command, Event, Ledger, Record};
use netpay_broker::mint::Press;
use netpay_broker::roster::Roster;
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{self, Text};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::touchstone::{REDEEM_FOR, SPEND_FOR, place_of};
use netpay_core::id::ObjectHash;
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::time::Time;
use netpay_core::wire::bank::{BankReply, BankRequest};
use netpay_node::sealed::seal;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use town::{MORNING, Person, broker_key, network};

const COINS: u32 = 100;
const MEMBERS: u16 = 1000;
/// Different purchases at hand, so that no cache makes them cheaper than they are.
const PURCHASES: u64 = 512;
const NOW: Time = Time(MORNING);

struct Issuer {
    checks: Checks,
    press: Press,
    roster: Roster,
    ledger: Ledger,
}

impl Issuer {
    fn new(buyer: &Person) -> Self {
        let roster = Roster::new(SecretKey::from_seed(&[1; 32]).public());
        for number in 0..MEMBERS {
            let mut seed = [2; 32];
            seed[..2].copy_from_slice(&number.to_le_bytes());
            let node = SecretKey::from_seed(&seed).public();
            roster.enroll(node, PublicKey(seed));
            roster.connected(&node, true, NOW);
        }
        let mut ledger = Ledger::new(network());
        let events = [
            Event::Registered {
                account: buyer.id(),
                node: buyer.node.public(),
                name: Text::cut("Ann"),
                voucher: None,
                bond: Coins::ZERO,
            },
            Event::Credited {
                id: [1; 16],
                account: buyer.id(),
                coins: Coins(1 << 50),
                note: Text::cut("cash"),
            },
        ];
        for event in events {
            let record = Record { seq: ledger.seq() + 1, at: NOW, event };
            ledger.apply(&record).expect("it fits");
        }
        Self {
            checks: Checks {
                network: network(),
                broker: broker_key().public(),
                ledger: Arc::new(RwLock::new(Ledger::new(network()))),
            },
            press: Press {
                network: network(),
                secret: broker_key(),
                spend_for: SPEND_FOR,
                redeem_for: REDEEM_FOR,
            },
            roster,
            ledger,
        }
    }

    fn believe(&self, frame: &[u8]) -> Purchase {
        match codec::decode(frame).expect("a request") {
            BankRequest::Buy { buy, by_chain } => self.checks.buy(buy, by_chain).expect("genuine"),
            other => panic!("{other:?}"),
        }
    }

    /// The whole path of one purchase on one core, but for the disk.
    fn issue(&mut self, frame: &[u8]) -> Vec<u8> {
        let purchase = self.believe(frame);
        let committee = |place: &_| self.roster.committee(place, &purchase.buy.account, NOW);
        let mint = self.press.mint(&purchase, NOW, committee).expect("randomness");
        let Purchase { buy, request } = purchase;
        let (account, chain_key, n) = (buy.account, buy.chain_key, buy.n);
        let command = Command::Buy { account, chain_key, n, request, mint: Some(Box::new(mint)) };
        let event = self.ledger.decide(command, NOW).expect("funds").event.expect("a new chain");
        let record = Record { seq: self.ledger.seq() + 1, at: NOW, event };
        let row = codec::encode(&record);
        self.ledger.apply(&record).expect("it fits");
        let Event::Sold { touchstone, sealed, .. } = record.event else { panic!("not sold") };
        black_box(row);
        codec::encode(&BankReply::Sold { touchstone, sealed_seed: sealed })
    }
}

fn frames(buyer: &Person, from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(|number| codec::encode(&buyer.buy(number, COINS))).collect()
}

fn issue(c: &mut Criterion) {
    let buyer = Person::new(1);
    let mut issuer = Issuer::new(&buyer);
    let mut group = c.benchmark_group("issue");
    group.sample_size(20).measurement_time(Duration::from_secs(4)).throughput(Throughput::Elements(1));
    let mut next = 1_000_000;
    group.bench_function("a chain of 100 coins, whole path without disk", |b| {
        b.iter_batched_ref(
            || {
                next += 1;
                codec::encode(&buyer.buy(next, COINS))
            },
            |frame| issuer.issue(frame),
            BatchSize::SmallInput,
        );
    });
    group.finish();
    shares(&buyer);
}

/// The parts, each alone, as microseconds per chain.
fn shares(buyer: &Person) {
    let mut issuer = Issuer::new(buyer);
    let frames = frames(buyer, 0, PURCHASES);
    let purchases: Vec<_> = frames.iter().map(|frame| issuer.believe(frame)).collect();
    let believing = per_chain(|i| {
        black_box(issuer.believe(&frames[i]));
    });
    let walking = per_chain(|i| {
        black_box(Chain::root_of(&Seed([i as u8; 16]), Cap(COINS)));
    });
    let choosing = per_chain(|i| {
        let place = place_of(&[i as u8; 16]);
        black_box(issuer.roster.committee(&place, &buyer.id(), NOW));
    });
    let sealing = per_chain(|i| {
        let sealed = seal(&Seed([7; 16]), &purchases[i].buy.sealing_key, ObjectHash([i as u8; 32]));
        black_box(sealed.expect("a usable key"));
    });
    let minting = per_chain(|i| {
        let committee = |place: &_| issuer.roster.committee(place, &buyer.id(), NOW);
        black_box(issuer.press.mint(&purchases[i], NOW, committee).expect("randomness"));
    });
    let whole = per_chain(|i| {
        black_box(issuer.issue(&frames[i]));
    });
    let signing = minting - walking - choosing - sealing;
    let booking = whole - minting - believing;
    println!("issue: {:.0} chains/s on one core, {whole:.1} us each, of which", 1e6 / whole);
    for (part, time) in [
        ("request: decode, two signatures verified", believing),
        ("chain: 101 MD5 steps", walking),
        ("committee: 20 of 1,000 members", choosing),
        ("touchstone: random, encode, sign", signing),
        ("seal: HPKE", sealing),
        ("books, journal row, reply", booking),
    ] {
        println!("  {part:<42} {time:>7.1} us {:>5.1} %", 100.0 * time / whole);
    }
}

/// Microseconds of processor time, the median of many stretches: what else the machine does is in few of them.
fn per_chain(mut part: impl FnMut(usize)) -> f64 {
    const STRETCH: usize = 16;
    let mut stretches = Vec::new();
    for from in (0..PURCHASES as usize).step_by(STRETCH) {
        let begin = processor_time();
        (from..from + STRETCH).for_each(&mut part);
        stretches.push((processor_time() - begin).as_secs_f64() * 1e6 / STRETCH as f64);
    }
    stretches.sort_by(f64::total_cmp);
    stretches[stretches.len() / 2]
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

criterion_group!(benches, issue);
criterion_main!(benches);

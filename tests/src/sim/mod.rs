//! A network in virtual time: the product's own machines (buyer, vendor, wallet, till, witness rules, certifying, the
//! broker's checks and books) among many peers, without sockets or clocks. Messages are late, lost and
//! overtaken, streams break, the network falls apart and heals, peers crash between any two outputs and come back with
//! what was durable, and a share of all members keeps to no rule. An oracle watches.
//!
//! A seed is a run, exactly: every number in it follows from the seed.
//!
//! The rooms, from the bottom up: `dice` (chance), `net` (the links), `town` (who there is), `scene` (what actors see
//! and say), `disk` (what is durable when), `beliefs` (what was verified), `rounds` (certifying), `errands` (what is asked
//! of the broker), `witness`, `vendor`, `buyer` and `bank` (the actors), `oracle` (what must not be),
//! `world` (the queue), `report` (what is told).

mod bank;
mod beliefs;
mod buyer;
pub(crate) mod dice;
mod disk;
mod errands;
mod net;
mod oracle;
mod report;
mod rounds;
mod scene;
mod town;
mod vendor;
mod witness;
mod world;

pub use report::Summary;

use dice::Dice;
use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::World;

/// Exit code when something did not hold.
const FAILED: u8 = 1;
/// The most peers of one run.
const MAX_PEERS: u32 = 10_000;
/// The fewest: a committee, and somebody to trade.
const MIN_PEERS: u32 = 30;
/// Of so many peers one sells, and as many buy …
const PER_TRADER: usize = 8;
/// … but not more than so many: signatures are what a run costs, and all peers witness anyway.
const MAX_VENDORS: usize = 16;
const MAX_BUYERS: usize = 24;
/// What an honest vendor risks of one chain: the node's default.
const RISK: u64 = 10;

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The runs: from the first seed up to, but not including, the last.
    #[arg(long, value_name = "A..B", default_value = "0..200", env = "NETPAY_SIM_SEEDS")]
    seeds: Seeds,
    /// Peers of each run, all of them witnesses; one in eight sells and one in eight buys, at most 16 and 24. An honest
    /// buyer makes three purchases.
    #[arg(long, default_value_t = 1_000, env = "NETPAY_SIM_PEERS",
        value_parser = clap::value_parser!(u32).range(i64::from(MIN_PEERS)..=i64::from(MAX_PEERS)))]
    peers: u32,
    /// The share of vendors, of buyers and of other members that keep to no rule.
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = share, env = "NETPAY_SIM_MALICIOUS")]
    malicious: f64,
    /// The share of them that go down and come back.
    #[arg(long, value_name = "C", default_value_t = 0.5, value_parser = share, env = "NETPAY_SIM_CHURN")]
    churn: f64,
}

/// A range of seeds.
#[derive(Clone, Debug)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let seeds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        let seeds = seeds.filter(|seeds: &Range<u64>| !seeds.is_empty());
        seeds.map(Self).ok_or_else(|| "seeds are given as A..B, and A is below B".to_owned())
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

/// How large a run is, and how bad its people are.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Peers; all of them witness.
    pub peers: usize,
    /// Those that sell.
    pub vendors: usize,
    /// Those that buy.
    pub buyers: usize,
    /// The share of each role that keeps to no rule.
    pub malicious: f64,
    /// The share of each role that goes down and comes back.
    pub churn: f64,
    /// x0, as the oracle takes it.
    pub per_chain: u64,
    /// x0, as the vendors take it. If it is more, the oracle must notice.
    pub vendors_risk: u64,
    /// Who keeps to no rule, if that is not left to chance: those whose bits are set. The vendors come first, then the
    /// buyers, then all others.
    pub liars: Option<u64>,
}

impl Settings {
    /// A run of so many peers.
    #[must_use]
    pub fn of(peers: usize, malicious: f64, churn: f64) -> Self {
        let traders = peers / PER_TRADER;
        let (vendors, buyers) = (traders.min(MAX_VENDORS), traders.min(MAX_BUYERS));
        Self { peers, vendors, buyers, malicious, churn, per_chain: RISK, vendors_risk: RISK, liars: None }
    }

    fn malicious_of(&self, count: usize) -> usize {
        share_of(self.malicious, count)
    }

    fn churned_of(&self, count: usize) -> usize {
        share_of(self.churn, count)
    }
}

/// A share of so many, rounded up.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small"
)]
fn share_of(share: f64, count: usize) -> usize {
    (share * count as f64).ceil() as usize
}

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What must not be, and was.
    pub violations: Vec<String>,
    measures: oracle::Measures,
}

impl Outcome {
    /// Purchases that ended.
    #[must_use]
    pub const fn sales(&self) -> u64 {
        self.measures.sales
    }

    /// Of these, begun and ended while the broker was away.
    #[must_use]
    pub const fn sales_without_broker(&self) -> u64 {
        self.measures.without_broker
    }

    /// Handoffs by how they were answered: by the last vendor, by the chain's record, by nobody.
    #[must_use]
    pub const fn handoffs(&self) -> [u64; 3] {
        self.measures.handoffs
    }

    /// Double spenders' chains of which somebody honest came to hold evidence.
    #[must_use]
    pub const fn detected(&self) -> usize {
        self.measures.detections.len()
    }
}

/// Plays the run of a seed.
#[must_use]
pub fn play(seed: u64, settings: &Settings) -> Outcome {
    World::new(seed, settings).play()
}

/// Plays a run in the town of a seed in which bytes say what happens: who is how bad, how long each message takes and
/// whether it comes, who crashes when.
#[must_use]
pub fn play_bytes(bytes: &[u8], seed: u64, settings: &Settings) -> Outcome {
    World::thrown(Dice::fed(bytes), seed, settings).play()
}

/// Plays the runs of some seeds, on as many threads as there are processors.
#[must_use]
pub fn play_all(seeds: Range<u64>, settings: &Settings) -> Summary {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = play(seed, settings);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_unstable_by_key(|(seed, _)| *seed);
    Summary::of(settings, &outcomes, began.elapsed())
}

/// Runs the command.
#[must_use]
pub fn run(args: &Args, json: bool) -> ExitCode {
    let settings = Settings::of(args.peers as usize, args.malicious, args.churn);
    let summary = play_all(args.seeds.0.clone(), &settings);
    for told in &summary.told {
        eprintln!("{told}");
    }
    if json {
        println!("{}", summary.json());
    } else {
        print!("{}", summary.table());
    }
    if summary.violations == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

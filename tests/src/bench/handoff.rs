//! A chain goes from vendor to vendor, in the three ways there are. The broker is up, and counts what it is asked.
//!
//! A handoff is timed where it happens: at the new vendor, from the order to the answer for the buyer. What the buyer
//! sees of it is told too, in whole milliseconds.

use super::figures::{percentile, rounded};
use super::{certified, funded, tell};
use crate::swarm::goods;
use crate::swarm::peer::{Peer, order, story};
use crate::swarm::process::Program;
use crate::swarm::{Swarm, until};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::{DownloadView, GetRequest};
use netpay_node::overlay::Protocol;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Coins per purchase: less than the shortest lease, so that the chain stays open at the vendor.
const PRICE: u64 = 1;
/// The shortest lease: what a crash leaves behind.
const LEASE: u64 = 8;
/// How long a vendor that starts again may take to ask the broker for its account.
const GREETED_WITHIN: Duration = Duration::from_secs(60);
/// Times that the disk is asked to make something durable, to know what that costs.
const SYNCS: usize = 50;

/// What becomes of the vendor that holds the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Online,
    Closed,
    Crashed,
}

impl Way {
    /// Where the Close is to come from.
    const fn how(self) -> &'static str {
        match self {
            Self::Online => "vendor",
            Self::Closed => "record",
            Self::Crashed => "gone",
        }
    }
}

/// What a handoff took, in milliseconds.
struct Took {
    /// At the vendor.
    handoff: f64,
    /// Until the buyer heard of it, from its order on.
    buyer: f64,
    /// How many requests of each kind the broker was asked meanwhile.
    broker: Asked,
}

/// Requests that the broker was asked: by the bank's protocol, and by all of them.
#[derive(Clone, Copy, Default)]
struct Asked {
    bank: u64,
    all: u64,
}

/// A swarm with one buyer and two vendors that the chain goes back and forth between.
struct Bench {
    swarm: Swarm,
    buyer: Peer,
    vendors: [Peer; 2],
    nodes: [String; 2],
    roots: [String; 2],
    holder: usize,
}

/// Measures.
pub async fn run(program: Program, count: usize, rounds: usize) -> Result<Value> {
    let mut coins = vec![0; count];
    let [buyer, ..] = coins.as_mut_slice() else { return Ok(Value::Null) };
    *buyer = (PRICE + LEASE) * 4 * rounds as u64 + 200;
    let (swarm, peers) = funded(program, count, &coins).await?;
    let [buyer, first, second, ..] = peers.as_slice() else { anyhow::bail!("it takes three peers") };
    let mut bench = Bench {
        buyer: buyer.clone(),
        vendors: [first.clone(), second.clone()],
        nodes: [first.status().await?.node, second.status().await?.node],
        roots: [String::new(), String::new()],
        holder: 0,
        swarm,
    };
    bench.put_up_for_sale().await?;
    // The chain's first vendor, and connections that are warm.
    bench.buy(0).await?;
    bench.buy(1).await?;
    bench.buy(0).await?;
    let mut asked = Asked::default();
    let mut figures = serde_json::Map::new();
    for (name, way) in [("online", Way::Online), ("closed", Way::Closed), ("crashed", Way::Crashed)] {
        let (mut times, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let took = bench.hand_over(way).await?;
            times.push(took.handoff);
            seen.push(took.buyer);
            asked = Asked { bank: asked.bank + took.broker.bank, all: asked.all + took.broker.all };
        }
        let (p50, p99) = (rounded(percentile(&times, 0.5)), rounded(percentile(&times, 0.99)));
        let buyer = rounded(percentile(&seen, 0.5));
        tell(&format!("{name}: p50 {p50} ms, p99 {p99} ms; the buyer sees {buyer} ms"));
        figures.insert(name.to_owned(), json!({ "p50_ms": p50, "p99_ms": p99, "buyer_p50_ms": buyer }));
    }
    figures.insert("rtt_ms".to_owned(), json!(rounded(bench.round_trip().await?)));
    figures.insert("sync_ms".to_owned(), json!(rounded(bench.sync()?)));
    figures.insert("broker_messages".to_owned(), json!(asked.bank));
    figures.insert("broker_requests_of_any_kind".to_owned(), json!(asked.all));
    figures.insert("peers".to_owned(), json!(count));
    figures.insert("rounds".to_owned(), json!(rounds));
    bench.swarm.down().await?;
    Ok(Value::Object(figures))
}

impl Bench {
    async fn put_up_for_sale(&mut self) -> Result<()> {
        for n in 0..2 {
            let path = goods::make(&self.swarm.goods(), &format!("handoff sample {n}.bin"), 10_000, 1)?;
            let shared = self.vendors[n].share(&path, PRICE, &[]).await?;
            self.buyer.finds("handoff sample", &shared.id, &self.nodes[n]).await?;
            self.roots[n] = shared.id;
        }
        Ok(())
    }

    /// Has the chain go to the other vendor.
    async fn hand_over(&mut self, way: Way) -> Result<Took> {
        let (old, new) = (self.holder, 1 - self.holder);
        // What is still to be certified of the last round does not get in the way of this one.
        for vendor in &self.vendors {
            certified(vendor).await?;
        }
        let name = self.vendors[old].name().to_owned();
        match way {
            Way::Online => {}
            Way::Closed => self.swarm.stop(&name).await?,
            Way::Crashed => self.swarm.kill(&name).await?,
        }
        let before = self.asked().await?;
        let view = self.buy(new).await?;
        let after = self.asked().await?;
        let handoff = view.timeline.iter().find(|entry| entry.what == "handoff");
        let handoff = handoff.with_context(|| format!("expected a handoff, saw {}", story(&view)))?;
        let at_the_cap = handoff.detail.contains("gone");
        ensure!(at_the_cap == (way == Way::Crashed), "{way:?}: saw {}", story(&view));
        if way != Way::Online {
            self.swarm.start(&name).await?;
            self.buyer.meets(&self.nodes[old]).await?;
            self.vendors[old].meets(&self.nodes[new]).await?;
            self.has_greeted_the_broker(old).await?;
        }
        let handoffs = self.vendors[new].handoffs().await?;
        let handoff = handoffs.last().context("the vendor knows of no handoff")?;
        ensure!(handoff.how == way.how(), "{way:?}: the vendor says {handoff:?}");
        let broker = Asked { bank: after.bank - before.bank, all: after.all - before.all };
        let buyer = super::between(&view, "ordered", "handoff")?;
        Ok(Took { handoff: handoff.micros as f64 / 1000.0, buyer, broker })
    }

    /// Waits until a vendor that started again has asked the broker what it asks at every start: that is of no handoff.
    async fn has_greeted_the_broker(&self, n: usize) -> Result<()> {
        let greeted = async || {
            let status = self.vendors[n].status().await?;
            let informed = status.broker.is_some_and(|broker| broker.name.is_some());
            Ok((informed && status.wallet.is_some_and(|wallet| wallet.at_broker.is_some())).then_some(()))
        };
        until("the vendor to know its account", GREETED_WITHIN, greeted).await
    }

    /// What the broker was asked since it started.
    async fn asked(&self) -> Result<Asked> {
        let served = self.swarm.broker()?.status().await?.served;
        let bank = served.get(Protocol::Bank.id()).copied().unwrap_or_default();
        Ok(Asked { bank, all: served.values().sum() })
    }

    /// How long a ping takes from the vendors to their peers and back, in milliseconds: the median.
    async fn round_trip(&self) -> Result<f64> {
        let mut times = Vec::new();
        for vendor in &self.vendors {
            let peers = vendor.peers().await?;
            times
                .extend(peers.iter().filter_map(|peer| peer.round_trip).map(|micros| micros as f64 / 1000.0));
        }
        ensure!(!times.is_empty(), "no ping came back");
        Ok(percentile(&times, 0.5))
    }

    /// How long this machine's disk takes to make a few bytes durable, in milliseconds: a vendor's Close has to be.
    fn sync(&self) -> Result<f64> {
        let mut file = std::fs::File::create(self.swarm.directory().join("sync"))?;
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            file.write_all(&[0; 512])?;
            let began = Instant::now();
            file.sync_data()?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(percentile(&times, 0.5))
    }

    async fn buy(&mut self, n: usize) -> Result<DownloadView> {
        let directory = self.swarm.directory().join("bought");
        std::fs::create_dir_all(&directory)?;
        let request =
            GetRequest { keep_open: true, ..order(&self.roots[n], Some(&self.nodes[n]), &directory) };
        let view = self.buyer.buy(&request).await?;
        std::fs::remove_file(&view.path)?;
        self.holder = n;
        Ok(view)
    }
}

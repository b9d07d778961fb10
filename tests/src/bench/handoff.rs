//! A chain goes from vendor to vendor, in the three ways there are. The broker is dead all the while.

use super::figures::{percentile, rounded};
use super::{funded, tell};
use crate::swarm::goods;
use crate::swarm::peer::{Peer, order, story};
use crate::swarm::process::Program;
use crate::swarm::{BROKER, Swarm};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::{DownloadView, GetRequest};
use serde_json::{Value, json};
use std::time::Instant;

/// Coins per purchase: less than the shortest lease, so that the chain stays open at the vendor.
const PRICE: u64 = 1;
/// The shortest lease: what a crash leaves behind.
const LEASE: u64 = 8;
/// Round trips measured.
const ROUND_TRIPS: usize = 200;

/// What becomes of the vendor that holds the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Online,
    Closed,
    Crashed,
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
    bench.swarm.kill(BROKER).await?;
    // The chain's first vendor, and connections that are warm.
    bench.buy(0).await?;
    bench.buy(1).await?;
    bench.buy(0).await?;
    let rtt = round_trip(&bench.buyer).await?;
    let mut figures = serde_json::Map::new();
    for (name, way) in [("online", Way::Online), ("closed", Way::Closed), ("crashed", Way::Crashed)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(bench.hand_over(way).await?);
        }
        let (p50, p99) = (rounded(percentile(&times, 0.5)), rounded(percentile(&times, 0.99)));
        tell(&format!("{name}: p50 {p50} ms, p99 {p99} ms"));
        figures.insert(name.to_owned(), json!({ "p50_ms": p50, "p99_ms": p99 }));
    }
    ensure!(bench.swarm.running(BROKER).is_none(), "the broker runs");
    figures.insert("rtt_ms".to_owned(), json!(rounded(rtt)));
    // Nobody can have talked to a process that is dead.
    figures.insert("broker_messages".to_owned(), json!(0));
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

    /// Has the chain go to the other vendor; milliseconds from the order to the chain being open there.
    async fn hand_over(&mut self, way: Way) -> Result<f64> {
        let (old, new) = (self.holder, 1 - self.holder);
        let name = self.vendors[old].name().to_owned();
        match way {
            Way::Online => {}
            Way::Closed => self.swarm.stop(&name).await?,
            Way::Crashed => self.swarm.kill(&name).await?,
        }
        let view = self.buy(new).await?;
        let handoff = view.timeline.iter().find(|entry| entry.what == "handoff");
        let handoff = handoff.with_context(|| format!("expected a handoff, saw {}", story(&view)))?;
        let at_the_cap = handoff.detail.contains("gone");
        ensure!(at_the_cap == (way == Way::Crashed), "{way:?}: saw {}", story(&view));
        if way != Way::Online {
            self.swarm.start(&name).await?;
            self.buyer.meets(&self.nodes[old]).await?;
            self.vendors[old].meets(&self.nodes[new]).await?;
        }
        super::between(&view, "ordered", "handoff")
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

/// The shortest exchange with a daemon, as the yardstick: the median of many.
async fn round_trip(peer: &Peer) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        peer.wallet().await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(percentile(&times, 0.5))
}

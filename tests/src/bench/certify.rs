//! How long a vendor waits for its certificates, with all witnesses at work and with some that hang.

use super::figures::{percentile, rounded};
use super::{certified, funded, tell};
use crate::swarm::goods;
use crate::swarm::peer::{Peer, order};
use crate::swarm::process::Program;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// A committee as large as committees get, beside the buyer and the vendor.
const PEERS: usize = 22;
/// Units of a coin each: more than a vendor risks without a certificate.
const PRICE: u64 = 24;
const UNIT: u64 = 16 << 10;

/// Measures.
pub async fn run(program: Program, hung: usize, rounds: usize) -> Result<Value> {
    let mut coins = [0; PEERS];
    coins[0] = 4 * (PRICE + 8) * (rounds as u64 + 1);
    let (mut swarm, peers) = funded(program, PEERS, &coins).await?;
    let [buyer, vendor, witnesses @ ..] = peers.as_slice() else { return Ok(Value::Null) };
    ensure!(hung <= witnesses.len(), "there are {} witnesses", witnesses.len());
    let sample = goods::make(&swarm.goods(), "certify sample.bin", PRICE * UNIT, 1)?;
    let shared = vendor.share(&sample, PRICE, &[]).await?;
    let node = vendor.status().await?.node;
    buyer.finds("certify sample", &shared.id, &node).await?;
    let directory = swarm.directory().join("bought");
    std::fs::create_dir_all(&directory)?;
    sell(buyer, vendor, &shared.id, &node, &directory).await?;
    tell("connections are warm");
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.extend(sell(buyer, vendor, &shared.id, &node, &directory).await?);
    }
    tell(&format!("all at work: p50 {:.1} ms, p99 {:.1} ms", percentile(&all, 0.5), percentile(&all, 0.99)));
    for witness in &witnesses[..hung] {
        swarm.hang(witness.name())?;
    }
    let mut some = Vec::new();
    for _ in 0..rounds {
        some.extend(sell(buyer, vendor, &shared.id, &node, &directory).await?);
    }
    for witness in &witnesses[..hung] {
        swarm.wake(witness.name())?;
    }
    swarm.down().await?;
    Ok(json!({
        "p50_ms": rounded(percentile(&all, 0.5)),
        "p99_ms": rounded(percentile(&all, 0.99)),
        "hung_p50_ms": rounded(percentile(&some, 0.5)),
        "hung_p99_ms": rounded(percentile(&some, 0.99)),
        "hung": hung,
        "peers": PEERS,
        "rounds": rounds,
        "coins": PRICE,
    }))
}

/// One sale, with all that is certified in it: milliseconds from showing the chain to its certificates.
async fn sell(buyer: &Peer, vendor: &Peer, root: &str, node: &str, directory: &Path) -> Result<Vec<f64>> {
    let before = vendor.certifications().await?.last().map_or(0, |last| last.at);
    let view = buyer.buy(&order(root, Some(node), directory)).await?;
    ensure!(view.paid == PRICE, "paid {} instead of {PRICE}", view.paid);
    std::fs::remove_file(&view.path).context("removing what was bought")?;
    certified(vendor).await?;
    let since = vendor.certifications().await?.into_iter().filter(|done| done.at > before);
    Ok(since.map(|done| done.micros as f64 / 1000.0).collect())
}

//! The paper's Table II: peers fetch one picture from one peer, all at once, free and paid.

use super::figures::{mean, median, rounded};
use super::{between, certified, funded, tell, wait};
use crate::swarm::goods;
use crate::swarm::peer::{Peer, order};
use crate::swarm::process::Program;
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::path::Path;

/// The picture's size, in bytes.
const PICTURE: u64 = 27_800;
/// What it costs, in coins.
const PRICE: u64 = 5;

/// Measures.
pub async fn run(program: Program, buyers: usize, rounds: usize) -> Result<Value> {
    // One round more of each, to warm connections up.
    let coins = PRICE * (rounds as u64 + 1);
    let mut wanted = vec![coins; buyers + 1];
    wanted[0] = 0;
    let (mut swarm, peers) = funded(program, buyers + 1, &wanted).await?;
    let Some((vendor, buyers)) = peers.split_first() else { return Ok(Value::Null) };
    let node = vendor.status().await?.node;
    let free = vendor.share(&goods::make(&swarm.goods(), "free picture.jpg", PICTURE, 1)?, 0, &[]).await?;
    let paid =
        vendor.share(&goods::make(&swarm.goods(), "paid picture.jpg", PICTURE, 1)?, PRICE, &[]).await?;
    for buyer in buyers {
        buyer.finds("picture", &free.id, &node).await?;
        buyer.finds("picture", &paid.id, &node).await?;
    }
    let directory = swarm.directory().join("bought");
    fetch(buyers, &free.id, &node, &directory, 0).await?;
    fetch(buyers, &paid.id, &node, &directory, PRICE).await?;
    tell("connections are warm");
    let (mut free_ms, mut paid_ms, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        certified(vendor).await?;
        // Which comes first changes, so that neither always has the warmer machine.
        let (free_now, paid_now) = if round % 2 == 0 {
            let paid_now = fetch(buyers, &paid.id, &node, &directory, PRICE).await?;
            certified(vendor).await?;
            (fetch(buyers, &free.id, &node, &directory, 0).await?, paid_now)
        } else {
            let free_now = fetch(buyers, &free.id, &node, &directory, 0).await?;
            (free_now, fetch(buyers, &paid.id, &node, &directory, PRICE).await?)
        };
        tell(&format!("round {round}: free {free_now}, paid {paid_now}"));
        ratios.push(paid_now.done / free_now.done);
        free_ms.push(free_now);
        paid_ms.push(paid_now);
    }
    swarm.down().await?;
    let [free, paid] = [&free_ms, &paid_ms].map(|times| Stages::median(times));
    Ok(json!({
        "free_ms": rounded(free.done),
        "paid_ms": rounded(paid.done),
        "ratio": rounded(paid.done / free.done),
        "stages": { "free": free.shown(), "paid": paid.shown() },
        "median_of_ratios": rounded(median(&ratios)),
        "buyers": buyers.len(),
        "rounds": rounds,
        "bytes": PICTURE,
        "coins": PRICE,
    }))
}

/// Milliseconds from the quote until the order leaves, until all is verified and paid, and until the file is safe in its
/// place: means over all buyers, in their daemons.
#[derive(Clone, Copy, Debug)]
struct Stages {
    ordered: f64,
    complete: f64,
    done: f64,
}

impl Stages {
    fn of(all: &[Self], of: fn(&[f64]) -> f64) -> Self {
        let part = |part: fn(&Self) -> f64| of(&all.iter().map(part).collect::<Vec<_>>());
        Self { ordered: part(|s| s.ordered), complete: part(|s| s.complete), done: part(|s| s.done) }
    }

    fn median(all: &[Self]) -> Self {
        Self::of(all, median)
    }

    fn shown(&self) -> Value {
        json!({ "ordered_ms": rounded(self.ordered), "complete_ms": rounded(self.complete), "done_ms": rounded(self.done) })
    }
}

impl std::fmt::Display for Stages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms (ordered {:.1}, complete {:.1})", self.done, self.ordered, self.complete)
    }
}

/// All buyers fetch it at once.
async fn fetch(buyers: &[Peer], root: &str, vendor: &str, directory: &Path, price: u64) -> Result<Stages> {
    let begun = buyers.iter().map(async |buyer| {
        let directory = directory.join(buyer.name());
        std::fs::create_dir_all(&directory)?;
        let view = buyer.get(&order(root, Some(vendor), &directory)).await?;
        anyhow::Ok((buyer, view.id))
    });
    let mut times = Vec::new();
    for (buyer, id) in try_join_all(begun).await? {
        let view = wait(buyer, id).await?;
        ensure!(view.paid == price, "{} paid {} instead of {price}", buyer.name(), view.paid);
        let until = |what| between(&view, "quoted", what);
        times.push(Stages { ordered: until("ordered")?, complete: until("complete")?, done: until("done")? });
        std::fs::remove_file(&view.path)?;
    }
    Ok(Stages::of(&times, mean))
}

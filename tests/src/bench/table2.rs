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
        tell(&format!("round {round}: free {free_now:.1} ms, paid {paid_now:.1} ms"));
        free_ms.push(free_now);
        paid_ms.push(paid_now);
        ratios.push(paid_now / free_now);
    }
    swarm.down().await?;
    Ok(json!({
        "free_ms": rounded(median(&free_ms)),
        "paid_ms": rounded(median(&paid_ms)),
        "ratio": rounded(median(&paid_ms) / median(&free_ms)),
        "median_of_ratios": rounded(median(&ratios)),
        "buyers": buyers.len(),
        "rounds": rounds,
        "bytes": PICTURE,
        "coins": PRICE,
    }))
}

/// All buyers fetch it at once; the mean time that it took in their daemons, in milliseconds.
async fn fetch(buyers: &[Peer], root: &str, vendor: &str, directory: &Path, price: u64) -> Result<f64> {
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
        times.push(between(&view, "quoted", "done")?);
        std::fs::remove_file(&view.path)?;
    }
    Ok(mean(&times))
}

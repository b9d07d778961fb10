//! One large file in fair mode and in plain mode, and a file of one piece.

use super::figures::{median, rounded};
use super::transfer::{Rate, fetch, price_of, ready, rich};
use super::{between, certified, tell, wait};
use crate::swarm::goods;
use crate::swarm::peer::{Peer, order};
use crate::swarm::process::Program;
use anyhow::{Result, ensure};
use netpay_core::fair::policy::Fair;
use netpay_node::app::view::GetRequest;
use serde_json::{Value, json};
use std::path::Path;

/// The picture of the papers, in bytes.
const PICTURE: u64 = 27_800;
/// Its price.
const CHEAP: u64 = 5;

/// Measures.
pub async fn run(program: Program, size: u64, rounds: usize, pictures: usize) -> Result<Value> {
    let price = price_of(size)?;
    let (mut swarm, peers) = rich(program, price, 4 * rounds + 4).await?;
    let [vendor, buyer, ..] = peers.as_slice() else { return Ok(Value::Null) };
    let node = vendor.status().await?.node;
    let large = goods::make(&swarm.goods(), "large file.bin", size, 2)?;
    let picture = goods::make(&swarm.goods(), "small picture.bin", PICTURE, 3)?;
    let file = vendor.share(&large, price, &[]).await?;
    let small = vendor.share(&picture, CHEAP, &[]).await?;
    buyer.finds("large file", &file.id, &node).await?;
    buyer.finds("small picture", &small.id, &node).await?;
    tell("the files are there");
    let wanted =
        |root: &str, fair| GetRequest { fair: Some(fair), ..order(root, Some(&node), swarm.directory()) };
    let (mut plain_rates, mut fair_rates) = (vec![], vec![]);
    for round in 0..=rounds {
        let plain_now =
            async || twice(buyer, &large, &wanted(&file.id, Fair::Never), "ordered", size, price).await;
        let fair_now =
            async || twice(buyer, &large, &wanted(&file.id, Fair::Always), "deal", size, price).await;
        // Which comes first changes, so that neither always finds the busier disk.
        let (plain_now, fair_now) = if round % 2 == 0 {
            let plain_now = plain_now().await?;
            (plain_now, fair_now().await?)
        } else {
            let fair_now = fair_now().await?;
            (plain_now().await?, fair_now)
        };
        certified(vendor).await?;
        tell(&format!("round {round}: plain {plain_now}, fair {fair_now}"));
        // The first round warms up.
        if round > 0 {
            plain_rates.push(plain_now);
            fair_rates.push(fair_now);
        }
    }
    let (mut plain_ms, mut fair_ms) = (vec![], vec![]);
    for _ in 0..pictures {
        plain_ms.push(one(buyer, &wanted(&small.id, Fair::Never), "ordered").await?);
        fair_ms.push(one(buyer, &wanted(&small.id, Fair::Always), "deal").await?);
    }
    swarm.down().await?;
    let (plain, fair) = (Rate::median(&plain_rates), Rate::median(&fair_rates));
    Ok(json!({
        "plain_mb_s": rounded(plain.written),
        "fair_mb_s": rounded(fair.written),
        "ratio": rounded(fair.written / plain.written),
        "synced": {
            "plain_mb_s": rounded(plain.synced),
            "fair_mb_s": rounded(fair.synced),
            "ratio": rounded(fair.synced / plain.synced),
        },
        "picture": {
            "plain_ms": rounded(median(&plain_ms)),
            "fair_ms": rounded(median(&fair_ms)),
            "bytes": PICTURE,
        },
        "bytes": size,
        "coins": price,
        "rounds": rounds,
    }))
}

/// Twice in a row: on some machines every other large file is written at half the speed, whosever it is.
async fn twice(
    buyer: &Peer,
    original: &Path,
    wanted: &GetRequest,
    first: &str,
    size: u64,
    price: u64,
) -> Result<Rate> {
    ready(original)?;
    let one = fetch(buyer, wanted, first, size, price).await?;
    ready(original)?;
    Ok(Rate::both(one, fetch(buyer, wanted, first, size, price).await?))
}

/// Fetches a file of one piece: milliseconds from the order to its being verified.
async fn one(buyer: &Peer, wanted: &GetRequest, first: &str) -> Result<f64> {
    let begun = buyer.get(wanted).await?;
    let view = wait(buyer, begun.id).await?;
    ensure!(view.paid == CHEAP, "paid {} instead of {CHEAP}", view.paid);
    std::fs::remove_file(&view.path)?;
    between(&view, first, "complete")
}

use crate::common::double::{holds, opens_here};
use crate::common::villain::{Villain, convictions, treasure};
use crate::common::{Offer, town};
use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use netpay_tests::swarm::Swarm;
use std::time::Duration;

/// Peers, each a process of its own.
const PEERS: usize = 40;
const ATTEMPTS: usize = 100;
/// Attempts at the same time.
const AT_ONCE: usize = 4;

/// Somebody nobody knows opens one stretch at two vendors at the same moment. What came of it: whether one of them was
/// certified, and when the first found out.
async fn attempt(swarm: &Swarm, villain: &Villain, offers: [&Offer; 2]) -> Result<(usize, Duration)> {
    let buyer = villain.under_another_name(swarm).await?;
    let purse = buyer.buys(60).await?;
    let (one, other) =
        tokio::join!(opens_here(&buyer, &purse, offers[0]), opens_here(&buyer, &purse, offers[1]));
    let visits = [one?, other?];
    let certified = holds(&visits)?;
    let found_out = visits.iter().filter_map(|visited| visited.found_out).min();
    Ok((certified, found_out.context("neither found out")?))
}

#[tokio::test]
async fn a_hundred_double_spends_are_all_found_out() -> Result<()> {
    let (swarm, peers) = town(PEERS).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let mut offers = Vec::new();
    for vendor in &peers[..2 * AT_ONCE] {
        offers.push(treasure(vendor, &swarm).await?);
    }
    let attempts = stream::iter(0..ATTEMPTS).map(|n| {
        let pair = 2 * (n % AT_ONCE);
        attempt(&swarm, &villain, [&offers[pair], &offers[pair + 1]])
    });
    let mut outcomes: Vec<_> = attempts.buffer_unordered(AT_ONCE).try_collect().await?;
    // Every one of them convicts its buyer.
    convictions(&swarm, ATTEMPTS).await?;
    outcomes.sort_unstable_by_key(|(_, found_out)| *found_out);
    let certified: usize = outcomes.iter().map(|(certified, _)| certified).sum();
    let at = |share: usize| outcomes[(outcomes.len() - 1) * share / 100].1;
    eprintln!(
        "{ATTEMPTS} double spends among {PEERS} peers: one of the two vendors was certified in {certified}; found out after {:?} (p50), {:?} (p99)",
        at(50),
        at(99)
    );
    ensure!(certified > 0, "no vendor ever got its certificate");
    swarm.broker()?.check().await.map(drop)
}

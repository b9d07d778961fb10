use crate::common::double::{AT_RISK, holds, opens_here};
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

/// What came of one attempt.
struct Outcome {
    certified: usize,
    found_out: Duration,
    /// Units that came from vendors without a certificate.
    lost: usize,
}

/// Somebody nobody knows opens one stretch at two vendors at the same moment.
async fn attempt(swarm: &Swarm, villain: &Villain, offers: [&Offer; 2]) -> Result<Outcome> {
    let buyer = villain.under_another_name(swarm).await?;
    let purse = buyer.buys(60).await?;
    let (one, other) =
        tokio::join!(opens_here(&buyer, &purse, offers[0]), opens_here(&buyer, &purse, offers[1]));
    let visits = [one?, other?];
    let certified = holds(&visits)?;
    let found_out = visits.iter().filter_map(|visited| visited.found_out).min();
    let lost = visits.iter().filter(|visited| !visited.certified).map(|visited| visited.units).sum();
    Ok(Outcome { certified, found_out: found_out.context("neither found out")?, lost })
}

#[tokio::test]
async fn a_hundred_double_spends_are_all_found_out() -> Result<()> {
    let _crowd = crate::common::crowd().await;
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
    outcomes.sort_unstable_by_key(|outcome| outcome.found_out);
    let certified: usize = outcomes.iter().map(|outcome| outcome.certified).sum();
    let lost: usize = outcomes.iter().map(|outcome| outcome.lost).sum();
    let at = |share: usize| outcomes[(outcomes.len() - 1) * share / 100].found_out;
    eprintln!(
        "{ATTEMPTS} double spends among {PEERS} peers: one of the two vendors was certified in {certified}, {lost} units went to cheats; found out after {:?} (p50), {:?} (p99)",
        at(50),
        at(99)
    );
    ensure!(certified > 0, "no vendor ever got its certificate");
    // After three a vendor certifies first. Those that were under way by then may come on top.
    let most = offers.len() * (3 + AT_ONCE) * AT_RISK;
    ensure!(lost <= most, "{lost} units went to cheats, at most {most} were at risk");
    swarm.broker()?.check().await.map(drop)
}

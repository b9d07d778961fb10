use crate::common::double::{AT_RISK, opens_here};
use crate::common::villain::{Villain, convictions, treasure};
use crate::common::{SAVINGS, arrived, balance, buy, request, sell, town};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{BROKER, until};
use std::time::{Duration, Instant};

/// A committee of twenty, six members in the smaller half: the larger one has a quorum of fourteen, whoever is picked.
const PEERS: usize = 27;
const SMALLER: usize = 6;
const WITHIN: Duration = Duration::from_secs(300);

/// The network falls apart: both halves run, and nothing gets from one to the other.
async fn falls_apart(smaller: &[Peer], larger: &[Peer]) -> Result<()> {
    are_blocked(smaller, larger, true).await?;
    for peer in smaller {
        let cut_off = async || {
            let connected = peer.peers().await?.into_iter().filter(|peer| peer.connected).count();
            // The villain has connections of its own.
            Ok((connected <= SMALLER).then_some(()))
        };
        until(&format!("{} to be cut off", peer.name()), WITHIN, cut_off).await?;
    }
    Ok(())
}

async fn are_blocked(smaller: &[Peer], larger: &[Peer], blocked: bool) -> Result<()> {
    for other in larger {
        let node = other.status().await?.node;
        for peer in smaller {
            peer.block(&node, blocked).await?;
        }
    }
    Ok(())
}

/// Waits until everything that a vendor earned is certified.
async fn certified(vendor: &Peer) -> Result<()> {
    let all = async || {
        let waits = vendor.till().await?.into_iter().any(|segment| segment.state != "certified");
        Ok((!waits).then_some(()))
    };
    until("the vendor's certificates", WITHIN, all).await
}

#[tokio::test]
async fn a_network_in_two_halves_goes_on_and_nothing_is_paid_twice() -> Result<()> {
    let _crowd = crate::common::crowd().await;
    let (mut swarm, peers) = town(PEERS).await?;
    let (smaller, larger) = peers.split_at(SMALLER);
    let [poor, stall, lone, ..] = smaller else { anyhow::bail!("three in the smaller half") };
    let [rich, shop, mall, ..] = larger else { anyhow::bail!("three in the larger half") };
    for buyer in [poor, rich] {
        buyer.buy_coins(200).await?;
    }
    let song = sell(&swarm, stall, poor, "short song.mp3", 100_000, 5).await?;
    let film = sell(&swarm, stall, poor, "long film.mp4", 2 << 20, 60).await?;
    let concert = sell(&swarm, shop, rich, "long concert.mp4", 2 << 20, 60).await?;
    let villain = Villain::join(&swarm, &[lone.clone(), mall.clone()]).await?;
    let purse = villain.buys(60).await?;
    let treasures = [treasure(mall, &swarm).await?, treasure(lone, &swarm).await?];
    swarm.kill(BROKER).await?;
    falls_apart(smaller, larger).await?;

    // The larger half has its quorum.
    buy(&swarm, rich, &concert, false).await?;
    let bought = Instant::now();
    certified(shop).await?;
    eprintln!("certified {:?} after the sale, in the larger half", bought.elapsed());
    // In the smaller one what a vendor risks is sold, and the rest waits.
    buy(&swarm, poor, &song, false).await?;
    let begun = poor.get(&request(&swarm, poor, &film)?).await?;
    let at_risk = async || Ok((poor.download(begun.id).await?.paid > 0).then_some(()));
    until("the film to be paid as far as the vendor goes", WITHIN, at_risk).await?;

    // Somebody with a foot in each spends one stretch in both. The larger half certifies it.
    let honest = opens_here(&villain, &purse, &treasures[0]).await?;
    ensure!(honest.certified, "refused with {:?}", honest.refused);
    let view = poor.download(begun.id).await?;
    let waits = view.state != DownloadState::Done && view.paid <= 10;
    ensure!(waits, "{} coins without a quorum: {}", view.paid, story(&view));
    let heals = are_blocked(smaller, larger, false);
    let (cheated, healed) = tokio::join!(opens_here(&villain, &purse, &treasures[1]), heals);
    healed?;
    let cheated = cheated?;
    ensure!(!cheated.certified, "both were certified");
    ensure!(cheated.units <= AT_RISK, "{} units against coins of another", cheated.units);

    // The network is one again: what had to wait ends, and nothing was paid twice.
    swarm.start(BROKER).await?;
    convictions(&swarm, 1).await?;
    let done = async || {
        let view = poor.download(begun.id).await?;
        match view.state {
            DownloadState::Done if poor.wallet().await?.unconfirmed == 0 => return Ok(Some(view)),
            DownloadState::Failed => drop(poor.control(begun.id, "retry").await?),
            _ => {}
        }
        Ok(None)
    };
    arrived(&until("the film that had to wait", WITHIN, done).await?, &film)?;
    for (vendor, earned) in [(stall, 65), (shop, 60)] {
        certified(vendor).await?;
        let redeemed = vendor.redeem_all().await?;
        ensure!(redeemed.refused.is_empty() && redeemed.pending == 0, "{redeemed:?}");
        let has = balance(&swarm, vendor).await?.checked_sub(SAVINGS).context("it lost money")?;
        ensure!(has == earned, "{} earned {earned}, and has {has}", vendor.name());
    }
    mall.redeem_all().await?;
    let paid = swarm.broker()?.chain(&purse.id().to_string()).await?.paid;
    ensure!(paid == crate::common::double::PAID, "{paid} coins of one stretch were paid");
    swarm.broker()?.check().await.map(drop)
}

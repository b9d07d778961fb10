//! A disk is made full by letting no file of a running process grow any more, and has room again afterwards.

use crate::common::{Offer, SAVINGS, arrived, balance, program, redeems, request, sell, town_of};
use anyhow::{Context as _, Result, bail, ensure};
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{BROKER, Swarm, api, until};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

/// From now on nothing can be made durable by that process: no file takes more than a byte.
fn fills_up(swarm: &Swarm, name: &str) -> Result<()> {
    swarm.running(name).with_context(|| format!("{name} does not run"))?.cramp(Some(1))
}

fn has_room(swarm: &Swarm, name: &str) -> Result<()> {
    swarm.running(name).with_context(|| format!("{name} ended for a full disk"))?.cramp(None)
}

/// It was refused, with this code, a reason and a remedy.
fn refused<T>(answer: Result<T>, code: &str) -> Result<()> {
    let Err(error) = answer else { bail!("it was done, with no room for it") };
    let view = api::refused(&error).with_context(|| format!("no clear error: {error:#}"))?;
    ensure!(view.code == code && !view.why.is_empty() && !view.fix.is_empty(), "saw {view:?}");
    Ok(())
}

/// Waits until a download has stopped for an error, and says with which.
async fn stops(buyer: &Peer, id: u64) -> Result<String> {
    let failed = async || {
        let view = buyer.download(id).await?;
        ensure!(view.state != DownloadState::Done, "it was done, with no room for it");
        Ok((view.state == DownloadState::Failed).then_some(view.error).flatten())
    };
    match until("the download to fail", WITHIN, failed).await {
        Ok(view) => Ok(view.code),
        Err(error) => Err(error.context(story(&buyer.download(id).await?))),
    }
}

/// Goes on with a download: it ends well, for its price.
async fn goes_on(buyer: &Peer, id: u64, offer: &Offer) -> Result<()> {
    buyer.control(id, "retry").await?;
    arrived(&buyer.complete(id).await?, offer)
}

#[tokio::test]
async fn the_brokers_disk_is_full() -> Result<()> {
    // Enough members that the broker need not be the only witness.
    let (mut swarm, peers) = town_of(program().tough(), 5, &[]).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(20).await?;
    let offer = sell(&swarm, vendor, buyer, "paid map.png", 200_000, 5).await?;
    crate::common::buy(&swarm, buyer, &offer, false).await?;
    let voucher = swarm.broker()?.vouchers(50, 1).await?.remove(0);
    fills_up(&swarm, BROKER)?;

    refused(buyer.buy_coins(16).await, "NP-BROKER-002")?;
    refused(buyer.pay_in(&voucher).await, "NP-BROKER-002")?;
    refused(vendor.redeem_all().await, "NP-BROKER-002")?;
    ensure!(swarm.broker()?.vouchers(50, 1).await.is_err(), "it sold a voucher that it cannot remember");

    has_room(&swarm, BROKER)?;
    ensure!(swarm.broker()?.check().await?.books.issued == 20, "it sold coins that it did not remember");
    buyer.pay_in(&voucher).await?;
    redeems(&swarm, vendor, 5).await?;
    // What the buyer asked for is asked for again when the broker is there again.
    swarm.stop(BROKER).await?;
    swarm.start(BROKER).await?;
    let there = async || {
        let chains = buyer.chains().await?;
        Ok((chains.iter().map(|chain| chain.total).sum::<u64>() == 36).then_some(()))
    };
    until("the coins that were asked for", WITHIN, there).await?;
    let (left, earned) = (balance(&swarm, buyer).await?, balance(&swarm, vendor).await?);
    ensure!((left, earned) == (SAVINGS + 50 - 36, SAVINGS + 5), "saw {left} and {earned}");
    swarm.broker()?.check().await.map(drop)
}

#[tokio::test]
async fn the_buyers_disk_is_full_and_then_the_vendors() -> Result<()> {
    const SIZE: u64 = 96 << 20;
    let (mut swarm, peers) = town_of(program().tough(), 5, &[]).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(900).await?;
    let offer = sell(&swarm, vendor, buyer, "large film.mp4", SIZE, 400).await?;
    let other = sell(&swarm, vendor, buyer, "other film.mp4", SIZE / 2, 200).await?;
    let begun = buyer.get(&request(&swarm, buyer, &offer)?).await?;
    let part = async || Ok((buyer.download(begun.id).await?.have > SIZE / 8).then_some(()));
    until("a part of the film", WITHIN, part).await?;

    fills_up(&swarm, buyer.name())?;
    let code = stops(buyer, begun.id).await?;
    ensure!(code.starts_with("NP-STORAGE-"), "it failed with {code}");
    refused(buyer.buy_coins(16).await, "NP-STORAGE-002")?;
    refused(buyer.get(&request(&swarm, buyer, &other)?).await, "NP-STORAGE-002")?;
    has_room(&swarm, buyer.name())?;
    goes_on(buyer, begun.id, &offer).await?;

    // A vendor that cannot note what it is paid sells nothing, and says nothing that it could not keep.
    let begun = buyer.get(&request(&swarm, buyer, &other)?).await?;
    let part = async || Ok((buyer.download(begun.id).await?.have > SIZE / 16).then_some(()));
    until("a part of the other film", WITHIN, part).await?;
    fills_up(&swarm, vendor.name())?;
    stops(buyer, begun.id).await?;
    vendor.status().await?;
    // What it would have said, it would have to have forgotten now.
    swarm.kill(vendor.name()).await?;
    swarm.start(vendor.name()).await?;
    buyer.meets(&other.node).await?;
    goes_on(buyer, begun.id, &other).await?;
    redeems(&swarm, vendor, 600).await?;
    ensure!(balance(&swarm, vendor).await? == SAVINGS + 600, "the vendor's balance is another");
    Ok(())
}

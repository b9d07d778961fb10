use crate::common::{Offer, SAVINGS, arrived, balance, buy, request, sell, town};
use anyhow::{Result, ensure};
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{BROKER, Swarm, until};
use std::time::Duration;

/// A buyer, a vendor, and a committee of twenty: fourteen of them make a certificate.
const PEERS: usize = 22;
/// Of twenty so many may hang and nobody notices.
const FEW: usize = 5;
/// With so many hung there is no quorum.
const MANY: usize = 9;
const WITHIN: Duration = Duration::from_secs(300);

/// Buys a film, and waits until the vendor has it certified.
async fn buys_certified(swarm: &Swarm, buyer: &Peer, vendor: &Peer, film: &Offer) -> Result<()> {
    buy(swarm, buyer, film, false).await?;
    let certified = async || {
        let waits = vendor.till().await?.into_iter().any(|segment| segment.state != "certified");
        Ok((!waits).then_some(()))
    };
    until("the vendor's certificates", WITHIN, certified).await
}

#[tokio::test]
async fn witnesses_hang_and_sales_go_on() -> Result<()> {
    let _crowd = crate::common::crowd().await;
    let (mut swarm, peers) = town(PEERS).await?;
    let [buyer, vendor, witnesses @ ..] = peers.as_slice() else { anyhow::bail!("a buyer and a vendor") };
    buyer.buy_coins(400).await?;
    let film = sell(&swarm, vendor, buyer, "long film.mp4", 2 << 20, 60).await?;
    let song = sell(&swarm, vendor, buyer, "short song.mp3", 100_000, 5).await?;
    swarm.kill(BROKER).await?;

    // Some hang: their connections stay, and nothing comes over them.
    for witness in &witnesses[..FEW] {
        swarm.hang(witness.name())?;
    }
    buys_certified(&swarm, buyer, vendor, &film).await?;

    // Most of the town is cut off: there is no quorum. What a vendor risks without is sold; the rest waits.
    for witness in &witnesses[FEW..MANY] {
        swarm.hang(witness.name())?;
    }
    buy(&swarm, buyer, &song, false).await?;
    let begun = buyer.get(&request(&swarm, buyer, &film)?).await?;
    let at_risk = async || Ok((buyer.download(begun.id).await?.paid > 0).then_some(()));
    until("the film to be paid as far as the vendor goes", WITHIN, at_risk).await?;
    let view = buyer.download(begun.id).await?;
    let waits = view.state != DownloadState::Done && view.paid <= 10;
    ensure!(waits, "{} coins without a certificate: {}", view.paid, story(&view));

    // They are back, and so is the broker: nothing was paid twice, and everything comes to its end.
    for witness in &witnesses[..MANY] {
        swarm.wake(witness.name())?;
    }
    swarm.start(BROKER).await?;
    let done = async || {
        let view = buyer.download(begun.id).await?;
        match view.state {
            DownloadState::Done if buyer.wallet().await?.unconfirmed == 0 => return Ok(Some(view)),
            DownloadState::Failed => drop(buyer.control(begun.id, "retry").await?),
            _ => {}
        }
        Ok(None)
    };
    let view = until("the film that had to wait", WITHIN, done).await?;
    arrived(&view, &film)?;
    let earned = 60 + 5 + 60;
    let redeemed = vendor.redeem_all().await?;
    ensure!(redeemed.refused.is_empty() && redeemed.pending == 0, "{redeemed:?}");
    let has = balance(&swarm, vendor).await? - SAVINGS;
    ensure!(has == earned, "it earned {earned}, and has {has}");
    swarm.broker()?.check().await.map(drop)
}

use crate::common::{
    Offer, arrived, fairly, nothing_is_under_seal, request, request_of, sell, sell_this, town,
};
use anyhow::{Result, ensure};
use netpay_node::app::view::{DownloadState, DownloadView};
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{BROKER, Swarm, until};
use std::time::Duration;

/// 144 units: enough for two vendors.
const SIZE: u64 = 9 << 20;
const PRICE: u64 = 1_400;
const WITHIN: Duration = Duration::from_secs(120);

/// Waits until so many fifths of it are there.
async fn reaches(buyer: &Peer, id: u64, fifths: u64) -> Result<()> {
    let reached = async || {
        let view = buyer.download(id).await?;
        Ok((view.have > SIZE / 5 * fifths || view.state == DownloadState::Done).then_some(()))
    };
    until("a part of the film", WITHIN, reached).await
}

/// A vendor claims exactly this, and it waits its day.
async fn claims(swarm: &Swarm, vendor: &Peer, coins: u64) -> Result<()> {
    let view = vendor.redeem_all().await?;
    ensure!(view.refused.is_empty(), "refused: {:?}", view.refused);
    ensure!((view.paid, view.pending) == (0, coins), "expected {coins} coins, saw {view:?}");
    swarm.broker()?.check().await.map(drop)
}

/// The download ends with its receipts.
async fn ends(buyer: &Peer, id: u64, offer: &Offer) -> Result<DownloadView> {
    let view = buyer.complete(id).await?;
    arrived(&view, offer)?;
    let settled = async || Ok((buyer.wallet().await?.unconfirmed == 0).then_some(()));
    until("the receipts", WITHIN, settled).await?;
    Ok(view)
}

#[tokio::test]
async fn whoever_is_killed_in_a_sale_under_seal_nothing_is_paid_twice() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(3_000).await?;
    let offer = sell(&swarm, vendor, buyer, "sealed film.mp4", SIZE, PRICE).await?;
    let begun = buyer.get(&fairly(request(&swarm, buyer, &offer)?)).await?;
    for fifths in 1..=3 {
        reaches(buyer, begun.id, fifths).await?;
        swarm.kill(buyer.name()).await?;
        swarm.start(buyer.name()).await?;
    }
    ends(buyer, begun.id, &offer).await?;
    claims(&swarm, vendor, PRICE).await?;

    let offer = sell(&swarm, vendor, buyer, "second reel.mp4", SIZE, PRICE).await?;
    let begun = buyer.get(&fairly(request(&swarm, buyer, &offer)?)).await?;
    for fifths in 1..=3 {
        reaches(buyer, begun.id, fifths).await?;
        swarm.kill(vendor.name()).await?;
        swarm.start(vendor.name()).await?;
    }
    ends(buyer, begun.id, &offer).await?;
    claims(&swarm, vendor, 2 * PRICE).await?;
    let wallet = buyer.wallet().await?;
    ensure!((wallet.spendable, wallet.leased, wallet.locked) == (3_000 - 2 * PRICE, 0, 0), "{wallet:?}");
    nothing_is_under_seal(&mut swarm, buyer).await
}

#[tokio::test]
async fn two_vendors_serve_one_sale_under_seal_without_the_broker() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendors) = (&peers[0], &peers[1..3]);
    // Each vendor is paid from a chain of its own.
    buyer.buy_coins(PRICE).await?;
    buyer.buy_coins(PRICE).await?;
    let offer = sell(&swarm, &vendors[0], buyer, "shared film.mp4", SIZE, PRICE).await?;
    sell_this(&vendors[1], buyer, &offer.original, PRICE).await?;
    swarm.stop(BROKER).await?;
    let begun = buyer.get(&fairly(request_of(&swarm, buyer, &offer.shared.id)?)).await?;
    let view = ends(buyer, begun.id, &offer).await?;
    ensure!(view.vendors.len() == 2, "{:?}: {}", view.vendors, story(&view));
    swarm.start(BROKER).await?;
    let mut earned = Vec::new();
    for vendor in vendors {
        let sold = vendor.sales().await?.iter().map(|sale| sale.coins).sum();
        claims(&swarm, vendor, sold).await?;
        earned.push(sold);
    }
    ensure!(earned.iter().sum::<u64>() == PRICE, "they earned {earned:?}");
    nothing_is_under_seal(&mut swarm, buyer).await
}

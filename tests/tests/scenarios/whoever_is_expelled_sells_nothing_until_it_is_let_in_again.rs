use crate::common::{Offer, buy, sell, town};
use anyhow::{Context as _, Result, ensure};
use netpay_tests::swarm::peer::Peer;
use netpay_tests::swarm::{BROKER, until};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

/// Whether a peer takes another for a member.
async fn takes_for_member(peer: &Peer, other: &str) -> Result<bool> {
    Ok(peer.peers().await?.iter().any(|known| known.node == other && known.member))
}

async fn is_found(peer: &Peer, offer: &Offer) -> Result<bool> {
    let words = offer.original.file_stem().context("a name")?.to_string_lossy().into_owned();
    Ok(peer.search(&words).await?.iter().any(|found| found.id == offer.shared.id))
}

#[tokio::test]
async fn whoever_is_expelled_sells_nothing_until_it_is_let_in_again() -> Result<()> {
    let (mut swarm, peers) = town(6).await?;
    let [buyer, vendor, away, others @ ..] = peers.as_slice() else { anyhow::bail!("three peers and more") };
    buyer.buy_coins(60).await?;
    let film = sell(&swarm, vendor, buyer, "holiday film.mp4", 300_000, 20).await?;
    buy(&swarm, buyer, &film, false).await?;
    let expelled = vendor.status().await?.node;
    for peer in others.iter().chain([buyer, away]) {
        let known = async || Ok(takes_for_member(peer, &expelled).await?.then_some(()));
        until("everybody to know it as a member", WITHIN, known).await?;
    }
    // One peer is not there when it happens.
    swarm.stop(away.name()).await?;

    swarm.broker()?.account_of(&expelled, "freeze").await?;
    for peer in others.iter().chain([buyer]) {
        let known = async || Ok((!takes_for_member(peer, &expelled).await?).then_some(()));
        until("everybody to hear that it is a member no more", WITHIN, known).await?;
    }
    ensure!(!is_found(buyer, &film).await?, "its file is found");
    let told = async || {
        vendor.wallet().await?;
        let broker = vendor.status().await?.broker.context("a broker")?;
        Ok((broker.registered && broker.frozen).then_some(()))
    };
    until("it to see that its account is frozen", WITHIN, told).await?;

    // Whoever was away hears of it from the others, while the broker is down.
    swarm.kill(BROKER).await?;
    swarm.start(away.name()).await?;
    away.meets(&expelled).await?;
    let known = async || Ok((!takes_for_member(away, &expelled).await?).then_some(()));
    until("the one that was away to hear of it", WITHIN, known).await?;

    swarm.start(BROKER).await?;
    swarm.broker()?.account_of(&expelled, "unfreeze").await?;
    let let_in = async || Ok(takes_for_member(buyer, &expelled).await?.then_some(()));
    until("it to be a member again", WITHIN, let_in).await?;
    let found = async || Ok(is_found(buyer, &film).await?.then_some(()));
    until("its file to be found again", WITHIN, found).await?;
    buy(&swarm, buyer, &film, false).await?;
    ensure!(vendor.redeem_all().await?.paid == 40, "it was not paid for both");
    swarm.broker()?.check().await.map(drop)
}

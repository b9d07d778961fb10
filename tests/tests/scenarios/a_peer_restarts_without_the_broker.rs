use crate::common::{buy, sell, town};
use anyhow::Result;
use netpay_tests::swarm::BROKER;

#[tokio::test]
async fn a_peer_restarts_without_the_broker() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(20).await?;
    let before = sell(&swarm, vendor, buyer, "early book.epub", 60_000, 2).await?;
    swarm.kill(BROKER).await?;

    swarm.stop(buyer.name()).await?;
    swarm.start(buyer.name()).await?;
    buyer.meets(&before.node).await?;
    buy(&swarm, buyer, &before, false).await?;

    swarm.stop(vendor.name()).await?;
    swarm.start(vendor.name()).await?;
    buyer.meets(&before.node).await?;
    let after = sell(&swarm, vendor, buyer, "late book.epub", 61_000, 3).await?;
    buy(&swarm, buyer, &after, false).await.map(drop)
}

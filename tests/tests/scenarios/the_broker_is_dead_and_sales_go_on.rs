use crate::common::{buy, redeems, sell, town};
use anyhow::{Result, ensure};
use netpay_tests::swarm::BROKER;

#[tokio::test]
async fn the_broker_is_dead_and_sales_go_on() -> Result<()> {
    let (mut swarm, peers) = town(6).await?;
    let (buyer, first, second) = (&peers[0], &peers[1], &peers[2]);
    buyer.buy_coins(60).await?;
    let first_offer = sell(&swarm, first, buyer, "first map.png", 300_000, 4).await?;

    swarm.kill(BROKER).await?;

    // Found, listed and handed over among the peers alone.
    buy(&swarm, buyer, &first_offer, true).await?;
    let second_offer = sell(&swarm, second, buyer, "second map.png", 400_000, 20).await?;
    let view = buy(&swarm, buyer, &second_offer, false).await?;
    ensure!(view.timeline.iter().any(|entry| entry.what == "handoff"), "no handoff in {:?}", view.timeline);
    ensure!(swarm.running(BROKER).is_none(), "the broker runs");

    swarm.start(BROKER).await?;
    redeems(&swarm, first, 4).await?;
    redeems(&swarm, second, 20).await
}

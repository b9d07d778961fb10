use crate::common::{buy, redeems, sell, town};
use anyhow::Result;

#[tokio::test]
async fn vendor_crashes_before_redeeming_and_is_still_paid() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(50).await?;
    let closed = sell(&swarm, vendor, buyer, "finished song.ogg", 700_000, 12).await?;
    let open = sell(&swarm, vendor, buyer, "open song.ogg", 90_000, 3).await?;
    buy(&swarm, buyer, &closed, false).await?;
    buy(&swarm, buyer, &open, true).await?;

    swarm.kill(vendor.name()).await?;
    swarm.start(vendor.name()).await?;

    redeems(&swarm, vendor, 15).await
}

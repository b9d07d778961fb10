use crate::common::{SAVINGS, buy, redeems, sell, town};
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_paid_download_ends_with_a_receipt() -> Result<()> {
    let (swarm, peers) = town(2).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(40).await?;
    let offer = sell(&swarm, vendor, buyer, "paid film.mp4", 1 << 20, 9).await?;

    let view = buy(&swarm, buyer, &offer, false).await?;

    ensure!(view.timeline.iter().any(|entry| entry.what == "receipt"), "no receipt in {:?}", view.timeline);
    let wallet = buyer.wallet().await?;
    ensure!((wallet.spendable, wallet.leased) == (31, 0), "expected 31 coins and no lease, saw {wallet:?}");
    redeems(&swarm, vendor, 9).await?;
    ensure!(vendor.wallet().await?.at_broker == Some(SAVINGS + 9));
    ensure!(buyer.wallet().await?.at_broker == Some(SAVINGS - 40));
    Ok(())
}

use crate::common::{arrived, request, sell, sell_this, town};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::GetRequest;

#[tokio::test]
async fn two_vendors_serve_one_download() -> Result<()> {
    let (swarm, peers) = town(5).await?;
    let (buyer, vendors) = (&peers[0], &peers[1..3]);
    // A chain for each vendor: they are paid at the same time.
    buyer.buy_coins(600).await?;
    buyer.buy_coins(600).await?;
    let offer = sell(&swarm, &vendors[0], buyer, "popular film.mp4", 96 << 20, 400).await?;
    let other = sell_this(&vendors[1], buyer, &offer.original, 400).await?;
    ensure!(other.shared.id == offer.shared.id, "the same file has the same id everywhere");

    let view = buyer.buy(&GetRequest { from: None, ..request(&swarm, buyer, &offer)? }).await?;

    arrived(&view, &offer)?;
    ensure!(view.vendors.len() == 2, "expected two vendors, saw {:?}", view.vendors);
    let mut paid = 0;
    for vendor in vendors {
        let redeemed = vendor.redeem_all().await?;
        ensure!(redeemed.paid > 0, "expected both to earn, saw {redeemed:?}");
        paid += redeemed.paid;
    }
    ensure!(paid == 400, "expected 400 coins for both, saw {paid}");
    swarm.broker().context("the broker")?.check().await.map(drop)
}

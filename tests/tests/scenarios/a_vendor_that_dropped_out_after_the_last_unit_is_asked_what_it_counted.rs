use crate::common::stall::{Stall, offers};
use crate::common::villain::Villain;
use crate::common::{buy, town};
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_vendor_that_dropped_out_after_the_last_unit_is_asked_what_it_counted() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let vendor = Villain::join(&swarm, &peers).await?;
    let buyer = &peers[0];
    buyer.buy_coins(20).await?;
    let goods = b"the last unit is the only one".to_vec();
    let stall = Stall::open(&vendor, goods.clone());
    let offer = offers(&vendor, &peers, (&swarm.goods(), "short story.txt"), &goods, 5).await?;
    stall.drops_out();

    let view = buy(&swarm, buyer, &offer, false).await?;

    // The file was complete. All the same the buyer came back for the account, and kept no payment that may be lost.
    ensure!(stall.settled() == 1, "it settled {} times: {:?}", stall.settled(), view.timeline);
    ensure!(stall.earned() == 5, "the vendor was paid {}", stall.earned());
    let wallet = buyer.wallet().await?;
    ensure!((wallet.spendable, wallet.leased) == (15, 0), "expected 15 coins and no lease, saw {wallet:?}");
    Ok(())
}

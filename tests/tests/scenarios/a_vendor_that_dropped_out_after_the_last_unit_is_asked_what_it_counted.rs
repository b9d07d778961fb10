use crate::common::stall::{Stall, offers};
use crate::common::villain::Villain;
use crate::common::{buy, town};
use anyhow::{Context as _, Result, ensure};
use netpay_tests::swarm::peer::story;
use netpay_tests::swarm::until;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

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

    // The file is complete. All the same the buyer comes back for the account, and keeps no payment that may be lost.
    let settled = async || Ok((stall.settled() == 1).then_some(()));
    until("the buyer to settle", WITHIN, settled).await.with_context(|| story(&view))?;
    ensure!(stall.earned() == 5, "the vendor was paid {}", stall.earned());
    let free = async || {
        let wallet = buyer.wallet().await?;
        Ok(((wallet.spendable, wallet.leased) == (15, 0)).then_some(()))
    };
    until("15 coins and no lease", WITHIN, free).await
}

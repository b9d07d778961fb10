use crate::common::{
    SAVINGS, arrived, balance, fairly, nothing_is_under_seal, passes, request, sell, settles, town,
};
use anyhow::{Result, ensure};
use netpay_core::time::{DAY, HOUR};

#[tokio::test]
async fn a_file_bought_under_seal_is_paid_a_day_after_it_was_claimed() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(100).await?;
    let offer = sell(&swarm, vendor, buyer, "sealed letters.txt", 1 << 20, 40).await?;
    let view = buyer.buy(&fairly(request(&swarm, buyer, &offer)?)).await?;
    arrived(&view, &offer)?;
    let wallet = buyer.wallet().await?;
    ensure!((wallet.spendable, wallet.leased, wallet.locked) == (60, 0, 0), "{wallet:?}");

    // Claimed, and not paid as long as it can be disputed.
    let claimed = vendor.redeem_all().await?;
    ensure!(claimed.refused.is_empty(), "refused: {:?}", claimed.refused);
    ensure!((claimed.paid, claimed.pending) == (0, 40), "{claimed:?}");
    passes(&mut swarm, DAY - HOUR).await?;
    ensure!(balance(&swarm, vendor).await? == SAVINGS, "it was paid too early");
    passes(&mut swarm, DAY + HOUR).await?;
    ensure!(balance(&swarm, vendor).await? == SAVINGS + 40, "it was not paid");
    let paid = vendor.redeem_all().await?;
    ensure!(paid.refused.is_empty() && (paid.paid, paid.pending) == (40, 0), "{paid:?}");
    ensure!(vendor.till().await?.iter().all(|held| held.state == "paid"), "{:?}", vendor.till().await?);

    settles(&mut swarm).await?;
    let balances = (balance(&swarm, buyer).await?, balance(&swarm, vendor).await?);
    ensure!(balances == (SAVINGS - 40, SAVINGS + 40), "{balances:?}");
    swarm.broker()?.check().await?;
    nothing_is_under_seal(&mut swarm, buyer).await
}

use crate::common::stall::{Stall, offers};
use crate::common::villain::Villain;
use crate::common::{arrived, request, town};
use anyhow::{Result, ensure};
use netpay_tests::swarm::until;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_buyer_killed_before_its_receipt_comes_back_for_it() -> Result<()> {
    let (mut swarm, peers) = town(4).await?;
    let vendor = Villain::join(&swarm, &peers).await?;
    let buyer = &peers[0];
    buyer.buy_coins(20).await?;
    let goods = b"paid, and put in its place".to_vec();
    let stall = Stall::open(&vendor, goods.clone());
    let offer = offers(&vendor, &peers, (&swarm.goods(), "short story.txt"), &goods, 5).await?;
    stall.withholds_receipts(true);

    let begun = buyer.get(&request(&swarm, buyer, &offer)?).await?;
    let view = buyer.complete(begun.id).await?;
    arrived(&view, &offer)?;
    ensure!(buyer.wallet().await?.unconfirmed == 5, "no receipt came: {:?}", buyer.wallet().await?);
    swarm.kill(buyer.name()).await?;
    stall.withholds_receipts(false);
    swarm.start(buyer.name()).await?;

    let confirmed = async || Ok((buyer.wallet().await?.unconfirmed == 0).then_some(()));
    until("the receipt", WITHIN, confirmed).await?;
    ensure!(
        (stall.settled(), stall.earned()) == (1, 5),
        "{} visits, {} coins",
        stall.settled(),
        stall.earned()
    );
    // What the vendor's lease had left is free again.
    let wallet = buyer.wallet().await?;
    ensure!((wallet.spendable, wallet.leased, wallet.locked) == (15, 0, 0), "{wallet:?}");
    arrived(&buyer.download(begun.id).await?, &offer)
}

use crate::common::sealed::{Bend, SealedStall};
use crate::common::stall::offers;
use crate::common::villain::Villain;
use crate::common::{SAVINGS, arrived, balance, fairly, request, settles, town};
use anyhow::{Result, ensure};
use netpay_core::session::fair_buyer::PATIENCE;
use netpay_core::wire::bank::Outcome;
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::peer::story;
use netpay_tests::swarm::until;
use std::time::Duration;

const NO_KEY: &str = "gave no key";
/// The buyer's patience with the vendor, and twice as much to begin with.
const WITHIN: Duration = Duration::from_millis(3 * PATIENCE);

#[tokio::test]
async fn a_key_kept_back_comes_from_the_broker_once_the_vendor_claims() -> Result<()> {
    let (mut swarm, peers) = town(4).await?;
    let buyer = &peers[0];
    buyer.buy_coins(20).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    // Two units: the end is sold honestly.
    let goods: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let stall = SealedStall::open(&villain, goods.clone(), 5, Bend::KeepsLastKey);
    let offer = offers(&villain, &peers, (&swarm.goods(), "sealed for ever.pdf"), &goods, 5).await?;

    let begun = buyer.get(&fairly(request(&swarm, buyer, &offer)?)).await?;
    until("the payment", WITHIN, async || Ok((stall.earned() == 5).then_some(()))).await?;
    // To be paid it shows the key.
    let outcomes = stall.redeems(&villain).await?;
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Pending { .. });
    ensure!(outcomes.len() == 2 && outcomes.iter().all(waits), "{outcomes:?}");
    let done = async || {
        let view = buyer.download(begun.id).await?;
        Ok((view.state == DownloadState::Done).then_some(view))
    };
    let view = match until("the key", WITHIN, done).await {
        Ok(view) => view,
        Err(error) => return Err(error.context(story(&buyer.download(begun.id).await?))),
    };
    ensure!(view.timeline.iter().any(|entry| entry.what == "key"), "{}", story(&view));
    arrived(&view, &offer)?;
    ensure!(view.timeline.iter().any(|entry| entry.detail.contains(NO_KEY)), "{}", story(&view));

    settles(&mut swarm).await?;
    let balances = (balance(&swarm, buyer).await?, villain.balance().await?);
    ensure!(balances == (SAVINGS - 5, SAVINGS + 5), "{balances:?}");
    swarm.broker()?.check().await.map(drop)
}

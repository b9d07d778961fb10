use crate::common::SAVINGS;
use crate::common::purse::shown;
use crate::common::town_on_terms;
use crate::common::villain::{Villain, treasure};
use anyhow::{Result, ensure};
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::Funding;
use netpay_tests::swarm::until;
use std::time::Duration;

#[tokio::test]
async fn an_old_touchstone_buys_nothing_and_its_coins_come_back() -> Result<()> {
    // Chains of this broker are at the end of their time when they are sold.
    let terms = [("spend_for", 0), ("redeem_for", 0), ("settle_every", 1)];
    let (swarm, peers) = town_on_terms(4, &terms).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let offer = treasure(&peers[0], &swarm).await?;
    let purse = villain.buys(60).await?;
    let (tag, line, open) = villain.opens(&purse, &purse.fresh(), offer.node.parse()?, (0, 60)).await?;

    let pay = purse.pay(&open, 10)?;
    let refused = villain.is_refused(&offer, shown(tag, &line, pay.clone())?).await?;
    ensure!(refused == RejectCode::Expired, "refused with {refused:?}");
    let refused = villain.is_refused(&offer, Funding::Continue { chain: purse.id(), pay }).await?;
    ensure!(refused == RejectCode::UnknownChain, "refused with {refused:?}");

    let back = async || Ok((villain.balance().await? == SAVINGS).then_some(()));
    until("the chain to be settled", Duration::from_secs(60), back).await?;
    let till = peers[0].till().await?;
    ensure!(till.is_empty(), "the vendor holds {till:?}");
    let books = swarm.broker()?.check().await?.books;
    ensure!((books.redeemed, books.refunded, books.coins) == (0, 60, 0), "the books say {books:?}");
    Ok(())
}

use crate::common::purse::shown;
use crate::common::villain::{Villain, order, treasure};
use crate::common::{SAVINGS, balance, town};
use anyhow::{Result, ensure};
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{Funding, ToVendor};

#[tokio::test]
async fn a_coin_paid_at_one_vendor_buys_nothing_at_another() -> Result<()> {
    let (swarm, peers) = town(5).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let (one, two) = (treasure(&peers[0], &swarm).await?, treasure(&peers[1], &swarm).await?);
    let purse = villain.buys(120).await?;
    let (tag, line, open) = villain.opens(&purse, &purse.fresh(), one.node.parse()?, (0, 60)).await?;
    let paid = purse.pay(&open, 10)?;
    let mut visit = villain.visits(&one).await?;
    visit.say(&order(&one, shown(tag, &line, paid.clone())?)?).await?;
    visit.gets(20).await?;

    // The same words to somebody else, in each form in which a coin can be shown.
    let refused = villain.is_refused(&two, shown(tag, &line, paid.clone())?).await?;
    ensure!(refused == RejectCode::BadLease, "refused with {refused:?}");
    let chain = purse.id();
    let refused = villain.is_refused(&two, Funding::Continue { chain, pay: paid.clone() }).await?;
    ensure!(refused == RejectCode::UnknownChain, "refused with {refused:?}");
    // With a lease of its own the coins of another's pay nothing: neither as they are nor renumbered.
    let (tag, line, next) = villain.opens(&purse, &line, two.node.parse()?, (60, 120)).await?;
    let renumbered = Pay { j: SegmentNo(2), ..paid.clone() };
    let refused = villain.is_refused(&two, shown(tag, &line, renumbered)?).await?;
    ensure!(refused == RejectCode::BadPayment, "refused with {refused:?}");
    // After that not even good ones, for a minute.
    let refused = villain.is_refused(&two, shown(tag, &line, purse.pay(&next, 70)?)?).await?;
    ensure!(matches!(refused, RejectCode::Blocked | RejectCode::StaleChain), "refused with {refused:?}");

    // Where they were paid they count once, whatever tab they are shown for.
    let mut again = villain.visits(&one).await?;
    again.say(&order(&one, Funding::Continue { chain, pay: paid })?).await?;
    again.closes().await?;
    ensure!(again.units == 0, "{} units came for coins that were paid before", again.units);
    visit.say(&ToVendor::Close).await?;
    let (honest, robbed) = (peers[0].redeem_all().await?, peers[1].redeem_all().await?);
    ensure!(honest.paid == 10 && honest.refused.is_empty(), "expected 10 coins, saw {honest:?}");
    ensure!((robbed.paid, robbed.segments) == (0, 0), "there was nothing to redeem: {robbed:?}");
    let (first, second) = (balance(&swarm, &peers[0]).await?, balance(&swarm, &peers[1]).await?);
    ensure!((first, second) == (SAVINGS + 10, SAVINGS), "saw {first} and {second}");
    let books = swarm.broker()?.check().await?.books;
    ensure!(books.redeemed == 10, "{} coins were redeemed", books.redeemed);
    Ok(())
}

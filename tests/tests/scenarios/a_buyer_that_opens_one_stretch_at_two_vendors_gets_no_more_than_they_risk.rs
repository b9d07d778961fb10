use crate::common::double::{AT_RISK, PAID, holds, opens_here};
use crate::common::purse::Purse;
use crate::common::villain::{Villain, convictions, treasure};
use crate::common::{SAVINGS, balance, settles, town_on_terms};
use anyhow::{Context as _, Result, ensure};
use netpay_core::wire::record::{RecordReply, RecordRequest, Shown};
use netpay_node::overlay::Protocol;
use netpay_tests::swarm::{Swarm, until};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);
/// The stretch was paid for once, to whoever had the better claim.
async fn paid_once(swarm: &Swarm, purse: &Purse, certified: usize) -> Result<u32> {
    let paid = swarm.broker()?.chain(&purse.id().to_string()).await?.paid;
    let most = if certified == 1 { PAID } else { PAID.max(10) };
    ensure!(paid <= most && (certified == 0 || paid == PAID), "{paid} coins of one stretch were paid");
    Ok(paid)
}

#[tokio::test]
async fn a_buyer_that_opens_one_stretch_at_two_vendors_gets_no_more_than_they_risk() -> Result<()> {
    // Vendors hand in uncertified claims when a chain is about to be settled, as these always are.
    let (mut swarm, peers) = town_on_terms(6, &[("spend_for", 3600), ("redeem_for", 60)]).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let another = Villain::join(&swarm, &peers).await?;
    let [one, two] = [treasure(&peers[0], &swarm).await?, treasure(&peers[1], &swarm).await?];

    let (first, third) = (villain.buys(60).await?, villain.buys(60).await?);
    let second = another.buys(60).await?;

    // One after the other.
    let visits = [opens_here(&villain, &first, &one).await?, opens_here(&villain, &first, &two).await?];
    ensure!(holds(&visits)? == 1 && visits[0].certified, "the first was not certified");
    convictions(&swarm, 1).await?;
    // At once.
    let (a, b) = tokio::join!(opens_here(&another, &second, &one), opens_here(&another, &second, &two));
    let certified = holds(&[a?, b?])?;
    convictions(&swarm, 2).await?;
    ensure!(villain.buys(60).await.is_err(), "what it has is held from now on");
    // Nor does it get anything new for the coins that it has: their witnesses know.
    for peer in &peers {
        let frozen = async || {
            let request = RecordRequest::GetChain(third.id());
            let reply = villain.ask(peer.status().await?.node.parse()?, Protocol::Record, &request).await?;
            Ok(matches!(reply, RecordReply::Chain(Some(Shown { frozen: true, .. }))).then_some(()))
        };
        until("the third chain to be frozen", WITHIN, frozen).await?;
    }
    let visited = opens_here(&villain, &third, &one).await?;
    ensure!(!visited.certified && visited.units <= AT_RISK, "{} units of a frozen chain", visited.units);

    for vendor in &peers[..2] {
        // The other's claim waits; what is paid in the end is looked at below.
        vendor.redeem().await?;
    }
    settles(&mut swarm).await?;
    let frozen = swarm.broker()?.chain(&third.id().to_string()).await?.paid;
    let paid = paid_once(&swarm, &first, 1).await? + paid_once(&swarm, &second, certified).await? + frozen;
    let books = swarm.broker()?.check().await?.books;
    ensure!(books.redeemed == u64::from(paid), "{paid} coins were paid, {} redeemed", books.redeemed);
    // What a vendor without a certificate counted was promised twice: the buyer has it, and makes up for it. What was
    // paid in the frozen chain was promised once, and is paid at its settlement.
    let mut counted = 0;
    for chain in [&first, &second, &third] {
        let claims = swarm.broker()?.chain(&chain.id().to_string()).await?.redemptions;
        ensure!(!claims.is_empty() && claims.iter().all(|claim| claim.short == 0), "{claims:?}");
        counted += claims.iter().map(|claim| u64::from(claim.end - claim.start)).sum::<u64>();
    }
    ensure!(counted > u64::from(paid), "nothing was promised twice");
    let mut earned = 0;
    for vendor in &peers[..2] {
        earned += balance(&swarm, vendor).await?.checked_sub(SAVINGS).context("it lost money")?;
    }
    ensure!(earned == counted, "{counted} coins were counted, {earned} came to the vendors");
    let left = villain.balance().await? + another.balance().await?;
    ensure!(left == 2 * SAVINGS - counted, "they have {left} after {counted} coins were counted");
    for banned in [&villain, &another] {
        ensure!(banned.buys(60).await.is_err(), "it buys again");
    }
    Ok(())
}

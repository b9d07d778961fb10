use crate::common::stall::{Stall, offers};
use crate::common::villain::Villain;
use crate::common::{SAVINGS, balance, buy, sell, settles, town_on_terms};
use anyhow::{Result, ensure};
use netpay_core::wire::bank::Outcome;
use netpay_core::wire::reject::RejectCode;

#[tokio::test]
async fn a_vendor_that_claims_more_than_it_was_paid_gets_what_it_was_paid() -> Result<()> {
    let (mut swarm, peers) = town_on_terms(5, &[("spend_for", 3600), ("redeem_for", 60)]).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let (buyer, honest) = (&peers[0], &peers[1]);
    buyer.buy_coins(60).await?;
    let goods: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).take(10_000).collect();
    let stall = Stall::open(&villain, goods.clone());
    let bait = offers(&villain, &peers, (&swarm.goods(), "cheap song.ogg"), &goods, 5).await?;

    // Its receipt claims the whole lease, and so does its answer when the chain moves on; then even more than that.
    for above in [0, 1] {
        stall.claims_above(above);
        buy(&swarm, buyer, &bait, false).await?;
        let size = 300_000 + u64::from(above);
        let offer = sell(&swarm, honest, buyer, &format!("honest song {above}.ogg"), size, 12).await?;
        let view = buy(&swarm, buyer, &offer, false).await?;
        let asked = view.timeline.iter().any(|entry| entry.what == "handoff");
        ensure!(asked, "the villain was not asked for its Close: {:?}", view.timeline);
    }
    ensure!(stall.earned() == 10, "it was paid {}", stall.earned());

    // What it was not paid the broker does not pay; what it was paid, it does.
    ensure!(stall.held().len() == 2, "expected two segments, saw {}", stall.held().len());
    for held in stall.held() {
        let outcome = stall.redeems(&villain, &held, true).await?;
        let refused = matches!(&outcome, Outcome::Refused(reject) if reject.code == RejectCode::BadPayment);
        ensure!(refused, "the broker said {outcome:?}");
        let outcome = stall.redeems(&villain, &held, false).await?;
        ensure!(matches!(outcome, Outcome::Pending { .. }), "the broker said {outcome:?}");
    }
    honest.redeem().await?;
    settles(&mut swarm).await?;
    let (bought, earned) = (balance(&swarm, buyer).await?, balance(&swarm, honest).await?);
    let taken = villain.balance().await?;
    // The rest of the leases came back.
    ensure!(bought == SAVINGS - 34, "the buyer has {bought}");
    ensure!((earned, taken) == (SAVINGS + 24, SAVINGS + 10), "the vendors have {earned} and {taken}");
    swarm.broker()?.check().await.map(drop)
}

use crate::common::{SAVINGS, balance, program, town};
use anyhow::{Result, ensure};
use netpay_broker::admin::view::{PageView, PayoutView};
use netpay_node::app::view::WalletView;
use netpay_tests::swarm::process::PEER;
use netpay_tests::swarm::{BROKER, Swarm, api, until};
use serde_json::json;
use std::time::Duration;

/// What the broker was asked to pay out, in coins, to where.
async fn payouts(swarm: &Swarm) -> Result<Vec<(u64, String)>> {
    let page: PageView<PayoutView> = swarm.broker()?.api().get("/payouts").await?;
    let mut all: Vec<_> = page.items.into_iter().map(|one| (one.coins, one.to)).collect();
    all.sort();
    Ok(all)
}

#[tokio::test]
async fn money_asked_for_again_is_paid_out_once() -> Result<()> {
    let (mut swarm, peers) = town(1).await?;
    let peer = &peers[0];
    let to = |coins: u64| json!({ "coins": coins, "to": "DE00 1234" });

    program().output(PEER, peer.home(), &["wallet", "payout", "300", "--to", "DE00 1234", "-y"])?;
    ensure!(balance(&swarm, peer).await? == SAVINGS - 300, "it was not set aside");
    let asked = |key: &'static str, coins| async move {
        peer.api().post_as::<WalletView>(key, "/wallet/payouts", &to(coins)).await
    };
    for _ in 0..2 {
        ensure!(
            asked("first", 40).await?.at_broker == Some(SAVINGS - 340),
            "it was paid twice, or not at all"
        );
    }

    // The broker is away, and the peer killed meanwhile: it is asked for once the two see each other again.
    swarm.kill(BROKER).await?;
    let error = asked("second", 5).await.expect_err("nobody is there");
    ensure!(api::refused(&error).is_some_and(|view| view.code == "NP-NET-002"), "saw {error:#}");
    swarm.kill(peer.name()).await?;
    swarm.start(BROKER).await?;
    swarm.start(peer.name()).await?;
    let there = async || Ok((balance(&swarm, peer).await? == SAVINGS - 345).then_some(()));
    until("the payout to be asked for", Duration::from_secs(60), there).await?;
    ensure!(asked("second", 5).await?.at_broker == Some(SAVINGS - 345), "the same again was another payout");

    let too_much = asked("third", SAVINGS).await.expect_err("there is less");
    ensure!(api::refused(&too_much).is_some_and(|view| view.exit == 6), "saw {too_much:#}");
    let to = || "DE00 1234".to_owned();
    ensure!(payouts(&swarm).await? == [(5, to()), (40, to()), (300, to())], "{:?}", payouts(&swarm).await?);
    swarm.broker()?.check().await.map(drop)
}

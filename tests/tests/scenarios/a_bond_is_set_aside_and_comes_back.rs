use crate::common::{SAVINGS, town_on_terms};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::WalletView;
use netpay_tests::swarm::until;
use std::time::Duration;

const BOND: u64 = 20;
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_bond_is_set_aside_and_comes_back() -> Result<()> {
    let (mut swarm, peers) = town_on_terms(2, &[("bond", BOND), ("settle_every", 1)]).await?;
    let broker = swarm.broker()?;
    let holds = |wallet: &WalletView| (wallet.at_broker, wallet.bond);
    ensure!(holds(&peers[0].wallet().await?) == (Some(SAVINGS - BOND), BOND), "the bond was not set aside");
    ensure!(broker.status().await?.books.bonds == 40, "the books say otherwise");
    // Whoever brings less is told what it takes, and keeps its voucher.
    let poor = swarm.add("poor").await?;
    let small = broker.vouchers(BOND - 1, 1).await?.remove(0);
    let refused = poor.register(&small).await.err().context("it was registered")?;
    let why = netpay_tests::swarm::api::refused(&refused).context("a problem")?.why.clone();
    ensure!(why.contains("20 coins"), "{why}");
    peers[1].pay_in(&small).await?;

    // It leaves, and has its bond back, since it witnesses nothing.
    let node = peers[0].status().await?.node;
    broker.account_of(&node, "close").await?;
    let back = async || Ok((holds(&peers[0].wallet().await?) == (Some(SAVINGS), 0)).then_some(()));
    until("the bond to come back", WITHIN, back).await?;
    let expelled = async || {
        let seen = peers[1].peers().await?.into_iter().find(|peer| peer.node == node);
        Ok(seen.is_none_or(|peer| !peer.member).then_some(()))
    };
    until("the other to hear that it is a member no more", WITHIN, expelled).await?;
    broker.check().await.map(drop)
}

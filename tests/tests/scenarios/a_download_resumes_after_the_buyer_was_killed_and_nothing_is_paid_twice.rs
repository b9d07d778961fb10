use crate::common::{arrived, redeems, request, sell, town};
use anyhow::Result;
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::until;
use std::time::Duration;

const SIZE: u64 = 96 << 20;

#[tokio::test]
async fn a_download_resumes_after_the_buyer_was_killed_and_nothing_is_paid_twice() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(700).await?;
    let offer = sell(&swarm, vendor, buyer, "long film.mp4", SIZE, 400).await?;
    let begun = buyer.get(&request(&swarm, buyer, &offer)?).await?;

    for part in 1..=3 {
        let reached = async || {
            let view = buyer.download(begun.id).await?;
            Ok((view.have > SIZE / 5 * part || view.state == DownloadState::Done).then_some(()))
        };
        until("a part of the film", Duration::from_secs(120), reached).await?;
        swarm.kill(buyer.name()).await?;
        swarm.start(buyer.name()).await?;
    }

    arrived(&buyer.complete(begun.id).await?, &offer)?;
    redeems(&swarm, vendor, 400).await
}

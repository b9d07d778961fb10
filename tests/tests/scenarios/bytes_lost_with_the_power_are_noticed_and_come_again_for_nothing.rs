use crate::common::{arrived, redeems, request, sell, town};
use anyhow::{Result, ensure};
use netpay_node::app::view::DownloadState;
use netpay_tests::swarm::until;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

const SIZE: u64 = 96 << 20;
const WITHIN: Duration = Duration::from_secs(120);

#[tokio::test]
async fn bytes_lost_with_the_power_are_noticed_and_come_again_for_nothing() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(700).await?;
    let offer = sell(&swarm, vendor, buyer, "long film.mp4", SIZE, 400).await?;
    let begun = buyer.get(&request(&swarm, buyer, &offer)?).await?;
    let reached = async || Ok((buyer.download(begun.id).await?.have > SIZE / 3).then_some(()));
    until("a part of the film", WITHIN, reached).await?;

    // What was paid is durable, the file's bytes need not be: they are as they would be after a loss of power.
    swarm.kill(buyer.name()).await?;
    let partial = buyer.home().join("partial").join(format!("{}.part", begun.id));
    let file = std::fs::File::options().write(true).open(partial)?;
    file.write_all_at(&[0; 4096], 1 << 20)?;
    swarm.start(buyer.name()).await?;

    let stopped = async || {
        let view = buyer.download(begun.id).await?;
        ensure!(view.state != DownloadState::Done, "a damaged file was handed out");
        Ok((view.state == DownloadState::Failed).then_some(()))
    };
    until("the damage to be noticed", WITHIN, stopped).await?;
    buyer.control(begun.id, "retry").await?;
    arrived(&buyer.complete(begun.id).await?, &offer)?;
    redeems(&swarm, vendor, 400).await
}

use crate::common::{SAVINGS, balance, buy, redeems, request, sell, town};
use anyhow::{Result, ensure};
use std::path::Path;

#[tokio::test]
async fn a_copied_home_retires_its_chains_instead_of_spending_them() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(30).await?;
    let offer = sell(&swarm, vendor, buyer, "first essay.pdf", 50_000, 4).await?;
    let later = sell(&swarm, vendor, buyer, "later essay.pdf", 50_001, 4).await?;
    swarm.stop(buyer.name()).await?;
    let copy = swarm.directory().join("copy");
    copy_all(buyer.home(), &copy)?;
    swarm.start(buyer.name()).await?;
    buyer.meets(&offer.node).await?;
    buy(&swarm, buyer, &offer, false).await?;

    // The copy has not seen that purchase. It takes the original's place.
    swarm.stop(buyer.name()).await?;
    std::fs::remove_dir_all(buyer.home())?;
    copy_all(&copy, buyer.home())?;
    swarm.start(buyer.name()).await?;

    let chains = buyer.chains().await?;
    ensure!(chains.iter().all(|chain| chain.retired), "expected retired chains, saw {chains:?}");
    ensure!(buyer.wallet().await?.spendable == 0, "expected nothing to spend");
    buyer.meets(&offer.node).await?;
    ensure!(buyer.get(&request(&swarm, buyer, &later)?).await.is_err(), "it bought with coins of the copy");
    // New coins are as good as anybody's.
    buyer.buy_coins(20).await?;
    buy(&swarm, buyer, &later, false).await?;
    // Each file was paid once, and nobody signed anything twice.
    redeems(&swarm, vendor, 8).await?;
    let (left, earned) = (balance(&swarm, buyer).await?, balance(&swarm, vendor).await?);
    ensure!((left, earned) == (SAVINGS - 50, SAVINGS + 8), "saw {left} and {earned}");
    let convictions = swarm.broker()?.status().await?.convictions;
    ensure!(convictions == 0, "{convictions} were convicted");
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

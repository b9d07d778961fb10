use crate::common::{SAVINGS, town};
use anyhow::{Result, ensure};

#[tokio::test]
async fn an_owner_sees_its_account_at_the_broker_signed_in_by_its_peer() -> Result<()> {
    let (swarm, peers) = town(1).await?;
    let peer = &peers[0];
    peer.buy_coins(40).await?;
    let pages = swarm.broker()?.status().await?.pages;
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    ensure!(http.get(format!("{pages}/account")).send().await?.status() == 401, "shown to a stranger");

    let link = peer.command(&["broker", "open"])?.trim().to_owned();

    ensure!(link.starts_with(&pages), "{link} leads elsewhere than to {pages}");
    let entered = http.get(&link).send().await?;
    let status = entered.status();
    let cookie = entered.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
    ensure!(status == 200 && !cookie.is_empty(), "{status}: {}", entered.text().await?);
    let account = http.get(format!("{pages}/account")).header("cookie", cookie).send().await?.text().await?;
    let balance = netpay_node::shown::grouped(SAVINGS - 40);
    for words in ["bought 40 coins", &*balance] {
        ensure!(account.contains(words), "{words} is not on the page: {account}");
    }
    let again = http.get(&link).send().await?;
    ensure!(again.status() == 401, "a link was taken twice");
    Ok(())
}

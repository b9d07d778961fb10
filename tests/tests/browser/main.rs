//! People before a browser: everything that a page is for, done in a real Chromium, among real processes.
//!
//! Needs `chromium` and `chromedriver`: `cargo test -p netpay-tests --test browser -- --ignored`. What was seen is kept
//! as pictures, whose place the test tells.

mod browser;
mod look;
mod story;

use anyhow::{Result, ensure};
use browser::{Browser, Hands};
use look::Look;
use netpay_tests::swarm::Swarm;
use netpay_tests::swarm::process::Program;
use std::path::PathBuf;

/// Peers that one browser is signed in to at once.
const PEERS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn somebody_joins_buys_and_sells_with_a_mouse_by_day() -> Result<()> {
    story::tell(Hands::Mouse, Look::Light, &pictures("mouse-light")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn somebody_joins_buys_and_sells_by_keys_alone_at_night() -> Result<()> {
    story::tell(Hands::Keys, Look::Dark, &pictures("keys-dark")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn somebody_joins_buys_and_sells_on_a_telephone() -> Result<()> {
    story::tell(Hands::Mouse, Look::Narrow, &pictures("mouse-narrow")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn forty_peers_in_one_browser_do_not_log_each_other_out() -> Result<()> {
    let mut swarm = Swarm::temporary(program(), 7).await?;
    let peers = swarm.add_many(PEERS).await?;
    let browser = Browser::open(Hands::Mouse, Look::Light, &pictures("forty")).await?;
    let mut homes = Vec::new();
    for peer in &peers {
        browser.go(&story::link(peer)?).await?;
        browser.reads("Welcome to NetPay").await?;
        homes.push(browser.address().await?);
    }
    for (peer, home) in peers.iter().zip(&homes) {
        browser.go(home).await?;
        browser.reads("Welcome to NetPay").await?;
        let title = browser.ask("return document.title;").await?;
        ensure!(title.as_str().is_some_and(|title| title.contains(peer.name())), "{title}");
    }
    browser.close().await
}

fn program() -> Program {
    Program::attached(env!("CARGO_BIN_EXE_netpay-swarm"))
}

/// Where the pictures of a run are kept.
fn pictures(run: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser").join(run);
    println!("pictures: {}", place.display());
    place
}

//! A peer does nothing while somebody has a page of it open and a program listens.

use super::figures::rounded;
use super::pages::Browser;
use super::usage::{Use, at_rest, mib};
use super::{funded, search, tell};
use crate::swarm::process::Program;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The peer that is watched, and others that it knows.
const PEERS: usize = 4;
/// Coins in its wallet.
const COINS: u64 = 100;
/// How often an open page asks for the figures of its header.
const PAGE_ASKS_EVERY: Duration = Duration::from_secs(2);

/// Measures.
pub async fn run(program: Program, files: usize, seconds: u64) -> Result<Value> {
    let (mut swarm, peers) = funded(program, PEERS, &[COINS, 0, 0, 0]).await?;
    let peer = peers.first().context("a peer")?;
    let directory = swarm.goods().join(peer.name());
    search::make(&directory, 0..files, (files / 20).max(1))?;
    let shared = peer.share_all(&directory, 1).await?.len();
    let process = swarm.running(peer.name()).context("it runs")?;
    let after_sharing = Use::of(process)?;
    tell(&format!("{shared} files are shared"));
    swarm.stop(peer.name()).await?;
    swarm.start(peer.name()).await?;
    peer.meet(PEERS).await?;
    let process = swarm.running(peer.name()).context("it runs")?;
    at_rest(process).await?;
    tell("it has come to rest");
    let browser = Browser::of(peer).await?;
    browser.loads("/files").await?;
    let mut listener = listen(peer).await?;
    let told = tokio::spawn(async move {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = listener.chunk().await {
            bytes += chunk.len();
        }
        bytes
    });
    let (began, before) = (Instant::now(), Use::of(process)?);
    let (mut largest, mut asked) = (before.resident, 0);
    let mut due = tokio::time::interval(PAGE_ASKS_EVERY);
    while began.elapsed() < Duration::from_secs(seconds) {
        due.tick().await;
        browser.loads("/live/status").await?;
        asked += 1;
        largest = largest.max(Use::of(process)?.resident);
    }
    let (after, took) = (Use::of(process)?, began.elapsed().as_secs_f64());
    ensure!(!told.is_finished(), "the listener was sent away");
    swarm.down().await?;
    Ok(json!({
        "rss_mib": mib(after.resident),
        "rss_largest_mib": mib(largest),
        "rss_of_its_own_mib": mib(after.own),
        "rss_of_files_mib": mib(after.resident.saturating_sub(after.own)),
        "rss_after_sharing_mib": mib(after_sharing.resident),
        "cpu_percent": rounded((after.cpu - before.cpu) / took * 100.0),
        "cpu_s": rounded(after.cpu - before.cpu),
        "page_asked": asked,
        "listener_bytes": told.await?,
        "files": shared,
        "seconds": rounded(took),
    }))
}

/// A program that listens to what happens.
async fn listen(peer: &crate::swarm::peer::Peer) -> Result<reqwest::Response> {
    let token = std::fs::read_to_string(peer.home().join("api-token-read"))?;
    let url = format!("http://{}/api/v1/events", peer.api().address()?);
    let http = reqwest::Client::builder().no_proxy().build()?;
    Ok(http.get(url).bearer_auth(token.trim()).send().await?.error_for_status()?)
}

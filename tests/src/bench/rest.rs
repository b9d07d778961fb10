//! A peer does nothing while somebody has a page of it open and a program listens.

use super::figures::rounded;
use super::pages::Browser;
use super::{funded, search, tell};
use crate::swarm::process::{Program, Running};
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

/// What a process has used.
struct Use {
    /// Bytes in memory.
    resident: u64,
    /// Bytes of these that are no part of a file, such as the program.
    own: u64,
    /// Seconds of processors.
    cpu: f64,
}

impl Use {
    /// What it has used up to now, as Linux tells it.
    fn of(process: &Running) -> Result<Self> {
        let told = |file: &str| {
            let path = format!("/proc/{}/{file}", process.pid);
            std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        let status = told("status")?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            kib.map(|kib| kib << 10).with_context(|| format!("no {name} in {status}"))
        };
        let stat = told("stat")?;
        // The name in parentheses may hold anything: fields are counted from behind it.
        let fields: Vec<&str> = stat.rsplit_once(") ").context("fields")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("two times")?;
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Self {
            resident: kib("VmRSS:")?,
            own: kib("RssAnon:")?,
            cpu: (ticks.0 + ticks.1) as f64 / per_second,
        })
    }
}

fn mib(bytes: u64) -> f64 {
    rounded(bytes as f64 / f64::from(1 << 20))
}

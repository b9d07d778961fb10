//! Words are looked up in a swarm full of listings.

use super::figures::{percentile, rounded};
use super::{funded, tell};
use crate::swarm::peer::Peer;
use crate::swarm::process::Program;
use crate::swarm::until;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of each file.
const SIZE: usize = 64;
/// Files that have a word in common, about.
const PER_WORD: usize = 20;
/// How long all of it may take to be listed.
const LISTED_WITHIN: Duration = Duration::from_secs(600);

/// Measures.
pub async fn run(program: Program, count: usize, listings: usize, searches: usize) -> Result<Value> {
    let (mut swarm, peers) = funded(program, count, &vec![0; count]).await?;
    let each = listings.div_ceil(count);
    let words = (listings / PER_WORD).max(1);
    for (n, peer) in peers.iter().enumerate() {
        let directory = swarm.goods().join(peer.name());
        make(&directory, n * each..listings.min((n + 1) * each), words)?;
        peer.share_all(&directory, 1).await?;
    }
    tell(&format!("{listings} files are shared"));
    listed(&peers, listings, words).await?;
    tell("all of them are listed");
    let (mut first, mut all, mut found) = (Vec::new(), Vec::new(), 0);
    for n in 0..searches {
        let peer = &peers[n * 7 % peers.len()];
        let began = Instant::now();
        let results = peer.search(&word(n * 13 % words)).await?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        ensure!(!results.is_empty(), "{} finds nothing for {:?}", peer.name(), word(n * 13 % words));
        found += results.len();
        first.push(took);
        all.push(took);
    }
    swarm.down().await?;
    Ok(json!({
        "first_p50_ms": rounded(percentile(&first, 0.5)),
        "all_p50_ms": rounded(percentile(&all, 0.5)),
        "all_p99_ms": rounded(percentile(&all, 0.99)),
        "results_per_search": rounded(found as f64 / searches as f64),
        "peers": count,
        "listings": listings,
        "searches": searches,
    }))
}

/// Makes files whose names share words with others.
fn make(directory: &Path, numbers: std::ops::Range<usize>, words: usize) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for number in numbers {
        let name = format!("{} {number}.txt", word(number % words));
        let mut bytes = [0; SIZE];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}

/// Waits until every word finds all that was listed under it.
async fn listed(peers: &[Peer], listings: usize, words: usize) -> Result<()> {
    for number in (0..words).step_by((words / 25).max(1)) {
        let expected = (number..listings).step_by(words).count();
        let peer = &peers[number % peers.len()];
        let complete = async || {
            let found = peer.search(&word(number)).await?.len();
            if found < expected {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok((found >= expected).then_some(()))
        };
        until(&format!("{expected} results for {:?}", word(number)), LISTED_WITHIN, complete).await?;
    }
    Ok(())
}

/// The n-th word: letters only, so that it is one token.
fn word(n: usize) -> String {
    let letter = |shift: usize| char::from(b'a' + u8::try_from((n >> (4 * shift)) & 15).unwrap_or_default());
    format!("word{}", (0..4).rev().map(letter).collect::<String>())
}

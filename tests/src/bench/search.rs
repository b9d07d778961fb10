//! Words are looked up in a swarm full of listings.

use super::figures::{percentile, rounded};
use super::{funded, tell};
use crate::swarm::peer::Peer;
use crate::swarm::process::Program;
use crate::swarm::until;
use anyhow::{Context as _, Result};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of each file.
const SIZE: usize = 64;
/// Files that have a word in common, about.
const PER_WORD: usize = 20;
/// Peers that share their files at the same time.
const SHARING_AT_ONCE: usize = 4;
/// Words that are looked up to see whether all is listed, about.
const ASKED: usize = 25;
/// How long all of it may take to be listed.
const LISTED_WITHIN: Duration = Duration::from_secs(600);

/// Measures.
pub async fn run(program: Program, count: usize, listings: usize, searches: usize) -> Result<Value> {
    let (mut swarm, peers) = funded(program, count, &vec![0; count]).await?;
    let each = listings.div_ceil(count);
    let words = (listings / PER_WORD).max(1);
    let swarm_goods = swarm.goods();
    let stock = |n: usize| n * each..listings.min((n + 1) * each);
    for (n, peer) in peers.iter().enumerate() {
        make(&swarm_goods.join(peer.name()), stock(n), words)?;
    }
    let began = Instant::now();
    let sharing = peers.iter().map(|peer| {
        let directory = swarm_goods.join(peer.name());
        async move { peer.share_all(&directory, 1).await.map(drop) }
    });
    futures::stream::iter(sharing).buffer_unordered(SHARING_AT_ONCE).try_collect::<()>().await?;
    let shared = began.elapsed();
    tell(&format!("{listings} files are shared after {:.1} s", shared.as_secs_f64()));
    let town = Town { peers: &peers, stock: &stock, listings, words };
    town.listed().await?;
    let listed = began.elapsed();
    tell(&format!("all of them are listed after {:.1} s", listed.as_secs_f64()));
    let (mut first, mut all, mut found, mut expected) = (Vec::new(), Vec::new(), 0, 0);
    for n in 0..searches {
        let (at, number) = (n * 7 % peers.len(), n * 13 % words);
        let began = Instant::now();
        let (first_at, results) = peers[at].search_stream(&word(number)).await?;
        all.push(began.elapsed().as_secs_f64() * 1000.0);
        let first_at = first_at.with_context(|| format!("no result for {:?}", word(number)))?;
        first.push(first_at.duration_since(began).as_secs_f64() * 1000.0);
        // A newer listing of an offer comes again.
        let distinct: BTreeSet<_> = results.iter().map(|one| (&one.id, &one.vendor)).collect();
        found += distinct.len();
        expected += town.expected(at, number);
    }
    swarm.down().await?;
    Ok(json!({
        "first_p50_ms": rounded(percentile(&first, 0.5)),
        "first_p99_ms": rounded(percentile(&first, 0.99)),
        "all_p50_ms": rounded(percentile(&all, 0.5)),
        "all_p99_ms": rounded(percentile(&all, 0.99)),
        "results_per_search": rounded(found as f64 / searches as f64),
        "found_of_expected": rounded(found as f64 / expected as f64),
        "shared_s": rounded(shared.as_secs_f64()),
        "listed_s": rounded(listed.as_secs_f64()),
        "peers": count,
        "listings": listings,
        "searches": searches,
    }))
}

/// Makes files whose names share words with others.
pub(super) fn make(directory: &Path, numbers: Range<usize>, words: usize) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for number in numbers {
        let name = format!("{} {number}.txt", word(number % words));
        let mut bytes = [0; SIZE];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}

/// Who has what.
struct Town<'a, F> {
    peers: &'a [Peer],
    stock: &'a F,
    listings: usize,
    words: usize,
}

impl<F: Fn(usize) -> Range<usize>> Town<'_, F> {
    /// How many offers a peer should find for a word: all but its own.
    fn expected(&self, peer: usize, word: usize) -> usize {
        let own = (self.stock)(peer);
        (word..self.listings).step_by(self.words).filter(|number| !own.contains(number)).count()
    }

    /// Waits until every word, as far as is asked, finds all that was listed under it.
    async fn listed(&self) -> Result<()> {
        for number in (0..self.words).step_by((self.words / ASKED).max(1)) {
            let at = number % self.peers.len();
            let expected = self.expected(at, number);
            let complete = async || {
                let found = self.peers[at].search(&word(number)).await?.len();
                if found < expected {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok((found >= expected).then_some(()))
            };
            until(&format!("{expected} results for {:?}", word(number)), LISTED_WITHIN, complete).await?;
        }
        Ok(())
    }
}

/// The n-th word: letters only, so that it is one token.
pub(super) fn word(n: usize) -> String {
    let letter = |shift: usize| char::from(b'a' + u8::try_from((n >> (4 * shift)) & 15).unwrap_or_default());
    format!("word{}", (0..4).rev().map(letter).collect::<String>())
}

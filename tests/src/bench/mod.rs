//! How fast it is, between real processes. What is compared is measured in turns in one swarm and one run, and medians are
//! told: machines differ, ratios less.

mod certify;
mod fair;
mod figures;
mod handoff;
mod pages;
mod rest;
mod search;
mod table2;
mod transfer;
mod usage;

use crate::swarm::peer::Peer;
use crate::swarm::process::Program;
use crate::swarm::{Swarm, until};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use netpay_node::app::view::{DownloadState, DownloadView};
use serde_json::{Value, json};
use std::time::Duration;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Peers fetch one picture from one peer at once, free and paid (Table II of the paper).
    Table2 {
        /// How many peers fetch it.
        #[arg(long, default_value_t = 40, env = "NETPAY_BENCH_TABLE2_BUYERS")]
        buyers: usize,
        /// How often, free and paid in turns.
        #[arg(long, default_value_t = 11, env = "NETPAY_BENCH_TABLE2_ROUNDS")]
        rounds: usize,
    },
    /// One large file between two processes, free and paid, beside a plain TCP copy.
    Transfer {
        /// Its size, such as 64MiB or 1GiB.
        #[arg(long, default_value = "1GiB", value_parser = figures::size, env = "NETPAY_BENCH_TRANSFER_SIZE")]
        size: u64,
        /// How often each.
        #[arg(long, default_value_t = 3, env = "NETPAY_BENCH_TRANSFER_ROUNDS")]
        rounds: usize,
    },
    /// One large file between two processes in fair mode and in plain mode, and a file of one piece.
    Fair {
        /// Its size, such as 64MiB or 1GiB.
        #[arg(long, default_value = "1GiB", value_parser = figures::size, env = "NETPAY_BENCH_FAIR_SIZE")]
        size: u64,
        /// How often each.
        #[arg(long, default_value_t = 3, env = "NETPAY_BENCH_FAIR_ROUNDS")]
        rounds: usize,
        /// How often the file of one piece is fetched in each mode.
        #[arg(long, default_value_t = 21, env = "NETPAY_BENCH_FAIR_PICTURES")]
        pictures: usize,
    },
    /// A chain goes from vendor to vendor: the last one up, closed, or crashed.
    Handoff {
        /// Peers in the swarm.
        #[arg(long, default_value_t = 50, env = "NETPAY_BENCH_HANDOFF_PEERS")]
        peers: usize,
        /// Handoffs of each kind.
        #[arg(long, default_value_t = 25, env = "NETPAY_BENCH_HANDOFF_ROUNDS")]
        rounds: usize,
    },
    /// A vendor has what it is paid certified, by a committee of which some hang in the second half.
    Certify {
        /// Witnesses that hang.
        #[arg(long, default_value_t = 5, env = "NETPAY_BENCH_CERTIFY_HUNG")]
        hung: usize,
        /// Sales, with all at work and with some hung.
        #[arg(long, default_value_t = 30, env = "NETPAY_BENCH_CERTIFY_ROUNDS")]
        rounds: usize,
    },
    /// A browser asks a peer that has sold much for all its pages, over and over.
    Pages {
        /// Files that it offers.
        #[arg(long, default_value_t = 10_000, env = "NETPAY_BENCH_PAGES_LISTINGS")]
        listings: usize,
        /// Sales that it has made.
        #[arg(long, default_value_t = 10_000, env = "NETPAY_BENCH_PAGES_SALES")]
        sales: usize,
        /// How often each page is asked for.
        #[arg(long, default_value_t = 200, env = "NETPAY_BENCH_PAGES_ROUNDS")]
        rounds: usize,
    },
    /// A peer does nothing while somebody has a page of it open and a program listens: what that takes.
    Rest {
        /// Files that it offers.
        #[arg(long, default_value_t = 1000, env = "NETPAY_BENCH_REST_FILES")]
        files: usize,
        /// For how long it is watched, in seconds.
        #[arg(long, default_value_t = 60, env = "NETPAY_BENCH_REST_SECONDS")]
        seconds: u64,
    },
    /// Words are looked up in a swarm full of listings.
    Search {
        /// Peers in the swarm.
        #[arg(long, default_value_t = 50, env = "NETPAY_BENCH_SEARCH_PEERS")]
        peers: usize,
        /// Listings, spread over them.
        #[arg(long, default_value_t = 10_000, env = "NETPAY_BENCH_SEARCH_LISTINGS")]
        listings: usize,
        /// Searches.
        #[arg(long, default_value_t = 200, env = "NETPAY_BENCH_SEARCH_SEARCHES")]
        searches: usize,
    },
}

/// Measures, and prints the figures as one JSON object.
///
/// # Errors
/// If the swarm does not do what is to be measured.
pub async fn run(args: &Args, json: bool) -> Result<()> {
    let program = Program::this()?;
    let mut figures = match &args.bench {
        Bench::Table2 { buyers, rounds } => table2::run(program, *buyers, *rounds).await?,
        Bench::Transfer { size, rounds } => transfer::run(program, *size, *rounds).await?,
        Bench::Fair { size, rounds, pictures } => fair::run(program, *size, *rounds, *pictures).await?,
        Bench::Handoff { peers, rounds } => handoff::run(program, *peers, *rounds).await?,
        Bench::Certify { hung, rounds } => certify::run(program, *hung, *rounds).await?,
        Bench::Pages { listings, sales, rounds } => pages::run(program, *listings, *sales, *rounds).await?,
        Bench::Rest { files, seconds } => rest::run(program, *files, *seconds).await?,
        Bench::Search { peers, listings, searches } => {
            search::run(program, *peers, *listings, *searches).await?
        }
    };
    if let Value::Object(figures) = &mut figures {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        figures.insert("profile".to_owned(), json!(profile));
        figures
            .insert("cores".to_owned(), json!(std::thread::available_parallelism().map_or(0, usize::from)));
    }
    println!("{}", if json { figures.to_string() } else { serde_json::to_string_pretty(&figures)? });
    Ok(())
}

/// A swarm with members that have coins: `peers` of them, `coins` each.
async fn funded(program: Program, peers: usize, coins: &[u64]) -> Result<(Swarm, Vec<Peer>)> {
    let mut swarm = Swarm::temporary(program, 1).await?;
    let members = swarm.add_many(peers).await?;
    tell(&format!("{peers} peers are up"));
    let broker = swarm.broker()?;
    let richest = coins.iter().copied().max().unwrap_or_default().max(1);
    let codes = broker.vouchers(richest, peers).await?;
    for (peer, code) in members.iter().zip(&codes) {
        peer.register(code).await?;
    }
    let seen = async || Ok((broker.status().await?.alive >= peers).then_some(()));
    until("the broker to see all members", Duration::from_secs(120), seen).await?;
    for (peer, coins) in members.iter().zip(coins).filter(|(_, coins)| **coins > 0) {
        peer.buy_coins(*coins).await?;
    }
    tell("they have accounts and coins");
    Ok((swarm, members))
}

/// Waits for a download without asking so often that it is slowed down.
async fn wait(peer: &Peer, id: u64) -> Result<DownloadView> {
    let done = async || {
        let view = peer.download(id).await?;
        match view.state {
            DownloadState::Done => return Ok(Some(view)),
            DownloadState::Waiting | DownloadState::Running => {}
            other => bail!("{} of {} is {other:?}: {:?}", view.name, peer.name(), view.error),
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(None)
    };
    until("a download", Duration::from_secs(300), done).await
}

/// Milliseconds from one entry of a download's timeline to another.
fn between(view: &DownloadView, from: &str, to: &str) -> Result<f64> {
    let at = |what: &str| {
        let entry = view.timeline.iter().find(|entry| entry.what == what);
        entry.map(|entry| entry.at).with_context(|| format!("no {what:?} in {:?}", view.timeline))
    };
    Ok(at(to)?.saturating_sub(at(from)?) as f64)
}

/// Waits until a vendor has everything that it was paid certified, so that nothing of one round goes on in the next.
async fn certified(vendor: &Peer) -> Result<()> {
    let done = async || {
        let waiting = vendor.till().await?.into_iter().filter(|segment| segment.state == "closed").count();
        if waiting > 0 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        Ok((waiting == 0).then_some(()))
    };
    until("the vendor's certificates", Duration::from_secs(120), done).await
}

fn tell(what: &str) {
    eprintln!("{what}");
}

//! One large file between two processes: free, paid in units of 256 KiB, and as a plain copy over TCP.

use super::figures::{median, rounded};
use super::{between, certified, funded, tell, wait};
use crate::swarm::peer::{Peer, order};
use crate::swarm::process::Program;
use crate::swarm::{Swarm, goods};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

/// Bytes of a unit.
const UNIT: u64 = 256 << 10;
/// The longest chain.
const MOST_COINS: u64 = 16_384;
/// Vendor, buyer, and witnesses enough for a committee of peers.
const PEERS: usize = 6;

/// Measures.
pub async fn run(program: Program, size: u64, rounds: usize) -> Result<Value> {
    let price = size.div_ceil(UNIT);
    ensure!(price <= MOST_COINS, "a file of {size} bytes costs {price} coins, a chain has {MOST_COINS}");
    let mut coins = [0; PEERS];
    // Leases of earlier rounds may wait for settlement: there is a chain for each.
    coins[1] = price;
    let (mut swarm, peers) = funded(program, PEERS, &coins).await?;
    let [vendor, buyer, ..] = peers.as_slice() else { return Ok(Value::Null) };
    let codes = swarm.broker()?.vouchers(price, rounds).await?;
    for code in &codes {
        buyer.pay_in(code).await?;
        buyer.buy_coins(price).await?;
    }
    let node = vendor.status().await?.node;
    let original = goods::make(&swarm.goods(), "large free file.bin", size, 1)?;
    let free = vendor.share(&original, 0, &[]).await?;
    let paid =
        vendor.share(&goods::make(&swarm.goods(), "large paid file.bin", size, 2)?, price, &[]).await?;
    buyer.finds("large file", &free.id, &node).await?;
    buyer.finds("large file", &paid.id, &node).await?;
    tell("the files are there");
    let (mut free_rates, mut paid_rates, mut tcp_rates, mut synced_rates) = (vec![], vec![], vec![], vec![]);
    for round in 0..=rounds {
        let free_now = fetch(buyer, &free.id, &node, swarm.directory(), size, 0).await?;
        let paid_now = fetch(buyer, &paid.id, &node, swarm.directory(), size, price).await?;
        certified(vendor).await?;
        let copy = swarm.directory().join("copied.bin");
        let (tcp_now, synced_now) = copy_over_tcp(&original, &copy, size)?;
        std::fs::remove_file(&copy)?;
        tell(&format!("round {round}: free {free_now:.0}, paid {paid_now:.0}, TCP {tcp_now:.0} MB/s"));
        // The first round warms up.
        if round > 0 {
            free_rates.push(free_now);
            paid_rates.push(paid_now);
            tcp_rates.push(tcp_now);
            synced_rates.push(synced_now);
        }
    }
    let memory = json!({ "buyer": memory_mb(&swarm, buyer)?, "vendor": memory_mb(&swarm, vendor)? });
    swarm.down().await?;
    Ok(json!({
        "free_mb_s": rounded(median(&free_rates)),
        "paid_mb_s": rounded(median(&paid_rates)),
        "ratio": rounded(median(&paid_rates) / median(&free_rates)),
        "tcp_mb_s": rounded(median(&tcp_rates)),
        "tcp_synced_mb_s": rounded(median(&synced_rates)),
        "paid_to_tcp": rounded(median(&paid_rates) / median(&tcp_rates)),
        "rss_mb": memory,
        "bytes": size,
        "coins": price,
        "rounds": rounds,
    }))
}

/// Fetches a file; megabytes per second, from the order until the file is complete, safe and in its place.
async fn fetch(
    buyer: &Peer,
    root: &str,
    vendor: &str,
    directory: &Path,
    size: u64,
    price: u64,
) -> Result<f64> {
    let begun = buyer.get(&order(root, Some(vendor), directory)).await?;
    let view = wait(buyer, begun.id).await?;
    ensure!(view.paid == price, "paid {} instead of {price}", view.paid);
    std::fs::remove_file(&view.path)?;
    Ok(rate(size, between(&view, "ordered", "done")? / 1000.0))
}

/// Copies a file over a TCP connection to itself, one thread each side; the rate until it is written, and until it is safe.
fn copy_over_tcp(original: &Path, copy: &Path, size: u64) -> Result<(f64, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut source = File::open(original)?;
    let mut target = File::create(copy)?;
    let began = Instant::now();
    let sending = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        pump(&mut source, &mut stream).map(drop)
    });
    let mut stream = TcpStream::connect(address)?;
    let copied = pump(&mut stream, &mut target)?;
    let written = began.elapsed().as_secs_f64();
    target.sync_all()?;
    let safe = began.elapsed().as_secs_f64();
    sending.join().map_err(|_| anyhow::anyhow!("the sending thread failed"))??;
    ensure!(copied == size, "{copied} bytes were copied instead of {size}");
    Ok((rate(size, written), rate(size, safe)))
}

/// Moves everything, a unit at a time.
fn pump(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<u64> {
    let mut block = vec![0; UNIT as usize];
    let mut moved = 0;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(moved);
        }
        to.write_all(&block[..read])?;
        moved += read as u64;
    }
}

fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds.max(1e-6)
}

/// The most memory that a peer's process ever had, in MiB.
fn memory_mb(swarm: &Swarm, peer: &Peer) -> Result<f64> {
    let pid = swarm.running(peer.name()).context("a peer that runs")?.pid;
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("this system does not tell")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(rounded(kib / 1024.0))
}

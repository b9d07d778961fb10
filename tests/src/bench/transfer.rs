//! One large file between two processes: free, paid in units of 256 KiB, and as a plain copy over TCP.

use super::figures::{median, rounded};
use super::{between, certified, funded, tell, wait};
use crate::swarm::peer::{Peer, order};
use crate::swarm::process::Program;
use crate::swarm::{Swarm, goods};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::GetRequest;
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
    let price = price_of(size)?;
    let (mut swarm, peers) = rich(program, price, 2 * rounds + 1).await?;
    let [vendor, buyer, ..] = peers.as_slice() else { return Ok(Value::Null) };
    let node = vendor.status().await?.node;
    let original = goods::make(&swarm.goods(), "large free file.bin", size, 1)?;
    let dear = goods::make(&swarm.goods(), "large paid file.bin", size, 2)?;
    let free = vendor.share(&original, 0, &[]).await?;
    let paid = vendor.share(&dear, price, &[]).await?;
    buyer.finds("large file", &free.id, &node).await?;
    buyer.finds("large file", &paid.id, &node).await?;
    tell("the files are there");
    let (mut free_rates, mut paid_rates, mut tcp_rates) = (vec![], vec![], vec![]);
    for round in 0..=rounds {
        let copy = swarm.directory().join("copied.bin");
        let fetch = async |root: &str, original: &Path, price| {
            ready(original)?;
            fetch(buyer, &order(root, Some(&node), swarm.directory()), "ordered", size, price).await
        };
        let free_now = async || fetch(&free.id, &original, 0).await;
        let paid_now = async || fetch(&paid.id, &dear, price).await;
        // Each twice in a row: on some machines every other large file is written at half the speed, whosever it is.
        // Which comes first changes, so that neither always finds the busier disk.
        let (free_now, paid_now) = if round % 2 == 0 {
            let free_now = Rate::both(free_now().await?, free_now().await?);
            (free_now, Rate::both(paid_now().await?, paid_now().await?))
        } else {
            let paid_now = Rate::both(paid_now().await?, paid_now().await?);
            (Rate::both(free_now().await?, free_now().await?), paid_now)
        };
        certified(vendor).await?;
        let tcp_now = || {
            ready(&original)?;
            let rate = copy_over_tcp(&original, &copy, size)?;
            std::fs::remove_file(&copy)?;
            anyhow::Ok(rate)
        };
        let tcp_now = Rate::both(tcp_now()?, tcp_now()?);
        tell(&format!("round {round}: free {free_now}, paid {paid_now}, TCP {tcp_now}"));
        // The first round warms up.
        if round > 0 {
            free_rates.push(free_now);
            paid_rates.push(paid_now);
            tcp_rates.push(tcp_now);
        }
    }
    let [free, paid, tcp] = [&free_rates, &paid_rates, &tcp_rates].map(|rates| Rate::median(rates));
    let memory = json!({ "buyer": memory_mb(&swarm, buyer)?, "vendor": memory_mb(&swarm, vendor)? });
    swarm.down().await?;
    Ok(json!({
        "free_mb_s": rounded(free.written),
        "paid_mb_s": rounded(paid.written),
        "ratio": rounded(paid.written / free.written),
        "tcp_mb_s": rounded(tcp.written),
        "paid_to_tcp": rounded(paid.written / tcp.written),
        "synced": {
            "free_mb_s": rounded(free.synced),
            "paid_mb_s": rounded(paid.synced),
            "tcp_mb_s": rounded(tcp.synced),
        },
        "rss_mb": memory,
        "bytes": size,
        "coins": price,
        "rounds": rounds,
    }))
}

/// The price at which each unit of a file costs a coin.
pub(super) fn price_of(size: u64) -> Result<u64> {
    let price = size.div_ceil(UNIT);
    ensure!(price <= MOST_COINS, "a file of {size} bytes costs {price} coins, a chain has {MOST_COINS}");
    Ok(price)
}

/// A swarm whose second peer has so many chains of `price` coins, and one more: leases of earlier rounds may wait for
/// settlement.
pub(super) async fn rich(program: Program, price: u64, chains: usize) -> Result<(Swarm, Vec<Peer>)> {
    let mut coins = [0; PEERS];
    coins[1] = price;
    let (swarm, peers) = funded(program, PEERS, &coins).await?;
    let buyer = peers.get(1).context("a buyer")?;
    for code in &swarm.broker()?.vouchers(price, chains).await? {
        buyer.pay_in(code).await?;
        buyer.buy_coins(price).await?;
    }
    Ok((swarm, peers))
}

/// Megabytes per second: until every byte is verified, paid and written, as a copy is written when it returns; and
/// until the file is also safe on the disk, which measures the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub written: f64,
    pub synced: f64,
}

impl Rate {
    /// The rate of two transfers, one after the other.
    pub fn both(one: Self, other: Self) -> Self {
        let of = |one: f64, other: f64| 2.0 / (1.0 / one + 1.0 / other);
        Self { written: of(one.written, other.written), synced: of(one.synced, other.synced) }
    }

    pub fn median(rates: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| median(&rates.iter().map(part).collect::<Vec<_>>());
        Self { written: of(|rate| rate.written), synced: of(|rate| rate.synced) }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} MB/s ({:.0} synced)", self.written, self.synced)
    }
}

/// Fetches a file, and counts from the `first` thing that happens with a vendor.
pub(super) async fn fetch(
    buyer: &Peer,
    wanted: &GetRequest,
    first: &str,
    size: u64,
    price: u64,
) -> Result<Rate> {
    let begun = buyer.get(wanted).await?;
    let view = wait(buyer, begun.id).await?;
    ensure!(view.paid == price, "paid {} instead of {price}", view.paid);
    std::fs::remove_file(&view.path)?;
    let until = |what| anyhow::Ok(rate(size, between(&view, first, what)? / 1000.0));
    Ok(Rate { written: until("complete")?, synced: until("done")? })
}

/// What goes before is on the disk, and what will be read is in memory: some systems forget in seconds what rests.
pub(super) fn ready(original: &Path) -> Result<()> {
    let synced = std::process::Command::new("sync").status().context("running sync")?;
    ensure!(synced.success(), "sync failed");
    std::io::copy(&mut File::open(original)?, &mut std::io::sink())?;
    Ok(())
}

/// Copies a file over a TCP connection to itself, one thread each side.
fn copy_over_tcp(original: &Path, copy: &Path, size: u64) -> Result<Rate> {
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
    Ok(Rate { written: rate(size, written), synced: rate(size, safe) })
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

//! What a process uses, and when it has come to rest.

use super::figures::rounded;
use crate::swarm::process::Running;
use crate::swarm::until;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// A process rests when it used less than this share of a processor …
const AT_REST: f64 = 0.05;
/// … for so long.
const LOOKED_AT: Duration = Duration::from_secs(10);
/// How long it may take to come to rest.
const RESTS_WITHIN: Duration = Duration::from_secs(600);

/// Waits until a process has done what it does after its start, such as putting its listings where they belong.
pub async fn at_rest(process: &Running) -> Result<()> {
    let rests = async || {
        let before = Use::of(process)?.cpu;
        tokio::time::sleep(LOOKED_AT).await;
        let used = Use::of(process)?.cpu - before;
        Ok((used < AT_REST * LOOKED_AT.as_secs_f64()).then_some(()))
    };
    until("a peer to come to rest", RESTS_WITHIN, rests).await
}

/// What a process has used.
pub struct Use {
    /// Bytes in memory, as `ps` shows them.
    pub resident: u64,
    /// Bytes of these that are no part of a file, such as the program.
    pub own: u64,
    /// Seconds of processors.
    pub cpu: f64,
}

impl Use {
    /// What it has used up to now, as Linux tells it.
    pub fn of(process: &Running) -> Result<Self> {
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

/// Bytes in MiB.
pub fn mib(bytes: u64) -> f64 {
    rounded(bytes as f64 / f64::from(1 << 20))
}

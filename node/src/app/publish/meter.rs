//! How much one peer may ask of this node's share of the index.

use crate::app::lock;
use netpay_core::keys::PublicKey;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// What a peer may ask at once, in units: a listing put, or a page or card put or read.
///
/// In a small network every member keeps everything: that is all the files of one command.
const BURST: f64 = 20_480.0;
/// What it regains each second.
const PER_SECOND: f64 = 256.0;
/// Peers remembered at most; when there are more, those that have regained everything are forgotten.
const MAX_METERED: usize = 4096;

/// Who asked how much lately.
#[derive(Default)]
pub(super) struct Meter {
    peers: Mutex<BTreeMap<PublicKey, Level>>,
}

#[derive(Clone, Copy)]
struct Level {
    left: f64,
    at: Instant,
}

impl Level {
    fn now(self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST)
    }
}

impl Meter {
    /// Whether this peer may ask that much now. What is refused costs nothing.
    pub fn allows(&self, peer: PublicKey, cost: usize, now: Instant) -> bool {
        let mut peers = lock(&self.peers);
        if peers.len() >= MAX_METERED && !peers.contains_key(&peer) {
            peers.retain(|_, level| level.now(now) < BURST);
            if peers.len() >= MAX_METERED {
                return false;
            }
        }
        let left = peers.get(&peer).map_or(BURST, |level| level.now(now)) - cost as f64;
        if left < 0.0 {
            return false;
        }
        peers.insert(peer, Level { left, at: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_peer_that_asks_too_much_waits_and_others_do_not() {
        let (meter, now) = (Meter::default(), Instant::now());
        let (greedy, modest) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert!(meter.allows(greedy, 20_480, now));
        assert!(!meter.allows(greedy, 1, now));
        assert!(meter.allows(modest, 64, now));
        assert!(meter.allows(greedy, 100, now + Duration::from_secs(1)));
        assert!(!meter.allows(greedy, 200, now + Duration::from_secs(1)));
    }
}

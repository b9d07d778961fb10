//! Joining: which known peers to dial next, at the start and whenever nobody is connected any more.

use super::Tuning;
use super::routing::NodeKey;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many known peers are dialled at once.
const DIALLING: usize = 8;
/// How many connections are enough to find everyone else through, at the start …
const ENOUGH: usize = 16;
/// … and when an idle node, whose routing table is full, has lost its last one.
const ENOUGH_AGAIN: usize = 4;

/// The known peers that are still to be dialled, and when to start over.
pub(super) struct Join {
    queue: VecDeque<NodeKey>,
    first: Duration,
    longest: Duration,
    wait: Duration,
    again: Instant,
    enough: usize,
}

impl Join {
    /// A start: everyone known is to be dialled.
    pub(super) fn new(known: Vec<NodeKey>, tuning: &Tuning) -> Self {
        Self {
            queue: known.into(),
            first: tuning.retry,
            longest: tuning.retry_max,
            wait: tuning.retry,
            again: Instant::now() + tuning.retry,
            enough: ENOUGH,
        }
    }

    /// Somebody is connected: should everyone be lost again, start over soon.
    pub(super) fn connected(&mut self) {
        self.wait = self.first;
    }

    /// Nobody is connected any more: start over after the shortest wait.
    pub(super) fn alone(&mut self) {
        self.enough = ENOUGH_AGAIN;
        self.wait = self.first;
        self.again = Instant::now() + self.wait;
    }

    /// Whether it is time to start over with everyone known.
    pub(super) fn is_due(&self, connections: usize, dialling: usize) -> bool {
        connections == 0 && dialling == 0 && self.queue.is_empty() && Instant::now() >= self.again
    }

    /// Starts over, and waits twice as long the next time.
    pub(super) fn restart(&mut self, known: Vec<NodeKey>) {
        self.queue = known.into();
        self.wait = (self.wait * 2).min(self.longest);
        self.again = Instant::now() + self.wait;
    }

    /// The peers to dial now.
    pub(super) fn next(&mut self, connections: usize, dialling: usize) -> Vec<NodeKey> {
        if connections >= self.enough {
            self.queue.clear();
        }
        let free = DIALLING.saturating_sub(dialling).min(self.queue.len());
        self.queue.drain(..free).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u8) -> Vec<NodeKey> {
        (0..count).map(|i| NodeKey([i; 32])).collect()
    }

    #[test]
    fn known_peers_are_dialled_a_few_at_once_until_there_are_enough() {
        let mut join = Join::new(nodes(20), &Tuning::default());
        assert_eq!(join.next(0, 0).len(), DIALLING);
        assert!(join.next(0, DIALLING).is_empty());
        assert_eq!(join.next(3, DIALLING - 1).len(), 1);
        assert!(join.next(ENOUGH, 0).is_empty());
        assert!(join.next(0, 0).is_empty());
    }

    #[test]
    fn waits_double_until_somebody_is_connected() {
        let tuning = Tuning { retry: Duration::from_secs(1), ..Tuning::default() };
        let mut join = Join::new(nodes(0), &tuning);
        for _ in 0..10 {
            join.restart(nodes(0));
        }
        assert_eq!(join.wait, tuning.retry_max);
        assert!(!join.is_due(0, 0));
        join.connected();
        assert_eq!(join.wait, tuning.retry);
    }
}

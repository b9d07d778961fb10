//! The network: how long a message takes from one peer to another, and whether it comes at all.

use super::dice::Dice;
use super::town::PeerNo;

/// The nearest two peers are so far apart, in milliseconds one way …
const NEAREST: u64 = 3;
/// … and the farthest, usually.
const FARTHEST: u64 = 90;
/// No two messages take equally long: so much more, at most. Later ones overtake earlier ones.
const JITTER: u64 = 25;
/// One message in a hundred is held up …
const HELD_UP: f64 = 0.01;
/// … for so long, at most.
const HOLD_UP: u64 = 900;
/// Chance that a request or a reply is lost.
const LOSS: f64 = 0.02;
/// Chance that a stream breaks at a message: what was said before still arrives, nothing after it does.
const BREAK: f64 = 0.004;
/// When the network falls into two halves, and when it heals.
const FALLS_APART: (u64, u64) = (4_000, 12_000);
const HEALS_AFTER: (u64, u64) = (2_000, 15_000);
/// From here on everything arrives, though not at once.
pub const HEALED: u64 = FALLS_APART.1 + HEALS_AFTER.1;

/// The links of one run.
#[derive(Debug)]
pub struct Net {
    seed: u64,
    falls_apart: u64,
    heals: u64,
}

impl Net {
    /// The network of a seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::apart(seed, 1);
        let falls_apart = dice.between(FALLS_APART.0, FALLS_APART.1);
        Self { seed, falls_apart, heals: falls_apart + dice.between(HEALS_AFTER.0, HEALS_AFTER.1) }
    }

    /// How long a message takes.
    pub fn takes(&self, from: PeerNo, to: PeerNo, dice: &mut Dice) -> u64 {
        let link = (from.min(to) as u64) << 32 | from.max(to) as u64;
        let distance = Dice::apart(self.seed, link).between(NEAREST, FARTHEST);
        let hold_up = if dice.happens(HELD_UP) { dice.between(0, HOLD_UP) } else { 0 };
        distance + dice.between(0, JITTER) + hold_up
    }

    /// Whether the two are in different halves now.
    pub fn is_cut(&self, from: PeerNo, to: PeerNo, now: u64) -> bool {
        let half = |peer: PeerNo| Dice::apart(self.seed, !(peer as u64)).next() & 1;
        (self.falls_apart..self.heals).contains(&now) && half(from) != half(to)
    }

    /// Whether a request or a reply is lost.
    pub fn loses(&self, now: u64, dice: &mut Dice) -> bool {
        now < HEALED && dice.happens(LOSS)
    }

    /// Whether a stream breaks at this message.
    pub fn breaks(&self, now: u64, dice: &mut Dice) -> bool {
        now < HEALED && dice.happens(BREAK)
    }
}

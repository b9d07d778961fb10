//! The broker, thinly: `broker/src/ledger/redeeming.rs` without accounts and bytes. What is paid is counted in the
//! product's own interval map.

use super::config::{Config, QUORUM, Rule};
use super::state::{State, close_id};
use netpay_broker::ledger::{Intervals, Range};
use std::cmp::Reverse;

/// What the claims on a chain came to.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// Coins of the chain that were paid.
    pub paid: Intervals,
    /// The claims that were taken, in the order in which they were paid.
    pub claims: Vec<Claim>,
}

/// One claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The place of its Close.
    pub close: usize,
    /// Whether it was paid at once.
    pub is_final: bool,
    /// Coins that it got.
    pub paid: u32,
}

impl State {
    /// Whether a claim of this Close is final at once, with the Byzantine witness's ack or without.
    pub fn is_final(&self, close: usize, byzantine: bool, config: &Config) -> bool {
        let certified = if byzantine {
            self.is_certified(close_id(close), config)
        } else {
            self.honest_acks(close_id(close)) >= QUORUM
        };
        // An ack of an Open that was given stays given.
        let by_open = !config.has(Rule::FinalByClose) && self.is_certified(self.closes[close].open, config);
        certified || by_open || !config.has(Rule::UncertifiedWaits)
    }

    /// Every claim is brought, and the chain is settled. What can hurt an honest vendor most happens: liars have the
    /// Byzantine witness's acks, the honest have not, and claims of liars come first.
    pub fn settle(&self, config: &Config) -> Settlement {
        let honest = |close: usize| self.segment_of(close).vendor.is_honest(config);
        let is_final = |close: usize| self.is_final(close, !config.silent || !honest(close), config);
        let mut closes: Vec<usize> =
            (0..self.closes.len()).filter(|close| self.coins_of(*close) > 0).collect();
        closes.sort_by_key(|close| (honest(*close), Reverse(self.closes[*close].end)));
        let (finals, waiting): (Vec<usize>, Vec<usize>) =
            closes.into_iter().partition(|close| is_final(*close));
        let mut settlement = Settlement::default();
        let waiting = self.ranked(waiting, config);
        for (close, is_final) in
            finals.into_iter().map(|c| (c, true)).chain(waiting.into_iter().map(|c| (c, false)))
        {
            if !self.is_known(close, &settlement) {
                settlement.pay(close, is_final, self.range_of(close));
            }
        }
        settlement
    }

    /// Coins that a Close claims.
    pub fn coins_of(&self, close: usize) -> u32 {
        self.range_of(close).count().0
    }

    /// Waiting claims in the order in which they are paid.
    fn ranked(&self, mut waiting: Vec<usize>, config: &Config) -> Vec<usize> {
        if config.has(Rule::CertifiedOpensFirst) {
            waiting.sort_by_key(|close| {
                let fact = self.closes[*close];
                let certified = self.is_certified(fact.open, config);
                (!certified, certified.then_some(Reverse(fact.j)))
            });
        }
        waiting
    }

    /// Whether the broker has a claim of the same Open already: that keeps this one out.
    fn is_known(&self, close: usize, settlement: &Settlement) -> bool {
        settlement.claims.iter().any(|known| self.closes[known.close].open == self.closes[close].open)
    }

    /// Whether two claims that would be final have a coin in common. Two Closes of one Open have not: the broker takes one.
    pub fn finals_overlap(&self, config: &Config) -> bool {
        let finals: Vec<usize> =
            (0..self.closes.len()).filter(|close| self.is_final(*close, true, config)).collect();
        let overlap = |one: &usize, other: &usize| {
            let (a, b) = (self.range_of(*one), self.range_of(*other));
            self.closes[*one].open != self.closes[*other].open && a.start.max(b.start) < a.end.min(b.end)
        };
        finals.iter().any(|one| finals.iter().any(|other| overlap(one, other)))
    }
}

impl Settlement {
    /// Pays what is free of a stretch.
    fn pay(&mut self, close: usize, is_final: bool, range: Range) {
        let before = self.paid.total().0;
        for stretch in self.paid.free(range.start, range.end) {
            let _ = self.paid.take(stretch);
        }
        let paid = self.paid.total().0 - before;
        self.claims.push(Claim { close, is_final, paid });
    }
}

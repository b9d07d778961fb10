//! What anybody can do next.

use super::config::{COINS, Config, HONEST, Rule, SEGMENTS};
use super::state::{Segment, State, TOUCHSTONE, VENDORS, Vendor, cap_of, close_id, open_id};
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::record::rules::{CloseFact, OpenFact};

/// One step. Numbers are places in [`State::segments`] and [`State::closes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The buyer signs an Open for a vendor, after `prev`, at the end of `by` or else at the cap.
    Open { prev: Option<usize>, by: Option<usize>, vendor: Vendor },
    /// The buyer makes one more release durable.
    Release(usize),
    /// The payment arrives: the vendor makes it durable, and delivers.
    Count(usize),
    /// The vendor signs a Close that ends at `end`.
    Close { of: usize, end: Index },
    /// Somebody shows a witness the line up to a segment, with a Close of that: whole, or from its certified base on.
    Put { witness: usize, upto: usize, close: Option<usize>, based: bool },
    /// A witness crashes and forgets the newest segment it acked.
    Forget(usize),
}

impl State {
    /// Everything that can be done now.
    pub fn actions(&self, config: &Config, actions: &mut Vec<Action>) {
        self.opens(config, actions);
        for at in 0..self.segments.len() {
            if !config.buyer_lies && self.may_release(at) {
                actions.push(Action::Release(at));
            }
            if self.may_count(at, config) {
                actions.push(Action::Count(at));
            }
            let ends = self.ends(at, config);
            actions.extend(ends.into_iter().map(|end| Action::Close { of: at, end }));
            let closes = std::iter::once(None).chain(self.closes_of(at).map(Some));
            for close in closes {
                // The three honest witnesses are alike: showing something to equal ones comes to the same.
                for witness in (0..HONEST).filter(|w| *w == 0 || self.witnesses[*w] != self.witnesses[*w - 1])
                {
                    actions.push(Action::Put { witness, upto: at, close, based: false });
                    if self.path(at).iter().any(|at| self.is_certified(open_id(*at), config)) {
                        actions.push(Action::Put { witness, upto: at, close, based: true });
                    }
                }
            }
        }
        if !config.has(Rule::PersistThenAct) {
            actions.extend((0..HONEST).map(Action::Forget));
        }
    }

    /// The state after a step; `None` if nothing changes.
    pub fn after(&self, action: &Action, config: &Config) -> Option<Self> {
        let mut next = self.clone();
        match action {
            Action::Open { prev, by, vendor } => next.sign_open(*prev, *by, *vendor, config),
            Action::Release(at) => next.segments[*at].released.0 += 1,
            Action::Count(at) => {
                let segment = &mut next.segments[*at];
                segment.counted.0 += 1;
                segment.released = segment.released.max(segment.counted);
            }
            Action::Close { of, end } => next.sign_close(*of, *end),
            Action::Put { witness, upto, close, based } => {
                let line = self.line(*upto, *close, |at| *based && self.is_certified(open_id(at), config));
                next.put(*witness, &line, config);
            }
            Action::Forget(witness) => {
                let witness = &mut next.witnesses[*witness];
                let (_, row) = witness.book.rows.pop_last()?;
                witness
                    .forgotten
                    .extend([Some(row.open), row.close.map(|(close, _)| close)].into_iter().flatten());
                witness.forgotten.sort_unstable();
                witness.forgotten.dedup();
            }
        }
        next.witnesses.sort_unstable();
        (next != *self).then_some(next)
    }

    /// The Opens that the buyer may sign next.
    fn opens(&self, config: &Config, actions: &mut Vec<Action>) {
        if self.segments.len() >= config.opens {
            return;
        }
        let newest = self.segments.len().checked_sub(1);
        let mut prevs = vec![newest];
        if config.buyer_lies {
            prevs = std::iter::once(None).chain((0..self.segments.len()).map(Some)).collect();
        } else if !config.has(Rule::OneOpenPerNumber) {
            // It gave the vendor up and opened at its cap; now the Close has come, and the number is signed again.
            let again = newest.filter(|newest| self.segments[*newest].by.is_none());
            prevs.extend(again.map(|newest| self.segments[newest].prev).filter(Option::is_some));
        }
        for prev in prevs {
            let closes = prev.into_iter().flat_map(|prev| self.closes_of(prev)).map(Some);
            for by in std::iter::once(None).chain(closes) {
                for vendor in VENDORS {
                    if self.may_open(prev, by, vendor, config) {
                        actions.push(Action::Open { prev, by, vendor });
                    }
                }
            }
        }
    }

    fn may_open(&self, prev: Option<usize>, by: Option<usize>, vendor: Vendor, config: &Config) -> bool {
        // Where both vendors are honest it is all one who comes first.
        if self.segments.is_empty() && vendor == Vendor::Ben && !config.vendor_lies {
            return false;
        }
        let open = self.next_open(prev, by, config);
        let known = |segment: &Segment| {
            let old = segment.open;
            segment.vendor == vendor
                && segment.by == by
                && (old.j, old.prev, old.start) == (open.j, open.prev, open.start)
        };
        if open.start.0 >= COINS || open.j.0 > SEGMENTS || self.segments.iter().any(known) {
            return false;
        }
        // An honest vendor takes no line that contradicts what it holds.
        let path = prev.map_or_else(Vec::new, |prev| self.path(prev));
        let contradicts = |(at, held): (usize, &Segment)| {
            held.vendor == vendor && held.open.j <= open.j && !path.contains(&at)
        };
        !vendor.is_honest(config) || !self.segments.iter().enumerate().any(contradicts)
    }

    fn next_open(&self, prev: Option<usize>, by: Option<usize>, config: &Config) -> OpenFact<u8> {
        let before = prev.map(|prev| &self.segments[prev]);
        let end = by.map(|close| self.closes[close].end);
        let mut start = before.map_or(Index::ZERO, |before| end.unwrap_or(before.open.cap.as_index()));
        if let Some(before) = before.filter(|_| !config.buyer_lies) {
            // An honest buyer never opens below what it released itself.
            start = start.max(before.released);
        }
        OpenFact {
            id: open_id(self.segments.len()),
            j: before.map_or(SegmentNo::FIRST, |before| before.open.j.next()),
            prev: prev.map_or(TOUCHSTONE, open_id),
            start,
            cap: Cap(cap_of(start)),
        }
    }

    fn sign_open(&mut self, prev: Option<usize>, by: Option<usize>, vendor: Vendor, config: &Config) {
        let open = self.next_open(prev, by, config);
        // A lying buyer gives a lying vendor every release there is.
        let league = config.buyer_lies && !vendor.is_honest(config);
        let paid = if league { open.cap.as_index() } else { open.start };
        self.segments.push(Segment { open, vendor, prev, by, released: paid, counted: paid });
    }

    /// An honest buyer pays in a segment until it has gone on from its Close; one payment may be on its way.
    fn may_release(&self, at: usize) -> bool {
        let segment = &self.segments[at];
        let left = segment.open.cap.room(segment.released) > Count::ZERO;
        left && segment.released == segment.counted
            && !self.segments.iter().any(|next| next.prev == Some(at) && next.by.is_some())
    }

    fn may_count(&self, at: usize, config: &Config) -> bool {
        let segment = &self.segments[at];
        let limit = if config.buyer_lies { segment.open.cap.as_index() } else { segment.released };
        if segment.counted >= limit {
            return false;
        }
        if !segment.vendor.is_honest(config) {
            return true;
        }
        let protected = |at: usize| self.is_certified(open_id(at), config);
        let of_vendor = |at: &usize| self.segments[*at].vendor == segment.vendor && !protected(*at);
        let risked = (0..self.segments.len()).filter(of_vendor).map(|at| self.counted_in(at)).sum::<u32>();
        let may_risk = protected(at) || risked < config.x0 || !config.has(Rule::X0);
        may_risk && self.closes_of(at).next().is_none()
    }

    /// Coins that were paid in a segment.
    pub fn counted_in(&self, at: usize) -> u32 {
        let segment = &self.segments[at];
        segment.counted.0 - segment.open.start.0
    }

    /// The ends at which a vendor may close a segment now: an honest one once, at what it was paid; a liar twice, at
    /// whatever it has a release for.
    fn ends(&self, at: usize, config: &Config) -> Vec<Index> {
        let segment = &self.segments[at];
        let closed: Vec<Index> = self.closes_of(at).map(|close| self.closes[close].end).collect();
        if segment.vendor.is_honest(config) {
            return if closed.is_empty() { vec![segment.counted] } else { vec![] };
        }
        if closed.len() >= 2 || self.closes.len() >= config.closes {
            return vec![];
        }
        let mut highest = segment.counted;
        if !config.has(Rule::Release) {
            // The highest coin that stands in any Close; all below follow from it.
            let shown = (0..self.closes.len()).filter(|close| self.coins_of(*close) > 0);
            let seen = shown.map(|close| self.closes[close].end).max().unwrap_or_default();
            highest = highest.max(seen.min(segment.open.cap.as_index()));
        }
        let ends = (segment.open.start.0..=highest.0).map(Index);
        ends.filter(|end| !closed.contains(end)).collect()
    }

    /// Signs a Close.
    pub fn sign_close(&mut self, of: usize, end: Index) {
        let (id, j) = (close_id(self.closes.len()), self.segments[of].open.j);
        self.closes.push(CloseFact { id, j, open: open_id(of), end });
    }
}

//! Which coins of one chain are paid: disjoint stretches `(start, end]`, so that no index is paid twice.

use netpay_core::amount::{Count, Index};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The coins above `start`, up to and with `end`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// The index below the first coin.
    pub start: Index,
    /// The last coin.
    pub end: Index,
}

impl Range {
    /// How many coins.
    #[must_use]
    pub const fn count(&self) -> Count {
        Count(self.end.0.saturating_sub(self.start.0))
    }
}

/// Disjoint stretches of coins; those that touch are kept as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// End by start.
    runs: BTreeMap<u32, u32>,
    total: u32,
}

impl Intervals {
    /// How many coins are in it.
    #[must_use]
    pub const fn total(&self) -> Count {
        Count(self.total)
    }

    /// The stretches, lowest first.
    pub fn runs(&self) -> impl Iterator<Item = Range> {
        self.runs.iter().map(|(start, end)| Range { start: Index(*start), end: Index(*end) })
    }

    /// The stretches of `(start, end]` that are not in it, lowest first.
    #[must_use]
    pub fn free(&self, start: Index, end: Index) -> Vec<Range> {
        let mut free = Vec::new();
        let mut at = self.runs.range(..=start.0).next_back().map_or(start.0, |(_, end)| start.0.max(*end));
        for (&taken, &taken_end) in self.runs.range(start.0..end.0) {
            if taken > at {
                free.push(Range { start: Index(at), end: Index(taken) });
            }
            at = at.max(taken_end);
        }
        if at < end.0 {
            free.push(Range { start: Index(at), end });
        }
        free
    }

    /// Adds a stretch. `false`, and nothing is changed, if it is empty or any coin of it is in already.
    #[must_use]
    pub fn take(&mut self, range: Range) -> bool {
        let (mut start, mut end) = (range.start.0, range.end.0);
        let before = self.runs.range(..=start).next_back().map(|(s, e)| (*s, *e));
        let clear = start < end
            && before.is_none_or(|(_, before_end)| before_end <= start)
            && self.runs.range(start..end).next().is_none();
        if !clear {
            return false;
        }
        self.total += end - start;
        if let Some((before_start, _)) = before.filter(|(_, before_end)| *before_end == start) {
            start = before_start;
        }
        if let Some(after_end) = self.runs.remove(&end) {
            end = after_end;
        }
        self.runs.insert(start, end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u32, end: u32) -> Range {
        Range { start: Index(start), end: Index(end) }
    }

    #[test]
    fn stretches_that_touch_become_one() {
        let mut paid = Intervals::default();
        assert!(paid.take(range(0, 4)));
        assert!(paid.take(range(8, 12)));
        assert!(paid.take(range(4, 8)));
        assert_eq!(paid.runs().collect::<Vec<_>>(), [range(0, 12)]);
        assert!(!paid.take(range(11, 13)));
        assert!(!paid.take(range(3, 3)));
        assert_eq!(paid.total(), Count(12));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_row_of_flags(wanted in prop::collection::vec((0u32..40, 0u32..40), 0..30)) {
            let mut paid = Intervals::default();
            let mut flags = [false; 40];
            for (a, b) in wanted {
                let (start, end) = (a.min(b), a.max(b));
                let free = paid.free(Index(start), Index(end));
                let named: Vec<u32> = free.iter().flat_map(|r| r.start.0..r.end.0).collect();
                let expected: Vec<u32> = (start..end).filter(|i| !flags[*i as usize]).collect();
                prop_assert_eq!(&named, &expected);
                let whole = start < end && expected.len() == (end - start) as usize;
                let mut copy = paid.clone();
                prop_assert_eq!(copy.take(range(start, end)), whole);
                for stretch in free {
                    prop_assert!(paid.take(stretch));
                }
                for i in named {
                    flags[i as usize] = true;
                }
                prop_assert_eq!(paid.total().0 as usize, flags.iter().filter(|f| **f).count());
            }
        }
    }
}

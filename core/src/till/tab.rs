//! A tab: the running account of one download at this vendor.

use crate::amount::Coins;
use crate::codec::{List, Wire};
use crate::id::ChainId;
use crate::time::Time;
use crate::wire::trade::Span;
use serde::{Deserialize, Serialize};

/// Unpaid units that may be on their way at most.
pub const MAX_UNPAID: usize = 64;
/// The most stretches of units one tab remembers.
pub const MAX_TAB_SPANS: usize = 256;
/// The most chains one tab remembers that it was paid from.
pub const MAX_TAB_CHAINS: usize = 16;

/// A running account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tab {
    /// Coins counted on it.
    pub paid: Coins,
    /// Of these, as many as are known to be durable: what is sent rests on them alone.
    #[serde(skip)]
    pub durable: Coins,
    /// Coins' worth of units charged on it.
    pub charged: Coins,
    /// The units charged, in ascending stretches.
    pub spans: List<Span, MAX_TAB_SPANS>,
    /// Of the units sent ahead of their payment: what had been charged in all with each. It outlives the
    /// stream, or a break would be worth as many unpaid units as trust allows.
    pub unpaid: List<Coins, MAX_UNPAID>,
    /// When it was last used.
    pub used: Time,
    /// The chains it was paid from, the newest last: if they were spent twice, what stands unpaid is lost with them.
    pub chains: List<ChainId, MAX_TAB_CHAINS>,
}

impl Wire for Tab {
    const MAX: usize = 8 * 1024;
}

impl Tab {
    pub(super) fn new(now: Time) -> Self {
        let (paid, durable, charged) = (Coins::ZERO, Coins::ZERO, Coins::ZERO);
        Self {
            paid,
            durable,
            charged,
            spans: List::new(),
            unpaid: List::new(),
            used: now,
            chains: List::new(),
        }
    }

    /// Coins' worth of units that nothing was counted for.
    #[must_use]
    pub fn owed(&self) -> Coins {
        self.charged.saturating_sub(self.paid)
    }

    /// Counts coins of a chain.
    pub(super) fn pay(&mut self, chain: ChainId, coins: Coins) {
        self.paid = self.paid.saturating_add(coins);
        if self.chains.contains(&chain) {
            return;
        }
        // Beyond the bound the oldest is forgotten: of that many chains one is long certified, or was cheap.
        let oldest = (self.chains.len() + 1).saturating_sub(MAX_TAB_CHAINS);
        self.chains = List::first_of(self.chains.iter().skip(oldest).copied().chain([chain]));
    }

    /// Whether this unit was charged already.
    #[must_use]
    pub fn has(&self, unit: u64) -> bool {
        self.spans.iter().any(|span| span.first <= unit && unit - span.first < span.count)
    }

    /// Units charged and paid, as far as they are remembered.
    fn paid_units(&self) -> usize {
        let units = self.spans.iter().fold(0u64, |sum, span| sum.saturating_add(span.count));
        usize::try_from(units).unwrap_or(usize::MAX).saturating_sub(self.unpaid.len())
    }

    /// Whether a unit of this price may be sent: it was charged before, is paid already, or trust reaches
    /// further than the units that stand unpaid.
    #[must_use]
    pub fn may_charge(&self, unit: u64, price: Coins) -> bool {
        let after = self.charged.saturating_add(price);
        self.has(unit) || after <= self.durable || self.unpaid.len() < self.paid_units().min(MAX_UNPAID)
    }

    /// Notes that of the coins counted so many are durable, and which of the unpaid units they pay.
    pub(super) fn made_durable(&mut self, paid: Coins) {
        let durable = self.durable.max(paid.min(self.paid));
        self.durable = durable;
        self.unpaid = List::first_of(self.unpaid.iter().copied().filter(|charged| *charged > durable));
    }

    /// Charges a unit, once. Returns whether it was new.
    pub fn charge(&mut self, unit: u64, price: Coins) -> bool {
        if self.has(unit) {
            return false;
        }
        self.charged = self.charged.saturating_add(price);
        if self.charged > self.durable {
            // Nothing is sent beyond what may stand unpaid (`may_charge`).
            let _ = self.unpaid.push(self.charged);
        }
        let mut spans = std::mem::take(&mut self.spans).into_vec();
        let at = spans.partition_point(|span| span.first <= unit);
        spans.insert(at, Span { first: unit, count: 1 });
        spans.dedup_by(|next, span| {
            let touches = span.first + span.count == next.first;
            if touches {
                span.count += next.count;
            }
            touches
        });
        // Beyond the bound the oldest stretch is forgotten: its units would be charged again, never given away.
        if spans.len() > MAX_TAB_SPANS {
            spans.remove(0);
        }
        self.spans = List::first_of(spans);
        true
    }
}

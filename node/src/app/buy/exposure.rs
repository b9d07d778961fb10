//! What is paid, or about to be, and would not be there after a loss of power.

use crate::app::lock;
use netpay_core::amount::Coins;
use std::sync::Mutex;

/// What one sale puts at risk should the machine lose power and the vendor never be there again. While it is no more than what
/// a buyer may lose to a vendor in plain mode, or than what the sale has brought to the disk already, units under seal are paid
/// before they are synced. Opened units count in it, and are not held up by it: they are synced as soon as it is half used.
pub(super) struct Exposure {
    p0: Coins,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the units cost that were written, and may not be on the disk yet.
    loose: Coins,
    /// What those cost that were, and are there.
    stored: Coins,
}

impl Exposure {
    /// For a sale that begins; `p0` is what may be lost to its vendor.
    pub fn new(p0: Coins) -> Self {
        Self { p0, state: Mutex::default() }
    }

    /// Whether units of this cost may be paid before they are on the disk.
    pub fn may_add(&self, cost: Coins) -> bool {
        let state = lock(&self.state);
        state.loose.saturating_add(cost) <= state.most(self.p0)
    }

    /// Whether so much may not be on the disk that it should get there, so that there is room for what comes meanwhile.
    pub fn is_half_used(&self) -> bool {
        let state = lock(&self.state);
        state.loose.saturating_add(state.loose) >= state.most(self.p0)
    }

    /// Counts what was written, and may not be on the disk yet.
    pub fn written(&self, cost: Coins) {
        let mut state = lock(&self.state);
        state.loose = state.loose.saturating_add(cost);
    }

    /// Counts what was written no more: nothing of it is wanted.
    pub fn dropped(&self, cost: Coins) {
        lock(&self.state).drop_loose(cost);
    }

    /// Counts what was written and is on the disk now.
    pub fn stored(&self, cost: Coins) {
        let mut state = lock(&self.state);
        state.drop_loose(cost);
        state.stored = state.stored.saturating_add(cost);
    }
}

impl State {
    const fn drop_loose(&mut self, cost: Coins) {
        self.loose = self.loose.saturating_sub(cost);
    }

    fn most(&self, p0: Coins) -> Coins {
        p0.max(self.stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_at_risk_than_p0_or_what_was_stored() {
        let exposure = Exposure::new(Coins(10));
        assert!(exposure.may_add(Coins(10)) && !exposure.may_add(Coins(11)));
        exposure.written(Coins(4));
        assert!(exposure.may_add(Coins(6)) && !exposure.may_add(Coins(7)) && !exposure.is_half_used());
        exposure.written(Coins(1));
        assert!(exposure.is_half_used());
        exposure.stored(Coins(5));
        assert!(exposure.may_add(Coins(10)) && !exposure.may_add(Coins(11)));
        // What is dear gets to the disk before it is paid, and counts as much as what is cheap.
        exposure.stored(Coins(100));
        assert!(exposure.may_add(Coins(105)) && !exposure.may_add(Coins(106)));
        exposure.written(Coins(7));
        exposure.dropped(Coins(7));
        assert!(exposure.may_add(Coins(105)) && !exposure.may_add(Coins(106)));
        exposure.written(Coins(u64::MAX));
        assert!(!exposure.may_add(Coins(1)));
    }
}

//! What must hold, and what a run must come across to mean anything.

use super::config::{Config, Rule, Side};
use super::state::{State, Unit};
use super::steps::Step;
use stateright::{Model, Property};

/// Strong fairness for the buyer.
pub const BUYER: &str = "an honest buyer has paid only for units of which it has the right bytes";
/// Strong fairness for the vendor.
pub const VENDOR: &str = "an honest vendor has all coins of every unit of which the buyer has the bytes";
/// No cheat gets away with it.
pub const CAUGHT: &str =
    "junk of which an honest buyer had key and evidence in time has convicted its vendor";
/// Nobody honest is accused with success.
pub const INNOCENT: &str = "nobody honest is ever convicted, or pays a fee";
/// Whatever liars do or leave undone.
pub const GOES_ON: &str = "unless all is over something can happen without a liar's help";
/// Liveness.
pub const ENDS: &str = "every run ends";
/// The named exception for the buyer.
pub const BUYER_AWAY: &str = "what a buyer loses that was away is junk that it had paid ahead, and no more";
/// The named exception for the vendor.
pub const VENDOR_AWAY: &str = "what a vendor loses that was away is what it never claimed";

/// What a run must come across.
pub const SOLD: &str = "all units are bought and paid";
/// What a run may come across.
pub const FROM_BROKER: &str = "the buyer has a key from the broker that the vendor kept back";
pub const CONVICTED: &str = "a vendor is convicted";
pub const FINED: &str = "a false accuser pays the fee";
pub const ALL_AHEAD: &str = "a buyer loses as many units as it pays ahead";
pub const NOTHING: &str = "a run ends in which coins were released, and none is paid";

/// One deal.
pub struct Twin(pub Config);

impl State {
    /// Whether some coin of a unit goes to the vendor in the end.
    fn costs(&self, unit: usize, config: &Config) -> bool {
        config.first_coin(unit).is_some_and(|first| first <= self.paid())
    }

    fn buyer_is_whole(&self, config: &Config) -> bool {
        self.paid() <= self.released && self.lost(config).is_empty()
    }

    fn vendor_is_whole(&self, config: &Config) -> bool {
        let paid = |unit| config.prices[unit] == 0 || config.last_coin(unit) <= self.paid();
        let whole = |unit| !self.has_bytes(unit, config) || paid(unit);
        // Nobody ever paid for the second deal.
        let given = self.second && self.keys.now > 0 && !config.has(Rule::ChainPerDeal);
        !given && (0..config.prices.len()).all(whole)
    }

    /// Whether junk that the buyer could show has convicted its vendor. It can show nothing of a deal that was not opened,
    /// and of what is not in the claim it may have heard too late.
    fn junk_is_caught(&self, config: &Config) -> bool {
        let in_time = |unit| self.claim.is_none() || self.costs(unit, config);
        self.convicted || !self.open || !self.junk(config).any(in_time)
    }

    /// Units for which coins are gone, and of which the buyer has not the bytes.
    fn lost(&self, config: &Config) -> Vec<usize> {
        let lost = |unit: &usize| self.costs(*unit, config) && !self.has_bytes(*unit, config);
        (0..config.prices.len()).filter(lost).collect()
    }

    fn lost_junk_only(&self, config: &Config) -> bool {
        let lost = self.lost(config);
        lost.iter().all(|unit| self.junk(config).any(|junk| junk == *unit)) && lost.len() <= config.ahead
    }

    fn goes_on(&self, config: &Config) -> bool {
        let counts = |step: &Step| !step.is_of(config.liar) && self.after(step, config).is_some();
        self.steps(config).iter().any(counts)
    }
}

impl Model for Twin {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.extend(state.steps(&self.0));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        state.after(&step, &self.0)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(BUYER, |Self(config), state: &State| {
                config.lies(Side::Buyer) || !state.is_over(config) || state.buyer_is_whole(config)
            }),
            Property::always(VENDOR, |Self(config), state: &State| {
                config.lies(Side::Vendor) || !state.is_over(config) || state.vendor_is_whole(config)
            }),
            Property::always(CAUGHT, |Self(config), state: &State| {
                config.lies(Side::Buyer) || !state.is_over(config) || state.junk_is_caught(config)
            }),
            Property::always(INNOCENT, |Self(config), state: &State| {
                (config.lies(Side::Vendor) || !state.convicted) && (config.lies(Side::Buyer) || !state.fined)
            }),
            Property::always(GOES_ON, |Self(config), state: &State| {
                state.is_over(config) || state.goes_on(config)
            }),
            Property::always(BUYER_AWAY, |Self(config), state: &State| {
                !state.is_over(config) || state.lost_junk_only(config)
            }),
            Property::always(VENDOR_AWAY, |Self(config), state: &State| {
                !state.is_over(config) || state.claim.is_none() || state.vendor_is_whole(config)
            }),
            Property::eventually(ENDS, |Self(config), state: &State| state.is_over(config)),
            Property::sometimes(SOLD, |Self(config), state: &State| {
                let all = (0..config.prices.len()).all(|unit| state.has_bytes(unit, config));
                all && state.paid() == config.coins()
            }),
            Property::sometimes(FROM_BROKER, |Self(config), state: &State| {
                state.units.contains(&Unit::Right) && state.key_at_broker(config) > state.keys.now
            }),
            Property::sometimes(CONVICTED, |_, state: &State| state.convicted),
            Property::sometimes(FINED, |_, state: &State| state.fined),
            Property::sometimes(ALL_AHEAD, |Self(config), state: &State| {
                state.is_over(config) && state.lost(config).len() == config.ahead
            }),
            Property::sometimes(NOTHING, |Self(config), state: &State| {
                state.is_over(config) && state.released > 0 && state.paid() == 0
            }),
        ]
    }
}

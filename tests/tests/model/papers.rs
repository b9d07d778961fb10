//! The papers' own scheme (P2P-NetPay): one payword chain, the next vendor is told the index by the last one, and
//! whoever brings a payword is paid up to it. No release that is bound to a vendor, no certificate.
//!
//! The buyer is honest, and so is the second vendor. All the first one does is to redeem a payword that it has overheard
//! after the handoff: `W_i` proves all coins up to `i`, and does not say at whom they were spent.

use stateright::{Model, Property};

/// Coins of the chain.
const COINS: usize = 4;
/// What does not hold.
pub const OWN_COINS: &str = "every vendor gets the coins that were spent at it";
/// What a run must come across.
pub const BOTH_PAID: &str = "both vendors are paid";

/// One chain, spent at a first and then at a second vendor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Papers {
    /// The index that the first vendor handed on, once it did.
    handed: Option<usize>,
    /// The highest payword that the buyer has spent.
    spent: usize,
    /// The highest payword that the first vendor knows.
    first_knows: usize,
    /// Whom the broker has paid for each coin, once: the first vendor (0) or the second (1).
    paid: [Option<u8>; COINS],
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The buyer spends a coin at the vendor whose turn it is.
    Spend,
    /// The first vendor hands the chain on, with its index.
    HandOn,
    /// The first vendor learns the newest payword: on its way, from the next handoff, or from a friend at the second.
    Overhear,
    /// The first vendor redeems the highest payword it knows.
    RedeemFirst,
    /// The second vendor redeems what was spent at it.
    RedeemSecond,
}

/// The scheme; or, if `bound`, one in which a payword pays only whom it was spent at, as a release sees to here.
pub struct Scheme {
    pub bound: bool,
}

impl Model for Scheme {
    type State = Papers;
    type Action = Step;

    fn init_states(&self) -> Vec<Papers> {
        vec![Papers::default()]
    }

    fn actions(&self, _: &Papers, actions: &mut Vec<Step>) {
        use Step::{HandOn, Overhear, RedeemFirst, RedeemSecond, Spend};
        actions.extend([Spend, HandOn, Overhear, RedeemFirst, RedeemSecond]);
    }

    fn next_state(&self, state: &Papers, step: Step) -> Option<Papers> {
        let mut next = state.clone();
        match step {
            Step::Spend => {
                next.spent = (state.spent + 1).min(COINS);
                if state.handed.is_none() {
                    next.first_knows = next.spent;
                }
            }
            Step::HandOn => next.handed = state.handed.or(Some(state.spent)),
            Step::Overhear => next.first_knows = state.spent,
            Step::RedeemFirst => {
                let own = state.handed.unwrap_or(state.spent);
                next.redeem(0, 0, if self.bound { state.first_knows.min(own) } else { state.first_knows });
            }
            Step::RedeemSecond => next.redeem(1, state.handed?, state.spent),
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(OWN_COINS, |_, state: &Papers| state.second_gets_its_own()),
            Property::sometimes(BOTH_PAID, |_, state: &Papers| {
                [0, 1].iter().all(|vendor| state.paid.contains(&Some(*vendor)))
            }),
        ]
    }
}

impl Papers {
    /// Pays the coins in `(from, to]` that were not paid yet.
    fn redeem(&mut self, vendor: u8, from: usize, to: usize) {
        for coin in self.paid[from..to].iter_mut().filter(|coin| coin.is_none()) {
            *coin = Some(vendor);
        }
    }

    /// Whether the first vendor was paid for no coin that was spent at the second.
    fn second_gets_its_own(&self) -> bool {
        self.handed.is_none_or(|border| !self.paid[border..].contains(&Some(0)))
    }
}

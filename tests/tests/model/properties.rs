//! What must never happen, and what a run must come across to mean anything.

use super::actions::Action;
use super::bank::{Claim, Settlement};
use super::config::{Config, HONEST, QUORUM};
use super::state::{Segment, State, VENDORS, Vendor, open_id};
use stateright::Property;
use std::sync::atomic::{AtomicBool, Ordering};

/// (a)
pub const PAID_ONCE: &str = "a: final claims never overlap, and no more than the chain is paid";
/// (b)
pub const RISK: &str = "b: an honest vendor loses at most x0 uncertified coins, and none to an honest buyer";
/// (c)
pub const CHARGED: &str =
    "c: an honest buyer pays for what it released and nothing else, and is never convicted";
/// (c)
pub const GOES_ON: &str = "c: an honest buyer's newest Open can always be certified";
/// (d)
pub const CERTIFIED: &str = "d: a vendor with a certified Open is always paid in the end";

/// What a run must come across.
pub const DOUBLE_SPEND: &str = "two Opens of one number are signed";
pub const FINAL: &str = "a claim is final";
pub const SETTLED: &str = "a claim is paid at the settlement";
pub const LEFT: &str = "a coin is paid, and another segment goes on after it";

/// A chain and the parties around it.
pub struct Chain {
    config: Config,
    begin: State,
    /// The one property that is looked at, if only the shortest way to its loss is wanted, and whether that was told: a
    /// checker tells the last way that it comes across before it stops.
    first: Option<(&'static str, AtomicBool)>,
}

impl Chain {
    /// A run that sees everything that can come after some first steps.
    pub fn new(config: Config, begin: &[Action]) -> Self {
        let step = |state: State, action: &Action| {
            state.after(action, &config).expect("a step that changes something")
        };
        let begin = begin.iter().fold(State::new(), step);
        Self { config, begin, first: None }
    }

    /// A run that looks for the shortest way to a loss.
    pub fn until(config: Config, begin: &[Action], property: &'static str) -> Self {
        Self { first: Some((property, AtomicBool::new(false))), ..Self::new(config, begin) }
    }

    fn holds(&self, state: &State, property: fn(&Verdict) -> bool) -> bool {
        let told = || self.first.as_ref().is_some_and(|(_, told)| told.swap(true, Ordering::Relaxed));
        property(state.verdict(&self.config)) || told()
    }
}

impl stateright::Model for Chain {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin.clone()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        state.actions(&self.config, actions);
    }

    fn next_state(&self, state: &State, action: Self::Action) -> Option<State> {
        state.after(&action, &self.config)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(PAID_ONCE, |chain: &Self, state: &State| {
                chain.holds(state, |end| end.paid_once)
            }),
            Property::always(RISK, |chain, state: &State| chain.holds(state, |end| end.risk_is_bounded)),
            Property::always(CHARGED, |chain, state: &State| chain.holds(state, |end| end.charged_rightly)),
            Property::always(GOES_ON, |chain, state: &State| chain.holds(state, |end| end.goes_on)),
            Property::always(CERTIFIED, |chain, state: &State| {
                chain.holds(state, |end| end.certified_are_paid)
            }),
            Property::sometimes(DOUBLE_SPEND, |_, state: &State| state.is_double_spent()),
            Property::sometimes(FINAL, |chain, state: &State| state.verdict(&chain.config).some_final),
            Property::sometimes(SETTLED, |chain, state: &State| state.verdict(&chain.config).some_settled),
            Property::sometimes(LEFT, |_, state: &State| state.goes_on_after_a_coin()),
        ];
        all.retain(|property| self.first.as_ref().is_none_or(|(only, _)| *only == property.name));
        all
    }
}

/// What becomes of a state if from now on nobody lies and nothing fails, except that the Byzantine witness is silent.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    paid_once: bool,
    risk_is_bounded: bool,
    certified_are_paid: bool,
    charged_rightly: bool,
    goes_on: bool,
    some_final: bool,
    some_settled: bool,
}

impl State {
    fn verdict(&self, config: &Config) -> &Verdict {
        self.verdict.0.get_or_init(|| {
            let end = self.finished(config);
            let settlement = end.settle(config);
            let paid =
                |is_final| settlement.claims.iter().any(|claim| claim.is_final == is_final && claim.paid > 0);
            Verdict {
                paid_once: !self.finals_overlap(config),
                risk_is_bounded: self.risk_is_bounded(&end, &settlement, config),
                certified_are_paid: self.certified_are_paid(&end, &settlement, config),
                charged_rightly: config.buyer_lies || self.charged_rightly(&settlement),
                goes_on: config.buyer_lies || self.goes_on(config),
                some_final: paid(true),
                some_settled: paid(false),
            }
        })
    }

    /// The honest vendors finish: they close, and show their lines to the committee.
    fn finished(&self, config: &Config) -> Self {
        let mut end = self.clone();
        let honest = |at: &usize| self.segments[*at].vendor.is_honest(config) && self.counted_in(*at) > 0;
        let ours: Vec<usize> = (0..self.segments.len()).filter(honest).collect();
        for at in &ours {
            if end.closes_of(*at).next().is_none() {
                end.sign_close(*at, end.segments[*at].counted);
            }
        }
        for at in ours {
            let close = end.closes_of(at).next();
            end.show_all(at, close, self, config);
        }
        end
    }

    /// Shows a line to every honest witness, whole and from its certified base on. Certified is what could be so `before`,
    /// or what all honest witnesses have acked meanwhile.
    fn show_all(&mut self, at: usize, close: Option<usize>, before: &Self, config: &Config) {
        for based in [false, true] {
            let certified = |at: usize| {
                let object = open_id(at);
                based && (before.is_certified(object, config) || self.honest_acks(object) >= QUORUM)
            };
            let line = self.line(at, close, certified);
            (0..HONEST).for_each(|witness| self.put(witness, &line, config));
        }
    }

    /// What an honest vendor loses in its segments that are certified now, or in those that are not.
    fn loss(
        &self,
        whose: Vendor,
        certified: bool,
        end: &Self,
        settlement: &Settlement,
        config: &Config,
    ) -> u32 {
        let lost = |at: usize| {
            let of = |claim: &&Claim| end.closes[claim.close].open == open_id(at);
            let paid: u32 = settlement.claims.iter().filter(of).map(|claim| claim.paid).sum();
            self.counted_in(at).saturating_sub(paid)
        };
        let of = |at: &usize| {
            self.segments[*at].vendor == whose && self.is_certified(open_id(*at), config) == certified
        };
        if whose.is_honest(config) { (0..self.segments.len()).filter(of).map(lost).sum() } else { 0 }
    }

    fn risk_is_bounded(&self, end: &Self, settlement: &Settlement, config: &Config) -> bool {
        let bound = if config.buyer_lies { config.x0 } else { 0 };
        VENDORS.into_iter().all(|vendor| self.loss(vendor, false, end, settlement, config) <= bound)
    }

    fn certified_are_paid(&self, end: &Self, settlement: &Settlement, config: &Config) -> bool {
        VENDORS.into_iter().all(|vendor| self.loss(vendor, true, end, settlement, config) == 0)
    }

    fn charged_rightly(&self, settlement: &Settlement) -> bool {
        let released = |coin: u32| {
            self.segments.iter().any(|segment| segment.open.start.0 < coin && coin <= segment.released.0)
        };
        let mut charged = settlement.paid.runs().flat_map(|range| range.start.0 + 1..=range.end.0);
        charged.all(released) && !self.is_double_spent()
    }

    fn goes_on(&self, config: &Config) -> bool {
        let Some(newest) = self.segments.len().checked_sub(1) else { return true };
        let mut end = self.clone();
        end.show_all(newest, None, self, config);
        end.honest_acks(open_id(newest)) >= QUORUM
    }

    /// Whether coins were paid in a segment after which another was opened.
    fn goes_on_after_a_coin(&self) -> bool {
        self.segments.iter().any(|next| next.prev.is_some_and(|at| self.counted_in(at) > 0))
    }

    /// Whether the buyer signed two Opens of one number, which convicts it.
    fn is_double_spent(&self) -> bool {
        let again = |(at, segment): (usize, &Segment)| {
            self.segments[at + 1..].iter().any(|other| other.open.j == segment.open.j)
        };
        self.segments.iter().enumerate().any(again)
    }
}

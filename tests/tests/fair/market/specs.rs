//! What the survey asks of a fair exchange, and the File Market as a model that is held to it.

use super::protocol::{Market, Party, State, Step, Verdict};
use Event::{Complain, CorrectKey, Goods, InvalidComplain, KeyOfArbiter, KeyOfProvider, ProviderBan};
use stateright::{Model, Property};

/// Strong fairness for the provider: whoever has the file has paid; and nobody honest is banned.
pub const STRONG_P: &str = "strong for the provider: the downloader has the file only if it has paid";
/// An honest provider is not convicted.
pub const NO_FRAMING: &str = "an honest provider is never banned";
/// Strong fairness for the downloader.
pub const STRONG_D: &str =
    "strong for the downloader: the provider has the cheque only if the downloader has the file";
/// Weak fairness for the downloader: what it paid may be gone, but the cheat is banned.
pub const WEAK_D: &str = "weak for the downloader: a provider that has the cheque for nothing is banned";
/// The survey's first specification.
pub const SPEC1: &str = "SPEC1";
/// The survey's second specification.
pub const SPEC2: &str = "SPEC2";
/// What a run must come across.
pub const TRADED: &str = "the downloader has the file, and the provider the cheque";
/// What a run may come across.
pub const BANNED: &str = "a provider is banned";

/// An event of the survey's specifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `dinp.encryptedGoods`
    Goods,
    /// `dinp.key`
    KeyOfProvider,
    /// `dint.key`
    KeyOfArbiter,
    /// `correctKey`
    CorrectKey,
    /// `providerBan`
    ProviderBan,
    /// `invalidComplain`
    InvalidComplain,
    /// `aind.complain`
    Complain,
}

/// `SPEC1`: the ways in which a run may end as an honest downloader sees it. The first is `STOP`.
const SPEC1_ENDS: [&[Event]; 9] = [
    &[],
    &[Goods],
    &[Goods, KeyOfProvider, CorrectKey],
    &[Goods, KeyOfArbiter, CorrectKey],
    &[Goods, KeyOfArbiter, ProviderBan],
    &[Goods, KeyOfArbiter, InvalidComplain],
    &[Goods, KeyOfProvider, KeyOfArbiter, CorrectKey],
    &[Goods, KeyOfProvider, KeyOfArbiter, ProviderBan],
    &[Goods, KeyOfProvider, KeyOfArbiter, InvalidComplain],
];

/// `SPEC2`: the ways in which a run may end as the judge sees it.
const SPEC2_ENDS: [&[Event]; 3] = [&[], &[Complain, ProviderBan], &[Complain, InvalidComplain]];

impl State {
    /// Whether nobody does anything any more.
    fn ended(&self, market: &Market) -> bool {
        self.steps(market).is_empty()
    }

    /// What the judge has said, as an event.
    fn judged(&self) -> Option<Event> {
        self.verdict.map(|verdict| match verdict {
            Verdict::ProviderBan => ProviderBan,
            Verdict::InvalidComplain => InvalidComplain,
        })
    }

    /// What an honest downloader has seen: it takes these in this order only.
    fn seen_by_downloader(&self) -> Vec<Event> {
        let seen = [
            self.goods.map(|_| Goods),
            self.key.map(|_| KeyOfProvider),
            self.key_of_arbiter.map(|_| KeyOfArbiter),
            self.has_file().then_some(CorrectKey),
            self.judged(),
        ];
        seen.into_iter().flatten().collect()
    }

    fn seen_by_judge(&self) -> Vec<Event> {
        self.judged().into_iter().flat_map(|judged| [Complain, judged]).collect()
    }
}

/// Refinement: what was seen is the beginning of a way that is allowed; all of one, once the run has ended.
fn refines(seen: &[Event], ended: bool, ends: &[&[Event]]) -> bool {
    ends.iter().any(|end| if ended { seen == *end } else { end.starts_with(seen) })
}

impl Model for Market {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.extend(state.steps(self));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        Some(state.after(step, self))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(STRONG_P, |market: &Self, state: &State| {
                !state.ended(market) || !state.has_file() || state.cheque
            }),
            Property::always(NO_FRAMING, |market, state: &State| {
                market.liar == Some(Party::Provider) || state.verdict != Some(Verdict::ProviderBan)
            }),
            Property::always(STRONG_D, |market, state: &State| {
                !state.ended(market) || !state.cheque || state.has_file()
            }),
            Property::always(WEAK_D, |market, state: &State| {
                let banned = state.verdict == Some(Verdict::ProviderBan);
                !state.ended(market) || !state.cheque || state.has_file() || banned
            }),
            Property::always(SPEC1, |market, state: &State| {
                refines(&state.seen_by_downloader(), state.ended(market), &SPEC1_ENDS)
            }),
            Property::always(SPEC2, |market, state: &State| {
                refines(&state.seen_by_judge(), state.ended(market), &SPEC2_ENDS)
            }),
            Property::sometimes(TRADED, |_, state: &State| state.has_file() && state.cheque),
            Property::sometimes(BANNED, |_, state: &State| state.verdict == Some(Verdict::ProviderBan)),
        ]
    }
}

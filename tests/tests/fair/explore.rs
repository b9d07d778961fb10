//! Running a model: seeing every state there is, and finding the shortest way to a loss.

use stateright::{Checker, HasDiscoveries, Model, Path, Property};
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Sees every state there is, and says how many.
pub fn explore<M>(name: &str, model: M) -> impl Checker<M> + use<M>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let never = HasDiscoveries::AllOf(std::iter::once("a property that there is not").collect());
    let checker = model.checker().finish_when(never).spawn_bfs().join();
    tell(&format!("{name}: {} states in {:.1?}", checker.unique_state_count(), began.elapsed()));
    checker
}

/// That the run has seen no state without these properties, and has come across each of those.
pub fn expect<M>(name: &str, checker: &impl Checker<M>, always: &[&'static str], sometimes: &[&'static str])
where
    M: Model,
    M::State: Hash + Clone + PartialEq + Debug,
    M::Action: Clone + PartialEq + Debug,
{
    for property in always {
        if let Some(path) = checker.discovery(property) {
            panic!("{name}: not \"{property}\" after {:#?}", path.into_actions());
        }
    }
    for property in sometimes {
        assert!(checker.discovery(property).is_some(), "{name}: never \"{property}\"");
    }
}

/// A shortest way to a state without the property, told step by step.
pub fn shortest_loss<M>(name: &str, model: M, property: &'static str) -> Vec<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Debug + Send + Sync,
    M::Action: Clone + PartialEq + Debug + Send + Sync,
{
    let found = HasDiscoveries::AllOf(std::iter::once(FIRST).collect());
    let condition = model.property(property).condition;
    let first = First { model, condition, told: AtomicBool::new(false) };
    let checker = first.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(FIRST).unwrap_or_else(|| panic!("{name}: never lost \"{property}\""));
    let steps = path.into_actions();
    let told: String = steps.iter().map(|step| format!("    {step:?}\n")).collect();
    let (count, states) = (steps.len(), checker.unique_state_count());
    tell(&format!("{name}: {count} steps, {states} states, not \"{property}\"\n{}", told.trim_end()));
    steps
}

/// That these steps can be taken one after the other, and what does not hold after them.
pub fn loses_after<M>(model: &M, steps: &[M::Action], property: &'static str)
where
    M: Model,
    M::State: Clone + PartialEq + Debug,
    M::Action: Clone + PartialEq + Debug,
{
    let begin = model.init_states().remove(0);
    let steps = steps.to_vec();
    let path = Path::from_actions(model, begin, &steps).unwrap_or_else(|| panic!("not a run: {steps:?}"));
    assert!(
        !(model.property(property).condition)(model, path.last_state()),
        "\"{property}\" after {steps:?}"
    );
}

/// Says what a run came to, whether or not its test passes: the test harness keeps back only what is printed.
fn tell(what: &str) {
    // Whoever closed the other end does not want to know.
    let _ = writeln!(std::io::stderr(), "{what}");
}

const FIRST: &str = "first";

/// A model with one property, which does not hold in the first state that lacks it: a checker goes on for a while after
/// it has found something, and tells the last that it came across.
struct First<M: Model> {
    model: M,
    condition: fn(&M, &M::State) -> bool,
    told: AtomicBool,
}

impl<M: Model> Model for First<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.model.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.model.actions(state, actions);
    }

    fn next_state(&self, state: &M::State, action: M::Action) -> Option<M::State> {
        self.model.next_state(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(FIRST, |first: &Self, state: &M::State| {
            (first.condition)(&first.model, state) || first.told.swap(true, Ordering::Relaxed)
        })]
    }
}

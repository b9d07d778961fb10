//! The runs. Each tells how many states it saw; a run that looks for a loss tells the shortest way to it.

use super::actions::Action;
use super::config::{Config, Rule};
use super::papers::{BOTH_PAID, OWN_COINS, Scheme};
use super::properties::{
    CERTIFIED, CHARGED, Chain, DOUBLE_SPEND, FINAL, GOES_ON, LEFT, PAID_ONCE, RISK, SETTLED,
};
use super::state::Vendor;
use netpay_core::amount::Index;
use stateright::{Checker, HasDiscoveries, Model};
use std::io::Write as _;
use std::time::Instant;

/// Opens that are signed at most, where all liars are about.
const OPENS: usize = 2;
/// Opens that are signed at most, where at most the buyer lies.
const MORE_OPENS: usize = if cfg!(debug_assertions) { 2 } else { 3 };
/// Closes that liars sign while there are fewer than so many, in runs that see everything.
const CLOSES: usize = if cfg!(debug_assertions) { 2 } else { 3 };
/// No shortest way to a loss is longer.
const LONGEST: usize = 16;

/// Everybody who may lie: the buyer, a vendor.
const LIARS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// Says what a run came to, whether or not its test passes: the test harness keeps back only what is printed.
fn tell(what: &str) {
    // Whoever closed the other end does not want to know.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Sees every state there is.
fn explore<M>(name: &str, model: M) -> impl Checker<M> + use<M>
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + Clone + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let never = HasDiscoveries::AllOf(std::iter::once("a property that there is not").collect());
    let checker = model.checker().finish_when(never).spawn_bfs().join();
    tell(&format!("{name}: {} states in {:.1?}", checker.unique_state_count(), began.elapsed()));
    checker
}

/// Looks for the shortest way to a state without the property, over so many steps at most.
fn search(
    config: &Config,
    begin: &[Action],
    property: &'static str,
    steps: usize,
) -> (Option<Vec<Action>>, usize) {
    let found = HasDiscoveries::AllOf(std::iter::once(property).collect());
    let checker = Chain::until(config.clone(), begin, property).checker().finish_when(found);
    let checker = checker.target_max_depth(steps + 2 - begin.len()).spawn_bfs().join();
    (checker.discovery(property).map(stateright::Path::into_actions), checker.unique_state_count())
}

/// The shortest way that begins like this to a state without the property, told step by step.
fn shortest_loss(name: &str, config: &Config, begin: &[Action], property: &'static str) -> usize {
    let began = Instant::now();
    let (found, states) = search(config, begin, property, LONGEST);
    let steps = found.unwrap_or_else(|| panic!("{name}: nothing lost within {LONGEST} steps"));
    let steps = [begin.to_vec(), steps].concat();
    let told: String = steps.iter().map(|step| format!("    {step:?}\n")).collect();
    let (count, took) = (steps.len(), began.elapsed());
    tell(&format!(
        "{name}: {count} steps, {states} states in {took:.1?}, not \"{property}\"\n{}",
        told.trim_end()
    ));
    count
}

/// That some properties hold in all states of a run, and that the run means something.
fn holds(name: &str, config: &Config, always: &[&'static str]) {
    holds_after(&[], name, config, always);
}

/// As [`holds`], in the states that come after some first steps.
fn holds_after(begin: &[Action], name: &str, config: &Config, always: &[&'static str]) {
    let (buyer, vendor) = (config.buyer_lies, config.vendor_lies);
    let name = format!("{name}: buyer lies {buyer}, vendor lies {vendor}, x0 {}", config.x0);
    let checker = explore(&name, Chain::new(config.clone(), begin));
    for property in always {
        if let Some(path) = checker.discovery(property) {
            panic!("{name}: not \"{property}\" after {:#?}", path.into_actions());
        }
    }
    for sometimes in [FINAL, SETTLED, LEFT] {
        assert!(checker.discovery(sometimes).is_some(), "{name}: never \"{sometimes}\"");
    }
    assert_eq!(checker.discovery(DOUBLE_SPEND).is_some(), buyer, "{name}: {DOUBLE_SPEND}");
}

/// Every combination of liars; the runs that are small enough have as many as `opens`.
fn all_runs(x0: u32, opens: usize) -> impl Iterator<Item = Config> {
    let is_small = move |buyer: bool, vendor: bool| match (buyer, vendor) {
        // With nobody lying, a greater risk allows all that a smaller one does.
        (false, false) => x0 == 2,
        (true, false) => x0 < 2,
        (_, true) => false,
    };
    // Without optimisation the largest of the runs is made once.
    let is_made = move |liars: &(bool, bool)| !cfg!(debug_assertions) || x0 == 1 || *liars != (false, true);
    LIARS.into_iter().filter(is_made).map(move |(buyer, vendor)| {
        let opens = if is_small(buyer, vendor) { opens } else { OPENS };
        Config { closes: CLOSES, ..Config::product(buyer, vendor, x0, opens) }
    })
}

/// Nothing is paid twice, nobody loses more than it risks, no honest buyer is charged, convicted or stopped, and whoever
/// has a certificate is paid.
fn product(x0: u32, opens: usize) {
    for config in all_runs(x0, opens) {
        holds("product", &config, &[PAID_ONCE, RISK, CHARGED, GOES_ON, CERTIFIED]);
    }
}

#[test]
fn the_product_keeps_its_promises_at_no_risk() {
    product(0, MORE_OPENS);
}

#[test]
fn the_product_keeps_its_promises_at_a_risk_of_one() {
    product(1, MORE_OPENS);
}

#[test]
fn the_product_keeps_its_promises_at_a_risk_of_two() {
    product(2, MORE_OPENS);
}

/// The run without a rule, in which everything holds with it, loses this.
fn needs(rule: Rule, config: Config, property: &'static str) {
    needs_after(&[], rule, config, property);
}

/// As [`needs`], for losses that are too far away to be searched for from the very beginning.
fn needs_after(begin: &[Action], rule: Rule, config: Config, property: &'static str) {
    let steps = shortest_loss(&format!("without {rule:?}"), &config.clone().without(rule), begin, property);
    // Not the steps lose it but the missing rule: with it nothing is found as far as that.
    let found = search(&config, begin, property, steps).0;
    assert_eq!(found, None, "{rule:?}: it is lost with the rule, too");
}

/// Ben has closed what the buyer opened at him, with nothing paid, and has the next segment, at the same start.
fn two_segments_of_ben() -> [Action; 3] {
    let open = |prev, by| Action::Open { prev, by, vendor: Vendor::Ben };
    [open(None, None), Action::Close { of: 0, end: Index(0) }, open(Some(0), Some(0))]
}

/// Three segments with a lying vendor are too many to be seen from the beginning.
#[test]
#[cfg_attr(debug_assertions, ignore = "too long without optimisation")]
fn three_segments_after_two_of_a_lying_vendor() {
    let config = Config { closes: CLOSES, ..Config::product(true, true, 1, 3) };
    let all = [PAID_ONCE, RISK, CHARGED, CERTIFIED];
    holds_after(&two_segments_of_ben(), "product, three segments", &config, &all);
}

#[test]
fn the_committee_is_pinned() {
    needs(Rule::CommitteePinned, Config::product(true, true, 0, OPENS), PAID_ONCE);
}

#[test]
fn one_open_per_number() {
    needs(Rule::OneOpenPerNumber, Config::product(false, true, 0, 3), CHARGED);
}

#[test]
fn an_ack_is_one_of_the_ancestors() {
    let config = Config { closes: 4, ..Config::product(true, true, 0, 3) };
    let third = [
        Action::Close { of: 1, end: Index(0) },
        Action::Open { prev: Some(1), by: Some(1), vendor: Vendor::Ben },
    ];
    let begin = [two_segments_of_ben().to_vec(), third.to_vec()].concat();
    needs_after(&begin, Rule::AckOfAncestors, config, PAID_ONCE);
}

#[test]
fn only_its_own_close_frees_a_lease() {
    let config = Config::product(true, true, 0, OPENS);
    needs_after(&two_segments_of_ben(), Rule::OwnCloseFrees, config, PAID_ONCE);
}

#[test]
fn closes_are_acked_after_evidence() {
    // With certified Opens paid first a vendor only has to wait for its money; with a fourth witness that falls silent
    // it is lost anyhow.
    let substitute = Some(Rule::CertifiedOpensFirst);
    let config = Config { silent: false, substitute, ..Config::product(true, true, 0, OPENS) };
    needs(Rule::ClosesAfterEvidence, config, CERTIFIED);
}

#[test]
fn a_claim_is_final_by_its_close() {
    needs(Rule::FinalByClose, Config::product(true, true, 0, OPENS), PAID_ONCE);
}

#[test]
fn claims_without_certificate_wait() {
    needs(Rule::UncertifiedWaits, Config::product(true, true, 0, OPENS), PAID_ONCE);
}

#[test]
fn w1_one_open_per_number_at_a_witness() {
    let open = |vendor| Action::Open { prev: None, by: None, vendor };
    let acked = Action::Put { witness: 0, upto: 0, close: None, based: false };
    let begin = [open(Vendor::Anna), open(Vendor::Ben), acked.clone(), acked, Action::Count(0)];
    needs_after(&begin, Rule::W1, Config::product(true, true, 0, OPENS), PAID_ONCE);
}

#[test]
fn w3_one_close_per_segment_at_a_witness() {
    let config = Config::product(true, true, 0, OPENS);
    needs_after(&two_segments_of_ben(), Rule::W3, config, PAID_ONCE);
}

#[test]
fn a_coin_pays_with_its_release() {
    needs(Rule::Release, Config::product(false, true, 1, OPENS), CHARGED);
}

#[test]
fn a_witness_persists_and_then_acts() {
    let config = Config::product(true, true, 0, OPENS);
    needs_after(&two_segments_of_ben(), Rule::PersistThenAct, config, PAID_ONCE);
}

#[test]
fn a_vendor_risks_no_more_than_x0() {
    needs(Rule::X0, Config::product(true, true, 0, OPENS), RISK);
}

#[test]
fn a_certified_open_is_paid_first_at_settlement() {
    needs(Rule::CertifiedOpensFirst, Config::product(true, true, 0, OPENS), CERTIFIED);
}

/// Without it the loss is there only while a witness that acked the Open does not ack the Close.
#[test]
fn a_certified_open_is_paid_first_because_witnesses_fall_silent() {
    let answering = Config { silent: false, closes: CLOSES, ..Config::product(true, true, 1, OPENS) };
    let without = answering.without(Rule::CertifiedOpensFirst);
    holds("all answer", &without, &[PAID_ONCE, RISK, CHARGED, CERTIFIED]);
}

#[test]
fn the_close_that_is_kept_stands() {
    needs(Rule::OwnCloseStands, Config::product(false, true, 0, OPENS), GOES_ON);
}

#[test]
fn in_the_papers_scheme_an_earlier_vendor_takes_a_later_ones_coins() {
    let papers = explore("papers", Scheme { bound: false });
    assert!(papers.discovery(BOTH_PAID).is_some());
    let found = HasDiscoveries::AllOf(std::iter::once(OWN_COINS).collect());
    let steps = (1..=LONGEST).find_map(|depth| {
        let checker =
            Scheme { bound: false }.checker().finish_when(found.clone()).target_max_depth(depth + 1);
        checker.spawn_bfs().join().discovery(OWN_COINS)
    });
    let steps = steps.expect("the hole is there").into_actions();
    tell(&format!("papers: {} steps, not \"{OWN_COINS}\"", steps.len()));
    steps.iter().for_each(|step| tell(&format!("    {step:?}")));
    let bound = explore("papers, with coins bound to a vendor", Scheme { bound: true });
    assert!(bound.discovery(OWN_COINS).is_none());
    assert!(bound.discovery(BOTH_PAID).is_some());
}

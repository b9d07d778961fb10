//! The network in virtual time, at a size that a test can afford. `netpay-swarm sim` plays more of it.

use netpay_tests::sim::{Outcome, Settings, play};

/// A few streets: some vendors, some buyers, and enough others for committees.
const PEERS: usize = 64;

fn settings(malicious: f64) -> Settings {
    Settings::of(PEERS, malicious, 0.5)
}

fn all_hold(outcomes: &[Outcome]) {
    for (seed, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
    }
}

#[test]
fn nobody_honest_loses_more_than_it_risks_whatever_breaks_and_whoever_lies() {
    let outcomes: Vec<Outcome> = (0..12).map(|seed| play(seed, &settings(0.1))).collect();
    all_hold(&outcomes);
    // It was no quiet time: double spenders were found out, and chains went from vendor to vendor in every way.
    assert!(outcomes.iter().map(Outcome::detected).sum::<usize>() > 0);
    for how in 0..3 {
        assert!(outcomes.iter().any(|outcome| outcome.handoffs()[how] > 0), "no handoff of kind {how}");
    }
    // Nor did anybody wait for the broker.
    assert!(outcomes.iter().map(Outcome::sales_without_broker).sum::<u64>() > 0);
}

#[test]
fn among_honest_peers_nothing_is_lost_at_all() {
    let outcomes: Vec<Outcome> = (0..12).map(|seed| play(seed, &settings(0.0))).collect();
    all_hold(&outcomes);
    assert!(outcomes.iter().all(|outcome| outcome.sales() > 0 && outcome.detected() == 0));
}

#[test]
fn a_seed_is_a_run_exactly() {
    let settings = settings(0.2);
    assert_eq!(play(7, &settings), play(7, &settings));
}

#[test]
fn vendors_that_do_not_wait_for_certificates_are_noticed() {
    let careless = Settings { vendors_risk: u64::MAX, ..settings(0.1) };
    let outcomes: Vec<Outcome> = (0..4).map(|seed| play(seed, &careless)).collect();
    let told: Vec<&String> = outcomes.iter().flat_map(|outcome| &outcome.violations).collect();
    assert!(told.iter().any(|what| what.contains("uncertified")), "{told:#?}");
}

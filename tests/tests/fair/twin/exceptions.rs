//! What is lost all the same if the one who loses it was away, and that it is no more than that.

use super::config::{Config, Rule, Side};
use super::properties::{ALL_AHEAD, BUYER, BUYER_AWAY, GOES_ON, INNOCENT, Twin, VENDOR, VENDOR_AWAY};
use super::state::{Deal, Sale, Unit};
use super::steps::Step;
use crate::explore::{expect, explore, shortest_loss};

/// Three units of a coin each, one side away for as long as may be.
fn away(side: Side, ahead: usize) -> Config {
    let liar = if side == Side::Buyer { Side::Vendor } else { Side::Buyer };
    Config { away: Some(side), ahead, crashes: 1, ..Config::ours(&[1, 1, 1], Some(liar)) }
}

#[test]
fn a_buyer_that_is_away_for_longer_than_delta_loses_the_junk_that_it_paid_ahead() {
    let steps = shortest_loss("twin chain, the buyer away", Twin(away(Side::Buyer, 3)), BUYER);
    let story = [
        Step::Deal { deal: Deal::Asked, keys: 3 },
        Step::Unit(Unit::Junk),
        Step::Open,
        Step::Store,
        Step::Release(1),
        Step::Key(1),
        Step::Claim { end: 1, key: Some(Sale::This) },
        Step::Delta,
        Step::LastDay,
    ];
    assert_eq!(steps, story);
    for ahead in [1, 2, 3] {
        let name = format!("twin chain, the buyer away, {ahead} units ahead");
        let checker = explore(&name, Twin(away(Side::Buyer, ahead)));
        // A key that was kept back is still at the broker, whenever it asks.
        expect(&name, &checker, &[BUYER_AWAY, INNOCENT, GOES_ON], &[ALL_AHEAD]);
    }
    // If the broker did not keep it, that would be lost, too.
    let forgetful = away(Side::Buyer, 1).without(Rule::KeyToBuyer);
    shortest_loss("twin chain, the buyer away, no key at the broker", Twin(forgetful), BUYER_AWAY);
}

#[test]
fn a_vendor_that_is_away_until_the_last_day_loses_what_it_did_not_claim() {
    let steps = shortest_loss("twin chain, the vendor away", Twin(away(Side::Vendor, 3)), VENDOR);
    let story = [
        Step::Deal { deal: Deal::Asked, keys: 3 },
        Step::Unit(Unit::Right),
        Step::Open,
        Step::Release(1),
        Step::Count,
        Step::Keep,
        Step::Key(1),
        Step::LastDay,
    ];
    assert_eq!(steps, story);
    let name = "twin chain, the vendor away";
    expect(name, &explore(name, Twin(away(Side::Vendor, 3))), &[VENDOR_AWAY, INNOCENT, GOES_ON], &[]);
}

//! Strong fairness for both, in every state of every run, with the exceptions switched off.

use super::config::{Config, Side, WholeUnits};
use super::properties::{
    BUYER, CAUGHT, CONVICTED, ENDS, FINED, FROM_BROKER, GOES_ON, INNOCENT, NOTHING, SOLD, Twin, VENDOR,
};
use crate::explore::{expect, explore};

/// Three units of a coin each.
const CHEAP: &[u8] = &[1, 1, 1];
/// A unit that goes with the coin of the one before it, after one of two coins.
const SHARED: &[u8] = &[2, 0, 1];
/// Two units of two coins.
const DEAR: &[u8] = &[2, 2];
/// A file of one unit.
const SINGLE: &[u8] = &[3];

/// All promises, for one kind of deal, whoever lies, with a careful buyer and with a bold one.
fn holds(config: &Config) {
    let Config { prices, liar, ahead, whole_units, .. } = config;
    let name =
        format!("twin chain: prices {prices:?}, liar {liar:?}, {ahead} ahead, whole by {whole_units:?}");
    let checker = explore(&name, Twin(config.clone()));
    let liars = match liar {
        None => vec![FROM_BROKER],
        Some(Side::Vendor) => vec![FROM_BROKER, CONVICTED],
        Some(Side::Buyer) => vec![FROM_BROKER, FINED],
    };
    let always = [BUYER, VENDOR, CAUGHT, INNOCENT, GOES_ON, ENDS];
    expect(&name, &checker, &always, &[&[SOLD, NOTHING], liars.as_slice()].concat());
}

fn whoever_lies(prices: &'static [u8], whole_units: WholeUnits) {
    for liar in [None, Some(Side::Vendor), Some(Side::Buyer)] {
        holds(&Config { whole_units, ..Config::ours(prices, liar) });
    }
}

#[test]
fn units_of_one_coin() {
    whoever_lies(CHEAP, WholeUnits::FirstCoin);
}

#[test]
fn units_of_several_coins_and_of_none() {
    whoever_lies(SHARED, WholeUnits::FirstCoin);
    whoever_lies(DEAR, WholeUnits::FirstCoin);
    whoever_lies(SINGLE, WholeUnits::FirstCoin);
}

#[test]
fn units_of_several_coins_if_the_broker_knows_their_ends() {
    whoever_lies(SHARED, WholeUnits::Broker);
    whoever_lies(DEAR, WholeUnits::Broker);
    whoever_lies(SINGLE, WholeUnits::Broker);
}

#[test]
fn a_buyer_that_pays_one_unit_ahead() {
    for liar in [None, Some(Side::Vendor)] {
        holds(&Config { ahead: 1, ..Config::ours(CHEAP, liar) });
    }
}

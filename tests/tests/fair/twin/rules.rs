//! What each rule is for: without it the checker finds a loss, and these are the steps of the shortest. With it the same
//! run has none.

use super::broker::Evidence;
use super::config::{Config, Rule, Side, WholeUnits};
use super::properties::{BUYER, CAUGHT, ENDS, GOES_ON, INNOCENT, Twin, VENDOR};
use super::state::{Deal, Sale, Unit};
use super::steps::Step::{
    self, Accuse, Ask, Claim, Count, Crash, Delta, Keep, Key, LastDay, Open, Release, Second, Store,
};
use crate::explore::{expect, explore, loses_after, shortest_loss};
use stateright::Checker as _;

const THIS: Option<Sale> = Some(Sale::This);
const RIGHT: Step = Step::Unit(Unit::Right);
const JUNK: Step = Step::Unit(Unit::Junk);

/// A deal about what was asked, with a whole key chain.
const fn asked(keys: u8) -> Step {
    Step::Deal { deal: Deal::Asked, keys }
}

/// That this is lost without the rule, in these steps, and not lost with it.
fn needs(rule: Rule, config: Config, property: &'static str, story: &[Step]) {
    let name = format!("twin chain without {rule:?}");
    let steps = shortest_loss(&name, Twin(config.clone().without(rule)), property);
    assert_eq!(steps, story);
    let name = format!("twin chain with {rule:?}");
    expect(&name, &explore(&name, Twin(config)), &[property], &[]);
}

/// A lying vendor takes a buyer's coin, in a deal about one unit of one coin.
fn needed_against_vendors(rule: Rule, story: &[Step]) {
    needs(rule, Config::ours(&[1], Some(Side::Vendor)), BUYER, story);
}

/// A lying buyer has an honest vendor convicted.
fn needed_against_framing(rule: Rule, story: &[Step]) {
    needs(rule, Config::ours(&[1], Some(Side::Buyer)), INNOCENT, story);
}

/// A lying buyer has the bytes for nothing.
fn needed_against_buyers(rule: Rule, story: &[Step]) {
    needs(rule, Config::ours(&[1], Some(Side::Buyer)), VENDOR, story);
}

#[test]
fn a_claim_shows_its_key() {
    let claim = Claim { end: 1, key: None };
    let story = [asked(1), RIGHT, Open, Store, Release(1), claim, Delta, LastDay];
    needed_against_vendors(Rule::ClaimShowsKey, &story);
}

#[test]
fn the_broker_gives_the_key_to_the_buyer() {
    let claim = Claim { end: 1, key: THIS };
    let story = [asked(1), RIGHT, Open, Store, Release(1), claim, Delta, LastDay];
    needed_against_vendors(Rule::KeyToBuyer, &story);
}

#[test]
fn the_broker_has_no_key_before_the_claim() {
    needed_against_buyers(Rule::KeyByClaimOnly, &[asked(1), RIGHT, Ask, LastDay]);
}

#[test]
fn a_claim_is_held() {
    let claim = Claim { end: 1, key: THIS };
    let story = [asked(1), JUNK, Open, Store, Release(1), Key(1), claim, LastDay];
    needed_against_vendors(Rule::HeldForDelta, &story);
    let paid_at_once = Config::ours(&[1], Some(Side::Vendor)).without(Rule::HeldForDelta);
    loses_after(&Twin(paid_at_once), &story, CAUGHT);
}

#[test]
fn a_second_claim_is_held_as_well() {
    let claims = [1, 2].map(|end| Claim { end, key: THIS });
    let config = Config::ours(&[1, 1], Some(Side::Vendor));
    let [first, second] = claims;
    let begin = [asked(2), RIGHT, JUNK, Open, Store, Release(1), first];
    let story = [begin.as_slice(), &[Release(2), Key(2), second, LastDay]].concat();
    needs(Rule::EveryClaimIsHeld, config, BUYER, &story);
}

#[test]
fn the_open_binds_the_keys() {
    let claim = Claim { end: 1, key: Some(Sale::Old) };
    let story = [asked(1), RIGHT, Open, Store, Release(1), claim, Delta, LastDay];
    needed_against_vendors(Rule::OpenBindsKeys, &story);
}

#[test]
fn the_open_binds_the_deal() {
    let second = Some(Sale::Second);
    let accuse = Accuse(Evidence { deal: Sale::Second, root: second, ..Evidence::of(0) });
    let story = [asked(1), RIGHT, Second, Open, Release(1), Count, Keep, Key(1), accuse];
    needed_against_framing(Rule::OpenBindsDeal, &story);
}

#[test]
fn the_judge_looks_at_the_signature_on_the_root() {
    let accuse = Accuse(Evidence { root: None, ..Evidence::of(0) });
    let story = [asked(1), RIGHT, Open, Release(1), Count, Keep, Key(1), accuse];
    needed_against_framing(Rule::RootIsSigned, &story);
}

#[test]
fn a_root_is_signed_for_one_deal() {
    let accuse = Accuse(Evidence { root: Some(Sale::Old), ..Evidence::of(0) });
    let story = [asked(1), RIGHT, Open, Release(1), Count, Keep, Key(1), accuse];
    needed_against_framing(Rule::RootNamesDeal, &story);
}

#[test]
fn the_judge_walks_the_key_down() {
    let accuse = Accuse(Evidence { key: Some(Sale::Old), ..Evidence::of(0) });
    needed_against_framing(Rule::KeyWalks, &[asked(1), RIGHT, Open, accuse]);
}

#[test]
fn the_request_stands_in_the_deal() {
    let accuse = Accuse(Evidence { other_request: true, ..Evidence::of(0) });
    let story = [asked(1), RIGHT, Open, Release(1), Count, Keep, Key(1), accuse];
    needed_against_framing(Rule::RequestInDeal, &story);
}

#[test]
fn a_buyer_reads_what_it_opens_for() {
    let other = Step::Deal { deal: Deal::OtherContent, keys: 1 };
    let claim = Claim { end: 1, key: THIS };
    let story = [other, RIGHT, Key(1), Open, Store, Release(1), claim, Delta, LastDay];
    needed_against_vendors(Rule::BuyerReadsDeal, &story);
    // The deal of an earlier segment is about the right content, but convicts nobody in this one.
    let old = Step::Deal { deal: Deal::Old, keys: 1 };
    let claim = Claim { end: 1, key: THIS };
    let story = [old, JUNK, Open, Store, Release(1), Key(1), claim, Delta, LastDay];
    let careless = Config::ours(&[1], Some(Side::Vendor)).without(Rule::BuyerReadsDeal);
    loses_after(&Twin(careless), &story, BUYER);
}

#[test]
fn a_buyer_pays_for_what_leads_to_the_content_root() {
    let claim = Claim { end: 1, key: THIS };
    let unproven = Step::Unit(Unit::Unproven);
    let story = [asked(1), unproven, Key(1), Open, Store, Release(1), claim, Delta, LastDay];
    needed_against_vendors(Rule::BuyerProvesLeaves, &story);
}

#[test]
fn a_ciphertext_is_durable_before_it_is_paid() {
    let (claim, crash) = (Claim { end: 1, key: THIS }, Crash(Side::Buyer));
    let story = [asked(1), RIGHT, Open, Release(1), claim, crash, Key(1), Delta, LastDay];
    needed_against_vendors(Rule::CiphertextFirst, &story);
}

#[test]
fn a_payment_is_durable_before_its_key_is_given() {
    let crash = Crash(Side::Vendor);
    let story = [asked(1), RIGHT, Open, Release(1), Count, Key(1), crash, LastDay];
    needed_against_buyers(Rule::PaymentFirst, &story);
}

#[test]
fn a_deal_is_durable_before_it_is_sent() {
    let crash = Crash(Side::Vendor);
    let story = [asked(1), RIGHT, Open, Release(1), Count, Keep, Key(1), crash, LastDay];
    needed_against_buyers(Rule::DealFirst, &story);
}

#[test]
fn every_deal_has_keys_of_its_own() {
    let claim = Claim { end: 1, key: THIS };
    let story = [asked(1), Second, Open, Release(1), Count, Keep, Key(1), claim, Delta, LastDay];
    needed_against_buyers(Rule::ChainPerDeal, &story);
}

/// The hole in our first design: K of the last coin, and a claim that may end anywhere.
#[test]
fn a_vendor_cannot_have_some_coins_of_a_unit_and_keep_its_key() {
    let dear = |whole_units| Config { whole_units, ..Config::ours(&[2], Some(Side::Vendor)) };
    let name = "twin chain, a claim may end inside a unit";
    let steps = shortest_loss(name, Twin(dear(WholeUnits::Nothing)), BUYER);
    let claim = Claim { end: 1, key: THIS };
    let story = [asked(2), RIGHT, Key(1), Open, Store, Release(2), claim.clone(), Delta, LastDay];
    assert_eq!(steps, story);
    // It need not show K_1 before it must.
    let story = [asked(2), RIGHT, Open, Store, Release(2), claim, Ask, Delta, LastDay];
    loses_after(&Twin(dear(WholeUnits::Nothing)), &story, BUYER);
    for whole_units in [WholeUnits::FirstCoin, WholeUnits::Broker] {
        let name = format!("twin chain, units whole by {whole_units:?}");
        expect(&name, &explore(&name, Twin(dear(whole_units))), &[BUYER], &[]);
    }
}

/// What the first of the two mends costs: with the K of a unit's first coin, a claim of that coin shows the unit.
#[test]
fn a_vendor_closes_where_a_unit_ends() {
    let claim = Claim { end: 1, key: THIS };
    let story = [asked(2), RIGHT, Open, Release(1), Count, Keep, claim, Ask, Delta, LastDay];
    needs(Rule::VendorClosesAtUnits, Config::ours(&[2], Some(Side::Buyer)), VENDOR, &story);
}

#[test]
fn there_is_a_last_day() {
    let config = Config::ours(&[1], Some(Side::Vendor)).without(Rule::LastDay);
    let steps = shortest_loss("twin chain without LastDay", Twin(config.clone()), GOES_ON);
    // Nothing was even asked for yet, and nothing need ever come.
    assert_eq!(steps, [Step::Cut]);
    let checker = explore("twin chain without LastDay", Twin(config));
    assert!(checker.discovery(ENDS).is_some());
}

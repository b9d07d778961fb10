//! Listings, cards, payments and pieces of files: genuine ones, and what bytes make of them.

use super::Target;
use super::samples::{self, NETWORK, NOW, key};
use crate::sim::dice::Dice;
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::decode;
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::payment::{MAX_GAP, Meter, Pay};
use netpay_core::coin::segment::{Open, ReleaseChain, SegmentNo};
use netpay_core::content::listing::{self, Listing, MAX_AHEAD, MAX_PLACES, MAX_PRICE};
use netpay_core::content::name::is_single_name;
use netpay_core::content::tree::{Tree, TreeBuilder, verify_unit};
use netpay_core::content::units::{GROUP, MAX_LOG, MAX_SIZE, Units};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::record::index::{KeySet, MAX_PAGE, Verdict};
use netpay_core::record::presence::{self, CARD_LIFE, CLOCK_SKEW, Card, CardSet};
use std::sync::LazyLock;

/// The most payments of one input.
const MAX_PAYMENTS: usize = 64;
/// Coins of the chain that is paid from, and of the lease.
const COINS: u32 = 6000;
const LEASE: (u32, u32) = (100, 5900);

pub fn targets() -> Vec<Target> {
    vec![
        Target::new("listing", || samples::bytes_of(&["listing"]), listing),
        Target::new("card", || samples::bytes_of(&["card"]), card),
        Target::new(
            "payments",
            || vec![vec![1, 0, 0, 2, 1, 0, 0, 9, 9, 2, 3], (0..=255).collect()],
            payments,
        ),
        Target::new("pieces", || vec![vec![3, 1, 0, 0, 0], vec![2, 0, 1, 1, 7, 7]], pieces),
    ]
}

/// A listing of any content, signed by its vendor: what is believed of it is in range, and every replica keeps the same.
fn listing(bytes: &[u8]) {
    let Ok(claim) = decode::<Listing>(bytes) else { return };
    let signed = key(40).sign(&NETWORK, Listing { vendor: key(40).public(), ..claim.clone() });
    let forged = key(41).sign(&NETWORK, Listing { vendor: key(40).public(), ..claim }).wire();
    assert!(
        listing::verify(forged, &NETWORK, NOW).is_err(),
        "a listing that its vendor did not sign is believed"
    );
    let Ok(believed) = listing::verify(signed.wire(), &NETWORK, NOW) else { return };
    assert_eq!(believed, signed);
    assert!(is_single_name(&believed.name) && believed.price <= MAX_PRICE && believed.size <= MAX_SIZE);
    assert!(believed.expires > NOW && believed.expires <= NOW.plus(MAX_AHEAD));
    let places = believed.places();
    assert!(!places.is_empty() && places.len() <= MAX_PLACES);
    assert!(believed.matches(&believed.tokens()));
    let mut set = KeySet::new(places[0]);
    assert_eq!(set.put(believed.clone(), NOW), Verdict::Accepted);
    assert_eq!(set.put(believed.clone(), NOW), Verdict::Accepted, "the same again changes nothing");
    let page = set.page(&believed.tokens(), None, MAX_PAGE, NOW);
    assert_eq!(page.listings, [believed.wire()], "a listing is not found by its own words");
    assert_eq!(set.sweep(believed.expires), 1);
}

/// A card of any content, signed by its node.
fn card(bytes: &[u8]) {
    let Ok(claim) = decode::<Card>(bytes) else { return };
    let signed = key(40).sign(&NETWORK, Card { node: key(40).public(), ..claim.clone() });
    let forged = key(41).sign(&NETWORK, Card { node: key(40).public(), ..claim }).wire();
    assert!(
        presence::verify(forged, &NETWORK, NOW).is_err(),
        "a card that its node did not sign is believed"
    );
    let Ok(believed) = presence::verify(signed.wire(), &NETWORK, NOW) else { return };
    assert!(believed.expires > NOW && believed.expires <= NOW.plus(CARD_LIFE + CLOCK_SKEW));
    let mut set = CardSet::new();
    assert_eq!(set.put(believed.clone(), NOW), Verdict::Accepted);
    assert_eq!(set.page(None, NOW).cards, [believed.wire()]);
    assert_eq!(set.sweep(believed.expires), 1);
}

struct Purse {
    coins: Chain,
    releases: ReleaseChain,
    open: Open,
}

static PURSE: LazyLock<Purse> = LazyLock::new(|| {
    let (chain, holder) = (ChainId([1; 32]), key(30).public());
    let coins = Chain::grow(&Seed([5; 16]), Cap(COINS));
    let (start, cap) = (Index(LEASE.0), Cap(LEASE.1));
    let releases = ReleaseChain::grow(&[4; 32], chain, SegmentNo::FIRST, &holder, (start, cap));
    let (prev, release_root) = (ObjectHash([0; 32]), releases.root());
    let open = Open { chain, j: SegmentNo::FIRST, prev, holder, start, cap, release_root, fair: None };
    Purse { coins, releases, open }
});

/// A meter counts what was released to it, forward, and nothing else.
fn payments(bytes: &[u8]) {
    let Purse { coins, releases, open } = &*PURSE;
    let root = coins.root();
    let mut meter = Meter::new(open, (Index::ZERO, root));
    let mut dice = Dice::fed(bytes);
    for _ in 0..MAX_PAYMENTS {
        if dice.left() == 0 {
            return;
        }
        let index = match dice.between(0, 3) {
            0 => u64::from(meter.index().0) + dice.between(0, 40),
            1 => dice.between(0, COINS.into()),
            _ => u64::from(meter.index().0) + dice.between(0, 2) * u64::from(MAX_GAP) + dice.between(0, 2),
        };
        let index = Index(u32::try_from(index).unwrap_or(0));
        let m = index.since(open.start);
        let genuine = (coins.coin(index), m.and_then(|m| releases.link(m)));
        let mut pay = Pay {
            j: SegmentNo(if dice.happens(0.05) { 2 } else { 1 }),
            index,
            coin: genuine.0.unwrap_or(root),
            release: genuine.1.unwrap_or(releases.root()),
        };
        if dice.happens(0.1) {
            pay.coin.0[0] ^= 1;
        }
        if dice.happens(0.1) {
            pay.release.0[31] ^= 1;
        }
        let before = meter.clone();
        let is_genuine = (Some(pay.coin), Some(pay.release)) == genuine && pay.j == open.j;
        match meter.accept(&pay) {
            Ok(gained) => {
                assert!(is_genuine, "what was not released is counted");
                assert_eq!(before.paid().0 + gained.0, meter.paid().0);
                assert_eq!((meter.index(), meter.release()), (pay.index, pay.release));
                assert!(gained.0 <= MAX_GAP && meter.index().0 <= open.cap.0 && meter.has_counted(&pay));
            }
            Err(why) => {
                assert_eq!(meter, before, "a refused payment leaves a trace");
                let in_reach = pay.index > before.index()
                    && pay.index.0 <= open.cap.0
                    && pay.index.0 - before.index().0 <= MAX_GAP;
                assert!(!(is_genuine && in_reach), "a genuine payment is refused: {why}");
            }
        }
        assert_eq!(meter.left(), Count(open.cap.0 - meter.index().0));
    }
}

/// Files of one byte to twenty-odd groups, with their trees.
static FILES: LazyLock<Vec<(Vec<u8>, Tree)>> = LazyLock::new(|| {
    let sizes = [0, 1, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP, 4 * GROUP + 5, 7 * GROUP, 21 * GROUP - 3];
    let file = |size: u64| {
        let bytes: Vec<u8> = (0..size).map(|at| (at / GROUP * 31 + at % 251).to_le_bytes()[0]).collect();
        let mut builder = TreeBuilder::new();
        builder.update(&bytes);
        (bytes, builder.finish())
    };
    sizes.into_iter().map(file).collect()
});

/// A unit is the file's own, at its own place, with its own proof; or it is refused.
fn pieces(bytes: &[u8]) {
    let mut dice = Dice::fed(bytes);
    let at = |number: u64| usize::try_from(number).unwrap_or(0);
    let (file, tree) = &FILES[at(dice.between(0, FILES.len() as u64))];
    let log = u8::try_from(dice.between(0, u64::from(MAX_LOG) + 1)).unwrap_or(0);
    let units = Units::new(tree.size(), log).expect("in range");
    let unit = dice.between(0, units.count());
    let price = Coins(dice.between(0, 1000));
    let sum: u64 = (0..units.count()).filter_map(|unit| units.price_of(price, unit)).map(|cost| cost.0).sum();
    assert_eq!(sum, price.0, "units do not cost what the file does");
    let range = units.range(unit).expect("a unit");
    let mut piece = file[at(range.start)..at(range.end)].to_vec();
    let mut proof = tree.proof(units, unit).expect("a unit has a proof");
    assert_eq!(verify_unit(&tree.root(), units, unit, &piece, &proof), Ok(()));
    let (genuine_piece, genuine_proof) = (piece.clone(), proof.clone());
    let mut claimed = unit;
    while dice.left() > 0 {
        match dice.between(0, 5) {
            0 => claimed = dice.between(0, units.count() + 2),
            1 if !piece.is_empty() => {
                let place = at(dice.between(0, piece.len() as u64));
                piece[place] ^= 1 << dice.between(0, 8);
            }
            2 => drop(piece.pop()),
            3 if !proof.is_empty() => {
                let place = at(dice.between(0, proof.len() as u64));
                proof[place][at(dice.between(0, 32))] ^= 1;
            }
            _ => {
                let mut links = proof.into_vec();
                links.pop();
                proof = netpay_core::codec::List::first_of(links);
            }
        }
    }
    let same = claimed == unit && piece == genuine_piece && proof == genuine_proof;
    let verdict = verify_unit(&tree.root(), units, claimed, &piece, &proof);
    assert_eq!(verdict.is_ok(), same, "unit {unit} as {claimed}: {verdict:?}");
}

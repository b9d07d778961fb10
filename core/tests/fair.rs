//! What the judge says of a leaf: whoever sent something else than the deal says is convicted by it, and by nothing else
//! anybody.

use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::{Bytes, encode};
use netpay_core::coin::key::{Key, KeyChain, KeyStep};
use netpay_core::coin::segment::{Open, Release, SegmentNo};
use netpay_core::content::tree::{ChainingValue, Proof, Tree, TreeBuilder};
use netpay_core::content::units::{GROUP, MAX_LOG, Units};
use netpay_core::fair::deal::{self, Deal, MAX_COINS, NotBound};
use netpay_core::fair::judge::{Junk, NotProven, judge};
use netpay_core::fair::sealed::{self, Leaves, Sealed, UnitKey};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{SecretKey, Signed};
use netpay_core::time::Time;
use proptest::prelude::*;

const NETWORK: NetworkId = NetworkId([7; 32]);
const CHAIN: ChainId = ChainId([1; 32]);
const SALT: [u8; 16] = [9; 16];
const SECRET: [u8; 32] = [8; 32];
const J: SegmentNo = SegmentNo(3);

fn buyer() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn vendor() -> SecretKey {
    SecretKey::from_seed(&[3; 32])
}

fn file(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&size.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn tree_of(bytes: &[u8]) -> Tree {
    let mut builder = TreeBuilder::new();
    builder.update(bytes);
    builder.finish()
}

/// A sale of a whole file, with everything that both sides have of it.
struct Sale {
    content: Vec<u8>,
    tree: Tree,
    units: Units,
    deal: Signed<Deal>,
    keys: KeyChain,
    open: Signed<Open>,
}

impl Sale {
    fn of(size: usize, log: u8, price: u64) -> Self {
        Self::with(size, log, price, |_| ())
    }

    fn with(size: usize, log: u8, price: u64, change: impl FnOnce(&mut Deal)) -> Self {
        let content = file(size);
        let tree = tree_of(&content);
        let units = Units::new(size as u64, log).expect("in range");
        let mut deal = Deal {
            chain: CHAIN,
            j: J,
            holder: vendor().public(),
            buyer: buyer().public(),
            root: tree.root(),
            size: size as u64,
            price: Coins(price),
            unit_log: log,
            first: 0,
            count: units.count(),
            key_root: Key([0; 32]),
            made: Time(1_800_000_000),
            salt: SALT,
        };
        change(&mut deal);
        let coins = deal.coins().expect("a price that a segment can pay");
        let keys = KeyChain::grow(&SECRET, &SALT, &deal.step(), coins);
        deal.key_root = keys.root();
        let deal = vendor().sign(&NETWORK, deal);
        let open = buyer().sign(&NETWORK, open_of(&deal, coins));
        Self { content, tree, units, deal, keys, open }
    }

    fn unit(&self, b: u64) -> Vec<u8> {
        let range = self.units.range(b).expect("a unit");
        self.content[range.start as usize..range.end as usize].to_vec()
    }

    fn key(&self, b: u64) -> Key {
        self.keys.link(self.deal.key_coin(b).expect("sold")).expect("a key for each coin")
    }

    /// What an honest vendor sends.
    fn seal(&self, b: u64) -> Vec<u8> {
        let mut bytes = self.unit(b);
        sealed::turn(&UnitKey::of(&self.key(b), &self.deal.hash(), b), &mut bytes);
        bytes
    }

    fn leaves(&self, b: u64) -> Leaves {
        let by_leaf = Units::new(self.deal.size, 0).expect("in range");
        if by_leaf.count() == 1 {
            return Leaves::new();
        }
        let first = sealed::first_leaf(self.units, b) as usize;
        let count = self.units.len_of(b).expect("a unit").div_ceil(GROUP as usize);
        Leaves::first_of(self.tree.nodes()[first..first + count].iter().copied())
    }

    fn proof(&self, b: u64) -> Proof {
        self.tree.proof(self.units, b).expect("a unit")
    }

    /// What the buyer shows of one leaf of what it got.
    fn accuse(&self, b: u64, sent: &[u8], leaf: u64) -> Junk {
        let said = Sealed { deal: self.deal.hash(), unit: b, root: sealed::root_of(sent) };
        let from = (leaf * GROUP) as usize;
        let bytes = sent[from..sent.len().min(from + GROUP as usize)].to_vec();
        let leaves = self.leaves(b);
        Junk {
            open: self.open.clone().wire(),
            deal: self.deal.clone().wire(),
            sealed: vendor().sign(&NETWORK, said).wire(),
            leaf,
            bytes: Bytes::try_from(bytes).expect("a leaf"),
            sealed_path: sealed::path_in(sent, leaf).expect("a leaf"),
            key: self.key(b),
            should_be: leaves.get(leaf as usize).copied().unwrap_or_default(),
            path: sealed::leaf_path(self.units, b, &leaves, leaf, &self.proof(b)).expect("a leaf"),
        }
    }
}

fn open_of(deal: &Signed<Deal>, coins: Count) -> Open {
    Open {
        chain: CHAIN,
        j: J,
        prev: ObjectHash([0; 32]),
        holder: vendor().public(),
        start: Index(10),
        cap: Cap(10 + coins.0.max(8)),
        release_root: Release([5; 32]),
        fair: Some(deal::terms(deal)),
    }
}

fn say(junk: &Junk) -> Result<(), NotProven> {
    judge(&NETWORK, &buyer().public(), junk).map(drop)
}

#[test]
fn what_was_sealed_opens_with_the_key_of_its_first_coin_and_not_with_the_one_below() {
    let sale = Sale::of(300_000, 2, 40);
    for b in 0..sale.units.count() {
        let mut bytes = sale.seal(b);
        assert_ne!(bytes, sale.unit(b));
        sealed::turn(&UnitKey::of(&sale.key(b), &sale.deal.hash(), b), &mut bytes);
        assert_eq!(bytes, sale.unit(b));
        let below = sale.deal.step().below(sale.deal.key_coin(b).expect("sold"), &sale.key(b));
        let mut wrong = sale.seal(b);
        sealed::turn(&UnitKey::of(&below, &sale.deal.hash(), b), &mut wrong);
        assert_ne!(wrong, sale.unit(b));
    }
}

#[test]
fn the_leaves_that_come_in_clear_are_the_contents_or_are_not_believed() {
    for (size, log) in [(1, 0), (10_000, 2), (27_800, 4), (100_000, 1), (600_000, 4), (524_288, 4)] {
        let sale = Sale::of(size, log, 5);
        for b in 0..sale.units.count() {
            let (leaves, proof) = (sale.leaves(b), sale.proof(b));
            assert_eq!(sealed::check_leaves(&sale.deal.root, sale.units, b, &leaves, &proof), Ok(()));
            for at in 0..leaves.len() {
                let mut bent = leaves.clone().into_vec();
                bent[at][0] ^= 1;
                let bent = Leaves::first_of(bent);
                assert!(sealed::check_leaves(&sale.deal.root, sale.units, b, &bent, &proof).is_err());
            }
            let fewer = Leaves::first_of(leaves.iter().copied().skip(1));
            if fewer != leaves {
                assert!(sealed::check_leaves(&sale.deal.root, sale.units, b, &fewer, &proof).is_err());
            }
        }
    }
}

#[test]
fn whoever_claims_any_coin_of_a_unit_shows_what_opens_it() {
    for (size, log, price) in [(600_000, 0, 3), (600_000, 2, 600), (300_000, 2, 40), (1, 0, 7)] {
        let sale = Sale::of(size, log, price);
        let mut paid = Count::ZERO;
        for b in 0..sale.units.count() {
            let (first, last) = (sale.deal.key_coin(b).expect("sold"), sale.deal.last_coin(b).expect("sold"));
            assert!(first <= last && first > Count::ZERO && first.0 <= paid.0 + 1);
            for claimed in first.0..=last.0 {
                let shown = sale.keys.link(Count(claimed)).expect("a key for each coin");
                let walked = sale.deal.step().walk_down(Count(claimed), &shown, Count(claimed - first.0));
                assert_eq!(walked, sale.key(b));
            }
            paid = last;
        }
    }
}

#[test]
fn an_accusation_is_no_larger_than_twenty_kilobytes() {
    let sale = Sale::of(600_000, 4, 30);
    let mut junk = sale.accuse(1, &vec![1; sale.unit(1).len()], 5);
    // As from the largest file there can be.
    while junk.path.push([0; 32]).is_ok() {}
    assert!(encode(&junk).len() <= 20_000, "{}", encode(&junk).len());
}

#[test]
fn a_deal_is_bound_by_its_own_open_alone() {
    let sale = Sale::of(100_000, 1, 20);
    assert_eq!(deal::bound(&sale.deal, &sale.open), Ok(()));
    let bent = |change: fn(&mut Open)| {
        let mut open = Open::clone(&sale.open);
        change(&mut open);
        deal::bound(&sale.deal, &open)
    };
    assert_eq!(bent(|open| open.j = open.j.next()), Err(NotBound::Segment));
    assert_eq!(bent(|open| open.chain = ChainId([0; 32])), Err(NotBound::Segment));
    assert_eq!(bent(|open| open.holder = buyer().public()), Err(NotBound::Segment));
    assert_eq!(bent(|open| open.fair = None), Err(NotBound::Terms));
    assert_eq!(bent(|open| open.fair.as_mut().expect("fair").key_root = Key([1; 32])), Err(NotBound::Terms));
    assert_eq!(bent(|open| open.cap = Cap(29)), Err(NotBound::Lease));
}

#[test]
fn every_unit_has_a_last_coin_and_all_of_them_cost_the_price() {
    for (size, log, price) in [(1, 0, 1), (600_000, 0, 3), (600_000, 2, 600), (27_800, 0, 2), (0, 0, 7)] {
        let sale = Sale::of(size, log, price);
        let coins: Vec<Count> =
            (0..sale.units.count()).map(|b| sale.deal.last_coin(b).expect("sold")).collect();
        assert!(coins.is_sorted() && coins[0] >= Count(1), "{coins:?}");
        assert_eq!(sale.deal.coins(), Some(Count(price as u32)));
        assert_eq!(sale.deal.last_coin(sale.units.count()), None);
    }
    // A run of units pays for itself only; one that costs nothing by itself still costs a coin.
    let part = Sale::with(600_000, 0, 600, |deal| (deal.first, deal.count) = (3, 4));
    assert_eq!(part.deal.coins(), Some(Count(65)));
    assert_eq!((part.deal.last_coin(2), part.deal.last_coin(7)), (None, None));
    let free = Sale::with(600_000, 0, 2, |deal| (deal.first, deal.count) = (1, 2));
    assert_eq!(free.deal.coins(), Some(Count(1)));
    let too_dear = Deal { price: Coins(u64::from(MAX_COINS.0) + 1), ..Deal::clone(&part.deal) };
    assert_eq!(Deal { first: 0, count: part.units.count(), ..too_dear }.coins(), None);
    assert_eq!(Deal { first: 30, count: 8, ..Deal::clone(&part.deal) }.units(), None);
    assert_eq!(Deal { first: u64::MAX, count: 2, ..Deal::clone(&part.deal) }.units(), None);
}

#[test]
fn whoever_accuses_with_something_else_than_what_was_signed_proves_nothing() {
    let sale = Sale::of(300_000, 2, 40);
    let sent = vec![1; sale.unit(1).len()];
    let good = sale.accuse(1, &sent, 2);
    assert_eq!(say(&good), Ok(()));
    let other = SecretKey::from_seed(&[4; 32]);
    let resealed = |deal, unit, root| vendor().sign(&NETWORK, Sealed { deal, unit, root }).wire();
    let (hash, root) = (sale.deal.hash(), sealed::root_of(&sent));
    let elsewhere = Sale::with(300_000, 2, 40, |deal| deal.j = J.next());
    let dearer = Sale::of(300_000, 2, 41);
    let cases: Vec<(&str, Junk, NotProven)> = vec![
        (
            "the Open is signed by somebody else",
            Junk { open: other.sign(&NETWORK, Open::clone(&sale.open)).wire(), ..good.clone() },
            NotProven::Forged,
        ),
        (
            "the deal is signed by somebody else",
            Junk { deal: other.sign(&NETWORK, Deal::clone(&sale.deal)).wire(), ..good.clone() },
            NotProven::Forged,
        ),
        (
            "what was sent is signed by the buyer",
            Junk {
                sealed: buyer().sign(&NETWORK, Sealed { deal: hash, unit: 1, root }).wire(),
                ..good.clone()
            },
            NotProven::Forged,
        ),
        (
            "another network",
            Junk { deal: vendor().sign(&NetworkId([0; 32]), Deal::clone(&sale.deal)).wire(), ..good.clone() },
            NotProven::Forged,
        ),
        (
            "the deal of another segment",
            Junk { deal: elsewhere.deal.clone().wire(), ..good.clone() },
            NotProven::NotBound(NotBound::Segment),
        ),
        (
            "another request than the Open binds",
            Junk { deal: dearer.deal.clone().wire(), ..good.clone() },
            NotProven::NotBound(NotBound::Terms),
        ),
        (
            "what was sent for another deal",
            Junk { sealed: resealed(dearer.deal.hash(), 1, root), ..good.clone() },
            NotProven::NoSuchLeaf,
        ),
        (
            "a unit that was not sold",
            Junk { sealed: resealed(hash, 99, root), ..good.clone() },
            NotProven::NoSuchLeaf,
        ),
        ("a leaf beyond the unit", Junk { leaf: 4, ..good.clone() }, NotProven::NoSuchLeaf),
        ("the key of another coin", Junk { key: sale.key(2), ..good.clone() }, NotProven::WrongKey),
        ("a key out of the air", Junk { key: Key([1; 32]), ..good.clone() }, NotProven::WrongKey),
        (
            "other bytes than were sent",
            Junk { bytes: Bytes::try_from(vec![2; GROUP as usize]).expect("a leaf"), ..good.clone() },
            NotProven::OtherBytes,
        ),
        (
            "fewer bytes",
            Junk { bytes: Bytes::try_from(vec![1; 9]).expect("few"), ..good.clone() },
            NotProven::OtherBytes,
        ),
        ("what was sent of another leaf", Junk { leaf: 1, ..good.clone() }, NotProven::OtherBytes),
        (
            "another value than the content has",
            Junk { should_be: ChainingValue::default(), ..good.clone() },
            NotProven::OtherContent,
        ),
        (
            "the path of another leaf",
            Junk { path: sale.accuse(1, &sent, 1).path, ..good.clone() },
            NotProven::OtherContent,
        ),
        ("what is right", sale.accuse(1, &sale.seal(1), 2), NotProven::Right),
    ];
    for (what, junk, why) in cases {
        assert_eq!(say(&junk), Err(why), "{what}");
    }
    assert_eq!(judge(&NETWORK, &other.public(), &good).map(drop), Err(NotProven::Forged));
}

#[test]
fn the_only_leaf_of_a_small_file_convicts_too() {
    let sale = Sale::of(10_000, 3, 4);
    assert_eq!(say(&sale.accuse(0, &sale.seal(0), 0)), Err(NotProven::Right));
    let junk = sale.accuse(0, &file(9_999).into_iter().chain([0]).collect::<Vec<_>>(), 0);
    assert_eq!(say(&junk), Ok(()));
    let with_path = Junk { path: Proof::first_of([[1; 32]]), ..junk };
    assert_eq!(say(&with_path), Err(NotProven::OtherContent));
}

#[test]
fn a_vendor_that_answers_another_length_is_not_what_it_signed() {
    let sale = Sale::of(100_000, 4, 4);
    let mut long = sale.seal(0);
    long.push(0);
    // The buyer refuses it before it pays: the leaves in clear are of another file. The judge refuses it too.
    let mut junk = sale.accuse(0, &sale.seal(0), 0);
    let said = Sealed { deal: sale.deal.hash(), unit: 0, root: sealed::root_of(&long) };
    junk.sealed = vendor().sign(&NETWORK, said).wire();
    assert_eq!(say(&junk), Err(NotProven::OtherBytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// One bit of what is sent decides: with it right nobody is convicted by any leaf, with it wrong the leaf it is in
    /// convicts and no other does.
    #[test]
    fn the_leaf_with_the_wrong_bit_convicts_and_no_other(
        size in 1..700_000_usize, log in 0..=MAX_LOG, price in 1..500_u64,
        b in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let sale = Sale::of(size, log, price);
        let b = b.index(sale.units.count() as usize) as u64;
        let mut sent = sale.seal(b);
        let leaves = (sent.len() as u64).div_ceil(GROUP);
        for leaf in 0..leaves {
            prop_assert_eq!(say(&sale.accuse(b, &sent, leaf)), Err(NotProven::Right));
        }
        let bit = bit.index(sent.len() * 8);
        sent[bit / 8] ^= 1 << (bit % 8);
        for leaf in 0..leaves {
            let is_in_it = (bit / 8) as u64 / GROUP == leaf;
            prop_assert_eq!(say(&sale.accuse(b, &sent, leaf)), if is_in_it { Ok(()) } else { Err(NotProven::Right) });
        }
    }
}

#[test]
fn a_key_of_another_segment_is_no_key() {
    let sale = Sale::of(10_000, 0, 4);
    let elsewhere =
        KeyChain::grow(&SECRET, &SALT, &KeyStep::of(CHAIN, J.next(), &vendor().public()), Count(4));
    assert!(sale.deal.has_key(Count(4), &sale.keys.link(Count(4)).expect("there")));
    assert!(!sale.deal.has_key(Count(4), &elsewhere.link(Count(4)).expect("there")));
    assert!(!sale.deal.has_key(Count(5), &sale.keys.link(Count(4)).expect("there")));
}

//! Sales in fair mode: their papers, and what a buyer says of them.

use super::{Bought, MORNING, Person, network};
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::Bytes;
use netpay_core::coin::key::{KeyChain, KeyStep};
use netpay_core::coin::segment::{Close, Open, ReleaseChain, SegmentNo, pay_to};
use netpay_core::content::tree::{Proof, TreeBuilder};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::{self, Deal};
use netpay_core::fair::judge::{self, Junk};
use netpay_core::fair::sealed::{self, Leaves, Sealed, UnitKey};
use netpay_core::keys::Signed;
use netpay_core::time::Time;
use netpay_core::wire::bank::{Accuse, AskKeys, BankRequest, Claim};

/// What is sold: four units of two leaves.
const SIZE: u64 = 8 * GROUP;
const LOG: u8 = 1;
const PRICE: u32 = 16;
const SALT: [u8; 16] = [9; 16];

pub fn content() -> Vec<u8> {
    (0..SIZE).map(|at| u8::try_from(at / 7 % 251).expect("small")).collect()
}

/// A sale in fair mode of all of it, out of one segment.
pub struct Sale {
    pub deal: Signed<Deal>,
    pub open: Signed<Open>,
    pub keys: KeyChain,
    pub releases: ReleaseChain,
}

impl Sale {
    pub fn of(vendor: &Person, bought: &Bought, j: u32, start: u32) -> Self {
        let holder = vendor.holder(bought);
        let (chain, j) = (bought.id(), SegmentNo(j));
        let step = KeyStep::of(chain, j, &holder.public());
        let keys = KeyChain::grow(&[1; 32], &SALT, &step, Count(PRICE));
        let deal = Deal {
            chain,
            j,
            holder: holder.public(),
            buyer: bought.key.public(),
            root: sealed::root_of(&content()),
            size: SIZE,
            price: Coins(u64::from(PRICE)),
            unit_log: LOG,
            first: 0,
            count: 4,
            key_root: keys.root(),
            made: Time(MORNING),
            salt: SALT,
        };
        let deal = holder.sign(&network(), deal);
        let lease = (Index(start), Cap(start + PRICE));
        let releases = ReleaseChain::grow(&bought.secret, chain, j, &holder.public(), lease);
        let open = Open {
            chain,
            j,
            prev: bought.touchstone.hash(),
            holder: holder.public(),
            start: lease.0,
            cap: lease.1,
            release_root: releases.root(),
            fair: Some(deal::terms(&deal)),
        };
        Self { deal, open: bought.key.sign(&network(), open), keys, releases }
    }

    pub fn claim(&self, vendor: &Person, bought: &Bought, coins: u32) -> Claim {
        let (count, salt) = (Count(coins), [5; 32]);
        let end = Index(self.open.start.0 + coins);
        let close = Close {
            chain: self.open.chain,
            j: self.open.j,
            open: self.open.hash(),
            end,
            coin: bought.chain.coin(end).expect("within the chain"),
            release: self.releases.link(count).expect("within the lease"),
            pay_to: pay_to(&salt, &vendor.id()),
        };
        let close = vendor.holder(bought).sign(&network(), close);
        Claim {
            open: self.open.clone().wire(),
            close: close.wire(),
            salt,
            certificate: None,
            key: self.keys.link(count),
        }
    }

    /// A leaf of unit 1, as the vendor sent it: right, or junk.
    pub fn leaf(&self, vendor: &Person, bought: &Bought, is_right: bool) -> Junk {
        let (content, b, leaf) = (content(), 1, 1);
        let units = Units::new(SIZE, LOG).expect("in range");
        let range = units.range(b).expect("a unit");
        let mut sent = content[range.start as usize..range.end as usize].to_vec();
        if !is_right {
            sent[GROUP as usize + 5] ^= 1;
        }
        let key = self.keys.link(self.deal.key_coin(b).expect("sold")).expect("a key for each coin");
        sealed::turn(&UnitKey::of(&key, &self.deal.hash(), b), &mut sent);
        let said = Sealed { deal: self.deal.hash(), unit: b, root: sealed::root_of(&sent) };
        let mut builder = TreeBuilder::new();
        builder.update(&content);
        let tree = builder.finish();
        let leaves = Leaves::first_of(tree.nodes()[2..4].iter().copied());
        let proof: Proof = tree.proof(units, b).expect("a unit");
        Junk {
            open: self.open.clone().wire(),
            deal: self.deal.clone().wire(),
            sealed: vendor.holder(bought).sign(&network(), said).wire(),
            leaf,
            bytes: Bytes::try_from(sent[GROUP as usize..].to_vec()).expect("a leaf"),
            sealed_path: sealed::path_in(&sent, leaf).expect("a leaf"),
            key,
            should_be: leaves[1],
            path: sealed::leaf_path(units, b, &leaves, leaf, &proof).expect("a leaf"),
        }
    }
}

pub fn accuses(person: &Person, junk: Junk) -> BankRequest {
    let accuse = Accuse { account: person.id(), junk: judge::digest(&junk) };
    BankRequest::Accuse { accuse: person.account.sign(&network(), accuse).wire(), junk }
}

pub fn asks_keys(person: &Person, bought: &Bought, at: u64) -> BankRequest {
    let ask = AskKeys { account: person.id(), chain: bought.id(), from: SegmentNo(1), at: Time(at) };
    BankRequest::Keys(person.account.sign(&network(), ask).wire())
}

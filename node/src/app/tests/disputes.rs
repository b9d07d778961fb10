//! Junk that was sold, and what becomes of it.

use super::Town;
use crate::app::disputes::put_junk;
use crate::app::view::{DisputeState, GetRequest, Part};
use crate::clock;
use crate::store::Batch;
use netpay_core::amount::{Cap, Coins, Index};
use netpay_core::codec::Bytes;
use netpay_core::coin::key::{KeyChain, KeyStep};
use netpay_core::coin::segment::{Open, Release, SegmentNo};
use netpay_core::content::tree::Proof;
use netpay_core::fair::deal::{self, Deal};
use netpay_core::fair::judge::Junk;
use netpay_core::fair::policy::Fair;
use netpay_core::fair::sealed::{self, Sealed, UnitKey};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::SecretKey;
use netpay_core::time::DAY;

/// What was paid for a file of one leaf, and what came in its place. Returns the deal's hash, too.
fn junk(network: &NetworkId) -> (ObjectHash, Junk) {
    let (buyer, holder) = (SecretKey::from_seed(&clock::random()), SecretKey::from_seed(&clock::random()));
    let (chain, j, salt) = (ChainId(clock::random()), SegmentNo::FIRST, [9; 16]);
    let content = b"what was promised";
    let coins = netpay_core::amount::Count(3);
    let keys = KeyChain::grow(&[1; 32], &salt, &KeyStep::of(chain, j, &holder.public()), coins);
    let deal = Deal {
        chain,
        j,
        holder: holder.public(),
        buyer: buyer.public(),
        root: sealed::root_of(content),
        size: content.len() as u64,
        price: Coins(3),
        unit_log: 0,
        first: 0,
        count: 1,
        key_root: keys.root(),
        made: clock::time(),
        salt,
    };
    let key = keys.link(deal.key_coin(0).expect("its unit")).expect("a key for each coin");
    let deal = holder.sign(network, deal);
    let open = Open {
        chain,
        j,
        prev: ObjectHash([3; 32]),
        holder: holder.public(),
        start: Index::ZERO,
        cap: Cap(3),
        release_root: Release([7; 32]),
        fair: Some(deal::terms(&deal)),
    };
    let mut sent = *b"what came instead";
    sealed::turn(&UnitKey::of(&key, &deal.hash(), 0), &mut sent);
    let said = Sealed { deal: deal.hash(), unit: 0, root: sealed::root_of(&sent) };
    let junk = Junk {
        open: buyer.sign(network, open).wire(),
        deal: deal.clone().wire(),
        sealed: holder.sign(network, said).wire(),
        leaf: 0,
        bytes: Bytes::try_from(sent.to_vec()).expect("a leaf"),
        sealed_path: Proof::new(),
        key,
        should_be: [0; 32],
        path: Proof::new(),
    };
    (deal.hash(), junk)
}

impl Town {
    /// That vendor sold that peer junk, in that download. Returns the dispute's id.
    pub(crate) async fn is_sold_junk(&self, buyer: usize, vendor: usize, download: u64) -> String {
        let (node, vendor) = (&self.peers[buyer], self.peers[vendor].me());
        let (deal, junk) = junk(&node.network());
        let mut batch = Batch::new();
        put_junk(&mut batch, &deal, download, vendor, &junk);
        node.db().commit(batch).await.expect("kept");
        node.found_junk(vendor).await;
        deal.to_string()
    }

    /// That peer buys a file of five coins from that vendor in plain mode.
    pub(crate) async fn sells_one(&self, vendor: usize, buyer: usize) -> u64 {
        let path = self.file("once.bin", 27_800);
        let shared =
            self.peers[vendor].share_add(vec![path], 5, vec![], false).await.expect("shared").remove(0);
        self.mint(buyer, 100).await;
        let request = GetRequest { what: shared.id, fair: Some(Fair::Never), ..GetRequest::default() };
        let id = self.peers[buyer].get(request).await.expect("offered").id;
        self.peers[buyer].settled(id).await;
        id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_stays_in_dispute_until_the_broker_answers_and_what_it_said_is_kept() {
    let mut town = Town::of(3).await;
    let download = town.sells_one(2, 1).await;
    let id = town.is_sold_junk(1, 2, download).await;
    let buyer = &town.peers[1];
    assert!(buyer.dispute_open(download).await.is_err(), "there is no broker to be asked");
    let view = buyer.dispute(&id).expect("it is there");
    assert_eq!((view.state, view.download, &*view.name), (DisputeState::Accused, download, "once.bin"));
    assert!(view.evidence.is_some());
    town.bank(0);
    let judged = buyer.dispute_open(download).await.expect("the broker answers");
    assert_eq!(judged.iter().map(|one| one.state).collect::<Vec<_>>(), [DisputeState::Convicted]);
    town.restart(1).await;
    let buyer = &town.peers[1];
    assert_eq!(buyer.disputes_part(&Part::default()).expect("readable").items, judged);
    assert!(buyer.dispute_open(download + 1).await.is_err(), "there is no such download");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_fair_mode_says_until_when_it_is_held_and_one_of_plain_mode_is_paid() {
    let town = Town::trading(5, Fair::Auto).await;
    let (vendor, buyer) = (&town.peers[1], &town.peers[2]);
    let bank = town.bank(0);
    town.sells_one(1, 2).await;
    let path = town.file("twice.bin", 27_801);
    let shared = vendor.share_add(vec![path], 7, vec![], false).await.expect("shared").remove(0);
    let sealed = GetRequest { what: shared.id, fair: Some(Fair::Always), ..GetRequest::default() };
    let id = buyer.get(sealed).await.expect("offered").id;
    buyer.settled(id).await;

    let now = clock::time().0;
    let view = vendor.redeem().await.expect("the bank answers");
    assert_eq!((view.paid, view.pending, view.held, bank.balance()), (5, 7, 7, 5));
    let until = view.held_until.expect("a time");
    assert!(until >= now + DAY, "{until}");
    let waiting = vendor.claims_that_wait().expect("readable");
    assert_eq!((waiting.coins, waiting.held, waiting.held_until), (7, 7, Some(until)));
    let till = vendor.till_part(&Part::default()).expect("readable").items;
    let mut seen: Vec<_> =
        till.iter().map(|line| (&*line.state, line.coins, line.until, line.held)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("paid", 5, None, false), ("pending", 7, Some(until), true)]);
    town.stop().await;
}

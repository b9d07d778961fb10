//! Members come to the bank, bring money, and buy coins.

mod town;

use netpay_broker::ledger::{Command, VoucherId};
use netpay_broker::service::MAX_REQUESTS;
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{self, List, Text};
use netpay_core::coin::touchstone::MAX_COMMITTEE;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, SecretKey, Signature};
use netpay_core::time::Time;
use netpay_core::wire::bank::{
    BankReply, BankRequest, Buy, PayIn, Payout, Query, Register, Retire, VoucherCode,
};
use netpay_core::wire::reject::RejectCode as Code;
use netpay_node::store::{Batch, Commit, Db, Page, Store, StoreError, Table};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use town::{Person, Town, broker_key, network, terms};

#[tokio::test]
async fn ann_buys_a_chain_and_can_rebuild_every_coin_of_it() {
    let town = Town::new();
    let ann = town.person(1, 100).await;
    let bought = town.chain(&ann, 1, 40).await;
    assert_eq!((bought.touchstone.n, town.balance(&ann).await), (Cap(40), 60));
    assert_eq!(bought.touchstone.committee.len(), 4, "the town's four members, none of them Ann's");
    assert_eq!(town.audit().books.coins, 40);
}

#[tokio::test]
async fn the_same_purchase_gets_the_same_bytes_also_from_a_bank_that_was_restarted() {
    let db = Db::memory();
    let town = Town::with(db.clone(), terms());
    let ann = town.person(1, 100).await;
    let frame = codec::encode(&ann.buy(1, 40));
    let first = town.bank.handle(ann.node.public(), frame.clone()).await;
    assert_eq!(town.bank.handle(ann.node.public(), frame.clone()).await, first);
    let again = Town::with(db, terms());
    assert_eq!(again.bank.handle(ann.node.public(), frame).await, first);
    assert_eq!(again.balance(&ann).await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_identical_purchases_at_once_are_one() {
    let town = Arc::new(Town::new());
    let ann = town.person(1, 100).await;
    let asks = (0..64).map(|_| {
        let (town, ann) = (town.clone(), ann.clone());
        tokio::spawn(async move { codec::encode(&town.ask(&ann, ann.buy(1, 40)).await) })
    });
    let mut replies = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        replies.push(ask.await.expect("no panic"));
    }
    replies.dedup();
    assert_eq!(replies.len(), 1);
    assert_eq!((town.balance(&ann).await, town.audit().books.issued), (60, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn purchases_at_once_never_overdraw_the_account() {
    let town = Arc::new(Town::new());
    let ann = town.person(1, 100).await;
    let asks = (0..32).map(|number| {
        let (town, ann) = (town.clone(), ann.clone());
        tokio::spawn(async move { town.refusal(&ann, ann.buy(number, 10)).await })
    });
    let mut sold = 0;
    for ask in asks.collect::<Vec<_>>() {
        match ask.await.expect("no panic") {
            None => sold += 1,
            Some(code) => assert_eq!(code, Code::Funds),
        }
    }
    assert_eq!((sold, town.balance(&ann).await), (10, 0));
    town.audit();
}

#[tokio::test]
async fn a_chain_key_buys_once_and_for_one_account() {
    let town = Town::new();
    let (ann, bob) = (town.person(1, 100).await, town.person(2, 100).await);
    town.chain(&ann, 1, 40).await;
    assert_eq!(town.refusal(&ann, ann.buy(1, 41)).await, Some(Code::Mismatch));
    let key = ann.chain_key(1);
    let buy = Buy {
        account: bob.id(),
        chain_key: key.public(),
        n: Cap(40),
        sealing_key: ann.sealing_key(1).public(),
    };
    let request = BankRequest::Buy {
        by_chain: key.sign(&network(), buy.clone()).signature(),
        buy: bob.account.sign(&network(), buy).wire(),
    };
    assert_eq!(town.refusal(&bob, request).await, Some(Code::Mismatch));
    assert_eq!(town.balance(&bob).await, 100);
}

#[tokio::test]
async fn purchases_that_make_no_sense_are_refused_with_the_reason() {
    let town = Town::new();
    let ann = town.person(1, 20_000).await;
    assert_eq!(town.refusal(&ann, ann.buy(1, 0)).await, Some(Code::Range));
    assert_eq!(town.refusal(&ann, ann.buy(1, 16_385)).await, Some(Code::Range));
    assert_eq!(town.refusal(&ann, ann.buy(1, u32::MAX)).await, Some(Code::Range));
    assert_eq!(town.refusal(&ann, ann.buy(1, 16_384)).await, None);
    assert_eq!(town.refusal(&ann, ann.buy(2, 16_384)).await, Some(Code::Funds));
    let stranger = Person::new(99);
    assert_eq!(town.refusal(&stranger, stranger.buy(1, 1)).await, Some(Code::UnknownAccount));
    let sealed_to_nobody = |account: &Person| {
        let key = account.chain_key(7);
        let buy = Buy { account: account.id(), chain_key: key.public(), n: Cap(5), sealing_key: [0; 32] };
        BankRequest::Buy {
            by_chain: key.sign(&network(), buy.clone()).signature(),
            buy: account.account.sign(&network(), buy).wire(),
        }
    };
    assert_eq!(town.refusal(&ann, sealed_to_nobody(&ann)).await, Some(Code::Malformed));
    let own_key =
        Buy { account: ann.id(), chain_key: ann.id(), n: Cap(5), sealing_key: ann.sealing_key(1).public() };
    let signed = ann.account.sign(&network(), own_key);
    let request = BankRequest::Buy { by_chain: signed.signature(), buy: signed.wire() };
    assert_eq!(town.refusal(&ann, request).await, Some(Code::Malformed));
    assert_eq!(town.balance(&ann).await, 20_000 - 16_384);
    town.bank.run(Command::Freeze { account: ann.id(), why: Text::cut("evidence") }).await.expect("known");
    assert_eq!(town.refusal(&ann, ann.buy(3, 1)).await, Some(Code::Frozen));
}

#[tokio::test]
async fn forged_purchases_and_those_of_other_networks_are_refused() {
    let town = Town::new();
    let (ann, eve) = (town.person(1, 100).await, town.person(2, 0).await);
    let key = eve.chain_key(1);
    let buy = Buy {
        account: ann.id(),
        chain_key: key.public(),
        n: Cap(40),
        sealing_key: eve.sealing_key(1).public(),
    };
    let by_chain = key.sign(&network(), buy.clone()).signature();
    let forged = BankRequest::Buy { by_chain, buy: eve.account.sign(&network(), buy.clone()).wire() };
    assert_eq!(town.refusal(&eve, forged).await, Some(Code::Forged));
    let unsigned_by_chain = BankRequest::Buy {
        by_chain: Signature([0; 64]),
        buy: ann.account.sign(&network(), buy.clone()).wire(),
    };
    assert_eq!(town.refusal(&ann, unsigned_by_chain).await, Some(Code::Forged));
    let elsewhere = netpay_core::id::NetworkId::of("elsewhere", &broker_key().public());
    let other = BankRequest::Buy {
        by_chain: key.sign(&elsewhere, buy.clone()).signature(),
        buy: ann.account.sign(&elsewhere, buy).wire(),
    };
    assert_eq!(town.refusal(&ann, other).await, Some(Code::Forged));
    assert_eq!(town.balance(&ann).await, 100);
}

#[tokio::test]
async fn frames_that_are_no_requests_are_told_so() {
    let town = Town::new();
    let ann = town.person(1, 100).await;
    let good = codec::encode(&ann.buy(1, 5));
    let mut frames = vec![vec![], vec![0], vec![9; 100], vec![1; 70_000], vec![1; 65_536]];
    frames.extend((0..good.len()).map(|len| good[..len].to_vec()));
    frames.push([good.as_slice(), &[0]].concat());
    // A list, a text and a body that claim to be 2^32 and 2^64 long.
    for huge in [&[0xff; 4][..], &[0xff; 8][..], &[0, 0, 0, 0, 1, 0, 0, 0][..]] {
        for tag in 0..12_u32 {
            frames.push([&[1][..], &tag.to_le_bytes(), huge, &[0; 64]].concat());
        }
    }
    for frame in frames {
        let reply = codec::decode::<BankReply>(&town.bank.handle(ann.node.public(), frame).await);
        let Ok(BankReply::Reject(reject)) = reply else { panic!("{reply:?}") };
        assert_eq!(reject.code, Code::Malformed);
    }
    for at in 0..good.len() {
        let mut bent = good.clone();
        bent[at] ^= 0x40;
        let reply = town.bank.handle(ann.node.public(), bent).await;
        assert!(matches!(codec::decode::<BankReply>(&reply), Ok(BankReply::Reject(_))), "byte {at}");
    }
    assert_eq!(town.balance(&ann).await, 100);
}

#[tokio::test]
async fn a_voucher_opens_an_account_and_works_once() {
    let mut terms = terms();
    terms.voucher_needed = true;
    let town = Town::with(Db::memory(), terms);
    let codes = [VoucherCode([1; 20]), VoucherCode([2; 20])];
    let vouchers = codes.iter().map(|code| (VoucherId::of(code), Coins(30))).collect();
    town.bank.run(Command::IssueVouchers { vouchers }).await.expect("new vouchers");
    let (ann, bob) = (Person::new(1), Person::new(2));
    assert_eq!(town.refusal(&ann, ann.register()).await, Some(Code::BadVoucher));
    let register = |person: &Person, voucher| {
        let register = Register {
            account: person.id(),
            node: person.node.public(),
            name: Text::cut("N"),
            voucher: Some(voucher),
        };
        BankRequest::Register(person.account.sign(&network(), register).wire())
    };
    for _ in 0..2 {
        let BankReply::Account(account) = town.ask(&ann, register(&ann, codes[0])).await else {
            panic!("refused")
        };
        assert_eq!(account.balance, Coins(30));
        let membership =
            account.membership.expect("a member").verify_own(&network()).expect("signed by the broker");
        assert_eq!((membership.broker, membership.node), (broker_key().public(), ann.node.public()));
    }
    assert_eq!(town.refusal(&bob, register(&bob, codes[0])).await, Some(Code::BadVoucher));
    assert_eq!(town.refusal(&bob, register(&bob, VoucherCode([9; 20]))).await, Some(Code::BadVoucher));
    let pay_in = |voucher| {
        BankRequest::PayIn(ann.account.sign(&network(), PayIn { account: ann.id(), voucher }).wire())
    };
    assert_eq!(town.refusal(&ann, pay_in(codes[1])).await, None);
    assert_eq!(town.refusal(&ann, pay_in(codes[1])).await, None);
    assert_eq!(town.balance(&ann).await, 60);
    assert_eq!(town.audit().books.vouchers, 0);
}

#[tokio::test]
async fn a_node_registers_only_itself_and_weak_keys_are_no_accounts() {
    let town = Town::new();
    let (ann, bob) = (Person::new(1), Person::new(2));
    assert_eq!(town.refusal(&bob, ann.register()).await, Some(Code::NotYours));
    let weak =
        Register { account: PublicKey([0; 32]), node: bob.node.public(), name: Text::cut(""), voucher: None };
    let request = BankRequest::Register(bob.account.sign(&network(), weak).wire());
    assert_eq!(town.refusal(&bob, request).await, Some(Code::Forged));
}

#[tokio::test]
async fn members_become_witnesses_except_for_their_own_chains() {
    let town = Town::new();
    let ann = town.person(1, 100).await;
    for number in 2..40 {
        town.person(number, 0).await;
    }
    let bought = town.chain(&ann, 1, 10).await;
    assert_eq!(bought.touchstone.committee.len(), MAX_COMMITTEE);
    assert!(!bought.touchstone.committee.contains(&ann.node.public()));
    // An hour later only those connected are left: the town's four.
    town.wait(3601);
    assert_eq!(town.chain(&ann, 2, 10).await.touchstone.committee.len(), 4);
}

#[tokio::test]
async fn an_account_shows_its_lines_and_only_to_its_owner() {
    let town = Town::new();
    let (ann, bob) = (town.person(1, 100).await, town.person(2, 0).await);
    town.chain(&ann, 1, 40).await;
    let query = |by: &SecretKey, after, at| {
        BankRequest::Account(by.sign(&network(), Query { account: ann.id(), at: Time(at), after }).wire())
    };
    let BankReply::Account(account) = town.ask(&ann, query(&ann.account, 0, town::MORNING)).await else {
        panic!("refused")
    };
    let changes: Vec<_> =
        account.lines.iter().map(|line| (line.number, line.change, line.balance.0)).collect();
    assert_eq!(changes, [(1, 100, 100), (2, -40, 60)]);
    let BankReply::Account(account) = town.ask(&ann, query(&ann.account, 1, town::MORNING)).await else {
        panic!("refused")
    };
    assert_eq!(account.lines.len(), 1);
    assert_eq!(town.refusal(&bob, query(&bob.account, 0, town::MORNING)).await, Some(Code::Forged));
    assert_eq!(town.refusal(&ann, query(&ann.account, 0, town::MORNING - 301)).await, Some(Code::Expired));
    assert_eq!(town.refusal(&ann, query(&ann.account, 0, town::MORNING + 301)).await, Some(Code::Expired));
}

#[tokio::test]
async fn ann_gives_up_her_chain_and_gets_its_coins_back_at_settlement() {
    let town = Town::new();
    let (ann, bob) = (town.person(1, 100).await, town.person(2, 0).await);
    let id = town.chain(&ann, 1, 40).await.id();
    let retire = |person: &Person, chain: ChainId| {
        let retire = Retire { account: person.id(), chains: List::first_of([chain]) };
        BankRequest::Retire(person.account.sign(&network(), retire).wire())
    };
    assert_eq!(town.refusal(&bob, retire(&bob, id)).await, Some(Code::NotYours));
    assert_eq!(town.refusal(&ann, retire(&ann, ChainId([0; 32]))).await, Some(Code::UnknownChain));
    for _ in 0..2 {
        assert_eq!(town.ask(&ann, retire(&ann, id)).await, BankReply::Noted);
    }
    assert_eq!(town.bank.settle_due().await.expect("open"), 0);
    town.wait(terms().spend_for + terms().redeem_for);
    assert_eq!(town.bank.settle_due().await.expect("open"), 1);
    assert_eq!((town.balance(&ann).await, town.audit().books.coins), (100, 0));
}

#[tokio::test]
async fn money_goes_out_once_and_only_if_it_is_there() {
    let town = Town::new();
    let ann = town.person(1, 100).await;
    let payout = |number, coins| {
        let payout = Payout {
            account: ann.id(),
            number: [number; 16],
            coins: Coins(coins),
            to: Text::cut("DE02 1203"),
        };
        BankRequest::Payout(ann.account.sign(&network(), payout).wire())
    };
    assert_eq!(town.refusal(&ann, payout(1, 101)).await, Some(Code::Funds));
    assert_eq!(town.refusal(&ann, payout(1, 70)).await, None);
    assert_eq!(town.refusal(&ann, payout(1, 70)).await, None);
    assert_eq!(town.refusal(&ann, payout(1, 71)).await, Some(Code::Mismatch));
    assert_eq!(town.balance(&ann).await, 30);
    assert_eq!(town.audit().books.payouts, 70);
    let paid = Command::Payout { id: (ann.id(), [1; 16]), reference: Text::cut("transfer 17") };
    town.bank.run(paid.clone()).await.expect("asked for");
    town.bank.run(paid).await.expect("the same again");
    assert_eq!((town.audit().books.payouts, town.audit().books.cash), (0, -30));
}

/// A disk that can be made to fail.
struct Flaky {
    db: Db,
    fails: Arc<AtomicBool>,
}

impl Store for Flaky {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(table, key)
    }
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.db.scan(table, prefix, after, limit)
    }
    fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError> {
        self.db.scan_back(table, before, limit)
    }
    fn commit(&self, batch: Batch) -> Commit {
        if self.fails.load(Ordering::Relaxed) {
            // A batch over its limit is answered with an error and changes nothing, as on a full disk.
            let mut batch = Batch::new();
            batch.put(Table::new("none"), [0; 257], []);
            return self.db.commit(batch);
        }
        self.db.commit(batch)
    }
    fn close(&self) -> Result<(), StoreError> {
        self.db.close()
    }
}

#[tokio::test]
async fn what_the_disk_did_not_take_did_not_happen() {
    let fails = Arc::new(AtomicBool::new(false));
    let db = Db::from_store(Flaky { db: Db::memory(), fails: fails.clone() });
    let town = Town::with(db, terms());
    let ann = town.person(1, 100).await;
    fails.store(true, Ordering::Relaxed);
    assert_eq!(town.refusal(&ann, ann.buy(1, 40)).await, Some(Code::Storage));
    assert_eq!(town.refusal(&ann, ann.buy(2, 40)).await, Some(Code::Storage));
    fails.store(false, Ordering::Relaxed);
    assert_eq!(town.balance(&ann).await, 100);
    town.chain(&ann, 1, 40).await;
    assert_eq!((town.balance(&ann).await, town.audit().books.issued), (60, 40));
}

/// A disk that takes its time: until the gate opens.
struct Gated {
    db: Db,
    gate: Arc<(Mutex<bool>, Condvar)>,
    /// Hears of every batch that comes to the gate.
    entered: Option<tokio::sync::mpsc::UnboundedSender<()>>,
}

impl Store for Gated {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(table, key)
    }
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.db.scan(table, prefix, after, limit)
    }
    fn scan_back(&self, table: Table, before: Option<&[u8]>, limit: usize) -> Result<Page, StoreError> {
        self.db.scan_back(table, before, limit)
    }
    fn commit(&self, batch: Batch) -> Commit {
        if let Some(entered) = &self.entered {
            // A test that does not listen any more does not mind.
            let _ = entered.send(());
        }
        let (open, opened) = &*self.gate;
        let open = open.lock().expect("no panic");
        drop(opened.wait_while(open, |open| !*open).expect("no panic"));
        self.db.commit(batch)
    }
    fn close(&self) -> Result<(), StoreError> {
        self.db.close()
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_purchase_that_is_still_on_its_way_to_the_disk() {
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let (tell, mut entered) = tokio::sync::mpsc::unbounded_channel();
    let store = Gated { db: Db::memory(), gate: gate.clone(), entered: Some(tell) };
    let town = Arc::new(Town::with(Db::from_store(store), terms()));
    let ann = town.person(1, 100).await;
    while entered.try_recv().is_ok() {}
    *gate.0.lock().expect("no panic") = false;
    let asking = tokio::spawn({
        let (town, ann) = (town.clone(), ann.clone());
        async move { town.ask(&ann, ann.buy(1, 40)).await }
    });
    entered.recv().await.expect("the purchase goes to the disk");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished(), "acknowledged before it was durable");
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
    assert!(matches!(asking.await.expect("no panic"), BankReply::Sold { .. }));
}

#[tokio::test]
async fn a_bank_with_too_much_to_do_says_so_and_forgets_nobody_it_let_in() {
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let set = |open| {
        *gate.0.lock().expect("no panic") = open;
        gate.1.notify_all();
    };
    let town = Arc::new(Town::with(
        Db::from_store(Gated { db: Db::memory(), gate: gate.clone(), entered: None }),
        terms(),
    ));
    let ann = town.person(1, 100).await;
    set(false);
    let request = ann.buy(1, 40);
    let asks = (0..MAX_REQUESTS).map(|_| {
        let (town, ann, request) = (town.clone(), ann.clone(), request.clone());
        tokio::spawn(async move { town.ask(&ann, request).await })
    });
    let asks: Vec<_> = asks.collect();
    let mut turns = 0;
    while town.refusal(&ann, BankRequest::Info).await != Some(Code::Busy) {
        turns += 1;
        assert!(turns < 10 * MAX_REQUESTS, "everybody was let in");
        tokio::task::yield_now().await;
    }
    set(true);
    let mut replies = Vec::new();
    for ask in asks {
        replies.push(ask.await.expect("no panic"));
    }
    replies.dedup();
    assert!(matches!(&replies[..], [BankReply::Sold { .. }]), "{replies:?}");
    assert_eq!(town.balance(&ann).await, 60);
}

#[tokio::test]
async fn a_journal_opens_for_its_own_network_only() {
    let db = Db::memory();
    drop(Town::with(db.clone(), terms()));
    let mut other = terms();
    other.network = "village".to_owned();
    assert!(Town::try_with(db, other).is_err());
}

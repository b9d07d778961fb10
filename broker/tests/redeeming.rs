//! Vendors bring what they earned, and chains come to their end.

mod town;

use netpay_core::amount::Coins;
use netpay_core::codec::List;
use netpay_core::coin::chain::Coin;
use netpay_core::coin::segment::Release;
use netpay_core::id::ObjectHash;
use netpay_core::keys::{SecretKey, Signature};
use netpay_core::record::chain::Evidence;
use netpay_core::time::Time;
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, Claims, Outcome, Redeem};
use netpay_core::wire::reject::RejectCode as Code;
use netpay_node::store::Db;
use std::sync::Arc;
use town::{MORNING, Person, Town, network, refused, terms};

fn paid(coins: u64) -> Outcome {
    Outcome::Paid(Coins(coins))
}

fn waits(coins: u64) -> Outcome {
    Outcome::Pending { coins: Coins(coins), until: Time(MORNING + terms().spend_for + terms().redeem_for) }
}

#[tokio::test]
async fn a_certified_claim_is_paid_at_once_and_an_uncertified_one_at_settlement() {
    let town = Town::new();
    let (ann, vic, una) = (town.person(1, 100).await, town.person(2, 0).await, town.person(3, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let (first, second) = (vic.claim(&chain, 1, (0, 10, 16)), una.claim(&chain, 2, (10, 25, 32)));
    let certified = town.certified(&chain, &first);
    assert_eq!(town.outcomes(&vic, vec![certified.clone()]).await, [paid(10)]);
    assert_eq!(town.outcomes(&una, vec![second.clone()]).await, [waits(15)]);
    // Replays of either change nothing.
    assert_eq!(town.outcomes(&vic, vec![certified]).await, [paid(10)]);
    assert_eq!(town.outcomes(&vic, vec![first]).await, [paid(10)]);
    assert_eq!(town.outcomes(&una, vec![second.clone()]).await, [waits(15)]);
    assert_eq!((town.balance(&vic).await, town.balance(&una).await), (10, 0));
    town.wait(terms().spend_for + terms().redeem_for);
    town.bank.settle_due().await.expect("open");
    assert_eq!(town.outcomes(&una, vec![second]).await, [paid(15)]);
    assert_eq!((town.balance(&una).await, town.balance(&ann).await), (15, 75));
    assert_eq!(town.audit().books.coins, 0);
}

#[tokio::test]
async fn a_claim_brought_without_its_certificate_is_paid_once_that_comes() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let claim = vic.claim(&chain, 1, (0, 10, 16));
    assert_eq!(town.outcomes(&vic, vec![claim.clone()]).await, [waits(10)]);
    assert_eq!(town.outcomes(&vic, vec![town.certified(&chain, &claim)]).await, [paid(10)]);
    assert_eq!(town.balance(&vic).await, 10);
    town.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_brought_many_times_at_once_is_paid_once() {
    let town = Arc::new(Town::new());
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let claim = town.certified(&chain, &vic.claim(&chain, 1, (0, 10, 16)));
    let asks = (0..32).map(|_| {
        let (town, vic, claim) = (town.clone(), vic.clone(), claim.clone());
        tokio::spawn(async move { town.outcomes(&vic, vec![claim]).await })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.expect("no panic"), [paid(10)]);
    }
    assert_eq!(town.balance(&vic).await, 10);
    town.audit();
}

#[tokio::test]
async fn overlapping_claims_never_pay_a_coin_twice() {
    let town = Town::new();
    let (ann, vic, una) = (town.person(1, 100).await, town.person(2, 0).await, town.person(3, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let certified = |claim: Claim| town.certified(&chain, &claim);
    let early = una.claim(&chain, 3, (5, 35, 40));
    assert_eq!(town.outcomes(&una, vec![early.clone()]).await, [waits(30)]);
    let claims =
        vec![certified(vic.claim(&chain, 1, (0, 10, 16))), certified(vic.claim(&chain, 2, (8, 20, 24)))];
    assert_eq!(town.outcomes(&vic, claims).await, [paid(10), paid(10)]);
    town.wait(terms().spend_for + terms().redeem_for);
    town.bank.settle_due().await.expect("open");
    assert_eq!(town.outcomes(&una, vec![early]).await, [paid(15)]);
    assert_eq!((town.balance(&ann).await, town.audit().books.redeemed), (65, 35));
}

#[tokio::test]
async fn after_settlement_nothing_more_is_paid() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let claim = vic.claim(&chain, 1, (0, 10, 16));
    town.wait(terms().spend_for + terms().redeem_for - 1);
    assert_eq!(town.bank.settle_due().await.expect("open"), 0);
    town.wait(1);
    assert_eq!(town.bank.settle_due().await.expect("open"), 1);
    let late = town.outcomes(&vic, vec![claim.clone(), town.certified(&chain, &claim)]).await;
    assert_eq!(refused(&late[0]), Some(Code::Expired));
    assert_eq!((town.balance(&ann).await, town.balance(&vic).await), (100, 0));
}

#[tokio::test]
async fn a_bank_that_was_away_lets_its_settlements_wait() {
    let db = Db::memory();
    let town = Town::with(db.clone(), terms());
    town.bank.resume().await.expect("open");
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    drop(town);
    let town = Town::with(db, terms());
    let due = terms().spend_for + terms().redeem_for;
    town.wait(due);
    town.bank.resume().await.expect("open");
    assert_eq!(town.bank.settle_due().await.expect("open"), 0);
    let claim = vic.claim(&chain, 1, (0, 10, 16));
    let until = Time(MORNING + due + terms().settle_after);
    assert_eq!(town.outcomes(&vic, vec![claim]).await, [Outcome::Pending { coins: Coins(10), until }]);
    town.wait(terms().settle_after);
    assert_eq!(town.bank.settle_due().await.expect("open"), 1);
    assert_eq!(town.balance(&vic).await, 10);
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused_one_by_one() {
    let town = Town::new();
    let (ann, vic, eve) = (town.person(1, 100).await, town.person(2, 0).await, town.person(3, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let good = vic.claim(&chain, 1, (0, 10, 16));
    let holder = vic.holder(&chain);
    let reclose = |change: &dyn Fn(&mut netpay_core::coin::segment::Close)| {
        let mut close = good.close.claim().expect("a close");
        change(&mut close);
        Claim { close: holder.sign(&network(), close).wire(), ..good.clone() }
    };
    let reopen = |by: &SecretKey, change: &dyn Fn(&mut netpay_core::coin::segment::Open)| {
        let mut open = good.open.claim().expect("an open");
        change(&mut open);
        let open = by.sign(&network(), open);
        let mut close = good.close.claim().expect("a close");
        close.open = open.hash();
        Claim { open: open.wire(), close: holder.sign(&network(), close).wire(), ..good.clone() }
    };
    let close_by_eve = {
        let close = good.close.claim().expect("a close");
        Claim { close: eve.account.sign(&network(), close).wire(), ..good.clone() }
    };
    let elsewhere = netpay_core::id::NetworkId([3; 32]);
    let of_another_network = {
        let open = good.open.claim().expect("an open");
        Claim { open: chain.key.sign(&elsewhere, open).wire(), ..good.clone() }
    };
    let cases = [
        (reclose(&|close| close.coin = Coin([0; 16])), Code::BadPayment),
        (reclose(&|close| close.release = Release([0; 32])), Code::BadPayment),
        (reclose(&|close| close.end.0 = 11), Code::BadPayment),
        (reclose(&|close| close.end.0 = 17), Code::Range),
        (reclose(&|close| close.end.0 = u32::MAX), Code::Range),
        (reclose(&|close| close.open.0 = [0; 32]), Code::Malformed),
        (reclose(&|close| close.j.0 = 2), Code::Malformed),
        (close_by_eve, Code::Forged),
        (of_another_network, Code::Forged),
        (reopen(&eve.account, &|_| ()), Code::Forged),
        (reopen(&chain.key, &|open| open.cap.0 = 41), Code::Range),
        (reopen(&chain.key, &|open| open.start.0 = 16), Code::Range),
        (reopen(&chain.key, &|open| open.j.0 = 0), Code::Malformed),
        (Claim { salt: [6; 32], ..good.clone() }, Code::NotYours),
    ];
    for (number, (claim, code)) in cases.into_iter().enumerate() {
        let outcomes = town.outcomes(&vic, vec![claim, good.clone()]).await;
        assert_eq!((refused(&outcomes[0]), number), (Some(code), number));
        assert_eq!(
            outcomes[1],
            if refused(&outcomes[0]) == Some(Code::Malformed) { outcomes[1].clone() } else { waits(10) }
        );
    }
    // Whoever cannot open pay_to is not paid.
    let stolen = town.outcomes(&eve, vec![town.certified(&chain, &good)]).await;
    assert_eq!(refused(&stolen[0]), Some(Code::NotYours));
    assert_eq!(town.balance(&eve).await, 0);
    town.audit();
}

#[tokio::test]
async fn a_certificate_needs_a_quorum_of_different_seats_over_this_very_close() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let claim = vic.claim(&chain, 1, (0, 10, 16));
    let whole = town.certificate(&chain, claim.close.hash(&network()));
    assert_eq!((whole.acks.len(), chain.touchstone.quorum()), (5, 4));
    let with = |acks: Vec<(u8, Signature)>| {
        let mut certificate = whole.clone();
        certificate.acks = List::first_of(acks);
        Claim { certificate: Some(certificate), ..claim.clone() }
    };
    let seats = whole.acks.clone().into_vec();
    let cases = [
        with(vec![seats[0]; 4]),
        with(vec![seats[0], seats[1], seats[2], seats[0]]),
        with(vec![seats[0], seats[1], seats[2], (3, seats[4].1)]),
        with(vec![seats[0], seats[1], seats[2], (9, seats[3].1)]),
        with(vec![seats[0], seats[1], seats[2], seats[3], (4, Signature([0; 64]))]),
        Claim { certificate: Some(town.certificate(&chain, ObjectHash([9; 32]))), ..claim.clone() },
    ];
    for bad in cases {
        let outcomes = town.outcomes(&vic, vec![bad]).await;
        assert_eq!(refused(&outcomes[0]), Some(Code::Forged));
    }
    // Good ones, but too few, or of the Open: it waits, and they count at settlement.
    let of_open = Some(town.certificate(&chain, claim.open.hash(&network())));
    let opened = Claim { certificate: of_open, ..claim.clone() };
    for waits in [with(Vec::new()), with(seats[..3].to_vec()), opened] {
        let outcomes = town.outcomes(&vic, vec![waits]).await;
        assert!(matches!(outcomes[..], [Outcome::Pending { coins: Coins(10), .. }]), "{outcomes:?}");
    }
    assert_eq!(town.outcomes(&vic, vec![with(seats[1..].to_vec())]).await, [paid(10)]);
    town.audit();
}

#[tokio::test]
async fn a_segment_closed_at_its_start_costs_nothing_and_is_not_even_written_down() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let records = town.audit().records;
    let claim = vic.claim(&chain, 1, (8, 8, 16));
    assert_eq!(town.outcomes(&vic, vec![claim]).await, [paid(0)]);
    assert_eq!(town.audit().records, records);
}

#[tokio::test]
async fn a_list_of_claims_other_than_the_one_signed_is_refused_as_a_whole() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let claim = vic.claim(&chain, 1, (0, 10, 16));
    let BankRequest::Redeem { redeem, .. } = vic.redeem(vec![claim.clone()]) else { panic!("a redemption") };
    let swapped =
        BankRequest::Redeem { redeem, claims: Claims(List::first_of([claim.clone(), claim.clone()])) };
    assert_eq!(town.refusal(&vic, swapped).await, Some(Code::Malformed));
    let BankRequest::Redeem { claims, .. } = vic.redeem(vec![claim]) else { panic!("a redemption") };
    let by_ann = Redeem { account: vic.id(), claims: netpay_core::session::redeem::digest(&claims) };
    let forged = BankRequest::Redeem { redeem: ann.account.sign(&network(), by_ann).wire(), claims };
    assert_eq!(town.refusal(&vic, forged).await, Some(Code::Forged));
    let stranger = Person::new(9);
    assert_eq!(town.refusal(&stranger, stranger.redeem(Vec::new())).await, Some(Code::UnknownAccount));
}

#[tokio::test]
async fn claims_out_of_order_walk_over_the_coins_proven_before() {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 20_000).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 16_384).await;
    let ends = [
        (1, (0, 100, 200)),
        (4, (10_000, 16_384, 16_384)),
        (2, (200, 5_000, 9_000)),
        (3, (9_000, 9_900, 10_000)),
    ];
    for (j, lease) in ends {
        let claim = town.certified(&chain, &vic.claim(&chain, j, lease));
        assert_eq!(town.outcomes(&vic, vec![claim]).await, [paid(u64::from(lease.1 - lease.0))]);
    }
    assert_eq!(town.audit().books.redeemed, 100 + 6_384 + 4_800 + 900);
}

#[tokio::test]
async fn two_opens_of_one_segment_are_noted_once() {
    let town = Town::new();
    let (ann, vic, una) = (town.person(1, 100).await, town.person(2, 0).await, town.person(3, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let (one, other) = (vic.claim(&chain, 1, (0, 10, 16)).open, una.claim(&chain, 1, (0, 10, 16)).open);
    let touchstone = chain.touchstone.wire();
    let evidence = Evidence::TwoOpens { touchstone: touchstone.clone(), one: one.clone(), other };
    for _ in 0..2 {
        assert_eq!(town.ask(&vic, BankRequest::Evidence(evidence.clone())).await, BankReply::Noted);
    }
    let nothing = Evidence::TwoOpens { touchstone, one: one.clone(), other: one };
    assert_eq!(town.refusal(&vic, BankRequest::Evidence(nothing)).await, Some(Code::Malformed));
    assert_eq!(town.bank.look(|ledger| ledger.convicted().count()).await.expect("open"), 1);
}

//! What a cheating buyer, vendor or outsider tries on a vendor, and what it costs whom.

mod town;

use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::List;
use netpay_core::coin::payment::{BadPay, Meter, Pay};
use netpay_core::coin::segment::{Close, FairTerms, Handover, Open, SegmentNo};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::id::{ContentRoot, NetworkId, ObjectHash};
use netpay_core::keys::{SecretKey, Signed, Unverified};
use netpay_core::record::chain::{Culprit, Line, verify};
use netpay_core::session::vendor::{self, Offer, Vendor};
use netpay_core::till::{Till, TillError};
use netpay_core::time::{DAY, Moment};
use netpay_core::wallet::WalletError;
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{Funding, Span, TabId, Terms, ToBuyer, ToVendor, Unsettled};
use town::{
    Member, NOW, Purse, Stall, Town, certify_at, durable, key, order, ready, refusal, units, vendor_input,
    visit,
};

const TAB: TabId = TabId([1; 16]);

#[test]
fn a_buyer_that_opens_one_stretch_at_two_vendors_is_convicted_and_neither_delivers_more_than_it_risks() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let (mut one, mut two) = (Stall::new(&town, 20), Stall::new(&town, 30));
    let mut members = Member::all(&town);
    let lines = [
        purse.opened(&purse.fresh(), one.holder(1), 0, 60),
        purse.opened(&purse.fresh(), two.holder(2), 0, 60),
    ];
    let mut sales = Vec::new();
    for (stall, line, tag) in [(&mut one, &lines[0], 1), (&mut two, &lines[1], 2)] {
        let open = &line.newest().expect("opened").open;
        let (vendor, out) = visit(&town, stall, [purse.order(line, tag, purse.pay(open, 10), 1)]);
        // Ten units for ten uncertified coins, and none on trust.
        assert_eq!(units(&out), 10);
        sales.push(vendor);
    }
    assert_eq!(certify_at(&town, &mut one, purse.id(), &mut members, &[0, 1, 2, 3]), None);
    assert!(one.till.held(&purse.id(), SegmentNo(1)).expect("held").is_certified());
    let evidence = certify_at(&town, &mut two, purse.id(), &mut members, &[3, 2, 1, 0]).expect("a conflict");
    assert_eq!(evidence.convicts(&town.network, &town.broker.public()), Some(Culprit::Buyer(purse.id())));
    assert!(!two.till.held(&purse.id(), SegmentNo(1)).expect("held").is_certified());
    let mut out = Vec::new();
    sales[1].handle(NOW, vendor::Input::Conflict(purse.id()), &mut two.till, &mut out);
    assert_eq!(refusal(&out), Some(RejectCode::DoubleSpend));
    assert!(two.till.uncertified() <= town.shop().policy.per_chain);
    // What the first has certified is safe: its sale goes on in that lease, and in no other.
    let mut out = Vec::new();
    sales[0].handle(NOW, vendor::Input::Conflict(purse.id()), &mut one.till, &mut out);
    assert_eq!(refusal(&out), None);
    let next = purse.opened(&lines[0], one.holder(1), 60, 68);
    let record = next.record().expect("few segments");
    let open = ToVendor::Open { tag: HolderTag([1; 16]), record };
    sales[0].handle(NOW, vendor::Input::Heard(Box::new(open)), &mut one.till, &mut out);
    assert_eq!(refusal(&out), Some(RejectCode::DoubleSpend));
}

#[test]
fn against_more_than_ten_uncertified_coins_nothing_is_delivered() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = &line.newest().expect("opened").open;
    let (mut vendor, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(open, 11), 1)]);
    assert_eq!(units(&out), 0);
    certify_at(&town, &mut stall, purse.id(), &mut Member::all(&town), &[0, 1, 2, 3]);
    let mut out = Vec::new();
    ready(&mut vendor, &mut stall, &mut out);
    assert_eq!(units(&out), 22);
}

/// What is asked to be certified, and how urgently.
fn wishes(out: &[vendor::Output]) -> Vec<bool> {
    let wish = |output: &vendor::Output| match output {
        vendor::Output::Certify { urgent, .. } => Some(*urgent),
        _ => None,
    };
    out.iter().filter_map(wish).collect()
}

/// A buyer that pays every unit when it comes, and the first ahead, while no witness answers. How many units it gets,
/// and whether a certificate was asked for at once with the first message.
fn bought(price: u64, count: u64) -> (u64, bool) {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = line.newest().expect("opened").open.clone();
    let geometry = Units::new(count * GROUP, 0).expect("possible");
    let due = |units: u64| geometry.due(Coins(price), units * GROUP).0.try_into().expect("small");
    let mut vendor = Vendor::new(town.shop());
    let root = ContentRoot([1; 32]);
    let terms = Terms { root, size: count * GROUP, price: Coins(price), unit_log: 0 };
    let (record, pay) = (line.record().expect("short"), purse.pay(&open, due(1)));
    let funding = Funding::Opened { tag: HolderTag([1; 16]), record, pay };
    let mut next = Some(ToVendor::Order { tab: TAB, terms, span: Span { first: 0, count }, funding });
    let (mut got, mut paid, mut urgent) = (0, due(1), None);
    while let Some(message) = next.take() {
        let mut out = Vec::new();
        let offer = Offer::Offered { price: Coins(price), size: count * GROUP };
        vendor.handle(NOW, vendor_input(message, offer), &mut stall.till, &mut out);
        durable(&mut stall.till, &out);
        urgent.get_or_insert(wishes(&out) == [true]);
        ready(&mut vendor, &mut stall, &mut out);
        got += units(&out) as u64;
        if due(got) > paid {
            paid = due(got);
            next = Some(ToVendor::Pay { chain: purse.id(), pay: purse.pay(&open, paid) });
        }
    }
    (got, urgent == Some(true))
}

#[test]
fn a_sale_of_up_to_ten_coins_never_waits_for_a_certificate() {
    for price in 1..=10 {
        for count in [1, 2, 3, 7, 10, 40, 99] {
            assert_eq!(bought(price, count).0, count, "{price} coins for {count} units");
        }
    }
}

#[test]
fn a_sale_of_more_than_ten_coins_asks_for_its_certificate_at_once_and_gets_ten_coins_worth_without() {
    for (price, count, most) in
        [(11, 11, 10), (40, 40, 10), (40, 80, 20), (40, 20, 5), (33, 11, 3), (100, 5, 0)]
    {
        assert_eq!(bought(price, count), (most, true), "{price} coins for {count} units");
    }
}

#[test]
fn what_was_paid_without_a_certificate_and_what_is_owed_come_to_ten_coins_and_the_certificate_frees_the_rest()
{
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = line.newest().expect("opened").open.clone();
    let (mut vendor, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 6), 1)]);
    assert_eq!(units(&out), 10, "six paid, four owed");
    // Paying what is owed brings nothing more: its coins are as little certified as the first ones.
    let mut out = Vec::new();
    let pay = ToVendor::Pay { chain: purse.id(), pay: purse.pay(&open, 10) };
    vendor.handle(NOW, vendor::Input::Heard(Box::new(pay)), &mut stall.till, &mut out);
    durable(&mut stall.till, &out);
    ready(&mut vendor, &mut stall, &mut out);
    assert_eq!(units(&out), 0);
    let showing = stall.till.showing(&purse.id()).expect("it lacks its certificate");
    let certificate = town::certify(&town, purse.id(), showing.want[0]);
    stall.till.certified(&purse.id(), &certificate);
    let news = vendor::Input::Certified(purse.id(), certificate);
    vendor.handle(NOW, news, &mut stall.till, &mut out);
    ready(&mut vendor, &mut stall, &mut out);
    assert_eq!(units(&out), 10, "as many on trust as were paid");
}

#[test]
fn two_chains_on_one_tab_get_no_more_without_a_certificate_than_one() {
    let town = Town::new();
    let mut stall = Stall::new(&town, 20);
    let [one, other] = [1, 2].map(|nonce| Purse::new(&town, |touchstone| touchstone.nonce = [nonce; 16]));
    let lines =
        [(&one, 1), (&other, 2)].map(|(purse, tag)| purse.opened(&purse.fresh(), stall.holder(tag), 0, 60));
    let opens = lines.each_ref().map(|line| line.newest().expect("opened").open.clone());
    let (mut vendor, out) = visit(&town, &mut stall, [one.order(&lines[0], 1, one.pay(&opens[0], 4), 1)]);
    assert_eq!(units(&out), 8);
    let mut out = Vec::new();
    let record = lines[1].record().expect("short");
    let pay = ToVendor::Pay { chain: other.id(), pay: other.pay(&opens[1], 8) };
    for message in [ToVendor::Open { tag: HolderTag([2; 16]), record }, pay] {
        vendor.handle(NOW, vendor::Input::Heard(Box::new(message)), &mut stall.till, &mut out);
    }
    durable(&mut stall.till, &out);
    ready(&mut vendor, &mut stall, &mut out);
    // Twelve coins were paid; of both chains together eight coins' worth was delivered, and nothing more is.
    assert_eq!((units(&out), stall.till.uncertified()), (0, Coins(12)));
    certify_at(&town, &mut stall, other.id(), &mut Member::all(&town), &[0, 1, 2, 3]);
    ready(&mut vendor, &mut stall, &mut out);
    assert_eq!(units(&out), 10, "four ahead, and as many on trust as four uncertified coins leave room for");
}

#[test]
fn two_downloads_at_once_from_one_chain_get_no_more_without_a_certificate_than_one() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = line.newest().expect("opened").open.clone();
    let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 3), 1)]);
    assert_eq!(units(&out), 6);
    let next = order(2, Funding::Continue { chain: purse.id(), pay: purse.pay(&open, 6) });
    let (_, out) = visit(&town, &mut stall, [next]);
    assert_eq!(units(&out), 4, "three paid, and one on trust beside the three of the first");
    assert!(wishes(&out)[0], "it asks before it has to wait");
}

#[test]
fn who_comes_back_after_a_break_or_after_the_vendors_crash_gets_no_new_trust() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = line.newest().expect("opened").open.clone();
    let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 6), 1)]);
    assert_eq!(units(&out), 10);
    let again = || order(1, Funding::Free);
    assert_eq!(units(&visit(&town, &mut stall, [again()]).1), 10, "those it was sent before");
    let row = stall.till.row(&purse.id(), SegmentNo(1)).expect("held");
    let tab = stall.till.tab(&TAB).expect("paid on").clone();
    stall.till = Till::new(town.network, [20; 32], key(21).public());
    stall.till.load(row).expect("it holds");
    stall.till.load_tab(TAB, tab);
    assert_eq!(units(&visit(&town, &mut stall, [again()]).1), 10);
    // Nor does another download out of the same chain.
    let next = order(2, Funding::Continue { chain: purse.id(), pay: purse.pay(&open, 7) });
    assert_eq!(units(&visit(&town, &mut stall, [next]).1), 0);
}

#[test]
fn coins_at_risk_in_other_sales_do_not_stop_one_whose_chain_is_certified() {
    let mut town = Town::new();
    let mut stall = Stall::new(&town, 20);
    for tag in 100..125 {
        town.minted += 1;
        let nonce = tag;
        let purse = Purse::new(&town, |touchstone| touchstone.nonce = [nonce; 16]);
        let line = purse.opened(&purse.fresh(), stall.holder(tag), 0, 60);
        let open = &line.newest().expect("opened").open;
        visit(&town, &mut stall, [purse.order(&line, tag, purse.pay(open, 10), tag)]);
    }
    assert!(stall.till.uncertified() > town.shop().policy.in_all);
    let purse = Purse::new(&town, |_| ());
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 60);
    let open = &line.newest().expect("opened").open;
    let (mut vendor, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(open, 1), 1)]);
    assert_eq!(units(&out), 0);
    certify_at(&town, &mut stall, purse.id(), &mut Member::all(&town), &[0, 1, 2, 3]);
    let mut out = Vec::new();
    ready(&mut vendor, &mut stall, &mut out);
    assert_eq!(units(&out), 2);
}

#[test]
fn a_coin_known_from_another_vendor_pays_nothing_without_its_release() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let (one, mut two) = (Stall::new(&town, 20), Stall::new(&town, 30));
    let paid_there = purse.opened(&purse.fresh(), one.holder(1), 0, 20);
    let there = purse.pay(&paid_there.newest().expect("opened").open, 9);
    let line = purse.opened(&purse.fresh(), two.holder(2), 0, 20);
    two.till.take(&line, HolderTag([2; 16]), NOW.time()).expect("taken");
    let stolen = two.till.pay(&purse.id(), &there, TAB, NOW.time());
    assert_eq!(stolen, Err(TillError::BadPay(BadPay::Release)));
    assert_eq!(two.till.held(&purse.id(), SegmentNo(1)).expect("held").paid(), Count::ZERO);
}

#[test]
fn a_release_without_its_coin_pays_nothing() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let stall = Stall::new(&town, 20);
    let open = purse.open(&purse.fresh(), stall.holder(1), 0, 20);
    let mut meter = Meter::new(&open, (Index::ZERO, purse.touchstone.root));
    let forged = Pay { coin: purse.coins.coin(Index(8)).expect("a coin"), ..purse.pay(&open, 9) };
    assert_eq!(meter.accept(&forged), Err(BadPay::Coin));
    assert_eq!(meter.accept(&purse.pay(&open, 9)), Ok(Count(9)));
}

#[test]
fn a_payment_sent_again_counts_nothing_and_opens_no_tab() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    stall.till.take(&line, HolderTag([1; 16]), NOW.time()).expect("taken");
    let (gained, _) = stall.till.pay(&purse.id(), &purse.pay(&open, 7), TAB, NOW.time()).expect("good");
    assert_eq!(gained, Count(7));
    for index in [7, 3, 1] {
        let again = stall.till.pay(&purse.id(), &purse.pay(&open, index), TabId([9; 16]), NOW.time());
        assert_eq!(again, Ok((Count::ZERO, Vec::new())));
    }
    assert_eq!(stall.till.tab(&TAB).expect("paid on").paid, Coins(7));
    assert_eq!(stall.till.tab(&TabId([9; 16])), None);
}

#[test]
fn a_payment_of_more_than_4096_coins_at_once_is_refused() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let stall = Stall::new(&town, 20);
    let open = purse.open(&purse.fresh(), stall.holder(1), 0, 9000);
    let mut meter = Meter::new(&open, (Index::ZERO, purse.touchstone.root));
    assert_eq!(meter.accept(&purse.pay(&open, 4097)), Err(BadPay::Gap));
    assert_eq!(meter.accept(&purse.pay(&open, 4096)), Ok(Count(4096)));
    assert_eq!(meter.accept(&purse.pay(&open, 8192)), Ok(Count(4096)));
}

#[test]
fn a_payment_outside_the_lease_is_refused() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    let mut meter = Meter::new(&open, (Index::ZERO, purse.touchstone.root));
    for index in [0, 21, u32::MAX] {
        let pay = Pay { index: Index(index), ..purse.pay(&open, 9) };
        assert_eq!(meter.accept(&pay), Err(BadPay::Lease));
    }
    assert_eq!(meter.accept(&Pay { j: SegmentNo(2), ..purse.pay(&open, 9) }), Err(BadPay::Segment));
}

#[test]
fn a_payment_that_does_not_hold_blocks_the_chain_for_a_minute() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    stall.till.take(&line, HolderTag([1; 16]), NOW.time()).expect("taken");
    let (good, now) = (purse.pay(&open, 5), NOW.time());
    let bad = Pay { index: Index(6), ..good.clone() };
    assert_eq!(stall.till.pay(&purse.id(), &bad, TAB, now), Err(TillError::BadPay(BadPay::Release)));
    assert_eq!(stall.till.pay(&purse.id(), &good, TAB, now.plus(59)), Err(TillError::Blocked));
    assert_eq!(stall.till.take(&line, HolderTag([1; 16]), now.plus(59)), Err(TillError::Blocked));
    assert_eq!(stall.till.pay(&purse.id(), &good, TAB, now.plus(60)).expect("good").0, Count(5));
}

#[test]
fn an_outsider_that_names_a_segment_cannot_have_it_closed() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 5), 1)]);
    // The record is public, so anybody knows the chain and the number; not the releases.
    let guess = Pay { index: Index(3), ..purse.pay(&open, 4) };
    let (_, out) = visit(
        &town,
        &mut stall,
        [order(9, Funding::Continue { chain: purse.id(), pay: guess }), ToVendor::Close],
    );
    assert_eq!(refusal(&out), Some(RejectCode::BadPayment));
    assert!(stall.till.held(&purse.id(), SegmentNo(1)).expect("held").close().is_none());
}

fn settle(line: &Line, tag: u8, open: &Signed<Open>, pay: Option<Pay>) -> ToVendor {
    ToVendor::Settle {
        tab: TAB,
        record: line.record().expect("short"),
        segments: List::first_of([Unsettled { tag: HolderTag([tag; 16]), open: open.wire(), pay }]),
    }
}

/// The Closes that a vendor answers with.
fn receipts(out: &[vendor::Output]) -> Vec<Unverified<Close>> {
    let sent = out.iter().filter_map(|output| match output {
        vendor::Output::Send(message) => Some(&**message),
        _ => None,
    });
    let closes = sent.filter_map(|message| match message {
        ToBuyer::Receipt(closes) => Some(closes.clone().into_vec()),
        _ => None,
    });
    closes.flatten().collect()
}

#[test]
fn after_a_break_the_close_says_what_was_counted_and_waives_the_rest() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let first = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = first.newest().expect("opened").open.clone();
    visit(&town, &mut stall, [purse.order(&first, 1, purse.pay(&open, 5), 1)]);
    // The last payment counts if it can; the same question again has the same answer.
    for pay in [Some(purse.pay(&open, 9)), Some(purse.pay(&open, 12)), None] {
        let (_, out) = visit(&town, &mut stall, [settle(&first, 1, &open, pay)]);
        assert_eq!(receipts(&out)[0].claim().expect("a close").end, Index(9));
    }
    // One that never came here, and that no record shows any more, is closed at its start and pays nothing then.
    let second = purse.opened(&first, stall.holder(1), 20, 40);
    let unseen = second.newest().expect("opened").open.clone();
    let (_, out) = visit(&town, &mut stall, [settle(&first, 1, &unseen, Some(purse.pay(&unseen, 30)))]);
    assert_eq!(receipts(&out)[0].claim().expect("a close").end, Index(20));
    let late = purse.order(&second, 1, purse.pay(&unseen, 30), 2);
    let (_, out) = visit(&town, &mut stall, [late]);
    assert_eq!((refusal(&out), units(&out)), (Some(RejectCode::StaleChain), 0));
    // The Close that goes along was made on another stream: it is waited for here too.
    let at = |what: fn(&vendor::Output) -> bool| out.iter().position(what).expect("it is there");
    let said = at(|output| matches!(output, vendor::Output::Send(_)));
    assert!(at(|output| matches!(output, vendor::Output::Persist { .. })) < said);
}

#[test]
fn nobody_but_the_buyer_can_have_a_segment_settled() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 5), 1)]);
    // Whoever reads the chain's record knows the Open, not the tag.
    let (_, out) = visit(&town, &mut stall, [settle(&line, 2, &open, None)]);
    assert_eq!(refusal(&out), Some(RejectCode::BadLease));
    let forged = key(99).sign(&town.network, open.value().clone());
    let (_, out) = visit(&town, &mut stall, [settle(&line, 1, &forged, None)]);
    assert_eq!(refusal(&out), Some(RejectCode::Forged));
    assert!(stall.till.held(&purse.id(), SegmentNo(1)).expect("held").close().is_none());
    // Another Open of the same number, by the chain key, is evidence.
    let other = purse.open(&purse.fresh(), stall.holder(1), 0, 30);
    let (_, out) = visit(&town, &mut stall, [settle(&purse.fresh(), 1, &other, None)]);
    assert!(out.iter().any(|output| matches!(output, vendor::Output::Evidence(_))));
    // After the order nothing is settled any more.
    let ask = settle(&line, 1, &open, None);
    let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 6), 1), ask]);
    assert_eq!(refusal(&out), Some(RejectCode::Malformed));
}

#[test]
fn a_redeemed_segment_shown_again_as_open_pays_nothing() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 10), 1), ToVendor::Close]);
    certify_at(&town, &mut stall, purse.id(), &mut Member::all(&town), &[0, 1, 2, 3]);
    stall.till.release(&purse.id(), SegmentNo(1));
    // Over a restart too: what refuses it is in the row.
    let row = stall.till.row(&purse.id(), SegmentNo(1)).expect("remembered");
    stall.till = Till::new(town.network, [20; 32], key(21).public());
    stall.till.load(row).expect("it holds");
    for index in [10, 12] {
        let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, index), 2)]);
        assert_eq!(units(&out), 0, "{index}");
    }
    assert_eq!(stall.till.all().count(), 0);
    let over = purse.touchstone.spend_by.plus(DAY);
    assert!(!stall.till.forget_over(over).is_empty());
    assert_eq!(stall.till.take(&line, HolderTag([1; 16]), over), Err(TillError::Expired));
}

#[test]
fn reconnecting_gives_no_unit_away() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = line.newest().expect("opened").open.clone();
    stall.till.take(&line, HolderTag([1; 16]), NOW.time()).expect("taken");
    certify_at(&town, &mut stall, purse.id(), &mut Member::all(&town), &[0, 1, 2, 3]);
    let pay = purse.pay(&open, 10);
    let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, pay.clone(), 1)]);
    assert_eq!(units(&out), 20);
    for _ in 0..5 {
        let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, pay.clone(), 1)]);
        assert_eq!(units(&out), 20, "only what was charged before");
    }
}

#[test]
fn a_segment_opened_for_fair_mode_is_not_sold_against() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let mut open = purse.open(&purse.fresh(), stall.holder(1), 0, 20).value().clone();
    open.fair = Some(FairTerms { key_root: netpay_core::coin::key::Key([0; 32]), deal: ObjectHash([0; 32]) });
    let mut line = purse.fresh();
    line.extend(purse.key.sign(&town.network, open.clone())).expect("it extends");
    let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 5), 1)]);
    assert_eq!((refusal(&out), units(&out)), (Some(RejectCode::BadLease), 0));
}

#[test]
fn an_old_touchstone_is_refused() {
    let town = Town::new();
    let mut stall = Stall::new(&town, 20);
    let now = NOW.time();
    for (left, taken) in [(0, false), (600, false), (601, true)] {
        let purse = Purse::new(&town, |touchstone| {
            touchstone.nonce = [u8::from(taken); 16];
            touchstone.issued = netpay_core::time::Time(now.0 - 14 * DAY);
            touchstone.spend_by = now.plus(left);
        });
        let line = purse.opened(&purse.fresh(), stall.holder(left as u8 | 1), 0, 20);
        let open = line.newest().expect("opened").open.clone();
        let (_, out) = visit(&town, &mut stall, [purse.order(&line, left as u8 | 1, purse.pay(&open, 5), 1)]);
        assert_eq!(refusal(&out), (!taken).then_some(RejectCode::Expired), "{left} seconds left");
        if taken {
            let late = stall.till.pay(&purse.id(), &purse.pay(&open, 6), TAB, now.plus(left));
            assert_eq!(late, Err(TillError::Expired), "nor is a payment after its time");
        }
    }
}

#[test]
fn a_chain_of_another_network_or_broker_is_refused() {
    let (town, mut elsewhere, mut stranger) = (Town::new(), Town::new(), Town::new());
    elsewhere.network = NetworkId([66; 32]);
    stranger.broker = key(66);
    for (home, code) in [(elsewhere, RejectCode::WrongNetwork), (stranger, RejectCode::UntrustedBroker)] {
        let mut stall = Stall::new(&town, 20);
        let purse = Purse::new(&home, |_| ());
        let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
        let open = line.newest().expect("opened").open.clone();
        let (_, out) = visit(&town, &mut stall, [purse.order(&line, 1, purse.pay(&open, 5), 1)]);
        assert_eq!((refusal(&out), units(&out)), (Some(code), 0));
    }
}

#[test]
fn an_object_signed_by_somebody_else_is_refused() {
    let town = Town::new();
    let broker = town.broker.public();
    let thief = key(66);
    let holder = key(67);
    let purse = Purse::new(&town, |_| ());
    let mut line = purse.opened(&purse.fresh(), holder.public(), 0, 20);
    line.close(purse.close(&line, 1, 5, &holder)).expect("of its open");
    let good = line.record().expect("short");
    assert!(verify(good.clone(), &town.network, &broker).is_ok());
    let resigned = |link: &mut netpay_core::record::chain::Link, by: &SecretKey| {
        link.open = by.sign(&town.network, link.open.claim().expect("ours")).wire();
    };
    let links = |change: &dyn Fn(&mut netpay_core::record::chain::Link)| {
        let mut record = good.clone();
        let mut links = record.links.into_vec();
        change(&mut links[0]);
        record.links = netpay_core::codec::List::first_of(links);
        record
    };
    let mut touchstone = good.clone();
    touchstone.touchstone = thief.sign(&town.network, purse.touchstone.value().clone()).wire();
    let of_thief = thief.sign(&town.network, purse.close(&line, 1, 5, &holder).value().clone()).wire();
    let forged = [
        touchstone,
        links(&|link| resigned(link, &thief)),
        links(&|link| link.close = Some(of_thief.clone())),
    ];
    for record in forged {
        assert!(verify(record, &town.network, &broker).is_err());
    }
}

#[test]
fn a_handover_signed_by_somebody_else_closes_nothing() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let line = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    stall.till.take(&line, HolderTag([1; 16]), NOW.time()).expect("taken");
    let wish = Handover { chain: purse.id(), j: SegmentNo(1), to: key(68).public() };
    let forged: Unverified<Handover> = key(66).sign(&town.network, wish.clone()).wire();
    assert!(matches!(stall.till.hand_over(forged), Err(TillError::Forged(_))));
    let elsewhere = purse.key.sign(&NetworkId([66; 32]), wish.clone()).wire();
    assert!(matches!(stall.till.hand_over(elsewhere), Err(TillError::Forged(_))));
    assert!(stall.till.held(&purse.id(), SegmentNo(1)).expect("held").close().is_none());
    assert!(stall.till.hand_over(purse.key.sign(&town.network, wish).wire()).is_ok());
}

#[test]
fn a_vendor_that_closes_above_what_was_released_is_refused_and_cannot_prove_it() {
    let mut town = Town::new();
    let mut wallet = town.wallet();
    let id = town.mint(&mut wallet, 100);
    let stall = Stall::new(&town, 20);
    let (j, _) = wallet.open(&id, stall.seller(1), Count(20), Coins(20), NOW.time()).expect("coins");
    let (pay, _) = wallet.pay(&id, j, Count(5), TAB).expect("coins");
    let open = wallet.chain(&id).expect("kept").lease(j).expect("open").open.clone();
    // The vendor knows W_9 from somewhere; it has no release beyond the fifth.
    let close = netpay_core::coin::segment::Close {
        chain: id,
        j,
        open: open.hash(),
        end: Index(9),
        coin: pay.coin,
        release: pay.release,
        pay_to: netpay_core::id::PayTo([1; 32]),
    };
    let holder = HolderTag([1; 16]).holder(&[20; 32]);
    let close = holder.sign(&town.network, close);
    assert_eq!(wallet.closed(&id, close.wire()), Err(WalletError::Overclaimed));
    // What a broker checks: the release chain from the claimed end does not reach U_0.
    let claimed = open.release_key().walk_down(Count(9), &close.release, Count(9));
    assert_ne!(claimed, open.release_root);
    assert_ne!(close.coin.walk_down(9), wallet.chain(&id).expect("kept").touchstone().root);
    assert_eq!(open.cap, Cap(20));
}

#[test]
fn two_downloads_from_one_vendor_do_not_close_each_others_segments() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut stall = Stall::new(&town, 20);
    let first = purse.opened(&purse.fresh(), stall.holder(1), 0, 20);
    let open = first.newest().expect("opened").open.clone();
    let (mut one, _) = visit(&town, &mut stall, [purse.order(&first, 1, purse.pay(&open, 5), 1)]);
    let second = purse.opened(&first, stall.holder(1), 20, 40);
    let other = second.newest().expect("opened").open.clone();
    visit(&town, &mut stall, [purse.order(&second, 1, purse.pay(&other, 21), 2), ToVendor::Close]);
    assert!(stall.till.held(&purse.id(), SegmentNo(2)).expect("held").close().is_some());
    let mut out = Vec::new();
    let more = ToVendor::Pay { chain: purse.id(), pay: purse.pay(&open, 8) };
    one.handle(
        Moment(NOW.0 + 1),
        netpay_core::session::vendor::Input::Heard(Box::new(more)),
        &mut stall.till,
        &mut out,
    );
    assert_eq!(refusal(&out), None);
    assert_eq!(stall.till.held(&purse.id(), SegmentNo(1)).expect("held").paid(), Count(8));
}

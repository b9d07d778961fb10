//! One sample of every message, signed object and stored row, each with the decoder of its type: what the
//! golden bytes are made of, and what bad input is cut from. The fuzz targets are made of them too (tests/src/fuzz).
#![allow(dead_code, reason = "each test uses the part it needs")]

use data_encoding::HEXLOWER;
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::{Bytes, CodecError, List, Text, Wire, decode, encode};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::key::Key;
use netpay_core::coin::payment::Pay;
use netpay_core::coin::receipt::Receipt;
use netpay_core::coin::segment::{Close, FairTerms, Handover, Open, ReleaseChain, SegmentNo, pay_to};
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::content::listing::Listing;
use netpay_core::content::units::GROUP;
use netpay_core::fair::deal::{self, Deal};
use netpay_core::fair::judge::{self, Junk, Verdict};
use netpay_core::fair::sealed::{Sealed, SealedUnit};
use netpay_core::id::{ChainId, ContentRoot, NetworkId, ObjectHash};
use netpay_core::keys::{SecretKey, Signable, Signature, Signed, Unverified};
use netpay_core::record::chain::{Ack, Certificate, ChainRecord, Evidence, Link, verify};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::presence::Card;
use netpay_core::record::revoke::Revocations;
use netpay_core::record::witness::{Bench, Kept, WhyRefused, judge};
use netpay_core::till::{DealRow, SegmentRow, Tab};
use netpay_core::time::{DAY, Time};
use netpay_core::wallet::{ChainRow, Seller, Wallet};
use netpay_core::wire::bank::{
    Account, Accuse, AskKeys, BankReply, BankRequest, Buy, Claim, Claims, Held, Info, Outcome, PayIn, Payout,
    Query, Redeem, Register, Retire, ShownKey, SignIn, StatementLine, VoucherCode,
};
use netpay_core::wire::browse::{BrowseReply, BrowseRequest};
use netpay_core::wire::handoff::{HandoffReply, HandoffRequest};
use netpay_core::wire::hello::{Hello, HolderTag, Membership, Welcome};
use netpay_core::wire::index::{IndexReply, IndexRequest, PutListing};
use netpay_core::wire::record::{RecordReply, RecordRequest, Shown};
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_core::wire::trade::{Funding, Span, TabId, Terms, ToBuyer, ToVendor, Unsettled};
use std::any::type_name;
use std::fmt::Debug;
use std::path::PathBuf;

pub const NETWORK: NetworkId = NetworkId([7; 32]);
pub const NOW: Time = Time(1_800_000_000);

/// A value's bytes, and its type's decoder followed by its encoder.
pub struct Sample {
    pub name: &'static str,
    /// The type's whole name.
    pub of: &'static str,
    pub bytes: Vec<u8>,
    pub max: usize,
    pub recode: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
}

fn sample<T: Wire>(name: &'static str, value: &T) -> Sample {
    Sample {
        name,
        of: type_name::<T>(),
        bytes: encode(value),
        max: T::MAX,
        recode: |bytes| decode::<T>(bytes).map(|value| encode(&value)),
    }
}

/// The path of a sample's golden bytes.
pub fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../core/tests/vectors").join(format!("{name}.hex"))
}

/// A sample whose value another test builds.
fn stored<T: Wire>(name: &'static str) -> Sample {
    let text = std::fs::read_to_string(vector(name)).expect("a vector for each message");
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).expect("hexadecimal");
    let recode = |bytes: &[u8]| decode::<T>(bytes).map(|value| encode(&value));
    Sample { name, of: type_name::<T>(), bytes, max: T::MAX, recode }
}

/// Everything that goes over the wire, is signed, or is stored by its encoding.
pub fn all() -> Vec<Sample> {
    [objects(), records(), rows(), greetings(), sales(), bank(), index()].into_iter().flatten().collect()
}

/// The bytes of the samples of these names.
pub fn bytes_of(names: &[&str]) -> Vec<Vec<u8>> {
    all().into_iter().filter(|sample| names.contains(&sample.name)).map(|sample| sample.bytes).collect()
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn account() -> SecretKey {
    key(3)
}

fn seed() -> Seed {
    Seed([5; 16])
}

fn tag() -> HolderTag {
    HolderTag([6; 16])
}

pub fn holder() -> SecretKey {
    tag().holder(&[8; 32])
}

pub fn committee() -> Vec<SecretKey> {
    (20..24).map(key).collect()
}

pub fn touchstone() -> Signed<Touchstone> {
    let touchstone = Touchstone {
        network: NETWORK,
        broker: key(1).public(),
        chain_key: key(2).public(),
        n: Cap(100),
        root: Chain::root_of(&seed(), Cap(100)),
        nonce: [9; 16],
        committee: List::first_of(committee().iter().map(SecretKey::public)),
        issued: NOW,
        spend_by: NOW.plus(14 * DAY),
        redeem_by: NOW.plus(21 * DAY),
    };
    key(1).sign(&NETWORK, touchstone)
}

fn chain() -> ChainId {
    touchstone::chain_id(&touchstone())
}

fn releases() -> ReleaseChain {
    ReleaseChain::grow(&[4; 32], chain(), SegmentNo(1), &holder().public(), (Index(0), Cap(8)))
}

pub fn open() -> Signed<Open> {
    open_by(|_| ())
}

fn open_by(change: impl FnOnce(&mut Open)) -> Signed<Open> {
    let mut open = Open {
        chain: chain(),
        j: SegmentNo::FIRST,
        prev: touchstone().hash(),
        holder: holder().public(),
        start: Index(0),
        cap: Cap(8),
        release_root: releases().root(),
        fair: None,
    };
    change(&mut open);
    key(2).sign(&NETWORK, open)
}

fn pay() -> Pay {
    let coin = Chain::grow(&seed(), Cap(100)).coin(Index(5)).expect("within the chain");
    Pay {
        j: SegmentNo::FIRST,
        index: Index(5),
        coin,
        release: releases().link(Count(5)).expect("within the lease"),
    }
}

pub fn close() -> Signed<Close> {
    let Pay { j, index, coin, release } = pay();
    let pay_to = pay_to(&[10; 32], &account().public());
    holder()
        .sign(&NETWORK, Close { chain: chain(), j, open: open().hash(), end: index, coin, release, pay_to })
}

pub fn receipt() -> Receipt {
    Receipt { touchstone: touchstone().wire(), open: open().wire(), close: close().wire() }
}

fn handover() -> Signed<Handover> {
    key(2).sign(&NETWORK, Handover { chain: chain(), j: SegmentNo::FIRST, to: key(30).public() })
}

fn acks(object: ObjectHash) -> Vec<(u8, Signature)> {
    let acks = committee().into_iter().map(|witness| Ack { chain: chain(), object }.sign(&NETWORK, &witness));
    (0..).zip(acks).take(3).collect()
}

fn certificate(object: ObjectHash) -> Certificate {
    Certificate { object, acks: List::first_of(acks(object)) }
}

fn second() -> Signed<Open> {
    let prev = open().hash();
    open_by(|open| {
        open.j = SegmentNo(2);
        open.prev = prev;
        (open.start, open.cap) = (Index(5), Cap(13));
    })
}

pub fn record() -> ChainRecord {
    let base = Link { open: open().wire(), close: Some(close().wire()) };
    ChainRecord {
        touchstone: touchstone().wire(),
        base: Some((base, certificate(close().hash()))),
        links: List::first_of([Link { open: second().wire(), close: None }]),
    }
}

fn evidence() -> Evidence {
    let other = open_by(|open| open.cap = Cap(9));
    Evidence::TwoOpens { touchstone: touchstone().wire(), one: open().wire(), other: other.wire() }
}

fn deal() -> Signed<Deal> {
    let deal = Deal {
        chain: chain(),
        j: SegmentNo::FIRST,
        holder: holder().public(),
        buyer: key(2).public(),
        root: ContentRoot([30; 32]),
        size: 100_000,
        price: Coins(8),
        unit_log: 1,
        first: 1,
        count: 2,
        key_root: Key([12; 32]),
        made: NOW,
        salt: [31; 16],
    };
    holder().sign(&NETWORK, deal)
}

fn sealed() -> Signed<Sealed> {
    holder().sign(&NETWORK, Sealed { deal: deal().hash(), unit: 1, root: ContentRoot([32; 32]) })
}

fn sealed_unit() -> SealedUnit {
    SealedUnit {
        unit: 1,
        len: 32_768,
        proof: List::first_of([[17; 32], [18; 32]]),
        leaves: List::first_of([[40; 32], [41; 32]]),
        signature: sealed().signature(),
    }
}

fn junk() -> Junk {
    Junk {
        open: open_by(|open| open.fair = Some(deal::terms(&deal()))).wire(),
        deal: deal().wire(),
        sealed: sealed().wire(),
        leaf: 1,
        bytes: Bytes::try_from(vec![33; GROUP as usize]).expect("a leaf"),
        sealed_path: List::first_of([[34; 32]]),
        key: Key([35; 32]),
        should_be: [36; 32],
        path: List::first_of([[37; 32], [38; 32], [39; 32]]),
    }
}

fn membership() -> Unverified<Membership> {
    let (broker, node) = (key(1).public(), key(11).public());
    key(1).sign(&NETWORK, Membership { broker, node, witness: true, expires: NOW.plus(DAY) }).wire()
}

fn objects() -> Vec<Sample> {
    let fair = FairTerms { key_root: Key([12; 32]), deal: ObjectHash([13; 32]) };
    let claim = membership().claim().expect("well-formed");
    vec![
        sample("touchstone", touchstone().value()),
        sample("open", open().value()),
        sample("open_fair", open_by(|open| open.fair = Some(fair)).value()),
        sample("open_signed", &open().wire()),
        sample("close", close().value()),
        sample("kept_receipt", &receipt()),
        sample("handover", handover().value()),
        sample("pay", &pay()),
        sample("ack", &Ack { chain: chain(), object: open().hash() }),
        sample("certificate", &certificate(open().hash())),
        sample("membership", &claim),
        sample("fair_deal", deal().value()),
        sample("fair_sealed", sealed().value()),
        sample("fair_junk", &junk()),
    ]
}

fn records() -> Vec<Sample> {
    let ack_of = |open: &Signed<Open>| Ack { chain: chain(), object: open.hash() }.sign(&NETWORK, &key(20));
    let other = open_by(|open| open.cap = Cap(9));
    let two_acks = Evidence::TwoAcks {
        touchstone: touchstone().wire(),
        seat: 0,
        one: (Link { open: open().wire(), close: None }, ack_of(&open())),
        other: (Link { open: other.wire(), close: None }, ack_of(&other)),
    };
    let acks = List::first_of([(open().hash(), ack_of(&open()))]);
    let shown = Shown {
        record: record(),
        acks: List::first_of([(second().hash(), ack_of(&second()))]),
        evidence: None,
        frozen: false,
    };
    let freeze = key(1).sign(&NETWORK, Freeze { chain: chain(), at: NOW }).wire();
    let nodes = List::first_of([key(2).public(), key(3).public()]);
    let revoked = key(1).sign(&NETWORK, Revocations { number: 7, nodes }).wire();
    let put = RecordRequest::PutChain {
        record: record(),
        closes: List::first_of([close().wire()]),
        want: List::first_of([second().hash(), close().hash()]),
    };
    vec![
        sample("chain_record", &record()),
        sample("evidence_two_opens", &evidence()),
        sample("evidence_two_acks", &two_acks),
        sample("record_put_chain", &put),
        sample("record_get_chain", &RecordRequest::GetChain(chain())),
        sample("record_accepted", &RecordReply::Accepted { acks: acks.clone() }),
        sample("record_partly", &RecordReply::Partly { acks, why: WhyRefused::Evidence }),
        sample("record_stale", &RecordReply::Stale(record())),
        sample("record_conflict", &RecordReply::Conflict(evidence())),
        sample("record_refused", &RecordReply::Refused(WhyRefused::Overlap)),
        sample("record_chain", &RecordReply::Chain(Some(shown))),
        sample("record_freeze", &RecordRequest::Freeze { touchstone: touchstone().wire(), freeze }),
        sample("record_revoked", &RecordRequest::Revoked(revoked)),
        sample("record_unknown", &RecordReply::Chain(None)),
    ]
}

fn rows() -> Vec<Sample> {
    let line = verify(record(), &NETWORK, &key(1).public()).expect("genuine");
    let bench = Bench { network: &NETWORK, me: &key(20).public(), birth: Time(0), now: NOW };
    let (kept, _) = judge(None, &line, &[], bench);
    let mut wallet = Wallet::new(NETWORK, key(1).public(), [4; 32]);
    let (id, _) = wallet.add(touchstone().wire(), seed(), key(2)).expect("the seed grows the chain");
    let seller = Seller { node: key(11).public(), tag: tag(), holder: holder().public() };
    wallet.open(&id, seller, Count(8), Coins::ZERO, NOW).expect("there are coins");
    wallet.pay(&id, SegmentNo::FIRST, Count(5), TabId([15; 16])).expect("there are coins");
    let row: ChainRow = wallet.row(&id).expect("kept");
    let segment = SegmentRow {
        touchstone: touchstone().wire(),
        open: open().wire(),
        tag: tag(),
        anchor: (Index(5), pay().coin),
        index: Index(5),
        release: pay().release,
        close: Some(close().wire()),
        open_certificate: None,
        close_certificate: Some(certificate(close().hash())),
        redeemed: false,
        key: Some(Key([35; 32])),
    };
    let kept: Kept = kept.expect("accepted");
    let tab = Tab {
        paid: Coins(5),
        durable: Coins::ZERO,
        charged: Coins(4),
        spans: List::first_of([Span { first: 0, count: 2 }, Span { first: 7, count: 1 }]),
        unpaid: List::first_of([Coins(6)]),
        used: NOW,
        chains: List::first_of([chain()]),
    };
    vec![
        sample("row_kept", &kept),
        sample("row_chain", &row),
        sample("row_segment", &segment),
        sample("row_tab", &tab),
        sample("row_deal", &DealRow { deal: deal().wire(), tag: tag() }),
    ]
}

fn greetings() -> Vec<Sample> {
    let name = Text::cut("anna");
    let tags = List::first_of([tag(), HolderTag([14; 16])]);
    let membership = Some(membership());
    let hello = Hello { network: NETWORK, name: name.clone(), membership, tags, revoked: 6 };
    let holders = List::first_of([holder().public()]);
    let reject = Reject::new(RejectCode::NotMember, "who are you?");
    vec![
        sample("hello", &hello),
        sample("welcome", &Welcome { network: NETWORK, name, membership: None, holders, revoked: 0 }),
        sample("handoff_request", &HandoffRequest { handover: handover().wire() }),
        sample("handoff_closed", &HandoffReply::Closed(close().wire())),
        sample("handoff_reject", &HandoffReply::Reject(reject)),
    ]
}

fn sales() -> Vec<Sample> {
    let span = Span { first: 3, count: 40 };
    let terms = Terms { root: ContentRoot([16; 32]), size: 27_800, price: Coins(5), unit_log: 4 };
    let order = |funding| ToVendor::Order { tab: TabId([15; 16]), terms: terms.clone(), span, funding };
    let from = key(11).public();
    let reject = Reject::new(RejectCode::BadPayment, "its coin does not hash to the last accepted coin");
    vec![
        sample("order_free", &order(Funding::Free)),
        sample("order_opened", &order(Funding::Opened { tag: tag(), record: record(), pay: pay() })),
        sample(
            "order_handover",
            &order(Funding::Handover { record: record(), handover: handover().wire(), from }),
        ),
        sample("order_continue", &order(Funding::Continue { chain: chain(), pay: pay() })),
        sample("want", &ToVendor::Want(span)),
        sample("to_vendor_pay", &ToVendor::Pay { chain: chain(), pay: pay() }),
        sample("to_vendor_open", &ToVendor::Open { tag: tag(), record: record() }),
        sample("to_vendor_close", &ToVendor::Close),
        sample("to_vendor_done", &ToVendor::Done),
        sample(
            "ask_deal",
            &ToVendor::AskDeal { terms: terms.clone(), span, record: record(), j: SegmentNo(3), tag: tag() },
        ),
        sample("to_vendor_open_fair", &ToVendor::OpenFair { tag: tag(), record: record(), pay: Some(pay()) }),
        sample(
            "to_vendor_settle",
            &ToVendor::Settle {
                tab: TabId([15; 16]),
                record: record(),
                segments: List::first_of([
                    Unsettled { tag: tag(), open: open().wire(), pay: Some(pay()) },
                    Unsettled { tag: tag(), open: open().wire(), pay: None },
                ]),
            },
        ),
        sample("unit", &ToBuyer::Unit { unit: 3, len: 262_144, proof: List::first_of([[17; 32], [18; 32]]) }),
        sample("settled", &ToBuyer::Settled(close().wire())),
        sample("unsettled", &ToBuyer::Unsettled),
        sample("to_buyer_certified", &ToBuyer::Certified(certificate(open().hash()))),
        sample("receipt", &ToBuyer::Receipt(List::first_of([close().wire()]))),
        sample("to_buyer_deal", &ToBuyer::Deal(deal().wire())),
        sample("sealed_unit", &ToBuyer::SealedUnit(sealed_unit())),
        sample("to_buyer_key", &ToBuyer::Key { m: Count(7), key: Key([35; 32]) }),
        sample("to_buyer_reject", &ToBuyer::Reject { reject, close: Some(close().wire()) }),
    ]
}

fn claims() -> Claims {
    let claim = Claim {
        open: open().wire(),
        close: close().wire(),
        salt: [10; 32],
        certificate: Some(certificate(close().hash())),
        key: Some(Key([40; 32])),
    };
    Claims(List::first_of([claim]))
}

fn signed<T: Signable>(value: T) -> Unverified<T> {
    account().sign(&NETWORK, value).wire()
}

fn bank() -> Vec<Sample> {
    let account = account().public();
    let voucher = VoucherCode([19; 20]);
    let name = Text::cut("anna");
    let register = Register { account, node: key(11).public(), name, voucher: Some(voucher) };
    let buy = Buy { account, chain_key: key(2).public(), n: Cap(100), sealing_key: [31; 32] };
    let by_chain = key(2).sign(&NETWORK, buy.clone()).signature();
    let redeem = Redeem { account, claims: netpay_core::session::redeem::digest(&claims()) };
    let query = Query { account, at: NOW, after: 12 };
    let retire = Retire { account, chains: List::first_of([chain()]) };
    let accuse = Accuse { account, junk: judge::digest(&junk()) };
    let keys = AskKeys { account, chain: chain(), from: SegmentNo(2), at: NOW };
    let verdict =
        Verdict { chain: chain(), j: SegmentNo(2), open: open().hash(), holder: holder().public(), at: NOW };
    let shown = ShownKey { j: SegmentNo(2), end: Index(7), key: Key([40; 32]) };
    let payout = Payout { account, number: [33; 16], coins: Coins(900), to: Text::cut("DE00 1234") };
    vec![
        sample("register", &register),
        sample("pay_in", &PayIn { account, voucher }),
        sample("buy", &buy),
        sample("redeem", &redeem),
        sample("query", &query),
        sample("retire", &retire),
        sample("payout", &payout),
        sample("sign_in", &SignIn { account, broker: key(1).public(), at: NOW, nonce: [34; 16] }),
        sample("accuse", &accuse.clone()),
        sample("ask_keys", &keys.clone()),
        sample("verdict", &verdict.clone()),
        sample("claims", &claims()),
        sample("bank_info", &BankRequest::Info),
        sample("bank_register", &BankRequest::Register(signed(register))),
        sample("bank_pay_in", &BankRequest::PayIn(signed(PayIn { account, voucher }))),
        sample("bank_buy", &BankRequest::Buy { buy: signed(buy), by_chain }),
        sample("bank_redeem", &BankRequest::Redeem { redeem: signed(redeem), claims: claims() }),
        sample("bank_account", &BankRequest::Account(signed(query))),
        sample("bank_retire", &BankRequest::Retire(signed(retire))),
        sample("bank_payout", &BankRequest::Payout(signed(payout))),
        sample("bank_accuse", &BankRequest::Accuse { accuse: signed(accuse), junk: junk() }),
        sample("bank_keys", &BankRequest::Keys(signed(keys))),
        sample("bank_judged", &BankReply::Judged(key(1).sign(&NETWORK, verdict).wire())),
        sample("bank_shown_keys", &BankReply::Keys(List::first_of([shown]))),
        sample("bank_evidence", &BankRequest::Evidence(evidence())),
        sample("bank_pages", &BankRequest::Pages),
        sample("bank_reply_info", &BankReply::Info(info())),
        sample("bank_reply_account", &BankReply::Account(statement())),
        sample(
            "bank_sold",
            &BankReply::Sold {
                touchstone: touchstone().wire(),
                sealed_seed: Bytes::try_from(vec![32; 64]).expect("of its length"),
            },
        ),
        sample("bank_redeemed", &BankReply::Redeemed(outcomes())),
        sample("bank_noted", &BankReply::Noted),
        sample("bank_reject", &BankReply::Reject(Reject::new(RejectCode::Funds, "no"))),
        sample("bank_reply_pages", &BankReply::Pages(Text::cut("https://bank.example.org"))),
    ]
}

fn info() -> Info {
    Info {
        network: Text::cut("town"),
        broker: key(1).public(),
        name: Text::cut("the bank"),
        contact: Text::cut("bank@example.org"),
        denomination: Text::cut("1 cent"),
        voucher_needed: true,
        bond: Coins(20),
        held_for: DAY,
        false_accusation: Coins(10),
    }
}

fn statement() -> Account {
    let line = StatementLine {
        number: 13,
        at: NOW,
        what: Text::cut("a chain of 100"),
        change: -100,
        balance: Coins(900),
    };
    Account {
        balance: Coins(900),
        pending: Coins(5),
        bond: Coins(20),
        frozen: Some(Text::cut("it sold junk")),
        held: List::first_of([Held { chain: chain(), j: SegmentNo(3), coins: Coins(5), until: NOW }]),
        membership: Some(membership()),
        lines: List::first_of([line]),
    }
}

fn outcomes() -> List<(ChainId, SegmentNo, Outcome), 24> {
    let pending = Outcome::Pending { coins: Coins(5), until: NOW.plus(DAY) };
    let refused = Outcome::Refused(Reject::new(RejectCode::NotYours, "not yours"));
    let outcomes = [Outcome::Paid(Coins(5)), pending, refused];
    List::first_of((1..).zip(outcomes).map(|(j, outcome)| (chain(), SegmentNo(j), outcome)))
}

fn index() -> Vec<Sample> {
    vec![
        stored::<Listing>("listing"),
        stored::<Card>("card"),
        stored::<PutListing>("put_listing"),
        stored::<IndexRequest>("index_put_listings"),
        stored::<IndexRequest>("index_get_listings"),
        stored::<IndexRequest>("index_put_card"),
        stored::<IndexRequest>("index_get_cards"),
        stored::<IndexReply>("index_put"),
        stored::<IndexReply>("index_listings"),
        stored::<IndexReply>("index_card"),
        stored::<IndexReply>("index_cards"),
        stored::<IndexReply>("index_refused"),
        stored::<BrowseRequest>("browse_request"),
        stored::<BrowseReply>("browse_reply"),
    ]
}

/// Compares a value's encoding with its golden bytes, and those decoded with the value.
pub fn golden<T: Wire + PartialEq + Debug>(name: &str, value: &T) {
    check(name, &encode(value));
    assert_eq!(decode::<T>(&encode(value)).as_ref(), Ok(value), "{name}");
}

/// Compares bytes with the golden ones of this name; writes those if asked to.
pub fn check(name: &str, bytes: &[u8]) {
    let path = vector(name);
    if std::env::var_os("NETPAY_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n", HEXLOWER.encode(bytes))).expect("writable");
    }
    let text = std::fs::read_to_string(&path).expect("a vector for each message");
    assert_eq!(HEXLOWER.encode(bytes), text.trim(), "{name}");
}

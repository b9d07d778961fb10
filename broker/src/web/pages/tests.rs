//! Every page, made of views that strangers had a hand in: with much, and with nothing.

#[path = "../../../../node/src/ui/tests/holds.rs"]
mod holds;

use super::account::{Base, Rows};
use super::accounts::Typed;
use super::overview::{CoinDay, Overview};
use super::{
    Context, account, accounts, books, chains, disputes, error, home, login, overview, payouts, redemptions,
    register, software, vouchers,
};
use crate::admin::lists::Whole;
use crate::admin::view::{
    AccountView, AuditView, BooksView, ChainView, DealView, DisputeView, HeldView, JunkView, LineView,
    PageView, PayoutView, ProofView, RedemptionView, SideView, SignatureView, StatusView, VouchersView,
};
use crate::errors;
use crate::service::Terms;
use holds::{HOSTILE, all, harmless, holds};
use netpay_core::amount::Coins;
use netpay_core::wire::bank::MAX_HELD;
use netpay_node::ui::layout::Notice;
use netpay_node::ui::parts::Tone;
use scraper::Html;

const ID: &str = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069";
const AT: &str = "2026-11-28T15:00:00Z";
const INVITE: &str =
    "netpay://7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069@main/ip4/127.0.0.1/tcp/1";

fn terms(full: bool) -> Terms {
    Terms {
        denomination: HOSTILE.to_owned(),
        voucher_needed: full,
        bond: Coins(if full { 20 } else { 0 }),
        ..Terms::new(HOSTILE, HOSTILE, HOSTILE)
    }
}

fn public() -> Context {
    Context::public(HOSTILE, "c5rf", 3)
}

fn desk() -> Context {
    let notice = Notice { tone: Tone::Good, text: HOSTILE.to_owned() };
    Context::desk(HOSTILE, "c5rf", (3, true), Some(notice))
}

fn an_account(full: bool) -> AccountView {
    AccountView {
        account: ID.to_owned(),
        name: if full { HOSTILE.to_owned() } else { String::new() },
        since: AT.to_owned(),
        balance: if full { 1 << 53 } else { 0 },
        pending: 1,
        held: vec![
            HeldView { chain: ID.to_owned(), segment: 3, coins: 12, until: AT.to_owned() };
            if full { MAX_HELD } else { 0 }
        ],
        bond: 20,
        frozen: full.then(|| HOSTILE.to_owned()),
        closed: full.then(|| AT.to_owned()),
        nodes: vec![ID.to_owned(); if full { 8 } else { 0 }],
        lines: Vec::new(),
    }
}

fn a_chain(settled: bool) -> ChainView {
    ChainView {
        chain: ID.to_owned(),
        buyer: ID.to_owned(),
        n: 16_384,
        paid: 5_000,
        refunded: if settled { 11_384 } else { 0 },
        outstanding: if settled { 0 } else { 11_384 },
        waiting: if settled { 0 } else { 384 },
        claims: 2,
        committee: 20,
        issued: AT.to_owned(),
        spend_by: AT.to_owned(),
        redeem_by: AT.to_owned(),
        retired: !settled,
        settled: settled.then(|| AT.to_owned()),
        redemptions: vec![a_claim(true), a_claim(false)],
    }
}

fn a_claim(paid: bool) -> RedemptionView {
    RedemptionView {
        record: 7,
        chain: ID.to_owned(),
        segment: 1,
        account: ID.to_owned(),
        start: 0,
        end: 10,
        paid,
        void: false,
        coins: 10,
        until: (!paid).then(|| AT.to_owned()),
        disputable: (!paid).then(|| AT.to_owned()),
        opened: true,
        acks: 14,
        made_up: 3,
        short: 2,
    }
}

fn a_payout(paid: bool) -> PayoutView {
    PayoutView {
        number: "00112233445566778899aabbccddeeff".to_owned(),
        account: ID.to_owned(),
        coins: 12,
        to: HOSTILE.to_owned(),
        asked: AT.to_owned(),
        paid: paid.then(|| AT.to_owned()),
        reference: paid.then(|| HOSTILE.to_owned()),
    }
}

fn a_dispute(accused: &str, sides: usize) -> DisputeView {
    let side = SideView {
        open: ID.to_owned(),
        segment: 1,
        holder: Some(ID.to_owned()),
        start: 0,
        end: 16,
        closed: None,
        claims: vec![a_claim(false)],
    };
    DisputeView {
        id: format!("buyer-{ID}"),
        accused: accused.to_owned(),
        account: Some(ID.to_owned()),
        name: Some(HOSTILE.to_owned()),
        node: Some(ID.to_owned()),
        chain: ID.to_owned(),
        at: AT.to_owned(),
        record: 9,
        made_up: 3,
        short: 1,
        junk: None,
        evidence: Some("00".to_owned()),
        settled: None,
        sides: vec![side; sides],
    }
}

fn a_proof(is_whole: bool) -> ProofView {
    let signed = ["buyer", "vendor"].map(|side| SignatureView {
        what: "the deal".to_owned(),
        side: side.to_owned(),
        key: is_whole.then(|| ID.to_owned()),
        holds: is_whole,
    });
    let deal = DealView {
        deal: ID.to_owned(),
        content: ID.to_owned(),
        size: 1 << 20,
        unit_size: is_whole.then_some(1 << 14),
        first: 0,
        count: 4,
        coins: is_whole.then_some(16),
        key_root: ID.to_owned(),
        made: AT.to_owned(),
    };
    ProofView {
        deal: is_whole.then_some(deal),
        unit: is_whole.then_some(1),
        leaf: 3,
        promised: is_whole.then(|| ID.to_owned()),
        came: is_whole.then(|| ID.to_owned()),
        sealed: is_whole.then(|| ID.to_owned()),
        key: ID.to_owned(),
        key_coin: is_whole.then_some(5),
        key_leads_to_root: is_whole,
        signed: signed.to_vec(),
        judged: (!is_whole).then(|| "a signature in it does not hold".to_owned()),
    }
}

fn of_junk(accused: &str, proof: Option<ProofView>) -> DisputeView {
    let is_vendor = accused == "vendor";
    let junk = JunkView {
        segment: 1,
        open: ID.to_owned(),
        holder: is_vendor.then(|| ID.to_owned()),
        accuser: ID.to_owned(),
        content: is_vendor.then(|| ID.to_owned()),
        claim: is_vendor.then(|| a_claim(false)),
        void: 12,
        paid: 0,
        why: (!is_vendor).then(|| "a signature in it does not hold".to_owned()),
        fee: (!is_vendor).then_some(10),
        verdict: is_vendor.then(|| ID.repeat(4)),
        proof,
    };
    DisputeView { junk: Some(junk), node: None, ..a_dispute(accused, 0) }
}

fn page<T>(items: Vec<T>) -> PageView<T> {
    PageView { next: (!items.is_empty()).then(|| ID.to_owned()), items }
}

fn whole(full: bool) -> Whole {
    let line = LineView { number: 3, at: AT.to_owned(), what: HOSTILE.to_owned(), change: -5, balance: 7 };
    let some = |yes: bool| usize::from(yes);
    Whole {
        account: an_account(full),
        lines: page(vec![line; some(full)]),
        chains: page(vec![a_chain(true); some(full)]),
        redemptions: page(vec![a_claim(true); some(full)]),
        payouts: vec![a_payout(true); some(full)],
    }
}

fn totals() -> BooksView {
    BooksView {
        cash: 105,
        vouchers: 5,
        balances: 40,
        coins: 30,
        payouts: 10,
        bonds: 20,
        issued: 60,
        redeemed: 20,
        refunded: 10,
        balance: true,
    }
}

fn status() -> StatusView {
    StatusView {
        network: HOSTILE.to_owned(),
        name: HOSTILE.to_owned(),
        broker: ID.to_owned(),
        invite: INVITE.to_owned(),
        pages: "http://127.0.0.1:1".to_owned(),
        records: 7,
        accounts: 2,
        alive: 1,
        chains: 3,
        vouchers_sold: 5,
        vouchers_used: 1,
        convictions: 1,
        served: std::collections::BTreeMap::new(),
        books: totals(),
        held_for: 86_400,
        false_accusation: 10,
    }
}

fn public_pages() -> Vec<(&'static str, String)> {
    let context = &public();
    let a_home = |full| home::Home {
        terms: Box::leak(Box::new(terms(full))),
        broker: ID.to_owned(),
        alive: 3,
        invite: INVITE.to_owned(),
    };
    let refused = errors::bad_pass(HOSTILE);
    vec![
        ("home", home::page(context, &a_home(true)).into_string()),
        ("home without terms", home::page(context, &a_home(false)).into_string()),
        ("register", register::page(context, &terms(true), INVITE).into_string()),
        ("register freely", register::page(context, &terms(false), INVITE).into_string()),
        ("software", software::page(context).into_string()),
        ("sign in", account::sign_in(context, None).into_string()),
        ("sign in again", account::sign_in(context, Some(&refused)).into_string()),
        ("entered", account::entered(context).into_string()),
        ("own", account::own(context, &whole(true)).into_string()),
        ("own, new", account::own(context, &whole(false)).into_string()),
        ("own chains", list(context, Base::Own, Rows::Chains(page(vec![a_chain(false)])))),
        ("own lines", list(context, Base::Own, Rows::Statement(whole(true).lines))),
        ("own claims", list(context, Base::Own, Rows::Redemptions(page(vec![a_claim(false)])))),
        ("error", error::page(context, &refused).into_string()),
        ("missing", error::missing(context).into_string()),
    ]
}

fn list(context: &Context, base: Base<'_>, rows: Rows) -> String {
    account::list(context, &base, &rows, true).into_string()
}

fn desk_pages() -> Vec<(&'static str, String)> {
    let context = &desk();
    let day = |day: u64| CoinDay {
        day: format!("2026-11-{day:02}"),
        issued: day,
        redeemed: day / 2,
        refunded: 0,
        outstanding: day,
    };
    let (days, status) = ((1..=30).map(day).collect::<Vec<_>>(), status());
    let overview = |days: &[CoinDay]| {
        overview::page(context, &Overview { status: &status, days, payouts: 2 }).into_string()
    };
    let refused = errors::bad_request(HOSTILE);
    let typed = Typed { coins: HOSTILE, note: HOSTILE };
    let audit = AuditView { records: 7, entries: 14, accounts: 2, chains: 3, books: totals() };
    let codes = VouchersView { value: 25, codes: vec!["AAAA-BBBB".to_owned(); 3] };
    let view = an_account(true);
    let so_far = (7, 3);
    vec![
        ("login", login::page(HOSTILE, Some(&refused)).into_string()),
        ("overview", overview(&days)),
        ("overview of nothing", overview(&[CoinDay::default()])),
        (
            "accounts",
            accounts::page(context, &page(vec![an_account(true), an_account(false)]), HOSTILE, true)
                .into_string(),
        ),
        ("no accounts", accounts::page(context, &page(Vec::new()), "", false).into_string()),
        ("nobody found", accounts::page(context, &page(Vec::new()), HOSTILE, false).into_string()),
        ("account", accounts::one(context, &whole(true), typed, Some(&refused)).into_string()),
        ("new account", accounts::one(context, &whole(false), Typed::default(), None).into_string()),
        ("credit", accounts::ask_credit(context, &view, 5, HOSTILE, "k1").into_string()),
        ("freeze", accounts::ask_freeze(context, &view, HOSTILE).into_string()),
        ("close", accounts::ask_close(context, &an_account(false)).into_string()),
        ("account's chains", list(context, Base::Desk(ID), Rows::Chains(page(vec![a_chain(false)])))),
        ("chains", chains::page(context, &page(vec![a_chain(true), a_chain(false)]), true).into_string()),
        ("no chains", chains::page(context, &page(Vec::new()), false).into_string()),
        ("chain", chains::one(context, &a_chain(false)).into_string()),
        (
            "redemptions",
            redemptions::page(context, &page(vec![a_claim(true), a_claim(false)]), true).into_string(),
        ),
        ("no redemptions", redemptions::page(context, &page(Vec::new()), false).into_string()),
        (
            "payouts",
            payouts::page(context, &page(vec![a_payout(true), a_payout(false)]), true, true, Some(&refused))
                .into_string(),
        ),
        ("no payouts", payouts::page(context, &page(Vec::new()), false, false, None).into_string()),
        ("paid?", payouts::ask_paid(context, &a_payout(false), Some(&refused)).into_string()),
        ("paid", payouts::confirm_paid(context, &a_payout(false), HOSTILE).into_string()),
        (
            "disputes",
            disputes::page(
                context,
                &page(vec![
                    a_dispute("buyer", 0),
                    a_dispute("witness", 0),
                    of_junk("vendor", None),
                    of_junk("accuser", None),
                ]),
                true,
            )
            .into_string(),
        ),
        ("no disputes", disputes::page(context, &page(Vec::new()), false).into_string()),
        ("dispute", disputes::one(context, &a_dispute("buyer", 2)).into_string()),
        ("witness", disputes::one(context, &a_dispute("witness", 0)).into_string()),
        ("junk", disputes::one(context, &of_junk("vendor", Some(a_proof(true)))).into_string()),
        ("nonsense", disputes::one(context, &of_junk("accuser", Some(a_proof(false)))).into_string()),
        ("not kept", disputes::one(context, &of_junk("accuser", None)).into_string()),
        ("books", books::page(context, &totals(), None).into_string()),
        ("books proven", books::page(context, &totals(), Some(Ok(&audit))).into_string()),
        ("books broken", books::page(context, &totals(), Some(Err(&errors::books(HOSTILE)))).into_string()),
        ("backup", books::ask_backup(context).into_string()),
        (
            "vouchers",
            vouchers::page(
                context,
                so_far,
                vouchers::Typed { value: HOSTILE, count: HOSTILE },
                Some(&refused),
            )
            .into_string(),
        ),
        ("vouchers?", vouchers::ask(context, 25, 3, "k1").into_string()),
        ("codes", vouchers::made(context, &codes).into_string()),
        ("error", error::page(context, &refused).into_string()),
        ("missing", error::missing(context).into_string()),
    ]
}

#[test]
fn every_page_can_be_read_heard_and_used_and_loads_nothing_from_elsewhere() {
    for (name, text) in public_pages().into_iter().chain(desk_pages()) {
        holds(name, &text);
    }
}

#[test]
fn what_strangers_call_themselves_is_shown_and_does_nothing() {
    for (name, text) in public_pages().into_iter().chain(desk_pages()) {
        harmless(name, &text);
    }
}

#[test]
fn every_act_of_the_operator_shows_its_command() {
    for (name, text) in desk_pages() {
        let page = Html::parse_document(&text);
        let acts = all(&page, "main form[method=post]");
        let acts = acts.iter().filter(|form| form.attr("action") != Some("/logout")).count();
        let commands = all(&page, "details.command code");
        assert!(acts == 0 || !commands.is_empty(), "{name} has an act without a command");
        for command in commands {
            let words: String = command.text().collect();
            assert!(words.starts_with("netpay-broker "), "{name}: {words}");
        }
    }
}

#[test]
fn a_chain_is_drawn_as_what_became_of_its_coins() {
    let drawn = account::chain_bar(&a_chain(false)).into_string();
    assert!(
        drawn.contains("5,000 paid to vendors, 384 claimed, waiting, 11,000 left, 0 gone back"),
        "{drawn}"
    );
    assert!(drawn.contains(r#"class="spent" x="0""#) && !drawn.contains("retired"), "{drawn}");
    let settled = account::chain_bar(&a_chain(true)).into_string();
    assert!(
        settled.contains(r#"class="retired" x="305""#) && !settled.contains(r#"class="free""#),
        "{settled}"
    );
}

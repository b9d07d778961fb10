//! Pages made of views that other peers had a hand in.

use super::holds::{HOSTILE, all, harmless, holds};
use crate::app::settle::Waiting;
use crate::app::view::{
    BrokerView, CertificationView, ChainView, DisputeState, DisputeView, DownloadState, DownloadView,
    ErrorView, Found, HandoffView, HeldView, HistoryLine, PeerView, Quote, SaleView, SharedFile, TillView,
    TimelineEntry, WalletView,
};
use crate::config::Setting;
use crate::ui::layout::Notice;
use crate::ui::pages::downloads::InDispute;
use crate::ui::pages::files::{Files, Typed};
use crate::ui::pages::purchase::Purchase;
use crate::ui::pages::sales::{FileSum, Sales};
use crate::ui::pages::search::{self, Outcome};
use crate::ui::pages::settings::{EDITED, Settings};
use crate::ui::pages::wallet::Wallet;
use crate::ui::pages::welcome::Home;
use crate::ui::pages::{
    Context, downloads, error, files, login, peers, purchase, sales, settings, wallet, welcome,
};
use crate::ui::parts::{Day, Pages, Tone};
use netpay_core::fair::policy::{Fair, Mode};
use scraper::Html;

const ID: &str = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069";

fn context() -> Context {
    Context {
        owner: HOSTILE.to_owned(),
        csrf: "c5rf".to_owned(),
        notice: Some(Notice { tone: Tone::Good, text: HOSTILE.to_owned() }),
        ..Context::default()
    }
}

fn problem() -> ErrorView {
    crate::errors::not_enough_coins(HOSTILE, 12, 7, 5, Some(4))
}

fn found(n: u64) -> Found {
    Found {
        id: ID.to_owned(),
        name: HOSTILE.to_owned(),
        size: 123_456_789,
        price: n,
        tags: vec![HOSTILE.to_owned()],
        vendor: ID.to_owned(),
        vendor_name: Some(HOSTILE.to_owned()),
        online: n.is_multiple_of(2),
        ..Found::default()
    }
}

fn shared(n: usize) -> SharedFile {
    SharedFile {
        id: format!("{n:016x}{:048x}", 0),
        name: HOSTILE.to_owned(),
        path: format!("/home/{HOSTILE}"),
        size: 1 << 40,
        price: 1_048_576,
        tags: vec![HOSTILE.to_owned(), "b".to_owned()],
        sold: 12_345,
        earned: 678_901,
        present: n.is_multiple_of(2),
    }
}

fn download(id: u64, state: DownloadState) -> DownloadView {
    let happened = [
        "quoted",
        "ordered",
        "handoff",
        "complete",
        "receipt",
        "done",
        "failed",
        "what is this",
        "deal",
        "sealed",
        "junk",
        "key",
        "convicted",
        "not convicted",
        "settled",
    ];
    let entry = |what: &&str| TimelineEntry {
        at: 1_800_000_000_000,
        what: (*what).to_owned(),
        detail: HOSTILE.to_owned(),
    };
    DownloadView {
        id,
        root: ID.to_owned(),
        name: HOSTILE.to_owned(),
        size: 1000,
        have: 999,
        price: 12,
        paid: 11,
        state,
        error: (state == DownloadState::Failed).then(problem),
        path: format!("/home/{HOSTILE}"),
        vendors: vec![ID.to_owned()],
        timeline: happened.iter().map(entry).collect(),
        rate: 1,
        ..DownloadView::default()
    }
}

fn downloads_of_all_kinds() -> Vec<DownloadView> {
    use DownloadState::{Cancelled, Done, Failed, Paused, Running, Waiting};
    (1..)
        .zip([Waiting, Running, Paused, Done, Failed, Cancelled])
        .map(|(id, state)| download(id, state))
        .collect()
}

fn in_dispute() -> InDispute {
    use DisputeState::{Accused, Convicted, KeyMissing, Rejected};
    let dispute = |state| DisputeView {
        id: ID.to_owned(),
        download: 5,
        name: HOSTILE.to_owned(),
        vendor: ID.to_owned(),
        coins: 4,
        units: 1,
        at: 1_800_000_000,
        state,
        why: HOSTILE.to_owned(),
        ..DisputeView::default()
    };
    InDispute {
        disputes: [KeyMissing, Accused, Convicted, Rejected].map(dispute).to_vec(),
        names: downloads::Names::from([(ID.to_owned(), HOSTILE.to_owned())]),
    }
}

fn broker(registered: bool) -> BrokerView {
    BrokerView {
        name: Some(HOSTILE.to_owned()),
        contact: Some(HOSTILE.to_owned()),
        denomination: Some(HOSTILE.to_owned()),
        frozen: registered,
        frozen_because: registered.then(|| HOSTILE.to_owned()),
        held_for: Some(86_400),
        false_accusation: Some(10),
        registered,
        ..BrokerView::default()
    }
}

fn peer() -> PeerView {
    PeerView {
        node: ID.to_owned(),
        name: Some(HOSTILE.to_owned()),
        addresses: vec![HOSTILE.to_owned()],
        round_trip: Some(1_234),
        files: Some(3),
        ..PeerView::default()
    }
}

fn purchases(context: &Context) -> Vec<(&'static str, String)> {
    let ask = |price, spendable, locked| {
        let quote = Quote {
            id: ID.to_owned(),
            name: HOSTILE.to_owned(),
            price,
            spendable,
            vendors: vec![found(1), found(2)],
            ..Quote::default()
        };
        let asked = Purchase {
            quote,
            from: Some(ID.to_owned()),
            ways: vec![
                (Fair::Auto, Mode::Fair, 0),
                (Fair::Always, Mode::Fair, 0),
                (Fair::Never, Mode::Plain, 1),
            ],
            fair: Fair::Auto,
            locked,
            key: "k".to_owned(),
            back: "/search".to_owned(),
        };
        purchase::page(context, &asked).into_string()
    };
    vec![
        ("a purchase", ask(12, 38, false)),
        ("a gift", ask(0, 0, true)),
        ("too dear a purchase", ask(12, 7, false)),
        ("a purchase while locked", ask(12, 0, true)),
    ]
}

fn wallets(context: &Context) -> Vec<(&'static str, String)> {
    let view = WalletView {
        spendable: 88,
        at_broker: Some(12),
        pending: 3,
        held: vec![HeldView { chain: ID.to_owned(), segment: 1, coins: 3, until: 1_800_000_000 }],
        ..WalletView::default()
    };
    let chain = |retired| ChainView {
        id: ID.to_owned(),
        total: 100,
        spent: 12,
        leased: 3,
        free: 85,
        spend_by: 2,
        retired,
        ..ChainView::default()
    };
    let chains = [chain(false), chain(true)];
    let error = problem();
    let page = |wallet: Option<WalletView>, registered, error| {
        let shown = Wallet {
            wallet,
            lockable: true,
            chains: &chains,
            broker: broker(registered),
            coins: "12",
            error,
            key: "k".to_owned(),
            ..Wallet::default()
        };
        wallet::page(context, &shown).into_string()
    };
    let line = HistoryLine { number: 1, at: 1, what: HOSTILE.to_owned(), change: -5, balance: 7 };
    vec![
        ("the wallet", page(Some(view.clone()), true, None)),
        ("the wallet, unregistered", page(Some(view.clone()), false, Some(&error))),
        ("the wallet, locked", page(None, true, None)),
        ("buying coins", wallet::ask_buy(context, 5, &view, &broker(true), "k").into_string()),
        ("giving one up", wallet::ask_retire(context, Some(&chains[0]), 88).into_string()),
        ("giving all up", wallet::ask_retire(context, None, 88).into_string()),
        ("the statement", wallet::history(context, Ok(&[line]), &Pages::default()).into_string()),
        ("no statement", wallet::history(context, Err(&problem()), &Pages::default()).into_string()),
    ]
}

fn the_sales(context: &Context, many: usize) -> String {
    let sale = SaleView {
        at: 1,
        root: ID.to_owned(),
        name: HOSTILE.to_owned(),
        buyer: ID.to_owned(),
        coins: 1,
        units: 1,
    };
    let day = |n: u64| Day { day: crate::shown::day(n * 86_400), count: n, coins: n * n };
    let shown = Sales {
        count: u64::try_from(many).expect("a number"),
        coins: 5,
        days: &(0..30).map(day).collect::<Vec<_>>(),
        files: &[FileSum { root: ID.to_owned(), name: HOSTILE.to_owned(), count: 1, coins: 2 }],
        sales: &vec![sale; many],
        wallet: WalletView { earned: 5, ..WalletView::default() },
        waiting: Waiting { coins: 3, held: 2, held_until: Some(1_800_000_000) },
        till: &[
            TillView {
                chain: ID.to_owned(),
                segment: 1,
                coins: 1,
                state: HOSTILE.to_owned(),
                ..TillView::default()
            },
            TillView {
                coins: 2,
                state: "pending".to_owned(),
                until: Some(1),
                held: true,
                ..TillView::default()
            },
        ],
        certifications: &[CertificationView::default()],
        handoffs: &[HandoffView::default()],
        ..Sales::default()
    };
    sales::page(context, &shown).into_string()
}

fn the_files(context: &Context, many: usize) -> String {
    let list: Vec<SharedFile> = (0..many).map(shared).collect();
    let error = problem();
    let typed = Typed { path: HOSTILE.to_owned(), price: HOSTILE.to_owned(), ..Typed::default() };
    let pages = Pages::of(50, many, 10_000, 50, |at| format!("/files?at={at}"));
    let shown = Files { shared: &list, pages, words: HOSTILE, typed, error: Some(&error), upload_limit: 5 };
    files::page(context, &shown).into_string()
}

fn the_settings(context: &Context) -> String {
    let setting = |(key, ..): &(&str, &str, &str, settings::Ask)| Setting {
        key: (*key).to_owned(),
        value: HOSTILE.to_owned(),
        origin: "env NETPAY_NAME".to_owned(),
    };
    let shown = Settings {
        settings: &EDITED.iter().map(setting).collect::<Vec<_>>(),
        error: Some(&problem()),
        addresses: &[HOSTILE.to_owned()],
        invite: HOSTILE.to_owned(),
        has_password: true,
        ..Settings::default()
    };
    settings::page(context, &shown).into_string()
}

/// Every page, made of hostile views.
fn every_page() -> Vec<(&'static str, String)> {
    let context = &context();
    let typed = search::Typed {
        words: HOSTILE.to_owned(),
        max_price: HOSTILE.to_owned(),
        ..search::Typed::default()
    };
    let list = [found(0), found(1)];
    let find = |outcome: &Outcome<'_>| search::page(context, &typed, outcome).into_string();
    let home = |named| Home {
        name: HOSTILE.to_owned(),
        named,
        network: "main".to_owned(),
        broker: broker(named),
        chains: 1,
        shared: 1,
        newest: vec![download(1, DownloadState::Running)],
        ..Home::default()
    };
    let view = download(4, DownloadState::Failed);
    let mut pages = vec![
        ("welcome", welcome::page(context, &home(false)).into_string()),
        ("home", welcome::page(context, &home(true)).into_string()),
        ("search", find(&Outcome::Nothing)),
        ("search found", find(&Outcome::Found(&list, Pages::default()))),
        ("search found nothing", find(&Outcome::Found(&[], Pages::default()))),
        ("search refused", find(&Outcome::Refused(&problem()))),
        (
            "downloads",
            downloads::page(context, &downloads_of_all_kinds(), &Pages::default(), &in_dispute())
                .into_string(),
        ),
        (
            "no downloads",
            downloads::page(context, &[], &Pages::default(), &InDispute::default()).into_string(),
        ),
        ("a download", downloads::detail(context, &view, &in_dispute()).into_string()),
        ("cancel", downloads::cancel(context, &view).into_string()),
        ("files", the_files(context, 3)),
        ("no files", files::page(context, &Files::default()).into_string()),
        ("remove", files::remove(context, &shared(1)).into_string()),
        (
            "peers",
            peers::page(context, &[peer()], &Pages::default(), HOSTILE, Some(&problem())).into_string(),
        ),
        ("no peers", peers::page(context, &[], &Pages::default(), "", None).into_string()),
        ("a peer", peers::browse(context, &peer(), Ok(&list), &Pages::default()).into_string()),
        (
            "a peer that is away",
            peers::browse(context, &peer(), Err(&problem()), &Pages::default()).into_string(),
        ),
        ("sales", the_sales(context, 3)),
        ("no sales", the_sales(context, 0)),
        ("settings", the_settings(context)),
        ("stop", settings::ask_stop(context, 2).into_string()),
        ("remove the password", settings::ask_remove_password(context).into_string()),
        ("stopped", settings::stopped().into_string()),
        ("login", login::page(true, Some(&problem())).into_string()),
        ("an error", error::page(context, &problem()).into_string()),
        ("missing", error::missing(context).into_string()),
    ];
    pages.extend(purchases(context));
    pages.extend(wallets(context));
    pages
}

#[test]
fn every_page_can_be_read_heard_and_used_and_loads_nothing_from_elsewhere() {
    for (name, text) in every_page() {
        holds(name, &text);
    }
}

#[test]
fn what_strangers_call_things_is_shown_and_does_nothing() {
    for (name, text) in every_page() {
        harmless(name, &text);
    }
    let shown = crate::ui::parts::foreign(HOSTILE).into_string();
    let page = Html::parse_fragment(&shown);
    let text: String = page.root_element().text().collect();
    assert_eq!(text, crate::shown::foreign(HOSTILE));
    let odd: Vec<String> = all(&page, ".odd").iter().map(|odd| odd.text().collect()).collect();
    assert_eq!(odd, ["\\u{202e}", "\\u{1b}", "\\u{200b}"]);
}

#[test]
fn what_is_spent_or_destroyed_is_asked_about_with_amount_and_party() {
    let context = context();
    let words = |text: &str| Html::parse_document(text).root_element().text().collect::<String>();
    let bought = words(&purchases(&context)[0].1);
    for told in ["12 coins", "38 coins", "26 coins", "at most 1 coin", "alert(1)"] {
        assert!(bought.contains(told), "{told} is not told: {bought}");
    }
    let called_off = words(&downloads::cancel(&context, &download(4, DownloadState::Running)).into_string());
    assert!(called_off.contains("11 coins paid for it are gone"), "{called_off}");
    let given_up = words(&wallet::ask_retire(&context, None, 88).into_string());
    assert!(given_up.contains("88 coins"), "{given_up}");
}

#[test]
fn the_mode_is_chosen_in_the_question_and_what_each_could_cost_is_told() {
    let pages = purchases(&context());
    let page = Html::parse_document(&pages[0].1);
    let choice = all(&page, "select[name=fair]");
    // It stands in the question, and goes along with the yes.
    assert_eq!(choice[0].attr("form"), all(&page, "form[action='/buy']")[0].attr("id"));
    let words: Vec<String> =
        all(&page, "select[name=fair] option").iter().map(|option| option.text().collect()).collect();
    assert_eq!(words, ["Automatic: in fair mode", "Always in fair mode", "Never in fair mode"]);
    let text: String = page.root_element().text().collect();
    for told in
        ["In fair mode: pieces come under seal", "lose nothing but time", "at most 1 coin is paid before"]
    {
        assert!(text.contains(told), "{told} is not told: {text}");
    }
    // What is free is in no mode.
    assert!(all(&Html::parse_document(&pages[1].1), "select").is_empty());
}

#[test]
fn open_disputes_can_be_taken_to_the_broker_and_judged_ones_are_told() {
    let view = download(5, DownloadState::Failed);
    let whole = downloads::page(&context(), std::slice::from_ref(&view), &Pages::default(), &in_dispute());
    let one = downloads::detail(&context(), &view, &in_dispute());
    for page in [whole, one] {
        let page = Html::parse_document(&page.into_string());
        assert_eq!(all(&page, "form[action='/downloads/5/dispute']").len(), 2);
        let badges = all(&page, "#disputes ~ .scroll tbody .badge");
        let states: Vec<String> = badges.iter().map(|badge| badge.text().collect()).collect();
        assert_eq!(states, ["key missing", "accused", "convicted", "rejected"]);
    }
    let text = downloads::detail(&context(), &view, &in_dispute()).into_string();
    assert!(text.contains("They are not lost"), "{text}");
    for told in ["Junk from", "Key from the broker", "is convicted", "is not convicted", "Asked", "Deal with"]
    {
        assert!(text.contains(told), "{told} is not told: {text}");
    }
}

#[test]
fn what_is_held_for_a_day_is_not_offered_for_redemption() {
    let page = the_sales(&context(), 3);
    let text: String = Html::parse_document(&page).root_element().text().collect();
    assert!(text.contains("Redeem 2 coins"), "5 were earned, and 3 wait: {text}");
    assert!(text.contains("2 coins are held until 2027-01-15 08:00:00Z"), "{text}");
    assert!(text.contains("held until 1970-01-01 00:00:01Z"), "{text}");
}

#[test]
fn who_cannot_pay_is_offered_coins_and_no_button_that_fails() {
    let pages = purchases(&context());
    for (at, href) in [(2, "/wallet#buy"), (3, "/wallet#unlock")] {
        let page = Html::parse_document(&pages[at].1);
        assert!(all(&page, "form[action='/buy']").is_empty());
        assert_eq!(all(&page, &format!("a[href='{href}']")).len(), 1);
    }
    // What costs nothing needs no wallet.
    assert_eq!(all(&Html::parse_document(&pages[1].1), "form[action='/buy']").len(), 1);
}

#[test]
fn a_state_is_told_by_a_word_and_an_icon_beside_its_colour() {
    let page =
        downloads::page(&context(), &downloads_of_all_kinds(), &Pages::default(), &InDispute::default())
            .into_string();
    let page = Html::parse_document(&page);
    let badges = all(&page, "table .badge");
    assert_eq!(badges.len(), 6);
    for badge in badges {
        assert!(!badge.text().collect::<String>().is_empty());
        assert!(badge.html().contains("<use"), "{}", badge.html());
    }
}

#[test]
fn only_downloads_that_move_are_asked_for_and_only_new_states_bring_new_buttons() {
    let views = downloads_of_all_kinds();
    let page = downloads::page(&context(), &views, &Pages::default(), &InDispute::default()).into_string();
    let page = Html::parse_document(&page);
    let poll = all(&page, "#poll");
    assert_eq!(poll[0].attr("hx-get"), Some("/live/downloads?seen=1-waiting,2-running"));
    assert_eq!(poll[0].attr("hx-trigger"), Some("every 300ms"));
    let seen = [(1, "waiting".to_owned()), (2, "waiting".to_owned())].into();
    let changes = downloads::changes(&context(), &views[..2], &seen).into_string();
    let changes = Html::parse_fragment(&changes);
    assert_eq!(all(&changes, "#progress-1, #progress-2").len(), 2);
    assert_eq!((all(&changes, "#acts-1").len(), all(&changes, "#acts-2").len()), (0, 1));
    let at_rest = downloads::poll(&views[2..]).into_string();
    assert!(!at_rest.contains("hx-"), "{at_rest}");
}

#[test]
fn a_first_visit_loads_little_and_a_full_list_stays_small() {
    let context = Context { csrf: "c".repeat(64), ..Context::default() };
    let home = Home { name: "ann".to_owned(), ..Home::default() };
    let first = welcome::page(&context, &home).into_string().len() + crate::ui::assets::total();
    assert!(first <= 100_000, "{first} bytes");
    let mut list: Vec<SharedFile> = (0..50).map(shared).collect();
    for file in &mut list {
        file.name = "lecture-07.mp4".to_owned();
        file.path = "/home/ann/lectures/lecture-07.mp4".to_owned();
        file.tags = vec!["physics".to_owned(), "waves".to_owned()];
    }
    let files = Files { shared: &list, ..Files::default() };
    let page = files::page(&context, &files).into_string().len();
    assert!(page <= 100_000, "{page} bytes");
}

#[test]
fn every_file_that_pages_refer_to_is_there() {
    for name in ["style.css", "app.js", "htmx.min.js", "icons.svg", "mark.svg"] {
        assert!(
            crate::ui::assets::url(name).split_once("?v=").is_some_and(|(_, hash)| hash.len() == 8),
            "{name}"
        );
    }
    let icons = include_str!("../assets/icons.svg");
    for (name, text) in every_page() {
        for used in all(&Html::parse_document(&text), "use") {
            let icon = used.attr("href").and_then(|href| href.split_once('#')).expect("an icon").1;
            assert!(icons.contains(&format!("id=\"{icon}\"")), "{name}: no icon {icon}");
        }
    }
}

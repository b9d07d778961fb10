//! One account: what it holds, what it bought, what it earned. Its owner sees it on the public's pages, the operator on his
//! own, where more can be done with it.

use super::{Context, chain_link, on_day, pages, sign_out, when};
use crate::admin::lists::{self, Whole};
use crate::admin::view::{AccountView, ChainView, HeldView, LineView, PageView, PayoutView, RedemptionView};
use crate::errors::{self, ErrorView};
use crate::ledger::Ledger;
use maud::{Markup, html};
use netpay_core::keys::PublicKey;
use netpay_core::wire::bank::MAX_HELD;
use netpay_node::ui::parts::{
    self, Column, Tone, badge, change, coins_bar, error_box, facts, figure, foreign, legend_of, money,
    nothing, pager, table, title,
};

/// What the colours of a chain's bar mean: their classes and words.
pub const COLOURS: [(&str, &str); 4] = [
    ("spent", "paid to vendors"),
    ("leased", "claimed, waiting"),
    ("free", "left"),
    ("retired", "gone back"),
];

/// On whose pages an account is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base<'a> {
    /// Its owner's.
    Own,
    /// The operator's; the account's key.
    Desk(&'a str),
}

impl Base<'_> {
    fn address(&self, list: &str) -> String {
        match self {
            Self::Own => format!("/account/{list}"),
            Self::Desk(account) => format!("/accounts/{account}/{list}"),
        }
    }

    fn chain(&self, chain: &str) -> Markup {
        match self {
            Self::Own => parts::id(chain),
            Self::Desk(_) => chain_link(chain),
        }
    }
}

/// One of an account's lists, and where a page of it begins.
#[derive(Clone, Copy, Debug)]
pub enum List {
    /// The statement, before a line.
    Statement(Option<u64>),
    /// The chains, before a place.
    Chains(Option<usize>),
    /// The redemptions, before a place.
    Redemptions(Option<usize>),
}

/// The rows of one page of it.
#[derive(Clone, Debug)]
pub enum Rows {
    /// Lines of the statement.
    Statement(PageView<LineView>),
    /// Chains.
    Chains(PageView<ChainView>),
    /// Claims.
    Redemptions(PageView<RedemptionView>),
}

impl List {
    /// The rows of a page.
    #[must_use]
    pub fn read(&self, ledger: &Ledger, account: &PublicKey, limit: usize) -> Rows {
        match self {
            Self::Statement(before) => Rows::Statement(lists::lines_of(ledger, account, *before, limit)),
            Self::Chains(before) => Rows::Chains(lists::chains_of(ledger, account, *before, limit)),
            Self::Redemptions(before) => {
                Rows::Redemptions(lists::redemptions_of(ledger, account, *before, limit))
            }
        }
    }
}

/// The list of that name, from a place on.
///
/// # Errors
/// If there is none, or no such place.
pub fn listed(name: &str, before: Option<&str>) -> Result<List, ErrorView> {
    let bad = |text: &str| errors::bad_cursor(text);
    let place = || before.map(|text| text.parse().map_err(|_| bad(text))).transpose();
    match name {
        "statement" => {
            let line = before.map(|text| text.parse().map_err(|_| bad(text))).transpose()?;
            Ok(List::Statement(line))
        }
        "chains" => Ok(List::Chains(place()?)),
        "redemptions" => Ok(List::Redemptions(place()?)),
        _ => Err(errors::not_found("list", name)),
    }
}

/// The owner's page.
#[must_use]
pub fn own(context: &Context, whole: &Whole) -> Markup {
    let body = html! {
        (title("My account", &sign_out(context, "/account/leave")))
        (standing(&whole.account))
        (figures(&whole.account))
        (held(&Base::Own, &whole.account))
        (lists_of(&Base::Own, whole))
        (about(&whole.account))
    };
    context.page("/account", "My account", &body)
}

/// What is wrong with it, if anything is.
#[must_use]
pub fn standing(account: &AccountView) -> Markup {
    html! {
        @if let Some(why) = &account.frozen {
            section.error role="alert" aria-label="Frozen" {
                (parts::icon("warning"))
                div {
                    p.what { "This account is frozen" }
                    p { span.label { "Why" } " " (foreign(why)) }
                    p {
                        span.label { "What that means" }
                        " It can neither buy coins nor be paid out, and its nodes are members no more. What it has stays \
                         its own: ask the operator."
                    }
                }
            }
        }
        @if let Some(at) = &account.closed {
            p.notice.warn role="status" {
                (parts::icon("warning"))
                span { "This account was closed on " (when(at)) ". Registering again opens it again." }
            }
        }
    }
}

/// What it holds.
#[must_use]
pub fn figures(account: &AccountView) -> Markup {
    html! {
        dl.figures {
            (figure("Balance", &money(account.balance), "buys coins, or is paid out"))
            (figure("Waiting", &money(account.pending), "claims not paid yet"))
            (figure("Bond", &money(account.bond), "set aside, part of no balance"))
        }
    }
}

/// What waits of fair mode, and until when; nothing if nothing does.
#[must_use]
pub fn held(base: &Base<'_>, account: &AccountView) -> Markup {
    let columns =
        [Column::name("Chain"), Column::text("Segment"), Column::amount("Coins"), Column::text("Paid from")];
    let row = |held: &HeldView| {
        vec![base.chain(&held.chain), html! { (held.segment) }, money(held.coins), when(&held.until)]
    };
    html! {
        @if !account.held.is_empty() {
            section.stack aria-labelledby="held" {
                h2 #held { "Held" }
                p.hint {
                    "Claims of fair mode are paid when their buyers can dispute them no more. If one is found to be of junk, \
                     nothing of it is paid, and the account is frozen."
                }
                (table(
                    "Claims of fair mode that wait, the next to be paid first",
                    &columns,
                    &account.held.iter().map(row).collect::<Vec<_>>(),
                ))
                @if account.held.len() == MAX_HELD { p.hint { "There may be more: these are the first." } }
            }
        }
    }
}

/// Who it is.
#[must_use]
pub fn about(account: &AccountView) -> Markup {
    html! {
        section.card aria-labelledby="about" {
            h2 #about { "The account" }
            (facts(&[
                ("Calls itself", foreign(&account.name)),
                ("Key", html! { code { (account.account) } }),
                ("Since", when(&account.since)),
                ("State", state(account)),
                ("Nodes", html! {
                    @if account.nodes.is_empty() { "none" }
                    @for node in &account.nodes { span.sub { code { (node) } } }
                }),
            ]))
        }
    }
}

/// How it stands, in a word.
#[must_use]
pub fn state(account: &AccountView) -> Markup {
    match (&account.frozen, &account.closed) {
        (Some(_), _) => badge(Tone::Bad, "frozen"),
        (None, Some(_)) => badge(Tone::Idle, "closed"),
        (None, None) => badge(Tone::Good, "open"),
    }
}

/// The beginning of each list.
#[must_use]
pub fn lists_of(base: &Base<'_>, whole: &Whole) -> Markup {
    let more = |list: &str, next: Option<&String>| {
        html! { @if next.is_some() { p { a href=(base.address(list)) { "All of it" } } } }
    };
    html! {
        section.stack aria-labelledby="statement" {
            h2 #statement { "Statement" }
            (lines(&whole.lines.items))
            (more("statement", whole.lines.next.as_ref()))
        }
        section.stack aria-labelledby="chains" {
            h2 #chains { "Coins bought" }
            (chains(base, &whole.chains.items))
            (more("chains", whole.chains.next.as_ref()))
        }
        section.stack aria-labelledby="redemptions" {
            h2 #redemptions { "Redeemed" }
            (redemptions(base, &whole.redemptions.items))
            (more("redemptions", whole.redemptions.next.as_ref()))
        }
        section.stack aria-labelledby="payouts" {
            h2 #payouts { "Payouts" }
            (payouts(&whole.payouts))
        }
    }
}

/// A page of one list.
#[must_use]
pub fn list(context: &Context, base: &Base<'_>, rows: &Rows, is_later: bool) -> Markup {
    let (name, heading, shown, next) = match rows {
        Rows::Statement(page) => ("statement", "Statement", lines(&page.items), &page.next),
        Rows::Chains(page) => ("chains", "Coins bought", chains(base, &page.items), &page.next),
        Rows::Redemptions(page) => ("redemptions", "Redeemed", redemptions(base, &page.items), &page.next),
    };
    let mut pages = pages(&base.address(name), is_later, next.as_deref());
    // These lists go back in time.
    pages.behind = pages.behind.map(|address| address.replacen("after=", "before=", 1));
    let (back, section) = match base {
        Base::Own => ("/account".to_owned(), "/account"),
        Base::Desk(account) => (format!("/accounts/{account}"), "/accounts"),
    };
    let body = html! {
        (title(heading, &nothing()))
        (shown)
        (pager(&pages))
        @if matches!(rows, Rows::Statement(_)) {
            p.hint { "The newest thousand lines are at hand here; the broker's journal has them all." }
        }
        p { a href=(back) { "Back to the account" } }
    };
    context.page(section, heading, &body)
}

fn lines(lines: &[LineView]) -> Markup {
    let columns =
        [Column::name("What"), Column::text("When"), Column::amount("Change"), Column::amount("Balance")];
    let row =
        |line: &LineView| vec![foreign(&line.what), when(&line.at), change(line.change), money(line.balance)];
    match lines {
        [] => none(
            "wallet",
            "Nothing was booked yet",
            "What comes into and goes out of the account is listed here.",
        ),
        lines => table(
            "The account's statement, newest first",
            &columns,
            &lines.iter().map(row).collect::<Vec<_>>(),
        ),
    }
}

fn chains(base: &Base<'_>, chains: &[ChainView]) -> Markup {
    let columns = [
        Column::name("Chain"),
        Column::bar("Coins"),
        Column::amount("Bought"),
        Column::text("Spend by"),
        Column::text("State"),
    ];
    let row = |chain: &ChainView| {
        vec![
            base.chain(&chain.chain),
            chain_bar(chain),
            money(chain.n.into()),
            on_day(&chain.spend_by),
            chain_state(chain),
        ]
    };
    match chains {
        [] => {
            none("coins", "No coins were bought yet", "Each purchase is a chain of coins, and listed here.")
        }
        chains => html! {
            (table("Chains of coins, newest first", &columns, &chains.iter().map(row).collect::<Vec<_>>()))
            (legend_of(&COLOURS))
        },
    }
}

/// A chain as a bar of what is paid, waits, is left and went back.
#[must_use]
pub fn chain_bar(chain: &ChainView) -> Markup {
    let left = chain.outstanding.saturating_sub(chain.waiting);
    let amounts = [chain.paid, chain.waiting, left, chain.refunded];
    let parts: Vec<_> =
        COLOURS.iter().zip(amounts).map(|((class, word), coins)| (*class, *word, u64::from(coins))).collect();
    coins_bar(chain.n.into(), &parts)
}

/// How a chain stands, in a word.
#[must_use]
pub fn chain_state(chain: &ChainView) -> Markup {
    match (&chain.settled, chain.retired) {
        (Some(_), _) => badge(Tone::Good, "settled"),
        (None, true) => badge(Tone::Idle, "given up"),
        (None, false) => badge(Tone::Busy, "open"),
    }
}

fn redemptions(base: &Base<'_>, claims: &[RedemptionView]) -> Markup {
    let columns = [
        Column::name("Chain"),
        Column::text("Segment"),
        Column::text("Coins"),
        Column::amount("Worth"),
        Column::text("State"),
    ];
    let row = |claim: &RedemptionView| {
        let mut row = vec![base.chain(&claim.chain)];
        row.extend(claim_cells(claim));
        row
    };
    match claims {
        [] => none(
            "down",
            "Nothing was redeemed yet",
            "What was earned and brought to the broker is listed here.",
        ),
        claims => table("Claims, newest first", &columns, &claims.iter().map(row).collect::<Vec<_>>()),
    }
}

/// Segment, coins, worth and state of a claim.
#[must_use]
pub fn claim_cells(claim: &RedemptionView) -> Vec<Markup> {
    vec![
        html! { (claim.segment) },
        html! { (claim.start.saturating_add(1)) " to " (claim.end) },
        money(claim.coins.into()),
        html! {
            (claim_state(claim))
            @if claim.made_up > 0 { span.sub { (claim.made_up) " made up by the convicted" } }
            @if claim.short > 0 { span.sub.bad { (claim.short) " were paid to another" } }
        },
    ]
}

fn claim_state(claim: &RedemptionView) -> Markup {
    html! {
        @match (claim.paid, claim.void, &claim.disputable) {
            (true, ..) => (badge(Tone::Good, "paid")),
            (_, true, _) => (badge(Tone::Bad, "void: junk was sold")),
            (_, _, Some(_)) => (badge(Tone::Busy, "held")),
            (_, _, None) => (badge(Tone::Busy, "waits for settlement")),
        }
        @if let Some(until) = &claim.disputable { span.sub { "disputable until " (when(until)) } }
        @if let Some(until) = claim.until.as_ref().filter(|_| claim.until != claim.disputable) {
            span.sub { "paid from " (when(until)) }
        }
    }
}

fn payouts(payouts: &[PayoutView]) -> Markup {
    let columns = [Column::name("To"), Column::text("Asked"), Column::amount("Coins"), Column::text("State")];
    let row = |payout: &PayoutView| {
        vec![foreign(&payout.to), when(&payout.asked), money(payout.coins), payout_state(payout)]
    };
    match payouts {
        [] => none("up", "Nothing was paid out", "Money that leaves the account is listed here."),
        payouts => table("Payouts, newest first", &columns, &payouts.iter().map(row).collect::<Vec<_>>()),
    }
}

/// Whether a payout was made.
#[must_use]
pub fn payout_state(payout: &PayoutView) -> Markup {
    html! {
        @match &payout.paid {
            Some(at) => {
                (badge(Tone::Good, "made"))
                span.sub { (when(at)) @if let Some(reference) = &payout.reference { " · " (foreign(reference)) } }
            }
            None => (badge(Tone::Busy, "to be made")),
        }
    }
}

fn none(picture: &str, heading: &str, text: &str) -> Markup {
    parts::empty(picture, heading, text, &nothing())
}

/// What is shown to an owner that is not signed in.
#[must_use]
pub fn sign_in(context: &Context, error: Option<&ErrorView>) -> Markup {
    let body = html! {
        (title("My account", &nothing()))
        @if let Some(error) = error { (error_box(error)) }
        div.card {
            p { "Your own peer signs you in, with the key of your account. There is no password here." }
            p { code { "netpay broker open" } }
            p.hint { "prints a link that works for a minute, in one browser. The Wallet page of your peer has it as a button." }
        }
        p { "No account yet? " a href="/register" { "Register" } }
    };
    context.page("/account", "My account", &body)
}

/// What an owner sees for a moment who was just signed in.
#[must_use]
pub fn entered(context: &Context) -> Markup {
    let body = html! {
        (title("You are signed in", &nothing()))
        p { a.button.primary href="/account" { "To my account" } }
    };
    context.page("/account", "You are signed in", &body)
}

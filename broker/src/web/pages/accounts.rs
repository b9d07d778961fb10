//! Accounts: all of them, one of them, and what the operator can do with one.

use super::account::{self, Base};
use super::{Context, pages};
use crate::admin::lists::Whole;
use crate::admin::view::{AccountView, PageView};
use crate::ledger::MAX_MONEY;
use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::shown;
use netpay_node::ui::parts::{
    self, Column, Confirm, Field, button, coins, confirm, error_box, field, foreign, icon, money, nothing,
    pager, quoted, table, title,
};

/// The list. `words` is what was searched for.
#[must_use]
pub fn page(context: &Context, found: &PageView<AccountView>, words: &str, is_later: bool) -> Markup {
    let columns = [
        Column::name("Account"),
        Column::text("Key"),
        Column::amount("Balance"),
        Column::amount("Waiting"),
        Column::amount("Bond"),
        Column::text("State"),
    ];
    let row = |view: &AccountView| {
        vec![
            html! {
                a href=(format!("/accounts/{}", view.account)) {
                    @if view.name.is_empty() { "without a name" } @else { (foreign(&view.name)) }
                }
            },
            parts::id(&view.account),
            money(view.balance),
            money(view.pending),
            money(view.bond),
            account::state(view),
        ]
    };
    let mut address = "/accounts".to_owned();
    if !words.is_empty() {
        address.push_str("?words=");
        address.extend(form_urlencoded::byte_serialize(words.as_bytes()));
    }
    let body = html! {
        (title("Accounts", &nothing()))
        form.row method="get" action="/accounts" role="search" {
            (field(&Field {
                name: "words",
                label: "Search",
                kind: "search",
                value: words,
                hint: "A part of a name, or the beginning of an account's or a node's key",
                ..Field::default()
            }))
            button type="submit" { (icon("search")) "Search" }
        }
        @if found.items.is_empty() {
            @if words.is_empty() {
                (parts::empty("peers", "No accounts yet",
                    "Whoever joins with the invite and registers is listed here.",
                    &html! { a.button href="/" { "To the invite" } }))
            } @else if found.next.is_some() {
                p { "Nothing of that name among these. There are more accounts to look through." }
            } @else {
                (parts::empty("search", "Nothing found", "No account has this in its name, and no key begins so.",
                    &html! { a.button href="/accounts" { "All accounts" } }))
            }
        } @else {
            (table("Accounts, by their keys", &columns, &found.items.iter().map(row).collect::<Vec<_>>()))
        }
        (pager(&pages(&address, is_later, found.next.as_deref())))
        (parts::command("netpay-broker accounts ls"))
    };
    context.page("/accounts", "Accounts", &body)
}

/// What was typed into the form of a credit.
#[derive(Clone, Copy, Default)]
pub struct Typed<'a> {
    /// Coins.
    pub coins: &'a str,
    /// What for.
    pub note: &'a str,
}

/// One account.
#[must_use]
pub fn one(context: &Context, whole: &Whole, typed: Typed<'_>, error: Option<&ErrorView>) -> Markup {
    let view = &whole.account;
    let heading = if view.name.is_empty() {
        "An account without a name".to_owned()
    } else {
        shown::foreign(&view.name)
    };
    let body = html! {
        (title(&heading, &account::state(view)))
        @if let Some(error) = error { (error_box(error)) }
        (account::standing(view))
        (account::figures(view))
        (account::held(&Base::Desk(&view.account), view))
        div.pair { (credit(view, typed)) (membership(context, view)) }
        (account::lists_of(&Base::Desk(&view.account), whole))
        (account::about(view))
        (parts::command(&format!("netpay-broker accounts show {}", view.account)))
    };
    context.page("/accounts", &heading, &body)
}

fn credit(view: &AccountView, typed: Typed<'_>) -> Markup {
    html! {
        section.card aria-labelledby="credit" {
            h2 #credit { "Credit" }
            p.hint { "Money that came in outside. It is asked about once more." }
            form method="get" action=(format!("/accounts/{}/credit", view.account)) {
                div.row {
                    (field(&Field {
                        name: "coins",
                        label: "Coins",
                        kind: "number",
                        value: typed.coins,
                        required: true,
                        range: Some((1, MAX_MONEY)),
                        ..Field::default()
                    }))
                    (field(&Field { name: "note", label: "What for", value: typed.note, ..Field::default() }))
                }
                div.buttons { button.primary type="submit" { "Continue" } }
            }
            (parts::command(&format!("netpay-broker accounts credit {} COINS --note TEXT", view.account)))
        }
    }
}

fn membership(context: &Context, view: &AccountView) -> Markup {
    let address = |act: &str| format!("/accounts/{}/{act}", view.account);
    html! {
        section.card aria-labelledby="membership" {
            h2 #membership { "Membership" }
            @if view.frozen.is_some() {
                p.hint { "Unfrozen, it can buy and be paid out again, and its nodes are members." }
                (button(&address("unfreeze"), context.seal(), "play", "Unfreeze", &shown::foreign(&view.name)))
                (parts::command(&format!("netpay-broker accounts freeze {} --undo", view.account)))
            } @else {
                p.hint { "Frozen, it can neither buy nor be paid out, and its nodes are members no more. Nothing of it is lost." }
                form.row method="get" action=(address("freeze")) {
                    (field(&Field { name: "why", label: "Why", hint: "The owner reads it", required: true, ..Field::default() }))
                    button type="submit" { (icon("pause")) "Freeze…" }
                }
                (parts::command(&format!("netpay-broker accounts freeze {} --why TEXT", view.account)))
            }
            @if view.closed.is_none() {
                div.buttons { a.button.danger href=(address("close")) data-ask { (icon("power")) "Close…" } }
                (parts::command(&format!("netpay-broker accounts close {}", view.account)))
            }
        }
    }
}

/// The question before money is booked.
#[must_use]
pub fn ask_credit(context: &Context, view: &AccountView, amount: u64, note: &str, key: &str) -> Markup {
    let command = format!(
        "netpay-broker accounts credit {} {amount} --note {} --request {key}",
        view.account,
        quoted(note)
    );
    let body = confirm(&Confirm {
        title: &format!("Credit {} to {}?", coins(amount), called(view)),
        body: html! {
            dl.sum {
                div { dt { "Coins" } dd { (money(amount)) } }
                div { dt { "Its balance is" } dd { (money(view.balance)) } }
                div.total { dt { "After it" } dd { (money(view.balance.saturating_add(amount))) } }
                div { dt { "What for" } dd { (foreign(note)) } }
                div { dt { "Account" } dd { code { (view.account) } } }
            }
            p.quiet { "A credit cannot be taken back: it is the account's money from then on." }
        },
        action: &format!("/accounts/{}/credit", view.account),
        fields: &[("coins", &amount.to_string()), ("note", note)],
        seal: context.sealed(key),
        yes: &format!("Credit {}", coins(amount)),
        destroys: false,
        back: &format!("/accounts/{}", view.account),
        command: &command,
    });
    context.page("/accounts", "Credit an account", &body)
}

/// The question before an account is frozen.
#[must_use]
pub fn ask_freeze(context: &Context, view: &AccountView, why: &str) -> Markup {
    let body = confirm(&Confirm {
        title: &format!("Freeze {}?", called(view)),
        body: html! {
            dl.sum {
                div { dt { "Why" } dd { (foreign(why)) } }
                div { dt { "Its balance" } dd { (money(view.balance)) } }
                div { dt { "Account" } dd { code { (view.account) } } }
            }
            p.quiet { "It can neither buy nor be paid out, and its nodes are members no more, until it is unfrozen." }
        },
        action: &format!("/accounts/{}/freeze", view.account),
        fields: &[("why", why)],
        seal: context.seal(),
        yes: "Freeze the account",
        destroys: true,
        back: &format!("/accounts/{}", view.account),
        command: &format!("netpay-broker accounts freeze {} --why {}", view.account, quoted(why)),
    });
    context.page("/accounts", "Freeze an account", &body)
}

/// The question before an account is closed.
#[must_use]
pub fn ask_close(context: &Context, view: &AccountView) -> Markup {
    let body = confirm(&Confirm {
        title: &format!("Close {}?", called(view)),
        body: html! {
            dl.sum {
                div { dt { "Its balance" } dd { (money(view.balance)) } }
                div { dt { "Its bond" } dd { (money(view.bond)) } }
                div { dt { "Account" } dd { code { (view.account) } } }
            }
            p.quiet {
                "Its nodes are members no more, and its bond comes back once they witness no chain that is outstanding. \
                 What it has and earned stays its own; registering again opens it again."
            }
        },
        action: &format!("/accounts/{}/close", view.account),
        fields: &[],
        seal: context.seal(),
        yes: "Close the account",
        destroys: true,
        back: &format!("/accounts/{}", view.account),
        command: &format!("netpay-broker accounts close {}", view.account),
    });
    context.page("/accounts", "Close an account", &body)
}

fn called(view: &AccountView) -> String {
    if view.name.is_empty() {
        format!("account {}", shown::short(&view.account))
    } else {
        shown::foreign(&view.name)
    }
}

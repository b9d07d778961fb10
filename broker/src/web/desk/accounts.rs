//! Accounts, and what the operator does with one.

use super::From;
use crate::admin::view::AccountView;
use crate::admin::{Desk, lists, request_number};
use crate::errors::{self, ErrorView};
use crate::ledger::{Command, MAX_MONEY};
use crate::web::PAGE;
use crate::web::pages::account::{self, Base};
use crate::web::pages::accounts::{self as page, Typed};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use netpay_core::amount::Coins;
use netpay_core::codec::Text;
use netpay_core::keys::PublicKey;
use netpay_node::ui::parts::coins;
use netpay_node::ui::serve::{Asked, Path, Sent, Visit, fresh_key, number, refused_with};
use serde::Deserialize;

/// Rows of each list on an account's first page.
const FIRST: usize = 10;

/// What is looked for, and where its page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    words: String,
    after: Option<String>,
}

/// `GET /accounts`
pub(super) async fn list(State(desk): State<Desk>, visit: Visit, Asked(asked): Asked<Search>) -> Response {
    let from = From { after: asked.after };
    let found = match from.place(|text| text.parse::<PublicKey>().ok()) {
        Ok(after) => {
            let words = asked.words.clone();
            desk.look(move |ledger| lists::accounts(ledger, after.as_ref(), &words, PAGE)).await
        }
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let context = desk.context(&visit).await;
            page::page(&context, &found, &asked.words, from.after.is_some()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `GET /accounts/{account}`
pub(super) async fn one(State(desk): State<Desk>, visit: Visit, Path(name): Path<String>) -> Response {
    shown(&desk, &visit, &name, Typed::default(), None).await
}

async fn shown(
    desk: &Desk,
    visit: &Visit,
    name: &str,
    typed: Typed<'_>,
    error: Option<&ErrorView>,
) -> Response {
    let whole = match key_of(name) {
        Ok(key) => desk.look(move |ledger| lists::whole(ledger, &key, FIRST)).await,
        Err(error) => Err(error),
    };
    match (whole, error) {
        (Ok(Some(whole)), None) => page::one(&desk.context(visit).await, &whole, typed, None).into_response(),
        (Ok(Some(whole)), Some(error)) => {
            refused_with(error, page::one(&desk.context(visit).await, &whole, typed, Some(error)))
        }
        (Ok(None), _) => desk.refused(visit, &errors::not_found("account", name)).await,
        (Err(error), _) => desk.refused(visit, &error).await,
    }
}

fn key_of(name: &str) -> Result<PublicKey, ErrorView> {
    name.parse().map_err(|_| errors::not_found("account", name))
}

/// The account of that name, in short.
async fn found(desk: &Desk, name: &str) -> Result<AccountView, ErrorView> {
    let key = key_of(name)?;
    let view = move |ledger: &crate::ledger::Ledger| {
        ledger.customer(&key).map(|customer| AccountView::short(ledger, &key, customer))
    };
    desk.look(view).await?.ok_or_else(|| errors::not_found("account", name))
}

/// Where in a list a page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Before {
    before: Option<String>,
}

/// `GET /accounts/{account}/{list}`
pub(super) async fn rows(
    State(desk): State<Desk>,
    visit: Visit,
    Path((name, list)): Path<(String, String)>,
    Asked(from): Asked<Before>,
) -> Response {
    let read = async {
        let view = found(&desk, &name).await?;
        let (key, list) = (key_of(&name)?, account::listed(&list, from.before.as_deref())?);
        Ok::<_, ErrorView>((view, desk.look(move |ledger| list.read(ledger, &key, PAGE)).await?))
    };
    match read.await {
        Ok((view, rows)) => {
            let (context, base) = (desk.context(&visit).await, Base::Desk(&view.account));
            account::list(&context, &base, &rows, from.before.is_some()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// What is to be credited, and what for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Credit {
    coins: String,
    note: String,
}

fn amount(text: &str) -> Result<u64, ErrorView> {
    let coins = number(text, "a number of coins")?;
    let why = || errors::bad_request(format!("1 to {MAX_MONEY} coins can be credited at once"));
    if (1..=MAX_MONEY).contains(&coins) { Ok(coins) } else { Err(why()) }
}

/// `GET /accounts/{account}/credit`: the question.
pub(super) async fn ask_credit(
    State(desk): State<Desk>,
    visit: Visit,
    Path(name): Path<String>,
    Asked(asked): Asked<Credit>,
) -> Response {
    let typed = Typed { coins: &asked.coins, note: &asked.note };
    let coins = match amount(&asked.coins) {
        Ok(coins) => coins,
        Err(error) => return shown(&desk, &visit, &name, typed, Some(&error)).await,
    };
    match found(&desk, &name).await {
        Ok(view) => {
            // As the books take it: a longer note is cut.
            let note = Text::<80>::cut(&asked.note);
            page::ask_credit(&desk.context(&visit).await, &view, coins, &note, &fresh_key()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `POST /accounts/{account}/credit`
pub(super) async fn credit(State(desk): State<Desk>, Path(name): Path<String>, sent: Sent) -> Response {
    let booked = async {
        let (account, booked) = (key_of(&name)?, amount(sent.text("coins"))?);
        let id = request_number(sent.text("key").as_bytes())?;
        let note = Text::cut(sent.text("note"));
        desk.run(Command::Credit { id, account, coins: Coins(booked), note }).await?;
        Ok::<_, ErrorView>(booked)
    };
    match booked.await {
        Ok(booked) => desk.onward(&format!("/accounts/{name}"), &format!("Credited {}.", coins(booked))),
        Err(error) => {
            let typed = Typed { coins: sent.text("coins"), note: sent.text("note") };
            shown(&desk, &sent.visit, &name, typed, Some(&error)).await
        }
    }
}

/// Why it is frozen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Freeze {
    why: String,
}

fn reason(text: &str) -> Result<Text<80>, ErrorView> {
    let why = Text::cut(text.trim());
    if why.is_empty() {
        Err(errors::bad_request("the owner is told why: write a word about it"))
    } else {
        Ok(why)
    }
}

/// `GET /accounts/{account}/freeze`: the question.
pub(super) async fn ask_freeze(
    State(desk): State<Desk>,
    visit: Visit,
    Path(name): Path<String>,
    Asked(asked): Asked<Freeze>,
) -> Response {
    let why = match reason(&asked.why) {
        Ok(why) => why,
        Err(error) => return shown(&desk, &visit, &name, Typed::default(), Some(&error)).await,
    };
    match found(&desk, &name).await {
        Ok(view) => page::ask_freeze(&desk.context(&visit).await, &view, &why).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `POST /accounts/{account}/freeze`
pub(super) async fn freeze(State(desk): State<Desk>, Path(name): Path<String>, sent: Sent) -> Response {
    let command = |account| Ok(Command::Freeze { account, why: reason(sent.text("why"))? });
    act(&desk, &sent, &name, command, "The account is frozen.").await
}

/// `POST /accounts/{account}/unfreeze`
pub(super) async fn unfreeze(State(desk): State<Desk>, Path(name): Path<String>, sent: Sent) -> Response {
    let command = |account| Ok(Command::Unfreeze { account });
    act(&desk, &sent, &name, command, "The account is open again.").await
}

/// `GET /accounts/{account}/close`: the question.
pub(super) async fn ask_close(State(desk): State<Desk>, visit: Visit, Path(name): Path<String>) -> Response {
    match found(&desk, &name).await {
        Ok(view) => page::ask_close(&desk.context(&visit).await, &view).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `POST /accounts/{account}/close`
pub(super) async fn close(State(desk): State<Desk>, Path(name): Path<String>, sent: Sent) -> Response {
    let command = |account| Ok(Command::Close { account });
    act(&desk, &sent, &name, command, "The account is closed.").await
}

async fn act(
    desk: &Desk,
    sent: &Sent,
    name: &str,
    command: impl FnOnce(PublicKey) -> Result<Command, ErrorView>,
    said: &str,
) -> Response {
    let done = match key_of(name).and_then(command) {
        Ok(command) => desk.run(command).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => desk.onward(&format!("/accounts/{name}"), said),
        Err(error) => shown(desk, &sent.visit, name, Typed::default(), Some(&error)).await,
    }
}

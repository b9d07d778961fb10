//! The operator's pages over HTTP, beside the API: what was asked is taken apart, the bank is asked, and a page is made of
//! the answer. An act that went well leads on to a page with a notice; one that was refused gives the form back.

mod accounts;
mod books;
mod lists;

use super::pages::overview::{self, CoinDay, Overview};
use super::pages::{Context, error};
use crate::admin::{Desk, routes};
use crate::errors::{self, ErrorView};
use crate::ledger::Ledger;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use netpay_core::time::{DAY, Time};
use netpay_node::api::guard::{for_people, same_site};
use netpay_node::api::people;
use netpay_node::shown;
use netpay_node::ui::assets;
use netpay_node::ui::serve::{self, MAX_FORM, Refuses, Visit};
use serde::Deserialize;

/// Days that the chart shows.
const DAYS: u64 = 30;

/// Everything that the operator is answered: the API, and the pages for whoever is signed in.
pub fn router(desk: Desk) -> axum::Router {
    let pages = pages()
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn(serve::headers))
        .layer(from_fn_with_state(desk.clone(), for_people::<Desk>))
        .with_state(desk.clone());
    routes::router(desk.clone())
        .merge(assets::router())
        .merge(people::router::<Desk>().with_state(desk.clone()))
        .fallback_service(pages)
        .layer(from_fn_with_state(desk, same_site::<Desk>))
}

fn pages() -> axum::Router<Desk> {
    axum::Router::new()
        .route("/", get(first))
        .route("/accounts", get(accounts::list))
        .route("/accounts/{account}", get(accounts::one))
        .route("/accounts/{account}/credit", get(accounts::ask_credit).post(accounts::credit))
        .route("/accounts/{account}/freeze", get(accounts::ask_freeze).post(accounts::freeze))
        .route("/accounts/{account}/unfreeze", post(accounts::unfreeze))
        .route("/accounts/{account}/close", get(accounts::ask_close).post(accounts::close))
        .route("/accounts/{account}/{list}", get(accounts::rows))
        .route("/chains", get(lists::chains))
        .route("/chains/{chain}", get(lists::chain))
        .route("/redemptions", get(lists::redemptions))
        .route("/payouts", get(lists::payouts))
        .route("/payouts/export", get(lists::export))
        .route("/payouts/{account}/{number}/paid", get(lists::ask_paid).post(lists::paid))
        .route("/disputes", get(lists::all_disputes))
        .route("/disputes/{dispute}", get(lists::dispute))
        .route("/disputes/{dispute}/evidence", get(lists::evidence))
        .route("/books", get(books::page))
        .route("/books/check", post(books::check))
        .route("/books/export", get(books::export))
        .route("/books/backup", get(books::ask_backup).post(books::backup))
        .route("/vouchers", get(books::vouchers).post(books::make))
        .route("/vouchers/new", get(books::ask_vouchers))
        .fallback(missing)
        .method_not_allowed_fallback(missing)
}

impl Desk {
    /// What the page of this visit has in common with all others.
    async fn context(&self, visit: &Visit) -> Context {
        // Books that cannot be looked at do not balance.
        let sound = self.look(|ledger| ledger.books().are_sound()).await.unwrap_or(false);
        let alive = self.bank.roster().alive(self.bank.now());
        let notice = visit.said.as_deref().and_then(|said| self.said.of(said));
        Context::desk(&self.bank.terms().name, &visit.csrf, (alive, sound), notice)
    }

    /// An error as a page.
    async fn refused(&self, visit: &Visit, error: &ErrorView) -> Response {
        serve::refused_with(error, error::page(&self.context(visit).await, error))
    }

    /// On to another page, with something to say there.
    fn onward(&self, address: &str, said: &str) -> Response {
        serve::see_other(&format!("{address}?said={}", self.said.good(said)))
    }
}

impl Refuses for Desk {
    fn refused(&self, visit: &Visit, error: ErrorView) -> Response {
        let alive = self.bank.roster().alive(self.bank.now());
        let context = Context::desk(&self.bank.terms().name, &visit.csrf, (alive, true), None);
        serve::refused_with(&error, error::page(&context, &error))
    }
}

/// Where a page of a list begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct From {
    after: Option<String>,
}

impl From {
    /// The place, if one is named.
    fn place<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ErrorView> {
        let read = |text: &str| read(text).ok_or_else(|| errors::bad_cursor(text));
        self.after.as_deref().map(read).transpose()
    }
}

async fn missing(State(desk): State<Desk>, visit: Visit) -> Response {
    (StatusCode::NOT_FOUND, error::missing(&desk.context(&visit).await)).into_response()
}

/// `GET /`
async fn first(State(desk): State<Desk>, visit: Visit) -> Response {
    let now = desk.bank.now();
    let seen = desk.look(move |ledger| (coin_days(ledger, now), ledger.unpaid())).await;
    match (desk.status().await, seen) {
        (Ok(status), Ok((days, payouts))) => {
            let shown = Overview { status: &status, days: &days, payouts };
            overview::page(&desk.context(&visit).await, &shown).into_response()
        }
        (Err(error), _) | (_, Err(error)) => desk.refused(&visit, &error).await,
    }
}

/// The last days, and what was outstanding at the end of each: counted back from what is outstanding now.
fn coin_days(ledger: &Ledger, now: Time) -> Vec<CoinDay> {
    let today = now.0 / DAY;
    let since = today.saturating_sub(DAYS - 1);
    let moved: std::collections::BTreeMap<u64, _> = ledger.days_since(since).collect();
    let mut outstanding = overview::positive(ledger.books().coins);
    let mut days: Vec<CoinDay> = Vec::new();
    for day in (since..=today).rev() {
        let sum = moved.get(&day).copied().unwrap_or_default();
        days.push(CoinDay {
            day: shown::day(day.saturating_mul(DAY)),
            issued: sum.issued,
            redeemed: sum.redeemed,
            refunded: sum.refunded,
            outstanding,
        });
        outstanding = (outstanding + sum.redeemed + sum.refunded).saturating_sub(sum.issued);
    }
    days.reverse();
    days
}

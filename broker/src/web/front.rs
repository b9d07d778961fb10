//! The public's pages over HTTP: what the broker is, how to join, and each owner's own account. Nothing of the operator's
//! is here, and nothing can be changed here but who is signed in.

use super::entrance::{Entrance, PATH as ENTER};
use super::pages::{self, Context, account as account_page, home, register, software};
use super::{PAGE, pages::error};
use crate::admin::lists;
use crate::errors::{self, ErrorView};
use crate::ledger::Ledger;
use crate::service::Bank;
use crate::store::JournalError;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use netpay_core::keys::PublicKey;
use netpay_node::api::guard::{Hosted, same_site};
use netpay_node::api::sessions::Sessions;
use netpay_node::invite::Invite;
use netpay_node::ui::serve::{self, Asked, Path, Refuses, Sent, Visit};
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Requests being answered at once: the bank's own work goes first.
const MAX_REQUESTS: usize = 64;
/// Browsers signed in at once, in all and of one account.
const MAX_SESSIONS: usize = 4096;
const MAX_SESSIONS_EACH: usize = 8;
/// The largest form, in bytes: that of signing out.
const MAX_FORM: usize = 1024;
/// Rows of each list on the account's first page.
const FIRST: usize = 10;

/// What the public's pages are made of: cheap to clone.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    bank: Bank,
    invite: Invite,
    hosts: Vec<String>,
    entrance: Entrance,
    sessions: Sessions<PublicKey>,
    places: Semaphore,
}

impl Front {
    /// The front of this bank, under this name beside its address if it has one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn new(bank: &Bank, invite: Invite, host: Option<&str>) -> Result<Self, JournalError> {
        let cookie = format!("netpay-account-{:.16}", bank.key());
        Ok(Self(Arc::new(Inner {
            entrance: Entrance::open(bank.journal().clone(), bank.network(), bank.key())?,
            sessions: Sessions::named(cookie, MAX_SESSIONS, MAX_SESSIONS_EACH),
            places: Semaphore::new(MAX_REQUESTS),
            hosts: host.map(str::to_owned).into_iter().collect(),
            bank: bank.clone(),
            invite,
        })))
    }

    fn context(&self, csrf: &str) -> Context {
        let alive = self.0.bank.roster().alive(self.0.bank.now());
        Context::public(&self.0.bank.terms().name, csrf, alive)
    }

    fn refused(&self, error: &ErrorView) -> Response {
        serve::refused_with(error, error::page(&self.context(""), error))
    }

    /// Whose browser asks, and the secret that its forms carry.
    fn visitor(&self, headers: &HeaderMap) -> Option<(PublicKey, String)> {
        self.0.sessions.visitor(headers, self.0.bank.now())
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger) -> T + Send + 'static,
    ) -> Result<T, ErrorView> {
        self.0.bank.look(look).await.map_err(|reject| errors::refused(&reject))
    }
}

impl Hosted for Front {
    fn hosts(&self) -> &[String] {
        &self.0.hosts
    }

    fn refuse(&self, error: ErrorView) -> Response {
        Self::refused(self, &errors::of_guard(error))
    }
}

impl Refuses for Front {
    fn refused(&self, _: &Visit, error: ErrorView) -> Response {
        Self::refused(self, &error)
    }
}

/// Everything that the public is answered.
pub fn router(front: Front) -> axum::Router {
    axum::Router::new()
        .route("/", get(first))
        .route("/register", get(joining))
        .route("/software", get(programs))
        .route("/account", get(account))
        .route("/account/{list}", get(list))
        .route(ENTER, get(enter))
        .route("/account/leave", post(leave))
        .route("/healthz", get(|| async { "ok" }))
        .merge(netpay_node::ui::assets::router())
        .fallback(missing)
        .method_not_allowed_fallback(missing)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn_with_state(front.clone(), in_places))
        .layer(from_fn(serve::headers))
        .layer(from_fn_with_state(front.clone(), same_site::<Front>))
        .with_state(front)
}

/// Lets so many in at once, and asks the others to come again.
async fn in_places(State(front): State<Front>, request: Request, next: Next) -> Response {
    match front.0.places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => front.refused(&errors::crowded()),
    }
}

async fn first(State(front): State<Front>) -> Response {
    let shown = home::Home {
        terms: front.0.bank.terms(),
        broker: front.0.bank.key().to_string(),
        alive: front.0.bank.roster().alive(front.0.bank.now()),
        invite: front.0.invite.to_string(),
    };
    home::page(&front.context(""), &shown).into_response()
}

async fn joining(State(front): State<Front>) -> Response {
    register::page(&front.context(""), front.0.bank.terms(), &front.0.invite.to_string()).into_response()
}

async fn programs(State(front): State<Front>) -> Response {
    software::page(&front.context("")).into_response()
}

async fn missing(State(front): State<Front>) -> Response {
    (StatusCode::NOT_FOUND, error::missing(&front.context(""))).into_response()
}

async fn account(State(front): State<Front>, headers: HeaderMap) -> Response {
    let Some((account, csrf)) = front.visitor(&headers) else {
        return (StatusCode::UNAUTHORIZED, pages::account::sign_in(&front.context(""), None)).into_response();
    };
    match front.look(move |ledger| lists::whole(ledger, &account, FIRST)).await {
        Ok(Some(whole)) => account_page::own(&front.context(&csrf), &whole).into_response(),
        Ok(None) => front.refused(&errors::not_found("account", account.to_string())),
        Err(error) => front.refused(&error),
    }
}

#[derive(Deserialize)]
struct Before {
    before: Option<String>,
}

/// One of the account's lists, a page at a time.
async fn list(
    State(front): State<Front>,
    Path(name): Path<String>,
    Asked(from): Asked<Before>,
    headers: HeaderMap,
) -> Response {
    let Some((account, csrf)) = front.visitor(&headers) else {
        return (StatusCode::UNAUTHORIZED, pages::account::sign_in(&front.context(""), None)).into_response();
    };
    let context = front.context(&csrf);
    let base = account_page::Base::Own;
    match account_page::listed(&name, from.before.as_deref()) {
        Ok(list) => match front.look(move |ledger| list.read(ledger, &account, PAGE)).await {
            Ok(rows) => account_page::list(&context, &base, &rows, from.before.is_some()).into_response(),
            Err(error) => front.refused(&error),
        },
        Err(error) => front.refused(&error),
    }
}

#[derive(Deserialize)]
struct Link {
    pass: Option<String>,
}

/// Signs a browser in. The cookie is for this site alone, and a browser that came from the peer's page would not send it
/// after a redirection; so this is a page of its own, which leads on by itself.
async fn enter(State(front): State<Front>, Asked(link): Asked<Link>, headers: HeaderMap) -> Response {
    let entered = entered(&front, &link.pass.unwrap_or_default()).await;
    match entered {
        Ok(cookie) => {
            let on = [
                (header::SET_COOKIE, cookie),
                (HeaderName::from_static("refresh"), "0; url=/account".to_owned()),
            ];
            (on, account_page::entered(&front.context(""))).into_response()
        }
        // Whoever is in already, and goes back in the browser's history, stays in.
        Err(_) if front.visitor(&headers).is_some() => Redirect::to("/account").into_response(),
        Err(error) => {
            let page = account_page::sign_in(&front.context(""), Some(&error));
            serve::refused_with(&error, page)
        }
    }
}

async fn entered(front: &Front, pass: &str) -> Result<String, ErrorView> {
    let signed = front.0.entrance.read(pass)?;
    let account = signed.claim().map(|claim| claim.account).map_err(errors::bad_pass)?;
    // Looked for first: a stranger costs no signature.
    if !front.look(move |ledger| ledger.customer(&account).is_some()).await? {
        return Err(errors::bad_pass("there is no account of this key here: netpay broker register"));
    }
    let now = front.0.bank.now();
    let account = front.0.entrance.enter(signed, now).await?;
    Ok(front.0.sessions.enter(account, now))
}

/// Signs out. The form carries the secret of its session, which is looked at here: the public's visits have none.
async fn leave(State(front): State<Front>, headers: HeaderMap, request: Request) -> Response {
    let Some((_, csrf)) = front.visitor(&headers) else {
        return Redirect::to("/account").into_response();
    };
    let mut request = request;
    request.extensions_mut().insert(serve::Csrf(csrf));
    match Sent::from_request(request, &front).await {
        Ok(_) => {
            let cookie = front.0.sessions.leave(&headers);
            ([(header::SET_COOKIE, cookie)], Redirect::to("/account")).into_response()
        }
        Err(refusal) => refusal,
    }
}

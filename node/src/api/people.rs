//! Letting people in: the link from the command, the password, and the way out.

use super::guard::Guarded;
use super::metrics::ErrorCode;
use super::problem::Problem;
use super::server::Api;
use crate::app::view::ErrorView;
use crate::clock;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawForm, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

/// The largest form of somebody who is not signed in, in bytes.
const MAX_FORM: usize = 4 << 10;

/// Where people come in by a link, and go out.
pub fn router<G: Guarded>() -> axum::Router<G> {
    axum::Router::new().route("/login", get(by_link::<G>)).route("/logout", post(out::<G>))
}

/// Where they come in by the password.
pub(super) fn by_password_router() -> axum::Router<Api> {
    axum::Router::new()
        .route("/login", post(by_password))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_FORM))
}

#[derive(Deserialize)]
struct Link {
    key: Option<String>,
}

async fn by_link<G: Guarded>(
    State(api): State<G>,
    link: Result<Query<Link>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let now = clock::time();
    let link = match link {
        Ok(Query(link)) => link,
        Err(fault) => return refused(&api, &crate::errors::bad_request(fault.body_text())),
    };
    match link.key {
        Some(key) => match api.sessions().enter_by_link(&key, now) {
            Ok(cookie) => entered(&cookie),
            // Whoever is in already, and goes back in the browser's history, stays in.
            Err(_) if api.sessions().of_request(&headers, now).is_some() => Redirect::to("/").into_response(),
            Err(error) => refused(&api, &error),
        },
        None => (StatusCode::OK, api.login_page(None)).into_response(),
    }
}

async fn by_password(State(api): State<Api>, RawForm(form): RawForm) -> Response {
    let Some(password) = api.password() else {
        return refused(&api, &crate::errors::wrong_password());
    };
    let given = form_urlencoded::parse(&form).find(|(name, _)| name == "password");
    let given = given.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let sessions = api.sessions.clone();
    // Argon2id takes its time: not on a thread that others wait for.
    let entered_by =
        tokio::task::spawn_blocking(move || sessions.enter_by_password(&password, &given, clock::time()));
    match entered_by.await {
        Ok(Ok(cookie)) => entered(&cookie),
        Ok(Err(error)) => refused(&api, &error),
        Err(error) => Problem(crate::errors::internal(error)).into_response(),
    }
}

async fn out<G: Guarded>(State(api): State<G>, headers: HeaderMap) -> Response {
    let cookie = api.sessions().leave(&headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn entered(cookie: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

fn refused(api: &impl Guarded, error: &ErrorView) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let code = Extension(ErrorCode(error.code.clone()));
    (status, code, api.login_page(Some(error))).into_response()
}

/// The answer to somebody who is not signed in: the page that says how. A part of a page that htmx asks for is not
/// replaced by it: the whole page is loaded anew.
pub fn sign_in_first(api: &impl Guarded, request: &Request) -> Response {
    if request.headers().contains_key("hx-request") {
        return ([("hx-redirect", "/login")], StatusCode::UNAUTHORIZED).into_response();
    }
    (StatusCode::UNAUTHORIZED, api.login_page(None)).into_response()
}

//! Letting people in: the link from the command, the password, and the way out.

use super::metrics::ErrorCode;
use super::problem::Problem;
use super::server::Api;
use crate::app::view::ErrorView;
use crate::clock;
use crate::ui::pages::login;
use axum::Extension;
use axum::extract::{Query, RawForm, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

/// The largest form of somebody who is not signed in, in bytes.
const MAX_FORM: usize = 4 << 10;

/// Where people come in and go out.
pub fn router() -> axum::Router<Api> {
    axum::Router::new()
        .route("/login", get(by_link).post(by_password))
        .route("/logout", post(out))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_FORM))
}

#[derive(Deserialize)]
struct Link {
    key: Option<String>,
}

async fn by_link(State(api): State<Api>, Query(link): Query<Link>, headers: HeaderMap) -> Response {
    let now = clock::time();
    match link.key {
        Some(key) => match api.sessions.enter_by_link(&key, now) {
            Ok(cookie) => entered(&cookie),
            // Whoever is in already, and goes back in the browser's history, stays in.
            Err(_) if api.sessions.of_request(&headers, now).is_some() => Redirect::to("/").into_response(),
            Err(error) => refused(&api, &error),
        },
        None => (StatusCode::OK, login::page(api.password().is_some(), None)).into_response(),
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

async fn out(State(api): State<Api>, headers: HeaderMap) -> Response {
    let cookie = api.sessions.leave(&headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn entered(cookie: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

fn refused(api: &Api, error: &ErrorView) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let code = Extension(ErrorCode(error.code.clone()));
    (status, code, login::page(api.password().is_some(), Some(error))).into_response()
}

/// The answer to somebody who is not signed in: the page that says how. A part of a page that htmx asks for is not
/// replaced by it: the whole page is loaded anew.
pub fn sign_in_first(api: &Api, request: &Request) -> Response {
    if request.headers().contains_key("hx-request") {
        return ([("hx-redirect", "/login")], StatusCode::UNAUTHORIZED).into_response();
    }
    (StatusCode::UNAUTHORIZED, login::page(api.password().is_some(), None)).into_response()
}

//! The password that lets people in from other machines. Whoever sets it or takes it away signs everybody else out.

use super::other::shown_settings;
use super::{Sent, Ui, Visit, onward, refused_with};
use crate::api::password::Password;
use crate::api::{ADDRESS_FILE, Sessions};
use crate::app::view::ErrorView;
use crate::config;
use crate::errors;
use crate::ui::pages::settings;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;

/// `POST /settings/password`
pub async fn set(
    State(ui): State<Ui>,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    let wanted = sent.secret("new_password").to_owned();
    let done = if wanted == sent.secret("new_again") {
        kept(&ui, Some(wanted)).await
    } else {
        Err(errors::bad_passphrase("it was not the same both times"))
    };
    match done {
        Ok(()) => onward(&ui, "/settings", &told("The password is set.", sessions.end_others(&headers))),
        Err(error) => shown_again(&ui, &sent.visit, &error),
    }
}

/// `GET /settings/password/remove`: the question.
pub async fn ask_remove(State(ui): State<Ui>, visit: Visit) -> Response {
    settings::ask_remove_password(&ui.context(&visit)).into_response()
}

/// `POST /settings/password/remove`
pub async fn remove(
    State(ui): State<Ui>,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    let done = match reached_from_elsewhere(&ui) {
        Some(at) => Err(errors::not_loopback(at)),
        None => kept(&ui, None).await,
    };
    match done {
        Ok(()) => onward(&ui, "/settings", &told("The password is gone.", sessions.end_others(&headers))),
        Err(error) => refused_with(&error, crate::ui::pages::error::page(&ui.context(&sent.visit), &error)),
    }
}

async fn kept(ui: &Ui, password: Option<String>) -> Result<(), ErrorView> {
    let home = ui.node.home().clone();
    // Argon2id takes its time: not on a thread that others wait for.
    let kept = tokio::task::spawn_blocking(move || Password::set(&home, password.as_deref()));
    kept.await.map_err(errors::internal)?
}

/// Where other machines reach these pages now: without a password they must not.
fn reached_from_elsewhere(ui: &Ui) -> Option<SocketAddr> {
    let at = std::fs::read_to_string(ui.node.home().path().join(ADDRESS_FILE)).ok()?;
    at.trim().parse().ok().filter(|at: &SocketAddr| !at.ip().is_loopback())
}

fn told(what: &str, others: usize) -> String {
    match others {
        0 => what.to_owned(),
        1 => format!("{what} One other browser was signed out."),
        _ => format!("{what} {others} other browsers were signed out."),
    }
}

fn shown_again(ui: &Ui, visit: &Visit, error: &ErrorView) -> Response {
    let settings = config::load(ui.node.home(), &[]).map(|loaded| loaded.settings).unwrap_or_default();
    shown_settings(ui, visit, &settings, Some(error))
}

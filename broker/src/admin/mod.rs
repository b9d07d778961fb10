//! The operator's API: HTTP on a loopback address, for whoever can read the home's `api-token`. Money-moving requests bear
//! an `Idempotency-Key`: the same key again is the same request.

pub mod disputes;
mod guard;
pub(crate) mod routes;
mod stream;
pub mod view;

use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use crate::service::Bank;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use netpay_node::invite::Invite;
use netpay_node::overlay::Overlay;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the API is about.
pub struct State {
    bank: Bank,
    overlay: Overlay,
    home: BrokerHome,
    invite: Invite,
    token: String,
    /// Voucher codes are derived from it and the request's key, so that the same request sells the same vouchers.
    voucher_secret: [u8; 32],
    stop: watch::Sender<bool>,
}

/// An error as it travels (RFC 9457), with the fields that the commands show.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub detail: String,
    /// The error's code.
    pub code: String,
    /// What to do.
    pub fix: String,
    /// The exit code of a command that ends with it.
    pub exit: u8,
}

/// An error on its way to whoever asked.
pub(crate) struct Failure(ErrorView);

impl State {
    /// The API of this bank and home.
    ///
    /// # Errors
    /// If the token cannot be read or made.
    pub fn new(
        bank: &Bank,
        overlay: &Overlay,
        home: &BrokerHome,
        invite: Invite,
        stop: watch::Sender<bool>,
    ) -> Result<Self, ErrorView> {
        let signing = home.open()?.signing;
        let voucher_secret = blake3::derive_key("netpay 2026 voucher codes", &signing.seed());
        Ok(Self {
            bank: bank.clone(),
            overlay: overlay.clone(),
            home: home.clone(),
            invite,
            token: home.token()?,
            voucher_secret,
            stop,
        })
    }
}

/// Serves the API until told to stop; returns where.
///
/// # Errors
/// If the address is not a loopback address, or cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    state: State,
    mut stopping: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), ErrorView> {
    if !address.ip().is_loopback() {
        return Err(errors::cannot_listen(format!(
            "{address} is no loopback address, and this API moves money"
        )));
    }
    let listener = tokio::net::TcpListener::bind(address).await.map_err(errors::cannot_listen)?;
    let address = listener.local_addr().map_err(errors::cannot_listen)?;
    let router = routes::router(Arc::new(state));
    let serving = tokio::spawn(async move {
        let until = async move {
            // A sender that is gone means the same.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
            tracing::error!(%error, "the API stopped");
        }
    });
    Ok((address, serving))
}

impl From<ErrorView> for Failure {
    fn from(error: ErrorView) -> Self {
        Self(error)
    }
}

impl From<netpay_core::wire::reject::Reject> for Failure {
    fn from(reject: netpay_core::wire::reject::Reject) -> Self {
        Self(errors::refused(&reject))
    }
}

impl From<Problem> for ErrorView {
    fn from(problem: Problem) -> Self {
        let Problem { title, status, detail, code, fix, exit } = problem;
        Self { code, what: title, why: detail, fix, exit, status }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let ErrorView { code, what, why, fix, exit, status } = self.0;
        let code_of_http = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem { title: what, status, detail: why, code, fix, exit };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        (code_of_http, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

//! The peer itself.

use super::{Refusals, Shared};
use crate::api::LOGIN;
use crate::api::server::Api;
use crate::app::view::Status;
use crate::clock;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(stop)).routes(routes!(login_link))
}

/// The peer at a glance.
#[utoipa::path(
    get,
    path = "/status",
    tag = "own",
    responses((status = 200, body = Status), Refusals),
)]
async fn status(State(api): Shared) -> Json<Status> {
    Json(api.node.status())
}

/// Asks the peer to stop, gracefully.
#[utoipa::path(
    post,
    path = "/stop",
    tag = "own",
    responses((status = 200), Refusals),
)]
async fn stop(State(api): Shared) -> Json<()> {
    api.node.ask_to_stop();
    Json(())
}

/// A link that lets a person in, once and within a minute.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginLink {
    /// To be opened in a browser.
    pub url: String,
}

/// A link that signs one browser in to the pages, once and within a minute.
#[utoipa::path(
    post,
    path = "/login-links",
    tag = "own",
    responses((status = 200, body = LoginLink), Refusals),
)]
async fn login_link(State(api): Shared, headers: HeaderMap) -> Json<LoginLink> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let key = api.sessions.invite(clock::time());
    Json(LoginLink { url: format!("http://{host}{LOGIN}?key={key}") })
}

//! What was earned.

use super::{Answer, Refusals, Shared, once};
use crate::api::server::Api;
use crate::app::view::{CertificationView, HandoffView, RedeemView, SaleView, TillView};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(sales))
        .routes(routes!(till))
        .routes(routes!(handoffs))
        .routes(routes!(certifications))
        .routes(routes!(redeem))
}

/// What was sold, newest first.
#[utoipa::path(
    get,
    path = "/sales",
    tag = "sales",
    responses((status = 200, body = Vec<SaleView>), Refusals),
)]
async fn sales(State(api): Shared) -> Answer<Vec<SaleView>> {
    Ok(Json(api.node.sales()?))
}

/// What was earned and is not redeemed yet, segment by segment.
#[utoipa::path(
    get,
    path = "/till",
    tag = "sales",
    responses((status = 200, body = Vec<TillView>), Refusals),
)]
async fn till(State(api): Shared) -> Answer<Vec<TillView>> {
    Ok(Json(api.node.till_view()?))
}

/// Chains that moved to or from this vendor lately.
#[utoipa::path(
    get,
    path = "/handoffs",
    tag = "sales",
    responses((status = 200, body = Vec<HandoffView>), Refusals),
)]
async fn handoffs(State(api): Shared) -> Json<Vec<HandoffView>> {
    Json(api.node.handoffs())
}

/// Certificates gathered lately, and how long it took.
#[utoipa::path(
    get,
    path = "/certifications",
    tag = "sales",
    responses((status = 200, body = Vec<CertificationView>), Refusals),
)]
async fn certifications(State(api): Shared) -> Json<Vec<CertificationView>> {
    Json(api.node.certifications())
}

/// Redeems what was earned at the broker.
#[utoipa::path(
    post,
    path = "/redeem",
    tag = "sales",
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = RedeemView), Refusals),
)]
async fn redeem(State(api): Shared, headers: HeaderMap) -> Answer<RedeemView> {
    once(&api, &headers, ("redeem", &()), |node, _| async move { Ok(node.redeem().await?) }).await
}

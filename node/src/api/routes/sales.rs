//! What was earned.

use super::{Answer, Refusals, Shared, once};
use crate::api::problem::Parameters;
use crate::api::server::Api;
use crate::app::view::{CertificationView, HandoffView, Page, Part, RedeemView, SaleView, TillView};
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
    params(Part),
    responses((status = 200, body = Page<SaleView>), Refusals),
)]
async fn sales(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<SaleView>> {
    Ok(Json(api.node.sales_part(&part)?))
}

/// What was earned, segment by segment, in the order of chains: what is not redeemed yet, and what became of claims.
#[utoipa::path(
    get,
    path = "/till",
    tag = "sales",
    params(Part),
    responses((status = 200, body = Page<TillView>), Refusals),
)]
async fn till(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<TillView>> {
    Ok(Json(api.node.till_part(&part)?))
}

/// Chains that moved to or from this vendor lately, oldest first; all of them on one page.
#[utoipa::path(
    get,
    path = "/handoffs",
    tag = "sales",
    responses((status = 200, body = Page<HandoffView>), Refusals),
)]
async fn handoffs(State(api): Shared) -> Json<Page<HandoffView>> {
    Json(Page::whole(api.node.handoffs()))
}

/// Certificates gathered lately, and how long it took, oldest first; all of them on one page.
#[utoipa::path(
    get,
    path = "/certifications",
    tag = "sales",
    responses((status = 200, body = Page<CertificationView>), Refusals),
)]
async fn certifications(State(api): Shared) -> Json<Page<CertificationView>> {
    Json(Page::whole(api.node.certifications()))
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

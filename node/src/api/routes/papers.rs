//! What others signed and is kept: receipts of vendors, and proofs against cheats.

use super::{Answer, Refusals, Shared};
use crate::api::problem::{Parameters, Path};
use crate::api::server::Api;
use crate::app::view::{EvidenceView, Page, Part, ReceiptView};
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(receipts))
        .routes(routes!(receipt))
        .routes(routes!(evidence))
        .routes(routes!(proof))
}

/// Receipts, newest first.
#[utoipa::path(
    get,
    path = "/receipts",
    tag = "papers",
    params(Part),
    responses((status = 200, body = Page<ReceiptView>), Refusals),
)]
async fn receipts(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<ReceiptView>> {
    Ok(Json(api.node.receipts(&part)?))
}

/// One receipt, with its bytes.
#[utoipa::path(
    get,
    path = "/receipts/{id}",
    tag = "papers",
    params(("id" = u64, Path)),
    responses((status = 200, body = ReceiptView), Refusals),
)]
async fn receipt(State(api): Shared, Path(id): Path<u64>) -> Answer<ReceiptView> {
    Ok(Json(api.node.receipt(id)?))
}

/// Proofs that this peer saw, in the order of their ids.
#[utoipa::path(
    get,
    path = "/evidence",
    tag = "papers",
    params(Part),
    responses((status = 200, body = Page<EvidenceView>), Refusals),
)]
async fn evidence(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<EvidenceView>> {
    Ok(Json(api.node.evidence_list(&part)?))
}

/// One proof, with its bytes.
#[utoipa::path(
    get,
    path = "/evidence/{id}",
    tag = "papers",
    params(("id" = String, Path)),
    responses((status = 200, body = EvidenceView), Refusals),
)]
async fn proof(State(api): Shared, Path(id): Path<String>) -> Answer<EvidenceView> {
    Ok(Json(api.node.evidence(&id)?))
}

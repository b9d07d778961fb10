//! What others signed and is kept: receipts of vendors, and proofs against cheats.

use super::{Answer, Refusals, Shared};
use crate::api::problem::Parameters;
use crate::api::server::Api;
use crate::app::view::{EvidenceView, ReceiptView};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
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

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct Before {
    /// Only those with lower numbers: the last number of the page before.
    before: Option<u64>,
}

/// Receipts, newest first, some 256 at once; an empty page is the end.
#[utoipa::path(
    get,
    path = "/receipts",
    tag = "papers",
    params(Before),
    responses((status = 200, body = Vec<ReceiptView>), Refusals),
)]
async fn receipts(State(api): Shared, Parameters(page): Parameters<Before>) -> Answer<Vec<ReceiptView>> {
    Ok(Json(api.node.receipts(page.before)?))
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

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct After {
    /// Only those behind this id: the last id of the page before.
    after: Option<String>,
}

/// Proofs that this peer saw, in the order of their ids, some 256 at once; an empty page is the end.
#[utoipa::path(
    get,
    path = "/evidence",
    tag = "papers",
    params(After),
    responses((status = 200, body = Vec<EvidenceView>), Refusals),
)]
async fn evidence(State(api): Shared, Parameters(page): Parameters<After>) -> Answer<Vec<EvidenceView>> {
    Ok(Json(api.node.evidence_list(page.after.as_deref())?))
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

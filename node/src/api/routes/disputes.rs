//! What was bought in fair mode and did not end as it should.

use super::{Answer, Refusals, Shared};
use crate::api::problem::{Parameters, Path};
use crate::api::server::Api;
use crate::app::view::{DisputeView, Page, Part};
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(disputes)).routes(routes!(dispute)).routes(routes!(dispute_open))
}

/// Disputes with vendors, open and judged, in the order of their ids.
#[utoipa::path(
    get,
    path = "/disputes",
    tag = "disputes",
    params(Part),
    responses((status = 200, body = Page<DisputeView>), Refusals),
)]
async fn disputes(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<DisputeView>> {
    Ok(Json(api.node.disputes_part(&part)?))
}

/// One dispute, with the proof against the vendor if there is one.
#[utoipa::path(
    get,
    path = "/disputes/{id}",
    tag = "disputes",
    params(("id" = String, Path)),
    responses((status = 200, body = DisputeView), Refusals),
)]
async fn dispute(State(api): Shared, Path(id): Path<String>) -> Answer<DisputeView> {
    Ok(Json(api.node.dispute(&id)?))
}

/// Takes what a download is still owed up with the broker now: asks for keys that did not come, and shows what was junk.
/// The peer does that by itself, too. Answers with the disputes of this download.
#[utoipa::path(
    post,
    path = "/downloads/{id}/dispute",
    tag = "disputes",
    params(("id" = u64, Path)),
    responses((status = 200, body = Vec<DisputeView>), Refusals),
)]
async fn dispute_open(State(api): Shared, Path(id): Path<u64>) -> Answer<Vec<DisputeView>> {
    Ok(Json(api.node.dispute_open(id).await?))
}

//! What is bought.

use super::{Answer, Refusals, Shared, once};
use crate::api::problem::{Body, Parameters, Path, Problem};
use crate::api::server::Api;
use crate::app::view::{DownloadView, GetRequest, Page, Part};
use crate::errors;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(downloads, download_add))
        .routes(routes!(download))
        .routes(routes!(download_act))
}

/// The downloads, newest first.
#[utoipa::path(
    get,
    path = "/downloads",
    tag = "downloads",
    params(Part),
    responses((status = 200, body = Page<DownloadView>), Refusals),
)]
async fn downloads(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<DownloadView>> {
    Ok(Json(api.node.downloads_part(&part)?))
}

/// Buys a file.
#[utoipa::path(
    post,
    path = "/downloads",
    tag = "downloads",
    request_body = GetRequest,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = DownloadView), Refusals),
)]
async fn download_add(
    State(api): Shared,
    headers: HeaderMap,
    Body(asked): Body<GetRequest>,
) -> Answer<DownloadView> {
    let wanted = asked.clone();
    once(&api, &headers, ("download", &asked), move |node, act| async move {
        Ok(node.get_once(wanted, &act).await?)
    })
    .await
}

/// One download, with what happened.
#[utoipa::path(
    get,
    path = "/downloads/{id}",
    tag = "downloads",
    params(("id" = u64, Path)),
    responses((status = 200, body = DownloadView), Refusals),
)]
async fn download(State(api): Shared, Path(id): Path<u64>) -> Answer<DownloadView> {
    Ok(Json(api.node.download(id)?))
}

/// Has a download `pause`, `resume`, `retry` or `cancel`.
#[utoipa::path(
    post,
    path = "/downloads/{id}/{act}",
    tag = "downloads",
    params(("id" = u64, Path), ("act" = String, Path)),
    responses((status = 200, body = DownloadView), Refusals),
)]
async fn download_act(State(api): Shared, Path((id, act)): Path<(u64, String)>) -> Answer<DownloadView> {
    let view = match act.as_str() {
        "pause" => api.node.pause_download(id).await?,
        "cancel" => api.node.cancel_download(id).await?,
        "resume" | "retry" => api.node.resume_download(id).await?,
        _ => return Err(Problem(errors::no_route("POST", format!("/downloads/{id}/{act}")))),
    };
    Ok(Json(view))
}

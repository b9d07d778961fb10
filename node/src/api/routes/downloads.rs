//! What is bought.

use super::{Answer, Refusals, Shared, once};
use crate::api::problem::{Body, Problem};
use crate::api::server::Api;
use crate::app::view::{DownloadState, DownloadView, GetRequest};
use crate::errors;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};
use std::convert::Infallible;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(downloads, download_add))
        .routes(routes!(download))
        .routes(routes!(download_events))
        .routes(routes!(download_act))
}

/// The downloads, newest first.
#[utoipa::path(
    get,
    path = "/downloads",
    tag = "downloads",
    responses((status = 200, body = Vec<DownloadView>), Refusals),
)]
async fn downloads(State(api): Shared) -> Json<Vec<DownloadView>> {
    Json(api.node.downloads())
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

/// Every change of a download as server-sent events, until it stands still.
#[utoipa::path(
    get,
    path = "/downloads/{id}/events",
    tag = "downloads",
    params(("id" = u64, Path)),
    responses((status = 200, body = DownloadView, content_type = "text/event-stream"), Refusals),
)]
async fn download_events(
    State(api): Shared,
    Path(id): Path<u64>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mut watch = api.node.watch_download(id)?;
    watch.mark_changed();
    let stream = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        watch.changed().await.ok()?;
        let view = watch.borrow_and_update().clone();
        let ended = !matches!(view.state, DownloadState::Waiting | DownloadState::Running);
        let event = Event::default().event("download").json_data(&view).unwrap_or_default();
        Some((Ok(event), (!ended).then_some(watch)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

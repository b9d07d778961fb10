//! What is sold here and elsewhere.

use super::{Answer, Refusals, Shared};
use crate::api::problem::{Body, Parameters, Path, Problem};
use crate::api::server::Api;
use crate::app::view::{Found, GetRequest, Page, Part, Quote, SearchOptions, SharedFile};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self};
use serde::Deserialize;
use std::convert::Infallible;
use std::path::PathBuf;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Lines of a stream that are written at once, at most.
const LINES_AT_ONCE: usize = 64;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(shares, share_add))
        .routes(routes!(share_set, share_remove))
        .routes(routes!(search))
        .routes(routes!(search_stream))
        .routes(routes!(quote))
}

/// What this peer sells, in the order of content roots.
#[utoipa::path(
    get,
    path = "/shares",
    tag = "files",
    params(Part),
    responses((status = 200, body = Page<SharedFile>), Refusals),
)]
async fn shares(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<SharedFile>> {
    Ok(Json(api.node.share_part(&part).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShareAdd {
    #[schema(value_type = Vec<String>)]
    paths: Vec<PathBuf>,
    price: u64,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    recursive: bool,
}

/// Offers files, or whole folders.
#[utoipa::path(
    post,
    path = "/shares",
    tag = "files",
    request_body = ShareAdd,
    responses((status = 200, body = Vec<SharedFile>), Refusals),
)]
async fn share_add(State(api): Shared, Body(asked): Body<ShareAdd>) -> Answer<Vec<SharedFile>> {
    Ok(Json(api.node.share_add(asked.paths, asked.price, asked.tags, asked.recursive).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShareSet {
    price: Option<u64>,
    tags: Option<Vec<String>>,
}

/// Changes the price or the tags of an offer.
#[utoipa::path(
    patch,
    path = "/shares/{id}",
    tag = "files",
    request_body = ShareSet,
    params(("id" = String, Path)),
    responses((status = 200, body = SharedFile), Refusals),
)]
async fn share_set(
    State(api): Shared,
    Path(id): Path<String>,
    Body(asked): Body<ShareSet>,
) -> Answer<SharedFile> {
    Ok(Json(api.node.share_set(id, asked.price, asked.tags).await?))
}

/// Takes an offer back; the file stays.
#[utoipa::path(
    delete,
    path = "/shares/{id}",
    tag = "files",
    params(("id" = String, Path)),
    responses((status = 200), Refusals),
)]
async fn share_remove(State(api): Shared, Path(id): Path<String>) -> Answer<()> {
    Ok(Json(api.node.share_remove(id).await?))
}

/// Looks for files; all words must match. What is found is on one page.
#[utoipa::path(
    get,
    path = "/search",
    tag = "files",
    params(SearchOptions),
    responses((status = 200, body = Page<Found>), Refusals),
)]
async fn search(State(api): Shared, Parameters(options): Parameters<SearchOptions>) -> Answer<Page<Found>> {
    Ok(Json(Page::whole(api.node.search(options).await?)))
}

/// Looks for files; what is found comes as replicas answer, one JSON object on each line.
#[utoipa::path(
    get,
    path = "/search/stream",
    tag = "files",
    params(SearchOptions),
    responses((status = 200, body = Found, content_type = "application/x-ndjson"), Refusals),
)]
async fn search_stream(
    State(api): Shared,
    Parameters(options): Parameters<SearchOptions>,
) -> Result<Response, Problem> {
    let results = api.node.search_stream(&options)?;
    let lines = stream::unfold(results, |mut results| async {
        let mut found = Vec::new();
        if results.recv_many(&mut found, LINES_AT_ONCE).await == 0 {
            return None;
        }
        let mut lines = Vec::new();
        for one in &found {
            lines.extend(serde_json::to_vec(one).unwrap_or_default());
            lines.push(b'\n');
        }
        Some((Ok::<_, Infallible>(lines), results))
    });
    let body = axum::body::Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What a purchase would cost, and from whom.
#[utoipa::path(
    post,
    path = "/quote",
    tag = "files",
    request_body = GetRequest,
    responses((status = 200, body = Quote), Refusals),
)]
async fn quote(State(api): Shared, Body(asked): Body<GetRequest>) -> Answer<Quote> {
    Ok(Json(api.node.quote(&asked).await?))
}

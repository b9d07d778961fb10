//! Who is there.

use super::{Answer, Refusals, Shared};
use crate::api::problem::{Body, Parameters, Path};
use crate::api::server::Api;
use crate::app::view::{Found, Page, Part, PeerView};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(peers, connect))
        .routes(routes!(browse))
        .routes(routes!(block, unblock))
}

/// The other peers: connected, known by their cards, or blocked; in the order of their node keys.
#[utoipa::path(
    get,
    path = "/peers",
    tag = "peers",
    params(Part),
    responses((status = 200, body = Page<PeerView>), Refusals),
)]
async fn peers(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<PeerView>> {
    Ok(Json(api.node.peers_part(&part).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Connect {
    address: String,
}

/// Connects to a peer at an address that ends in its peer id.
#[utoipa::path(
    post,
    path = "/peers",
    tag = "peers",
    request_body = Connect,
    responses((status = 200, body = PeerView), Refusals),
)]
async fn connect(State(api): Shared, Body(asked): Body<Connect>) -> Answer<PeerView> {
    Ok(Json(api.node.connect(asked.address).await?))
}

/// What a peer sells, in the order of content roots. It is named by its node key, its peer id, or a name that only it has.
#[utoipa::path(
    get,
    path = "/peers/{peer}/files",
    tag = "peers",
    params(("peer" = String, Path), Part),
    responses((status = 200, body = Page<Found>), Refusals),
)]
async fn browse(
    State(api): Shared,
    Path(peer): Path<String>,
    Parameters(part): Parameters<Part>,
) -> Answer<Page<Found>> {
    Ok(Json(api.node.browse_part(peer, &part).await?))
}

/// Has nothing to do with a peer from now on.
#[utoipa::path(
    post,
    path = "/peers/{peer}/block",
    tag = "peers",
    params(("peer" = String, Path)),
    responses((status = 200, body = PeerView), Refusals),
)]
async fn block(State(api): Shared, Path(peer): Path<String>) -> Answer<PeerView> {
    Ok(Json(api.node.block(peer).await?))
}

/// Takes a block back.
#[utoipa::path(
    delete,
    path = "/peers/{peer}/block",
    tag = "peers",
    params(("peer" = String, Path)),
    responses((status = 200, body = PeerView), Refusals),
)]
async fn unblock(State(api): Shared, Path(peer): Path<String>) -> Answer<PeerView> {
    Ok(Json(api.node.unblock(peer).await?))
}

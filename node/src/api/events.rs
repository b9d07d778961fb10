//! What happens at the peer, as server-sent events. A listener that was cut off names the last event that it saw, and
//! goes on there; if that is too long ago it is told to ask anew.

use super::problem::Problem;
use super::server::Api;
use crate::app::news::{Heard, Item};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream, StreamExt as _};
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happens from now on, or since the event that `Last-Event-ID` names: `download`, `sale`, `wallet` and `peer` with
/// the thing as it is now; `reset` if events were missed, after which everything has to be asked for anew.
#[utoipa::path(
    get,
    path = "/events",
    tag = "own",
    params(("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String), super::routes::Refusals),
)]
async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let Heard { missed, items, next } = api.node.news().listen(last);
    let first = missed.then(reset).into_iter().chain(items.iter().map(event)).collect::<Vec<_>>();
    let node = api.node.clone();
    let rest = stream::unfold((next, node), |(mut next, node)| async move {
        let told = tokio::select! {
            told = next.recv() => told,
            () = node.stopped() => return None,
        };
        match told {
            Ok(item) => Some((event(&item), (next, node))),
            Err(RecvError::Lagged(_)) => Some((reset(), (next, node))),
            Err(RecvError::Closed) => None,
        }
    });
    Ok(Sse::new(stream::iter(first).chain(rest).map(Ok)).keep_alive(KeepAlive::default()))
}

fn event(item: &Item) -> Event {
    Event::default().id(item.id.to_string()).event(item.about).data(&*item.data)
}

fn reset() -> Event {
    Event::default().event("reset").data("{}")
}

//! What happens at the peer, as server-sent events. A listener that was cut off names the last event that it saw, and
//! goes on there; if that is too long ago it is told to ask anew. Nobody waits for one that is slow: it is told the same.

use super::problem::{Path, Problem};
use super::server::Api;
use crate::app::news::{Heard, Item};
use crate::app::view::{DownloadState, DownloadView};
use crate::errors;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt as _};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Listeners at once.
pub const MAX_LISTENERS: usize = 64;
/// Events of one download's stream per second, at most. A bar moves at least twice a second.
pub const DOWNLOAD_EVENTS_PER_SECOND: u32 = 10;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(events)).routes(routes!(download_events))
}

/// What happens from now on, or since the event that `Last-Event-ID` names: `download`, `sale`, `wallet`, `peer` and
/// `dispute` with the thing as it is now. A new listener first gets `status` with the peer at a glance; one that missed something gets
/// `reset`, after which everything has to be asked for anew. Both carry the number to go on from.
#[utoipa::path(
    get,
    path = "/events",
    tag = "own",
    params(("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String), super::description::Refusals),
)]
async fn events(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let place = place(&api)?;
    let last = last_event(&headers);
    let Heard { missed, from, items, next } = api.node.news().listen(last);
    let first = match last {
        None => Some(numbered(from, "status").json_data(api.node.status()).unwrap_or_default()),
        Some(_) => missed.then(|| reset(from)),
    };
    let first: Vec<Event> = first.into_iter().chain(items.iter().map(event)).collect();
    let rest = stream::unfold((next, api.node, place), |(mut next, node, place)| async move {
        let told = tokio::select! {
            told = next.recv() => told,
            () = node.stopped() => return None,
        };
        match told {
            Ok(item) => Some((event(&item), (next, node, place))),
            Err(RecvError::Lagged(_)) => {
                let Heard { from, next, .. } = node.news().listen(None);
                Some((reset(from), (next, node, place)))
            }
            Err(RecvError::Closed) => None,
        }
    });
    Ok(told(stream::iter(first).chain(rest)))
}

/// Every change of a download as server-sent events, each with the whole of it as it is now, until it stands still. Whoever
/// comes back and has seen the end is answered 204, after which browsers do not ask again.
#[utoipa::path(
    get,
    path = "/downloads/{id}/events",
    tag = "downloads",
    params(("id" = u64, Path), ("Last-Event-ID" = Option<u64>, Header)),
    responses(
        (status = 200, body = DownloadView, content_type = "text/event-stream"),
        (status = 204, description = "It stands still, and the listener knows."),
        super::description::Refusals,
    ),
)]
async fn download_events(
    State(api): State<Api>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut watch = api.node.watch_download(id)?;
    {
        let view = watch.borrow();
        if stands_still(&view) && last_event(&headers) == Some(view.changed) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let place = place(&api)?;
    watch.mark_changed();
    let pause = Duration::from_secs(1) / DOWNLOAD_EVENTS_PER_SECOND;
    let changes = stream::unfold(Some((watch, Instant::now(), place, api.node)), move |follows| async move {
        let (mut watch, due, place, node) = follows?;
        let changed = async {
            watch.changed().await.ok()?;
            // What changes meanwhile is told in one.
            tokio::time::sleep_until(due).await;
            Some(watch.borrow_and_update().clone())
        };
        let view = tokio::select! {
            view = changed => view?,
            () = node.stopped() => return None,
        };
        let event = numbered(view.changed, "download").json_data(&view).unwrap_or_default();
        let follows = (!stands_still(&view)).then(|| (watch, Instant::now() + pause, place, node));
        Some((event, follows))
    });
    Ok(told(changes))
}

fn stands_still(view: &DownloadView) -> bool {
    !matches!(view.state, DownloadState::Waiting | DownloadState::Running)
}

/// A place among the listeners.
fn place(api: &Api) -> Result<OwnedSemaphorePermit, Problem> {
    let place = api.listeners.clone().try_acquire_owned();
    place.map_err(|_| Problem(errors::too_many_listeners(MAX_LISTENERS)))
}

fn last_event(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok())
}

fn told(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default()).into_response()
}

fn event(item: &Item) -> Event {
    numbered(item.id, item.about).data(&*item.data)
}

fn reset(from: u64) -> Event {
    numbered(from, "reset").data("{}")
}

fn numbered(id: u64, about: &str) -> Event {
    Event::default().id(id.to_string()).event(about)
}

//! Parts of pages that are had anew while one looks at them.

use super::{Asked, Path, Ui, Visit};
use crate::app::view::DownloadView;
use crate::ui::pages::downloads::{changes, live};
use crate::ui::pages::{PAGE, header};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::Markup;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the page shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Seen {
    seen: String,
}

/// The header's figures.
pub async fn status(State(ui): State<Ui>) -> Markup {
    header(&ui.header())
}

/// What has changed of the downloads seen: `4-running,7-waiting`.
pub async fn downloads(State(ui): State<Ui>, visit: Visit, Asked(shown): Asked<Seen>) -> Markup {
    let one = |one: &str| {
        let (id, state) = one.split_once('-')?;
        Some((id.parse().ok()?, state.to_owned()))
    };
    let seen: BTreeMap<u64, String> = shown.seen.split(',').take(PAGE).filter_map(one).collect();
    let now: Vec<DownloadView> = seen.keys().rev().filter_map(|id| ui.node.download(*id).ok()).collect();
    changes(&ui.context(&visit), &now, &seen)
}

/// What has changed of one download.
pub async fn download(
    State(ui): State<Ui>,
    visit: Visit,
    Path(id): Path<u64>,
    Asked(shown): Asked<Seen>,
) -> Response {
    match ui.node.download(id) {
        Ok(view) => match super::trade::in_dispute(&ui, &view) {
            Ok(disputed) => live(&ui.context(&visit), &view, &disputed, Some(&shown.seen)).into_response(),
            Err(trouble) => ui.refused(&visit, trouble),
        },
        Err(trouble) => ui.refused(&visit, trouble),
    }
}

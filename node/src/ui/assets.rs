//! The files that pages refer to, built into the program: nothing is loaded from elsewhere.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

/// How long a browser may keep a file. Its address carries a hash of its content, so that a new one has a new address.
const KEPT: &str = "public, max-age=31536000, immutable";

/// One file.
struct Asset {
    name: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset { name: "style.css", media: "text/css; charset=utf-8", bytes: include_bytes!("assets/style.css") },
    Asset { name: "app.js", media: "text/javascript; charset=utf-8", bytes: include_bytes!("assets/app.js") },
    // htmx 2.0.11, as published; its licence lies beside it.
    Asset {
        name: "htmx.min.js",
        media: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/htmx.min.js"),
    },
    Asset { name: "icons.svg", media: "image/svg+xml", bytes: include_bytes!("assets/icons.svg") },
    Asset { name: "mark.svg", media: "image/svg+xml", bytes: include_bytes!("assets/mark.svg") },
];

static HASHES: LazyLock<[String; 5]> = LazyLock::new(|| ASSETS.each_ref().map(hash));

fn hash(asset: &Asset) -> String {
    blake3::hash(asset.bytes).to_hex()[..8].to_owned()
}

/// The address of a file.
#[must_use]
pub fn url(name: &str) -> String {
    let at = ASSETS.iter().position(|asset| asset.name == name);
    let hash = at.and_then(|at| HASHES.get(at)).map_or("", String::as_str);
    format!("/assets/{name}?v={hash}")
}

/// The files, under `/assets`. They are public: the page that signs in needs them too.
pub fn router<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    axum::Router::new().route("/assets/{name}", axum::routing::get(serve))
}

async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(at) = ASSETS.iter().position(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let (asset, tag) = (&ASSETS[at], format!("\"{}\"", HASHES[at]));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let described = [
        (header::CONTENT_TYPE, asset.media.to_owned()),
        (header::CACHE_CONTROL, KEPT.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ETAG, tag),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, described).into_response();
    }
    (described, asset.bytes).into_response()
}

/// Bytes of all files together: what a first visit loads beside the page.
#[cfg(test)]
pub(super) fn total() -> usize {
    ASSETS.iter().map(|asset| asset.bytes.len()).sum()
}

//! What programs ask: a thin view over [`crate::app::Node`], under `/api/v1`. Each room says what it answers, and that is
//! what the API's description says.

mod account;
mod disputes;
mod downloads;
mod files;
mod own;
mod papers;
mod peers;
mod sales;
mod wallet;

pub use own::LoginLink;

use super::description::{self, Refusals};
use super::problem::{Problem, not_so, nothing_here};
use super::server::Api;
use crate::app::Node;
use crate::app::once::Act;
use crate::app::view::ErrorView;
use crate::errors;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// The header that names an act, so that it is done once.
const ONCE: &str = "idempotency-key";

type Answer<T> = Result<Json<T>, Problem>;
type Shared = State<Api>;

/// What is said of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "NetPay peer",
        description = "What a NetPay peer answers to programs. Amounts are whole coins, sizes bytes, times as RFC 3339 has them, ids lower-case hexadecimal. Lists come a page at a time: `next` of one page is `after` of the following.",
    ),
    security(("token" = [])),
)]
struct Description;

/// All of it, without what stands before it, and its description.
pub fn router() -> (axum::Router<Api>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(own::router())
        .merge(super::events::router())
        .merge(peers::router())
        .merge(files::router())
        .merge(downloads::router())
        .merge(disputes::router())
        .merge(wallet::router())
        .merge(sales::router())
        .merge(papers::router())
        .merge(account::router())
        .split_for_parts();
    description::complete(&mut description, "peer");
    (router.fallback(nothing_here).method_not_allowed_fallback(not_so), description)
}

/// Carries out what moves money, once under the key that the request names.
async fn once<T, Done>(
    api: &Api,
    headers: &HeaderMap,
    asked: (&str, &(impl Serialize + Sync)),
    act: impl FnOnce(Node, Act) -> Done + Send + 'static,
) -> Answer<T>
where
    T: Serialize + DeserializeOwned + Send,
    Done: Future<Output = Result<T, ErrorView>> + Send + 'static,
{
    let key = headers.get(ONCE).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let contents = serde_json::to_vec(&asked).map_err(|error| Problem(errors::internal(error)))?;
    Ok(Json(api.node.once(key, &contents, act).await?))
}

//! What the descriptions of the peer's and the broker's API have in common.

use super::problem::Document;
use utoipa::IntoResponses;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::Server;

/// The scheme by which requests are let in, as the descriptions name it.
const TOKEN: &str = "token";
/// Where everything that is described is.
const BASE: &str = "/api/v1";

/// What any request may be answered instead.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only its description is used")]
pub enum Refusals {
    /// The request does not make sense, is not allowed, or cannot be carried out: a problem with its code, the reason and
    /// the way out.
    #[response(status = "default", content_type = "application/problem+json")]
    Problem(#[to_schema] Document),
}

/// Says in a description where it all is, and which token lets in; `home` is whose home it is in.
pub fn complete(description: &mut OpenApi, home: &str) {
    let which = format!(
        "The content of `api-token` in the {home}'s home; for safe methods that of `api-token-read` suffices."
    );
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(which)).build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    description.servers = Some(vec![Server::new(BASE)]);
}

//! What stands before every request: which host it names, which page sent it, and who asks.
//!
//! A browser can be made to send requests here by any page on the web. Those are told by the host that they name (DNS
//! rebinding), by their origin, and by the secret that only our own forms carry.

use super::problem::Problem;
use super::server::Api;
use crate::app::view::ErrorView;
use crate::clock;
use crate::errors;
use crate::ui::serve::Csrf;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// The header that carries the session's secret where there is no form.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What every answer is sent with, unless it says otherwise itself.
const HEADERS: [(header::HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, crate::ui::layout::CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// A program that may do everything.
    Full,
    /// A program that may look.
    Read,
    /// A person's browser; the secret that its forms carry.
    Person(String),
}

/// Refuses foreign hosts and requests that other pages send.
pub async fn same_site(State(api): State<Api>, request: Request, next: Next) -> Response {
    let checked = known_host(request.headers(), &api.hosts).and_then(|()| own_page(&request));
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(error) => Problem(error).into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().unwrap_or("?"))
}

/// A page elsewhere that makes a browser ask us names its own host: only addresses, `localhost` and names from the
/// configuration are answered.
fn known_host(headers: &HeaderMap, hosts: &[String]) -> Result<(), ErrorView> {
    let host = text(headers, "host").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    // Names have no case.
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    let known = is("localhost") || name.parse::<IpAddr>().is_ok() || hosts.iter().any(|known| is(known));
    if known { Ok(()) } else { Err(errors::foreign_host(host)) }
}

/// Whatever changes something comes from a page of ours, or from no page at all.
fn own_page(request: &Request) -> Result<(), ErrorView> {
    if is_safe(request.method()) {
        return Ok(());
    }
    let headers = request.headers();
    let site = text(headers, "sec-fetch-site").unwrap_or("none");
    let origin = text(headers, "origin");
    let own = origin.is_none_or(|origin| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.zip(text(headers, "host")).is_some_and(|(from, to)| from.eq_ignore_ascii_case(to))
    });
    if own && matches!(site, "same-origin" | "none") {
        return Ok(());
    }
    Err(errors::foreign_page(origin.unwrap_or(site)))
}

/// Whether a request changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Lets programs and people in to the API.
pub async fn for_all(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match allowed(&api, &request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(error) => Problem(error).into_response(),
    }
}

fn allowed(api: &Api, request: &Request) -> Result<Access, ErrorView> {
    let access = api.access(request.headers()).ok_or_else(errors::not_authorised)?;
    match &access {
        Access::Full => {}
        Access::Read if is_safe(request.method()) => {}
        Access::Read => return Err(errors::read_only()),
        Access::Person(csrf) => {
            let given = text(request.headers(), CSRF_HEADER).unwrap_or_default();
            if !is_safe(request.method()) && super::sessions::digest(given) != super::sessions::digest(csrf) {
                return Err(errors::foreign_form());
            }
        }
    }
    Ok(access)
}

/// Lets people in to the pages. Their forms carry the session's secret, which the pages look at.
pub async fn for_people(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match api.sessions.of_request(request.headers(), clock::time()) {
        Some(csrf) => {
            request.extensions_mut().insert(Csrf(csrf));
            next.run(request).await
        }
        None => super::people::sign_in_first(&api, &request),
    }
}

//! What stands before every request: which host it names, which page sent it, and who asks.
//!
//! A browser can be made to send requests here by any page on the web. Those are told by the host that they name (DNS
//! rebinding), by their origin, and by the secret that only our own forms carry.

use super::problem::Problem;
use super::sessions::{Digest, Sessions, digest};
use crate::app::view::ErrorView;
use crate::clock;
use crate::errors;
use crate::ui::serve::Csrf;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::Markup;
use std::net::{Ipv4Addr, Ipv6Addr};

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

/// What is served under names: a peer's interface, a broker's.
pub trait Hosted: Clone + Send + Sync + 'static {
    /// Names that it answers to beside addresses and `localhost`.
    fn hosts(&self) -> &[String];

    /// How it says no.
    fn refuse(&self, error: ErrorView) -> Response {
        Problem(error).into_response()
    }
}

/// What is served to whoever may come in, and to nobody else.
pub trait Guarded: Hosted {
    /// Who is signed in.
    fn sessions(&self) -> &Sessions;
    /// The digests of the token that may do everything, and of the one that may look.
    fn tokens(&self) -> [&Digest; 2];
    /// The page for whoever is not signed in, with what was wrong with the last try.
    fn login_page(&self, error: Option<&ErrorView>) -> Markup;

    /// Who asks, if it may at all.
    fn access(&self, headers: &HeaderMap) -> Option<Access> {
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let given = digest(given.to_str().ok()?.strip_prefix("Bearer ")?);
            let [full, read] = self.tokens();
            return match given {
                _ if given == *full => Some(Access::Full),
                _ if given == *read => Some(Access::Read),
                _ => None,
            };
        }
        self.sessions().of_request(headers, clock::time()).map(Access::Person)
    }
}

/// Refuses foreign hosts and requests that other pages send.
pub async fn same_site<H: Hosted>(State(api): State<H>, request: Request, next: Next) -> Response {
    let checked = known_host(request.headers(), api.hosts()).and_then(|()| own_page(&request));
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(error) => api.refuse(error),
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
    let one = headers.get_all(header::HOST).iter().count() == 1;
    let known = |name: Name<'_>| match name {
        Name::Address => true,
        // Names have no case.
        Name::Text(name) => {
            name.eq_ignore_ascii_case("localhost")
                || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
    };
    if one && name_in(host).is_some_and(known) { Ok(()) } else { Err(errors::foreign_host(host)) }
}

/// What a host is named by.
enum Name<'a> {
    Address,
    Text(&'a str),
}

/// The name in a host, which nothing but a port may follow: links are made of what is taken here.
fn name_in(host: &str) -> Option<Name<'_>> {
    let (name, behind) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (Name::Address, behind)
        }
        None => {
            let (name, behind) = host.split_at(host.find(':').unwrap_or(host.len()));
            (name.parse::<Ipv4Addr>().map_or(Name::Text(name), |_| Name::Address), behind)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port)).then_some(name)
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
pub async fn for_all<G: Guarded>(State(api): State<G>, mut request: Request, next: Next) -> Response {
    match allowed(&api, &request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(error) => api.refuse(error),
    }
}

fn allowed<G: Guarded>(api: &G, request: &Request) -> Result<Access, ErrorView> {
    let access = api.access(request.headers()).ok_or_else(errors::not_authorised)?;
    match &access {
        Access::Full => {}
        Access::Read if is_safe(request.method()) => {}
        Access::Read => return Err(errors::read_only()),
        Access::Person(csrf) => {
            let given = text(request.headers(), CSRF_HEADER).unwrap_or_default();
            if !is_safe(request.method()) && digest(given) != digest(csrf) {
                return Err(errors::foreign_form());
            }
        }
    }
    Ok(access)
}

/// Lets people in to the pages. Their forms carry the session's secret, which the pages look at.
pub async fn for_people<G: Guarded>(State(api): State<G>, mut request: Request, next: Next) -> Response {
    match api.sessions().of_request(request.headers(), clock::time()) {
        Some(csrf) => {
            request.extensions_mut().insert(Csrf(csrf));
            next.run(request).await
        }
        None => super::people::sign_in_first(&api, &request),
    }
}

//! Listening, and what stands before what: `guard` before everything, the API behind a token or a session, pages
//! behind a session.

use super::guard::{self, Guarded, Hosted};
use super::metrics::Answers;
use super::password::Password;
use super::sessions::{self, Sessions};
use super::{ADDRESS_FILE, MAX_BODY, events, metrics, people, routes};
use crate::app::Node;
use crate::app::view::ErrorView;
use crate::clock::{self, random};
use crate::errors;
use crate::home::Home;
use crate::store::files::{PRIVATE, atomic_write};
use crate::ui::pages::login;
use crate::ui::{assets, serve as pages};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long requests that are being answered may take once the peer stops.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// How the interface is served.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Where it listens. An address that other machines reach takes a password.
    pub at: SocketAddr,
    /// Names that it answers to beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// What handlers and guards share.
#[derive(Clone)]
pub struct Api {
    /// The peer.
    pub node: Node,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Names that are answered to.
    pub hosts: Arc<[String]>,
    /// What was answered.
    pub answers: Answers,
    /// Places for those who listen to events.
    pub listeners: Arc<Semaphore>,
    full: sessions::Digest,
    read: sessions::Digest,
}

impl Api {
    pub(super) fn new(node: Node, hosts: &[String]) -> Result<Self, ErrorView> {
        let home = node.home();
        Ok(Self {
            sessions: Arc::new(Sessions::of(&node.me())),
            hosts: hosts.into(),
            answers: Answers::default(),
            listeners: Arc::new(Semaphore::new(events::MAX_LISTENERS)),
            full: token(&home.api_token())?,
            read: token(&home.read_token())?,
            node,
        })
    }
}

impl Api {
    /// What lets in from other machines, if it is set. It is looked for each time, so that whoever sets it need not start
    /// the peer anew.
    pub fn password(&self) -> Option<Password> {
        let password = Password::load(self.node.home());
        password.inspect_err(|error| tracing::warn!(%error.what, "no password is taken")).ok().flatten()
    }
}

impl Hosted for Api {
    fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

impl Guarded for Api {
    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn tokens(&self) -> [&sessions::Digest; 2] {
        [&self.full, &self.read]
    }

    fn login_page(&self, error: Option<&ErrorView>) -> maud::Markup {
        login::page(self.password().is_some(), error)
    }
}

/// The digest of the token in a file; a new token where there is none.
///
/// # Errors
/// If it can be neither read nor written.
pub fn token(path: &Path) -> Result<sessions::Digest, ErrorView> {
    match std::fs::read_to_string(path) {
        Ok(token) if !token.trim().is_empty() => Ok(sessions::digest(token.trim())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(errors::io("reading", path, &error)),
        Ok(_) | Err(_) => {
            let token = data_encoding::HEXLOWER.encode(&random::<32>());
            atomic_write(path, token.as_bytes(), PRIVATE).map_err(|e| errors::io("writing", path, &e))?;
            Ok(sessions::digest(&token))
        }
    }
}

/// Serves API and pages until the node stops. `ready` is told the address, and a link that lets a person in, once requests
/// are answered.
///
/// # Errors
/// If the address is taken, or reachable from elsewhere and no password is set; or the home cannot be written.
pub async fn serve(
    node: Node,
    interface: Interface,
    ready: impl FnOnce(SocketAddr, String),
) -> Result<(), ErrorView> {
    let at = interface.at;
    let api = Api::new(node.clone(), &interface.hosts)?;
    if !at.ip().is_loopback() && Password::load(node.home())?.is_none() {
        return Err(errors::not_loopback(at));
    }
    let listener = TcpListener::bind(at).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => errors::port_in_use(at),
        _ => errors::cannot_listen(at, error),
    })?;
    let bound = listener.local_addr().map_err(|error| errors::cannot_listen(at, error))?;
    let address = address_file(node.home());
    atomic_write(&address, bound.to_string().as_bytes(), PRIVATE)
        .map_err(|e| errors::io("writing", &address, &e))?;
    ready(bound, format!("http://{bound}{}?key={}", super::LOGIN, api.sessions.invite(clock::time())));
    let stopped = node.clone();
    let stopped = async move { stopped.stopped().await };
    let too_long = async {
        node.stopped().await;
        tokio::time::sleep(ANSWERED_WITHIN).await;
    };
    let served = tokio::select! {
        served = axum::serve(listener, router(api)).with_graceful_shutdown(stopped) => served,
        () = too_long => {
            tracing::warn!("a request that took too long is broken off by the stop");
            Ok(())
        }
    };
    let _ = std::fs::remove_file(&address);
    served.map_err(errors::internal)
}

fn address_file(home: &Home) -> std::path::PathBuf {
    home.path().join(ADDRESS_FILE)
}

/// Whether the peer can do what it is there for: it is in the network, and not about to stop.
async fn is_ready(State(api): State<Api>) -> (StatusCode, &'static str) {
    match api.node.readiness() {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn figures(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        metrics::text(&api),
    )
}

/// Everything that is answered.
pub fn router(api: Api) -> axum::Router {
    // The description is made anew when it is asked for: kept, it would take megabytes of a peer at rest.
    let programs = routes::router()
        .0
        .route("/openapi.json", get(|| async { axum::Json(routes::router().1) }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(api.clone(), guard::for_all::<Api>));
    let people = pages::router(pages::Ui::new(api.node.clone()))
        .layer(axum::Extension(api.sessions.clone()))
        .layer(from_fn_with_state(api.clone(), guard::for_people::<Api>));
    axum::Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(figures).layer(from_fn_with_state(api.clone(), guard::for_all::<Api>)))
        .merge(assets::router())
        .merge(people::router::<Api>().merge(people::by_password_router()))
        .nest("/api/v1", programs)
        .with_state(api.clone())
        .fallback_service(people)
        .layer(from_fn_with_state(api.clone(), guard::same_site::<Api>))
        .layer(from_fn_with_state(api, metrics::counted))
}

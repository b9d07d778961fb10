//! A peer's pages over HTTP: what was asked is taken apart, the peer is asked, and a page is made of the answer. An act
//! that went well leads on to a page with a notice (so that a reload repeats nothing); one that was refused gives the form
//! back with what was typed.

mod files;
mod live;
mod money;
mod other;
mod password;
mod sent;
mod trade;

pub use sent::{Asked, Csrf, Path, Refuses, Said, Sent, Visit, number};

use super::layout::CONTENT_SECURITY_POLICY;
use super::pages::{Context, Header, error};
use crate::api::ErrorCode;
use crate::app::once::Act;
use crate::app::view::ErrorView;
use crate::app::{Node, Trouble};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;
use std::sync::Arc;

/// The largest form, in bytes; uploads have a limit of their own.
pub const MAX_FORM: usize = 64 << 10;

/// What handlers share.
#[derive(Clone)]
pub struct Ui {
    node: Node,
    said: Arc<Said>,
}

impl Ui {
    /// For this peer.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, said: Arc::default() }
    }

    /// What the page of this visit has in common with all others.
    fn context(&self, visit: &Visit) -> Context {
        Context {
            owner: self.node.settings().name.clone(),
            csrf: visit.csrf.clone(),
            header: self.header(),
            notice: visit.said.as_deref().and_then(|said| self.said.of(said)),
        }
    }

    fn header(&self) -> Header {
        let broker = self.node.broker_view();
        Header {
            spendable: self.node.wallet_view().ok().map(|wallet| wallet.spendable),
            broker: broker.connected,
            registered: broker.registered,
            peers: self.node.overlay().connected().len(),
            down: self.node.receiving(),
            up: self.node.sending(),
        }
    }

    /// An error as a page.
    fn refused(&self, visit: &Visit, error: impl Into<ErrorView>) -> Response {
        let error = error.into();
        refused_with(&error, error::page(&self.context(visit), &error))
    }
}

impl Refuses for Ui {
    fn refused(&self, visit: &Visit, error: ErrorView) -> Response {
        Self::refused(self, visit, error)
    }
}

/// The pages of a peer. Whoever mounts them lets only people in who are signed in, and puts the [`Csrf`] secret of their
/// session into each request as an extension: a form without it is refused, so without a guard nothing can be changed.
/// Beside them belong [`assets::router`](crate::ui::assets::router) and, at `/login`,
/// [`login::page`](crate::ui::pages::login::page), both open to everybody.
pub fn router(ui: Ui) -> axum::Router {
    axum::Router::new()
        .route("/", get(other::home))
        .route("/search", get(trade::search))
        .route("/buy", get(trade::ask_buy).post(trade::buy))
        .route("/downloads", get(trade::downloads))
        .route("/downloads/{id}", get(trade::download))
        .route("/downloads/{id}/cancel", get(trade::ask_cancel))
        .route("/downloads/{id}/{act}", post(trade::act))
        .route("/files", get(files::page).post(files::add))
        .route("/files/{id}/price", post(files::price))
        .route("/files/{id}/remove", get(files::ask_remove).post(files::remove))
        .route("/sales", get(money::sales))
        .route("/sales/redeem", post(money::redeem))
        .route("/wallet", get(money::wallet))
        .route("/wallet/buy", get(money::ask_buy).post(money::buy))
        .route("/wallet/voucher", post(money::voucher))
        .route("/wallet/register", post(money::register))
        .route("/wallet/retire", get(money::ask_retire).post(money::retire))
        .route("/wallet/account", get(money::account))
        .route("/wallet/history", get(money::history))
        .route("/wallet/backup", post(money::backup))
        .route("/wallet/lock", post(money::lock))
        .route("/wallet/unlock", post(money::unlock))
        .route("/peers", get(other::peers).post(other::connect))
        .route("/peers/{node}", get(other::browse))
        .route("/peers/{node}/block", post(other::block))
        .route("/peers/{node}/unblock", post(other::unblock))
        .route("/settings", get(other::settings).post(other::set))
        .route("/settings/name", post(other::set_name))
        .route("/settings/password", post(password::set))
        .route("/settings/password/remove", get(password::ask_remove).post(password::remove))
        .route("/settings/stop", get(other::ask_stop).post(other::stop))
        .route("/live/status", get(live::status))
        .route("/live/downloads", get(live::downloads))
        .route("/live/downloads/{id}", get(live::download))
        .fallback(missing)
        .method_not_allowed_fallback(missing)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .merge(files::upload_routes())
        .layer(axum::middleware::from_fn(headers))
        .with_state(ui)
}

/// What every page is sent with.
pub async fn headers(request: Request, next: Next) -> Response {
    let in_place = request.headers().contains_key("hx-request");
    let mut response = next.run(request).await;
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let refused = response.status().is_client_error() || response.status().is_server_error();
    // A refusal is a whole page, also where only a part of one was asked for.
    let whole = [
        (HeaderName::from_static("hx-retarget"), "body"),
        (HeaderName::from_static("hx-reswap"), "outerHTML"),
    ];
    let whole = whole.into_iter().filter(|_| in_place && refused);
    for (name, value) in fixed.into_iter().chain(whole) {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn missing(State(ui): State<Ui>, visit: Visit) -> Response {
    (StatusCode::NOT_FOUND, error::missing(&ui.context(&visit))).into_response()
}

/// A page that says no, with the status that the error has everywhere.
#[must_use]
pub fn refused_with(error: &ErrorView, page: Markup) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Extension(ErrorCode(error.code.clone())), page).into_response()
}

/// Where an act that went well leads: an address, and what to say there.
type Done = (String, String);

/// Carries out a form that moves money, once; `act` gets the peer, what was filled in, and the name of the act.
async fn once<R>(
    ui: &Ui,
    sent: &Arc<Sent>,
    act: impl FnOnce(Node, Arc<Sent>, Act) -> R + Send + 'static,
) -> Result<Done, ErrorView>
where
    R: Future<Output = Result<Done, ErrorView>> + Send + 'static,
{
    let filled_in = Arc::clone(sent);
    ui.node
        .once(sent.text("key"), sent.contents().as_bytes(), move |node, named| act(node, filled_in, named))
        .await
}

/// On to another page, with something to say there. A reload of that page repeats nothing.
fn onward(ui: &Ui, address: &str, said: &str) -> Response {
    let id = ui.said.good(said);
    let sign = if address.contains('?') { '&' } else { '?' };
    see_other(&format!("{address}{sign}said={id}"))
}

/// On to another page.
#[must_use]
pub fn see_other(address: &str) -> Response {
    axum::response::Redirect::to(address).into_response()
}

/// A key under which a money-moving form is carried out once.
#[must_use]
pub fn fresh_key() -> String {
    data_encoding::HEXLOWER.encode(&crate::clock::random::<16>())
}

fn view(trouble: Trouble) -> ErrorView {
    trouble.into()
}

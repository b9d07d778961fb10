//! What programs ask: a thin view over [`crate::app::Node`], under `/api/v1`.

use super::LOGIN;
use super::problem::{Body, Parameters, Problem};
use super::server::Api;
use crate::app::door;
use crate::app::view::{DownloadState, GetRequest, SearchOptions};
use crate::clock;
use crate::errors;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::stream::{self, Stream};
use netpay_core::amount::Coins;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::PathBuf;

/// Lines of a stream that are written at once, at most.
const LINES_AT_ONCE: usize = 64;

type Answer<T> = Result<Json<T>, Problem>;

/// All of it, without what stands before it.
pub fn router() -> axum::Router<Api> {
    axum::Router::new()
        .route("/status", get(status))
        .route("/stop", post(stop))
        .route("/peers", get(peers).post(connect))
        .route("/peers/{peer}/files", get(browse))
        .route("/peers/{peer}/block", post(block).delete(unblock))
        .route("/shares", get(shares).post(share_add))
        .route("/shares/{id}", axum::routing::patch(share_set).delete(share_remove))
        .route("/search", get(search))
        .route("/search/stream", get(search_stream))
        .route("/quote", post(quote))
        .route("/downloads", get(downloads).post(download_add))
        .route("/downloads/{id}", get(download))
        .route("/downloads/{id}/events", get(download_events))
        .route("/downloads/{id}/{act}", post(download_act))
        .route("/wallet", get(wallet))
        .route("/wallet/buy", post(buy))
        .route("/wallet/vouchers", post(voucher))
        .route("/wallet/chains", get(chains))
        .route("/wallet/retire", post(retire))
        .route("/wallet/history", get(history))
        .route("/wallet/backup", post(backup))
        .route("/wallet/restore", post(restore))
        .route("/wallet/lock", post(lock))
        .route("/wallet/unlock", post(unlock))
        .route("/sales", get(sales))
        .route("/till", get(till))
        .route("/handoffs", get(handoffs))
        .route("/certifications", get(certifications))
        .route("/redeem", post(redeem))
        .route("/broker", get(broker))
        .route("/broker/register", post(register))
        .route("/login-links", post(login_link))
        .fallback(nothing_here)
}

pub(super) async fn nothing_here(request: axum::extract::Request) -> Problem {
    Problem(errors::no_route(request.method(), request.uri().path()))
}

type Shared = State<Api>;

async fn status(State(api): Shared) -> Json<crate::app::view::Status> {
    Json(api.node.status())
}

async fn stop(State(api): Shared) -> Json<()> {
    api.node.ask_to_stop();
    Json(())
}

async fn peers(State(api): Shared) -> Answer<Vec<crate::app::view::PeerView>> {
    Ok(Json(api.node.peers().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connect {
    address: String,
}

async fn connect(State(api): Shared, Body(asked): Body<Connect>) -> Answer<crate::app::view::PeerView> {
    Ok(Json(api.node.connect(asked.address).await?))
}

async fn browse(State(api): Shared, Path(peer): Path<String>) -> Answer<Vec<crate::app::view::Found>> {
    Ok(Json(api.node.browse(peer).await?))
}

async fn block(State(api): Shared, Path(peer): Path<String>) -> Answer<crate::app::view::PeerView> {
    Ok(Json(api.node.block(peer).await?))
}

async fn unblock(State(api): Shared, Path(peer): Path<String>) -> Answer<crate::app::view::PeerView> {
    Ok(Json(api.node.unblock(peer).await?))
}

async fn shares(State(api): Shared) -> Answer<Vec<crate::app::view::SharedFile>> {
    Ok(Json(api.node.share_list().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareAdd {
    paths: Vec<PathBuf>,
    price: u64,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    recursive: bool,
}

async fn share_add(
    State(api): Shared,
    Body(asked): Body<ShareAdd>,
) -> Answer<Vec<crate::app::view::SharedFile>> {
    Ok(Json(api.node.share_add(asked.paths, asked.price, asked.tags, asked.recursive).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareSet {
    price: Option<u64>,
    tags: Option<Vec<String>>,
}

async fn share_set(
    State(api): Shared,
    Path(id): Path<String>,
    Body(asked): Body<ShareSet>,
) -> Answer<crate::app::view::SharedFile> {
    Ok(Json(api.node.share_set(id, asked.price, asked.tags).await?))
}

async fn share_remove(State(api): Shared, Path(id): Path<String>) -> Answer<()> {
    Ok(Json(api.node.share_remove(id).await?))
}

async fn search(
    State(api): Shared,
    Parameters(options): Parameters<SearchOptions>,
) -> Answer<Vec<crate::app::view::Found>> {
    Ok(Json(api.node.search(options).await?))
}

/// What is found, as replicas answer: one object on each line.
async fn search_stream(
    State(api): Shared,
    Parameters(options): Parameters<SearchOptions>,
) -> Result<Response, Problem> {
    let results = api.node.search_stream(&options)?;
    let lines = stream::unfold(results, |mut results| async {
        let mut found = Vec::new();
        if results.recv_many(&mut found, LINES_AT_ONCE).await == 0 {
            return None;
        }
        let mut lines = Vec::new();
        for one in &found {
            lines.extend(serde_json::to_vec(one).unwrap_or_default());
            lines.push(b'\n');
        }
        Some((Ok::<_, Infallible>(lines), results))
    });
    let body = axum::body::Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn quote(State(api): Shared, Body(asked): Body<GetRequest>) -> Answer<crate::app::view::Quote> {
    Ok(Json(api.node.quote(&asked).await?))
}

type Download = crate::app::view::DownloadView;

async fn downloads(State(api): Shared) -> Json<Vec<Download>> {
    Json(api.node.downloads())
}

async fn download_add(State(api): Shared, Body(asked): Body<GetRequest>) -> Answer<Download> {
    Ok(Json(api.node.get(asked).await?))
}

async fn download(State(api): Shared, Path(id): Path<u64>) -> Answer<Download> {
    Ok(Json(api.node.download(id)?))
}

async fn download_act(State(api): Shared, Path((id, act)): Path<(u64, String)>) -> Answer<Download> {
    let view = match act.as_str() {
        "pause" => api.node.pause_download(id).await?,
        "cancel" => api.node.cancel_download(id).await?,
        "resume" | "retry" => api.node.resume_download(id).await?,
        _ => return Err(Problem(errors::no_route("POST", format!("/downloads/{id}/{act}")))),
    };
    Ok(Json(view))
}

/// Every change of a download, until it stands still.
async fn download_events(
    State(api): Shared,
    Path(id): Path<u64>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mut watch = api.node.watch_download(id)?;
    watch.mark_changed();
    let stream = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        watch.changed().await.ok()?;
        let view = watch.borrow_and_update().clone();
        let ended = !matches!(view.state, DownloadState::Waiting | DownloadState::Running);
        let event = Event::default().event("download").json_data(&view).unwrap_or_default();
        Some((Ok(event), (!ended).then_some(watch)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

type Wallet = crate::app::view::WalletView;

async fn wallet(State(api): Shared) -> Answer<Wallet> {
    if let Err(trouble) = api.node.account(u64::MAX).await {
        tracing::debug!(%trouble, "the balance shown is the last one heard");
    }
    Ok(Json(api.node.wallet_view()?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuyCoins {
    coins: u64,
}

async fn buy(State(api): Shared, Body(asked): Body<BuyCoins>) -> Answer<Wallet> {
    api.node.buy_coins(Coins(asked.coins)).await?;
    Ok(Json(api.node.wallet_view()?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Voucher {
    voucher: Option<String>,
}

async fn voucher(State(api): Shared, Body(asked): Body<Voucher>) -> Answer<Wallet> {
    api.node.pay_in(door::parse_voucher(asked.voucher.as_deref().unwrap_or_default())?).await?;
    Ok(Json(api.node.wallet_view()?))
}

async fn register(State(api): Shared, Body(asked): Body<Voucher>) -> Answer<Wallet> {
    let voucher = asked.voucher.as_deref().map(door::parse_voucher).transpose()?;
    api.node.register(voucher).await?;
    Ok(Json(api.node.wallet_view()?))
}

async fn chains(State(api): Shared) -> Answer<Vec<crate::app::view::ChainView>> {
    Ok(Json(api.node.chain_views()?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retire {
    id: Option<String>,
}

async fn retire(State(api): Shared, Body(asked): Body<Retire>) -> Answer<Vec<crate::app::view::ChainView>> {
    Ok(Json(api.node.retire(asked.id.as_deref()).await?))
}

async fn history(State(api): Shared) -> Answer<Vec<crate::app::view::HistoryLine>> {
    Ok(Json(api.node.history().await?))
}

/// A backup and its passphrase; the bytes in Base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    #[serde(default)]
    pub(super) backup: String,
    #[serde(default)]
    pub(super) passphrase: String,
}

async fn backup(State(api): Shared, Body(asked): Body<Backup>) -> Answer<Backup> {
    let bytes = api.node.backup(asked.passphrase).await?;
    Ok(Json(Backup { backup: data_encoding::BASE64.encode(&bytes), passphrase: String::new() }))
}

async fn restore(State(api): Shared, Body(asked): Body<Backup>) -> Answer<Vec<crate::app::view::ChainView>> {
    let bytes = data_encoding::BASE64.decode(asked.backup.as_bytes()).map_err(errors::bad_backup)?;
    Ok(Json(api.node.restore(bytes, asked.passphrase).await?))
}

async fn lock(State(api): Shared) -> Json<()> {
    api.node.lock_wallet();
    Json(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlock {
    passphrase: String,
}

async fn unlock(State(api): Shared, Body(asked): Body<Unlock>) -> Answer<()> {
    Ok(Json(api.node.unlock(Some(asked.passphrase)).await?))
}

async fn sales(State(api): Shared) -> Answer<Vec<crate::app::view::SaleView>> {
    Ok(Json(api.node.sales()?))
}

async fn till(State(api): Shared) -> Answer<Vec<crate::app::view::TillView>> {
    Ok(Json(api.node.till_view()?))
}

async fn handoffs(State(api): Shared) -> Json<Vec<crate::app::view::HandoffView>> {
    Json(api.node.handoffs())
}

async fn certifications(State(api): Shared) -> Json<Vec<crate::app::view::CertificationView>> {
    Json(api.node.certifications())
}

async fn redeem(State(api): Shared) -> Answer<crate::app::view::RedeemView> {
    Ok(Json(api.node.redeem().await?))
}

async fn broker(State(api): Shared) -> Json<crate::app::view::BrokerView> {
    Json(api.node.broker_view())
}

/// A link that lets a person in, once and within a minute.
#[derive(Serialize, Deserialize)]
pub struct LoginLink {
    /// To be opened in a browser.
    pub url: String,
}

async fn login_link(State(api): Shared, headers: HeaderMap) -> Json<LoginLink> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let key = api.sessions.invite(clock::time());
    Json(LoginLink { url: format!("http://{host}{LOGIN}?key={key}") })
}

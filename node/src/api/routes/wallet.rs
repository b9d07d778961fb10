//! Coins, and the account at the broker.

use super::{Answer, LoginLink, Refusals, Shared, once};
use crate::api::problem::{Body, Parameters};
use crate::api::server::Api;
use crate::app::door;
use crate::app::view::ErrorView;
use crate::app::view::{BrokerView, ChainView, HistoryLine, Page, Part, WalletView};
use crate::errors;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use netpay_core::amount::Coins;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(wallet))
        .routes(routes!(buy))
        .routes(routes!(voucher))
        .routes(routes!(chains))
        .routes(routes!(retire))
        .routes(routes!(history))
        .routes(routes!(backup))
        .routes(routes!(restore))
        .routes(routes!(lock))
        .routes(routes!(unlock))
        .routes(routes!(broker))
        .routes(routes!(register))
        .routes(routes!(account_link))
}

/// What there is to spend, and where the rest is.
#[utoipa::path(
    get,
    path = "/wallet",
    tag = "wallet",
    responses((status = 200, body = WalletView), Refusals),
)]
async fn wallet(State(api): Shared) -> Answer<WalletView> {
    if let Err(trouble) = api.node.account(u64::MAX).await {
        tracing::debug!(%trouble, "the balance shown is the last one heard");
    }
    Ok(Json(api.node.wallet_view()?))
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BuyCoins {
    coins: u64,
}

/// Buys coins at the broker, for money of the account.
#[utoipa::path(
    post,
    path = "/wallet/buy",
    tag = "wallet",
    request_body = BuyCoins,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = WalletView), Refusals),
)]
async fn buy(State(api): Shared, headers: HeaderMap, Body(asked): Body<BuyCoins>) -> Answer<WalletView> {
    let coins = Coins(asked.coins);
    once(&api, &headers, ("buy", &asked), move |node, act| async move {
        node.buy_coins(coins, Some(&act.name)).await?;
        Ok(node.wallet_view()?)
    })
    .await
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Voucher {
    voucher: Option<String>,
}

/// Pays a voucher into the account.
#[utoipa::path(
    post,
    path = "/wallet/vouchers",
    tag = "wallet",
    request_body = Voucher,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = WalletView), Refusals),
)]
async fn voucher(State(api): Shared, headers: HeaderMap, Body(asked): Body<Voucher>) -> Answer<WalletView> {
    let code = door::parse_voucher(asked.voucher.as_deref().unwrap_or_default())?;
    once(&api, &headers, ("voucher", &asked), move |node, _| async move {
        node.pay_in(code).await?;
        Ok(node.wallet_view()?)
    })
    .await
}

/// The chains of coins in the wallet, in the order of their ids.
#[utoipa::path(
    get,
    path = "/wallet/chains",
    tag = "wallet",
    params(Part),
    responses((status = 200, body = Page<ChainView>), Refusals),
)]
async fn chains(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<ChainView>> {
    Ok(Json(api.node.chains_part(&part)?))
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Retire {
    id: Option<String>,
}

/// Gives chains up: they are refunded at their settlement.
#[utoipa::path(
    post,
    path = "/wallet/retire",
    tag = "wallet",
    request_body = Retire,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = Vec<ChainView>), Refusals),
)]
async fn retire(State(api): Shared, headers: HeaderMap, Body(asked): Body<Retire>) -> Answer<Vec<ChainView>> {
    let id = asked.id.clone();
    once(&api, &headers, ("retire", &asked), move |node, _| async move {
        node.retire(id.as_deref()).await.map_err(ErrorView::from)
    })
    .await
}

/// The account's statement, oldest line first.
#[utoipa::path(
    get,
    path = "/wallet/history",
    tag = "wallet",
    params(Part),
    responses((status = 200, body = Page<HistoryLine>), Refusals),
)]
async fn history(State(api): Shared, Parameters(part): Parameters<Part>) -> Answer<Page<HistoryLine>> {
    Ok(Json(api.node.history_part(&part).await?))
}

/// A backup and its passphrase; the bytes in Base64.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    #[serde(default)]
    pub(super) backup: String,
    #[serde(default)]
    pub(super) passphrase: String,
}

/// An encrypted backup of account and chains.
#[utoipa::path(
    post,
    path = "/wallet/backup",
    tag = "wallet",
    request_body = Backup,
    responses((status = 200, body = Backup), Refusals),
)]
async fn backup(State(api): Shared, Body(asked): Body<Backup>) -> Answer<Backup> {
    let bytes = api.node.backup(asked.passphrase).await?;
    Ok(Json(Backup { backup: data_encoding::BASE64.encode(&bytes), passphrase: String::new() }))
}

/// Puts a backup in the place of an empty wallet; its chains are given up and refunded.
#[utoipa::path(
    post,
    path = "/wallet/restore",
    tag = "wallet",
    request_body = Backup,
    responses((status = 200, body = Vec<ChainView>), Refusals),
)]
async fn restore(State(api): Shared, Body(asked): Body<Backup>) -> Answer<Vec<ChainView>> {
    let bytes = data_encoding::BASE64.decode(asked.backup.as_bytes()).map_err(errors::bad_backup)?;
    Ok(Json(api.node.restore(bytes, asked.passphrase).await?))
}

/// Forgets the secrets of the wallet until it is unlocked.
#[utoipa::path(
    post,
    path = "/wallet/lock",
    tag = "wallet",
    responses((status = 200), Refusals),
)]
async fn lock(State(api): Shared) -> Json<()> {
    api.node.lock_wallet();
    Json(())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Unlock {
    passphrase: String,
}

/// Opens the wallet.
#[utoipa::path(
    post,
    path = "/wallet/unlock",
    tag = "wallet",
    request_body = Unlock,
    responses((status = 200), Refusals),
)]
async fn unlock(State(api): Shared, Body(asked): Body<Unlock>) -> Answer<()> {
    Ok(Json(api.node.unlock(Some(asked.passphrase)).await?))
}

/// The broker as this peer knows it.
#[utoipa::path(
    get,
    path = "/broker",
    tag = "wallet",
    responses((status = 200, body = BrokerView), Refusals),
)]
async fn broker(State(api): Shared) -> Json<BrokerView> {
    Json(api.node.broker_view())
}

/// Opens an account at the broker, or makes sure of it.
#[utoipa::path(
    post,
    path = "/broker/register",
    tag = "wallet",
    request_body = Voucher,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = WalletView), Refusals),
)]
async fn register(State(api): Shared, headers: HeaderMap, Body(asked): Body<Voucher>) -> Answer<WalletView> {
    let code = asked.voucher.as_deref().map(door::parse_voucher).transpose()?;
    once(&api, &headers, ("register", &asked), move |node, _| async move {
        node.register(code).await?;
        Ok(node.wallet_view()?)
    })
    .await
}

/// A link to the account's page at the broker, which signs one browser in, once and within a minute.
#[utoipa::path(
    post,
    path = "/broker/account-links",
    tag = "broker",
    responses((status = 200, body = LoginLink), Refusals),
)]
async fn account_link(State(api): Shared) -> Answer<LoginLink> {
    Ok(Json(LoginLink { url: api.node.account_link().await? }))
}

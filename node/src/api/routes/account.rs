//! The account at the broker: what the broker says of it now, and money out of it.

use super::{Answer, Refusals, Shared, once};
use crate::api::problem::Body;
use crate::api::server::Api;
use crate::app::Trouble;
use crate::app::view::{ErrorView, WalletView};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use netpay_core::amount::Coins;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this room answers.
pub fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(account)).routes(routes!(payout))
}

/// Asks the broker what the account holds. Unlike `/wallet` it says so if the broker does not answer, or refuses.
#[utoipa::path(
    get,
    path = "/broker/account",
    tag = "wallet",
    responses((status = 200, body = WalletView), Refusals),
)]
async fn account(State(api): Shared) -> Answer<WalletView> {
    api.node.account(u64::MAX).await?;
    Ok(Json(api.node.wallet_view()?))
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PayOut {
    /// Coins' worth of money.
    coins: u64,
    /// Where to, as the operator's bank understands it.
    to: String,
}

/// Asks the broker to pay money of the account out; it is taken off the balance at once.
#[utoipa::path(
    post,
    path = "/wallet/payouts",
    tag = "wallet",
    request_body = PayOut,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = WalletView), Refusals),
)]
async fn payout(State(api): Shared, headers: HeaderMap, Body(asked): Body<PayOut>) -> Answer<WalletView> {
    let (coins, to) = (Coins(asked.coins), asked.to.clone());
    once(&api, &headers, ("payout", &asked), move |node, act| async move {
        node.pay_out(coins, &to, &act.name).await.map_err(refused)?;
        Ok(node.wallet_view()?)
    })
    .await
}

/// A payout that the broker did not hear is not forgotten.
fn refused(trouble: Trouble) -> ErrorView {
    let unheard = matches!(trouble, Trouble::BrokerUnreachable(_));
    let error = ErrorView::from(trouble);
    let fix = "nothing: it is asked for by itself when the broker is back; the same again is the same payout";
    if unheard { error.fixed_by(fix) } else { error }
}

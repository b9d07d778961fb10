//! The routes of the operator's API, each a thin view over the bank.

use super::view::{
    AccountView, AuditView, ChainView, PageView, PayoutView, RedemptionView, StatusView, VouchersView,
};
use super::{Failure, State, disputes, guard, stream};
use crate::backup;
use crate::errors;
use crate::export;
use crate::ledger::{Auditor, Command, Ledger, MAX_VOUCHERS, VoucherId};
use crate::store::{Journal, JournalError};
use axum::body::Body;
use axum::extract::{Path, Query, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use netpay_core::amount::Coins;
use netpay_core::codec::Text;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::PublicKey;
use netpay_core::wire::bank::VoucherCode;
use serde::Deserialize;
use std::sync::Arc;

/// Items in one page of a list.
const PAGE: usize = 200;
/// The longest idempotency key, in bytes.
const KEY_MAX: usize = 128;

type Shared = Extract<Arc<State>>;
type Answer<T> = Result<Json<T>, Failure>;

/// The routes, guarded.
pub fn router(state: Arc<State>) -> Router {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/stop", post(stop))
        .route("/vouchers", post(vouchers))
        .route("/accounts", get(accounts))
        .route("/accounts/{account}", get(account))
        .route("/accounts/{account}/credit", post(credit))
        .route("/accounts/{account}/freeze", post(freeze))
        .route("/accounts/{account}/unfreeze", post(unfreeze))
        .route("/accounts/{account}/close", post(close))
        .route("/chains", get(chains))
        .route("/chains/{chain}", get(chain))
        .route("/redemptions", get(redemptions))
        .route("/payouts", get(payouts))
        .route("/payouts/{account}/{number}/paid", post(paid))
        .route("/ledger/check", get(check))
        .route("/ledger/export", get(export_books))
        .route("/backup", get(save))
        .merge(disputes::router());
    let guarded = middleware::from_fn_with_state(state.clone(), guard::check);
    Router::new().nest("/api/v1", routes).layer(guarded).with_state(state)
}

/// Where a page begins.
#[derive(Deserialize)]
struct From {
    after: Option<String>,
}

/// What vouchers are sold.
#[derive(Deserialize)]
struct Sale {
    value: u64,
    #[serde(default = "one")]
    count: usize,
}

const fn one() -> usize {
    1
}

#[derive(Deserialize)]
struct Credit {
    coins: u64,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
struct Freeze {
    why: String,
}

#[derive(Deserialize)]
struct Paid {
    reference: String,
}

async fn status(Extract(state): Shared) -> Answer<StatusView> {
    let now = state.bank.now();
    let alive = state.bank.roster().alive(now);
    let (network, name) = (state.bank.terms().network.clone(), state.bank.terms().name.clone());
    let served = state.overlay.served().into_iter();
    let served = served.map(|(protocol, count)| (protocol.id().to_owned(), count)).collect();
    let (broker, invite) = (state.bank.key().to_string(), state.invite.to_string());
    let view = move |ledger: &Ledger| {
        let (vouchers_sold, vouchers_used) = ledger.vouchers();
        StatusView {
            network,
            name,
            broker,
            invite,
            records: ledger.seq(),
            accounts: ledger.customers().count(),
            alive,
            chains: ledger.chains().count(),
            vouchers_sold,
            vouchers_used,
            convictions: ledger.convicted().count(),
            served,
            books: ledger.books().into(),
        }
    };
    Ok(Json(state.bank.look(view).await?))
}

async fn stop(Extract(state): Shared) -> StatusCode {
    state.stop.send_replace(true);
    StatusCode::ACCEPTED
}

async fn vouchers(
    Extract(state): Shared,
    headers: HeaderMap,
    Json(sale): Json<Sale>,
) -> Answer<VouchersView> {
    let key = idempotency(&headers)?;
    if sale.count == 0 || sale.count > MAX_VOUCHERS {
        return Err(errors::bad_request(format!("1 to {MAX_VOUCHERS} vouchers at once")).into());
    }
    let codes: Vec<VoucherCode> =
        (0..sale.count).map(|number| state.code(&key, sale.value, number)).collect();
    let vouchers = codes.iter().map(|code| (VoucherId::of(code), Coins(sale.value))).collect();
    state.bank.run(Command::IssueVouchers { vouchers }).await?;
    Ok(Json(VouchersView { value: sale.value, codes: codes.iter().map(ToString::to_string).collect() }))
}

async fn accounts(Extract(state): Shared, Query(from): Query<From>) -> Answer<PageView<AccountView>> {
    let after = from.after.map(|after| named::<PublicKey>("account", &after)).transpose()?;
    let list = move |ledger: &Ledger| {
        let later = ledger.customers().filter(|(account, _)| after.is_none_or(|after| **account > after));
        later.take(PAGE).map(|(account, customer)| AccountView::short(ledger, account, customer)).collect()
    };
    Ok(Json(page(state.bank.look(list).await?, |view: &AccountView| view.account.clone())))
}

async fn account(Extract(state): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let key: PublicKey = named("account", &name)?;
    let view = state.bank.look(move |ledger| AccountView::whole(ledger, &key));
    Ok(Json(view.await?.ok_or_else(|| errors::not_found("account", &name))?))
}

async fn credit(
    Extract(state): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(credit): Json<Credit>,
) -> Answer<AccountView> {
    let id = idempotency(&headers)?;
    let account = named("account", &name)?;
    let command = Command::Credit { id, account, coins: Coins(credit.coins), note: Text::cut(&credit.note) };
    state.change(account, command).await
}

async fn freeze(
    Extract(state): Shared,
    Path(name): Path<String>,
    Json(freeze): Json<Freeze>,
) -> Answer<AccountView> {
    let account = named("account", &name)?;
    state.change(account, Command::Freeze { account, why: Text::cut(&freeze.why) }).await
}

async fn unfreeze(Extract(state): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let account = named("account", &name)?;
    state.change(account, Command::Unfreeze { account }).await
}

async fn close(Extract(state): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let account = named("account", &name)?;
    state.change(account, Command::Close { account }).await
}

async fn chains(Extract(state): Shared, Query(from): Query<From>) -> Answer<PageView<ChainView>> {
    let after = from.after.map(|after| named::<ChainId>("chain", &after)).transpose()?;
    let list = move |ledger: &Ledger| {
        let later = ledger.chains().filter(|(chain, _)| after.is_none_or(|after| **chain > after));
        later.take(PAGE).map(|(_, chain)| ChainView::short(chain)).collect()
    };
    Ok(Json(page(state.bank.look(list).await?, |view: &ChainView| view.chain.clone())))
}

async fn chain(Extract(state): Shared, Path(name): Path<String>) -> Answer<ChainView> {
    let id: ChainId = named("chain", &name)?;
    let view = state.bank.look(move |ledger| ledger.chain(&id).map(ChainView::whole)).await?;
    Ok(Json(view.ok_or_else(|| errors::not_found("chain", &name))?))
}

async fn redemptions(Extract(state): Shared) -> Answer<PageView<RedemptionView>> {
    let items = state.bank.look(|ledger| RedemptionView::newest(ledger, PAGE)).await?;
    Ok(Json(PageView { items, next: None }))
}

async fn payouts(Extract(state): Shared) -> Answer<PageView<PayoutView>> {
    let list = |ledger: &Ledger| ledger.payouts().map(|(id, payout)| PayoutView::of(id, payout)).collect();
    Ok(Json(PageView { items: state.bank.look(list).await?, next: None }))
}

async fn paid(
    Extract(state): Shared,
    Path((account, number)): Path<(String, String)>,
    Json(paid): Json<Paid>,
) -> Answer<PageView<PayoutView>> {
    let account: PublicKey = named("account", &account)?;
    let digits = data_encoding::HEXLOWER_PERMISSIVE.decode(number.as_bytes()).ok();
    let number: [u8; 16] = digits
        .and_then(|digits| digits.try_into().ok())
        .ok_or_else(|| errors::not_found("payout", &number))?;
    let id = (account, number);
    state.bank.run(Command::Payout { id, reference: Text::cut(&paid.reference) }).await?;
    payouts(Extract(state)).await
}

async fn check(Extract(state): Shared) -> Answer<AuditView> {
    let (journal, network) = (state.bank.journal().clone(), state.bank.network());
    let auditing = tokio::task::spawn_blocking(move || audit(&journal, network));
    Ok(Json(auditing.await.map_err(errors::books)?.map_err(errors::books)?))
}

async fn export_books(Extract(state): Shared) -> Body {
    let (journal, network) = (state.bank.journal().clone(), state.bank.network());
    stream::written(move |out| export::write(out, &journal, network))
}

async fn save(Extract(state): Shared) -> Result<Body, Failure> {
    let opened = state.home.open()?;
    let journal = state.bank.journal().clone();
    Ok(stream::written(move |out| {
        backup::save(out, &opened.settings, (&opened.signing, &opened.node), &journal)
    }))
}

/// Proves the books from their journal.
///
/// # Errors
/// What does not hold.
pub fn audit(journal: &Journal, network: NetworkId) -> Result<AuditView, JournalError> {
    let mut auditor = Auditor::new(network);
    journal.each(|record| auditor.read(&record).map(|_| ()).map_err(JournalError::from))?;
    Ok(AuditView::from(&auditor.finish()?))
}

impl State {
    /// Carries out a command and shows the account then.
    async fn change(&self, account: PublicKey, command: Command) -> Answer<AccountView> {
        self.bank.run(command).await?;
        let view = self.bank.look(move |ledger| AccountView::whole(ledger, &account)).await?;
        Ok(Json(view.ok_or_else(|| errors::not_found("account", account))?))
    }

    fn code(&self, key: &[u8; 16], value: u64, number: usize) -> VoucherCode {
        let mut hasher = blake3::Hasher::new_keyed(&self.voucher_secret);
        hasher.update(key);
        hasher.update(&value.to_le_bytes());
        hasher.update(&(number as u64).to_le_bytes());
        let mut code = [0; 20];
        hasher.finalize_xof().fill(&mut code);
        VoucherCode(code)
    }
}

fn idempotency(headers: &HeaderMap) -> Result<[u8; 16], Failure> {
    let key = headers
        .get("idempotency-key")
        .map(|key| key.as_bytes())
        .filter(|key| !key.is_empty() && key.len() <= KEY_MAX);
    let missing =
        || errors::bad_request("a request that moves money needs an Idempotency-Key of 1 to 128 bytes");
    let mut id = [0; 16];
    blake3::Hasher::new().update(key.ok_or_else(missing)?).finalize_xof().fill(&mut id);
    Ok(id)
}

fn named<T: std::str::FromStr>(what: &str, name: &str) -> Result<T, Failure> {
    name.parse().map_err(|_| Failure(errors::not_found(what, name)))
}

fn page<T>(items: Vec<T>, name: impl Fn(&T) -> String) -> PageView<T> {
    let next = items.last().filter(|_| items.len() == PAGE).map(name);
    PageView { items, next }
}

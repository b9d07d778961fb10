//! The routes of the operator's API, each a thin view over the bank. Each says what it answers, and that is what the API's
//! description says.

use super::evidence::Source;
use super::view::{
    AccountView, AuditView, ChainView, DisputeView, PageView, PayoutView, RedemptionView, StatusView,
    VouchersView,
};
use super::{Desk, Failure, disputes, lists, metrics, request_number, stream};
use crate::backup;
use crate::errors::{self, ErrorView};
use crate::export;
use crate::ledger::{Auditor, Command, Dispute, FALSE_ACCUSATION, HELD_FOR, Ledger};
use crate::store::{Journal, JournalError};
use axum::body::Body as Stream;
use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, Text};
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::PublicKey;
use netpay_node::api::description::{self, Refusals};
use netpay_node::api::guard;
use netpay_node::api::problem::{Body, Parameters, Path, not_so, nothing_here};
use netpay_node::api::{LoginLink, MAX_BODY};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Items in one page of a list.
const PAGE: usize = 200;
/// The header that names an act, so that it is done once.
const ONCE: &str = "idempotency-key";

type Shared = Extract<Desk>;
type Answer<T> = Result<Json<T>, Failure>;

/// What is said of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "NetPay broker",
        description = "What a NetPay broker answers to its operator's programs. Amounts are whole coins, times RFC 3339, ids lower-case hexadecimal. Lists come in pages: `next` of one is `after` of the next.",
    ),
    security(("token" = [])),
)]
struct Description;

/// All of it, guarded but for what says whether the broker is there.
pub fn router(desk: Desk) -> Router {
    let (routes, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status))
        .routes(routes!(stop))
        .routes(routes!(login_link))
        .routes(routes!(vouchers))
        .routes(routes!(accounts))
        .routes(routes!(account))
        .routes(routes!(credit))
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
        .routes(routes!(close))
        .routes(routes!(chains))
        .routes(routes!(chain))
        .routes(routes!(redemptions))
        .routes(routes!(payouts))
        .routes(routes!(paid))
        .routes(routes!(list_disputes))
        .routes(routes!(dispute))
        .routes(routes!(check))
        .routes(routes!(export))
        .routes(routes!(save))
        .split_for_parts();
    description::complete(&mut description, "broker");
    let description = Json(description);
    let routes = routes
        .route("/openapi.json", get(move || async move { description.clone() }))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(desk.clone(), guard::for_all::<Desk>));
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(figures).layer(from_fn_with_state(desk.clone(), guard::for_all::<Desk>)))
        .nest("/api/v1", routes)
        .with_state(desk)
}

async fn is_ready(Extract(desk): Shared) -> (StatusCode, &'static str) {
    match desk.readiness().await {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn figures(Extract(desk): Shared) -> Result<impl IntoResponse, Failure> {
    let text = metrics::text(&desk).await?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// Where a page begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct From {
    /// `next` of the page before.
    after: Option<String>,
}

/// Which accounts, and where a page begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// The beginning of a key, or a part of a name. A page of a search may have no items and yet a next one.
    words: Option<String>,
}

/// Which payouts, and where a page begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichPayouts {
    /// `next` of the page before.
    after: Option<String>,
    /// Those alone that are to be made.
    #[serde(default)]
    to_be_made: bool,
}

/// What vouchers are sold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sale {
    /// What each is worth.
    value: u64,
    /// How many.
    #[serde(default = "one")]
    count: usize,
}

const fn one() -> usize {
    1
}

/// What is credited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credit {
    /// How much.
    coins: u64,
    /// What for.
    #[serde(default)]
    note: String,
}

/// Why an account is frozen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Freeze {
    /// In a line.
    why: String,
}

/// How a payout was made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Paid {
    /// The reference of the transfer.
    reference: String,
}

/// The broker at a glance.
#[utoipa::path(
    get,
    path = "/status",
    tag = "status",
    responses((status = 200, body = StatusView), Refusals),
)]
async fn status(Extract(desk): Shared) -> Answer<StatusView> {
    Ok(Json(desk.status().await?))
}

/// Asks the broker to stop, gracefully.
#[utoipa::path(
    post,
    path = "/stop",
    tag = "stop",
    responses((status = 200), Refusals),
)]
async fn stop(Extract(desk): Shared) -> Json<()> {
    desk.stop();
    Json(())
}

/// A link that signs one browser in to the operator's pages, once and within a minute.
#[utoipa::path(
    post,
    path = "/login-links",
    tag = "login-links",
    responses((status = 200, body = LoginLink), Refusals),
)]
async fn login_link(Extract(desk): Shared, headers: HeaderMap) -> Json<LoginLink> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Json(LoginLink { url: desk.link(host) })
}

/// Makes vouchers and tells their codes, which are as good as money.
#[utoipa::path(
    post,
    path = "/vouchers",
    tag = "vouchers",
    request_body = Sale,
    params(("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = VouchersView), Refusals),
)]
async fn vouchers(Extract(desk): Shared, headers: HeaderMap, Body(sale): Body<Sale>) -> Answer<VouchersView> {
    let key = idempotency(&headers)?;
    Ok(Json(desk.sell_vouchers(&key, sale.value, sale.count).await?))
}

/// The accounts, in the order of their keys.
#[utoipa::path(
    get,
    path = "/accounts",
    tag = "accounts",
    params(Which),
    responses((status = 200, body = PageView<AccountView>), Refusals),
)]
async fn accounts(
    Extract(desk): Shared,
    Parameters(which): Parameters<Which>,
) -> Answer<PageView<AccountView>> {
    let after = cursor(which.after, |text| text.parse::<PublicKey>().ok())?;
    let words = which.words.unwrap_or_default();
    let list = move |ledger: &Ledger| lists::accounts(ledger, after.as_ref(), &words, PAGE);
    Ok(Json(desk.look(list).await?))
}

/// One account, with its statement.
#[utoipa::path(
    get,
    path = "/accounts/{account}",
    tag = "accounts",
    params(("account" = String, Path, description = "The account's key.")),
    responses((status = 200, body = AccountView), Refusals),
)]
async fn account(Extract(desk): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let key: PublicKey = named("account", &name)?;
    let view = desk.look(move |ledger| AccountView::whole(ledger, &key)).await?;
    Ok(Json(view.ok_or_else(|| errors::not_found("account", &name))?))
}

/// Books money that came in outside.
#[utoipa::path(
    post,
    path = "/accounts/{account}/credit",
    tag = "accounts",
    request_body = Credit,
    params(("account" = String, Path, description = "The account's key."), ("Idempotency-Key" = String, Header, description = "The same again is the same act.")),
    responses((status = 200, body = AccountView), Refusals),
)]
async fn credit(
    Extract(desk): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(credit): Body<Credit>,
) -> Answer<AccountView> {
    let id = idempotency(&headers)?;
    let account = named("account", &name)?;
    let command =
        Command::Credit { id, account, coins: Coins(credit.coins), note: written(&credit.note, "a note")? };
    change(&desk, account, command).await
}

/// Keeps an account from buying and from being paid out. Its nodes are members no more meanwhile.
#[utoipa::path(
    post,
    path = "/accounts/{account}/freeze",
    tag = "accounts",
    request_body = Freeze,
    params(("account" = String, Path, description = "The account's key.")),
    responses((status = 200, body = AccountView), Refusals),
)]
async fn freeze(
    Extract(desk): Shared,
    Path(name): Path<String>,
    Body(freeze): Body<Freeze>,
) -> Answer<AccountView> {
    let account = named("account", &name)?;
    let why = given(&freeze.why, "the reason")?;
    change(&desk, account, Command::Freeze { account, why }).await
}

/// Lets a frozen account again.
#[utoipa::path(
    post,
    path = "/accounts/{account}/unfreeze",
    tag = "accounts",
    params(("account" = String, Path, description = "The account's key.")),
    responses((status = 200, body = AccountView), Refusals),
)]
async fn unfreeze(Extract(desk): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let account = named("account", &name)?;
    change(&desk, account, Command::Unfreeze { account }).await
}

/// Makes an account's nodes members no more. Its bond comes back once they witness nothing that is outstanding.
#[utoipa::path(
    post,
    path = "/accounts/{account}/close",
    tag = "accounts",
    params(("account" = String, Path, description = "The account's key.")),
    responses((status = 200, body = AccountView), Refusals),
)]
async fn close(Extract(desk): Shared, Path(name): Path<String>) -> Answer<AccountView> {
    let account = named("account", &name)?;
    change(&desk, account, Command::Close { account }).await
}

/// The chains sold, in the order of their ids.
#[utoipa::path(
    get,
    path = "/chains",
    tag = "chains",
    params(From),
    responses((status = 200, body = PageView<ChainView>), Refusals),
)]
async fn chains(Extract(desk): Shared, Parameters(from): Parameters<From>) -> Answer<PageView<ChainView>> {
    let after = cursor(from.after, |text| text.parse::<ChainId>().ok())?;
    Ok(Json(desk.look(move |ledger| lists::chains(ledger, after.as_ref(), PAGE)).await?))
}

/// One chain, with the claims on it.
#[utoipa::path(
    get,
    path = "/chains/{chain}",
    tag = "chains",
    params(("chain" = String, Path, description = "The chain's id.")),
    responses((status = 200, body = ChainView), Refusals),
)]
async fn chain(Extract(desk): Shared, Path(name): Path<String>) -> Answer<ChainView> {
    let id: ChainId = named("chain", &name)?;
    let whole = move |ledger: &Ledger| ledger.chain(&id).map(|chain| ChainView::whole(ledger, chain));
    let view = desk.look(whole).await?;
    Ok(Json(view.ok_or_else(|| errors::not_found("chain", &name))?))
}

/// The claims that vendors brought, the newest first.
#[utoipa::path(
    get,
    path = "/redemptions",
    tag = "redemptions",
    params(From),
    responses((status = 200, body = PageView<RedemptionView>), Refusals),
)]
async fn redemptions(
    Extract(desk): Shared,
    Parameters(from): Parameters<From>,
) -> Answer<PageView<RedemptionView>> {
    let before = cursor(from.after, lists::arrival)?;
    Ok(Json(desk.look(move |ledger| lists::redemptions(ledger, before.as_ref(), PAGE)).await?))
}

/// The payouts asked for.
#[utoipa::path(
    get,
    path = "/payouts",
    tag = "payouts",
    params(WhichPayouts),
    responses((status = 200, body = PageView<PayoutView>), Refusals),
)]
async fn payouts(
    Extract(desk): Shared,
    Parameters(which): Parameters<WhichPayouts>,
) -> Answer<PageView<PayoutView>> {
    let after = cursor(which.after, lists::payout)?;
    let list = move |ledger: &Ledger| lists::payouts(ledger, after.as_ref(), which.to_be_made, PAGE);
    Ok(Json(desk.look(list).await?))
}

/// Notes that a payout was made.
#[utoipa::path(
    post,
    path = "/payouts/{account}/{number}/paid",
    tag = "payouts",
    request_body = Paid,
    params(("account" = String, Path, description = "The account's key."), ("number" = String, Path, description = "The account's number for it.")),
    responses((status = 200, body = PageView<PayoutView>), Refusals),
)]
async fn paid(
    Extract(desk): Shared,
    Path((account, number)): Path<(String, String)>,
    Body(paid): Body<Paid>,
) -> Answer<PageView<PayoutView>> {
    let name = format!("{account}-{number}");
    let id = lists::payout(&name).ok_or_else(|| errors::not_found("payout", &number))?;
    let reference = given(&paid.reference, "the reference")?;
    desk.run(Command::Payout { id, reference }).await?;
    let made = move |ledger: &Ledger| lists::payout_of(ledger, &id).into_iter().collect();
    Ok(Json(PageView { items: desk.look(made).await?, next: None }))
}

/// Those who are convicted of having signed two things of which the rules allow one, or of having sold junk, and those who
/// said falsely of another that it did; the newest first.
#[utoipa::path(
    get,
    path = "/disputes",
    tag = "disputes",
    params(From),
    responses((status = 200, body = PageView<DisputeView>), Refusals),
)]
async fn list_disputes(
    Extract(desk): Shared,
    Parameters(from): Parameters<From>,
) -> Answer<PageView<DisputeView>> {
    let before = cursor(from.after, disputes::named)?;
    Ok(Json(desk.look(move |ledger| disputes::before(ledger, before.as_ref(), PAGE)).await?))
}

/// One dispute, with both sides' evidence as far as it is in the books.
#[utoipa::path(
    get,
    path = "/disputes/{dispute}",
    tag = "disputes",
    params(("dispute" = String, Path, description = "Its `id` in the list.")),
    responses((status = 200, body = DisputeView), Refusals),
)]
async fn dispute(Extract(desk): Shared, Path(name): Path<String>) -> Answer<DisputeView> {
    Ok(Json(desk.dispute(&name).await?))
}

/// Proves the books from their journal.
#[utoipa::path(
    get,
    path = "/ledger/check",
    tag = "ledger",
    responses((status = 200, body = AuditView), Refusals),
)]
async fn check(Extract(desk): Shared) -> Answer<AuditView> {
    Ok(Json(desk.audit().await?))
}

/// The journal in entries, one record in JSON per line.
#[utoipa::path(
    get,
    path = "/ledger/export",
    tag = "ledger",
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Refusals),
)]
async fn export(Extract(desk): Shared) -> Stream {
    desk.journal()
}

/// Keys, configuration and journal in one file. It is as secret as the keys: whoever may only look does not get it.
#[utoipa::path(
    post,
    path = "/backup",
    tag = "backup",
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Refusals),
)]
async fn save(Extract(desk): Shared) -> Result<Stream, Failure> {
    Ok(desk.backup()?)
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

/// Carries out a command and shows the account then.
async fn change(desk: &Desk, account: PublicKey, command: Command) -> Answer<AccountView> {
    desk.run(command).await?;
    let view = desk.look(move |ledger| AccountView::whole(ledger, &account)).await?;
    Ok(Json(view.ok_or_else(|| errors::not_found("account", account.to_string()))?))
}

fn idempotency(headers: &HeaderMap) -> Result<[u8; 16], Failure> {
    Ok(request_number(headers.get(ONCE).map(|key| key.as_bytes()).unwrap_or_default())?)
}

fn named<T: std::str::FromStr>(what: &str, name: &str) -> Result<T, Failure> {
    name.parse().map_err(|_| Failure(errors::not_found(what, name)))
}

/// A line for the books, whole: nothing of it is cut off.
fn written(text: &str, what: &str) -> Result<Text<80>, Failure> {
    let long = |_| Failure(errors::bad_request(format!("{what} has at most 80 bytes, not {}", text.len())));
    Text::try_from(text).map_err(long)
}

/// A line that is not left out.
fn given(text: &str, what: &str) -> Result<Text<80>, Failure> {
    match text.trim() {
        "" => Err(Failure(errors::bad_request(format!("{what} is missing")))),
        text => written(text, what),
    }
}

/// Where a page begins, if that was said.
fn cursor<T>(given: Option<String>, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
    let read = |text: String| read(&text).ok_or_else(|| Failure(errors::bad_cursor(&text)));
    given.map(read).transpose()
}

impl Desk {
    /// The broker at a glance.
    ///
    /// # Errors
    /// If the bank is closed.
    pub async fn status(&self) -> Result<StatusView, ErrorView> {
        let alive = self.bank.roster().alive(self.bank.now());
        let (network, name) = (self.bank.terms().network.clone(), self.bank.terms().name.clone());
        let served = self.overlay.served().into_iter();
        let served = served.map(|(protocol, count)| (protocol.id().to_owned(), count)).collect();
        let (broker, invite) = (self.bank.key().to_string(), self.invite.to_string());
        let pages = self.bank.pages().to_owned();
        let view = move |ledger: &Ledger| {
            let (vouchers_sold, vouchers_used) = ledger.vouchers();
            let (accounts, chains, convictions) = ledger.sizes();
            StatusView {
                network,
                name,
                broker,
                invite,
                pages,
                records: ledger.seq(),
                accounts,
                alive,
                chains,
                vouchers_sold,
                vouchers_used,
                convictions,
                served,
                books: ledger.books().into(),
                held_for: HELD_FOR,
                false_accusation: FALSE_ACCUSATION.0,
            }
        };
        self.look(view).await
    }

    /// One dispute, with what contradicts each other.
    ///
    /// # Errors
    /// If there is none of that name, or the disk fails.
    pub async fn dispute(&self, name: &str) -> Result<DisputeView, ErrorView> {
        let missing = || errors::not_found("dispute", name);
        let dispute = disputes::named(name).ok_or_else(missing)?;
        let source = self.look(move |ledger| Source::of(ledger, &dispute)).await?.ok_or_else(missing)?;
        let (journal, network) = (self.bank.journal().clone(), self.bank.network());
        let reading = tokio::task::spawn_blocking(move || source.read(&journal));
        let proof = reading.await.map_err(errors::books)?.map_err(errors::books)?;
        let whole = move |ledger: &Ledger| {
            let view = disputes::whole(ledger, &network, &dispute, proof.as_ref())?;
            let verdict = match &dispute {
                Dispute::Junk(chain, key) => ledger.verdict(*chain, key),
                _ => None,
            };
            Some((view, verdict))
        };
        let (mut view, verdict) = self.look(whole).await?.ok_or_else(missing)?;
        if let (Some(junk), Some(verdict)) = (&mut view.junk, verdict) {
            let signed = self.bank.signed(verdict).await.map_err(|reject| errors::refused(&reject))?;
            junk.verdict = Some(data_encoding::HEXLOWER.encode(&codec::encode(&signed)));
        }
        Ok(view)
    }

    /// The journal in entries, as it is written.
    pub fn journal(&self) -> Stream {
        let (journal, network) = (self.bank.journal().clone(), self.bank.network());
        stream::written(move |out| export::write(out, &journal, network))
    }

    /// A backup, as it is written.
    ///
    /// # Errors
    /// If the home cannot be read.
    pub fn backup(&self) -> Result<Stream, ErrorView> {
        let opened = self.home.open()?;
        let journal = self.bank.journal().clone();
        Ok(stream::written(move |out| {
            backup::save(out, &opened.settings, (&opened.signing, &opened.node), &journal)
        }))
    }
}

//! The operator's API: HTTP on a loopback address, for whoever can read the home's `api-token`, and for whoever is signed in
//! to the operator's pages. Money-moving requests bear an `Idempotency-Key`: the same key again is the same request.

pub mod disputes;
pub mod evidence;
pub mod lists;
mod metrics;
pub mod proof;
pub(crate) mod routes;
pub(crate) mod stream;
pub mod view;

use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use crate::ledger::{Command, MAX_VOUCHERS, VoucherId};
use crate::service::Bank;
use axum::response::{IntoResponse, Response};
use maud::Markup;
use netpay_core::amount::Coins;
use netpay_core::wire::bank::VoucherCode;
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_node::api::LOGIN;
use netpay_node::api::guard::{Guarded, Hosted};
use netpay_node::api::problem::Problem;
use netpay_node::api::server::token;
use netpay_node::api::sessions::{Digest, Sessions};
use netpay_node::clock;
use netpay_node::invite::Invite;
use netpay_node::overlay::Overlay;
use netpay_node::ui::serve::Said;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::watch;
use view::{AuditView, VouchersView};

/// The longest idempotency key, in bytes.
const KEY_MAX: usize = 128;

/// What the operator's API and pages are about.
pub struct State {
    /// The bank.
    pub bank: Bank,
    /// Its node.
    pub overlay: Overlay,
    /// Its home.
    pub home: BrokerHome,
    /// What peers need to join.
    pub invite: Invite,
    /// Notices for the next page.
    pub said: Said,
    sessions: Sessions,
    tokens: [Digest; 2],
    /// Voucher codes are derived from it and the request's key, so that the same request sells the same vouchers.
    voucher_secret: [u8; 32],
    stop: watch::Sender<bool>,
}

/// The operator's desk: cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<State>);

/// An error on its way to whoever asked.
pub(crate) struct Failure(pub(crate) ErrorView);

impl Desk {
    /// The desk of this bank and home.
    ///
    /// # Errors
    /// If a token cannot be read or made.
    pub fn new(
        bank: &Bank,
        overlay: &Overlay,
        home: &BrokerHome,
        invite: Invite,
        stop: watch::Sender<bool>,
    ) -> Result<Self, ErrorView> {
        let signing = home.open()?.signing;
        let voucher_secret = blake3::derive_key("netpay 2026 voucher codes", &signing.seed());
        Ok(Self(Arc::new(State {
            bank: bank.clone(),
            overlay: overlay.clone(),
            home: home.clone(),
            invite,
            said: Said::default(),
            sessions: Sessions::of(&bank.key()),
            tokens: [token(&home.home().api_token())?, token(&home.home().read_token())?],
            voucher_secret,
            stop,
        })))
    }

    /// A link at this host that signs one browser in, once and within a minute.
    #[must_use]
    pub fn link(&self, host: &str) -> String {
        format!("http://{host}{LOGIN}?key={}", self.sessions.invite(clock::time()))
    }

    /// Tells the broker to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the broker can do what it is there for: its books are open, and its node listens.
    pub async fn readiness(&self) -> Result<(), &'static str> {
        if *self.stop.borrow() {
            return Err("it is stopping");
        }
        if self.overlay.addresses().is_empty() {
            return Err("its node listens nowhere");
        }
        self.bank.look(|_| ()).await.map_err(|_| "its books are closed")
    }

    /// Sells vouchers. The same key with the same value and count is the same sale; with others it is refused.
    ///
    /// # Errors
    /// If there are none or too many, or the books refuse.
    pub async fn sell_vouchers(
        &self,
        key: &[u8; 16],
        value: u64,
        count: usize,
    ) -> Result<VouchersView, ErrorView> {
        if count == 0 || count > MAX_VOUCHERS {
            return Err(errors::bad_request(format!("1 to {MAX_VOUCHERS} vouchers at once")));
        }
        let codes: Vec<VoucherCode> = (0..count).map(|number| self.code(key, number)).collect();
        // Another value or more of them is found out by the books; fewer are not.
        let one_more = VoucherId::of(&self.code(key, count));
        if self.look(move |ledger| ledger.has_voucher(&one_more)).await? {
            let why = "this key was used for a sale of more vouchers";
            return Err(errors::refused(&Reject::new(RejectCode::Mismatch, why)));
        }
        let vouchers = codes.iter().map(|code| (VoucherId::of(code), Coins(value))).collect();
        self.run(Command::IssueVouchers { vouchers }).await?;
        Ok(VouchersView { value, codes: codes.iter().map(ToString::to_string).collect() })
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The reason against it.
    pub async fn run(&self, command: Command) -> Result<(), ErrorView> {
        self.bank.run(command).await.map(drop).map_err(|reject| errors::refused(&reject))
    }

    /// Lets somebody look at the books.
    ///
    /// # Errors
    /// If the disk fails or the bank is closed.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&crate::ledger::Ledger) -> T + Send + 'static,
    ) -> Result<T, ErrorView> {
        self.bank.look(look).await.map_err(|reject| errors::refused(&reject))
    }

    /// Proves the books from their journal, on a thread of its own.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn audit(&self) -> Result<AuditView, ErrorView> {
        let (journal, network) = (self.bank.journal().clone(), self.bank.network());
        let auditing = tokio::task::spawn_blocking(move || routes::audit(&journal, network));
        auditing.await.map_err(errors::books)?.map_err(errors::books)
    }

    /// The key alone makes the codes, so that it cannot sell twice, as something else.
    fn code(&self, key: &[u8; 16], number: usize) -> VoucherCode {
        let mut hasher = blake3::Hasher::new_keyed(&self.voucher_secret);
        hasher.update(key);
        hasher.update(&(number as u64).to_le_bytes());
        let mut code = [0; 20];
        hasher.finalize_xof().fill(&mut code);
        VoucherCode(code)
    }
}

/// The number of a request, from the key that names it.
///
/// # Errors
/// If there is no key, or it is too long.
pub fn request_number(key: &[u8]) -> Result<[u8; 16], ErrorView> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(errors::bad_request(format!(
            "a request that moves money needs an Idempotency-Key of 1 to {KEY_MAX} bytes"
        )));
    }
    let mut number = [0; 16];
    blake3::Hasher::new().update(key).finalize_xof().fill(&mut number);
    Ok(number)
}

impl Deref for Desk {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

impl Hosted for Desk {
    fn hosts(&self) -> &[String] {
        &[]
    }

    fn refuse(&self, error: ErrorView) -> Response {
        Failure(errors::of_guard(error)).into_response()
    }
}

impl Guarded for Desk {
    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn tokens(&self) -> [&Digest; 2] {
        self.tokens.each_ref()
    }

    fn login_page(&self, error: Option<&ErrorView>) -> Markup {
        let error = error.cloned().map(errors::of_guard);
        crate::web::pages::login::page(&self.bank.terms().name, error.as_ref())
    }
}

impl From<ErrorView> for Failure {
    fn from(error: ErrorView) -> Self {
        Self(error)
    }
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self(errors::refused(&reject))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Problem(self.0).into_response()
    }
}

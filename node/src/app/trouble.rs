//! What can keep a peer from doing what it was asked, sorted by who must act. What a person reads of it
//! is made in `errors`.

use super::vault::VaultError;
use super::view::ErrorView;
use crate::errors;
use crate::overlay::RequestError;
use crate::store::StoreError;
use netpay_core::amount::Coins;
use netpay_core::session::fair_buyer::Stop;
use netpay_core::wire::reject::{Reject, RejectCode};
use std::path::PathBuf;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The wallet's file or rows.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The wallet is locked.
    #[error("the wallet is locked")]
    Locked,
    /// No broker is configured.
    #[error("no broker is configured")]
    NoBroker,
    /// The broker does not answer.
    #[error("the broker cannot be reached: {0}")]
    BrokerUnreachable(RequestError),
    /// The broker answered something else than was asked.
    #[error("the broker's answer makes no sense: {0}")]
    BrokerNonsense(&'static str),
    /// A vendor said no.
    #[error("refused: {0}")]
    Refused(Reject),
    /// The broker said no.
    #[error("the broker refused: {0}")]
    BrokerRefused(Reject),
    /// A peer does not answer.
    #[error("the peer cannot be reached: {0}")]
    PeerUnreachable(RequestError),
    /// Not enough coins.
    #[error("{needed} are needed, {have} can be spent")]
    NotEnough {
        /// For what.
        name: String,
        /// So many.
        needed: Coins,
        /// There are so many.
        have: Coins,
        /// In leases of running downloads.
        held: Coins,
    },
    /// Dearer than allowed.
    #[error("it costs {price}, more than the limit of {limit}")]
    OverLimit {
        /// What.
        name: String,
        /// The price.
        price: Coins,
        /// The limit.
        limit: Coins,
    },
    /// A unit would cost more than is risked without fair mode.
    #[error("a unit of it would cost more than {0}, which is bought and sold in fair mode only")]
    TooDear(Coins),
    /// No vendor offers it.
    #[error("nobody who can be reached offers it")]
    NoVendor,
    /// What arrived is not what was bought.
    #[error("what the vendor sent is not the content asked for")]
    WrongBytes,
    /// Offered in the other mode only.
    #[error("it is sold in {} mode only", if *is_fair { "fair" } else { "plain" })]
    OtherMode {
        /// Whether that is fair mode.
        is_fair: bool,
    },
    /// A sale in fair mode ended before its end.
    #[error("{}", why_stopped(.0))]
    Deal(Stop),
    /// Took too long.
    #[error("it took too long")]
    TimedOut,
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// A download, a shared file, a peer …
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// Something given is not well-formed.
    #[error("{given} is no {what}: {why}")]
    BadInput {
        /// What it should be.
        what: &'static str,
        /// What was given.
        given: String,
        /// Why it is not.
        why: String,
    },
    /// A file or directory.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is the matter with it.
        why: String,
    },
    /// The overlay could not start.
    #[error(transparent)]
    Start(#[from] crate::overlay::StartError),
    /// The home.
    #[error(transparent)]
    Home(#[from] crate::home::HomeError),
    /// The node is stopping.
    #[error("the peer is stopping")]
    Stopping,
}

impl Trouble {
    /// Input that is not well-formed.
    pub fn bad(what: &'static str, given: impl Into<String>, why: impl ToString) -> Self {
        Self::BadInput { what, given: given.into(), why: why.to_string() }
    }

    /// A file that cannot be used.
    pub fn file(path: impl Into<PathBuf>, why: impl ToString) -> Self {
        Self::File { path: path.into(), why: why.to_string() }
    }
}

impl From<Trouble> for ErrorView {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => of_store(&error),
            Trouble::Vault(error) => of_vault(error),
            Trouble::Locked => errors::wallet_locked(),
            Trouble::NoBroker => errors::no_broker(),
            Trouble::BrokerUnreachable(error) => errors::broker_unreachable("the broker").because(error),
            Trouble::BrokerNonsense(why) => errors::verification_failed("the broker's answer", why),
            Trouble::Refused(reject) => errors::vendor_refused("asked", reject),
            Trouble::BrokerRefused(reject) => of_broker(&reject),
            Trouble::PeerUnreachable(error) => errors::peer_unreachable("the peer", error),
            Trouble::NotEnough { name, needed, have, held } => {
                errors::not_enough_coins(&name, needed.0, have.0, held.0, None)
            }
            Trouble::OverLimit { name, price, limit } => errors::over_limit(name, price.0, limit.0),
            Trouble::TooDear(most) => errors::price_too_high(most.0),
            Trouble::NoVendor => errors::no_vendor("it"),
            Trouble::WrongBytes => {
                errors::verification_failed("a unit", "its hash is not that of the content asked for")
            }
            Trouble::OtherMode { is_fair: true } => errors::other_mode("fair", "plain", "auto"),
            Trouble::OtherMode { is_fair: false } => errors::other_mode("plain", "fair", "never"),
            Trouble::Deal(stop) => of_deal(&stop),
            Trouble::TimedOut => errors::timed_out("waiting for the other side"),
            Trouble::NotFound { what, id } => match what {
                "download" => errors::no_download(id),
                "shared file" => errors::not_shared(id),
                "chain" => errors::no_chain(id),
                "peer" => errors::peer_not_found(id),
                "file to share" => errors::nothing_at(id),
                "receipt" | "proof" | "dispute" => errors::no_paper(what, id),
                _ => errors::file_not_found(id),
            },
            Trouble::BadInput { what, given, why } => match what {
                "number of coins" => errors::bad_amount(given, 1_048_576).because(why),
                "address" => errors::bad_address(given, why),
                "id or link" => errors::bad_link(given, why),
                "invite" => errors::bad_invite(why),
                "voucher" => errors::bad_voucher(why),
                "file to share" => errors::cannot_share(given, why),
                "id" => errors::bad_id(given),
                _ => errors::bad_request(format!("{given} is no {what}: {why}")),
            },
            Trouble::File { path, why } => errors::storage("using", path.display(), why),
            Trouble::Start(error) => of_start(&error),
            Trouble::Home(error) => of_home(error),
            Trouble::Stopping => errors::stopping(),
        }
    }
}

/// What a person should know of how a deal ended.
const fn why_stopped(stop: &Stop) -> &'static str {
    match stop {
        Stop::BadDeal => "what the vendor signed is not the deal that was asked for; nothing was paid",
        Stop::BadUnit => "what came is not a unit of the deal; it was not paid",
        Stop::BadKey => "a key came that does not belong to the deal",
        Stop::Junk => "a piece opened to something else than was promised; the proof goes to the broker",
        Stop::NoKey => "the vendor was paid and gave no key; the broker gives it, or the coins come back",
        Stop::Silent => "the vendor said nothing in time; nothing is paid of which the key is missing",
        Stop::Refused(_) => "the vendor refused",
        Stop::Wallet(_) => "the wallet cannot pay for the deal now",
    }
}

fn of_deal(stop: &Stop) -> ErrorView {
    match stop {
        Stop::Refused(reject) => errors::vendor_refused("asked", reject),
        Stop::Wallet(error) => errors::deal_broken("the wallet cannot pay for it now").because(error),
        Stop::Silent => errors::timed_out("waiting for the vendor"),
        other => errors::deal_broken(why_stopped(other)),
    }
}

fn of_store(error: &StoreError) -> ErrorView {
    match error {
        StoreError::Full => errors::disk_full("the home"),
        StoreError::Corrupt(what) => errors::damaged("the database", what),
        other => errors::storage("using", "the database", other),
    }
}

fn of_vault(error: VaultError) -> ErrorView {
    match error {
        VaultError::WrongPassphrase => errors::wrong_passphrase(),
        VaultError::NotAWallet(why) => errors::damaged("the wallet", why),
        VaultError::TooLarge => errors::bad_request("the wallet holds more chains than one backup can"),
        VaultError::NotEmpty => {
            errors::bad_backup("this wallet has chains of its own; restore into a new home")
        }
        VaultError::Io(error) => errors::storage("using", "the wallet", error),
        VaultError::Store(error) => of_store(&error),
        VaultError::Chain(why) => errors::damaged("a chain of the wallet", why),
    }
}

fn of_broker(reject: &Reject) -> ErrorView {
    match reject.code {
        RejectCode::UnknownAccount => errors::not_registered("the broker"),
        // Nothing that is asked of a broker runs out but a query, which is as old as its clock says.
        RejectCode::Expired => errors::clock_apart(&*reject.why),
        RejectCode::BadVoucher => errors::bad_voucher(&*reject.why),
        _ => errors::broker_refused(reject),
    }
}

fn of_start(error: &crate::overlay::StartError) -> ErrorView {
    match error {
        crate::overlay::StartError::PortInUse { address } => errors::port_in_use(address),
        other => errors::cannot_listen("the address configured", other),
    }
}

fn of_home(error: crate::home::HomeError) -> ErrorView {
    match error {
        crate::home::HomeError::Locked { pid, path } => errors::home_locked(&path, pid),
        other => errors::storage("using", "the home", other),
    }
}

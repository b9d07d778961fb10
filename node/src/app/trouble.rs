//! What can keep a peer from doing what it was asked, sorted by who must act. What a person reads of it
//! is made in `errors`.

use super::vault::VaultError;
use crate::overlay::RequestError;
use crate::store::StoreError;
use netpay_core::amount::Coins;
use netpay_core::wire::reject::Reject;
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
    /// The broker or a vendor said no.
    #[error("refused: {0}")]
    Refused(Reject),
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
    #[error("a unit of it would cost more than {0}, and fair mode is not offered")]
    TooDear(Coins),
    /// No vendor offers it.
    #[error("nobody who can be reached offers it")]
    NoVendor,
    /// What arrived is not what was bought.
    #[error("what the vendor sent is not the content asked for")]
    WrongBytes,
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

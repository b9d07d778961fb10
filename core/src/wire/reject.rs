//! The numbered reasons for which a peer or the broker says no. A number is never used again for
//! something else.

use crate::codec::Text;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why the other side refused, by number; see [`Reject`] for the words that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectCode {
    /// The message breaks a rule of the protocol.
    Malformed,
    /// Of another network.
    WrongNetwork,
    /// A signature does not hold.
    Forged,
    /// The broker is not accepted here.
    UntrustedBroker,
    /// The chain can no longer, or for less than ten minutes, be spent.
    Expired,
    /// The chain's state shown is not the newest known here.
    StaleChain,
    /// The buyer signed two Opens of one segment.
    DoubleSpend,
    /// The lease is longer than trust allows, or shorter than leases may be.
    BadLease,
    /// The payment does not hold.
    BadPayment,
    /// The chain is blocked here for a minute after a payment that did not hold.
    Blocked,
    /// The listing is not, or no longer, offered here under these terms.
    NotOffered,
    /// The file on disk is no longer what was listed.
    Gone,
    /// Too much at once: try again later.
    Busy,
    /// Uncertified risk is exhausted and witnesses are out of reach.
    Uncertified,
    /// The vendor or broker could not make its own state durable.
    Storage,
    /// The account is not known.
    UnknownAccount,
    /// The account is frozen.
    Frozen,
    /// The account's funds do not cover it.
    Funds,
    /// The voucher is not known or was used by another account.
    BadVoucher,
    /// The same request id with other contents.
    Mismatch,
    /// The chain or segment is not known here.
    UnknownChain,
    /// Whoever asks may not have it.
    NotYours,
    /// The asked amount is outside its range.
    Range,
    /// The asker is no member, and only members may.
    NotMember,
    /// The vendor was convicted of having sold junk in this segment.
    Junk,
    /// What is said to be junk is not proven to be: see [`crate::fair::judge::NotProven`].
    NotProven,
    /// Sold here only in the other mode: plain or fair.
    OtherMode,
}

/// A refusal: its number and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The reason.
    pub code: RejectCode,
    /// What exactly, for a person. It comes from the other side: escape it before showing it.
    pub why: Text<200>,
}

impl Reject {
    /// A refusal with words, cut to what fits.
    #[must_use]
    pub fn new(code: RejectCode, why: &str) -> Self {
        Self { code, why: Text::cut(why) }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", &*self.why, self.code)
    }
}

impl std::error::Error for Reject {}

//! `/netpay/trade/1`: a sale, on one long stream per download.
//!
//! Frames are length-prefixed. The bytes of a unit follow their [`ToBuyer::Unit`] frame raw, so that they
//! are copied once. A buyer orders, pays what it has verified, and may say `close` with its last payment;
//! the vendor streams wanted units as far ahead as it has been paid.

use super::CONTROL_FRAME;
use super::hello::HolderTag;
use super::reject::Reject;
use crate::amount::{Coins, Count};
use crate::codec::{List, Wire};
use crate::coin::key::Key;
use crate::coin::payment::Pay;
use crate::coin::segment::{Close, Handover, Open, SegmentNo};
use crate::fair::deal::Deal;
use crate::fair::sealed::SealedUnit;
use crate::id::{ChainId, ContentRoot};
use crate::keys::{PublicKey, Unverified};
use crate::record::chain::{Certificate, ChainRecord};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most siblings in a unit's proof.
pub const MAX_PROOF: usize = 40;
/// Spans of units that may wait at the vendor.
pub const MAX_SPANS: usize = 64;

/// Closes in one receipt frame.
pub const MAX_RECEIPTS: usize = 32;
/// Segments of one chain that are settled with one message; more take more messages.
pub const MAX_UNSETTLED: usize = 8;
/// Messages that settle, at most, before an order.
pub const MAX_SETTLES: usize = 64;

/// A stretch of units: `first`, `first + 1`, … `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first unit.
    pub first: u64,
    /// How many, at least 1; 0 only in an order that wants nothing and pays what is still owed.
    pub count: u64,
}

/// What is bought and on which terms: the vendor's own offer, named so that a change of price is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The content.
    pub root: ContentRoot,
    /// Its size, in bytes.
    pub size: u64,
    /// The price of the whole of it.
    pub price: Coins,
    /// Units of `16 KiB << unit_log`, 0..=4.
    pub unit_log: u8,
}

impl Terms {
    /// A deal about a run of units on these terms, to which its vendor has still to say keys, time and salt.
    #[must_use]
    pub const fn deal(
        &self,
        span: Span,
        (chain, j): (ChainId, SegmentNo),
        holder: PublicKey,
        buyer: PublicKey,
    ) -> Deal {
        let Self { root, size, price, unit_log } = *self;
        let Span { first, count } = span;
        let (key_root, made, salt) = (Key([0; 32]), Time(0), [0; 16]);
        Deal { chain, j, holder, buyer, root, size, price, unit_log, first, count, key_root, made, salt }
    }
}

/// A buyer's running account for one download at one vendor, under a number only the two know: what was
/// paid stays paid over breaks and crashes, and a unit already charged is sent again for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TabId(pub [u8; 16]);

/// How a sale is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum Funding {
    /// The price is zero, or the tab covers what is wanted first.
    Free,
    /// The chain's state, with at least one Open for this vendor, and a payment in one of them.
    Opened {
        /// From which the holder key follows.
        tag: HolderTag,
        /// The chain.
        record: ChainRecord,
        /// The payment.
        pay: Pay,
    },
    /// The chain is still open at another vendor: ask it to close, then say where the next segment may begin.
    Handover {
        /// The chain, the other vendor's Open last.
        record: ChainRecord,
        /// Signed by the chain key.
        handover: Unverified<Handover>,
        /// The other vendor's node.
        from: PublicKey,
    },
    /// This vendor holds an open segment of the chain with coins left.
    Continue {
        /// The chain.
        chain: ChainId,
        /// The next payment in it, or the last one again.
        pay: Pay,
    },
}

/// A segment of which the buyer does not know what its vendor counted: the line broke before the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// From which the holder key follows.
    pub tag: HolderTag,
    /// `O_j`. The record shown along may be past it.
    pub open: Unverified<Open>,
    /// The last payment made in it, in case it never came.
    pub pay: Option<Pay>,
}

/// Buyer → vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum ToVendor {
    /// First of all, or after what a break left behind was settled; once.
    Order {
        /// The running account; the same again after a break.
        tab: TabId,
        /// What.
        terms: Terms,
        /// Which units, first of all.
        span: Span,
        /// Paid how.
        funding: Funding,
    },
    /// More units.
    Want(Span),
    /// Payment for units verified, or ahead for the first.
    Pay {
        /// The chain.
        chain: ChainId,
        /// The payment.
        pay: Pay,
    },
    /// The chain's state with a new Open for this vendor: the next lease, the lease after a handover, or
    /// the first of another chain.
    Open {
        /// From which the holder key follows.
        tag: HolderTag,
        /// The chain.
        record: ChainRecord,
    },
    /// Nothing more is wanted; close the segments, and send the receipts.
    Close,
    /// Nothing more is wanted; the newest segment stays open for the next purchase here.
    Done,
    /// After a break, before the order: count these last payments on the tab and close their segments. Each
    /// Close says what was counted, and waives the rest.
    Settle {
        /// The running account that was paid on.
        tab: TabId,
        /// The chain.
        record: ChainRecord,
        /// Its segments paid in on this tab.
        segments: List<Unsettled, MAX_UNSETTLED>,
    },
    /// Fair mode: what would a deal about these units be, paid from this segment? Asked again it is the
    /// same deal.
    AskDeal {
        /// What.
        terms: Terms,
        /// Which units of it.
        span: Span,
        /// The chain, as far as it was opened.
        record: ChainRecord,
        /// The segment that would be opened for it.
        j: SegmentNo,
        /// From which the holder key follows.
        tag: HolderTag,
    },
    /// Fair mode: the chain's state with the Open that binds the deal, and the last payment in it. The same again after
    /// a break; `Want` says then which sealed units are still to come.
    OpenFair {
        /// From which the holder key follows.
        tag: HolderTag,
        /// The chain.
        record: ChainRecord,
        /// The payment.
        pay: Option<Pay>,
    },
}

impl Wire for ToVendor {
    const MAX: usize = CONTROL_FRAME;
}

/// Vendor → buyer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum ToBuyer {
    /// A unit; its `len` bytes follow this frame raw.
    Unit {
        /// Which.
        unit: u64,
        /// How many bytes follow.
        len: u32,
        /// Sibling chaining values up to the content root.
        proof: List<[u8; 32], MAX_PROOF>,
    },
    /// The other vendor closed the chain's last segment: open the next from its end.
    Settled(Unverified<Close>),
    /// The other vendor cannot be asked (gone, silent, or it refuses): open at its cap.
    Unsettled,
    /// Witnesses keep this; show it instead of what lies below it.
    Certified(Certificate),
    /// The receipts of the segments closed now; one for each `Settle`, and for the `Close` or `Done` as many as
    /// it takes, the last shorter than [`MAX_RECEIPTS`].
    Receipt(List<Unverified<Close>, MAX_RECEIPTS>),
    /// No; and if an Open was shown with the order, its segment closed unused.
    Reject {
        /// Why.
        reject: Reject,
        /// C_j with e = s.
        close: Option<Unverified<Close>>,
    },
    /// Fair mode: the vendor's word.
    Deal(Unverified<Deal>),
    /// Fair mode: a unit under seal; its `len` bytes follow this frame raw.
    SealedUnit(SealedUnit),
    /// Fair mode: `K_m`, which opens every unit whose first coin is `m` or before.
    Key {
        /// m.
        m: Count,
        /// `K_m`.
        key: Key,
    },
}

impl Wire for ToBuyer {
    const MAX: usize = CONTROL_FRAME;
}

//! `/netpay/trade/1`: a sale, on one long stream per download.
//!
//! Frames are length-prefixed. The bytes of a unit follow their [`ToBuyer::Unit`] frame raw, so that they
//! are copied once. A buyer orders, pays what it has verified, and may say `close` with its last payment;
//! the vendor streams wanted units as far ahead as it has been paid.

use super::CONTROL_FRAME;
use super::hello::HolderTag;
use super::reject::Reject;
use crate::amount::{Coins, Index};
use crate::codec::{List, Wire};
use crate::coin::payment::Pay;
use crate::coin::segment::{Close, Handover, Open, SegmentNo};
use crate::id::{ChainId, ContentRoot};
use crate::keys::{PublicKey, Unverified};
use crate::record::chain::{Certificate, ChainRecord};
use serde::{Deserialize, Serialize};

/// The most siblings in a unit's proof.
pub const MAX_PROOF: usize = 40;
/// Spans of units that may wait at the vendor.
pub const MAX_SPANS: usize = 64;

/// A stretch of units: `first`, `first + 1`, … `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first unit.
    pub first: u64,
    /// How many, at least 1.
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

/// How a sale is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum Funding {
    /// The price is zero.
    Free,
    /// A new segment here: the chain's state with this vendor's Open as its newest, and the first payment.
    Opened {
        /// From which the holder key follows.
        tag: HolderTag,
        /// The chain, the new Open last.
        record: ChainRecord,
        /// The first payment.
        pay: Pay,
    },
    /// The chain is still open at another vendor: ask it to close, then say where the new segment may begin.
    Handover {
        /// From which the holder key follows.
        tag: HolderTag,
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
        /// The next payment in it.
        pay: Pay,
    },
}

/// Buyer → vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum ToVendor {
    /// Always first.
    Order {
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
    Pay(Pay),
    /// The next segment here, from where the last one ends.
    Open(Unverified<Open>),
    /// The new segment after a handover, and the first payment in it.
    Opened {
        /// The Open.
        open: Unverified<Open>,
        /// The payment.
        pay: Pay,
    },
    /// Nothing more is wanted; close the segment, and send the receipt.
    Close,
    /// Nothing more is wanted; the segment stays open for the next purchase here.
    Done,
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
    /// Half the lease is used up: open the next.
    NeedOpen,
    /// How far this vendor has counted payments, after a break.
    Counted {
        /// The segment.
        j: SegmentNo,
        /// Its index here.
        index: Index,
    },
    /// Witnesses keep this; show it instead of what lies below it.
    Certified(Certificate),
    /// The receipts of the segments closed now.
    Receipt(List<Unverified<Close>, 8>),
    /// No; and if an Open was shown with the order, its segment closed unused.
    Reject {
        /// Why.
        reject: Reject,
        /// C_j with e = s.
        close: Option<Unverified<Close>>,
    },
}

impl Wire for ToBuyer {
    const MAX: usize = CONTROL_FRAME;
}

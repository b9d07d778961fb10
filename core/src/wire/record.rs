//! `/netpay/record/1`: putting and reading what the DHT keeps, with a verdict for every put, never silence.

use super::BULK_FRAME;
use super::index::{IndexReply, IndexRequest};
use crate::codec::{List, Wire};
use crate::coin::segment::Close;
use crate::coin::touchstone::Touchstone;
use crate::id::{ChainId, ObjectHash};
use crate::keys::{Signature, Unverified};
use crate::record::chain::{ChainRecord, Evidence};
use crate::record::freeze::Freeze;
use crate::record::revoke::Revocations;
use crate::record::witness::{Kept, Verdict, WhyRefused};
use serde::{Deserialize, Serialize};

/// Objects one put may ask acks of.
pub const MAX_WANTED: usize = 2 * crate::record::chain::MAX_UNCERTIFIED + 2 + MAX_CLOSES;

/// Closes of older segments in one put.
pub const MAX_CLOSES: usize = 16;

/// What is asked of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum RecordRequest {
    /// Keep this chain's state, and ack these objects of it.
    PutChain {
        /// The state.
        record: ChainRecord,
        /// Closes of segments older than the record shows.
        closes: List<Unverified<Close>, MAX_CLOSES>,
        /// The Opens and Closes whose acks are wanted.
        want: List<ObjectHash, MAX_WANTED>,
    },
    /// Show what you keep of this chain.
    GetChain(ChainId),
    /// The file index and presence.
    Index(IndexRequest),
    /// The broker's word that the chain's buyer is convicted.
    Freeze {
        /// T.
        touchstone: Unverified<Touchstone>,
        /// The word.
        freeze: Unverified<Freeze>,
    },
    /// The broker's list of those that are members no more.
    Revoked(Unverified<Revocations>),
}

impl Wire for RecordRequest {
    const MAX: usize = BULK_FRAME + 8;
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum RecordReply {
    /// Kept, and acked in the order wanted; what is not kept has no ack. To Freeze and Revoked: it is kept.
    Accepted {
        /// Object and ack.
        acks: List<(ObjectHash, Signature), MAX_WANTED>,
    },
    /// A newer state is kept: here it is.
    Stale(ChainRecord),
    /// The buyer signed two Opens of one segment: here is the proof.
    Conflict(Evidence),
    /// Not kept.
    Refused(WhyRefused),
    /// What is kept of the chain, and the acks of the newest objects; nothing, if it is not known.
    Chain(Option<Shown>),
    /// To Index.
    Index(IndexReply),
    /// What was kept before is acked as wanted, with its Closes; what is newer is not kept.
    Partly {
        /// Object and ack.
        acks: List<(ObjectHash, Signature), MAX_WANTED>,
        /// Why nothing newer is.
        why: WhyRefused,
    },
}

impl RecordReply {
    /// The answer to a put, by its verdict and what is kept of the chain from now on. The caller has made that
    /// durable; `sign` makes the ack of an object that is kept.
    #[must_use]
    pub fn to_put(
        verdict: Verdict,
        kept: Option<&Kept>,
        want: &[ObjectHash],
        sign: impl Fn(ObjectHash) -> Signature,
    ) -> Self {
        let acks = |kept: &Kept| {
            let wanted = want.iter().copied().filter(|object| kept.keeps(object));
            List::first_of(wanted.map(|object| (object, sign(object))))
        };
        match (verdict, kept) {
            (Verdict::Accepted, Some(kept)) => Self::Accepted { acks: acks(kept) },
            (Verdict::Partly(why), Some(kept)) => {
                let acks = acks(kept);
                match kept.evidence().filter(|_| why == WhyRefused::Evidence) {
                    _ if !acks.is_empty() => Self::Partly { acks, why },
                    // Whoever was told and forgot, or was not reached, is told again.
                    Some(evidence) => Self::Conflict(evidence.clone()),
                    None => Self::Refused(why),
                }
            }
            (Verdict::Stale, Some(kept)) => Self::Stale(kept.record()),
            (Verdict::Conflict(evidence), _) => Self::Conflict(*evidence),
            (Verdict::Refused(why), _) => Self::Refused(why),
            (Verdict::Accepted | Verdict::Partly(_) | Verdict::Stale, None) => Self::Refused(WhyRefused::Bad),
        }
    }
}

impl Wire for RecordReply {
    const MAX: usize = BULK_FRAME + 8;
}

/// A chain as one witness shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The state.
    pub record: ChainRecord,
    /// Acks of the newest Open and its Close.
    pub acks: List<(ObjectHash, Signature), 2>,
    /// Evidence against the buyer.
    pub evidence: Option<Evidence>,
    /// Whether the broker has frozen the chain.
    pub frozen: bool,
}

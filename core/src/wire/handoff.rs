//! `/netpay/handoff/1`: the next vendor asks the last one for its close (the papers' paywords relocation).

use super::CONTROL_FRAME;
use super::reject::Reject;
use crate::codec::Wire;
use crate::coin::segment::{Close, Handover};
use crate::keys::Unverified;
use serde::{Deserialize, Serialize};

/// How long a vendor waits for the last one's answer, in milliseconds.
pub const HANDOFF_TIMEOUT_MS: u64 = 500;

/// V2 → V1: the buyer's signed wish that its chain move here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffRequest {
    /// Signed by the chain key.
    pub handover: Unverified<Handover>,
}

impl Wire for HandoffRequest {
    const MAX: usize = CONTROL_FRAME;
}

/// V1 → V2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandoffReply {
    /// The segment is closed, durably, at this index.
    Closed(Unverified<Close>),
    /// No.
    Reject(Reject),
}

impl Wire for HandoffReply {
    const MAX: usize = CONTROL_FRAME;
}

//! Freeze: the broker's word to a chain's committee that its buyer is convicted.

use crate::codec::Wire;
use crate::id::ChainId;
use crate::keys::{Domain, Signable};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Nothing new is to be opened of this chain (PROTOCOL section 7). What is open may be closed and claimed: a freeze is
/// never against an honest vendor. There is no way back: the chain is refunded at its settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The chain.
    pub chain: ChainId,
    /// Since when.
    pub at: Time,
}

impl Wire for Freeze {
    const MAX: usize = 48;
}

impl Signable for Freeze {
    const DOMAIN: Domain = *b"netpay/freeze\0\0\0";
}

//! Revocations: whose membership the broker takes back before it runs out.

use crate::codec::{List, Wire};
use crate::keys::{Domain, PublicKey, Signable};
use serde::{Deserialize, Serialize};

/// The most nodes on one list. A membership that has run out need not be on it, so it holds those of a month.
pub const MAX_REVOKED: usize = 1024;

/// All nodes that are members no more although their membership may not have run out (PROTOCOL section 3). A list
/// takes the place of the one before, so whoever is not on it any more is a member again. Peers pass it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// Of two lists the one with the greater number holds; from 1.
    pub number: u64,
    /// The nodes, those revoked last first.
    pub nodes: List<PublicKey, MAX_REVOKED>,
}

impl Wire for Revocations {
    const MAX: usize = 33 * 1024;
}

impl Signable for Revocations {
    const DOMAIN: Domain = *b"netpay/revoked\0\0";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn the_longest_list_fits() {
        let nodes = List::first_of(std::iter::repeat_n(PublicKey([7; 32]), MAX_REVOKED + 1));
        let longest = Revocations { number: u64::MAX, nodes };
        assert_eq!(longest.nodes.len(), MAX_REVOKED);
        assert_eq!(codec::decode(&codec::encode(&longest)), Ok(longest));
    }
}

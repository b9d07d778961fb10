//! `/netpay/hello/1`: who the peer is, and the holder keys a buyer needs, before it needs them.

use super::CONTROL_FRAME;
use crate::codec::{List, Text, Wire};
use crate::id::NetworkId;
use crate::keys::{Domain, PublicKey, SecretKey, SelfSigned, Signable, Unverified};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Tags per hello.
pub const MAX_TAGS: usize = 8;

/// A random number from which a vendor derives its holder key for one chain, so that it need not
/// remember anything until an Open comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderTag(pub [u8; 16]);

impl HolderTag {
    /// The holder key of this tag: KDF(vendor secret, tag).
    #[must_use]
    pub fn holder(&self, vendor_secret: &[u8; 32]) -> SecretKey {
        SecretKey::derive(vendor_secret, &self.0)
    }
}

/// The broker's word that a node is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The broker.
    pub broker: PublicKey,
    /// The member's node key.
    pub node: PublicKey,
    /// Whether it witnesses.
    pub witness: bool,
    /// Until when it holds.
    pub expires: Time,
}

impl Wire for Membership {
    const MAX: usize = 128;
}

impl Signable for Membership {
    const DOMAIN: Domain = *b"netpay/member\0\0\0";
}

impl SelfSigned for Membership {
    fn signer(&self) -> PublicKey {
        self.broker
    }
}

/// First message on a new connection, from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The network the sender is in.
    pub network: NetworkId,
    /// What the sender calls itself.
    pub name: Text<64>,
    /// Its membership, if it has one.
    pub membership: Option<Unverified<Membership>>,
    /// Tags it may use in orders here.
    pub tags: List<HolderTag, MAX_TAGS>,
    /// The number of the newest list of revocations it knows, 0 for none. Whoever knows a newer one shows it.
    pub revoked: u64,
}

impl Wire for Hello {
    const MAX: usize = CONTROL_FRAME;
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The network the answerer is in.
    pub network: NetworkId,
    /// What it calls itself.
    pub name: Text<64>,
    /// Its membership, if it has one.
    pub membership: Option<Unverified<Membership>>,
    /// Its holder keys for the tags, in their order.
    pub holders: List<PublicKey, MAX_TAGS>,
    /// As [`Hello::revoked`].
    pub revoked: u64,
}

impl Wire for Welcome {
    const MAX: usize = CONTROL_FRAME;
}

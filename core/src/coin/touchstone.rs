//! The touchstone `T`: the broker's signed promise about one chain, and the committee whose word
//! about that chain counts (PROTOCOL section 3).

use super::chain::Coin;
use crate::amount::{Cap, MAX_CHAIN};
use crate::codec::{List, Wire};
use crate::id::{ChainId, NetworkId, Place};
use crate::keys::{BadSignature, Domain, PublicKey, SelfSigned, Signable, Signed, Unverified};
use crate::time::{DAY, Time};
use serde::{Deserialize, Serialize};

/// The most witnesses of one chain (k).
pub const MAX_COMMITTEE: usize = 20;
/// With fewer eligible members than this, the broker's own node is the only witness.
pub const MIN_COMMITTEE: usize = 4;
/// How long a chain can be spent after it was issued, in seconds.
pub const SPEND_FOR: u64 = 14 * DAY;
/// How long its coins can be redeemed after that, in seconds.
pub const REDEEM_FOR: u64 = 7 * DAY;

/// A chain's witnesses, by node key; at least one, no two alike.
pub type Committee = List<PublicKey, MAX_COMMITTEE>;

/// The broker's promise: the coins of the chain with this root are worth one unit each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touchstone {
    /// The network it is money in.
    pub network: NetworkId,
    /// Who promises.
    pub broker: PublicKey,
    /// The pseudonym `ID_c`: who may open segments of the chain.
    pub chain_key: PublicKey,
    /// How many coins, 1..=[`MAX_CHAIN`].
    pub n: Cap,
    /// The root `W_0`.
    pub root: Coin,
    /// Makes the chain's place unpredictable.
    pub nonce: [u8; 16],
    /// Whose acknowledgements count, for the chain's whole life.
    pub committee: Committee,
    /// When it was issued.
    pub issued: Time,
    /// From when on no vendor takes it.
    pub spend_by: Time,
    /// From when on uncertified claims are settled and the rest goes back to the buyer.
    pub redeem_by: Time,
}

impl Wire for Touchstone {
    const MAX: usize = 1024;
}

impl Signable for Touchstone {
    const DOMAIN: Domain = *b"netpay/touchston";
}

impl SelfSigned for Touchstone {
    fn signer(&self) -> PublicKey {
        self.broker
    }
}

/// Why a touchstone is no promise to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTouchstone {
    /// The signature or the body does not hold.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It was issued in another network.
    #[error("issued in network {0:.8}, not in this one")]
    Network(NetworkId),
    /// It was issued by a broker that is not trusted here.
    #[error("issued by broker {0:.8}, which is not trusted here")]
    Broker(PublicKey),
    /// A number in it is outside its range.
    #[error("{0}")]
    Range(&'static str),
}

impl Touchstone {
    /// How many of a committee of `k` may lie: f = ⌊(k − 1) / 3⌋.
    #[must_use]
    pub const fn tolerated(k: usize) -> usize {
        k.saturating_sub(1) / 3
    }

    /// How many acks make a certificate: q = ⌈(k + f + 1) / 2⌉ (20 → 14, 8 → 6, 4 → 3, 1 → 1).
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum_of(self.committee.len())
    }

    /// Where the chain's record lives in the DHT.
    #[must_use]
    pub fn place(&self) -> Place {
        place_of(&self.nonce)
    }

    fn check(&self) -> Result<(), BadTouchstone> {
        if self.n.0 == 0 || self.n.0 > MAX_CHAIN {
            return Err(BadTouchstone::Range("the chain's length is outside 1..=16384"));
        }
        if self.committee.is_empty() {
            return Err(BadTouchstone::Range("the committee is empty"));
        }
        let distinct: std::collections::BTreeSet<_> = self.committee.iter().collect();
        if distinct.len() < self.committee.len() {
            return Err(BadTouchstone::Range("the committee names a witness twice"));
        }
        if self.issued > self.spend_by || self.spend_by > self.redeem_by {
            return Err(BadTouchstone::Range("the dates are out of order"));
        }
        if !self.chain_key.is_usable() {
            return Err(BadTouchstone::Range("the chain key is weak"));
        }
        Ok(())
    }
}

/// q for a committee of `k`.
#[must_use]
pub const fn quorum_of(k: usize) -> usize {
    (k + Touchstone::tolerated(k) + 1).div_ceil(2)
}

/// The DHT place of a chain with this nonce.
#[must_use]
pub fn place_of(nonce: &[u8; 16]) -> Place {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"netpay/place");
    hasher.update(nonce);
    Place(*hasher.finalize().as_bytes())
}

/// Believes a touchstone: genuine, of this network, by this broker, and within its ranges.
///
/// # Errors
/// Says which of these does not hold.
pub fn verify(
    touchstone: Unverified<Touchstone>,
    network: &NetworkId,
    broker: &PublicKey,
) -> Result<Signed<Touchstone>, BadTouchstone> {
    verify_unless(&[], touchstone, network, broker)
}

/// As [`verify`]; the signature of one that is among the `known`, byte for byte, was checked before.
pub(crate) fn verify_unless(
    known: &[Unverified<Touchstone>],
    touchstone: Unverified<Touchstone>,
    network: &NetworkId,
    broker: &PublicKey,
) -> Result<Signed<Touchstone>, BadTouchstone> {
    let claim = touchstone.claim().map_err(BadSignature::Body)?;
    if claim.network != *network {
        return Err(BadTouchstone::Network(claim.network));
    }
    if claim.broker != *broker {
        return Err(BadTouchstone::Broker(claim.broker));
    }
    let touchstone = touchstone.verify_unless(known, network, broker)?;
    touchstone.check()?;
    Ok(touchstone)
}

/// The chain a believed touchstone is about.
#[must_use]
pub fn chain_id(touchstone: &Signed<Touchstone>) -> ChainId {
    ChainId::of(touchstone.hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_those_of_the_design() {
        assert_eq!([1, 4, 7, 8, 20].map(quorum_of), [1, 3, 5, 6, 14]);
    }
}

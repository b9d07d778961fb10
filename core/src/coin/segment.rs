//! Segments: the stretch `(s, c]` of a chain that one vendor may be paid from. The buyer opens it
//! ([`Open`]), pays within it by releasing links of its own chain, and the vendor closes it
//! ([`Close`]): the papers' signed index, and the buyer's receipt.

use super::chain::Coin;
use super::key::Key;
use crate::amount::{Cap, Count, Index};
use crate::codec::Wire;
use crate::id::{ChainId, ObjectHash, PayTo, write_hex};
use crate::keys::{Domain, PublicKey, Signable};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The shortest lease, in coins, unless the chain itself ends before.
pub const MIN_LEASE: u32 = 8;

/// The number `j` of a segment in its chain, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentNo(pub u32);

impl SegmentNo {
    /// The first segment of a chain.
    pub const FIRST: Self = Self(1);

    /// The segment after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SegmentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A link `U_m` of the buyer's release chain: "coin s + m is now yours".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Release(pub [u8; 32]);

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Release(")?;
        write_hex(&self.0[..4], f)?;
        f.write_str("…)")
    }
}

/// `O_j`, signed by the chain key: segment `j` of the chain, `(start, cap]`, is `holder`'s to be paid from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The chain.
    pub chain: ChainId,
    /// The segment's number.
    pub j: SegmentNo,
    /// Hash of `O_{j-1}`, or of the touchstone for the first: a chain of Opens cannot fork unseen.
    pub prev: ObjectHash,
    /// The vendor's holder key for this chain.
    pub holder: PublicKey,
    /// `s`: the coins below and at this index are not the holder's.
    pub start: Index,
    /// `c`: nor are those above this.
    pub cap: Cap,
    /// `U_0`.
    pub release_root: Release,
    /// The terms of fair mode, where the sale is in it (PROTOCOL section 10).
    pub fair: Option<FairTerms>,
}

/// What an [`Open`] binds in fair mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FairTerms {
    /// `K_0` of the vendor's key chain.
    pub key_root: Key,
    /// The salted hash of the deal `C*`.
    pub deal: ObjectHash,
}

impl Open {
    /// The coins of the lease: `c − s`.
    #[must_use]
    pub const fn lease(&self) -> Count {
        self.cap.room(self.start)
    }

    /// Whether the lease lies within a chain of `n` coins and is not shorter than leases may be.
    #[must_use]
    pub fn lease_is_allowed(&self, n: Cap) -> bool {
        self.start.0 < self.cap.0 && self.cap <= n && self.lease().0 >= MIN_LEASE.min(n.room(self.start).0)
    }

    /// What binds this segment's releases to its chain, number and holder.
    #[must_use]
    pub fn release_key(&self) -> ReleaseKey {
        ReleaseKey::of(self.chain, self.j, &self.holder)
    }
}

impl Wire for Open {
    const MAX: usize = 320;
}

impl Signable for Open {
    const DOMAIN: Domain = *b"netpay/open-seg\0";
}

/// `C_j`, signed by the holder key: of this segment, the coins up to `end` were paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The chain.
    pub chain: ChainId,
    /// The segment.
    pub j: SegmentNo,
    /// Hash of its Open.
    pub open: ObjectHash,
    /// `e`: the papers' index I.
    pub end: Index,
    /// `W_e`.
    pub coin: Coin,
    /// `U_{e−s}`.
    pub release: Release,
    /// Who may redeem it: `BLAKE3_keyed(salt, account key)`.
    pub pay_to: PayTo,
}

impl Wire for Close {
    const MAX: usize = 256;
}

impl Signable for Close {
    const DOMAIN: Domain = *b"netpay/close-seg";
}

/// The salted name of the account a close pays: nobody who lacks the salt can tell which it is.
#[must_use]
pub fn pay_to(salt: &[u8; 32], account: &PublicKey) -> PayTo {
    PayTo(*blake3::keyed_hash(salt, &account.0).as_bytes())
}

/// Signed by the chain key: the next vendor may ask the holder of segment `j` to close it
/// (the papers' relocation request `{ID_pv1, ID_pv2}`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The chain that moves.
    pub chain: ChainId,
    /// The segment to be closed.
    pub j: SegmentNo,
    /// The holder key of the vendor it moves to.
    pub to: PublicKey,
}

impl Wire for Handover {
    const MAX: usize = 128;
}

impl Signable for Handover {
    const DOMAIN: Domain = *b"netpay/handover\0";
}

/// The key of one segment's release chain: `BLAKE3(chain ‖ j ‖ holder)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseKey([u8; 32]);

impl ReleaseKey {
    /// The key for segment `j` of `chain`, held by `holder`.
    #[must_use]
    pub fn of(chain: ChainId, j: SegmentNo, holder: &PublicKey) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&chain.0);
        hasher.update(&j.0.to_le_bytes());
        hasher.update(&holder.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// `U_{m−1}` from `U_m`.
    #[must_use]
    pub fn below(&self, m: Count, release: &Release) -> Release {
        let mut block = [0; 36];
        block[..4].copy_from_slice(&m.0.to_le_bytes());
        block[4..].copy_from_slice(&release.0);
        Release(*blake3::keyed_hash(&self.0, &block).as_bytes())
    }

    /// The link `steps` below `release`, which is link `m`.
    #[must_use]
    pub fn walk_down(&self, m: Count, release: &Release, steps: Count) -> Release {
        (0..steps.0).fold(*release, |link, step| self.below(Count(m.0.saturating_sub(step)), &link))
    }
}

/// The buyer's release chain for one segment, every link at hand: `U_0` to `U_{c−s}`.
#[derive(Clone)]
pub struct ReleaseChain {
    links: Vec<Release>,
}

impl ReleaseChain {
    /// The chain for the lease `(start, cap]`; the last link comes from the wallet's secret and never from a coin.
    #[must_use]
    pub fn grow(
        wallet_secret: &[u8; 32],
        chain: ChainId,
        j: SegmentNo,
        holder: &PublicKey,
        (start, cap): (Index, Cap),
    ) -> Self {
        let mut label = Vec::with_capacity(76);
        label.extend_from_slice(&chain.0);
        label.extend_from_slice(&j.0.to_le_bytes());
        label.extend_from_slice(&holder.0);
        label.extend_from_slice(&start.0.to_le_bytes());
        label.extend_from_slice(&cap.0.to_le_bytes());
        let last = blake3::keyed_hash(wallet_secret, blake3::hash(&label).as_bytes());
        let key = ReleaseKey::of(chain, j, holder);
        let length = cap.room(start);
        let mut links = vec![Release(*last.as_bytes())];
        for m in (1..=length.0).rev() {
            let above = links[links.len() - 1];
            links.push(key.below(Count(m), &above));
        }
        links.reverse();
        Self { links }
    }

    /// `U_0`, which the Open binds.
    #[must_use]
    pub fn root(&self) -> Release {
        self.links[0]
    }

    /// `U_m`, or `None` beyond the lease.
    #[must_use]
    pub fn link(&self, m: Count) -> Option<Release> {
        self.links.get(m.0 as usize).copied()
    }
}

impl fmt::Debug for ReleaseChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseChain of {} (secret)", self.links.len() - 1)
    }
}

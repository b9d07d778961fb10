//! A receipt that anybody can check: what a vendor signed for what it was paid, with what makes its word count.

use super::segment::{Close, Open, SegmentNo};
use super::touchstone::{self, BadTouchstone, Touchstone};
use crate::amount::{Count, Index};
use crate::codec::Wire;
use crate::id::{ChainId, NetworkId};
use crate::keys::{BadSignature, PublicKey, Signed, Unverified};
use serde::{Deserialize, Serialize};

/// What a vendor signed of one segment: the broker's promise of the chain, the buyer's Open, and the vendor's Close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// T.
    pub touchstone: Unverified<Touchstone>,
    /// O_j.
    pub open: Unverified<Open>,
    /// C_j.
    pub close: Unverified<Close>,
}

impl Wire for Receipt {
    const MAX: usize = 2048;
}

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// From which chain.
    pub chain: ChainId,
    /// In which segment of it.
    pub j: SegmentNo,
    /// Whom: the vendor's key for this chain.
    pub holder: PublicKey,
    /// So many coins.
    pub coins: Count,
    /// Up to which index.
    pub end: Index,
}

/// Why a receipt says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// The chain is not this broker's.
    #[error("the chain: {0}")]
    Touchstone(#[from] BadTouchstone),
    /// The Open is not the buyer's, or the Close not the vendor's.
    #[error("the {0}: {1}")]
    Signature(&'static str, BadSignature),
    /// Its parts are not of one segment.
    #[error("its parts are not of one segment")]
    Apart,
    /// Nothing was paid, or more than was opened.
    #[error("it is for no coin of the segment")]
    Range,
    /// It names a coin that is not the chain's.
    #[error("its coin is not one of the chain")]
    Coin,
    /// It names a release that the buyer never gave.
    #[error("its coins were not released to this vendor")]
    Release,
}

impl Receipt {
    /// Makes a receipt of a Close, if it holds.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn of(
        network: &NetworkId,
        touchstone: &Signed<Touchstone>,
        open: &Signed<Open>,
        close: Unverified<Close>,
    ) -> Result<(Self, Paid), BadReceipt> {
        let signed = |error| BadReceipt::Signature("Close", error);
        let close = close.verify(network, &open.holder).map_err(signed)?;
        let paid = paid(touchstone, open, &close)?;
        Ok((Self { touchstone: touchstone.wire(), open: open.wire(), close: close.wire() }, paid))
    }

    /// What it says, if it holds in this network.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn verify(&self, network: &NetworkId, broker: &PublicKey) -> Result<Paid, BadReceipt> {
        let touchstone = touchstone::verify(self.touchstone.clone(), network, broker)?;
        let signed = |error| BadReceipt::Signature("Open", error);
        let open = self.open.clone().verify(network, &touchstone.chain_key).map_err(signed)?;
        Self::of(network, &touchstone, &open, self.close.clone()).map(|(_, paid)| paid)
    }
}

fn paid(
    touchstone: &Signed<Touchstone>,
    open: &Signed<Open>,
    close: &Signed<Close>,
) -> Result<Paid, BadReceipt> {
    let chain = touchstone::chain_id(touchstone);
    let together =
        open.chain == chain && close.chain == chain && close.j == open.j && close.open == open.hash();
    if !together {
        return Err(BadReceipt::Apart);
    }
    let coins = close.end.since(open.start).filter(|coins| *coins > Count::ZERO).ok_or(BadReceipt::Range)?;
    if !open.lease_is_allowed(touchstone.n) || close.end.0 > open.cap.0 {
        return Err(BadReceipt::Range);
    }
    if close.coin.walk_down(close.end.0) != touchstone.root {
        return Err(BadReceipt::Coin);
    }
    if open.release_key().walk_down(coins, &close.release, coins) != open.release_root {
        return Err(BadReceipt::Release);
    }
    Ok(Paid { chain, j: open.j, holder: open.holder, coins, end: close.end })
}

//! Minting: a random seed, its chain's root, the signed touchstone, and the seed sealed to the buyer. Once this returns,
//! the seed is nowhere but in its sealed form.

use crate::checks::Purchase;
use crate::ledger::{Facts, Mint};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::touchstone::{Committee, Touchstone, place_of};
use netpay_core::id::{NetworkId, Place};
use netpay_core::keys::SecretKey;
use netpay_core::time::Time;
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_node::sealed;
use std::sync::Arc;

/// Signs promises.
#[derive(Clone, Debug)]
pub struct Press {
    /// The network it is money in.
    pub network: NetworkId,
    /// The broker's signing key.
    pub secret: SecretKey,
    /// How long a chain can be spent, in seconds.
    pub spend_for: u64,
    /// How long it can be redeemed after that, in seconds.
    pub redeem_for: u64,
}

impl Press {
    /// A new chain for a purchase, with the committee that is chosen for its place.
    ///
    /// # Errors
    /// Storage if there is no randomness, Malformed if nobody can open what is sealed to the buyer's key.
    pub fn mint(
        &self,
        purchase: &Purchase,
        now: Time,
        committee: impl FnOnce(&Place) -> Committee,
    ) -> Result<Mint, Reject> {
        let nonce = random()?;
        let seed = Seed(random()?);
        let touchstone = Touchstone {
            network: self.network,
            broker: self.secret.public(),
            chain_key: purchase.buy.chain_key,
            n: purchase.buy.n,
            root: Chain::root_of(&seed, purchase.buy.n),
            nonce,
            committee: committee(&place_of(&nonce)),
            issued: now,
            spend_by: now.plus(self.spend_for),
            redeem_by: now.plus(self.spend_for).plus(self.redeem_for),
        };
        let signed = self.secret.sign(&self.network, touchstone);
        let sealed = sealed::seal(&seed, &purchase.buy.sealing_key, signed.hash());
        let unusable = |_| Reject::new(RejectCode::Malformed, "nothing can be sealed to this sealing key");
        Ok(Mint { sealed: sealed.map_err(unusable)?, facts: Arc::new(Facts::of(signed)) })
    }
}

fn random<const N: usize>() -> Result<[u8; N], Reject> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Reject::new(RejectCode::Storage, "the system gives no randomness"))?;
    Ok(bytes)
}

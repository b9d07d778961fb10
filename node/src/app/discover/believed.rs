//! Listings that were believed lately: the next page of a search, or the same in another order, costs no signatures.

use crate::app::lock;
use netpay_core::content::listing::{self, BadListing, Listing};
use netpay_core::id::{NetworkId, ObjectHash};
use netpay_core::keys::{Signed, Unverified};
use netpay_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// Listings remembered at most: those of two searches that find all that is shown.
const MAX_REMEMBERED: usize = 2048;

/// Those that were believed last.
#[derive(Default)]
pub struct Believed(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    listings: BTreeMap<ObjectHash, Signed<Listing>>,
    /// The oldest first.
    order: VecDeque<ObjectHash>,
}

impl Believed {
    /// As [`listing::verify`]: what was believed before has only its dates and ranges checked again.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn verify(
        &self,
        listing: Unverified<Listing>,
        network: &NetworkId,
        now: Time,
    ) -> Result<Signed<Listing>, BadListing> {
        let known = lock(&self.0).listings.get(&listing.hash(network)).cloned();
        if let Some(known) = known {
            known.check(now)?;
            return Ok(known);
        }
        let listing = listing::verify(listing, network, now)?;
        self.remember(&listing);
        Ok(listing)
    }

    fn remember(&self, listing: &Signed<Listing>) {
        let mut kept = lock(&self.0);
        if kept.listings.insert(listing.hash(), listing.clone()).is_some() {
            return;
        }
        kept.order.push_back(listing.hash());
        if kept.order.len() > MAX_REMEMBERED
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.listings.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::amount::Coins;
    use netpay_core::codec::{List, Text};
    use netpay_core::content::listing::Modes;
    use netpay_core::id::ContentRoot;
    use netpay_core::keys::{SecretKey, Signature};
    use netpay_core::time::HOUR;

    const NETWORK: NetworkId = NetworkId([0; 32]);
    const NOW: Time = Time(1_800_000_000);

    fn listing(sequence: u64) -> Signed<Listing> {
        let vendor = SecretKey::from_seed(&[1; 32]);
        let listing = Listing {
            vendor: vendor.public(),
            root: ContentRoot([2; 32]),
            name: Text::cut("a"),
            size: 1,
            price: Coins(1),
            media: Text::default(),
            tags: List::new(),
            modes: Modes::PLAIN,
            brokers: List::first_of([netpay_core::keys::PublicKey([3; 32])]),
            sequence,
            expires: NOW.plus(HOUR),
            withdrawn: false,
        };
        vendor.sign(&NETWORK, listing)
    }

    fn verified(believed: &Believed, listing: Unverified<Listing>, now: Time) -> Option<Signed<Listing>> {
        believed.verify(listing, &NETWORK, now).ok()
    }

    #[test]
    fn what_was_believed_is_believed_again_until_it_expires_and_a_forgery_never() {
        let (believed, genuine) = (Believed::default(), listing(1));
        let forged = Unverified::rebuild(genuine.value(), Signature([7; 64]));
        assert_eq!(verified(&believed, forged.clone(), NOW), None);
        assert_eq!(verified(&believed, genuine.wire(), NOW), Some(genuine.clone()));
        // Another signature under the same words: what is believed is the one that held.
        assert_eq!(verified(&believed, forged, NOW), Some(genuine.clone()));
        assert_eq!(verified(&believed, genuine.wire(), NOW.plus(HOUR)), None);
    }

    #[test]
    fn only_so_many_are_remembered_and_the_newest_of_them() {
        let believed = Believed::default();
        let last = MAX_REMEMBERED as u64 + 1;
        for sequence in 0..=last {
            believed.remember(&listing(sequence));
        }
        let kept = lock(&believed.0);
        assert_eq!((kept.listings.len(), kept.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        assert!(
            !kept.listings.contains_key(&listing(1).hash()) && kept.listings.contains_key(&listing(2).hash())
        );
        assert!(kept.listings.contains_key(&listing(last).hash()));
    }
}

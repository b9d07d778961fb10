//! The file index and presence over `/netpay/record/1`: putting listings and cards at the members closest to
//! their places, and reading them back page by page. Every put has its verdict, never silence.

use super::BULK_FRAME;
use super::hello::Membership;
use crate::codec::{self, List, Wire};
use crate::content::listing::{Listing, MAX_PLACES};
use crate::id::Place;
use crate::keys::{PublicKey, Unverified};
use crate::record::index::{Cursor, Filter, MAX_PAGE, MAX_PAGE_ITEMS, Page, Verdict, WhyRefused};
use crate::record::presence::{Bucket, Card, CardPage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most listings in one put.
pub const MAX_PUT: usize = 64;

/// A listing, once, and which of its own places the replica shall keep it at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutListing {
    /// The listing.
    pub listing: Unverified<Listing>,
    /// Positions in [`Listing::places`]: 0 is the file's place, n that of the n-th token.
    pub places: List<u8, MAX_PLACES>,
}

impl Wire for PutListing {
    const MAX: usize = 1400;
}

impl PutListing {
    /// The places meant, in their order; `None` unless each is one of the listing's own and comes once.
    #[must_use]
    pub fn places_of(&self, listing: &Listing) -> Option<Vec<Place>> {
        let own = listing.places();
        let distinct: BTreeSet<_> = self.places.iter().collect();
        if distinct.len() < self.places.len() {
            return None;
        }
        self.places.iter().map(|number| own.get(usize::from(*number)).copied()).collect()
    }
}

/// What is asked of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum IndexRequest {
    /// Keep these listings, all of one vendor.
    PutListings {
        /// That the vendor is a member.
        membership: Option<Unverified<Membership>>,
        /// The listings.
        listings: List<PutListing, MAX_PUT>,
    },
    /// Show the listings kept at a place that match all the other words of a search.
    GetListings {
        /// The place of one word, or of a file.
        place: Place,
        /// The other words.
        filter: Filter,
        /// The last listing of the page before.
        after: Option<Cursor>,
        /// The most bytes of listings wanted; at most [`MAX_PAGE`] count.
        limit: u32,
    },
    /// Keep this card.
    PutCard {
        /// That the node is a member.
        membership: Option<Unverified<Membership>>,
        /// The card.
        card: Unverified<Card>,
    },
    /// Show the cards kept of a bucket.
    GetCards {
        /// The bucket.
        bucket: Bucket,
        /// The last node of the page before.
        after: Option<PublicKey>,
    },
}

impl Wire for IndexRequest {
    const MAX: usize = BULK_FRAME;
}

impl IndexRequest {
    /// The puts that carry these listings, as few as the limits allow, in their order.
    #[must_use]
    pub fn puts(
        membership: Option<&Unverified<Membership>>,
        listings: impl IntoIterator<Item = PutListing>,
    ) -> Vec<Self> {
        let put = |listings| Self::PutListings { membership: membership.cloned(), listings };
        let (mut puts, mut batch, mut bytes) = (Vec::new(), List::new(), 0);
        for listing in listings {
            let more = codec::encode(&listing).len();
            if batch.len() >= MAX_PUT || bytes + more > MAX_PAGE {
                puts.push(put(std::mem::take(&mut batch)));
                bytes = 0;
            }
            bytes += more;
            // There is room: a full batch has just been put away.
            let _ = batch.push(listing);
        }
        if !batch.is_empty() {
            puts.push(put(batch));
        }
        puts
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexReply {
    /// What became of each listing at each of its places, in the order of the put.
    Put(List<List<Verdict, MAX_PLACES>, MAX_PUT>),
    /// Listings kept, and where the next page begins, if there is more.
    Listings {
        /// The listings, withdrawn ones among them: merge the replicas before believing one is offered.
        listings: List<Unverified<Listing>, MAX_PAGE_ITEMS>,
        /// The cursor for the next page.
        next: Option<Cursor>,
    },
    /// What became of the card.
    Card(Verdict),
    /// Cards kept, and the last node of the page, if there is more.
    Cards {
        /// The cards.
        cards: List<Unverified<Card>, MAX_PAGE_ITEMS>,
        /// The cursor for the next page.
        next: Option<PublicKey>,
    },
    /// Nothing was looked at.
    Refused(WhyRefused),
}

impl Wire for IndexReply {
    const MAX: usize = BULK_FRAME;
}

impl From<Page> for IndexReply {
    fn from(page: Page) -> Self {
        Self::Listings { listings: List::first_of(page.listings), next: page.next }
    }
}

impl From<CardPage> for IndexReply {
    fn from(page: CardPage) -> Self {
        Self::Cards { cards: List::first_of(page.cards), next: page.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Coins;
    use crate::codec::{Text, decode, encode};
    use crate::content::listing::Modes;
    use crate::id::{ContentRoot, NetworkId};
    use crate::keys::{SecretKey, Signed};
    use crate::record::index::KeySet;
    use crate::time::{DAY, Time};
    use crate::wire::browse::{BrowseReply, MAX_BROWSED};

    const NOW: Time = Time(1_800_000_000);

    fn listing(file: u8, large: bool) -> Signed<Listing> {
        let vendor = SecretKey::from_seed(&[1; 32]);
        let fill = |len| if large { "x ".repeat(len) } else { "x".to_owned() };
        let listing = Listing {
            vendor: vendor.public(),
            root: ContentRoot([file; 32]),
            name: Text::cut(&fill(200)),
            size: 1,
            price: Coins(0),
            media: Text::cut(&fill(64)),
            tags: List::first_of((0..16).map(|i| Text::cut(&format!("{i}{}", fill(20))))),
            modes: Modes::PLAIN,
            brokers: List::first_of((0..4).map(|i| PublicKey([i; 32]))),
            sequence: 1,
            expires: NOW.plus(DAY),
            withdrawn: false,
        };
        vendor.sign(&NetworkId([0; 32]), listing)
    }

    fn put(file: u8, large: bool, places: &[u8]) -> PutListing {
        PutListing { listing: listing(file, large).wire(), places: List::first_of(places.iter().copied()) }
    }

    #[test]
    fn a_replica_keeps_a_listing_at_its_own_places_only() {
        let listing = listing(1, false);
        let own = listing.places();
        assert_eq!(own.len(), MAX_PLACES);
        assert_eq!(put(1, false, &[0, 16]).places_of(&listing), Some(vec![own[0], own[16]]));
        assert_eq!(put(1, false, &[0, 17]).places_of(&listing), None);
        assert_eq!(put(1, false, &[3, 3]).places_of(&listing), None);
    }

    #[test]
    fn many_large_listings_go_in_several_puts_and_none_is_lost() {
        for large in [false, true] {
            let all: Vec<_> = (0..150).map(|file| put(file, large, &[0, 1, 2])).collect();
            let requests = IndexRequest::puts(None, all.clone());
            assert_eq!(requests.len(), if large { 4 } else { 3 });
            let mut sent = Vec::new();
            for request in requests {
                assert_eq!(decode(&encode(&request)), Ok(request.clone()));
                let IndexRequest::PutListings { listings, .. } = request else { panic!("not a put") };
                sent.extend(listings.into_vec());
            }
            assert_eq!(sent, all);
        }
    }

    #[test]
    fn the_fullest_pages_fit_their_frames() {
        let all: Vec<_> = (0..=255).map(|file| listing(file, true)).collect();
        let page = BrowseReply::page(&all);
        assert!(page.more && page.listings.len() < MAX_BROWSED);
        assert_eq!(decode(&encode(&page)), Ok(page));

        let mut set = KeySet::new(Place([0; 32]));
        for listing in all {
            let _ = set.put(listing, NOW);
        }
        let reply = IndexReply::from(set.page(&[], None, usize::MAX, NOW));
        assert_eq!(decode(&encode(&reply)), Ok(reply));
        let verdicts = List::first_of(vec![List::first_of(vec![Verdict::Stale(u64::MAX); 99]); 99]);
        assert!(encode(&IndexReply::Put(verdicts)).len() < BULK_FRAME);
    }
}

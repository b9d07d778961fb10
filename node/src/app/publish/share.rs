//! This node's share of the index and of presence: the listings put here by vendor and file, shown by place,
//! and the cards put here by bucket. Listings are rows; cards, which live a quarter of an hour, are not.
//!
//! Of one vendor's file the newest listing put at any place here is remembered in a row, with its places; an
//! older one is stale at every place.

use crate::app::lock;
use crate::store::{Batch, Db, StoreError, Table};
use netpay_core::codec::{self, Wire};
use netpay_core::content::listing::{self, Listing};
use netpay_core::id::{ContentRoot, NetworkId, Place};
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::index::{Cursor, Filter, KeySet, Page, Posted, Verdict, WhyRefused, supersedes};
use netpay_core::record::presence::{Bucket, Card, CardPage, CardSet, bucket_of};
use netpay_core::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Mutex;

const LISTINGS: Table = Table::new("index-listings");
/// Listings kept here at most.
const MAX_LISTINGS: usize = 100_000;
/// Listings of one vendor kept here at most.
const MAX_OF_VENDOR: usize = 20_000;
/// Places of which listings are kept here at most.
const MAX_PLACES_HERE: usize = 200_000;
/// Rows changed in one batch of a sweep.
const SWEPT_AT_ONCE: usize = 4096;

/// A believed listing put here, and at which of its own places.
pub(super) struct Offered {
    pub listing: Signed<Listing>,
    /// Position in [`Listing::places`], and the place; or why it is not kept there.
    pub at: Vec<Result<(u8, Place), WhyRefused>>,
}

/// This node's share.
pub(super) struct Share {
    db: Db,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    places: BTreeMap<Place, KeySet>,
    files: BTreeMap<(PublicKey, ContentRoot), File>,
    cards: BTreeMap<Bucket, CardSet>,
}

/// What is remembered of the newest listing of a vendor's file.
#[derive(Clone, PartialEq, Eq)]
struct File {
    newest: Posted,
    /// One bit for each of its places.
    places: u32,
}

#[derive(Serialize, Deserialize)]
struct ListingRow {
    listing: Unverified<Listing>,
    places: u32,
}

impl Wire for ListingRow {
    const MAX: usize = 1400;
}

impl Share {
    /// What this store kept; what has expired meanwhile is removed.
    pub fn open(db: Db, network: NetworkId, now: Time) -> Result<Self, StoreError> {
        let (mut kept, mut expired, mut after) = (Kept::default(), Batch::new(), None::<Vec<u8>>);
        loop {
            let page = db.scan(LISTINGS, &[], after.as_deref(), SWEPT_AT_ONCE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in &page {
                let row = codec::decode::<ListingRow>(value).ok();
                match row
                    .and_then(|row| Some((listing::verify(row.listing, &network, now).ok()?, row.places)))
                {
                    Some((listing, places)) => {
                        let own = (0u8..).zip(listing.places());
                        let at: Vec<_> =
                            own.filter(|(number, _)| places & bit(*number) != 0).map(Ok).collect();
                        let _ = kept.take(&Offered { listing, at }, now);
                    }
                    None => {
                        expired.delete(LISTINGS, key);
                    }
                }
            }
            db.commit(std::mem::take(&mut expired)).wait()?;
        }
        Ok(Self { db, kept: Mutex::new(kept) })
    }

    /// Takes listings. What is said to be accepted is durable.
    pub async fn put(&self, offered: &[Offered], now: Time) -> Vec<Vec<Verdict>> {
        let mut verdicts = Vec::with_capacity(offered.len());
        let mut batch = Batch::new();
        let commit = {
            let mut kept = lock(&self.kept);
            for one in offered {
                let (verdict, places) = kept.take(one, now);
                verdicts.push(verdict);
                if let Some(places) = places {
                    let row = ListingRow { listing: one.listing.wire(), places };
                    batch.put(LISTINGS, row_key(&one.listing.vendor, &one.listing.root), codec::encode(&row));
                }
            }
            // Handed over while locked, so that rows change in the order of what is kept.
            (!batch.is_empty()).then(|| self.db.commit(batch))
        };
        let Some(commit) = commit else { return verdicts };
        if let Err(error) = commit.await {
            tracing::warn!(%error, "listings put here are not durable");
            let mut kept = lock(&self.kept);
            for one in offered {
                // Whoever puts it again shall not be told it is kept already.
                kept.files.remove(&(one.listing.vendor, one.listing.root));
            }
            for verdict in verdicts.iter_mut().flatten().filter(|verdict| **verdict == Verdict::Accepted) {
                *verdict = Verdict::Refused(WhyRefused::Storage);
            }
        }
        verdicts
    }

    /// Shows a page of what is kept at a place.
    pub fn page(
        &self,
        place: &Place,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: Time,
    ) -> Page {
        let none = Page { listings: Vec::new(), next: None };
        lock(&self.kept).places.get(place).map_or(none, |set| set.page(filter, after, limit, now))
    }

    /// Whether anything is kept at this place.
    pub fn has(&self, place: &Place) -> bool {
        lock(&self.kept).places.contains_key(place)
    }

    /// Takes a card.
    pub fn put_card(&self, card: Signed<Card>, now: Time) -> Verdict {
        let bucket = bucket_of(&card.node);
        lock(&self.kept).cards.entry(bucket).or_default().put(card, now)
    }

    /// Shows a page of a bucket.
    pub fn cards(&self, bucket: Bucket, after: Option<PublicKey>, now: Time) -> CardPage {
        let none = CardPage { cards: Vec::new(), next: None };
        lock(&self.kept).cards.get(&bucket).map_or(none, |set| set.page(after, now))
    }

    /// Forgets what has expired.
    pub async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        let expired: Vec<_> = {
            let mut kept = lock(&self.kept);
            kept.sweep(now)
        };
        for part in expired.chunks(SWEPT_AT_ONCE) {
            let mut batch = Batch::new();
            let commit = {
                let kept = lock(&self.kept);
                for (vendor, root) in part.iter().filter(|file| !kept.files.contains_key(file)) {
                    batch.delete(LISTINGS, row_key(vendor, root));
                }
                self.db.commit(batch)
            };
            commit.await?;
        }
        Ok(())
    }
}

impl Kept {
    /// Takes a listing at its places; says what became of it there, and which places its row shall name if the
    /// row changes.
    fn take(&mut self, offered: &Offered, now: Time) -> (Vec<Verdict>, Option<u32>) {
        let Offered { listing, at } = offered;
        let key = (listing.vendor, listing.root);
        let known = self.files.get(&key);
        let all =
            |verdict: Verdict| at.iter().map(|at| at.map_or_else(Verdict::Refused, |_| verdict)).collect();
        if let Some(known) = known.filter(|known| supersedes(&known.newest, listing)) {
            return (all(Verdict::Stale(known.newest.sequence)), None);
        }
        if known.is_none() && !self.has_room_for(&listing.vendor) {
            return (all(Verdict::Full), None);
        }
        let known = known.filter(|known| known.newest.hash() == listing.hash()).cloned();
        let newest = known.as_ref().map_or_else(|| listing.clone().into(), |known| known.newest.clone());
        let (mut verdicts, mut places) = (Vec::with_capacity(at.len()), 0);
        for at in at {
            let verdict = match at {
                Ok((number, place)) => {
                    let verdict = self.take_at(*place, &newest, now);
                    if verdict == Verdict::Accepted {
                        places |= bit(*number);
                    }
                    verdict
                }
                Err(why) => Verdict::Refused(*why),
            };
            verdicts.push(verdict);
        }
        if places == 0 {
            return (verdicts, None);
        }
        let before = known.map_or(0, |known| known.places);
        let places = before | places;
        self.files.insert(key, File { newest, places });
        (verdicts, (before != places).then_some(places))
    }

    fn take_at(&mut self, place: Place, listing: &Posted, now: Time) -> Verdict {
        let room = self.places.len() < MAX_PLACES_HERE;
        match self.places.entry(place) {
            Entry::Occupied(mut set) => set.get_mut().put(listing.clone(), now),
            Entry::Vacant(_) if !room => Verdict::Full,
            Entry::Vacant(vacant) => {
                let mut set = KeySet::new(place);
                let verdict = set.put(listing.clone(), now);
                if !set.is_empty() {
                    vacant.insert(set);
                }
                verdict
            }
        }
    }

    fn has_room_for(&self, vendor: &PublicKey) -> bool {
        let of_vendor = (*vendor, ContentRoot([0; 32]))..=(*vendor, ContentRoot([0xff; 32]));
        // Counted only when it could be too many.
        let few = self.files.len() < MAX_OF_VENDOR;
        self.files.len() < MAX_LISTINGS && (few || self.files.range(of_vendor).count() < MAX_OF_VENDOR)
    }

    fn sweep(&mut self, now: Time) -> Vec<(PublicKey, ContentRoot)> {
        self.places.retain(|_, set| {
            set.sweep(now);
            !set.is_empty()
        });
        self.cards.retain(|_, set| {
            set.sweep(now);
            !set.is_empty()
        });
        let expired: Vec<_> =
            self.files.iter().filter(|(_, file)| file.newest.expires <= now).map(|(key, _)| *key).collect();
        for key in &expired {
            self.files.remove(key);
        }
        expired
    }
}

/// The bit of a place's number; a listing has fewer than 32.
fn bit(number: u8) -> u32 {
    1u32.checked_shl(u32::from(number)).unwrap_or(0)
}

fn row_key(vendor: &PublicKey, root: &ContentRoot) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(&vendor.0);
    key[32..].copy_from_slice(&root.0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::amount::Coins;
    use netpay_core::codec::{List, Text};
    use netpay_core::content::listing::Modes;
    use netpay_core::keys::SecretKey;
    use netpay_core::record::index::MAX_PAGE;
    use netpay_core::time::{DAY, HOUR};

    const NOW: Time = Time(1_800_000_000);
    const NETWORK: NetworkId = NetworkId([7; 32]);

    fn listing(file: u8, sequence: u64, change: impl FnOnce(&mut Listing)) -> Signed<Listing> {
        let vendor = SecretKey::from_seed(&[1; 32]);
        let mut listing = Listing {
            vendor: vendor.public(),
            root: ContentRoot([file; 32]),
            name: Text::cut("rite of spring.flac"),
            size: 1,
            price: Coins(0),
            media: Text::default(),
            tags: List::new(),
            modes: Modes::PLAIN,
            brokers: List::new(),
            sequence,
            expires: NOW.plus(DAY),
            withdrawn: false,
        };
        change(&mut listing);
        vendor.sign(&NETWORK, listing)
    }

    fn offered(listing: &Signed<Listing>, numbers: &[u8]) -> Offered {
        let own = listing.places();
        let at = numbers.iter().map(|number| Ok((*number, own[usize::from(*number)]))).collect();
        Offered { listing: listing.clone(), at }
    }

    async fn put(share: &Share, listing: &Signed<Listing>, numbers: &[u8]) -> Vec<Verdict> {
        share.put(&[offered(listing, numbers)], NOW).await.remove(0)
    }

    fn shown(share: &Share, place: Place) -> Vec<Unverified<Listing>> {
        share.page(&place, &Filter::new(), None, MAX_PAGE, NOW).listings
    }

    #[tokio::test]
    async fn what_was_accepted_is_there_after_a_restart() {
        let db = Db::memory();
        let share = Share::open(db.clone(), NETWORK, NOW).expect("a share");
        let (old, new) = (listing(1, 5, |_| ()), listing(1, 6, |l| l.price = Coins(0)));
        assert_eq!(put(&share, &old, &[0, 1]).await, [Verdict::Accepted; 2]);
        assert_eq!(put(&share, &new, &[0]).await, [Verdict::Accepted]);
        assert_eq!(put(&share, &new, &[2]).await, [Verdict::Accepted]);
        assert_eq!(put(&share, &old, &[3]).await, [Verdict::Stale(6)]);
        let again = Share::open(db, NETWORK, NOW).expect("a share");
        let places = new.places();
        assert_eq!(shown(&again, places[0]), [new.wire()]);
        assert_eq!(shown(&again, places[2]), [new.wire()]);
        assert_eq!(shown(&again, places[3]), []);
        assert_eq!(put(&again, &old, &[0]).await, [Verdict::Stale(6)]);
    }

    #[tokio::test]
    async fn what_has_expired_is_swept_from_memory_and_store() {
        let db = Db::memory();
        let share = Share::open(db.clone(), NETWORK, NOW).expect("a share");
        let soon = listing(1, 5, |l| l.expires = NOW.plus(HOUR));
        put(&share, &soon, &[0, 1]).await;
        put(&share, &listing(2, 5, |_| ()), &[0]).await;
        share.sweep(NOW.plus(HOUR)).await.expect("swept");
        assert!(!share.has(&soon.places()[0]) && !share.has(&soon.places()[1]));
        assert_eq!(db.scan(LISTINGS, &[], None, 9).expect("rows").len(), 1);
    }

    #[tokio::test]
    async fn each_place_has_its_own_verdict() {
        let share = Share::open(Db::memory(), NETWORK, NOW).expect("a share");
        let mut both = offered(&listing(1, 5, |_| ()), &[0, 1]);
        both.at[1] = Err(WhyRefused::NotHere);
        let verdicts = share.put(&[both], NOW).await;
        assert_eq!(verdicts, [vec![Verdict::Accepted, Verdict::Refused(WhyRefused::NotHere)]]);
    }

    #[tokio::test]
    async fn a_withdrawn_file_stays_withdrawn() {
        let share = Share::open(Db::memory(), NETWORK, NOW).expect("a share");
        put(&share, &listing(1, 6, |l| l.withdrawn = true), &[0]).await;
        assert_eq!(put(&share, &listing(1, 5, |_| ()), &[1]).await, [Verdict::Stale(6)]);
    }
}

//! The file index as one replica keeps it: for each place, a set of listings by vendor and file.
//!
//! What is kept depends only on what was put and the time, not on the order: merging two replicas' sets is
//! commutative, associative and idempotent, within the bounds too. Of one vendor the newest
//! [`MAX_PER_VENDOR`] are kept; when the set is full, the vendor with the most gives way.

use crate::codec::List;
use crate::content::listing::{self, Listing};
use crate::content::token::{MAX_TOKENS, Token};
use crate::id::{ContentRoot, Place};
use crate::keys::{PublicKey, Signed, Unverified};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// The most listings of one vendor at one place.
pub const MAX_PER_VENDOR: usize = 20;
/// The most listings at one place.
pub const MAX_PER_PLACE: usize = 2000;
/// The most bytes of listings or cards in one page.
pub const MAX_PAGE: usize = 60 * 1024;
/// The most listings or cards in one page.
pub const MAX_PAGE_ITEMS: usize = 256;

/// What a search asks for besides the place's own word.
pub type Filter = List<Token, MAX_TOKENS>;

/// What became of something put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is kept.
    Accepted,
    /// A newer one of the same name is kept, with this sequence (of a card: this time of issue).
    Stale(u64),
    /// There is no room: others have more right to it.
    Full,
    /// It is not kept.
    Refused(WhyRefused),
}

/// Why a replica does not keep what was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum WhyRefused {
    /// It is not signed by whom it names.
    #[error("the signature does not hold")]
    Forged,
    /// Something in it is outside its range, or it expires too far ahead.
    #[error("something in it is out of range")]
    Range,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// Its place is not one of its own.
    #[error("that is not one of its places")]
    Place,
    /// The replica is not among the closest to its place.
    #[error("this node is not responsible for that place")]
    NotHere,
    /// Whoever it names is no member.
    #[error("only members may be listed")]
    NotMember,
    /// Too much from one peer at once.
    #[error("too much at once, try again later")]
    Busy,
    /// The replica could not make it durable.
    #[error("the store failed")]
    Storage,
}

/// Where a page ends: the last listing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Its vendor.
    pub vendor: PublicKey,
    /// Its file.
    pub root: ContentRoot,
}

/// Some of a place's listings, tombstones among them: a reader of several replicas needs those too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The listings, at most [`MAX_PAGE_ITEMS`] and the bytes asked for (but at least one).
    pub listings: Vec<Unverified<Listing>>,
    /// Where the next page begins, if there is more.
    pub next: Option<Cursor>,
}

/// A believed listing with its tokens, as it is kept: once in memory, at however many places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted(Arc<Entry>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    listing: Signed<Listing>,
    tokens: Box<[Token]>,
}

impl From<Signed<Listing>> for Posted {
    fn from(listing: Signed<Listing>) -> Self {
        Self(Arc::new(Entry { tokens: listing.tokens().into(), listing }))
    }
}

impl Deref for Posted {
    type Target = Signed<Listing>;
    fn deref(&self) -> &Signed<Listing> {
        &self.0.listing
    }
}

/// The listings kept at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    place: Place,
    /// By vendor. A sorted list, as most places have one vendor and a node of a map has room for eleven.
    stalls: Vec<Stall>,
    len: usize,
}

/// One vendor's listings at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stall {
    vendor: PublicKey,
    /// Who of equally many gives way: the higher. Differs by place, so that no key is favoured everywhere.
    turn: [u8; 32],
    /// By file; a list as well.
    posted: Vec<Posted>,
}

impl Stall {
    fn find(&self, root: &ContentRoot) -> Result<usize, usize> {
        self.posted.binary_search_by_key(root, |posted| posted.root)
    }
}

impl KeySet {
    /// The empty set of a place.
    #[must_use]
    pub const fn new(place: Place) -> Self {
        Self { place, stalls: Vec::new(), len: 0 }
    }

    /// The place.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// How many listings are kept, tombstones and not yet swept ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything kept, by vendor and file.
    pub fn listings(&self) -> impl Iterator<Item = &Signed<Listing>> {
        self.posted().map(|posted| &**posted)
    }

    /// Takes a believed listing, and says what became of it. The same again changes nothing.
    pub fn put(&mut self, listing: impl Into<Posted>, now: Time) -> Verdict {
        let listing = listing.into();
        if listing.expires <= now {
            return Verdict::Refused(WhyRefused::Expired);
        }
        let (vendor, root, hash) = (listing.vendor, listing.root, listing.hash());
        if let Some(kept) = self.get(&vendor, &root)
            && !supersedes(&listing, kept)
        {
            let same = kept.hash() == hash;
            return if same { Verdict::Accepted } else { Verdict::Stale(kept.sequence) };
        }
        self.insert(listing);
        self.hold_bounds(&vendor, now);
        let kept = self.get(&vendor, &root).is_some_and(|kept| kept.hash() == hash);
        if kept { Verdict::Accepted } else { Verdict::Full }
    }

    /// Takes everything another replica keeps at the same place.
    pub fn merge(&mut self, other: &Self, now: Time) {
        for posted in other.posted() {
            // What becomes of each is no concern of whoever merges.
            let _ = self.put(posted.clone(), now);
        }
    }

    /// Forgets what has expired, and says how many that were.
    pub fn sweep(&mut self, now: Time) -> usize {
        let before = self.len;
        self.stalls.retain_mut(|stall| {
            stall.posted.retain(|posted| posted.expires > now);
            !stall.posted.is_empty()
        });
        self.len = self.stalls.iter().map(|stall| stall.posted.len()).sum();
        before - self.len
    }

    /// The next listings after `after` that match all of `filter`, up to `limit` bytes (at most [`MAX_PAGE`]).
    #[must_use]
    pub fn page(&self, filter: &[Token], after: Option<Cursor>, limit: usize, now: Time) -> Page {
        let limit = limit.min(MAX_PAGE);
        let mut page = Page { listings: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, None);
        for posted in self.after(after) {
            let wanted = posted.expires > now && filter.iter().all(|token| posted.0.tokens.contains(token));
            if !wanted {
                continue;
            }
            bytes += listing::wire_len(posted);
            let full = bytes > limit || page.listings.len() >= MAX_PAGE_ITEMS;
            if full && last.is_some() {
                page.next = last;
                break;
            }
            last = Some(Cursor { vendor: posted.vendor, root: posted.root });
            page.listings.push(posted.wire());
        }
        page
    }

    fn posted(&self) -> impl Iterator<Item = &Posted> {
        self.stalls.iter().flat_map(|stall| &stall.posted)
    }

    fn find(&self, vendor: &PublicKey) -> Result<usize, usize> {
        self.stalls.binary_search_by_key(vendor, |stall| stall.vendor)
    }

    fn stall(&self, vendor: &PublicKey) -> Option<&Stall> {
        self.stalls.get(self.find(vendor).ok()?)
    }

    fn get(&self, vendor: &PublicKey, root: &ContentRoot) -> Option<&Posted> {
        let stall = self.stall(vendor)?;
        stall.posted.get(stall.find(root).ok()?)
    }

    fn after(&self, after: Option<Cursor>) -> impl Iterator<Item = &Posted> {
        let first = after.map_or(0, |cursor| self.find(&cursor.vendor).unwrap_or_else(|at| at));
        self.stalls.iter().skip(first).flat_map(move |stall| {
            let begun = after.filter(|cursor| cursor.vendor == stall.vendor);
            let behind = |cursor: Cursor| stall.find(&cursor.root).map_or_else(|at| at, |at| at + 1);
            stall.posted.iter().skip(begun.map_or(0, behind))
        })
    }

    fn insert(&mut self, posted: Posted) {
        let vendor = posted.vendor;
        let at = self.find(&vendor).unwrap_or_else(|at| {
            let stall = Stall { vendor, turn: turn(&self.place, &vendor), posted: Vec::new() };
            // One more is the usual size, and there are many of these.
            self.stalls.reserve_exact(1);
            self.stalls.insert(at, stall);
            at
        });
        let Some(stall) = self.stalls.get_mut(at) else { return };
        match stall.find(&posted.root) {
            Ok(at) => stall.posted[at] = posted,
            Err(at) => {
                stall.posted.reserve_exact(1);
                stall.posted.insert(at, posted);
                self.len += 1;
            }
        }
    }

    /// Restores the bounds, which only a listing of this vendor can have broken.
    fn hold_bounds(&mut self, vendor: &PublicKey, now: Time) {
        let own = |set: &Self| set.stall(vendor).map_or(0, |stall| stall.posted.len());
        if own(self) > MAX_PER_VENDOR || self.len > MAX_PER_PLACE {
            self.sweep(now);
        }
        if own(self) > MAX_PER_VENDOR {
            self.evict_oldest(vendor);
        }
        while self.len > MAX_PER_PLACE {
            let biggest = self.stalls.iter().max_by_key(|stall| (stall.posted.len(), stall.turn));
            let Some(biggest) = biggest.map(|stall| stall.vendor) else { return };
            self.evict_oldest(&biggest);
        }
    }

    fn evict_oldest(&mut self, vendor: &PublicKey) {
        let Ok(at) = self.find(vendor) else { return };
        let stall = &mut self.stalls[at];
        let oldest = stall.posted.iter().enumerate().min_by_key(|(_, posted)| rank(posted));
        if let Some(oldest) = oldest.map(|(oldest, _)| oldest) {
            stall.posted.remove(oldest);
            self.len -= 1;
        }
        if stall.posted.is_empty() {
            self.stalls.remove(at);
        }
    }
}

/// Whether, of two listings of one file by one vendor, `new` holds and not `old`.
#[must_use]
pub fn supersedes(new: &Signed<Listing>, old: &Signed<Listing>) -> bool {
    rank(new) > rank(old)
}

/// What a reader of several replicas goes by: of each vendor and file the newest listing, unless it is
/// withdrawn or has expired.
#[must_use]
pub fn newest(listings: impl IntoIterator<Item = Signed<Listing>>, now: Time) -> Vec<Signed<Listing>> {
    let mut newest: BTreeMap<(PublicKey, ContentRoot), Signed<Listing>> = BTreeMap::new();
    for listing in listings {
        let key = (listing.vendor, listing.root);
        if newest.get(&key).is_none_or(|kept| supersedes(&listing, kept)) {
            newest.insert(key, listing);
        }
    }
    newest.into_values().filter(|listing| !listing.withdrawn && listing.expires > now).collect()
}

fn rank(listing: &Signed<Listing>) -> (u64, crate::id::ObjectHash) {
    (listing.sequence, listing.hash())
}

fn turn(place: &Place, vendor: &PublicKey) -> [u8; 32] {
    *blake3::keyed_hash(&place.0, &vendor.0).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Coins;
    use crate::codec::Text;
    use crate::content::listing::Modes;
    use crate::content::token::tokenise;
    use crate::id::NetworkId;
    use crate::keys::SecretKey;
    use crate::time::HOUR;
    use proptest::prelude::*;

    const NOW: Time = Time(1_800_000_000);
    const PLACE: Place = Place([5; 32]);

    fn listing(vendor: u16, file: u8, sequence: u64, change: impl FnOnce(&mut Listing)) -> Signed<Listing> {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&vendor.to_le_bytes());
        let vendor = SecretKey::from_seed(&seed);
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
            expires: NOW.plus(HOUR),
            withdrawn: false,
        };
        change(&mut listing);
        vendor.sign(&NetworkId([0; 32]), listing)
    }

    fn set_of(listings: &[Signed<Listing>]) -> KeySet {
        let mut set = KeySet::new(PLACE);
        for listing in listings {
            let _ = set.put(listing.clone(), NOW);
        }
        set
    }

    #[test]
    fn the_newest_listing_of_a_file_holds() {
        let mut set = KeySet::new(PLACE);
        assert_eq!(set.put(listing(1, 1, 5, |_| ()), NOW), Verdict::Accepted);
        assert_eq!(set.put(listing(1, 1, 5, |_| ()), NOW), Verdict::Accepted);
        assert_eq!(set.put(listing(1, 1, 4, |_| ()), NOW), Verdict::Stale(5));
        assert_eq!(set.put(listing(1, 1, 6, |l| l.withdrawn = true), NOW), Verdict::Accepted);
        assert_eq!(set.put(listing(1, 1, 5, |_| ()), NOW), Verdict::Stale(6));
        assert_eq!(set.len(), 1);
        let shown = set.page(&[], None, MAX_PAGE, NOW).listings;
        assert_eq!(shown, [listing(1, 1, 6, |l| l.withdrawn = true).wire()]);
        assert!(newest(set.listings().cloned(), NOW).is_empty());
    }

    #[test]
    fn of_equal_sequences_every_replica_keeps_the_same() {
        let (one, other) =
            (listing(1, 1, 5, |l| l.price = Coins(1)), listing(1, 1, 5, |l| l.price = Coins(2)));
        assert_eq!(set_of(&[one.clone(), other.clone()]), set_of(&[other, one]));
    }

    #[test]
    fn what_has_expired_is_neither_taken_nor_shown_nor_kept() {
        let soon = listing(1, 1, 5, |l| l.expires = NOW.plus(10));
        let mut set = set_of(&[soon.clone(), listing(2, 1, 5, |_| ())]);
        let later = NOW.plus(10);
        assert_eq!(set.put(soon, later), Verdict::Refused(WhyRefused::Expired));
        assert_eq!(set.page(&[], None, MAX_PAGE, later).listings.len(), 1);
        assert_eq!(set.sweep(later), 1);
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_vendor_keeps_its_newest_twenty() {
        let mut set = KeySet::new(PLACE);
        for file in 0..25 {
            assert_eq!(set.put(listing(1, file, 100 + u64::from(file), |_| ()), NOW), Verdict::Accepted);
        }
        assert_eq!(set.len(), MAX_PER_VENDOR);
        assert_eq!(set.put(listing(1, 99, 1, |_| ()), NOW), Verdict::Full);
        assert!(set.listings().all(|kept| kept.sequence >= 105));
    }

    #[test]
    fn a_full_place_takes_from_its_biggest_vendor() {
        let mut set = KeySet::new(PLACE);
        for vendor in 0..100 {
            for file in 0..20 {
                assert_eq!(set.put(listing(vendor, file, 5, |_| ()), NOW), Verdict::Accepted);
            }
        }
        for vendor in 100..150 {
            assert_eq!(set.put(listing(vendor, 1, 5, |_| ()), NOW), Verdict::Accepted);
        }
        assert_eq!(set.len(), MAX_PER_PLACE);
        assert!(set.stalls.iter().all(|stall| matches!(stall.posted.len(), 1 | 19 | 20)));
        assert_eq!(set.stalls.iter().filter(|stall| stall.posted.len() == 1).count(), 50);
    }

    #[test]
    fn pages_show_everything_that_matches_once() {
        let listings: Vec<_> = (0..40)
            .flat_map(|vendor| (0..20).map(move |file| (vendor, file)))
            .map(|(vendor, file)| {
                listing(vendor, file, 5, |l| {
                    if file % 2 == 0 {
                        l.name = Text::cut("firebird")
                    }
                })
            })
            .collect();
        let set = set_of(&listings);
        for (words, limit, expected) in
            [("", MAX_PAGE, 800), ("spring", 2000, 400), ("rite flac", 1, 400), ("x", 1, 0)]
        {
            let (filter, mut after, mut shown) = (tokenise(words), None, Vec::new());
            loop {
                let page = set.page(&filter, after, limit, NOW);
                let bytes: usize = page
                    .listings
                    .iter()
                    .map(|l| 72 + crate::codec::encode(&l.claim().expect("ours")).len())
                    .sum();
                assert!(bytes <= limit || page.listings.len() == 1);
                shown.extend(page.listings);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(shown.len(), expected, "{words}");
        }
    }

    fn puts() -> impl Strategy<Value = Vec<Signed<Listing>>> {
        let one = (0..3u16, 0..30u8, 0..4u64, any::<bool>()).prop_map(|(vendor, file, sequence, gone)| {
            listing(vendor, file, sequence, |l| l.withdrawn = gone)
        });
        prop::collection::vec(one, 0..90)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn merging_is_commutative_associative_and_idempotent(a in puts(), b in puts(), c in puts()) {
            let merged = |a: &KeySet, b: &KeySet| { let mut a = a.clone(); a.merge(b, NOW); a };
            let all: Vec<_> = [a.clone(), b.clone(), c.clone()].concat();
            let (a, b, c) = (set_of(&a), set_of(&b), set_of(&c));
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&merged(&a, &b), &c), set_of(&all));
        }
    }

    #[test]
    fn full_sets_merge_alike_in_any_order() {
        let of = |vendors: std::ops::Range<u16>, files: u8| -> Vec<_> {
            vendors.flat_map(|v| (0..files).map(move |f| listing(v, f, u64::from(v % 7), |_| ()))).collect()
        };
        let (a, b, c) = (of(0..100, 18), of(80..130, 13), of(120..400, 1));
        let merged = |order: [&Vec<Signed<Listing>>; 3]| set_of(&order.map(|part| part.clone()).concat());
        let expected = merged([&a, &b, &c]);
        assert_eq!(expected.len(), MAX_PER_PLACE);
        assert_eq!(merged([&c, &b, &a]), expected);
        let (mut one, mut other) = (set_of(&b), set_of(&c));
        one.merge(&set_of(&a), NOW);
        other.merge(&one, NOW);
        assert_eq!(other, expected);
    }
}

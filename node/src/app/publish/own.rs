//! The listings of what this peer offers itself: they say what the shelf says, are renewed at half their life,
//! and are taken back by a tombstone when the file leaves the shelf or is no longer what was listed.
//!
//! Both are rows, so that a restarted peer puts out the very listings its replicas keep, and so that the
//! sequence of a file that comes back is above that of its tombstone.

use crate::app::lock;
use crate::app::shelf::ShelfRow;
use crate::store::{Batch, Db, StoreError, Table};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Wire};
use netpay_core::content::listing::{LISTING_LIFE, Listing, MAX_AHEAD, Modes};
use netpay_core::fair::policy::{self, Fair};
use netpay_core::id::{ContentRoot, NetworkId};
use netpay_core::keys::{PublicKey, SecretKey, Signed, Unverified};
use netpay_core::time::{DAY, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Mutex;

const OWN: Table = Table::new("own-listings");
/// Rows changed in one batch.
const AT_ONCE: usize = 512;

#[derive(Serialize, Deserialize)]
struct OwnRow(Unverified<Listing>);

impl Wire for OwnRow {
    const MAX: usize = 1400;
}

/// What signs a listing and what it names.
pub(super) struct Pen<'a> {
    pub network: NetworkId,
    pub identity: &'a SecretKey,
    pub broker: PublicKey,
    /// How it sells, and what a unit may cost in plain mode.
    pub most: (Fair, Coins),
}

impl Pen<'_> {
    fn modes(&self, row: &ShelfRow) -> Modes {
        policy::modes(self.most.0, row.price, row.size(), self.most.1)
    }
}

/// This peer's own listings.
pub(super) struct Own {
    db: Db,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    offered: BTreeMap<ContentRoot, Signed<Listing>>,
    withdrawn: BTreeMap<ContentRoot, Signed<Listing>>,
    /// Sequences that replicas know, of listings that were lost here.
    outdone: BTreeMap<ContentRoot, u64>,
}

impl Own {
    /// The listings as they were left.
    pub fn open(db: Db, network: NetworkId, now: Time) -> Result<Self, StoreError> {
        let (mut kept, mut after) = (Kept::default(), None::<Vec<u8>>);
        loop {
            let page = db.scan(OWN, &[], after.as_deref(), AT_ONCE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let listings = page.iter().filter_map(|(_, value)| codec::decode::<OwnRow>(value).ok());
            for listing in listings.filter_map(|row| row.0.verify_own(&network).ok()) {
                kept.keep(listing, now);
            }
        }
        Ok(Self { db, kept: Mutex::new(kept) })
    }

    /// How many files are offered.
    pub fn len(&self) -> usize {
        lock(&self.kept).offered.len()
    }

    /// Everything that replicas should keep: tombstones first.
    pub fn all(&self) -> Vec<Signed<Listing>> {
        let kept = lock(&self.kept);
        kept.withdrawn.values().chain(kept.offered.values()).cloned().collect()
    }

    /// Does something with the files offered after this one, in the order of roots.
    pub fn after<T>(
        &self,
        root: Option<ContentRoot>,
        work: impl FnOnce(&mut dyn Iterator<Item = &Signed<Listing>>) -> T,
    ) -> T {
        let kept = lock(&self.kept);
        let first = root.map_or(Bound::Unbounded, Bound::Excluded);
        work(&mut kept.offered.range((first, Bound::Unbounded)).map(|(_, listing)| listing))
    }

    /// A replica knows a newer listing of this file than was put there. It may be wrong, or lie: only what a
    /// clock could have made counts.
    pub fn outdone(&self, root: ContentRoot, sequence: u64, now: Time) {
        if sequence > now.plus(DAY).0 {
            return;
        }
        let mut kept = lock(&self.kept);
        let behind = kept.offered.get(&root).is_some_and(|listing| listing.sequence <= sequence);
        if behind {
            let known = kept.outdone.entry(root).or_insert(0);
            *known = sequence.max(*known);
        }
    }

    /// Makes the listings say what the shelf says, of all files or of some. `shelf` is what can be sold of
    /// these. Returns what is new to replicas, in the order in which it has to reach them. Blocks.
    pub fn reconcile(
        &self,
        shelf: &[ShelfRow],
        only: Option<&BTreeSet<ContentRoot>>,
        pen: &Pen<'_>,
        now: Time,
    ) -> Result<Vec<Signed<Listing>>, StoreError> {
        let news = lock(&self.kept).news(shelf, only, pen, now);
        // Durable before anyone hears of it: a sequence must not come twice with different words.
        for part in news.chunks(AT_ONCE) {
            let mut batch = Batch::new();
            for listing in part {
                batch.put(OWN, listing.root.0, codec::encode(&OwnRow(listing.wire())));
            }
            self.db.commit(batch).wait()?;
        }
        let mut kept = lock(&self.kept);
        for listing in &news {
            kept.keep(listing.clone(), now);
        }
        drop(kept);
        self.sweep(now)?;
        Ok(news)
    }

    fn sweep(&self, now: Time) -> Result<(), StoreError> {
        let expired: Vec<ContentRoot> = {
            let mut kept = lock(&self.kept);
            let expired = kept.withdrawn.iter().filter(|(_, listing)| listing.expires <= now);
            let expired = expired.map(|(root, _)| *root).collect();
            kept.withdrawn.retain(|_, listing| listing.expires > now);
            expired
        };
        for part in expired.chunks(AT_ONCE) {
            let mut batch = Batch::new();
            for root in part {
                batch.delete(OWN, root.0);
            }
            self.db.commit(batch).wait()?;
        }
        Ok(())
    }
}

impl Kept {
    fn keep(&mut self, listing: Signed<Listing>, now: Time) {
        let root = listing.root;
        if !listing.withdrawn {
            self.withdrawn.remove(&root);
            self.outdone.remove(&root);
            self.offered.insert(root, listing);
        } else {
            self.offered.remove(&root);
            if listing.expires > now {
                self.withdrawn.insert(root, listing);
            }
        }
    }

    fn news(
        &self,
        shelf: &[ShelfRow],
        only: Option<&BTreeSet<ContentRoot>>,
        pen: &Pen<'_>,
        now: Time,
    ) -> Vec<Signed<Listing>> {
        let concerned = |root: &ContentRoot| only.is_none_or(|only| only.contains(root));
        let on_shelf: BTreeSet<_> = shelf.iter().map(|row| row.root).collect();
        let gone = self
            .offered
            .values()
            .filter(|listing| concerned(&listing.root) && !on_shelf.contains(&listing.root));
        let mut news: Vec<_> = gone.map(|listing| self.tombstone(listing, pen, now)).collect();
        for row in shelf.iter().filter(|row| concerned(&row.root)) {
            let old = self.offered.get(&row.root);
            if old.is_some_and(|old| !self.outdone.contains_key(&row.root) && still_says(old, row, pen, now))
            {
                continue;
            }
            let brokers = List::first_of([pen.broker]);
            let mut listing = row.listing(pen.identity.public(), pen.modes(row), brokers, now);
            listing.sequence = self.next_sequence(&row.root, now).max(row.sequence.saturating_add(1));
            // Where only the old words lead, the old listing would stand till it expires.
            if let Some(old) = old.filter(|old| leaves_places(old, &listing)) {
                news.push(self.tombstone(old, pen, now));
                listing.sequence = listing.sequence.saturating_add(1);
            }
            news.push(pen.identity.sign(&pen.network, listing));
        }
        news
    }

    fn tombstone(&self, listing: &Signed<Listing>, pen: &Pen<'_>, now: Time) -> Signed<Listing> {
        let sequence = self.next_sequence(&listing.root, now);
        pen.identity.sign(&pen.network, Listing { sequence, withdrawn: true, ..listing.value().clone() })
    }

    fn next_sequence(&self, root: &ContentRoot, now: Time) -> u64 {
        let signed = [&self.offered, &self.withdrawn];
        let known = signed.iter().filter_map(|listings| listings.get(root)).map(|listing| listing.sequence);
        let known = known.chain(self.outdone.get(root).copied()).max();
        known.map_or(now.0, |known| known.saturating_add(1).max(now.0))
    }
}

/// Whether a listing says what the row says, and for long enough.
fn still_says(listing: &Listing, row: &ShelfRow, pen: &Pen<'_>, now: Time) -> bool {
    let same = listing.name == row.name && listing.size == row.size() && listing.price == row.price;
    let life = listing.expires.since(now);
    same && listing.tags == row.tags
        && listing.modes == pen.modes(row)
        && listing.brokers.contains(&pen.broker)
        && (LISTING_LIFE / 2..=MAX_AHEAD).contains(&life)
}

fn leaves_places(old: &Listing, new: &Listing) -> bool {
    let new = new.places();
    old.places().iter().any(|place| !new.contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::publish::Rows;
    use crate::app::shelf::{Hashing, Offer, Shelf};
    use netpay_core::codec::Text;
    use netpay_core::time::HOUR;

    const NOW: Time = Time(1_800_000_000);
    const NETWORK: NetworkId = NetworkId([7; 32]);

    struct Shop {
        _directory: tempfile::TempDir,
        row: ShelfRow,
        identity: SecretKey,
        db: Db,
    }

    impl Shop {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("rite of spring.flac");
            std::fs::write(&path, b"la la").expect("a file");
            let db = Db::memory();
            let shelf = Shelf::open(&directory.path().join("home"), Rows::new(db.clone())).expect("a shelf");
            let row = shelf.add_blocking(&path, Offer::default(), &Hashing::default()).expect("a row").row;
            Self { _directory: directory, row, identity: SecretKey::from_seed(&[1; 32]), db }
        }

        fn own(&self) -> Own {
            Own::open(self.db.clone(), NETWORK, NOW).expect("listings")
        }

        fn reconcile(&self, own: &Own, shelf: &[ShelfRow], now: Time) -> Vec<Signed<Listing>> {
            let pen = Pen {
                network: NETWORK,
                identity: &self.identity,
                broker: PublicKey([3; 32]),
                most: (Fair::Never, Coins(10)),
            };
            own.reconcile(shelf, None, &pen, now).expect("reconciled")
        }
    }

    #[test]
    fn a_file_is_listed_once_and_renewed_at_half_its_life() {
        let shop = Shop::new();
        let (own, shelf) = (shop.own(), [shop.row.clone()]);
        let first = shop.reconcile(&own, &shelf, NOW);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].check(NOW), Ok(()));
        assert!(shop.reconcile(&own, &shelf, NOW.plus(11 * HOUR)).is_empty());
        assert!(shop.reconcile(&shop.own(), &shelf, NOW.plus(11 * HOUR)).is_empty());
        let renewed = shop.reconcile(&own, &shelf, NOW.plus(13 * HOUR));
        assert!(renewed.len() == 1 && renewed[0].sequence > first[0].sequence);
    }

    #[test]
    fn what_leaves_the_shelf_is_withdrawn_and_can_come_back_at_once() {
        let shop = Shop::new();
        let (own, shelf) = (shop.own(), [shop.row.clone()]);
        let first = shop.reconcile(&own, &shelf, NOW);
        let gone = shop.reconcile(&own, &[], NOW);
        assert!(gone[0].withdrawn && gone[0].sequence > first[0].sequence && own.len() == 0);
        assert_eq!(gone[0].places(), first[0].places());
        let own = shop.own();
        assert_eq!(own.all().len(), 1);
        let back = shop.reconcile(&own, &shelf, NOW);
        assert!(!back[0].withdrawn && back[0].sequence > gone[0].sequence);
    }

    #[test]
    fn words_that_are_dropped_are_taken_back() {
        let mut shop = Shop::new();
        let own = shop.own();
        shop.row.tags = List::first_of([Text::cut("ballet")]);
        shop.reconcile(&own, &[shop.row.clone()], NOW);
        shop.row.price = Coins(4);
        assert_eq!(shop.reconcile(&own, &[shop.row.clone()], NOW).len(), 1);
        shop.row.tags = List::new();
        let news = shop.reconcile(&own, &[shop.row.clone()], NOW);
        assert!(news.len() == 2 && news[0].withdrawn && !news[1].withdrawn);
        assert!(news[1].sequence > news[0].sequence);
        assert_eq!(own.after(None, |offered| offered.cloned().collect::<Vec<_>>()), [news[1].clone()]);
    }

    #[test]
    fn a_forgotten_sequence_is_learned_from_a_replica_but_not_an_absurd_one() {
        let shop = Shop::new();
        let (own, shelf) = (shop.own(), [shop.row.clone()]);
        let first = shop.reconcile(&own, &shelf, NOW).remove(0);
        own.outdone(first.root, u64::MAX, NOW);
        assert!(shop.reconcile(&own, &shelf, NOW).is_empty());
        own.outdone(first.root, NOW.0 + 9, NOW);
        assert_eq!(shop.reconcile(&own, &shelf, NOW)[0].sequence, NOW.0 + 10);
        assert!(shop.reconcile(&own, &shelf, NOW).is_empty());
    }
}

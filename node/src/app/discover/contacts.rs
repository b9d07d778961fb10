//! What is known of other peers: from their hellos, and from their cards.

use crate::app::lock;
use netpay_core::codec::Text;
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::presence::{Card, MAX_PEER_NAME};
use netpay_core::time::Time;
use netpay_core::wallet::Seller;
use netpay_core::wire::hello::{HolderTag, MAX_TAGS};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

/// Peers known at most; whoever was heard of longest ago gives way.
const MAX_CONTACTS: usize = 4096;
/// Unused tags of one vendor kept at most.
const MAX_STOCK: usize = 4 * MAX_TAGS;

/// What is known of other peers, for as long as this one runs.
#[derive(Default)]
pub struct Contacts {
    book: Mutex<BTreeMap<PublicKey, Contact>>,
    /// When replicas were last asked for cards.
    pub(super) looked: Mutex<Option<Instant>>,
}

#[derive(Clone, Default)]
struct Contact {
    name: Option<String>,
    /// Until when its membership, which it has shown, holds.
    member: Option<Time>,
    card: Option<Signed<Card>>,
    /// Tags with their holder keys, each handed out once.
    stock: VecDeque<(HolderTag, PublicKey)>,
    greeted: Option<Time>,
    heard: Time,
}

/// What is known of one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub name: Option<String>,
    pub member: bool,
    pub files: Option<u32>,
    pub addresses: Vec<String>,
}

impl Contacts {
    /// A peer said who it is.
    pub(super) fn heard(&self, peer: PublicKey, name: &Text<MAX_PEER_NAME>, member: Option<Time>, now: Time) {
        self.change(peer, now, |contact| {
            contact.name = shown_name(name).or(contact.name.take());
            contact.member = member.or(contact.member);
        });
    }

    /// A vendor gave its holder keys for these tags.
    pub(super) fn stocked(
        &self,
        vendor: PublicKey,
        pairs: impl IntoIterator<Item = (HolderTag, PublicKey)>,
        now: Time,
    ) {
        self.change(vendor, now, |contact| {
            contact.greeted = Some(now);
            let room = MAX_STOCK.saturating_sub(contact.stock.len());
            contact.stock.extend(pairs.into_iter().take(room));
        });
    }

    /// A card was seen. Returns whether it is news.
    pub(super) fn saw(&self, card: Signed<Card>, now: Time) {
        self.change(card.node, now, |contact| {
            if contact.card.as_ref().is_none_or(|kept| kept.issued < card.issued) {
                contact.card = Some(card);
            }
        });
    }

    /// Takes so many tags of a vendor, or none; nobody gets them again.
    pub(super) fn take(&self, vendor: &PublicKey, count: usize) -> Option<Vec<Seller>> {
        let mut book = lock(&self.book);
        let stock = &mut book.get_mut(vendor)?.stock;
        if stock.len() < count {
            return None;
        }
        Some(stock.drain(..count).map(|(tag, holder)| Seller { node: *vendor, tag, holder }).collect())
    }

    /// Takes a tag back that was not used.
    pub(super) fn give_back(&self, seller: Seller) {
        let mut book = lock(&self.book);
        if let Some(contact) = book.get_mut(&seller.node)
            && contact.stock.len() < MAX_STOCK
        {
            contact.stock.push_back((seller.tag, seller.holder));
        }
    }

    /// How many tags of a vendor there are.
    pub(super) fn stock(&self, vendor: &PublicKey) -> usize {
        lock(&self.book).get(vendor).map_or(0, |contact| contact.stock.len())
    }

    /// When this peer last answered a hello.
    pub(super) fn greeted(&self, peer: &PublicKey) -> Option<Time> {
        lock(&self.book).get(peer)?.greeted
    }

    /// What is known of a peer.
    pub(super) fn known(&self, peer: &PublicKey, now: Time) -> Known {
        lock(&self.book).get(peer).map_or_else(Known::default, |contact| contact.known(now))
    }

    /// Whether a peer is said to be there.
    pub(super) fn is_present(&self, peer: &PublicKey, now: Time) -> bool {
        let book = lock(&self.book);
        book.get(peer).and_then(|contact| contact.card.as_ref()).is_some_and(|card| card.expires > now)
    }

    /// The peers that are said to be there.
    pub(super) fn present(&self, now: Time) -> Vec<PublicKey> {
        let book = lock(&self.book);
        let there = |contact: &Contact| contact.card.as_ref().is_some_and(|card| card.expires > now);
        book.iter().filter(|(_, contact)| there(contact)).map(|(peer, _)| *peer).collect()
    }

    /// The peers that call themselves so.
    pub(super) fn named(&self, name: &str, now: Time) -> BTreeSet<PublicKey> {
        let book = lock(&self.book);
        let called = book.iter().filter(|(_, contact)| contact.known(now).name.as_deref() == Some(name));
        called.map(|(peer, _)| *peer).collect()
    }

    fn change(&self, peer: PublicKey, now: Time, change: impl FnOnce(&mut Contact)) {
        let mut book = lock(&self.book);
        if book.len() >= MAX_CONTACTS && !book.contains_key(&peer) {
            let longest_ago = book.iter().min_by_key(|(_, contact)| contact.heard).map(|(peer, _)| *peer);
            if let Some(peer) = longest_ago {
                book.remove(&peer);
            }
        }
        let contact = book.entry(peer).or_default();
        contact.heard = now;
        change(contact);
    }
}

impl Contact {
    fn known(&self, now: Time) -> Known {
        let card = self.card.as_ref().filter(|card| card.expires > now);
        Known {
            name: self.name.clone().or_else(|| card.and_then(|card| shown_name(&card.name))),
            member: self.member.is_some_and(|until| until > now),
            files: card.map(|card| card.files),
            addresses: card
                .map_or_else(Vec::new, |card| card.addresses.iter().map(|a| a.to_string()).collect()),
        }
    }
}

/// A name as it may be shown on one line, if there is anything to show.
fn shown_name(name: &str) -> Option<String> {
    let shown: String = name.chars().filter(|c| !c.is_control()).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000);
    const VENDOR: PublicKey = PublicKey([1; 32]);

    fn pairs(first: u8, count: u8) -> Vec<(HolderTag, PublicKey)> {
        (first..first + count).map(|n| (HolderTag([n; 16]), PublicKey([n; 32]))).collect()
    }

    #[test]
    fn each_tag_is_handed_out_once() {
        let contacts = Contacts::default();
        assert_eq!(contacts.take(&VENDOR, 1), None);
        contacts.stocked(VENDOR, pairs(1, 8), NOW);
        let first = contacts.take(&VENDOR, 5).expect("five");
        assert_eq!(contacts.take(&VENDOR, 4), None);
        let second = contacts.take(&VENDOR, 3).expect("three");
        let tags: BTreeSet<_> = first.iter().chain(&second).map(|seller| seller.tag).collect();
        assert_eq!(tags.len(), 8);
        assert!(first.iter().all(|seller| seller.node == VENDOR && seller.holder.0[0] == seller.tag.0[0]));
        assert_eq!(contacts.stock(&VENDOR), 0);
        contacts.give_back(first[4]);
        assert_eq!(contacts.take(&VENDOR, 1), Some(vec![first[4]]));
    }

    #[test]
    fn a_stock_and_the_book_are_bounded() {
        let contacts = Contacts::default();
        for round in 0..10 {
            contacts.stocked(VENDOR, pairs(round * 8, 8), NOW);
        }
        assert_eq!(contacts.stock(&VENDOR), MAX_STOCK);
        for n in 0..5000u64 {
            let mut key = [9; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            contacts.heard(PublicKey(key), &Text::cut("x"), None, NOW.plus(n));
        }
        assert_eq!(lock(&contacts.book).len(), MAX_CONTACTS);
    }

    #[test]
    fn names_and_memberships_are_what_was_shown_last() {
        let contacts = Contacts::default();
        contacts.heard(VENDOR, &Text::cut("ig\nor"), Some(NOW.plus(10)), NOW);
        contacts.heard(VENDOR, &Text::cut(" "), None, NOW);
        let known = contacts.known(&VENDOR, NOW);
        assert_eq!((known.name.as_deref(), known.member), (Some("igor"), true));
        assert!(!contacts.known(&VENDOR, NOW.plus(10)).member);
        assert_eq!(contacts.named("igor", NOW), BTreeSet::from([VENDOR]));
        assert!(contacts.named("Igor", NOW).is_empty());
    }
}

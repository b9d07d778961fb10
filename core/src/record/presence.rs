//! Who is online: signed cards, spread over a few buckets in the DHT by node key, each a quarter of an hour
//! old at most.

use super::index::{MAX_PAGE, MAX_PAGE_ITEMS, Verdict, WhyRefused};
use crate::codec::{self, List, Text, Wire};
use crate::id::{NetworkId, ObjectHash, Place};
use crate::keys::{BadSignature, Domain, PublicKey, SelfSigned, Signable, Signed, Unverified};
use crate::time::{MINUTE, Time};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// How many buckets there are.
pub const BUCKETS: u8 = 16;
/// The most cards in one bucket.
pub const MAX_CARDS: usize = 2000;
/// The most addresses on a card.
pub const MAX_ADDRESSES: usize = 8;
/// The longest address, in bytes.
pub const MAX_ADDRESS: usize = 128;
/// The longest name, in bytes.
pub const MAX_PEER_NAME: usize = 64;
/// How long a card holds, in seconds.
pub const CARD_LIFE: u64 = 15 * MINUTE;
/// What two clocks may differ by, in seconds.
pub const CLOCK_SKEW: u64 = 5 * MINUTE;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The node's key; signs this.
    pub node: PublicKey,
    /// What it calls itself; it need not be alone in that.
    pub name: Text<MAX_PEER_NAME>,
    /// Where it can be reached: multiaddresses as text.
    pub addresses: List<Text<MAX_ADDRESS>, MAX_ADDRESSES>,
    /// How many files it offers.
    pub files: u32,
    /// When it was issued; of two cards of one node the later holds.
    pub issued: Time,
    /// Until when it holds.
    pub expires: Time,
}

impl Wire for Card {
    const MAX: usize = 1280;
}

impl Signable for Card {
    const DOMAIN: Domain = *b"netpay/card\0\0\0\0\0";
}

impl SelfSigned for Card {
    fn signer(&self) -> PublicKey {
        self.node
    }
}

/// Why a card is not believed or not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCard {
    /// The signature or the body does not hold.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The name holds a control character.
    #[error("its name holds a control character")]
    Name,
    /// An address is not a multiaddress.
    #[error("an address on it is not a multiaddress")]
    Address,
    /// It no longer holds.
    #[error("it has expired")]
    Expired,
    /// Its dates are out of order or too far ahead.
    #[error("its dates are out of order or too far ahead")]
    Dates,
}

impl Card {
    /// Whether everything on it is within its range now.
    ///
    /// # Errors
    /// Says what is not.
    pub fn check(&self, now: Time) -> Result<(), BadCard> {
        let is_address = |text: &Text<MAX_ADDRESS>| {
            text.len() > 1 && text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let in_order = self.issued < self.expires && self.expires.since(self.issued) <= CARD_LIFE;
        let rules = [
            (!self.name.chars().any(char::is_control), BadCard::Name),
            (self.addresses.iter().all(is_address), BadCard::Address),
            (self.expires > now, BadCard::Expired),
            (in_order && self.issued <= now.plus(CLOCK_SKEW), BadCard::Dates),
        ];
        rules.into_iter().try_for_each(|(holds, why)| if holds { Ok(()) } else { Err(why) })
    }
}

/// Believes a card: signed by the node it names, and within its ranges now.
///
/// # Errors
/// Says what does not hold; ranges, which cost less to check, first.
pub fn verify(card: Unverified<Card>, network: &NetworkId, now: Time) -> Result<Signed<Card>, BadCard> {
    card.claim().map_err(BadSignature::Body)?.check(now)?;
    Ok(card.verify_own(network)?)
}

/// One of the buckets, 0..[`BUCKETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bucket(u8);

impl Bucket {
    /// The bucket of this number, or `None` if there is no such.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < BUCKETS { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BUCKETS).map(Self)
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| D::Error::custom("a bucket beyond the last"))
    }
}

/// The bucket of a node's card.
#[must_use]
pub fn bucket_of(node: &PublicKey) -> Bucket {
    Bucket(blake3::hash(&node.0).as_bytes()[0] % BUCKETS)
}

/// Where a bucket's cards are kept: `BLAKE3("netpay/here" ‖ number)`.
#[must_use]
pub fn place_of_bucket(bucket: Bucket) -> Place {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"netpay/here");
    hasher.update(&[bucket.0]);
    Place(*hasher.finalize().as_bytes())
}

/// Some of a bucket's cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPage {
    /// The cards, at most [`MAX_PAGE_ITEMS`] and [`MAX_PAGE`] bytes.
    pub cards: Vec<Unverified<Card>>,
    /// The last node on the page, if there is more.
    pub next: Option<PublicKey>,
}

/// The cards kept in one bucket. As with [`super::index::KeySet`], the order of puts does not matter: the
/// newest [`MAX_CARDS`] are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardSet {
    cards: BTreeMap<PublicKey, Signed<Card>>,
}

impl CardSet {
    /// No cards.
    #[must_use]
    pub const fn new() -> Self {
        Self { cards: BTreeMap::new() }
    }

    /// How many cards are kept, not yet swept ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// The cards that hold now, by node.
    pub fn cards(&self, now: Time) -> impl Iterator<Item = &Signed<Card>> {
        self.cards.values().filter(move |card| card.expires > now)
    }

    /// Takes a believed card, and says what became of it. The same again changes nothing.
    pub fn put(&mut self, card: Signed<Card>, now: Time) -> Verdict {
        if card.expires <= now {
            return Verdict::Refused(WhyRefused::Expired);
        }
        let (node, hash) = (card.node, card.hash());
        if let Some(kept) = self.cards.get(&node)
            && rank(&card) <= rank(kept)
        {
            return if kept.hash() == hash { Verdict::Accepted } else { Verdict::Stale(kept.issued.0) };
        }
        self.cards.insert(node, card);
        if self.cards.len() > MAX_CARDS {
            self.sweep(now);
        }
        while self.cards.len() > MAX_CARDS {
            let oldest = self.cards.iter().min_by_key(|(_, card)| rank(card)).map(|(node, _)| *node);
            let Some(oldest) = oldest else { break };
            self.cards.remove(&oldest);
        }
        if self.cards.contains_key(&node) { Verdict::Accepted } else { Verdict::Full }
    }

    /// Takes everything another replica keeps in the same bucket.
    pub fn merge(&mut self, other: &Self, now: Time) {
        for card in other.cards.values() {
            // What becomes of each is no concern of whoever merges.
            let _ = self.put(card.clone(), now);
        }
    }

    /// Forgets what has expired, and says how many that were.
    pub fn sweep(&mut self, now: Time) -> usize {
        let before = self.cards.len();
        self.cards.retain(|_, card| card.expires > now);
        before - self.cards.len()
    }

    /// The next cards after that of `after`.
    #[must_use]
    pub fn page(&self, after: Option<PublicKey>, now: Time) -> CardPage {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = CardPage { cards: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, None);
        for (node, card) in self.cards.range((first, Bound::Unbounded)).filter(|(_, card)| card.expires > now)
        {
            bytes += wire_len(card);
            if bytes > MAX_PAGE || page.cards.len() >= MAX_PAGE_ITEMS {
                page.next = last;
                break;
            }
            last = Some(*node);
            page.cards.push(card.wire());
        }
        page
    }
}

fn rank(card: &Signed<Card>) -> (Time, ObjectHash) {
    (card.issued, card.hash())
}

/// Body and signature, with the length that goes before them.
fn wire_len(card: &Signed<Card>) -> usize {
    const LENGTH_AND_SIGNATURE: usize = 8 + 64;
    codec::encode(card.value()).len() + LENGTH_AND_SIGNATURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    const NOW: Time = Time(1_800_000_000);
    const NETWORK: NetworkId = NetworkId([9; 32]);

    fn node(number: u16) -> SecretKey {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        SecretKey::from_seed(&seed)
    }

    fn card(number: u16, issued: Time) -> Card {
        Card {
            node: node(number).public(),
            name: Text::cut("anna"),
            addresses: List::first_of([Text::cut("/ip4/192.0.2.1/tcp/4001")]),
            files: 3,
            issued,
            expires: issued.plus(CARD_LIFE),
        }
    }

    fn signed(number: u16, issued: Time) -> Signed<Card> {
        node(number).sign(&NETWORK, card(number, issued))
    }

    #[test]
    fn a_card_is_believed_of_its_own_node_only_and_not_for_long() {
        let genuine = signed(1, NOW);
        assert_eq!(verify(genuine.wire(), &NETWORK, NOW), Ok(genuine.clone()));
        assert_eq!(verify(genuine.wire(), &NETWORK, NOW.plus(CARD_LIFE)), Err(BadCard::Expired));
        let forged = node(2).sign(&NETWORK, card(1, NOW));
        assert_eq!(verify(forged.wire(), &NETWORK, NOW), Err(BadCard::Signature(BadSignature::Forged)));
        let early = signed(1, NOW.plus(CLOCK_SKEW + 1));
        assert_eq!(verify(early.wire(), &NETWORK, NOW), Err(BadCard::Dates));
        let long = Card { expires: NOW.plus(CARD_LIFE + 1), ..card(1, NOW) };
        assert_eq!(long.check(NOW), Err(BadCard::Dates));
        let control = Card { name: Text::cut("a\x1b[2J"), ..card(1, NOW) };
        assert_eq!(control.check(NOW), Err(BadCard::Name));
        let address = Card { addresses: List::first_of([Text::cut("192.0.2.1")]), ..card(1, NOW) };
        assert_eq!(address.check(NOW), Err(BadCard::Address));
    }

    #[test]
    fn the_largest_card_fits() {
        let largest = Card {
            name: Text::cut(&"n".repeat(99)),
            addresses: List::first_of(std::iter::repeat_n(Text::cut(&"/".repeat(200)), 9)),
            ..card(1, NOW)
        };
        assert!(codec::encode(&largest).len() > Card::MAX - 100);
        assert_eq!(codec::decode(&codec::encode(&largest)), Ok(largest));
    }

    #[test]
    fn buckets_are_few_and_far_apart() {
        let places: std::collections::BTreeSet<_> = Bucket::all().map(place_of_bucket).collect();
        assert_eq!(places.len(), usize::from(BUCKETS));
        assert_eq!(Bucket::new(BUCKETS), None);
        let used: std::collections::BTreeSet<_> = (0..200).map(|n| bucket_of(&node(n).public())).collect();
        assert_eq!(used.len(), usize::from(BUCKETS));
    }

    #[test]
    fn a_full_bucket_keeps_the_newest_and_pages_show_each_once() {
        let mut set = CardSet::new();
        for number in 0..2100 {
            assert_eq!(set.put(signed(number, NOW.plus(u64::from(number))), NOW), Verdict::Accepted);
            if number == 1999 {
                assert_eq!(set.put(signed(5000, Time(NOW.0 - 1)), NOW), Verdict::Full);
            }
        }
        assert_eq!(set.put(signed(1500, NOW), NOW), Verdict::Stale(NOW.0 + 1500));
        assert_eq!(set.len(), MAX_CARDS);
        let (mut shown, mut after) = (0, None);
        loop {
            let page = set.page(after, NOW);
            shown += page.cards.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(shown, MAX_CARDS);
        assert_eq!(set.sweep(NOW.plus(10 * CARD_LIFE)), MAX_CARDS);
    }

    proptest! {
        #[test]
        fn merging_is_commutative_and_idempotent(puts in prop::collection::vec((0..5u16, 0..4u64), 0..12), split in 0..12usize) {
            let cards: Vec<_> = puts.iter().map(|(n, at)| signed(*n, NOW.plus(*at))).collect();
            let of = |cards: &[Signed<Card>]| {
                let mut set = CardSet::new();
                for card in cards {
                    let _ = set.put(card.clone(), NOW);
                }
                set
            };
            let (left, right) = cards.split_at(split.min(cards.len()));
            let merged = |a: &[Signed<Card>], b: &[Signed<Card>]| { let mut a = of(a); a.merge(&of(b), NOW); a };
            prop_assert_eq!(merged(left, right), of(&cards));
            prop_assert_eq!(merged(right, left), of(&cards));
            prop_assert_eq!(merged(&cards, &cards), of(&cards));
        }
    }
}

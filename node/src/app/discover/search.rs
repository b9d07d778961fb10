//! Searching: the replicas of one word at once, what they say merged, and the best of it first.

use super::ASK_TIMEOUT;
use super::believed::Believed;
use super::ranking::{Order, by_promise, has_extension, rank};
use crate::app::publish::parse_root;
use crate::app::view::{Found, SearchOptions};
use crate::app::{Node, Trouble};
use crate::clock;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use netpay_core::amount::Coins;
use netpay_core::codec::List;
use netpay_core::content::link::Link;
use netpay_core::content::listing::Listing;
use netpay_core::content::token::{Token, place_of_file, place_of_token, tokenise};
use netpay_core::id::{ContentRoot, NetworkId, ObjectHash, Place};
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::index::{Filter, MAX_PAGE, MAX_PER_PLACE, newest};
use netpay_core::wire::index::{IndexReply, IndexRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a search of one word may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(3);
/// When so many replicas have answered, and something is found …
const ENOUGH: usize = 4;
/// … the others are waited for so many times as long as these took …
const GRACE: u32 = 3;
/// … but at least so long …
const MIN_GRACE: Duration = Duration::from_millis(25);
/// … and at most so long.
const MAX_GRACE: Duration = Duration::from_millis(250);
/// Offers found that wait to be taken by whoever searches.
const RESULTS: usize = 64;
/// How many words' replicas are asked, one word after the other, till something is found.
const MAX_WORDS_ASKED: usize = 3;
/// Pages read of one replica at most.
const MAX_PAGES: usize = 8;
/// Offers that are shown at most.
const MAX_FOUND: usize = 1000;

/// What is looked for.
struct Query {
    what: What,
    max_price: Option<Coins>,
    extension: Option<String>,
    order: Order,
}

enum What {
    Words(Vec<Token>),
    File(ContentRoot),
}

impl Query {
    fn parse(options: &SearchOptions) -> Result<Self, Trouble> {
        let what = match parse_root(&options.words) {
            Some(root) => What::File(root),
            None => What::Words(tokenise(&options.words)),
        };
        if matches!(&what, What::Words(words) if words.is_empty()) {
            return Err(Trouble::bad("search", &*options.words, "there is no word in it"));
        }
        let extension = options.extension.clone().filter(|extension| !extension.trim().is_empty());
        let order = Order::parse(options.sort.as_deref())?;
        Ok(Self { what, max_price: options.max_price.map(Coins), extension, order })
    }

    /// The places where it may be found, with what else to ask for there, the most promising first.
    fn ways(&self) -> Vec<(Place, Filter)> {
        match &self.what {
            What::File(root) => vec![(place_of_file(root), Filter::new())],
            What::Words(words) => {
                let others =
                    |word: &Token| List::first_of(words.iter().filter(|other| *other != word).cloned());
                let asked = by_promise(words).into_iter().take(MAX_WORDS_ASKED);
                asked.map(|word| (place_of_token(word), others(word))).collect()
            }
        }
    }

    /// Whether a listing is what is looked for. Whether it holds is another question.
    fn is_answered_by(&self, listing: &Listing) -> bool {
        let what = match &self.what {
            What::File(root) => listing.root == *root,
            What::Words(words) => listing.matches(words),
        };
        what && self.max_price.is_none_or(|limit| listing.price <= limit)
            && self.extension.as_ref().is_none_or(|extension| has_extension(&listing.name, extension))
    }

    fn words(&self) -> &[Token] {
        match &self.what {
            What::Words(words) => words,
            What::File(_) => &[],
        }
    }
}

impl Node {
    /// Looks for files by words, or by a link or content root; the best first.
    ///
    /// # Errors
    /// If there is no word to look for, or no such order.
    pub async fn search(&self, options: SearchOptions) -> Result<Vec<Found>, Trouble> {
        let query = Query::parse(&options)?;
        let mut found: Vec<_> =
            self.find(&query, None).await.iter().map(|listing| self.found(listing)).collect();
        rank(&mut found, query.words(), query.order);
        found.truncate(MAX_FOUND);
        Ok(found)
    }

    /// As [`Node::search`], but what is found comes as replicas answer, in no order; a newer listing of what came
    /// before comes again. Ends when all has come; the search ends when nobody listens any more.
    ///
    /// # Errors
    /// As [`Node::search`].
    pub fn search_stream(&self, options: &SearchOptions) -> Result<mpsc::Receiver<Found>, Trouble> {
        let query = Query::parse(options)?;
        let (results, receiver) = mpsc::channel(RESULTS);
        let node = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = node.find(&query, Some(&results)) => {}
                () = results.closed() => {}
            }
        });
        Ok(receiver)
    }

    /// The listings of all other vendors of some content, or of the one that is named: the cheapest first, of equal ones those
    /// connected. Who is named is asked itself where the index does not know it: whoever keeps its listings may be out of reach.
    pub async fn find_vendors(&self, root: &ContentRoot, from: Option<PublicKey>) -> Vec<Signed<Listing>> {
        let query = Query { what: What::File(*root), max_price: None, extension: None, order: Order::Best };
        let now = clock::time();
        let mut vendors = self.find(&query, None).await;
        if let Some(from) = from {
            vendors.retain(|listing| listing.vendor == from);
            if vendors.is_empty() && !self.is_shunned(&from) {
                let listing = self.listing_of(from, *root).await;
                vendors.extend(listing.filter(|listing| self.answers(&query, listing)));
            }
        }
        vendors.sort_by_cached_key(|listing| {
            let vendor = listing.vendor;
            let away = !self.overlay().is_connected(&vendor);
            (listing.price, away, !self.0.contacts.is_present(&vendor, now), vendor)
        });
        vendors
    }

    /// A listing as it is shown.
    pub(in crate::app) fn found(&self, listing: &Listing) -> Found {
        let link = Link { root: listing.root, name: Some(listing.name.clone()), size: Some(listing.size) };
        let me = listing.vendor == self.me();
        let name = self.0.contacts.known(&listing.vendor, clock::time()).name;
        Found {
            id: listing.root.to_string(),
            name: listing.name.to_string(),
            size: listing.size,
            price: listing.price.0,
            media: listing.media.to_string(),
            tags: listing.tags.iter().map(|tag| tag.to_string()).collect(),
            vendor: listing.vendor.to_string(),
            vendor_name: if me { Some(self.settings().name.clone()) } else { name },
            online: me || self.overlay().is_connected(&listing.vendor),
            link: link.to_string(),
        }
    }

    /// What answers a query: of each vendor and file the newest listing, unless it is withdrawn.
    async fn find(&self, query: &Query, results: Option<&mpsc::Sender<Found>>) -> Vec<Signed<Listing>> {
        for (place, filter) in query.ways() {
            let found = self.find_at(place, filter, query, results).await;
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    async fn find_at(
        &self,
        place: Place,
        filter: Filter,
        query: &Query,
        results: Option<&mpsc::Sender<Found>>,
    ) -> Vec<Signed<Listing>> {
        let mut merged = Merged::of(&self.0.believed);
        let mut asked = BTreeSet::new();
        let mut replies: FuturesUnordered<BoxFuture<'_, Option<Vec<Unverified<Listing>>>>> =
            FuturesUnordered::new();
        let (began, mut sent) = (Instant::now(), 0);
        for replica in self.replicas_of(&place).await {
            asked.insert(replica);
            replies.push(Box::pin(self.listings_at(replica, place, filter.clone())));
        }
        // A large network may have closer members than this node knows.
        let mut looking =
            (!self.overlay().knows_all().await).then(|| Box::pin(self.look_for_replicas(&place)));
        let (mut answers, mut end) = (0, began + SEARCH_TIMEOUT);
        while !replies.is_empty() || looking.is_some() {
            let look = async {
                match &mut looking {
                    Some(looking) => looking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(reply) = replies.next() => {
                    let Some(listings) = reply else { continue };
                    answers += 1;
                    // Its own need not be believed, as they are no answer.
                    let own = |listing: &Unverified<Listing>| {
                        listing.claim().is_ok_and(|listing| listing.vendor == self.me())
                    };
                    for listing in listings.into_iter().filter(|listing| !own(listing)) {
                        let Some(listing) = merged.add(listing, &self.network()) else { continue };
                        if let Some(results) = results && sent < MAX_FOUND && self.answers(query, listing) {
                            sent += 1;
                            // Whether anyone still listens shows at the other end.
                            let _ = results.send(self.found(listing)).await;
                        }
                    }
                    if answers >= ENOUGH && !merged.is_empty() {
                        end = end.min(Instant::now() + grace(began.elapsed()));
                    }
                }
                closer = look => {
                    looking = None;
                    for replica in closer {
                        if asked.insert(replica) {
                            replies.push(Box::pin(self.listings_at(replica, place, filter.clone())));
                        }
                    }
                }
                () = tokio::time::sleep_until(end) => break,
            }
        }
        let mut found = newest(merged.into_listings(), clock::time());
        found.retain(|listing| self.answers(query, listing));
        found
    }

    /// What a replica keeps at a place; `None` if it does not answer.
    async fn listings_at(
        &self,
        replica: PublicKey,
        place: Place,
        filter: Filter,
    ) -> Option<Vec<Unverified<Listing>>> {
        let limit = u32::try_from(MAX_PAGE).unwrap_or(u32::MAX);
        let (mut listings, mut after) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let request = IndexRequest::GetListings { place, filter: filter.clone(), after, limit };
            let reply = self.ask_index(replica, request, ASK_TIMEOUT).await;
            let Ok(IndexReply::Listings { listings: page, next }) = reply else {
                return (!listings.is_empty()).then_some(listings);
            };
            listings.extend(page.into_vec());
            // A page that does not lead on has no next.
            match next {
                Some(next) if after.is_none_or(|after| after < next) && listings.len() < MAX_PER_PLACE => {
                    after = Some(next);
                }
                _ => break,
            }
        }
        Some(listings)
    }

    fn answers(&self, query: &Query, listing: &Listing) -> bool {
        let payable = listing.price == Coins::ZERO || listing.brokers.contains(&self.broker_key());
        let welcome = listing.vendor != self.me() && !self.is_shunned(&listing.vendor);
        welcome && !listing.withdrawn && payable && query.is_answered_by(listing)
    }
}

/// How long the other replicas are waited for after enough have answered.
fn grace(took: Duration) -> Duration {
    took.saturating_mul(GRACE).clamp(MIN_GRACE, MAX_GRACE)
}

/// What replicas said so far.
struct Merged<'a> {
    lately: &'a Believed,
    listings: BTreeMap<(PublicKey, ContentRoot), Signed<Listing>>,
    /// What was believed: most of what a replica says, another has said before.
    believed: BTreeSet<ObjectHash>,
}

impl<'a> Merged<'a> {
    fn of(lately: &'a Believed) -> Self {
        Self { lately, listings: BTreeMap::new(), believed: BTreeSet::new() }
    }

    /// Adds a listing that a replica showed, if its signature holds; returns it if it is new.
    fn add(&mut self, listing: Unverified<Listing>, network: &NetworkId) -> Option<&Signed<Listing>> {
        if self.believed.contains(&listing.hash(network)) {
            return None;
        }
        let listing = self.lately.verify(listing, network, clock::time()).ok()?;
        self.believed.insert(listing.hash());
        let key = (listing.vendor, listing.root);
        let known = self.listings.get(&key);
        if known.is_some_and(|known| !netpay_core::record::index::supersedes(&listing, known)) {
            return None;
        }
        self.listings.insert(key, listing);
        self.listings.get(&key)
    }

    fn is_empty(&self) -> bool {
        self.listings.is_empty()
    }

    fn into_listings(self) -> impl Iterator<Item = Signed<Listing>> {
        self.listings.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::codec::Text;
    use netpay_core::content::listing::Modes;
    use netpay_core::keys::{SecretKey, Signature};
    use netpay_core::time::HOUR;

    const NETWORK: NetworkId = NetworkId([0; 32]);

    fn listing(name: &str, price: u64, sequence: u64) -> Signed<Listing> {
        let vendor = SecretKey::from_seed(&[1; 32]);
        let listing = Listing {
            vendor: vendor.public(),
            root: ContentRoot([2; 32]),
            name: Text::cut(name),
            size: 1,
            price: Coins(price),
            media: Text::default(),
            tags: List::first_of([Text::cut("ballet")]),
            modes: Modes::PLAIN,
            brokers: List::first_of([PublicKey([3; 32])]),
            sequence,
            expires: clock::time().plus(HOUR),
            withdrawn: false,
        };
        vendor.sign(&NETWORK, listing)
    }

    fn query(words: &str, change: impl FnOnce(&mut SearchOptions)) -> Query {
        let mut options = SearchOptions { words: words.to_owned(), ..SearchOptions::default() };
        change(&mut options);
        Query::parse(&options).expect("a query")
    }

    #[test]
    fn all_words_and_filters_must_match() {
        let rite = listing("Rite of Spring.flac", 40, 1);
        let answered = |query: Query| query.is_answered_by(&rite);
        assert!(answered(query("SPRING ballet", |_| ())));
        assert!(!answered(query("spring firebird", |_| ())));
        assert!(answered(
            query("rite", |o| (o.max_price, o.extension) = (Some(40), Some(".FLAC".to_owned())))
        ));
        assert!(!answered(query("rite", |o| o.max_price = Some(39))));
        assert!(!answered(query("rite", |o| o.extension = Some("mp3".to_owned()))));
        assert!(answered(query(&rite.root.to_string(), |_| ())));
        assert!(!answered(query(&ContentRoot([3; 32]).to_string(), |_| ())));
        assert!(
            Query::parse(&SearchOptions { words: " ... ".to_owned(), ..SearchOptions::default() }).is_err()
        );
    }

    #[test]
    fn the_replicas_of_the_longest_words_are_asked_and_filter_by_the_others() {
        let ways = query("of the rite spring 1913", |_| ()).ways();
        let place = |word: &str| place_of_token(&tokenise(word)[0]);
        let places: Vec<_> = ways.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [place("spring"), place("1913"), place("rite")]);
        let others: Vec<&str> = ways[0].1.iter().map(|word| &**word).collect();
        assert_eq!(others, ["of", "the", "rite", "1913"]);
    }

    #[test]
    fn what_a_second_replica_says_is_news_only_if_newer() {
        let lately = Believed::default();
        let mut merged = Merged::of(&lately);
        let mut add = |listing: &Signed<Listing>| {
            let news = merged.add(listing.wire(), &NETWORK);
            news.map(|listing| listing.price)
        };
        let (first, older, newer) = (listing("a", 1, 5), listing("a", 2, 4), listing("a", 3, 6));
        assert_eq!(add(&first), Some(Coins(1)));
        assert_eq!(add(&first), None);
        assert_eq!(add(&older), None);
        assert_eq!(add(&newer), Some(Coins(3)));
        assert_eq!(merged.into_listings().count(), 1);
    }

    #[test]
    fn a_listing_that_its_vendor_did_not_sign_is_not_news_and_hides_no_other() {
        let lately = Believed::default();
        let (mut merged, genuine) = (Merged::of(&lately), listing("a", 1, 5));
        let forged = Unverified::rebuild(genuine.value(), Signature([7; 64]));
        assert!(merged.add(forged, &NETWORK).is_none());
        assert!(merged.add(genuine.wire(), &NETWORK).is_some());
    }

    #[test]
    fn replicas_are_waited_for_as_long_as_the_first_ones_took_within_bounds() {
        assert_eq!(grace(Duration::from_millis(2)), MIN_GRACE);
        assert_eq!(grace(Duration::from_millis(50)), Duration::from_millis(150));
        assert_eq!(grace(Duration::from_secs(1)), MAX_GRACE);
    }
}

//! Keeping what is published where it belongs, while peers come and go and listings grow old.

use crate::app::Node;
use crate::clock;
use crate::overlay::Event;
use futures::stream::StreamExt;
use netpay_core::codec::{List, Text};
use netpay_core::content::listing::Listing;
use netpay_core::id::Place;
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::presence::{CARD_LIFE, Card, MAX_ADDRESS, bucket_of, place_of_bucket};
use netpay_core::time::MINUTE;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// So long after a peer came, others that come with it have come too.
const SETTLE: Duration = Duration::from_millis(700);
/// Rounds are at least so far apart …
const ROUND_GAP: Duration = Duration::from_secs(2);
/// … this far if all is where it belongs …
const ROUND: Duration = Duration::from_secs(60);
/// … and this far if something is not.
const RETRY: Duration = Duration::from_secs(10);
/// How often it is seen whether a membership has come.
const MEMBERSHIP_CHECK: Duration = Duration::from_secs(2);
/// How often the shelf is looked through for files that changed, and listings for those that grow old.
const STOCKTAKING: Duration = Duration::from_secs(60);
/// How often what others put here is swept.
const SWEEP: Duration = Duration::from_secs(300);
/// After how many seconds there is another card.
const CARD_RENEWAL: u64 = 5 * MINUTE;
/// What a member said it keeps is believed at least this long, however often it comes and goes.
const TRUST: Duration = Duration::from_secs(600);
/// Places whose replicas are looked up in one round.
const LOOKUPS: usize = 64;
/// Lookups at once.
const LOOKUPS_AT_ONCE: usize = 4;
/// How long a lookup is good for.
const LOOKED_UP: Duration = Duration::from_secs(3600);

/// What one task remembers between rounds.
struct Rounds {
    stocktaking: Instant,
    forgotten: BTreeMap<PublicKey, Instant>,
    looked_up: BTreeMap<Place, Instant>,
}

/// Publishes and republishes until the node stops.
pub async fn run(node: Node) {
    tokio::select! {
        () = publish(&node) => {}
        () = sweep(&node) => {}
        () = node.stopped() => {}
    }
}

async fn publish(node: &Node) {
    let mut events = node.overlay().events();
    let now = Instant::now();
    let mut rounds = Rounds { stocktaking: now, forgotten: BTreeMap::new(), looked_up: BTreeMap::new() };
    let (mut due, mut earliest) = (now, now);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Connected(peer)) => {
                    rounds.came(node, peer);
                    due = due.min((Instant::now() + SETTLE).max(earliest));
                }
                Ok(Event::Disconnected(_) | Event::Learned { .. }) => {}
                Err(RecvError::Lagged(_)) => due = due.min((Instant::now() + SETTLE).max(earliest)),
                Err(RecvError::Closed) => return,
            },
            () = node.0.index.wanted.notified() => due = due.min(earliest.max(Instant::now())),
            () = tokio::time::sleep_until(due) => {
                let next = rounds.round(node).await;
                earliest = Instant::now() + ROUND_GAP;
                due = Instant::now() + next;
            }
        }
    }
}

async fn sweep(node: &Node) {
    let mut often = tokio::time::interval(SWEEP);
    loop {
        often.tick().await;
        if let Err(error) = node.0.index.share.sweep(clock::time()).await {
            tracing::warn!(%error, "the index could not be swept");
        }
    }
}

impl Rounds {
    /// A peer that comes may have lost what it kept; but one that only comes and goes has not.
    fn came(&mut self, node: &Node, peer: PublicKey) {
        let now = Instant::now();
        self.forgotten.retain(|_, at| *at + TRUST > now);
        if self.forgotten.insert(peer, now).is_none() {
            node.0.index.placed.forget(&peer);
        }
    }

    /// Puts everything where it belongs; says when to look again.
    async fn round(&mut self, node: &Node) -> Duration {
        if Instant::now() >= self.stocktaking {
            if let Err(trouble) = node.list(None).await {
                tracing::warn!(%trouble, "the listings could not be renewed");
                return RETRY;
            }
            self.stocktaking = Instant::now() + STOCKTAKING;
        }
        if node.membership().is_none() {
            return MEMBERSHIP_CHECK;
        }
        let listings = node.0.index.own.all();
        node.0.index.placed.retain(&listings);
        let card = node.card();
        // The card first: it is small, and says that there is somebody to browse.
        let card_placed = node.push_card(&card).await;
        let mut complete = node.push(&listings, None).await && card_placed;
        let found_others = self.look_up(node, &listings).await;
        complete &= !found_others;
        if complete { ROUND } else { RETRY }
    }

    /// In a large network, finds the members closest to some places; says whether they are others than were
    /// thought.
    async fn look_up(&mut self, node: &Node, listings: &[Signed<Listing>]) -> bool {
        let bucket = place_of_bucket(bucket_of(&node.me()));
        if node.overlay().knows_all().await {
            return false;
        }
        let now = Instant::now();
        let places: BTreeSet<Place> =
            listings.iter().flat_map(|listing| listing.places()).chain([bucket]).collect();
        self.looked_up.retain(|place, at| *at + LOOKED_UP > now && places.contains(place));
        let due: Vec<Place> =
            places.into_iter().filter(|place| !self.looked_up.contains_key(place)).take(LOOKUPS).collect();
        self.looked_up.extend(due.iter().map(|place| (*place, now)));
        let changed = futures::stream::iter(due).map(|place| async move {
            let before = node.replicas_of(&place).await;
            node.look_for_replicas(&place).await != before
        });
        changed
            .buffer_unordered(LOOKUPS_AT_ONCE)
            .fold(false, |any, changed| async move { any | changed })
            .await
    }
}

/// The card kept, or another if it is due or something on it changed.
pub(super) fn card(node: &Node, kept: &mut Option<Signed<Card>>) -> Signed<Card> {
    let now = clock::time();
    let addresses = node.overlay().addresses();
    let addresses = addresses.iter().map(ToString::to_string).filter(|address| address.len() <= MAX_ADDRESS);
    let name: String = node.settings().name.chars().filter(|c| !c.is_control()).collect();
    let card = Card {
        node: node.me(),
        name: Text::cut(&name),
        addresses: List::first_of(addresses.map(|address| Text::cut(&address))),
        files: u32::try_from(node.offered()).unwrap_or(u32::MAX),
        issued: now,
        expires: now.plus(CARD_LIFE),
    };
    if let Some(kept) = kept.as_ref() {
        let same = (&kept.name, &kept.addresses, kept.files) == (&card.name, &card.addresses, card.files);
        if same && kept.issued <= now && now.since(kept.issued) < CARD_RENEWAL {
            return kept.clone();
        }
    }
    // Of two cards the later holds: never two in one second.
    let issued = kept.as_ref().map_or(now, |kept| now.max(kept.issued.plus(1)).min(now.plus(MINUTE)));
    let card = Card { issued, expires: issued.plus(CARD_LIFE), ..card };
    kept.insert(node.0.identity.sign(&node.network(), card)).clone()
}

//! Who is there, and what they have.

use super::{ASK_TIMEOUT, CONNECT_TIMEOUT, REPLICAS_ASKED_FOR_CARDS};
use crate::app::view::{Found, Page, Part, PeerView};
use crate::app::{Node, Trouble, lock};
use crate::clock;
use crate::overlay::{Multiaddr, Peer, Protocol, RequestError, node_key};
use futures::stream::{FuturesUnordered, StreamExt};
use netpay_core::codec;
use netpay_core::content::listing::Listing;
use netpay_core::id::ContentRoot;
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::presence::{self, Bucket, Card, MAX_CARDS, bucket_of, place_of_bucket};
use netpay_core::wire::browse::{BrowseReply, BrowseRequest};
use netpay_core::wire::index::{IndexReply, IndexRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often replicas are asked who is there, at most, while somebody looks at the list.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the first who looks waits for them.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Pages read of one replica's bucket at most.
const MAX_CARD_PAGES: usize = MAX_CARDS / 32;
/// Files of one peer shown at most.
const MAX_CATALOGUE: usize = 20_000;

impl Node {
    /// The other peers: those connected, those whose cards are in the network, and those that are blocked. Those that
    /// are connected come first, then by name.
    ///
    /// # Errors
    /// None at present; who does not answer is left out.
    pub async fn peers(&self) -> Result<Vec<PeerView>, Trouble> {
        let (peers, connected) = self.others().await;
        let mut views: Vec<_> =
            peers.into_iter().map(|peer| self.peer_view(peer, connected.get(&peer))).collect();
        views.sort_by(|a, b| (!a.connected, &a.name, &a.node).cmp(&(!b.connected, &b.name, &b.node)));
        Ok(views)
    }

    /// A page of the same, in the order of node keys.
    ///
    /// # Errors
    /// If there is no such page.
    pub async fn peers_part(&self, part: &Part) -> Result<Page<PeerView>, Trouble> {
        let (after, limit) = (part.after(|node| node.parse::<PublicKey>().ok())?, part.limit()?);
        let (peers, connected) = self.others().await;
        let behind = peers.into_iter().filter(|peer| after.is_none_or(|after| *peer > after));
        let view = |peer: PublicKey| self.peer_view(peer, connected.get(&peer));
        Ok(Page::of(behind, limit, PublicKey::to_string, view))
    }

    async fn others(&self) -> (BTreeSet<PublicKey>, BTreeMap<PublicKey, Peer>) {
        self.look_around().await;
        let connected: BTreeMap<_, _> =
            self.overlay().connected().into_iter().map(|peer| (peer.node, peer)).collect();
        let mut peers: BTreeSet<PublicKey> = connected.keys().copied().collect();
        peers.extend(self.0.contacts.present(clock::time()));
        peers.extend(self.0.blocked.all());
        peers.remove(&self.me());
        (peers, connected)
    }

    /// Has replicas asked who is there, unless they were a moment ago. Only the first time somebody waits for them.
    async fn look_around(&self) {
        let before = {
            let mut looked = lock(&self.0.contacts.looked);
            if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return;
            }
            looked.replace(Instant::now())
        };
        let node = self.clone();
        let looks = tokio::spawn(async move { node.cards().await });
        if before.is_none() {
            // Who has not answered by then is shown the next time.
            let _ = tokio::time::timeout(FIRST_LOOK, looks).await;
        }
    }

    /// What is known of one peer, without asking anybody; its key stands for it if nothing is.
    ///
    /// # Errors
    /// If that is no node key.
    pub fn peer(&self, node: &str) -> Result<PeerView, Trouble> {
        let not_found = || Trouble::NotFound { what: "peer", id: node.to_owned() };
        let peer: PublicKey = node.parse().map_err(|_| not_found())?;
        let connected = self.overlay().connected().into_iter().find(|known| known.node == peer);
        Ok(self.peer_view(peer, connected.as_ref()))
    }

    /// What a peer calls itself, if that is known. Asks nobody.
    #[must_use]
    pub fn name_of(&self, node: &str) -> Option<String> {
        self.0.contacts.known(&node.parse().ok()?, clock::time()).name
    }

    /// What a peer offers: it is named by its node key, its peer id, or a name that only it has.
    ///
    /// # Errors
    /// If there is no such peer, or it does not answer.
    pub async fn browse(&self, peer: String) -> Result<Vec<Found>, Trouble> {
        let vendor = self.peer_named(peer.trim()).await?;
        let found = self.catalogue(vendor, None, MAX_CATALOGUE).await?;
        Ok(found.iter().map(|listing| self.found(listing)).collect())
    }

    /// A page of the same, in the order of content roots.
    ///
    /// # Errors
    /// If there is no such peer or page, or the peer does not answer.
    pub async fn browse_part(&self, peer: String, part: &Part) -> Result<Page<Found>, Trouble> {
        let (after, limit) = (part.after(|root| root.parse().ok())?, part.limit()?);
        let vendor = self.peer_named(peer.trim()).await?;
        let found = self.catalogue(vendor, after, limit + 1).await?;
        Ok(Page::of(found, limit, |listing| listing.root.to_string(), |listing| self.found(&listing)))
    }

    /// So many listings of a peer's catalogue behind a root, or few more.
    async fn catalogue(
        &self,
        vendor: PublicKey,
        mut after: Option<ContentRoot>,
        many: usize,
    ) -> Result<Vec<Signed<Listing>>, Trouble> {
        if vendor == self.me() {
            return Ok(self.own_listings(after, many));
        }
        let mut found = Vec::new();
        while found.len() < many {
            let request = codec::encode(&BrowseRequest { after });
            let reply = self.overlay().request(vendor, Protocol::Browse, request, ASK_TIMEOUT).await;
            let page = match reply.map(|reply| codec::decode::<BrowseReply>(&reply)) {
                Ok(Ok(page)) => page,
                // What was shown before it fell silent is worth showing.
                Ok(Err(_)) | Err(_) if !found.is_empty() => break,
                Ok(Err(_)) => return Err(Trouble::PeerUnreachable(RequestError::Unsupported)),
                Err(error) => return Err(Trouble::PeerUnreachable(error)),
            };
            let Some(last) = self.catalogue_page(&vendor, &page, after, &mut found) else { break };
            after = Some(last);
            if !page.more {
                break;
            }
        }
        Ok(found)
    }

    /// Connects to a peer at this address, which ends in its peer id.
    ///
    /// # Errors
    /// If it is no such address, or nobody of that id answers there.
    pub async fn connect(&self, address: String) -> Result<PeerView, Trouble> {
        let bad = |why: &str| Trouble::bad("peer address", address.clone(), why);
        let parsed: Multiaddr = address.trim().parse().map_err(|error| bad(&format!("{error}")))?;
        let peer = parsed.iter().find_map(|part| match part {
            libp2p::multiaddr::Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        let peer = peer.ok_or_else(|| bad("it does not end in /p2p/ and a peer id"))?;
        let peer = node_key(&peer).ok_or_else(|| bad("the peer id is not of an Ed25519 key"))?;
        if self.is_blocked(&peer) {
            return Err(bad("this peer is blocked here; unblock it first"));
        }
        let connected =
            tokio::time::timeout(CONNECT_TIMEOUT, self.overlay().connect(peer, vec![parsed])).await;
        let connected = connected
            .unwrap_or(Err(crate::overlay::ConnectError::Unreachable("no answer in time".to_owned())));
        connected.map_err(|error| Trouble::PeerUnreachable(error.into()))?;
        if let Err(trouble) = self.say_hello(peer).await {
            tracing::debug!(%peer, %trouble, "no welcome");
        }
        let at = self.overlay().connected().into_iter().find(|known| known.node == peer);
        Ok(self.peer_view(peer, at.as_ref()))
    }

    /// A peer as it is known now.
    pub(in crate::app) fn peer_now(&self, peer: PublicKey) -> PeerView {
        let connected = self.overlay().connected().into_iter().find(|known| known.node == peer);
        self.peer_view(peer, connected.as_ref())
    }

    pub(super) fn peer_view(&self, peer: PublicKey, connected: Option<&Peer>) -> PeerView {
        let known = self.0.contacts.known(&peer, clock::time());
        let at = connected.map(|peer| &peer.addresses).filter(|at| !at.is_empty());
        let round_trip = connected.and_then(|peer| peer.round_trip);
        PeerView {
            node: peer.to_string(),
            name: known.name,
            files: known.files,
            addresses: at.map_or(known.addresses, |at| at.iter().map(ToString::to_string).collect()),
            connected: connected.is_some(),
            round_trip: round_trip.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            member: known.member && !self.is_expelled(&peer),
            blocked: self.is_blocked(&peer),
        }
    }

    /// Reads the cards of all buckets, and remembers them.
    async fn cards(&self) -> BTreeSet<PublicKey> {
        let buckets = Bucket::all().map(|bucket| async move {
            let mut replicas = self.replicas_of(&place_of_bucket(bucket)).await;
            // Who is not connected may be gone, and would be waited for.
            replicas.sort_by_key(|replica| *replica != self.me() && !self.overlay().is_connected(replica));
            replicas.truncate(REPLICAS_ASKED_FOR_CARDS);
            let pages: FuturesUnordered<_> =
                replicas.into_iter().map(|replica| self.cards_at(replica, bucket)).collect();
            pages.concat().await
        });
        let cards: Vec<Signed<Card>> = buckets.collect::<FuturesUnordered<_>>().concat().await;
        let now = clock::time();
        let nodes = cards.iter().map(|card| card.node).collect();
        for card in cards.into_iter().filter(|card| card.node != self.me()) {
            self.0.contacts.saw(card, now);
        }
        nodes
    }

    async fn cards_at(&self, replica: PublicKey, bucket: Bucket) -> Vec<Signed<Card>> {
        let (mut cards, mut after) = (Vec::new(), None);
        for _ in 0..MAX_CARD_PAGES {
            let reply = self.ask_index(replica, IndexRequest::GetCards { bucket, after }, ASK_TIMEOUT).await;
            let Ok(IndexReply::Cards { cards: page, next }) = reply else { break };
            let now = clock::time();
            let believed = page
                .into_vec()
                .into_iter()
                .filter_map(|card| presence::verify(card, &self.network(), now).ok());
            cards.extend(believed.filter(|card| bucket_of(&card.node) == bucket));
            // A page that does not lead on has no next.
            match next {
                Some(next) if after.is_none_or(|after| after < next) && cards.len() < MAX_CARDS => {
                    after = Some(next)
                }
                _ => break,
            }
        }
        cards
    }

    /// What a vendor itself says of some content of its; nothing if it does not answer.
    pub(super) async fn listing_of(&self, vendor: PublicKey, root: ContentRoot) -> Option<Signed<Listing>> {
        let found = self.catalogue(vendor, before(root), 1).await.ok()?;
        found.into_iter().find(|listing| listing.root == root)
    }

    /// Adds a page of a catalogue, as far as it is the vendor's, for sale, and leads on. Returns the last root.
    fn catalogue_page(
        &self,
        vendor: &PublicKey,
        page: &BrowseReply,
        mut last: Option<ContentRoot>,
        found: &mut Vec<Signed<Listing>>,
    ) -> Option<ContentRoot> {
        let (now, before) = (clock::time(), last);
        for listing in &page.listings {
            let listing: Signed<Listing> =
                self.0.believed.verify(listing.clone(), &self.network(), now).ok()?;
            let leads_on = last.is_none_or(|last| listing.root > last);
            if listing.vendor != *vendor || listing.withdrawn || !leads_on {
                return None;
            }
            last = Some(listing.root);
            found.push(listing);
        }
        last.filter(|last| Some(*last) != before)
    }

    pub(in crate::app) async fn peer_named(&self, text: &str) -> Result<PublicKey, Trouble> {
        if let Ok(peer) = text.parse::<PublicKey>() {
            return Ok(peer);
        }
        if let Some(peer) = text.parse().ok().and_then(|peer| node_key(&peer)) {
            return Ok(peer);
        }
        let mut named = self.0.contacts.named(text, clock::time());
        if named.len() != 1 {
            self.cards().await;
            named = self.0.contacts.named(text, clock::time());
        }
        if text == self.settings().name {
            named.insert(self.me());
        }
        let mut named = named.into_iter();
        match (named.next(), named.next()) {
            (Some(peer), None) => Ok(peer),
            (None, _) => Err(Trouble::NotFound { what: "peer", id: text.to_owned() }),
            (Some(_), Some(_)) => {
                Err(Trouble::bad("peer", text, "more than one calls itself so; give the node key"))
            }
        }
    }
}

/// The root ahead of this one in the order of roots: a catalogue behind it begins with this one.
fn before(root: ContentRoot) -> Option<ContentRoot> {
    let ContentRoot(mut bytes) = root;
    let last = bytes.iter().rposition(|byte| *byte > 0)?;
    bytes[last] -= 1;
    bytes[last + 1..].fill(u8::MAX);
    Some(ContentRoot(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_read_from_a_root_on_by_asking_behind_the_one_ahead_of_it() {
        let root = |last: [u8; 2]| {
            let mut root = [9; 32];
            root[30..].copy_from_slice(&last);
            ContentRoot(root)
        };
        assert_eq!(before(root([1, 0])), Some(root([0, 255])));
        assert_eq!(before(root([1, 7])), Some(root([1, 6])));
        assert_eq!(before(ContentRoot([0; 32])), None);
    }
}

//! Putting listings and the card where they belong: at the closest members of their places, as few requests as
//! fit per member, each member at its own pace.

use super::{PUT_TIMEOUT, REPLICAS};
use crate::app::{Node, lock};
use crate::clock;
use crate::overlay::{Protocol, RequestError, node_key};
use futures::stream::{FuturesUnordered, StreamExt};
use netpay_core::codec::{self, List};
use netpay_core::content::listing::Listing;
use netpay_core::id::{ContentRoot, ObjectHash, Place};
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::index::Verdict;
use netpay_core::record::presence::{Card, bucket_of, place_of_bucket};
use netpay_core::wire::index::{IndexReply, IndexRequest, PutListing};
use netpay_core::wire::record::{RecordReply, RecordRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Listings whose replicas are worked out at once: as many as fit into a few full requests per member.
const LISTINGS_AT_ONCE: usize = 512;
/// Members that are put to at once.
const TARGETS_AT_ONCE: usize = 32;

/// What replicas said they keep.
#[derive(Default)]
pub(super) struct Placed {
    /// Of each file a list: there are many files, and few members that keep one.
    listings: Mutex<BTreeMap<ContentRoot, Vec<(PublicKey, Mark)>>>,
    card: Mutex<Option<(ObjectHash, BTreeSet<PublicKey>)>>,
}

/// Of which listing, and at which of its places, one bit each.
#[derive(Clone, Copy)]
struct Mark {
    listing: ObjectHash,
    places: u32,
}

impl Placed {
    fn has(&self, listing: &Signed<Listing>, number: u8, at: &PublicKey) -> bool {
        let placed = lock(&self.listings);
        let marks = placed.get(&listing.root);
        let mark = marks.and_then(|marks| marks.iter().find(|(member, _)| member == at));
        mark.is_some_and(|(_, mark)| mark.listing == listing.hash() && mark.places & (1 << number) != 0)
    }

    fn add(&self, listing: &Signed<Listing>, number: u8, at: PublicKey) {
        let mut placed = lock(&self.listings);
        let marks = placed.entry(listing.root).or_default();
        let new = Mark { listing: listing.hash(), places: 1 << number };
        match marks.iter_mut().find(|(member, _)| *member == at) {
            Some((_, mark)) if mark.listing == new.listing => mark.places |= new.places,
            Some((_, mark)) => *mark = new,
            None => marks.push((at, new)),
        }
    }

    /// Nothing is known any more of what this member keeps.
    pub fn forget(&self, member: &PublicKey) {
        lock(&self.listings).values_mut().for_each(|marks| {
            marks.retain(|(at, _)| at != member);
        });
        if let Some((_, at)) = lock(&self.card).as_mut() {
            at.remove(member);
        }
    }

    /// Only what is still to be kept anywhere is of interest.
    pub fn retain(&self, listings: &[Signed<Listing>]) {
        let roots: BTreeSet<_> = listings.iter().map(|listing| listing.root).collect();
        lock(&self.listings).retain(|root, _| roots.contains(root));
    }
}

/// What one member shall keep, in order.
type Work = BTreeMap<PublicKey, Vec<(Signed<Listing>, Vec<u8>)>>;

impl Node {
    /// The members that keep what belongs to a place, as far as this node knows, itself among them.
    pub(in crate::app) async fn replicas_of(&self, place: &Place) -> Vec<PublicKey> {
        without_broker(self.overlay().closest(place.0, REPLICAS + 1).await, self.broker_member())
    }

    /// As [`Node::replicas_of`], as far as the network knows.
    pub(in crate::app) async fn look_for_replicas(&self, place: &Place) -> Vec<PublicKey> {
        without_broker(self.overlay().lookup(place.0, REPLICAS + 1).await, self.broker_member())
    }

    fn broker_member(&self) -> Option<PublicKey> {
        self.settings().invite.address.iter().find_map(|part| match part {
            libp2p::multiaddr::Protocol::P2p(peer) => node_key(&peer),
            _ => None,
        })
    }

    /// Asks a member something about the index; this node itself answers at once.
    pub(in crate::app) async fn ask_index(
        &self,
        to: PublicKey,
        request: IndexRequest,
        within: Duration,
    ) -> Result<IndexReply, RequestError> {
        if to == self.me() {
            return Ok(self.index_service(to, request).await);
        }
        let frame = codec::encode(&RecordRequest::Index(request));
        let reply = self.overlay().request(to, Protocol::Record, frame, within).await?;
        match codec::decode(&reply) {
            Ok(RecordReply::Index(reply)) => Ok(reply),
            _ => Err(RequestError::Unsupported),
        }
    }

    /// Puts listings at those of their replicas that have not said they keep them, and says whether all took
    /// them. With `patience`, members that answer later than that go on being asked in the background.
    pub(super) async fn push(&self, listings: &[Signed<Listing>], patience: Option<Duration>) -> bool {
        let Some(membership) = self.membership() else { return listings.is_empty() };
        let mut complete = true;
        for part in listings.chunks(LISTINGS_AT_ONCE) {
            let end = patience.map(|patience| Instant::now() + patience);
            let places = Arc::new(Semaphore::new(TARGETS_AT_ONCE));
            let mut running: FuturesUnordered<_> = FuturesUnordered::new();
            for (target, work) in self.work(part).await {
                let listings = work.iter().map(|(listing, numbers)| PutListing {
                    listing: listing.wire(),
                    places: List::first_of(numbers.iter().copied()),
                });
                let requests = IndexRequest::puts(Some(&membership), listings);
                let (node, places) = (self.clone(), Arc::clone(&places));
                running.push(async move {
                    let _place = places.acquire_owned().await;
                    node.put_at(target, requests, &work).await
                });
            }
            while !running.is_empty() {
                let next = async {
                    match end {
                        Some(end) => tokio::time::timeout_at(end, running.next()).await.ok(),
                        None => Some(running.next().await),
                    }
                };
                match next.await {
                    Some(done) => complete &= done.unwrap_or(true),
                    None => {
                        complete = false;
                        tokio::spawn(async move { while running.next().await.is_some() {} });
                        break;
                    }
                }
            }
        }
        complete
    }

    /// What is still to be put where.
    async fn work(&self, listings: &[Signed<Listing>]) -> Work {
        let places: Vec<_> = listings.iter().map(|listing| listing.places()).collect();
        let distinct: BTreeSet<Place> = places.iter().flatten().copied().collect();
        let keys: Vec<_> = distinct.iter().map(|place| place.0).collect();
        let (closest, broker) =
            (self.overlay().closest_to_each(&keys, REPLICAS + 1).await, self.broker_member());
        let closest = closest.into_iter().map(|nodes| without_broker(nodes, broker));
        let replicas: BTreeMap<Place, Vec<PublicKey>> = distinct.into_iter().zip(closest).collect();
        let mut work = Work::new();
        for (listing, places) in listings.iter().zip(places) {
            let mut numbers: BTreeMap<PublicKey, Vec<u8>> = BTreeMap::new();
            for (number, place) in (0u8..).zip(places) {
                for target in replicas.get(&place).into_iter().flatten() {
                    if !self.0.index.placed.has(listing, number, target) {
                        numbers.entry(*target).or_default().push(number);
                    }
                }
            }
            for (target, numbers) in numbers {
                work.entry(target).or_default().push((listing.clone(), numbers));
            }
        }
        work
    }

    /// Puts at one member, one request after the other; a member that fails once is left alone for now.
    async fn put_at(
        &self,
        target: PublicKey,
        requests: Vec<IndexRequest>,
        work: &[(Signed<Listing>, Vec<u8>)],
    ) -> bool {
        let (mut work, mut complete) = (work.iter(), true);
        for request in requests {
            let IndexRequest::PutListings { listings, .. } = &request else { continue };
            let sent: Vec<_> = work.by_ref().take(listings.len()).collect();
            let reply = self.ask_index(target, request, PUT_TIMEOUT).await;
            let verdicts = match reply {
                Ok(IndexReply::Put(verdicts)) => verdicts,
                other => {
                    tracing::debug!(%target, ?other, "listings were not taken");
                    return false;
                }
            };
            for ((listing, numbers), verdicts) in sent.into_iter().zip(verdicts.into_vec()) {
                for (number, verdict) in numbers.iter().zip(verdicts.into_vec()) {
                    match verdict {
                        // That there is no room is an answer too: others have more right to it.
                        Verdict::Accepted | Verdict::Full => {
                            self.0.index.placed.add(listing, *number, target)
                        }
                        Verdict::Stale(sequence) => {
                            self.0.index.own.outdone(listing.root, sequence, clock::time());
                            complete = false;
                        }
                        Verdict::Refused(why) => {
                            tracing::debug!(%target, %why, "a listing was refused");
                            complete = false;
                        }
                    }
                }
            }
        }
        complete
    }

    /// Puts the card at those of its bucket's replicas that do not have it, and says whether all took it.
    pub(super) async fn push_card(&self, card: &Signed<Card>) -> bool {
        let replicas = self.replicas_of(&place_of_bucket(bucket_of(&card.node))).await;
        let has: BTreeSet<PublicKey> = {
            let mut placed = lock(&self.0.index.placed.card);
            match placed.as_ref() {
                Some((hash, at)) if *hash == card.hash() => at.clone(),
                _ => {
                    *placed = Some((card.hash(), BTreeSet::new()));
                    BTreeSet::new()
                }
            }
        };
        let request = IndexRequest::PutCard { membership: self.membership(), card: card.wire() };
        let targets = replicas.into_iter().filter(|target| !has.contains(target));
        let mut replies: FuturesUnordered<_> = targets
            .map(|target| {
                let request = request.clone();
                async move { (target, self.ask_index(target, request, PUT_TIMEOUT).await) }
            })
            .collect();
        let mut complete = true;
        while let Some((target, reply)) = replies.next().await {
            match (reply, lock(&self.0.index.placed.card).as_mut()) {
                (
                    Ok(IndexReply::Card(Verdict::Accepted | Verdict::Full | Verdict::Stale(_))),
                    Some((hash, at)),
                ) if *hash == card.hash() => {
                    at.insert(target);
                }
                _ => complete = false,
            }
        }
        complete
    }
}

/// The broker's node routes but keeps no records.
fn without_broker(mut nodes: Vec<PublicKey>, broker: Option<PublicKey>) -> Vec<PublicKey> {
    nodes.retain(|member| Some(*member) != broker);
    nodes.truncate(REPLICAS);
    nodes
}

//! Saying hello: who is who, and a stock of holder keys before they are needed.

use super::HELLO_TIMEOUT;
use super::known::Keeper;
use crate::app::{Node, Trouble};
use crate::clock;
use crate::overlay::{Event, Protocol, RequestError};
use futures::stream::{FuturesUnordered, StreamExt};
use netpay_core::codec::{self, List, Text};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::record::presence::MAX_PEER_NAME;
use netpay_core::time::MINUTE;
use netpay_core::wallet::Seller;
use netpay_core::wire::hello::{Hello, HolderTag, MAX_TAGS, Membership, Welcome};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Peers greeted at once.
const GREETED_AT_ONCE: usize = 16;
/// Peers waiting to be greeted at most; others are greeted when something is bought from them.
const MAX_WAITING: usize = 1024;
/// A peer that only went and came back is greeted again after so long, in seconds.
const GREET_AGAIN: u64 = 10 * MINUTE;
/// After so long, whoever did not answer a hello is greeted once more.
const SECOND_HELLO: Duration = Duration::from_secs(3);
/// How often a vendor is asked for tags for one purchase.
const TRIES: usize = 3;

/// Greets whoever connects and keeps the addresses of peers, until the node stops.
pub async fn run(node: Node) {
    tokio::select! {
        () = greet(&node) => {}
        () = keep(&node) => {}
        () = node.stopped() => {}
    }
}

async fn greet(node: &Node) {
    let mut events = node.overlay().events();
    let connected =
        |node: &Node| node.overlay().connected().into_iter().map(|peer| peer.node).take(MAX_WAITING);
    let mut waiting: BTreeSet<PublicKey> = connected(node).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < GREETED_AT_ONCE
            && let Some(peer) = waiting.pop_first()
        {
            if node.is_stranger(&peer) {
                running.push(async move { (peer, node.greet(peer).await) });
            }
        }
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Connected(peer)) if waiting.len() < MAX_WAITING => {
                    waiting.insert(peer);
                }
                Ok(Event::Connected(_) | Event::Disconnected(_) | Event::Learned { .. }) => {}
                Err(RecvError::Lagged(_)) => waiting.extend(connected(node)),
                Err(RecvError::Closed) => return,
            },
            Some((peer, greeted)) = running.next() => {
                if let Err(trouble) = greeted {
                    tracing::debug!(%peer, %trouble, "no welcome");
                }
            }
        }
    }
}

async fn keep(node: &Node) {
    let mut events = node.overlay().events();
    let mut keeper = match Keeper::open(node.db().clone()) {
        Ok(keeper) => keeper,
        Err(error) => {
            tracing::warn!(%error, "the addresses of peers cannot be kept");
            return std::future::pending().await;
        }
    };
    // Those that were learned before anyone listened.
    for peer in node.overlay().connected() {
        keep_one(&mut keeper, peer.node, &peer.addresses).await;
    }
    loop {
        match events.recv().await {
            Ok(Event::Learned { node: peer, addresses }) => keep_one(&mut keeper, peer, &addresses).await,
            Ok(Event::Connected(_) | Event::Disconnected(_)) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

async fn keep_one(keeper: &mut Keeper, peer: PublicKey, addresses: &[crate::overlay::Multiaddr]) {
    if let Err(error) = keeper.learned(peer, addresses).await {
        tracing::warn!(%peer, %error, "its addresses could not be kept");
    }
}

impl Node {
    /// Answers a hello.
    pub(in crate::app) fn hello_service(&self, from: PublicKey, hello: Hello) -> Welcome {
        let same = hello.network == self.network();
        if same {
            self.introduced(from, &hello.name, hello.membership.as_ref());
            self.show_revocations(from, hello.revoked);
        }
        let tags = hello.tags.iter().filter(|_| same);
        let holders = self.till(|till| tags.map(|tag| till.holder(tag)).collect::<Vec<_>>());
        Welcome {
            network: self.network(),
            name: self.own_name(),
            membership: self.membership(),
            holders: List::first_of(holders),
            revoked: self.newest_revocations(),
        }
    }

    /// Says hello: learns who the peer is, and holder keys of it for new tags.
    ///
    /// # Errors
    /// If it does not answer in time, or is of another network.
    pub(in crate::app) async fn say_hello(&self, to: PublicKey) -> Result<(), Trouble> {
        let tags: Vec<_> = (0..MAX_TAGS).map(|_| HolderTag(clock::random())).collect();
        let hello = Hello {
            network: self.network(),
            name: self.own_name(),
            membership: self.membership(),
            tags: List::first_of(tags.iter().copied()),
            revoked: self.newest_revocations(),
        };
        let reply = self.overlay().request(to, Protocol::Hello, codec::encode(&hello), HELLO_TIMEOUT).await;
        let welcome = codec::decode::<Welcome>(&reply.map_err(Trouble::PeerUnreachable)?).ok();
        let welcome = welcome.filter(|welcome| welcome.network == self.network());
        let welcome = welcome.ok_or(Trouble::PeerUnreachable(RequestError::Unsupported))?;
        self.introduced(to, &welcome.name, welcome.membership.as_ref());
        self.show_revocations(to, welcome.revoked);
        let holders = welcome.holders.into_vec();
        // A key under which anybody could sign is nobody's.
        let pairs = tags.into_iter().zip(holders).filter(|(_, holder)| holder.is_usable());
        self.0.contacts.stocked(to, pairs, clock::time());
        Ok(())
    }

    /// Says hello to all that are connected, in the background: there is something new to show.
    pub(in crate::app) fn greet_everyone(&self) {
        let node = self.clone();
        let connected: Vec<_> = self.overlay().connected().into_iter().map(|peer| peer.node).collect();
        tokio::spawn(async move {
            let greet = async |peer| {
                if let Err(trouble) = node.say_hello(peer).await {
                    tracing::debug!(%peer, %trouble, "no welcome");
                }
            };
            futures::stream::iter(connected).for_each_concurrent(GREETED_AT_ONCE, greet).await;
        });
    }

    /// Says hello, and once more if there is no answer: whoever has just started may not be listening yet.
    async fn greet(&self, peer: PublicKey) -> Result<(), Trouble> {
        let greeted = self.say_hello(peer).await;
        if greeted.is_ok() {
            return greeted;
        }
        tokio::time::sleep(SECOND_HELLO).await;
        if self.overlay().is_connected(&peer) { self.say_hello(peer).await } else { greeted }
    }

    /// Takes so many of a vendor's tags that were never used; asks it for more when there are too few.
    ///
    /// # Errors
    /// If there are too few and it does not answer.
    pub(in crate::app) async fn sellers(
        &self,
        vendor: PublicKey,
        count: usize,
    ) -> Result<Vec<Seller>, Trouble> {
        let count = count.min(MAX_TAGS);
        for _ in 0..TRIES {
            if let Some(sellers) = self.0.contacts.take(&vendor, count) {
                if self.0.contacts.stock(&vendor) < MAX_TAGS / 2 {
                    let node = self.clone();
                    // If it does not answer now, the next purchase asks again.
                    tokio::spawn(async move { drop(node.say_hello(vendor).await) });
                }
                return Ok(sellers);
            }
            self.say_hello(vendor).await?;
        }
        self.0.contacts.take(&vendor, count).ok_or(Trouble::PeerUnreachable(RequestError::Unsupported))
    }

    /// Takes back tags that no chain was begun with.
    pub(in crate::app) fn unused(&self, sellers: impl IntoIterator<Item = Seller>) {
        for seller in sellers {
            self.0.contacts.give_back(seller);
        }
    }

    fn introduced(
        &self,
        peer: PublicKey,
        name: &Text<MAX_PEER_NAME>,
        membership: Option<&Unverified<Membership>>,
    ) {
        let now = clock::time();
        let member = membership.and_then(|membership| self.believe_member(membership, now));
        let member = member.filter(|member| member.node == peer).map(|member| member.expires);
        self.0.contacts.heard(peer, name, member, now);
    }

    fn own_name(&self) -> Text<MAX_PEER_NAME> {
        Text::cut(&self.settings().name)
    }

    /// Whether a peer should be greeted.
    fn is_stranger(&self, peer: &PublicKey) -> bool {
        let recently = |at| clock::time().since(at) < GREET_AGAIN;
        !self.0.contacts.greeted(peer).is_some_and(recently) || self.0.contacts.stock(peer) < MAX_TAGS
    }
}

//! Routing: what the table knows, lookups in the network, and what they find.

use super::Driver;
use super::dial::MAX_TRIES;
use crate::overlay::address::{MAX_ADDRESSES, dialable, worth_telling};
use crate::overlay::routing::{MAX_ROUTE, NodeKey, closest_of, node_key};
use crate::overlay::shared::lock;
use libp2p::kad::{self, QueryId};
use libp2p::{Multiaddr, PeerId};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many lookups run at once; further ones are answered from the routing table.
const MAX_LOOKUPS: usize = 64;
/// How many may wait for one lookup.
const MAX_WAITING: usize = 1024;

/// A lookup under way.
pub(super) struct Lookup {
    target: Target,
    waiting: Vec<oneshot::Sender<()>>,
    /// When it is to end with what it has.
    deadline: Instant,
}

/// What is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The nodes closest to a key.
    Key([u8; 32]),
    /// One node's addresses; a dial may wait for it.
    Node(PeerId),
}

impl Driver {
    /// Ends the lookups that took too long: Kademlia then tells what they found so far.
    pub(super) fn end_late_lookups(&mut self) {
        let now = Instant::now();
        let late = self.lookups.iter().filter(|(_, lookup)| lookup.deadline <= now);
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for id in late {
            if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id) {
                query.finish();
            }
        }
    }

    pub(super) fn closest(&mut self, key: [u8; 32]) -> Vec<NodeKey> {
        let target = kad::KBucketKey::new(key.to_vec());
        let closest = self.swarm.behaviour_mut().kad.get_closest_local_peers(&target);
        closest.filter_map(|peer| node_key(peer.preimage())).take(MAX_ROUTE).collect()
    }

    /// All of the routing table, of which Kademlia's buckets bound the size.
    pub(super) fn table(&mut self) -> Vec<NodeKey> {
        let me = kad::KBucketKey::new(self.shared.me.0.to_vec());
        let all = self.swarm.behaviour_mut().kad.get_closest_local_peers(&me);
        all.filter_map(|peer| node_key(peer.preimage())).collect()
    }

    pub(super) fn look_up(&mut self, target: Target, reply: Option<oneshot::Sender<()>>) {
        if let Some(running) = self.lookups.values_mut().find(|lookup| lookup.target == target) {
            if running.waiting.len() < MAX_WAITING {
                running.waiting.extend(reply);
            }
            return;
        }
        if self.lookups.len() >= MAX_LOOKUPS {
            tracing::debug!("too many lookups at once: answered from the routing table");
            if let Target::Node(peer) = target {
                self.dialled(&peer, Err("too many lookups at once".to_owned()));
            }
            return;
        }
        let kad = &mut self.swarm.behaviour_mut().kad;
        let id = match target {
            Target::Key(key) => kad.get_closest_peers(key.to_vec()),
            Target::Node(peer) => kad.get_closest_peers(peer),
        };
        let deadline = Instant::now() + self.tuning.lookup;
        self.lookups.insert(id, Lookup { target, waiting: reply.into_iter().collect(), deadline });
    }

    pub(super) fn on_found(&mut self, id: QueryId, peers: Vec<kad::PeerInfo>) {
        let Some(lookup) = self.lookups.remove(&id) else { return };
        let mut nodes = Vec::with_capacity(peers.len() + 1);
        for found in peers {
            let Some(node) = node_key(&found.peer_id) else { continue };
            self.book.add(node, &self.worth_keeping(&found.addrs));
            nodes.push(node);
        }
        match lookup.target {
            Target::Key(key) if !nodes.is_empty() => {
                nodes.push(self.shared.me);
                lock(&self.shared.routes).insert(key, closest_of(&key, nodes, MAX_ROUTE));
            }
            Target::Key(_) => {}
            Target::Node(peer) => self.on_searched(peer),
        }
        for reply in lookup.waiting {
            let _ = reply.send(());
        }
    }

    /// A node's addresses were searched for, perhaps because a dial had none.
    fn on_searched(&mut self, peer: PeerId) {
        let Some(node) = node_key(&peer) else { return };
        if self.swarm.is_connected(&peer) {
            return self.dialled(&peer, Ok(()));
        }
        let addresses = self.book.get(&node);
        match self.dials.get(&peer) {
            // Searched for later use only, or dialled anyway.
            None => {}
            Some(dial) if addresses.is_empty() || dial.tries >= MAX_TRIES => {
                self.dialled(&peer, Err("nobody knows where it is".to_owned()));
            }
            Some(_) => self.dial(node, addresses),
        }
    }

    pub(super) fn worth_keeping(&self, addresses: &[Multiaddr]) -> Vec<Multiaddr> {
        let dialable = addresses.iter().filter_map(dialable);
        dialable.filter(|address| worth_telling(address, self.local)).take(MAX_ADDRESSES).collect()
    }
}

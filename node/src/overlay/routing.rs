//! Names and distances: a node key is a libp2p peer id and back, the distance between keys and nodes is Kademlia's,
//! and the routes found by lookups are remembered for a while.

use libp2p::PeerId;
use libp2p::kad::KBucketKey;
use libp2p::multihash::Multihash;
use std::collections::HashMap;
use std::time::{Duration, Instant};

pub use netpay_core::keys::PublicKey as NodeKey;

/// How many routes are remembered.
pub(super) const MAX_ROUTES: usize = 4096;
/// The most nodes one route names: as many as a Kademlia lookup finds, and ourselves.
pub(super) const MAX_ROUTE: usize = 21;
/// How long a route is used without asking again.
const ROUTE_FRESH: Duration = Duration::from_secs(60);
/// How long a route is used at all; in between it is used and refreshed.
const ROUTE_KEEP: Duration = Duration::from_secs(15 * 60);

/// How libp2p encodes an Ed25519 key before the key's 32 bytes: protobuf, type 1, 32 bytes of data.
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// The multihash that is no hash: small keys are their own peer id.
const IDENTITY: u64 = 0;

/// The peer id of a node.
#[must_use]
pub fn peer_id(node: &NodeKey) -> PeerId {
    let mut encoded = [0; 36];
    encoded[..4].copy_from_slice(&ED25519_PREFIX);
    encoded[4..].copy_from_slice(&node.0);
    #[expect(clippy::expect_used, reason = "36 bytes are within every limit of an identity multihash")]
    Multihash::wrap(IDENTITY, &encoded)
        .ok()
        .and_then(|hash| PeerId::from_multihash(hash).ok())
        .expect("an identity multihash of 36 bytes")
}

/// The node key of a peer, if it has an Ed25519 key.
#[must_use]
pub fn node_key(peer: &PeerId) -> Option<NodeKey> {
    let hash: &Multihash<64> = peer.as_ref();
    let key = hash.digest().strip_prefix(&ED25519_PREFIX)?;
    (hash.code() == IDENTITY).then_some(NodeKey(key.try_into().ok()?))
}

/// How far a node is from a key: SHA-256 of the key, xor SHA-256 of the node's peer id, compared as a big number.
/// It is what Kademlia's routing uses, so the closest nodes are those that a lookup finds.
#[must_use]
pub fn distance(key: &[u8; 32], node: &NodeKey) -> [u8; 32] {
    let key = KBucketKey::new(&key[..]);
    let node = KBucketKey::from(peer_id(node));
    let mut distance = [0; 32];
    for (out, (a, b)) in distance.iter_mut().zip(key.hashed_bytes().iter().zip(node.hashed_bytes())) {
        *out = a ^ b;
    }
    distance
}

/// The `count` nodes closest to a key, nearest first, each once.
#[must_use]
pub fn closest_of(key: &[u8; 32], nodes: impl IntoIterator<Item = NodeKey>, count: usize) -> Vec<NodeKey> {
    let mut nodes: Vec<_> = nodes.into_iter().map(|node| (distance(key, &node), node)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.into_iter().take(count).map(|(_, node)| node).collect()
}

/// A node and where it lies among keys, so that it can be held against many keys without being hashed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Located {
    at: [u8; 32],
    node: NodeKey,
}

impl Located {
    /// Where a node lies.
    pub(super) fn at(node: NodeKey) -> Self {
        Self { at: hashed(&KBucketKey::from(peer_id(&node))), node }
    }
}

/// The `count` of these nodes closest to a key, as [`closest_of`] has them.
pub(super) fn closest_located<'a>(
    key: &[u8; 32],
    nodes: impl IntoIterator<Item = &'a Located>,
    count: usize,
) -> Vec<NodeKey> {
    let key = hashed(&KBucketKey::new(&key[..]));
    let away = |at: &[u8; 32]| {
        let mut distance = [0; 32];
        distance.iter_mut().zip(key.iter().zip(at)).for_each(|(out, (a, b))| *out = a ^ b);
        distance
    };
    let mut nodes: Vec<_> = nodes.into_iter().map(|located| (away(&located.at), located.node)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.into_iter().take(count).map(|(_, node)| node).collect()
}

fn hashed<T>(key: &KBucketKey<T>) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(key.hashed_bytes()).for_each(|(out, byte)| *out = *byte);
    bytes
}

/// The routes that lookups found, at most [`MAX_ROUTES`], the least recently used forgotten first.
#[derive(Default)]
pub(super) struct Routes {
    routes: HashMap<[u8; 32], Route>,
    uses: u64,
}

struct Route {
    nodes: Vec<NodeKey>,
    found: Instant,
    used: u64,
}

/// How good a remembered route is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and look again meanwhile.
    Stale,
    /// There is none.
    Unknown,
}

impl Routes {
    /// The nodes last found for a key.
    pub(super) fn nodes(&mut self, key: &[u8; 32]) -> Vec<NodeKey> {
        self.uses += 1;
        match self.routes.get_mut(key) {
            Some(route) if route.found.elapsed() < ROUTE_KEEP => {
                route.used = self.uses;
                route.nodes.clone()
            }
            _ => Vec::new(),
        }
    }

    /// How good the route for a key is.
    pub(super) fn freshness(&self, key: &[u8; 32]) -> Freshness {
        match self.routes.get(key).map(|route| route.found.elapsed()) {
            Some(age) if age < ROUTE_FRESH => Freshness::Fresh,
            Some(age) if age < ROUTE_KEEP => Freshness::Stale,
            _ => Freshness::Unknown,
        }
    }

    /// Remembers what a lookup found.
    pub(super) fn insert(&mut self, key: [u8; 32], nodes: Vec<NodeKey>) {
        if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(&key) {
            self.forget_oldest();
        }
        self.uses += 1;
        self.routes.insert(key, Route { nodes, found: Instant::now(), used: self.uses });
    }

    /// Takes a node that cannot be reached out of all routes.
    pub(super) fn remove(&mut self, node: &NodeKey) {
        for route in self.routes.values_mut() {
            route.nodes.retain(|other| other != node);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.routes.iter().min_by_key(|(_, route)| route.used).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.routes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn a_peer_id_is_a_node_key_and_back() {
        for seed in 0..20u8 {
            let pair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
            let node = node_key(&pair.public().to_peer_id()).unwrap();
            assert_eq!(pair.public().try_into_ed25519().unwrap().to_bytes(), node.0);
            assert_eq!(peer_id(&node), pair.public().to_peer_id());
        }
    }

    #[test]
    fn other_peer_ids_are_no_node_keys() {
        assert_eq!(node_key(&PeerId::random()), None);
    }

    #[test]
    fn distance_is_kademlias() {
        let key = [7; 32];
        let nodes: Vec<_> = (0..50u8).map(|i| NodeKey([i; 32])).collect();
        let mut by_kad = nodes.clone();
        let target = KBucketKey::new(key.to_vec());
        by_kad.sort_by_key(|node| target.distance(&KBucketKey::from(peer_id(node))));
        let located: Vec<_> = nodes.iter().copied().map(Located::at).collect();
        assert_eq!(closest_located(&key, &located, 50), by_kad);
        assert_eq!(closest_of(&key, nodes, 50), by_kad);
    }

    #[test]
    fn routes_are_bounded_and_keep_what_is_used() {
        let mut routes = Routes::default();
        let key = |i: usize| *blake3::hash(&i.to_le_bytes()).as_bytes();
        for i in 0..MAX_ROUTES {
            routes.insert(key(i), vec![NodeKey([1; 32])]);
        }
        assert_eq!(routes.nodes(&key(0)).len(), 1);
        routes.insert(key(MAX_ROUTES), vec![]);
        assert_eq!(routes.routes.len(), MAX_ROUTES);
        assert_eq!(routes.freshness(&key(0)), Freshness::Fresh);
        assert_eq!(routes.freshness(&key(1)), Freshness::Unknown);
        routes.remove(&NodeKey([1; 32]));
        assert!(routes.nodes(&key(0)).is_empty());
    }
}

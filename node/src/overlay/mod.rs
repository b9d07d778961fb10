//! The overlay: who is there, how to reach them, and the streams between them.
//!
//! One task owns the libp2p swarm ([`driver`](self)); everyone else holds an [`Overlay`], a cheap handle. Peers are
//! named by their node key, routing is Kademlia's (and nothing but routing: records travel over a protocol of our
//! own), and every message goes over a stream of one of the [`Protocol`]s. Nothing here knows about money.
//!
//! The rooms, from the bottom up: `routing` (names, distance, routes), `address` (which addresses are worth
//! keeping), `protocol` and `stream` (what goes over the wire), `serve` (answering), `streams` (opening and
//! accepting, as a libp2p behaviour), `transport` and `behaviour` (what the swarm is made of), `driver` (the swarm's
//! one owner), `handle` (the door).

mod address;
mod behaviour;
mod driver;
mod handle;
mod join;
mod listen;
mod protocol;
mod routing;
mod serve;
mod shared;
mod stream;
mod streams;
mod tls;
mod transport;

#[cfg(test)]
mod tests;

pub use address::{Socket, is_public, socket};
pub use handle::{ConnectError, Overlay, RequestError};
pub use libp2p::Multiaddr;
pub use protocol::{Protocol, VERSION};
pub use routing::{NodeKey, closest_of, distance, node_key, peer_id};
pub use serve::{Handler, MAX_PER_PEER, Services, handler};
pub use shared::{Event, Peer};
pub use stream::{FrameError, Stream};

use std::time::Duration;

/// How an overlay is started.
#[derive(Clone)]
pub struct Config {
    /// The seed of the node key.
    pub secret: [u8; 32],
    /// The network's name, 1 to 64 letters, digits, `-`, `_` or `.`: peers of other networks are left alone.
    pub network: String,
    /// Where to listen, for example `/ip4/0.0.0.0/tcp/4001`; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Addresses that others can reach this node at, if its operator knows them.
    pub external: Vec<Multiaddr>,
    /// Whether QUIC is offered beside TCP.
    pub quic: bool,
    /// Whether this is a network on one machine or LAN, where loopback and private addresses are worth keeping.
    pub local: bool,
    /// Whether peers on the same LAN are found by mDNS.
    pub mdns: bool,
    /// Peers to join through: from the configuration, and those learned before.
    pub known: Vec<(NodeKey, Vec<Multiaddr>)>,
    /// Peers with whom no connection is made or taken.
    pub blocked: Vec<NodeKey>,
    /// What the node calls itself to others.
    pub agent: String,
    /// Times that tests shorten.
    pub tuning: Tuning,
}

impl Config {
    /// A node that listens nowhere and knows nobody yet.
    #[must_use]
    pub fn new(secret: [u8; 32], network: impl Into<String>) -> Self {
        Self {
            secret,
            network: network.into(),
            listen: Vec::new(),
            external: Vec::new(),
            quic: false,
            local: false,
            mdns: false,
            known: Vec::new(),
            blocked: Vec::new(),
            agent: concat!("netpay/", env!("CARGO_PKG_VERSION")).to_owned(),
            tuning: Tuning::default(),
        }
    }
}

/// How long the overlay waits for things.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// After how long a connection without streams is closed.
    pub idle: Duration,
    /// How long a lookup may take before it is answered with what it found so far.
    pub lookup: Duration,
    /// How long a node without connections waits before it tries everyone it knows again …
    pub retry: Duration,
    /// … doubling up to this.
    pub retry_max: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            lookup: Duration::from_millis(2500),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
        }
    }
}

/// Why an overlay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another program (or another node) already listens there.
    #[error("{address} is already in use")]
    PortInUse {
        /// The address asked for.
        address: Multiaddr,
    },
    /// The system or the transports refuse to listen there.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// The network's name cannot be part of a protocol name.
    #[error("{0:?} is no name for a network: 1 to 64 letters, digits, '-', '_' or '.'")]
    Network(String),
    /// The transports could not be built.
    #[error("cannot set up the transports: {0}")]
    Transport(String),
}

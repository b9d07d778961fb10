//! What the driver writes and every handle reads: who is connected, our addresses, the routes, the events.

use super::routing::{NodeKey, Routes};
use libp2p::Multiaddr;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast;

/// How many events wait for a slow listener; it loses the oldest beyond.
const EVENTS: usize = 1024;

/// Something that happened in the overlay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A node is connected.
    Connected(NodeKey),
    /// A node has no connection any more.
    Disconnected(NodeKey),
    /// A node told its addresses, for the first time since the start or other than before: worth keeping for
    /// the next start.
    Learned {
        /// Who.
        node: NodeKey,
        /// Where it can be reached.
        addresses: Vec<Multiaddr>,
    },
}

/// A node that is connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its key.
    pub node: NodeKey,
    /// Where it can be reached, as far as it told.
    pub addresses: Vec<Multiaddr>,
    /// What it calls itself; empty until it told.
    pub agent: String,
    /// Since when it is connected.
    pub since: SystemTime,
    /// How long the last ping took to come back, once one did.
    pub round_trip: Option<Duration>,
}

/// The state that handles read.
pub(super) struct Shared {
    /// This node.
    pub(super) me: NodeKey,
    /// The nodes that are connected.
    pub(super) connected: Mutex<HashMap<NodeKey, Peer>>,
    /// Where we listen, and what we are known as outside.
    pub(super) addresses: Mutex<Vec<Multiaddr>>,
    /// The routes that lookups found.
    pub(super) routes: Mutex<Routes>,
    /// What libp2p counts.
    pub(super) registry: Mutex<libp2p::metrics::Registry>,
    /// Where events go.
    pub(super) events: broadcast::Sender<Event>,
}

impl Shared {
    pub(super) fn new(me: NodeKey) -> Self {
        Self {
            me,
            connected: Mutex::default(),
            addresses: Mutex::default(),
            routes: Mutex::default(),
            registry: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
        }
    }

    /// Tells those who listen, if anyone does.
    pub(super) fn tell(&self, event: Event) {
        tracing::debug!(?event);
        let _ = self.events.send(event);
    }
}

/// Locks; a panic elsewhere while it was locked changes nothing, as every change under these locks is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

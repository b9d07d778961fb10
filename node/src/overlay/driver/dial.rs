//! Connecting: one dial at a time per node, at all its addresses; everyone who wants that node waits for it.

use super::{Driver, Target};
use crate::overlay::address::{MAX_ADDRESSES, dialable};
use crate::overlay::routing::{NodeKey, node_key, peer_id};
use crate::overlay::shared::lock;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

/// How many may wait for one node to be connected.
const MAX_WAITING: usize = 1024;
/// How often one node is dialled for one request: each time at addresses that were not yet tried.
pub(super) const MAX_TRIES: usize = 4;

/// Tells whether a node is connected now, or why not.
pub(in crate::overlay) type Connected = oneshot::Sender<Result<(), String>>;

/// A node being connected to.
#[derive(Default)]
pub(super) struct Dial {
    waiting: Vec<Connected>,
    /// Addresses to try should the dial under way fail: they came too late for it.
    more: Vec<Multiaddr>,
    pub(super) tries: usize,
}

impl Driver {
    pub(super) fn connect(&mut self, node: NodeKey, addresses: &[Multiaddr], reply: Option<Connected>) {
        let peer = peer_id(&node);
        let new = self.book.add(node, addresses);
        if self.swarm.is_connected(&peer) {
            if let Some(reply) = reply {
                let _ = reply.send(Ok(()));
            }
            return;
        }
        let under_way = self.dials.contains_key(&peer);
        let dial = self.dials.entry(peer).or_default();
        if dial.waiting.len() < MAX_WAITING {
            dial.waiting.extend(reply);
        }
        if !under_way {
            self.dial(node, self.book.get(&node));
        } else if new {
            dial.more = addresses.iter().take(MAX_ADDRESSES).cloned().collect();
        }
    }

    pub(super) fn dial(&mut self, node: NodeKey, addresses: Vec<Multiaddr>) {
        let peer = peer_id(&node);
        let dial = self.dials.entry(peer).or_default();
        dial.tries += 1;
        let somebody_waits = !dial.waiting.is_empty();
        let options =
            DialOpts::peer_id(peer).addresses(addresses.clone()).extend_addresses_through_behaviour();
        match self.swarm.dial(options.build()) {
            Ok(()) => {}
            // A lookup dials it already, at the addresses it knows. Its end is ours.
            Err(DialError::DialPeerConditionFalse(_)) => dial.more = addresses,
            Err(DialError::NoAddresses) if somebody_waits => self.look_up(Target::Node(peer), None),
            Err(error) => self.dialled(&peer, Err(error.to_string())),
        }
    }

    pub(super) fn dialled(&mut self, peer: &PeerId, outcome: Result<(), String>) {
        for reply in self.dials.remove(peer).into_iter().flat_map(|dial| dial.waiting) {
            let _ = reply.send(outcome.clone());
        }
    }

    pub(super) fn on_dial_failed(&mut self, peer: PeerId, error: &DialError) {
        tracing::debug!(%peer, %error, "not connected");
        let Some(node) = node_key(&peer) else { return };
        if self.swarm.is_connected(&peer) {
            return self.dialled(&peer, Ok(()));
        }
        match error {
            DialError::Transport(errors) => {
                errors.iter().for_each(|(address, _)| self.book.failed(&node, address));
                self.lost(node, peer);
            }
            DialError::WrongPeerId { address, .. } => self.on_stranger(node, peer, address),
            _ => {}
        }
        match self.dials.get_mut(&peer) {
            Some(dial) if !dial.more.is_empty() && dial.tries < MAX_TRIES => {
                let more = std::mem::take(&mut dial.more);
                self.dial(node, more);
            }
            _ => self.dialled(&peer, Err(error.to_string())),
        }
    }

    /// Somebody else answers where a node was: that address is no longer its own, the others may still be.
    fn on_stranger(&mut self, node: NodeKey, peer: PeerId, address: &Multiaddr) {
        self.book.forget(&node, address);
        let kad = &mut self.swarm.behaviour_mut().kad;
        kad.remove_address(&peer, address);
        if let Some(bare) = dialable(address) {
            kad.remove_address(&peer, &bare);
        }
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.more.extend(self.book.get(&node));
        }
    }

    /// A node is where it was no longer: routes leave it out, and its new address is searched for meanwhile.
    fn lost(&mut self, node: NodeKey, peer: PeerId) {
        self.swarm.behaviour_mut().kad.remove_peer(&peer);
        lock(&self.shared.routes).remove(&node);
        let someone = self.swarm.connected_peers().next().is_some();
        if someone && self.dials.contains_key(&peer) && self.book.search(node) {
            self.look_up(Target::Node(peer), None);
        }
    }
}

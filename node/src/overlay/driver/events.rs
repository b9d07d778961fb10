//! What the network tells: connections, who is who, who is near, who is silent.

use super::Driver;
use crate::overlay::behaviour::BehaviourEvent;
use crate::overlay::routing::node_key;
use crate::overlay::shared::{Event, Peer, lock};
use libp2p::kad;
use libp2p::metrics::Recorder as _;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping};
use std::time::SystemTime;

/// While this many are connected, those that mDNS finds are noted and not dialled.
const ENOUGH_NEIGHBOURS: usize = 64;

impl Driver {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                let reached = endpoint.is_dialer().then(|| endpoint.get_remote_address().clone());
                self.on_connected(peer_id, reached);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.on_disconnected(peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.on_dial_failed(peer, &error);
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%error, from = %send_back_addr, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr { .. }
            | SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ListenerClosed { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. } => self.note_addresses(),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match &event {
            BehaviourEvent::Identify(event) => self.metrics.record(event),
            BehaviourEvent::Kad(event) => self.metrics.record(event),
            BehaviourEvent::Ping(event) => self.metrics.record(event),
            _ => {}
        }
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. })
                if step.last =>
            {
                match result {
                    kad::QueryResult::GetClosestPeers(Ok(found)) => self.on_found(id, found.peers),
                    kad::QueryResult::GetClosestPeers(Err(kad::GetClosestPeersError::Timeout {
                        peers,
                        ..
                    })) => self.on_found(id, peers),
                    _ => {}
                }
            }
            BehaviourEvent::Ping(ping::Event { peer, connection, result: Err(error) }) => {
                self.on_silent(peer, connection, &error);
            }
            BehaviourEvent::Ping(ping::Event { peer, result: Ok(took), .. }) => {
                let Some(node) = node_key(&peer) else { return };
                if let Some(known) = lock(&self.shared.connected).get_mut(&node) {
                    known.round_trip = Some(took);
                }
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(neighbours)) => {
                for (peer, address) in neighbours {
                    let Some(node) = node_key(&peer) else { continue };
                    if lock(&self.shared.connected).len() < ENOUGH_NEIGHBOURS {
                        self.connect(node, &[address], None);
                    } else {
                        self.book.add(node, &[address]);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, reached: Option<Multiaddr>) {
        let Some(node) = node_key(&peer) else { return };
        if let Some(address) = reached {
            self.book.add(node, &[address]);
        }
        self.join.connected();
        let new = Peer {
            node,
            addresses: self.book.get(&node),
            agent: String::new(),
            since: SystemTime::now(),
            round_trip: None,
        };
        let mut connected = lock(&self.shared.connected);
        let first = !connected.contains_key(&node);
        connected.entry(node).or_insert(new);
        drop(connected);
        if first {
            self.shared.tell(Event::Connected(node));
        }
        self.dialled(&peer, Ok(()));
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        let Some(node) = node_key(&peer) else { return };
        let mut connected = lock(&self.shared.connected);
        let was = connected.remove(&node).is_some();
        let alone = connected.is_empty();
        drop(connected);
        if was {
            self.shared.tell(Event::Disconnected(node));
        }
        if alone {
            self.join.alone();
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let Some(node) = node_key(&peer) else { return };
        if info.protocol_version != self.names.network {
            tracing::debug!(%node, network = info.protocol_version, "a node of another network");
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        }
        let told = self.worth_keeping(&info.listen_addrs);
        let news = self.book.tell(node, &told);
        if info.protocols.contains(&self.names.kad) {
            for address in &told {
                self.swarm.behaviour_mut().kad.add_address(&peer, address.clone());
            }
        }
        let addresses = self.book.get(&node);
        if let Some(known) = lock(&self.shared.connected).get_mut(&node) {
            known.agent = info.agent_version;
            known.addresses.clone_from(&addresses);
        }
        if news {
            self.shared.tell(Event::Learned { node, addresses });
        }
    }

    /// A connection that answers no ping is none.
    fn on_silent(&mut self, peer: PeerId, connection: ConnectionId, error: &ping::Failure) {
        if !matches!(error, ping::Failure::Unsupported) {
            tracing::debug!(%peer, %error, "no answer to a ping: disconnecting");
            self.swarm.close_connection(connection);
        }
    }

    pub(super) fn note_addresses(&self) {
        let all = self.swarm.listeners().chain(self.swarm.external_addresses());
        let mut addresses: Vec<_> = all.cloned().collect();
        addresses.sort();
        addresses.dedup();
        *lock(&self.shared.addresses) = addresses;
    }
}

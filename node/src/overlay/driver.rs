//! The driver: the one task that owns the swarm. It takes commands from handles and events from the network, never
//! waits for anything else, and writes what handles read.

use super::address::{Book, MAX_ADDRESSES, dialable, worth_telling};
use super::behaviour::{self, Behaviour, BehaviourEvent, Names};
use super::join::Join;
use super::listen::{listen, refused};
use super::routing::{MAX_ROUTE, NodeKey, closest_of, node_key, peer_id};
use super::serve::Server;
use super::shared::{Event, Peer, Shared, lock};
use super::streams::Links;
use super::{Config, StartError, Tuning};
use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::kad::{self, QueryId};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, mdns, ping};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often time-outs and waits are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long the system may take to say where we listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many lookups run at once; further ones are answered from the routing table.
const MAX_LOOKUPS: usize = 64;
/// How often one node is dialled for one request: each time at addresses that were not yet tried.
const MAX_TRIES: usize = 4;
/// How many may wait for one peer to be connected, or for one lookup.
const MAX_WAITING: usize = 1024;
/// How many peers found by mDNS are dialled while this many are connected.
const ENOUGH_NEIGHBOURS: usize = 64;
/// How many open files a node asks the system for: connections are files.
const OPEN_FILES: u64 = 65_536;

/// What handles ask for.
pub(super) enum Command {
    /// Connect to a node; the reply says why not.
    Connect { node: NodeKey, addresses: Vec<Multiaddr>, reply: oneshot::Sender<Result<(), String>> },
    /// The closest nodes in the routing table.
    Closest { key: [u8; 32], reply: oneshot::Sender<Vec<NodeKey>> },
    /// Look a key up in the network; the reply says that the route is there.
    Lookup { key: [u8; 32], reply: Option<oneshot::Sender<()>> },
    /// Stop; the reply says that the ports are free.
    Shutdown { reply: oneshot::Sender<()> },
}

/// The swarm's owner.
pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    book: Book,
    join: Join,
    dials: HashMap<PeerId, Dial>,
    lookups: HashMap<QueryId, Lookup>,
    names: Names,
    tuning: Tuning,
    local: bool,
}

/// A node being connected to, by one dial at a time.
#[derive(Default)]
struct Dial {
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
    /// Addresses to try should the dial under way fail: they came too late for it.
    more: Vec<Multiaddr>,
    tries: usize,
}

struct Lookup {
    target: Target,
    waiting: Vec<oneshot::Sender<()>>,
    deadline: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The nodes closest to a key.
    Key([u8; 32]),
    /// One node's addresses; a dial may wait for it.
    Node(PeerId),
}

impl Driver {
    /// Builds the swarm and listens.
    pub(super) async fn start(
        config: &Config,
        links: Links,
        server: Arc<Server>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, StartError> {
        match rlimit::increase_nofile_limit(OPEN_FILES) {
            Ok(limit) => tracing::debug!(limit, "open files"),
            Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
        }
        let keys = Keypair::ed25519_from_bytes(config.secret)
            .map_err(|error| StartError::Transport(error.to_string()))?;
        let me = keys.public().to_peer_id();
        let me = node_key(&me).ok_or_else(|| StartError::Transport("no Ed25519 key".to_owned()))?;
        let names = Names::new(&config.network)?;
        let swarm = behaviour::swarm(config, &keys, &names, links, server)?;
        let mut book = Book::default();
        for (node, addresses) in config.known.iter().rev().filter(|(node, _)| *node != me) {
            book.configure(*node, addresses);
        }
        let mut driver = Self {
            join: Join::new(book.nodes(), &config.tuning),
            swarm,
            commands,
            shared: Arc::new(Shared::new(me)),
            book,
            dials: HashMap::new(),
            lookups: HashMap::new(),
            names,
            tuning: config.tuning,
            local: config.local,
        };
        for address in &config.external {
            driver.swarm.add_external_address(address.clone());
        }
        driver.listen(&config.listen).await?;
        Ok(driver)
    }

    /// What handles read.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Works until it is told to stop, or no handle is left.
    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown { reply }) => break Some(reply),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                _ = tick.tick() => self.on_tick(),
            }
        };
        let nodes: Vec<_> = lock(&self.shared.connected).drain().map(|(node, _)| node).collect();
        drop(self.swarm);
        nodes.into_iter().for_each(|node| self.shared.tell(Event::Disconnected(node)));
        if let Some(reply) = stopped {
            let _ = reply.send(());
        }
    }

    async fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), StartError> {
        let mut waiting: HashMap<ListenerId, Multiaddr> = HashMap::new();
        for address in addresses {
            waiting.insert(listen(&mut self.swarm, address)?, address.clone());
        }
        let listening = async {
            while !waiting.is_empty() {
                let event = self.swarm.select_next_some().await;
                match &event {
                    SwarmEvent::NewListenAddr { listener_id, .. } => {
                        waiting.remove(listener_id);
                    }
                    SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. }
                    | SwarmEvent::ListenerError { listener_id, error } => {
                        if let Some(address) = waiting.get(listener_id) {
                            return Err(refused(address, error));
                        }
                    }
                    _ => {}
                }
                self.on_event(event);
            }
            Ok(())
        };
        timeout(LISTEN_TIMEOUT, listening).await.unwrap_or(Ok(()))
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let late = self.lookups.iter().filter(|(_, lookup)| lookup.deadline <= now);
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for id in late {
            if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id) {
                query.finish();
            }
        }
        let connections = lock(&self.shared.connected).len();
        if self.join.is_due(connections, self.dials.len()) {
            self.join.restart(self.book.nodes());
        }
        for node in self.join.next(connections, self.dials.len()) {
            self.connect(node, &[], None);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect { node, addresses, reply } => self.connect(node, &addresses, Some(reply)),
            Command::Closest { key, reply } => {
                let _ = reply.send(self.closest(key));
            }
            Command::Lookup { key, reply } => self.look_up(Target::Key(key), reply),
            // Handled by `run`.
            Command::Shutdown { .. } => {}
        }
    }

    // Connecting.

    fn connect(
        &mut self,
        node: NodeKey,
        addresses: &[Multiaddr],
        reply: Option<oneshot::Sender<Result<(), String>>>,
    ) {
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

    fn dial(&mut self, node: NodeKey, addresses: Vec<Multiaddr>) {
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

    fn dialled(&mut self, peer: &PeerId, outcome: Result<(), String>) {
        for reply in self.dials.remove(peer).into_iter().flat_map(|dial| dial.waiting) {
            let _ = reply.send(outcome.clone());
        }
    }

    fn on_dial_failed(&mut self, peer: PeerId, error: &DialError) {
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

    // Routing.

    fn closest(&mut self, key: [u8; 32]) -> Vec<NodeKey> {
        let target = kad::KBucketKey::new(key.to_vec());
        let closest = self.swarm.behaviour_mut().kad.get_closest_local_peers(&target);
        closest.filter_map(|peer| node_key(peer.preimage())).take(MAX_ROUTE).collect()
    }

    fn look_up(&mut self, target: Target, reply: Option<oneshot::Sender<()>>) {
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

    fn on_found(&mut self, id: QueryId, peers: Vec<kad::PeerInfo>) {
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

    fn worth_keeping(&self, addresses: &[Multiaddr]) -> Vec<Multiaddr> {
        let dialable = addresses.iter().filter_map(dialable);
        dialable.filter(|address| worth_telling(address, self.local)).take(MAX_ADDRESSES).collect()
    }

    // Events.

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
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
        let new =
            Peer { node, addresses: self.book.get(&node), agent: String::new(), since: SystemTime::now() };
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

    fn note_addresses(&self) {
        let all = self.swarm.listeners().chain(self.swarm.external_addresses());
        let mut addresses: Vec<_> = all.cloned().collect();
        addresses.sort();
        addresses.dedup();
        *lock(&self.shared.addresses) = addresses;
    }
}

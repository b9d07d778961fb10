//! The driver: the one task that owns the swarm. It takes commands from handles and events from the network, never
//! waits for anything else, and writes what handles read.

mod dial;
mod events;
mod lookup;

use super::address::Book;
use super::behaviour::{self, Behaviour, Names};
use super::join::Join;
use super::listen::{listen, refused};
use super::routing::{NodeKey, node_key, peer_id};
use super::serve::Server;
use super::shared::{Event, Shared, lock};
use super::streams::Links;
use super::{Config, StartError, Tuning};
use dial::{Connected, Dial};
use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::kad::QueryId;
use libp2p::metrics::Metrics;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use lookup::{Lookup, Target};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often time-outs and waits are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long the system may take to say where we listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many open files a node asks the system for: connections are files.
const OPEN_FILES: u64 = 65_536;

/// What handles ask for.
pub(super) enum Command {
    /// Connect to a node; the reply says why not.
    Connect { node: NodeKey, addresses: Vec<Multiaddr>, reply: Connected },
    /// The closest nodes in the routing table.
    Closest { key: [u8; 32], reply: oneshot::Sender<Vec<NodeKey>> },
    /// All nodes in the routing table.
    Table { reply: oneshot::Sender<Vec<NodeKey>> },
    /// Look a key up in the network; the reply says that the route is there.
    Lookup { key: [u8; 32], reply: Option<oneshot::Sender<()>> },
    /// Have nothing to do with a node any more, or again; the reply says that it is so from now on.
    Block { node: NodeKey, blocked: bool, reply: oneshot::Sender<()> },
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
    metrics: Metrics,
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
        let shared = Shared::new(me);
        let metrics = Metrics::new(&mut lock(&shared.registry));
        let mut driver = Self {
            metrics,
            join: Join::new(book.nodes(), &config.tuning),
            swarm,
            commands,
            shared: Arc::new(shared),
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
        driver.note_addresses();
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
        self.end_late_lookups();
        let connections = lock(&self.shared.connected).len();
        if self.join.is_due(connections, self.dials.len()) {
            self.join.restart(self.book.nodes());
        }
        for node in self.join.next(connections, self.dials.len()) {
            self.connect(node, &[], None);
        }
    }

    /// Connections with a blocked node are closed, and none is made or taken.
    fn block(&mut self, node: NodeKey, blocked: bool) {
        let peer = peer_id(&node);
        let behaviour = self.swarm.behaviour_mut();
        if blocked {
            behaviour.blocked.block_peer(peer);
            behaviour.kad.remove_peer(&peer);
        } else {
            behaviour.blocked.unblock_peer(peer);
            // As if it were met for the first time.
            self.connect(node, &[], None);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect { node, addresses, reply } => self.connect(node, &addresses, Some(reply)),
            Command::Closest { key, reply } => {
                let _ = reply.send(self.closest(key));
            }
            Command::Table { reply } => {
                let _ = reply.send(self.table());
            }
            Command::Lookup { key, reply } => self.look_up(Target::Key(key), reply),
            Command::Block { node, blocked, reply } => {
                self.block(node, blocked);
                let _ = reply.send(());
            }
            // Handled by `run`.
            Command::Shutdown { .. } => {}
        }
    }
}

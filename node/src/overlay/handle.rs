//! The handle: what everyone but the driver holds of the overlay.

use super::behaviour::BUCKET;
use super::driver::{Command, Driver};
use super::protocol::Protocol;
use super::routing::{Freshness, Located, MAX_ROUTE, NodeKey, closest_located, closest_of, peer_id};
use super::serve::{Handler, LocalError, MAX_PER_PEER, Server, Services};
use super::shared::{Event, Peer, Shared, lock};
use super::stream::{FrameError, Stream};
use super::streams::{Links, Open, OpenError};
use super::{Config, StartError};
use libp2p::Multiaddr;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::time::timeout;

/// How many commands wait for the driver before those who give them wait too.
const COMMANDS: usize = 1024;
/// How many peers' counts of outstanding requests are kept before the idle ones are dropped.
const MAX_IDLE_COUNTS: usize = 1024;
/// How often a stream is asked for again when its connection closed meanwhile.
const OPEN_TRIES: usize = 2;
/// How much longer than its own time-out a lookup is waited for.
const LOOKUP_GRACE: Duration = Duration::from_millis(500);

/// The overlay: cheap to clone, usable from everywhere. The swarm stops on [`shutdown`](Overlay::shutdown), or when
/// the last handle is dropped.
#[derive(Clone)]
pub struct Overlay {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    server: Arc<Server>,
    links: Links,
    commands: mpsc::Sender<Command>,
    /// For each peer, how many more requests may be outstanding there.
    outgoing: Mutex<HashMap<NodeKey, Arc<Semaphore>>>,
    lookup: Duration,
}

/// Why a request got no reply.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The peer is at none of the addresses known, or at none at all.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The peer does not speak the protocol.
    #[error("the peer does not speak this protocol")]
    Unsupported,
    /// The request or the reply is larger than the protocol allows.
    #[error("the message is larger than the protocol allows")]
    TooLarge,
    /// The peer dropped the stream, or this node is stopping.
    #[error("the peer closed the stream")]
    Closed,
}

/// Why a peer was not reached.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The peer is at none of the addresses known, or at none at all.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// This node is stopping.
    #[error("this node is stopping")]
    Stopped,
}

impl Overlay {
    /// Starts a node's overlay: when this returns it listens, and joining the network is under way.
    ///
    /// # Errors
    /// If it cannot listen where it is told to, or the configuration makes no sense.
    pub async fn start(config: Config, services: Services) -> Result<Self, StartError> {
        let server = Server::new(services);
        let links = Links::default();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let driver = Driver::start(&config, links.clone(), server.clone(), receiver).await?;
        let inner = Inner {
            shared: driver.shared(),
            server,
            links,
            commands,
            outgoing: Mutex::default(),
            lookup: config.tuning.lookup,
        };
        tokio::spawn(driver.run());
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeKey {
        self.inner.shared.me
    }

    /// Where this node listens, and where its operator says it can be reached.
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        lock(&self.inner.shared.addresses).clone()
    }

    /// What happens from now on. A listener that is slow loses the oldest events.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.shared.events.subscribe()
    }

    /// The nodes that are connected.
    #[must_use]
    pub fn connected(&self) -> Vec<Peer> {
        lock(&self.inner.shared.connected).values().cloned().collect()
    }

    /// Whether a node is connected.
    #[must_use]
    pub fn is_connected(&self, node: &NodeKey) -> bool {
        lock(&self.inner.shared.connected).contains_key(node)
    }

    /// Answers a protocol's requests from now on, in place of whoever did.
    pub fn serve(&self, protocol: Protocol, handler: Handler) {
        self.inner.server.serve(Services::new().on(protocol, handler));
    }

    /// Hands out a protocol's streams from now on, in place of whoever got them.
    pub fn serve_streams(&self, protocol: Protocol, streams: mpsc::Sender<(NodeKey, Stream)>) {
        self.inner.server.serve(Services::new().streams(protocol, streams));
    }

    /// Asks a peer and returns its reply. Everything counts towards the time-out: finding the peer, dialling it,
    /// waiting for a place among the requests outstanding there, and its answer. A request to this node itself is
    /// answered here.
    ///
    /// # Errors
    /// If there is no reply; see [`RequestError`]. The peer may have handled the request all the same, unless the
    /// error is `Unreachable` or `Unsupported`.
    pub async fn request(
        &self,
        to: NodeKey,
        protocol: Protocol,
        frame: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, RequestError> {
        if frame.len() > protocol.max_request() {
            return Err(RequestError::TooLarge);
        }
        let reply = timeout(within, self.exchange(to, protocol, frame)).await;
        reply.unwrap_or(Err(RequestError::TimedOut))
    }

    /// Opens a long stream to a peer. Whether the peer speaks the protocol shows in the first read.
    ///
    /// # Errors
    /// If the peer cannot be reached in time.
    pub async fn open(
        &self,
        to: NodeKey,
        protocol: Protocol,
        within: Duration,
    ) -> Result<Stream, RequestError> {
        if to == self.me() {
            return Ok(self.inner.server.open(to, protocol)?);
        }
        let stream = timeout(within, self.open_remote(to, protocol)).await;
        stream.unwrap_or(Err(RequestError::TimedOut))
    }

    /// What libp2p counted, in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Text is always taken by a text.
        let _ = prometheus_client::encoding::text::encode(&mut text, &lock(&self.inner.shared.registry));
        text
    }

    /// Has nothing to do with a node from now on: its connections are closed, and none is made or taken.
    pub async fn block(&self, node: NodeKey) {
        self.set_blocked(node, true).await;
    }

    /// Takes a block back, and connects to the node if it is known where it is.
    pub async fn unblock(&self, node: NodeKey) {
        self.set_blocked(node, false).await;
    }

    async fn set_blocked(&self, node: NodeKey, blocked: bool) {
        let (reply, done) = oneshot::channel();
        if self.inner.commands.send(Command::Block { node, blocked, reply }).await.is_ok() {
            // A driver that is gone has no connections.
            let _ = done.await;
        }
    }

    /// Dials a peer, at these addresses and those known; does nothing if it is connected.
    ///
    /// # Errors
    /// If nobody with that key answers at any of them.
    pub async fn connect(&self, to: NodeKey, addresses: Vec<Multiaddr>) -> Result<(), ConnectError> {
        if to == self.me() {
            return Ok(());
        }
        let (reply, connected) = oneshot::channel();
        let command = Command::Connect { node: to, addresses, reply };
        self.inner.commands.send(command).await.map_err(|_| ConnectError::Stopped)?;
        connected.await.map_err(|_| ConnectError::Stopped)?.map_err(ConnectError::Unreachable)
    }

    /// The nodes closest to a key as far as this node knows, itself among them, nearest first: at once, from the
    /// routing table and the last lookup of this key.
    pub async fn closest(&self, key: [u8; 32], count: usize) -> Vec<NodeKey> {
        let (reply, nodes) = oneshot::channel();
        let table = match self.inner.commands.send(Command::Closest { key, reply }).await {
            Ok(()) => nodes.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let route = lock(&self.inner.shared.routes).nodes(&key);
        closest_of(&key, table.into_iter().chain(route).chain([self.me()]), count.min(MAX_ROUTE))
    }

    /// For each of these keys what [`Overlay::closest`] says, at the cost of asking the routing table once.
    pub async fn closest_to_each(&self, keys: &[[u8; 32]], count: usize) -> Vec<Vec<NodeKey>> {
        let known = self.table().await.unwrap_or_default();
        let table: Vec<_> = known.into_iter().chain([self.me()]).map(Located::at).collect();
        let close = |key: &[u8; 32]| {
            let route = lock(&self.inner.shared.routes).nodes(key);
            let route: Vec<_> = route.into_iter().map(Located::at).collect();
            closest_located(key, table.iter().chain(&route), count.min(MAX_ROUTE))
        };
        keys.iter().map(close).collect()
    }

    /// Whether this node knows so few others that they are, as far as it was told, all there are: each of its buckets
    /// has room for all of them, so nobody was left out of the table.
    pub async fn knows_all(&self) -> bool {
        self.table().await.is_none_or(|table| table.len() < BUCKET.get())
    }

    /// All nodes in the routing table, or nothing once the node has stopped.
    async fn table(&self) -> Option<Vec<NodeKey>> {
        let (reply, table) = oneshot::channel();
        self.inner.commands.send(Command::Table { reply }).await.ok()?;
        table.await.ok()
    }

    /// How many requests and streams of others this node has taken, by protocol, since it started.
    #[must_use]
    pub fn served(&self) -> Vec<(Protocol, u64)> {
        self.inner.server.served()
    }

    /// The nodes closest to a key as far as the network knows. What a lookup found is used for a while, and
    /// refreshed in the background when it gets old; a lookup that takes too long is answered with what it has.
    pub async fn lookup(&self, key: [u8; 32], count: usize) -> Vec<NodeKey> {
        let freshness = lock(&self.inner.shared.routes).freshness(&key);
        match freshness {
            Freshness::Fresh => {}
            Freshness::Stale => {
                let _ = self.inner.commands.try_send(Command::Lookup { key, reply: None });
            }
            Freshness::Unknown => {
                let (reply, done) = oneshot::channel();
                let command = Command::Lookup { key, reply: Some(reply) };
                if self.inner.commands.send(command).await.is_ok() {
                    let _ = timeout(self.inner.lookup + LOOKUP_GRACE, done).await;
                }
            }
        }
        self.closest(key, count).await
    }

    /// Stops: serves nothing any more, closes all connections and frees the ports.
    pub async fn shutdown(self) {
        self.inner.server.stop();
        let (reply, done) = oneshot::channel();
        if self.inner.commands.send(Command::Shutdown { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn exchange(
        &self,
        to: NodeKey,
        protocol: Protocol,
        frame: Vec<u8>,
    ) -> Result<Vec<u8>, RequestError> {
        let outstanding = self.outstanding(to);
        let _place = outstanding.acquire().await.map_err(|_| RequestError::Closed)?;
        let reply = if to == self.me() {
            self.inner.server.call(to, protocol, frame).await?
        } else {
            let mut stream = self.open_remote(to, protocol).await?;
            // A peer that takes no request still says why on its side of the stream: reading tells, not writing.
            let _ = stream.write_frame(&frame, protocol.max_request()).await;
            stream.read_frame(protocol.max_reply()).await?
        };
        if reply.len() > protocol.max_reply() { Err(RequestError::TooLarge) } else { Ok(reply) }
    }

    async fn open_remote(&self, to: NodeKey, protocol: Protocol) -> Result<Stream, RequestError> {
        let peer = peer_id(&to);
        for _ in 0..OPEN_TRIES {
            if self.inner.links.pick(&peer).is_none() {
                self.connect(to, Vec::new()).await?;
            }
            let Some(opens) = self.inner.links.pick(&peer) else { continue };
            let (reply, opened) = oneshot::channel();
            if opens.send(Open { protocol, reply }).await.is_err() {
                continue;
            }
            match opened.await.unwrap_or(Err(OpenError::Closed)) {
                Ok(stream) => return Ok(Stream::remote(stream, None)),
                Err(OpenError::Unsupported) => return Err(RequestError::Unsupported),
                Err(OpenError::TimedOut) => return Err(RequestError::TimedOut),
                Err(OpenError::Closed) => {}
            }
        }
        Err(RequestError::Closed)
    }

    fn outstanding(&self, to: NodeKey) -> Arc<Semaphore> {
        let mut outgoing = lock(&self.inner.outgoing);
        if outgoing.len() >= MAX_IDLE_COUNTS && !outgoing.contains_key(&to) {
            outgoing.retain(|_, count| Arc::strong_count(count) > 1);
        }
        outgoing.entry(to).or_insert_with(|| Arc::new(Semaphore::new(MAX_PER_PEER))).clone()
    }
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overlay of {:?}", self.me())
    }
}

impl From<FrameError> for RequestError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge(_) => Self::TooLarge,
            FrameError::Unsupported => Self::Unsupported,
            FrameError::Closed(_) => Self::Closed,
        }
    }
}

impl From<ConnectError> for RequestError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable(why) => Self::Unreachable(why),
            ConnectError::Stopped => Self::Closed,
        }
    }
}

impl From<LocalError> for RequestError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Unsupported => Self::Unsupported,
            LocalError::Dropped => Self::Closed,
        }
    }
}

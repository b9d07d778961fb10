//! Answering: who handles which protocol, and how much of it at once.
//!
//! A stream that arrives takes a slot or is reset; a request has its time to arrive, to be handled and to be
//! answered. A peer that hangs holds its own slots and nobody else's.

use super::protocol::Protocol;
use super::routing::NodeKey;
use super::shared::lock;
use super::stream::Stream;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// The most requests, and the most long streams, that one peer may have outstanding here, and we there.
pub const MAX_PER_PEER: usize = 64;
/// The most requests being handled at once, of all peers.
const MAX_REQUESTS: usize = 4096;
/// The most long streams open at once, of all peers.
const MAX_STREAMS: usize = 1024;
/// How long a request may take to arrive once its stream is open.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a handler may take.
const HANDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a reply may take to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers the requests of one protocol: who asks, and what; `None` drops the stream.
pub type Handler = Arc<dyn Fn(NodeKey, Vec<u8>) -> BoxFuture<'static, Option<Vec<u8>>> + Send + Sync>;

/// A [`Handler`] from an async function.
pub fn handler<F, R>(answer: F) -> Handler
where
    F: Fn(NodeKey, Vec<u8>) -> R + Send + Sync + 'static,
    R: Future<Output = Option<Vec<u8>>> + Send + 'static,
{
    Arc::new(move |node, frame| Box::pin(answer(node, frame)))
}

/// What a node serves from its start.
#[derive(Default, Clone)]
pub struct Services {
    services: HashMap<Protocol, Service>,
}

impl Services {
    /// Serves nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the requests of a protocol.
    #[must_use]
    pub fn on(mut self, protocol: Protocol, handler: Handler) -> Self {
        self.services.insert(protocol, Service::Requests(handler));
        self
    }

    /// Hands out the long streams of a protocol; when the channel is full, a new stream is reset.
    #[must_use]
    pub fn streams(mut self, protocol: Protocol, streams: mpsc::Sender<(NodeKey, Stream)>) -> Self {
        self.services.insert(protocol, Service::Streams(streams));
        self
    }
}

#[derive(Clone)]
enum Service {
    Requests(Handler),
    Streams(mpsc::Sender<(NodeKey, Stream)>),
}

/// Why a request to oneself got no answer.
pub(super) enum LocalError {
    Unsupported,
    Dropped,
}

/// All that a node serves, and who is being served.
pub(super) struct Server {
    services: Mutex<HashMap<Protocol, Service>>,
    taken: Arc<Mutex<HashMap<(NodeKey, Kind), usize>>>,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    served: Mutex<HashMap<Protocol, u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Request,
    Stream,
}

impl Server {
    pub(super) fn new(services: Services) -> Arc<Self> {
        Arc::new(Self {
            services: Mutex::new(services.services),
            taken: Arc::default(),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            served: Mutex::default(),
        })
    }

    /// Adds or replaces what is served.
    pub(super) fn serve(&self, services: Services) {
        lock(&self.services).extend(services.services);
    }

    /// Serves nothing any more.
    pub(super) fn stop(&self) {
        lock(&self.services).clear();
    }

    /// How many streams of others were taken, by protocol.
    pub(super) fn served(&self) -> Vec<(Protocol, u64)> {
        let served = lock(&self.served);
        Protocol::ALL.into_iter().map(|one| (one, served.get(&one).copied().unwrap_or_default())).collect()
    }

    /// What is served now.
    pub(super) fn protocols(&self) -> Vec<Protocol> {
        lock(&self.services).keys().copied().collect()
    }

    /// Takes a stream that a peer opened: never waits, so that no connection does.
    pub(super) fn accept(self: &Arc<Self>, node: NodeKey, protocol: Protocol, stream: libp2p::Stream) {
        let service = lock(&self.services).get(&protocol).cloned();
        let Some(service) = service else { return };
        *lock(&self.served).entry(protocol).or_default() += 1;
        match service {
            Service::Requests(handler) => {
                let Some(slot) = self.slot(node, Kind::Request) else { return };
                tokio::spawn(answer(node, protocol, Stream::remote(stream, None), handler, slot));
            }
            Service::Streams(streams) => {
                let Some(slot) = self.slot(node, Kind::Stream) else { return };
                if streams.try_send((node, Stream::remote(stream, Some(slot)))).is_err() {
                    tracing::debug!(%node, ?protocol, "nobody takes the stream");
                }
            }
        }
    }

    /// Answers this node's own request.
    pub(super) async fn call(
        &self,
        me: NodeKey,
        protocol: Protocol,
        frame: Vec<u8>,
    ) -> Result<Vec<u8>, LocalError> {
        let service = lock(&self.services).get(&protocol).cloned();
        match service {
            Some(Service::Requests(handler)) => handler(me, frame).await.ok_or(LocalError::Dropped),
            Some(Service::Streams(_)) | None => Err(LocalError::Unsupported),
        }
    }

    /// Opens a stream to this node itself.
    pub(super) fn open(self: &Arc<Self>, me: NodeKey, protocol: Protocol) -> Result<Stream, LocalError> {
        let service = lock(&self.services).get(&protocol).cloned();
        let Some(Service::Streams(streams)) = service else { return Err(LocalError::Unsupported) };
        let slot = self.slot(me, Kind::Stream).ok_or(LocalError::Dropped)?;
        let (ours, theirs) = Stream::pair(Some(slot));
        streams.try_send((me, theirs)).map_err(|_| LocalError::Dropped)?;
        Ok(ours)
    }

    fn slot(self: &Arc<Self>, node: NodeKey, kind: Kind) -> Option<Slot> {
        let all = match kind {
            Kind::Request => &self.requests,
            Kind::Stream => &self.streams,
        };
        let Ok(permit) = all.clone().try_acquire_owned() else {
            tracing::debug!(%node, ?kind, "too many of all peers: reset");
            return None;
        };
        let mut taken = lock(&self.taken);
        let count = taken.entry((node, kind)).or_default();
        if *count >= MAX_PER_PEER {
            tracing::debug!(%node, ?kind, "too many of this peer: reset");
            return None;
        }
        *count += 1;
        Some(Slot { node, kind, taken: self.taken.clone(), permit: Some(permit) })
    }
}

/// A place among those being served; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    node: NodeKey,
    kind: Kind,
    taken: Arc<Mutex<HashMap<(NodeKey, Kind), usize>>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// Gives back the peer's place, and keeps the one among all.
    fn release_peer(mut self) -> Option<OwnedSemaphorePermit> {
        self.permit.take()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = lock(&self.taken).entry((self.node, self.kind)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

async fn answer(node: NodeKey, protocol: Protocol, mut stream: Stream, handler: Handler, slot: Slot) {
    let frame = match timeout(READ_TIMEOUT, stream.read_frame(protocol.max_request())).await {
        Ok(Ok(frame)) => frame,
        Ok(Err(error)) => return tracing::debug!(%node, ?protocol, %error, "no request"),
        Err(_) => return tracing::debug!(%node, ?protocol, "the request did not arrive"),
    };
    let reply = match timeout(HANDLE_TIMEOUT, handler(node, frame)).await {
        Ok(Some(reply)) => reply,
        Ok(None) => return,
        Err(_) => return tracing::warn!(%node, ?protocol, "a handler took too long"),
    };
    // Before the reply can be seen: the peer may send its next request as soon as it has read this reply.
    let _permit = slot.release_peer();
    let write = async {
        stream.write_frame(&reply, protocol.max_reply()).await?;
        stream.shutdown().await.map_err(super::FrameError::from)
    };
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%node, ?protocol, %error, "the reply was not taken"),
        Err(_) => tracing::debug!(%node, ?protocol, "the reply was not taken in time"),
    }
}

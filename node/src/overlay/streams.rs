//! Opening and accepting streams, as a libp2p behaviour.
//!
//! What libp2p-stream does, with two differences that matter here: a stream that arrives is handed to the server
//! at once, so a burst of them loses none (libp2p-stream holds one and drops the next until it is taken), and
//! streams to one peer are negotiated side by side, so one that hangs holds up no other.

use super::protocol::Protocol;
use super::routing::{NodeKey, node_key};
use super::serve::Server;
use super::shared::lock;
use futures::future::{Ready, ready};
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, util};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure, ListenFailure};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    Stream, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many streams may wait to be opened on one connection before those who ask wait too.
const OPENING: usize = 32;
/// How many streams are negotiated at once on one connection.
const MAX_NEGOTIATING: usize = 64;
/// How long the negotiation of a stream may take.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(10);

/// A wish for a stream, told to the connection it shall be on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) protocol: Protocol,
    pub(super) reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// Why a stream was not opened.
#[derive(Debug)]
pub(super) enum OpenError {
    Unsupported,
    TimedOut,
    Closed,
}

/// The connections there are, and how to ask each for a stream.
#[derive(Clone, Default)]
pub(super) struct Links(Arc<Mutex<HashMap<PeerId, Vec<Link>>>>);

struct Link {
    connection: ConnectionId,
    opens: mpsc::Sender<Open>,
}

impl Links {
    /// The oldest live connection to a peer.
    pub(super) fn pick(&self, peer: &PeerId) -> Option<mpsc::Sender<Open>> {
        let links = lock(&self.0);
        links.get(peer)?.iter().find(|link| !link.opens.is_closed()).map(|link| link.opens.clone())
    }

    fn add(&self, peer: PeerId, link: Link) {
        lock(&self.0).entry(peer).or_default().push(link);
    }

    fn remove(&self, peer: &PeerId, connection: ConnectionId) {
        let mut links = lock(&self.0);
        if let Some(of_peer) = links.get_mut(peer) {
            of_peer.retain(|link| link.connection != connection);
            if of_peer.is_empty() {
                links.remove(peer);
            }
        }
    }
}

/// The behaviour: one [`Handler`] per connection.
pub(super) struct Behaviour {
    links: Links,
    server: Arc<Server>,
    /// Connections being made, which another behaviour may still refuse.
    pending: HashMap<ConnectionId, mpsc::Sender<Open>>,
}

impl Behaviour {
    pub(super) fn new(links: Links, server: Arc<Server>) -> Self {
        Self { links, server, pending: HashMap::new() }
    }

    fn handler(&mut self, connection: ConnectionId, peer: &PeerId) -> Result<Handler, ConnectionDenied> {
        let node = node_key(peer).ok_or_else(|| ConnectionDenied::new(NotEd25519))?;
        let (sender, opens) = mpsc::channel(OPENING);
        self.pending.insert(connection, sender);
        Ok(Handler { node, server: self.server.clone(), opens, negotiating: 0 })
    }
}

/// The peer has no Ed25519 key, so it is no node.
#[derive(Debug, thiserror::Error)]
#[error("the peer's key is not an Ed25519 key")]
struct NotEd25519;

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, &peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, &peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, .. }) => {
                if let Some(opens) = self.pending.remove(&connection_id) {
                    self.links.add(peer_id, Link { connection: connection_id, opens });
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.links.remove(&peer_id, connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.pending.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        util::unreachable(event)
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// The streams of one connection.
pub(super) struct Handler {
    node: NodeKey,
    server: Arc<Server>,
    opens: mpsc::Receiver<Open>,
    negotiating: usize,
}

/// Who waits for a stream.
type Waiter = oneshot::Sender<Result<Stream, OpenError>>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Waiter;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade(self.server.protocols()), ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Upgrade, Waiter, Self::ToBehaviour>> {
        while self.negotiating < MAX_NEGOTIATING {
            match self.opens.poll_recv(cx) {
                Poll::Ready(Some(open)) if open.reply.is_closed() => {}
                Poll::Ready(Some(open)) => {
                    self.negotiating += 1;
                    let protocol = SubstreamProtocol::new(Upgrade(vec![open.protocol]), open.reply)
                        .with_timeout(NEGOTIATION_TIMEOUT);
                    return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        util::unreachable(event)
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), Waiter>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let (stream, protocol) = protocol;
                self.server.accept(self.node, protocol, stream);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                self.negotiating = self.negotiating.saturating_sub(1);
                let _ = info.send(Ok(protocol.0));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info }) => {
                self.negotiating = self.negotiating.saturating_sub(1);
                let _ = info.send(Err(why(error)));
            }
            _ => {}
        }
    }
}

fn why(error: StreamUpgradeError<Infallible>) -> OpenError {
    match error {
        StreamUpgradeError::Timeout => OpenError::TimedOut,
        StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
        StreamUpgradeError::Io(error) if error.kind() == io::ErrorKind::TimedOut => OpenError::TimedOut,
        StreamUpgradeError::Io(_) => OpenError::Closed,
        StreamUpgradeError::Apply(never) => util::unreachable(never),
    }
}

/// Negotiates one of some protocols, and nothing else.
pub(super) struct Upgrade(Vec<Protocol>);

/// A protocol by its name, for the negotiation.
#[derive(Clone)]
pub(super) struct Name(Protocol, StreamProtocol);

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Upgrade {
    type Info = Name;
    type InfoIter = Vec<Name>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|protocol| Name(*protocol, protocol.name())).collect()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, name: Self::Info) -> Self::Future {
        ready(Ok((stream, name.0)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, name: Self::Info) -> Self::Future {
        ready(Ok((stream, name.0)))
    }
}

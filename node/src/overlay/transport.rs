//! The transports: TCP with TLS (or noise) and yamux, QUIC where wanted, names resolved by DNS.

use super::tls::Tls;
use super::{Config, StartError};
use futures::future::{self, MapOk, TryFutureExt as _};
use libp2p::core::either::EitherFuture;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, OrTransport, PortUse, Transport, TransportError, TransportEvent,
};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version};
use libp2p::identity::Keypair;
use libp2p::swarm::derive_prelude::Either;
use libp2p::{Multiaddr, PeerId, dns, noise, quic, tcp, yamux};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long connecting may take, from the first packet to the negotiated multiplexer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most streams on one connection, both ways. Each has a window of 256 KiB for certain; what is left of the
/// connection's 1 GiB goes to the streams that need more, as measured by yamux.
const MAX_STREAMS: usize = 512;
/// How many connections the system holds until we accept them.
const BACKLOG: u32 = 1024;
/// How much may be under way in one QUIC stream, in bytes.
const QUIC_STREAM_WINDOW: u32 = 16 * 1024 * 1024;
/// How much may be under way in one QUIC connection, in bytes.
const QUIC_CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;

/// What the swarm speaks over.
pub(super) type Transports = Boxed<(PeerId, StreamMuxerBox)>;

/// Builds the transports a configuration asks for.
pub(super) fn build(config: &Config, keys: &Keypair) -> Result<Transports, StartError> {
    let with_dns = match dns::tokio::Transport::system(without_dns(config, keys)?) {
        Ok(transport) => transport,
        Err(error) => {
            tracing::debug!(%error, "no DNS configuration of the system: using the usual resolvers");
            let (resolvers, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
            dns::tokio::Transport::custom(without_dns(config, keys)?, resolvers, options)
        }
    };
    Ok(with_dns.boxed())
}

fn without_dns(config: &Config, keys: &Keypair) -> Result<Transports, StartError> {
    let tcp = over_tcp(keys)?;
    if !config.quic {
        return Ok(tcp);
    }
    let mut settings = quic::Config::new(keys);
    settings.handshake_timeout = CONNECT_TIMEOUT;
    settings.max_stream_data = QUIC_STREAM_WINDOW;
    settings.max_connection_data = QUIC_CONNECTION_WINDOW;
    let quic = quic::tokio::Transport::new(settings);
    let either = OrTransport::new(quic, tcp).map(|connection, _| match connection {
        future::Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
        future::Either::Right(connection) => connection,
    });
    Ok(either.boxed())
}

fn over_tcp(keys: &Keypair) -> Result<Transports, StartError> {
    let broken = |error: &dyn std::error::Error| StartError::Transport(error.to_string());
    let tls = Tls::new(keys).map_err(|error| broken(&error))?;
    let noise = noise::Config::new(keys).map_err(|error| broken(&error))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true).listen_backlog(BACKLOG));
    let transport = FreshPort(tcp)
        .upgrade(Version::V1Lazy)
        .authenticate(Preferring(tls, noise))
        .multiplex(yamux)
        .timeout(CONNECT_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(transport.boxed())
}

/// A transport that dials from a port of its own, never from the one it listens on. Two nodes that dial each other
/// at once from their listening ports would meet in one TCP connection with two dialling ends, and lose it.
struct FreshPort<T>(T);

impl<T: Transport + Unpin> Transport for FreshPort<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.0.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.0.dial(address, DialOpts { port_use: PortUse::New, ..options })
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Two ways to secure a connection: both are accepted, the first is preferred.
#[derive(Clone)]
struct Preferring<A, B>(A, B);

/// What comes of either way: the peer, and the secured connection.
type Secured<A, B> = (PeerId, future::Either<A, B>);
/// The future of either way.
type Securing<A, B, C, D> =
    MapOk<EitherFuture<A, B>, fn(future::Either<(PeerId, C), (PeerId, D)>) -> Secured<C, D>>;

impl<A: UpgradeInfo, B: UpgradeInfo> UpgradeInfo for Preferring<A, B> {
    type Info = Either<A::Info, B::Info>;
    type InfoIter = Vec<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        let first = self.0.protocol_info().into_iter().map(Either::Left);
        first.chain(self.1.protocol_info().into_iter().map(Either::Right)).collect()
    }
}

impl<S, A, B, C, D> InboundConnectionUpgrade<S> for Preferring<A, B>
where
    A: InboundConnectionUpgrade<S, Output = (PeerId, C)>,
    B: InboundConnectionUpgrade<S, Output = (PeerId, D)>,
{
    type Output = Secured<C, D>;
    type Error = Either<A::Error, B::Error>;
    type Future = Securing<A::Future, B::Future, C, D>;

    fn upgrade_inbound(self, socket: S, info: Self::Info) -> Self::Future {
        let securing = match info {
            Either::Left(info) => EitherFuture::First(self.0.upgrade_inbound(socket, info)),
            Either::Right(info) => EitherFuture::Second(self.1.upgrade_inbound(socket, info)),
        };
        securing.map_ok(future::Either::factor_first)
    }
}

impl<S, A, B, C, D> OutboundConnectionUpgrade<S> for Preferring<A, B>
where
    A: OutboundConnectionUpgrade<S, Output = (PeerId, C)>,
    B: OutboundConnectionUpgrade<S, Output = (PeerId, D)>,
{
    type Output = Secured<C, D>;
    type Error = Either<A::Error, B::Error>;
    type Future = Securing<A::Future, B::Future, C, D>;

    fn upgrade_outbound(self, socket: S, info: Self::Info) -> Self::Future {
        let securing = match info {
            Either::Left(info) => EitherFuture::First(self.0.upgrade_outbound(socket, info)),
            Either::Right(info) => EitherFuture::Second(self.1.upgrade_outbound(socket, info)),
        };
        securing.map_ok(future::Either::factor_first)
    }
}

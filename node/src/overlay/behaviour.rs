//! What the swarm is made of: our streams, Kademlia for routing only, identify, ping, mDNS where wanted, and limits.

use super::routing::peer_id;
use super::serve::Server;
use super::streams::{self, Links};
use super::{Config, StartError, VERSION, transport};
use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, Swarm, identify, kad, mdns, memory_connection_limits, ping, swarm};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// The most connections others may have to us.
const MAX_INCOMING: u32 = 4096;
/// The most connections we may have to others.
const MAX_OUTGOING: u32 = 4096;
/// The most connections being made, each way.
const MAX_PENDING: u32 = 512;
/// The most connections with one peer: two nodes that dial each other at once have two.
const MAX_PER_PEER: u32 = 4;
/// The share of the machine's memory beyond which no connection is accepted.
const MAX_MEMORY: f64 = 0.8;
/// How many streams others may be opening on one connection at once.
const MAX_NEGOTIATING: usize = 256;
/// How many of the swarm's messages wait for one connection.
const CONNECTION_QUEUE: usize = 64;
/// How long one peer may take to answer one question of a lookup; a hung one would stall it for libp2p's 10 s.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a whole lookup may take inside Kademlia, also one that nobody waits for any more.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many nodes of one distance are known: in a network of fewer everyone knows everyone.
pub(super) const BUCKET: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// How often the routing table is looked after.
const BOOTSTRAP_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How often connected nodes tell each other who and where they are.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The longest name of a network.
const MAX_NETWORK: usize = 64;

/// The behaviours of a node.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) streams: streams::Behaviour,
    pub(super) kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

/// The names by which nodes of one network know each other.
#[derive(Clone)]
pub(super) struct Names {
    /// Kademlia's protocol.
    pub(super) kad: StreamProtocol,
    /// What identify says the network is.
    pub(super) network: String,
}

impl Names {
    /// The names of a network.
    pub(super) fn new(network: &str) -> Result<Self, StartError> {
        let bad = || StartError::Network(network.to_owned());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if network.is_empty() || network.len() > MAX_NETWORK || !network.chars().all(allowed) {
            return Err(bad());
        }
        let kad =
            StreamProtocol::try_from_owned(format!("/netpay/kad/{VERSION}/{network}")).map_err(|_| bad())?;
        Ok(Self { kad, network: format!("/netpay/{VERSION}/{network}") })
    }
}

/// Builds the swarm that a configuration asks for; it listens nowhere yet.
pub(super) fn swarm(
    config: &Config,
    keys: &Keypair,
    names: &Names,
    links: Links,
    server: Arc<Server>,
) -> Result<Swarm<Behaviour>, StartError> {
    let transport = transport::build(config, keys)?;
    let me = keys.public().to_peer_id();
    let mut blocked = allow_block_list::Behaviour::default();
    config.blocked.iter().for_each(|node| {
        blocked.block_peer(peer_id(node));
    });
    let behaviour = Behaviour {
        blocked,
        limits: connection_limits::Behaviour::new(limits()),
        memory: memory_connection_limits::Behaviour::with_max_percentage(MAX_MEMORY),
        streams: streams::Behaviour::new(links, server),
        kad: kademlia(me, names),
        identify: identify::Behaviour::new(
            identify::Config::new(names.network.clone(), keys.public())
                .with_agent_version(config.agent.clone())
                .with_interval(IDENTIFY_INTERVAL)
                .with_push_listen_addr_updates(true)
                // Unfiltered addresses; the driver's book keeps the good ones.
                .with_cache_size(0),
        ),
        ping: ping::Behaviour::default(),
        mdns: Toggle::from(config.mdns.then(|| find_neighbours(me)).flatten()),
    };
    let settings = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(config.tuning.idle)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING)
        .with_notify_handler_buffer_size(NonZeroUsize::MIN.saturating_add(CONNECTION_QUEUE))
        // A stream's first bytes travel with its negotiation: a request takes one round trip, not two.
        .with_substream_upgrade_protocol_override(Version::V1Lazy);
    Ok(Swarm::new(transport, behaviour, me, settings))
}

fn limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_pending_outgoing(Some(MAX_PENDING))
        .with_max_established_incoming(Some(MAX_INCOMING))
        .with_max_established_outgoing(Some(MAX_OUTGOING))
        .with_max_established_per_peer(Some(MAX_PER_PEER))
}

/// Kademlia that routes and keeps nothing.
fn kademlia(me: PeerId, names: &Names) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(names.kad.clone());
    config
        .set_query_timeout(QUERY_TIMEOUT)
        .set_substreams_timeout(ASK_TIMEOUT)
        .set_kbucket_size(BUCKET)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_caching(kad::Caching::Disabled)
        .set_periodic_bootstrap_interval(Some(BOOTSTRAP_INTERVAL));
    let nothing = MemoryStoreConfig { max_records: 0, max_provided_keys: 0, ..Default::default() };
    let store = MemoryStore::with_config(me, nothing);
    let mut kad = kad::Behaviour::with_config(me, store, config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

fn find_neighbours(me: PeerId) -> Option<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), me)
        .inspect_err(|error| tracing::warn!(%error, "no mDNS: peers on this LAN are not found by themselves"))
        .ok()
}

//! Taking the addresses a node listens on, and saying clearly why it cannot.

use super::StartError;
use super::address::{Socket, socket};
use super::behaviour::Behaviour;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::{Multiaddr, Swarm};
use std::io;
use std::net::{TcpListener, UdpSocket};

/// Starts to listen at one address.
pub(super) fn listen(swarm: &mut Swarm<Behaviour>, address: &Multiaddr) -> Result<ListenerId, StartError> {
    probe(address)?;
    swarm.listen_on(address.clone()).map_err(|error| match error {
        TransportError::Other(error) => refused(address, &error),
        TransportError::MultiaddrNotSupported(_) => StartError::Listen {
            address: address.clone(),
            reason: "no transport can listen there".to_owned(),
        },
    })
}

/// What a system's refusal means for whoever started the node.
pub(super) fn refused(address: &Multiaddr, error: &io::Error) -> StartError {
    if error.kind() == io::ErrorKind::AddrInUse {
        StartError::PortInUse { address: address.clone() }
    } else {
        StartError::Listen { address: address.clone(), reason: error.to_string() }
    }
}

/// Takes the port for a moment without sharing it. libp2p's own TCP sockets do share it (SO_REUSEPORT), so that a
/// second node on the same port would start without an error and get half of the first one's connections.
fn probe(address: &Multiaddr) -> Result<(), StartError> {
    match socket(address) {
        Some(Socket::Tcp(at)) if at.port() != 0 => TcpListener::bind(at).map(drop),
        Some(Socket::Udp(at)) if at.port() != 0 => UdpSocket::bind(at).map(drop),
        Some(_) | None => Ok(()),
    }
    .map_err(|error| refused(address, &error))
}

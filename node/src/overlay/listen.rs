//! Taking the addresses a node listens on, and saying clearly why it cannot.

use super::StartError;
use super::address::ip_and_tcp_port;
use super::behaviour::Behaviour;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::{Multiaddr, Swarm};
use std::io;
use std::net::TcpListener;

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
    if in_use(error) {
        StartError::PortInUse { address: address.clone() }
    } else {
        StartError::Listen { address: address.clone(), reason: error.to_string() }
    }
}

/// Listens for a moment without sharing the port. libp2p's own TCP sockets do share it (SO_REUSEPORT), so that a
/// second node on the same port would start without an error and take half of the first one's connections.
fn probe(address: &Multiaddr) -> Result<(), StartError> {
    match ip_and_tcp_port(address) {
        Some((_, 0)) | None => Ok(()),
        Some(socket) => TcpListener::bind(socket).map(drop).map_err(|error| refused(address, &error)),
    }
}

/// Whether somewhere in an error the system says that the address is taken; the transports wrap it.
fn in_use(error: &io::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(error) = current.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::AddrInUse {
                return true;
            }
            source = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        } else {
            source = current.source();
        }
    }
    false
}

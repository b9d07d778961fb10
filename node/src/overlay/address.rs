//! Addresses: which are worth keeping, and the book of those that nodes were reached at or told.

use super::routing::NodeKey;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How many nodes the book holds; those that were configured are never dropped.
const MAX_NODES: usize = 4096;
/// How many addresses of one node are kept.
pub(super) const MAX_ADDRESSES: usize = 8;
/// How long after a search for a node's new addresses another is worth it.
const SEARCH_AGAIN: Duration = Duration::from_secs(30);

/// The address without the peer id at its end, if it can be dialled at all: one with a host and a port.
pub(super) fn dialable(address: &Multiaddr) -> Option<Multiaddr> {
    let mut parts = address.iter();
    match parts.next()? {
        Protocol::Ip4(ip) => (!ip.is_unspecified()).then_some(())?,
        Protocol::Ip6(ip) => (!ip.is_unspecified()).then_some(())?,
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => {}
        _ => return None,
    }
    match parts.next()? {
        Protocol::Tcp(port) | Protocol::Udp(port) => (port != 0).then_some(())?,
        _ => return None,
    }
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
    Some(address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect())
}

/// Whether others should be told of this address: everywhere in a local network, else only if it is public.
pub(super) fn worth_telling(address: &Multiaddr, local: bool) -> bool {
    local
        || match address.iter().next() {
            Some(Protocol::Ip4(ip)) => is_public_4(ip),
            Some(Protocol::Ip6(ip)) => is_public_6(ip),
            Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
            _ => false,
        }
}

/// Whether an address is one that everybody may reach: that of a public host, or a name.
#[must_use]
pub fn is_public(address: &Multiaddr) -> bool {
    worth_telling(address, false)
}

/// What an address starts with, where that is a socket of this machine or another.
pub enum Socket {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A UDP socket.
    Udp(SocketAddr),
}

/// The socket of an address.
#[must_use]
pub fn socket(address: &Multiaddr) -> Option<Socket> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(Socket::Tcp(SocketAddr::new(ip, port))),
        Protocol::Udp(port) => Some(Socket::Udp(SocketAddr::new(ip, port))),
        _ => None,
    }
}

fn is_public_4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.is_documentation()
        || shared)
}

fn is_public_6(ip: Ipv6Addr) -> bool {
    if let Some(ip) = ip.to_ipv4_mapped() {
        return is_public_4(ip);
    }
    !(ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local())
}

/// Where nodes can be reached, the most promising address first.
#[derive(Default)]
pub(super) struct Book {
    entries: HashMap<NodeKey, Entry>,
    uses: u64,
}

#[derive(Default)]
struct Entry {
    addresses: Vec<Multiaddr>,
    /// What the node itself told last.
    told: Vec<Multiaddr>,
    configured: bool,
    used: u64,
    searched: Option<Instant>,
}

impl Book {
    /// Notes a peer from the configuration; it is never dropped.
    pub(super) fn configure(&mut self, node: NodeKey, addresses: &[Multiaddr]) {
        self.add(node, addresses);
        self.entry(node).configured = true;
    }

    /// Notes what a node told of itself; says whether that is news.
    pub(super) fn tell(&mut self, node: NodeKey, addresses: &[Multiaddr]) -> bool {
        self.add(node, addresses);
        let entry = self.entry(node);
        let news = !addresses.is_empty() && entry.told != addresses;
        entry.told = addresses.to_vec();
        news
    }

    /// Puts addresses in front of those known; says whether one of them is new.
    pub(super) fn add(&mut self, node: NodeKey, addresses: &[Multiaddr]) -> bool {
        let addresses: Vec<_> = addresses.iter().filter_map(dialable).take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return false;
        }
        let entry = self.entry(node);
        let new = addresses.iter().any(|address| !entry.addresses.contains(address));
        entry.addresses.retain(|address| !addresses.contains(address));
        entry.addresses.splice(..0, addresses);
        entry.addresses.truncate(MAX_ADDRESSES);
        new
    }

    /// The addresses of a node.
    pub(super) fn get(&self, node: &NodeKey) -> Vec<Multiaddr> {
        self.entries.get(node).map(|entry| entry.addresses.clone()).unwrap_or_default()
    }

    /// An address did not work: try it last.
    pub(super) fn failed(&mut self, node: &NodeKey, address: &Multiaddr) {
        let Some(address) = dialable(address) else { return };
        if let Some(entry) = self.entries.get_mut(node)
            && let Some(at) = entry.addresses.iter().position(|known| *known == address)
        {
            let address = entry.addresses.remove(at);
            entry.addresses.push(address);
        }
    }

    /// Somebody else answers at an address.
    pub(super) fn forget(&mut self, node: &NodeKey, address: &Multiaddr) {
        let Some(address) = dialable(address) else { return };
        if let Some(entry) = self.entries.get_mut(node) {
            entry.addresses.retain(|known| *known != address);
        }
    }

    /// Whether it is time to search for a node's new addresses; if so, the time starts anew.
    pub(super) fn search(&mut self, node: NodeKey) -> bool {
        let entry = self.entry(node);
        let due = entry.searched.is_none_or(|at| at.elapsed() > SEARCH_AGAIN);
        if due {
            entry.searched = Some(Instant::now());
        }
        due
    }

    /// Every node with an address: those configured first, then the most recently used.
    pub(super) fn nodes(&self) -> Vec<NodeKey> {
        let mut nodes: Vec<_> =
            self.entries.iter().filter(|(_, entry)| !entry.addresses.is_empty()).collect();
        nodes.sort_by_key(|(_, entry)| (!entry.configured, std::cmp::Reverse(entry.used)));
        nodes.into_iter().map(|(node, _)| *node).collect()
    }

    fn entry(&mut self, node: NodeKey) -> &mut Entry {
        if self.entries.len() >= MAX_NODES && !self.entries.contains_key(&node) {
            self.drop_oldest();
        }
        self.uses += 1;
        let entry = self.entries.entry(node).or_default();
        entry.used = self.uses;
        entry
    }

    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().filter(|(_, entry)| !entry.configured);
        let oldest = oldest.min_by_key(|(_, entry)| entry.used).map(|(node, _)| *node);
        if let Some(node) = oldest {
            self.entries.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_told_outside_a_local_network() {
        for private in
            ["/ip4/127.0.0.1/tcp/1", "/ip4/10.1.2.3/tcp/1", "/ip4/100.64.0.1/tcp/1", "/ip6/::1/tcp/1"]
        {
            assert!(!worth_telling(&address(private), false), "{private}");
            assert!(worth_telling(&address(private), true), "{private}");
        }
        for public in ["/ip4/1.1.1.1/tcp/1", "/dns/example.org/tcp/1", "/ip6/2606::1/udp/1/quic-v1"] {
            assert!(worth_telling(&address(public), false), "{public}");
        }
    }

    #[test]
    fn an_address_without_host_or_port_cannot_be_dialled() {
        for bad in ["/ip4/0.0.0.0/tcp/1", "/ip4/1.1.1.1/tcp/0", "/ip4/1.1.1.1", "/memory/7"] {
            assert_eq!(dialable(&address(bad)), None, "{bad}");
        }
        let with_peer = format!("/ip4/1.1.1.1/tcp/1/p2p/{}", libp2p::PeerId::random());
        assert_eq!(dialable(&address(&with_peer)), Some(address("/ip4/1.1.1.1/tcp/1")));
    }

    #[test]
    fn the_book_is_bounded_and_keeps_those_configured() {
        let mut book = Book::default();
        let node = |i: usize| NodeKey(*blake3::hash(&i.to_le_bytes()).as_bytes());
        book.configure(node(0), &[address("/ip4/1.1.1.1/tcp/1")]);
        for i in 1..MAX_NODES + 10 {
            book.add(node(i), &[address("/ip4/1.1.1.1/tcp/1")]);
        }
        assert_eq!(book.nodes().len(), MAX_NODES);
        assert_eq!(book.nodes().first(), Some(&node(0)));
        for port in 1..20 {
            book.add(node(0), &[address(&format!("/ip4/1.1.1.1/tcp/{port}"))]);
        }
        assert_eq!(book.get(&node(0)).len(), MAX_ADDRESSES);
        assert_eq!(book.get(&node(0)).first(), Some(&address("/ip4/1.1.1.1/tcp/19")));
        book.failed(&node(0), &address("/ip4/1.1.1.1/tcp/19"));
        assert_eq!(book.get(&node(0)).last(), Some(&address("/ip4/1.1.1.1/tcp/19")));
    }
}

//! The one line that lets a peer into a network: `netpay://<broker key>@<network>/ip4/…/tcp/…/p2p/…`.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use netpay_core::id::NetworkId;
use netpay_core::keys::PublicKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How an invite begins.
const SCHEME: &str = "netpay://";
/// The longest name of a network, in bytes.
pub const NETWORK_NAME_MAX: usize = 64;
/// The longest invite, in bytes.
const INVITE_MAX: usize = 512;

/// Whose money a network uses, what it is called, and where to join it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The broker's signing key.
    pub broker: PublicKey,
    /// The network's name.
    pub network: String,
    /// Where the broker's node listens, with its peer id.
    pub address: Multiaddr,
}

/// Why a text is no invite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvite {
    /// It does not begin as one.
    #[error("an invite looks like netpay://<broker key>@<network>/ip4/…/tcp/…/p2p/…")]
    Form,
    /// The key is not 64 hexadecimal digits.
    #[error("the broker's key in an invite is 64 hexadecimal digits")]
    Key,
    /// The network has no such name.
    #[error("a network's name is 1 to {NETWORK_NAME_MAX} letters, digits, '-', '_' or '.'")]
    Network,
    /// The address cannot be dialled, or names no peer.
    #[error("the address in an invite is /ip4/…/tcp/…/p2p/<peer id>: {0}")]
    Address(String),
}

/// Whether a network can have this name.
#[must_use]
pub fn is_network_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= NETWORK_NAME_MAX && name.bytes().all(allowed)
}

impl Invite {
    /// The network's id.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        NetworkId::of(&self.network, &self.broker)
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}@{}{}", self.broker, self.network, self.address)
    }
}

impl FromStr for Invite {
    type Err = BadInvite;
    fn from_str(text: &str) -> Result<Self, BadInvite> {
        let text = text.trim();
        if text.len() > INVITE_MAX {
            return Err(BadInvite::Form);
        }
        let (broker, rest) =
            text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('@')).ok_or(BadInvite::Form)?;
        let (network, address) = rest.find('/').map(|at| rest.split_at(at)).ok_or(BadInvite::Form)?;
        let broker: PublicKey = broker.parse().map_err(|_| BadInvite::Key)?;
        if !broker.is_usable() {
            return Err(BadInvite::Key);
        }
        if !is_network_name(network) {
            return Err(BadInvite::Network);
        }
        let address: Multiaddr = address.parse().map_err(|error| BadInvite::Address(format!("{error}")))?;
        if !matches!(address.iter().last(), Some(Protocol::P2p(_))) {
            return Err(BadInvite::Address("it names no peer".to_owned()));
        }
        Ok(Self { broker, network: network.to_owned(), address })
    }
}

impl Serialize for Invite {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Invite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::keys::SecretKey;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn an_invite_reads_as_it_was_written() {
        let invite = Invite {
            broker: SecretKey::from_seed(&[1; 32]).public(),
            network: "main-1".to_owned(),
            address: format!("/ip4/127.0.0.1/tcp/4001/p2p/{PEER}").parse().expect("an address"),
        };
        assert_eq!(invite.to_string().parse(), Ok(invite.clone()));
        assert_eq!(format!("  {invite}\n").parse(), Ok(invite));
    }

    #[test]
    fn what_is_no_invite_is_refused_with_the_reason() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let address = format!("/ip4/127.0.0.1/tcp/4001/p2p/{PEER}");
        let parse = |text: String| text.parse::<Invite>().expect_err("no invite");
        assert_eq!(parse("http://x".to_owned()), BadInvite::Form);
        assert_eq!(parse(format!("netpay://{key}@main")), BadInvite::Form);
        assert_eq!(parse(format!("netpay://abc@main{address}")), BadInvite::Key);
        assert_eq!(parse(format!("netpay://{}@main{address}", "00".repeat(32))), BadInvite::Key);
        assert_eq!(parse(format!("netpay://{key}@{address}")), BadInvite::Network);
        assert_eq!(parse(format!("netpay://{key}@a b{address}")), BadInvite::Network);
        assert!(matches!(parse(format!("netpay://{key}@main/ip4/1.2.3.4/tcp/1")), BadInvite::Address(_)));
        assert!(matches!(parse(format!("netpay://{key}@main/nonsense")), BadInvite::Address(_)));
        assert_eq!(parse(format!("netpay://{key}@main{address}{}", "x".repeat(600))), BadInvite::Form);
    }
}

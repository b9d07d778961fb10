//! Names of things: 32 bytes each, a type each, hexadecimal when shown.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hexadecimal digits")]
pub struct BadHex(pub usize);

pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = f.precision().map_or(bytes.len(), |digits| digits.div_ceil(2).min(bytes.len()));
    bytes[..shown].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], BadHex> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(BadHex(2 * N));
    }
    let value = |digit: u8| (digit as char).to_digit(16).ok_or(BadHex(2 * N));
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).map_err(|_| BadHex(2 * N))?;
    }
    Ok(bytes)
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:.8}…)"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadHex;
            fn from_str(text: &str) -> Result<Self, BadHex> {
                parse_hex(text).map(Self)
            }
        }
    )*};
}

names! {
    /// A network: everything signed in it is bound to it, nothing of it is valid in another.
    NetworkId
    /// The hash of a signed object: BLAKE3 over exactly the bytes that are signed.
    ObjectHash
    /// A chain, named by the hash of its touchstone.
    ChainId
    /// Where a chain's record, a token's listings or a bucket of cards live in the DHT.
    Place
    /// The content of a file: its BLAKE3 hash, as `b3sum` prints it.
    ContentRoot
    /// What a claim may be paid to: a salted hash of an account key.
    PayTo
}

impl NetworkId {
    /// The id of the network of this name under this broker: two brokers never share a network by accident.
    #[must_use]
    pub fn of(name: &str, broker: &crate::keys::PublicKey) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("netpay 2026 network id");
        hasher.update(&broker.0);
        hasher.update(name.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

impl ChainId {
    /// The id of the chain that the touchstone of this hash promises.
    #[must_use]
    pub const fn of(touchstone: ObjectHash) -> Self {
        Self(touchstone.0)
    }
}

//! The HTTP API of a peer, as far as the command needs it: JSON on loopback, behind a token; and its client.

pub mod client;
pub mod server;

/// The largest request body, in bytes: a wallet's backup is the largest thing sent.
pub const MAX_BODY: usize = 2 << 20;
/// The file in the home that names where the API listens.
pub const ADDRESS_FILE: &str = "api-address";

//! The NetPay protocol without I/O: coins, records, wire messages, and the sessions of buyer and
//! vendor as machines that are told the time and the input and answer with outputs.
//!
//! A module uses only those above it in this list.
#![warn(missing_docs)]

pub mod amount;
pub mod codec;
pub mod coin;
pub mod content;
mod ed25519;
pub mod fair;
pub mod id;
pub mod keys;
pub mod record;
pub mod session;
pub mod till;
pub mod time;
pub mod wallet;
pub mod wire;

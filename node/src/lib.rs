//! A NetPay peer.

pub mod invite;
pub mod sealed;

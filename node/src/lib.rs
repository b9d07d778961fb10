//! A NetPay peer.

pub mod overlay;

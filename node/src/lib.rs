//! A NetPay peer.

pub mod home;
pub mod store;

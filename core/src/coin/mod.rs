//! The money itself: chains of coins, the touchstones that promise them, the segments they are
//! spent in, and the payments.

pub mod chain;
pub mod key;
pub mod payment;
pub mod segment;
pub mod touchstone;

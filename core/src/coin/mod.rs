//! The money itself: chains of coins, the touchstones that promise them, the segments they are
//! spent in, the payments, and the receipts for them.

pub mod chain;
pub mod key;
pub mod payment;
pub mod receipt;
pub mod segment;
pub mod touchstone;

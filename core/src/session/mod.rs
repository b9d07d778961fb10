//! The sessions as machines: told the time and an input, they answer with outputs, to be carried out in
//! order. Nothing after a `Persist` may happen before it is durable. No I/O, no clock, no randomness.

pub mod buyer;
pub mod certify;
pub mod fair_buyer;
pub mod fair_vendor;
pub mod redeem;
pub mod vendor;

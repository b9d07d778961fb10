//! Fair exchange by a twin chain (PROTOCOL section 10): the buyer releases coins link by link, and the vendor keys.
//!
//! A deal names everything that is bought and how; both have signed it before the first coin. Each unit comes sealed
//! under the key that belongs to its first coin, and its vendor has signed what it sent: whoever sends something else than
//! the deal says is convicted by one leaf of it, and whoever says so of what was right is found out by the same leaf.

pub mod deal;
pub mod judge;
mod keystream;
pub mod opening;
pub mod packing;
pub mod policy;
pub mod sealed;

//! The NetPay broker: a node of the overlay that is also the bank.
//!
//! The rooms, from the bottom up: `ledger` (the books, pure), `store` (their journal), `roster` (who can be a witness),
//! `checks` (believing requests), `mint` (new chains), `writer` (the one that changes the books), `service` (the bank).
#![warn(missing_docs)]

pub mod ledger;
pub mod store;
pub mod roster;
pub mod checks;
pub mod mint;
pub mod writer;
pub mod service;

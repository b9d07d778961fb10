//! The NetPay broker: a node of the overlay that is also the bank.
//!
//! The rooms, from the bottom up: `ledger` (the books, pure).

pub mod ledger;

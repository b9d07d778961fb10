//! The NetPay broker: a node of the overlay that is also the bank.
//!
//! The rooms, from the bottom up: `ledger` (the books, pure), `store` (their journal), `roster` (who can be a witness),
//! `checks` (believing requests), `mint` (new chains), `pool` (the threads for both), `writer` (the one that changes the
//! books), `service` (the bank); then `errors` and `home` (what the operator sees and has), `backup`, `export` (the books as
//! text, and back), `pain` (payouts as a transfer order), `peer` (what the node serves), `admin` (the
//! operator's API), `web` (the pages of operator and public), `run` (all of it together), `cli` (the command).
#![warn(missing_docs)]

pub mod admin;
pub mod backup;
pub mod checks;
pub mod cli;
pub mod errors;
pub mod export;
pub mod freezer;
pub mod home;
pub mod ledger;
pub mod mint;
pub mod pain;
pub mod peer;
pub mod pool;
pub mod roster;
pub mod run;
pub mod service;
pub mod store;
pub mod web;
pub mod writer;

//! NetPay from outside: local swarms of real processes, the story they tell, and how fast they are.
//!
//! The rooms, from the bottom up: [`swarm`] (processes, homes, files, commands), [`demo`] (the whole story in a minute),
//! [`mod@bench`] (the figures), [`sim`] (many peers in virtual time), [`cli`] (`netpay-swarm`).
#![warn(missing_docs)]

pub mod bench;
pub mod cli;
pub mod demo;
pub mod fuzz;
pub mod sim;
pub mod swarm;

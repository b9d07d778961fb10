//! The rules of chains, checked in every state that lying buyers, vendors and witnesses and crashes can bring about.
//!
//! One chain of 4 coins, leases of 2, up to 3 Opens; two vendors, one of whom may lie; a committee of 4 (q = 3) with one
//! Byzantine member; x0 from 0 to 2. docs/SECURITY.md tells how it is built and what it found.
//!
//! The witness rules are the product's own code (`netpay_core::record::rules`), and so is the interval map that pays
//! (`netpay_broker::ledger::Intervals`). The rest of the broker, the vendors and the buyer are modelled thinly here.
//!
//! From the bottom up: `config` (a run, and the rules), `state` (what is the case, the witnesses), `bank` (the broker),
//! `actions` (what can be done), `properties` (what must hold), `papers` (the papers' own scheme).

mod actions;
mod bank;
mod config;
mod model_tests;
mod papers;
mod properties;
mod state;

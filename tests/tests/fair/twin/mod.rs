//! 5. Ours: the twin chain. Two lines of hashes run beside each other: U_m pays coin m, K_m opens what coin m pays for.
//!
//! From the bottom up: `config` (a run, and the rules), `state` (what is the case) with `broker` (what it takes and judges),
//! `steps` (what can be done), `properties` (what must hold). Then the runs: `promises` (all of it holds), `rules` (what
//! each rule is for), `exceptions` (what is lost all the same, and how much).

mod broker;
mod config;
mod exceptions;
mod promises;
mod properties;
mod rules;
mod state;
mod steps;

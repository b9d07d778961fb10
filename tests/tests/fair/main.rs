//! Fair exchange: bytes and coins change hands together, or neither does. Five protocols, each in every state that a liar,
//! a broken line and the clock can bring about. docs/FAIR-EXCHANGE.md walks through them.
//!
//! Signatures hold, hashes are not inverted: a key, a deal, a root is a name here, and a check compares names.
//!
//! `market` is the File Market of the survey (seed 002) with what can be added to it, and a file for each of the four
//! protocols that come of it. `twin` is ours, the twin chain. `explore` runs a model.

mod explore;
mod market;
mod twin;

//! What the DHT keeps: chain records and their witness rules; the file index; who is online.

pub mod chain;
pub mod freeze;
pub mod index;
pub mod presence;
pub mod revoke;
pub mod rules;
pub mod witness;

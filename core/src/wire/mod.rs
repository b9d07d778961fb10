//! What goes over the wire: one file per protocol, with its id, its limits, its messages and its rejects.
//! Ids end in a version; a tag is never used for something else later.

pub mod bank;
pub mod browse;
pub mod handoff;
pub mod hello;
pub mod index;
pub mod record;
pub mod reject;
pub mod trade;

/// The largest frame of the control protocols, in bytes.
pub const CONTROL_FRAME: usize = 16 * 1024;
/// The largest record or bank frame, in bytes.
pub const BULK_FRAME: usize = 64 * 1024;

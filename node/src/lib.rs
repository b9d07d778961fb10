//! A NetPay peer: the overlay it lives in, the stores it relies on, the six things it does, and its command.
//!
//! A module uses only those above it in this list; [`errors`] and [`app`] share [`app::view`].
#![warn(missing_docs)]

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod errors;
pub mod home;
pub mod invite;
pub mod logs;
pub mod manager;
pub mod overlay;
pub mod sealed;
pub mod shown;
pub mod signals;
pub mod store;
pub mod support;
pub mod ui;
pub mod witness;

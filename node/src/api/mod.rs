//! What a peer answers over HTTP: programs by JSON under `/api/v1`, people by pages; and the client of the command.
//!
//! `server` listens and puts things in their order; `guard` refuses foreign hosts and pages and asks who is there;
//! `sessions` and `password` know people, `people` lets them in; `routes` are the API, `problem` its way to say no, `description`
//! what is said of either.

pub mod client;
pub mod description;
mod events;
pub mod guard;
mod metrics;
pub mod password;
pub mod people;
pub mod problem;
mod routes;
pub mod server;
pub mod sessions;
#[cfg(test)]
mod tests;

pub use guard::CSRF_HEADER;
pub use metrics::ErrorCode;
pub use routes::LoginLink;
pub use sessions::Sessions;

/// The largest request body, in bytes: a wallet's backup is the largest thing sent.
pub const MAX_BODY: usize = 2 << 20;
/// The file in the home that names where the API listens.
pub const ADDRESS_FILE: &str = "api-address";
/// Where people come in.
pub const LOGIN: &str = "/login";

//! Discover: who is there, what they call themselves, and who has what.
//!
//! Everything that comes from others is bounded, checked, and only shown: a name is never a path, and a listing
//! counts only with its vendor's signature.

mod believed;
mod blocked;
mod contacts;
mod hello;
mod known;
mod peers;
mod ranking;
mod search;

pub use believed::Believed;
pub use blocked::Blocked;
pub use contacts::Contacts;
pub use hello::run;
pub use known::known_peers;

use std::time::Duration;

/// How long one peer is waited for when it is asked for listings, cards or its catalogue.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a peer is waited for when it is greeted.
const HELLO_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a peer is waited for when a person connects to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many replicas of each bucket of cards are asked.
const REPLICAS_ASKED_FOR_CARDS: usize = 3;

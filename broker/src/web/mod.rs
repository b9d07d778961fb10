//! The pages: the public's on a listener of their own, and the operator's beside the API, on a loopback address. They are
//! in the same frame and made in the same way as a peer's ([`netpay_node::ui`]).
//!
//! [`pages`] makes HTML of views; `front` answers the public, `desk` the operator; `entrance` believes links that account
//! owners signed; `listen` opens the doors.

mod desk;
mod entrance;
mod front;
mod listen;
pub mod pages;

pub use entrance::{Entrance, PATH as ENTER};
pub use front::{Front, router as front_router};
pub use listen::{Door, OPERATORS, STRANGERS, open};

pub use desk::router as desk_router;

/// Rows on one page of a list.
pub const PAGE: usize = 50;

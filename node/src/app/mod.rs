//! What a peer does; [`view`] is how it shows it.

pub mod vault;
pub mod view;

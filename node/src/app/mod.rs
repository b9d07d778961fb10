//! What a peer does; [`view`] is how it shows it.

pub mod view;

//! The pages: server-rendered, readable and usable without scripts. [`layout`] and [`parts`] are the design, for a broker's
//! pages too; [`pages`] makes HTML of a peer's views; [`serve`] answers requests. Every act is a plain form that htmx only
//! smooths, and every act asks [`crate::app::Node`] and nobody else.

pub mod assets;
pub mod layout;
pub mod pages;
pub mod parts;
pub mod serve;

#[cfg(test)]
mod tests;

//! What is sold: a file's geometry in paid units, its hash tree, the words it is found by, and the signed
//! offer of it.

pub mod units;
pub mod tree;
pub mod token;
pub mod name;
pub mod link;
pub mod listing;

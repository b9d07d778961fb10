//! What is sold: a file's geometry in paid units, its hash tree, the words it is found by, and the signed
//! offer of it.

pub mod link;
pub mod listing;
pub mod name;
pub mod token;
pub mod tree;
pub mod units;

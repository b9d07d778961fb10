//! What must hold of every page, and what people do with forms alone.

mod holds;
mod http;
mod rendered;

use holds::{all, holds};

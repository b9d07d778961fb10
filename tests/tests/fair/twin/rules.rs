//! What each rule is for: without it the checker finds a loss. The shortest is told.

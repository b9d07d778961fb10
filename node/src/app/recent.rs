//! The newest of something, as many as are worth remembering.

use super::lock;
use std::collections::VecDeque;
use std::sync::Mutex;

/// The newest `MAX` of what happened, the oldest first.
pub struct Recent<T, const MAX: usize>(Mutex<VecDeque<T>>);

impl<T, const MAX: usize> Default for Recent<T, MAX> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone, const MAX: usize> Recent<T, MAX> {
    /// It happened; if that is one too many the oldest is forgotten.
    pub fn note(&self, one: T) {
        let mut kept = lock(&self.0);
        if kept.len() >= MAX {
            kept.pop_front();
        }
        kept.push_back(one);
    }

    /// All that is remembered.
    pub fn all(&self) -> Vec<T> {
        lock(&self.0).iter().cloned().collect()
    }
}

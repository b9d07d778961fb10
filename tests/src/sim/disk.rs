//! A peer's disk: what is written is durable a while later, in the order of writing, and what waits for it is done then.
//! A crash in between loses both.

use super::scene::{Alarm, Scene};
use std::collections::VecDeque;

/// Writes under way: rows, and what is to be done once they are durable.
#[derive(Debug)]
pub struct Disk<Rows, Then> {
    waiting: VecDeque<(Rows, Then)>,
    free_at: u64,
}

impl<Rows, Then> Default for Disk<Rows, Then> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), free_at: 0 }
    }
}

impl<Rows, Then> Disk<Rows, Then> {
    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes; [`Alarm::Written`] comes when that is durable. `takes` is from when to when it may take, in milliseconds.
    pub fn write(&mut self, rows: Rows, then: Then, takes: (u64, u64), scene: &mut Scene<'_>) {
        self.free_at = self.free_at.max(scene.now) + scene.dice.between(takes.0, takes.1);
        self.waiting.push_back((rows, then));
        scene.wake(Alarm::Written, self.free_at - scene.now);
    }

    /// What is durable now, and what waited for it. To be asked once for every alarm.
    pub fn written(&mut self) -> Option<(Rows, Then)> {
        self.waiting.pop_front()
    }
}

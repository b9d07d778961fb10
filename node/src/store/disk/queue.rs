//! The bounded queue between the committers and the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

use crate::store::StoreError;

/// Most batches that wait for the writer; committers wait beyond.
pub(super) const QUEUE_MAX_BATCHES: usize = 4_096;
/// Most bytes that wait for the writer.
pub(super) const QUEUE_MAX_BYTES: usize = 8 << 20;
/// Most batches in one group, which is one record of the journal and one fsync.
pub(super) const GROUP_MAX_BATCHES: usize = 2_048;
/// Most bytes in one group. One batch always fits.
pub(super) const GROUP_MAX_BYTES: usize = 4 << 20;

const _: () = assert!(crate::store::BATCH_MAX_BYTES <= GROUP_MAX_BYTES && GROUP_MAX_BYTES <= QUEUE_MAX_BYTES);

/// A batch on its way, and who waits for it.
pub(super) struct Job {
    /// The encoded changes.
    pub bytes: Vec<u8>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Appends a job, blocking while the queue is full. Gives it back when the queue is closed.
    pub fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        while !state.closed && state.is_full_for(&job) {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(job);
        }
        state.bytes += job.bytes.len();
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes everything that waits, up to the bounds of a group, blocking while that is nothing. `None` when the queue is
    /// closed and empty.
    pub fn take_group(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut count, mut bytes) = (0, 0);
        for job in state.jobs.iter().take(GROUP_MAX_BATCHES) {
            if count > 0 && bytes + job.bytes.len() > GROUP_MAX_BYTES {
                break;
            }
            count += 1;
            bytes += job.bytes.len();
        }
        state.bytes -= bytes;
        let group = state.jobs.drain(..count).collect();
        drop(state);
        self.emptied.notify_all();
        Some(group)
    }

    /// Refuses further jobs; what waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Closes, and drops what waits, which answers its committers that the store is closed.
    pub fn abandon(&self) {
        self.close();
        self.lock().jobs.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full_for(&self, job: &Job) -> bool {
        self.jobs.len() >= QUEUE_MAX_BATCHES
            || (!self.jobs.is_empty() && self.bytes + job.bytes.len() > QUEUE_MAX_BYTES)
    }
}

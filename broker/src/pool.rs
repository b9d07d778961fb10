//! Threads that compute and do nothing else, as many as there are cores. While requests wait, each goes from one to the
//! next without sleeping in between; a thread per request would be woken for every one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

type Work = Box<dyn FnOnce() + Send>;

/// The threads. They end when this is dropped and everything that waits is done.
#[derive(Debug)]
pub struct Pool {
    work: SyncSender<Work>,
}

impl Pool {
    /// So many threads, for at most so much work that waits.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (work, waits) = sync_channel::<Work>(waiting);
        let waits = Arc::new(Mutex::new(waits));
        for number in 0..threads {
            let waits = waits.clone();
            std::thread::Builder::new().name(format!("check-{number}")).spawn(move || run(&waits))?;
        }
        Ok(Self { work })
    }

    /// Has something done, later and elsewhere. Returns whether it was taken: not if too much waits. What panics is dropped.
    #[must_use]
    pub fn give(&self, work: impl FnOnce() + Send + 'static) -> bool {
        self.work.try_send(Box::new(work)).is_ok()
    }
}

fn run(waits: &Mutex<Receiver<Work>>) {
    loop {
        let next = waits.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever waits for an answer learns of a panic by not getting any; the hook has told the log.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn everything_given_is_done_and_a_panic_takes_nobody_along() {
        let pool = Pool::start(2, 64).expect("threads");
        let (done, all) = channel();
        for number in 0..60 {
            let done = done.clone();
            let is_taken = pool.give(move || {
                assert!(number % 10 != 0, "a bug");
                done.send(number).expect("somebody waits");
            });
            assert!(is_taken);
        }
        drop((done, pool));
        let mut all: Vec<_> = all.iter().collect();
        all.sort_unstable();
        assert_eq!(all, (0..60).filter(|number| number % 10 != 0).collect::<Vec<_>>());
    }

    #[test]
    fn more_than_may_wait_is_not_taken() {
        let pool = Pool::start(1, 1).expect("threads");
        let (begin, wait) = channel::<()>();
        let (begun, is_busy) = channel();
        let (done, all) = channel();
        let is_taken = pool.give(move || {
            begun.send(()).expect("somebody waits");
            wait.recv().expect("a word");
        });
        is_busy.recv().expect("it began");
        let taken = [0, 1, 2].map(|number| {
            let done = done.clone();
            pool.give(move || done.send(number).expect("somebody waits"))
        });
        assert_eq!((is_taken, taken), (true, [true, false, false]));
        begin.send(()).expect("it waits");
        drop((done, pool));
        assert_eq!(all.iter().collect::<Vec<_>>(), [0]);
    }
}

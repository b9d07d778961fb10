//! How fast bytes go out, over the last seconds.

use super::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Over how many whole seconds is averaged.
const SECONDS: u64 = 4;

/// Bytes counted by the second, and all of them.
#[derive(Default)]
pub struct Pace(Mutex<VecDeque<(u64, u64)>>, AtomicU64);

impl Pace {
    /// So many bytes went out in this second.
    pub fn count(&self, second: u64, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::Relaxed);
        let mut seconds = lock(&self.0);
        match seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum = sum.saturating_add(bytes),
            _ => seconds.push_back((second, bytes)),
        }
        while seconds.len() > 1 && seconds.front().is_some_and(|(first, _)| first + SECONDS < second) {
            seconds.pop_front();
        }
    }

    /// All that went out.
    pub fn total(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    /// Bytes per second, over the seconds before this one.
    pub fn per_second(&self, now: u64) -> u64 {
        let seconds = lock(&self.0);
        let lately = seconds.iter().filter(|(second, _)| *second < now && *second + SECONDS >= now);
        lately.fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes)) / SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_that_stopped_sending_sends_nothing() {
        let pace = Pace::default();
        for second in 100..200 {
            pace.count(second, 300);
            pace.count(second, 700);
        }
        assert_eq!((pace.per_second(200), pace.total()), (1000, 100_000));
        assert_eq!(pace.per_second(202), 500);
        assert_eq!(pace.per_second(300), 0);
        assert!(lock(&pace.0).len() <= SECONDS as usize + 1);
    }
}

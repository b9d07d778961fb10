//! What moves money is done once, however often its form is sent: by a double click, a reload, a connection that broke
//! before the answer came.
//!
//! Forms live as long as their session, which ends with the process, so the keys are kept in memory.

use crate::app::view::ErrorView;
use crate::errors;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// Keys remembered at most; the oldest gives way.
const MAX_KEYS: usize = 1024;
/// The longest key, in bytes.
const MAX_KEY: usize = 64;

/// Where an act that went well leads: an address, and what to say there.
pub type Done = (String, String);

type Outcome = Result<Done, ErrorView>;

struct Entry {
    key: String,
    contents: blake3::Hash,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

/// What was asked for, by its key.
#[derive(Default)]
pub struct Once(Mutex<VecDeque<Entry>>);

impl Once {
    /// Does `act`, or, if something was asked for under this key before, waits for what came of that. An act goes on
    /// when whoever asked for it goes away.
    ///
    /// # Errors
    /// If there is no key, or it was used for other contents; and those of the act.
    pub async fn carry_out(
        &self,
        key: &str,
        contents: blake3::Hash,
        act: impl Future<Output = Outcome> + Send + 'static,
    ) -> Outcome {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(errors::idempotency_key_needed());
        }
        self.outcome(key, contents, act)?.await
    }

    fn outcome(
        &self,
        key: &str,
        contents: blake3::Hash,
        act: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<Shared<BoxFuture<'static, Outcome>>, ErrorView> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(|entry| entry.key == key) {
            let same = entry.contents == contents;
            return same.then(|| entry.outcome.clone()).ok_or_else(errors::idempotency_key_reused);
        }
        let task = tokio::spawn(act);
        let outcome = async move { task.await.unwrap_or_else(|error| Err(errors::internal(error))) };
        let outcome = outcome.boxed().shared();
        if entries.len() >= MAX_KEYS {
            entries.pop_front();
        }
        entries.push_back(Entry { key: key.to_owned(), contents, outcome: outcome.clone() });
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    fn done() -> Outcome {
        Ok(("/wallet".to_owned(), "bought".to_owned()))
    }

    #[tokio::test]
    async fn a_double_click_whose_first_request_is_broken_off_buys_once() {
        let (once, bought, go) = (Once::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let contents = blake3::hash(b"50 coins");
        let buy = || {
            let (bought, go) = (Arc::clone(&bought), Arc::clone(&go));
            async move {
                go.notified().await;
                bought.fetch_add(1, Ordering::Relaxed);
                done()
            }
        };
        // Asked for, and gone before it is answered.
        assert!(once.carry_out("k", contents, buy()).now_or_never().is_none());
        go.notify_one();
        assert_eq!(once.carry_out("k", contents, buy()).await, done());
        assert_eq!(once.carry_out("k", contents, buy()).await, done());
        assert_eq!(bought.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_key_is_for_one_request() {
        let once = Once::default();
        let (five, six) = (blake3::hash(b"5"), blake3::hash(b"6"));
        assert!(once.carry_out("", five, async { done() }).await.is_err_and(|e| e.is("NP-INPUT-008")));
        assert!(once.carry_out("k", five, async { done() }).await.is_ok());
        assert!(once.carry_out("k", six, async { done() }).await.is_err_and(|e| e.is("NP-INPUT-009")));
        for n in 0..2 * MAX_KEYS {
            assert!(once.carry_out(&n.to_string(), five, async { done() }).await.is_ok());
        }
        assert_eq!(once.0.lock().expect("no panic").len(), MAX_KEYS);
    }
}

//! The answer to a commit: a future for async callers, `wait` for the others.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::oneshot;

use super::StoreError;

/// Resolves when the batch is durable and readable. Dropping it does not take the batch back.
#[derive(Debug)]
#[must_use = "nothing may be said about a batch before its commit has resolved"]
pub struct Commit(Answer);

#[derive(Debug)]
enum Answer {
    Known(Option<Result<(), StoreError>>),
    Coming(oneshot::Receiver<Result<(), StoreError>>),
}

impl Commit {
    /// A commit whose answer is known already.
    pub(super) fn known(answer: Result<(), StoreError>) -> Self {
        Self(Answer::Known(Some(answer)))
    }

    /// A commit, and where to send its answer.
    pub(crate) fn pending() -> (oneshot::Sender<Result<(), StoreError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Answer::Coming(receiver)))
    }

    /// The answer where there is nothing to write.
    pub fn nothing() -> Self {
        Self::known(Ok(()))
    }

    /// Whether there was nothing to write, so that nobody need wait.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self.0, Answer::Known(Some(Ok(()))))
    }

    /// The same answer; where the batch failed, `note` is called before anybody is told, and also if nobody waits.
    pub fn on_failure(self, note: impl FnOnce() + Send + 'static) -> Self {
        let (answer, commit) = Self::pending();
        tokio::spawn(async move {
            let outcome = self.await;
            if outcome.is_err() {
                note();
            }
            // Who dropped the commit does not want to know.
            let _ = answer.send(outcome);
        });
        commit
    }

    /// Blocks this thread until the batch is durable. For threads of their own; async callers await instead.
    pub fn wait(self) -> Result<(), StoreError> {
        futures::executor::block_on(self)
    }
}

impl Future for Commit {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Known(answer) => Poll::Ready(answer.take().unwrap_or(Err(StoreError::Closed))),
            // A writer that ends without an answer has closed its store first.
            Answer::Coming(receiver) => {
                Pin::new(receiver).poll(cx).map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
            }
        }
    }
}

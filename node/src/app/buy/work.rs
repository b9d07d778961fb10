//! Work on the disk that goes on in the background while a sale does.

use crate::app::Trouble;
use tokio::task::JoinHandle;

/// At most one piece of work at a time.
pub(super) struct Work<T>(Option<JoinHandle<Result<T, Trouble>>>);

impl<T> Default for Work<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Send + 'static> Work<T> {
    /// Begins work, once what was begun before is done. It may block.
    pub fn begin(&mut self, work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) {
        debug_assert!(self.0.is_none(), "one at a time");
        self.0 = Some(tokio::task::spawn_blocking(work));
    }

    /// Whether nothing goes on.
    pub const fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for what goes on; forever if nothing does. It can be asked again if it was not waited for to the end.
    ///
    /// # Errors
    /// If the work failed.
    pub async fn done(&mut self) -> Result<T, Trouble> {
        let Some(work) = &mut self.0 else { return std::future::pending().await };
        let done = work.await;
        self.0 = None;
        done.map_err(|_| Trouble::Stopping)?
    }

    /// Waits until nothing goes on.
    ///
    /// # Errors
    /// If the work failed.
    pub async fn end(&mut self) -> Result<Option<T>, Trouble> {
        if self.is_idle() { Ok(None) } else { self.done().await.map(Some) }
    }
}

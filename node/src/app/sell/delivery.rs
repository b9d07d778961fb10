//! Units on their way to the buyer: read, and in fair mode put under seal, while the machine goes on deciding.

use crate::app::pipe::Goods;
use crate::app::{Node, Trouble};
use crate::clock;
use netpay_core::session::vendor::BURST;
use tokio::sync::{mpsc, oneshot};

/// Bursts that wait to be read: more than fair mode ever sends ahead, so that payments are heard meanwhile.
pub(super) const MAX_BURSTS: usize = 16;
/// Units read and not sent yet.
const AHEAD: usize = BURST;

/// Units to be sent.
pub(super) struct Burst {
    /// Told when what has to be said before is said.
    pub behind: Option<oneshot::Receiver<()>>,
    /// Gives them.
    pub read: Reading,
}

/// Reads units. Blocks.
pub(super) type Reading = Box<dyn FnOnce() -> Result<Vec<Goods>, Trouble> + Send>;

/// Reads bursts in the background. What cannot be read ends it, and with it the sale.
pub(super) fn start(node: Node) -> (mpsc::Sender<Burst>, mpsc::Receiver<Goods>) {
    let (bursts, to_read) = mpsc::channel(MAX_BURSTS);
    let (to_writer, goods) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(trouble) = deliver(&node, to_read, to_writer).await {
            tracing::warn!(%trouble, "a sale breaks off: what was sold cannot be read");
        }
    });
    (bursts, goods)
}

/// # Errors
/// If a unit cannot be read.
async fn deliver(
    node: &Node,
    mut bursts: mpsc::Receiver<Burst>,
    writer: mpsc::Sender<Goods>,
) -> Result<(), Trouble> {
    while let Some(Burst { behind, read }) = bursts.recv().await {
        if let Some(behind) = behind
            && behind.await.is_err()
        {
            break;
        }
        for unit in tokio::task::spawn_blocking(read).await.map_err(|_| Trouble::Stopping)?? {
            let bytes: usize = unit.iter().map(Vec::len).sum();
            node.0.sales.pace.count(clock::time().0, bytes as u64);
            if writer.send(unit).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

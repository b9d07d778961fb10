//! Long answers, written by a thread and sent as they grow: the journal and backups do not fit in memory.

use axum::body::{Body, Bytes};
use std::io::{self, BufWriter, Write};
use tokio::sync::mpsc;

/// Pieces on their way.
const PIECES: usize = 16;
/// Bytes per piece.
const PIECE: usize = 64 * 1024;

/// A body that `produce` writes. If it fails, the body breaks off, which the receiver notices.
pub fn written(produce: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces(sender.clone()));
        if let Err(error) = produce(&mut out).and_then(|()| out.flush()) {
            tracing::warn!(%error, "a long answer breaks off");
            // Nobody may be there to hear it.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let next = |mut receiver: mpsc::Receiver<io::Result<Bytes>>| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    };
    Body::from_stream(futures::stream::unfold(receiver, next))
}

struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

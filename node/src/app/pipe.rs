//! The two ends of a trade stream: frames in, and steps out in order, durable before said.

use crate::overlay::Stream;
use crate::store::Commit;
use futures::future::Shared;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

/// What the writer carries out, in order.
pub(super) enum Step {
    /// Wait until this is durable.
    Commit(Shared<Commit>),
    /// Send this message.
    Say(Vec<u8>),
    /// Send these, framed already.
    Units(Vec<Vec<u8>>),
}

/// A length-prefixed message, with room for so many raw bytes behind it.
pub(super) fn framed(message: &[u8], room: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(4 + message.len() + room);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(message);
    frame
}

/// Reads one frame of at most `max` bytes.
///
/// # Errors
/// If it is larger, or the stream ends.
pub(super) async fn read_frame(reader: &mut ReadHalf<Stream>, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too large"));
    }
    let mut frame = vec![0; length];
    reader.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Carries steps out in order: nothing behind a commit happens before it is durable.
pub(super) async fn write(mut writer: WriteHalf<Stream>, mut steps: mpsc::Receiver<Step>) {
    while let Some(step) = steps.recv().await {
        let done = match step {
            Step::Commit(commit) => match commit.await {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::error!(%error, "a sale ends: its payments cannot be made durable");
                    // The other side need not wait for what will not come.
                    let _ = writer.shutdown().await;
                    return;
                }
            },
            Step::Say(message) => writer.write_all(&framed(&message, 0)).await,
            Step::Units(frames) => {
                let mut done = Ok(());
                for frame in frames {
                    if done.is_ok() {
                        done = writer.write_all(&frame).await;
                    }
                }
                done
            }
        };
        let flushed = if steps.is_empty() { writer.flush().await } else { Ok(()) };
        if done.and(flushed).is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

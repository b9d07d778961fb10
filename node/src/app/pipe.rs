//! The two ends of a trade stream: frames in, and steps out in order, durable before said; goods go out beside them.

use crate::overlay::Stream;
use crate::store::{Commit, StoreError};
use futures::StreamExt as _;
use futures::future::Shared;
use std::io;
use std::pin::pin;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::sync::{mpsc, oneshot};

/// What the writer carries out, in order.
pub(super) enum Step {
    /// Wait until this is durable.
    Commit(Shared<Commit>),
    /// Send this message.
    Say(Vec<u8>),
    /// Tell that all before is on its way.
    Said(oneshot::Sender<()>),
}

/// A unit as it goes over the line: its pieces, between which nothing is said.
pub(super) type Goods = Vec<Vec<u8>>;

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

/// Carries steps out in order: nothing behind a commit happens before it is durable. Goods rest on none of them, and go out
/// where nothing is to be said.
pub(super) async fn write(
    mut writer: impl AsyncWrite + Unpin,
    steps: mpsc::Receiver<Step>,
    mut goods: mpsc::Receiver<Goods>,
) {
    let mut messages = pin!(messages(steps).fuse());
    loop {
        let done = tokio::select! {
            biased;
            Some(message) = messages.next() => match message {
                Ok(message) => send(&mut writer, vec![framed(&message, 0)], true).await,
                Err(error) => {
                    tracing::error!(%error, "a sale ends: its payments cannot be made durable");
                    // The other side need not wait for what will not come.
                    break;
                }
            },
            Some(unit) = goods.recv() => send(&mut writer, unit, goods.is_empty()).await,
            else => break,
        };
        if done.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

/// The messages among the steps, each once everything before it is durable and said.
fn messages(steps: mpsc::Receiver<Step>) -> impl futures::Stream<Item = Result<Vec<u8>, StoreError>> {
    futures::stream::unfold(steps, async |mut steps| {
        loop {
            match steps.recv().await? {
                Step::Commit(commit) => {
                    if let Err(error) = commit.await {
                        return Some((Err(error), steps));
                    }
                }
                Step::Say(message) => return Some((Ok(message), steps)),
                // Whoever does not listen any more needs not be told.
                Step::Said(told) => drop(told.send(())),
            }
        }
    })
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), pieces: Vec<Vec<u8>>, is_last: bool) -> io::Result<()> {
    for piece in pieces {
        writer.write_all(&piece).await?;
    }
    if is_last { writer.flush().await } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    fn unit(bytes: &[u8]) -> Goods {
        vec![bytes[..1].to_vec(), bytes[1..].to_vec()]
    }

    type Line = (mpsc::Sender<Step>, mpsc::Sender<Goods>, DuplexStream, JoinHandle<()>);

    /// A writer, what it is given, and the other end of its line.
    fn line() -> Line {
        let (line, other) = tokio::io::duplex(64);
        let ((steps, to_do), (goods, to_send)) = (mpsc::channel(8), mpsc::channel(8));
        (steps, goods, other, tokio::spawn(write(line, to_do, to_send)))
    }

    async fn heard(line: &mut (impl AsyncReadExt + Unpin), many: usize) -> Vec<u8> {
        let mut bytes = vec![0; many];
        line.read_exact(&mut bytes).await.expect("said");
        bytes
    }

    #[tokio::test]
    async fn goods_go_out_while_a_message_waits_and_never_between_their_pieces() {
        let (steps, goods, mut other, writer) = line();
        let (durable, commit) = Commit::pending();
        let (tell, mut told) = oneshot::channel();
        for step in [Step::Commit(commit.shared()), Step::Say(b"key".to_vec()), Step::Said(tell)] {
            steps.send(step).await.expect("taken");
        }
        goods.send(unit(b"one")).await.expect("taken");
        assert_eq!(heard(&mut other, 3).await, b"one");
        assert!(told.try_recv().is_err(), "nothing was said before it was durable");
        durable.send(Ok(())).expect("awaited");
        assert_eq!(heard(&mut other, 7).await, b"\x03\0\0\0key");
        told.await.expect("it was said");
        // What is on its way when the sale is over still goes out.
        drop(steps);
        goods.send(unit(b"two")).await.expect("taken");
        drop(goods);
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.expect("it ends");
        assert_eq!(rest, b"two");
        writer.await.expect("it ended");
    }

    #[tokio::test]
    async fn what_does_not_become_durable_ends_the_line() {
        let (steps, _goods, mut other, writer) = line();
        let (durable, commit) = Commit::pending();
        for step in [Step::Commit(commit.shared()), Step::Say(b"key".to_vec())] {
            steps.send(step).await.expect("taken");
        }
        durable.send(Err(StoreError::Closed)).expect("awaited");
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.expect("it ends");
        assert!(rest.is_empty());
        writer.await.expect("it ended");
    }
}

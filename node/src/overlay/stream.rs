//! A stream between two nodes, and frames on it: a length of 4 bytes, little-endian, and that many bytes.

use super::serve::Slot;
use libp2p::core::upgrade::NegotiationError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

/// How many bytes wait in a stream to oneself, in bytes.
const LOCAL_BUFFER: usize = 256 * 1024;

/// A stream of bytes both ways. Dropping it without [`shutdown`](tokio::io::AsyncWriteExt::shutdown) resets it.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    /// Whether the other side speaks the protocol, once a read told. What the library leaves of a stream whose peer never
    /// agreed to it panics when it is used again.
    is_agreed: Option<bool>,
    /// The place this stream takes among those that its peer has open here.
    _slot: Option<Slot>,
}

#[derive(Debug)]
enum Io {
    Remote(Compat<libp2p::Stream>),
    Local(DuplexStream),
}

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is larger than its protocol allows.
    #[error("a frame of {0} bytes is too large")]
    TooLarge(usize),
    /// The other side does not speak the protocol: with lazy negotiation the first read tells.
    #[error("the peer does not speak this protocol")]
    Unsupported,
    /// The stream ended.
    #[error("the stream was closed: {0}")]
    Closed(io::Error),
}

impl Stream {
    pub(super) fn remote(stream: libp2p::Stream, slot: Option<Slot>) -> Self {
        Self { io: Io::Remote(stream.compat()), is_agreed: None, _slot: slot }
    }

    /// Two ends of a stream within this node.
    pub(super) fn pair(slot: Option<Slot>) -> (Self, Self) {
        let (a, b) = tokio::io::duplex(LOCAL_BUFFER);
        let end = |io, slot| Self { io: Io::Local(io), is_agreed: Some(true), _slot: slot };
        (end(a, None), end(b, slot))
    }

    /// Reads one frame of at most `max` bytes.
    ///
    /// # Errors
    /// If the frame is larger, the peer does not speak the protocol, or the stream ends.
    pub async fn read_frame(&mut self, max: usize) -> Result<Vec<u8>, FrameError> {
        let mut length = [0; 4];
        self.read_exact(&mut length).await.map_err(FrameError::from)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > max {
            return Err(FrameError::TooLarge(length));
        }
        let mut frame = vec![0; length];
        self.read_exact(&mut frame).await.map_err(FrameError::from)?;
        Ok(frame)
    }

    /// Writes one frame of at most `max` bytes and flushes it.
    ///
    /// # Errors
    /// If it is larger, or the stream has ended.
    pub async fn write_frame(&mut self, frame: &[u8], max: usize) -> Result<(), FrameError> {
        let length = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= max);
        let length = length.ok_or(FrameError::TooLarge(frame.len()))?;
        let mut bytes = Vec::with_capacity(4 + frame.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(frame);
        self.write_all(&bytes).await.map_err(FrameError::from)?;
        self.flush().await.map_err(FrameError::from)
    }

    /// Its two directions, unless the other side never agreed to it.
    fn io(self: Pin<&mut Self>) -> io::Result<&mut Io> {
        let this = self.get_mut();
        if this.is_agreed == Some(false) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(&mut this.io) }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        let negotiation = error.get_ref().and_then(|inner| inner.downcast_ref::<NegotiationError>());
        match negotiation {
            Some(NegotiationError::Failed) => Self::Unsupported,
            Some(NegotiationError::ProtocolError(_)) | None => Self::Closed(error),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match self.as_mut().io()? {
            Io::Remote(io) => Pin::new(io).poll_read(cx, buf),
            Io::Local(io) => Pin::new(io).poll_read(cx, buf),
        };
        if let Poll::Ready(read) = &read {
            self.is_agreed.get_or_insert(read.is_ok());
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.io()? {
            Io::Remote(io) => Pin::new(io).poll_write(cx, buf),
            Io::Local(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io()? {
            Io::Remote(io) => Pin::new(io).poll_flush(cx),
            Io::Local(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io()? {
            Io::Remote(io) => Pin::new(io).poll_shutdown(cx),
            Io::Local(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

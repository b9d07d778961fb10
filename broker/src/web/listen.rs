//! Opening a door: a listener, and what is served there until the broker stops. Strangers hold so many lines at most, and
//! none of them for long in silence: the bank's own node needs them too.

use crate::errors::{self, ErrorView};
use axum::Router;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until};

/// Lines at one door at once; whoever comes then waits at the system's own queue.
const MAX_LINES: usize = 256;
/// How long a stranger's line may be silent.
pub const STRANGERS: Duration = Duration::from_secs(60);
/// How long the operator's may: a large journal is proven meanwhile.
pub const OPERATORS: Duration = Duration::from_secs(3600);

/// An address that is listened on.
pub struct Door {
    /// Which.
    pub address: SocketAddr,
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

/// Listens on an address, where lines may be silent for so long; nobody is answered yet.
///
/// # Errors
/// If it cannot.
pub async fn open(address: SocketAddr, silence: Duration) -> Result<Door, ErrorView> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| errors::cannot_listen(format!("{address}: {error}")))?;
    let address = listener.local_addr().map_err(errors::cannot_listen)?;
    Ok(Door { address, listener, places: Arc::new(Semaphore::new(MAX_LINES)), silence })
}

impl Door {
    /// Answers until told to stop.
    #[must_use]
    pub fn serve(self, router: Router, mut stopping: watch::Receiver<bool>) -> JoinHandle<()> {
        let address = self.address;
        tokio::spawn(async move {
            let until = async move {
                // A sender that is gone means the same.
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(self, router).with_graceful_shutdown(until).await {
                tracing::error!(%error, %address, "nobody is answered there any more");
            }
        })
    }
}

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                // Nobody closes it; if somebody did, nobody would be let in.
                std::future::pending::<()>().await;
                continue;
            };
            // As axum's own listener does, which waits where the system has nothing left.
            let (stream, from) = Listener::accept(&mut self.listener).await;
            let ends = Box::pin(sleep_until(Instant::now() + self.silence));
            return (Line { stream, ends, silence: self.silence, _place: place }, from);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, in its place.
pub struct Line {
    stream: TcpStream,
    ends: Pin<Box<Sleep>>,
    silence: Duration,
    _place: OwnedSemaphorePermit,
}

impl Line {
    /// Something happened on it.
    fn heard(&mut self) {
        self.ends.as_mut().reset(Instant::now() + self.silence);
    }

    /// What a poll that waits comes to: an end, once it was silent for too long.
    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.ends.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Ready(read) => {
                self.heard();
                Poll::Ready(read)
            }
            Poll::Pending => self.waits(context),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(written) => {
                self.heard();
                Poll::Ready(written)
            }
            Poll::Pending => self.waits(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn door(places: usize, silence: Duration) -> (SocketAddr, watch::Sender<bool>) {
        let opened = open("127.0.0.1:0".parse().expect("an address"), silence).await.expect("a port");
        let address = opened.address;
        let (stop, stopping) = watch::channel(false);
        let bounded = Door { places: Arc::new(Semaphore::new(places)), ..opened };
        drop(bounded.serve(Router::new().route("/", get(|| async { "here" })), stopping));
        (address, stop)
    }

    async fn asks(line: &mut TcpStream) {
        line.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    }

    #[tokio::test]
    async fn whoever_holds_a_line_in_silence_loses_it_to_whoever_waits() {
        let (address, _stop) = door(1, Duration::from_millis(50)).await;
        let mut silent = TcpStream::connect(address).await.expect("connected");
        let mut waits = TcpStream::connect(address).await.expect("connected, and waiting");
        asks(&mut waits).await;
        let mut answer = [0; 12];
        waits.read_exact(&mut answer).await.expect("an answer, once the place is free");
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut rest = Vec::new();
        // An end or a broken line: it is no longer held either way.
        let _ = silent.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}

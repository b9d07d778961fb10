//! Opening a door: a listener, and what is served there until the broker stops.

use crate::errors::{self, ErrorView};
use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An address that is listened on.
pub struct Door {
    /// Which.
    pub address: SocketAddr,
    listener: TcpListener,
}

/// Listens on an address; nobody is answered yet.
///
/// # Errors
/// If it cannot.
pub async fn open(address: SocketAddr) -> Result<Door, ErrorView> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| errors::cannot_listen(format!("{address}: {error}")))?;
    let address = listener.local_addr().map_err(errors::cannot_listen)?;
    Ok(Door { address, listener })
}

impl Door {
    /// Answers until told to stop.
    #[must_use]
    pub fn serve(self, router: Router, mut stopping: watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let until = async move {
                // A sender that is gone means the same.
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(self.listener, router).with_graceful_shutdown(until).await {
                tracing::error!(%error, address = %self.address, "nobody is answered there any more");
            }
        })
    }
}

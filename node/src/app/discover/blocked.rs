//! Peers that this one has nothing to do with, because a person said so: no connection, no search result, no sale.

use crate::app::view::PeerView;
use crate::app::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Batch, Db, StoreError, Table};
use netpay_core::keys::PublicKey;
use std::collections::BTreeSet;
use std::sync::Mutex;

const BLOCKED: Table = Table::new("blocked-peers");
/// Peers blocked at most.
pub const MAX_BLOCKED: usize = 4096;

/// The blocked peers.
pub struct Blocked(Mutex<BTreeSet<PublicKey>>);

impl Blocked {
    /// Those that were blocked before the last stop.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(db: &Db) -> Result<Self, StoreError> {
        let rows = db.scan(BLOCKED, &[], None, MAX_BLOCKED)?;
        let peers = rows.into_iter().filter_map(|(key, _)| key.try_into().ok()).map(PublicKey);
        Ok(Self(Mutex::new(peers.collect())))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<PublicKey> {
        lock(&self.0).iter().copied().collect()
    }
}

impl Node {
    /// Has nothing to do with a peer from now on, after a restart too: its connections are closed. The peer is named
    /// as for [`Node::browse`]. The same again changes nothing.
    ///
    /// # Errors
    /// If there is no such peer, it is this one or the broker, or too many are blocked; or the store fails.
    pub async fn block(&self, peer: String) -> Result<PeerView, Trouble> {
        let node = self.peer_named(peer.trim()).await?;
        if node == self.me() || node == self.broker_node() {
            return Err(Trouble::bad(
                "peer to block",
                peer,
                "neither this peer itself nor its broker can be",
            ));
        }
        if self.0.blocked.all().len() >= MAX_BLOCKED {
            return Err(Trouble::bad(
                "peer to block",
                peer,
                "4096 are blocked already; unblock one that is long gone",
            ));
        }
        let mut batch = Batch::new();
        batch.put(BLOCKED, node.0, clock::time().0.to_be_bytes());
        self.db().commit(batch).await?;
        lock(&self.0.blocked.0).insert(node);
        self.overlay().block(node).await;
        Ok(self.peer_view(node, None))
    }

    /// Takes a block back. The same again changes nothing.
    ///
    /// # Errors
    /// If there is no such peer, or the store fails.
    pub async fn unblock(&self, peer: String) -> Result<PeerView, Trouble> {
        let node = self.peer_named(peer.trim()).await?;
        let mut batch = Batch::new();
        batch.delete(BLOCKED, node.0);
        self.db().commit(batch).await?;
        lock(&self.0.blocked.0).remove(&node);
        self.overlay().unblock(node).await;
        Ok(self.peer_view(node, None))
    }

    pub(in crate::app) fn is_blocked(&self, peer: &PublicKey) -> bool {
        lock(&self.0.blocked.0).contains(peer)
    }

    /// Whether nothing is bought from a peer: a person blocked it, or it is a member no more.
    pub(in crate::app) fn is_shunned(&self, peer: &PublicKey) -> bool {
        self.is_blocked(peer) || self.is_expelled(peer)
    }
}

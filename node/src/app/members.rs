//! Who is a member: the broker's word for it, which runs out, and its list of those whose word it takes back before.
//!
//! The list is passed on from peer to peer. Whoever says hello tells the number of the newest one that it knows, and
//! is shown a newer one by whoever has it; the broker shows it to all that are connected there.

use super::{FACTS, Node, lock};
use crate::overlay::Protocol;
use crate::store::{Batch, Db, StoreError};
use netpay_core::codec::{self, List};
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::revoke::Revocations;
use netpay_core::record::witness::WhyRefused;
use netpay_core::time::Time;
use netpay_core::wire::hello::Membership;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

const REVOKED: &[u8] = b"revoked";
/// How long a peer is waited for that is shown the list.
const SHOW_WITHIN: Duration = Duration::from_secs(5);
/// Peers that are shown one list by this node, at most; the others hear of it from others.
const MAX_SHOWN: usize = 1024;

/// Who is a member no more.
pub struct Expelled {
    state: Mutex<State>,
    /// Told when this node was expelled, or let in again.
    own: Notify,
}

#[derive(Default)]
struct State {
    list: Option<Signed<Revocations>>,
    /// The same nodes, to be looked up.
    nodes: BTreeSet<PublicKey>,
    /// To whom the list was shown.
    shown: BTreeSet<PublicKey>,
    /// Whether the list is on the disk.
    durable: bool,
}

impl State {
    fn of(list: Option<Signed<Revocations>>) -> Self {
        let nodes = list.iter().flat_map(|list| list.nodes.iter().copied()).collect();
        Self { list, nodes, ..Self::default() }
    }

    fn number(&self) -> u64 {
        self.list.as_ref().map_or(0, |list| list.number)
    }
}

impl Expelled {
    /// The list that the last run knew.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn open(db: &Db, network: &NetworkId, broker: &PublicKey) -> Result<Self, StoreError> {
        let row = db.get(FACTS, REVOKED)?;
        let list = row.and_then(|row| codec::decode::<Unverified<Revocations>>(&row).ok());
        let list = list.and_then(|list| list.verify(network, broker).ok());
        Ok(Self { state: Mutex::new(State { durable: true, ..State::of(list) }), own: Notify::new() })
    }

    /// Resolves when this node was expelled, or let in again, since this was asked last.
    pub(super) async fn own_changed(&self) {
        self.own.notified().await;
    }
}

impl Node {
    /// The number of the newest list of revocations known here; 0 for none.
    pub(super) fn newest_revocations(&self) -> u64 {
        lock(&self.0.expelled.state).number()
    }

    /// Whether a node is a member no more, whatever it shows.
    pub(super) fn is_expelled(&self, node: &PublicKey) -> bool {
        lock(&self.0.expelled.state).nodes.contains(node)
    }

    /// What the broker says of a node, if it does and that still holds.
    pub(super) fn believe_member(
        &self,
        membership: &Unverified<Membership>,
        now: Time,
    ) -> Option<Membership> {
        let broker = self.broker_key();
        let membership = membership.clone().verify(&self.network(), &broker).ok()?;
        let holds = membership.broker == broker && membership.expires > now;
        (holds && !self.is_expelled(&membership.node)).then(|| membership.value().clone())
    }

    /// Takes a list of revocations, if it is newer than the one that is known; what is taken is durable.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn take_revocations(
        &self,
        list: Unverified<Revocations>,
    ) -> Result<RecordReply, StoreError> {
        let Ok(list) = list.verify(&self.network(), &self.broker_key()) else {
            return Ok(RecordReply::Refused(WhyRefused::Bad));
        };
        let (number, was_expelled) = (list.number, self.is_expelled(&self.me()));
        let commit = {
            let mut state = lock(&self.0.expelled.state);
            let known = state.number() > number || state.number() == number && state.durable;
            (!known).then(|| {
                let mut batch = Batch::new();
                batch.put(FACTS, REVOKED, codec::encode(&list.wire()));
                *state = State::of(Some(list));
                // Handed over while held, so that rows reach the disk in the order of the lists.
                self.db().commit(batch)
            })
        };
        if let Some(commit) = commit {
            commit.await?;
            if self.is_expelled(&self.me()) != was_expelled {
                self.0.expelled.own.notify_one();
            }
            let mut state = lock(&self.0.expelled.state);
            state.durable |= state.number() == number;
        }
        Ok(RecordReply::Accepted { acks: List::new() })
    }

    /// Shows the newest list to a peer that said it knows none newer than `number`, in the background.
    pub(super) fn show_revocations(&self, to: PublicKey, number: u64) {
        let list = {
            let mut state = lock(&self.0.expelled.state);
            if number >= state.number() || state.shown.len() >= MAX_SHOWN || !state.shown.insert(to) {
                return;
            }
            state.list.as_ref().map(Signed::wire)
        };
        let Some(list) = list else { return };
        let node = self.clone();
        tokio::spawn(async move {
            let request = codec::encode(&RecordRequest::Revoked(list));
            if let Err(error) = node.overlay().request(to, Protocol::Record, request, SHOW_WITHIN).await {
                tracing::debug!(%to, %error, "the list of revocations was not shown");
                lock(&node.0.expelled.state).shown.remove(&to);
            }
        });
    }
}

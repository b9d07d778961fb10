//! What a conviction or an expulsion means from then on. Nothing new is opened of a convicted buyer's chains, of which
//! their committees are told; whoever was convicted is picked for no committee; and peers are told who is a member no more.

use crate::service::Bank;
use futures::StreamExt as _;
use netpay_core::codec;
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, SecretKey, Unverified};
use netpay_core::record::freeze::Freeze;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_node::overlay::{Event, NodeKey, Overlay, Protocol};
use netpay_node::witness::Witness;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// How long one peer is waited for; it is told again at the next round.
const WITHIN: Duration = Duration::from_secs(5);
/// Peers told at the same time.
const AT_ONCE: usize = 16;

/// Who tells them.
pub struct Freezer {
    /// Whose books say what is to be frozen.
    pub bank: Bank,
    /// How peers are reached.
    pub overlay: Overlay,
    /// The broker's own, where it is the witness.
    pub witness: Arc<Witness>,
    /// Signs.
    pub signing: SecretKey,
}

/// Who knows what already.
#[derive(Default)]
struct Told {
    /// The witnesses that know that a chain is frozen.
    frozen: BTreeMap<ChainId, BTreeSet<PublicKey>>,
    /// The peers, connected at the last round, that know this list of revocations.
    revoked: (u64, BTreeSet<NodeKey>),
}

impl Freezer {
    /// Tells peers as soon as somebody is convicted or expelled, and those that were away again, until told to stop.
    pub async fn run(self, every: Duration, mut stopping: watch::Receiver<bool>) {
        let mut told = Told::default();
        let mut events = self.overlay.events();
        loop {
            if let Err(reject) = self.bank.renew_revocations().await {
                tracing::warn!(why = &*reject.why, "the list of revocations was not renewed");
            }
            self.freeze(&mut told.frozen).await;
            let connected = self.overlay.connected().into_iter().map(|peer| peer.node).collect();
            self.revoke(connected, &mut told.revoked).await;
            let next = tokio::time::Instant::now() + every;
            loop {
                tokio::select! {
                    () = self.bank.members_changed() => break,
                    () = tokio::time::sleep_until(next) => break,
                    event = events.recv() => match event {
                        Ok(Event::Connected(peer)) => {
                            self.revoke(BTreeSet::from([peer]), &mut told.revoked).await;
                        }
                        Ok(Event::Disconnected(_) | Event::Learned { .. }) => {}
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return,
                    },
                    _ = stopping.changed() => return,
                }
            }
        }
    }

    /// One round over all chains that are to be frozen and the witnesses that have not said yet that they know.
    async fn freeze(&self, told: &mut BTreeMap<ChainId, BTreeSet<PublicKey>>) {
        let Ok(frozen) = self.bank.look(|ledger| ledger.frozen_chains()).await else { return };
        told.retain(|chain, _| frozen.contains_key(chain));
        let mut round = Vec::new();
        for (chain, facts) in frozen {
            let know = told.entry(chain).or_default();
            let rest = facts.touchstone.committee.iter().filter(|seat| !know.contains(seat));
            round.extend(rest.map(|seat| (chain, *seat, facts.wire().clone())));
        }
        let mut answers = futures::stream::iter(round)
            .map(async |(chain, witness, touchstone)| {
                (chain, witness, self.freeze_at(chain, witness, touchstone).await)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((chain, witness, knows)) = answers.next().await {
            if knows {
                told.entry(chain).or_default().insert(witness);
            }
        }
    }

    async fn freeze_at(
        &self,
        chain: ChainId,
        witness: PublicKey,
        touchstone: Unverified<Touchstone>,
    ) -> bool {
        let freeze = self.signing.sign(&self.bank.network(), Freeze { chain, at: self.bank.now() }).wire();
        if witness == self.overlay.me() {
            let reply = self.witness.freeze(touchstone, freeze).await;
            return matches!(reply, Ok(RecordReply::Accepted { .. }));
        }
        self.is_accepted(witness, &RecordRequest::Freeze { touchstone, freeze }).await
    }

    /// Shows the newest list of revocations to those of some peers that have not said yet that they know it. They pass it
    /// on to whoever is not connected here.
    async fn revoke(&self, peers: BTreeSet<NodeKey>, told: &mut (u64, BTreeSet<NodeKey>)) {
        let Some(list) = self.bank.revocations() else { return };
        if told.0 != list.number {
            *told = (list.number, BTreeSet::new());
        }
        // Who has gone may come back without it.
        told.1.retain(|peer| self.overlay.is_connected(peer));
        let request = RecordRequest::Revoked(list.wire());
        let mut answers = futures::stream::iter(peers.difference(&told.1).copied().collect::<Vec<_>>())
            .map(async |peer| (peer, self.is_accepted(peer, &request).await))
            .buffer_unordered(AT_ONCE);
        while let Some((peer, knows)) = answers.next().await {
            if knows {
                told.1.insert(peer);
            }
        }
    }

    async fn is_accepted(&self, peer: NodeKey, request: &RecordRequest) -> bool {
        let reply = self.overlay.request(peer, Protocol::Record, codec::encode(request), WITHIN).await;
        let reply = reply.ok().and_then(|frame| codec::decode(&frame).ok());
        matches!(reply, Some(RecordReply::Accepted { .. }))
    }
}

//! What a conviction means from then on: nothing new is opened of the buyer's chains, of which their committees are told,
//! and whoever was convicted is picked for no committee.

use crate::service::Bank;
use futures::StreamExt as _;
use netpay_core::codec;
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, SecretKey, Unverified};
use netpay_core::record::freeze::Freeze;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_node::overlay::{Overlay, Protocol};
use netpay_node::witness::Witness;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long one witness is waited for; it is told again at the next round.
const WITHIN: Duration = Duration::from_secs(5);
/// Witnesses told at the same time.
const AT_ONCE: usize = 16;

/// Who tells them.
pub struct Freezer {
    /// Whose books say what is to be frozen.
    pub bank: Bank,
    /// How witnesses are reached.
    pub overlay: Overlay,
    /// The broker's own, where it is the witness.
    pub witness: Arc<Witness>,
    /// Signs.
    pub signing: SecretKey,
}

impl Freezer {
    /// Tells witnesses as soon as somebody is convicted, and those that were away again, until told to stop.
    pub async fn run(self, every: Duration, mut stopping: watch::Receiver<bool>) {
        let mut told = BTreeMap::new();
        loop {
            self.tell(&mut told).await;
            tokio::select! {
                () = self.bank.convicted() => {}
                () = tokio::time::sleep(every) => {}
                _ = stopping.changed() => return,
            }
        }
    }

    /// Bars whoever was convicted; then one round over all chains that are to be frozen and the witnesses that have not
    /// said yet that they know.
    async fn tell(&self, told: &mut BTreeMap<ChainId, BTreeSet<PublicKey>>) {
        let look = self.bank.look(|ledger| (ledger.frozen_chains(), ledger.barred())).await;
        let Ok((frozen, barred)) = look else { return };
        self.bank.roster().bar(barred);
        told.retain(|chain, _| frozen.contains_key(chain));
        let mut round = Vec::new();
        for (chain, facts) in frozen {
            let know = told.entry(chain).or_default();
            let rest = facts.touchstone.committee.iter().filter(|seat| !know.contains(seat));
            round.extend(rest.map(|seat| (chain, *seat, facts.wire().clone())));
        }
        let mut answers = futures::stream::iter(round)
            .map(async |(chain, witness, touchstone)| {
                (chain, witness, self.tell_one(chain, witness, touchstone).await)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((chain, witness, knows)) = answers.next().await {
            if knows {
                told.entry(chain).or_default().insert(witness);
            }
        }
    }

    async fn tell_one(&self, chain: ChainId, witness: PublicKey, touchstone: Unverified<Touchstone>) -> bool {
        let freeze = self.signing.sign(&self.bank.network(), Freeze { chain, at: self.bank.now() }).wire();
        let reply = if witness == self.overlay.me() {
            self.witness.freeze(touchstone, freeze).await.ok()
        } else {
            let request = codec::encode(&RecordRequest::Freeze { touchstone, freeze });
            let reply = self.overlay.request(witness, Protocol::Record, request, WITHIN).await;
            reply.ok().and_then(|frame| codec::decode(&frame).ok())
        };
        matches!(reply, Some(RecordReply::Accepted { .. }))
    }
}

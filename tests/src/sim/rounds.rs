//! Rounds of certifying: a chain is shown to its committee, and the answers are gathered, as the node does it.

use super::scene::{Actor, Alarm, Message, Put, Scene};
use netpay_core::id::ChainId;
use netpay_core::record::chain::Certificate;
use netpay_core::session::certify::{Certify, Step};
use netpay_core::wire::record::RecordReply;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long witnesses are waited for, in milliseconds.
pub const WITNESS_TIMEOUT: u64 = 3_000;
/// The most rounds one peer has under way; more wait for the next sweep.
const MAX_ROUNDS: usize = 64;

/// One of them.
#[derive(Debug)]
struct Round {
    chain: ChainId,
    certify: Certify,
}

/// Those that one peer has under way. A crash forgets them.
#[derive(Debug, Default)]
pub struct Rounds {
    under_way: BTreeMap<u64, Round>,
}

impl Rounds {
    /// Shows a chain to its whole committee. `number` is one the peer never used before.
    pub fn begin(&mut self, number: u64, chain: ChainId, put: Put, scene: &mut Scene<'_>) {
        let Some(sold) = scene.town.chains.get(&chain).filter(|_| self.under_way.len() < MAX_ROUNDS) else {
            return;
        };
        let want: Vec<_> = put.want.iter().copied().collect();
        let certify = Certify::new(scene.town.network, sold.touchstone.clone(), want);
        self.under_way.insert(number, Round { chain, certify });
        let put = Arc::new(put);
        for peer in &sold.seats {
            scene.send(Actor::Witness(*peer), Message::Put(number, Arc::clone(&put)));
        }
        scene.wake(Alarm::Round(number), WITNESS_TIMEOUT);
    }

    /// Takes a witness's answer: what it leads to, of which chain, and whether the round is done with it.
    pub fn heard(
        &mut self,
        number: u64,
        from: Actor,
        reply: RecordReply,
        scene: &mut Scene<'_>,
    ) -> Option<(ChainId, Step, bool)> {
        let round = self.under_way.get_mut(&number)?;
        let Actor::Witness(peer) = from else { return None };
        let seat = scene.town.chains.get(&round.chain)?.seats.iter().position(|seat| *seat == peer)?;
        let seat = u8::try_from(seat).ok()?;
        if let RecordReply::Accepted { acks } | RecordReply::Partly { acks, .. } = &reply {
            scene.oracle.acks(scene.town, round.chain, seat, acks);
        }
        let step = round.certify.heard(seat, reply, &scene.town.broker);
        let (chain, done) = (round.chain, round.certify.is_done());
        if done {
            self.under_way.remove(&number);
        }
        Some((chain, step, done))
    }

    /// Ends a round that has waited long enough; what acks it has are still worth something.
    pub fn end(&mut self, number: u64) -> Option<(ChainId, Vec<Certificate>)> {
        let round = self.under_way.remove(&number)?;
        Some((round.chain, round.certify.acks().collect()))
    }
}

//! A witness: what the node keeps of chains and answers, driven as the node drives it; and the ways not to.

use super::dice::Dice;
use super::scene::{Actor, Message, Put, Scene};
use super::town::{BEGIN, PeerNo, Town};
use netpay_core::codec::{self, List};
use netpay_core::id::ChainId;
use netpay_core::record::chain::{self as record, Ack, ChainRecord};
use netpay_core::record::witness::{Bench, Kept, Verdict, WhyRefused, judge};
use netpay_core::wire::record::{RecordReply, Shown};
use std::collections::BTreeMap;

/// How a witness behaves where its friends have nothing to win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Honest,
    /// It acks whatever it is shown, two Opens of one number too, and shows nothing.
    AcksAll,
    /// It answers nothing.
    Silent,
    /// It answers with the first state of the chain that it saw, whatever comes.
    Stale,
}

/// One peer's memory of the chains it witnesses. It is on its disk alone: a crash takes nothing.
#[derive(Debug)]
pub struct WitnessPeer {
    peer: PeerNo,
    habit: Habit,
    disk: BTreeMap<ChainId, Vec<u8>>,
    first: BTreeMap<ChainId, ChainRecord>,
}

impl WitnessPeer {
    /// The witness at a peer.
    pub fn new(peer: PeerNo, town: &Town, dice: &mut Dice) -> Self {
        let bad = [Habit::AcksAll, Habit::Silent, Habit::Stale];
        let habit = match town.peers[peer].honest {
            true => Habit::Honest,
            false => dice.one_of(&bad).unwrap_or(Habit::AcksAll),
        };
        Self { peer, habit, disk: BTreeMap::new(), first: BTreeMap::new() }
    }

    /// Answers.
    pub fn hear(&mut self, from: Actor, message: Message, scene: &mut Scene<'_>) {
        let (number, reply) = match message {
            Message::Put(number, put) => (number, self.put(&put, scene)),
            Message::Get(number, chain) => (number, self.show(chain)),
            _ => return,
        };
        if let Some(reply) = reply
            && !scene.crashes()
        {
            scene.send(from, Message::Answer(number, Box::new(reply)));
        }
    }

    /// All that lie are in league: whatever a double spender among them needs is acked.
    fn habit_for(&self, chain: &ChainId, scene: &Scene<'_>) -> Habit {
        let helps = self.habit != Habit::Honest && !scene.town.is_honest(chain);
        if helps { Habit::AcksAll } else { self.habit }
    }

    fn put(&mut self, put: &Put, scene: &mut Scene<'_>) -> Option<RecordReply> {
        let chain = ChainId::of(put.record.touchstone.hash(&scene.town.network));
        match self.habit_for(&chain, scene) {
            Habit::Honest => self.put_honestly(chain, put, scene),
            Habit::AcksAll => {
                let key = &scene.town.peers[self.peer].key;
                let ack = |object| (object, Ack { chain, object }.sign(&scene.town.network, key));
                Some(RecordReply::Accepted { acks: List::first_of(put.want.iter().copied().map(ack)) })
            }
            Habit::Silent => None,
            Habit::Stale => {
                let first = self.first.entry(chain).or_insert_with(|| put.record.clone());
                Some(RecordReply::Stale(first.clone()))
            }
        }
    }

    /// As `Witness::put` of the node: believe, judge, keep, and only then sign.
    fn put_honestly(&mut self, chain: ChainId, put: &Put, scene: &mut Scene<'_>) -> Option<RecordReply> {
        scene.oracle.is_used(scene.now, scene.town, &put.record);
        let kept = self.kept(&chain);
        let believed = kept.as_ref().map(Kept::believed).unwrap_or_default();
        let (network, broker) = (&scene.town.network, &scene.town.broker);
        let Ok(line) = record::verify_again(put.record.clone(), network, broker, &believed) else {
            return Some(RecordReply::Refused(WhyRefused::Bad));
        };
        let peer = &scene.town.peers[self.peer];
        let bench = Bench { network, me: &peer.node, birth: BEGIN, now: scene.time() };
        let (next, verdict) = judge(kept.as_ref(), &line, &put.closes, bench);
        if scene.crashes() {
            return None;
        }
        if let Some(next) = &next {
            self.disk.insert(chain, codec::encode(next));
        }
        if let Verdict::Conflict(evidence) = &verdict {
            scene.oracle.holds_evidence(scene.now, scene.town, evidence);
        }
        let ack = |object| Ack { chain, object }.sign(network, &peer.key);
        Some(RecordReply::to_put(verdict, next.or(kept).as_ref(), &put.want, ack))
    }

    /// As `Witness::show` of the node, without the acks, which no reader here asks for.
    fn show(&self, chain: ChainId) -> Option<RecordReply> {
        let shown = match self.habit {
            Habit::Honest => self.kept(&chain).map(|kept| Shown {
                record: kept.record(),
                acks: List::new(),
                evidence: kept.evidence().cloned(),
                frozen: kept.is_frozen(),
            }),
            Habit::Silent => return None,
            Habit::AcksAll => None,
            Habit::Stale => self.first.get(&chain).map(|record| Shown {
                record: record.clone(),
                acks: List::new(),
                evidence: None,
                frozen: false,
            }),
        };
        Some(RecordReply::Chain(shown))
    }

    fn kept(&self, chain: &ChainId) -> Option<Kept> {
        self.disk.get(chain).map(|row| codec::decode(row).expect("a row of its own"))
    }
}

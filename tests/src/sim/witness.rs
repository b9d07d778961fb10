//! A witness: what the node keeps of chains and answers, driven as the node drives it; and the ways not to.

use super::dice::Dice;
use super::disk::Disk;
use super::scene::{Actor, Message, Put, Scene};
use super::town::{BEGIN, PeerNo, Town};
use netpay_core::codec::{self, List};
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::id::ChainId;
use netpay_core::keys::Unverified;
use netpay_core::record::chain::{Ack, ChainRecord};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::witness::{self, Bench, Kept, Verdict, WhyRefused, judge};
use netpay_core::wire::record::{RecordReply, Shown};
use std::collections::{BTreeMap, VecDeque};

/// Messages that wait while a witness writes.
const INBOX: usize = 256;

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

/// An answer that waits until what it says is durable.
type Waiting = (Actor, u64, RecordReply);

/// One peer's memory of the chains it witnesses. It is on its disk alone: a crash takes what was not durable yet.
#[derive(Debug)]
pub struct WitnessPeer {
    peer: PeerNo,
    habit: Habit,
    stored: BTreeMap<ChainId, Vec<u8>>,
    disk: Disk<(ChainId, Vec<u8>), Option<Waiting>>,
    /// While something is being written what comes then waits: one thing is judged at a time.
    inbox: VecDeque<(Actor, Message)>,
    first: BTreeMap<ChainId, ChainRecord>,
}

/// What is to be durable first, if anything is new, and the answer then.
type Judged = (Option<(ChainId, Vec<u8>)>, RecordReply);

impl WitnessPeer {
    /// The witness at a peer.
    pub fn new(peer: PeerNo, town: &Town, dice: &mut Dice) -> Self {
        let bad = [Habit::AcksAll, Habit::Silent, Habit::Stale];
        let habit = match town.peers[peer].honest {
            true => Habit::Honest,
            false => dice.one_of(&bad).unwrap_or(Habit::AcksAll),
        };
        let (disk, inbox) = (Disk::default(), VecDeque::new());
        Self { peer, habit, stored: BTreeMap::new(), disk, inbox, first: BTreeMap::new() }
    }

    /// A message has come.
    pub fn hear(&mut self, from: Actor, message: Message, scene: &mut Scene<'_>) {
        if !self.disk.is_idle() {
            if self.inbox.len() < INBOX {
                self.inbox.push_back((from, message));
            }
            return;
        }
        match message {
            Message::Put(number, put) => {
                let judged = self.put(&put, scene);
                self.answer((from, number), judged, scene);
            }
            Message::Get(number, chain) => {
                let shown = self.show(chain).map(|reply| (None, reply));
                self.answer((from, number), shown, scene);
            }
            Message::Freeze(word) => self.freeze(&word.0, &word.1, scene),
            _ => {}
        }
    }

    /// What was written is durable: whoever waited for that is answered, and the next one is heard.
    pub fn written(&mut self, scene: &mut Scene<'_>) {
        let Some(((chain, row), waiting)) = self.disk.written() else { return };
        self.stored.insert(chain, row);
        if let Some((to, number, reply)) = waiting
            && !scene.crashes()
        {
            scene.send(to, Message::Answer(number, Box::new(reply)));
        }
        while self.disk.is_idle()
            && !scene.crashed
            && let Some((from, message)) = self.inbox.pop_front()
        {
            self.hear(from, message, scene);
        }
    }

    /// It is up again: what was not durable never was.
    pub fn restart(&mut self) {
        self.disk = Disk::default();
        self.inbox.clear();
    }

    /// Answers, after what the answer says is durable.
    fn answer(&mut self, (to, number): (Actor, u64), judged: Option<Judged>, scene: &mut Scene<'_>) {
        let Some((row, reply)) = judged.filter(|_| !scene.crashes()) else { return };
        match row {
            Some(row) => {
                let takes = scene.town.peers[self.peer].disk;
                self.disk.write(row, Some((to, number, reply)), takes, scene);
            }
            None => scene.send(to, Message::Answer(number, Box::new(reply))),
        }
    }

    /// All that lie are in league: whatever a double spender among them needs is acked.
    fn habit_for(&self, chain: &ChainId, scene: &Scene<'_>) -> Habit {
        let helps = self.habit != Habit::Honest && !scene.town.is_honest(chain);
        if helps { Habit::AcksAll } else { self.habit }
    }

    fn put(&mut self, put: &Put, scene: &mut Scene<'_>) -> Option<Judged> {
        let chain = ChainId::of(put.record.touchstone.hash(&scene.town.network));
        match self.habit_for(&chain, scene) {
            Habit::Honest => Some(self.put_honestly(chain, put, scene)),
            Habit::AcksAll => {
                let key = &scene.town.peers[self.peer].key;
                let ack = |object| (object, Ack { chain, object }.sign(&scene.town.network, key));
                let acks = List::first_of(put.want.iter().copied().map(ack));
                Some((None, RecordReply::Accepted { acks }))
            }
            Habit::Silent => None,
            Habit::Stale => {
                let first = self.first.entry(chain).or_insert_with(|| put.record.clone());
                Some((None, RecordReply::Stale(first.clone())))
            }
        }
    }

    /// As `Witness::put` of the node: believe, judge, keep, and only then sign. What somebody in this run has believed
    /// before is not verified again.
    fn put_honestly(&self, chain: ChainId, put: &Put, scene: &mut Scene<'_>) -> Judged {
        scene.oracle.is_used(scene.now, scene.town, &put.record);
        let kept = self.kept(&chain);
        let Some(line) = scene.beliefs.believe(&chain, &put.record, scene.town) else {
            return (None, RecordReply::Refused(WhyRefused::Bad));
        };
        let (network, peer) = (&scene.town.network, &scene.town.peers[self.peer]);
        let bench = Bench { network, me: &peer.node, birth: BEGIN, now: scene.time() };
        let (next, verdict) = judge(kept.as_ref(), &line, &put.closes, bench);
        let row = next.as_ref().filter(|next| kept.as_ref() != Some(next));
        let row = row.map(|next| (chain, codec::encode(next)));
        if let Verdict::Conflict(evidence) = &verdict {
            scene.oracle.holds_evidence(scene.now, scene.town, evidence);
        }
        let ack = |object| Ack { chain, object }.sign(network, &peer.key);
        (row, RecordReply::to_put(verdict, next.or(kept).as_ref(), &put.want, ack))
    }

    /// As `Witness::freeze` of the node; nobody here waits for the answer.
    fn freeze(
        &mut self,
        touchstone: &Unverified<Touchstone>,
        word: &Unverified<Freeze>,
        scene: &mut Scene<'_>,
    ) {
        let (network, peer) = (&scene.town.network, &scene.town.peers[self.peer]);
        let Ok(touchstone) = touchstone::verify(touchstone.clone(), network, &scene.town.broker) else {
            return;
        };
        let chain = touchstone::chain_id(&touchstone);
        let bench = Bench { network, me: &peer.node, birth: BEGIN, now: scene.time() };
        let frozen = witness::freeze(self.kept(&chain).as_ref(), &touchstone, word.clone(), bench);
        if let (Habit::Honest, Ok(next)) = (self.habit, frozen)
            && !scene.crashes()
        {
            let takes = peer.disk;
            self.disk.write((chain, codec::encode(&next)), None, takes, scene);
        }
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
        self.stored.get(chain).map(|row| codec::decode(row).expect("a row of its own"))
    }
}

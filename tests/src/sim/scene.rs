//! What actors see and say: the time, the town, the dice, and a list of what is to happen because of them.

use super::beliefs::Beliefs;
use super::dice::Dice;
use super::oracle::Oracle;
use super::town::{PeerNo, Town, moment};
use netpay_broker::ledger::Answer;
use netpay_core::codec::List;
use netpay_core::coin::segment::{Close, Handover};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::Unverified;
use netpay_core::record::chain::ChainRecord;
use netpay_core::record::freeze::Freeze;
use netpay_core::time::{Moment, Time};
use netpay_core::wire::bank::BankRequest;
use netpay_core::wire::record::{MAX_CLOSES, MAX_WANTED, RecordReply};
use netpay_core::wire::reject::Reject;
use netpay_core::wire::trade::{ToBuyer, ToVendor};
use std::sync::Arc;

/// One stream between a buyer and a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamNo(pub u64);

/// Someone that messages are for: a peer has one of these for each of its roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The witness at this peer.
    Witness(PeerNo),
    /// This one of the vendors.
    Vendor(usize),
    /// This one of the buyers.
    Buyer(usize),
    /// The broker.
    Broker,
}

/// What is put at a committee.
#[derive(Debug)]
pub struct Put {
    /// The chain's state.
    pub record: ChainRecord,
    /// Closes of older segments.
    pub closes: List<Unverified<Close>, MAX_CLOSES>,
    /// Whose acks are wanted.
    pub want: List<ObjectHash, MAX_WANTED>,
}

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// To a witness: keep this, and ack it. The number is the asker's.
    Put(u64, Arc<Put>),
    /// To a witness: show this chain.
    Get(u64, ChainId),
    /// A witness's answer to either.
    Answer(u64, Box<RecordReply>),
    /// To a vendor: close this segment.
    HandOver(u64, Unverified<Handover>),
    /// Its answer; `None` if it refuses.
    HandedOver(u64, Option<Unverified<Close>>),
    /// On a stream; with the first message it begins.
    ToVendor {
        /// Which.
        stream: StreamNo,
        /// Whether it begins.
        first: bool,
        /// What is said.
        said: Box<ToVendor>,
    },
    /// On a stream.
    ToBuyer(StreamNo, Box<ToBuyer>),
    /// A stream is gone.
    Broken(StreamNo),
    /// To the broker. The number is the asker's.
    Ask(u64, Arc<BankRequest>),
    /// Its answer.
    Told(u64, Box<Result<Answer, Reject>>),
    /// To a witness: the broker's word that a chain's buyer is convicted.
    Freeze(Arc<(Unverified<Touchstone>, Unverified<Freeze>)>),
}

/// What an actor wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A buyer: to begin the next visit.
    Visit,
    /// A buyer or vendor: has anything happened on this stream?
    Idle(StreamNo),
    /// A buyer: to have its chains certified after a sale.
    Shorten,
    /// A vendor: a chain is due to be certified.
    Certify(ChainId),
    /// A vendor: what lacks its certificate is looked for.
    Sweep,
    /// A round of certifying has waited long enough.
    Round(u64),
    /// A vendor: the record is read beside the last vendor.
    ReadRecord(u64),
    /// A vendor: the last vendor has had its time.
    HandoffOver(u64),
    /// A vendor: so have the witnesses.
    ReadOver(u64),
    /// What was written first is durable.
    Written,
    /// A buyer or vendor: to ask the broker for what it asks from time to time.
    Bank,
    /// A buyer or vendor: has the broker answered?
    Errand(u64),
}

/// What is to happen because of an actor.
#[derive(Debug)]
pub enum Act {
    /// A message leaves, so many milliseconds from now.
    Send(Actor, Message, u64),
    /// The actor is woken, so many milliseconds from now.
    Wake(Alarm, u64),
}

/// What an actor works with while it handles one thing.
pub struct Scene<'a> {
    /// Virtual milliseconds since the run began.
    pub now: u64,
    /// Everyone.
    pub town: &'a Town,
    /// Chance.
    pub dice: &'a mut Dice,
    /// Who watches.
    pub oracle: &'a mut Oracle,
    /// What anybody has verified.
    pub beliefs: &'a mut Beliefs,
    /// What is to happen.
    pub acts: Vec<Act>,
    /// After so many more outputs the peer crashes.
    pub fuse: Option<usize>,
    /// Whether it did: nothing more of it happens.
    pub crashed: bool,
    /// Whether it never comes back.
    pub gone: bool,
}

impl Scene<'_> {
    /// The time as sessions count it.
    pub const fn moment(&self) -> Moment {
        moment(self.now)
    }

    /// The time as signed objects carry it.
    pub const fn time(&self) -> Time {
        self.moment().time()
    }

    /// A message leaves now.
    pub fn send(&mut self, to: Actor, message: Message) {
        self.acts.push(Act::Send(to, message, 0));
    }

    /// A message leaves later.
    pub fn send_later(&mut self, to: Actor, message: Message, wait: u64) {
        self.acts.push(Act::Send(to, message, wait));
    }

    /// The actor is woken.
    pub fn wake(&mut self, alarm: Alarm, wait: u64) {
        self.acts.push(Act::Wake(alarm, wait));
    }

    /// Asked between any two outputs: whether the peer crashes here.
    pub const fn crashes(&mut self) -> bool {
        match &mut self.fuse {
            None => {}
            Some(0) => self.crashed = true,
            Some(left) => *left -= 1,
        }
        self.crashed
    }

    /// The peer is gone for good, with whatever it had not said yet.
    pub const fn vanish(&mut self) {
        (self.crashed, self.gone) = (true, true);
    }
}

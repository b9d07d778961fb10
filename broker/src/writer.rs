//! The one writer: decides against the state in memory, journals a whole group at once, and only then answers. Everything
//! that leaves the bank passes here, so nobody is told of what a crash could take back.

use crate::ledger::{AccountView, Answer, Command, Ledger, Record};
use crate::store::{self, Journal};
use netpay_core::codec::Bytes;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::fair::judge::Verdict;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Outcome, SEALED_SEED};
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_node::store::Batch;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};

/// Asks that wait for the writer.
pub const QUEUE: usize = 4096;
/// Asks in one group.
const GROUP: usize = 1024;
/// Once a group has so many bytes it is written: one record more always fits a batch.
const GROUP_BYTES: usize = 1 << 20;

const _: () = {
    assert!(
        GROUP_BYTES + <Record as netpay_core::codec::Wire>::MAX + 4096 < netpay_node::store::BATCH_MAX_BYTES
    );
    assert!(GROUP <= netpay_node::store::BATCH_MAX_OPS);
};

/// What the writer is asked.
pub enum Ask {
    /// To carry out a command.
    Run(Box<Command>),
    /// To show an account, with the lines after a number.
    Account(PublicKey, u64),
    /// To let somebody look.
    Look(Box<dyn FnOnce(&Ledger) + Send>),
}

impl Ask {
    /// To carry out this command.
    #[must_use]
    pub fn run(command: Command) -> Self {
        Self::Run(Box::new(command))
    }
}

/// What the writer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// An account.
    Account(Box<AccountView>),
    /// The chain sold, the same each time.
    Sold {
        /// T.
        touchstone: Unverified<Touchstone>,
        /// The seed.
        sealed: Bytes<SEALED_SEED>,
    },
    /// The vendor of this segment is convicted.
    Judged(Verdict),
    /// What became of the claims.
    Outcomes(Vec<(ChainId, SegmentNo, Outcome)>),
}

/// A reply, or the reason against it.
pub type Answered = Result<Reply, Reject>;

/// An ask and where its answer goes.
pub struct Job {
    /// The ask.
    pub ask: Ask,
    /// When it was asked.
    pub now: Time,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answered>,
}

/// See the module.
pub struct Writer {
    ledger: Arc<RwLock<Ledger>>,
    network: NetworkId,
    journal: Journal,
    jobs: mpsc::Receiver<Job>,
    /// Whether the state in memory may be ahead of the disk, after a write that failed.
    astray: bool,
}

#[derive(Default)]
struct Group {
    batch: Batch,
    answers: Vec<(oneshot::Sender<Answered>, Answered)>,
}

impl Writer {
    /// A writer for these books.
    pub fn new(
        ledger: Arc<RwLock<Ledger>>,
        network: NetworkId,
        journal: Journal,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        Self { ledger, network, journal, jobs, astray: false }
    }

    /// Runs until nobody can ask any more.
    pub fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            self.recover();
            let group = self.decide(first);
            self.finish(group);
        }
    }

    /// Decides everything that waits, up to the bounds of a group. Whoever looks chains up meanwhile waits for one decision
    /// at most, not for a group of them, and not for a record to be encoded.
    fn decide(&mut self, first: Job) -> Group {
        let mut group = Group::default();
        let ledger = self.ledger.clone();
        let mut next = Some(first);
        while let Some(Job { ask, now, reply }) = next {
            let (answer, record) = if self.astray {
                (Err(failing()), None)
            } else {
                self.answer(&mut ledger.write().unwrap_or_else(PoisonError::into_inner), ask, now)
            };
            if let Some(record) = record {
                store::put(&mut group.batch, &record);
            }
            group.answers.push((reply, answer));
            let is_full = group.answers.len() >= GROUP || group.batch.size() >= GROUP_BYTES;
            next = if is_full { None } else { self.jobs.try_recv().ok() };
        }
        group
    }

    /// The answer to one ask, and the record to be made durable before it is given.
    fn answer(&mut self, ledger: &mut Ledger, ask: Ask, now: Time) -> (Answered, Option<Record>) {
        let decision = match ask {
            Ask::Look(look) => {
                look(ledger);
                return (Ok(Reply::Done), None);
            }
            Ask::Account(account, after) => return (reply(ledger, Answer::Account(account), after), None),
            Ask::Run(command) => match ledger.decide(*command, now) {
                Ok(decision) => decision,
                Err(reject) => return (Err(reject), None),
            },
        };
        let record = decision.event.map(|event| Record { seq: ledger.seq() + 1, at: now, event });
        if let Some(Err(error)) = record.as_ref().map(|record| ledger.apply(record)) {
            // A rule and the fold disagree. The record is not written, and the state is thrown away.
            tracing::error!(%error, "a decision does not fit the books; this is a bug");
            self.astray = true;
            return (Err(failing()), None);
        }
        (reply(ledger, decision.answer, 0), record)
    }

    /// Makes a group durable, then answers it.
    fn finish(&mut self, group: Group) {
        let written = if group.batch.is_empty() { Ok(()) } else { self.journal.commit(group.batch) };
        if let Err(error) = &written {
            tracing::error!(%error, "a group of the journal was not written");
            self.astray = true;
        }
        for (reply, answer) in group.answers {
            // Who went away asks again, and gets the same answer.
            let _ = reply.send(if written.is_ok() { answer } else { Err(failing()) });
        }
    }

    /// Brings the state back to what is on the disk.
    fn recover(&mut self) {
        if !self.astray {
            return;
        }
        match self.journal.fold(self.network) {
            Ok(ledger) => {
                *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = ledger;
                self.astray = false;
            }
            Err(error) => tracing::error!(%error, "the journal cannot be read back"),
        }
    }
}

fn reply(ledger: &Ledger, answer: Answer, after: u64) -> Result<Reply, Reject> {
    match answer {
        Answer::Done => Ok(Reply::Done),
        Answer::Outcomes(outcomes) => Ok(Reply::Outcomes(outcomes)),
        Answer::Account(account) => {
            let unknown = || Reject::new(RejectCode::UnknownAccount, "this account is not registered here");
            Ok(Reply::Account(Box::new(ledger.account(&account, after).ok_or_else(unknown)?)))
        }
        Answer::NotProven(why) => Err(Reject::new(RejectCode::NotProven, &why.to_string())),
        Answer::Judged(chain, key) => ledger.verdict(chain, &key).map(Reply::Judged).ok_or_else(failing),
        Answer::Sold(chain) => {
            let chain = ledger.chain(&chain).ok_or_else(failing)?;
            Ok(Reply::Sold { touchstone: chain.facts().wire().clone(), sealed: chain.sealed.clone() })
        }
    }
}

fn failing() -> Reject {
    Reject::new(RejectCode::Storage, "the broker could not make it durable: ask again later")
}

//! What moves money is done once, however often it is asked for: by a double click, a program that repeats a request
//! whose answer it missed, a connection that broke, or a crash.
//!
//! Whoever asks names the act by a key. The key is made durable before the act begins, and the answer before it is
//! given. What an act makes, it notes under its key in the batch that makes it. An act that was begun and whose answer is
//! not known is carried out again after a crash: it is told what it had made by then, and makes nothing a second time.

use super::{Node, lock};
use crate::app::trouble::Trouble;
use crate::app::view::ErrorView;
use crate::clock;
use crate::errors;
use crate::store::{Batch, Db, StoreError, Table};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use netpay_core::codec::{self, Wire};
use netpay_core::time::{DAY, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Mutex;

const ANSWERS: Table = Table::new("answers");
/// The longest key, in bytes.
pub const MAX_KEY: usize = 128;
/// How long an answer is kept, in seconds.
const KEPT_FOR: u64 = DAY;
/// Answers kept at most; the oldest gives way.
const MAX_ANSWERS: usize = 4096;
/// The longest answer that is kept, in bytes; of a longer one only that it was given.
const MAX_ANSWER: usize = 256 << 10;

type Digest = [u8; 32];
type Outcome = Result<Vec<u8>, ErrorView>;

/// What is kept of an act.
#[derive(Serialize, Deserialize)]
struct Row {
    /// When it was begun.
    at: Time,
    /// The digest of what was asked for.
    contents: Digest,
    /// The number of what the act made, once that is durable.
    made: Option<u64>,
    /// The answer in JSON, once there is one; empty if it was too long to be kept.
    answer: Option<Vec<u8>>,
}

impl Wire for Row {
    const MAX: usize = MAX_ANSWER + 128;
}

/// An act that is being carried out, for the first time or again after a crash.
#[derive(Clone, Debug)]
pub struct Act {
    /// What it was named by.
    pub name: String,
    /// The number of what it made before a crash took its answer, if it had come so far.
    pub made: Option<u64>,
    at: Time,
    key: Digest,
    contents: Digest,
}

impl Act {
    /// Notes the number of what the act makes, in the batch that makes it.
    pub(super) fn makes(&self, number: u64, batch: &mut Batch) {
        let row = Row { at: self.at, contents: self.contents, made: Some(number), answer: None };
        batch.put(ANSWERS, self.key, codec::encode(&row));
    }
}

struct Flight {
    contents: Digest,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

/// The acts under way, and when those were begun that are kept.
#[derive(Default)]
pub struct Acts {
    flights: Mutex<BTreeMap<Digest, Flight>>,
    kept: Mutex<BTreeSet<(Time, Digest)>>,
    #[cfg(test)]
    loses_answer: std::sync::atomic::AtomicBool,
}

impl Acts {
    /// Those that the last run knew.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn open(db: &Db) -> Result<Self, StoreError> {
        let (mut kept, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
        loop {
            let page = db.scan(ANSWERS, &[], after.as_deref(), 256)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let known = page.iter().filter_map(|(key, row)| {
                Some((codec::decode::<Row>(row).ok()?.at, Digest::try_from(key.as_slice()).ok()?))
            });
            kept.extend(known);
        }
        Ok(Self { kept: Mutex::new(kept), ..Self::default() })
    }

    /// Takes a new one in, and gives those up that are old or too many.
    fn keep(&self, at: Time, key: Digest, batch: &mut Batch) {
        let mut kept = lock(&self.kept);
        kept.insert((at, key));
        while let Some((oldest, digest)) = kept.first().copied() {
            if kept.len() <= MAX_ANSWERS && at.since(oldest) < KEPT_FOR {
                break;
            }
            kept.pop_first();
            batch.delete(ANSWERS, digest);
        }
    }
}

impl Node {
    /// Carries out `act`, or, if something was asked for under this key before, gives what came of that. `contents` is
    /// what was asked for: one key is for one request. It goes on when whoever asked goes away.
    ///
    /// # Errors
    /// If there is no key, or it was used for something else; those of the act, after which the key can be used again
    /// for the same; or if the store fails.
    pub async fn once<T, Done>(
        &self,
        key: &str,
        contents: &[u8],
        act: impl FnOnce(Node, Act) -> Done + Send + 'static,
    ) -> Result<T, ErrorView>
    where
        T: Serialize + DeserializeOwned + Send,
        Done: Future<Output = Result<T, ErrorView>> + Send + 'static,
    {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(errors::idempotency_key_needed());
        }
        let (name, key, contents) = (key.to_owned(), digest(key.as_bytes()), digest(contents));
        let node = self.clone();
        let begin = move || async move {
            let Row { at, made, answer, .. } = node.begun(key, contents).await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            let answer = act(node.clone(), Act { name, made, at, key, contents }).await?;
            let answer = serde_json::to_vec(&answer).map_err(errors::internal)?;
            node.answered(key, contents, &answer).await?;
            Ok(answer)
        };
        let answer = self.flight(key, contents, begin)?.await?;
        serde_json::from_slice(&answer).map_err(|_| errors::answer_not_kept())
    }

    fn flight<Done>(
        &self,
        key: Digest,
        contents: Digest,
        begin: impl FnOnce() -> Done,
    ) -> Result<Shared<BoxFuture<'static, Outcome>>, ErrorView>
    where
        Done: Future<Output = Outcome> + Send + 'static,
    {
        let mut flights = lock(&self.0.acts.flights);
        if let Some(flight) = flights.get(&key) {
            let same = flight.contents == contents;
            return same.then(|| flight.outcome.clone()).ok_or_else(errors::idempotency_key_reused);
        }
        let (node, act) = (self.clone(), begin());
        let task = tokio::spawn(async move {
            let outcome = std::panic::AssertUnwindSafe(act).catch_unwind().await;
            lock(&node.0.acts.flights).remove(&key);
            outcome.unwrap_or_else(|_| Err(errors::internal("it ended by a fault")))
        });
        let outcome = async move { task.await.unwrap_or_else(|error| Err(errors::internal(error))) };
        let outcome = outcome.boxed().shared();
        flights.insert(key, Flight { contents, outcome: outcome.clone() });
        Ok(outcome)
    }

    /// What is kept of a key; a new one is durable when this returns.
    async fn begun(&self, key: Digest, contents: Digest) -> Result<Row, ErrorView> {
        if let Some(row) = self.kept_act(key)? {
            return if row.contents == contents { Ok(row) } else { Err(errors::idempotency_key_reused()) };
        }
        let row = Row { at: clock::time(), contents, made: None, answer: None };
        let mut batch = Batch::new();
        self.0.acts.keep(row.at, key, &mut batch);
        batch.put(ANSWERS, key, codec::encode(&row));
        self.db().commit(batch).await.map_err(Trouble::from)?;
        Ok(row)
    }

    async fn answered(&self, key: Digest, contents: Digest, answer: &[u8]) -> Result<(), ErrorView> {
        #[cfg(test)]
        if self.0.acts.loses_answer.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(errors::internal("the process died"));
        }
        // One that gave way meanwhile is not taken up again.
        let Some(row) = self.kept_act(key)? else { return Ok(()) };
        let answer = if answer.len() <= MAX_ANSWER { answer.to_vec() } else { Vec::new() };
        let mut batch = Batch::new();
        let row = Row { contents, answer: Some(answer), ..row };
        batch.put(ANSWERS, key, codec::encode(&row));
        Ok(self.db().commit(batch).await.map_err(Trouble::from)?)
    }

    fn kept_act(&self, key: Digest) -> Result<Option<Row>, ErrorView> {
        let row = self.db().get(ANSWERS, &key).map_err(Trouble::from)?;
        Ok(row.and_then(|row| codec::decode::<Row>(&row).ok()))
    }
}

fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

#[cfg(test)]
impl Node {
    /// From now on answers are lost, as if the process had died after each act and just before its answer was durable.
    pub(crate) fn lose_answers(&self) {
        self.0.acts.loses_answer.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

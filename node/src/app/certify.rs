//! Certifying: a vendor's segments are shown to their chain's committee, at once where a sale waits, else
//! within a second and together with what else the chain has by then.

use super::recent::Recent;
use super::view::CertificationView;
use super::{Node, lock};
use crate::clock;
use crate::overlay::{Event, Protocol};
use crate::store::Batch;
use futures::stream::{FuturesUnordered, StreamExt};
use netpay_core::codec::{self, List};
use netpay_core::coin::segment::{Close, SegmentNo};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::chain::{self as record, Certificate};
use netpay_core::session::certify::{Certify, Step};
use netpay_core::wire::record::{RecordReply, RecordRequest};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

/// How long certifying may be put off.
pub(super) const DEFERRAL: Duration = Duration::from_millis(800);
/// How long one witness is waited for.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(3);
/// After this, chains whose certificates did not come are tried again; after each time in vain twice as long, up to …
const RETRY: Duration = Duration::from_secs(4);
/// … so many times as long. A sale that waits asks by itself.
const PATIENCE: u32 = 16;
/// Chains waiting to be certified at most; more are taken up by the next sweep.
const QUEUE: usize = 1024;
/// Chains being certified at once.
const PARALLEL: usize = 16;
/// Certifications remembered, the newest.
const MAX_REMEMBERED: usize = 256;

/// What sessions are told.
#[derive(Clone, Debug)]
pub enum News {
    /// Something of this chain has its certificate.
    Certified(ChainId, Certificate),
    /// The buyer of this chain is convicted: nothing new of it will be certified.
    Conflict(ChainId),
}

/// Asks for a chain to be certified.
#[derive(Debug)]
pub struct Wish {
    chain: ChainId,
    urgent: bool,
}

/// The certifier's two ends.
pub struct Certifier {
    wishes: mpsc::Sender<Wish>,
    news: broadcast::Sender<News>,
    /// Per chain the acks, fewer than a quorum, that the last round brought.
    acks: Mutex<BTreeMap<ChainId, Vec<Certificate>>>,
    done: Recent<CertificationView, MAX_REMEMBERED>,
}

impl Certifier {
    /// A certifier, and the queue its task works from.
    pub fn new() -> (Self, mpsc::Receiver<Wish>) {
        let (wishes, queue) = mpsc::channel(QUEUE);
        (
            Self {
                wishes,
                news: broadcast::channel(QUEUE).0,
                acks: Mutex::default(),
                done: Recent::default(),
            },
            queue,
        )
    }

    /// Certificates and conflicts as they come.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Wants everything of this chain that the till holds certified. When the queue is full the next sweep
    /// finds the chain.
    pub fn want(&self, chain: ChainId, urgent: bool) {
        let _ = self.wishes.try_send(Wish { chain, urgent });
    }

    fn note(&self, chain: &ChainId, certificates: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.done.note(CertificationView {
            at: clock::now().0,
            chain: chain.to_string(),
            certificates,
            micros,
        });
    }

    /// The acks that a Close of this chain has, where they are no certificate.
    pub fn acks(&self, chain: &ChainId, close: &ObjectHash) -> Option<Certificate> {
        let all = lock(&self.acks);
        all.get(chain)?.iter().find(|acks| acks.object == *close).cloned()
    }
}

/// Works the queue until the node stops.
pub async fn run(node: Node, mut wishes: mpsc::Receiver<Wish>) {
    let mut due: BTreeMap<ChainId, Instant> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    let mut in_vain: BTreeMap<ChainId, u32> = BTreeMap::new();
    let mut sweep = tokio::time::interval(RETRY);
    let mut events = node.overlay().events();
    loop {
        let next = due.iter().min_by_key(|(_, at)| **at).map(|(chain, at)| (*chain, *at));
        let room = running.len() < PARALLEL;
        let wait = async {
            match next {
                Some((_, at)) if room => tokio::time::sleep_until(at).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            wish = wishes.recv() => {
                let Some(wish) = wish else { return };
                let at = Instant::now() + if wish.urgent { Duration::ZERO } else { DEFERRAL };
                let slot = due.entry(wish.chain).or_insert(at);
                *slot = at.min(*slot);
            }
            () = wait => {
                if let Some((chain, _)) = next {
                    due.remove(&chain);
                    running.push(chain_now(node.clone(), chain));
                }
            }
            Some((chain, done)) = running.next() => {
                if done {
                    in_vain.remove(&chain);
                } else {
                    let times = in_vain.entry(chain).or_insert(1);
                    due.entry(chain).or_insert(Instant::now() + RETRY * *times);
                    *times = PATIENCE.min(*times * 2);
                }
            }
            _ = sweep.tick() => {
                let lacking = node.till(|till| till.uncertified_chains());
                in_vain.retain(|chain, _| lacking.contains(chain));
                lock(&node.certifier().acks).retain(|chain, _| lacking.contains(chain));
                for chain in lacking.into_iter().filter(|chain| !in_vain.contains_key(chain)) {
                    due.entry(chain).or_insert_with(|| Instant::now() + RETRY);
                }
            }
            event = events.recv() => match event {
                // A witness that is back may be the one that was missing: its chains have waited long enough.
                Ok(Event::Connected(peer)) => {
                    let soon = Instant::now() + RETRY;
                    for chain in witnessed_by(&node, &peer, in_vain.keys()) {
                        in_vain.insert(chain, 1);
                        due.entry(chain).and_modify(|at| *at = soon.min(*at));
                    }
                }
                // Who came back meanwhile is not known: it may be any of them.
                Err(RecvError::Lagged(_)) => {
                    let soon = Instant::now() + RETRY;
                    in_vain.values_mut().for_each(|times| *times = 1);
                    due.values_mut().for_each(|at| *at = soon.min(*at));
                }
                Ok(Event::Disconnected(_) | Event::Learned { .. }) => {}
                Err(RecvError::Closed) => return,
            },
            () = node.stopped() => return,
        }
    }
}

/// Those of some chains whose committee this peer is in.
fn witnessed_by<'a>(
    node: &Node,
    peer: &PublicKey,
    chains: impl Iterator<Item = &'a ChainId>,
) -> Vec<ChainId> {
    node.till(|till| {
        let theirs =
            |chain: &&ChainId| till.of_chain(chain).any(|held| held.touchstone().committee.contains(peer));
        chains.filter(theirs).copied().collect()
    })
}

/// Certifies everything the till holds of one chain. Says whether all of it is; failures are logged, and it is tried again.
async fn chain_now(node: Node, chain: ChainId) -> (ChainId, bool) {
    let done = certify_chain(&node, &chain).await.unwrap_or_else(|trouble| {
        tracing::debug!(%chain, %trouble, "not certified");
        false
    });
    (chain, done)
}

/// Shows a chain to its committee and takes what comes back.
///
/// # Errors
/// If the store fails. Witnesses that do not answer are no error: the rest may come later.
pub async fn certify_chain(node: &Node, chain: &ChainId) -> Result<bool, super::Trouble> {
    let began = Instant::now();
    let Some(showing) = node.till(|till| till.showing(chain)) else { return Ok(true) };
    let Some(record) = showing.line.record() else { return Ok(false) };
    let request = RecordRequest::PutChain {
        record,
        closes: List::first_of(showing.closes),
        want: List::first_of(showing.want.iter().copied()),
    };
    let touchstone = showing.line.touchstone.clone();
    let mut certify = Certify::new(node.network(), touchstone.clone(), showing.want.iter().copied());
    let mut replies = ask(node, &touchstone, codec::encode(&request));
    let broker = node.broker_key();
    while let Some((seat, reply)) = replies.next().await {
        match certify.heard(seat, reply, &broker) {
            Step::Certified(certificates) => node.take_certificates(chain, certificates).await?,
            // The buyer is convicted; a quorum may keep what was opened here all the same.
            Step::Conflict(evidence) => {
                node.report(&evidence);
                let _ = node.certifier().news.send(News::Conflict(*chain));
            }
            Step::Hopeless => drop(node.certifier().news.send(News::Conflict(*chain))),
            Step::Stale(_) | Step::More => {}
        }
        if certify.is_done() {
            lock(&node.certifier().acks).remove(chain);
            node.certifier().note(chain, showing.want.len(), began.elapsed());
            return Ok(true);
        }
    }
    lock(&node.certifier().acks).insert(*chain, certify.acks().collect());
    Ok(false)
}

/// Has a buyer's own chain certified as it stands, so that the next record need not show so many segments.
///
/// # Errors
/// If the wallet is locked or the store fails.
pub async fn certify_own(node: &Node, chain: &ChainId) -> Result<(), super::Trouble> {
    let shown = node.wallet(|wallet| {
        let line = wallet.chain(chain)?.line();
        let newest = line.newest()?;
        let object = newest.close.as_ref().map_or(newest.open.hash(), |close| close.hash());
        Some((line.touchstone.clone(), line.record()?, object))
    })?;
    let Some((touchstone, record, object)) = shown else { return Ok(()) };
    let want = List::first_of([object]);
    let request = RecordRequest::PutChain { record, closes: List::new(), want };
    let mut certify = Certify::new(node.network(), touchstone.clone(), [object]);
    let mut replies = ask(node, &touchstone, codec::encode(&request));
    while let Some((seat, reply)) = replies.next().await {
        if let Step::Certified(certificates) = certify.heard(seat, reply, &node.broker_key()) {
            let certified = node.change_wallet(|wallet| {
                let changes = certificates.into_iter().filter_map(|one| wallet.certified(chain, one));
                ((), changes.collect())
            });
            return certified.await;
        }
    }
    Ok(())
}

/// Reads the Close of a segment in the chain's record: what the first witness shows that keeps it. `None` once a
/// quorum has answered and none of them does, or nobody else answers.
pub async fn read_close(node: &Node, touchstone: &Signed<Touchstone>, j: SegmentNo) -> Option<Signed<Close>> {
    let chain = netpay_core::coin::touchstone::chain_id(touchstone);
    let mut replies = ask(node, touchstone, codec::encode(&RecordRequest::GetChain(chain)));
    let mut answers = 0;
    while let Some((_, reply)) = replies.next().await {
        let RecordReply::Chain(shown) = reply else { continue };
        // The Close proves itself, so one witness is enough; that there is none, no single one can say.
        let close = shown.and_then(|shown| record::close_in(&shown.record, &node.network(), touchstone, j));
        if close.is_some() {
            return close;
        }
        answers += 1;
        if answers >= touchstone.quorum() {
            return None;
        }
    }
    None
}

type Replies = FuturesUnordered<futures::future::BoxFuture<'static, (u8, RecordReply)>>;

/// Asks the whole committee at once; those that do not answer in time are left out.
fn ask(node: &Node, touchstone: &Signed<Touchstone>, request: Vec<u8>) -> Replies {
    let seats = touchstone.committee.iter().enumerate();
    seats
        .filter_map(|(seat, witness)| Some((u8::try_from(seat).ok()?, *witness)))
        .map(|(seat, witness)| {
            let (node, request) = (node.clone(), request.clone());
            let reply: futures::future::BoxFuture<'static, (u8, RecordReply)> = Box::pin(async move {
                let reply = node.overlay().request(witness, Protocol::Record, request, WITNESS_TIMEOUT).await;
                let refused = RecordReply::Refused(netpay_core::record::witness::WhyRefused::Bad);
                (seat, reply.ok().and_then(|frame| codec::decode(&frame).ok()).unwrap_or(refused))
            });
            reply
        })
        .collect()
}

impl Node {
    /// What was certified since this node started, the newest last.
    #[must_use]
    pub fn certifications(&self) -> Vec<CertificationView> {
        self.certifier().done.all()
    }

    /// Makes certificates durable, in the till and in the chain's line, and tells the sessions.
    async fn take_certificates(
        &self,
        chain: &ChainId,
        certificates: Vec<Certificate>,
    ) -> Result<(), super::Trouble> {
        let (_, commit) = self.change_till(Batch::new(), |till| {
            let changes = certificates.iter().flat_map(|certificate| till.certified(chain, certificate));
            ((), changes.collect())
        });
        commit.await?;
        for certificate in certificates {
            let _ = self.certifier().news.send(News::Certified(*chain, certificate));
        }
        tracing::debug!(%chain, at = clock::now().0, "certified");
        Ok(())
    }
}

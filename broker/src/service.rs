//! The bank as others see it: bytes in, bytes out. A request is believed on a worker thread ([`crate::checks`]), carried
//! out by the one writer ([`crate::writer`]), and answered once it is durable; the same request again gets the same reply.

use crate::checks::{Checks, Purchase};
use crate::ledger::{AccountView, Command, FALSE_ACCUSATION, HELD_FOR, Ledger};
use crate::mint::Press;
use crate::pool::Pool;
use crate::roster::Roster;
use crate::store::{Journal, JournalError};
use crate::writer::{Ask, Job, QUEUE, Reply, Writer};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Text};
use netpay_core::coin::touchstone::{REDEEM_FOR, SPEND_FOR};
use netpay_core::fair::judge::Verdict;
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, SecretKey, Signed, Unverified};
use netpay_core::record::revoke::Revocations;
use netpay_core::time::{DAY, HOUR, Time};
use netpay_core::wire::bank::{Account, BankReply, BankRequest, Info};
use netpay_core::wire::hello::Membership;
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_node::overlay::NodeKey;
use netpay_node::store::{Db, StoreError};
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Requests of peers being worked on at once; more are told to come again.
pub const MAX_REQUESTS: usize = 2048;
/// How long a membership holds, in seconds. It is renewed by every answer about the account.
pub const MEMBER_FOR: u64 = 30 * DAY;
/// A bank that was away for longer than this lets settlements wait, in seconds.
pub const LONG_OUTAGE: u64 = HOUR;
/// For so long they wait then, in seconds: claims could not be brought meanwhile.
pub const SETTLE_AFTER: u64 = 72 * HOUR;
/// Chains settled per look.
const SETTLE_PAGE: usize = 64;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The time of the system.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Time(since.map_or(0, |since| since.as_secs()))
    })
}

/// What a bank is called, and its terms.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The network's name.
    pub network: String,
    /// The operator's name for the broker.
    pub name: String,
    /// How to reach the operator.
    pub contact: String,
    /// What one coin is worth, for a person.
    pub denomination: String,
    /// Whether registering needs a voucher.
    pub voucher_needed: bool,
    /// What a new account sets aside as its bond.
    pub bond: Coins,
    /// How long chains can be spent, in seconds.
    pub spend_for: u64,
    /// How long they can be redeemed after that, in seconds.
    pub redeem_for: u64,
    /// How long settlements wait after a long outage, in seconds.
    pub settle_after: u64,
}

impl Terms {
    /// The usual terms under these names.
    #[must_use]
    pub fn new(network: &str, name: &str, contact: &str) -> Self {
        Self {
            network: network.to_owned(),
            name: name.to_owned(),
            contact: contact.to_owned(),
            denomination: "1 coin".to_owned(),
            voucher_needed: false,
            bond: Coins::ZERO,
            spend_for: SPEND_FOR,
            redeem_for: REDEEM_FOR,
            settle_after: SETTLE_AFTER,
        }
    }
}

/// The bank: cheap to clone. It stops when [`Bank::close`] is called or the last handle is dropped.
#[derive(Clone)]
pub struct Bank {
    inner: Arc<Inner>,
}

/// The kinds of requests that are counted.
pub const KINDS: [&str; 12] = [
    "info", "register", "pay-in", "buy", "redeem", "account", "retire", "evidence", "payout", "pages",
    "accuse", "keys",
];

struct Inner {
    terms: Terms,
    /// Where people find the pages, once they are served.
    pages: OnceLock<String>,
    /// Requests of each of [`KINDS`] since the start.
    asked: [AtomicU64; KINDS.len()],
    checks: Checks,
    press: Press,
    roster: Arc<Roster>,
    journal: Journal,
    clock: Clock,
    /// `None` once closed.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Peers' requests at once.
    places: Semaphore,
    /// Threads that check: one per core, as they do nothing but compute.
    checkers: Pool,
    /// Told when evidence came in, or the operator changed who is a member.
    members_changed: tokio::sync::Notify,
    /// The newest list of revocations, signed.
    revocations: RwLock<Option<Signed<Revocations>>>,
}

impl Bank {
    /// Opens the bank whose journal is in that database: reads it and starts the writer.
    ///
    /// # Errors
    /// If the journal is damaged or another bank's, or the disk fails.
    pub fn open(
        db: Db,
        secret: SecretKey,
        terms: Terms,
        roster: Arc<Roster>,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let network = NetworkId::of(&terms.network, &secret.public());
        let journal = Journal::open(db, &network)?;
        let ledger = journal.fold(network)?;
        for (node, account) in ledger.nodes() {
            roster.enroll(*node, *account);
        }
        tracing::info!(records = ledger.seq(), chains = ledger.chains().count(), "the books are open");
        let ledger = Arc::new(RwLock::new(ledger));
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let writer = Writer::new(ledger.clone(), network, journal.clone(), receiver);
        let writer = std::thread::Builder::new().name("bank".into()).spawn(move || writer.run());
        let writer = writer.map_err(|error| no_threads("starting the writer of", error))?;
        let checks = Checks { network, broker: secret.public(), ledger };
        let press = Press { network, secret, spend_for: terms.spend_for, redeem_for: terms.redeem_for };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let checkers = Pool::start(cores, MAX_REQUESTS);
        let checkers = checkers.map_err(|error| no_threads("starting the checkers of", error))?;
        let inner = Inner {
            terms,
            pages: OnceLock::new(),
            asked: std::array::from_fn(|_| AtomicU64::new(0)),
            checks,
            press,
            roster,
            journal,
            clock,
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(writer)),
            places: Semaphore::new(MAX_REQUESTS),
            checkers,
            members_changed: tokio::sync::Notify::new(),
            revocations: RwLock::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The network's id.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.inner.checks.network
    }

    /// The broker's signing key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.inner.checks.broker
    }

    /// What it is called, and its terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.inner.terms
    }

    /// Who can be a witness.
    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        &self.inner.roster
    }

    /// The journal, to be read.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Where people find the pages; empty while none are served.
    #[must_use]
    pub fn pages(&self) -> &str {
        self.inner.pages.get().map_or("", String::as_str)
    }

    /// From now on peers are told that the pages are there. The first address stays.
    pub fn serves_pages_at(&self, address: String) {
        self.inner.pages.get_or_init(|| address);
    }

    /// How many requests of each kind came since the start.
    pub fn asked(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.inner.asked.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Its clock.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.inner.clock)()
    }

    /// Answers a peer's request, frame for frame.
    pub async fn handle(&self, from: NodeKey, frame: Vec<u8>) -> Vec<u8> {
        let reply = match codec::decode::<BankRequest>(&frame) {
            Ok(request) => self.answer(from, request).await,
            Err(error) => BankReply::Reject(Reject::new(RejectCode::Malformed, &error.to_string())),
        };
        codec::encode(&reply)
    }

    /// Answers a peer's request.
    pub async fn answer(&self, from: NodeKey, request: BankRequest) -> BankReply {
        self.inner.roster.seen(&from, self.now());
        if let Some(count) = self.inner.asked.get(kind(&request)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let Ok(_place) = self.inner.places.try_acquire() else {
            return BankReply::Reject(busy());
        };
        self.believe(from, request).await.unwrap_or_else(BankReply::Reject)
    }

    /// Carries out the operator's command.
    ///
    /// # Errors
    /// The reason against it, or Storage if the disk fails or the bank is closed.
    pub async fn run(&self, command: Command) -> Result<Reply, Reject> {
        let expels =
            matches!(command, Command::Freeze { .. } | Command::Unfreeze { .. } | Command::Close { .. });
        let reply = self.ask(Ask::run(command)).await?;
        if expels {
            self.inner.members_changed.notify_one();
        }
        Ok(reply)
    }

    /// Resolves when evidence came in, or the operator changed who is a member, since this was asked last.
    pub async fn members_changed(&self) {
        self.inner.members_changed.notified().await;
    }

    /// The newest list of revocations; `None` while nobody was ever expelled.
    #[must_use]
    pub fn revocations(&self) -> Option<Signed<Revocations>> {
        self.inner.revocations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the list of revocations anew if the books say otherwise than the last one, and bars whoever is on it, and
    /// convicted buyers, from committees.
    ///
    /// # Errors
    /// If the disk fails or the bank is closed.
    pub async fn renew_revocations(&self) -> Result<(), Reject> {
        let look = |ledger: &Ledger| (ledger.members_changed(), ledger.barred(), ledger.revoked());
        let (number, barred, revoked) = self.look(look).await?;
        self.inner.roster.bar(barred);
        let known = self.revocations().map_or(0, |list| list.number);
        if number > known {
            let now = self.now();
            // A membership from before has run out by itself.
            let live = revoked.into_iter().filter(|(_, at)| now.since(*at) <= MEMBER_FOR);
            let mut live: Vec<_> = live.map(|(node, at)| (Reverse(at), node)).collect();
            live.sort_unstable();
            let nodes = List::first_of(live.into_iter().map(|(_, node)| node));
            let list = self.inner.press.secret.sign(&self.network(), Revocations { number, nodes });
            *self.inner.revocations.write().unwrap_or_else(PoisonError::into_inner) = Some(list);
        }
        Ok(())
    }

    /// Lets somebody look at the books; what is seen is durable when this returns.
    ///
    /// # Errors
    /// If the disk fails or the bank is closed.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger) -> T + Send + 'static,
    ) -> Result<T, Reject> {
        let seen = Arc::new(Mutex::new(None));
        let put = seen.clone();
        let look = move |ledger: &Ledger| {
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(look(ledger));
        };
        self.ask(Ask::Look(Box::new(look))).await?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        seen.ok_or_else(closed)
    }

    /// The bank's word that a vendor sold junk: the same as whoever accused it was given.
    ///
    /// # Errors
    /// If too much is asked at once, or the bank is closed.
    pub async fn signed(&self, verdict: Verdict) -> Result<Unverified<Verdict>, Reject> {
        self.check(move |inner| Ok(inner.sign(verdict))).await
    }

    /// After a long outage, puts settlements off. To be called once at start, before the first settlement.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn resume(&self) -> Result<(), Reject> {
        let now = self.now();
        let last = self.inner.journal.last_alive().map_err(|error| storage(&error))?;
        if last.is_some_and(|last| now.since(last) > LONG_OUTAGE) {
            self.run(Command::Resume { settle_from: now.plus(self.inner.terms.settle_after) }).await?;
        }
        self.heartbeat().await
    }

    /// Notes that the bank runs.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn heartbeat(&self) -> Result<(), Reject> {
        self.inner.journal.note_alive(self.now()).await.map_err(|error| storage(&error))
    }

    /// Pays claims that can be disputed no more, settles every chain that is due, and returns how many were. Bonds that vouch for nothing any more come back.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn settle_due(&self) -> Result<usize, Reject> {
        let mut settled = 0;
        loop {
            let now = self.now();
            let look =
                move |ledger: &Ledger| (ledger.undisputed(now, SETTLE_PAGE), ledger.due(now, SETTLE_PAGE));
            let (undisputed, due) = self.look(look).await?;
            for chain in &undisputed {
                self.run(Command::Release { chain: *chain }).await?;
            }
            if due.is_empty() && undisputed.is_empty() {
                self.run(Command::ReturnBonds).await?;
                return Ok(settled);
            }
            for chain in due {
                self.run(Command::Settle { chain }).await?;
                settled += 1;
            }
        }
    }

    /// Carries out what was asked, refuses everything afterwards, and closes the journal.
    ///
    /// # Errors
    /// If the journal could not be closed in order; nothing acknowledged is lost.
    pub async fn close(&self) -> Result<(), JournalError> {
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let journal = self.inner.journal.clone();
        let closing = tokio::task::spawn_blocking(move || {
            if let Some(writer) = writer {
                // A writer that panicked has answered nobody; the journal is what counts.
                let _ = writer.join();
            }
            journal.close()
        });
        closing.await.unwrap_or(Ok(()))
    }

    async fn believe(&self, from: NodeKey, request: BankRequest) -> Result<BankReply, Reject> {
        match request {
            BankRequest::Info => Ok(BankReply::Info(self.info())),
            BankRequest::Pages => Ok(BankReply::Pages(Text::cut(self.pages()))),
            BankRequest::Register(register) => {
                let terms = (self.inner.terms.voucher_needed, self.inner.terms.bond);
                let command = self.check(move |inner| inner.checks.register(register, &from, terms)).await?;
                let account = match &command {
                    Command::Register { account, .. } => *account,
                    _ => return Err(closed()),
                };
                let reply = self.run(command).await?;
                self.inner.roster.enroll(from, account);
                self.inner.roster.seen(&from, self.now());
                self.show(from, reply).await
            }
            BankRequest::PayIn(pay_in) => {
                self.show(from, self.carry(move |inner| inner.checks.pay_in(pay_in).map(Ask::run)).await?)
                    .await
            }
            BankRequest::Account(query) => {
                let now = self.now();
                let ask = move |inner: &Inner| {
                    inner.checks.query(query, now).map(|query| Ask::Account(query.account, query.after))
                };
                self.show(from, self.carry(ask).await?).await
            }
            BankRequest::Payout(payout) => {
                self.show(from, self.carry(move |inner| inner.checks.payout(payout).map(Ask::run)).await?)
                    .await
            }
            BankRequest::Buy { buy, by_chain } => {
                let now = self.now();
                let ask =
                    move |inner: &Inner| inner.sell(inner.checks.buy(buy, by_chain)?, now).map(Ask::run);
                self.show(from, self.carry(ask).await?).await
            }
            BankRequest::Redeem { redeem, claims } => {
                let ask = move |inner: &Inner| inner.checks.redeem(redeem, claims).map(Ask::run);
                self.show(from, self.carry(ask).await?).await
            }
            BankRequest::Retire(retire) => {
                self.show(from, self.carry(move |inner| inner.checks.retire(retire).map(Ask::run)).await?)
                    .await
            }
            BankRequest::Accuse { accuse, junk } => {
                let judged = self.carry(move |inner| inner.checks.accuse(accuse, junk).map(Ask::run)).await;
                self.inner.members_changed.notify_one();
                self.show(from, judged?).await
            }
            BankRequest::Keys(asked) => {
                let now = self.now();
                let asked = self.check(move |inner| inner.checks.keys(asked, now)).await?;
                self.look(move |ledger| ledger.keys_for(&asked)).await?.map(BankReply::Keys)
            }
            BankRequest::Evidence(evidence) => {
                let noted = self.carry(move |inner| inner.checks.evidence(evidence).map(Ask::run)).await?;
                self.inner.members_changed.notify_one();
                self.show(from, noted).await
            }
        }
    }

    /// Computes on one of the threads for that.
    async fn check<T: Send + 'static>(
        &self,
        check: impl FnOnce(&Inner) -> Result<T, Reject> + Send + 'static,
    ) -> Result<T, Reject> {
        let (reply, answer) = oneshot::channel();
        let inner = self.inner.clone();
        let is_taken = self.inner.checkers.give(move || {
            // Who went away does not want to know.
            let _ = reply.send(check(&inner));
        });
        if !is_taken {
            return Err(busy());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Checks what is asked, and hands it on to the writer from there: whoever waits is woken once, for the answer.
    async fn carry(
        &self,
        check: impl FnOnce(&Inner) -> Result<Ask, Reject> + Send + 'static,
    ) -> Result<Reply, Reject> {
        let (reply, answer) = oneshot::channel();
        let inner = self.inner.clone();
        let is_taken = self.inner.checkers.give(move || match check(&inner) {
            Ok(ask) => {
                let job = Job { ask, now: (inner.clock)(), reply };
                // Dropped with the bank closed, which is an answer too.
                let _ = inner.jobs().map(|jobs| jobs.blocking_send(job));
            }
            Err(reject) => {
                let _ = reply.send(Err(reject));
            }
        });
        if !is_taken {
            return Err(busy());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn ask(&self, ask: Ask) -> Result<Reply, Reject> {
        let (reply, answer) = oneshot::channel();
        let job = Job { ask, now: self.now(), reply };
        let jobs = self.inner.jobs().ok_or_else(closed)?;
        jobs.send(job).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// The reply as it travels.
    async fn show(&self, from: NodeKey, reply: Reply) -> Result<BankReply, Reject> {
        match reply {
            Reply::Done => Ok(BankReply::Noted),
            Reply::Sold { touchstone, sealed } => Ok(BankReply::Sold { touchstone, sealed_seed: sealed }),
            Reply::Judged(verdict) => {
                self.check(move |inner| Ok(inner.sign(verdict))).await.map(BankReply::Judged)
            }
            Reply::Outcomes(outcomes) => Ok(BankReply::Redeemed(List::first_of(outcomes))),
            Reply::Account(view) => {
                let now = self.now();
                self.check(move |inner| Ok(inner.account(&from, *view, now))).await.map(BankReply::Account)
            }
        }
    }

    fn info(&self) -> Info {
        let terms = &self.inner.terms;
        Info {
            network: Text::cut(&terms.network),
            broker: self.key(),
            name: Text::cut(&terms.name),
            contact: Text::cut(&terms.contact),
            denomination: Text::cut(&terms.denomination),
            voucher_needed: terms.voucher_needed,
            bond: terms.bond,
            held_for: HELD_FOR,
            false_accusation: FALSE_ACCUSATION,
        }
    }
}

impl Inner {
    /// The way to the writer, until the bank is closed.
    fn jobs(&self) -> Option<mpsc::Sender<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sign(&self, verdict: Verdict) -> Unverified<Verdict> {
        self.press.secret.sign(&self.press.network, verdict).wire()
    }

    /// A purchase with the chain for it, unless there is something against it or it was answered before: then the writer
    /// says so, and no chain is minted for nothing.
    fn sell(&self, purchase: Purchase, now: Time) -> Result<Command, Reject> {
        let buy = &purchase.buy;
        let known = {
            let ledger = self.checks.ledger.read().unwrap_or_else(PoisonError::into_inner);
            ledger.may_buy(&buy.account, &buy.chain_key, buy.n, purchase.request)
        };
        let committee = |place: &_| self.roster.committee(place, &buy.account, now);
        let mint = match known {
            Ok(None) => Some(Box::new(self.press.mint(&purchase, now, committee)?)),
            Ok(Some(_)) | Err(_) => None,
        };
        let (account, chain_key, n) = (buy.account, buy.chain_key, buy.n);
        Ok(Command::Buy { account, chain_key, n, request: purchase.request, mint })
    }

    /// An account as it travels, with the membership of the node that asks, or of the account's newest.
    fn account(&self, from: &NodeKey, view: AccountView, now: Time) -> Account {
        let of_asker = view.members.iter().find(|node| *node == from);
        let membership = of_asker.or(view.members.last()).map(|node| {
            let (broker, expires) = (self.checks.broker, now.plus(MEMBER_FOR));
            let membership = Membership { broker, node: *node, witness: true, expires };
            self.press.secret.sign(&self.press.network, membership).wire()
        });
        Account {
            balance: view.balance,
            pending: view.pending,
            bond: view.bond,
            frozen: view.frozen.map(|why| Text::cut(&why)),
            held: List::first_of(view.held),
            membership,
            lines: view.lines,
        }
    }
}

/// The place of a request's kind in [`KINDS`].
const fn kind(request: &BankRequest) -> usize {
    match request {
        BankRequest::Info => 0,
        BankRequest::Register(_) => 1,
        BankRequest::PayIn(_) => 2,
        BankRequest::Buy { .. } => 3,
        BankRequest::Redeem { .. } => 4,
        BankRequest::Account(_) => 5,
        BankRequest::Retire(_) => 6,
        BankRequest::Evidence(_) => 7,
        BankRequest::Payout(_) => 8,
        BankRequest::Pages => 9,
        BankRequest::Accuse { .. } => 10,
        BankRequest::Keys(_) => 11,
    }
}

fn no_threads(doing: &'static str, error: std::io::Error) -> JournalError {
    let source = Arc::new(error);
    JournalError::Store(StoreError::Io { doing, path: "the bank".into(), source })
}

fn busy() -> Reject {
    Reject::new(RejectCode::Busy, "too many requests at once: ask again in a moment")
}

fn closed() -> Reject {
    Reject::new(RejectCode::Storage, "the broker is stopping: ask again later")
}

pub(crate) fn storage(error: &JournalError) -> Reject {
    tracing::error!(%error, "the journal");
    Reject::new(RejectCode::Storage, "the broker's disk fails: ask again later")
}

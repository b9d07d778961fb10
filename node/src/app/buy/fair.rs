//! Sales in fair mode: deal after deal with one vendor, each on a line of its own.
//!
//! The machine decides ([`netpay_core::session::fair_buyer`]). What it wants durable is that before anything rests on it:
//! units under seal before the payment for them is made, unless they are worth too little for that ([`Exposure`]); the file's
//! own bytes before the deal is closed.

use super::Control;
use super::exposure::Exposure;
use super::job::{Job, Owing};
use super::kept::{self, Asking, DealRow};
use super::rows::TabRow;
use super::sale::{Progress, TOO_LONG, after_sale, shorten};
use super::visit::{AHEAD, Heard, Line, closed};
use super::work::Work;
use crate::app::pipe::Step;
use crate::app::{Node, Trouble, disputes, lock};
use crate::clock;
use crate::store::{Batch, Commit};
use futures::FutureExt as _;
use netpay_core::amount::{Coins, Count};
use netpay_core::codec;
use netpay_core::content::listing::Listing;
use netpay_core::content::tree::{self, ChainingValue};
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::Junk;
use netpay_core::fair::policy::Mode;
use netpay_core::fair::sealed::SealedUnit;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::session::fair_buyer::{Before, FairBuyer, Input, MAX_PAID_AHEAD, Output, Purchase, Stop};
use netpay_core::session::vendor::BURST;
use netpay_core::time::Moment;
use netpay_core::wallet::{Seller, Wallet, WalletChange, WalletError, lease_limit};
use netpay_core::wire::trade::{Span, Terms, ToBuyer, ToVendor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};

/// Units that came and are not under seal yet: as many as a vendor may send before the key that makes room for them.
const MAX_PENDING: usize = AHEAD + MAX_PAID_AHEAD as usize;
/// Units that are written down and paid for together, where more than one of them is there.
const GATHERED: usize = BURST;
/// Units opened before their bytes are made durable, at most: a row of each is kept meanwhile.
const SYNC_EVERY: usize = 256;
/// Deals that end while the next goes on, at most.
const MAX_ENDING: usize = 4;
/// Deals that may fail since another sale was faster to open the chain's next segment.
const TRIES: usize = 3;

/// Buys units from one vendor until none are wanted any more. Deals that a break left open go on first.
pub(super) async fn run(job: Arc<Job>, listing: Signed<Listing>, owing: Owing) -> Result<(), Trouble> {
    let mut ending = JoinSet::new();
    let mut all = vec![buy(&job, &listing, &mut ending).await];
    // Nothing is left to be paid here.
    drop(owing);
    while let Some(ended) = ending.join_next().await {
        all.push(ended.map_err(|_| Trouble::Stopping).flatten());
    }
    let is_at_fault =
        |ended: &Result<(), Trouble>| matches!(ended, Err(Trouble::Deal(stop)) if is_the_vendors(stop));
    if all.iter().any(is_at_fault) {
        lock(&job.shunned).insert(listing.vendor);
    }
    all.into_iter().collect()
}

/// Deals of which every unit was opened. Their bytes get to the disk and their receipts come while the next goes on.
type Ending = JoinSet<Result<(), Trouble>>;

async fn buy(job: &Arc<Job>, listing: &Signed<Listing>, ending: &mut Ending) -> Result<(), Trouble> {
    for deal in job.node.deals(|row| row.download == job.id && row.seller.node == listing.vendor) {
        if let Some(trade) = Trade::resume(&job.node, Some(Arc::clone(job)), deal).await? {
            trade.end().await?;
        }
    }
    let (mut known, mut failed) = (Known::nothing(&job.node), 0);
    while let Some(mut trade) = Trade::begin(job, listing, &known).await? {
        // Of what is paid in the next no more keys may be outstanding than in one: all of this have come.
        match trade.go_through(Until::Opened).await {
            Ok(()) => known = trade.known(&known),
            Err(Trouble::Deal(Stop::Wallet(WalletError::NotOpen))) if failed < TRIES => {
                trade.leave().await?;
                failed += 1;
                continue;
            }
            Err(trouble) => {
                trade.leave().await?;
                return Err(trouble);
            }
        }
        ending.spawn(trade.end());
        while ending.len() > MAX_ENDING {
            let Some(end) = ending.join_next().await else { break };
            end.map_err(|_| Trouble::Stopping).flatten()?;
        }
    }
    Ok(())
}

/// Ends a deal of a download that nobody works at: takes the keys of what is paid, and the receipt. `job` is where its units
/// go, unless the file is in its place.
pub(super) async fn settle(
    node: &Node,
    job: Option<Arc<Job>>,
    (hash, row): (ObjectHash, DealRow),
) -> Result<(), Trouble> {
    let mut trade = Trade::resume(node, job, (hash, row)).await?.ok_or(Trouble::NoVendor)?;
    trade.first = vec![Input::Begin, Input::Finish];
    trade.end().await
}

/// Whether what ended a deal is the vendor's fault, and not its silence or this peer's lack of coins.
const fn is_the_vendors(stop: &Stop) -> bool {
    matches!(stop, Stop::BadDeal | Stop::BadUnit | Stop::BadKey | Stop::Junk | Stop::NoKey)
}

/// How far to go with a deal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Every unit is opened, or it ends for another reason.
    Opened,
    /// The receipt is there.
    Over,
}

/// What earlier deals of a sale leave for the next.
struct Known {
    /// The chain that paid.
    chain: Option<ChainId>,
    /// Units of which the vendor gave the keys.
    opened: u64,
    /// What a loss of power could take of the sale.
    exposure: Arc<Exposure>,
}

impl Known {
    /// Before the first deal.
    fn nothing(node: &Node) -> Self {
        Self { chain: None, opened: 0, exposure: Arc::new(Exposure::new(node.settings().unit_price)) }
    }
}

struct Trade {
    node: Node,
    /// The download it is for.
    id: u64,
    /// Where the units go; nowhere once the file is in its place.
    job: Option<Arc<Job>>,
    vendor: PublicKey,
    tab: usize,
    seller: Seller,
    machine: FairBuyer,
    deal: Option<(ObjectHash, DealRow)>,
    /// The deal is to be written again, as what was written of it last may not have got there.
    is_due: bool,
    line: Line,
    /// Units that came and were not looked at yet.
    pending: VecDeque<(SealedUnit, Vec<u8>)>,
    /// Units under seal on their way to the disk, ahead of these.
    keeping: Work<Vec<(SealedUnit, Vec<u8>)>>,
    /// Units of which the bytes themselves are on their way to the disk.
    syncing: Work<Vec<u64>>,
    /// Units that nobody else was asked for.
    outstanding: BTreeSet<u64>,
    /// What the units that are under seal hash to in clear.
    sealed: BTreeMap<u64, ChainingValue>,
    /// Units before this one were under seal here before: they are opened as they come again, and not kept.
    keep_from: u64,
    /// What a loss of power could take of the sale.
    exposure: Arc<Exposure>,
    /// Units of the deal that are counted there: written, and not known to be on the disk.
    loose: BTreeSet<u64>,
    /// Opened, and not known to be on the disk.
    unsynced: Vec<u64>,
    /// On the disk, which is still to be noted.
    synced: Vec<u64>,
    /// Something is paid of which the key is still to come.
    awaits_key: bool,
    /// Released for the deal, and counted on the tab.
    released: Coins,
    until: Moment,
    over: Option<Result<(), Trouble>>,
    /// All that it brings was opened: its Close is said once that is on the disk.
    is_closing: bool,
    progress: Option<Progress>,
    /// Held until the segment that was named is opened.
    asking: Option<Asking>,
    /// How it begins: a deal that only ends wants nothing more than what is paid.
    first: Vec<Input>,
}

/// What one step comes to.
#[derive(Default)]
struct Done {
    changes: Vec<WalletChange>,
    batch: Batch,
    messages: Vec<ToVendor>,
    units: Vec<u64>,
    bytes: u64,
    junk: Option<Junk>,
}

impl Trade {
    /// A trade over this line that begins; a deal that goes on has more to say.
    fn new(
        (node, id, job): (&Node, u64, Option<Arc<Job>>),
        tab: usize,
        (purchase, before): (Purchase, Option<Before>),
        line: Line,
        exposure: Arc<Exposure>,
    ) -> Self {
        let seller = purchase.seller;
        Self {
            node: node.clone(),
            id,
            progress: job.as_deref().map(Progress::of),
            job,
            vendor: seller.node,
            tab,
            seller,
            machine: FairBuyer::new(node.network(), purchase, before),
            deal: None,
            is_due: false,
            line,
            pending: VecDeque::new(),
            keeping: Work::default(),
            syncing: Work::default(),
            outstanding: BTreeSet::new(),
            sealed: BTreeMap::new(),
            keep_from: 0,
            exposure,
            loose: BTreeSet::new(),
            unsynced: Vec::new(),
            synced: Vec::new(),
            awaits_key: false,
            released: Coins::ZERO,
            until: Moment(u64::MAX),
            over: None,
            is_closing: false,
            asking: None,
            first: vec![Input::Begin],
        }
    }

    /// A deal about units that are wanted, if any are.
    async fn begin(
        job: &Arc<Job>,
        listing: &Signed<Listing>,
        known: &Known,
    ) -> Result<Option<Self>, Trouble> {
        let (node, price, vendor) = (&job.node, listing.price, listing.vendor);
        shorten(node, TOO_LONG).await?;
        let (tab, row) = node.tab_of(job.id, vendor, price, Mode::Fair)?;
        // What a vendor that vanishes locks up until settlement is no more than what it earned here.
        let Some(span) = job.take_for(price, lease_limit(row.paid).into()) else { return Ok(None) };
        let units = |span: Span| span.first..span.first + span.count;
        let too_few = |have| {
            let paid = node.row_of(job.id).map_or(Coins::ZERO, |row| row.paid());
            node.out_of_coins(job.id, paid, have)
        };
        let found = node.fair_chain(job.cost(price, span), known.chain);
        let found = found.and_then(|found| found.ok_or_else(|| too_few(Coins::ZERO)));
        let (asking, free) = found.inspect_err(|_| job.give_back(units(span)))?;
        let span = if job.cost(price, span) <= free {
            span
        } else {
            // No chain has so many.
            job.give_back(units(span));
            let Some(span) = job.take_for(price, free) else { return Ok(None) };
            span
        };
        let called = async {
            if job.cost(price, span) > free {
                return Err(too_few(free));
            }
            let seller = node.fair_seller(asking.chain(), vendor).await?;
            let line = Line::dial(node, vendor).await.inspect_err(|_| node.unused([seller]))?;
            Ok((seller, line))
        };
        let (seller, line) = called.await.inspect_err(|_| job.give_back(units(span)))?;
        let terms = Terms { root: listing.root, size: listing.size, price, unit_log: job.units.log() };
        let purchase = Purchase { terms, span, chain: asking.chain(), seller, opened_before: known.opened };
        node.happened(job.id, "deal", &vendor.to_string());
        let download = (node, job.id, Some(Arc::clone(job)));
        let exposure = Arc::clone(&known.exposure);
        let mut trade = Self::new(download, tab, (purchase, None), line, exposure);
        (trade.outstanding, trade.asking) = (units(span).collect(), Some(asking));
        Ok(Some(trade))
    }

    /// Goes on with a deal, unless there is nothing to go on for.
    async fn resume(
        node: &Node,
        job: Option<Arc<Job>>,
        (hash, row): (ObjectHash, DealRow),
    ) -> Result<Option<Self>, Trouble> {
        let Some((deal, Some(open))) = row.verified(node) else { return Ok(None) };
        let lease = node.wallet(|wallet| {
            let lease = wallet.chain(&deal.chain)?.lease(deal.j)?;
            let released = lease.released.since(open.start)?;
            Some((released, lease.ended, lease.closed))
        })?;
        let Some((released, ended, is_closed)) = lease else { return Ok(None) };
        // From here on what was written before counts as being on the disk.
        let synced = block_in_place(|| sync_all(node, job.as_deref(), &hash))?;
        let (kept, first_kept) = (node.kept_units(&hash, &deal)?, node.first_kept(&hash)?);
        let paid = deal.paid_by(released).map_or(0, |last| last - deal.first + 1);
        let run = Span { first: deal.first, count: if ended { paid } else { deal.count } };
        let (unpaid, behind) = (deal.first + paid, run.first + run.count);
        let mut outstanding: BTreeSet<u64> =
            job.as_ref().map(|job| job.take_from(run)).unwrap_or_default().into_iter().collect();
        // A deal goes on in the order of its units. Where others brought some of those that are not paid, it ends.
        let goes_on = outstanding
            .first()
            .is_some_and(|first| *first <= unpaid && behind - first == outstanding.len() as u64);
        if let Some(job) = job.as_ref().filter(|_| !goes_on) {
            job.give_back(outstanding.split_off(&unpaid));
        }
        if outstanding.is_empty() && (job.is_some() || is_closed) {
            return Ok(None);
        }
        // Units come in their order: those before the first that is missing were opened.
        let opened = match (&job, kept.first()) {
            (_, Some(kept)) if !outstanding.iter().any(|unit| *unit < kept.unit.unit) => kept.unit.unit,
            (Some(_), _) => outstanding.first().copied().unwrap_or(deal.first + run.count),
            (None, _) => deal.first + paid,
        } - deal.first;
        tracing::debug!(download = row.download, opened, under_seal = kept.len(), "a deal goes on");
        let terms = Terms { root: deal.root, size: deal.size, price: deal.price, unit_log: deal.unit_log };
        let span = Span { first: deal.first, count: deal.count };
        let purchase = Purchase { terms, span, chain: deal.chain, seller: row.seller, opened_before: 0 };
        let before = Before { deal: row.deal.clone(), opened, kept: kept.clone() };
        let line = Line::dial(node, row.seller.node).await;
        let line = line.inspect_err(|_| {
            if let Some(job) = &job {
                job.give_back(outstanding.iter().copied());
            }
        })?;
        let exposure = Known::nothing(node).exposure;
        let purchase = (purchase, Some(before));
        let mut trade = Self::new((node, row.download, job), row.tab, purchase, line, exposure);
        trade.outstanding = outstanding;
        (trade.deal, trade.is_due) = (Some((hash, row)), true);
        trade.synced = synced;
        trade.sealed = kept.iter().map(|kept| (kept.unit.unit, hash_of(&kept.unit, &deal))).collect();
        trade.keep_from = first_kept.unwrap_or(0);
        trade.released = released.into();
        if !goes_on {
            trade.first.push(Input::Finish);
        }
        Ok(Some(trade))
    }

    /// Goes through with the deal.
    async fn go_through(&mut self, until: Until) -> Result<(), Trouble> {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            self.step(first).await?;
        }
        loop {
            if let Some(over) = self.over.take() {
                return over;
            }
            if self.is_closing {
                if until == Until::Opened {
                    return Ok(());
                }
                // After its end a deal brings nothing again.
                self.sync(true).await?;
                self.say(&ToVendor::Close).await?;
                self.is_closing = false;
            }
            let inputs = self.wait().await?;
            self.step(inputs).await?;
        }
    }

    /// Goes through with the deal to its end, and forgets it.
    async fn end(mut self) -> Result<(), Trouble> {
        let ended = self.go_through(Until::Over).await;
        self.leave().await?;
        ended?;
        after_sale(&self.node, self.id, self.vendor);
        Ok(())
    }

    /// Leaves nothing behind that is still being written or not on the disk, and no deal that is over.
    async fn leave(&mut self) -> Result<(), Trouble> {
        let (kept, stored) = (self.keeping.end().await, self.sync(true).await);
        // What is still under seal counts no more: whoever goes on with the deal syncs it first.
        let loose = std::mem::take(&mut self.loose);
        loose.into_iter().for_each(|unit| self.exposure.dropped(self.cost(Span { first: unit, count: 1 })));
        // Until its bytes are on the disk a deal says what they hash to.
        if stored.is_ok() {
            self.forget_if_over().await?;
        }
        kept.map(drop).and(stored)
    }

    /// What is known after this deal.
    fn known(&self, before: &Known) -> Known {
        let chain = self.machine.deal().map(|deal| deal.chain).or(before.chain);
        let opened = before.opened + self.machine.opened();
        Known { chain, opened, exposure: Arc::clone(&self.exposure) }
    }

    /// Waits for the next things that happen; units under seal among them are durable then.
    async fn wait(&mut self) -> Result<Vec<Input>, Trouble> {
        loop {
            if let Some(unexpected) = self.keep_expected() {
                return Ok(vec![unexpected]);
            }
            let millis = self.until.0.saturating_sub(clock::now().0);
            let mut control = self.job.as_ref().map(|job| job.control.clone());
            let stopped = async {
                match &mut control {
                    Some(control) => drop(control.wait_for(|control| *control != Control::Go).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                kept = self.keeping.done() => {
                    let inputs = kept?.into_iter().map(|(unit, bytes)| Input::Unit(Box::new(unit), bytes));
                    return Ok(inputs.collect());
                }
                synced = self.syncing.done() => synced.map(|units| self.are_stored(units))?,
                heard = self.line.inbox.recv(), if self.pending.len() < MAX_PENDING => {
                    match heard.ok_or_else(closed)? {
                        Heard::Message(message) => {
                            self.note(&message);
                            return Ok(vec![Input::Heard(Box::new(message))]);
                        }
                        Heard::Sealed(unit, bytes) => self.pending.push_back((*unit, bytes)),
                        Heard::Unit { .. } => return Err(Trouble::WrongBytes),
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(millis)) => return Ok(vec![Input::TimedOut]),
                () = stopped => return Err(Trouble::Stopping),
                () = self.node.stopped() => return Err(Trouble::Stopping),
            }
        }
    }

    /// Has the units that came and that the machine expects written down, once those before them are. What it does not
    /// expect it refuses, or passes over: that is not written down, and is returned.
    fn keep_expected(&mut self) -> Option<Input> {
        let last = self.machine.deal().map(|deal| deal.first + deal.count - 1);
        let is_all = self.pending.back().map(|(unit, _)| unit.unit) == last;
        // While something else is on its way few units wait for more: writes and payments cost the same for one and for many.
        let waits = self.awaits_key && self.pending.len() < GATHERED && !is_all;
        if waits || !self.keeping.is_idle() {
            return None;
        }
        let mut units = Vec::new();
        while let Some((unit, _)) = self.pending.front() {
            let more = units.len() as u64;
            if !self.machine.has_room(more) && more == 0 {
                return None;
            }
            if !self.machine.expects(unit.unit, more) {
                break;
            }
            units.extend(self.pending.pop_front());
        }
        let Some(deal) = self.machine.deal().cloned().filter(|_| !units.is_empty()) else {
            let unexpected = self.pending.pop_front();
            return unexpected.map(|(unit, bytes)| Input::Unit(Box::new(unit), bytes));
        };
        let (node, from) = (self.node.clone(), self.keep_from);
        let new: Vec<_> = units.iter().map(|(unit, _)| unit.unit).filter(|unit| *unit >= from).collect();
        let run = new.first().map(|first| Span { first: *first, count: new.len() as u64 });
        let cost = run.map_or(Coins::ZERO, |run| self.cost(run));
        let is_synced = self.job.is_none() || !self.exposure.may_add(cost);
        if !is_synced {
            self.loose.extend(new);
            self.exposure.written(cost);
        }
        self.keeping.begin(move || {
            let new: Vec<_> = units.iter().filter(|(unit, _)| unit.unit >= from).collect();
            node.keep_units(&deal, &new, is_synced)?;
            Ok(units)
        });
        None
    }

    /// Gives the machine its inputs and does what it wants done.
    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), Trouble> {
        let (commit, done) = block_in_place(|| self.decide(inputs))?;
        if !commit.is_nothing() {
            self.line.send(Step::Commit(commit.shared())).await?;
        }
        if let (Some(job), false) = (&self.job, done.units.is_empty()) {
            let have = job.took(&done.units, self.tab, done.bytes);
            for unit in &done.units {
                self.outstanding.remove(unit);
            }
            if let Some(progress) = &mut self.progress {
                progress.show(job, &self.vendor, self.released, have);
            }
        }
        self.sync(false).await?;
        for message in &done.messages {
            match message {
                ToVendor::Close => self.is_closing = true,
                message => self.say(message).await?,
            }
        }
        if done.junk.is_some() {
            self.node.happened(self.id, "junk", &self.vendor.to_string());
            self.node.found_junk(self.vendor).await;
        }
        Ok(())
    }

    async fn say(&self, message: &ToVendor) -> Result<(), Trouble> {
        self.line.send(Step::Say(codec::encode(message))).await
    }

    /// Makes the bytes of opened units durable: in the background where many gathered, or to the end. Of those that gather while
    /// others are on their way there are no more, so that their rows stay few.
    async fn sync(&mut self, to_the_end: bool) -> Result<(), Trouble> {
        let is_due = to_the_end
            || self.unsynced.len() >= SYNC_EVERY
            || (self.syncing.is_idle() && self.exposure.is_half_used());
        let Some(job) = self.job.clone().filter(|_| is_due) else { return Ok(()) };
        self.end_sync().await?;
        if !self.unsynced.is_empty() {
            let units = std::mem::take(&mut self.unsynced);
            self.syncing.begin(move || {
                job.sync()?;
                Ok(units)
            });
        }
        if to_the_end { self.end_sync().await } else { Ok(()) }
    }

    async fn end_sync(&mut self) -> Result<(), Trouble> {
        let units = self.syncing.end().await?.unwrap_or_default();
        self.are_stored(units);
        Ok(())
    }

    /// The bytes of these units are on the disk.
    fn are_stored(&mut self, units: Vec<u64>) {
        for unit in &units {
            if self.loose.remove(unit) {
                self.exposure.stored(self.cost(Span { first: *unit, count: 1 }));
            }
        }
        self.synced.extend(units);
    }

    /// What units of the deal cost; nothing where they go nowhere.
    fn cost(&self, run: Span) -> Coins {
        let cost = self.job.as_ref().zip(self.machine.deal()).map(|(job, deal)| job.cost(deal.price, run));
        cost.unwrap_or_default()
    }

    /// What the machine decides goes to the store while the wallet is held, so that it reaches the disk in order. Blocks.
    fn decide(&mut self, inputs: Vec<Input>) -> Result<(Commit, Done), Trouble> {
        let node = self.node.clone();
        node.purse(|purse| {
            let heard = inputs.iter().filter_map(|input| match input {
                Input::Heard(message) => Some(&**message),
                _ => None,
            });
            node.note_receipts(&purse.wallet, self.id, heard);
            let mut out = Vec::new();
            for input in inputs {
                self.machine.handle(clock::now(), input, &mut purse.wallet, &mut out);
            }
            let mut done = Done::default();
            if let Some((hash, row)) = &self.deal {
                if std::mem::take(&mut self.is_due) {
                    node.keep_deal(*hash, row.clone(), &mut done.batch);
                }
                self.synced.drain(..).for_each(|unit| kept::put_stored(&mut done.batch, hash, unit));
            }
            for output in out {
                self.carry_out(output, &mut done);
            }
            self.note_open(&purse.wallet, &mut done.batch);
            self.awaits_key = self.machine.awaits_key(&purse.wallet);
            let more = self.newly_released(&purse.wallet);
            let count = |tab: &mut TabRow| {
                tab.paid = tab.paid.saturating_add(more);
                tab.owed = tab.paid;
            };
            let (changes, batch) = (std::mem::take(&mut done.changes), std::mem::take(&mut done.batch));
            let is_new = more > Coins::ZERO;
            let wallet = Some((&*purse, changes));
            (node.commit_tab((self.id, self.tab), is_new, count, batch, wallet), done)
        })
    }

    fn carry_out(&mut self, output: Output, done: &mut Done) {
        let hash = self.machine.deal().map(Signed::hash);
        match (output, hash) {
            (Output::KeepDeal(deal), Some(hash)) => {
                let (seller, download, tab, at) = (self.seller, self.id, self.tab, clock::time());
                let row = DealRow { deal: *deal, open: None, seller, download, tab, at };
                self.node.keep_deal(hash, row.clone(), &mut done.batch);
                self.deal = Some((hash, row));
            }
            (Output::Keep(kept), Some(hash)) => {
                if kept.unit.unit >= self.keep_from {
                    kept::put_unit(&mut done.batch, &hash, kept.unit.unit);
                }
                if let Some(deal) = self.machine.deal() {
                    self.sealed.insert(kept.unit.unit, hash_of(&kept.unit, deal));
                }
            }
            (Output::Opened { unit, bytes }, Some(hash)) => match self.store(unit, &bytes, &mut done.batch) {
                Ok(()) => {
                    match self.sealed.remove(&unit).filter(|_| self.job.is_some()) {
                        Some(hashes_to) => kept::put_opened(&mut done.batch, &hash, unit, &hashes_to),
                        None => kept::take_out(&mut done.batch, &hash, unit),
                    }
                    self.unsynced.push(unit);
                    if self.job.is_some() && self.loose.insert(unit) {
                        self.exposure.written(self.cost(Span { first: unit, count: 1 }));
                    }
                    done.units.push(unit);
                    done.bytes += bytes.len() as u64;
                }
                // It stays under seal, and is opened when the deal goes on.
                Err(trouble) => self.over = Some(Err(trouble)),
            },
            (Output::Persist(changes), _) => done.changes.extend(changes),
            (Output::Send(message), _) => done.messages.push(*message),
            (Output::SetTimer(at), _) => self.until = at,
            (Output::Junk(junk), Some(hash)) => {
                disputes::put_junk(&mut done.batch, &hash, self.id, self.vendor, &junk);
                done.junk = Some(*junk);
            }
            (Output::Finished, _) => self.over = Some(Ok(())),
            (Output::Stopped(Stop::Refused(reject)), _) => self.over = Some(Err(Trouble::Refused(reject))),
            (Output::Stopped(stop), _) => self.over = Some(Err(Trouble::Deal(stop))),
            (Output::KeepDeal(_) | Output::Keep(_) | Output::Opened { .. } | Output::Junk(_), None) => {}
        }
    }

    /// Writes a unit where it belongs.
    fn store(&self, unit: u64, bytes: &[u8], batch: &mut Batch) -> Result<(), Trouble> {
        self.job.as_ref().map_or(Ok(()), |job| job.put(unit, bytes, self.tab, batch))
    }

    /// Keeps the Open with the deal from the first payment on: what comes too late is opened and judged by it.
    fn note_open(&mut self, wallet: &Wallet, batch: &mut Batch) {
        let Some((hash, row)) = self.deal.as_mut().filter(|(_, row)| row.open.is_none()) else { return };
        let Some(deal) = self.machine.deal() else { return };
        let lease = wallet.chain(&deal.chain).and_then(|chain| chain.lease(deal.j));
        let ours = lease.filter(|lease| lease.open.fair.as_ref().is_some_and(|terms| terms.deal == *hash));
        if let Some(lease) = ours {
            row.open = Some(lease.open.wire());
            self.node.keep_deal(*hash, row.clone(), batch);
            self.asking = None;
        }
    }

    /// What was released for the deal since it was counted on the tab last.
    fn newly_released(&mut self, wallet: &Wallet) -> Coins {
        let released = Coins::from(self.machine.released(wallet)).max(self.released);
        released.saturating_sub(std::mem::replace(&mut self.released, released))
    }

    /// Forgets the deal if nothing can come of it any more: it was not opened for, or its receipt is there and all that was
    /// paid is stored.
    async fn forget_if_over(&self) -> Result<(), Trouble> {
        let (Some((hash, row)), Some(deal)) = (&self.deal, self.machine.deal()) else { return Ok(()) };
        let is_closed = self.node.wallet(|wallet| {
            let lease = wallet.chain(&deal.chain).and_then(|chain| chain.lease(deal.j));
            lease.is_none_or(|lease| lease.closed)
        })?;
        let is_over = is_closed && self.node.kept_count(hash) == 0;
        if row.open.is_none() || is_over { self.node.forget_deal(*hash).await } else { Ok(()) }
    }

    fn note(&self, message: &ToBuyer) {
        match message {
            ToBuyer::Reject { reject, .. } => self.node.happened(self.id, "refused", &reject.to_string()),
            ToBuyer::Deal(_) => self.node.happened(self.id, "sealed", &self.vendor.to_string()),
            _ => {}
        }
    }
}

/// Makes durable what was written of a deal, under seal and opened. Returns which units were opened and are there. Blocks.
fn sync_all(node: &Node, job: Option<&Job>, hash: &ObjectHash) -> Result<Vec<u64>, Trouble> {
    node.sync_kept(hash)?;
    let Some(job) = job else { return Ok(Vec::new()) };
    job.sync()?;
    let mut opened = node.opened_units(hash)?;
    // What the power took comes again, and is compared until it is there.
    opened.retain(|unit| lock(&job.state).have.contains_key(unit));
    Ok(opened)
}

/// What a unit hashes to in clear, by what came with it.
fn hash_of(unit: &SealedUnit, deal: &Deal) -> ChainingValue {
    let is_whole = deal.units().is_none_or(|units| units.count() == 1);
    tree::node_of(&unit.leaves).filter(|_| !is_whole).unwrap_or(deal.root.0)
}

/// Gives back what the deal held, however it ended.
impl Drop for Trade {
    fn drop(&mut self) {
        let _ = self.node.wallet(|wallet| self.machine.let_go(wallet));
        if self.deal.as_ref().is_none_or(|(_, row)| row.open.is_none()) {
            self.node.unused([self.seller]);
        }
        if let Some(job) = &self.job {
            job.give_back(std::mem::take(&mut self.outstanding));
        }
    }
}

impl Node {
    /// A chain to pay a deal of so many coins from, and what it has, if any has coins; no other deal names it meanwhile. Those
    /// that pay another sale are the last choice.
    fn fair_chain(&self, wanted: Coins, ours: Option<ChainId>) -> Result<Option<(Asking, Coins)>, Trouble> {
        let wanted = Count::from_coins(wanted).unwrap_or(Count(u32::MAX));
        let found = self.wallet(|wallet| {
            let is_asked = |chain: &ChainId| self.is_asked_about(chain);
            let is_used = |chain: &ChainId| {
                let leases = wallet.chain(chain).into_iter().flat_map(|chain| chain.leases());
                is_asked(chain) || (ours != Some(*chain) && leases.into_iter().any(|(_, lease)| lease.in_use))
            };
            let now = clock::time();
            let idle = wallet.chain_for(wanted, is_used, now).filter(|(_, free)| *free >= wanted);
            idle.or_else(|| wallet.chain_for(wanted, is_asked, now))
        })?;
        let Some((chain, free)) = found else { return Ok(None) };
        let asking = self.ask_about(chain).ok_or(Trouble::Deal(Stop::Wallet(WalletError::NotOpen)))?;
        Ok(Some((asking, free.into())))
    }

    /// The holder key that a vendor has for a chain: the one it had before, else a fresh one.
    async fn fair_seller(&self, chain: ChainId, vendor: PublicKey) -> Result<Seller, Trouble> {
        let before = self.wallet(|wallet| {
            let leases = wallet.chain(&chain)?.leases();
            leases.map(|(_, lease)| lease.seller).find(|seller| seller.node == vendor)
        })?;
        match before {
            Some(seller) => Ok(seller),
            None => self.sellers(vendor, 1).await?.pop().ok_or(Trouble::NoVendor),
        }
    }
}

//! One sale of a download: the buyer's end of `/netpay/trade/1`.
//!
//! Bytes are verified and written, the machine says what is due, and one writer task makes the wallet's
//! rows and the units they paid for durable together before the payment leaves.

use super::job::{Job, Owing};
use super::{Control, rows};
use crate::app::Node;
use crate::app::certify::{DEFERRAL, certify_own};
use crate::app::pipe::{self, Step};
use crate::app::vault::Purse;
use crate::app::{Trouble, lock};
use crate::clock;
use crate::overlay::{Protocol, Stream};
use crate::store::{Batch, Commit};
use futures::FutureExt as _;
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Wire};
use netpay_core::content::listing::Listing;
use netpay_core::content::tree::{Proof, verify_unit};
use netpay_core::keys::Signed;
use netpay_core::record::chain::MAX_UNCERTIFIED;
use netpay_core::session::buyer::{Buyer, Input, Output, Purchase};
use netpay_core::wallet::WalletChange;
use netpay_core::wire::trade::{Span, Terms, ToBuyer};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, ReadHalf};
use tokio::sync::mpsc;

/// How long a vendor may take to answer the dial and the order.
const OPEN_TIMEOUT: Duration = Duration::from_secs(8);
/// A vendor that sends nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(20);
/// Units read ahead of being verified.
const AHEAD: usize = 8;
/// Steps waiting for the writer.
const OUTBOX: usize = 4;
/// Tags asked for per sale: as many chains can be begun in it.
const TAGS: usize = 3;
/// With so many uncertified segments a chain is certified after a sale, so that the next need not wait for it …
const LONG: usize = MAX_UNCERTIFIED - 2;
/// … and with so many before one: its record hardly has room for more.
const TOO_LONG: usize = MAX_UNCERTIFIED - 1;

/// What the vendor sent.
enum Heard {
    Message(ToBuyer),
    Unit { unit: u64, proof: Proof, bytes: Vec<u8> },
}

/// Buys units from one vendor until none are wanted any more.
pub(super) async fn run(job: Arc<Job>, listing: Signed<Listing>, owing: Owing) -> Result<(), Trouble> {
    let Some(span) = job.take() else { return Ok(()) };
    let mut sale = match Sale::open(Arc::clone(&job), &listing, span, owing).await {
        Ok(sale) => sale,
        Err(trouble) => {
            job.give_back(span.first..span.first + span.count);
            return Err(trouble);
        }
    };
    let ended = sale.serve().await;
    job.give_back(std::mem::take(&mut sale.outstanding));
    sale.let_go();
    if ended.is_ok() && sale.price > Coins::ZERO {
        job.node.happened(job.id, "receipt", &sale.vendor.to_string());
        let node = job.node.clone();
        tokio::spawn(async move {
            // There is time, and another sale may be in a hurry.
            tokio::time::sleep(DEFERRAL).await;
            if let Err(trouble) = shorten(&node, LONG).await {
                tracing::debug!(%trouble, "chains were not certified after a sale");
            }
        });
    }
    ended
}

struct Sale {
    job: Arc<Job>,
    vendor: crate::overlay::NodeKey,
    price: Coins,
    tab: usize,
    tab_is_stored: bool,
    buyer: Buyer,
    outstanding: BTreeSet<u64>,
    inbox: mpsc::Receiver<Heard>,
    outbox: mpsc::Sender<Step>,
    /// Units verified whose row is not yet written.
    fresh: Vec<u64>,
    finishing: bool,
    /// Held as long as something may still have to be paid here.
    owing: Option<Owing>,
    over: Option<Result<(), Trouble>>,
    shown: (Instant, u64),
}

impl Sale {
    async fn open(
        job: Arc<Job>,
        listing: &Signed<Listing>,
        span: Span,
        owing: Owing,
    ) -> Result<Self, Trouble> {
        let node = job.node.clone();
        let vendor = listing.vendor;
        let price = listing.price;
        let fresh = if price > Coins::ZERO { node.sellers(vendor, TAGS).await? } else { Vec::new() };
        if price > Coins::ZERO {
            shorten(&node, TOO_LONG).await?;
        }
        let (tab, row, tab_is_stored) = node.tab_of(job.id, vendor, price)?;
        let stream = node.overlay().open(vendor, Protocol::Trade, OPEN_TIMEOUT).await;
        let stream = stream.map_err(Trouble::PeerUnreachable)?;
        let cost = |unit: u64| job.units.price_of(price, unit).unwrap_or_default();
        let owed = lock(&job.state)
            .have
            .iter()
            .filter(|(_, from)| **from == tab)
            .map(|(unit, _)| cost(*unit).0)
            .sum();
        let wanted = (span.first..span.first + span.count).map(|unit| cost(unit).0).sum::<u64>();
        let terms = Terms { root: listing.root, size: listing.size, price, unit_log: job.units.log() };
        let purchase = Purchase {
            tab: row.tab,
            terms,
            span,
            paid: row.paid,
            owed: Coins(owed),
            ahead: cost(span.first),
            expected: Coins(owed + wanted),
        };
        let (reader, writer) = tokio::io::split(stream);
        let (to_inbox, inbox) = mpsc::channel(AHEAD);
        let (outbox, steps) = mpsc::channel(OUTBOX);
        tokio::spawn(read(reader, to_inbox));
        tokio::spawn(pipe::write(writer, steps));
        let shown = (Instant::now(), lock(&job.state).have_bytes);
        Ok(Self {
            buyer: Buyer::new(purchase, vendor, fresh),
            vendor,
            price,
            tab,
            tab_is_stored,
            outstanding: (span.first..span.first + span.count).collect(),
            inbox,
            outbox,
            fresh: Vec::new(),
            finishing: false,
            owing: Some(owing),
            over: None,
            shown,
            job,
        })
    }

    async fn serve(&mut self) -> Result<(), Trouble> {
        self.job.node.happened(self.job.id, "ordered", &self.vendor.to_string());
        self.step(vec![Input::Begin]).await?;
        if !self.job.has_last() {
            // The rest is asked for in the same breath as the last unit, and believed only after it.
            self.ask_for_more().await?;
        }
        loop {
            if let Some(over) = self.over.take() {
                return over;
            }
            let inputs = self.wait().await?;
            self.step(inputs).await?;
            if self.finishing {
                // What this vendor delivered is paid for: the file need not wait for the receipt.
                self.owing = None;
            }
        }
    }

    /// Waits for the next things that happen, and verifies and writes the units among them.
    async fn wait(&mut self) -> Result<Vec<Input>, Trouble> {
        let mut control = self.job.control.clone();
        let stopping = self.job.node.clone();
        let heard = tokio::select! {
            heard = self.inbox.recv() => heard.ok_or_else(closed)?,
            stop = control.wait_for(|control| *control != Control::Go) => {
                drop(stop);
                return Err(Trouble::Stopping);
            }
            () = stopping.stopped() => return Err(Trouble::Stopping),
            () = tokio::time::sleep(IDLE) => return Err(Trouble::TimedOut),
        };
        let mut all = vec![heard];
        while all.len() < AHEAD {
            let Ok(more) = self.inbox.try_recv() else { break };
            all.push(more);
        }
        let mut inputs = Vec::new();
        let mut units: Vec<(u64, Proof, Vec<u8>)> = Vec::new();
        for heard in all {
            match heard {
                Heard::Message(message) => {
                    self.note(&message);
                    inputs.push(Input::Heard(Box::new(message)));
                }
                Heard::Unit { unit, proof, bytes } => {
                    let size_is_proved = self.job.has_last() || unit + 1 == self.job.units.count();
                    let expected = self.outstanding.remove(&unit);
                    if !expected || !size_is_proved && units.is_empty() {
                        // What was taken off the list is still wanted.
                        self.outstanding.extend(units.iter().map(|(unit, ..)| *unit));
                        self.outstanding.extend(expected.then_some(unit));
                        return Err(Trouble::WrongBytes);
                    }
                    units.push((unit, proof, bytes));
                }
            }
        }
        inputs.extend(self.take_units(units).await?);
        Ok(inputs)
    }

    async fn take_units(&mut self, units: Vec<(u64, Proof, Vec<u8>)>) -> Result<Vec<Input>, Trouble> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let numbers: Vec<u64> = units.iter().map(|(unit, ..)| *unit).collect();
        let (geometry, file, root) = (self.job.units, Arc::clone(&self.job.file), self.buyer.root());
        let written = tokio::task::spawn_blocking(move || {
            for (unit, proof, bytes) in &units {
                verify_unit(&root, geometry, *unit, bytes, proof).map_err(|_| Trouble::WrongBytes)?;
                let at = geometry.range(*unit).map_or(0, |range| range.start);
                file.write_all_at(bytes, at).map_err(|e| Trouble::file("partial file", e))?;
            }
            Ok::<u64, Trouble>(units.iter().map(|(_, _, bytes)| bytes.len() as u64).sum())
        });
        let outcome = written.await.map_err(|_| Trouble::Stopping)?;
        let bytes = outcome.inspect_err(|_| self.outstanding.extend(&numbers))?;
        let mut state = lock(&self.job.state);
        state.have.extend(numbers.iter().map(|unit| (*unit, self.tab)));
        state.have_bytes += bytes;
        let have = state.have_bytes;
        drop(state);
        if numbers.contains(&(self.job.units.count() - 1)) {
            self.job.changed.notify_waiters();
        }
        self.fresh.extend(&numbers);
        self.show_progress(have);
        let cost = |unit: u64| self.job.units.price_of(self.price, unit).unwrap_or_default();
        Ok(numbers.into_iter().map(|unit| Input::Verified(cost(unit))).collect())
    }

    fn show_progress(&mut self, have: u64) {
        let (since, before) = self.shown;
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = (millis >= 100).then(|| (have - before.min(have)) * 1000 / millis.max(1));
        if rate.is_some() {
            self.shown = (Instant::now(), have);
        }
        let paid = self.buyer.paid().0;
        let vendor = self.vendor.to_string();
        self.job.node.show(self.job.id, |view| {
            view.have = have;
            view.rate = rate.unwrap_or(view.rate);
            if !view.vendors.contains(&vendor) {
                view.vendors.push(vendor);
            }
            view.paid = view.paid.max(paid);
        });
    }

    /// Gives the machine its inputs and passes on what it wants done.
    async fn step(&mut self, mut inputs: Vec<Input>) -> Result<(), Trouble> {
        self.go_on(&mut inputs);
        let now = clock::now();
        let node = self.job.node.clone();
        let mut out = Vec::new();
        let paid_before = self.buyer.paid();
        // The rows go to the store while the wallet is held, so that they reach the disk in order.
        let commit = if self.price > Coins::ZERO {
            node.purse(|purse| {
                for input in inputs {
                    self.buyer.handle(now, input, &mut purse.wallet, &mut out);
                }
                self.buyer.handle(now, Input::Settle, &mut purse.wallet, &mut out);
                let changes = out.iter().filter_map(|output| match output {
                    Output::Persist { changes, .. } => Some(changes.clone()),
                    _ => None,
                });
                self.commit(paid_before, Some((purse, changes.flatten().collect())))
            })?
        } else {
            let mut nothing = netpay_core::wallet::Wallet::new(node.network(), node.broker_key(), [0; 32]);
            inputs.into_iter().for_each(|input| self.buyer.handle(now, input, &mut nothing, &mut out));
            self.commit(paid_before, None)
        };
        if !commit.is_nothing() {
            self.send(Step::Commit(commit.shared())).await?;
        }
        for output in out {
            match output {
                Output::Persist { .. } => {}
                Output::Send(message) => self.send(Step::Say(codec::encode(&*message))).await?,
                Output::Finished => self.over = Some(Ok(())),
                Output::Refused(reject) => self.over = Some(Err(Trouble::Refused(reject))),
                Output::OutOfCoins => self.over = Some(Err(self.out_of_coins())),
            }
        }
        Ok(())
    }

    async fn ask_for_more(&mut self) -> Result<(), Trouble> {
        let more = self.more();
        if more.is_empty() { Ok(()) } else { self.step(more).await }
    }

    /// More units to ask for, if any are wanted.
    fn more(&mut self) -> Vec<Input> {
        let Some(span) = self.job.take() else { return Vec::new() };
        let units = span.first..span.first + span.count;
        let cost = |unit: u64| self.job.units.price_of(self.price, unit).unwrap_or_default().0;
        let price = Coins(units.clone().map(cost).sum());
        self.outstanding.extend(units);
        vec![Input::More(span, price)]
    }

    /// Asks for more units, or ends the sale, when this vendor has delivered what it was asked for.
    fn go_on(&mut self, inputs: &mut Vec<Input>) {
        if self.finishing || !self.outstanding.is_empty() {
            return;
        }
        let more = self.more();
        if !more.is_empty() {
            inputs.extend(more);
            return;
        }
        self.finishing = true;
        inputs.push(Input::Finish {
            keep_open: self.job.node.row_of(self.job.id).is_ok_and(|row| row.keep_open),
        });
    }

    /// Hands the rows of units verified, of what was paid on the tab and of the wallet's changes to the store.
    fn commit(&mut self, paid_before: Coins, wallet: Option<(&Purse, Vec<WalletChange>)>) -> Commit {
        let (node, id) = (self.job.node.clone(), self.job.id);
        let mut batch = Batch::new();
        // A complete file goes to its place next; should it not get there, its vendors send again for nothing.
        let complete = self.job.is_complete();
        for unit in self.fresh.drain(..).filter(|_| !complete) {
            rows::put_unit(&mut batch, id, unit, self.tab);
        }
        let paid = self.buyer.paid();
        let owed = lock(&node.0.owed).downloads.remove(&id);
        let mut all = lock(&node.0.downloads.all);
        // A tab is stored with the first that happens on it.
        let is_new = !self.tab_is_stored && (!batch.is_empty() || paid != paid_before);
        self.tab_is_stored |= is_new;
        let changed = is_new || owed || paid != paid_before;
        if let Some(download) = all.get_mut(&id).filter(|_| changed) {
            let mut tabs = std::mem::take(&mut download.row.tabs).into_vec();
            if let Some(tab) = tabs.get_mut(self.tab) {
                tab.paid = paid;
            }
            download.row.tabs = List::first_of(tabs);
            download.row.put(&mut batch);
            let total = download.row.tabs.iter().map(|tab| tab.paid.0).sum();
            download.view.send_modify(|view| view.paid = total);
        }
        match wallet {
            Some((purse, changes)) => node.commit_wallet(purse, changes, batch, Some(id)),
            None if batch.is_empty() => Commit::nothing(),
            None => node.db().commit(batch),
        }
    }

    fn note(&self, message: &ToBuyer) {
        let (node, id) = (&self.job.node, self.job.id);
        match message {
            ToBuyer::Settled(_) => node.happened(id, "handoff", "the last vendor closed; the chain moves on"),
            ToBuyer::Unsettled => {
                node.happened(id, "handoff", "the last vendor is gone; the chain moves on at its cap")
            }
            ToBuyer::Reject { reject, .. } => node.happened(id, "refused", &reject.to_string()),
            ToBuyer::Unit { .. } | ToBuyer::Certified(_) | ToBuyer::Receipt(_) => {}
        }
    }

    fn out_of_coins(&self) -> Trouble {
        let wallet = self.job.node.wallet(|wallet| wallet.spendable(clock::time()));
        let row = self.job.node.row_of(self.job.id);
        let (name, needed) =
            row.map_or((String::new(), Coins::ZERO), |row| (row.name.to_string(), row.price));
        let needed = needed.saturating_sub(self.buyer.paid());
        Trouble::NotEnough { name, needed, have: wallet.unwrap_or_default(), held: Coins::ZERO }
    }

    /// Frees what the sale held of the wallet, however it ended.
    fn let_go(&mut self) {
        let unused = self.job.node.wallet(|wallet| self.buyer.let_go(wallet));
        self.job.node.unused(unused.into_iter().flatten());
    }

    async fn send(&self, step: Step) -> Result<(), Trouble> {
        self.outbox.send(step).await.map_err(|_| closed())
    }
}

/// Has chains certified that show so many segments without.
async fn shorten(node: &Node, long: usize) -> Result<(), Trouble> {
    let long: Vec<_> = node.wallet(|wallet| {
        let spendable = wallet.chains().filter(|(_, chain)| chain.is_spendable(clock::time()));
        spendable.filter(|(_, chain)| chain.line().uncertified() >= long).map(|(id, _)| *id).collect()
    })?;
    for chain in long {
        certify_own(node, &chain).await?;
    }
    Ok(())
}

fn closed() -> Trouble {
    Trouble::PeerUnreachable(crate::overlay::RequestError::Closed)
}

/// Reads what the vendor sends.
async fn read(mut reader: ReadHalf<Stream>, inbox: mpsc::Sender<Heard>) {
    loop {
        let Ok(frame) = pipe::read_frame(&mut reader, ToBuyer::MAX).await else { return };
        let Ok(message) = codec::decode::<ToBuyer>(&frame) else { return };
        let heard = match message {
            ToBuyer::Unit { unit, len, proof } => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                if len > netpay_core::content::units::MAX_UNIT {
                    return;
                }
                let mut bytes = vec![0; len];
                if reader.read_exact(&mut bytes).await.is_err() {
                    return;
                }
                Heard::Unit { unit, proof, bytes }
            }
            message => Heard::Message(message),
        };
        if inbox.send(heard).await.is_err() {
            return;
        }
    }
}

//! One sale of a download: units are asked of one vendor, verified, written and paid for.

use super::job::{Job, Owing};
use super::visit::{AHEAD, Heard, Visit};
use super::{Control, rows};
use crate::app::Node;
use crate::app::certify::{DEFERRAL, certify_own};
use crate::app::{Trouble, lock};
use crate::clock;
use crate::store::Batch;
use netpay_core::amount::Coins;
use netpay_core::content::listing::Listing;
use netpay_core::content::tree::{Proof, verify_unit};
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::record::chain::MAX_UNCERTIFIED;
use netpay_core::session::buyer::{Input, Purchase};
use netpay_core::wire::trade::{Span, Terms};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// With so many uncertified segments a chain is certified after a sale, so that the next need not wait for it …
pub(super) const LONG: usize = MAX_UNCERTIFIED - 2;
/// … and with so many before one: its record hardly has room for more.
pub(super) const TOO_LONG: usize = MAX_UNCERTIFIED - 1;
/// How often at most the rate of a download is told.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

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
    drop(sale);
    if ended.is_ok() && listing.price > Coins::ZERO {
        after_sale(&job.node, job.id, listing.vendor);
    }
    ended
}

/// What is done at leisure once a vendor has given its receipt.
pub(super) fn after_sale(node: &Node, id: u64, vendor: PublicKey) {
    node.happened(id, "receipt", &vendor.to_string());
    let node = node.clone();
    tokio::spawn(async move {
        if let Err(error) = node.has_delivered(vendor).await {
            tracing::warn!(%error, "a vendor that delivered is not remembered");
        }
        // There is time, and another sale may be in a hurry.
        tokio::select! {
            () = tokio::time::sleep(DEFERRAL) => {}
            () = node.stopped() => return,
        }
        if let Err(trouble) = shorten(&node, LONG).await {
            tracing::debug!(%trouble, "chains were not certified after a sale");
        }
    });
}

/// What is shown of how a sale goes on.
pub(super) struct Progress {
    since: Instant,
    before: u64,
}

impl Progress {
    /// From now on.
    pub fn of(job: &Job) -> Self {
        Self { since: Instant::now(), before: lock(&job.state).have_bytes }
    }

    /// Shows how many bytes there are, how fast they come, and what was paid.
    pub fn show(&mut self, job: &Job, vendor: &PublicKey, paid: Coins, have: u64) {
        let elapsed = self.since.elapsed();
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let rate = (elapsed >= SHOWN_EVERY).then(|| (have - self.before.min(have)) * 1000 / millis.max(1));
        if rate.is_some() {
            *self = Self { since: Instant::now(), before: have };
        }
        let vendor = vendor.to_string();
        job.node.show(job.id, |view| {
            view.have = have;
            view.rate = rate.unwrap_or(view.rate);
            if !view.vendors.contains(&vendor) {
                view.vendors.push(vendor);
            }
            view.paid = view.paid.max(paid.0);
        });
    }
}

struct Sale {
    job: Arc<Job>,
    visit: Visit,
    outstanding: BTreeSet<u64>,
    /// Units verified whose row is not yet written.
    fresh: Vec<u64>,
    finishing: bool,
    /// Held as long as something may still have to be paid here.
    owing: Option<Owing>,
    progress: Progress,
}

impl Sale {
    async fn open(
        job: Arc<Job>,
        listing: &Signed<Listing>,
        span: Span,
        owing: Owing,
    ) -> Result<Self, Trouble> {
        let price = listing.price;
        if price > Coins::ZERO {
            shorten(&job.node, TOO_LONG).await?;
        }
        let visit = Visit::open(&job.node, job.id, listing.vendor, price, |tab, row| {
            let cost = |unit: u64| job.units.price_of(price, unit).unwrap_or_default();
            let owed = job.owed(tab, price);
            let wanted = Coins((span.first..span.first + span.count).map(|unit| cost(unit).0).sum());
            Purchase {
                tab: row.tab,
                terms: Terms { root: listing.root, size: listing.size, price, unit_log: job.units.log() },
                span,
                paid: row.paid,
                owed,
                ahead: cost(span.first),
                expected: owed.saturating_add(wanted),
            }
        });
        let visit = visit.await?;
        let progress = Progress::of(&job);
        Ok(Self {
            visit,
            outstanding: (span.first..span.first + span.count).collect(),
            fresh: Vec::new(),
            finishing: false,
            owing: Some(owing),
            progress,
            job,
        })
    }

    async fn serve(&mut self) -> Result<(), Trouble> {
        self.job.node.happened(self.job.id, "ordered", &self.visit.vendor.to_string());
        self.step(vec![Input::Begin]).await?;
        if !self.job.has_last() {
            // The rest is asked for in the same breath as the last unit, and believed only after it.
            let more = self.more();
            if !more.is_empty() {
                self.step(more).await?;
            }
        }
        loop {
            if let Some(over) = self.visit.over.take() {
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
        let heard = tokio::select! {
            heard = self.visit.heard() => heard?,
            stop = control.wait_for(|control| *control != Control::Go) => {
                drop(stop);
                return Err(Trouble::Stopping);
            }
        };
        let mut all = vec![heard];
        while all.len() < AHEAD {
            let Some(more) = self.visit.heard_more() else { break };
            all.push(more);
        }
        let mut inputs = Vec::new();
        let mut units: Vec<(u64, Proof, Vec<u8>)> = Vec::new();
        for heard in all {
            match heard {
                Heard::Message(message) => {
                    self.visit.note(&message);
                    inputs.push(Input::Heard(Box::new(message)));
                }
                Heard::Sealed(..) => return Err(Trouble::WrongBytes),
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
        let (geometry, file, root) = (self.job.units, Arc::clone(&self.job.file), self.visit.buyer.root());
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
        let have = self.job.took(&numbers, self.visit.tab, bytes);
        self.fresh.extend(&numbers);
        self.progress.show(&self.job, &self.visit.vendor, self.visit.buyer.paid(), have);
        let cost = |unit: u64| self.job.units.price_of(self.visit.price, unit).unwrap_or_default();
        Ok(numbers.into_iter().map(|unit| Input::Verified(cost(unit))).collect())
    }

    /// Gives the machine its inputs, with the rows of the units verified.
    async fn step(&mut self, mut inputs: Vec<Input>) -> Result<(), Trouble> {
        self.go_on(&mut inputs);
        let mut rows = Batch::new();
        // A complete file goes to its place next; should it not get there, its vendors send again for nothing.
        let complete = self.job.is_complete();
        for unit in self.fresh.drain(..).filter(|_| !complete) {
            rows::put_unit(&mut rows, self.job.id, unit, self.visit.tab);
        }
        self.visit.step(inputs, rows).await
    }

    /// More units to ask for, if any are wanted.
    fn more(&mut self) -> Vec<Input> {
        let Some(span) = self.job.take() else { return Vec::new() };
        let units = span.first..span.first + span.count;
        let cost = |unit: u64| self.job.units.price_of(self.visit.price, unit).unwrap_or_default().0;
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
}

/// Gives back the units that did not come, however the sale ended.
impl Drop for Sale {
    fn drop(&mut self) {
        self.job.give_back(std::mem::take(&mut self.outstanding));
    }
}

/// Has chains certified that show so many segments without.
pub(super) async fn shorten(node: &Node, long: usize) -> Result<(), Trouble> {
    let long: Vec<_> = node.wallet(|wallet| {
        let spendable = wallet.chains().filter(|(_, chain)| chain.is_spendable(clock::time()));
        spendable.filter(|(_, chain)| chain.line().uncertified() >= long).map(|(id, _)| *id).collect()
    })?;
    for chain in long {
        certify_own(node, &chain).await?;
    }
    Ok(())
}

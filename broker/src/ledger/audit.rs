//! Proof that the books are right, from the journal alone: every record is folded again, and what the fold believes is
//! held against sums that are made without it.

use super::Ledger;
use super::command::{Event, Record};
use super::entry::{Book, Books, Entry};
use super::fold::Broken;
use super::intervals::{Intervals, Range};
use netpay_core::amount::Coins;
use netpay_core::id::{ChainId, NetworkId};
use std::collections::BTreeMap;

/// What an audit found to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Records read.
    pub records: u64,
    /// Entries they made.
    pub entries: u64,
    /// Accounts.
    pub accounts: usize,
    /// Chains.
    pub chains: usize,
    /// The totals, which sum to zero.
    pub books: Books,
}

/// Reads a journal record by record.
#[derive(Debug)]
pub struct Auditor {
    ledger: Ledger,
    /// The books again, from the entries alone.
    sums: BTreeMap<Book, i64>,
    /// What was paid of each chain again, from the events alone.
    paid: BTreeMap<ChainId, Intervals>,
    entries: u64,
}

/// Folds a journal and proves it.
///
/// # Errors
/// The first record that does not fit, or the sum that does not hold at the end.
pub fn audit<'a>(network: NetworkId, records: impl IntoIterator<Item = &'a Record>) -> Result<Audit, Broken> {
    let mut auditor = Auditor::new(network);
    for record in records {
        auditor.read(record)?;
    }
    auditor.finish()
}

impl Auditor {
    /// An auditor before the first record.
    #[must_use]
    pub fn new(network: NetworkId) -> Self {
        Self { ledger: Ledger::new(network), sums: BTreeMap::new(), paid: BTreeMap::new(), entries: 0 }
    }

    /// Reads the next record and returns the entries it made.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn read(&mut self, record: &Record) -> Result<Vec<Entry>, Broken> {
        let entries = self.ledger.apply(record)?;
        for entry in &entries {
            *self.sums.entry(entry.book).or_default() += entry.change;
        }
        self.entries += entries.len() as u64;
        let twice = Broken { seq: record.seq, why: "a coin is paid twice" };
        for (chain, range) in paid_by(&record.event) {
            if !self.paid.entry(chain).or_default().take(range) {
                return Err(twice);
            }
        }
        Ok(entries)
    }

    /// Holds the state against the sums.
    ///
    /// # Errors
    /// What does not hold.
    pub fn finish(self) -> Result<Audit, Broken> {
        let ledger = &self.ledger;
        let broken = |why| Broken { seq: ledger.seq, why };
        if !ledger.books.are_sound() || self.sums.values().sum::<i64>() != 0 {
            return Err(broken("the books do not sum to zero"));
        }
        for (account, customer) in &ledger.customers {
            let sum = self.sums.get(&Book::Balance(*account)).copied().unwrap_or(0);
            if u64::try_from(sum).ok() != Some(customer.balance.0) {
                return Err(broken("a balance is not the sum of its entries"));
            }
            let sum = self.sums.get(&Book::Bond(*account)).copied().unwrap_or(0);
            if u64::try_from(sum).ok() != Some(customer.bond.0) {
                return Err(broken("a bond is not the sum of its entries"));
            }
        }
        let balances =
            ledger.customers.values().fold(Coins::ZERO, |sum, customer| sum.saturating_add(customer.balance));
        if i64::try_from(balances.0).ok() != Some(ledger.books.balances) {
            return Err(broken("the balances are not what customers have"));
        }
        self.check_chains().map_err(broken)?;
        Ok(Audit {
            records: ledger.seq,
            entries: self.entries,
            accounts: ledger.customers.len(),
            chains: ledger.chains.len(),
            books: ledger.books,
        })
    }

    fn check_chains(&self) -> Result<(), &'static str> {
        let mut outstanding = 0;
        for (id, chain) in &self.ledger.chains {
            let paid = self.paid.get(id).cloned().unwrap_or_default();
            if paid != chain.paid {
                return Err("a chain is paid otherwise than its claims say");
            }
            let n = chain.facts.touchstone.n;
            let above = paid.runs().any(|range| range.end > n.as_index());
            if above || u64::from(paid.total().0) + u64::from(chain.refunded.0) > u64::from(n.0) {
                return Err("more than n coins of a chain are paid");
            }
            if chain.settled.is_some() && chain.outstanding().0 != 0 {
                return Err("a settled chain has coins left");
            }
            outstanding += i64::from(chain.outstanding().0);
        }
        if outstanding != self.ledger.books.coins {
            return Err("coins outstanding are not what the chains have left");
        }
        Ok(())
    }
}

fn paid_by(event: &Event) -> Vec<(ChainId, Range)> {
    match event {
        Event::Redeemed { claims, .. } => {
            let paid = claims.iter().flat_map(|claim| {
                claim.paid.iter().flat_map(|ranges| ranges.iter().map(|r| (claim.chain, *r)))
            });
            paid.collect()
        }
        Event::Settled { chain, claims, .. } | Event::Released { chain, claims } => {
            claims.iter().flat_map(|claim| claim.paid.iter().map(|range| (*chain, *range))).collect()
        }
        Event::VouchersIssued(_)
        | Event::Registered { .. }
        | Event::PaidIn { .. }
        | Event::Credited { .. }
        | Event::Sold { .. }
        | Event::Retired { .. }
        | Event::Frozen { .. }
        | Event::Unfrozen { .. }
        | Event::Closed { .. }
        | Event::BondsReturned(_)
        | Event::PayoutAsked { .. }
        | Event::PaidOut { .. }
        | Event::EvidenceNoted { .. }
        | Event::Convicted { .. }
        | Event::FalselyAccused { .. }
        | Event::Resumed { .. } => Vec::new(),
    }
}

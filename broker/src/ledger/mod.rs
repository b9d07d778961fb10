//! The books, pure: double entry without clock, disk or keys. [`Ledger::decide`] turns a checked command into an event that
//! holds everything random or chosen, or into a numbered refusal; [`Ledger::apply`] folds an event into the state,
//! the same way today and when the journal is read again.
//!
//! The rooms, from the bottom up: `intervals` (which coins of a chain are paid), `entry` (books and steps), `account` and
//! `chain` (what is kept of a customer and of a chain), `dispute` (who was convicted of what), `command` (what goes in, what is journaled, what comes out),
//! `rules` and `redeeming` (decide), `fold` (apply), `audit` (prove it).

mod account;
mod audit;
mod chain;
mod command;
mod dispute;
mod entry;
mod fold;
mod intervals;
mod redeeming;
mod rules;
#[cfg(test)]
mod tests;

pub use account::{AccountView, Customer, Held, Line, MAX_KEPT_LINES, What};
pub use audit::{Audit, Auditor, audit};
pub use chain::{ChainBook, ClaimBook, ClaimKey, ClaimState, Facts, Fair, JunkBook};
pub use command::{
    Answer, Charge, CheckedClaim, ClaimResult, Command, Decision, Event, MAX_RETURNED, MAX_VOUCHERS, Mint,
    PayoutId, Purse, Record, SettledClaim, Standing, TakenClaim, VoucherId,
};
pub use dispute::{Dispute, FalseAccusation};
pub use entry::{Book, Books, Entry, MAX_MONEY};
pub use fold::Broken;
pub use intervals::{Intervals, Range};
pub use redeeming::{FALSE_ACCUSATION, HELD_FOR, MAX_CLAIMS_PER_CHAIN, MAX_PENDING_PER_CHAIN};

use netpay_core::amount::Coins;
use netpay_core::codec::{List, Text};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::PublicKey;
use netpay_core::record::chain::Culprit;
use netpay_core::time::Time;
use netpay_core::wire::bank::{AskKeys, MAX_KEYS, ShownKey};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// The bank's whole state: the fold of its journal.
#[derive(Clone, Debug)]
pub struct Ledger {
    network: NetworkId,
    seq: u64,
    books: Books,
    customers: BTreeMap<PublicKey, Customer>,
    /// Which account a node belongs to.
    nodes: BTreeMap<PublicKey, PublicKey>,
    vouchers: BTreeMap<VoucherId, Voucher>,
    credits: BTreeMap<[u8; 16], (PublicKey, Coins)>,
    chains: BTreeMap<ChainId, ChainBook>,
    by_chain_key: BTreeMap<PublicKey, ChainId>,
    /// Chains that wait for settlement, by `redeem_by`.
    unsettled: BTreeSet<(Time, ChainId)>,
    payouts: BTreeMap<PayoutId, Payout>,
    /// Those to be made, by when they were asked for.
    unpaid: BTreeSet<(Time, PayoutId)>,
    /// Every claim, in the order of arrival.
    arrivals: BTreeSet<Arrival>,
    /// What was issued, redeemed and refunded on each day on which something was, counted from 1970.
    days: BTreeMap<u64, Day>,
    convicted: BTreeMap<Culprit, Conviction>,
    /// Certified claims of fair mode that wait, by the time from which they can be paid.
    held: BTreeSet<(Time, ChainId, ClaimKey)>,
    /// What was shown as junk and is not, by digest: saying it again costs nothing more.
    accused_falsely: BTreeMap<ObjectHash, FalseAccusation>,
    /// Everything that is disputed, by the record that brought it.
    disputes: BTreeSet<(u64, Dispute)>,
    /// The record by which last somebody became, or ceased to be, a member no more.
    members_changed: u64,
    /// No settlement before this: the bank was away, and claims could not be brought.
    settle_from: Time,
}

/// A claim's place among all: the record it came in, its chain, segment and Open.
pub type Arrival = (u64, ChainId, SegmentNo, ObjectHash);

/// What became of coins on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Coins issued.
    pub issued: u64,
    /// Coins redeemed.
    pub redeemed: u64,
    /// Coins refunded.
    pub refunded: u64,
}

/// A voucher that was sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// What it is worth.
    pub value: Coins,
    /// Who paid it in.
    pub used_by: Option<PublicKey>,
}

/// Evidence that convicted somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conviction {
    /// When it came.
    pub at: Time,
    /// The journal record it came in.
    pub record: u64,
    /// Whether that record is about nothing else. Otherwise it brought a claim that contradicts another one.
    pub noted: bool,
}

/// Money on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Whose money.
    pub account: PublicKey,
    /// How much.
    pub coins: Coins,
    /// Where it goes, in the customer's words.
    pub to: Text<80>,
    /// When it was asked for.
    pub asked: Time,
    /// When the operator paid it, and under which reference.
    pub paid: Option<(Time, Text<80>)>,
}

impl Ledger {
    /// Empty books.
    #[must_use]
    pub fn new(network: NetworkId) -> Self {
        Self {
            network,
            seq: 0,
            books: Books::default(),
            customers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            vouchers: BTreeMap::new(),
            credits: BTreeMap::new(),
            chains: BTreeMap::new(),
            by_chain_key: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            payouts: BTreeMap::new(),
            unpaid: BTreeSet::new(),
            arrivals: BTreeSet::new(),
            days: BTreeMap::new(),
            convicted: BTreeMap::new(),
            held: BTreeSet::new(),
            accused_falsely: BTreeMap::new(),
            disputes: BTreeSet::new(),
            members_changed: 0,
            settle_from: Time(0),
        }
    }

    /// The number of the last record folded in.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The totals.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// What is kept of an account.
    #[must_use]
    pub fn customer(&self, account: &PublicKey) -> Option<&Customer> {
        self.customers.get(account)
    }

    /// An account as its owner is shown it, with the lines after number `after`.
    #[must_use]
    pub fn account(&self, account: &PublicKey, after: u64) -> Option<AccountView> {
        let customer = self.customers.get(account)?;
        let mut view = customer.view(after);
        view.frozen = self.frozen_because(account, customer);
        view.held = self.held_of(customer).collect();
        view.members.retain(|node| !self.is_revoked(node));
        Some(view)
    }

    /// A customer's claims of fair mode that wait, those that can be disputed no more first.
    pub fn held_of(&self, customer: &Customer) -> impl Iterator<Item = Held> {
        customer.held.iter().filter_map(|(disputable, id, key)| {
            let chain = self.chains.get(id)?;
            let claim = chain.claims.get(key)?;
            let until = self.payable(chain, &claim.standing, Some(*disputable));
            Some(Held { chain: *id, j: key.0, coins: claim.range.count().into(), until })
        })
    }

    /// Every account, in the order of their keys.
    pub fn customers(&self) -> impl Iterator<Item = (&PublicKey, &Customer)> {
        self.customers.iter()
    }

    /// How many accounts, chains and disputes there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.customers.len(), self.chains.len(), self.disputes.len())
    }

    /// The accounts after one, in the order of their keys.
    pub fn customers_after(
        &self,
        after: Option<&PublicKey>,
    ) -> impl Iterator<Item = (&PublicKey, &Customer)> {
        self.customers.range((behind(after), Bound::Unbounded))
    }

    /// Every member's node and the account it belongs to.
    pub fn nodes(&self) -> impl Iterator<Item = (&PublicKey, &PublicKey)> {
        self.nodes.iter()
    }

    /// What is kept of a chain.
    #[must_use]
    pub fn chain(&self, chain: &ChainId) -> Option<&ChainBook> {
        self.chains.get(chain)
    }

    /// The keys that vendors had to show to be paid out of a chain: its buyer's, and nobody else's to know.
    ///
    /// # Errors
    /// UnknownChain, NotYours.
    pub fn keys_for(&self, asked: &AskKeys) -> Result<List<ShownKey, MAX_KEYS>, Reject> {
        let unknown = || Reject::new(RejectCode::UnknownChain, "the chain was not sold here");
        let chain = self.chains.get(&asked.chain).ok_or_else(unknown)?;
        if chain.buyer != asked.account {
            return Err(Reject::new(RejectCode::NotYours, "the chain was sold to another account"));
        }
        Ok(List::first_of(chain.keys(asked.from)))
    }

    /// The chain that was sold under a chain key.
    #[must_use]
    pub fn chain_of_key(&self, chain_key: &PublicKey) -> Option<&ChainBook> {
        self.chains.get(self.by_chain_key.get(chain_key)?)
    }

    /// Every chain, in the order of their ids.
    pub fn chains(&self) -> impl Iterator<Item = (&ChainId, &ChainBook)> {
        self.chains.iter()
    }

    /// The chains after one, in the order of their ids.
    pub fn chains_after(&self, after: Option<&ChainId>) -> impl Iterator<Item = (&ChainId, &ChainBook)> {
        self.chains.range((behind(after), Bound::Unbounded))
    }

    /// The claims that arrived before one, or all of them; the newest first.
    pub fn claims_before(&self, before: Option<&Arrival>) -> impl Iterator<Item = (Arrival, &ClaimBook)> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.arrivals.range((Bound::Unbounded, end)).rev().filter_map(|at| Some((*at, self.claim(at)?)))
    }

    /// The claims that a record brought.
    pub fn claims_of(&self, record: u64) -> impl Iterator<Item = (Arrival, &ClaimBook)> {
        let least = (record, ChainId([0; 32]), SegmentNo(0), ObjectHash([0; 32]));
        let here = self.arrivals.range(least..).take_while(move |at| at.0 == record);
        here.filter_map(|at| Some((*at, self.claim(at)?)))
    }

    fn claim(&self, (_, chain, j, open): &Arrival) -> Option<&ClaimBook> {
        self.chains.get(chain)?.claims.get(&(*j, *open))
    }

    /// The payouts after one, in the order of their accounts.
    pub fn payouts_after(&self, after: Option<&PayoutId>) -> impl Iterator<Item = (&PayoutId, &Payout)> {
        self.payouts.range((behind(after), Bound::Unbounded))
    }

    /// One payout.
    #[must_use]
    pub fn payout_named(&self, id: &PayoutId) -> Option<&Payout> {
        self.payouts.get(id)
    }

    /// The payouts that an account asked for.
    pub fn payouts_of(&self, account: &PublicKey) -> impl Iterator<Item = (&PayoutId, &Payout)> {
        self.payouts.range((*account, [0; 16])..=(*account, [0xff; 16]))
    }

    /// The payouts to be made that come after one, those asked for longest ago first.
    pub fn unpaid_after(&self, after: Option<&PayoutId>) -> impl Iterator<Item = (&PayoutId, &Payout)> {
        let after = after.and_then(|id| Some((self.payouts.get(id)?.asked, *id)));
        let later = self.unpaid.range((behind(after.as_ref()), Bound::Unbounded));
        later.filter_map(|(_, id)| self.payouts.get_key_value(id))
    }

    /// How many payouts are to be made.
    #[must_use]
    pub fn unpaid(&self) -> usize {
        self.unpaid.len()
    }

    /// What became of coins on the days since one, which are counted from 1970. Days without anything are left out.
    pub fn days_since(&self, day: u64) -> impl Iterator<Item = (u64, Day)> {
        self.days.range(day..).map(|(day, sum)| (*day, *sum))
    }

    /// The evidence against somebody.
    #[must_use]
    pub fn conviction(&self, culprit: &Culprit) -> Option<&Conviction> {
        self.convicted.get(culprit)
    }

    /// Which account a node belongs to.
    #[must_use]
    pub fn account_of(&self, node: &PublicKey) -> Option<&PublicKey> {
        self.nodes.get(node)
    }

    /// Every payout asked for.
    pub fn payouts(&self) -> impl Iterator<Item = (&PayoutId, &Payout)> {
        self.payouts.iter()
    }

    /// Whether a voucher was sold, paid in or not.
    #[must_use]
    pub fn has_voucher(&self, voucher: &VoucherId) -> bool {
        self.vouchers.contains_key(voucher)
    }

    /// How many vouchers were sold, and how many of them paid in.
    #[must_use]
    pub fn vouchers(&self) -> (usize, usize) {
        (self.vouchers.len(), self.vouchers.values().filter(|voucher| voucher.used_by.is_some()).count())
    }

    /// Whom there is evidence against.
    pub fn convicted(&self) -> impl Iterator<Item = (&Culprit, &Conviction)> {
        self.convicted.iter()
    }

    /// The chains of which two Opens of one segment are known.
    fn opened_twice(&self) -> impl Iterator<Item = &ChainBook> {
        self.convicted.keys().filter_map(|culprit| match culprit {
            Culprit::Buyer(chain) => self.chains.get(chain),
            Culprit::Witness(..) => None,
        })
    }

    /// A chain of this account's that is not settled yet and of which two Opens of one segment are known.
    #[must_use]
    pub fn accused(&self, account: &PublicKey) -> Option<ChainId> {
        let of_account = |chain: &&ChainBook| chain.buyer == *account && chain.settled.is_none();
        self.opened_twice().find(of_account).map(|chain| chain.facts.id)
    }

    /// The chains, not settled yet, of everybody who was convicted as a buyer: nothing new may be opened of them.
    #[must_use]
    pub fn frozen_chains(&self) -> BTreeMap<ChainId, Arc<Facts>> {
        let buyers: BTreeSet<PublicKey> = self.opened_twice().map(|chain| chain.buyer).collect();
        if buyers.is_empty() {
            return BTreeMap::new();
        }
        let live = self.chains.iter().filter(|(_, chain)| chain.settled.is_none());
        live.filter(|(_, chain)| buyers.contains(&chain.buyer))
            .map(|(id, chain)| (*id, Arc::clone(&chain.facts)))
            .collect()
    }

    /// Who is picked for no committee: the accounts of convicted buyers, and the nodes that are members no more.
    #[must_use]
    pub fn barred(&self) -> BTreeSet<PublicKey> {
        let revoked = self.revoked().into_keys();
        self.opened_twice().map(|chain| chain.buyer).chain(revoked).collect()
    }

    /// The nodes that are members no more, and since when: those of accounts that were frozen or closed, and convicted
    /// witnesses.
    #[must_use]
    pub fn revoked(&self) -> BTreeMap<PublicKey, Time> {
        let witnesses = self.convicted.iter().filter_map(|(culprit, conviction)| match culprit {
            Culprit::Witness(node, _) => Some((*node, conviction.at)),
            Culprit::Buyer(_) => None,
        });
        let expelled = self.customers.values().filter_map(|customer| Some((customer, customer.expelled()?)));
        let expelled = expelled.flat_map(|(customer, at)| customer.nodes.iter().map(move |node| (*node, at)));
        expelled.chain(witnesses).collect()
    }

    /// Whether a node is a member no more.
    #[must_use]
    pub fn is_revoked(&self, node: &PublicKey) -> bool {
        let account = self.nodes.get(node).and_then(|account| self.customers.get(account));
        let convicted = [[0; 32], [0xff; 32]].map(|chain| Culprit::Witness(*node, ChainId(chain)));
        account.is_some_and(|customer| customer.expelled().is_some())
            || self.convicted.range(convicted[0]..=convicted[1]).next().is_some()
    }

    /// The record by which last somebody became, or ceased to be, a member no more; 0 if there was none.
    #[must_use]
    pub const fn members_changed(&self) -> u64 {
        self.members_changed
    }

    /// Why an account may neither buy nor have money paid out, if so: the operator's reason, or evidence that waits for
    /// a settlement.
    #[must_use]
    pub fn frozen_because(&self, account: &PublicKey, customer: &Customer) -> Option<String> {
        let told = customer.frozen.as_ref().map(|(_, why)| why.to_string());
        let accused = || {
            Some(format!(
                "evidence of double spending; chain {:.12} is to be settled",
                self.accused(account)?
            ))
        };
        told.or_else(accused)
    }

    /// When a chain may be settled: `redeem_by`, or later if the bank was away or a claim can still be disputed.
    #[must_use]
    pub fn settlement_of(&self, chain: &ChainBook) -> Time {
        let held_until = chain.held_until().unwrap_or(Time(0));
        chain.facts().touchstone.redeem_by.max(self.settle_from).max(held_until)
    }

    /// Chains whose settlement is due, the oldest first, at most `limit`.
    #[must_use]
    pub fn due(&self, now: Time, limit: usize) -> Vec<ChainId> {
        if now < self.settle_from {
            return Vec::new();
        }
        let due = self.unsettled.iter().take_while(|(redeem_by, _)| *redeem_by <= now);
        let due =
            due.filter(|(_, id)| self.chains.get(id).is_some_and(|chain| self.settlement_of(chain) <= now));
        due.take(limit).map(|(_, chain)| *chain).collect()
    }

    /// Chains with claims of fair mode that nobody disputed in time, at most `limit`.
    #[must_use]
    pub fn undisputed(&self, now: Time, limit: usize) -> BTreeSet<ChainId> {
        let due = self.held.iter().take_while(|(until, ..)| *until <= now);
        due.take(limit).map(|(_, chain, _)| *chain).collect()
    }
}

fn behind<T>(after: Option<&T>) -> Bound<&T> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

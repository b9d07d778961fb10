//! What the books allow. `decide` changes nothing: it names the event, or the first reason against it.
//!
//! Before the books are asked, the service has refused what is `Malformed`, out of `Range`, or `Forged`, in this order.
//! Here the order of rejections is, per command, the first that holds:
//!
//! | command | order |
//! |---|---|
//! | IssueVouchers | Range (none, too many, worth nothing, too much money), Mismatch (a code exists with another value) |
//! | Register | Frozen (the node is of another account that is frozen or closed), BadVoucher (unknown, used by another, or none where one is needed), Range (too many nodes), Funds (less than the bond) |
//! | PayIn | UnknownAccount, BadVoucher |
//! | Credit | Mismatch (the number was used otherwise), UnknownAccount, Range |
//! | Buy | Mismatch (the chain key was used otherwise), UnknownAccount, Frozen, Range, Funds, Busy (it became possible just now) |
//! | Redeem | UnknownAccount; then per claim, see [`super::redeeming`] |
//! | Retire | UnknownAccount, UnknownChain, NotYours |
//! | Freeze, Unfreeze | UnknownAccount |
//! | Close | UnknownAccount |
//! | ReturnBonds | |
//! | AskPayout | UnknownAccount, Mismatch (the number was used otherwise), Frozen, Range, Funds |
//! | Payout | UnknownChain (no such payout), Mismatch (paid under another reference) |
//! | NoteEvidence | UnknownChain (or no such member) |
//! | Accuse | UnknownAccount, UnknownChain, NotYours, Range (as many convictions as coins); what is not proven costs its fee, once |
//! | Release | UnknownChain |
//! | Settle | UnknownChain, Range (not due) |
//!
//! A command that was carried out before is answered again and changes nothing; that is found out before any rejection but
//! Mismatch and those that ask who is there.

use super::command::{Answer, Command, Decision, Event, MAX_VOUCHERS, Mint, PayoutId, VoucherId};
use super::entry::MAX_MONEY;
use super::{Customer, Ledger, MAX_RETURNED, Voucher, account};
use netpay_core::amount::{Cap, Coins, Count, MAX_CHAIN};
use netpay_core::codec::{List, Text};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::PublicKey;
use netpay_core::record::chain::{Culprit, Evidence};
use netpay_core::time::Time;
use netpay_core::wire::bank::MAX_CHAINS;
use netpay_core::wire::reject::{Reject, RejectCode};
use std::collections::BTreeSet;

impl Decision {
    /// It happens, and then this is answered.
    pub(super) const fn happens(event: Event, answer: Answer) -> Self {
        Self { event: Some(event), answer }
    }

    /// Nothing happens: it did before.
    pub(super) const fn known(answer: Answer) -> Self {
        Self { event: None, answer }
    }
}

impl Ledger {
    /// What a command leads to at `now`.
    ///
    /// # Errors
    /// The first reason against it, in the documented order.
    pub fn decide(&self, command: Command, now: Time) -> Result<Decision, Reject> {
        match command {
            Command::IssueVouchers { vouchers } => self.issue_vouchers(vouchers),
            Command::Register { account, node, name, voucher, voucher_needed, bond } => {
                self.register(account, node, name, voucher, (voucher_needed, bond))
            }
            Command::PayIn { account, voucher } => self.pay_in(account, voucher),
            Command::Credit { id, account, coins, note } => self.credit(id, account, coins, note),
            Command::Buy { account, chain_key, n, request, mint } => {
                match self.may_buy(&account, &chain_key, n, request)? {
                    Some(known) => Ok(Decision::known(Answer::Sold(known))),
                    None => sold(account, request, mint),
                }
            }
            Command::Redeem { account, claims } => self.redeem(account, claims, now),
            Command::Retire { account, chains } => self.retire(account, chains),
            Command::Freeze { account, why } => self.freeze(account, why),
            Command::Unfreeze { account } => self.unfreeze(account),
            Command::Close { account } => self.close(account),
            Command::ReturnBonds => Ok(self.return_bonds()),
            Command::AskPayout { id, coins, to } => self.ask_payout(id, coins, to),
            Command::Payout { id, reference } => self.payout(id, reference),
            Command::NoteEvidence { culprit, evidence } => self.note_evidence(culprit, *evidence),
            Command::Accuse { account, chain, j, open, junk, judged } => {
                self.accuse(account, (chain, (j, open)), *junk, judged)
            }
            Command::Release { chain } => self.release(chain, now),
            Command::Resume { settle_from } if settle_from <= self.settle_from => {
                Ok(Decision::known(Answer::Done))
            }
            Command::Resume { settle_from } => {
                Ok(Decision::happens(Event::Resumed { settle_from }, Answer::Done))
            }
            Command::Settle { chain } => self.settle(chain, now),
        }
    }

    /// Whether an account may buy `n` coins under a chain key; `Some` if it already has, by this very request.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn may_buy(
        &self,
        account: &PublicKey,
        chain_key: &PublicKey,
        n: Cap,
        request: ObjectHash,
    ) -> Result<Option<ChainId>, Reject> {
        if let Some(chain) = self.chain_of_key(chain_key) {
            if chain.request == request && chain.buyer == *account {
                return Ok(Some(chain.facts.id));
            }
            return Err(Reject::new(RejectCode::Mismatch, "this chain key was used for another purchase"));
        }
        let customer = self.known(account)?;
        self.may_move_money(account, customer)?;
        if n.0 == 0 || n.0 > MAX_CHAIN {
            return Err(Reject::new(
                RejectCode::Range,
                &format!("a chain has 1 to {MAX_CHAIN} coins, not {n}"),
            ));
        }
        covers(customer, Coins::from(Count(n.0)))?;
        Ok(None)
    }

    pub(super) fn known(&self, account: &PublicKey) -> Result<&Customer, Reject> {
        let unknown = || Reject::new(RejectCode::UnknownAccount, "this account is not registered here");
        self.customers.get(account).ok_or_else(unknown)
    }

    fn issue_vouchers(&self, vouchers: Vec<(VoucherId, Coins)>) -> Result<Decision, Reject> {
        if vouchers.is_empty() || vouchers.len() > MAX_VOUCHERS {
            return Err(Reject::new(RejectCode::Range, &format!("1 to {MAX_VOUCHERS} vouchers at once")));
        }
        let total = vouchers.iter().fold(Coins::ZERO, |sum, (_, value)| sum.saturating_add(*value));
        if vouchers.iter().any(|(_, value)| *value == Coins::ZERO) {
            return Err(Reject::new(RejectCode::Range, "a voucher is worth at least one coin"));
        }
        let known = vouchers.iter().filter(|(id, _)| self.vouchers.contains_key(id)).count();
        if known > 0 {
            let same = |(id, value): &(VoucherId, Coins)| {
                self.vouchers.get(id).is_some_and(|known| known.value == *value)
            };
            if known == vouchers.len() && vouchers.iter().all(same) {
                return Ok(Decision::known(Answer::Done));
            }
            return Err(Reject::new(
                RejectCode::Mismatch,
                "some of these vouchers exist already, or with other values",
            ));
        }
        self.takes_in(total)?;
        Ok(Decision::happens(Event::VouchersIssued(List::first_of(vouchers)), Answer::Done))
    }

    fn register(
        &self,
        account: PublicKey,
        node: PublicKey,
        name: Text<64>,
        voucher: Option<VoucherId>,
        (voucher_needed, bond): (bool, Coins),
    ) -> Result<Decision, Reject> {
        let customer = self.customers.get(&account);
        let before = self.nodes.get(&node).filter(|before| **before != account);
        if before.and_then(|before| self.customers.get(before)).is_some_and(|c| c.expelled().is_some()) {
            let why = "this node is of another account, which is frozen or closed";
            return Err(Reject::new(RejectCode::Frozen, why));
        }
        let unused = match voucher {
            Some(id) => !self.is_paid_in(&id, &account)?,
            None if voucher_needed && customer.is_none() => {
                return Err(Reject::new(RejectCode::BadVoucher, "registering here needs a voucher"));
            }
            None => false,
        };
        let is_member = customer.is_some_and(|customer| customer.nodes.contains(&node));
        if !is_member && customer.is_some_and(|customer| customer.nodes.len() >= account::MAX_NODES) {
            let why = format!("an account has at most {} nodes", account::MAX_NODES);
            return Err(Reject::new(RejectCode::Range, &why));
        }
        let voucher = voucher.filter(|_| unused);
        let joins = customer.is_none_or(|customer| customer.closed.is_some());
        let bond = if joins { bond } else { Coins::ZERO };
        self.covers_bond(customer, voucher.as_ref(), bond)?;
        let answer = Answer::Account(account);
        if is_member && !joins && !unused && customer.is_some_and(|customer| customer.name == name) {
            return Ok(Decision::known(answer));
        }
        Ok(Decision::happens(Event::Registered { account, node, name, voucher, bond }, answer))
    }

    /// Whether there is enough for a bond: what a closed account still has as one, its balance, and the voucher.
    fn covers_bond(
        &self,
        customer: Option<&Customer>,
        voucher: Option<&VoucherId>,
        bond: Coins,
    ) -> Result<(), Reject> {
        let paid_in = voucher.and_then(|id| self.vouchers.get(id)).map_or(Coins::ZERO, |v| v.value);
        let there = customer.map_or(Coins::ZERO, |customer| customer.balance.saturating_add(customer.bond));
        if there.saturating_add(paid_in) < bond {
            let why =
                format!("registering here sets {bond} aside as a bond: bring a voucher of at least that");
            return Err(Reject::new(RejectCode::Funds, &why));
        }
        Ok(())
    }

    fn pay_in(&self, account: PublicKey, voucher: VoucherId) -> Result<Decision, Reject> {
        self.known(&account)?;
        let answer = Answer::Account(account);
        if self.is_paid_in(&voucher, &account)? {
            return Ok(Decision::known(answer));
        }
        Ok(Decision::happens(Event::PaidIn { account, voucher }, answer))
    }

    /// Whether a voucher was paid in by this account before; one that another paid in is as good as unknown.
    fn is_paid_in(&self, voucher: &VoucherId, account: &PublicKey) -> Result<bool, Reject> {
        match self.vouchers.get(voucher) {
            Some(Voucher { used_by: None, .. }) => Ok(false),
            Some(Voucher { used_by: Some(user), .. }) if user == account => Ok(true),
            _ => Err(Reject::new(
                RejectCode::BadVoucher,
                "this voucher is not known, or was used by another account",
            )),
        }
    }

    fn credit(
        &self,
        id: [u8; 16],
        account: PublicKey,
        coins: Coins,
        note: Text<80>,
    ) -> Result<Decision, Reject> {
        let answer = Answer::Account(account);
        match self.credits.get(&id) {
            Some(before) if *before == (account, coins) => return Ok(Decision::known(answer)),
            Some(_) => {
                return Err(Reject::new(RejectCode::Mismatch, "this number was used for another credit"));
            }
            None => self.known(&account)?,
        };
        if coins == Coins::ZERO {
            return Err(Reject::new(RejectCode::Range, "a credit is at least one coin"));
        }
        self.takes_in(coins)?;
        Ok(Decision::happens(Event::Credited { id, account, coins, note }, answer))
    }

    fn retire(&self, account: PublicKey, chains: List<ChainId, MAX_CHAINS>) -> Result<Decision, Reject> {
        self.known(&account)?;
        let mut all_known = true;
        for id in &chains {
            let unknown =
                || Reject::new(RejectCode::UnknownChain, &format!("chain {id:.12} was not sold here"));
            let chain = self.chains.get(id).ok_or_else(unknown)?;
            if chain.buyer != account {
                return Err(Reject::new(
                    RejectCode::NotYours,
                    &format!("chain {id:.12} was sold to another account"),
                ));
            }
            all_known &= chain.retired;
        }
        if all_known {
            return Ok(Decision::known(Answer::Done));
        }
        Ok(Decision::happens(Event::Retired { account, chains }, Answer::Done))
    }

    fn freeze(&self, account: PublicKey, why: Text<80>) -> Result<Decision, Reject> {
        let answer = Answer::Account(account);
        if self.known(&account)?.frozen.as_ref().is_some_and(|(_, known)| *known == why) {
            return Ok(Decision::known(answer));
        }
        Ok(Decision::happens(Event::Frozen { account, why }, answer))
    }

    fn unfreeze(&self, account: PublicKey) -> Result<Decision, Reject> {
        let answer = Answer::Account(account);
        if self.known(&account)?.frozen.is_none() {
            return Ok(Decision::known(answer));
        }
        Ok(Decision::happens(Event::Unfrozen { account }, answer))
    }

    fn close(&self, account: PublicKey) -> Result<Decision, Reject> {
        let answer = Answer::Account(account);
        if self.known(&account)?.closed.is_some() {
            return Ok(Decision::known(answer));
        }
        Ok(Decision::happens(Event::Closed { account }, answer))
    }

    /// Bonds of closed accounts whose nodes witness no chain that is not settled, and against which nothing is pending.
    fn return_bonds(&self) -> Decision {
        let closed = |customer: &Customer| customer.closed.is_some() && customer.bond > Coins::ZERO;
        let mut due: Vec<_> = self.customers.iter().filter(|(_, customer)| closed(customer)).collect();
        if !due.is_empty() {
            let live = self.unsettled.iter().filter_map(|(_, chain)| self.chains.get(chain));
            let vouching: BTreeSet<&PublicKey> =
                live.flat_map(|chain| chain.facts.touchstone.committee.iter()).collect();
            due.retain(|(account, customer)| {
                !customer.nodes.iter().any(|node| vouching.contains(node))
                    && self.frozen_because(account, customer).is_none()
            });
        }
        if due.is_empty() {
            return Decision::known(Answer::Done);
        }
        let accounts = List::first_of(due.into_iter().take(MAX_RETURNED).map(|(account, _)| *account));
        Decision::happens(Event::BondsReturned(accounts), Answer::Done)
    }

    fn ask_payout(&self, id: PayoutId, coins: Coins, to: Text<80>) -> Result<Decision, Reject> {
        let customer = self.known(&id.0)?;
        let answer = Answer::Account(id.0);
        match self.payouts.get(&id) {
            Some(known) if known.coins == coins && known.to == to => return Ok(Decision::known(answer)),
            Some(_) => {
                return Err(Reject::new(RejectCode::Mismatch, "this number was used for another payout"));
            }
            None => self.may_move_money(&id.0, customer)?,
        }
        if coins == Coins::ZERO || to.is_empty() {
            return Err(Reject::new(RejectCode::Range, "a payout is at least one coin, to somewhere"));
        }
        covers(customer, coins)?;
        Ok(Decision::happens(Event::PayoutAsked { id, coins, to }, answer))
    }

    fn payout(&self, id: PayoutId, reference: Text<80>) -> Result<Decision, Reject> {
        let payout = self.payouts.get(&id);
        let payout =
            payout.ok_or_else(|| Reject::new(RejectCode::UnknownChain, "no such payout was asked for"))?;
        match &payout.paid {
            None => Ok(Decision::happens(Event::PaidOut { id, reference }, Answer::Done)),
            Some((_, paid_as)) if *paid_as == reference => Ok(Decision::known(Answer::Done)),
            Some((_, paid_as)) => {
                let why = format!("it was paid before, as {:?}", &**paid_as);
                Err(Reject::new(RejectCode::Mismatch, &why))
            }
        }
    }

    fn note_evidence(&self, culprit: Culprit, evidence: Evidence) -> Result<Decision, Reject> {
        let known = match &culprit {
            Culprit::Buyer(chain) => self.chains.contains_key(chain),
            Culprit::Witness(node, chain) => self.nodes.contains_key(node) && self.chains.contains_key(chain),
        };
        if !known {
            return Err(Reject::new(RejectCode::UnknownChain, "the evidence is about nothing of this bank"));
        }
        // One piece convicts; more of it would only fill the journal.
        if self.convicted.contains_key(&culprit) {
            return Ok(Decision::known(Answer::Done));
        }
        Ok(Decision::happens(Event::EvidenceNoted { culprit, evidence }, Answer::Done))
    }

    /// A frozen account can neither buy nor be paid out. Nor can one with evidence against it, until the chain is
    /// settled: what was promised twice has to be there to be made up for.
    fn may_move_money(&self, account: &PublicKey, customer: &Customer) -> Result<(), Reject> {
        match self.frozen_because(account, customer) {
            None => Ok(()),
            Some(why) => Err(Reject::new(RejectCode::Frozen, &format!("this account is frozen: {why}"))),
        }
    }

    fn takes_in(&self, coins: Coins) -> Result<(), Reject> {
        let held = Coins(self.books.held()).saturating_add(coins);
        if held.0 > MAX_MONEY {
            return Err(Reject::new(RejectCode::Range, "this is more money than the books are made for"));
        }
        Ok(())
    }
}

fn sold(account: PublicKey, request: ObjectHash, mint: Option<Box<Mint>>) -> Result<Decision, Reject> {
    let unminted = || Reject::new(RejectCode::Busy, "the account changed meanwhile: ask again");
    let mint = mint.ok_or_else(unminted)?;
    let touchstone = mint.facts.wire().clone();
    let answer = Answer::Sold(mint.facts.id);
    Ok(Decision::happens(Event::Sold { account, request, touchstone, sealed: mint.sealed }, answer))
}

fn covers(customer: &Customer, coins: Coins) -> Result<(), Reject> {
    if customer.balance < coins {
        let why = format!("this needs {coins}, and the account has {}", customer.balance);
        return Err(Reject::new(RejectCode::Funds, &why));
    }
    Ok(())
}

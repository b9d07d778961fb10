//! Folding a record into the state. It is the same when a command was just decided and when the journal is read again,
//! so it trusts nothing: a step whose entries do not sum to zero, or that pays an index twice, is not folded in.

use super::chain::{ChainBook, ClaimBook, ClaimKey, ClaimState, Facts, Fair, JunkBook};
use super::command::{Charge, Event, PayoutId, Purse, Record, SettledClaim, TakenClaim, VoucherId};
use super::entry::{Book, Entry};
use super::intervals::Range;
use super::redeeming::{HELD_FOR, total};
use super::{Conviction, Customer, Day, Dispute, FalseAccusation, Ledger, Payout, Voucher, What};
use netpay_core::amount::{Coins, Count, Index};
use netpay_core::codec::{Bytes, Text};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::record::chain::Culprit;
use netpay_core::time::{DAY, Time};
use netpay_core::wire::bank::SEALED_SEED;
use std::sync::Arc;

/// A record that does not fit the books: the journal is damaged, or this software is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} does not fit the books: {why}")]
pub struct Broken {
    /// The record.
    pub seq: u64,
    /// What does not fit.
    pub why: &'static str,
}

type Folded = Result<Vec<Entry>, &'static str>;

impl Ledger {
    /// Folds a record into the state and returns the entries it made.
    ///
    /// # Errors
    /// If it does not fit. The state may then be half changed: throw it away.
    pub fn apply(&mut self, record: &Record) -> Result<Vec<Entry>, Broken> {
        let broken = |why| Broken { seq: record.seq, why };
        if record.seq != self.seq + 1 {
            return Err(broken("it is not the next one"));
        }
        let entries = self.fold(record).map_err(broken)?;
        if entries.iter().map(|entry| i128::from(entry.change)).sum::<i128>() != 0 {
            return Err(broken("its entries do not sum to zero"));
        }
        for entry in &entries {
            self.books.post(entry);
        }
        if !self.books.are_sound() {
            return Err(broken("a book is on the wrong side after it"));
        }
        self.seq = record.seq;
        Ok(entries)
    }

    fn fold(&mut self, record: &Record) -> Folded {
        let at = record.at;
        match &record.event {
            Event::VouchersIssued(vouchers) => self.fold_vouchers(vouchers),
            Event::Registered { account, node, name, voucher, bond } => {
                let mut entries = self.fold_register(at, *account, *node, name, *voucher)?;
                entries.extend(self.fold_bond(at, account, *bond)?);
                Ok(entries)
            }
            Event::PaidIn { account, voucher } => self.fold_pay_in(at, account, *voucher),
            Event::Credited { id, account, coins, note } => {
                if self.credits.insert(*id, (*account, *coins)).is_some() {
                    return Err("the credit was made before");
                }
                self.add(at, account, *coins, What::Credit(note.clone()))?;
                Ok(Entry::moved(*coins, Book::Cash, Book::Balance(*account)).to_vec())
            }
            Event::Sold { account, request, touchstone, sealed } => {
                self.fold_sold(at, *account, *request, touchstone, sealed)
            }
            Event::Redeemed { account, claims } => self.fold_redeemed(record, account, claims),
            Event::Retired { chains, .. } => {
                for chain in chains {
                    self.chains.get_mut(chain).ok_or("it retires an unknown chain")?.retired = true;
                }
                Ok(Vec::new())
            }
            Event::Frozen { account, why } => {
                self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.frozen = Some((at, why.clone()));
                self.members_changed = record.seq;
                Ok(Vec::new())
            }
            Event::Unfrozen { account } => {
                self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.frozen = None;
                self.members_changed = record.seq;
                Ok(Vec::new())
            }
            Event::Closed { account } => {
                self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.closed = Some(at);
                self.members_changed = record.seq;
                Ok(Vec::new())
            }
            Event::BondsReturned(accounts) => self.fold_bonds_returned(at, accounts),
            Event::PayoutAsked { id, coins, to } => self.fold_payout_asked(at, *id, *coins, to),
            Event::PaidOut { id, reference } => self.fold_paid_out(at, id, reference),
            Event::EvidenceNoted { culprit, .. } => {
                self.convict(*culprit, Conviction { at, record: record.seq, noted: true });
                self.members_changed = record.seq;
                Ok(Vec::new())
            }
            Event::Convicted { holder, chain, j, open, junk, .. } => {
                let content = junk.deal.claim().map_err(|_| "the proof has no deal")?.root;
                let found = JunkBook { holder: *holder, content, at, record: record.seq };
                self.fold_convicted(record, *chain, (*j, *open), found)
            }
            Event::FalselyAccused { account, chain, j, open, digest, why, fee, junk } => {
                let found = FalseAccusation {
                    account: *account,
                    chain: *chain,
                    claim: (*j, *open),
                    why: why.clone(),
                    fee: *fee,
                    at,
                    record: record.seq,
                    is_kept: junk.is_some(),
                };
                self.fold_falsely(*digest, found)
            }
            Event::Released { chain, claims } => {
                self.fold_paid_late(at, *chain, claims, What::Released(*chain))
            }
            Event::Resumed { settle_from } => {
                self.settle_from = self.settle_from.max(*settle_from);
                Ok(Vec::new())
            }
            Event::Settled { chain, claims, refund, charges } => {
                let mut entries = self.fold_settled(at, *chain, claims, *refund)?;
                entries.extend(self.fold_charges(record, *chain, charges)?);
                Ok(entries)
            }
        }
    }

    fn fold_vouchers(&mut self, vouchers: &[(VoucherId, Coins)]) -> Folded {
        let mut entries = Vec::new();
        for (id, value) in vouchers {
            if self.vouchers.insert(*id, Voucher { value: *value, used_by: None }).is_some() {
                return Err("a voucher was issued before");
            }
            entries.extend(Entry::moved(*value, Book::Cash, Book::Vouchers));
        }
        Ok(entries)
    }

    fn fold_register(
        &mut self,
        at: Time,
        account: PublicKey,
        node: PublicKey,
        name: &Text<64>,
        voucher: Option<VoucherId>,
    ) -> Folded {
        // A node belongs to one account: the last that registered it.
        let before = self.nodes.insert(node, account).filter(|before| *before != account);
        if let Some(customer) = before.and_then(|before| self.customers.get_mut(&before)) {
            customer.nodes.retain(|known| *known != node);
        }
        let customer = self.customers.entry(account).or_insert_with(|| Customer::since(at));
        customer.name = name.clone();
        if !customer.nodes.contains(&node) {
            customer.nodes.push(node);
        }
        if customer.closed.take().is_some() || customer.frozen.is_some() {
            self.members_changed = self.seq + 1;
        }
        voucher.map_or_else(|| Ok(Vec::new()), |voucher| self.fold_pay_in(at, &account, voucher))
    }

    /// Sets aside what a bond lacks.
    fn fold_bond(&mut self, at: Time, account: &PublicKey, bond: Coins) -> Folded {
        let had = self.customers.get(account).ok_or(NO_ACCOUNT)?.bond;
        let more = Coins(bond.0.saturating_sub(had.0));
        if more == Coins::ZERO {
            return Ok(Vec::new());
        }
        self.take_off(at, account, more, What::BondSet)?;
        self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.bond = bond;
        Ok(Entry::moved(more, Book::Balance(*account), Book::Bond(*account)).to_vec())
    }

    fn fold_bonds_returned(&mut self, at: Time, accounts: &[PublicKey]) -> Folded {
        let mut entries = Vec::new();
        for account in accounts {
            let customer = self.customers.get_mut(account).ok_or(NO_ACCOUNT)?;
            if customer.closed.is_none() {
                return Err("the bond of an account that is not closed comes back");
            }
            let bond = std::mem::take(&mut customer.bond);
            self.add(at, account, bond, What::BondReturned)?;
            entries.extend(Entry::moved(bond, Book::Bond(*account), Book::Balance(*account)));
        }
        Ok(entries)
    }

    fn fold_pay_in(&mut self, at: Time, account: &PublicKey, voucher: VoucherId) -> Folded {
        let voucher = self.vouchers.get_mut(&voucher).filter(|voucher| voucher.used_by.is_none());
        let voucher = voucher.ok_or("the voucher is unknown or was paid in before")?;
        voucher.used_by = Some(*account);
        let value = voucher.value;
        self.add(at, account, value, What::Voucher)?;
        Ok(Entry::moved(value, Book::Vouchers, Book::Balance(*account)).to_vec())
    }

    fn fold_sold(
        &mut self,
        at: Time,
        account: PublicKey,
        request: ObjectHash,
        touchstone: &Unverified<Touchstone>,
        sealed: &Bytes<SEALED_SEED>,
    ) -> Folded {
        let facts =
            Facts::new(touchstone.clone(), &self.network).map_err(|_| "the touchstone is malformed")?;
        let (id, chain_key) = (facts.id, facts.touchstone.chain_key);
        let (n, redeem_by) = (Count(facts.touchstone.n.0), facts.touchstone.redeem_by);
        self.take_off(at, &account, n.into(), What::Bought(id, n))?;
        let chain = ChainBook {
            anchor: (Index::ZERO, facts.touchstone.root),
            facts: Arc::new(facts),
            buyer: account,
            request,
            sealed: sealed.clone(),
            paid: super::Intervals::default(),
            claims: std::collections::BTreeMap::new(),
            junk: std::collections::BTreeMap::new(),
            disputable: std::collections::BTreeSet::new(),
            refunded: Count::ZERO,
            retired: false,
            settled: None,
        };
        let known =
            self.by_chain_key.insert(chain_key, id).is_some() | self.chains.insert(id, chain).is_some();
        if known {
            return Err("the chain was sold before");
        }
        self.unsettled.insert((redeem_by, id));
        self.books.issued += u64::from(n.0);
        self.day(at).issued += u64::from(n.0);
        self.customers.get_mut(&account).ok_or(NO_ACCOUNT)?.bought.push(id);
        Ok(Entry::moved(n.into(), Book::Balance(account), Book::Coins).to_vec())
    }

    fn fold_redeemed(&mut self, record: &Record, account: &PublicKey, claims: &[TakenClaim]) -> Folded {
        let (mut coins, mut final_claims) = (0, 0);
        for taken in claims {
            let chain = self.chains.get_mut(&taken.chain).ok_or("a claim is on an unknown chain")?;
            let count = match &taken.paid {
                Some(ranges) => {
                    final_claims += 1;
                    pay_once(chain, taken.range, ranges)?
                }
                None => Count::ZERO,
            };
            let key = (taken.j, taken.open);
            let state = match &taken.paid {
                Some(_) => ClaimState::Paid(count),
                None if chain.junk.contains_key(&key) => ClaimState::Void,
                None => ClaimState::Pending,
            };
            if taken.range.end > chain.anchor.0 {
                chain.anchor = (taken.range.end, taken.coin);
            }
            // The same claim with more acks keeps its place in the queue.
            let known = chain.claims.get(&key).filter(|known| known.close == taken.close);
            let fair = taken.is_fair.then_some(taken.proof.key).flatten();
            let until =
                known.and_then(|known| known.fair).map_or(record.at.plus(HELD_FOR), |fair| fair.until);
            let fair = fair.map(|key| Fair { key, until });
            if fair.is_some() != taken.is_fair || (taken.is_fair && taken.paid.is_some()) {
                return Err("a claim of fair mode has no key, or is paid at once");
            }
            let claim = ClaimBook {
                account: *account,
                open: taken.open,
                close: taken.close,
                range: taken.range,
                standing: taken.standing,
                arrived: known.map_or(record.seq, |known| known.arrived),
                charged: Count::ZERO,
                fair,
                state,
            };
            let before = chain.claims.insert(key, claim);
            let arrival = |claim: &ClaimBook| (claim.arrived, taken.chain, taken.j, taken.open);
            if let Some(before) = &before {
                self.arrivals.remove(&arrival(before));
            }
            self.arrivals.insert(arrival(&claim));
            if chain.is_opened_twice(taken.j) {
                let found = Conviction { at: record.at, record: record.seq, noted: false };
                self.convict(Culprit::Buyer(taken.chain), found);
            }
            if before.is_some_and(|before| before.is_final()) {
                return Err("a claim replaces one that is final");
            }
            if let Some(before) = before {
                self.wait(taken.chain, key, &before, false)?;
            }
            match state {
                ClaimState::Pending => self.wait(taken.chain, key, &claim, true)?,
                ClaimState::Void => {
                    self.void(record.at, taken.chain, &claim)?;
                    self.ban(record, account, JUNK)?;
                }
                ClaimState::Paid(_) => {}
            }
            coins += u64::from(count.0);
        }
        if final_claims > 0 {
            self.add(record.at, account, Coins(coins), What::Redeemed(final_claims))?;
        }
        self.books.redeemed += coins;
        self.day(record.at).redeemed += coins;
        let brought = &mut self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.brought;
        brought.push(record.seq);
        Ok(Entry::moved(Coins(coins), Book::Coins, Book::Balance(*account)).to_vec())
    }

    fn fold_payout_asked(&mut self, at: Time, id: PayoutId, coins: Coins, to: &Text<80>) -> Folded {
        self.take_off(at, &id.0, coins, What::PayoutAsked(to.clone()))?;
        let payout = Payout { account: id.0, coins, to: to.clone(), asked: at, paid: None };
        if self.payouts.insert(id, payout).is_some() {
            return Err("the payout was asked for before");
        }
        self.unpaid.insert((at, id));
        Ok(Entry::moved(coins, Book::Balance(id.0), Book::Payouts).to_vec())
    }

    fn fold_paid_out(&mut self, at: Time, id: &PayoutId, reference: &Text<80>) -> Folded {
        let payout = self.payouts.get_mut(id).filter(|payout| payout.paid.is_none());
        let payout = payout.ok_or("the payout is unknown or was made before")?;
        payout.paid = Some((at, reference.clone()));
        self.unpaid.remove(&(payout.asked, *id));
        Ok(Entry::moved(payout.coins, Book::Payouts, Book::Cash).to_vec())
    }

    fn fold_settled(&mut self, at: Time, id: ChainId, claims: &[SettledClaim], refund: Count) -> Folded {
        let mut entries = self.fold_paid_late(at, id, claims, What::Settled(id))?;
        let chain = self.chains.get_mut(&id).ok_or(NO_CHAIN)?;
        let whole = chain.settled.is_none()
            && refund == chain.outstanding()
            && chain.claims.values().all(ClaimBook::is_final);
        if !whole {
            return Err("it does not settle the whole chain");
        }
        chain.refunded = refund;
        chain.settled = Some(at);
        let (buyer, redeem_by) = (chain.buyer, chain.facts.touchstone.redeem_by);
        self.unsettled.remove(&(redeem_by, id));
        if refund > Count::ZERO {
            self.add(at, &buyer, refund.into(), What::Refunded(id))?;
        }
        self.books.refunded += u64::from(refund.0);
        self.day(at).refunded += u64::from(refund.0);
        entries.extend(Entry::moved(refund.into(), Book::Coins, Book::Balance(buyer)));
        Ok(entries)
    }

    /// Claims that waited are paid.
    fn fold_paid_late(&mut self, at: Time, id: ChainId, claims: &[SettledClaim], what: What) -> Folded {
        let mut entries = Vec::new();
        let keys = self.claim_keys(&id)?;
        for settled in claims {
            let chain = self.chains.get_mut(&id).ok_or(NO_CHAIN)?;
            let key = at_place(&keys, settled.claim)?;
            let claim = chain.claims.get(key).copied().filter(|claim| !claim.is_final());
            let mut claim = claim.ok_or("a claim that does not wait is settled")?;
            let count = pay_once(chain, claim.range, &settled.paid)?;
            claim.state = ClaimState::Paid(count);
            chain.claims.insert(*key, claim);
            self.wait(id, *key, &claim, false)?;
            self.add(at, &claim.account, count.into(), what.clone())?;
            self.books.redeemed += u64::from(count.0);
            self.day(at).redeemed += u64::from(count.0);
            entries.extend(Entry::moved(count.into(), Book::Coins, Book::Balance(claim.account)));
        }
        Ok(entries)
    }

    /// A vendor sold junk: its claim is void, and it is banned as soon as the bank knows who it is.
    fn fold_convicted(&mut self, record: &Record, id: ChainId, key: ClaimKey, found: JunkBook) -> Folded {
        let chain = self.chains.get_mut(&id).ok_or(NO_CHAIN)?;
        let buyer = chain.buyer;
        if chain.junk.insert(key, found).is_some() {
            return Err("a vendor is convicted twice of one segment");
        }
        self.disputes.insert((record.seq, Dispute::Junk(id, key)));
        let claim = chain.claims.get_mut(&key).map(|claim| {
            let before = *claim;
            if before.state == ClaimState::Pending {
                claim.state = ClaimState::Void;
            }
            before
        });
        if let Some(claim) = claim {
            if claim.state == ClaimState::Pending {
                self.wait(id, key, &claim, false)?;
                self.void(record.at, id, &claim)?;
            }
            self.ban(record, &claim.account, JUNK)?;
        }
        self.tell(record.at, &buyer, What::Convicted(id, key.0))?;
        Ok(Vec::new())
    }

    /// Of a claim nothing is paid: its vendor reads so.
    fn void(&mut self, at: Time, id: ChainId, claim: &ClaimBook) -> Result<(), &'static str> {
        self.tell(at, &claim.account, What::Void(id, claim.range.count()))
    }

    /// A line that changes no balance.
    fn tell(&mut self, at: Time, account: &PublicKey, what: What) -> Result<(), &'static str> {
        self.customers.get_mut(account).ok_or(NO_ACCOUNT)?.write(at, what, 0);
        Ok(())
    }

    fn fold_falsely(&mut self, digest: ObjectHash, found: FalseAccusation) -> Folded {
        let FalseAccusation { account, fee, at, record, .. } = found;
        if self.accused_falsely.insert(digest, found).is_some() {
            return Err("a false accusation is charged twice");
        }
        self.disputes.insert((record, Dispute::Falsely(digest)));
        self.take_off(at, &account, fee, What::AccusedFalsely)?;
        Ok(Entry::moved(fee, Book::Balance(account), Book::Cash).to_vec())
    }

    fn ban(&mut self, record: &Record, account: &PublicKey, why: &str) -> Result<(), &'static str> {
        let customer = self.customers.get_mut(account).ok_or(NO_ACCOUNT)?;
        customer.frozen.get_or_insert_with(|| (record.at, Text::cut(why)));
        self.members_changed = record.seq;
        Ok(())
    }

    /// The convicted make up for coins promised twice; a buyer that did is banned.
    fn fold_charges(&mut self, record: &Record, id: ChainId, charges: &[Charge]) -> Folded {
        let (at, mut entries) = (record.at, Vec::new());
        let keys = self.claim_keys(&id)?;
        let is_convicted = self.convicted.contains_key(&Culprit::Buyer(id));
        let buyer = self.chains.get(&id).ok_or(NO_CHAIN)?.buyer;
        let promised_twice = self
            .chains
            .get(&id)
            .is_some_and(|chain| chain.claims.values().any(|claim| claim.short() > Count::ZERO));
        for charge in charges {
            let chain = self.chains.get_mut(&id).ok_or(NO_CHAIN)?;
            let claim = chain.claims.get_mut(at_place(&keys, charge.claim)?).ok_or(NO_CLAIM)?;
            let Charge { purse, coins, .. } = *charge;
            if coins > claim.short() {
                return Err("more is charged than was promised twice");
            }
            claim.charged = Count(claim.charged.0 + coins.0);
            let vendor = claim.account;
            let payer = self.chains.get(&id).and_then(|chain| self.owner(chain, purse));
            let payer = payer.ok_or("somebody is charged without evidence")?;
            let from = match purse {
                Purse::Balance => {
                    self.take_off(at, &payer, coins.into(), What::Charged(id))?;
                    Book::Balance(payer)
                }
                Purse::Bond | Purse::Seat(_) => {
                    self.take_off_bond(at, &payer, coins, id)?;
                    Book::Bond(payer)
                }
            };
            self.add(at, &vendor, coins.into(), What::MadeUp(id))?;
            entries.extend(Entry::moved(coins.into(), from, Book::Balance(vendor)));
        }
        if is_convicted && promised_twice {
            let why = format!("coins of chain {id:.12} were promised twice");
            self.ban(record, &buyer, &why)?;
        }
        Ok(entries)
    }

    fn day(&mut self, at: Time) -> &mut Day {
        self.days.entry(at.0 / DAY).or_default()
    }

    fn claim_keys(&self, id: &ChainId) -> Result<Vec<ClaimKey>, &'static str> {
        Ok(self.chains.get(id).ok_or(NO_CHAIN)?.claims.keys().copied().collect())
    }

    fn add(&mut self, at: Time, account: &PublicKey, coins: Coins, what: What) -> Result<(), &'static str> {
        let customer = self.customers.get_mut(account).ok_or(NO_ACCOUNT)?;
        customer.balance = customer.balance.checked_add(coins).ok_or("a balance is too large")?;
        customer.write(at, what, super::entry::signed(coins));
        Ok(())
    }

    fn take_off(
        &mut self,
        at: Time,
        account: &PublicKey,
        coins: Coins,
        what: What,
    ) -> Result<(), &'static str> {
        let customer = self.customers.get_mut(account).ok_or(NO_ACCOUNT)?;
        customer.balance = customer.balance.checked_sub(coins).ok_or("a balance is negative")?;
        customer.write(at, what, -super::entry::signed(coins));
        Ok(())
    }

    fn take_off_bond(
        &mut self,
        at: Time,
        account: &PublicKey,
        count: Count,
        chain: ChainId,
    ) -> Result<(), &'static str> {
        let customer = self.customers.get_mut(account).ok_or(NO_ACCOUNT)?;
        customer.bond = customer.bond.checked_sub(count.into()).ok_or("a bond is negative")?;
        self.tell(at, account, What::BondCharged(chain, count))
    }

    /// A claim begins or ends to wait: for its account, and in fair mode for whoever may dispute it.
    fn wait(
        &mut self,
        id: ChainId,
        key: ClaimKey,
        claim: &ClaimBook,
        begins: bool,
    ) -> Result<(), &'static str> {
        let customer = self.customers.get_mut(&claim.account).ok_or(NO_ACCOUNT)?;
        let count = claim.range.count().into();
        let pending =
            if begins { customer.pending.checked_add(count) } else { customer.pending.checked_sub(count) };
        customer.pending = pending.ok_or("more claims end to wait than began to")?;
        let Some(Fair { until, .. }) = claim.fair else { return Ok(()) };
        if begins {
            customer.held.insert((until, id, key));
        } else {
            customer.held.remove(&(until, id, key));
        }
        let disputable = &mut self.chains.get_mut(&id).ok_or(NO_CHAIN)?.disputable;
        if begins {
            disputable.insert((until, key));
            if claim.standing.is_final {
                self.held.insert((until, id, key));
            }
        } else {
            disputable.remove(&(until, key));
            self.held.remove(&(until, id, key));
        }
        Ok(())
    }
}

/// Why a vendor is banned.
const JUNK: &str = "it sold junk";
const NO_ACCOUNT: &str = "an account is unknown";
const NO_CHAIN: &str = "the chain is unknown";
const NO_CLAIM: &str = "a claim is unknown";

fn at_place(keys: &[ClaimKey], place: u32) -> Result<&ClaimKey, &'static str> {
    usize::try_from(place).ok().and_then(|place| keys.get(place)).ok_or(NO_CLAIM)
}

fn pay_once(chain: &mut ChainBook, within: Range, ranges: &[Range]) -> Result<Count, &'static str> {
    let n = chain.facts.touchstone.n.as_index();
    for range in ranges {
        if range.start < within.start || range.end > within.end || range.end > n {
            return Err("coins are paid outside a claim or a chain");
        }
        if !chain.paid.take(*range) {
            return Err("a coin is paid twice");
        }
    }
    Ok(total(ranges))
}

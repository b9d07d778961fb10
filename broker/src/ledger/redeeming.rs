//! Redemption and settlement (PROTOCOL section 7): each index of a chain is paid once, so never more than n coins.
//!
//! Per claim the first of these holds:
//!
//! 1. refused before the books were asked: Malformed, UnknownChain, Forged, Range, BadPayment, NotYours (in `checks`);
//! 2. Malformed: its Open is named twice in one redemption;
//! 3. the very claim is known and final, or brings no more acks: its outcome, again;
//! 4. Mismatch: another Close of the same Open is known, unless that one still waits and this one is certified;
//! 5. Expired: the chain was settled;
//! 6. it claims no coins: paid, none, and nothing is written;
//! 7. Busy: as many claims as a chain may have;
//! 8. certified: paid at once, of its stretch what is free; else it waits for settlement.
//!
//! At settlement those that wait are served each with what is free: first those whose Open is certified, of these the
//! later segment first; then by the number of acks of the Close; then by arrival. Two Opens of one segment convict the
//! buyer, whether they come as evidence or as two claims. Then the claims that others left short are made up for, the
//! certified ones first: out of what a convicted buyer has, refund included, then of its bond, then of the bonds of the
//! witnesses that were convicted of what they signed of this chain. The bank never adds money of its own.
//!
//! A frozen account is paid: what it earned is honest until proven otherwise, and it cannot be taken out meanwhile.

use super::chain::{ClaimKey, convicted_of_junk};
use super::command::{
    Answer, Charge, CheckedClaim, ClaimResult, Decision, Event, Purse, SettledClaim, Standing, TakenClaim,
};
use super::intervals::{Intervals, Range};
use super::{ChainBook, ClaimBook, Ledger};
use netpay_core::amount::{Coins, Count};
use netpay_core::codec::{List, Text};
use netpay_core::fair::judge::{self, Junk, NotProven};
use netpay_core::id::ChainId;
use netpay_core::keys::PublicKey;
use netpay_core::record::chain::Culprit;
use netpay_core::time::{HOUR, Time};
use netpay_core::wire::bank::Outcome;
use netpay_core::wire::reject::{Reject, RejectCode};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Claims of fair mode can be disputed for so long before they are paid, in seconds: Δ.
pub const HELD_FOR: u64 = 24 * HOUR;
/// What it costs to say falsely that something was junk, or as much of it as there is.
pub const FALSE_ACCUSATION: Coins = Coins(10);
/// Once a chain has so many claims, only certified ones are taken: uncertified ones cost nothing to make.
pub const MAX_PENDING_PER_CHAIN: usize = 4096;
/// The most claims on a chain. A committee certifies no more than 4,096 segments of it.
pub const MAX_CLAIMS_PER_CHAIN: usize = 2 * MAX_PENDING_PER_CHAIN;

/// What the claims of one redemption have taken so far: the state changes only when the whole event is folded in.
#[derive(Default)]
struct Scratch {
    paid: BTreeMap<ChainId, Intervals>,
    seen: BTreeSet<(ChainId, ClaimKey)>,
    taken: Vec<TakenClaim>,
}

impl Ledger {
    pub(super) fn redeem(
        &self,
        account: PublicKey,
        claims: Vec<ClaimResult>,
        now: Time,
    ) -> Result<Decision, Reject> {
        self.known(&account)?;
        let mut scratch = Scratch::default();
        let mut outcomes = Vec::with_capacity(claims.len());
        for claim in claims {
            outcomes.push(match claim {
                Err((chain, j, reject)) => (chain, j, Outcome::Refused(reject)),
                Ok(claim) => {
                    let (chain, j) = (claim.chain, claim.j);
                    (
                        chain,
                        j,
                        self.take(&account, *claim, now, &mut scratch).unwrap_or_else(Outcome::Refused),
                    )
                }
            });
        }
        let answer = Answer::Outcomes(outcomes);
        if scratch.taken.is_empty() {
            return Ok(Decision::known(answer));
        }
        let claims = List::first_of(scratch.taken);
        Ok(Decision::happens(Event::Redeemed { account, claims }, answer))
    }

    fn take(
        &self,
        account: &PublicKey,
        claim: CheckedClaim,
        now: Time,
        scratch: &mut Scratch,
    ) -> Result<Outcome, Reject> {
        let unknown = || Reject::new(RejectCode::UnknownChain, "the chain was not sold here");
        let chain = self.chains.get(&claim.chain).ok_or_else(unknown)?;
        let key = (claim.j, claim.open);
        if !scratch.seen.insert((claim.chain, key)) {
            return Err(Reject::new(RejectCode::Malformed, "the segment is named twice in one redemption"));
        }
        if let Some(known) = chain.claims.get(&key) {
            let same = known.close == claim.close && known.account == *account;
            if same && (known.is_final() || claim.standing <= known.standing) {
                return Ok(known.outcome(self.payable(
                    chain,
                    &known.standing,
                    known.fair.map(|fair| fair.until),
                )));
            }
            if !same && (known.is_final() || !claim.standing.is_final) {
                return Err(Reject::new(
                    RejectCode::Mismatch,
                    "another close of this segment was brought before",
                ));
            }
        }
        if chain.settled.is_some() {
            return Err(Reject::new(RejectCode::Expired, "the chain was settled: nothing of it is left"));
        }
        let known = chain.claims.get(&key).filter(|known| known.close == claim.close);
        if claim.is_fair && now >= chain.facts.touchstone.redeem_by && known.is_none() {
            let why = "claims of fair mode are brought before the chain's redeem_by: there must be time to dispute them";
            return Err(Reject::new(RejectCode::Expired, why));
        }
        if claim.is_empty() {
            return Ok(Outcome::Paid(Coins::ZERO));
        }
        let limit = if claim.standing.is_final { MAX_CLAIMS_PER_CHAIN } else { MAX_PENDING_PER_CHAIN };
        if !chain.claims.contains_key(&key) && chain.claims.len() + scratch.taken.len() >= limit {
            return Err(Reject::new(
                RejectCode::Busy,
                "too many claims on this chain: only certified ones are taken",
            ));
        }
        let is_junk = chain.junk.contains_key(&key);
        let paid = (claim.standing.is_final && !claim.is_fair && !is_junk).then(|| {
            let paid = scratch.paid.entry(claim.chain).or_insert_with(|| chain.paid.clone());
            pay(paid, claim.range)
        });
        let outcome = match &paid {
            Some(ranges) => Outcome::Paid(Coins::from(total(ranges))),
            None if is_junk => Outcome::Refused(convicted_of_junk()),
            None => {
                let first = known.and_then(|known| known.fair).map(|fair| fair.until);
                let held = claim.is_fair.then(|| first.unwrap_or_else(|| now.plus(HELD_FOR)));
                let until = self.payable(chain, &claim.standing, held);
                Outcome::Pending { coins: claim.range.count().into(), until }
            }
        };
        scratch.taken.push(TakenClaim {
            chain: claim.chain,
            j: claim.j,
            range: claim.range,
            coin: claim.coin,
            open: claim.open,
            close: claim.close,
            standing: claim.standing,
            is_fair: claim.is_fair,
            paid: paid.map(List::first_of),
            proof: claim.proof,
        });
        Ok(outcome)
    }

    /// When a claim of a chain can be paid at the earliest, if it waits.
    #[must_use]
    pub fn payable_from(&self, chain: &ChainId, claim: &ClaimBook) -> Option<Time> {
        let chain = self.chains.get(chain).filter(|_| !claim.is_final())?;
        Some(self.payable(chain, &claim.standing, claim.fair.map(|fair| fair.until)))
    }

    /// When a claim that waits can be paid at the earliest; `held` is until when it can be disputed.
    pub(super) fn payable(&self, chain: &ChainBook, standing: &Standing, held: Option<Time>) -> Time {
        match held {
            Some(until) if standing.is_final => until,
            Some(until) => self.settlement_of(chain).max(until),
            None => self.settlement_of(chain),
        }
    }

    /// Somebody says that a vendor sold junk. The order: UnknownAccount, UnknownChain, NotYours, Range (a deal has a coin at
    /// least, so a chain has no more convictions than coins), NotProven. What is not proven costs its fee once; of somebody
    /// who has nothing left nothing is noted, as that could be said for ever.
    pub(super) fn accuse(
        &self,
        account: PublicKey,
        (id, key): (ChainId, ClaimKey),
        junk: Junk,
        judged: Result<PublicKey, NotProven>,
    ) -> Result<Decision, Reject> {
        let customer = self.known(&account)?;
        let unknown = || Reject::new(RejectCode::UnknownChain, "the chain was not sold here");
        let chain = self.chains.get(&id).ok_or_else(unknown)?;
        if chain.buyer != account {
            return Err(Reject::new(RejectCode::NotYours, "the chain was sold to another account"));
        }
        let answer = Answer::Judged(id, key);
        match judged {
            Ok(_) if chain.junk.contains_key(&key) => Ok(Decision::known(answer)),
            Ok(_) if chain.junk.len() >= chain.facts.touchstone.n.as_index().0 as usize => {
                Err(Reject::new(RejectCode::Range, "the chain has had as many convictions as coins"))
            }
            Ok(holder) => {
                let (j, open) = key;
                Ok(Decision::happens(Event::Convicted { account, holder, chain: id, j, open, junk }, answer))
            }
            Err(why) => {
                let digest = judge::digest(&junk);
                let fee = FALSE_ACCUSATION.min(customer.balance);
                let answer = Answer::NotProven(why);
                if fee == Coins::ZERO || self.accused_falsely.contains_key(&digest) {
                    return Ok(Decision::known(answer));
                }
                let ((j, open), why) = (key, Text::cut(&why.to_string()));
                let junk = (fee == FALSE_ACCUSATION).then_some(junk);
                let event = Event::FalselyAccused { account, chain: id, j, open, digest, why, fee, junk };
                Ok(Decision::happens(event, answer))
            }
        }
    }

    /// Pays the certified claims of fair mode on a chain that can be disputed no more.
    pub(super) fn release(&self, id: ChainId, now: Time) -> Result<Decision, Reject> {
        let unknown = || Reject::new(RejectCode::UnknownChain, "the chain was not sold here");
        let chain = self.chains.get(&id).ok_or_else(unknown)?;
        let mut paid = chain.paid.clone();
        let due = |claim: &ClaimBook| {
            !claim.is_final() && claim.standing.is_final && claim.fair.is_some_and(|fair| fair.until <= now)
        };
        let mut due: Vec<_> = (0..).zip(chain.claims.values()).filter(|(_, claim)| due(claim)).collect();
        due.sort_by_key(|(_, claim)| claim.arrived);
        let claims: Vec<_> = due
            .into_iter()
            .map(|(place, claim)| SettledClaim {
                claim: place,
                paid: List::first_of(pay(&mut paid, claim.range)),
            })
            .collect();
        if claims.is_empty() {
            return Ok(Decision::known(Answer::Done));
        }
        Ok(Decision::happens(Event::Released { chain: id, claims: List::first_of(claims) }, Answer::Done))
    }

    pub(super) fn settle(&self, id: ChainId, now: Time) -> Result<Decision, Reject> {
        let unknown = || Reject::new(RejectCode::UnknownChain, "the chain was not sold here");
        let chain = self.chains.get(&id).ok_or_else(unknown)?;
        if chain.settled.is_some() {
            return Ok(Decision::known(Answer::Done));
        }
        if now < self.settlement_of(chain) {
            return Err(Reject::new(RejectCode::Range, "the chain's settlement is not due yet"));
        }
        let mut paid = chain.paid.clone();
        let waiting = waiting(chain).into_iter();
        let claims: Vec<_> = waiting
            .map(|(claim, range)| SettledClaim { claim, paid: List::first_of(pay(&mut paid, range)) })
            .collect();
        let refund = Count(chain.facts.touchstone.n.0.saturating_sub(paid.total().0));
        let charges = List::first_of(self.charges(chain, &claims, refund));
        let claims = List::first_of(claims);
        Ok(Decision::happens(Event::Settled { chain: id, claims, refund, charges }, Answer::Done))
    }

    /// Whose purse it is, if its owner was convicted of something about that chain.
    pub(super) fn owner(&self, chain: &ChainBook, purse: Purse) -> Option<PublicKey> {
        let id = chain.facts.id;
        match purse {
            Purse::Balance | Purse::Bond => {
                self.convicted.contains_key(&Culprit::Buyer(id)).then_some(chain.buyer)
            }
            Purse::Seat(seat) => {
                let node = chain.facts.touchstone.committee.get(usize::from(seat))?;
                self.convicted.get(&Culprit::Witness(*node, id)).and_then(|_| self.nodes.get(node)).copied()
            }
        }
    }

    /// The purses of those convicted of something about a chain, and what is in them once the refund is.
    fn purses(&self, chain: &ChainBook, refund: Count) -> Vec<(Purse, u64)> {
        let seats = (0..).zip(&chain.facts.touchstone.committee).map(|(seat, _)| Purse::Seat(seat));
        let purses = [Purse::Balance, Purse::Bond].into_iter().chain(seats);
        let filled = purses.filter_map(|purse| {
            let owner = self.customers.get(&self.owner(chain, purse)?)?;
            let coins = match purse {
                Purse::Balance => owner.balance.saturating_add(refund.into()),
                Purse::Bond | Purse::Seat(_) => owner.bond,
            };
            Some((purse, coins.0))
        });
        filled.collect()
    }

    /// What the convicted pay for coins promised twice, as far as what they have goes.
    fn charges(&self, chain: &ChainBook, settled: &[SettledClaim], refund: Count) -> Vec<Charge> {
        let mut purses = self.purses(chain, refund);
        let claims: Vec<&ClaimBook> = chain.claims.values().collect();
        let mut before: Vec<_> = (0..).zip(&claims).filter(|(_, claim)| claim.is_final()).collect();
        before.sort_by_key(|(_, claim)| claim.arrived);
        let before = before.into_iter().map(|(place, claim)| (place, claim.short()));
        let now = settled.iter().filter_map(|settled| {
            let claimed = claims.get(usize::try_from(settled.claim).ok()?)?.range.count();
            Some((settled.claim, Count(claimed.0 - total(&settled.paid).0)))
        });
        let mut charges = Vec::new();
        for (claim, Count(mut short)) in before.chain(now) {
            for (purse, funds) in &mut purses {
                let coins = u32::try_from(*funds).map_or(short, |funds| funds.min(short));
                if coins > 0 {
                    *funds -= u64::from(coins);
                    short -= coins;
                    charges.push(Charge { claim, purse: *purse, coins: Count(coins) });
                }
            }
        }
        charges
    }
}

/// The claims that wait, each by its place among all, in the order in which they are served.
fn waiting(chain: &ChainBook) -> Vec<(u32, Range)> {
    let mut waiting: Vec<_> = (0..).zip(&chain.claims).filter(|(_, (_, claim))| !claim.is_final()).collect();
    waiting.sort_by_key(|(_, ((j, _), claim))| {
        // Where both Opens are certified an earlier segment cannot claim what the committee saw go on to a later one.
        let later_first = claim.standing.opened.then_some(Reverse(*j));
        (Reverse(claim.standing.opened), later_first, Reverse(claim.standing), claim.arrived)
    });
    waiting.into_iter().map(|(place, (_, claim))| (place, claim.range)).collect()
}

/// Pays what is free of a stretch.
fn pay(paid: &mut Intervals, range: Range) -> Vec<Range> {
    let free = paid.free(range.start, range.end);
    free.into_iter().filter(|stretch| paid.take(*stretch)).collect()
}

pub(super) fn total(ranges: &[Range]) -> Count {
    Count(ranges.iter().map(|range| range.count().0).sum())
}

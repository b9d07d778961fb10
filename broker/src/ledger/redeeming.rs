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
//! buyer, whether they come as evidence or as two claims. Then the claims that others left short are made up for out of
//! what the buyer has, refund included: the certified ones first. The bank never adds money of its own.
//!
//! A frozen account is paid: what it earned is honest until proven otherwise, and it cannot be taken out meanwhile.

use super::chain::ClaimKey;
use super::command::{Answer, Charge, CheckedClaim, ClaimResult, Decision, Event, SettledClaim, TakenClaim};
use super::intervals::{Intervals, Range};
use super::{ChainBook, ClaimBook, Conviction, Ledger};
use netpay_core::amount::{Coins, Count};
use netpay_core::codec::List;
use netpay_core::id::ChainId;
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
use netpay_core::wire::bank::Outcome;
use netpay_core::wire::reject::{Reject, RejectCode};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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
    pub(super) fn redeem(&self, account: PublicKey, claims: Vec<ClaimResult>) -> Result<Decision, Reject> {
        self.known(&account)?;
        let mut scratch = Scratch::default();
        let mut outcomes = Vec::with_capacity(claims.len());
        for claim in claims {
            outcomes.push(match claim {
                Err((chain, j, reject)) => (chain, j, Outcome::Refused(reject)),
                Ok(claim) => {
                    let (chain, j) = (claim.chain, claim.j);
                    (chain, j, self.take(&account, *claim, &mut scratch).unwrap_or_else(Outcome::Refused))
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
                return Ok(known.outcome(self.settlement_of(chain)));
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
        let paid = claim.standing.is_final.then(|| {
            let paid = scratch.paid.entry(claim.chain).or_insert_with(|| chain.paid.clone());
            pay(paid, claim.range)
        });
        let outcome = match &paid {
            Some(ranges) => Outcome::Paid(Coins::from(total(ranges))),
            None => Outcome::Pending { coins: claim.range.count().into(), until: self.settlement_of(chain) },
        };
        scratch.taken.push(TakenClaim {
            chain: claim.chain,
            j: claim.j,
            range: claim.range,
            coin: claim.coin,
            open: claim.open,
            close: claim.close,
            standing: claim.standing,
            paid: paid.map(List::first_of),
            proof: claim.proof,
        });
        Ok(outcome)
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
        let charges = List::first_of(self.charges(&id, chain, &claims, refund));
        let claims = List::first_of(claims);
        Ok(Decision::happens(Event::Settled { chain: id, claims, refund, charges }, Answer::Done))
    }

    /// What a convicted buyer pays for coins promised twice, as far as the balance and the refund go.
    fn charges(
        &self,
        id: &ChainId,
        chain: &ChainBook,
        settled: &[SettledClaim],
        refund: Count,
    ) -> Vec<Charge> {
        if !self.convicted.contains_key(&Conviction::Buyer(*id)) {
            return Vec::new();
        }
        let balance = self.customers.get(&chain.buyer).map_or(Coins::ZERO, |buyer| buyer.balance);
        let mut funds = balance.saturating_add(refund.into()).0;
        let claims: Vec<&ClaimBook> = chain.claims.values().collect();
        let mut before: Vec<_> = (0..).zip(&claims).filter(|(_, claim)| claim.is_final()).collect();
        before.sort_by_key(|(_, claim)| claim.arrived);
        let before = before.into_iter().map(|(place, claim)| (place, claim.short()));
        let now = settled.iter().filter_map(|settled| {
            let claimed = claims.get(usize::try_from(settled.claim).ok()?)?.range.count();
            Some((settled.claim, Count(claimed.0 - total(&settled.paid).0)))
        });
        let mut charges = Vec::new();
        for (claim, short) in before.chain(now) {
            let coins = Count(u32::try_from(funds.min(u64::from(short.0))).unwrap_or(short.0));
            if coins > Count::ZERO {
                funds -= u64::from(coins.0);
                charges.push(Charge { claim, coins });
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

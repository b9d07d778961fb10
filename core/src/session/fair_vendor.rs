//! The vendor's side of a sale in fair mode: offer a deal, send its units under seal, count the payments, give the key of
//! each unit that is wholly paid.
//!
//! One machine per stream. The seals cost nothing but the line, so that few units go ahead of their payment. A key is
//! given where a unit would be sent in plain mode: coins without a certificate buy no more than the vendor risks.

use super::vendor::{
    BURST, Input, Offer, Output, Refusal, Shop, agreed, convicted, refuse_segment, refuse_till, send,
};
use crate::amount::{Coins, Count};
use crate::codec::List;
use crate::coin::payment::Pay;
use crate::coin::segment::SegmentNo;
use crate::fair::deal::Deal;
use crate::fair::packing::{Packing, Sealer};
use crate::id::ChainId;
use crate::keys::Signed;
use crate::record::chain::{Certificate, ChainRecord};
use crate::till::{Held, Till, TillChange, TillError, Wish};
use crate::time::Moment;
use crate::wire::hello::HolderTag;
use crate::wire::reject::RejectCode;
use crate::wire::trade::{Span, ToBuyer, ToVendor};

/// Units sent under seal beyond the last of which the key was given.
pub const MAX_SEALED_AHEAD: u64 = 64;
/// Units sent under seal before anything was opened for the deal.
pub const SEALED_UNASKED: u64 = 1;
/// Deals that one stream may ask for.
pub const MAX_ASKS: usize = 4;

/// One deal on this stream.
#[derive(Debug)]
struct Run {
    sealer: Sealer,
    is_open: bool,
    /// The next unit to send, and the one behind the last that is wanted.
    units: std::ops::Range<u64>,
    /// The last unit of which the key was given here.
    given: Option<u64>,
}

impl Run {
    const fn deal(&self) -> &Signed<Deal> {
        self.sealer.deal()
    }
}

/// The vendor's machine for fair mode. Its inputs and outputs are those of plain mode; a unit goes out as
/// [`FairVendor::packing`] has it.
#[derive(Debug)]
pub struct FairVendor {
    shop: Shop,
    run: Option<Run>,
    asked: usize,
    waiting_for_certificate: bool,
    over: bool,
}

impl FairVendor {
    /// A machine for a new stream.
    #[must_use]
    pub const fn new(shop: Shop) -> Self {
        Self { shop, run: None, asked: 0, waiting_for_certificate: false, over: false }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The deal of this stream.
    #[must_use]
    pub fn deal(&self) -> Option<&Signed<Deal>> {
        self.run.as_ref().map(Run::deal)
    }

    /// What it takes to put a unit that is to be sent under seal.
    #[must_use]
    pub fn packing(&self, unit: u64) -> Option<Packing> {
        self.run.as_ref()?.sealer.packing(unit)
    }

    /// The machine's step. A sale begins with `AskDeal` as [`Input::Ordered`], or after a break with `OpenFair`.
    pub fn handle(&mut self, now: Moment, input: Input, till: &mut Till, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        let done = match input {
            Input::Ordered(first, offer) => self.asked(now, *first, offer, till, out),
            Input::Heard(heard) => self.heard(now, *heard, till, out),
            Input::Certified(chain, certificate) => self.certified(&chain, certificate, till, out),
            Input::Conflict(chain) => self.conflict(&chain, till),
            Input::Ready => {
                self.send_units(out);
                Ok(())
            }
            Input::Previous(_) => Ok(()),
        };
        if let Err(refusal) = done {
            self.refuse(refusal, till, out);
        }
    }

    fn asked(
        &mut self,
        now: Moment,
        first: ToVendor,
        offer: Offer,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let ToVendor::AskDeal { terms, span, record, j, tag } = first else {
            return Err(malformed("a sale in fair mode begins with a deal"));
        };
        self.asked += 1;
        if self.asked > MAX_ASKS || self.run.as_ref().is_some_and(|run| run.is_open) {
            return Err(malformed("one deal per stream"));
        }
        self.shop.sells_fair()?;
        let units = agreed(&terms, offer)?;
        let end = span.first.checked_add(span.count);
        if span.count == 0 || end.is_none_or(|end| end > units.count()) {
            return Err(Refusal::new(RejectCode::Range, "no such units"));
        }
        if terms.price == Coins::ZERO {
            return Err(Refusal::new(RejectCode::Range, "what costs nothing needs no deal"));
        }
        let line = self.shop.believe(record, till)?;
        let wish = Wish { terms, span, j, tag };
        let (deal, changes) = till.deal_about(&line, &wish, now.time()).map_err(|why| refuse_till(&why))?;
        let sealer = till.sealer(&deal.hash());
        let sealer = sealer.ok_or_else(|| Refusal::new(RejectCode::Range, "no such deal"))?;
        persist(changes, out);
        out.push(send(ToBuyer::Deal(deal.wire())));
        let units = span.first..span.first + span.count;
        self.run = Some(Run { sealer, is_open: false, units, given: None });
        Ok(())
    }

    fn heard(
        &mut self,
        now: Moment,
        heard: ToVendor,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        match heard {
            ToVendor::OpenFair { tag, record, pay } => self.opened(now, tag, record, pay, till, out),
            ToVendor::Pay { chain, pay } => self.pay(now, &chain, &pay, till, out),
            ToVendor::Want(span) => self.want(span),
            ToVendor::Close | ToVendor::Done => self.close(till, out),
            ToVendor::AskDeal { .. } => Err(malformed("what the shelf says is missing")),
            ToVendor::Order { .. } | ToVendor::Open { .. } | ToVendor::Settle { .. } => {
                Err(malformed("this is a sale in fair mode"))
            }
        }
    }

    /// Takes the Open of a deal, and says again which keys were paid for in it before.
    fn opened(
        &mut self,
        now: Moment,
        tag: HolderTag,
        record: ChainRecord,
        pay: Option<Pay>,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let line = self.shop.believe(record, till)?;
        let (chain, holder) = (line.chain(), till.holder(&tag));
        let taken = till.take(&line, tag, now.time());
        let is_ours = |held: &&Held| {
            held.open().holder == holder && pay.as_ref().is_none_or(|pay| pay.j == held.open().j)
        };
        let held = till.of_chain(&chain).rev().find(is_ours).map(|held| held.open().clone());
        let changes = match (taken, &held) {
            (Ok(changes), _) => changes,
            // What can be opened no more, or is shown no more, can still be gone on with.
            (Err(TillError::NotForUs | TillError::Expired | TillError::Blocked), Some(_)) => Vec::new(),
            (Err(why), _) => return Err(refuse_segment(&line, why, out)),
        };
        let hash = held.and_then(|open| open.fair.as_ref().map(|terms| terms.deal));
        let sealer = hash.and_then(|hash| till.sealer(&hash));
        let sealer = sealer.ok_or_else(|| refuse_till(&TillError::Fair))?;
        match &mut self.run {
            Some(run) if run.deal().hash() == sealer.deal().hash() => run.is_open = true,
            _ => self.run = Some(Run { sealer, is_open: true, units: 0..0, given: None }),
        }
        self.give_keys(changes, till, out);
        self.certify(till, out, till.promised_of(&chain) > self.shop.policy.per_chain);
        match pay {
            Some(pay) => self.pay(now, &chain, &pay, till, out),
            None => Ok(()),
        }
    }

    fn pay(
        &mut self,
        now: Moment,
        chain: &ChainId,
        pay: &Pay,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        if self.place() != Some((*chain, pay.j)) {
            return Err(malformed("open for the deal first"));
        }
        let changes = till.pay_fair(chain, pay, now.time()).map_err(|why| refuse_till(&why))?;
        self.give_keys(changes, till, out);
        Ok(())
    }

    /// The segment that was opened for the deal.
    #[must_use]
    pub fn place(&self) -> Option<(ChainId, SegmentNo)> {
        let run = self.run.as_ref().filter(|run| run.is_open)?;
        Some((run.deal().chain, run.deal().j))
    }

    /// Gives the key of the last unit that is wholly paid, and with it those of all before, behind what makes its payment
    /// durable.
    fn give_keys(&mut self, changes: Vec<TillChange>, till: &Till, out: &mut Vec<Output>) {
        let (place, policy) = (self.place(), self.shop.policy);
        let held = place.and_then(|(chain, j)| till.held(&chain, j));
        let (Some(run), Some(held)) = (&mut self.run, held) else { return persist(changes, out) };
        let paid = held.paid();
        let safe = if held.is_certified() {
            paid
        } else {
            // What was paid beyond the keys that are out is no risk; what was paid elsewhere is.
            let chain = till.at_stake([&run.deal().chain].into_iter()).saturating_sub(paid.into());
            let all = till.at_stake_in_all().saturating_sub(paid.into());
            let room = policy.per_chain.saturating_sub(chain).min(policy.in_all.saturating_sub(all));
            Count::from_coins(room).map_or(paid, |room| room.min(paid))
        };
        let (due, given) = (run.deal().paid_by(paid), run.deal().paid_by(safe));
        let key = given.filter(|unit| run.given.is_none_or(|before| before < *unit)).and_then(|unit| {
            let m = run.deal().key_coin(unit)?;
            run.given = Some(unit);
            Some(ToBuyer::Key { m, key: run.sealer.key(m)? })
        });
        // Also where nothing changed here: another stream may have counted it, and it may not be durable yet.
        persist(changes, out);
        out.extend(key.map(send));
        let waits = given < due;
        if waits && !self.waiting_for_certificate {
            self.certify(till, out, true);
        }
        self.waiting_for_certificate = waits;
    }

    fn want(&mut self, span: Span) -> Result<(), Refusal> {
        let run = self.run.as_mut().filter(|run| run.is_open);
        let run = run.ok_or_else(|| malformed("open for the deal first"))?;
        let (first, end) = (run.deal().first, run.deal().first.saturating_add(run.deal().count));
        let behind = span.first.checked_add(span.count).filter(|behind| *behind <= end);
        match behind {
            Some(behind) if span.first >= first && span.count > 0 => {
                run.units = span.first..behind;
                Ok(())
            }
            _ => Err(Refusal::new(RejectCode::Range, "the deal has no such units")),
        }
    }

    fn send_units(&mut self, out: &mut Vec<Output>) {
        let Some(run) = &mut self.run else { return };
        let ahead = if run.is_open { MAX_SEALED_AHEAD } else { SEALED_UNASKED };
        let from = run.given.map_or(run.deal().first, |given| given.saturating_add(1));
        let until = run.units.end.min(from.saturating_add(ahead));
        let burst = (run.units.start..until).take(BURST);
        let sent = burst.clone().count();
        out.extend(burst.map(Output::SendUnit));
        run.units.start += u64::try_from(sent).unwrap_or(0);
    }

    fn certify(&self, till: &Till, out: &mut Vec<Output>, urgent: bool) {
        let chain = self.place().map(|(chain, _)| chain);
        if let Some(chain) = chain.filter(|chain| till.lacks_certificates(chain)) {
            out.push(Output::Certify { chain, urgent });
        }
    }

    fn certified(
        &mut self,
        chain: &ChainId,
        certificate: Certificate,
        till: &Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        if self.place().is_none_or(|(ours, _)| ours != *chain) {
            return Ok(());
        }
        if till.of_chain(chain).any(|held| held.is(&certificate.object)) {
            out.push(send(ToBuyer::Certified(certificate)));
        }
        self.give_keys(Vec::new(), till, out);
        Ok(())
    }

    /// What is certified here no other segment can take away.
    fn conflict(&self, chain: &ChainId, till: &Till) -> Result<(), Refusal> {
        let place = self.place().filter(|(ours, _)| ours == chain);
        let held = place.and_then(|(chain, j)| till.held(&chain, j));
        if held.is_some_and(|held| !held.is_certified()) { Err(convicted()) } else { Ok(()) }
    }

    fn close(&mut self, till: &mut Till, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let closed = self.place().and_then(|(chain, j)| till.close(&chain, j).ok());
        let (close, changes) = closed.unzip();
        persist(changes.unwrap_or_default(), out);
        out.push(send(ToBuyer::Receipt(List::first_of(close.map(|close| close.wire())))));
        self.certify(till, out, false);
        self.over = true;
        out.push(Output::Finished);
        Ok(())
    }

    /// Says no, and closes the segment where the last paid unit ends, so that the buyer need not lock it.
    fn refuse(&mut self, refusal: Refusal, till: &mut Till, out: &mut Vec<Output>) {
        self.over = true;
        let closed = self.place().and_then(|(chain, j)| till.close(&chain, j).ok());
        let (close, changes) = closed.map(|(close, changes)| (close.wire(), changes)).unzip();
        let close = refusal.close.map(|close| *close).or(close);
        if close.is_some() {
            persist(changes.unwrap_or_default(), out);
        }
        out.push(send(ToBuyer::Reject { reject: refusal.reject, close }));
        self.certify(till, out, false);
        out.push(Output::Finished);
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(RejectCode::Malformed, why)
}

fn persist(changes: Vec<TillChange>, out: &mut Vec<Output>) {
    out.push(Output::Persist { changes, counted: None });
}

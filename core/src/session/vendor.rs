//! The vendor's side of one sale: believe the chain, count the payments, send as many units as trust
//! allows, close the segments.
//!
//! One machine per stream. It never sends a unit of which more than `min(64, units paid)` would stand
//! unpaid. While coins of the sale have no certificate it sends none with which these and what stands unpaid would
//! come to more than the vendor risks (PROTOCOL section 5).

use crate::amount::Coins;
use crate::codec::List;
use crate::coin::segment::{Close, Handover, SegmentNo};
use crate::coin::touchstone::Touchstone;
use crate::content::units::Units;
use crate::fair::policy::Fair;
use crate::id::{ChainId, NetworkId};
use crate::keys::{PublicKey, Signed, Unverified};
use crate::record::chain::{self as record, BadRecord, Certificate, ChainRecord, Evidence, Line};
use crate::till::{Held, Till, TillChange, TillError};
use crate::time::Moment;
use crate::wire::hello::HolderTag;
use crate::wire::reject::{Reject, RejectCode};
use crate::wire::trade::{
    Funding, MAX_RECEIPTS, MAX_SETTLES, MAX_SPANS, MAX_UNSETTLED, Span, TabId, Terms, ToBuyer, ToVendor,
    Unsettled,
};
use std::collections::{BTreeSet, VecDeque};

/// Units handed to the writer at once.
pub const BURST: usize = 8;

/// What the vendor risks without a certificate: coins counted, and units sent on trust beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// x0: of the chains of one sale.
    pub per_chain: Coins,
    /// X: of all chains.
    pub in_all: Coins,
}

impl Default for Policy {
    fn default() -> Self {
        Self { per_chain: Coins(10), in_all: Coins(200) }
    }
}

/// Whom the machine works for, and whose money it takes.
#[derive(Clone, Copy, Debug)]
pub struct Shop {
    /// The network.
    pub network: NetworkId,
    /// The broker whose chains are taken.
    pub broker: PublicKey,
    /// The risk taken.
    pub policy: Policy,
    /// Whether it sells in fair mode, in plain mode, or in both.
    pub fair: Fair,
}

impl Shop {
    /// Believes a chain that is shown, as far as the till has not believed it before.
    pub(super) fn believe(&self, record: ChainRecord, till: &Till) -> Result<Line, Refusal> {
        let chain = ChainId::of(record.touchstone.hash(&self.network));
        record::verify_again(record, &self.network, &self.broker, &till.believed(&chain))
            .map_err(|why| refuse_record(&why))
    }

    /// An order of nothing pays what is still owed, whatever was decided since.
    fn sells_plain(&self, terms: &Terms, span: Span) -> Result<(), Refusal> {
        if self.fair == Fair::Always && terms.price > Coins::ZERO && span.count > 0 {
            return Err(Refusal::new(RejectCode::OtherMode, "this is sold in fair mode only"));
        }
        Ok(())
    }

    pub(super) fn sells_fair(&self) -> Result<(), Refusal> {
        if self.fair == Fair::Never {
            return Err(Refusal::new(RejectCode::OtherMode, "nothing is sold in fair mode here"));
        }
        Ok(())
    }
}

/// What the shelf says about the content ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// For sale at this price and size.
    Offered {
        /// The price.
        price: Coins,
        /// The size, in bytes.
        size: u64,
    },
    /// Never was, or no longer is.
    NotOffered,
    /// Was listed, but the file on disk changed or vanished.
    Gone,
}

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The order, with what the shelf says about it.
    Ordered(Box<ToVendor>, Offer),
    /// Any other message.
    Heard(Box<ToVendor>),
    /// The answer of the vendor that was asked to hand over; `None` if it cannot be had.
    Previous(Option<Unverified<Close>>),
    /// Witnesses certified something.
    Certified(ChainId, Certificate),
    /// The buyer of this chain is convicted: nothing new of it will be certified.
    Conflict(ChainId),
    /// Everything handed out was sent, or the till knows of more that is durable: more units may go.
    Ready,
}

/// What the machine wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make these till rows durable before anything is said that comes after. Units need not wait: those that
    /// rest on what was counted are not sent before the till is told that it is durable ([`Till::durable`]).
    Persist {
        /// Till rows.
        changes: Vec<TillChange>,
        /// The tab that was counted on, and what it stands at with these rows.
        counted: Option<(TabId, Coins)>,
    },
    /// Say this to the buyer.
    Send(Box<ToBuyer>),
    /// Send this unit.
    SendUnit(u64),
    /// Ask this vendor to close, within the handoff's time-out.
    AskPrevious {
        /// The vendor.
        from: PublicKey,
        /// The buyer's wish.
        handover: Unverified<Handover>,
        /// Of the chain, whose record may tell where the vendor does not answer.
        touchstone: Box<Signed<Touchstone>>,
    },
    /// Have what the till holds of this chain certified; at once if the sale waits for it.
    Certify {
        /// The chain.
        chain: ChainId,
        /// Whether the sale waits.
        urgent: bool,
    },
    /// Keep this proof against the buyer, and report it.
    Evidence(Box<Evidence>),
    /// The sale is over.
    Finished,
}

#[derive(Debug)]
struct Sale {
    tab: TabId,
    units: Units,
    price: Coins,
    spans: VecDeque<Span>,
}

/// The vendor's machine.
#[derive(Debug)]
pub struct Vendor {
    shop: Shop,
    sale: Option<Sale>,
    /// The chains paid from in this sale.
    chains: BTreeSet<ChainId>,
    /// The segments paid in, in this sale.
    segments: BTreeSet<(ChainId, SegmentNo)>,
    /// Chains whose buyer is convicted.
    convicted: BTreeSet<ChainId>,
    /// The record of a chain that is being handed over, until its buyer opens here.
    moving: Option<Line>,
    waiting_for_certificate: bool,
    settles: usize,
    over: bool,
}

impl Vendor {
    /// A machine for a new stream.
    #[must_use]
    pub const fn new(shop: Shop) -> Self {
        Self {
            shop,
            sale: None,
            chains: BTreeSet::new(),
            segments: BTreeSet::new(),
            convicted: BTreeSet::new(),
            moving: None,
            waiting_for_certificate: false,
            settles: 0,
            over: false,
        }
    }

    /// The sale's tab, once ordered.
    #[must_use]
    pub fn tab(&self) -> Option<TabId> {
        self.sale.as_ref().map(|sale| sale.tab)
    }

    /// The chains paid from.
    pub fn chains(&self) -> impl Iterator<Item = &ChainId> {
        self.chains.iter()
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The machine's step.
    pub fn handle(&mut self, now: Moment, input: Input, till: &mut Till, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        let done = match input {
            Input::Ordered(first, offer) => self.ordered(now, *first, offer, till, out),
            Input::Heard(heard) => self.heard(now, *heard, till, out),
            Input::Previous(close) => self.previous(close, out),
            Input::Certified(chain, certificate) => self.certified(&chain, certificate, till, out),
            Input::Conflict(chain) => self.conflict(&chain, till),
            Input::Ready => {
                self.send_units(now, till, out);
                Ok(())
            }
        };
        if let Err(refusal) = done {
            self.refuse(refusal, till, out);
        }
    }

    fn ordered(
        &mut self,
        now: Moment,
        first: ToVendor,
        offer: Offer,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let ToVendor::Order { tab, terms, span, funding } = first else {
            return Err(Refusal::new(RejectCode::Malformed, "a sale begins with an order"));
        };
        if self.sale.is_some() {
            return Err(Refusal::new(RejectCode::Malformed, "one order per stream"));
        }
        let agreed = self.shop.sells_plain(&terms, span).and_then(|()| agreed(&terms, offer));
        let units = agreed.map_err(|refusal| self.with_shown(refusal, &funding, now, till))?;
        let mut sale = Sale { tab, units, price: terms.price, spans: VecDeque::new() };
        // An order of nothing pays what is still owed.
        if span.count > 0 {
            sale.want(span)?;
        }
        self.sale = Some(sale);
        match funding {
            Funding::Free if terms.price == Coins::ZERO => Ok(()),
            // What was paid on the tab before the break covers what is wanted now, or will be added to.
            Funding::Free if till.tab(&tab).is_some_and(|tab| tab.paid > Coins::ZERO) => Ok(()),
            Funding::Free => Err(Refusal::new(RejectCode::BadPayment, "this is not free")),
            Funding::Opened { tag, record, pay } => {
                let chain = self.take(now, tag, record, till, out)?;
                self.pay(now, &chain, &pay, till, out)
            }
            Funding::Continue { chain, pay } => {
                self.pay(now, &chain, &pay, till, out)?;
                if self.may_bring_too_much(&chain, till) {
                    self.certify(&chain, till, out, true);
                }
                Ok(())
            }
            Funding::Handover { record, handover, from } => {
                let line = self.shop.believe(record, till)?;
                let touchstone = Box::new(line.touchstone.clone());
                self.moving = Some(line);
                out.push(Output::AskPrevious { from, handover, touchstone });
                Ok(())
            }
        }
    }

    fn heard(
        &mut self,
        now: Moment,
        heard: ToVendor,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        match heard {
            ToVendor::Order { .. } => {
                Err(Refusal::new(RejectCode::Malformed, "what the shelf says is missing"))
            }
            ToVendor::Settle { tab, record, segments } => {
                self.settle(now, tab, (record, segments), till, out)
            }
            ToVendor::Want(span) => {
                let sale = self.sale.as_mut();
                sale.ok_or_else(|| Refusal::new(RejectCode::Malformed, "order first"))?.want(span)
            }
            ToVendor::Pay { chain, pay } => self.pay(now, &chain, &pay, till, out),
            ToVendor::Open { tag, record } => self.take(now, tag, record, till, out).map(drop),
            ToVendor::Close => self.close(till, out, false),
            ToVendor::Done => self.close(till, out, true),
            ToVendor::AskDeal { .. } | ToVendor::OpenFair { .. } => {
                Err(Refusal::new(RejectCode::Malformed, "a deal has a stream of its own"))
            }
        }
    }

    /// Takes the segments for this vendor of the chain shown.
    fn take(
        &mut self,
        now: Moment,
        tag: HolderTag,
        record: ChainRecord,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<ChainId, Refusal> {
        let line = self.shop.believe(record, till)?;
        let chain = line.chain();
        if self.convicted.contains(&chain) {
            return Err(convicted());
        }
        self.moving = None;
        let changes = till.take(&line, tag, now.time()).map_err(|why| refuse_segment(&line, why, out))?;
        // Those taken before may be another sale's; the ones of this sale come with their payments.
        self.segments.extend(changes.iter().filter_map(|change| match change {
            TillChange::Segment(chain, j) => Some((*chain, *j)),
            TillChange::Tab(_) | TillChange::Line(_) | TillChange::Deal(_) => None,
        }));
        self.chains.insert(chain);
        if !changes.is_empty() {
            self.persist(changes, till, out);
            self.certify(&chain, till, out, self.may_bring_too_much(&chain, till));
        }
        Ok(chain)
    }

    /// Counts what a break may have swallowed, closes the segments and says so, before the order.
    fn settle(
        &mut self,
        now: Moment,
        tab: TabId,
        (record, segments): (ChainRecord, List<Unsettled, MAX_UNSETTLED>),
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.settles += 1;
        if self.sale.is_some() || self.settles > MAX_SETTLES {
            return Err(Refusal::new(RejectCode::Malformed, "settling comes before the order, and ends"));
        }
        let line = self.shop.believe(record, till)?;
        let chain = line.chain();
        let (mut changes, mut closes) = (Vec::new(), Vec::new());
        for segment in segments.into_vec() {
            let settled = till.settle(&line, tab, segment, now.time());
            let (close, changed) = settled.map_err(|why| {
                // What was settled before stays so, and is made durable.
                self.persist(std::mem::take(&mut changes), till, out);
                refuse_segment(&line, why, out)
            })?;
            changes.extend(changed);
            closes.push(close.wire());
        }
        self.chains.insert(chain);
        let counted = till.tab(&tab).map(|row| (tab, row.paid));
        out.push(Output::Persist { changes, counted });
        out.push(send(ToBuyer::Receipt(List::first_of(closes))));
        self.certify(&chain, till, out, false);
        Ok(())
    }

    fn pay(
        &mut self,
        now: Moment,
        chain: &ChainId,
        pay: &crate::coin::payment::Pay,
        till: &mut Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let Some(sale) = &mut self.sale else {
            return Err(Refusal::new(RejectCode::Malformed, "order first"));
        };
        let (_, changes) = till.pay(chain, pay, sale.tab, now.time()).map_err(|why| refuse_till(&why))?;
        self.segments.insert((*chain, pay.j));
        self.chains.insert(*chain);
        if !changes.is_empty() {
            self.persist(changes, till, out);
        }
        Ok(())
    }

    fn persist(&self, changes: Vec<TillChange>, till: &Till, out: &mut Vec<Output>) {
        let counted = self.tab().and_then(|tab| Some((tab, till.tab(&tab)?.paid)));
        out.push(Output::Persist { changes, counted });
    }

    fn send_units(&mut self, now: Moment, till: &mut Till, out: &mut Vec<Output>) {
        for _ in 0..BURST {
            let Some(sale) = &mut self.sale else { return };
            let Some(unit) = sale.spans.front().map(|span| span.first) else { return };
            if sale.price > Coins::ZERO {
                if !sale.may_send(unit, till) {
                    return;
                }
                if self.is_at_risk(unit, till) {
                    self.wait_for_certificate(till, out);
                    return;
                }
                self.waiting_for_certificate = false;
            }
            let Some(sale) = &mut self.sale else { return };
            sale.charge(unit, now, till);
            out.push(Output::SendUnit(unit));
        }
    }

    /// Whether more may come of a chain than is risked, in this sale or in its leases: the certificate should be there
    /// by then.
    fn may_bring_too_much(&self, chain: &ChainId, till: &Till) -> bool {
        let due = self.sale.as_ref().map_or(Coins::ZERO, |sale| {
            sale.price.saturating_sub(till.tab(&sale.tab).map_or(Coins::ZERO, |tab| tab.paid))
        });
        let sold = till.uncertified_of(chain).saturating_add(due);
        sold.max(till.promised_of(chain)) > self.shop.policy.per_chain
    }

    /// The chains that this sale is paid from, here or on its tab before a break.
    fn payers(&self, till: &Till) -> BTreeSet<ChainId> {
        let tab = self.tab().and_then(|tab| till.tab(&tab));
        self.chains.iter().chain(tab.into_iter().flat_map(|tab| tab.chains.iter())).copied().collect()
    }

    /// Whether with this unit more would be at stake than is risked, while coins of the sale lack their certificate.
    fn is_at_risk(&self, unit: u64, till: &Till) -> bool {
        let Some(sale) = &self.sale else { return false };
        let tab = till.tab(&sale.tab);
        // One that was charged before adds nothing.
        if tab.is_some_and(|tab| tab.has(unit)) {
            return false;
        }
        let payers = self.payers(till);
        let here = till.at_stake(payers.iter());
        // What other sales risk is no concern of one whose own coins are certified.
        if here == Coins::ZERO {
            return false;
        }
        let ahead = tab.map_or(Coins::ZERO, |tab| tab.paid.saturating_sub(tab.charged));
        let more = sale.cost(unit).saturating_sub(ahead);
        let Policy { per_chain, in_all } = self.shop.policy;
        here.saturating_add(more) > per_chain || till.at_stake_in_all().saturating_add(more) > in_all
    }

    fn wait_for_certificate(&mut self, till: &Till, out: &mut Vec<Output>) {
        if self.waiting_for_certificate {
            return;
        }
        self.waiting_for_certificate = true;
        self.payers(till).iter().for_each(|chain| self.certify(chain, till, out, true));
    }

    fn certify(&self, chain: &ChainId, till: &Till, out: &mut Vec<Output>, urgent: bool) {
        if till.lacks_certificates(chain) {
            out.push(Output::Certify { chain: *chain, urgent });
        }
    }

    fn previous(&mut self, close: Option<Unverified<Close>>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let Some(line) = &mut self.moving else { return Ok(()) };
        let holder = line.newest().map(|segment| segment.open.holder);
        let settled = close.zip(holder).and_then(|(close, holder)| {
            let close = close.verify(&self.shop.network, &holder).ok()?;
            line.close(close.clone()).ok().map(|()| close)
        });
        let answer = settled.map_or(ToBuyer::Unsettled, |close| ToBuyer::Settled(close.wire()));
        out.push(send(answer));
        Ok(())
    }

    fn certified(
        &mut self,
        chain: &ChainId,
        certificate: Certificate,
        till: &Till,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let ours = |held: &crate::till::Held| held.is(&certificate.object);
        if self.chains.contains(chain) && till.of_chain(chain).any(ours) {
            out.push(send(ToBuyer::Certified(certificate)));
        }
        Ok(())
    }

    /// What is certified here no other segment can take away: the sale goes on in it, and in nothing new.
    fn conflict(&mut self, chain: &ChainId, till: &Till) -> Result<(), Refusal> {
        if !self.chains.contains(chain) {
            return Ok(());
        }
        self.convicted.insert(*chain);
        let mut open = till.of_chain(chain).filter(|held| held.close().is_none());
        if open.all(Held::is_certified) { Ok(()) } else { Err(convicted()) }
    }

    /// Closes the segments of this sale; with `keep` the newest stays open if it has coins left.
    fn close(&mut self, till: &mut Till, out: &mut Vec<Output>, keep: bool) -> Result<(), Refusal> {
        let newest = self.segments.last().copied();
        let kept =
            newest.filter(|(chain, j)| keep && till.held(chain, *j).is_some_and(|held| held.left().0 > 0));
        let mut changes = Vec::new();
        let mut closes = Vec::new();
        for (chain, j) in self.segments.iter().filter(|segment| Some(**segment) != kept) {
            // A segment that was redeemed or handed over meanwhile needs no receipt from here.
            if let Ok((close, changed)) = till.close(chain, *j) {
                changes.extend(changed);
                closes.push(close.wire());
            }
        }
        self.persist(changes, till, out);
        // The last frame is shorter than a full one, which tells the buyer that it is the last.
        let full = closes.len() / MAX_RECEIPTS * MAX_RECEIPTS;
        for some in closes[..full].chunks(MAX_RECEIPTS).chain([&closes[full..]]) {
            out.push(send(ToBuyer::Receipt(List::first_of(some.iter().cloned()))));
        }
        self.chains.iter().for_each(|chain| self.certify(chain, till, out, false));
        self.over = true;
        out.push(Output::Finished);
        Ok(())
    }

    /// Says no. If an Open was shown, its segment is closed at what was paid in it, so that the buyer need
    /// not lock it.
    fn refuse(&mut self, refusal: Refusal, till: &mut Till, out: &mut Vec<Output>) {
        self.over = true;
        let newest = self.segments.last().and_then(|(chain, j)| till.close(chain, *j).ok());
        let (newest, changes) = newest.map(|(close, changes)| (close.wire(), changes)).unzip();
        let close = refusal.close.map(|close| *close).or(newest);
        if close.is_some() {
            // Where nothing changed here, another stream may have made it, and it may not be durable yet.
            self.persist(changes.unwrap_or_default(), till, out);
        }
        out.push(send(ToBuyer::Reject { reject: refusal.reject, close }));
        self.chains.iter().for_each(|chain| self.certify(chain, till, out, false));
        out.push(Output::Finished);
    }

    /// Takes the Open that came with an order that will be refused, so that it can be closed.
    fn with_shown(&mut self, refusal: Refusal, funding: &Funding, now: Moment, till: &mut Till) -> Refusal {
        if let Funding::Opened { tag, record, .. } = funding {
            let mut unsaid = Vec::new();
            // What it would have said, it says when the segment is closed.
            let _ = self.take(now, *tag, record.clone(), till, &mut unsaid);
        }
        refusal
    }
}

impl Sale {
    fn want(&mut self, span: Span) -> Result<(), Refusal> {
        let end = span.first.checked_add(span.count);
        if span.count == 0 || end.is_none_or(|end| end > self.units.count()) {
            return Err(Refusal::new(RejectCode::Range, "no such units"));
        }
        if self.spans.len() >= MAX_SPANS {
            return Err(Refusal::new(RejectCode::Busy, "too many stretches of units are wanted at once"));
        }
        self.spans.push_back(span);
        Ok(())
    }

    /// What a unit wanted costs; `want` has seen to it that there is such a unit.
    fn cost(&self, unit: u64) -> Coins {
        self.units.price_of(self.price, unit).unwrap_or(self.price)
    }

    fn may_send(&self, unit: u64, till: &Till) -> bool {
        till.tab(&self.tab).is_some_and(|tab| tab.may_charge(unit, self.cost(unit)))
    }

    fn charge(&mut self, unit: u64, now: Moment, till: &mut Till) {
        if let Some(span) = self.spans.front_mut() {
            span.first += 1;
            span.count -= 1;
            if span.count == 0 {
                self.spans.pop_front();
            }
        }
        if self.price == Coins::ZERO {
            return;
        }
        let cost = self.cost(unit);
        till.tab_mut(self.tab, now.time()).charge(unit, cost);
    }
}

#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reject: Reject,
    pub(super) close: Option<Box<Unverified<Close>>>,
}

impl Refusal {
    pub(super) fn new(code: RejectCode, why: &str) -> Self {
        Self { reject: Reject::new(code, why), close: None }
    }
}

pub(super) fn agreed(terms: &Terms, offer: Offer) -> Result<Units, Refusal> {
    let (price, size) = match offer {
        Offer::Offered { price, size } => (price, size),
        Offer::NotOffered => return Err(Refusal::new(RejectCode::NotOffered, "this is not offered here")),
        Offer::Gone => {
            return Err(Refusal::new(RejectCode::Gone, "the file has changed since it was listed"));
        }
    };
    if terms.price != price || terms.size != size {
        let why = format!("it is offered here for {price}, {size} bytes");
        return Err(Refusal::new(RejectCode::NotOffered, &why));
    }
    Units::new(size, terms.unit_log).ok_or_else(|| Refusal::new(RejectCode::Range, "units are 16 to 256 KiB"))
}

pub(super) fn convicted() -> Refusal {
    Refusal::new(RejectCode::DoubleSpend, "the buyer of this chain is convicted of opening one segment twice")
}

fn refuse_record(why: &BadRecord) -> Refusal {
    let code = match why {
        BadRecord::Touchstone(crate::coin::touchstone::BadTouchstone::Network(_)) => RejectCode::WrongNetwork,
        BadRecord::Touchstone(crate::coin::touchstone::BadTouchstone::Broker(_)) => {
            RejectCode::UntrustedBroker
        }
        BadRecord::Touchstone(_) | BadRecord::Signature(..) | BadRecord::Certificate(_) => RejectCode::Forged,
        BadRecord::Broken(_) | BadRecord::Overlap(_) | BadRecord::Close(_) => RejectCode::StaleChain,
        BadRecord::Lease(_) => RejectCode::BadLease,
    };
    Refusal::new(code, &why.to_string())
}

/// Refuses a segment; one that contradicts another is evidence.
pub(super) fn refuse_segment(line: &Line, why: TillError, out: &mut Vec<Output>) -> Refusal {
    let refusal = refuse_till(&why);
    if let TillError::DoubleSpend(opens) = why {
        let (one, other) = *opens;
        let evidence = Evidence::TwoOpens { touchstone: line.touchstone.wire(), one, other };
        out.push(Output::Evidence(Box::new(evidence)));
    }
    refusal
}

pub(super) fn refuse_till(why: &TillError) -> Refusal {
    let code = match why {
        TillError::Expired => RejectCode::Expired,
        TillError::NotForUs | TillError::TagReused | TillError::Fair => RejectCode::BadLease,
        TillError::DoubleSpend(_) => RejectCode::DoubleSpend,
        TillError::Blocked => RejectCode::Blocked,
        TillError::BadPay(_) => RejectCode::BadPayment,
        TillError::NotOpen(Some(_)) => RejectCode::StaleChain,
        TillError::NotOpen(None) => RejectCode::UnknownChain,
        TillError::Record(_) => RejectCode::StaleChain,
        TillError::Forged(_) => RejectCode::Forged,
        TillError::Full => RejectCode::Busy,
    };
    let mut refusal = Refusal::new(code, &why.to_string());
    if let TillError::NotOpen(Some(close)) = why {
        refusal.close = Some(close.clone());
    }
    refusal
}

pub(super) fn send(message: ToBuyer) -> Output {
    Output::Send(Box::new(message))
}

//! The till: what a vendor was paid and has not yet redeemed, segment by segment, and the running
//! accounts (tabs) of its sales. The only place that counts payments and signs Closes.
//!
//! Every method that changes something says which rows changed ([`TillChange`]); the caller makes them
//! durable before it sends what the method returned.

mod deals;
mod held;
mod tab;

use crate::amount::{Coins, Count, Index};
use crate::coin::chain::Coin;
use crate::coin::payment::{BadPay, Meter, Pay};
use crate::coin::segment::{Close, Handover, Open, SegmentNo, pay_to};
use crate::id::{ChainId, NetworkId, ObjectHash};
use crate::keys::{BadSignature, PublicKey, Signed, Unverified};
use crate::record::chain::{self as record, BadRecord, Believed, Certificate, ChainRecord, Line, Link};
use crate::time::{MINUTE, Time};
use crate::wallet::SPEND_MARGIN;
use crate::wire::hello::HolderTag;
use crate::wire::record::{MAX_CLOSES, MAX_WANTED};
use crate::wire::trade::{TabId, Unsettled};
use deals::Made;
use held::Segments;
use std::collections::{BTreeMap, BTreeSet};

pub use deals::{DealRow, MAX_DEALS, Wish};
pub use held::{Held, SegmentRow};
pub use tab::{MAX_TAB_CHAINS, MAX_TAB_SPANS, MAX_UNPAID, Tab};

/// A chain is blocked here for so long after a payment that did not hold, in seconds.
pub const BLOCK_FOR: u64 = MINUTE;
/// The most segments held in memory: those still open or not yet certified.
pub const MAX_HELD: usize = 16_384;
/// Segments of a chain, at most, whose signatures need not be checked again.
const RECENT: usize = 2 * record::MAX_UNCERTIFIED;

/// A row that must become durable before what goes with it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TillChange {
    /// One segment.
    Segment(ChainId, SegmentNo),
    /// One tab.
    Tab(TabId),
    /// How one chain is shown to its committee.
    Line(ChainId),
    /// A deal of fair mode, by its hash.
    Deal(ObjectHash),
}

/// Why the till does not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TillError {
    /// The chain can no longer be spent, or for less than ten minutes.
    #[error("the chain can no longer be spent")]
    Expired,
    /// No Open in the record is for the holder key of this tag.
    #[error("no segment of the record is for this vendor")]
    NotForUs,
    /// The buyer showed another Open of the same number before.
    #[error("the buyer signed two segments of the same number")]
    DoubleSpend(Box<(Unverified<Open>, Unverified<Open>)>),
    /// The chain is blocked for a minute.
    #[error("the chain is blocked here after a payment that did not hold")]
    Blocked,
    /// The payment does not hold.
    #[error("the payment does not hold: {0}")]
    BadPay(#[from] BadPay),
    /// No such segment here, or it is closed.
    #[error("this segment is not open here")]
    NotOpen(Option<Box<Unverified<Close>>>),
    /// The record does not hold.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// A signature does not hold.
    #[error(transparent)]
    Forged(#[from] BadSignature),
    /// Too many segments are held.
    #[error("too many segments are held here")]
    Full,
    /// The same tag in a second chain.
    #[error("the holder tag was used in another chain")]
    TagReused,
    /// The Open binds a deal that is none of this vendor's, or is paid in as if it bound none.
    #[error("the segment was opened for a deal in fair mode that is not the one asked about here")]
    Fair,
}

/// A vendor's till.
#[derive(Debug)]
pub struct Till {
    network: NetworkId,
    /// Holder keys and salts follow from it.
    secret: [u8; 32],
    /// Who is paid at the broker.
    account: PublicKey,
    held: Segments,
    /// The newest line seen of each chain held, by which it is shown to its committee.
    lines: BTreeMap<ChainId, Line>,
    tabs: BTreeMap<TabId, Tab>,
    /// The tabs paid from each chain.
    tabs_of: BTreeMap<ChainId, BTreeSet<TabId>>,
    blocked: BTreeMap<ChainId, Time>,
    /// The deals of fair mode, by their hash.
    deals: BTreeMap<ObjectHash, Made>,
}

impl Till {
    /// An empty till.
    #[must_use]
    pub const fn new(network: NetworkId, secret: [u8; 32], account: PublicKey) -> Self {
        Self {
            network,
            secret,
            account,
            held: Segments::new(),
            lines: BTreeMap::new(),
            tabs: BTreeMap::new(),
            tabs_of: BTreeMap::new(),
            blocked: BTreeMap::new(),
            deals: BTreeMap::new(),
        }
    }

    /// The holder key of a tag.
    #[must_use]
    pub fn holder(&self, tag: &HolderTag) -> PublicKey {
        tag.holder(&self.secret).public()
    }

    /// The salt of a tag's `pay_to`.
    #[must_use]
    pub fn salt(&self, tag: &HolderTag) -> [u8; 32] {
        let mut label = *b"netpay/pay-to-salt______________";
        label[16..].copy_from_slice(&tag.0);
        *blake3::keyed_hash(&self.secret, &label).as_bytes()
    }

    /// Takes a segment from its stored row.
    ///
    /// # Errors
    /// If the row does not hold.
    pub fn load(&mut self, row: SegmentRow) -> Result<(), TillError> {
        let touchstone = row.touchstone.verify_own(&self.network)?;
        let open = row.open.verify(&self.network, &touchstone.chain_key)?;
        let close = match row.close {
            None => None,
            Some(close) => Some(close.verify(&self.network, &open.holder)?),
        };
        let mut meter = Meter::new(&open, row.anchor);
        meter.restore(row.index, row.release);
        let (open_certificate, close_certificate) = (row.open_certificate, row.close_certificate);
        let (tag, redeemed, key) = (row.tag, row.redeemed, row.key);
        let held =
            Held { touchstone, open, tag, meter, close, open_certificate, close_certificate, redeemed, key };
        self.held.insert(held);
        Ok(())
    }

    /// Takes a chain's line from its stored row.
    ///
    /// # Errors
    /// If the row does not hold.
    pub fn load_line(&mut self, row: ChainRecord, broker: &PublicKey) -> Result<(), TillError> {
        let line = record::verify(row, &self.network, broker)?;
        self.lines.insert(line.chain(), line);
        Ok(())
    }

    /// A chain's line as it is stored, or `None` if nothing of the chain is held any more.
    #[must_use]
    pub fn line_row(&self, chain: &ChainId) -> Option<ChainRecord> {
        self.lines.get(chain)?.record()
    }

    /// What of a chain was believed here before: how it was shown last, and the newest of its segments that are held.
    #[must_use]
    pub fn believed(&self, chain: &ChainId) -> Believed {
        let mut believed = Believed::default();
        if let Some(record) = self.line_row(chain) {
            believed.add(record);
        }
        for held in self.of_chain(chain).rev().take(RECENT) {
            believed.add_link(Link { open: held.open.wire(), close: held.close.as_ref().map(Signed::wire) });
            let certificates = [&held.open_certificate, &held.close_certificate];
            certificates.into_iter().flatten().for_each(|one| believed.add_certificate(one.clone()));
        }
        believed
    }

    /// Takes a tab from its stored row.
    pub fn load_tab(&mut self, id: TabId, mut tab: Tab) {
        tab.made_durable(tab.paid);
        for chain in &tab.chains {
            self.tabs_of.entry(*chain).or_default().insert(id);
        }
        self.tabs.insert(id, tab);
    }

    /// Notes that the rows of a tab are durable in which so many coins were counted.
    pub fn durable(&mut self, id: &TabId, paid: Coins) {
        if let Some(tab) = self.tabs.get_mut(id) {
            tab.made_durable(paid);
        }
    }

    /// A segment's row as it is now.
    #[must_use]
    pub fn row(&self, chain: &ChainId, j: SegmentNo) -> Option<SegmentRow> {
        let held = self.held.get(chain, j)?;
        Some(SegmentRow {
            touchstone: held.touchstone.wire(),
            open: held.open.wire(),
            tag: held.tag,
            anchor: held.meter.anchor(),
            index: held.meter.index(),
            release: held.meter.release(),
            close: held.close.as_ref().map(Signed::wire),
            open_certificate: held.open_certificate.clone(),
            close_certificate: held.close_certificate.clone(),
            redeemed: held.redeemed,
            key: held.key,
        })
    }

    /// A tab as it is now.
    #[must_use]
    pub fn tab(&self, id: &TabId) -> Option<&Tab> {
        self.tabs.get(id)
    }

    /// The tab of this number, new if there is none.
    pub fn tab_mut(&mut self, id: TabId, now: Time) -> &mut Tab {
        let tab = self.tabs.entry(id).or_insert_with(|| Tab::new(now));
        tab.used = now;
        tab
    }

    /// Forgets tabs not used since `before`; returns which.
    pub fn forget_tabs(&mut self, before: Time) -> Vec<TabId> {
        let old: Vec<TabId> =
            self.tabs.iter().filter(|(_, tab)| tab.used < before).map(|(id, _)| *id).collect();
        old.iter().for_each(|id| drop(self.tabs.remove(id)));
        self.tabs_of.retain(|_, tabs| {
            tabs.retain(|id| self.tabs.contains_key(id));
            !tabs.is_empty()
        });
        old
    }

    /// Takes the segments of a believed line that are for the holder key of `tag`. Those held already are
    /// left as they are. How long a lease is, is the buyer's risk and not checked here.
    ///
    /// # Errors
    /// Says why the newest of them is not taken; nothing is then changed.
    pub fn take(&mut self, line: &Line, tag: HolderTag, now: Time) -> Result<Vec<TillChange>, TillError> {
        let chain = line.chain();
        if self.blocked.get(&chain).is_some_and(|until| now < *until) {
            return Err(TillError::Blocked);
        }
        if line.touchstone.spend_by <= now.plus(SPEND_MARGIN) {
            return Err(TillError::Expired);
        }
        if let Some((mine, theirs)) = self.contradiction(line) {
            return Err(TillError::DoubleSpend(Box::new((mine, theirs))));
        }
        let holder = self.holder(&tag);
        let ours: Vec<_> = line.all().filter(|segment| segment.open.holder == holder).collect();
        if ours.is_empty() {
            return Err(TillError::NotForUs);
        }
        if self.held.served_by(&tag).is_some_and(|served| served != chain) {
            return Err(TillError::TagReused);
        }
        let new = ours.into_iter().filter(|s| self.held.get(&chain, s.open.j).is_none() && s.close.is_none());
        let new: Vec<Signed<Open>> = new.map(|segment| segment.open.clone()).collect();
        if new.iter().any(|open| !self.is_of_a_deal(open, tag)) {
            return Err(TillError::Fair);
        }
        if self.held.live() + new.len() > MAX_HELD {
            return Err(TillError::Full);
        }
        let mut changes: Vec<TillChange> = new.into_iter().map(|open| self.hold(line, open, tag)).collect();
        if self.lines.get(&chain).is_none_or(|known| newest(known) < newest(line)) {
            self.lines.insert(chain, line.clone());
            changes.push(TillChange::Line(chain));
        }
        Ok(changes)
    }

    fn hold(&mut self, line: &Line, open: Signed<Open>, tag: HolderTag) -> TillChange {
        let (chain, j) = (open.chain, open.j);
        let meter = Meter::new(&open, self.anchor(&chain, open.start, line.touchstone.root));
        let touchstone = line.touchstone.clone();
        let held = Held {
            touchstone,
            open,
            tag,
            meter,
            close: None,
            open_certificate: None,
            close_certificate: None,
            redeemed: false,
            key: None,
        };
        self.held.insert(held);
        TillChange::Segment(chain, j)
    }

    /// Two Opens of one number by the same buyer: one held here, one shown.
    fn contradiction(&self, line: &Line) -> Option<(Unverified<Open>, Unverified<Open>)> {
        line.all().find_map(|segment| {
            let held = self.held.get(&segment.open.chain, segment.open.j)?;
            (held.open.hash() != segment.open.hash()).then(|| (held.open.wire(), segment.open.wire()))
        })
    }

    /// The highest verified coin of the chain at or below `start`.
    fn anchor(&self, chain: &ChainId, start: Index, root: Coin) -> (Index, Coin) {
        self.of_chain(chain)
            .map(|held| held.meter.anchor())
            .filter(|(index, _)| *index <= start)
            .max_by_key(|(index, _)| *index)
            .unwrap_or((Index::ZERO, root))
    }

    /// Counts a payment onto a tab. The same payment again counts nothing.
    ///
    /// # Errors
    /// If the segment is not open here, or the payment does not hold: the chain is then blocked for a minute.
    pub fn pay(
        &mut self,
        chain: &ChainId,
        pay: &Pay,
        tab: TabId,
        now: Time,
    ) -> Result<(Count, Vec<TillChange>), TillError> {
        if self.held.get(chain, pay.j).is_some_and(|held| held.open.fair.is_some()) {
            return Err(TillError::Fair);
        }
        let gained = self.count(chain, pay, now)?;
        if gained == Count::ZERO {
            return Ok((Count::ZERO, Vec::new()));
        }
        self.tab_mut(tab, now).pay(*chain, gained.into());
        self.tabs_of.entry(*chain).or_default().insert(tab);
        Ok((gained, vec![TillChange::Segment(*chain, pay.j), TillChange::Tab(tab)]))
    }

    fn count(&mut self, chain: &ChainId, pay: &Pay, now: Time) -> Result<Count, TillError> {
        if self.blocked.get(chain).is_some_and(|until| now < *until) {
            return Err(TillError::Blocked);
        }
        let held = self.held.get(chain, pay.j).ok_or(TillError::NotOpen(None))?;
        // A payment that was counted before is no mistake, and counts nothing.
        if held.meter.has_counted(pay) {
            return Ok(Count::ZERO);
        }
        if let Some(close) = &held.close {
            return Err(TillError::NotOpen(Some(Box::new(close.wire()))));
        }
        if held.touchstone.spend_by <= now {
            return Err(TillError::Expired);
        }
        let counted = self.held.change(chain, pay.j, |held| held.meter.accept(pay));
        counted.ok_or(TillError::NotOpen(None))?.map_err(|why| {
            self.blocked.retain(|_, until| now < *until);
            self.blocked.insert(*chain, now.plus(BLOCK_FOR));
            why.into()
        })
    }

    /// Closes a segment at what was paid in it, in fair mode at the end of the last unit that is wholly paid; a closed one
    /// gives the same Close again.
    ///
    /// # Errors
    /// If there is no such segment here.
    pub fn close(
        &mut self,
        chain: &ChainId,
        j: SegmentNo,
    ) -> Result<(Signed<Close>, Vec<TillChange>), TillError> {
        let held = self.held.get(chain, j).ok_or(TillError::NotOpen(None))?;
        if let Some(close) = &held.close {
            return Ok((close.clone(), Vec::new()));
        }
        let end = self.end_of(held).ok_or(TillError::Fair)?;
        let close = Close {
            chain: *chain,
            j,
            open: held.open.hash(),
            end: end.index,
            coin: end.coin,
            release: end.release,
            pay_to: pay_to(&self.salt(&held.tag), &self.account),
        };
        let close = held.tag.holder(&self.secret).sign(&self.network, close);
        self.held.change(chain, j, |held| (held.close, held.key) = (Some(close.clone()), end.key));
        Ok((close, vec![TillChange::Segment(*chain, j)]))
    }

    /// Closes the segment that a buyer's signed wish names (the papers' relocation).
    ///
    /// # Errors
    /// If it is not open here, or the chain key did not sign the wish.
    pub fn hand_over(
        &mut self,
        handover: Unverified<Handover>,
    ) -> Result<(Signed<Close>, Vec<TillChange>), TillError> {
        let claim = handover.claim().map_err(BadSignature::Body)?;
        let held = self.held.get(&claim.chain, claim.j).ok_or(TillError::NotOpen(None))?;
        let handover = handover.verify(&self.network, &held.touchstone.chain_key)?;
        self.close(&handover.chain, handover.j)
    }

    /// Takes a certificate of a segment's Open or Close; nothing changes if it was of no use.
    pub fn certified(&mut self, chain: &ChainId, certificate: &Certificate) -> Vec<TillChange> {
        let network = self.network;
        let Some(held) = self.of_chain(chain).find(|held| held.is(&certificate.object)) else {
            return Vec::new();
        };
        if !certificate.holds(&network, &held.touchstone) {
            return Vec::new();
        }
        let j = held.open.j;
        self.held.change(chain, j, |held| {
            let of_open = held.open.hash() == certificate.object;
            let place = if of_open { &mut held.open_certificate } else { &mut held.close_certificate };
            *place = Some(certificate.clone());
        });
        let mut changes = vec![TillChange::Segment(*chain, j)];
        // With the vendor's own Closes in it, a line is certified by a certificate of one of them too.
        if let Some(mut line) = self.closed_line(chain)
            && line.rebase(certificate.clone())
        {
            self.lines.insert(*chain, line);
            changes.push(TillChange::Line(*chain));
        }
        changes
    }

    /// Settles a segment after a break: counts the last payment made in it, if it still can, and closes it. One
    /// that never came here is closed at its start: all of it is waived.
    ///
    /// # Errors
    /// If it is not the chain key's word to this vendor, or contradicts what is held; nothing is then changed.
    pub fn settle(
        &mut self,
        line: &Line,
        tab: TabId,
        unsettled: Unsettled,
        now: Time,
    ) -> Result<(Signed<Close>, Vec<TillChange>), TillError> {
        let Unsettled { tag, open, pay } = unsettled;
        let open = open.verify(&self.network, &line.touchstone.chain_key)?;
        let (chain, j) = (line.chain(), open.j);
        if open.chain != chain || open.holder != self.holder(&tag) {
            return Err(TillError::NotForUs);
        }
        let mut changes = Vec::new();
        if line.segment(j).is_some_and(|segment| segment.open.hash() == open.hash()) {
            match self.take(line, tag, now) {
                Ok(taken) => changes.extend(taken),
                Err(why @ TillError::DoubleSpend(_)) => return Err(why),
                // What cannot be sold for any more can still be waived.
                Err(_) => {}
            }
        }
        match self.held.get(&chain, j) {
            Some(held) if held.open.hash() != open.hash() => {
                return Err(TillError::DoubleSpend(Box::new((held.open.wire(), open.wire()))));
            }
            Some(held) => {
                // One that no longer counts leaves the index where it is, and the Close says so.
                let is_fair = held.open.fair.is_some();
                let counted = pay.and_then(|pay| match is_fair {
                    true => self.pay_fair(&chain, &pay, now).ok(),
                    false => self.pay(&chain, &pay, tab, now).ok().map(|(_, changed)| changed),
                });
                changes.extend(counted.into_iter().flatten());
            }
            None if self.held.live() >= MAX_HELD => return Err(TillError::Full),
            None => changes.push(self.hold(line, open, tag)),
        }
        let (close, closed) = self.close(&chain, j)?;
        changes.extend(closed);
        Ok((close, changes))
    }

    /// The chain's line with the vendor's own Closes.
    fn closed_line(&self, chain: &ChainId) -> Option<Line> {
        let mut line = self.lines.get(chain)?.clone();
        for close in self.of_chain(chain).filter_map(|held| held.close.as_ref()) {
            if line.segment(close.j).is_some_and(|segment| segment.close.is_none()) {
                // A Close made here is of the Open held here; another Open of that number is not in the line.
                let _ = line.close(close.clone());
            }
        }
        Some(line)
    }

    /// What is to be shown of a chain to its committee; `None` if nothing is to be certified.
    #[must_use]
    pub fn showing(&self, chain: &ChainId) -> Option<Showing> {
        let line = self.closed_line(chain)?;
        let mut showing = Showing { line, closes: Vec::new(), want: Vec::new() };
        for held in self.of_chain(chain).filter(|held| held.lacks_certificate()) {
            let shown = showing.line.segment(held.open.j).is_some();
            match &held.close {
                // One that the line no longer shows, since a later one is certified, is still kept and acked.
                None => showing.want.push(held.open.hash()),
                Some(close) => {
                    if !shown && showing.closes.len() < MAX_CLOSES {
                        showing.closes.push(close.wire());
                    }
                    showing.want.push(close.hash());
                }
            }
        }
        showing.want.truncate(MAX_WANTED);
        (!showing.want.is_empty()).then_some(showing)
    }

    /// The segments of one chain, oldest first.
    pub fn of_chain(&self, chain: &ChainId) -> impl DoubleEndedIterator<Item = &Held> {
        self.held.of_chain(chain)
    }

    /// Whether a segment of this chain lacks a certificate it should have.
    #[must_use]
    pub fn lacks_certificates(&self, chain: &ChainId) -> bool {
        self.of_chain(chain).any(Held::lacks_certificate)
    }

    /// The chains of which a segment lacks a certificate it should have.
    #[must_use]
    pub fn uncertified_chains(&self) -> BTreeSet<ChainId> {
        self.all().filter(|held| held.lacks_certificate()).map(|held| held.open.chain).collect()
    }

    /// One segment.
    #[must_use]
    pub fn held(&self, chain: &ChainId, j: SegmentNo) -> Option<&Held> {
        self.held.get(chain, j)
    }

    /// Every segment not paid out yet.
    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| !held.redeemed)
    }

    /// Notes that a segment was redeemed. Of it remains what refuses its Open and its payments when they are
    /// shown again.
    pub fn release(&mut self, chain: &ChainId, j: SegmentNo) -> Vec<TillChange> {
        self.held.change(chain, j, |held| {
            held.redeemed = true;
            (held.open_certificate, held.close_certificate) = (None, None);
        });
        let deal = self.held.get(chain, j).and_then(|held| Some(held.open.fair.as_ref()?.deal));
        let deal = deal.and_then(|deal| self.forget_deal(&deal));
        let last = self.of_chain(chain).all(|held| held.redeemed);
        if last {
            self.lines.remove(chain);
        }
        let line = last.then_some(TillChange::Line(*chain));
        [Some(TillChange::Segment(*chain, j)), line, deal].into_iter().flatten().collect()
    }

    /// Forgets the segments of chains that can no longer be spent, as far as nothing is to be redeemed in
    /// them: their rows are gone.
    pub fn forget_over(&mut self, now: Time) -> Vec<TillChange> {
        let is_over = |held: &Held| {
            now > held.touchstone.spend_by.plus(SPEND_MARGIN) && (held.redeemed || held.paid() == Count::ZERO)
        };
        let over = self.held.iter().filter(|held| is_over(held));
        let over: Vec<_> = over.map(|held| (held.open.chain, held.open.j)).collect();
        let mut changes = Vec::new();
        for (chain, j) in over {
            let deal = self.held.get(&chain, j).and_then(|held| Some(held.open.fair.as_ref()?.deal));
            changes.extend(deal.and_then(|deal| self.forget_deal(&deal)));
            self.held.remove(&chain, j);
            changes.push(TillChange::Segment(chain, j));
            if self.of_chain(&chain).next().is_none() && self.lines.remove(&chain).is_some() {
                changes.push(TillChange::Line(chain));
            }
        }
        changes
    }

    /// Coins of this chain that no certificate protects yet.
    #[must_use]
    pub fn uncertified_of(&self, chain: &ChainId) -> Coins {
        self.held.at_risk_of(chain)
    }

    /// What is lost if these chains turn out to be spent twice: their coins that no certificate protects yet, and, if
    /// there are any, what stands unpaid on the tabs that were paid from them.
    #[must_use]
    pub fn at_stake<'a>(&self, chains: impl Iterator<Item = &'a ChainId>) -> Coins {
        let risky: Vec<&ChainId> = chains.filter(|chain| self.uncertified_of(chain) > Coins::ZERO).collect();
        let uncertified: u64 = risky.iter().map(|chain| self.uncertified_of(chain).0).sum();
        let tabs: BTreeSet<&TabId> =
            risky.into_iter().filter_map(|chain| self.tabs_of.get(chain)).flatten().collect();
        let owed = tabs.into_iter().filter_map(|id| self.tabs.get(id)).map(|tab| tab.owed().0);
        Coins(owed.fold(uncertified, u64::saturating_add))
    }

    /// The same of all chains together.
    #[must_use]
    pub fn at_stake_in_all(&self) -> Coins {
        self.at_stake(self.held.chains_at_risk())
    }

    /// Coins of this chain that may be paid here, or were, before anything more is certified: those of its
    /// open leases without a certificate.
    #[must_use]
    pub fn promised_of(&self, chain: &ChainId) -> Coins {
        let open = self.of_chain(chain).filter(|held| held.close.is_none() && !held.is_certified());
        Coins(open.map(|held| u64::from(held.open.lease().0)).sum())
    }

    /// Coins of all chains that no certificate protects yet.
    #[must_use]
    pub fn uncertified(&self) -> Coins {
        self.held.at_risk()
    }
}

/// What a vendor shows a chain's committee, and which acks it wants.
#[derive(Clone, Debug)]
pub struct Showing {
    /// The line, with the vendor's own Closes.
    pub line: Line,
    /// Closes of segments older than the line shows.
    pub closes: Vec<Unverified<Close>>,
    /// Opens of open segments and Closes of closed ones that lack their certificate: an ack of a Close is
    /// one of its Open too.
    pub want: Vec<ObjectHash>,
}

/// A later segment is newer.
fn newest(line: &Line) -> Option<SegmentNo> {
    line.newest().map(|segment| segment.open.j)
}

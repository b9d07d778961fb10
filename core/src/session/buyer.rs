//! The buyer's side of one sale: fund it, pay what was verified, take the receipts.
//!
//! One machine per vendor and download. It pays exactly for units that it was told are verified, plus the
//! first one ahead; which units to ask of whom is decided outside.

use crate::amount::{Coins, Count};
use crate::codec::List;
use crate::coin::payment::Pay;
use crate::coin::segment::Close;
use crate::coin::segment::SegmentNo;
use crate::id::ChainId;
use crate::keys::{PublicKey, Unverified};
use crate::record::chain::{Certificate, ChainRecord, MAX_UNCERTIFIED};
use crate::time::Moment;
use crate::wallet::{Seller, Wallet, WalletChain, WalletChange, WalletError};
use crate::wire::hello::HolderTag;
use crate::wire::reject::{Reject, RejectCode};
use crate::wire::trade::{Funding, MAX_UNSETTLED, Span, TabId, Terms, ToBuyer, ToVendor, Unsettled};
use std::collections::{BTreeMap, BTreeSet};

/// What a sale is about, and what was paid on its tab in earlier attempts.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The running account at this vendor.
    pub tab: TabId,
    /// The vendor's offer.
    pub terms: Terms,
    /// The first units wanted; none where there is only to settle and to pay what a break left open.
    pub span: Span,
    /// Paid on this tab so far, as made durable.
    pub paid: Coins,
    /// The price of the units of this tab verified so far.
    pub owed: Coins,
    /// The price of the first unit, which is paid ahead while nothing is verified.
    pub ahead: Coins,
    /// The price of everything that will be wanted here, to size the leases.
    pub expected: Coins,
}

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The stream is there.
    Begin,
    /// The vendor said (anything but a unit).
    Heard(Box<ToBuyer>),
    /// A unit's bytes arrived and were verified; this is its price.
    Verified(Coins),
    /// More units are wanted here; they cost this much.
    More(Span, Coins),
    /// All inputs at hand were given: pay what is due.
    Settle,
    /// Nothing more is wanted: ask for the receipts, or leave the newest segment open for the next purchase.
    Finish {
        /// Whether it stays open.
        keep_open: bool,
    },
}

/// What the machine wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make these wallet rows and the tab's `paid` durable before going on.
    Persist {
        /// Wallet rows.
        changes: Vec<WalletChange>,
        /// Paid on the tab.
        paid: Coins,
    },
    /// Say this to the vendor.
    Send(Box<ToVendor>),
    /// The sale is over; the wallet has the receipts.
    Finished,
    /// The vendor refused.
    Refused(Reject),
    /// The wallet has no coins for the rest.
    OutOfCoins,
}

/// Where a sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `Begin`.
    New,
    /// Waiting for so many answers about payments that a break may have swallowed.
    Settling(usize),
    /// Waiting for the vendor that the chain is still open at.
    HandingOver(ChainId, SegmentNo),
    /// Units and payments flow.
    Open,
    /// Waiting for the receipts.
    Closing,
    /// Nothing more happens.
    Over,
}

/// The buyer's machine.
#[derive(Debug)]
pub struct Buyer {
    purchase: Purchase,
    /// The vendor's node.
    node: PublicKey,
    /// Tags and holder keys of the vendor that no chain used yet.
    fresh: Vec<Seller>,
    verified: u64,
    /// The segments paid in here, oldest first; payments go into the oldest with coins left.
    segments: Vec<(ChainId, SegmentNo)>,
    /// Units wanted after the order, while it waits for what comes before it.
    later: Vec<Span>,
    phase: Phase,
}

impl Buyer {
    /// A sale that has not begun. `fresh` are the vendor's answers to tags that no chain used yet.
    #[must_use]
    pub const fn new(purchase: Purchase, node: PublicKey, fresh: Vec<Seller>) -> Self {
        Self {
            purchase,
            node,
            fresh,
            verified: 0,
            segments: Vec::new(),
            later: Vec::new(),
            phase: Phase::New,
        }
    }

    /// Paid on the tab so far.
    #[must_use]
    pub const fn paid(&self) -> Coins {
        self.purchase.paid
    }

    /// The price of what was verified, or is known to be owed, on the tab so far.
    #[must_use]
    pub const fn owed(&self) -> Coins {
        self.purchase.owed
    }

    /// The content bought.
    #[must_use]
    pub const fn root(&self) -> crate::id::ContentRoot {
        self.purchase.terms.root
    }

    /// Frees what the sale holds of the wallet, when its stream is gone; gives back the tags that no chain used.
    pub fn let_go(&mut self, wallet: &mut Wallet) -> Vec<Seller> {
        self.over(wallet);
        std::mem::take(&mut self.fresh)
    }

    /// The machine's step.
    pub fn handle(&mut self, now: Moment, input: Input, wallet: &mut Wallet, out: &mut Vec<Output>) {
        match (self.phase, input) {
            (Phase::New, Input::Begin) => self.begin(now, wallet, out),
            (Phase::Over | Phase::New, _) | (_, Input::Begin) => {}
            (_, Input::Heard(heard)) => self.hear(now, *heard, wallet, out),
            (_, Input::Verified(price)) => {
                self.verified += 1;
                self.purchase.owed = self.purchase.owed.saturating_add(price);
            }
            (Phase::Settling(_), Input::More(span, price)) => {
                self.purchase.expected = self.purchase.expected.saturating_add(price);
                self.later.push(span);
            }
            (_, Input::More(span, price)) => {
                self.purchase.expected = self.purchase.expected.saturating_add(price);
                out.push(send(ToVendor::Want(span)));
            }
            (Phase::Open, Input::Settle) => self.settle(now, wallet, out),
            (Phase::Settling(_) | Phase::HandingOver(..) | Phase::Closing, Input::Settle) => {}
            (_, Input::Finish { keep_open }) => self.finish(now, keep_open, wallet, out),
        }
        if self.phase == Phase::Open && self.wants_nothing() && self.due() == Coins::ZERO {
            self.finish(now, false, wallet, out);
        }
    }

    fn begin(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) {
        self.phase = Phase::Open;
        if self.purchase.terms.price == Coins::ZERO {
            out.push(self.order(Funding::Free));
            return;
        }
        let unsettled = wallet.unsettled(self.purchase.tab);
        if unsettled.is_empty() {
            self.take_back(Vec::new(), wallet, out);
            self.fund(now, wallet, out);
        } else {
            self.settle_first(unsettled, wallet, out);
        }
    }

    /// Whether the visit is only to settle, and to pay.
    const fn wants_nothing(&self) -> bool {
        self.purchase.span.count == 0
    }

    /// Orders, with the first payment.
    fn fund(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) {
        if self.wants_nothing() && self.due() == Coins::ZERO {
            self.over(wallet);
            out.push(Output::Finished);
            return;
        }
        self.phase = Phase::Open;
        if self.continue_here(now, wallet, out) {
            return;
        }
        match self.choose(now, wallet, true) {
            Some((id, Some((j, from)))) => self.ask_for_handover(id, j, from, wallet, out),
            // What was paid on the tab covers what is there: a lease is opened when there is something to pay.
            _ if self.due() == Coins::ZERO => out.push(self.order(Funding::Free)),
            Some((id, None)) => self.open_and_order(id, now, wallet, out),
            None => self.fail(wallet, out),
        }
    }

    fn order(&self, funding: Funding) -> Output {
        let Purchase { tab, terms, span, .. } = &self.purchase;
        send(ToVendor::Order { tab: *tab, terms: terms.clone(), span: *span, funding })
    }

    /// Asks what was counted of the payments that a break may have swallowed.
    fn settle_first(
        &mut self,
        unsettled: BTreeMap<ChainId, Vec<SegmentNo>>,
        wallet: &Wallet,
        out: &mut Vec<Output>,
    ) {
        let mut asked = 0;
        for (chain, record) in unsettled.keys().filter_map(|id| Some((id, wallet.chain(id)?.record()?))) {
            let segments: Vec<Unsettled> =
                unsettled[chain].iter().filter_map(|j| unsettled_row(wallet, chain, *j)).collect();
            for some in segments.chunks(MAX_UNSETTLED) {
                let segments = List::first_of(some.iter().cloned());
                out.push(send(ToVendor::Settle { tab: self.purchase.tab, record: record.clone(), segments }));
                asked += 1;
            }
        }
        self.phase = Phase::Settling(asked);
    }

    /// Takes the answer to what was asked first; after the last one the order follows.
    fn settled(
        &mut self,
        waiting: usize,
        closes: Vec<Unverified<Close>>,
        now: Moment,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) {
        let changes = closes.into_iter().filter_map(|close| take_close(close, wallet)).collect();
        self.take_back(changes, wallet, out);
        self.phase = Phase::Settling(waiting.saturating_sub(1));
        if waiting > 1 {
            return;
        }
        if wallet.unsettled(self.purchase.tab).is_empty() {
            self.fund(now, wallet, out);
            if self.phase != Phase::Over {
                out.extend(self.later.drain(..).map(|span| send(ToVendor::Want(span))));
            }
        } else {
            self.over(wallet);
            let why = "the vendor does not say what it counted before the break";
            out.push(Output::Refused(Reject::new(RejectCode::StaleChain, why)));
        }
    }

    /// Takes off what was paid on the tab the coins that their segments closed without.
    fn take_back(&mut self, mut changes: Vec<WalletChange>, wallet: &mut Wallet, out: &mut Vec<Output>) {
        let (lost, taken) = wallet.take_back(self.purchase.tab);
        changes.extend(taken);
        self.purchase.paid = self.purchase.paid.saturating_sub(lost);
        if !changes.is_empty() {
            out.push(Output::Persist { changes, paid: self.purchase.paid });
        }
    }

    /// Goes on in segments that an earlier sale left open here.
    fn continue_here(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) -> bool {
        let chains = wallet.chains().filter(|(_, chain)| chain.is_spendable(now.time()));
        let leases = chains.flat_map(|(id, chain)| chain.leases().map(move |(j, lease)| (id, j, lease)));
        let here = leases.filter(|(.., lease)| lease.seller.node == self.node && lease.is_idle());
        self.segments = here.map(|(id, j, _)| (*id, *j)).collect();
        let due = self.due();
        let mut unseen = self.unseen(wallet);
        if due == Coins::ZERO {
            // Nothing is paid with this order, so nothing is shown with it either.
            self.segments.retain(|(id, j)| never_paid(wallet, id, *j).is_none());
        }
        self.segments.iter().for_each(|(id, j)| wallet.hold(id, *j));
        if due == Coins::ZERO {
            return false;
        }
        let Some((chain, pay, change)) = self.pay_towards(due, wallet) else { return false };
        out.push(Output::Persist { changes: vec![change], paid: self.purchase.paid });
        out.push(self.order(match unseen.remove(&chain) {
            Some((tag, record)) => Funding::Opened { tag, record, pay },
            None => Funding::Continue { chain, pay },
        }));
        out.extend(unseen.into_values().map(|(tag, record)| send(ToVendor::Open { tag, record })));
        self.settle(now, wallet, out);
        true
    }

    /// The chains with a segment here in which nothing was ever paid: its Open may have been lost in a break, so
    /// it is shown before it is paid in. One that no record shows any more is left alone.
    fn unseen(&mut self, wallet: &Wallet) -> BTreeMap<ChainId, (HolderTag, ChainRecord)> {
        let shown = |id: &ChainId, j: SegmentNo| {
            let chain = wallet.chain(id)?;
            chain.line().segment(j).and_then(|_| chain.record())
        };
        self.segments.retain(|(id, j)| never_paid(wallet, id, *j).is_none() || shown(id, *j).is_some());
        let unseen =
            |(id, j): &(ChainId, SegmentNo)| Some((*id, (never_paid(wallet, id, *j)?, shown(id, *j)?)));
        self.segments.iter().filter_map(unseen).collect()
    }

    /// The chain to pay from: one that no sale holds if there is one, the emptiest of those that suffice,
    /// else the fullest; and where it must be handed over from, if it may be one that must.
    fn choose(
        &self,
        now: Moment,
        wallet: &Wallet,
        handovers: bool,
    ) -> Option<(ChainId, Option<(SegmentNo, PublicKey)>)> {
        let wanted = self.purchase.expected.saturating_sub(self.purchase.owed).0;
        // This vendor's own open segments are another sale's, which comes back to them.
        let idle = |chain: &WalletChain| {
            let newest = chain.newest_open().filter(|(_, lease)| !lease.in_use && lease.left() > Count::ZERO);
            let handed = newest.filter(|(_, lease)| handovers && lease.seller.node != self.node);
            handed.map(|(j, lease)| (j, lease.seller.node, u64::from(lease.left().0)))
        };
        let best = wallet
            .chains()
            .filter(|(_, chain)| chain.is_spendable(now.time()))
            .filter_map(|(id, chain)| {
                let coins = chain.spread().free + idle(chain).map_or(0, |(.., coins)| coins);
                (coins > 0).then_some((id, chain, coins))
            })
            .min_by_key(|(id, chain, coins)| {
                let busy = chain.leases().any(|(_, lease)| lease.in_use);
                let full = chain.line().uncertified() >= MAX_UNCERTIFIED;
                (full, busy, *coins < wanted, if *coins < wanted { u64::MAX - coins } else { *coins }, **id)
            })?;
        let (id, chain, _) = best;
        Some((*id, idle(chain).map(|(j, node, _)| (j, node))))
    }

    fn ask_for_handover(
        &mut self,
        id: ChainId,
        j: SegmentNo,
        from: PublicKey,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) {
        let to = self.seller_for(id, wallet).map(|seller| seller.holder);
        let handover = to.and_then(|to| wallet.hand_over(&id, j, to).ok());
        let record = wallet.chain(&id).and_then(|chain| chain.record());
        let (Some(handover), Some(record)) = (handover, record) else {
            self.fail(wallet, out);
            return;
        };
        wallet.hold(&id, j);
        self.phase = Phase::HandingOver(id, j);
        out.push(self.order(Funding::Handover { record, handover, from }));
    }

    fn open_and_order(&mut self, id: ChainId, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) {
        let Ok((tag, change)) = self.open(id, now, wallet) else {
            self.fail(wallet, out);
            return;
        };
        let Some((_, pay, more)) = self.pay_towards(self.due(), wallet) else {
            self.fail(wallet, out);
            return;
        };
        let Some(record) = wallet.chain(&id).and_then(|chain| chain.record()) else {
            self.fail(wallet, out);
            return;
        };
        out.push(Output::Persist { changes: vec![change, more], paid: self.purchase.paid });
        out.push(self.order(Funding::Opened { tag, record, pay }));
        self.settle(now, wallet, out);
    }

    /// Opens the next segment of a chain here.
    fn open(
        &mut self,
        id: ChainId,
        now: Moment,
        wallet: &mut Wallet,
    ) -> Result<(HolderTag, WalletChange), WalletError> {
        let seller = self.seller_for(id, wallet).ok_or(WalletError::NotSpendable)?;
        let rest = self.purchase.expected.max(self.due_total()).saturating_sub(self.purchase.paid);
        let needed = Count::from_coins(rest).unwrap_or(Count(crate::wallet::MAX_LEASE));
        let (j, change) = wallet.open(&id, seller, needed, self.purchase.paid, now.time())?;
        self.fresh.retain(|fresh| fresh.tag != seller.tag);
        self.segments.push((id, j));
        Ok((seller.tag, change))
    }

    /// The holder key this vendor has for a chain: the one it had before, else a fresh one.
    fn seller_for(&self, id: ChainId, wallet: &Wallet) -> Option<Seller> {
        let leases = wallet.chain(&id)?.leases();
        let before = leases.map(|(_, lease)| lease.seller).find(|seller| seller.node == self.node);
        before.or_else(|| self.fresh.first().copied())
    }

    /// What should have been paid by now: the units verified, and while none has come in this sale the first one
    /// ahead. After a break too: what the vendor sent before may have been in its memory only, and with it its trust.
    fn due_total(&self) -> Coins {
        let Purchase { owed, ahead, ref terms, .. } = self.purchase;
        match (self.verified, owed) {
            _ if self.wants_nothing() => owed,
            // A unit that costs nothing by itself is not sent to somebody who never paid.
            (0, Coins::ZERO) => ahead.max(Coins(1)),
            (0, owed) => owed.saturating_add(ahead).min(terms.price.max(owed)),
            (_, owed) => owed,
        }
    }

    fn due(&self) -> Coins {
        self.due_total().saturating_sub(self.purchase.paid)
    }

    /// The oldest segment here that has coins left.
    fn paying(&self, wallet: &Wallet) -> Option<(ChainId, SegmentNo, Count)> {
        self.segments.iter().find_map(|(id, j)| {
            let left = wallet.chain(id)?.lease(*j)?.left();
            (left > Count::ZERO).then_some((*id, *j, left))
        })
    }

    /// Pays `due`, or as much of it as one segment has left.
    fn pay_towards(&mut self, due: Coins, wallet: &mut Wallet) -> Option<(ChainId, Pay, WalletChange)> {
        let (id, j, left) = self.paying(wallet)?;
        let coins = Count::from_coins(due).map_or(left, |due| due.min(left));
        let (pay, change) = wallet.pay(&id, j, coins, self.purchase.tab).ok()?;
        self.purchase.paid = self.purchase.paid.saturating_add(coins.into());
        Some((id, pay, change))
    }

    /// Pays what is due, opening the next lease where the last is used up.
    fn settle(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) {
        if self.purchase.terms.price == Coins::ZERO {
            return;
        }
        let mut changes = Vec::new();
        let mut sends = Vec::new();
        while self.due() > Coins::ZERO {
            if let Some((chain, pay, change)) = self.pay_towards(self.due(), wallet) {
                changes.push(change);
                sends.push(send(ToVendor::Pay { chain, pay }));
                continue;
            }
            match self.next_lease(now, wallet) {
                Ok((change, open)) => {
                    changes.push(change);
                    sends.push(open);
                }
                // The vendor certifies what it holds and says so; then there is room for another Open.
                Err(WalletError::Uncertified) => break,
                Err(_) => {
                    sends.push(Output::OutOfCoins);
                    break;
                }
            }
        }
        if let Some((change, open)) = self.ahead_of_need(now, wallet) {
            changes.push(change);
            sends.push(open);
        }
        if !changes.is_empty() {
            out.push(Output::Persist { changes, paid: self.purchase.paid });
        }
        out.append(&mut sends);
    }

    /// Opens the next lease at half of the last one, so that the vendor can have it certified in time.
    fn ahead_of_need(&mut self, now: Moment, wallet: &mut Wallet) -> Option<(WalletChange, Output)> {
        let (id, j, left) = self.paying(wallet)?;
        let is_last = self.segments.last() == Some(&(id, j));
        let chain = wallet.chain(&id)?;
        let half_used = left.0 * 2 <= chain.lease(j)?.open.lease().0;
        let rest = self.purchase.expected.saturating_sub(self.purchase.paid);
        // The last place in the record is kept for an Open that is really needed.
        let crowded = chain.line().uncertified() + 2 > MAX_UNCERTIFIED;
        if rest <= left.into() || !is_last || !half_used || crowded {
            return None;
        }
        self.next_lease(now, wallet).ok()
    }

    fn next_lease(
        &mut self,
        now: Moment,
        wallet: &mut Wallet,
    ) -> Result<(WalletChange, Output), WalletError> {
        let here = self.segments.last().map(|(id, _)| *id);
        let goes_on = |chain: &WalletChain| chain.is_spendable(now.time()) && chain.spread().free > 0;
        let id = match here.filter(|id| wallet.chain(id).is_some_and(goes_on)) {
            Some(id) => id,
            // A handover would keep the sale waiting: only coins that are free now.
            None => self.choose(now, wallet, false).ok_or(WalletError::Exhausted)?.0,
        };
        let (tag, change) = self.open(id, now, wallet)?;
        let record = wallet.chain(&id).and_then(|chain| chain.record()).ok_or(WalletError::Uncertified)?;
        Ok((change, send(ToVendor::Open { tag, record })))
    }

    fn hear(&mut self, now: Moment, heard: ToBuyer, wallet: &mut Wallet, out: &mut Vec<Output>) {
        match heard {
            ToBuyer::Settled(close) => {
                if let Phase::HandingOver(id, j) = self.phase {
                    wallet.release_hold(&id, j);
                    // A close that claims more than was released is no answer.
                    let change = wallet.closed(&id, close).or_else(|_| wallet.abandon(&id, j));
                    self.open_after_handover(id, change, now, wallet, out);
                }
            }
            ToBuyer::Unsettled => {
                if let Phase::HandingOver(id, j) = self.phase {
                    wallet.release_hold(&id, j);
                    let change = wallet.abandon(&id, j);
                    self.open_after_handover(id, change, now, wallet, out);
                }
            }
            ToBuyer::Certified(certificate) => self.certified(certificate, now, wallet, out),
            ToBuyer::Receipt(closes) => match self.phase {
                Phase::Settling(waiting) => self.settled(waiting, closes.into_vec(), now, wallet, out),
                _ => self.receipts(closes.into_vec(), wallet, out),
            },
            ToBuyer::Reject { reject, close } => {
                let changes = close.and_then(|close| take_close(close, wallet)).into_iter().collect();
                out.push(Output::Persist { changes, paid: self.purchase.paid });
                self.over(wallet);
                out.push(Output::Refused(reject));
            }
            // A unit's bytes come as verified; what is of fair mode is not asked for here.
            ToBuyer::Unit { .. } | ToBuyer::Deal(_) | ToBuyer::SealedUnit(_) | ToBuyer::Key { .. } => {}
        }
    }

    fn open_after_handover(
        &mut self,
        id: ChainId,
        freed: Result<WalletChange, WalletError>,
        now: Moment,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) {
        self.phase = Phase::Open;
        let opened = freed.and_then(|freed| {
            let (tag, change) = self.open(id, now, wallet)?;
            let record =
                wallet.chain(&id).and_then(|chain| chain.record()).ok_or(WalletError::Uncertified)?;
            Ok((freed, change, ToVendor::Open { tag, record }))
        });
        match opened {
            Ok((freed, change, open)) => {
                out.push(Output::Persist { changes: vec![freed, change], paid: self.purchase.paid });
                out.push(send(open));
                self.settle(now, wallet, out);
            }
            Err(_) => self.fail(wallet, out),
        }
    }

    fn certified(
        &mut self,
        certificate: Certificate,
        now: Moment,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) {
        let ids: BTreeSet<ChainId> = self.segments.iter().map(|(id, _)| *id).collect();
        let changes: Vec<WalletChange> =
            ids.iter().filter_map(|id| wallet.certified(id, certificate.clone())).collect();
        if !changes.is_empty() {
            out.push(Output::Persist { changes, paid: self.purchase.paid });
            if self.phase == Phase::Open {
                self.settle(now, wallet, out);
            }
        }
    }

    fn receipts(&mut self, closes: Vec<Unverified<Close>>, wallet: &mut Wallet, out: &mut Vec<Output>) {
        let is_last = closes.len() < crate::wire::trade::MAX_RECEIPTS;
        let mut changes: Vec<_> = closes.into_iter().filter_map(|close| take_close(close, wallet)).collect();
        let is_answer = self.phase == Phase::Closing && is_last;
        if is_answer {
            // The vendor heard all that was said before it was asked to close.
            changes.extend(self.segments.iter().filter_map(|(id, j)| wallet.counted(id, *j)));
        }
        out.push(Output::Persist { changes, paid: self.purchase.paid });
        if is_answer {
            self.over(wallet);
            out.push(Output::Finished);
        }
    }

    fn finish(&mut self, now: Moment, keep_open: bool, wallet: &mut Wallet, out: &mut Vec<Output>) {
        if self.phase == Phase::Open {
            self.settle(now, wallet, out);
        }
        if self.purchase.terms.price == Coins::ZERO {
            out.push(send(ToVendor::Done));
            self.over(wallet);
            out.push(Output::Finished);
        } else if matches!(self.phase, Phase::Settling(_)) {
            // What is asked already is still to be answered, and paid.
            self.purchase.span.count = 0;
            self.later.clear();
        } else if self.phase != Phase::Closing {
            if let Phase::HandingOver(id, j) = self.phase {
                wallet.release_hold(&id, j);
            }
            self.phase = Phase::Closing;
            out.push(send(if keep_open { ToVendor::Done } else { ToVendor::Close }));
        }
    }

    fn fail(&mut self, wallet: &mut Wallet, out: &mut Vec<Output>) {
        self.over(wallet);
        out.push(Output::OutOfCoins);
    }

    fn over(&mut self, wallet: &mut Wallet) {
        if let Phase::HandingOver(id, j) = self.phase {
            wallet.release_hold(&id, j);
        }
        self.phase = Phase::Over;
        self.segments.iter().for_each(|(id, j)| wallet.release_hold(id, *j));
    }
}

/// Takes a Close into the wallet, if it holds there.
pub(super) fn take_close(close: Unverified<Close>, wallet: &mut Wallet) -> Option<WalletChange> {
    let chain = close.claim().ok()?.chain;
    wallet.closed(&chain, close).ok()
}

/// The tag of a segment in which nothing was ever paid.
fn never_paid(wallet: &Wallet, chain: &ChainId, j: SegmentNo) -> Option<HolderTag> {
    let lease = wallet.chain(chain)?.lease(j)?;
    (lease.released == lease.open.start).then_some(lease.seller.tag)
}

fn unsettled_row(wallet: &Wallet, chain: &ChainId, j: SegmentNo) -> Option<Unsettled> {
    let chain = wallet.chain(chain)?;
    let lease = chain.lease(j)?;
    Some(Unsettled { tag: lease.seller.tag, open: lease.open.wire(), pay: chain.last_pay(j) })
}

fn send(message: ToVendor) -> Output {
    Output::Send(Box::new(message))
}

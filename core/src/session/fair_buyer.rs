//! The buyer's side of a sale in fair mode: have a deal, look at what comes under seal, keep it, pay it, take its key.
//!
//! One machine per deal: a run of units of one file, out of one segment of one chain. Of which vendor and chain is decided
//! outside. Nothing is opened before the first unit came, and no unit is paid that is not kept.

use super::buyer::take_close;
use super::fair_vendor::MAX_SEALED_AHEAD;
use crate::amount::Count;
use crate::coin::key::Key;
use crate::coin::segment::{Close, Open};
use crate::fair::deal::{self, Deal};
use crate::fair::judge::Junk;
use crate::fair::opening::{self, KeptUnit, NotOpened};
use crate::fair::packing;
use crate::fair::sealed::SealedUnit;
use crate::id::{ChainId, NetworkId};
use crate::keys::{Signed, Unverified};
use crate::record::chain::Certificate;
use crate::time::Moment;
use crate::wallet::{Seller, Wallet, WalletChange, WalletError};
use crate::wire::reject::Reject;
use crate::wire::trade::{Span, TabId, Terms, ToBuyer, ToVendor};
use std::collections::VecDeque;
use std::sync::Arc;

/// Units paid of which the key may be outstanding; of a vendor that gave few keys yet, only as many as it gave. So many
/// that neither side waits for the other's disk.
pub const MAX_PAID_AHEAD: u64 = 16;
/// A vendor that says nothing of use for so long is given up, in milliseconds. It may have to wait for a certificate.
pub const PATIENCE: u64 = 60_000;

/// What is bought, of whom, and out of which chain.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The vendor's offer.
    pub terms: Terms,
    /// The run of units.
    pub span: Span,
    /// The chain that pays.
    pub chain: ChainId,
    /// The vendor's node, and its holder key for this chain.
    pub seller: Seller,
    /// Units that it gave the keys of in earlier deals about the file: what was earned there is not earned again.
    pub opened_before: u64,
}

/// What is durable of a deal from before a break.
#[derive(Clone, Debug)]
pub struct Before {
    /// The deal.
    pub deal: Unverified<Deal>,
    /// Its first units that were opened and are stored.
    pub opened: u64,
    /// The units after these that are kept under seal, in order.
    pub kept: Vec<Arc<KeptUnit>>,
}

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The stream is there.
    Begin,
    /// The vendor said (anything but a unit).
    Heard(Box<ToBuyer>),
    /// A unit came, under seal.
    Unit(Box<SealedUnit>, Vec<u8>),
    /// The time asked for with [`Output::SetTimer`] has come.
    TimedOut,
    /// Nothing more is wanted than what is paid.
    Finish,
}

/// What the machine wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make the deal durable before going on, and keep it until its claim is final.
    KeepDeal(Box<Unverified<Deal>>),
    /// Make the unit under seal durable before going on, and keep it until it is opened and stored.
    Keep(Arc<KeptUnit>),
    /// Make these wallet rows durable before going on.
    Persist(Vec<WalletChange>),
    /// Say this to the vendor.
    Send(Box<ToVendor>),
    /// A unit's bytes, verified.
    Opened {
        /// Which.
        unit: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Give [`Input::TimedOut`] at this time; it takes the place of the timer before.
    SetTimer(Moment),
    /// Proof that the vendor sold junk, for the broker.
    Junk(Box<Junk>),
    /// The sale ended before its end.
    Stopped(Stop),
    /// The sale is over; the wallet has the receipt.
    Finished,
}

/// Why a sale ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The vendor refused.
    Refused(Reject),
    /// The deal is not what was asked for, or not the vendor's word.
    BadDeal,
    /// What came is not a unit of the deal, or not signed. It was not paid.
    BadUnit,
    /// A key that does not belong to the deal.
    BadKey,
    /// A unit opened to something else than was promised: the proof is there.
    Junk,
    /// The vendor was paid and gave no key in time. The broker gives it with the claim, or the coins come back.
    NoKey,
    /// The vendor said nothing in time. Nothing is paid of which the key is missing.
    Silent,
    /// The wallet does not open or pay.
    Wallet(WalletError),
}

/// Where a sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `Begin`.
    New,
    /// Waiting for the deal.
    Asking,
    /// Units, payments and keys flow.
    Running,
    /// Waiting for the receipt.
    Closing,
    /// Nothing more happens.
    Over,
}

/// The deal, and how far it came.
#[derive(Debug)]
struct Run {
    deal: Signed<Deal>,
    /// The Open that binds it, once there is one.
    open: Option<Signed<Open>>,
    /// Units opened.
    opened: u64,
    /// Units under seal after these.
    sealed: VecDeque<Arc<KeptUnit>>,
    /// The highest key known.
    key: (Count, Key),
}

/// The buyer's machine for fair mode.
#[derive(Debug)]
pub struct FairBuyer {
    network: NetworkId,
    purchase: Purchase,
    before: Option<Before>,
    run: Option<Run>,
    phase: Phase,
    finishing: bool,
    /// When patience ends.
    until: Moment,
}

impl FairBuyer {
    /// A sale that has not begun, or what is durable of one that has.
    #[must_use]
    pub const fn new(network: NetworkId, purchase: Purchase, before: Option<Before>) -> Self {
        Self {
            network,
            purchase,
            before,
            run: None,
            phase: Phase::New,
            finishing: false,
            until: Moment(u64::MAX),
        }
    }

    /// Whether the unit may come now, behind `more` others that came just before. Whoever keeps units writes one down only
    /// then: what comes uncalled for must not take the place of what is paid.
    #[must_use]
    pub fn expects(&self, unit: u64, more: u64) -> bool {
        let Some(run) = self.run.as_ref().filter(|_| self.phase == Phase::Running) else { return false };
        self.has_room(more)
            && unit == run.next().saturating_add(more)
            && unit - run.deal.first < run.deal.count
    }

    /// Whether one more unit has room behind `more` others that came just before. A vendor that was paid sends on at once:
    /// the key that makes room may come a little later.
    #[must_use]
    pub fn has_room(&self, more: u64) -> bool {
        let Some(run) = self.run.as_ref().filter(|_| self.phase == Phase::Running) else { return true };
        u64::try_from(run.sealed.len()).unwrap_or(u64::MAX).saturating_add(more) < MAX_SEALED_AHEAD
    }

    /// The deal, once there is one.
    #[must_use]
    pub fn deal(&self) -> Option<&Signed<Deal>> {
        self.run.as_ref().map(|run| &run.deal)
    }

    /// How many units were opened.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.run.as_ref().map_or(0, |run| run.opened)
    }

    /// Whether something is paid of which the key is still to come.
    #[must_use]
    pub fn awaits_key(&self, wallet: &Wallet) -> bool {
        self.run.as_ref().is_some_and(|run| run.paid(wallet).1 > run.opened)
    }

    /// The coins released for the deal.
    #[must_use]
    pub fn released(&self, wallet: &Wallet) -> Count {
        self.run.as_ref().map_or(Count::ZERO, |run| run.paid(wallet).0)
    }

    /// Frees what the sale holds of the wallet, when its stream is gone.
    pub fn let_go(&mut self, wallet: &mut Wallet) {
        self.phase = Phase::Over;
        if let Some(run) = &self.run {
            wallet.release_hold(&run.deal.chain, run.deal.j);
        }
    }

    /// The machine's step.
    pub fn handle(&mut self, now: Moment, input: Input, wallet: &mut Wallet, out: &mut Vec<Output>) {
        let done = match (self.phase, input) {
            (Phase::New, Input::Begin) => self.begin(now, wallet, out),
            (Phase::Over | Phase::New, _) | (_, Input::Begin) => Ok(()),
            (_, Input::Heard(heard)) => self.hear(now, *heard, wallet, out),
            (Phase::Running, Input::Unit(unit, bytes)) => self.keep(now, *unit, bytes, wallet, out),
            // It was on its way when nothing more was wanted.
            (Phase::Closing, Input::Unit(..)) => Ok(()),
            (Phase::Asking, Input::Unit(..)) => Err(Stop::BadUnit),
            (_, Input::TimedOut) => self.timed_out(now, wallet, out),
            (_, Input::Finish) => {
                self.finishing = true;
                Ok(())
            }
        };
        if let Err(stop) = done.and_then(|()| self.go_on(now, wallet, out)) {
            self.let_go(wallet);
            out.push(Output::Stopped(stop));
        }
    }

    fn begin(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) -> Result<(), Stop> {
        let gone = Stop::Wallet(WalletError::UnknownChain);
        let chain = wallet.chain(&self.purchase.chain).ok_or_else(|| gone.clone())?;
        let record = chain.record().ok_or(gone)?;
        self.be_patient(now, out);
        if let Some(run) = self.before.take().and_then(|before| self.resume(before, wallet)) {
            let Purchase { chain, seller, .. } = self.purchase;
            wallet.hold(&chain, run.deal.j);
            // A segment that was closed meanwhile brings what is paid, and no more.
            let lease = wallet.chain(&chain).and_then(|chain| chain.lease(run.deal.j));
            self.finishing |= lease.is_some_and(|lease| lease.ended);
            let pay = wallet.chain(&chain).and_then(|chain| chain.last_pay(run.deal.j));
            out.push(send(ToVendor::OpenFair { tag: seller.tag, record, pay }));
            let (first, end) = (run.next(), run.deal.first + run.deal.count);
            if first < end {
                out.push(send(ToVendor::Want(Span { first, count: end - first })));
            }
            (self.run, self.phase) = (Some(run), Phase::Running);
            return Ok(());
        }
        let Purchase { terms, span, seller, .. } = self.purchase.clone();
        let j = chain.line().next().0;
        out.push(send(ToVendor::AskDeal { terms, span, record, j, tag: seller.tag }));
        self.phase = Phase::Asking;
        Ok(())
    }

    /// Where a sale stood, if its deal was opened for.
    fn resume(&self, before: Before, wallet: &Wallet) -> Option<Run> {
        let deal = before.deal.verify(&self.network, &self.purchase.seller.holder).ok()?;
        let lease = wallet.chain(&self.purchase.chain)?.lease(deal.j)?;
        deal::bound(&deal, &lease.open).ok()?;
        let open = Some(lease.open.clone());
        let mut run = Run::new(deal, open, before.opened);
        for kept in before.kept {
            let looked = packing::look_at(&self.network, &run.deal, &kept.unit, &kept.bytes);
            if kept.unit.unit == run.next() && looked.is_some() {
                run.sealed.push_back(kept);
            }
        }
        Some(run)
    }

    fn hear(
        &mut self,
        now: Moment,
        heard: ToBuyer,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) -> Result<(), Stop> {
        match heard {
            ToBuyer::Deal(deal) if self.phase == Phase::Asking => self.take_deal(deal, wallet, out),
            ToBuyer::Key { m, key } => self.take_key(now, m, key, wallet, out),
            ToBuyer::Certified(certificate) => {
                self.certified(certificate, wallet, out);
                Ok(())
            }
            ToBuyer::Receipt(closes) => {
                self.receipt(closes.into_vec(), wallet, out);
                Ok(())
            }
            ToBuyer::Reject { reject, close } => {
                let changes = close.and_then(|close| take_close(close, wallet)).into_iter().collect();
                out.push(Output::Persist(changes));
                Err(Stop::Refused(reject))
            }
            ToBuyer::Deal(_)
            | ToBuyer::Unit { .. }
            | ToBuyer::SealedUnit(_)
            | ToBuyer::Settled(_)
            | ToBuyer::Unsettled => Ok(()),
        }
    }

    /// Takes the vendor's word if it is about what was asked, and nothing else.
    fn take_deal(
        &mut self,
        deal: Unverified<Deal>,
        wallet: &Wallet,
        out: &mut Vec<Output>,
    ) -> Result<(), Stop> {
        let Purchase { terms, span, chain, seller, .. } = &self.purchase;
        let deal = deal.verify(&self.network, &seller.holder).map_err(|_| Stop::BadDeal)?;
        let ours = wallet.chain(chain).ok_or(Stop::Wallet(WalletError::UnknownChain))?;
        let (place, buyer) = ((*chain, ours.line().next().0), ours.touchstone().chain_key);
        // The rest is for the vendor to say.
        let Deal { key_root, made, salt, .. } = *deal;
        let asked = Deal { key_root, made, salt, ..terms.deal(*span, place, seller.holder, buyer) };
        if *deal != asked || deal.coins().is_none() {
            return Err(Stop::BadDeal);
        }
        out.push(Output::KeepDeal(Box::new(deal.wire())));
        (self.run, self.phase) = (Some(Run::new(deal, None, 0)), Phase::Running);
        Ok(())
    }

    /// Looks at a unit under seal, and keeps it.
    fn keep(
        &mut self,
        now: Moment,
        unit: SealedUnit,
        bytes: Vec<u8>,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) -> Result<(), Stop> {
        let run = self.run.as_mut().ok_or(Stop::BadUnit)?;
        let room = run.sealed.len() < usize::try_from(MAX_SEALED_AHEAD).unwrap_or(usize::MAX);
        if !room || unit.unit != run.next() {
            return Err(Stop::BadUnit);
        }
        packing::look_at(&self.network, &run.deal, &unit, &bytes).ok_or(Stop::BadUnit)?;
        let kept = Arc::new(KeptUnit { unit, bytes });
        run.sealed.push_back(Arc::clone(&kept));
        out.push(Output::Keep(kept));
        // One that costs nothing by itself may come behind its key.
        self.open_units(now, wallet, out)
    }

    /// Takes a key that leads to the one known.
    fn take_key(
        &mut self,
        now: Moment,
        m: Count,
        key: Key,
        wallet: &mut Wallet,
        out: &mut Vec<Output>,
    ) -> Result<(), Stop> {
        let run = self.run.as_mut().filter(|run| run.open.is_some()).ok_or(Stop::BadKey)?;
        let (known, below) = run.key;
        let coins = run.deal.coins().ok_or(Stop::BadKey)?;
        if m <= known {
            return Ok(());
        }
        if m > coins || run.deal.step().walk_down(m, &key, Count(m.0 - known.0)) != below {
            return Err(Stop::BadKey);
        }
        run.key = (m, key);
        self.open_units(now, wallet, out)
    }

    /// Opens what the known key opens.
    fn open_units(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) -> Result<(), Stop> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let (m, key) = run.key;
        let Some(open) = run.open.clone().filter(|_| m > Count::ZERO) else { return Ok(()) };
        let before = run.opened;
        while let Some(kept) = run.sealed.front_mut().map(Arc::make_mut) {
            match opening::open(&self.network, &open, &run.deal, kept, (m, &key)) {
                Ok(bytes) => out.push(Output::Opened { unit: kept.unit.unit, bytes }),
                Err(NotOpened::Key) => break,
                Err(NotOpened::Junk(junk)) => {
                    out.push(Output::Junk(junk));
                    let changes = wallet.abandon(&run.deal.chain, run.deal.j).into_iter().collect();
                    out.push(Output::Persist(changes));
                    return Err(Stop::Junk);
                }
            }
            run.sealed.pop_front();
            run.opened += 1;
        }
        if run.opened > before {
            self.be_patient(now, out);
        }
        Ok(())
    }

    /// Pays what may be paid, and asks for the receipt when all is there.
    fn go_on(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) -> Result<(), Stop> {
        let (Phase::Running, Some(run)) = (self.phase, &self.run) else { return Ok(()) };
        let is_all = run.opened >= run.deal.count;
        if is_all || (self.finishing && run.opened >= run.paid(wallet).1) {
            self.phase = Phase::Closing;
            out.push(send(ToVendor::Close));
            return Ok(());
        }
        if self.finishing { Ok(()) } else { self.pay(now, wallet, out) }
    }

    fn pay(&mut self, now: Moment, wallet: &mut Wallet, out: &mut Vec<Output>) -> Result<(), Stop> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let (released, paid) = run.paid(wallet);
        let here = run.opened + u64::try_from(run.sealed.len()).unwrap_or(0);
        let earned = self.purchase.opened_before.saturating_add(run.opened).max(1);
        let trusted = run.opened + MAX_PAID_AHEAD.min(earned);
        let last = run.deal.first + here.min(trusted).saturating_sub(1);
        let due = run.deal.last_coin(last).filter(|_| paid < here.min(trusted));
        let Some(coins) = due.and_then(|due| due.0.checked_sub(released.0)).map(Count) else { return Ok(()) };
        let (chain, j) = (run.deal.chain, run.deal.j);
        let mut changes = Vec::new();
        let is_new = run.open.is_none();
        if is_new {
            let opened = wallet.open_fair(self.purchase.seller, &run.deal, now.time());
            changes.push(opened.map_err(Stop::Wallet)?);
            run.open = wallet.chain(&chain).and_then(|own| own.lease(j)).map(|lease| lease.open.clone());
        }
        let (pay, change) = wallet.pay(&chain, j, coins, tab_of(&run.deal)).map_err(Stop::Wallet)?;
        changes.push(change);
        out.push(Output::Persist(changes));
        let record = wallet.chain(&chain).and_then(|chain| chain.record()).filter(|_| is_new);
        out.push(send(match record {
            Some(record) => ToVendor::OpenFair { tag: self.purchase.seller.tag, record, pay: Some(pay) },
            None => ToVendor::Pay { chain, pay },
        }));
        self.be_patient(now, out);
        Ok(())
    }

    fn be_patient(&mut self, now: Moment, out: &mut Vec<Output>) {
        self.until = now.plus_millis(PATIENCE);
        out.push(Output::SetTimer(self.until));
    }

    fn timed_out(&self, now: Moment, wallet: &Wallet, out: &mut Vec<Output>) -> Result<(), Stop> {
        if now < self.until {
            out.push(Output::SetTimer(self.until));
            return Ok(());
        }
        let is_sealed = self.run.as_ref().is_some_and(|run| !run.sealed.is_empty());
        let lacks_key = is_sealed && self.awaits_key(wallet);
        Err(if lacks_key { Stop::NoKey } else { Stop::Silent })
    }

    fn certified(&self, certificate: Certificate, wallet: &mut Wallet, out: &mut Vec<Output>) {
        if let Some(change) = wallet.certified(&self.purchase.chain, certificate) {
            out.push(Output::Persist(vec![change]));
        }
    }

    fn receipt(&mut self, closes: Vec<Unverified<Close>>, wallet: &mut Wallet, out: &mut Vec<Output>) {
        let mut changes: Vec<_> = closes.into_iter().filter_map(|close| take_close(close, wallet)).collect();
        if self.phase != Phase::Closing {
            return out.push(Output::Persist(changes));
        }
        let place = self.run.as_ref().map(|run| (run.deal.chain, run.deal.j));
        changes.extend(place.and_then(|(chain, j)| wallet.counted(&chain, j)));
        out.push(Output::Persist(changes));
        self.let_go(wallet);
        out.push(Output::Finished);
    }
}

impl Run {
    fn new(deal: Signed<Deal>, open: Option<Signed<Open>>, opened: u64) -> Self {
        let key = (Count::ZERO, deal.value().key_root);
        Self { deal, open, opened, sealed: VecDeque::new(), key }
    }

    /// The unit that should come next.
    fn next(&self) -> u64 {
        let here = self.opened + u64::try_from(self.sealed.len()).unwrap_or(0);
        self.deal.first.saturating_add(here)
    }

    /// Coins released for the deal, and how many of its units they pay.
    fn paid(&self, wallet: &Wallet) -> (Count, u64) {
        let lease = wallet.chain(&self.deal.chain).and_then(|chain| chain.lease(self.deal.j));
        let released = lease.filter(|_| self.open.is_some());
        let released = released.and_then(|lease| lease.released.since(lease.open.start)).unwrap_or_default();
        let units = self.deal.paid_by(released).map_or(0, |last| last - self.deal.first + 1);
        (released, units)
    }
}

/// What the coins of a deal were released for: no account of plain mode.
#[must_use]
pub fn tab_of(deal: &Signed<Deal>) -> TabId {
    let mut tab = [0; 16];
    tab.copy_from_slice(&deal.hash().0[..16]);
    TabId(tab)
}

fn send(message: ToVendor) -> Output {
    Output::Send(Box::new(message))
}

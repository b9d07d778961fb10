//! Buy: downloads, each from one or several vendors, paid unit by unit as the bytes are verified.
//!
//! A download's row, its tabs and the units it has are in the database; which unit came from whom is
//! written together with the payment for it, so that after a crash nothing is paid twice.

mod debts;
mod exposure;
mod fair;
mod job;
pub(super) mod kept;
mod late;
mod rows;
mod sale;
mod visit;
mod work;

use super::once::Act;
use super::vault::Purse;
use super::view::{
    DownloadState, DownloadView, ErrorView, Found, GetRequest, Page, Part, Quote, TimelineEntry,
};
use super::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Batch, Commit, StoreError, Table};
pub(super) use debts::run as pay_debts;
use netpay_core::amount::Coins;
use netpay_core::codec::{List, Text};
use netpay_core::content::link::Link;
use netpay_core::content::listing::{Listing, Modes};
use netpay_core::content::name::safe_file_name;
use netpay_core::content::units::Units;
use netpay_core::fair::policy::{self, Fair, Mode};
use netpay_core::id::ContentRoot;
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::wallet::WalletChange;
pub(super) use rows::DownloadRow;
use rows::{DOWNLOADS, TabRow};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Vendors that delivered, and since when.
const DELIVERED: Table = Table::new("delivered");
/// Downloads remembered at most, finished ones included; the oldest finished one gives way.
const MAX_DOWNLOADS: usize = 10_000;
/// What happened to one download, remembered at most.
const MAX_TIMELINE: usize = 64;

/// What the user wants of a running download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Go,
    Pause,
    Cancel,
}

/// How often the progress of one download is news, at most.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// One download in memory.
struct Download {
    view: watch::Sender<DownloadView>,
    /// When its progress was news last.
    told: Instant,
    control: watch::Sender<Control>,
    /// Held by whoever trades for it: one job, or one that pays its debts.
    turn: Arc<tokio::sync::Mutex<()>>,
    row: DownloadRow,
}

impl Download {
    fn new(mut view: DownloadView, row: DownloadRow) -> Self {
        view.changed = clock::micros();
        Self {
            view: watch::channel(view).0,
            told: Instant::now(),
            control: watch::channel(Control::Go).0,
            turn: Arc::default(),
            row,
        }
    }
}

/// All downloads.
#[derive(Default)]
pub struct Downloads {
    all: Mutex<BTreeMap<u64, Download>>,
    /// Bytes that came and were verified since the start.
    received: AtomicU64,
    /// Held while one is begun: numbers are given once, and what is asked for twice at the same time is begun once.
    beginning: tokio::sync::Mutex<()>,
    /// Told when a download ends or stops, and when the wallet opens: there may be debts to pay.
    pub(super) debts: tokio::sync::Notify,
}

impl Node {
    /// What a purchase would cost, and who offers it.
    ///
    /// # Errors
    /// If the id is not well-formed, or nobody who can be reached offers it.
    pub async fn quote(&self, request: &GetRequest) -> Result<Quote, Trouble> {
        let (_, listings) = self.offers(request).await?;
        let best = listings.first().ok_or(Trouble::NoVendor)?;
        let vendors = listings.iter().map(|listing| self.found(listing)).collect::<Vec<Found>>();
        let (mode, at_risk) = self.terms_of(self.wish(request), best)?;
        Ok(Quote {
            mode,
            at_risk: at_risk.0,
            id: best.root.to_string(),
            name: best.name.to_string(),
            size: best.size,
            price: best.price.0,
            vendors,
            spendable: self.wallet(|wallet| wallet.spendable(clock::time())).map_or(0, |coins| coins.0),
        })
    }

    /// When a request is for fair mode: as configured, unless it says otherwise.
    fn wish(&self, request: &GetRequest) -> Fair {
        request.fair.unwrap_or(self.settings().fair)
    }

    /// In which mode an offer would be bought, and what could be lost.
    fn terms_of(&self, fair: Fair, listing: &Listing) -> Result<(Mode, Coins), Trouble> {
        let p0 = self.settings().unit_price;
        let units = policy::units(fair, listing.price, listing.size, p0).ok_or(Trouble::TooDear(p0))?;
        let mode = self.mode_of(fair, listing, Some(units))?;
        let first = units.price_of(listing.price, 0).unwrap_or_default();
        Ok((mode, if mode == Mode::Fair { Coins::ZERO } else { first }))
    }

    /// In which mode something is bought from a vendor, in the units of a download that has begun or in those that it would
    /// be bought in.
    fn mode_of(&self, fair: Fair, listing: &Listing, units: Option<Units>) -> Result<Mode, Trouble> {
        let Listing { price, size, modes, vendor, .. } = *listing;
        let p0 = self.settings().unit_price;
        let units = units.or_else(|| policy::units(fair, price, size, p0)).ok_or(Trouble::TooDear(p0))?;
        let sale = policy::Sale { price, units, modes, is_known: self.is_known(&vendor)? };
        policy::mode(fair, &sale, p0).ok_or(Trouble::OtherMode { is_fair: modes == Modes::FAIR })
    }

    /// Whether a vendor delivered something here before.
    pub(super) fn is_known(&self, vendor: &PublicKey) -> Result<bool, Trouble> {
        Ok(self.db().get(DELIVERED, &vendor.0)?.is_some())
    }

    /// Remembers that a vendor delivered.
    async fn has_delivered(&self, vendor: PublicKey) -> Result<(), StoreError> {
        if self.db().get(DELIVERED, &vendor.0)?.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(DELIVERED, vendor.0, clock::time().0.to_be_bytes());
        self.db().commit(batch).await
    }

    /// The content asked for, and its offers, cheapest first.
    async fn offers(&self, request: &GetRequest) -> Result<(ContentRoot, Vec<Signed<Listing>>), Trouble> {
        let root = content_of(&request.what)?;
        let from = match &request.from {
            None => None,
            Some(peer) => Some(self.peer_named(peer).await?),
        };
        let listings = self.find_vendors(&root, from).await;
        let fair = self.wish(request);
        let first = listings.first().map(|listing| listing.modes).ok_or(Trouble::NoVendor)?;
        let mut suits = Vec::with_capacity(listings.len());
        for listing in listings {
            // What is too dear is told as such.
            if !matches!(self.mode_of(fair, &listing, None), Err(Trouble::OtherMode { .. })) {
                suits.push(listing);
            }
        }
        if suits.is_empty() {
            Err(Trouble::OtherMode { is_fair: first == Modes::FAIR })
        } else {
            Ok((root, suits))
        }
    }

    /// Starts a download.
    ///
    /// # Errors
    /// If nobody offers it, it is too dear, or there are not enough coins: nothing is begun then.
    pub async fn get(&self, request: GetRequest) -> Result<DownloadView, Trouble> {
        self.begin(request, None).await
    }

    /// Starts a download as an act that is done once: if it was begun before a crash, it is that one.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn get_once(&self, request: GetRequest, act: &Act) -> Result<DownloadView, Trouble> {
        match act.made {
            Some(id) => self.download(id),
            None => self.begin(request, Some(act)).await,
        }
    }

    async fn begin(&self, request: GetRequest, act: Option<&Act>) -> Result<DownloadView, Trouble> {
        let (root, listings) = self.offers(&request).await?;
        let _beginning = self.0.downloads.beginning.lock().await;
        if let Some(running) = self.running(&root) {
            let mut batch = Batch::new();
            act.inspect(|act| act.makes(running.id, &mut batch));
            self.db().commit(batch).await?;
            return Ok(running);
        }
        let row = self.new_row(&request, root, &listings)?;
        self.store_download(&row, act).await?;
        let (id, price, view) = (row.id, row.price, row.view());
        lock(&self.0.downloads.all).insert(id, Download::new(view.clone(), row));
        self.happened(id, "quoted", &format!("{price} from {} vendor(s)", listings.len()));
        self.spawn_job(id, listings);
        Ok(view)
    }

    /// What is to be stored of a download that begins, if it may.
    fn new_row(
        &self,
        request: &GetRequest,
        root: ContentRoot,
        listings: &[Signed<Listing>],
    ) -> Result<DownloadRow, Trouble> {
        let best = listings.first().ok_or(Trouble::NoVendor)?;
        let (name, price) = (best.name.to_string(), best.price);
        let limit = request.max_price.map(Coins);
        if let Some(limit) = limit.filter(|limit| price > *limit) {
            return Err(Trouble::OverLimit { name, price, limit });
        }
        let ceiling = limit.unwrap_or(price);
        let (fair, p0) = (self.wish(request), self.settings().unit_price);
        let units = policy::units(fair, ceiling, best.size, p0);
        let units =
            units.or_else(|| policy::units(fair, price, best.size, p0)).ok_or(Trouble::TooDear(p0))?;
        self.can_afford(&name, price)?;
        Ok(DownloadRow {
            id: self.next_download(),
            root,
            name: Text::cut(&safe_file_name(&name)),
            size: best.size,
            price,
            ceiling,
            unit_log: units.log(),
            output: Text::cut(&self.destination(request.output.as_deref(), &name)?.to_string_lossy()),
            from: request.from.as_ref().map(|_| best.vendor),
            fair,
            keep_open: request.keep_open,
            state: DownloadState::Waiting,
            began: clock::time(),
            tabs: List::new(),
        })
    }

    /// Whether the wallet can pay for it now.
    fn can_afford(&self, name: &str, price: Coins) -> Result<(), Trouble> {
        if price == Coins::ZERO {
            return Ok(());
        }
        let (have, held) = self.wallet(|wallet| {
            let leases = wallet.chains().flat_map(|(_, chain)| chain.leases());
            let held =
                leases.filter(|(_, lease)| lease.in_use).map(|(_, lease)| u64::from(lease.left().0)).sum();
            (wallet.spendable(clock::time()), Coins(held))
        })?;
        if have < price {
            return Err(Trouble::NotEnough { name: name.to_owned(), needed: price, have, held });
        }
        Ok(())
    }

    /// Where the file goes: into the directory named, or to the path named, never over another file.
    fn destination(&self, output: Option<&str>, name: &str) -> Result<PathBuf, Trouble> {
        let name = safe_file_name(name);
        let path = match output.map(PathBuf::from) {
            None => self.settings().downloads.join(name),
            Some(path) if path.is_dir() => path.join(name),
            Some(path) => path,
        };
        let parent = path.parent().ok_or_else(|| Trouble::file(&path, "it is no file in a directory"))?;
        std::fs::create_dir_all(parent).map_err(|e| Trouble::file(parent, e))?;
        Ok(unused(&path))
    }

    fn running(&self, root: &ContentRoot) -> Option<DownloadView> {
        let all = lock(&self.0.downloads.all);
        let active = |state| is_active(state) || state == DownloadState::Paused;
        let found = all.values().find(|download| download.row.root == *root && active(download.row.state));
        found.map(|download| download.view.borrow().clone())
    }

    fn next_download(&self) -> u64 {
        lock(&self.0.downloads.all).keys().next_back().map_or(1, |last| last + 1)
    }

    /// All downloads, newest first.
    #[must_use]
    pub fn downloads(&self) -> Vec<DownloadView> {
        let all = lock(&self.0.downloads.all);
        all.values().rev().map(|download| download.view.borrow().clone()).collect()
    }

    /// A page of the downloads, newest first.
    ///
    /// # Errors
    /// If there is no such page.
    pub fn downloads_part(&self, part: &Part) -> Result<Page<DownloadView>, Trouble> {
        let (after, limit) = (part.after(|id| id.parse().ok())?, part.limit()?);
        let all = lock(&self.0.downloads.all);
        let older = all.range(..after.unwrap_or(u64::MAX)).rev();
        Ok(Page::of(older, limit, |(id, _)| id.to_string(), |(_, download)| download.view.borrow().clone()))
    }

    /// How many downloads are in each state.
    #[must_use]
    pub fn downloads_by_state(&self) -> BTreeMap<&'static str, u64> {
        let mut states: BTreeMap<_, _> = DownloadState::ALL.map(|state| (state.word(), 0)).into();
        for download in lock(&self.0.downloads.all).values() {
            *states.entry(download.row.state.word()).or_default() += 1;
        }
        states
    }

    /// So many downloads, newest first, from number `from` of them on (counted from 0); and how many there are.
    #[must_use]
    pub fn downloads_page(&self, from: usize, many: usize) -> (Vec<DownloadView>, usize) {
        let all = lock(&self.0.downloads.all);
        let some = all.values().rev().skip(from).take(many);
        (some.map(|download| download.view.borrow().clone()).collect(), all.len())
    }

    /// Bytes per second that come in, over all downloads.
    #[must_use]
    pub fn receiving(&self) -> u64 {
        let all = lock(&self.0.downloads.all);
        let running = all.values().filter(|download| download.row.state == DownloadState::Running);
        running.map(|download| download.view.borrow().rate).fold(0, u64::saturating_add)
    }

    /// Bytes of units that came and were verified since the start.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.downloads.received.load(Ordering::Relaxed)
    }

    /// Sales that this peer buys in now.
    #[must_use]
    pub fn buying(&self) -> u64 {
        let all = lock(&self.0.downloads.all);
        all.values().map(|download| download.view.borrow().sales as u64).fold(0, u64::saturating_add)
    }

    /// How many downloads want more.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        let all = lock(&self.0.downloads.all);
        all.values().filter(|download| is_active(download.row.state)).count()
    }

    /// One download.
    ///
    /// # Errors
    /// If there is none of this number.
    pub fn download(&self, id: u64) -> Result<DownloadView, Trouble> {
        Ok(self.watch_download(id)?.borrow().clone())
    }

    /// One download as it goes on.
    ///
    /// # Errors
    /// If there is none of this number.
    pub fn watch_download(&self, id: u64) -> Result<watch::Receiver<DownloadView>, Trouble> {
        let all = lock(&self.0.downloads.all);
        all.get(&id).map(|download| download.view.subscribe()).ok_or_else(|| no_download(id))
    }

    /// Stops a download for now; what was paid stays paid.
    ///
    /// # Errors
    /// If there is none of this number, or the store fails.
    pub async fn pause_download(&self, id: u64) -> Result<DownloadView, Trouble> {
        let view = self.control(id, Control::Pause, DownloadState::Paused).await?;
        if view.state == DownloadState::Paused {
            self.happened(id, "paused", "what was paid stays paid");
        }
        Ok(view)
    }

    /// Calls a download off; what was paid for is lost with the partial file.
    ///
    /// # Errors
    /// If there is none of this number, or the store fails.
    pub async fn cancel_download(&self, id: u64) -> Result<DownloadView, Trouble> {
        let view = self.control(id, Control::Cancel, DownloadState::Cancelled).await?;
        let _ = std::fs::remove_file(self.partial(id));
        self.forget_units(id).await?;
        Ok(view)
    }

    /// Goes on with a paused or failed download, where it stopped.
    ///
    /// # Errors
    /// If there is none of this number, or the store fails.
    pub async fn resume_download(&self, id: u64) -> Result<DownloadView, Trouble> {
        let view = self.download(id)?;
        if matches!(view.state, DownloadState::Paused | DownloadState::Failed) {
            self.set_state(id, DownloadState::Waiting, None).await?;
            self.happened(id, "resumed", "it goes on where it stopped");
            if let Some(download) = lock(&self.0.downloads.all).get(&id) {
                download.control.send_replace(Control::Go);
            }
            self.spawn_job(id, Vec::new());
        }
        self.download(id)
    }

    /// Goes on with a download of the last run.
    pub(super) fn resume_at_start(&self, id: u64) {
        self.spawn_job(id, Vec::new());
    }

    async fn control(
        &self,
        id: u64,
        control: Control,
        state: DownloadState,
    ) -> Result<DownloadView, Trouble> {
        let view = self.download(id)?;
        if matches!(view.state, DownloadState::Done | DownloadState::Cancelled) {
            return Ok(view);
        }
        if let Some(download) = lock(&self.0.downloads.all).get(&id) {
            download.control.send_replace(control);
        }
        self.set_state(id, state, None).await?;
        self.download(id)
    }

    /// Takes up the downloads of the last run.
    pub(super) fn load_downloads(&self) -> Result<Vec<u64>, Trouble> {
        let mut open = Vec::new();
        let mut all = lock(&self.0.downloads.all);
        for row in rows::load(self.db())? {
            let mut view = row.view();
            view.have = rows::have_bytes(self.db(), &row)?;
            let id = row.id;
            if is_active(row.state) {
                open.push(id);
            }
            all.insert(id, Download::new(view, row));
        }
        Ok(open)
    }

    async fn store_download(&self, row: &DownloadRow, act: Option<&Act>) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        row.put(&mut batch);
        act.inspect(|act| act.makes(row.id, &mut batch));
        let surplus = {
            let mut all = lock(&self.0.downloads.all);
            let over = all.len() >= MAX_DOWNLOADS;
            let finished = |download: &Download| {
                matches!(
                    download.row.state,
                    DownloadState::Done | DownloadState::Cancelled | DownloadState::Failed
                )
            };
            let oldest = all.iter().find(|(_, download)| finished(download)).map(|(id, _)| *id);
            oldest.filter(|_| over).inspect(|id| drop(all.remove(id)))
        };
        if let Some(id) = surplus {
            batch.delete(DOWNLOADS, id.to_be_bytes());
        }
        Ok(self.db().commit(batch).await?)
    }

    /// Changes where a download stands, durably, and tells whoever watches.
    pub(super) async fn set_state(
        &self,
        id: u64,
        state: DownloadState,
        error: Option<ErrorView>,
    ) -> Result<(), Trouble> {
        self.change_row(id, |row| row.state = state)?.await?;
        self.show_state(id, state, error);
        Ok(())
    }

    fn show_state(&self, id: u64, state: DownloadState, error: Option<ErrorView>) {
        self.show(id, |view| {
            view.state = state;
            view.error = error;
            view.rate = 0;
        });
    }

    /// Changes a download's row, and hands it to the store while it is held: rows reach the disk in order.
    fn change_row(&self, id: u64, change: impl FnOnce(&mut DownloadRow)) -> Result<Commit, Trouble> {
        let mut all = lock(&self.0.downloads.all);
        let download = all.get_mut(&id).ok_or_else(|| no_download(id))?;
        change(&mut download.row);
        let mut batch = Batch::new();
        download.row.put(&mut batch);
        Ok(self.db().commit(batch))
    }

    /// Changes what watchers see.
    fn show(&self, id: u64, change: impl FnOnce(&mut DownloadView)) {
        if let Some(download) = lock(&self.0.downloads.all).get_mut(&id) {
            let standing = |view: &DownloadView| (view.state, view.sales);
            let before = standing(&download.view.borrow());
            download.view.send_modify(|view| {
                change(view);
                view.changed = clock::micros().max(view.changed + 1);
            });
            let view = download.view.borrow();
            if standing(&view) != before || download.told.elapsed() >= TELL_EVERY {
                self.news().tell("download", &*view);
                download.told = Instant::now();
            }
        }
    }

    /// Hands rows of a download and of the wallet's changes to the store, with the download's own row if what was paid on the
    /// tab is new or a write of it failed before. The downloads are held meanwhile: their rows reach the disk in order.
    fn commit_tab(
        &self,
        (id, tab): (u64, usize),
        is_new: bool,
        change: impl FnOnce(&mut TabRow),
        mut batch: Batch,
        wallet: Option<(&Purse, Vec<WalletChange>)>,
    ) -> Commit {
        let again = lock(&self.0.owed).downloads.remove(&id);
        let mut all = lock(&self.0.downloads.all);
        if let Some(download) = all.get_mut(&id) {
            if let Some(tab) = download.row.tabs.get_mut(tab) {
                change(tab);
            }
            if is_new || again {
                download.row.put(&mut batch);
                let total = download.row.paid();
                download.view.send_modify(|view| view.paid = total.0);
            }
        }
        match wallet {
            Some((purse, changes)) => self.commit_wallet(purse, changes, batch, Some(id)),
            None if batch.is_empty() => Commit::nothing(),
            None => self.db().commit(batch),
        }
    }

    /// That the coins do not reach for what is left of a download, of which `paid` were paid.
    fn out_of_coins(&self, id: u64, paid: Coins, have: Coins) -> Trouble {
        let (name, price) =
            self.row_of(id).map_or((String::new(), Coins::ZERO), |row| (row.name.to_string(), row.price));
        Trouble::NotEnough { name, needed: price.saturating_sub(paid), have, held: Coins::ZERO }
    }

    /// Notes something in a download's timeline.
    pub(super) fn happened(&self, id: u64, what: &str, detail: &str) {
        tracing::debug!(download = id, what, detail);
        let entry = TimelineEntry { at: clock::now().0, what: what.to_owned(), detail: detail.to_owned() };
        self.show(id, |view| {
            if view.timeline.len() < MAX_TIMELINE {
                view.timeline.push(entry);
            }
        });
    }

    pub(super) fn row_of(&self, id: u64) -> Result<DownloadRow, Trouble> {
        lock(&self.0.downloads.all)
            .get(&id)
            .map(|download| download.row.clone())
            .ok_or_else(|| no_download(id))
    }

    fn control_of(&self, id: u64) -> Result<watch::Receiver<Control>, Trouble> {
        let all = lock(&self.0.downloads.all);
        all.get(&id).map(|download| download.control.subscribe()).ok_or_else(|| no_download(id))
    }

    fn turn(&self, id: u64) -> Result<Arc<tokio::sync::Mutex<()>>, Trouble> {
        let all = lock(&self.0.downloads.all);
        all.get(&id).map(|download| Arc::clone(&download.turn)).ok_or_else(|| no_download(id))
    }

    fn partial(&self, id: u64) -> PathBuf {
        self.home().partial().join(format!("{id}.part"))
    }

    /// Forgets which units a finished or cancelled download has.
    async fn forget_units(&self, id: u64) -> Result<(), Trouble> {
        loop {
            let batch = rows::forget(self.db(), id)?;
            if batch.is_empty() {
                return Ok(());
            }
            self.db().commit(batch).await?;
        }
    }
}

/// Whether a download wants more units.
const fn is_active(state: DownloadState) -> bool {
    matches!(state, DownloadState::Waiting | DownloadState::Running)
}

fn no_download(id: u64) -> Trouble {
    Trouble::NotFound { what: "download", id: id.to_string() }
}

/// The path, or with a number in its name where there is such a file already.
fn unused(path: &Path) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let numbered = |n: u32| path.with_file_name(format!("{stem} ({n}){extension}"));
    std::iter::once(path.to_owned())
        .chain((1..10_000).map(numbered))
        .find(|path| !path.exists())
        .unwrap_or_else(|| path.to_owned())
}

/// The content that an id or a link names.
fn content_of(what: &str) -> Result<ContentRoot, Trouble> {
    what.parse::<ContentRoot>().or_else(|_| {
        what.parse::<Link>().map(|link| link.root).map_err(|error| Trouble::bad("id or link", what, error))
    })
}

/// The geometry of a download.
fn units_of(row: &DownloadRow) -> Result<Units, Trouble> {
    Units::new(row.size, row.unit_log).ok_or(Trouble::WrongBytes)
}

/// Who sells one download, as far as it was bought already.
type Vendor = PublicKey;

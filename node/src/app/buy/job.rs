//! One download: which units are still wanted, who is asked for them, and the file they go into.

use super::rows::{self, TabRow};
use super::{Control, Node, Vendor, is_active, units_of};
use crate::app::view::{DownloadState, ErrorView};
use crate::app::{Trouble, lock};
use crate::clock::random;
use crate::store::Batch;
use netpay_core::amount::Coins;
use netpay_core::content::listing::Listing;
use netpay_core::content::units::Units;
use netpay_core::fair::policy::Mode;
use netpay_core::id::ContentRoot;
use netpay_core::keys::{PublicKey, Signed};
use netpay_core::wire::trade::{Span, TabId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Vendors one download buys from at once.
const MAX_VENDORS: usize = 4;
/// Units given to one of several vendors at a time.
const CHUNK: u64 = 64;
/// How often a download that gets nowhere looks for vendors again, and how long it waits before each time.
pub(super) const PATIENCE: [u64; 6] = [50, 250, 1_000, 3_000, 6_000, 10_000];

/// The sales of one download that run.
type Sales = JoinSet<Result<(), Trouble>>;

/// What the sales of one download share.
pub(super) struct Job {
    pub node: Node,
    pub id: u64,
    pub units: Units,
    pub file: Arc<File>,
    pub control: watch::Receiver<Control>,
    /// Whether some of it came in an earlier run: its rows were durable, its bytes perhaps not.
    resumed: bool,
    pub state: Mutex<State>,
    /// Vendors that broke a rule of fair mode: nothing more is asked of them in this run.
    pub shunned: Mutex<BTreeSet<PublicKey>>,
    /// Told when the last unit has come, and when units come back to be given out again.
    pub changed: tokio::sync::Notify,
}

/// The units, by where they are.
pub(super) struct State {
    /// Wanted, and with nobody.
    pub wanted: VecDeque<Span>,
    /// Verified and written, with the tab they were paid on.
    pub have: BTreeMap<u64, usize>,
    pub have_bytes: u64,
    pub alone: bool,
    /// Sales that may still have something to pay.
    pub owing: usize,
}

/// A sale that may still have something to pay.
pub(super) struct Owing(Arc<Job>);

impl Owing {
    fn new(job: &Arc<Job>) -> Self {
        lock(&job.state).owing += 1;
        Self(Arc::clone(job))
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        lock(&self.0.state).owing -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Job {
    /// Makes the bytes of units durable that were put. Blocks.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn sync(&self) -> Result<(), Trouble> {
        self.file.sync_data().map_err(|e| Trouble::file("partial file", e))
    }

    /// Takes units to ask one vendor for.
    pub fn take(&self) -> Option<Span> {
        let mut state = lock(&self.state);
        let alone = state.alone;
        let span = state.wanted.front_mut()?;
        if alone || span.count <= CHUNK {
            return state.wanted.pop_front();
        }
        let taken = Span { first: span.first, count: CHUNK };
        span.first += CHUNK;
        span.count -= CHUNK;
        Some(taken)
    }

    /// Takes units to have a deal about with one vendor: as many as `limit` coins pay for, and one at least. Where the first
    /// of them costs nothing by itself it is the end of the file, and comes with those before it that do.
    pub fn take_for(&self, price: Coins, limit: Coins) -> Option<Span> {
        let mut state = lock(&self.state);
        let most = if state.alone { u64::MAX } else { CHUNK };
        let cost = |first, count| self.cost(price, Span { first, count });
        let Span { first, count } = *state.wanted.front()?;
        if cost(first, count) == Coins::ZERO
            && let Some(at) = state.wanted.iter().position(|span| span.first + span.count == first)
        {
            let before = state.wanted.get_mut(at)?;
            let enough = (1..before.count).find(|more| cost(first - more, more + count) > Coins::ZERO);
            let more = enough.unwrap_or(before.count);
            before.count -= more;
            let is_empty = before.count == 0;
            if is_empty {
                state.wanted.remove(at);
            }
            state.wanted.pop_front();
            return Some(Span { first: first - more, count: more + count });
        }
        // A deal costs a coin at least.
        let most = if cost(first, count.min(most)) == Coins::ZERO { count } else { count.min(most) };
        let (mut fits, mut beyond) = (1, most + 1);
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if cost(first, middle) <= limit { fits = middle } else { beyond = middle }
        }
        let span = state.wanted.front_mut()?;
        span.first += fits;
        span.count -= fits;
        if span.count == 0 {
            state.wanted.pop_front();
        }
        Some(Span { first, count: fits })
    }

    /// Takes those units of a run that nobody was asked for.
    pub fn take_from(&self, run: Span) -> Vec<u64> {
        let mut state = lock(&self.state);
        let units = run.first..run.first.saturating_add(run.count);
        let (mut taken, mut rest) = (Vec::new(), VecDeque::new());
        for span in std::mem::take(&mut state.wanted) {
            let (first, behind) = (span.first, span.first + span.count);
            let (from, to) = (units.start.clamp(first, behind), units.end.clamp(first, behind));
            taken.extend(from..to);
            let left = [(first, from.min(to)), (to.max(from), behind)];
            let left = if from < to { left } else { [(first, behind), (behind, behind)] };
            rest.extend(
                left.into_iter().filter(|(a, b)| a < b).map(|(a, b)| Span { first: a, count: b - a }),
            );
        }
        state.wanted = rest;
        taken
    }

    /// What a run of units costs.
    pub fn cost(&self, price: Coins, Span { first, count }: Span) -> Coins {
        let Some((start, end)) = self.units.range(first).zip(self.units.range(first + count.max(1) - 1))
        else {
            return Coins::ZERO;
        };
        let before = if first == 0 { Coins::ZERO } else { self.units.due(price, start.start) };
        self.units.due(price, end.end).saturating_sub(before)
    }

    /// Writes a verified unit where it belongs, and its row.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, unit: u64, bytes: &[u8], tab: usize, batch: &mut Batch) -> Result<(), Trouble> {
        let at = self.units.range(unit).map_or(0, |range| range.start);
        self.file.write_all_at(bytes, at).map_err(|e| Trouble::file("partial file", e))?;
        rows::put_unit(batch, self.id, unit, tab);
        Ok(())
    }

    /// Notes that units came, were verified and written. Returns how many bytes there are now.
    pub fn took(&self, numbers: &[u64], tab: usize, bytes: u64) -> u64 {
        let mut state = lock(&self.state);
        state.have.extend(numbers.iter().map(|unit| (*unit, tab)));
        state.have_bytes += bytes;
        let have = state.have_bytes;
        drop(state);
        self.node.0.downloads.received.fetch_add(bytes, Ordering::Relaxed);
        if numbers.contains(&(self.units.count() - 1)) {
            self.changed.notify_waiters();
        }
        have
    }

    /// Gives units back that a vendor did not deliver.
    pub fn give_back(&self, units: impl IntoIterator<Item = u64>) {
        let last = self.units.count() - 1;
        let mut state = lock(&self.state);
        for unit in units {
            match state.wanted.back_mut() {
                // It comes first again, alone: only it proves the size.
                _ if unit == last => state.wanted.push_front(Span { first: unit, count: 1 }),
                Some(span) if span.first + span.count == unit => span.count += 1,
                _ => state.wanted.push_back(Span { first: unit, count: 1 }),
            }
        }
        self.changed.notify_waiters();
    }

    /// Whether every unit is there.
    pub fn is_complete(&self) -> bool {
        lock(&self.state).have.len() as u64 == self.units.count()
    }

    /// Whether every unit is there and its payment on its way; only receipts are still to come.
    fn is_settled(&self) -> bool {
        self.is_complete() && lock(&self.state).owing == 0
    }

    /// Whether the last unit is there, which proves the size.
    pub fn has_last(&self) -> bool {
        lock(&self.state).have.contains_key(&(self.units.count() - 1))
    }

    /// What the units of a tab cost, at this price of the whole file.
    pub fn owed(&self, tab: usize, price: Coins) -> Coins {
        let state = lock(&self.state);
        let units = state.have.iter().filter(|(_, from)| **from == tab);
        Coins(units.filter_map(|(unit, _)| self.units.price_of(price, *unit)).map(|cost| cost.0).sum())
    }

    fn stops(&self) -> bool {
        *self.control.borrow() != Control::Go
    }
}

impl Node {
    /// Runs a download in the background, after whatever else is done for it.
    pub(super) fn spawn_job(&self, id: u64, listings: Vec<Signed<Listing>>) {
        let node = self.clone();
        tokio::spawn(async move {
            let Ok(turn) = node.turn(id) else { return };
            let turn = turn.lock_owned().await;
            let ended = node.run_job(id, listings).await;
            if let Err(trouble) = ended
                && node.download(id).is_ok_and(|view| is_active(view.state))
                && !node.is_stopping()
            {
                node.happened(id, "failed", &trouble.to_string());
                let error = ErrorView::from(trouble);
                if node.set_state(id, DownloadState::Failed, Some(error.clone())).await.is_err() {
                    // Where nothing can be noted it has failed all the same, and whoever waits is told.
                    node.show_state(id, DownloadState::Failed, Some(error));
                }
            }
            // A crash may have left deals that were over, or that nothing was paid for.
            if let Err(trouble) = node.forget_deals_over(|deal| deal.download == id).await {
                tracing::debug!(download = id, %trouble, "deals that are over are forgotten later");
            }
            drop(turn);
            node.0.downloads.debts.notify_one();
        });
    }

    async fn run_job(&self, id: u64, mut listings: Vec<Signed<Listing>>) -> Result<(), Trouble> {
        if self.is_in_place(id).await? {
            self.set_state(id, DownloadState::Done, None).await?;
            return self.forget_units(id).await;
        }
        let job = Arc::new(self.open_job(id)?);
        let mut last = Trouble::NoVendor;
        let mut patience = PATIENCE.iter();
        let mut sales = JoinSet::new();
        loop {
            if job.is_complete() {
                return self.finish(&job, sales).await;
            }
            let before = lock(&job.state).have.len();
            let row = self.row_of(id)?;
            if listings.is_empty() {
                listings = self.find_vendors(&row.root, row.from).await;
            }
            listings.retain(|listing| {
                listing.price <= row.ceiling
                    && listing.size == row.size
                    && row.from.is_none_or(|from| from == listing.vendor)
                    && !lock(&job.shunned).contains(&listing.vendor)
            });
            listings.truncate(MAX_VENDORS);
            if !listings.is_empty() {
                // It is stored with the next change: for a later run waiting and running are the same.
                if let Some(download) = lock(&self.0.downloads.all).get_mut(&id) {
                    download.row.state = DownloadState::Running;
                }
                self.show_state(id, DownloadState::Running, None);
                let bought = self.buy_from(&job, std::mem::take(&mut listings), &mut sales).await;
                if let Err(trouble) = bought {
                    // What was stopped on purpose did not break off.
                    if !job.stops() && !self.is_stopping() {
                        self.happened(id, "broke off", &trouble.to_string());
                    }
                    last = trouble;
                }
            }
            if job.stops() || self.is_stopping() {
                return Ok(());
            }
            if job.is_complete() {
                continue;
            }
            if lock(&job.state).have.len() > before {
                patience = PATIENCE.iter();
            }
            if matches!(last, Trouble::NotEnough { .. } | Trouble::Locked | Trouble::File { .. }) {
                return Err(last);
            }
            let Some(wait) = patience.next() else { return Err(last) };
            self.rest(&job, *wait).await;
            if self.is_stopping() {
                return Ok(());
            }
        }
    }

    /// Waits so many milliseconds, or until the user or the node wants something else.
    async fn rest(&self, job: &Job, millis: u64) {
        let mut control = job.control.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
            _ = control.changed() => {}
            () = self.stopped() => {}
        }
    }

    /// Puts a complete file in its place while the last receipts come.
    async fn finish(&self, job: &Arc<Job>, mut sales: Sales) -> Result<(), Trouble> {
        if job.resumed && !is_whole(self.partial(job.id), self.row_of(job.id)?.root).await? {
            // The machine lost power, and with it bytes that had been verified. They are paid: what vendors have
            // charged once they send again for nothing.
            self.forget_units(job.id).await?;
            return Err(Trouble::WrongBytes);
        }
        self.happened(job.id, "complete", "everything is verified");
        let placed = self.put_in_place(job).await;
        while sales.join_next().await.is_some() {}
        placed?;
        self.forget_units(job.id).await
    }

    /// Whether an earlier run put the file in its place and could not say so any more.
    async fn is_in_place(&self, id: u64) -> Result<bool, Trouble> {
        let row = self.row_of(id)?;
        let path = PathBuf::from(&*row.output);
        let may_be = !self.partial(id).exists() && path.metadata().is_ok_and(|file| file.len() == row.size);
        Ok(may_be && is_whole(path, row.root).await?)
    }

    /// Buys from these vendors at once until all is there or none of them delivers any more. Sales that only wait
    /// for their receipts are left running.
    async fn buy_from(
        &self,
        job: &Arc<Job>,
        listings: Vec<Signed<Listing>>,
        sales: &mut Sales,
    ) -> Result<(), Trouble> {
        let wanted: u64 = lock(&job.state).wanted.iter().map(|span| span.count).sum();
        let enough = usize::try_from(wanted / CHUNK).unwrap_or(usize::MAX).clamp(1, MAX_VENDORS);
        lock(&job.state).alone = enough == 1 || listings.len() == 1;
        let mut waiting = listings.into_iter();
        let mut first_trouble = None;
        loop {
            // Until the last unit has proved the size, one vendor is trusted with one unit.
            let useful = if job.has_last() { enough } else { 1 };
            let changed = job.changed.notified();
            if job.is_settled() {
                break;
            }
            while sales.len() < useful {
                let Some(listing) = waiting.next() else { break };
                sales.spawn(self.clone().run_sale(Arc::clone(job), listing, Owing::new(job)));
            }
            let ended = tokio::select! {
                ended = sales.join_next() => ended,
                () = changed => continue,
            };
            let Some(ended) = ended else { break };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(trouble)) => first_trouble = first_trouble.or(Some(trouble)),
                Err(_) => first_trouble = first_trouble.or(Some(Trouble::Stopping)),
            }
            if job.stops() {
                // Each of them sees it too, and frees what it holds.
                while sales.join_next().await.is_some() {}
                break;
            }
        }
        first_trouble.map_or(Ok(()), Err)
    }

    async fn run_sale(self, job: Arc<Job>, listing: Signed<Listing>, owing: Owing) -> Result<(), Trouble> {
        let id = job.id;
        self.show(id, |view| view.sales += 1);
        let ended = match self.row_of(id).and_then(|row| self.mode_of(row.fair, &listing, Some(job.units))) {
            Ok(Mode::Plain) => super::sale::run(job, listing, owing).await,
            Ok(Mode::Fair) => super::fair::run(job, listing, owing).await,
            Err(trouble) => Err(trouble),
        };
        self.show(id, |view| view.sales = view.sales.saturating_sub(1));
        ended
    }

    pub(super) fn open_job(&self, id: u64) -> Result<Job, Trouble> {
        let row = self.row_of(id)?;
        let units = units_of(&row)?;
        let path = self.partial(id);
        std::fs::create_dir_all(self.home().partial())
            .map_err(|e| Trouble::file(self.home().partial(), e))?;
        let mut have = rows::units(self.db(), id)?;
        if !path.exists() {
            have.clear();
        }
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|e| Trouble::file(&path, e))?;
        file.set_len(row.size).map_err(|e| Trouble::file(&path, e))?;
        for (hash, deal) in self.deals(|deal| deal.download == id) {
            if let Ok(claim) = deal.deal.claim() {
                let lost = self.lost_units(&hash, &claim, &file)?;
                have.retain(|unit, _| !lost.contains(unit));
            }
        }
        // The last unit comes first: only it proves the size, and with it that the rest is worth paying for.
        let last = units.count() - 1;
        let mut wanted = VecDeque::<Span>::new();
        if last > 0 && !have.contains_key(&last) {
            wanted.push_back(Span { first: last, count: 1 });
        }
        for unit in (0..units.count()).filter(|unit| !have.contains_key(unit) && (*unit < last || last == 0))
        {
            match wanted.back_mut() {
                Some(span) if span.first + span.count == unit && unit != last => span.count += 1,
                _ => wanted.push_back(Span { first: unit, count: 1 }),
            }
        }
        let resumed = !have.is_empty();
        let have_bytes = have.keys().filter_map(|unit| units.len_of(*unit)).map(|len| len as u64).sum();
        let control = self.control_of(id)?;
        let state = Mutex::new(State { wanted, have, have_bytes, alone: true, owing: 0 });
        let (node, file, changed) = (self.clone(), Arc::new(file), tokio::sync::Notify::new());
        Ok(Job { node, id, units, file, control, resumed, state, shunned: Mutex::default(), changed })
    }

    /// Where the units go that come after whoever worked at the download has stopped; `None` if they go nowhere. For whoever
    /// holds its turn.
    pub(super) fn late_job(&self, id: u64) -> Result<Option<Arc<Job>>, Trouble> {
        match self.row_of(id).map(|row| row.state) {
            Ok(DownloadState::Failed | DownloadState::Paused) => {
                self.open_job(id).map(|job| Some(Arc::new(job)))
            }
            Ok(_) | Err(Trouble::NotFound { .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether a download is worked at now.
    pub(in crate::app) fn is_worked_at(&self, id: u64) -> bool {
        self.turn(id).is_ok_and(|turn| turn.try_lock().is_err())
    }

    /// Puts the finished file in its place, durably.
    async fn put_in_place(&self, job: &Job) -> Result<(), Trouble> {
        let row = self.row_of(job.id)?;
        let (partial, file) = (self.partial(job.id), Arc::clone(&job.file));
        let target = super::unused(Path::new(&*row.output));
        let moved = target.clone();
        let placed = tokio::task::spawn_blocking(move || place(&file, &partial, &moved)).await;
        placed.map_err(|_| Trouble::Stopping)?.map_err(|e| Trouble::file(&target, e))?;
        self.show(job.id, |view| view.path = target.to_string_lossy().into_owned());
        self.happened(job.id, "done", &target.to_string_lossy());
        self.set_state(job.id, DownloadState::Done, None).await
    }

    /// The tab of a vendor in a download. A new one is stored with the first that happens on it.
    pub(super) fn tab_of(
        &self,
        id: u64,
        vendor: Vendor,
        price: Coins,
        mode: Mode,
    ) -> Result<(usize, TabRow), Trouble> {
        let is_fair = mode == Mode::Fair;
        let mut all = lock(&self.0.downloads.all);
        let tabs = &mut all.get_mut(&id).ok_or_else(|| super::no_download(id))?.row.tabs;
        let is_it = |tab: &TabRow| (tab.vendor, tab.price, tab.is_fair) == (vendor, price, is_fair);
        let known = tabs.iter().position(is_it);
        if let Some((at, tab)) = known.and_then(|at| Some((at, tabs.get(at)?))) {
            return Ok((at, tab.clone()));
        }
        let tab =
            TabRow { vendor, tab: TabId(random()), price, paid: Coins::ZERO, owed: Coins::ZERO, is_fair };
        tabs.push(tab.clone()).map_err(|_| Trouble::NoVendor)?;
        Ok((tabs.len() - 1, tab))
    }
}

/// Whether a file is what was wanted, from its first byte to its last.
async fn is_whole(path: PathBuf, root: ContentRoot) -> Result<bool, Trouble> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        let hash =
            File::open(&path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize()));
        hash.map_err(|e| Trouble::file(&path, e))
    });
    Ok(hashed.await.map_err(|_| Trouble::Stopping)??.as_bytes() == &root.0)
}

fn place(file: &File, partial: &Path, target: &Path) -> std::io::Result<()> {
    file.sync_all()?;
    match std::fs::rename(partial, target) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            std::fs::copy(partial, target)?;
            File::open(target)?.sync_all()?;
            std::fs::remove_file(partial)?;
        }
        other => other?,
    }
    match target.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

//! Sell: the vendor's end of `/netpay/trade/1`.
//!
//! The machine decides ([`netpay_core::session::vendor`], and in fair mode [`netpay_core::session::fair_vendor`]); here
//! its outputs are carried out in order by one writer task per sale: what is to be durable is committed before anything
//! behind it is sent.

mod delivery;
mod machine;

use super::certify::News;
use super::handoff::ask_previous;
use super::pace::Pace;
use super::pipe::{self, Goods, Step, framed};
use super::view::{Page, Part, SaleView};
use super::{Node, Trouble, lock};
use crate::clock;
use crate::overlay::{NodeKey, Stream};
use crate::store::{Batch, Commit, StoreError, Table};
use delivery::{Burst, Reading};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt as _};
use machine::Machine;
use netpay_core::amount::Coins;
use netpay_core::codec::{self, Wire};
use netpay_core::content::units::Units;
use netpay_core::fair::packing::Packing;
use netpay_core::id::{ChainId, ContentRoot};
use netpay_core::keys::PublicKey;
use netpay_core::session::vendor::{Input, Output};
use netpay_core::wire::trade::{TabId, ToBuyer, ToVendor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::ReadHalf;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};

/// What was sold, one row per sale.
const SALES: Table = Table::new("sales");
/// Sales served at once.
const MAX_SALES: usize = 256;
/// A sale in which nothing happens for so long is over.
const IDLE: Duration = Duration::from_secs(60);
/// Messages of one buyer waiting to be handled.
const INBOX: usize = 64;
/// Steps waiting to be carried out.
const OUTBOX: usize = 16;

/// The sales that run now.
#[derive(Default)]
pub struct Sales {
    running: Mutex<BTreeMap<u64, BTreeSet<ChainId>>>,
    next: std::sync::atomic::AtomicU64,
    pace: Pace,
}

impl Sales {
    /// The chains that a running sale is paid from.
    pub fn busy(&self) -> BTreeSet<ChainId> {
        lock(&self.running).values().flatten().copied().collect()
    }
}

/// One sale as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaleRow {
    /// What was sold.
    pub root: ContentRoot,
    /// To whom.
    pub buyer: PublicKey,
    /// For how much.
    pub coins: Coins,
    /// How many units.
    pub units: u64,
}

impl SaleRow {
    /// Writes it: it ended at this moment, in milliseconds since 1970, as sale of this number.
    pub fn put(&self, batch: &mut Batch, at: u64, number: u64) {
        let key = [at.to_be_bytes(), number.to_be_bytes()].concat();
        batch.put(SALES, key, codec::encode(self));
    }
}

impl Wire for SaleRow {
    const MAX: usize = 128;
}

/// Accepts trade streams until the node stops.
pub async fn run(node: Node, mut streams: mpsc::Receiver<(NodeKey, Stream)>) {
    let places = Arc::new(Semaphore::new(MAX_SALES));
    loop {
        let (buyer, stream) = tokio::select! {
            stream = streams.recv() => match stream {
                Some(stream) => stream,
                None => return,
            },
            () = node.stopped() => return,
        };
        // Without a place the stream is dropped, which the buyer sees at once.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let node = node.clone();
            tokio::spawn(async move {
                Sale::new(node, buyer, stream).run().await;
                drop(place);
            });
        }
    }
}

struct Sale {
    node: Node,
    buyer: PublicKey,
    number: u64,
    machine: Machine,
    inbox: mpsc::Receiver<ToVendor>,
    outbox: mpsc::Sender<Step>,
    bursts: mpsc::Sender<Burst>,
    news: broadcast::Receiver<News>,
    goods: Option<(ContentRoot, Units)>,
    units: u64,
    /// Paid on the tab, or for the deal, before this stream.
    paid_before: Option<Coins>,
    /// What is on its way to the disk, oldest first.
    commits: FuturesOrdered<BoxFuture<'static, Counted>>,
}

/// What became of a commit, and what was counted with it, on which tab.
type Counted = (Result<(), StoreError>, Vec<(TabId, Coins)>);

impl Sale {
    fn new(node: Node, buyer: PublicKey, stream: Stream) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (to_inbox, inbox) = mpsc::channel(INBOX);
        let (outbox, steps) = mpsc::channel(OUTBOX);
        let (bursts, goods) = delivery::start(node.clone());
        tokio::spawn(read(reader, to_inbox));
        tokio::spawn(pipe::write(writer, steps, goods));
        let number = node.0.sales.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let machine = Machine::New(node.shop());
        let news = node.certifier().news();
        Self {
            node,
            buyer,
            number,
            machine,
            inbox,
            outbox,
            bursts,
            news,
            goods: None,
            units: 0,
            paid_before: None,
            commits: FuturesOrdered::new(),
        }
    }

    async fn run(mut self) {
        let sales = self.node.clone();
        lock(&sales.0.sales.running).insert(self.number, BTreeSet::new());
        if let Err(trouble) = self.serve().await {
            tracing::debug!(buyer = %self.buyer, %trouble, "a sale broke off");
        }
        // The tab outlives the stream.
        while let Some(counted) = self.commits.next().await {
            if let Err(trouble) = self.durable(counted) {
                tracing::error!(%trouble, "payments cannot be made durable");
            }
        }
        lock(&sales.0.sales.running).remove(&self.number);
        if let Err(trouble) = self.note().await {
            tracing::warn!(%trouble, "a sale was not noted");
        }
    }

    async fn serve(&mut self) -> Result<(), Trouble> {
        while !self.machine.is_over() {
            let inputs = self.wait().await?;
            self.step(inputs).await?;
        }
        Ok(())
    }

    /// A message as the machine takes it: an order, or the wish for a deal, comes with what the shelf says about it.
    fn input(&mut self, message: ToVendor) -> Input {
        self.machine.begin(&message);
        if self.paid_before.is_none() {
            let network = self.node.network();
            self.paid_before = self.node.till(|till| machine::paid_before(&message, &network, till));
        }
        let (ToVendor::Order { terms, .. } | ToVendor::AskDeal { terms, .. }) = &message else {
            return Input::Heard(Box::new(message));
        };
        let offer = self.node.offer(&terms.root);
        self.goods = Units::new(terms.size, terms.unit_log).map(|units| (terms.root, units));
        Input::Ordered(Box::new(message), offer)
    }

    /// What else has been heard meanwhile.
    fn heard(&mut self, inputs: &mut Vec<Input>) {
        while let Ok(more) = self.inbox.try_recv() {
            let more = self.input(more);
            inputs.push(more);
        }
    }

    /// Waits for the next thing that happens.
    async fn wait(&mut self) -> Result<Vec<Input>, Trouble> {
        let stopped = self.node.clone();
        tokio::select! {
            heard = self.inbox.recv() => {
                let mut inputs = vec![self.input(heard.ok_or(Trouble::Stopping)?)];
                self.heard(&mut inputs);
                Ok(inputs)
            }
            news = self.news.recv() => Ok(match news {
                Ok(News::Certified(chain, certificate)) => vec![Input::Certified(chain, certificate)],
                Ok(News::Conflict(chain)) => vec![Input::Conflict(chain)],
                Err(broadcast::error::RecvError::Lagged(_)) => Vec::new(),
                Err(broadcast::error::RecvError::Closed) => return Err(Trouble::Stopping),
            }),
            Some(counted) = self.commits.next() => self.durable(counted).map(|()| Vec::new()),
            () = self.bursts.closed() => Err(Trouble::Stopping),
            () = tokio::time::sleep(IDLE) => Err(Trouble::TimedOut),
            () = stopped.stopped() => Err(Trouble::Stopping),
        }
    }

    /// What was counted is durable: units may rest on it.
    fn durable(&self, (done, counted): Counted) -> Result<(), Trouble> {
        done?;
        self.node.till(|till| counted.iter().for_each(|(tab, paid)| till.durable(tab, *paid)));
        Ok(())
    }

    /// Gives the machine its inputs, then as many chances to send units as it takes.
    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), Trouble> {
        let mut inputs = inputs;
        loop {
            let mut out = Vec::new();
            let node = self.node.clone();
            let commit = node.till(|till| {
                for input in inputs.drain(..) {
                    self.machine.handle(input, till, &mut out);
                }
                self.machine.handle(Input::Ready, till, &mut out);
                // Rows that did not change may still be on their way: what rests on them waits all the same.
                let mut all = None::<Vec<_>>;
                for output in &out {
                    if let Output::Persist { changes, .. } = output {
                        all.get_or_insert_default().extend(changes);
                    }
                }
                all.map(|changes| node.keep_till(till, changes, Batch::new()))
            });
            let mut more = Vec::new();
            let sent = self.carry_out(out, commit, &mut more).await?;
            self.heard(&mut more);
            if more.is_empty() && !sent {
                return Ok(());
            }
            inputs = more;
        }
    }

    /// Carries outputs out. Nothing is said before the step's rows are durable; units wait for nothing, since the
    /// machine sends none that rests on what is not. Returns whether units go out.
    async fn carry_out(
        &mut self,
        out: Vec<Output>,
        commit: Option<Commit>,
        more: &mut Vec<Input>,
    ) -> Result<bool, Trouble> {
        let chains = self.machine.chains();
        if let Some(commit) = commit {
            let commit = commit.shared();
            if out.iter().any(|output| matches!(output, Output::Send(_))) {
                self.send(Step::Commit(commit.clone())).await?;
            }
            let counted = out.iter().filter_map(|output| match output {
                Output::Persist { counted, .. } => *counted,
                _ => None,
            });
            let counted = counted.collect();
            self.commits.push_back(commit.map(|done| (done, counted)).boxed());
        }
        lock(&self.node.0.sales.running).insert(self.number, chains);
        let (mut units, mut behind) = (Vec::new(), None);
        for output in out {
            match output {
                Output::Persist { .. } | Output::Finished => {}
                Output::Send(message) => {
                    self.send(Step::Say(codec::encode(&*message))).await?;
                    // A unit under seal means nothing to whoever does not have the deal.
                    if matches!(*message, ToBuyer::Deal(_)) {
                        let (tell, told) = oneshot::channel();
                        self.send(Step::Said(tell)).await?;
                        behind = Some(told);
                    }
                }
                Output::SendUnit(unit) => units.push(unit),
                Output::AskPrevious { from, handover, touchstone } => {
                    let close = ask_previous(&self.node, from, handover, &touchstone).await;
                    more.push(Input::Previous(close));
                }
                Output::Certify { chain, urgent } => self.node.certifier().want(chain, urgent),
                Output::Evidence(evidence) => self.node.report(&evidence),
            }
        }
        if units.is_empty() {
            return Ok(false);
        }
        self.units += units.len() as u64;
        let burst = Burst { behind, read: self.reading(units)? };
        self.bursts.send(burst).await.map_err(|_| Trouble::Stopping)?;
        Ok(true)
    }

    /// How the units are read as they go over the line, under seal in fair mode.
    fn reading(&mut self, numbers: Vec<u64>) -> Result<Reading, Trouble> {
        let node = self.node.clone();
        Ok(match &self.machine {
            Machine::Fair(machine) => {
                let deal = machine.deal().ok_or(Trouble::Stopping)?;
                let goods = (deal.root, deal.units().ok_or(Trouble::Stopping)?);
                self.goods = Some(goods);
                let packings = numbers.iter().filter_map(|unit| Some((*unit, machine.packing(*unit)?)));
                let packings: Vec<_> = packings.collect();
                Box::new(move || {
                    packings.iter().map(|(unit, how)| node.seal_unit(goods, *unit, how)).collect()
                })
            }
            _ => {
                let goods = self.goods.ok_or(Trouble::Stopping)?;
                Box::new(move || numbers.into_iter().map(|unit| node.read_unit(goods, unit)).collect())
            }
        })
    }

    async fn send(&mut self, step: Step) -> Result<(), Trouble> {
        self.outbox.send(step).await.map_err(|_| Trouble::Stopping)
    }

    /// Notes what the sale came to.
    async fn note(&mut self) -> Result<(), Trouble> {
        let Some((root, _)) = self.goods else { return Ok(()) };
        let paid = self.node.till(|till| self.machine.paid(till));
        let coins = paid.saturating_sub(self.paid_before.unwrap_or_default());
        if self.units == 0 {
            return Ok(());
        }
        let row = SaleRow { root, buyer: self.buyer, coins, units: self.units };
        let now = clock::now().0;
        let mut batch = Batch::new();
        row.put(&mut batch, now, self.number);
        self.node.db().commit(batch).await?;
        self.node.0.tally.note(now, &row);
        self.node.news().tell("sale", &self.node.sale_view(now, &row));
        Ok(())
    }
}

/// Reads a buyer's messages. One that is no message ends the sale.
async fn read(mut reader: ReadHalf<Stream>, inbox: mpsc::Sender<ToVendor>) {
    loop {
        let Ok(frame) = pipe::read_frame(&mut reader, ToVendor::MAX).await else { return };
        let Ok(message) = codec::decode(&frame) else { return };
        if inbox.send(message).await.is_err() {
            return;
        }
    }
}

impl Node {
    /// A unit and its proof, as they go over the line. Blocks.
    fn read_unit(&self, (root, units): (ContentRoot, Units), unit: u64) -> Result<Goods, Trouble> {
        let header = |room, proof| {
            let len = u32::try_from(room).unwrap_or(u32::MAX);
            framed(&codec::encode(&ToBuyer::Unit { unit, len, proof }), room)
        };
        let read = self.0.shelf.read_unit(&root, units, unit, header);
        read.map(|frame| vec![frame]).map_err(|e| Trouble::file(root.to_string(), e))
    }

    /// The same under seal: what comes with it, and its bytes. Blocks.
    fn seal_unit(
        &self,
        (root, units): (ContentRoot, Units),
        unit: u64,
        packing: &Packing,
    ) -> Result<Goods, Trouble> {
        let failed = |e| Trouble::file(root.to_string(), e);
        let mut path = None;
        let header = |room, proof| {
            path = Some(proof);
            Vec::with_capacity(room)
        };
        let bytes = self.0.shelf.read_unit(&root, units, unit, header).map_err(failed)?;
        let leaves = self.0.shelf.read_leaves(&root, units, unit).map_err(failed)?;
        let packed = packing.pack(bytes, leaves, path.unwrap_or_default());
        // A disk that gives other bytes than were listed would make its owner a cheat.
        let (unit, bytes) = packed.map_err(|_| Trouble::WrongBytes)?;
        Ok(vec![framed(&codec::encode(&ToBuyer::SealedUnit(unit)), 0), bytes])
    }

    /// A page of the sales, newest first.
    ///
    /// # Errors
    /// If there is no such page, or the store fails.
    pub fn sales_part(&self, part: &Part) -> Result<Page<SaleView>, Trouble> {
        let limit = part.limit()?;
        let before = part.after(|after| data_encoding::HEXLOWER.decode(after.as_bytes()).ok())?;
        let found = self.db().scan_back(SALES, before.as_deref(), limit + 1)?;
        let page = Page::of(
            found,
            limit,
            |(key, _)| data_encoding::HEXLOWER.encode(key),
            |(key, row)| codec::decode(&row).ok().map(|row| self.sale_view(ended_at(&key), &row)),
        );
        Ok(Page { items: page.items.into_iter().flatten().collect(), next: page.next })
    }

    /// Bytes of units that went out since the start.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.sales.pace.total()
    }

    /// Sales that run now.
    #[must_use]
    pub fn selling(&self) -> u64 {
        lock(&self.0.sales.running).len() as u64
    }

    /// Bytes of units per second that go out to buyers.
    #[must_use]
    pub fn sending(&self) -> u64 {
        self.0.sales.pace.per_second(clock::time().0)
    }

    fn sale_view(&self, at: u64, row: &SaleRow) -> SaleView {
        let name = self.0.shelf.row(&row.root).map(|shelf| shelf.name.to_string()).unwrap_or_default();
        SaleView {
            at: at / 1000,
            root: row.root.to_string(),
            name,
            buyer: row.buyer.to_string(),
            coins: row.coins.0,
            units: row.units,
        }
    }
}

/// Goes through all sales, oldest first, with the time at which each ended, in milliseconds since 1970. Blocks.
pub(super) fn each_sale(db: &crate::store::Db, mut seen: impl FnMut(u64, &SaleRow)) -> Result<(), Trouble> {
    let mut after = None::<Vec<u8>>;
    loop {
        let page = db.scan(SALES, &[], after.as_deref(), 4096)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, row) in &page {
            if let Ok(row) = codec::decode(row) {
                seen(ended_at(key), &row);
            }
        }
    }
}

/// When a sale ended, by its row's key: milliseconds since 1970.
fn ended_at(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |at| u64::from_be_bytes(*at))
}

#[cfg(test)]
impl Node {
    /// Notes so many sales that never were, for tests of other rooms.
    pub(crate) async fn pretend_sales(&self, many: u64) {
        for first in (0..many).step_by(1000) {
            let mut batch = Batch::new();
            for n in first..many.min(first + 1000) {
                let row = SaleRow {
                    root: ContentRoot([u8::try_from(n % 7).expect("a byte"); 32]),
                    buyer: self.me(),
                    coins: Coins(1),
                    units: 1,
                };
                let at = clock::now().0 - n * 60_000;
                row.put(&mut batch, at, n);
                self.0.tally.note(at, &row);
            }
            self.db().commit(batch).await.expect("durable");
        }
    }
}

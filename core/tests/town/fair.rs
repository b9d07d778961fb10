//! A sale in fair mode by hand: a buyer and a vendor, each with its machine and its disk, and a line between them.

use super::{NOW, Stall, Town, certify, key};
use netpay_core::amount::{Coins, Index};
use netpay_core::codec::{decode, encode};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::content::tree::{Tree, TreeBuilder};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::Junk;
use netpay_core::fair::opening::KeptUnit;
use netpay_core::fair::sealed::{self, Leaves, SealedUnit};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{SecretKey, Signed, Unverified};
use netpay_core::session::fair_buyer::{self, Before, FairBuyer, Purchase, Stop};
use netpay_core::session::fair_vendor::FairVendor;
use netpay_core::session::redeem;
use netpay_core::session::vendor::{self, Input, Offer};
use netpay_core::till::{Till, TillChange};
use netpay_core::time::Moment;
use netpay_core::wallet::{Seller, Wallet, WalletChange};
use netpay_core::wire::bank::BankRequest;
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::trade::{Span, Terms, ToBuyer, ToVendor};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub const TAG: HolderTag = HolderTag([1; 16]);

/// What is sold.
#[derive(Clone)]
pub struct Goods {
    pub content: Arc<Vec<u8>>,
    pub tree: Arc<Tree>,
    pub terms: Terms,
    pub units: Units,
}

pub fn goods(size: usize, unit_log: u8, price: u64) -> Goods {
    let mut content = vec![0; size];
    blake3::Hasher::new().update(&size.to_le_bytes()).finalize_xof().fill(&mut content);
    let mut builder = TreeBuilder::new();
    builder.update(&content);
    let tree = builder.finish();
    let terms = Terms { root: tree.root(), size: size as u64, price: Coins(price), unit_log };
    let units = Units::new(size as u64, unit_log).expect("in range");
    Goods { content: Arc::new(content), tree: Arc::new(tree), terms, units }
}

impl Goods {
    pub fn offer(&self) -> Offer {
        Offer::Offered { price: self.terms.price, size: self.terms.size }
    }

    pub fn all(&self) -> Span {
        Span { first: 0, count: self.units.count() }
    }

    pub fn unit(&self, b: u64) -> Vec<u8> {
        let range = self.units.range(b).expect("a unit");
        self.content[range.start as usize..range.end as usize].to_vec()
    }

    pub fn leaves(&self, b: u64) -> Leaves {
        if self.terms.size <= GROUP {
            return Leaves::new();
        }
        let first = sealed::first_leaf(self.units, b) as usize;
        let count = self.units.len_of(b).expect("a unit").div_ceil(GROUP as usize);
        Leaves::first_of(self.tree.nodes()[first..first + count].iter().copied())
    }
}

/// What a message on the line is.
#[derive(Clone, Debug)]
pub enum Said {
    Message(Box<ToBuyer>),
    Unit(Box<SealedUnit>, Vec<u8>),
}

/// The buyer, and its disk.
pub struct Ann {
    pub wallet: Wallet,
    pub chain: ChainId,
    pub rows: BTreeMap<ChainId, Vec<u8>>,
    pub indices: BTreeMap<ChainId, BTreeMap<SegmentNo, Index>>,
    pub deal: Option<Unverified<Deal>>,
    pub kept: BTreeMap<(ObjectHash, u64), Arc<KeptUnit>>,
    pub stored: BTreeMap<u64, Vec<u8>>,
    pub machine: Option<FairBuyer>,
    pub timer: Option<Moment>,
    pub junk: Vec<Junk>,
    pub stopped: Option<Stop>,
    pub finished: bool,
}

/// The vendor, and its disk.
pub struct Vic {
    pub stall: Stall,
    pub n: u8,
    pub segments: BTreeMap<(ChainId, SegmentNo), Vec<u8>>,
    pub deals: BTreeMap<ObjectHash, Vec<u8>>,
    pub lines: BTreeMap<ChainId, Vec<u8>>,
    pub machine: FairVendor,
    pub over: bool,
}

/// Changes what a vendor says on its way out, or drops it.
pub type Cheat<'a> = Box<dyn FnMut(Said, &Scene) -> Vec<Said> + 'a>;

pub struct Scene {
    pub town: Town,
    pub goods: Goods,
    pub ann: Ann,
    pub vic: Vic,
    pub to_buyer: VecDeque<Said>,
    pub to_vendor: VecDeque<ToVendor>,
    /// Whether witnesses answer.
    pub certifies: bool,
    pub round_trips: usize,
    /// Units of which the vendor gave the keys in earlier deals.
    pub opened_before: u64,
    pub now: Moment,
}

impl Scene {
    pub fn new(goods: Goods) -> Self {
        let mut town = Town::new();
        let mut wallet = town.wallet();
        let chain = town.mint(&mut wallet, 200);
        let rows = BTreeMap::from([(chain, encode(&wallet.row(&chain).expect("kept")))]);
        let ann = Ann {
            wallet,
            chain,
            rows,
            indices: BTreeMap::new(),
            deal: None,
            kept: BTreeMap::new(),
            stored: BTreeMap::new(),
            machine: None,
            timer: None,
            junk: Vec::new(),
            stopped: None,
            finished: false,
        };
        let vic = Vic {
            stall: Stall::new(&town, 20),
            n: 20,
            segments: BTreeMap::new(),
            deals: BTreeMap::new(),
            lines: BTreeMap::new(),
            machine: FairVendor::new(town.shop()),
            over: false,
        };
        let (to_buyer, to_vendor) = (VecDeque::new(), VecDeque::new());
        let (certifies, round_trips, opened_before) = (true, 0, 0);
        Self { town, goods, ann, vic, to_buyer, to_vendor, certifies, round_trips, opened_before, now: NOW }
    }

    pub fn holder(&self) -> SecretKey {
        TAG.holder(&[self.vic.n; 32])
    }

    pub fn seller(&self) -> Seller {
        Seller { node: self.vic.stall.node, tag: TAG, holder: self.holder().public() }
    }

    /// A new stream, from what is durable at the buyer.
    pub fn connect(&mut self) {
        if let Some(mut machine) = self.ann.machine.take() {
            machine.let_go(&mut self.ann.wallet);
        }
        (self.to_buyer, self.to_vendor) = (VecDeque::new(), VecDeque::new());
        self.vic.machine = FairVendor::new(self.town.shop());
        (self.vic.over, self.ann.stopped) = (false, None);
        let purchase = Purchase {
            terms: self.goods.terms.clone(),
            span: self.goods.all(),
            chain: self.ann.chain,
            seller: self.seller(),
            opened_before: self.opened_before,
        };
        let before = self.ann.deal.clone().map(|deal| Before {
            opened: self.ann.stored.len() as u64,
            kept: self.ann.kept_of(&deal.hash(&self.town.network)),
            deal,
        });
        self.ann.machine = Some(FairBuyer::new(self.town.network, purchase, before));
        self.buyer(fair_buyer::Input::Begin, None);
    }

    /// One step of the buyer; it may crash when so many of what it wants done is done.
    pub fn buyer(&mut self, input: fair_buyer::Input, crash: Option<usize>) {
        let Some(machine) = &mut self.ann.machine else { return };
        let mut out = Vec::new();
        machine.handle(self.now, input, &mut self.ann.wallet, &mut out);
        for output in out.into_iter().take(crash.unwrap_or(usize::MAX)) {
            if let Some(message) = self.ann.carry_out(output) {
                self.to_vendor.push_back(message);
            }
        }
        if crash.is_some() {
            self.buyer_crashes();
        }
    }

    pub fn buyer_crashes(&mut self) {
        let mut wallet = self.town.wallet();
        for (id, row) in &self.ann.rows {
            let indices = self.ann.indices.get(id).into_iter().flatten().map(|(j, index)| (*j, *index));
            wallet.load(decode(row).expect("stored"), &indices.collect::<Vec<_>>()).expect("it holds");
        }
        self.ann.wallet = wallet;
        self.ann.machine = None;
        (self.to_buyer, self.to_vendor) = (VecDeque::new(), VecDeque::new());
    }

    /// One step of the vendor.
    pub fn vendor(&mut self, input: Input, crash: Option<usize>) {
        let mut out = Vec::new();
        self.vic.machine.handle(self.now, input, &mut self.vic.stall.till, &mut out);
        for output in out.into_iter().take(crash.unwrap_or(usize::MAX)) {
            self.carry_out(output);
        }
        if crash.is_some() {
            self.vendor_crashes();
        }
    }

    pub fn carry_out(&mut self, output: vendor::Output) {
        match output {
            vendor::Output::Persist { changes, .. } => self.vic.store(&changes),
            vendor::Output::Send(message) => self.to_buyer.push_back(Said::Message(message)),
            vendor::Output::SendUnit(b) => {
                let packing = self.vic.machine.packing(b).expect("of the deal");
                let proof = self.goods.tree.proof(self.goods.units, b).expect("a unit");
                let (unit, bytes) = packing
                    .pack(self.goods.unit(b), self.goods.leaves(b), proof)
                    .expect("the content is what was listed");
                self.to_buyer.push_back(Said::Unit(Box::new(unit), bytes));
            }
            vendor::Output::Certify { chain, .. } if self.certifies => {
                let showing = self.vic.stall.till.showing(&chain);
                for object in showing.map(|showing| showing.want).unwrap_or_default() {
                    let certificate = certify(&self.town, chain, object);
                    let changes = self.vic.stall.till.certified(&chain, &certificate);
                    self.vic.store(&changes);
                    self.vendor(Input::Certified(chain, certificate), None);
                }
            }
            vendor::Output::Finished => self.vic.over = true,
            vendor::Output::Certify { .. } | vendor::Output::Evidence(_) => {}
            vendor::Output::AskPrevious { .. } => panic!("no chain is handed over in fair mode"),
        }
    }

    pub fn vendor_crashes(&mut self) {
        let broker = self.town.broker.public();
        let mut till = Till::new(self.town.network, [self.vic.n; 32], key(self.vic.n + 1).public());
        for row in self.vic.deals.values() {
            till.load_deal(decode(row).expect("stored")).expect("it holds");
        }
        for row in self.vic.segments.values() {
            till.load(decode(row).expect("stored")).expect("it holds");
        }
        for row in self.vic.lines.values() {
            till.load_line(decode(row).expect("stored"), &broker).expect("it holds");
        }
        self.vic.stall.till = till;
        self.vic.over = true;
        (self.to_buyer, self.to_vendor) = (VecDeque::new(), VecDeque::new());
    }

    pub fn vendor_hears(&mut self, message: ToVendor, crash: Option<usize>) {
        let input = match &message {
            ToVendor::AskDeal { .. } => Input::Ordered(Box::new(message), self.goods.offer()),
            _ => Input::Heard(Box::new(message)),
        };
        self.vendor(input, crash);
    }

    pub fn buyer_hears(&mut self, said: Said, crash: Option<usize>) {
        let input = match said {
            Said::Message(message) => fair_buyer::Input::Heard(message),
            Said::Unit(unit, bytes) => fair_buyer::Input::Unit(unit, bytes),
        };
        self.buyer(input, crash);
    }

    /// Lets both do what they can until nothing is on the line; the vendor's words go through `cheat`, the buyer's through
    /// `lie`.
    pub fn run(&mut self, mut cheat: Cheat<'_>, mut lie: impl FnMut(ToVendor) -> Option<ToVendor>) {
        for _ in 0..10_000 {
            if self.to_vendor.is_empty() && self.to_buyer.is_empty() {
                return;
            }
            self.round_trips += usize::from(!self.to_vendor.is_empty());
            for message in std::mem::take(&mut self.to_vendor).into_iter().filter_map(&mut lie) {
                self.vendor_hears(message, None);
            }
            let mut said = usize::MAX;
            while said != self.to_buyer.len() {
                said = self.to_buyer.len();
                self.vendor(Input::Ready, None);
            }
            for said in std::mem::take(&mut self.to_buyer) {
                for said in cheat(said, self) {
                    self.buyer_hears(said, None);
                }
            }
        }
        panic!("the sale does not end");
    }

    pub fn honestly(&mut self) {
        self.run(Box::new(|said, _| vec![said]), Some);
    }

    pub fn cheated(goods: Goods, cheat: Cheat<'_>) -> Self {
        let mut scene = Self::new(goods);
        scene.connect();
        scene.run(cheat, Some);
        scene
    }

    /// Time passes until the buyer has no patience any more.
    pub fn patience_ends(&mut self) {
        self.now = self.ann.timer.expect("it waits for something");
        self.buyer(fair_buyer::Input::TimedOut, None);
    }

    pub fn released(&self) -> u32 {
        let leases = self.ann.wallet.chain(&self.ann.chain).expect("kept").leases();
        leases.map(|(_, lease)| lease.released.0 - lease.open.start.0).sum()
    }

    /// What the vendor can claim, each claim with a key that the broker takes.
    pub fn claimable(&self) -> u32 {
        let rows = self.vic.segments.values().map(|row| decode(row).expect("stored"));
        let rows: Vec<_> = rows.map(|row| (row, self.vic.stall.till.salt(&TAG))).collect();
        let account = key(self.vic.n + 1);
        let Some((BankRequest::Redeem { claims, .. }, _)) =
            redeem::request(&self.town.network, &account, &rows)
        else {
            return 0;
        };
        let claims = claims.0.into_vec().into_iter().map(|claim| {
            let open = claim.open.claim().expect("an Open");
            let end = claim.close.claim().expect("a Close").end.since(open.start).expect("in the lease");
            let terms = open.fair.clone().expect("in fair mode");
            let step = netpay_core::coin::key::KeyStep::of(open.chain, open.j, &open.holder);
            let key = claim.key.expect("a claim in fair mode shows a key");
            assert_eq!(step.walk_down(end, &key, end), terms.key_root);
            end.0
        });
        claims.sum()
    }

    /// The buyer has all, the vendor is paid all, and nothing twice.
    pub fn is_whole(&self) {
        assert!(self.ann.finished, "{:?}", self.ann.stopped);
        self.has_its_units(self.goods.units.count());
        assert_eq!(u64::from(self.claimable()), self.goods.terms.price.0.max(1));
        assert_eq!(self.released(), self.claimable());
    }

    pub fn has_its_units(&self, count: u64) {
        assert_eq!(self.ann.stored.len() as u64, count);
        assert!(self.ann.stored.iter().all(|(b, bytes)| *bytes == self.goods.unit(*b)));
    }

    pub fn deal(&self) -> Signed<Deal> {
        let deal = self.ann.deal.clone().expect("there is a deal");
        deal.verify(&self.town.network, &self.holder().public()).expect("the vendor's word")
    }
}

impl Ann {
    pub fn kept_of(&self, deal: &ObjectHash) -> Vec<Arc<KeptUnit>> {
        let of = |((hash, b), _): &(&(ObjectHash, u64), &Arc<KeptUnit>)| {
            hash == deal && !self.stored.contains_key(b)
        };
        self.kept.iter().filter(of).map(|(_, kept)| Arc::clone(kept)).collect()
    }

    pub fn carry_out(&mut self, output: fair_buyer::Output) -> Option<ToVendor> {
        match output {
            fair_buyer::Output::KeepDeal(deal) => self.deal = Some(*deal),
            fair_buyer::Output::Keep(kept) => {
                let deal = self.deal.as_ref().expect("kept before").claim().expect("a deal");
                let hash = self.deal.as_ref().expect("kept before").hash(&Town::new().network);
                assert!(kept.unit.unit >= deal.first);
                self.kept.insert((hash, kept.unit.unit), kept);
            }
            fair_buyer::Output::Persist(changes) => changes.iter().for_each(|change| self.persist(change)),
            fair_buyer::Output::Send(message) => return Some(*message),
            fair_buyer::Output::Opened { unit, bytes } => {
                assert!(self.kept.keys().any(|(_, b)| *b == unit), "it was kept before it was paid");
                assert!(self.stored.insert(unit, bytes).is_none(), "opened twice");
            }
            fair_buyer::Output::SetTimer(at) => self.timer = Some(at),
            fair_buyer::Output::Junk(junk) => self.junk.push(*junk),
            fair_buyer::Output::Stopped(stop) => self.stopped = Some(stop),
            fair_buyer::Output::Finished => self.finished = true,
        }
        None
    }

    pub fn persist(&mut self, change: &WalletChange) {
        match change {
            WalletChange::Chain(id) => {
                self.rows.insert(*id, encode(&self.wallet.row(id).expect("it can be stored")));
            }
            WalletChange::Index(id, j) => {
                let index = self.wallet.released(id, *j).expect("paid in");
                self.indices.entry(*id).or_default().insert(*j, index);
            }
        }
    }
}

impl Vic {
    pub fn store(&mut self, changes: &[TillChange]) {
        let till = &self.stall.till;
        for change in changes {
            match change {
                TillChange::Segment(chain, j) => {
                    self.segments.insert((*chain, *j), encode(&till.row(chain, *j).expect("held")));
                }
                TillChange::Line(chain) => {
                    let row = till.line_row(chain).map(|row| encode(&row));
                    row.map(|row| self.lines.insert(*chain, row));
                }
                TillChange::Deal(hash) => match till.deal_row(hash) {
                    Some(row) => drop(self.deals.insert(*hash, encode(&row))),
                    None => drop(self.deals.remove(hash)),
                },
                TillChange::Tab(_) => panic!("fair mode is on no tab"),
            }
        }
    }
}

pub fn message(said: ToBuyer) -> Said {
    Said::Message(Box::new(said))
}

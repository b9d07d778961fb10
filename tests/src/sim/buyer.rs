//! A buyer: its wallet and its purchases, one after the other, driven as the node drives them (`buy/`); and the ways
//! not to.

use super::bank::Bank;
use super::dice::Dice;
use super::disk::Disk;
use super::errands::Errands;
use super::oracle::Oracle;
use super::rounds::{Rounds, WITNESS_TIMEOUT};
use super::scene::{Actor, Alarm, Message, Put, Scene, StreamNo};
use super::town::{PeerNo, Town};
use super::vendor::VendorPeer;
use netpay_core::amount::{Coins, Index};
use netpay_core::codec::{List, decode, encode};
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::content::units::{GROUP, Units};
use netpay_core::id::{ChainId, ContentRoot};
use netpay_core::record::chain::{ChainRecord, MAX_UNCERTIFIED};
use netpay_core::session::buyer::{Buyer, Input, Output, Purchase};
use netpay_core::session::certify::Step;
use netpay_core::wallet::{Wallet, WalletChange};
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::record::RecordReply;
use netpay_core::wire::trade::{Funding, Span, TabId, Terms, ToBuyer, ToVendor};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How long a buyer waits before it tries again, by how often it got nowhere; after the last it takes up its next
/// purchase, and comes back to this one. As in the node, in milliseconds.
const PATIENCE: [u64; 6] = [50, 250, 1_000, 3_000, 6_000, 10_000];
/// A visit in which nothing is heard for so long is over.
const STALL: u64 = 15_000;
/// Between two purchases.
const THINKS: (u64, u64) = (200, 4_000);
/// With so many uncertified segments a chain is certified after a sale, so much later, and with so many before one.
const LONG: usize = MAX_UNCERTIFIED - 2;
const SHORTENS_AFTER: u64 = 800;
const TOO_LONG: usize = MAX_UNCERTIFIED - 1;
/// Purchases of an honest buyer, each at another vendor; what they cost, and of how many units.
const PURCHASES: usize = 3;
const PRICES: (u64, u64) = (3, 40);
const UNITS: (u64, u64) = (3, 12);
/// What a double spender is after, at two vendors at once.
const TREASURE: (u64, u64) = (60, 60);
/// A buyer that splits a committee puts its Opens there so long before a vendor sees them.
const SPLITS_BEFORE: u64 = 500;
/// Fresh tags in a hello.
const TAGS: usize = 2;
/// Payments that one who replays them remembers.
const MAX_REPLAYED: usize = 32;

/// How a buyer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// As it should.
    Honest,
    /// It copied its wallet, and spends both copies at once: every segment is opened twice.
    Copies,
    /// The same, and each copy has shown its Opens to its own half of the committee before.
    Splits,
    /// It sends every payment twice, and those of one vendor to the next.
    Replays,
}

/// One purchase, as it is stored.
#[derive(Clone, Debug)]
struct Deal {
    vendor: usize,
    tab: TabId,
    price: Coins,
    units: Units,
    keep_open: bool,
    have: BTreeSet<u64>,
    paid: Coins,
    ended: bool,
    /// When it was first ordered, and when it ended.
    began_at: Option<u64>,
    ended_at: Option<u64>,
}

impl Deal {
    fn cost(&self, unit: u64) -> Coins {
        self.units.price_of(self.price, unit).unwrap_or_default()
    }

    fn is_complete(&self) -> bool {
        self.have.len() as u64 == self.units.count()
    }
}

/// One call on a vendor.
struct Visit {
    stream: StreamNo,
    machine: Buyer,
    heard_at: u64,
    said: u64,
    /// What was there when it began.
    had: usize,
    finishing: bool,
}

/// What is durable.
#[derive(Default)]
struct Stored {
    chains: BTreeMap<ChainId, Vec<u8>>,
    indices: BTreeMap<ChainId, BTreeMap<SegmentNo, Index>>,
    deals: Vec<Deal>,
}

/// A row as it is to be stored.
enum Row {
    Chain(ChainId, Vec<u8>),
    Index(ChainId, SegmentNo, Index),
    Deal(usize, Deal),
}

/// One buyer, or one of the two hands of one that copied its wallet.
pub struct BuyerPeer {
    /// Which peer it is.
    pub peer: PeerNo,
    /// How it behaves.
    pub habit: Habit,
    at: usize,
    /// Which half of the committees is its own.
    hand: usize,
    secret: [u8; 32],
    wallet: Wallet,
    stored: Stored,
    /// What is being written, and what a machine put out with it on a stream.
    disk: Disk<Vec<Row>, (StreamNo, Vec<Output>)>,
    deals: Vec<Deal>,
    current: usize,
    attempt: usize,
    shortened: bool,
    visit: Option<Visit>,
    rounds: Rounds,
    errands: Errands,
    /// Payments made before, to be sent to whoever comes next.
    replay: Vec<(ChainId, Pay)>,
    /// The last number given to a round or stream; a crash does not make them come again.
    number: u64,
}

impl BuyerPeer {
    /// Adds the buyer at a peer to those there are: one, or two hands of one.
    pub fn add(peer: PeerNo, town: &Town, dice: &mut Dice, buyers: &mut Vec<Self>) {
        let bad = [Habit::Copies, Habit::Splits, Habit::Splits, Habit::Replays];
        let habit = match town.peers[peer].honest {
            true => Habit::Honest,
            false => dice.one_of(&bad).unwrap_or(Habit::Copies),
        };
        let secret: [u8; 32] = dice.bytes();
        let vendors: Vec<usize> = (0..town.vendors.len()).collect();
        let hands = if matches!(habit, Habit::Copies | Habit::Splits) { 2 } else { 1 };
        let vendors = dice.draw(vendors, if hands == 2 { hands } else { PURCHASES });
        for hand in 0..hands {
            let own = if hands == 2 { vendors.get(hand..=hand) } else { vendors.get(..) };
            let deals =
                own.unwrap_or_default().iter().map(|vendor| deal(*vendor, hands == 2, dice)).collect();
            buyers.push(Self::new((peer, habit, buyers.len(), hand), secret, town, deals));
        }
    }

    fn new(
        (peer, habit, at, hand): (PeerNo, Habit, usize, usize),
        secret: [u8; 32],
        town: &Town,
        deals: Vec<Deal>,
    ) -> Self {
        let mut wallet = Wallet::new(town.network, town.broker, secret);
        let mut stored = Stored { deals: deals.clone(), ..Stored::default() };
        for (id, sold) in town.chains_of(peer) {
            let seed = netpay_core::coin::chain::Seed(sold.seed.0);
            wallet.add(sold.touchstone.wire(), seed, sold.key.clone()).expect("it was sold like this");
            stored.chains.insert(*id, encode(&wallet.row(id).expect("it was just added")));
        }
        Self {
            peer,
            habit,
            at,
            hand,
            secret,
            wallet,
            stored,
            disk: Disk::default(),
            deals,
            current: 0,
            attempt: 0,
            shortened: false,
            visit: None,
            rounds: Rounds::default(),
            errands: Errands::default(),
            replay: Vec::new(),
            number: 0,
        }
    }

    /// It is up again, with what was durable.
    pub fn restart(&mut self, scene: &mut Scene<'_>) {
        let mut wallet = Wallet::new(scene.town.network, scene.town.broker, self.secret);
        for (id, row) in &self.stored.chains {
            let indices = self.stored.indices.get(id).into_iter().flatten();
            let indices: Vec<_> = indices.map(|(j, index)| (*j, *index)).collect();
            wallet.load(decode(row).expect("a row of its own"), &indices).expect("it holds");
        }
        self.wallet = wallet;
        self.deals = self.stored.deals.clone();
        self.disk = Disk::default();
        self.visit = None;
        self.rounds = Rounds::default();
        self.errands = Errands::default();
        (self.attempt, self.shortened) = (0, false);
        scene.wake(Alarm::Visit, PATIENCE[0]);
    }

    /// A message has come.
    pub fn hear(&mut self, from: Actor, message: Message, scene: &mut Scene<'_>) {
        match message {
            Message::ToBuyer(stream, said) => self.hear_vendor(stream, *said, scene),
            Message::Broken(stream) if self.is_at(stream) => self.leave(scene),
            Message::Answer(number, reply) => self.answer(number, from, *reply, scene),
            Message::Told(number, _) => drop(self.errands.told(number)),
            _ => {}
        }
    }

    /// It is time for something. What `vendors` say to a tag is what a hello would bring.
    pub fn wake(&mut self, alarm: Alarm, vendors: &[VendorPeer], scene: &mut Scene<'_>) {
        match alarm {
            Alarm::Visit => self.begin(vendors, scene),
            Alarm::Idle(stream) => {
                let Some(visit) = self.visit.as_ref().filter(|visit| visit.stream == stream) else { return };
                if visit.heard_at + STALL <= scene.now {
                    self.leave(scene);
                } else {
                    scene.wake(alarm, visit.heard_at + STALL - scene.now);
                }
            }
            Alarm::Shorten => {
                self.shorten(LONG, scene);
            }
            Alarm::Round(number) => drop(self.rounds.end(number)),
            Alarm::Written => {
                if let Some((rows, (stream, out))) = self.disk.written() {
                    self.stored.keep(rows);
                    self.act(stream, out, scene);
                }
            }
            Alarm::Bank => {
                self.number += 1;
                self.errands.begin(self.number, Bank::query(self.peer, scene), scene);
            }
            Alarm::Errand(number) => self.errands.again(number, scene),
            _ => {}
        }
    }

    /// Calls on the vendor of the next purchase that has not ended.
    fn begin(&mut self, vendors: &[VendorPeer], scene: &mut Scene<'_>) {
        if self.visit.is_some() {
            return;
        }
        let after = (0..self.deals.len()).map(|step| (self.current + step) % self.deals.len().max(1));
        let Some(next) = after.into_iter().find(|at| !self.deals[*at].ended) else { return };
        self.current = next;
        if !std::mem::replace(&mut self.shortened, true) && self.shorten(TOO_LONG, scene) {
            scene.wake(Alarm::Visit, WITNESS_TIMEOUT);
            return;
        }
        self.shortened = false;
        let deal = &mut self.deals[next];
        deal.began_at.get_or_insert(scene.now);
        let missing = (0..deal.units.count()).find(|unit| !deal.have.contains(unit));
        // With every unit here it comes back only to settle, and to pay.
        let span = missing
            .map_or(Span { first: 0, count: 0 }, |first| Span { first, count: deal.units.count() - first });
        let terms = Terms {
            root: ContentRoot([1; 32]),
            size: deal.units.size(),
            price: deal.price,
            unit_log: deal.units.log(),
        };
        let purchase = Purchase {
            tab: deal.tab,
            terms,
            span,
            paid: deal.paid,
            owed: Coins(deal.have.iter().map(|unit| deal.cost(*unit).0).sum()),
            ahead: deal.cost(span.first),
            expected: deal.price,
        };
        let vendor = &vendors[deal.vendor];
        let fresh = (0..TAGS).map(|_| vendor.seller(scene.town, HolderTag(scene.dice.bytes()))).collect();
        let machine = Buyer::new(purchase, scene.town.peers[vendor.peer].node, fresh);
        self.number += 1;
        let stream = StreamNo((self.at as u64) << 32 | self.number);
        let had = deal.have.len();
        self.visit = Some(Visit { stream, machine, heard_at: scene.now, said: 0, had, finishing: false });
        scene.wake(Alarm::Idle(stream), STALL);
        self.step(vec![Input::Begin], scene);
    }

    fn is_at(&self, stream: StreamNo) -> bool {
        self.visit.as_ref().is_some_and(|visit| visit.stream == stream)
    }

    fn hear_vendor(&mut self, stream: StreamNo, said: ToBuyer, scene: &mut Scene<'_>) {
        let Some(visit) = self.visit.as_mut().filter(|visit| visit.stream == stream) else { return };
        visit.heard_at = scene.now;
        let deal = &mut self.deals[self.current];
        let input = match said {
            ToBuyer::Unit { unit, .. } => {
                if !deal.have.insert(unit) {
                    return;
                }
                Input::Verified(deal.cost(unit))
            }
            other => Input::Heard(Box::new(other)),
        };
        self.step(vec![input], scene);
    }

    fn step(&mut self, inputs: Vec<Input>, scene: &mut Scene<'_>) {
        let Some(visit) = &mut self.visit else { return };
        let mut out = Vec::new();
        for input in inputs.into_iter().chain([Input::Settle]) {
            visit.machine.handle(scene.moment(), input, &mut self.wallet, &mut out);
        }
        let deal = &self.deals[self.current];
        if deal.is_complete() && !std::mem::replace(&mut visit.finishing, true) {
            let input = Input::Finish { keep_open: deal.keep_open };
            visit.machine.handle(scene.moment(), input, &mut self.wallet, &mut out);
        }
        self.carry_out(out, scene);
    }

    /// What a step makes durable is one commit, with the units that came, before anything is said. The peer may crash
    /// before it, and between any two outputs.
    fn carry_out(&mut self, out: Vec<Output>, scene: &mut Scene<'_>) {
        let Some(stream) = self.visit.as_ref().map(|visit| visit.stream) else { return };
        if scene.crashes() {
            return;
        }
        let mut rows = Vec::new();
        for output in &out {
            if let Output::Persist { changes, paid } = output {
                self.deals[self.current].paid = *paid;
                rows.extend(self.rows(changes));
            }
        }
        // The units that came are on the disk as they came; only what is said with them waits.
        let is_durable = rows.is_empty() && self.disk.is_idle();
        rows.push(Row::Deal(self.current, self.deals[self.current].clone()));
        if is_durable {
            self.stored.keep(rows);
            self.act(stream, out, scene);
        } else {
            self.disk.write(rows, (stream, out), scene.town.peers[self.peer].disk, scene);
        }
    }

    /// Does what a machine wanted done, as far as its stream is still there.
    fn act(&mut self, stream: StreamNo, out: Vec<Output>, scene: &mut Scene<'_>) {
        for output in out {
            if scene.crashes() || !self.is_at(stream) {
                return;
            }
            match output {
                Output::Persist { .. } => {}
                Output::Send(said) => self.say(*said, scene),
                Output::Finished => {
                    let deal = &mut self.deals[self.current];
                    deal.ended = deal.is_complete();
                    deal.ended_at = deal.ended.then_some(scene.now);
                    self.stored.deals[self.current] = self.deals[self.current].clone();
                    self.leave(scene);
                }
                Output::Refused(_) | Output::OutOfCoins => self.leave(scene),
            }
        }
    }

    fn say(&mut self, said: ToVendor, scene: &mut Scene<'_>) {
        let Some(visit) = &mut self.visit else { return };
        let (stream, first) = (visit.stream, visit.said == 0);
        visit.said += 1;
        let vendor = Actor::Vendor(self.deals[self.current].vendor);
        let mut wait = 0;
        match self.habit {
            Habit::Honest => scene.oracle.buyer_says(scene.town, &said),
            Habit::Copies => {}
            Habit::Splits => {
                if let Some(record) = shown(&said) {
                    self.put_at_own_half(record, scene);
                }
                wait = SPLITS_BEFORE;
            }
            Habit::Replays => self.replay(&said, stream, vendor, scene),
        }
        scene.send_later(vendor, Message::ToVendor { stream, first, said: Box::new(said) }, wait);
    }

    /// Shows an Open to those honest members of the committee that the other hand leaves alone.
    fn put_at_own_half(&self, record: &ChainRecord, scene: &mut Scene<'_>) {
        let put = Put { record: record.clone(), closes: List::new(), want: List::new() };
        let put = std::sync::Arc::new(put);
        for sold in scene.town.chains_of(self.peer).map(|(_, sold)| sold).collect::<Vec<_>>() {
            let honest = sold.seats.iter().filter(|peer| scene.town.peers[**peer].honest);
            for peer in honest.skip(self.hand).step_by(2) {
                scene.send(Actor::Witness(*peer), Message::Put(0, std::sync::Arc::clone(&put)));
            }
        }
    }

    /// Sends a payment again, and those made at other vendors.
    fn replay(&mut self, said: &ToVendor, stream: StreamNo, vendor: Actor, scene: &mut Scene<'_>) {
        let ToVendor::Pay { chain, pay } = said else { return };
        let again = self.replay.drain(..).chain([(*chain, pay.clone())]).collect::<Vec<_>>();
        for (chain, pay) in again {
            let said = Box::new(ToVendor::Pay { chain, pay: pay.clone() });
            scene.send(vendor, Message::ToVendor { stream, first: false, said });
            if self.replay.len() < MAX_REPLAYED {
                self.replay.push((chain, pay));
            }
        }
    }

    /// Ends the visit, and plans the next.
    fn leave(&mut self, scene: &mut Scene<'_>) {
        let Some(mut visit) = self.visit.take() else { return };
        visit.machine.let_go(&mut self.wallet);
        let deal = &self.deals[self.current];
        let wait = if deal.ended {
            self.attempt = 0;
            scene.wake(Alarm::Shorten, SHORTENS_AFTER);
            scene.dice.between(THINKS.0, THINKS.1)
        } else {
            if deal.have.len() > visit.had {
                self.attempt = 0;
            }
            let wait = PATIENCE[self.attempt];
            self.attempt += 1;
            if self.attempt == PATIENCE.len() {
                (self.attempt, self.current) = (0, (self.current + 1) % self.deals.len());
            }
            wait
        };
        scene.wake(Alarm::Visit, wait);
    }

    /// Has chains certified that show so many segments without. Returns whether there are any.
    fn shorten(&mut self, long: usize, scene: &mut Scene<'_>) -> bool {
        let chains = self.wallet.chains().filter(|(_, chain)| chain.line().uncertified() >= long);
        let puts = chains.filter_map(|(id, chain)| {
            let newest = chain.line().newest()?;
            let object = newest.close.as_ref().map_or(newest.open.hash(), |close| close.hash());
            let put = Put { record: chain.record()?, closes: List::new(), want: List::first_of([object]) };
            Some((*id, put))
        });
        let puts: Vec<_> = puts.collect();
        let any = !puts.is_empty();
        for (chain, put) in puts {
            self.number += 1;
            self.rounds.begin(self.number, chain, put, scene);
        }
        any
    }

    fn answer(&mut self, number: u64, from: Actor, reply: RecordReply, scene: &mut Scene<'_>) {
        let Some((chain, Step::Certified(certificates), _)) = self.rounds.heard(number, from, reply, scene)
        else {
            return;
        };
        let changes: Vec<WalletChange> =
            certificates.into_iter().filter_map(|one| self.wallet.certified(&chain, one)).collect();
        let rows = self.rows(&changes);
        if !rows.is_empty() && !scene.crashes() {
            let nothing = (StreamNo(0), Vec::new());
            self.disk.write(rows, nothing, scene.town.peers[self.peer].disk, scene);
        }
    }

    /// Rows as they are now.
    fn rows(&self, changes: &[WalletChange]) -> Vec<Row> {
        let row = |change: &WalletChange| match change {
            WalletChange::Chain(id) => {
                let row = self.wallet.row(id).expect("what may be opened can be stored");
                Some(Row::Chain(*id, encode(&row)))
            }
            WalletChange::Index(id, j) => {
                self.wallet.released(id, *j).map(|index| Row::Index(*id, *j, index))
            }
        };
        changes.iter().filter_map(row).collect()
    }

    /// Whether a purchase has to end: both sides are honest, and the committees can certify.
    fn must_end(&self, deal: &Deal, town: &Town) -> bool {
        let vendor = &town.peers[town.vendors[deal.vendor]];
        self.habit == Habit::Honest && vendor.honest && town.chains_of(self.peer).all(|(_, sold)| sold.sound)
    }

    /// Whether everything has ended that has to.
    pub fn has_ended(&self, town: &Town) -> bool {
        self.deals.iter().all(|deal| deal.ended || !self.must_end(deal, town))
    }

    /// Tells the oracle what has not ended, though it should have.
    pub fn is_done(&self, town: &Town, oracle: &mut Oracle) {
        for deal in self.deals.iter().filter(|deal| !deal.ended && self.must_end(deal, town)) {
            oracle.violation(format!(
                "buyer {} is not done at vendor {}: {} of {} units, {} of {}",
                self.at,
                deal.vendor,
                deal.have.len(),
                deal.units.count(),
                deal.paid,
                deal.price
            ));
        }
    }

    /// Tells the oracle how many sales there were, and whether an honest buyer paid what it got and no more.
    pub fn count(&self, town: &Town, away: &[Range<u64>], oracle: &mut Oracle) {
        for deal in &self.deals {
            let honest_both = self.habit == Habit::Honest && town.peers[town.vendors[deal.vendor]].honest;
            let unsound = honest_both && !self.must_end(deal, town);
            oracle.sale(deal.ended, unsound && !deal.ended);
            let (began, ended) = (deal.began_at.unwrap_or(u64::MAX), deal.ended_at.unwrap_or(u64::MAX));
            oracle
                .sale_without_broker(away.iter().any(|away| away.contains(&began) && away.contains(&ended)));
            let owed: u64 = deal.have.iter().map(|unit| deal.cost(*unit).0).sum();
            let ahead = (0..deal.units.count()).map(|unit| deal.cost(unit).0).max().unwrap_or(0);
            if self.habit == Habit::Honest && deal.paid.0 > owed + ahead.max(1) {
                oracle.violation(format!("buyer {} paid {} for {owed} coins' worth", self.at, deal.paid));
            }
        }
    }
}

fn deal(vendor: usize, treasure: bool, dice: &mut Dice) -> Deal {
    let (price, count) =
        if treasure { TREASURE } else { (dice.between(PRICES.0, PRICES.1), dice.between(UNITS.0, UNITS.1)) };
    // The last unit is shorter than the others.
    let units = Units::new(count * GROUP - 99, 0).expect("a possible geometry");
    Deal {
        vendor,
        tab: TabId(dice.bytes()),
        price: Coins(price),
        units,
        keep_open: dice.happens(0.6),
        have: BTreeSet::new(),
        paid: Coins::ZERO,
        ended: false,
        began_at: None,
        ended_at: None,
    }
}

impl Stored {
    fn keep(&mut self, rows: Vec<Row>) {
        for row in rows {
            match row {
                Row::Chain(id, row) => drop(self.chains.insert(id, row)),
                Row::Index(id, j, index) => {
                    self.indices.entry(id).or_default().insert(j, index);
                }
                Row::Deal(at, deal) => self.deals[at] = deal,
            }
        }
    }
}

/// The record that a message shows.
pub fn shown(said: &ToVendor) -> Option<&ChainRecord> {
    match said {
        ToVendor::Order {
            funding: Funding::Opened { record, .. } | Funding::Handover { record, .. },
            ..
        }
        | ToVendor::Open { record, .. }
        | ToVendor::AskDeal { record, .. }
        | ToVendor::OpenFair { record, .. }
        | ToVendor::Settle { record, .. } => Some(record),
        ToVendor::Order { .. } | ToVendor::Want(_) | ToVendor::Pay { .. } => None,
        ToVendor::Close | ToVendor::Done => None,
    }
}

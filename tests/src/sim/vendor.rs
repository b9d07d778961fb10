//! A vendor: its till and its sales, driven as the node drives them (`sell.rs`, `certify.rs`, `handoff.rs`,
//! `settle.rs`); and the ways not to.

use super::Settings;
use super::bank::Bank;
use super::dice::Dice;
use super::disk::Disk;
use super::errands::Errands;
use super::oracle::{How, Oracle, Stake};
use super::rounds::{Rounds, WITNESS_TIMEOUT};
use super::scene::{Actor, Alarm, Message, Put, Scene, StreamNo};
use super::town::{PeerNo, Town};
use netpay_broker::ledger::Answer;
use netpay_core::amount::{Coins, Count, Index};
use netpay_core::codec::{List, decode, encode};
use netpay_core::coin::segment::{Close, Handover, SegmentNo};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::content::units::Units;
use netpay_core::fair::policy::Fair;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::chain::{self as record, Certificate, Evidence};
use netpay_core::session::certify::Step;
use netpay_core::session::redeem;
use netpay_core::session::vendor::{Input, Offer, Output, Policy, Shop, Vendor};
use netpay_core::till::{Held, SegmentRow, Till, TillChange};
use netpay_core::wallet::Seller;
use netpay_core::wire::bank::{BankRequest, MAX_CLAIMS, Outcome};
use netpay_core::wire::handoff::HANDOFF_TIMEOUT_MS;
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::record::RecordReply;
use netpay_core::wire::reject::Reject;
use netpay_core::wire::trade::{TabId, ToBuyer, ToVendor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long certifying may be put off, when what lacks its certificate is looked for again, how long the last vendor
/// has before the record is read too, and after how long a silent sale is over: as in the node, in milliseconds.
const DEFERRAL: u64 = 800;
const SWEEP: u64 = 4_000;
const HEAD_START: u64 = 20;
const IDLE: u64 = 60_000;
/// Sales at once, and messages of one buyer that wait.
const MAX_SALES: usize = 256;
const INBOX: usize = 64;
/// Bursts of units in one step: more than the longest file here has.
const MAX_BURSTS: usize = 64;
/// After a restart the broker is asked so soon.
const BANK_SOON: u64 = 2_000;
/// A vendor that vanishes does so after so many units.
const VANISHES_AFTER: (u64, u64) = (1, 12);

/// How a vendor behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Honest,
    /// Its Closes say that the whole lease was paid.
    Overclaims,
    /// It closes nothing for anybody.
    Withholds,
    /// It is gone for good in the middle of a sale.
    Vanishes,
    /// It gives its buyers Closes at half of what it was paid, shows its own to the witnesses, and claims both.
    ClosesTwice,
}

/// One sale.
struct Sale {
    machine: Vendor,
    buyer: Actor,
    heard_at: u64,
    units: u64,
    /// While the last vendor is asked nothing else is handled.
    asking: bool,
    inbox: VecDeque<ToVendor>,
}

/// A question to the last vendor of a chain, and to its record.
struct Asking {
    stream: StreamNo,
    touchstone: Signed<Touchstone>,
    j: SegmentNo,
    vendor_says_no: bool,
    record_says_no: bool,
    answers: usize,
}

/// What is durable.
#[derive(Default)]
struct Stored {
    segments: BTreeMap<(ChainId, SegmentNo), Vec<u8>>,
    tabs: BTreeMap<TabId, Vec<u8>>,
    lines: BTreeMap<ChainId, Vec<u8>>,
}

/// A row as it is to be stored; without bytes it is deleted.
enum Row {
    Segment((ChainId, SegmentNo), Option<Vec<u8>>),
    Tab(TabId, Option<Vec<u8>>),
    Line(ChainId, Option<Vec<u8>>),
}

/// What is done once rows are durable.
enum Then {
    Nothing,
    /// What a machine put out.
    Step {
        stream: StreamNo,
        out: Vec<Output>,
        counted: Vec<(TabId, Coins)>,
    },
    /// The sales are told.
    Certified(ChainId, Certificate),
    /// A handover is answered.
    HandedOver(Actor, u64, Unverified<Close>),
}

/// One vendor.
pub struct VendorPeer {
    /// Which peer it is.
    pub peer: PeerNo,
    at: usize,
    habit: Habit,
    shop: Shop,
    secret: [u8; 32],
    till: Till,
    stored: Stored,
    disk: Disk<Vec<Row>, Then>,
    sales: BTreeMap<StreamNo, Sale>,
    asking: BTreeMap<u64, Asking>,
    due: BTreeMap<ChainId, u64>,
    rounds: Rounds,
    errands: Errands,
    /// Chains whose buyer it has reported: one proof of each is enough.
    reported: BTreeSet<ChainId>,
    /// Acks that are no certificate, of the last round of each chain.
    acks: BTreeMap<ChainId, Vec<Certificate>>,
    /// The last number given to a question or round; a crash does not make them come again.
    number: u64,
    units_left: u64,
}

impl VendorPeer {
    /// This one of the town's vendors.
    pub fn new(at: usize, town: &Town, settings: &Settings, dice: &mut Dice) -> Self {
        let peer = town.vendors[at];
        let bad = [Habit::Overclaims, Habit::Withholds, Habit::Vanishes, Habit::ClosesTwice];
        let habit = match town.peers[peer].honest {
            true => Habit::Honest,
            false => dice.one_of(&bad).unwrap_or(Habit::Vanishes),
        };
        let policy = Policy { per_chain: Coins(settings.vendors_risk), ..Policy::default() };
        let shop = Shop { network: town.network, broker: town.broker, policy, fair: Fair::Never };
        let secret = dice.bytes();
        Self {
            peer,
            at,
            habit,
            shop,
            secret,
            till: Till::new(town.network, secret, Bank::account(peer).public()),
            stored: Stored::default(),
            disk: Disk::default(),
            sales: BTreeMap::new(),
            asking: BTreeMap::new(),
            due: BTreeMap::new(),
            rounds: Rounds::default(),
            errands: Errands::default(),
            reported: BTreeSet::new(),
            acks: BTreeMap::new(),
            number: 0,
            units_left: dice.between(VANISHES_AFTER.0, VANISHES_AFTER.1),
        }
    }

    /// Whether it keeps to the rules.
    pub fn is_honest(&self) -> bool {
        self.habit == Habit::Honest
    }

    /// Its answer to a tag, as a hello brings it.
    pub fn seller(&self, town: &Town, tag: HolderTag) -> Seller {
        Seller { node: town.peers[self.peer].node, tag, holder: self.till.holder(&tag) }
    }

    /// It is up again, with what was durable.
    pub fn restart(&mut self, scene: &mut Scene<'_>) {
        let mut till = Till::new(self.shop.network, self.secret, Bank::account(self.peer).public());
        for row in self.stored.segments.values() {
            till.load(decode::<SegmentRow>(row).expect("a row of its own")).expect("it holds");
        }
        for row in self.stored.lines.values() {
            till.load_line(decode(row).expect("a row of its own"), &self.shop.broker).expect("it holds");
        }
        for (tab, row) in &self.stored.tabs {
            till.load_tab(*tab, decode(row).expect("a row of its own"));
        }
        self.till = till;
        self.disk = Disk::default();
        self.sales.clear();
        self.asking.clear();
        self.due.clear();
        self.acks.clear();
        self.rounds = Rounds::default();
        self.errands = Errands::default();
        self.reported.clear();
        scene.wake(Alarm::Sweep, 0);
        scene.wake(Alarm::Bank, BANK_SOON);
    }

    /// A message has come.
    pub fn hear(&mut self, from: Actor, message: Message, scene: &mut Scene<'_>) {
        match message {
            Message::ToVendor { stream, first, said } => self.hear_buyer(from, stream, first, *said, scene),
            Message::Broken(stream) => drop(self.sales.remove(&stream)),
            Message::HandOver(number, handover) => self.hand_over(from, number, handover, scene),
            Message::HandedOver(number, close) => self.handed_over(number, close, scene),
            Message::Answer(number, reply) => self.answer(number, from, *reply, scene),
            Message::Told(number, answer) => self.told(number, *answer, scene),
            _ => {}
        }
    }

    /// It is time for something.
    pub fn wake(&mut self, alarm: Alarm, scene: &mut Scene<'_>) {
        match alarm {
            Alarm::Idle(stream) => {
                let Some(sale) = self.sales.get(&stream) else { return };
                if sale.heard_at + IDLE <= scene.now {
                    self.sales.remove(&stream);
                } else {
                    scene.wake(alarm, sale.heard_at + IDLE - scene.now);
                }
            }
            Alarm::Certify(chain) => {
                if self.due.get(&chain).is_some_and(|at| *at <= scene.now) {
                    self.due.remove(&chain);
                    self.certify(chain, scene);
                }
            }
            Alarm::Sweep => {
                for chain in self.till.uncertified_chains() {
                    self.want(chain, SWEEP, scene);
                }
                scene.wake(Alarm::Sweep, SWEEP);
            }
            Alarm::Round(number) => {
                if let Some((chain, acks)) = self.rounds.end(number) {
                    self.acks.insert(chain, acks);
                }
            }
            Alarm::ReadRecord(number) => {
                let Some(asking) = self.asking.get(&number) else { return };
                let chain = netpay_core::coin::touchstone::chain_id(&asking.touchstone);
                let seats = scene.town.chains.get(&chain).map_or(&[][..], |sold| &sold.seats);
                seats.iter().for_each(|peer| scene.send(Actor::Witness(*peer), Message::Get(number, chain)));
            }
            Alarm::HandoffOver(number) => self.handed_over(number, None, scene),
            Alarm::ReadOver(number) => self.record_says_no(number, scene),
            Alarm::Written => {
                if let Some((rows, then)) = self.disk.written() {
                    self.stored.keep(rows);
                    self.go_on(then, scene);
                }
            }
            Alarm::Bank => self.ask_bank(scene),
            Alarm::Errand(number) => self.errands.again(number, scene),
            Alarm::Visit | Alarm::Shorten => {}
        }
    }

    fn hear_buyer(
        &mut self,
        from: Actor,
        stream: StreamNo,
        first: bool,
        said: ToVendor,
        scene: &mut Scene<'_>,
    ) {
        if first && self.sales.len() < MAX_SALES {
            let machine = Vendor::new(self.shop);
            let (heard_at, inbox) = (scene.now, VecDeque::new());
            let sale = Sale { machine, buyer: from, heard_at, units: 0, asking: false, inbox };
            self.sales.insert(stream, sale);
            scene.wake(Alarm::Idle(stream), IDLE);
        }
        let Some(sale) = self.sales.get_mut(&stream) else { return };
        if self.habit == Habit::Honest {
            scene.oracle.vendor_hears(scene.now, scene.town, &said);
        }
        sale.heard_at = scene.now;
        if sale.asking {
            if sale.inbox.len() < INBOX {
                sale.inbox.push_back(said);
            }
            return;
        }
        let input = sale.input(said);
        self.step(stream, vec![input], scene);
    }

    /// Gives the machine its inputs, and then as many chances to send units as it takes.
    fn step(&mut self, stream: StreamNo, inputs: Vec<Input>, scene: &mut Scene<'_>) {
        let Some(sale) = self.sales.get_mut(&stream) else { return };
        let mut out = Vec::new();
        for input in inputs {
            sale.machine.handle(scene.moment(), input, &mut self.till, &mut out);
        }
        self.carry_out(stream, out, scene);
        for _ in 0..MAX_BURSTS {
            let Some(sale) = self.sales.get_mut(&stream).filter(|sale| !sale.asking) else { return };
            let mut out = Vec::new();
            sale.machine.handle(scene.moment(), Input::Ready, &mut self.till, &mut out);
            if out.is_empty() || scene.crashed {
                return;
            }
            self.carry_out(stream, out, scene);
        }
    }

    /// What a step makes durable is one commit, before anything is said. The peer may crash before it, and between
    /// any two outputs.
    fn carry_out(&mut self, stream: StreamNo, out: Vec<Output>, scene: &mut Scene<'_>) {
        if out.is_empty() || scene.crashes() {
            return;
        }
        let (mut rows, mut all) = (Vec::new(), Vec::new());
        for output in &out {
            match (output, self.sales.get(&stream)) {
                (Output::Persist { changes, counted }, _) => {
                    rows.extend(self.rows(changes));
                    all.extend(*counted);
                }
                (Output::SendUnit(unit), Some(sale)) if self.habit == Habit::Honest => {
                    let is_last = unit + 1 == sale.units;
                    let books = (&sale.machine, &self.till);
                    scene.oracle.unit_leaves(scene.now, self.at, books, *unit, is_last);
                }
                _ => {}
            }
        }
        self.after(rows, Then::Step { stream, out, counted: all }, scene);
    }

    /// Does something once rows are durable, and all that was written before.
    fn after(&mut self, rows: Vec<Row>, then: Then, scene: &mut Scene<'_>) {
        if rows.is_empty() && self.disk.is_idle() {
            self.go_on(then, scene);
        } else {
            let takes = if rows.is_empty() { (0, 1) } else { scene.town.peers[self.peer].disk };
            self.disk.write(rows, then, takes, scene);
        }
    }

    fn go_on(&mut self, then: Then, scene: &mut Scene<'_>) {
        match then {
            Then::Nothing => {}
            Then::Certified(chain, certificate) => {
                self.tell_sales(&Input::Certified(chain, certificate), scene);
            }
            Then::HandedOver(to, number, close) => {
                if !scene.crashes() {
                    scene.send(to, Message::HandedOver(number, Some(close)));
                }
            }
            Then::Step { stream, out, counted } => {
                counted.iter().for_each(|(tab, paid)| self.till.durable(tab, *paid));
                self.act(stream, out, scene);
                // What was counted may open the way for units.
                if !counted.is_empty() && !scene.crashed {
                    self.step(stream, Vec::new(), scene);
                }
            }
        }
    }

    fn act(&mut self, stream: StreamNo, out: Vec<Output>, scene: &mut Scene<'_>) {
        for output in out {
            if scene.crashes() {
                return;
            }
            match output {
                Output::Persist { .. } => {}
                Output::Send(said) => self.say(stream, *said, scene),
                Output::SendUnit(unit) => self.send_unit(stream, unit, scene),
                Output::AskPrevious { from, handover, touchstone } => {
                    self.ask_previous(stream, from, handover, *touchstone, scene);
                }
                Output::Certify { chain, urgent } => {
                    self.want(chain, if urgent { 0 } else { DEFERRAL }, scene);
                }
                Output::Evidence(evidence) => {
                    if let Evidence::TwoOpens { touchstone, .. } = &*evidence {
                        let chain = ChainId::of(touchstone.hash(&scene.town.network));
                        self.reports(chain, *evidence, scene);
                    }
                }
                Output::Finished => drop(self.sales.remove(&stream)),
            }
        }
    }

    fn say(&self, stream: StreamNo, mut said: ToBuyer, scene: &mut Scene<'_>) {
        if let ToBuyer::Receipt(closes) = &mut said {
            match self.habit {
                Habit::Withholds => return,
                Habit::Overclaims => {
                    let all = std::mem::take(closes).into_vec();
                    *closes =
                        List::first_of(all.into_iter().map(|close| self.above(&close).unwrap_or(close)));
                }
                Habit::ClosesTwice => {
                    let all = std::mem::take(closes).into_vec();
                    *closes =
                        List::first_of(all.into_iter().map(|close| self.below(&close).unwrap_or(close)));
                }
                Habit::Honest | Habit::Vanishes => {}
            }
        }
        if let Some(sale) = self.sales.get(&stream) {
            scene.send(sale.buyer, Message::ToBuyer(stream, Box::new(said)));
        }
    }

    fn send_unit(&mut self, stream: StreamNo, unit: u64, scene: &mut Scene<'_>) {
        let Some(sale) = self.sales.get(&stream) else { return };
        if self.habit == Habit::Vanishes {
            self.units_left = self.units_left.saturating_sub(1);
            if self.units_left == 0 {
                scene.vanish();
                return;
            }
        }
        let said = ToBuyer::Unit { unit, len: 0, proof: List::new() };
        scene.send(sale.buyer, Message::ToBuyer(stream, Box::new(said)));
    }

    /// The same Close, as it would be had the whole lease been paid.
    fn above(&self, close: &Unverified<Close>) -> Option<Unverified<Close>> {
        self.other(close, |close, held| Close { end: held.open().cap.as_index(), ..close })
    }

    /// The Close as it would be, coin and release too, had half of that been paid.
    fn below(&self, close: &Unverified<Close>) -> Option<Unverified<Close>> {
        self.other(close, |close, held| {
            let (open, paid) = (held.open(), close.end.0 - held.open().start.0);
            let waived = paid - paid / 2;
            Close {
                end: Index(close.end.0 - waived),
                coin: close.coin.walk_down(waived),
                release: open.release_key().walk_down(Count(paid), &close.release, Count(waived)),
                ..close
            }
        })
    }

    fn other(
        &self,
        close: &Unverified<Close>,
        change: impl Fn(Close, &Held) -> Close,
    ) -> Option<Unverified<Close>> {
        let close = close.claim().ok()?;
        let held = self.till.held(&close.chain, close.j)?;
        let close = change(close, held);
        Some(held.tag().holder(&self.secret).sign(&self.shop.network, close).wire())
    }

    // Certifying.

    /// Wants what the till holds of a chain certified, not later than so many milliseconds from now.
    fn want(&mut self, chain: ChainId, wait: u64, scene: &mut Scene<'_>) {
        let at = scene.now + wait;
        let due = self.due.entry(chain).or_insert(u64::MAX);
        if at < *due {
            *due = at;
            scene.wake(Alarm::Certify(chain), wait);
        }
    }

    fn certify(&mut self, chain: ChainId, scene: &mut Scene<'_>) {
        let Some(showing) = self.till.showing(&chain) else { return };
        let Some(record) = showing.line.record() else { return };
        let (closes, want) = (List::first_of(showing.closes), List::first_of(showing.want));
        let number = self.next_number();
        self.rounds.begin(number, chain, Put { record, closes, want }, scene);
    }

    fn answer(&mut self, number: u64, from: Actor, reply: RecordReply, scene: &mut Scene<'_>) {
        if let RecordReply::Chain(shown) = &reply {
            let record = shown.as_ref().map(|shown| &shown.record);
            self.record_shows(number, record, scene);
            return;
        }
        let Some((chain, step, done)) = self.rounds.heard(number, from, reply, scene) else { return };
        if done {
            self.acks.remove(&chain);
        }
        match step {
            Step::Certified(certificates) => {
                for certificate in certificates {
                    scene.beliefs.holds(&chain, &certificate);
                    self.take_certificate(chain, &certificate, scene);
                }
            }
            Step::Conflict(evidence) => {
                self.reports(chain, *evidence, scene);
                self.tell_sales(&Input::Conflict(chain), scene);
            }
            Step::Hopeless => self.tell_sales(&Input::Conflict(chain), scene),
            Step::Stale(_) | Step::More => {}
        }
    }

    fn take_certificate(&mut self, chain: ChainId, certificate: &Certificate, scene: &mut Scene<'_>) {
        let changes = self.till.certified(&chain, certificate);
        if let Some(held) = self.till.of_chain(&chain).find(|held| held.is(&certificate.object)) {
            scene.oracle.is_certified(chain, held, held.open().hash() == certificate.object);
        }
        if scene.crashes() {
            return;
        }
        let rows = self.rows(&changes);
        self.after(rows, Then::Certified(chain, certificate.clone()), scene);
    }

    fn tell_sales(&mut self, news: &Input, scene: &mut Scene<'_>) {
        for stream in self.sales.keys().copied().collect::<Vec<_>>() {
            if scene.crashed {
                return;
            }
            self.step(stream, vec![news.clone()], scene);
        }
    }

    // Handing over.

    fn hand_over(&mut self, from: Actor, number: u64, handover: Unverified<Handover>, scene: &mut Scene<'_>) {
        if self.habit == Habit::Withholds {
            return;
        }
        let handed = self.till.hand_over(handover);
        if scene.crashes() {
            return;
        }
        let Ok((close, changes)) = handed else {
            scene.send(from, Message::HandedOver(number, None));
            return;
        };
        self.want(close.chain, DEFERRAL, scene);
        let other = match self.habit {
            Habit::Overclaims => self.above(&close.wire()),
            Habit::ClosesTwice => self.below(&close.wire()),
            _ => None,
        };
        let rows = self.rows(&changes);
        self.after(rows, Then::HandedOver(from, number, other.unwrap_or_else(|| close.wire())), scene);
    }

    fn ask_previous(
        &mut self,
        stream: StreamNo,
        from: PublicKey,
        handover: Unverified<Handover>,
        touchstone: Signed<Touchstone>,
        scene: &mut Scene<'_>,
    ) {
        let Some(sale) = self.sales.get_mut(&stream) else { return };
        sale.asking = true;
        let number = self.next_number();
        let j = handover.claim().map_or(SegmentNo(0), |wish| wish.j);
        let asking =
            Asking { stream, touchstone, j, vendor_says_no: false, record_says_no: false, answers: 0 };
        self.asking.insert(number, asking);
        if let Some(at) = scene.town.vendor(&from) {
            scene.send(Actor::Vendor(at), Message::HandOver(number, handover));
        }
        scene.wake(Alarm::ReadRecord(number), HEAD_START);
        scene.wake(Alarm::HandoffOver(number), HANDOFF_TIMEOUT_MS);
        scene.wake(Alarm::ReadOver(number), HEAD_START + WITNESS_TIMEOUT);
    }

    fn handed_over(&mut self, number: u64, close: Option<Unverified<Close>>, scene: &mut Scene<'_>) {
        let Some(asking) = self.asking.get_mut(&number) else { return };
        match close {
            Some(close) => self.previous(number, Some(close), How::Vendor, scene),
            None => {
                asking.vendor_says_no = true;
                if asking.record_says_no {
                    self.previous(number, None, How::Gone, scene);
                }
            }
        }
    }

    fn record_shows(&mut self, number: u64, record: Option<&record::ChainRecord>, scene: &mut Scene<'_>) {
        let Some(asking) = self.asking.get_mut(&number) else { return };
        let found = record
            .and_then(|record| record::close_in(record, &scene.town.network, &asking.touchstone, asking.j));
        if let Some(close) = found {
            self.previous(number, Some(close.wire()), How::Record, scene);
            return;
        }
        asking.answers += 1;
        if asking.answers >= asking.touchstone.quorum() {
            self.record_says_no(number, scene);
        }
    }

    fn record_says_no(&mut self, number: u64, scene: &mut Scene<'_>) {
        let Some(asking) = self.asking.get_mut(&number) else { return };
        asking.record_says_no = true;
        if asking.vendor_says_no {
            self.previous(number, None, How::Gone, scene);
        }
    }

    /// The question is answered: the sale goes on with that, and then with what was said meanwhile.
    fn previous(&mut self, number: u64, close: Option<Unverified<Close>>, how: How, scene: &mut Scene<'_>) {
        let Some(asking) = self.asking.remove(&number) else { return };
        let Some(sale) = self.sales.get_mut(&asking.stream) else { return };
        sale.asking = false;
        scene.oracle.handoff(how);
        let mut inputs = vec![Input::Previous(close)];
        let waiting: Vec<ToVendor> = sale.inbox.drain(..).collect();
        inputs.extend(waiting.into_iter().map(|said| sale.input(said)));
        self.step(asking.stream, inputs, scene);
    }

    // The end.

    /// It closes what lies open, durably, and has it certified: before it leaves in order, and before it redeems.
    pub fn close_all(&mut self, scene: &mut Scene<'_>) {
        let open = self.till.all().filter(|held| held.close().is_none());
        let open: Vec<_> = open.map(|held| (held.open().chain, held.open().j)).collect();
        for (chain, j) in open {
            if let Ok((_, changes)) = self.till.close(&chain, j) {
                let rows = self.rows(&changes);
                self.after(rows, Then::Nothing, scene);
            }
            self.want(chain, 0, scene);
        }
    }

    /// What can be claimed, each with the salt of its `pay_to`: what is certified, and at the last call all.
    pub fn claimable(&self, last_call: bool) -> Vec<(SegmentRow, [u8; 32])> {
        let ready = |held: &&Held| {
            let certified = held.close_certificate().is_some() || last_call;
            held.close().is_some() && certified && held.paid() > Count::ZERO
        };
        let claim = |held: &Held| {
            let (chain, close) = (held.open().chain, held.close()?.hash());
            let row = self.till.row(&chain, held.open().j)?;
            let acks = || self.acks.get(&chain)?.iter().find(|acks| acks.object == close).cloned();
            Some((redeem::with_acks(row, acks), self.till.salt(&held.tag())))
        };
        self.till.all().filter(ready).filter_map(claim).collect()
    }

    /// What one that overclaims would like to be paid, and one that closes twice for its other Closes.
    pub fn other_claims(&self) -> Vec<(SegmentRow, [u8; 32])> {
        let other = |(row, salt): (SegmentRow, [u8; 32])| {
            let close = row.close.as_ref()?;
            let close = match self.habit {
                Habit::Overclaims => self.above(close)?,
                Habit::ClosesTwice => self.below(close)?,
                _ => return None,
            };
            Some((SegmentRow { close: Some(close), close_certificate: None, ..row }, salt))
        };
        self.claimable(true).into_iter().filter_map(other).collect()
    }

    /// What became of a claim, after the run.
    pub fn answered(&mut self, chain: &ChainId, j: SegmentNo, outcome: &Outcome) {
        if redeem::is_final(outcome) {
            self.till.release(chain, j);
        }
    }

    /// Tells the oracle what an honest vendor was paid, before it redeems what is left of it.
    pub fn stakes(&self, oracle: &mut Oracle) {
        for held in self.till.all().filter(|held| self.is_honest() && held.paid() > Count::ZERO) {
            oracle.stake(self.stake(held));
        }
    }

    fn stake(&self, held: &Held) -> Stake {
        Stake {
            vendor: self.at,
            chain: held.open().chain,
            open: held.open().hash(),
            paid: held.paid().0,
            certified: held.is_certified(),
        }
    }

    // The broker.

    /// Somebody signed two Opens: the broker is told.
    fn reports(&mut self, chain: ChainId, evidence: Evidence, scene: &mut Scene<'_>) {
        if self.is_honest() && self.reported.insert(chain) {
            scene.oracle.holds_evidence(scene.now, scene.town, &evidence);
            let number = self.next_number();
            self.errands.begin(number, BankRequest::Evidence(evidence), scene);
        }
    }

    /// Redeems what has its certificate, and asks for the state of the account.
    fn ask_bank(&mut self, scene: &mut Scene<'_>) {
        let account = Bank::account(self.peer);
        for rows in self.claimable(false).chunks(MAX_CLAIMS) {
            if let Some((request, _)) = redeem::request(&self.shop.network, &account, rows) {
                let number = self.next_number();
                self.errands.begin(number, request, scene);
            }
        }
        let number = self.next_number();
        self.errands.begin(number, Bank::query(self.peer, scene), scene);
    }

    fn told(&mut self, number: u64, answer: Result<Answer, Reject>, scene: &mut Scene<'_>) {
        if !self.errands.told(number) {
            return;
        }
        let Ok(Answer::Outcomes(outcomes)) = answer else { return };
        for (chain, j, outcome) in outcomes {
            if let (true, Outcome::Refused(reject)) = (self.is_honest(), &outcome) {
                scene.oracle.violation(format!("an honest claim {chain:.8}/{j} is refused: {reject}"));
            }
            let Some(held) = self.till.held(&chain, j).filter(|_| redeem::is_final(&outcome)) else {
                continue;
            };
            if self.is_honest() {
                scene.oracle.stake(self.stake(held));
            }
            let changes = self.till.release(&chain, j);
            let rows = self.rows(&changes);
            self.after(rows, Then::Nothing, scene);
        }
    }

    /// Rows as they are now.
    fn rows(&self, changes: &[TillChange]) -> Vec<Row> {
        let till = &self.till;
        let row = |change: &TillChange| match change {
            TillChange::Segment(chain, j) => {
                Row::Segment((*chain, *j), till.row(chain, *j).map(|row| encode(&row)))
            }
            TillChange::Tab(tab) => Row::Tab(*tab, till.tab(tab).map(encode)),
            TillChange::Deal(_) => unreachable!("nobody here asks for a deal"),
            TillChange::Line(chain) => Row::Line(*chain, till.line_row(chain).map(|row| encode(&row))),
        };
        changes.iter().map(row).collect()
    }

    const fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl Sale {
    /// A message as the machine takes it. The shelf has what is ordered, at the price that was found.
    fn input(&mut self, said: ToVendor) -> Input {
        let ToVendor::Order { terms, .. } = &said else { return Input::Heard(Box::new(said)) };
        self.units = Units::new(terms.size, terms.unit_log).map_or(0, |units| units.count());
        let offer = Offer::Offered { price: terms.price, size: terms.size };
        Input::Ordered(Box::new(said), offer)
    }
}

impl Stored {
    fn keep(&mut self, rows: Vec<Row>) {
        for row in rows {
            match row {
                Row::Segment(key, row) => put(&mut self.segments, key, row),
                Row::Tab(key, row) => put(&mut self.tabs, key, row),
                Row::Line(key, row) => put(&mut self.lines, key, row),
            }
        }
    }
}

/// Writes a row, or deletes one that is no more.
fn put<K: Ord>(table: &mut BTreeMap<K, Vec<u8>>, key: K, row: Option<Vec<u8>>) {
    match row {
        Some(row) => drop(table.insert(key, row)),
        None => drop(table.remove(&key)),
    }
}

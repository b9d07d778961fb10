//! A town in memory: a broker's key, a buyer with a wallet, vendors with tills, and sales driven by hand.
#![allow(dead_code, reason = "each test uses the part it needs")]

pub mod fair;

use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::List;
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::{Close, Open, ReleaseChain, SegmentNo};
use netpay_core::coin::touchstone::{Touchstone, chain_id};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::policy::Fair;
use netpay_core::id::{ChainId, ContentRoot, NetworkId, PayTo};
use netpay_core::keys::{PublicKey, SecretKey, Signed, Unverified};
use netpay_core::record::chain::{Ack, Evidence, Line};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::witness::{self, Bench, Kept, Verdict, WhyRefused, judge};
use netpay_core::session::buyer::{self, Buyer, Purchase};
use netpay_core::session::certify::{Certify, Step};
use netpay_core::session::vendor::{self, Offer, Policy, Shop, Vendor};
use netpay_core::till::{Showing, Till};
use netpay_core::time::{DAY, Moment, Time};
use netpay_core::wallet::{Seller, Wallet};
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::record::RecordReply;
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{Funding, Span, TabId, Terms, ToBuyer, ToVendor};
use std::collections::VecDeque;

pub const NOW: Moment = Moment(1_800_000_000_000);

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub struct Town {
    pub network: NetworkId,
    pub broker: SecretKey,
    pub witnesses: Vec<SecretKey>,
    pub minted: u8,
}

impl Town {
    pub fn new() -> Self {
        let broker = key(1);
        let network = NetworkId::of("town", &broker.public());
        Self { network, broker, witnesses: (100..104).map(key).collect(), minted: 0 }
    }

    pub fn wallet(&self) -> Wallet {
        Wallet::new(self.network, self.broker.public(), [9; 32])
    }

    pub fn shop(&self) -> Shop {
        Shop {
            network: self.network,
            broker: self.broker.public(),
            policy: Policy::default(),
            fair: Fair::Auto,
        }
    }

    pub fn mint(&mut self, wallet: &mut Wallet, n: u32) -> ChainId {
        self.minted += 1;
        let seed = Seed([self.minted; 16]);
        let chain_key = key(200 + self.minted);
        let issued = NOW.time();
        let touchstone = Touchstone {
            network: self.network,
            broker: self.broker.public(),
            chain_key: chain_key.public(),
            n: Cap(n),
            root: Chain::root_of(&seed, Cap(n)),
            nonce: [self.minted; 16],
            committee: List::first_of(self.witnesses.iter().map(SecretKey::public)),
            issued,
            spend_by: issued.plus(14 * DAY),
            redeem_by: issued.plus(21 * DAY),
        };
        let touchstone = self.broker.sign(&self.network, touchstone);
        wallet.add(touchstone.wire(), seed, chain_key).expect("the chain is good").0
    }
}

pub struct Stall {
    pub node: PublicKey,
    pub till: Till,
}

impl Stall {
    pub fn new(town: &Town, n: u8) -> Self {
        Self { node: key(n).public(), till: Till::new(town.network, [n; 32], key(n + 1).public()) }
    }

    /// The holder key of a tag.
    pub fn holder(&self, tag: u8) -> PublicKey {
        self.till.holder(&HolderTag([tag; 16]))
    }

    pub fn seller(&self, tag: u8) -> Seller {
        let tag = HolderTag([tag; 16]);
        Seller { node: self.node, tag, holder: self.till.holder(&tag) }
    }
}

/// What a sale came to.
#[derive(Debug, Default)]
pub struct Sold {
    pub units: Vec<u64>,
    pub paid: Coins,
    pub finished: bool,
    pub refused: Option<RejectCode>,
    pub out_of_coins: bool,
    pub round_trips: usize,
    pub conflict: bool,
}

pub struct Deal {
    pub size: u64,
    pub price: u64,
    pub unit_log: u8,
    pub tab: u8,
    pub tag: u8,
    pub paid: Coins,
    pub have: Vec<u64>,
    /// Stop after so many units, as if the line broke.
    pub break_after: Option<usize>,
}

pub fn deal(size: u64, price: u64) -> Deal {
    Deal { size, price, unit_log: 0, tab: 1, tag: 1, paid: Coins::ZERO, have: vec![], break_after: None }
}

/// Drives one sale to its end. `others` answer handovers; `certify` grants every certificate asked for.
pub fn sell(
    town: &Town,
    wallet: &mut Wallet,
    stall: &mut Stall,
    others: &mut [&mut Stall],
    deal: &Deal,
) -> Sold {
    let units = Units::new(deal.size, deal.unit_log).expect("a possible geometry");
    let price_of = |unit| units.price_of(Coins(deal.price), unit).expect("a unit");
    let first = (0..units.count()).find(|unit| !deal.have.contains(unit)).unwrap_or(0);
    let wanted = (first..units.count()).take_while(|unit| !deal.have.contains(unit)).count() as u64;
    let owed = Coins(deal.have.iter().map(|unit| price_of(*unit).0).sum());
    let purchase = Purchase {
        tab: TabId([deal.tab; 16]),
        terms: Terms {
            root: ContentRoot([1; 32]),
            size: deal.size,
            price: Coins(deal.price),
            unit_log: deal.unit_log,
        },
        span: Span { first, count: wanted },
        paid: deal.paid,
        owed,
        ahead: price_of(first),
        expected: Coins(deal.price),
    };
    let fresh = (0..8).map(|i| stall.seller(deal.tag * 10 + i)).collect();
    let mut buyer = Buyer::new(purchase, stall.node, fresh);
    let mut vendor = Vendor::new(town.shop());
    let mut sold = Sold::default();
    let mut to_buyer: VecDeque<buyer::Input> = VecDeque::from([buyer::Input::Begin]);
    let mut to_vendor: VecDeque<ToVendor> = VecDeque::new();
    for _ in 0..100_000 {
        let mut out = Vec::new();
        while let Some(input) = to_buyer.pop_front() {
            buyer.handle(NOW, input, wallet, &mut out);
        }
        buyer.handle(NOW, buyer::Input::Settle, wallet, &mut out);
        if sold.units.len() as u64 == wanted && !sold.finished {
            buyer.handle(NOW, buyer::Input::Finish { keep_open: false }, wallet, &mut out);
        }
        for output in out {
            match output {
                buyer::Output::Persist { paid, .. } => sold.paid = paid,
                buyer::Output::Send(message) => to_vendor.push_back(*message),
                buyer::Output::Finished => sold.finished = true,
                buyer::Output::Refused(reject) => sold.refused = Some(reject.code),
                buyer::Output::OutOfCoins => sold.out_of_coins = true,
            }
        }
        let broken = deal.break_after.is_some_and(|after| sold.units.len() >= after);
        if sold.finished || sold.refused.is_some() || broken || sold.out_of_coins {
            return sold;
        }
        let mut out = Vec::new();
        while let Some(message) = to_vendor.pop_front() {
            let offer = Offer::Offered { price: Coins(deal.price), size: deal.size };
            vendor.handle(NOW, vendor_input(message, offer), &mut stall.till, &mut out);
        }
        durable(&mut stall.till, &out);
        vendor.handle(NOW, vendor::Input::Ready, &mut stall.till, &mut out);
        let mut outs = VecDeque::from(out);
        while let Some(output) = outs.pop_front() {
            let mut more = Vec::new();
            match output {
                vendor::Output::Persist { .. } | vendor::Output::Finished => {}
                vendor::Output::Evidence(_) => sold.conflict = true,
                vendor::Output::Send(message) => to_buyer.push_back(buyer::Input::Heard(message)),
                vendor::Output::SendUnit(unit) => {
                    if deal.break_after.is_none_or(|after| sold.units.len() < after) {
                        sold.units.push(unit);
                        to_buyer.push_back(buyer::Input::Verified(price_of(unit)));
                    }
                }
                vendor::Output::AskPrevious { from, handover, .. } => {
                    let previous = others.iter_mut().find(|other| other.node == from);
                    let close = previous
                        .and_then(|other| other.till.hand_over(handover).ok())
                        .map(|(close, _)| close.wire());
                    sold.round_trips += 1;
                    vendor.handle(NOW, vendor::Input::Previous(close), &mut stall.till, &mut more);
                }
                vendor::Output::Certify { chain, .. } => {
                    let want = stall.till.showing(&chain).map(|showing| showing.want).unwrap_or_default();
                    for object in want {
                        let certificate = certify(town, chain, object);
                        assert!(!stall.till.certified(&chain, &certificate).is_empty(), "it is held");
                        let input = vendor::Input::Certified(chain, certificate);
                        vendor.handle(NOW, input, &mut stall.till, &mut more);
                    }
                }
            }
            more.into_iter().rev().for_each(|output| outs.push_front(output));
        }
    }
    panic!("the sale does not end: {sold:?}");
}

/// The disk has what the vendor wanted to be durable.
pub fn durable(till: &mut Till, out: &[vendor::Output]) {
    for output in out {
        if let vendor::Output::Persist { counted: Some((tab, paid)), .. } = output {
            till.durable(tab, *paid);
        }
    }
}

/// A message as a vendor takes it: an order comes with what its shelf says.
pub fn vendor_input(message: ToVendor, offer: Offer) -> vendor::Input {
    match &message {
        ToVendor::Order { .. } => vendor::Input::Ordered(Box::new(message), offer),
        _ => vendor::Input::Heard(Box::new(message)),
    }
}

pub fn certify(
    town: &Town,
    chain: ChainId,
    object: netpay_core::id::ObjectHash,
) -> netpay_core::record::chain::Certificate {
    use netpay_core::record::chain::Certificate;
    let acks = town.witnesses.iter().enumerate().take(3).map(|(seat, witness)| {
        (u8::try_from(seat).expect("a seat"), Ack { chain, object }.sign(&town.network, witness))
    });
    Certificate { object, acks: List::first_of(acks) }
}

/// A chain in the hands of somebody who signs whatever it likes.
pub struct Purse {
    pub network: NetworkId,
    pub key: SecretKey,
    pub touchstone: Signed<Touchstone>,
    pub coins: Chain,
}

impl Purse {
    pub fn new(town: &Town, change: impl FnOnce(&mut Touchstone)) -> Self {
        let (key, seed) = (key(50), Seed([50; 16]));
        let issued = NOW.time();
        let mut touchstone = Touchstone {
            network: town.network,
            broker: town.broker.public(),
            chain_key: key.public(),
            n: Cap(10_000),
            root: Chain::root_of(&seed, Cap(10_000)),
            nonce: [50; 16],
            committee: List::first_of(town.witnesses.iter().map(SecretKey::public)),
            issued,
            spend_by: issued.plus(14 * DAY),
            redeem_by: issued.plus(21 * DAY),
        };
        change(&mut touchstone);
        let touchstone = town.broker.sign(&town.network, touchstone);
        Self { network: town.network, key, touchstone, coins: Chain::grow(&seed, Cap(10_000)) }
    }

    pub fn id(&self) -> ChainId {
        chain_id(&self.touchstone)
    }

    pub fn fresh(&self) -> Line {
        Line::fresh(self.touchstone.clone())
    }

    fn releases(&self, (j, holder, start, cap): (SegmentNo, PublicKey, Index, Cap)) -> ReleaseChain {
        ReleaseChain::grow(&[51; 32], self.id(), j, &holder, (start, cap))
    }

    /// The Open after those of `line`, wherever it may begin.
    pub fn open(&self, line: &Line, holder: PublicKey, start: u32, cap: u32) -> Signed<Open> {
        let (j, prev, _) = line.next();
        let (start, cap) = (Index(start), Cap(cap));
        let release_root = self.releases((j, holder, start, cap)).root();
        let open = Open { chain: self.id(), j, prev, holder, start, cap, release_root, fair: None };
        self.key.sign(&self.network, open)
    }

    /// The line with one more Open.
    pub fn opened(&self, line: &Line, holder: PublicKey, start: u32, cap: u32) -> Line {
        let mut line = line.clone();
        line.extend(self.open(&line, holder, start, cap)).expect("it extends the line");
        line
    }

    pub fn pay(&self, open: &Open, index: u32) -> Pay {
        let releases = self.releases((open.j, open.holder, open.start, open.cap));
        let release = releases.link(Count(index - open.start.0)).expect("within the lease");
        Pay {
            j: open.j,
            index: Index(index),
            coin: self.coins.coin(Index(index)).expect("within the chain"),
            release,
        }
    }

    /// The Close of the line's segment `j` at `end`, signed by `holder` whatever was paid.
    pub fn close(&self, line: &Line, j: u32, end: u32, holder: &SecretKey) -> Signed<Close> {
        let open = &line.segment(SegmentNo(j)).expect("shown").open;
        let close = Close {
            chain: self.id(),
            j: open.j,
            open: open.hash(),
            end: Index(end),
            coin: self.coins.coin(Index(end)).expect("within the chain"),
            release: open.release_root,
            pay_to: PayTo([52; 32]),
        };
        holder.sign(&self.network, close)
    }

    pub fn order(&self, line: &Line, tag: u8, pay: Pay, tab: u8) -> ToVendor {
        let funding =
            Funding::Opened { tag: HolderTag([tag; 16]), record: line.record().expect("short"), pay };
        order(tab, funding)
    }
}

/// 100 units of a coin each.
pub fn order(tab: u8, funding: Funding) -> ToVendor {
    ToVendor::Order {
        tab: TabId([tab; 16]),
        terms: Terms { root: ContentRoot([1; 32]), size: 100 * GROUP, price: Coins(100), unit_log: 0 },
        span: Span { first: 0, count: 100 },
        funding,
    }
}

/// What a vendor does with one order and what follows it, until it sends nothing more.
pub fn visit(
    town: &Town,
    stall: &mut Stall,
    messages: impl IntoIterator<Item = ToVendor>,
) -> (Vendor, Vec<vendor::Output>) {
    let mut vendor = Vendor::new(town.shop());
    let mut out = Vec::new();
    for message in messages {
        let offer = Offer::Offered { price: Coins(100), size: 100 * GROUP };
        vendor.handle(NOW, vendor_input(message, offer), &mut stall.till, &mut out);
    }
    durable(&mut stall.till, &out);
    ready(&mut vendor, stall, &mut out);
    (vendor, out)
}

pub fn ready(vendor: &mut Vendor, stall: &mut Stall, out: &mut Vec<vendor::Output>) {
    for _ in 0..100 {
        vendor.handle(NOW, vendor::Input::Ready, &mut stall.till, out);
    }
}

pub fn units(out: &[vendor::Output]) -> usize {
    out.iter().filter(|output| matches!(output, vendor::Output::SendUnit(_))).count()
}

pub fn refusal(out: &[vendor::Output]) -> Option<RejectCode> {
    out.iter().find_map(|output| match output {
        vendor::Output::Send(message) => match &**message {
            ToBuyer::Reject { reject, .. } => Some(reject.code),
            _ => None,
        },
        _ => None,
    })
}

/// A member of a committee, with what it keeps.
pub struct Member {
    pub key: SecretKey,
    pub birth: Time,
    pub kept: std::collections::BTreeMap<ChainId, Kept>,
}

impl Member {
    pub fn all(town: &Town) -> Vec<Self> {
        let member = |key: &SecretKey| Self {
            key: key.clone(),
            birth: Time(0),
            kept: std::collections::BTreeMap::new(),
        };
        town.witnesses.iter().map(member).collect()
    }

    pub fn put_at(&mut self, town: &Town, line: &Line, closes: &[Unverified<Close>], now: Time) -> Verdict {
        let me = self.key.public();
        let bench = Bench { network: &town.network, me: &me, birth: self.birth, now };
        let (kept, verdict) = judge(self.kept.get(&line.chain()), line, closes, bench);
        if let Some(kept) = kept {
            self.kept.insert(line.chain(), kept);
        }
        verdict
    }

    pub fn freeze(
        &mut self,
        town: &Town,
        purse: &Purse,
        freeze: Unverified<Freeze>,
    ) -> Result<(), WhyRefused> {
        let me = self.key.public();
        let bench = Bench { network: &town.network, me: &me, birth: self.birth, now: NOW.time() };
        let kept = witness::freeze(self.kept.get(&purse.id()), &purse.touchstone, freeze, bench)?;
        self.kept.insert(purse.id(), kept);
        Ok(())
    }

    pub fn put(&mut self, town: &Town, line: &Line) -> Verdict {
        self.put_at(town, line, &[], NOW.time())
    }

    /// Its whole answer to a put, as it goes over the wire.
    pub fn answer(&mut self, town: &Town, showing: &Showing) -> RecordReply {
        let chain = showing.line.chain();
        let verdict = self.put_at(town, &showing.line, &showing.closes, NOW.time());
        let ack = |object| Ack { chain, object }.sign(&town.network, &self.key);
        RecordReply::to_put(verdict, self.kept.get(&chain), &showing.want, ack)
    }
}

/// Has a stall's segments of a chain certified by real witnesses, `asked` in this order.
pub fn certify_at(
    town: &Town,
    stall: &mut Stall,
    chain: ChainId,
    members: &mut [Member],
    asked: &[u8],
) -> Option<Evidence> {
    let showing = stall.till.showing(&chain)?;
    let mut session = Certify::new(town.network, showing.line.touchstone.clone(), showing.want.clone());
    for seat in asked {
        let reply = members[usize::from(*seat)].answer(town, &showing);
        match session.heard(*seat, reply, &town.broker.public()) {
            Step::Certified(certificates) => {
                for certificate in certificates {
                    assert!(!stall.till.certified(&chain, &certificate).is_empty());
                }
            }
            Step::Conflict(evidence) => return Some(*evidence),
            Step::Hopeless | Step::Stale(_) | Step::More => {}
        }
    }
    None
}

pub const fn time() -> Time {
    Time(NOW.0 / 1000)
}

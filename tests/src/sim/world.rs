//! One run: a queue of things that happen at virtual milliseconds, and who they happen to.

use super::Settings;
use super::beliefs::Beliefs;
use super::buyer::{BuyerPeer, Habit};
use super::dice::Dice;
use super::net::{HEALED, Net};
use super::oracle::Oracle;
use super::scene::{Act, Actor, Alarm, Message, Scene, StreamNo};
use super::town::{PeerNo, Town};
use super::vendor::VendorPeer;
use super::witness::WitnessPeer;
use super::{Outcome, bank::Bank};
use std::collections::BTreeMap;
use std::ops::Range;

/// Every purchase of an honest buyer at an honest vendor ends so long after the network has healed.
const BOUND: u64 = 240_000;
/// When every peer that went down is back.
const ALL_BACK: u64 = HEALED;
/// So long a crashed peer is down.
const DOWN: (u64, u64) = (1_000, 12_000);
/// When peers go down.
const GOES_DOWN: (u64, u64) = (200, ALL_BACK - DOWN.1 - FUSE_BURNS);
/// A peer about to crash does so within so many of its outputs …
const FUSE: u64 = 5;
/// … or after so long, where it has none.
const FUSE_BURNS: u64 = 2_000;
/// Half of the vendors that go down leave in order: they close, show their Closes, and are gone so much later.
const LEAVES_WITHIN: u64 = 1_500;
/// The first purchases begin within so long.
const BEGINS: u64 = 3_000;
/// Once in a run, in between, a trader asks the broker for its account, and a vendor redeems; again after a crash.
const ASKS_BANK: (u64, u64) = (3_000, HEALED);
/// A broken stream is noticed after so long.
const NOTICED: (u64, u64) = (50, 2_500);
/// What lies open is closed and certified for so long, when all trade is over.
const CLOSING: u64 = 25_000;
/// The most that may happen in one run.
const MAX_EVENTS: u64 = 5_000_000;

/// What happens.
#[derive(Debug)]
enum Event {
    Arrives {
        from: Actor,
        to: Actor,
        message: Message,
    },
    /// A crash forgets the alarms set before: `life` is the one they were set in.
    Wakes {
        actor: Actor,
        life: u32,
        alarm: Alarm,
    },
    GoesDown(PeerNo),
    Leaves(PeerNo),
    Crashes(PeerNo),
    Returns(PeerNo),
}

/// How one peer is.
#[derive(Clone, Debug, Default)]
struct State {
    down: bool,
    gone: bool,
    life: u32,
    fuse: Option<usize>,
}

/// One stream: messages in it keep their order, so each direction remembers when its last one arrives.
#[derive(Debug)]
struct Stream {
    buyer: usize,
    vendor: usize,
    arrives: [u64; 2],
    broken: bool,
}

/// One run.
pub struct World {
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    town: Town,
    bank: Bank,
    net: Net,
    dice: Dice,
    states: Vec<State>,
    streams: BTreeMap<StreamNo, Stream>,
    witnesses: Vec<WitnessPeer>,
    vendors: Vec<VendorPeer>,
    buyers: Vec<BuyerPeer>,
    oracle: Oracle,
    beliefs: Beliefs,
    /// When the broker was away.
    broker_away: Vec<Range<u64>>,
    /// Nothing is sold any more: what was, is closed and certified.
    shops_are_shut: bool,
}

impl World {
    /// The world of a seed, before anything happens.
    pub fn new(seed: u64, settings: &Settings) -> Self {
        Self::thrown(Dice::apart(seed, 3), seed, settings)
    }

    /// The same town, where these dice say what happens.
    pub fn thrown(mut dice: Dice, seed: u64, settings: &Settings) -> Self {
        let (town, bank) = Town::new(seed, settings);
        let witnesses = (0..town.peers.len()).map(|peer| WitnessPeer::new(peer, &town, &mut dice)).collect();
        let vendors =
            (0..town.vendors.len()).map(|at| VendorPeer::new(at, &town, settings, &mut dice)).collect();
        let mut buyers = Vec::new();
        for peer in &town.buyers {
            BuyerPeer::add(*peer, &town, &mut dice, &mut buyers);
        }
        // The last is the broker.
        let states = vec![State::default(); town.peers.len() + 1];
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            net: Net::new(seed),
            oracle: Oracle::new(settings.per_chain),
            streams: BTreeMap::new(),
            town,
            bank,
            dice,
            states,
            witnesses,
            vendors,
            buyers,
            beliefs: Beliefs::default(),
            broker_away: Vec::new(),
            shops_are_shut: false,
        };
        world.begin(settings);
        world
    }

    fn begin(&mut self, settings: &Settings) {
        for buyer in 0..self.buyers.len() {
            // The two hands of one that copied its wallet begin at once.
            let at = match self.buyers[buyer].habit {
                Habit::Honest | Habit::Replays => self.dice.between(0, BEGINS),
                Habit::Copies | Habit::Splits => BEGINS,
            };
            self.set_alarm(Actor::Buyer(buyer), Alarm::Visit, at);
        }
        (0..self.vendors.len()).for_each(|vendor| self.set_alarm(Actor::Vendor(vendor), Alarm::Sweep, 0));
        let traders: Vec<Actor> = (0..self.vendors.len()).map(Actor::Vendor).collect();
        let traders = traders.into_iter().chain((0..self.buyers.len()).map(Actor::Buyer));
        for trader in traders.collect::<Vec<_>>() {
            let at = self.dice.between(ASKS_BANK.0, ASKS_BANK.1);
            self.set_alarm(trader, Alarm::Bank, at);
        }
        let at = self.dice.between(GOES_DOWN.0, GOES_DOWN.1);
        self.after(at, Event::Crashes(self.broker()));
        let role = [self.town.vendors.clone(), self.town.buyers.clone()];
        let busy: Vec<PeerNo> = role.concat();
        let idle: Vec<PeerNo> = (0..self.town.peers.len()).filter(|peer| !busy.contains(peer)).collect();
        for role in role.into_iter().chain([idle]) {
            let count = settings.churned_of(role.len());
            for peer in self.dice.draw(role, count) {
                let at = self.dice.between(GOES_DOWN.0, GOES_DOWN.1);
                let in_order = self.town.vendors.contains(&peer) && self.dice.happens(0.5);
                self.after(at, if in_order { Event::Leaves(peer) } else { Event::GoesDown(peer) });
            }
        }
    }

    /// Plays the run to its end.
    pub fn play(mut self) -> Outcome {
        self.trade_until(HEALED + BOUND, true);
        for buyer in &self.buyers {
            buyer.is_done(&self.town, &mut self.oracle);
        }
        // Whoever keeps to no rule may still be at it; nobody waits for that.
        self.shops_are_shut = true;
        let up = |world: &Self, vendor: &usize| !world.states[world.vendors[*vendor].peer].down;
        for vendor in (0..self.vendors.len()).filter(|vendor| up(&self, vendor)).collect::<Vec<_>>() {
            self.with(Actor::Vendor(vendor), |world, scene| world.vendors[vendor].close_all(scene));
        }
        self.trade_until(self.now + CLOSING, false);
        for vendor in &self.vendors {
            vendor.stakes(&mut self.oracle);
        }
        for buyer in &self.buyers {
            buyer.count(&self.town, &self.broker_away, &mut self.oracle);
        }
        let evidence = self.oracle.evidence_held();
        self.bank.close(&self.town, &mut self.vendors, &evidence, &mut self.oracle);
        self.oracle.outcome()
    }

    /// Lets things happen until the time is over, or, if it ends early, all that is promised has come about.
    fn trade_until(&mut self, end: u64, ends_early: bool) {
        while let Some(((at, number), event)) = self.queue.pop_first() {
            let over =
                ends_early && at > HEALED && self.buyers.iter().all(|buyer| buyer.has_ended(&self.town));
            if at > end || over {
                self.queue.insert((at, number), event);
                break;
            }
            self.now = at;
            self.events += 1;
            if self.events > MAX_EVENTS {
                self.oracle.violation("the run does not end".to_owned());
                break;
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives { from, to, message } => self.arrives(from, to, message),
            Event::Wakes { actor, life, alarm } => {
                let state = &self.states[self.peer_of(actor)];
                let shut = self.shops_are_shut && matches!(actor, Actor::Buyer(_));
                if !state.down && !shut && state.life == life {
                    self.with(actor, |world, scene| match actor {
                        Actor::Witness(at) => world.witnesses[at].written(scene),
                        Actor::Broker => {}
                        Actor::Vendor(at) => world.vendors[at].wake(alarm, scene),
                        Actor::Buyer(at) => {
                            let sellers = &world.vendors;
                            world.buyers[at].wake(alarm, sellers, scene);
                        }
                    });
                }
            }
            Event::Leaves(peer) => {
                for actor in self.actors_of(peer) {
                    if let Actor::Vendor(at) = actor {
                        self.with(actor, |world, scene| world.vendors[at].close_all(scene));
                    }
                }
                self.after(LEAVES_WITHIN, Event::Crashes(peer));
            }
            Event::GoesDown(peer) => {
                let fuse = self.dice.between(0, FUSE);
                self.states[peer].fuse = usize::try_from(fuse).ok();
                self.after(FUSE_BURNS, Event::Crashes(peer));
            }
            Event::Crashes(peer) => self.crash(peer),
            Event::Returns(peer) => self.returns(peer),
        }
    }

    fn arrives(&mut self, from: Actor, to: Actor, message: Message) {
        if self.states[self.peer_of(to)].down {
            if let Message::ToVendor { stream, .. } | Message::ToBuyer(stream, _) = message {
                self.breaks(stream);
            }
            return;
        }
        if self.shops_are_shut && matches!(message, Message::ToVendor { .. } | Message::ToBuyer(..)) {
            return;
        }
        self.with(to, |world, scene| match to {
            Actor::Witness(at) => world.witnesses[at].hear(from, message, scene),
            Actor::Vendor(at) => world.vendors[at].hear(from, message, scene),
            Actor::Buyer(at) => world.buyers[at].hear(from, message, scene),
            Actor::Broker => {
                if let Message::Ask(number, request) = message {
                    world.bank.hear(from, number, &request, scene);
                }
            }
        });
    }

    /// Has an actor do something, and carries out what comes of it.
    fn with(&mut self, actor: Actor, act: impl FnOnce(&mut Actors<'_>, &mut Scene<'_>)) {
        let peer = self.peer_of(actor);
        let mut scene = Scene {
            now: self.now,
            town: &self.town,
            dice: &mut self.dice,
            oracle: &mut self.oracle,
            beliefs: &mut self.beliefs,
            acts: Vec::new(),
            fuse: self.states[peer].fuse,
            crashed: false,
            gone: false,
        };
        let mut actors = Actors {
            witnesses: &mut self.witnesses,
            vendors: &mut self.vendors,
            buyers: &mut self.buyers,
            bank: &mut self.bank,
        };
        act(&mut actors, &mut scene);
        let Scene { acts, fuse, crashed, gone, .. } = scene;
        self.states[peer].fuse = fuse;
        self.states[peer].gone |= gone;
        for act in acts {
            match act {
                Act::Send(to, message, wait) => self.send(actor, to, message, wait),
                Act::Wake(alarm, wait) => self.set_alarm(actor, alarm, wait),
            }
        }
        if crashed {
            self.crash(peer);
        }
    }

    fn send(&mut self, from: Actor, to: Actor, message: Message, wait: u64) {
        let (one, other) = (self.peer_of(from), self.peer_of(to));
        let takes = wait + self.net.takes(one, other, &mut self.dice);
        let stream = match &message {
            Message::ToVendor { stream, .. } | Message::ToBuyer(stream, _) => *stream,
            _ => {
                let lost = self.net.loses(self.now, &mut self.dice);
                if !lost && !self.net.is_cut(one, other, self.now) {
                    self.after(takes, Event::Arrives { from, to, message });
                }
                return;
            }
        };
        if let (Actor::Buyer(buyer), Actor::Vendor(vendor), Message::ToVendor { first: true, .. }) =
            (from, to, &message)
        {
            self.streams.insert(stream, Stream { buyer, vendor, arrives: [0; 2], broken: false });
        }
        let breaks = self.net.breaks(self.now, &mut self.dice) || self.net.is_cut(one, other, self.now);
        let Some(line) = self.streams.get_mut(&stream).filter(|line| !line.broken) else { return };
        if breaks {
            self.breaks(stream);
            return;
        }
        let last = &mut line.arrives[usize::from(matches!(from, Actor::Vendor(_)))];
        let at = (self.now + takes).max(*last);
        *last = at;
        self.after(at - self.now, Event::Arrives { from, to, message });
    }

    /// A stream is gone; both ends notice in their time.
    fn breaks(&mut self, stream: StreamNo) {
        let Some(line) = self.streams.get_mut(&stream).filter(|line| !line.broken) else { return };
        line.broken = true;
        let ends = [Actor::Buyer(line.buyer), Actor::Vendor(line.vendor)];
        for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let wait = self.dice.between(NOTICED.0, NOTICED.1);
            self.after(wait, Event::Arrives { from, to, message: Message::Broken(stream) });
        }
    }

    /// Everything that a peer had not made durable is lost.
    fn crash(&mut self, peer: PeerNo) {
        if std::mem::replace(&mut self.states[peer].down, true) {
            return;
        }
        self.states[peer].life += 1;
        self.states[peer].fuse = None;
        let actors = self.actors_of(peer);
        let broken = self.streams.iter().filter(|(_, line)| !line.broken);
        let broken = broken.filter(|(_, line)| {
            actors.contains(&Actor::Buyer(line.buyer)) || actors.contains(&Actor::Vendor(line.vendor))
        });
        for stream in broken.map(|(stream, _)| *stream).collect::<Vec<_>>() {
            self.breaks(stream);
        }
        if !self.states[peer].gone {
            let wait = self.dice.between(DOWN.0, DOWN.1);
            if peer == self.broker() {
                self.broker_away.push(self.now..self.now + wait);
            }
            self.after(wait, Event::Returns(peer));
        }
    }

    fn returns(&mut self, peer: PeerNo) {
        self.states[peer].down = false;
        if let Some(witness) = self.witnesses.get_mut(peer) {
            witness.restart();
        }
        for actor in self.actors_of(peer) {
            self.with(actor, |world, scene| match actor {
                Actor::Witness(_) | Actor::Broker => {}
                Actor::Vendor(at) => world.vendors[at].restart(scene),
                Actor::Buyer(at) => world.buyers[at].restart(scene),
            });
        }
    }

    fn after(&mut self, wait: u64, event: Event) {
        let number = self.events << 20 | self.queue.len() as u64;
        let mut key = (self.now + wait, number);
        while self.queue.contains_key(&key) {
            key.1 += 1;
        }
        self.queue.insert(key, event);
    }

    fn set_alarm(&mut self, actor: Actor, alarm: Alarm, wait: u64) {
        let life = self.states[self.peer_of(actor)].life;
        self.after(wait, Event::Wakes { actor, life, alarm });
    }

    fn peer_of(&self, actor: Actor) -> PeerNo {
        match actor {
            Actor::Witness(peer) => peer,
            Actor::Broker => self.broker(),
            Actor::Vendor(at) => self.vendors[at].peer,
            Actor::Buyer(at) => self.buyers[at].peer,
        }
    }

    /// The broker's place among those that can be down.
    const fn broker(&self) -> PeerNo {
        self.states.len() - 1
    }

    fn actors_of(&self, peer: PeerNo) -> Vec<Actor> {
        let vendors = (0..self.vendors.len()).map(Actor::Vendor);
        let buyers = (0..self.buyers.len()).map(Actor::Buyer);
        vendors.chain(buyers).filter(|actor| self.peer_of(*actor) == peer).collect()
    }
}

/// Everybody who can act, apart from what they see of the world.
struct Actors<'a> {
    witnesses: &'a mut Vec<WitnessPeer>,
    vendors: &'a mut Vec<VendorPeer>,
    buyers: &'a mut Vec<BuyerPeer>,
    bank: &'a mut Bank,
}

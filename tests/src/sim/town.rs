//! Who is in a run: the peers with their keys and roles, and the chains with their committees. It does not change
//! once the run has begun.

use super::Settings;
use super::bank::Bank;
use super::dice::Dice;
use netpay_broker::roster::Roster;
use netpay_core::amount::{Cap, Coins};
use netpay_core::coin::chain::Seed;
use netpay_core::coin::touchstone::{Committee, Touchstone, chain_id};
use netpay_core::id::{ChainId, NetworkId, Place};
use netpay_core::keys::{PublicKey, SecretKey, Signed};
use netpay_core::time::{Moment, Time};
use std::collections::BTreeMap;

/// A peer's place in the town.
pub type PeerNo = usize;

/// When a run begins, in Unix seconds.
pub const BEGIN: Time = Time(1_800_000_000);
/// How long a disk takes to make something durable, in milliseconds: most, and one in so many that is slow.
const FAST_DISK: (u64, u64) = (0, 4);
const SLOW_DISK: (u64, u64) = (40, 500);
const SLOW_DISKS: u64 = 8;
/// Chains of an honest buyer, and coins of each.
const CHAINS: (usize, Cap) = (2, Cap(256));
/// One that keeps to no rule has all its money in one chain, and can spend all of that twice: nothing is left to make up
/// for it.
const DECOY: (usize, Cap) = (1, Cap(60));

/// This virtual millisecond as sessions count it.
pub const fn moment(now: u64) -> Moment {
    Moment(BEGIN.0 * 1000 + now)
}

/// One peer.
#[derive(Debug)]
pub struct Peer {
    /// Its node key.
    pub key: SecretKey,
    /// Its public half.
    pub node: PublicKey,
    /// Whether it keeps to the rules.
    pub honest: bool,
    /// From when to when its disk may take to make something durable, in milliseconds.
    pub disk: (u64, u64),
}

/// One chain, and who bought it.
#[derive(Debug)]
pub struct Sold {
    /// T.
    pub touchstone: Signed<Touchstone>,
    /// From which the coins grow.
    pub seed: Seed,
    /// The chain key.
    pub key: SecretKey,
    /// Who bought it.
    pub buyer: PeerNo,
    /// The committee, by seat.
    pub seats: Vec<PeerNo>,
    /// Whether the honest ones of the committee are enough for a certificate.
    pub sound: bool,
}

/// Everyone.
#[derive(Debug)]
pub struct Town {
    /// The network.
    pub network: NetworkId,
    /// The broker's key.
    pub broker: PublicKey,
    /// The peers; all of them witness.
    pub peers: Vec<Peer>,
    /// Those that sell.
    pub vendors: Vec<PeerNo>,
    /// Those that buy.
    pub buyers: Vec<PeerNo>,
    /// The chains.
    pub chains: BTreeMap<ChainId, Sold>,
}

impl Town {
    /// The town of a seed, and the bank with everybody's account.
    pub fn new(seed: u64, settings: &Settings) -> (Self, Bank) {
        let (mut dice, mut disks) = (Dice::apart(seed, 2), Dice::apart(seed, 4));
        let broker = SecretKey::from_seed(&dice.bytes());
        let network = NetworkId::of("simulated", &broker.public());
        let peer = |_| {
            let key = SecretKey::from_seed(&dice.bytes());
            let slow = disks.between(0, SLOW_DISKS) == 0;
            Peer { node: key.public(), key, honest: true, disk: if slow { SLOW_DISK } else { FAST_DISK } }
        };
        let mut peers: Vec<Peer> = (0..settings.peers).map(peer).collect();
        let busy = dice.draw((0..peers.len()).collect(), settings.vendors + settings.buyers);
        let (vendors, buyers) = busy.split_at(settings.vendors.min(busy.len()));
        let idle: Vec<PeerNo> = (0..peers.len()).filter(|peer| !busy.contains(peer)).collect();
        // The share is that of each role: a run with few buyers has its villains among them too.
        for role in [vendors, buyers, &idle] {
            for villain in dice.draw(role.to_vec(), settings.malicious_of(role.len())) {
                peers[villain].honest = false;
            }
        }
        if let Some(liars) = settings.liars {
            for (number, peer) in vendors.iter().chain(buyers).chain(&idle).enumerate() {
                peers[*peer].honest = liars >> number & 1 == 0;
            }
        }
        let mut bank = Bank::new(network, broker);
        let roster = Roster::new(bank.broker());
        for (number, peer) in peers.iter().enumerate() {
            bank.register(number, peer);
            roster.enroll(peer.node, Bank::account(number).public());
            roster.connected(&peer.node, true, BEGIN);
        }
        let (vendors, buyers) = (vendors.to_vec(), buyers.to_vec());
        let mut town =
            Self { network, broker: bank.broker(), peers, vendors, buyers, chains: BTreeMap::new() };
        let by_node: BTreeMap<PublicKey, PeerNo> =
            town.peers.iter().enumerate().map(|(number, peer)| (peer.node, number)).collect();
        for buyer in town.buyers.clone() {
            let (chains, n) = if town.peers[buyer].honest { CHAINS } else { DECOY };
            let account = Bank::account(buyer).public();
            for _ in 0..chains {
                let committee = |place: &Place| roster.committee(place, &account, BEGIN);
                bank.credit(buyer, Coins(n.0.into()), &mut dice);
                town.buy((buyer, n), &mut bank, &mut dice, committee, &by_node);
            }
        }
        (town, bank)
    }

    fn buy(
        &mut self,
        (buyer, n): (PeerNo, Cap),
        bank: &mut Bank,
        dice: &mut Dice,
        committee: impl FnOnce(&Place) -> Committee,
        by_node: &BTreeMap<PublicKey, PeerNo>,
    ) {
        let (seed, key) = (Seed(dice.bytes()), SecretKey::from_seed(&dice.bytes()));
        let touchstone = bank.sell(buyer, &key, &seed, (n, dice.bytes()), committee);
        let seats: Vec<PeerNo> =
            touchstone.committee.iter().filter_map(|node| by_node.get(node)).copied().collect();
        let honest = seats.iter().filter(|peer| self.peers[**peer].honest).count();
        let sound = honest >= touchstone.quorum();
        self.chains.insert(chain_id(&touchstone), Sold { touchstone, seed, key, buyer, seats, sound });
    }

    /// The chains that a peer bought.
    pub fn chains_of(&self, buyer: PeerNo) -> impl Iterator<Item = (&ChainId, &Sold)> {
        self.chains.iter().filter(move |(_, sold)| sold.buyer == buyer)
    }

    /// Whether a chain is an honest buyer's.
    pub fn is_honest(&self, chain: &ChainId) -> bool {
        self.chains.get(chain).is_some_and(|sold| self.peers[sold.buyer].honest)
    }

    /// The place among the vendors of the one with this node key.
    pub fn vendor(&self, node: &PublicKey) -> Option<usize> {
        self.vendors.iter().position(|peer| self.peers[*peer].node == *node)
    }
}

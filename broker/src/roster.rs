//! Who can be a witness: members alive within the hour, found by their distance to a chain's place.

use netpay_core::codec::List;
use netpay_core::coin::touchstone::{Committee, MAX_COMMITTEE, MIN_COMMITTEE};
use netpay_core::id::Place;
use netpay_core::keys::PublicKey;
use netpay_core::time::{HOUR, Time};
use netpay_node::overlay::{NodeKey, distance};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A member counts as alive for so long after it was last seen, in seconds.
pub const ALIVE_FOR: u64 = HOUR;

/// A point in the space where Kademlia measures distance, moved by one constant, which distances do not notice.
type Point = [u8; 32];

/// The members, by account and by where they are.
#[derive(Debug)]
pub struct Roster {
    own: NodeKey,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<NodeKey, Member>,
    /// The same by place, so that the nearest are found without looking at all.
    places: BTreeMap<Point, NodeKey>,
    /// Nodes and accounts that witness nothing any more.
    barred: BTreeSet<PublicKey>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    account: PublicKey,
    seen: Option<Time>,
    connected: bool,
}

impl Roster {
    /// A roster without members; `own` is the broker's node, the witness while there are too few.
    #[must_use]
    pub fn new(own: NodeKey) -> Self {
        Self { own, state: RwLock::default() }
    }

    /// Takes a node in as a member, or moves it to another account.
    pub fn enroll(&self, node: NodeKey, account: PublicKey) {
        let mut state = self.write();
        let member = state.members.entry(node).or_insert(Member { account, seen: None, connected: false });
        member.account = account;
        state.places.insert(point(&node), node);
    }

    /// A node made a request.
    pub fn seen(&self, node: &NodeKey, now: Time) {
        if let Some(member) = self.write().members.get_mut(node) {
            member.seen = Some(now);
        }
    }

    /// A node is connected, or is not any more.
    pub fn connected(&self, node: &NodeKey, connected: bool, now: Time) {
        if let Some(member) = self.write().members.get_mut(node) {
            member.connected = connected;
            member.seen = Some(now);
        }
    }

    /// How many members are alive.
    #[must_use]
    pub fn alive(&self, now: Time) -> usize {
        self.read().members.values().filter(|member| member.is_alive(now)).count()
    }

    /// From now on these nodes, and those of these accounts, are picked for no committee.
    pub fn bar(&self, barred: BTreeSet<PublicKey>) {
        self.write().barred = barred;
    }

    /// The witnesses of a chain at `place` that `buyer` buys: the nearest members alive, one of each account, none of the
    /// buyer's and none that is barred; the broker's node alone if they are too few.
    #[must_use]
    pub fn committee(&self, place: &Place, buyer: &PublicKey, now: Time) -> Committee {
        let target = self.place(place);
        let mut committee = List::new();
        let mut accounts = BTreeSet::from([*buyer]);
        let state = self.read();
        state.nearest(&target, |node, member| {
            let barred = state.barred.contains(node) || state.barred.contains(&member.account);
            if *node != self.own && !barred && member.is_alive(now) && accounts.insert(member.account) {
                // Full cannot be: the walk ends before.
                let _ = committee.push(*node);
            }
            committee.len() < MAX_COMMITTEE
        });
        if committee.len() < MIN_COMMITTEE { List::first_of([self.own]) } else { committee }
    }

    /// Where a place is among the points of nodes.
    fn place(&self, place: &Place) -> Point {
        xor(&distance(&place.0, &self.own), &point(&self.own))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn is_alive(&self, now: Time) -> bool {
        self.connected || self.seen.is_some_and(|seen| now.since(seen) <= ALIVE_FOR)
    }
}

impl State {
    /// Walks over the members, the nearest first, until `visit` says no. Nodes that share the more leading bits with the
    /// target are the nearer, and those that share the same number of them are neighbours in the map.
    fn nearest(&self, target: &Point, mut visit: impl FnMut(&NodeKey, &Member) -> bool) {
        let before = self.places.range(..=*target).next_back();
        let after = self.places.range(*target..).next();
        let longest = before.into_iter().chain(after).map(|(point, _)| shared_bits(point, target)).max();
        let Some(longest) = longest else { return };
        for bits in (0..=longest).rev() {
            let (low, high) = bucket(target, bits);
            let mut bucket: Vec<_> =
                self.places.range(low..=high).map(|(p, node)| (xor(p, target), node)).collect();
            bucket.sort_unstable();
            for (_, node) in bucket {
                if self.members.get(node).is_some_and(|member| !visit(node, member)) {
                    return;
                }
            }
        }
    }
}

fn point(node: &NodeKey) -> Point {
    distance(&[0; 32], node)
}

fn xor(a: &Point, b: &Point) -> Point {
    let mut out = *a;
    out.iter_mut().zip(b).for_each(|(out, b)| *out ^= b);
    out
}

/// Leading bits two points share; 255 if they are the same.
fn shared_bits(a: &Point, b: &Point) -> usize {
    let difference = xor(a, b);
    let bits = difference.iter().position(|byte| *byte != 0);
    bits.map_or(255, |at| 8 * at + difference[at].leading_zeros() as usize)
}

/// The points that share exactly `bits` leading bits with the target: the first and the last of them.
fn bucket(target: &Point, bits: usize) -> (Point, Point) {
    let (byte, bit) = (bits / 8, 0x80_u8 >> (bits % 8));
    let below = bit - 1;
    let (mut low, mut high) = (*target, *target);
    low[byte] = (target[byte] ^ bit) & !below;
    high[byte] = (target[byte] ^ bit) | below;
    low[byte + 1..].fill(0);
    high[byte + 1..].fill(0xff);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::keys::SecretKey;
    use netpay_node::overlay::closest_of;

    const NOW: Time = Time(10_000);

    fn node(number: u16) -> NodeKey {
        let mut seed = [9; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        SecretKey::from_seed(&seed).public()
    }

    fn account(number: u16) -> PublicKey {
        PublicKey([u8::try_from(number % 250).expect("small"); 32])
    }

    fn roster(members: u16) -> Roster {
        let roster = Roster::new(node(0));
        for number in 1..=members {
            roster.enroll(node(number), account(number));
            roster.connected(&node(number), true, NOW);
        }
        roster
    }

    #[test]
    fn whoever_was_convicted_is_picked_no_more() {
        let (roster, stranger) = (roster(6), PublicKey([255; 32]));
        assert_eq!(roster.committee(&Place([1; 32]), &stranger, NOW).len(), 6);
        roster.bar(BTreeSet::from([node(2), account(4)]));
        let committee = roster.committee(&Place([1; 32]), &stranger, NOW);
        assert_eq!(committee.len(), 4);
        assert!(!committee.contains(&node(2)) && !committee.contains(&node(4)));
    }

    #[test]
    fn the_committee_is_whom_a_lookup_of_the_place_finds() {
        let roster = roster(60);
        for number in 0..20 {
            let place = Place([number; 32]);
            let expected = closest_of(&place.0, (1..=60).map(node), MAX_COMMITTEE);
            assert_eq!(roster.committee(&place, &PublicKey([255; 32]), NOW).into_vec(), expected);
        }
    }

    #[test]
    fn too_few_members_leave_the_brokers_node_alone() {
        let stranger = PublicKey([255; 32]);
        for members in 0..4 {
            assert_eq!(roster(members).committee(&Place([1; 32]), &stranger, NOW).into_vec(), [node(0)]);
        }
        assert_eq!(roster(4).committee(&Place([1; 32]), &stranger, NOW).len(), 4);
        // The buyer's own node does not count.
        assert_eq!(roster(4).committee(&Place([1; 32]), &account(1), NOW).into_vec(), [node(0)]);
    }

    #[test]
    fn one_of_each_account_and_only_those_alive() {
        let roster = roster(8);
        let stranger = PublicKey([255; 32]);
        roster.enroll(node(8), account(7));
        assert_eq!(roster.committee(&Place([1; 32]), &stranger, NOW).len(), 7);
        roster.connected(&node(1), false, NOW);
        assert_eq!(roster.committee(&Place([1; 32]), &stranger, NOW.plus(ALIVE_FOR)).len(), 7);
        assert_eq!(roster.committee(&Place([1; 32]), &stranger, NOW.plus(ALIVE_FOR + 1)).len(), 6);
        roster.seen(&node(1), NOW.plus(ALIVE_FOR + 1));
        assert_eq!(roster.committee(&Place([1; 32]), &stranger, NOW.plus(ALIVE_FOR + 1)).len(), 7);
    }
}

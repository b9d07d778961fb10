//! Chain records and witnesses. Bytes choose what a buyer and two vendors sign, all three of them liars if need be, and
//! what they show to whom; three witnesses keep to the rules, and the fourth acks whatever it is shown.

use super::Target;
use super::samples::{self, NETWORK, NOW, key};
use crate::sim::dice::Dice;
use netpay_core::amount::{Cap, Index};
use netpay_core::codec::{List, decode, encode};
use netpay_core::coin::chain::Coin;
use netpay_core::coin::segment::{Close, MIN_LEASE, Open, Release, SegmentNo};
use netpay_core::coin::touchstone::{Touchstone, chain_id};
use netpay_core::id::{ChainId, ObjectHash, PayTo};
use netpay_core::keys::{SecretKey, Signature, Signed};
use netpay_core::record::chain::{
    Ack, Believed, Certificate, ChainRecord, Culprit, Evidence, Line, Link, verify, verify_again,
};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::witness::{self, Bench, Kept, Verdict, judge};
use netpay_core::time::{DAY, Time};
use netpay_core::wire::record::MAX_CLOSES;
use std::collections::{BTreeMap, BTreeSet};

/// The most objects of a kind that one input signs.
const MAX_SIGNED: usize = 24;
/// The most steps of one input.
const MAX_STEPS: usize = 60;
/// The seat of the witness that acks everything.
const LIAR: u8 = 3;
/// Leases begin at multiples of so many coins.
const STEP: u64 = 4;

pub fn targets() -> Vec<Target> {
    vec![
        Target::new("record_bytes", || samples::bytes_of(&["chain_record"]), record_bytes),
        Target::new(
            "evidence_bytes",
            || samples::bytes_of(&["evidence_two_opens", "evidence_two_acks"]),
            evidence_bytes,
        ),
        Target::new("witnesses_of_an_honest_buyer", seeds, |bytes| play(bytes, true)).slow(100),
        Target::new("witnesses_of_a_lying_buyer", seeds, |bytes| play(bytes, false)).slow(200),
    ]
}

/// A chain opened, closed, opened on and put everywhere; and a stretch of everything.
fn seeds() -> Vec<Vec<u8>> {
    let sale = [0, 0, 0, 1, 0, 4, 2, 0, 1, 1, 1, 2, 1, 1, 1, 2, 2, 1, 1, 0, 0, 1, 1, 2, 0, 1, 1, 2, 1, 1, 1];
    vec![sale.repeat(3), (0..=255).collect()]
}

/// A record of which a byte was changed is not believed, unless it says the same.
fn record_bytes(bytes: &[u8]) {
    let Ok(record) = decode::<ChainRecord>(bytes) else { return };
    let Ok(line) = verify(record.clone(), &NETWORK, &key(1).public()) else { return };
    assert_eq!(line.record(), Some(record), "what is believed is not what was shown");
}

/// However genuine evidence is twisted, it convicts nobody but whom it convicts.
fn evidence_bytes(bytes: &[u8]) {
    let Ok(evidence) = decode::<Evidence>(bytes) else { return };
    let chain = chain_id(&samples::touchstone());
    let guilty = [Culprit::Buyer(chain), Culprit::Witness(key(20).public(), chain)];
    if let Some(culprit) = evidence.convicts(&NETWORK, &key(1).public()) {
        assert!(guilty.contains(&culprit), "{culprit:?} is convicted");
    }
}

/// What was signed so far, and what the four witnesses keep.
struct Play {
    dice: Dice,
    honest: bool,
    touchstone: Signed<Touchstone>,
    opens: Vec<Signed<Open>>,
    closes: Vec<Signed<Close>>,
    kept: [Option<Kept>; 4],
    acks: BTreeMap<ObjectHash, BTreeMap<u8, Signature>>,
    now: Time,
}

fn play(bytes: &[u8], honest: bool) {
    let mut play = Play {
        dice: Dice::fed(bytes),
        honest,
        touchstone: samples::touchstone(),
        opens: Vec::new(),
        closes: Vec::new(),
        kept: [const { None }; 4],
        acks: BTreeMap::new(),
        now: NOW,
    };
    for _ in 0..MAX_STEPS {
        if play.dice.left() == 0 {
            break;
        }
        play.step();
    }
    play.holds();
}

fn holder(number: u64) -> SecretKey {
    key(if number == 0 { 30 } else { 31 })
}

impl Play {
    fn chain(&self) -> ChainId {
        chain_id(&self.touchstone)
    }

    fn step(&mut self) {
        match self.dice.between(0, 16) {
            0..4 => self.sign_open(),
            4..7 => self.sign_close(),
            7..14 => self.put(),
            14 => self.freeze(),
            _ => self.now = self.now.plus(self.dice.between(0, 3) * 5 * DAY),
        }
    }

    fn pick<T: Clone>(dice: &mut Dice, some: &[T]) -> Option<T> {
        let at = usize::try_from(dice.between(0, some.len() as u64)).ok()?;
        some.get(at).cloned()
    }

    /// The buyer opens the next segment: an honest one after its newest, another after any, anywhere.
    fn sign_open(&mut self) {
        if self.opens.len() >= MAX_SIGNED {
            return;
        }
        let parent = match self.honest {
            true => self.opens.last().cloned(),
            false if self.dice.happens(0.2) => None,
            false => Self::pick(&mut self.dice, &self.opens),
        };
        let (j, prev) = parent
            .as_ref()
            .map_or((SegmentNo::FIRST, self.touchstone.hash()), |open| (open.j.next(), open.hash()));
        let cap = parent.as_ref().map_or(0, |open| open.cap.0);
        let receipts = self.closes.iter().filter(|close| close.open == prev).map(|close| close.end.0);
        let mut starts: Vec<u32> = receipts.chain([cap]).collect();
        if !self.honest {
            starts.push(u32::try_from(self.dice.between(0, 20) * STEP).unwrap_or(0));
        }
        let start = Self::pick(&mut self.dice, &starts).unwrap_or(cap);
        let length = MIN_LEASE + u32::try_from(self.dice.between(0, 3) * STEP).unwrap_or(0);
        let open = Open {
            chain: self.chain(),
            j,
            prev,
            holder: holder(self.dice.between(0, 2)).public(),
            start: Index(start),
            cap: Cap((start + length).min(self.touchstone.n.0)),
            release_root: Release([0; 32]),
            fair: None,
        };
        self.opens.push(key(2).sign(&NETWORK, open));
    }

    /// A vendor closes one of its segments, for the first time or again.
    fn sign_close(&mut self) {
        let Some(open) = Self::pick(&mut self.dice, &self.opens) else { return };
        if self.closes.len() >= MAX_SIGNED {
            return;
        }
        let by = self.dice.between(0, 8);
        let end = u64::from(open.start.0)
            + self.dice.between(0, u64::from(open.cap.0 - open.start.0.min(open.cap.0)) + 1);
        let close = Close {
            chain: self.chain(),
            j: open.j,
            open: open.hash(),
            end: Index(u32::try_from(end).unwrap_or(0)),
            coin: Coin([0; 16]),
            release: Release([0; 32]),
            pay_to: PayTo([0; 32]),
        };
        let of_open = if open.holder == holder(0).public() { holder(0) } else { holder(1) };
        // One in eight is somebody else's word.
        let signer = if by == 7 { key(33) } else { of_open };
        self.closes.push(signer.sign(&NETWORK, close));
    }

    /// A line down to the touchstone, or to a segment whose certificate is known.
    fn record(&mut self) -> Option<ChainRecord> {
        let mut links = Vec::new();
        let mut base = None;
        let mut next = Self::pick(&mut self.dice, &self.opens);
        while let Some(open) = next {
            let closes: Vec<_> =
                self.closes.iter().filter(|close| close.open == open.hash()).cloned().collect();
            let close = if self.dice.happens(0.4) { None } else { Self::pick(&mut self.dice, &closes) };
            let link = Link { open: open.wire(), close: close.as_ref().map(Signed::wire) };
            let objects = close.iter().map(Signed::hash).chain([open.hash()]);
            let certificate = objects.filter_map(|object| self.certificate(object)).next();
            if let Some(certificate) = certificate.filter(|_| self.dice.happens(0.5)) {
                base = Some((link, certificate));
                break;
            }
            links.push(link);
            next = self.opens.iter().find(|before| before.hash() == open.prev).cloned();
        }
        links.reverse();
        (!links.is_empty() || base.is_some()).then(|| ChainRecord {
            touchstone: self.touchstone.wire(),
            base,
            links: List::first_of(links),
        })
    }

    /// All the acks there are of an object, where they are enough.
    fn certificate(&self, object: ObjectHash) -> Option<Certificate> {
        let acks = self.acks.get(&object)?;
        let acks = List::first_of(acks.iter().map(|(seat, ack)| (*seat, *ack)));
        Some(Certificate { object, acks }).filter(|all| all.acks.len() >= self.touchstone.quorum())
    }

    fn put(&mut self) {
        let Some(record) = self.record() else { return };
        let Ok(line) = verify(record.clone(), &NETWORK, &key(1).public()) else { return };
        line_holds(&line, &record);
        let late: Vec<_> = (0..self.dice.between(0, 3))
            .filter_map(|_| Self::pick(&mut self.dice, &self.closes))
            .map(|close| close.wire())
            .take(MAX_CLOSES)
            .collect();
        let seats = self.dice.between(1, 16);
        let want: Vec<ObjectHash> =
            self.opens.iter().map(Signed::hash).chain(self.closes.iter().map(Signed::hash)).collect();
        for seat in (0..4_u8).filter(|seat| seats >> seat & 1 == 1) {
            let at = usize::from(seat);
            if seat == LIAR {
                line.all().for_each(|segment| {
                    self.ack(seat, segment.open.hash());
                    segment.close.iter().for_each(|close| self.ack(seat, close.hash()));
                });
                continue;
            }
            let me = samples::committee()[at].public();
            let bench = Bench { network: &NETWORK, me: &me, birth: Time(0), now: self.now };
            let (next, verdict) = judge(self.kept[at].as_ref(), &line, &late, bench);
            if let Verdict::Conflict(evidence) = &verdict {
                let culprit = evidence.convicts(&NETWORK, &key(1).public());
                assert_eq!(culprit, Some(Culprit::Buyer(self.chain())), "evidence that convicts nobody");
                assert!(!self.honest, "an honest buyer is accused");
            }
            // What is kept is kept as it is written.
            if let Some(next) = next.filter(|next| self.kept[at].as_ref() != Some(next)) {
                self.kept[at] = Some(decode(&encode(&next)).expect("a row of its own"));
                self.shows_what_it_keeps(at);
            }
            let keeps = |object: &&ObjectHash| self.kept[at].as_ref().is_some_and(|kept| kept.keeps(object));
            let kept: Vec<ObjectHash> = want.iter().filter(keeps).copied().collect();
            if !matches!(verdict, Verdict::Refused(_)) {
                kept.into_iter().for_each(|object| self.ack(seat, object));
            }
        }
    }

    fn ack(&mut self, seat: u8, object: ObjectHash) {
        let witness = &samples::committee()[usize::from(seat)];
        let ack = Ack { chain: self.chain(), object }.sign(&NETWORK, witness);
        self.acks.entry(object).or_default().insert(seat, ack);
    }

    /// What an honest witness shows to readers, they believe.
    fn shows_what_it_keeps(&self, at: usize) {
        let Some(kept) = self.kept[at].as_ref().filter(|kept| !kept.newest().is_empty()) else { return };
        let shown = kept.record();
        let line = verify(shown.clone(), &NETWORK, &key(1).public());
        let again = verify_again(shown, &NETWORK, &key(1).public(), &kept.believed());
        assert_eq!(line, again, "what was believed before makes a difference");
        if let Err(why) = line {
            panic!("a witness shows what nobody believes: {why}");
        }
    }

    fn freeze(&mut self) {
        let at = usize::try_from(self.dice.between(0, 3)).unwrap_or(0);
        let genuine = self.dice.happens(0.5);
        let signer = if genuine { key(1) } else { key(2) };
        let freeze = signer.sign(&NETWORK, Freeze { chain: self.chain(), at: self.now }).wire();
        let me = samples::committee()[at].public();
        let bench = Bench { network: &NETWORK, me: &me, birth: Time(0), now: self.now };
        let kept = witness::freeze(self.kept[at].as_ref(), &self.touchstone, freeze, bench);
        assert_eq!(kept.is_ok(), genuine, "a freeze is the broker's alone");
        if let Ok(kept) = kept {
            self.kept[at] = Some(kept);
        }
    }

    /// At the end: one Open of a number and one Close of a segment per honest witness, no evidence against it, and of
    /// what is certified nothing overlaps.
    fn holds(&self) {
        let close_of = |hash: &ObjectHash| self.closes.iter().find(|close| close.hash() == *hash);
        let open_of = |hash: &ObjectHash| self.opens.iter().find(|open| open.hash() == *hash);
        let mut certified_opens: BTreeMap<SegmentNo, BTreeSet<ObjectHash>> = BTreeMap::new();
        let mut paid: Vec<(ObjectHash, u32, u32)> = Vec::new();
        let mut acked: BTreeMap<u8, BTreeMap<SegmentNo, Vec<(Link, Signature)>>> = BTreeMap::new();
        for (object, acks) in &self.acks {
            let close = close_of(object);
            let Some(open) = open_of(&close.map_or(*object, |close| close.open)) else { continue };
            let link = Link { open: open.wire(), close: close.map(Signed::wire) };
            for (seat, ack) in acks.iter().filter(|(seat, _)| **seat != LIAR) {
                acked.entry(*seat).or_default().entry(open.j).or_default().push((link.clone(), *ack));
            }
            if acks.len() >= self.touchstone.quorum() {
                certified_opens.entry(open.j).or_default().insert(open.hash());
                if let Some(close) = close {
                    paid.push((open.hash(), open.start.0, close.end.0));
                }
            }
        }
        for (j, opens) in certified_opens {
            assert_eq!(opens.len(), 1, "two Opens of segment {j} are certified");
        }
        for (at, (open, start, end)) in paid.iter().enumerate() {
            for (other, from, to) in &paid[..at] {
                let apart = start == end || from == to || end <= from || to <= start;
                assert!(apart && open != other, "({start}, {end}] and ({from}, {to}] are final both");
            }
        }
        for (seat, segments) in acked {
            for (j, links) in segments {
                let closes = links.iter().filter(|(link, _)| link.close.is_some()).count();
                assert!(closes <= 1, "witness {seat} acked two Closes of segment {j}");
                self.is_innocent(seat, &links);
            }
        }
    }

    fn is_innocent(&self, seat: u8, links: &[(Link, Signature)]) {
        for (at, one) in links.iter().enumerate() {
            for other in &links[..at] {
                let touchstone = self.touchstone.wire();
                let evidence = Evidence::TwoAcks { touchstone, seat, one: one.clone(), other: other.clone() };
                assert_eq!(
                    evidence.convicts(&NETWORK, &key(1).public()),
                    None,
                    "an honest witness is convicted"
                );
            }
        }
    }
}

/// What is believed holds, checked again from the objects alone.
fn line_holds(line: &Line, record: &ChainRecord) {
    assert_eq!(line.record().as_ref(), Some(record), "what is believed is not what was shown");
    let mut believed = Believed::default();
    believed.add(record.clone());
    let again = verify_again(record.clone(), &NETWORK, &key(1).public(), &believed);
    assert_eq!(again.as_ref(), Ok(line), "what was believed before makes a difference");
    let mut before: Option<&netpay_core::record::chain::Segment> = None;
    for segment in line.all() {
        let open = &segment.open;
        assert!(open.start.0 < open.cap.0 && open.cap <= line.touchstone.n);
        match before {
            None if line.base.is_some() => {}
            None => assert_eq!((open.j, open.prev), (SegmentNo::FIRST, line.touchstone.hash())),
            Some(before) => {
                assert_eq!((open.j, open.prev), (before.open.j.next(), before.open.hash()));
                assert!(open.start >= before.frees_from(), "a segment begins inside the one before it");
            }
        }
        if let Some(close) = &segment.close {
            assert_eq!(close.open, open.hash());
            assert!(close.end >= open.start && close.end <= open.cap.as_index());
            assert!(close.wire().verify(&NETWORK, &open.holder).is_ok());
        }
        before = Some(segment);
    }
}

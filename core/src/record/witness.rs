//! The witness rules W1–W3 (PROTOCOL section 6) as one function of what a witness keeps of a chain and
//! what it is shown: what it keeps from now on, and its verdict.
//!
//! The caller makes the new state durable before it signs a single ack.

use super::chain::{Believed, ChainRecord, Evidence, Line, Link, Segment};
use crate::amount::{Cap, Index};
use crate::codec::{List, Wire};
use crate::coin::segment::{Close, Open, SegmentNo};
use crate::coin::touchstone::Touchstone;
use crate::id::{NetworkId, ObjectHash};
use crate::keys::{PublicKey, Signed, Unverified};
use crate::time::{DAY, MINUTE, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Opens are acked for so long after a chain's `spend_by`, in seconds.
pub const OPEN_GRACE: u64 = 10 * MINUTE;
/// A record is kept for so long after its chain's `redeem_by`, in seconds.
pub const KEEP_AFTER: u64 = DAY;
/// So many of the newest segments are kept whole; of older ones only what the rules ask for.
pub const KEPT_WHOLE: usize = 16;
/// The most segments of one chain that a witness keeps.
pub const MAX_SEGMENTS: usize = 4096;

/// Why a witness keeps nothing of what it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum WhyRefused {
    /// This node is not of the chain's committee.
    #[error("this node is not a witness of the chain")]
    NotCommittee,
    /// The witness's store is younger than the chain: it may have forgotten an ack.
    #[error("this witness's memory is younger than the chain")]
    TooYoung,
    /// The chain can no longer be spent.
    #[error("the chain can no longer be opened")]
    Expired,
    /// Segments between what it keeps and what it is shown are missing.
    #[error("segments are missing between what the witness keeps and what it is shown")]
    Behind,
    /// The segment begins inside the one before it (W2).
    #[error("the segment begins inside the one before it")]
    Overlap,
    /// The segment is already closed otherwise, or a later one begins below this end (W3).
    #[error("the close contradicts one that is kept, or a later segment")]
    CloseConflict,
    /// There is evidence against the buyer: no new segments.
    #[error("there is evidence against the buyer of this chain")]
    Evidence,
    /// Too many puts, or too many segments.
    #[error("too much of one chain at once")]
    RateLimited,
    /// The record itself does not hold.
    #[error("the record does not hold")]
    Bad,
}

/// What a witness keeps of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSegment {
    hash: ObjectHash,
    holder: PublicKey,
    start: Index,
    cap: Cap,
    close: Option<(ObjectHash, Index)>,
    whole: Option<Link>,
}

impl KeptSegment {
    fn is(&self, object: &ObjectHash) -> bool {
        self.hash == *object || self.close.is_some_and(|(hash, _)| hash == *object)
    }
}

/// What a witness keeps of one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    touchstone: Unverified<Touchstone>,
    base: Option<super::chain::Certificate>,
    segments: BTreeMap<SegmentNo, KeptSegment>,
    evidence: Option<Evidence>,
    /// When the record may be forgotten.
    pub forget_at: Time,
}

impl Wire for Kept {
    const MAX: usize = 1 << 20;
}

/// What a witness answers, before it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything shown is kept; acks of any of it may be signed once that is durable.
    Accepted,
    /// What is kept is newer.
    Stale,
    /// The buyer signed two Opens of one segment.
    Conflict(Box<Evidence>),
    /// Nothing new is kept.
    Refused(WhyRefused),
}

/// Who judges, and when.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// The network.
    pub network: &'a NetworkId,
    /// The witness.
    pub me: &'a PublicKey,
    /// When its store was born.
    pub birth: Time,
    /// Now.
    pub now: Time,
}

impl Kept {
    fn new(touchstone: &Signed<Touchstone>) -> Self {
        Self {
            touchstone: touchstone.wire(),
            base: None,
            segments: BTreeMap::new(),
            evidence: None,
            forget_at: touchstone.redeem_by.plus(KEEP_AFTER),
        }
    }

    /// Whether an object is kept, so that an ack of it may be signed.
    #[must_use]
    pub fn keeps(&self, object: &ObjectHash) -> bool {
        self.segments.values().any(|segment| segment.is(object))
    }

    /// The segment that the certificate of the base is of.
    fn base_no(&self) -> Option<SegmentNo> {
        let object = self.base.as_ref()?.object;
        self.segments.iter().find(|(_, segment)| segment.is(&object)).map(|(j, _)| *j)
    }

    /// The evidence against the buyer, if there is any.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// The hashes of the newest Open and of its Close.
    #[must_use]
    pub fn newest(&self) -> Vec<ObjectHash> {
        self.segments
            .values()
            .next_back()
            .map(|segment| {
                [Some(segment.hash), segment.close.map(|(hash, _)| hash)].into_iter().flatten().collect()
            })
            .unwrap_or_default()
    }

    /// What of the chain was believed here before.
    #[must_use]
    pub fn believed(&self) -> Believed {
        // The record shows some of the segments that are kept whole; here are all of them.
        let mut believed = Believed::default();
        believed.add(ChainRecord { links: List::new(), ..self.record() });
        self.segments.values().filter_map(|kept| kept.whole.clone()).for_each(|link| believed.add_link(link));
        believed
    }

    /// The record as it is shown to readers: the certified base, if one was learnt, and the newest segments.
    #[must_use]
    pub fn record(&self) -> ChainRecord {
        let whole: Vec<(&SegmentNo, &Link)> =
            self.segments.iter().filter_map(|(j, segment)| Some((j, segment.whole.as_ref()?))).collect();
        let based = self.base.as_ref().and_then(|certificate| {
            let at = whole.iter().position(|(j, _)| self.segments[j].is(&certificate.object))?;
            Some((at, certificate))
        });
        let above = based.map_or(0, |(at, _)| at + 1);
        ChainRecord {
            touchstone: self.touchstone.clone(),
            base: based.map(|(at, certificate)| (whole[at].1.clone(), certificate.clone())),
            links: List::first_of(whole[above..].iter().map(|(_, link)| (*link).clone())),
        }
    }
}

/// Judges a believed line against what is kept of its chain, and takes Closes of older segments than it shows.
#[must_use]
pub fn judge(
    kept: Option<&Kept>,
    line: &Line,
    closes: &[Unverified<Close>],
    bench: Bench<'_>,
) -> (Option<Kept>, Verdict) {
    let refuse = |why| (None, Verdict::Refused(why));
    if !line.touchstone.committee.contains(bench.me) {
        return refuse(WhyRefused::NotCommittee);
    }
    if line.touchstone.issued < bench.birth {
        return refuse(WhyRefused::TooYoung);
    }
    let mut next = kept.cloned().unwrap_or_else(|| Kept::new(&line.touchstone));
    for segment in line.all() {
        match take(&mut next, line, segment, bench.now) {
            Ok(()) => {}
            Err(Verdict::Conflict(evidence)) => {
                let mut convicted = kept.cloned().unwrap_or_else(|| Kept::new(&line.touchstone));
                convicted.evidence = Some((*evidence).clone());
                return (Some(convicted), Verdict::Conflict(evidence));
            }
            Err(verdict) => return (None, verdict),
        }
    }
    for close in closes {
        take_older_close(&mut next, close, bench.network);
    }
    // A late put of older segments does not take the base back.
    if let Some((base, certificate)) = &line.base
        && next.base_no().is_none_or(|known| known <= base.open.j)
    {
        next.base = Some(certificate.clone());
    }
    let shown = line.newest().map(|segment| segment.open.j);
    let stale = shown < next.segments.keys().next_back().copied();
    trim(&mut next);
    if stale && kept == Some(&next) {
        // Nothing new in it; but late puts of older Opens on the same line may still be acked.
        return (None, Verdict::Accepted);
    }
    (Some(next), Verdict::Accepted)
}

fn take(next: &mut Kept, line: &Line, segment: &Segment, now: Time) -> Result<(), Verdict> {
    let j = segment.open.j;
    match next.segments.get(&j) {
        Some(kept) if kept.hash == segment.open.hash() => {}
        Some(kept) => return Err(contradiction(kept, line, &segment.open)),
        None => take_open(next, line, &segment.open, now)?,
    }
    match &segment.close {
        Some(close) => take_close(next, close),
        None => Ok(()),
    }
}

fn contradiction(kept: &KeptSegment, line: &Line, open: &Signed<Open>) -> Verdict {
    kept.whole.as_ref().map_or(Verdict::Stale, |whole| {
        Verdict::Conflict(Box::new(Evidence::TwoOpens {
            touchstone: line.touchstone.wire(),
            one: whole.open.clone(),
            other: open.wire(),
        }))
    })
}

fn take_open(next: &mut Kept, line: &Line, open: &Signed<Open>, now: Time) -> Result<(), Verdict> {
    let refused = |why| Err(Verdict::Refused(why));
    if next.evidence.is_some() {
        return refused(WhyRefused::Evidence);
    }
    if now > line.touchstone.spend_by.plus(OPEN_GRACE) {
        return refused(WhyRefused::Expired);
    }
    if next.segments.len() >= MAX_SEGMENTS {
        return refused(WhyRefused::RateLimited);
    }
    match next.segments.iter().next_back() {
        None => {}
        Some((newest, _)) if open.j < *newest => return Err(Verdict::Stale),
        // Whatever this witness missed: q members acked this Open and so its ancestors, hence no other of their
        // numbers can be certified any more. Refusing it would lose this witness to the chain for good.
        Some(_) if line.base.as_ref().is_some_and(|(base, _)| base.open.hash() == open.hash()) => {}
        Some((newest, kept)) if newest.next() == open.j => {
            if open.prev != kept.hash {
                return refused(WhyRefused::Behind);
            }
            let closed_below = || shown_close(line, *newest).or(kept.close.map(|(_, end)| end));
            let free = open.start.0 >= kept.cap.0 || closed_below().is_some_and(|end| open.start >= end);
            if !free {
                return refused(WhyRefused::Overlap);
            }
        }
        Some(_) => return refused(WhyRefused::Behind),
    }
    let whole = Some(Link { open: open.wire(), close: None });
    next.segments.insert(
        open.j,
        KeptSegment {
            hash: open.hash(),
            holder: open.holder,
            start: open.start,
            cap: open.cap,
            close: None,
            whole,
        },
    );
    Ok(())
}

fn shown_close(line: &Line, j: SegmentNo) -> Option<Index> {
    line.segment(j).and_then(|segment| segment.close.as_ref()).map(|close| close.end)
}

fn take_close(next: &mut Kept, close: &Signed<Close>) -> Result<(), Verdict> {
    let conflict = Err(Verdict::Refused(WhyRefused::CloseConflict));
    let successor = next.segments.get(&close.j.next()).map(|segment| segment.start);
    let Some(segment) = next.segments.get_mut(&close.j) else {
        return Err(Verdict::Refused(WhyRefused::Behind));
    };
    match segment.close {
        Some((hash, _)) if hash == close.hash() => return Ok(()),
        Some(_) => return conflict,
        None => {}
    }
    if successor.is_some_and(|start| close.end > start) {
        return conflict;
    }
    segment.close = Some((close.hash(), close.end));
    if let Some(whole) = &mut segment.whole {
        whole.close = Some(close.wire());
    }
    Ok(())
}

/// Takes the Close of a segment that is kept but not shown any more. One that does not hold is passed over:
/// it gets no ack, which its vendor sees.
fn take_older_close(next: &mut Kept, close: &Unverified<Close>, network: &NetworkId) {
    let Ok(claim) = close.claim() else { return };
    let Some(segment) = next.segments.get(&claim.j) else { return };
    let fits = claim.open == segment.hash && claim.end >= segment.start && claim.end.0 <= segment.cap.0;
    let holder = segment.holder;
    if let Some(close) = fits.then(|| close.clone().verify(network, &holder).ok()).flatten() {
        // A contradiction is refused by the rules; the segment then stays as it is kept.
        let _ = take_close(next, &close);
    }
}

/// Keeps only the newest segments whole, and always the certified base.
fn trim(kept: &mut Kept) {
    let base = kept.base.as_ref().map(|certificate| certificate.object);
    let old = kept.segments.len().saturating_sub(KEPT_WHOLE);
    for segment in kept.segments.values_mut().take(old) {
        if !base.is_some_and(|object| segment.is(&object)) {
            segment.whole = None;
        }
    }
}

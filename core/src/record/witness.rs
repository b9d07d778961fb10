//! A witness's judgement as one function of what it keeps of a chain and what it is shown: what it keeps from now
//! on, and its verdict. The rules W1–W3 themselves are in [`super::rules`].
//!
//! The caller makes the new state durable before it signs a single ack.

pub use super::rules::{MAX_SEGMENTS, WhyRefused};

use super::chain::{Believed, ChainRecord, Evidence, Line, Link, Segment};
use super::freeze::Freeze;
use super::rules::{Book, CloseFact, No, OpenFact, Shown, Taken};
use crate::codec::{List, Wire};
use crate::coin::segment::{Close, SegmentNo};
use crate::coin::touchstone::{self, Touchstone};
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

/// What a witness keeps of one segment beside its row in the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Objects {
    holder: PublicKey,
    whole: Option<Link>,
}

/// What a witness keeps of one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    touchstone: Unverified<Touchstone>,
    base: Option<super::chain::Certificate>,
    book: Book<ObjectHash>,
    /// For each row of the book.
    objects: BTreeMap<SegmentNo, Objects>,
    evidence: Option<Evidence>,
    frozen: bool,
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
    /// What was kept before has its Closes, and acks of it may be signed; what is newer is passed over.
    Partly(WhyRefused),
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
            book: Book::default(),
            objects: BTreeMap::new(),
            evidence: None,
            frozen: false,
            forget_at: touchstone.redeem_by.plus(KEEP_AFTER),
        }
    }

    /// Whether an object is kept, so that an ack of it may be signed.
    #[must_use]
    pub fn keeps(&self, object: &ObjectHash) -> bool {
        self.book.keeps(object)
    }

    /// The segment that the certificate of the base is of.
    fn base_no(&self) -> Option<SegmentNo> {
        let object = self.base.as_ref()?.object;
        self.book.rows.iter().find(|(_, row)| row.is(&object)).map(|(j, _)| *j)
    }

    /// The evidence against the buyer, if there is any.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// Whether the broker has frozen the chain.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The hashes of the newest Open and of its Close.
    #[must_use]
    pub fn newest(&self) -> Vec<ObjectHash> {
        let newest = self.book.rows.values().next_back();
        let hashes = newest.map(|row| [Some(row.open), row.close.map(|(hash, _)| hash)]);
        hashes.into_iter().flatten().flatten().collect()
    }

    /// What of the chain was believed here before.
    #[must_use]
    pub fn believed(&self) -> Believed {
        // The record shows some of the segments that are kept whole; here are all of them.
        let mut believed = Believed::default();
        believed.add(ChainRecord { links: List::new(), ..self.record() });
        self.objects.values().filter_map(|kept| kept.whole.clone()).for_each(|link| believed.add_link(link));
        believed
    }

    /// The record as it is shown to readers: the certified base, if one was learnt, and the newest segments.
    #[must_use]
    pub fn record(&self) -> ChainRecord {
        let whole: Vec<(&SegmentNo, &Link)> =
            self.objects.iter().filter_map(|(j, kept)| Some((j, kept.whole.as_ref()?))).collect();
        let based = self.base.as_ref().and_then(|certificate| {
            let at = whole.iter().position(|(j, _)| self.book.rows[j].is(&certificate.object))?;
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
    let taken = match next.book.take_line(&shown(line), may_open(&next, line, bench.now)) {
        Ok(Taken::Partly(why)) if kept.is_none() => return refuse(why),
        Ok(taken) => taken,
        Err(No::Stale) => return (None, Verdict::Stale),
        Err(No::Refused(why)) => return refuse(why),
        Err(No::Conflict(j)) => {
            let Some(evidence) = next.contradiction(line, j) else { return (None, Verdict::Stale) };
            let mut convicted = kept.cloned().unwrap_or_else(|| Kept::new(&line.touchstone));
            convicted.evidence = Some(evidence.clone());
            return (Some(convicted), Verdict::Conflict(Box::new(evidence)));
        }
    };
    next.keep_objects(line);
    for close in closes {
        take_older_close(&mut next, close, bench.network);
    }
    // A late put of older segments does not take the base back, nor one whose certificate is of another Close of it than is
    // kept: nobody would believe what is shown of that.
    if let Some((base, certificate)) = &line.base
        && next.keeps(&certificate.object)
        && next.base_no().is_none_or(|known| known <= base.open.j)
    {
        next.base = Some(certificate.clone());
    }
    let newest = line.newest().map(|segment| segment.open.j);
    let stale = newest < next.book.rows.keys().next_back().copied();
    trim(&mut next);
    if let Taken::Partly(why) = taken {
        return (Some(next), Verdict::Partly(why));
    }
    if stale && kept == Some(&next) {
        // Nothing new in it; but late puts of older Opens on the same line may still be acked.
        return (None, Verdict::Accepted);
    }
    (Some(next), Verdict::Accepted)
}

/// Freezes a chain: what is kept stays, and nothing new is opened.
///
/// # Errors
/// If this node is not of the committee, or the freeze is not of this chain or not the broker's.
pub fn freeze(
    kept: Option<&Kept>,
    touchstone: &Signed<Touchstone>,
    freeze: Unverified<Freeze>,
    bench: Bench<'_>,
) -> Result<Kept, WhyRefused> {
    if !touchstone.committee.contains(bench.me) {
        return Err(WhyRefused::NotCommittee);
    }
    let freeze = freeze.verify(bench.network, &touchstone.broker).map_err(|_| WhyRefused::Bad)?;
    if freeze.chain != touchstone::chain_id(touchstone) {
        return Err(WhyRefused::Bad);
    }
    Ok(Kept { frozen: true, ..kept.cloned().unwrap_or_else(|| Kept::new(touchstone)) })
}

/// The line as the rules see it.
fn shown(line: &Line) -> Vec<Shown<ObjectHash>> {
    let base = line.base.as_ref().map(|(segment, _)| segment.open.j);
    let shown = |segment: &Segment| {
        let open = &segment.open;
        let fact = OpenFact { id: open.hash(), j: open.j, prev: open.prev, start: open.start, cap: open.cap };
        Shown { open: fact, close: segment.close.as_ref().map(fact_of), certified: base == Some(open.j) }
    };
    line.all().map(shown).collect()
}

fn fact_of(close: &Signed<Close>) -> CloseFact<ObjectHash> {
    CloseFact { id: close.hash(), j: close.j, open: close.open, end: close.end }
}

/// Whether new Opens of a chain are taken at all.
fn may_open(kept: &Kept, line: &Line, now: Time) -> Result<(), WhyRefused> {
    if kept.evidence.is_some() {
        return Err(WhyRefused::Evidence);
    }
    if kept.frozen {
        return Err(WhyRefused::Frozen);
    }
    if now > line.touchstone.spend_by.plus(OPEN_GRACE) {
        return Err(WhyRefused::Expired);
    }
    Ok(())
}

impl Kept {
    /// Keeps those objects of a line that the book has taken.
    fn keep_objects(&mut self, line: &Line) {
        for segment in line.all() {
            if !self.keeps(&segment.open.hash()) {
                continue;
            }
            let new = Objects {
                holder: segment.open.holder,
                whole: Some(Link { open: segment.open.wire(), close: None }),
            };
            self.objects.entry(segment.open.j).or_insert(new);
            if let Some(close) = &segment.close {
                self.keep_close(close);
            }
        }
    }

    fn keep_close(&mut self, close: &Signed<Close>) {
        let whole = self.objects.get_mut(&close.j).and_then(|kept| kept.whole.as_mut());
        if let Some(whole) = whole.filter(|whole| whole.close.is_none()) {
            whole.close = Some(close.wire());
        }
    }

    /// The evidence of two Opens of one number; `None` where the one kept is no longer whole.
    fn contradiction(&self, line: &Line, j: SegmentNo) -> Option<Evidence> {
        let kept = self.objects.get(&j)?.whole.as_ref()?;
        Some(Evidence::TwoOpens {
            touchstone: line.touchstone.wire(),
            one: kept.open.clone(),
            other: line.segment(j)?.open.wire(),
        })
    }
}

/// Takes the Close of a segment that is kept but not shown any more. One that does not hold is passed over:
/// it gets no ack, which its vendor sees.
fn take_older_close(next: &mut Kept, close: &Unverified<Close>, network: &NetworkId) {
    let Ok(claim) = close.claim() else { return };
    let fact = CloseFact { id: close.hash(network), j: claim.j, open: claim.open, end: claim.end };
    let Some(objects) = next.objects.get(&claim.j) else { return };
    if !next.book.rows.get(&claim.j).is_some_and(|row| row.fits(&fact)) {
        return;
    }
    let Ok(close) = close.clone().verify(network, &objects.holder) else { return };
    // A contradiction is refused by the rules; the segment then stays as it is kept.
    if next.book.take_close(&fact).is_ok() {
        next.keep_close(&close);
    }
}

/// Keeps only the newest segments whole, and always the certified base.
fn trim(kept: &mut Kept) {
    let base = kept.base_no();
    let old = kept.objects.len().saturating_sub(KEPT_WHOLE);
    for (_, objects) in kept.objects.iter_mut().take(old).filter(|(j, _)| Some(**j) != base) {
        objects.whole = None;
    }
}

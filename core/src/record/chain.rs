//! The chain record: the newest state of a chain as vendors, witnesses and buyers show it to each
//! other; acks and certificates over it; and evidence against whoever signed two of a kind.

use crate::codec::{List, Wire};
use crate::coin::segment::{Close, Open, SegmentNo};
use crate::coin::touchstone::{self, BadTouchstone, MAX_COMMITTEE, Touchstone};
use crate::id::{ChainId, NetworkId, ObjectHash};
use crate::keys::{BadSignature, Domain, PublicKey, SecretKey, Signable, Signature, Signed, Unverified};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most Opens above the newest certified one that a record shows.
pub const MAX_UNCERTIFIED: usize = 8;

/// What a witness signs: "I keep this object of this chain, and will keep none that contradicts it."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The chain.
    pub chain: ChainId,
    /// The Open or Close.
    pub object: ObjectHash,
}

impl Wire for Ack {
    const MAX: usize = 65;
}

impl Signable for Ack {
    const DOMAIN: Domain = *b"netpay/ack-rec\0\0";
}

impl Ack {
    /// Signs an ack: only ever after the object is durable at this witness.
    #[must_use]
    pub fn sign(self, network: &NetworkId, witness: &SecretKey) -> Signature {
        witness.sign(network, self).signature()
    }

    /// Whether `witness` signed this ack.
    #[must_use]
    pub fn holds(&self, network: &NetworkId, witness: &PublicKey, signature: Signature) -> bool {
        Unverified::rebuild(self, signature).verify(network, witness).is_ok()
    }
}

/// Acks of distinct committee members over one object: a proof that no other can be certified, if they are at least q.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The Open or Close they keep.
    pub object: ObjectHash,
    /// Seat in the committee, and that member's signature.
    pub acks: List<(u8, Signature), MAX_COMMITTEE>,
}

impl Wire for Certificate {
    const MAX: usize = 1500;
}

impl Certificate {
    /// Whether q distinct members of the touchstone's committee signed this object of its chain.
    #[must_use]
    pub fn holds(&self, network: &NetworkId, touchstone: &Signed<Touchstone>) -> bool {
        self.seats(network, touchstone).is_some_and(|seats| seats >= touchstone.quorum())
    }

    /// How many distinct members of the touchstone's committee signed this object of its chain, or `None` if any of
    /// the acks does not hold.
    #[must_use]
    pub fn seats(&self, network: &NetworkId, touchstone: &Signed<Touchstone>) -> Option<usize> {
        let ack = Ack { chain: touchstone::chain_id(touchstone), object: self.object };
        let mut seats = BTreeSet::new();
        for (seat, signature) in &self.acks {
            let witness = touchstone.committee.get(usize::from(*seat))?;
            if !seats.insert(*seat) || !ack.holds(network, witness, *signature) {
                return None;
            }
        }
        Some(seats.len())
    }
}

/// One Open and, where there is one, the Close of its segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `O_j`.
    pub open: Unverified<Open>,
    /// `C_j`.
    pub close: Option<Unverified<Close>>,
}

/// A chain's newest state as it travels: the touchstone, the newest certified segment if there is one,
/// and those above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRecord {
    /// T.
    pub touchstone: Unverified<Touchstone>,
    /// The newest certified Open, from which the links go on; without it they begin at segment 1.
    pub base: Option<(Link, Certificate)>,
    /// The Opens above, oldest first.
    pub links: List<Link, MAX_UNCERTIFIED>,
}

impl ChainRecord {
    /// Every segment shown, oldest first.
    fn all(&self) -> impl Iterator<Item = &Link> {
        self.base.iter().map(|(link, _)| link).chain(&self.links)
    }
}

impl Wire for ChainRecord {
    const MAX: usize = 12 * 1024;
}

/// Why a record is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The touchstone.
    #[error("touchstone: {0}")]
    Touchstone(#[from] BadTouchstone),
    /// An Open or Close is not genuine.
    #[error("segment {0}: {1}")]
    Signature(SegmentNo, BadSignature),
    /// The base's certificate does not hold.
    #[error("the certificate of segment {0} does not hold")]
    Certificate(SegmentNo),
    /// An Open does not extend the one before it.
    #[error("segment {0} does not extend the one before it")]
    Broken(SegmentNo),
    /// A lease is outside the chain or shorter than leases may be.
    #[error("the lease of segment {0} is not allowed")]
    Lease(SegmentNo),
    /// A lease begins below what the segment before it may still pay (rule W2).
    #[error("segment {0} begins inside the one before it, which is not closed below that")]
    Overlap(SegmentNo),
    /// A Close is not of its Open, or ends outside the lease.
    #[error("the close of segment {0} is not of its open")]
    Close(SegmentNo),
}

/// One believed segment of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `O_j`.
    pub open: Signed<Open>,
    /// `C_j`.
    pub close: Option<Signed<Close>>,
}

impl Segment {
    /// Where the next segment may begin: at the Close's end if closed, else at the cap.
    #[must_use]
    pub fn frees_from(&self) -> crate::amount::Index {
        self.close.as_ref().map_or(self.open.cap.as_index(), |close| close.end)
    }

    /// Whether `object` is this segment's Open or Close. A witness acks a Close only after its Open, so a
    /// certificate of either certifies the Open.
    #[must_use]
    pub fn is(&self, object: &ObjectHash) -> bool {
        self.open.hash() == *object || self.close.as_ref().is_some_and(|close| close.hash() == *object)
    }

    /// The segment as it travels.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { open: self.open.wire(), close: self.close.as_ref().map(Signed::wire) }
    }
}

/// A believed record: every signature, lease and link in it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// T.
    pub touchstone: Signed<Touchstone>,
    /// The newest certified segment, with its certificate.
    pub base: Option<(Segment, Certificate)>,
    /// The segments above it, oldest first.
    pub segments: Vec<Segment>,
}

impl Line {
    /// The line of a chain nobody was paid from yet.
    #[must_use]
    pub const fn fresh(touchstone: Signed<Touchstone>) -> Self {
        Self { touchstone, base: None, segments: Vec::new() }
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        touchstone::chain_id(&self.touchstone)
    }

    /// Every segment shown, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.base.iter().map(|(segment, _)| segment).chain(&self.segments)
    }

    /// The newest segment.
    #[must_use]
    pub fn newest(&self) -> Option<&Segment> {
        self.all().next_back()
    }

    /// Segment `j`, if shown.
    #[must_use]
    pub fn segment(&self, j: SegmentNo) -> Option<&Segment> {
        self.all().find(|segment| segment.open.j == j)
    }

    /// The number, predecessor's hash and lowest start of the next Open.
    #[must_use]
    pub fn next(&self) -> (SegmentNo, ObjectHash, crate::amount::Index) {
        self.newest()
            .map_or((SegmentNo::FIRST, self.touchstone.hash(), crate::amount::Index::ZERO), |newest| {
                (newest.open.j.next(), newest.open.hash(), newest.frees_from())
            })
    }

    /// How many Opens are shown above the certified one.
    #[must_use]
    pub const fn uncertified(&self) -> usize {
        self.segments.len()
    }

    /// Adds the next Open.
    ///
    /// # Errors
    /// If it does not extend this line, or begins inside the segment before it.
    pub fn extend(&mut self, open: Signed<Open>) -> Result<(), BadRecord> {
        let (j, prev, start) = self.next();
        if open.j != j || open.prev != prev || open.chain != self.chain() {
            return Err(BadRecord::Broken(open.j));
        }
        if !open.lease_is_allowed(self.touchstone.n) {
            return Err(BadRecord::Lease(open.j));
        }
        if open.start < start {
            return Err(BadRecord::Overlap(open.j));
        }
        self.segments.push(Segment { open, close: None });
        Ok(())
    }

    /// Adds the Close of a segment shown.
    ///
    /// # Errors
    /// If it is not of that segment's Open, or ends outside its lease.
    pub fn close(&mut self, close: Signed<Close>) -> Result<(), BadRecord> {
        let j = close.j;
        let base = self.base.iter_mut().map(|(segment, _)| segment);
        let segment =
            base.chain(&mut self.segments).find(|segment| segment.open.j == j).ok_or(BadRecord::Close(j))?;
        let open = &segment.open;
        let fits = close.chain == open.chain
            && close.open == open.hash()
            && close.end >= open.start
            && close.end.0 <= open.cap.0;
        if !fits {
            return Err(BadRecord::Close(j));
        }
        segment.close = Some(close);
        Ok(())
    }

    /// Takes a certificate of a segment's Open (or Close): what lies below it need not be shown any more.
    /// Returns whether it held and was of use.
    pub fn certify(&mut self, network: &NetworkId, certificate: Certificate) -> bool {
        let is_shown = self.segments.iter().any(|segment| segment.is(&certificate.object));
        is_shown && certificate.holds(network, &self.touchstone) && self.rebase(certificate)
    }

    /// As [`Line::certify`], with a certificate that holds.
    pub(crate) fn rebase(&mut self, certificate: Certificate) -> bool {
        let at = self.segments.iter().position(|segment| segment.is(&certificate.object));
        let Some(at) = at else { return false };
        let rest = self.segments.split_off(at + 1);
        if let Some(segment) = self.segments.pop() {
            self.base = Some((segment, certificate));
        }
        self.segments = rest;
        true
    }

    /// The record as it travels, or `None` if too many Opens are uncertified to be shown.
    #[must_use]
    pub fn record(&self) -> Option<ChainRecord> {
        let links = self.segments.iter().map(Segment::link).collect::<Vec<_>>();
        Some(ChainRecord {
            touchstone: self.touchstone.wire(),
            base: self.base.as_ref().map(|(segment, certificate)| (segment.link(), certificate.clone())),
            links: List::try_from(links).ok()?,
        })
    }
}

/// The Close of segment `j` that a record shows, if it is genuine: its Open is the chain key's, and it is its
/// holder's for that Open. It proves itself, so nothing else in the record need hold.
#[must_use]
pub fn close_in(
    record: &ChainRecord,
    network: &NetworkId,
    touchstone: &Signed<Touchstone>,
    j: SegmentNo,
) -> Option<Signed<Close>> {
    let of_segment =
        |link: &&Link| link.close.is_some() && link.open.claim().is_ok_and(|open: Open| open.j == j);
    let (open, close) =
        genuine(record.all().find(of_segment)?.clone(), network, touchstone, &Believed::default()).ok()?;
    let mut line = Line::fresh(touchstone.clone());
    let chain = line.chain();
    let close = close.filter(|_| open.chain == chain && open.lease_is_allowed(touchstone.n))?;
    line.segments.push(Segment { open, close: None });
    line.close(close.clone()).ok().map(|()| close)
}

/// Believes a record: the touchstone is this broker's, every Open is the chain key's and extends the one
/// before, every Close is its holder's, the base is certified.
///
/// # Errors
/// Says what does not hold first, oldest first.
pub fn verify(record: ChainRecord, network: &NetworkId, broker: &PublicKey) -> Result<Line, BadRecord> {
    verify_again(record, network, broker, &Believed::default())
}

/// What was believed of one chain before.
#[derive(Clone, Debug, Default)]
pub struct Believed {
    touchstones: Vec<Unverified<Touchstone>>,
    links: Vec<Link>,
    certificates: Vec<Certificate>,
}

impl Believed {
    /// Adds the parts of a record.
    pub fn add(&mut self, record: ChainRecord) {
        self.touchstones.push(record.touchstone);
        if let Some((link, certificate)) = record.base {
            self.links.push(link);
            self.certificates.push(certificate);
        }
        self.links.extend(record.links.into_vec());
    }

    /// Adds a segment.
    pub fn add_link(&mut self, link: Link) {
        self.links.push(link);
    }

    /// Adds a certificate.
    pub fn add_certificate(&mut self, certificate: Certificate) {
        self.certificates.push(certificate);
    }
}

/// As [`verify`], for whom has believed some of it before: signatures that are the same there, byte for byte, are
/// not checked again. Everything else is.
///
/// # Errors
/// As for [`verify`].
pub fn verify_again(
    record: ChainRecord,
    network: &NetworkId,
    broker: &PublicKey,
    believed: &Believed,
) -> Result<Line, BadRecord> {
    let known = &believed.touchstones;
    let touchstone = touchstone::verify_unless(known, record.touchstone, network, broker)?;
    let mut line = Line::fresh(touchstone);
    if let Some((link, certificate)) = record.base {
        // One of one's own for the same object says the same, whatever this one is.
        let own = believed.certificates.iter().find(|own| own.object == certificate.object);
        let (is_known, certificate) = (own.is_some(), own.cloned().unwrap_or(certificate));
        let (open, close) = genuine(link, network, &line.touchstone, believed)?;
        let j = open.j;
        if !open.lease_is_allowed(line.touchstone.n) || open.chain != line.chain() {
            return Err(BadRecord::Lease(j));
        }
        line.base = Some((Segment { open, close: None }, certificate));
        if let Some(close) = close {
            line.close(close)?;
        }
        let certified = |(segment, own): &(Segment, Certificate)| {
            segment.is(&own.object) && (is_known || own.holds(network, &line.touchstone))
        };
        if !line.base.as_ref().is_some_and(certified) {
            return Err(BadRecord::Certificate(j));
        }
    }
    for link in record.links.into_vec() {
        let (open, close) = genuine(link, network, &line.touchstone, believed)?;
        line.extend(open)?;
        if let Some(close) = close {
            line.close(close)?;
        }
    }
    Ok(line)
}

fn genuine(
    link: Link,
    network: &NetworkId,
    touchstone: &Touchstone,
    believed: &Believed,
) -> Result<(Signed<Open>, Option<Signed<Close>>), BadRecord> {
    let j = link.open.claim().map_or(SegmentNo(0), |open| open.j);
    let forged = |why| BadRecord::Signature(j, why);
    let opens = believed.links.iter().map(|link| &link.open);
    let open = link.open.verify_unless(opens, network, &touchstone.chain_key).map_err(forged)?;
    let close = match link.close {
        None => None,
        Some(close) => {
            // Below the very Open that its holder key stands in, or it is another key's word.
            let closes = believed
                .links
                .iter()
                .filter(|known| known.open == open.wire())
                .filter_map(|link| link.close.as_ref());
            Some(close.verify_unless(closes, network, &open.holder).map_err(forged)?)
        }
    };
    Ok((open, close))
}

/// Proof that somebody signed two things of which the rules allow one. Anyone can check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "rare, and passed on whole")]
pub enum Evidence {
    /// Two Opens of one segment: convicts the buyer, whom the broker knows by the chain.
    TwoOpens {
        /// Of the chain.
        touchstone: Unverified<Touchstone>,
        /// One.
        one: Unverified<Open>,
        /// The other.
        other: Unverified<Open>,
    },
    /// Two acks by one witness for two Opens of one segment, or for their Closes: convicts the witness.
    TwoAcks {
        /// Of the chain.
        touchstone: Unverified<Touchstone>,
        /// The witness's seat in the committee.
        seat: u8,
        /// One Open, and the witness's ack of it; or of its Close, if that is with it.
        one: (Link, Signature),
        /// The other.
        other: (Link, Signature),
    },
}

impl Wire for Evidence {
    const MAX: usize = 4096;
}

/// Whom a piece of evidence convicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Culprit {
    /// The account behind this chain.
    Buyer(ChainId),
    /// This member, of what it signed as a witness of this chain.
    Witness(PublicKey, ChainId),
}

impl Evidence {
    /// Whom it convicts, or `None` if it proves nothing.
    #[must_use]
    pub fn convicts(&self, network: &NetworkId, broker: &PublicKey) -> Option<Culprit> {
        let (touchstone, one, other) = match self {
            Self::TwoOpens { touchstone, one, other } => (touchstone, one, other),
            Self::TwoAcks { touchstone, one, other, .. } => (touchstone, &one.0.open, &other.0.open),
        };
        let touchstone = touchstone::verify(touchstone.clone(), network, broker).ok()?;
        let chain = touchstone::chain_id(&touchstone);
        let one = one.clone().verify(network, &touchstone.chain_key).ok()?;
        let other = other.clone().verify(network, &touchstone.chain_key).ok()?;
        let contradict =
            one.chain == chain && other.chain == chain && one.j == other.j && one.hash() != other.hash();
        if !contradict {
            return None;
        }
        match self {
            Self::TwoOpens { .. } => Some(Culprit::Buyer(chain)),
            Self::TwoAcks { seat, one: acked_one, other: acked_other, .. } => {
                let witness = *touchstone.committee.get(usize::from(*seat))?;
                let acked = |(link, ack): &(Link, Signature), open: &Signed<Open>| {
                    acked_object(link, open, network)
                        .is_some_and(|object| Ack { chain, object }.holds(network, &witness, *ack))
                };
                (acked(acked_one, &one) && acked(acked_other, &other))
                    .then_some(Culprit::Witness(witness, chain))
            }
        }
    }
}

/// What an ack of a link is of: its Close if there is one, which must be that of this Open, else its Open.
fn acked_object(link: &Link, open: &Signed<Open>, network: &NetworkId) -> Option<ObjectHash> {
    let Some(close) = &link.close else { return Some(open.hash()) };
    let close = close.clone().verify(network, &open.holder).ok()?;
    (close.open == open.hash()).then(|| close.hash())
}

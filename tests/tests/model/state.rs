//! Everything that is the case, as plain data. Whatever is in it is durable: a crash between persisting and acting
//! is a step whose message never comes, and every message here may come never or late.

use super::config::{COINS, Config, HONEST, LEASE, QUORUM, Rule};
use super::properties::Verdict;
use netpay_broker::ledger::Range;
use netpay_core::amount::Index;
use netpay_core::record::rules::{Book, CloseFact, No, OpenFact, Shown, Taken, WhyRefused};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// The name of an object: 0 is the touchstone, then come the Opens, from 100 on the Closes.
pub type Id = u8;
/// The touchstone.
pub const TOUCHSTONE: Id = 0;
const FIRST_CLOSE: usize = 100;

/// The name of the Open at this place in [`State::segments`].
pub fn open_id(at: usize) -> Id {
    Id::try_from(at + 1).expect("few Opens")
}

/// The name of the Close at this place in [`State::closes`].
pub fn close_id(at: usize) -> Id {
    Id::try_from(at + FIRST_CLOSE).expect("few Closes")
}

/// The two vendors. Anna is always honest; Ben may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    Anna,
    Ben,
}

/// Both.
pub const VENDORS: [Vendor; 2] = [Vendor::Anna, Vendor::Ben];

impl Vendor {
    pub fn is_honest(self, config: &Config) -> bool {
        self == Self::Anna || !config.vendor_lies
    }
}

/// A signed Open, and what was paid under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    pub open: OpenFact<Id>,
    pub vendor: Vendor,
    /// The Open before it, by its place.
    pub prev: Option<usize>,
    /// The Close by which it begins below its predecessor's cap: it is shown along.
    pub by: Option<usize>,
    /// The buyer has released up to here.
    pub released: Index,
    /// The vendor has been paid up to here, and has delivered for it.
    pub counted: Index,
}

/// An honest witness.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness {
    /// The product's own book.
    pub book: Book<Id>,
    /// It has seen two Opens of one number.
    pub has_evidence: bool,
    /// It signed acks of these and keeps them no more: never, unless a rule is missing.
    pub forgotten: Vec<Id>,
}

/// One chain and everybody around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub segments: Vec<Segment>,
    pub closes: Vec<CloseFact<Id>>,
    /// In ascending order: they are all alike, so which is which does not matter.
    pub witnesses: [Witness; HONEST],
    /// What [`super::properties`] found in it, once that was asked for.
    pub verdict: Memo,
}

/// A thing that follows from the rest of a state: it makes no state another one.
#[derive(Debug, Default)]
pub struct Memo(pub OnceLock<Verdict>);

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Memo {}

impl Hash for Memo {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl State {
    /// A chain just bought.
    pub fn new() -> Self {
        Self { segments: vec![], closes: vec![], witnesses: Default::default(), verdict: Memo::default() }
    }

    /// The Closes of a segment, by their places.
    pub fn closes_of(&self, at: usize) -> impl Iterator<Item = usize> {
        let of = move |close: &CloseFact<Id>| close.open == open_id(at);
        self.closes.iter().enumerate().filter(move |(_, close)| of(close)).map(|(place, _)| place)
    }

    /// The segment that a Close is of.
    pub fn segment_of(&self, close: usize) -> &Segment {
        &self.segments[usize::from(self.closes[close].open) - 1]
    }

    /// The coins that a Close claims.
    pub fn range_of(&self, close: usize) -> Range {
        Range { start: self.segment_of(close).open.start, end: self.closes[close].end }
    }

    /// The places of a segment and of its ancestors, oldest first.
    pub fn path(&self, at: usize) -> Vec<usize> {
        let mut path: Vec<_> = std::iter::successors(Some(at), |at| self.segments[*at].prev).collect();
        path.reverse();
        path
    }

    /// How many honest witnesses have acked an object.
    pub fn honest_acks(&self, object: Id) -> usize {
        let acked = |witness: &&Witness| witness.book.keeps(&object) || witness.forgotten.contains(&object);
        self.witnesses.iter().filter(acked).count()
    }

    /// Whether an object can have a certificate: the Byzantine witness acks everything.
    pub fn is_certified(&self, object: Id, config: &Config) -> bool {
        let own_witnesses = config.buyer_lies && !config.has(Rule::CommitteePinned);
        own_witnesses || self.honest_acks(object) + 1 >= QUORUM
    }

    /// The line up to a segment as it is shown to a witness: whole, or from the newest of some `certified` segments on.
    pub fn line(&self, at: usize, close: Option<usize>, certified: impl Fn(usize) -> bool) -> Vec<Shown<Id>> {
        let path = self.path(at);
        let base = path.iter().rposition(|at| certified(*at));
        let first = base.unwrap_or(0);
        let closes: Vec<_> = path.iter().skip(1).map(|next| self.segments[*next].by).chain([close]).collect();
        let shown = |place: usize| Shown {
            open: self.segments[path[place]].open,
            close: closes[place].map(|close| self.closes[close]),
            certified: base == Some(place),
        };
        (first..path.len()).map(shown).collect()
    }

    /// Shows a line to a witness, which keeps what the rules say.
    pub fn put(&mut self, witness: usize, line: &[Shown<Id>], config: &Config) {
        self.witnesses[witness].judge(line, config);
    }
}

impl Witness {
    /// As `netpay_core::record::witness::judge`: of a line all is kept that may be, or nothing but the evidence.
    fn judge(&mut self, line: &[Shown<Id>], config: &Config) {
        if self.has_evidence && !config.has(Rule::ClosesAfterEvidence) {
            return;
        }
        let opens = if self.has_evidence { Err(WhyRefused::Evidence) } else { Ok(()) };
        let mut next = self.book.clone();
        match take(&mut next, line, opens, config) {
            Ok(_) => {
                // What was signed stays signed, even where a rule is missing that would have kept it.
                let acked =
                    self.book.rows.values().flat_map(|row| [Some(row.open), row.close.map(|(id, _)| id)]);
                self.forgotten.extend(acked.flatten().filter(|id| !next.keeps(id)));
                self.forgotten.sort_unstable();
                self.forgotten.dedup();
                self.book = next;
            }
            Err(No::Conflict(_)) => self.has_evidence = true,
            Err(No::Stale | No::Refused(_)) => {}
        }
    }
}

/// The product's rules, or what is left of them without one.
fn take(
    book: &mut Book<Id>,
    line: &[Shown<Id>],
    opens: Result<(), WhyRefused>,
    config: &Config,
) -> Result<Taken, No> {
    let Some(newest) = line.last().copied() else { return Ok(Taken::All) };
    match config.dropped {
        Some(Rule::W1) => {
            // The newest Open of a number takes the place of the one before.
            let other =
                |shown: &Shown<Id>| book.rows.get(&shown.open.j).is_some_and(|row| row.open != shown.open.id);
            if let Some(first) = line.iter().find(|shown| other(shown)).map(|shown| shown.open.j) {
                book.rows.retain(|j, _| *j < first);
            }
            book.take_line(line, opens)
        }
        Some(Rule::W3) => {
            // The newest Close takes the place of the one before, and what comes after it is not looked at.
            for shown in line {
                book.take_open(&shown.open, shown.certified, opens)?;
                if let (Some(close), Some(row)) = (shown.close, book.rows.get_mut(&shown.open.j)) {
                    row.close = Some((close.id, close.end));
                }
            }
            Ok(Taken::All)
        }
        Some(Rule::AckOfAncestors) => {
            // Only the newest is kept, and an older one is taken as if nothing had come after it.
            let j = newest.open.j;
            let mut below = Book { rows: book.rows.range(..=j).map(|(j, row)| (*j, *row)).collect() };
            let missed = !below.rows.keys().any(|known| known.next() == j);
            below.take_open(&newest.open, newest.certified || missed, opens)?;
            book.rows.extend(below.rows);
            newest.close.map_or(Ok(()), |close| book.take_close(&close)).map(|()| Taken::All)
        }
        Some(Rule::OwnCloseFrees) => {
            // The Closes shown count for the start of the next, but the witness's own stay what they are.
            let own = book.clone();
            for shown in line {
                if let (Some(close), Some(row)) = (shown.close, book.rows.get_mut(&shown.open.j))
                    && row.fits(&close)
                    && shown.open.id != newest.open.id
                {
                    row.close = Some((close.id, close.end));
                }
            }
            let taken = book.take_line(line, opens)?;
            for (j, row) in own.rows.iter().filter(|(j, row)| **j != newest.open.j && row.close.is_some()) {
                book.rows.insert(*j, *row);
            }
            Ok(taken)
        }
        Some(Rule::OwnCloseStands) => {
            // Every Close that is shown has to be the one that is kept.
            let other = |shown: &Shown<Id>| {
                let kept = book.rows.get(&shown.open.j).and_then(|row| row.close);
                kept.zip(shown.close).is_some_and(|((kept, _), shown)| kept != shown.id)
            };
            if line.iter().any(other) {
                return Err(No::Refused(WhyRefused::CloseConflict));
            }
            book.take_line(line, opens)
        }
        _ => book.take_line(line, opens),
    }
}

/// The end of a lease that begins at `start`.
pub fn cap_of(start: Index) -> u32 {
    (start.0 + LEASE).min(COINS)
}

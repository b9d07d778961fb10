//! The witness rules W1–W3 (PROTOCOL section 7) by themselves: no bytes, no signatures, no times.
//!
//! A [`Book`] is what the rules need to remember of one chain. Objects are named by any `Id`: by their hash in the
//! product, by a small number in the model that is checked exhaustively (`tests/tests/model`). Both run this code.

use crate::amount::{Cap, Index};
use crate::coin::segment::SegmentNo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The broker has frozen the chain: no new segments.
    #[error("the broker has frozen the chain, since its buyer is convicted")]
    Frozen,
}

/// What an Open says that the rules care about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenFact<Id> {
    /// Its name.
    pub id: Id,
    /// Its number.
    pub j: SegmentNo,
    /// The Open before it, or the touchstone.
    pub prev: Id,
    /// Where its lease begins.
    pub start: Index,
    /// Where its lease ends.
    pub cap: Cap,
}

/// What a Close says that the rules care about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseFact<Id> {
    /// Its name.
    pub id: Id,
    /// The number of its segment.
    pub j: SegmentNo,
    /// The Open it closes.
    pub open: Id,
    /// The last coin claimed.
    pub end: Index,
}

/// One segment of a believed line, as it is shown to a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<Id> {
    /// `O_j`.
    pub open: OpenFact<Id>,
    /// `C_j`, of this Open and within its lease.
    pub close: Option<CloseFact<Id>>,
    /// Whether it is shown with its certificate, as the base of the line.
    pub certified: bool,
}

/// What is kept of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row<Id> {
    /// Its Open.
    pub open: Id,
    /// Where its lease begins.
    pub start: Index,
    /// Where its lease ends.
    pub cap: Cap,
    /// Its Close, and where that ends.
    pub close: Option<(Id, Index)>,
}

impl<Id: Copy + PartialEq> Row<Id> {
    /// Whether `object` is its Open or its Close.
    #[must_use]
    pub fn is(&self, object: &Id) -> bool {
        self.open == *object || self.close.is_some_and(|(close, _)| close == *object)
    }

    /// Whether a Close is of this Open, and within its lease.
    #[must_use]
    pub fn fits(&self, close: &CloseFact<Id>) -> bool {
        close.open == self.open && close.end >= self.start && close.end.0 <= self.cap.0
    }
}

/// Why something shown is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// What is kept is newer.
    Stale,
    /// Another Open of this number is kept (W1): the buyer signed both.
    Conflict(SegmentNo),
    /// It breaks a rule.
    Refused(WhyRefused),
}

/// How much of a line is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All of it.
    All,
    /// What was kept before, with its Closes. From the first new Open on it is passed over, for this reason.
    Partly(WhyRefused),
}

/// What a witness keeps of one chain, as far as the rules ask for it. An ack may be signed of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Book<Id> {
    /// The segments by number.
    pub rows: BTreeMap<SegmentNo, Row<Id>>,
}

impl<Id> Default for Book<Id> {
    fn default() -> Self {
        Self { rows: BTreeMap::new() }
    }
}

impl<Id: Copy + PartialEq> Book<Id> {
    /// Whether an object is kept, so that an ack of it may be signed.
    #[must_use]
    pub fn keeps(&self, object: &Id) -> bool {
        self.rows.values().any(|row| row.is(object))
    }

    /// Takes a line, oldest segment first: an ack of an Open is one of its ancestors too. `opens` says why no new
    /// Open is taken at this time, if none is: what is kept already gets its Closes all the same, and from the first
    /// Open that is new everything is passed over.
    ///
    /// # Errors
    /// Says what of it is not kept. The book is then to be thrown away: all of it that may be kept is, or nothing.
    pub fn take_line(&mut self, line: &[Shown<Id>], opens: Result<(), WhyRefused>) -> Result<Taken, No> {
        let newest = line.last().map(|shown| shown.open.j);
        for (at, shown) in line.iter().enumerate() {
            let j = shown.open.j;
            if self.lacks_ancestor(&line[at..]) {
                self.insert(&shown.open)?;
            }
            match (self.take_open(&shown.open, shown.certified, opens), opens) {
                (Ok(()), _) => {}
                // That the buyer signed two is known. What comes after the other one is not looked at.
                (Err(No::Conflict(_)), Err(WhyRefused::Evidence)) => {
                    return Ok(Taken::Partly(WhyRefused::Evidence));
                }
                (Err(No::Refused(why)), Err(reason)) if why == reason => return Ok(Taken::Partly(why)),
                (Err(no), _) => return Err(no),
            }
            // Of an older segment the Close that is kept stands, and the next Open is judged by it: that its vendor
            // signed another does not stop the chain.
            let stands = newest != Some(j) && self.rows.get(&j).is_some_and(|row| row.close.is_some());
            if let Some(close) = shown.close.filter(|_| !stands) {
                self.take_close(&close)?;
            }
        }
        Ok(Taken::All)
    }

    /// Whether the first of these segments is missing here, and an ancestor of one that is kept: acked with that
    /// already. Only below an Open that was taken because it was certified anything is missing.
    fn lacks_ancestor(&self, line: &[Shown<Id>]) -> bool {
        if line.first().is_none_or(|first| self.rows.contains_key(&first.open.j)) {
            return false;
        }
        for pair in line.windows(2) {
            let (one, next) = (&pair[0].open, &pair[1].open);
            if next.j != one.j.next() || next.prev != one.id {
                return false;
            }
            if let Some(row) = self.rows.get(&next.j) {
                return row.open == next.id;
            }
        }
        false
    }

    /// Takes an Open (W1, W2).
    ///
    /// # Errors
    /// Says why it is not kept; the book is then unchanged.
    pub fn take_open(
        &mut self,
        open: &OpenFact<Id>,
        certified: bool,
        opens: Result<(), WhyRefused>,
    ) -> Result<(), No> {
        if let Some(row) = self.rows.get(&open.j) {
            return if row.open == open.id { Ok(()) } else { Err(No::Conflict(open.j)) };
        }
        opens.map_err(No::Refused)?;
        match self.rows.iter().next_back() {
            None => {}
            Some((newest, _)) if open.j < *newest => return Err(No::Stale),
            // Whatever this witness missed: q members acked this Open and so its ancestors, hence no other of their
            // numbers can be certified any more. Refusing it would lose this witness to the chain for good.
            Some(_) if certified => {}
            Some((newest, row)) if newest.next() == open.j && open.prev == row.open => {
                // A Close that is shown along was taken before this.
                let closed_below = row.close.is_some_and(|(_, end)| open.start >= end);
                if open.start.0 < row.cap.0 && !closed_below {
                    return Err(No::Refused(WhyRefused::Overlap));
                }
            }
            Some(_) => return Err(No::Refused(WhyRefused::Behind)),
        }
        self.insert(open)
    }

    fn insert(&mut self, open: &OpenFact<Id>) -> Result<(), No> {
        if self.rows.len() >= MAX_SEGMENTS {
            return Err(No::Refused(WhyRefused::RateLimited));
        }
        let OpenFact { id, start, cap, .. } = *open;
        self.rows.insert(open.j, Row { open: id, start, cap, close: None });
        Ok(())
    }

    /// Takes a Close of the Open that is kept (W3).
    ///
    /// # Errors
    /// Says why it is not kept; the book is then unchanged.
    pub fn take_close(&mut self, close: &CloseFact<Id>) -> Result<(), No> {
        let successor = self.rows.get(&close.j.next()).map(|row| row.start);
        let Some(row) = self.rows.get_mut(&close.j) else {
            return Err(No::Refused(WhyRefused::Behind));
        };
        match row.close {
            Some((known, _)) if known == close.id => Ok(()),
            Some(_) => Err(No::Refused(WhyRefused::CloseConflict)),
            None if successor.is_some_and(|start| close.end > start) => {
                Err(No::Refused(WhyRefused::CloseConflict))
            }
            None => {
                row.close = Some((close.id, close.end));
                Ok(())
            }
        }
    }
}

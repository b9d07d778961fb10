//! What convicts somebody, taken out of the journal: evidence as it was brought, or two claims that contradict each other.

use crate::ledger::{Dispute, Event, Ledger, Record};
use crate::store::{Journal, JournalError};
use netpay_core::codec;
use netpay_core::coin::segment::Open;
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::fair::judge::Junk;
use netpay_core::id::ChainId;
use netpay_core::keys::Unverified;
use netpay_core::record::chain::{Culprit, Evidence};

/// What proves something about somebody, or was said to.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Two things of which the rules allow one.
    Twice(Box<Evidence>),
    /// A leaf that was said to be junk.
    Junk(Box<Junk>),
}

impl Proof {
    /// As it travels, for whoever wants to check it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Twice(evidence) => codec::encode(&**evidence),
            Self::Junk(junk) => codec::encode(&**junk),
        }
    }
}

/// Where it is.
#[derive(Debug)]
pub enum Source {
    /// In a record that notes it whole.
    Noted(u64),
    /// In the records that the claims came in which show it.
    Claims {
        /// The chain.
        chain: ChainId,
        /// What was promised.
        touchstone: Unverified<Touchstone>,
        /// The records.
        records: Vec<u64>,
    },
}

impl Source {
    /// Where that of a dispute is; `None` if there is no such.
    #[must_use]
    pub fn of(ledger: &Ledger, dispute: &Dispute) -> Option<Self> {
        let Dispute::Twice(culprit) = dispute else {
            return ledger.dispute_record(dispute).map(Self::Noted);
        };
        let conviction = ledger.conviction(culprit)?;
        if conviction.noted {
            return Some(Self::Noted(conviction.record));
        }
        let (Culprit::Buyer(chain) | Culprit::Witness(_, chain)) = culprit;
        let book = ledger.chain(chain)?;
        Some(Self::Claims {
            chain: *chain,
            touchstone: book.facts().wire().clone(),
            records: book.opened_twice(),
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// If a record is damaged, or the disk fails.
    pub fn read(&self, journal: &Journal) -> Result<Option<Proof>, JournalError> {
        let (chain, touchstone, records) = match self {
            Self::Noted(number) => {
                return Ok(journal.record(*number)?.and_then(|record| match record.event {
                    Event::EvidenceNoted { evidence, .. } => Some(Proof::Twice(Box::new(evidence))),
                    Event::Convicted { junk, .. } => Some(Proof::Junk(Box::new(junk))),
                    Event::FalselyAccused { junk, .. } => junk.map(|junk| Proof::Junk(Box::new(junk))),
                    _ => None,
                }));
            }
            Self::Claims { chain, touchstone, records } => (chain, touchstone, records),
        };
        let mut opens: Vec<Unverified<Open>> = Vec::new();
        for number in records {
            let Some(Record { event: Event::Redeemed { claims, .. }, .. }) = journal.record(*number)? else {
                continue;
            };
            let of_chain = claims.into_vec().into_iter().filter(|claim| claim.chain == *chain);
            opens.extend(of_chain.map(|claim| claim.proof.open));
        }
        let two = two_of_one_number(&opens);
        let twice = |(one, other)| Evidence::TwoOpens { touchstone: touchstone.clone(), one, other };
        Ok(two.map(twice).map(Box::new).map(Proof::Twice))
    }
}

fn two_of_one_number(opens: &[Unverified<Open>]) -> Option<(Unverified<Open>, Unverified<Open>)> {
    let number = |open: &Unverified<Open>| open.claim().ok().map(|open| open.j);
    opens.iter().enumerate().find_map(|(at, one)| {
        let other = opens[at + 1..].iter().find(|other| *other != one && number(other) == number(one))?;
        Some((one.clone(), other.clone()))
    })
}

//! What convicts somebody, taken out of the journal: evidence as it was brought, or two claims that contradict each other.

use crate::ledger::{Conviction, Event, Ledger, Record};
use crate::store::{Journal, JournalError};
use netpay_core::coin::segment::Open;
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::id::ChainId;
use netpay_core::keys::Unverified;
use netpay_core::record::chain::{Culprit, Evidence};

/// Where the evidence is.
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
    /// Where that is of somebody; `None` if nobody is convicted so.
    #[must_use]
    pub fn of(ledger: &Ledger, culprit: &Culprit) -> Option<Self> {
        let conviction: &Conviction = ledger.conviction(culprit)?;
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
    pub fn read(&self, journal: &Journal) -> Result<Option<Evidence>, JournalError> {
        let (chain, touchstone, records) = match self {
            Self::Noted(number) => {
                return Ok(journal.record(*number)?.and_then(|record| match record.event {
                    Event::EvidenceNoted { evidence, .. } => Some(evidence),
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
        Ok(two.map(|(one, other)| Evidence::TwoOpens { touchstone: touchstone.clone(), one, other }))
    }
}

fn two_of_one_number(opens: &[Unverified<Open>]) -> Option<(Unverified<Open>, Unverified<Open>)> {
    let number = |open: &Unverified<Open>| open.claim().ok().map(|open| open.j);
    opens.iter().enumerate().find_map(|(at, one)| {
        let other = opens[at + 1..].iter().find(|other| *other != one && number(other) == number(one))?;
        Some((one.clone(), other.clone()))
    })
}

//! Certifying: the vendor shows a chain's state to its committee and gathers acks until q distinct
//! members have signed for each object.

use crate::codec::List;
use crate::coin::touchstone::{self, Touchstone};
use crate::id::{NetworkId, ObjectHash};
use crate::keys::{Signature, Signed};
use crate::record::chain::{Ack, Certificate, ChainRecord, Culprit, Evidence};
use crate::record::witness::WhyRefused;
use crate::wire::record::RecordReply;
use std::collections::{BTreeMap, BTreeSet};

/// What one witness's answer led to.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "looked at once, and gone")]
pub enum Step {
    /// These objects have their certificate now.
    Certified(Vec<Certificate>),
    /// The buyer signed two Opens of one segment. Told once, and then nothing more about the buyer.
    Conflict(Box<Evidence>),
    /// So many witnesses take nothing new of the chain that there is no quorum left: its buyer is convicted.
    Hopeless,
    /// A newer state of the chain is kept by a witness.
    Stale(Box<ChainRecord>),
    /// Not enough yet.
    More,
}

/// Gathers acks for some objects of one chain.
#[derive(Debug)]
pub struct Certify {
    network: NetworkId,
    touchstone: Signed<Touchstone>,
    acks: BTreeMap<ObjectHash, BTreeMap<u8, Signature>>,
    missing: usize,
    /// Seats that take nothing new of the chain.
    refusing: BTreeSet<u8>,
    /// Whether it was said that the buyer is convicted: once is enough.
    told: bool,
}

impl Certify {
    /// Wants a certificate of each of these objects.
    #[must_use]
    pub fn new(
        network: NetworkId,
        touchstone: Signed<Touchstone>,
        want: impl IntoIterator<Item = ObjectHash>,
    ) -> Self {
        let acks: BTreeMap<_, _> = want.into_iter().map(|object| (object, BTreeMap::new())).collect();
        let missing = acks.len();
        Self { network, touchstone, acks, missing, refusing: BTreeSet::new(), told: false }
    }

    /// Whether every object has its certificate.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.missing == 0
    }

    /// Takes the answer of the witness in this seat. Acks that do not hold are as good as none.
    pub fn heard(&mut self, seat: u8, reply: RecordReply, broker: &crate::keys::PublicKey) -> Step {
        match reply {
            RecordReply::Accepted { acks } => self.count(seat, &acks),
            // Genuine evidence about somebody else is no reason to refuse this chain.
            RecordReply::Conflict(evidence)
                if !self.told && evidence.convicts(&self.network, broker) == Some(self.buyer()) =>
            {
                self.told = true;
                Step::Conflict(Box::new(evidence))
            }
            RecordReply::Stale(record) => Step::Stale(Box::new(record)),
            RecordReply::Partly { acks, why } => match self.count(seat, &acks) {
                Step::More => self.refused(seat, why),
                certified => {
                    self.note_refusal(seat, why);
                    certified
                }
            },
            RecordReply::Refused(why) => self.refused(seat, why),
            RecordReply::Conflict(_) | RecordReply::Chain(_) | RecordReply::Index(_) => Step::More,
        }
    }

    /// A seat takes nothing new. Where too few are left that do, that is said once.
    fn refused(&mut self, seat: u8, why: WhyRefused) -> Step {
        self.note_refusal(seat, why);
        let rest = self.touchstone.committee.len().saturating_sub(self.refusing.len());
        if rest >= self.touchstone.quorum() || std::mem::replace(&mut self.told, true) {
            return Step::More;
        }
        Step::Hopeless
    }

    fn note_refusal(&mut self, seat: u8, why: WhyRefused) {
        if matches!(why, WhyRefused::Evidence | WhyRefused::Frozen) {
            self.refusing.insert(seat);
        }
    }

    /// The acks of objects that have no certificate yet. At the broker the more of them go first.
    pub fn acks(&self) -> impl Iterator<Item = Certificate> {
        let quorum = self.touchstone.quorum();
        let missing = self.acks.iter().filter(move |(_, seats)| !seats.is_empty() && seats.len() < quorum);
        missing.map(|(object, seats)| certificate(*object, seats))
    }

    fn buyer(&self) -> Culprit {
        Culprit::Buyer(touchstone::chain_id(&self.touchstone))
    }

    fn count(&mut self, seat: u8, acks: &[(ObjectHash, Signature)]) -> Step {
        let Some(witness) = self.touchstone.committee.get(usize::from(seat)) else { return Step::More };
        let chain = touchstone::chain_id(&self.touchstone);
        let quorum = self.touchstone.quorum();
        let mut certified = Vec::new();
        for (object, signature) in acks {
            let Some(seats) = self.acks.get_mut(object) else { continue };
            let needed = seats.len() < quorum && !seats.contains_key(&seat);
            if !needed || !(Ack { chain, object: *object }).holds(&self.network, witness, *signature) {
                continue;
            }
            seats.insert(seat, *signature);
            if seats.len() == quorum {
                self.missing -= 1;
                certified.push(certificate(*object, seats));
            }
        }
        if certified.is_empty() { Step::More } else { Step::Certified(certified) }
    }
}

fn certificate(object: ObjectHash, seats: &BTreeMap<u8, Signature>) -> Certificate {
    Certificate { object, acks: List::first_of(seats.iter().map(|(seat, signature)| (*seat, *signature))) }
}

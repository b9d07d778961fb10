//! The oracle: it sees what everybody says and holds, and tells what must not be. It changes nothing.

use super::town::Town;
use super::{Outcome, buyer};
use netpay_broker::ledger::{ClaimState, Ledger, Range};
use netpay_core::amount::Count;
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::{Close, Open, SegmentNo};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{Signature, Unverified};
use netpay_core::record::chain::{ChainRecord, Culprit, Evidence, Link};
use netpay_core::session::vendor::Vendor;
use netpay_core::till::{Held, Till};
use netpay_core::wire::bank::BankRequest;
use netpay_core::wire::trade::{Funding, TabId, ToVendor};
use std::collections::{BTreeMap, BTreeSet};

/// The most violations of a run that are told.
const MAX_TOLD: usize = 20;

/// How a chain came from one vendor to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The last vendor closed when it was asked.
    Vendor,
    /// It had left its Close in the chain's record.
    Record,
    /// It was gone: the next segment begins at the cap.
    Gone,
}

/// What an honest vendor was paid in one segment.
#[derive(Clone, Copy, Debug)]
pub struct Stake {
    /// Which of the vendors.
    pub vendor: usize,
    /// The chain.
    pub chain: ChainId,
    /// The segment's Open.
    pub open: ObjectHash,
    /// Coins counted.
    pub paid: u32,
    /// Whether it had a certificate.
    pub certified: bool,
}

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Purchases that ended.
    pub sales: u64,
    /// Of these, begun and ended while the broker was away.
    pub without_broker: u64,
    /// What the broker was asked while anybody traded: to redeem, for an account, to take evidence, anything else.
    pub asked: [u64; 4],
    /// Purchases between honest peers that need not end: too few of a committee are honest.
    pub excused: u64,
    /// Handoffs asked for, by how they were answered: by the vendor, by the record, by nobody.
    pub handoffs: [u64; 3],
    /// What honest vendors lost, each on each chain where it lost anything.
    pub losses: Vec<u64>,
    /// Of these, those above what a vendor risks uncertified.
    pub above_risk: u64,
    /// Certified coins, and all coins, when the last unit of a sale left.
    pub certified: (u64, u64),
    /// Milliseconds from the second Open's first use to the first honest evidence.
    pub detections: Vec<u64>,
    /// Double spenders' chains of which nobody honest ever held evidence.
    pub undetected: u64,
    /// Chains of which two Opens of one number were used; those of them whose committees have liars enough to certify
    /// both, 2q − k; and those where both were.
    pub double_spent: u64,
    pub weak: u64,
    pub conflicting_chains: u64,
    /// Segments of which two Opens were certified.
    pub conflicting: u64,
    /// Of the committees of these, the fewest that the acks seen convict.
    pub convicted_signers: Option<usize>,
}

/// Who watches one run.
#[derive(Debug)]
pub struct Oracle {
    /// x0: what an honest vendor risks of one chain.
    risk: u64,
    violations: Vec<String>,
    /// What is measured.
    pub measures: Measures,
    /// What honest buyers released, by segment, and the Opens that they showed.
    released: BTreeMap<(ChainId, SegmentNo), u32>,
    opened: BTreeMap<(ChainId, SegmentNo), ObjectHash>,
    /// The Opens of double spenders that somebody honest was shown, and when first.
    used: BTreeMap<(ChainId, SegmentNo), BTreeMap<ObjectHash, Used>>,
    /// The Closes of certified segments, by their Opens.
    closes: BTreeMap<(ChainId, ObjectHash), Unverified<Close>>,
    acks: BTreeMap<(ChainId, ObjectHash), BTreeMap<u8, Signature>>,
    /// Opens certified, by their own certificate or by that of their Close.
    certified: BTreeMap<(ChainId, SegmentNo), BTreeMap<ObjectHash, CertifiedBy>>,
    evidence: BTreeMap<ChainId, Evidence>,
    stakes: BTreeMap<(usize, ChainId, ObjectHash), Stake>,
    /// Coins' worth of units that were sent, by tab.
    sent: BTreeMap<(usize, ChainId), BTreeMap<TabId, u64>>,
    /// Units that honest vendors sent.
    left: BTreeSet<(usize, TabId, u64)>,
    paid: BTreeSet<(ChainId, u32)>,
}

/// An Open, and when somebody honest was first shown it.
type Used = (Unverified<Open>, u64);

/// What one vendor was paid on one chain, and what it is short of.
#[derive(Clone, Copy, Debug, Default)]
struct Earned {
    received: u64,
    certified: u64,
    uncertified: u64,
}

impl Earned {
    fn add(&mut self, stake: &Stake, ledger: &Ledger) {
        let claims = ledger.chain(&stake.chain).into_iter().flat_map(|book| book.claims());
        let claim = claims.map(|(_, claim)| claim).find(|claim| claim.open == stake.open);
        let paid = claim.map_or(0, |claim| match claim.state {
            ClaimState::Paid(count) => count.0 + claim.charged.0,
            ClaimState::Pending | ClaimState::Void => 0,
        });
        let short = u64::from(stake.paid.saturating_sub(paid));
        self.received += u64::from(paid);
        *(if stake.certified { &mut self.certified } else { &mut self.uncertified }) += short;
    }
}

/// Which of its objects has a certificate.
#[derive(Clone, Copy, Debug, Default)]
struct CertifiedBy {
    open: bool,
    close: bool,
}

impl Oracle {
    /// An oracle that has seen nothing.
    pub const fn new(risk: u64) -> Self {
        Self {
            risk,
            violations: Vec::new(),
            measures: Measures {
                sales: 0,
                without_broker: 0,
                asked: [0; 4],
                excused: 0,
                handoffs: [0; 3],
                losses: Vec::new(),
                above_risk: 0,
                certified: (0, 0),
                detections: Vec::new(),
                undetected: 0,
                double_spent: 0,
                weak: 0,
                conflicting_chains: 0,
                conflicting: 0,
                convicted_signers: None,
            },
            released: BTreeMap::new(),
            opened: BTreeMap::new(),
            used: BTreeMap::new(),
            closes: BTreeMap::new(),
            acks: BTreeMap::new(),
            certified: BTreeMap::new(),
            evidence: BTreeMap::new(),
            stakes: BTreeMap::new(),
            sent: BTreeMap::new(),
            left: BTreeSet::new(),
            paid: BTreeSet::new(),
        }
    }

    /// Something is not as it must be.
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < MAX_TOLD {
            self.violations.push(what);
        }
    }

    /// An honest buyer says something: its Opens and releases are noted.
    pub fn buyer_says(&mut self, town: &Town, said: &ToVendor) {
        let record = buyer::shown(said);
        for open in record.into_iter().flat_map(opens) {
            let Ok(claim) = open.claim() else { continue };
            let hash = open.hash(&town.network);
            if *self.opened.entry((claim.chain, claim.j)).or_insert(hash) != hash {
                self.violation(format!("an honest buyer opened {:.8}/{} twice", claim.chain, claim.j));
            }
        }
        let chain = record.map(|record| ChainId::of(record.touchstone.hash(&town.network)));
        match said {
            ToVendor::Order { funding: Funding::Continue { chain, pay }, .. }
            | ToVendor::Pay { chain, pay } => {
                self.releases(Some(*chain), pay);
            }
            ToVendor::Order { funding: Funding::Opened { pay, .. }, .. } => self.releases(chain, pay),
            ToVendor::Settle { segments, .. } => {
                segments.iter().filter_map(|one| one.pay.as_ref()).for_each(|pay| self.releases(chain, pay));
            }
            _ => {}
        }
    }

    fn releases(&mut self, chain: Option<ChainId>, pay: &Pay) {
        let Some(chain) = chain else { return };
        let index = self.released.entry((chain, pay.j)).or_insert(0);
        *index = pay.index.0.max(*index);
    }

    /// An honest vendor hears something.
    pub fn vendor_hears(&mut self, now: u64, town: &Town, said: &ToVendor) {
        if let Some(record) = buyer::shown(said) {
            self.is_used(now, town, record);
        }
    }

    /// Somebody honest is shown a record.
    pub fn is_used(&mut self, now: u64, town: &Town, record: &ChainRecord) {
        let chain = ChainId::of(record.touchstone.hash(&town.network));
        if town.is_honest(&chain) {
            return;
        }
        for open in opens(record) {
            let Ok(claim) = open.claim() else { continue };
            let used = self.used.entry((chain, claim.j)).or_default();
            used.entry(open.hash(&town.network)).or_insert_with(|| (open.clone(), now));
        }
    }

    /// When the second Open of one number was first used.
    fn second_use(&self, chain: &ChainId) -> Option<u64> {
        let all = self.used.range((*chain, SegmentNo(0))..=(*chain, SegmentNo(u32::MAX)));
        let second = all.filter_map(|(_, opens)| {
            let mut times: Vec<u64> = opens.values().map(|(_, at)| *at).collect();
            times.sort_unstable();
            times.get(1).copied()
        });
        second.min()
    }

    /// Somebody honest holds evidence.
    pub fn holds_evidence(&mut self, now: u64, town: &Town, evidence: &Evidence) {
        let Some(Culprit::Buyer(chain)) = evidence.convicts(&town.network, &town.broker) else {
            self.violation(format!("evidence that convicts no buyer: {evidence:?}"));
            return;
        };
        if town.is_honest(&chain) {
            self.violation(format!("the honest buyer of {chain:.8} is accused"));
        }
        if self.evidence.insert(chain, evidence.clone()).is_none() {
            let since = self.second_use(&chain).unwrap_or(now);
            self.measures.detections.push(now - since.min(now));
        }
    }

    /// What was reported to the broker, who hears it when it is back.
    pub fn evidence_held(&self) -> Vec<Evidence> {
        self.evidence.values().cloned().collect()
    }

    /// A witness signed for these objects.
    pub fn acks(&mut self, town: &Town, chain: ChainId, seat: u8, acks: &[(ObjectHash, Signature)]) {
        if !town.is_honest(&chain) {
            for (object, signature) in acks {
                self.acks.entry((chain, *object)).or_default().insert(seat, *signature);
            }
        }
    }

    /// A vendor has a certificate of this Open, or of its Close.
    pub fn is_certified(&mut self, chain: ChainId, held: &Held, by_open: bool) {
        let open = held.open();
        if let Some(close) = held.close() {
            self.closes.insert((chain, open.hash()), close.wire());
        }
        let by = self.certified.entry((chain, open.j)).or_default().entry(open.hash()).or_default();
        by.open |= by_open;
        by.close |= !by_open;
    }

    /// An honest vendor has charged a unit, and sends it as soon as what it has written before is durable.
    pub fn unit_leaves(
        &mut self,
        now: u64,
        vendor: usize,
        (sale, till): (&Vendor, &Till),
        unit: u64,
        is_last: bool,
    ) {
        let Some((id, tab)) = sale.tab().and_then(|id| Some((id, till.tab(&id)?))) else { return };
        let payers: BTreeSet<&ChainId> = sale.chains().chain(tab.chains.iter()).collect();
        let uncertified: u64 = payers.iter().map(|chain| till.uncertified_of(chain).0).sum();
        // What is lost if all of that is: what was sent, less what certified coins paid.
        let at_stake = (uncertified + tab.charged.0).saturating_sub(tab.paid.0);
        let is_new = self.left.insert((vendor, id, unit));
        if is_new && uncertified > 0 && at_stake > self.risk {
            self.violation(format!(
                "at {now} vendor {vendor} sends a unit, and {at_stake} coins' worth rest on {uncertified} uncertified coins"
            ));
        }
        for chain in payers {
            let sent = self.sent.entry((vendor, *chain)).or_default().entry(id).or_default();
            *sent = tab.charged.0.max(*sent);
            if is_last {
                let held = || till.of_chain(chain);
                let certified =
                    held().filter(|held| held.is_certified()).map(|held| u64::from(held.paid().0));
                self.measures.certified.0 += certified.sum::<u64>();
                self.measures.certified.1 += held().map(|held| u64::from(held.paid().0)).sum::<u64>();
            }
        }
    }

    /// The broker is asked for something.
    pub const fn broker_is_asked(&mut self, request: &BankRequest) {
        let what = match request {
            BankRequest::Redeem { .. } => 0,
            BankRequest::Account(_) => 1,
            BankRequest::Evidence(_) => 2,
            _ => 3,
        };
        self.measures.asked[what] += 1;
    }

    /// Whether a purchase began and ended while the broker was away.
    pub fn sale_without_broker(&mut self, without: bool) {
        self.measures.without_broker += u64::from(without);
    }

    /// A handoff was answered.
    pub const fn handoff(&mut self, how: How) {
        self.measures.handoffs[how as usize] += 1;
    }

    /// A purchase is over, or is excused from ending.
    pub fn sale(&mut self, ended: bool, excused: bool) {
        self.measures.sales += u64::from(ended);
        self.measures.excused += u64::from(excused);
    }

    /// What an honest vendor is about to redeem, or has just redeemed.
    pub fn stake(&mut self, stake: Stake) {
        self.stakes.entry((stake.vendor, stake.chain, stake.open)).or_insert(stake);
    }

    /// The broker paid these coins.
    pub fn paid(&mut self, chain: &ChainId, range: Range) {
        for index in range.start.0 + 1..=range.end.0 {
            if !self.paid.insert((*chain, index)) {
                self.violation(format!("coin {index} of {chain:.8} is paid twice"));
            }
        }
    }

    /// Everything is settled: the books are held against what was seen.
    pub fn settled(&mut self, town: &Town, ledger: &Ledger) {
        for (conviction, _) in ledger.convicted() {
            match conviction {
                Culprit::Buyer(chain) if town.is_honest(chain) => {
                    self.violation(format!("the honest buyer of {chain:.8} is convicted"));
                }
                Culprit::Buyer(_) | Culprit::Witness(..) => {}
            }
        }
        for (id, sold) in town.chains.iter().filter(|(id, _)| town.is_honest(id)) {
            let Some(book) = ledger.chain(id) else { continue };
            for (j, claim) in book.claims() {
                let released = self.released.get(&(*id, *j)).copied().unwrap_or(0);
                let charged = claim.charged > Count::ZERO;
                if charged || (claim.state != ClaimState::Pending && claim.range.end.0 > released) {
                    self.violation(format!("{id:.8}/{j}: {claim:?} where {released} were released"));
                }
            }
            if book.paid.total().0 + book.refunded.0 != sold.touchstone.n.0 {
                self.violation(format!("{id:.8}: its buyer does not get the rest back"));
            }
        }
        self.conflicts(town);
        self.count_losses(town, ledger);
        let used = self.used.keys().map(|(chain, _)| *chain).collect::<BTreeSet<_>>();
        let twice: Vec<_> = used.into_iter().filter(|chain| self.second_use(chain).is_some()).collect();
        let undetected = twice.iter().filter(|chain| !self.evidence.contains_key(*chain));
        self.measures.undetected = undetected.count() as u64;
        self.measures.double_spent = twice.len() as u64;
        let is_weak = |chain: &&ChainId| {
            town.chains.get(*chain).is_some_and(|sold| {
                let liars = sold.seats.iter().filter(|peer| !town.peers[**peer].honest).count();
                liars >= 2 * sold.touchstone.quorum() - sold.seats.len()
            })
        };
        self.measures.weak = twice.iter().filter(is_weak).count() as u64;
    }

    fn count_losses(&mut self, town: &Town, ledger: &Ledger) {
        let mut earned: BTreeMap<(usize, ChainId), Earned> = BTreeMap::new();
        for stake in std::mem::take(&mut self.stakes).into_values() {
            earned.entry((stake.vendor, stake.chain)).or_default().add(&stake, ledger);
        }
        for ((vendor, chain), Earned { received, certified, uncertified }) in earned {
            let delivered: u64 = self.sent.get(&(vendor, chain)).into_iter().flat_map(BTreeMap::values).sum();
            // Coins that nothing was delivered for are no loss.
            let lost = (certified + uncertified).min(delivered.saturating_sub(received));
            let at_risk = uncertified.min(delivered.saturating_sub(received + certified));
            if lost > 0 {
                self.measures.losses.push(lost);
                self.measures.above_risk += u64::from(at_risk > self.risk);
            }
            let conflict = self.certified.iter().any(|((of, _), opens)| *of == chain && opens.len() > 1);
            let told = format!(
                "vendor {vendor} delivered {delivered} coins' worth, received {received}, and is short of {certified} \
                 certified and {uncertified} uncertified coins of {}",
                claims_on(ledger, &chain)
            );
            if town.is_honest(&chain) && certified + uncertified > 0 {
                self.violation(format!("an honest buyer's coins: {told}"));
            } else if certified > 0 && !conflict {
                self.violation(format!("certified coins, and no other Open is certified: {told}"));
            } else if at_risk > self.risk {
                self.violation(format!("more than it risks: {told}"));
            }
        }
    }

    /// Where two Opens of one number are certified, at least 2q − k of the committee can be convicted.
    fn conflicts(&mut self, town: &Town) {
        let mut told = Vec::new();
        for ((chain, j), opens) in self.certified.iter().filter(|(_, opens)| opens.len() > 1) {
            let Some(sold) = town.chains.get(chain) else { continue };
            let convicted = self.convictable(town, chain, *j);
            self.measures.conflicting += 1;
            let fewest = self.measures.convicted_signers.get_or_insert(convicted);
            *fewest = convicted.min(*fewest);
            let needed = 2 * sold.touchstone.quorum() - sold.seats.len();
            if convicted < needed {
                told.push(format!(
                    "{chain:.8}/{j} has two certified Opens ({:?}), and {convicted} witnesses can be convicted, not {needed}",
                    opens.values().collect::<Vec<_>>()
                ));
            }
        }
        told.into_iter().for_each(|told| self.violation(told));
        let twice = self.certified.iter().filter(|(_, opens)| opens.len() > 1);
        let twice: BTreeSet<&ChainId> = twice.map(|((chain, _), _)| chain).collect();
        self.measures.conflicting_chains = twice.len() as u64;
    }

    /// The members of the committee that two acks for two Opens of one number convict.
    fn convictable(&self, town: &Town, chain: &ChainId, j: SegmentNo) -> usize {
        let (Some(opens), Some(sold)) = (self.used.get(&(*chain, j)), town.chains.get(chain)) else {
            return 0;
        };
        // Per seat, for each Open of the number, an ack of it or of its Close.
        let mut acked: BTreeMap<u8, BTreeMap<ObjectHash, (Link, Signature)>> = BTreeMap::new();
        for (hash, (open, _)) in opens {
            let close = self.closes.get(&(*chain, *hash));
            let of_close = close.map(|close| (close.hash(&town.network), Some(close.clone())));
            for (object, close) in [Some((*hash, None)), of_close].into_iter().flatten() {
                for (seat, signature) in self.acks.get(&(*chain, object)).into_iter().flatten() {
                    let link = Link { open: open.clone(), close: close.clone() };
                    acked.entry(*seat).or_default().insert(*hash, (link, *signature));
                }
            }
        }
        let convicts = |(seat, acks): (&u8, &BTreeMap<ObjectHash, (Link, Signature)>)| {
            let mut acks = acks.values();
            let (Some(one), Some(other)) = (acks.next(), acks.next()) else { return false };
            let touchstone = sold.touchstone.wire();
            let evidence =
                Evidence::TwoAcks { touchstone, seat: *seat, one: one.clone(), other: other.clone() };
            let culprit = evidence.convicts(&town.network, &town.broker);
            culprit.is_some_and(|culprit| matches!(culprit, Culprit::Witness(..)))
        };
        acked.iter().filter(|one| convicts(*one)).count()
    }

    /// What came of the run.
    pub fn outcome(self) -> Outcome {
        Outcome { violations: self.violations, measures: self.measures }
    }
}

/// A chain and the claims on it, for whoever looks into what happened.
fn claims_on(ledger: &Ledger, chain: &ChainId) -> String {
    let claims = ledger.chain(chain).into_iter().flat_map(|book| book.claims());
    let told = claims.map(|(j, claim)| {
        let (open, range, acks) = (claim.open, claim.range, claim.standing.acks);
        let (start, end, charged) = (range.start, range.end, claim.charged.0);
        format!("{j}/{open:.4} ({start}, {end}] with {acks} acks: {:?}, charged {charged}", claim.state)
    });
    format!("{chain:.8} [{}]", told.collect::<Vec<_>>().join("; "))
}

/// The Opens that a record shows.
fn opens(record: &ChainRecord) -> impl Iterator<Item = &Unverified<Open>> {
    record.base.iter().map(|(link, _)| link).chain(&record.links).map(|link| &link.open)
}

//! The e-wallet: a buyer's chains, which of their coins are spent, leased and free, and the only place
//! that signs Opens and releases coins.
//!
//! Every method that changes something says which rows changed ([`WalletChange`]); the caller makes them
//! durable before it sends what the method returned.

use crate::amount::{Cap, Coins, Count, Index};
use crate::codec::{List, Wire};
use crate::coin::chain::{Chain, Seed};
use crate::coin::payment::Pay;
use crate::coin::segment::{Close, FairTerms, Handover, MIN_LEASE, Open, ReleaseChain, SegmentNo};
use crate::coin::touchstone::{self, Touchstone};
use crate::fair::deal::{self, Deal};
use crate::id::{ChainId, NetworkId};
use crate::keys::{PublicKey, SecretKey, Signed, Unverified};
use crate::record::chain::{self as record, BadRecord, Certificate, ChainRecord, Line, MAX_UNCERTIFIED};
use crate::time::{MINUTE, Time};
use crate::wire::hello::HolderTag;
use crate::wire::trade::TabId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// No vendor takes a chain that ends within so many seconds.
pub const SPEND_MARGIN: u64 = 10 * MINUTE;
/// Segments of one chain that may be open at vendors at once.
pub const MAX_LEASES: usize = 64;
/// The most one lease grows to, in coins, whatever was earned.
pub const MAX_LEASE: u32 = 4096;

/// Where a segment was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// The vendor's node.
    pub node: PublicKey,
    /// The tag its holder key follows from.
    pub tag: HolderTag,
    /// That holder key.
    pub holder: PublicKey,
}

/// A row that must become durable before what goes with it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WalletChange {
    /// The chain's row: it was bought, opened, closed, certified or retired.
    Chain(ChainId),
    /// Only the index of one segment.
    Index(ChainId, SegmentNo),
}

/// Why the wallet does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// No such chain here.
    #[error("this wallet has no such chain")]
    UnknownChain,
    /// No such segment, or it is closed.
    #[error("this segment is not open")]
    NotOpen,
    /// The chain, or the lease, has not so many coins left.
    #[error("not enough coins left")]
    Exhausted,
    /// The chain is retired, or its time is over.
    #[error("this chain is retired or its time is over")]
    NotSpendable,
    /// So many Opens wait for a certificate that no record could show another.
    #[error("too many segments of this chain wait for their certificate")]
    Uncertified,
    /// The seed does not grow the chain that the touchstone promises.
    #[error("the coins received are not those of the touchstone")]
    WrongSeed,
    /// A Close, certificate or record that does not belong to the chain.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// The vendor claims more than was released to it.
    #[error("the close claims coins that were never released")]
    Overclaimed,
}

/// One segment that a vendor holds, or held, with everything needed to pay in it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Where.
    pub seller: Seller,
    /// O_j.
    pub open: Signed<Open>,
    /// Released up to here.
    pub released: Index,
    /// Whether it was closed or given up: nothing more is released in it.
    pub ended: bool,
    /// Whether it was closed by its vendor.
    pub closed: bool,
    /// The tab that its coins were released for, until the vendor has said that it counted all of them.
    pub tab: Option<TabId>,
    /// Where the coins released for that tab begin.
    pub tab_from: Index,
    /// Coins released that its Close does not claim: they were never counted on the tab.
    pub uncounted: Count,
    /// Whether a sale is paying in it right now; not stored.
    pub in_use: bool,
    releases: ReleaseChain,
}

impl Lease {
    /// Coins that can still be released in it.
    #[must_use]
    pub fn left(&self) -> Count {
        if self.ended { Count::ZERO } else { self.open.cap.room(self.released) }
    }

    /// Whether another sale at its vendor may go on in it: no sale does, it has coins left, and everything
    /// released in it was counted. Coins that are perhaps still on their way would count on the wrong tab. Those of fair
    /// mode pay for their deal alone.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.in_use && self.open.fair.is_none() && self.tab.is_none() && self.left() > Count::ZERO
    }

    /// Whether it has told all it can.
    fn is_settled(&self) -> bool {
        self.ended && (self.tab.is_none() || (self.closed && self.uncounted == Count::ZERO))
    }
}

/// One chain of the wallet.
#[derive(Debug)]
pub struct WalletChain {
    touchstone: Signed<Touchstone>,
    seed: Seed,
    key: SecretKey,
    coins: Chain,
    line: Line,
    leases: BTreeMap<SegmentNo, Lease>,
    retired: bool,
}

/// A chain as it is stored (encrypted by the caller: it holds secrets).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainRow {
    touchstone: Unverified<Touchstone>,
    seed: [u8; 16],
    key: [u8; 32],
    record: ChainRecord,
    leases: List<LeaseRow, MAX_LEASES>,
    retired: bool,
}

impl Wire for ChainRow {
    const MAX: usize = 64 * 1024;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LeaseRow {
    seller: Seller,
    open: Unverified<Open>,
    released: Index,
    ended: bool,
    closed: bool,
    tab: Option<TabId>,
    tab_from: Index,
    uncounted: Count,
}

/// How many coins of a chain are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// In the chain as bought.
    pub total: u64,
    /// Released to vendors.
    pub spent: u64,
    /// In leases, or left behind in ended ones until settlement: not to be opened again.
    pub leased: u64,
    /// Free to be opened.
    pub free: u64,
}

/// A buyer's chains.
#[derive(Debug)]
pub struct Wallet {
    network: NetworkId,
    broker: PublicKey,
    /// From which release chains are derived; never leaves the wallet.
    secret: [u8; 32],
    chains: BTreeMap<ChainId, WalletChain>,
}

impl Wallet {
    /// An empty wallet for one network and broker.
    #[must_use]
    pub const fn new(network: NetworkId, broker: PublicKey, secret: [u8; 32]) -> Self {
        Self { network, broker, secret, chains: BTreeMap::new() }
    }

    /// Takes a chain just bought: checks the touchstone, grows the coins and checks them against `W_0`.
    ///
    /// # Errors
    /// If the touchstone does not hold, or the seed does not grow its chain.
    pub fn add(
        &mut self,
        touchstone: Unverified<Touchstone>,
        seed: Seed,
        key: SecretKey,
    ) -> Result<(ChainId, WalletChange), WalletError> {
        let touchstone =
            touchstone::verify(touchstone, &self.network, &self.broker).map_err(BadRecord::from)?;
        let coins = Chain::grow(&seed, touchstone.n);
        if coins.root() != touchstone.root || key.public() != touchstone.chain_key {
            return Err(WalletError::WrongSeed);
        }
        let id = touchstone::chain_id(&touchstone);
        let line = Line::fresh(touchstone.clone());
        let chain =
            WalletChain { touchstone, seed, key, coins, line, leases: BTreeMap::new(), retired: false };
        self.chains.entry(id).or_insert(chain);
        Ok((id, WalletChange::Chain(id)))
    }

    /// Takes a chain from its stored row; `indices` are the rows of single segments, newer than it.
    ///
    /// # Errors
    /// If the row does not hold.
    pub fn load(&mut self, row: ChainRow, indices: &[(SegmentNo, Index)]) -> Result<ChainId, WalletError> {
        let seed = Seed(row.seed);
        let (id, _) = self.add(row.touchstone, seed, SecretKey::from_seed(&row.key))?;
        let line = record::verify(row.record, &self.network, &self.broker)?;
        let secret = self.secret;
        let network = self.network;
        let chain = self.chains.get_mut(&id).ok_or(WalletError::UnknownChain)?;
        chain.line = line;
        chain.retired = row.retired;
        for lease in row.leases.into_vec() {
            let j = lease.open.claim().map_err(|e| BadRecord::Signature(SegmentNo(0), e.into()))?.j;
            let open = lease
                .open
                .clone()
                .verify(&network, &chain.touchstone.chain_key)
                .map_err(|e| BadRecord::Signature(j, e))?;
            let newer = indices.iter().find(|(segment, _)| *segment == j).map_or(lease.released, |(_, i)| *i);
            let releases = releases(&secret, &open);
            let released = lease.released.max(newer);
            let LeaseRow { seller, ended, closed, tab, tab_from, uncounted, .. } = lease;
            let in_use = false;
            let lease =
                Lease { seller, open, released, ended, closed, tab, tab_from, uncounted, in_use, releases };
            chain.leases.insert(j, lease);
        }
        Ok(id)
    }

    /// The chain's row as it is now.
    #[must_use]
    pub fn row(&self, id: &ChainId) -> Option<ChainRow> {
        let chain = self.chains.get(id)?;
        let leases = chain.leases.values().map(|lease| LeaseRow {
            seller: lease.seller,
            open: lease.open.wire(),
            released: lease.released,
            ended: lease.ended,
            closed: lease.closed,
            tab: lease.tab,
            tab_from: lease.tab_from,
            uncounted: lease.uncounted,
        });
        Some(ChainRow {
            touchstone: chain.touchstone.wire(),
            seed: chain.seed.0,
            key: chain.key.seed(),
            record: chain.line.record()?,
            leases: List::first_of(leases),
            retired: chain.retired,
        })
    }

    /// The index released in one segment.
    #[must_use]
    pub fn released(&self, id: &ChainId, j: SegmentNo) -> Option<Index> {
        Some(self.chains.get(id)?.leases.get(&j)?.released)
    }

    /// The chains, oldest id first.
    pub fn chains(&self) -> impl Iterator<Item = (&ChainId, &WalletChain)> {
        self.chains.iter()
    }

    /// One chain.
    #[must_use]
    pub fn chain(&self, id: &ChainId) -> Option<&WalletChain> {
        self.chains.get(id)
    }

    /// Forgets a chain that is over: settled, nothing more can come of it.
    pub fn remove(&mut self, id: &ChainId) {
        self.chains.remove(id);
    }

    /// Coins that could be opened now, over all chains: free ones, and those left in a newest segment that no
    /// sale is paying in, which its vendor would hand over.
    #[must_use]
    pub fn spendable(&self, now: Time) -> Coins {
        let chains = self.chains.values().filter(|chain| chain.is_spendable(now));
        Coins(chains.map(|chain| chain.spread().free + u64::from(chain.idle().0)).sum())
    }

    /// Opens the next segment for `seller`: as many coins as are needed, at least the shortest lease and at
    /// most what trust allows (`earned` coins in this sale so far).
    ///
    /// # Errors
    /// If the chain cannot be spent, is used up, or has too many uncertified segments.
    pub fn open(
        &mut self,
        id: &ChainId,
        seller: Seller,
        needed: Count,
        earned: Coins,
        now: Time,
    ) -> Result<(SegmentNo, WalletChange), WalletError> {
        let length = Count(needed.0.clamp(MIN_LEASE, lease_limit(earned).0));
        self.open_for(id, seller, length, None, now)
    }

    /// The chain to pay a deal of `wanted` coins from, and how many it has: of those that are not `busy`, the emptiest that
    /// suffices, else the fullest. One of which a segment lies open with coins in it comes last: they would wait there for
    /// settlement.
    #[must_use]
    pub fn chain_for(
        &self,
        wanted: Count,
        busy: impl Fn(&ChainId) -> bool,
        now: Time,
    ) -> Option<(ChainId, Count)> {
        let free = |chain: &WalletChain| chain.touchstone.n.room(chain.next().2);
        let fit = self.chains.iter().filter(|(id, chain)| {
            let room = chain.line.uncertified() < MAX_UNCERTIFIED && free(chain) > Count::ZERO;
            chain.is_spendable(now) && room && !busy(id)
        });
        let best = fit.min_by_key(|(id, chain)| {
            let coins = free(chain);
            let short = coins < wanted;
            (short, chain.idle() > Count::ZERO, if short { u32::MAX - coins.0 } else { coins.0 }, **id)
        })?;
        Some((*best.0, free(best.1)))
    }

    /// Opens the next segment for a deal of fair mode, if it is the segment that the deal names: as many coins as the
    /// deal costs, at least the shortest lease.
    ///
    /// # Errors
    /// If the deal is of another segment, or the chain cannot be spent, has not so many coins, or too many uncertified
    /// segments.
    pub fn open_fair(
        &mut self,
        seller: Seller,
        deal: &Signed<Deal>,
        now: Time,
    ) -> Result<WalletChange, WalletError> {
        let coins = deal.coins().ok_or(WalletError::Exhausted)?;
        let (j, _, start) = self.chains.get(&deal.chain).ok_or(WalletError::UnknownChain)?.next();
        if j != deal.j || seller.holder != deal.holder {
            return Err(WalletError::NotOpen);
        }
        if self.chains[&deal.chain].touchstone.n.room(start) < coins {
            return Err(WalletError::Exhausted);
        }
        let (length, terms) = (coins.max(Count(MIN_LEASE)), deal::terms(deal));
        self.open_for(&deal.chain, seller, length, Some(terms), now).map(|(_, change)| change)
    }

    fn open_for(
        &mut self,
        id: &ChainId,
        seller: Seller,
        length: Count,
        fair: Option<FairTerms>,
        now: Time,
    ) -> Result<(SegmentNo, WalletChange), WalletError> {
        let secret = self.secret;
        let network = self.network;
        let chain = self.chains.get_mut(id).ok_or(WalletError::UnknownChain)?;
        if !chain.is_spendable(now) {
            return Err(WalletError::NotSpendable);
        }
        if chain.line.uncertified() >= MAX_UNCERTIFIED {
            return Err(WalletError::Uncertified);
        }
        chain.forget_ended();
        if chain.leases.len() >= MAX_LEASES {
            return Err(WalletError::Uncertified);
        }
        let (j, prev, start) = chain.next();
        let n = chain.touchstone.n;
        if start.0 >= n.0 {
            return Err(WalletError::Exhausted);
        }
        let cap = Cap(start.0 + length.min(n.room(start)).0);
        let chained = ReleaseChain::grow(&secret, *id, j, &seller.holder, (start, cap));
        let open = Open {
            chain: *id,
            j,
            prev,
            holder: seller.holder,
            start,
            cap,
            release_root: chained.root(),
            fair,
        };
        let open = chain.key.sign(&network, open);
        chain.line.extend(open.clone())?;
        let lease = Lease {
            seller,
            open,
            released: start,
            ended: false,
            closed: false,
            tab: None,
            tab_from: start,
            uncounted: Count::ZERO,
            in_use: true,
            releases: chained,
        };
        chain.leases.insert(j, lease);
        Ok((j, WalletChange::Chain(*id)))
    }

    /// Releases `coins` more of segment `j`, for this tab.
    ///
    /// # Errors
    /// If the segment is not open, or its lease has not so many left.
    pub fn pay(
        &mut self,
        id: &ChainId,
        j: SegmentNo,
        coins: Count,
        tab: TabId,
    ) -> Result<(Pay, WalletChange), WalletError> {
        let chain = self.chains.get_mut(id).ok_or(WalletError::UnknownChain)?;
        let lease = chain.leases.get_mut(&j).filter(|lease| !lease.ended).ok_or(WalletError::NotOpen)?;
        if coins > lease.left() {
            return Err(WalletError::Exhausted);
        }
        let index = lease.released.advance(coins).ok_or(WalletError::Exhausted)?;
        let before = std::mem::replace(&mut lease.released, index);
        // Whose coins they are is written with the first of them; after that the index says enough.
        let known = lease.tab.replace(tab) == Some(tab);
        if !known {
            lease.tab_from = before;
        }
        let pay = chain.last_pay(j).ok_or(WalletError::NotOpen)?;
        Ok((pay, if known { WalletChange::Index(*id, j) } else { WalletChange::Chain(*id) }))
    }

    /// Takes a vendor's Close of segment `j`.
    ///
    /// # Errors
    /// If it is not the holder's word about this segment, or claims more than was released.
    pub fn closed(&mut self, id: &ChainId, close: Unverified<Close>) -> Result<WalletChange, WalletError> {
        let network = self.network;
        let chain = self.chains.get_mut(id).ok_or(WalletError::UnknownChain)?;
        let j = close.claim().map_err(|e| BadRecord::Signature(SegmentNo(0), e.into()))?.j;
        let lease = chain.leases.get_mut(&j).ok_or(WalletError::NotOpen)?;
        let close = close.verify(&network, &lease.open.holder).map_err(|e| BadRecord::Signature(j, e))?;
        if close.open != lease.open.hash() || close.chain != *id {
            return Err(BadRecord::Close(j).into());
        }
        if close.end > lease.released {
            return Err(WalletError::Overclaimed);
        }
        if !lease.closed {
            let counted = close.end.max(lease.tab_from);
            lease.uncounted = lease.released.since(counted).unwrap_or_default();
        }
        (lease.ended, lease.closed) = (true, true);
        if chain.line.segment(j).is_some_and(|segment| segment.close.is_none()) {
            chain.line.close(close)?;
        }
        Ok(WalletChange::Chain(*id))
    }

    /// Gives a segment up whose vendor is gone: nothing more is released in it, and the rest of its lease
    /// comes back at settlement.
    ///
    /// # Errors
    /// If there is no such segment.
    pub fn abandon(&mut self, id: &ChainId, j: SegmentNo) -> Result<WalletChange, WalletError> {
        let chain = self.chains.get_mut(id).ok_or(WalletError::UnknownChain)?;
        chain.leases.get_mut(&j).ok_or(WalletError::NotOpen)?.ended = true;
        Ok(WalletChange::Chain(*id))
    }

    /// Notes that the vendor has counted everything released in segment `j`: it answered what came after.
    pub fn counted(&mut self, id: &ChainId, j: SegmentNo) -> Option<WalletChange> {
        let lease = self.chains.get_mut(id)?.leases.get_mut(&j)?;
        lease.tab.take().map(|_| WalletChange::Chain(*id))
    }

    /// The coins released for a tab that no vendor counted nor ever can: they were lost on the way, and the
    /// segment was closed without them. Each is given back once.
    pub fn take_back(&mut self, tab: TabId) -> (Coins, Vec<WalletChange>) {
        let (mut coins, mut changes) = (Coins::ZERO, Vec::new());
        for (id, chain) in &mut self.chains {
            let lost = |lease: &&mut Lease| lease.tab == Some(tab) && lease.uncounted > Count::ZERO;
            for lease in chain.leases.values_mut().filter(lost) {
                coins = coins.saturating_add(std::mem::take(&mut lease.uncounted).into());
                changes.push(WalletChange::Chain(*id));
            }
        }
        (coins, changes)
    }

    /// The segments that coins were released in for a tab and of which its vendor never said what it counted.
    #[must_use]
    pub fn unsettled(&self, tab: TabId) -> BTreeMap<ChainId, Vec<SegmentNo>> {
        let of = |chain: &WalletChain| {
            let leases = chain.leases.iter();
            let open = leases.filter(|(_, lease)| lease.tab == Some(tab) && !lease.closed);
            open.map(|(j, _)| *j).collect::<Vec<_>>()
        };
        let chains = self.chains.iter().map(|(id, chain)| (*id, of(chain)));
        chains.filter(|(_, segments)| !segments.is_empty()).collect()
    }

    /// The segments of all tabs of which no vendor has said yet what it counted.
    fn all_unsettled(&self) -> impl Iterator<Item = (TabId, &Lease)> {
        let leases = self.chains.values().flat_map(|chain| chain.leases.values());
        leases.filter(|lease| !lease.closed).filter_map(|lease| Some((lease.tab?, lease)))
    }

    /// The tabs that [`Wallet::unsettled`] has something of.
    #[must_use]
    pub fn unsettled_tabs(&self) -> BTreeSet<TabId> {
        self.all_unsettled().map(|(tab, _)| tab).collect()
    }

    /// Coins released of which no vendor has said yet whether it counted them.
    #[must_use]
    pub fn unconfirmed(&self) -> Coins {
        let coins = self.all_unsettled().map(|(_, lease)| lease.released.0.saturating_sub(lease.tab_from.0));
        Coins(coins.map(u64::from).sum())
    }

    /// Takes a certificate of one of the chain's segments. `None` if it was of no use.
    pub fn certified(&mut self, id: &ChainId, certificate: Certificate) -> Option<WalletChange> {
        let network = self.network;
        let chain = self.chains.get_mut(id)?;
        chain.line.certify(&network, certificate).then_some(WalletChange::Chain(*id))
    }

    /// Marks a segment as one that a sale is paying in.
    pub fn hold(&mut self, id: &ChainId, j: SegmentNo) {
        self.set_in_use(id, j, true);
    }

    /// Marks a segment as free for the next sale.
    pub fn release_hold(&mut self, id: &ChainId, j: SegmentNo) {
        self.set_in_use(id, j, false);
    }

    fn set_in_use(&mut self, id: &ChainId, j: SegmentNo, in_use: bool) {
        if let Some(lease) = self.chains.get_mut(id).and_then(|chain| chain.leases.get_mut(&j)) {
            lease.in_use = in_use;
        }
    }

    /// Signs the wish that segment `j` be handed over to the holder key `to`.
    ///
    /// # Errors
    /// If the segment is not open.
    pub fn hand_over(
        &self,
        id: &ChainId,
        j: SegmentNo,
        to: PublicKey,
    ) -> Result<Unverified<Handover>, WalletError> {
        let chain = self.chains.get(id).ok_or(WalletError::UnknownChain)?;
        if chain.leases.get(&j).is_none_or(|lease| lease.ended) {
            return Err(WalletError::NotOpen);
        }
        Ok(chain.key.sign(&self.network, Handover { chain: *id, j, to }).wire())
    }

    /// Gives a chain up: no more Opens, no more releases; its rest is refunded at settlement.
    pub fn retire(&mut self, id: &ChainId) -> Option<WalletChange> {
        let chain = self.chains.get_mut(id)?;
        chain.retired = true;
        chain.leases.values_mut().for_each(|lease| lease.ended = true);
        Some(WalletChange::Chain(*id))
    }
}

impl WalletChain {
    /// T.
    #[must_use]
    pub const fn touchstone(&self) -> &Signed<Touchstone> {
        &self.touchstone
    }

    /// The line of its segments.
    #[must_use]
    pub const fn line(&self) -> &Line {
        &self.line
    }

    /// Whether it was given up.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.retired
    }

    /// The segments at vendors.
    pub fn leases(&self) -> impl DoubleEndedIterator<Item = (&SegmentNo, &Lease)> {
        self.leases.iter()
    }

    /// The segment of this number.
    #[must_use]
    pub fn lease(&self, j: SegmentNo) -> Option<&Lease> {
        self.leases.get(&j)
    }

    /// Whether a vendor would take it now.
    #[must_use]
    pub fn is_spendable(&self, now: Time) -> bool {
        !self.retired && now.plus(SPEND_MARGIN) < self.touchstone.spend_by
    }

    /// The record to show a vendor.
    #[must_use]
    pub fn record(&self) -> Option<ChainRecord> {
        self.line.record()
    }

    /// The last payment made in segment `j`, to be sent again after a break; `None` before the first.
    #[must_use]
    pub fn last_pay(&self, j: SegmentNo) -> Option<Pay> {
        let lease = self.leases.get(&j)?;
        let m = lease.released.since(lease.open.start).filter(|m| m.0 > 0)?;
        let coin = self.coins.coin(lease.released)?;
        Some(Pay { j, index: lease.released, coin, release: lease.releases.link(m)? })
    }

    /// Where the coins are.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let total = u64::from(self.touchstone.n.0);
        let (next, _, opened) = self.next();
        let behind = self.leases.iter().skip(1).map(|(j, lease)| (*j, lease.open.start));
        let leased =
            self.leases.iter().zip(behind.chain([(next, opened)])).map(|((j, lease), (next, start))| {
                // What was opened behind a lease and is not remembered any more was spent.
                let left = match () {
                    () if next == j.next() => start.since(lease.released).unwrap_or_default(),
                    () if lease.closed => Count::ZERO,
                    () => lease.open.cap.room(lease.released),
                };
                u64::from(left.0)
            });
        let (opened, leased) = (u64::from(opened.0), leased.sum());
        Spread { total, spent: opened.saturating_sub(leased), leased, free: total.saturating_sub(opened) }
    }

    /// The newest segment, if its lease is still open.
    #[must_use]
    pub fn newest_open(&self) -> Option<(SegmentNo, &Lease)> {
        let newest = self.line.newest()?.open.j;
        self.leases.get(&newest).filter(|lease| !lease.ended).map(|lease| (newest, lease))
    }

    /// Coins left in the newest segment, if no sale is paying in it.
    #[must_use]
    pub fn idle(&self) -> Count {
        self.newest_open().filter(|(_, lease)| !lease.in_use).map_or(Count::ZERO, |(_, lease)| lease.left())
    }

    /// The next Open's number, predecessor and start: never below what was released in the newest segment.
    fn next(&self) -> (SegmentNo, crate::id::ObjectHash, Index) {
        let (j, prev, start) = self.line.next();
        let released = self.leases.values().next_back().map_or(Index::ZERO, |lease| lease.released);
        (j, prev, start.max(released))
    }

    /// Forgets ended leases below the newest segment that have told all they can; if there are too many, the
    /// others too, whose tabs then stay short of what was lost.
    fn forget_ended(&mut self) {
        let newest = self.leases.keys().next_back().copied();
        self.leases.retain(|j, lease| !lease.is_settled() || Some(*j) == newest);
        if self.leases.len() >= MAX_LEASES {
            self.leases.retain(|j, lease| !lease.ended || Some(*j) == newest);
        }
    }
}

/// The longest lease trust allows: what the vendor earned in this sale, at least the shortest lease.
#[must_use]
pub fn lease_limit(earned: Coins) -> Count {
    let earned = u32::try_from(earned.0).unwrap_or(MAX_LEASE);
    Count(earned.clamp(MIN_LEASE, MAX_LEASE))
}

fn releases(secret: &[u8; 32], open: &Open) -> ReleaseChain {
    ReleaseChain::grow(secret, open.chain, open.j, &open.holder, (open.start, open.cap))
}

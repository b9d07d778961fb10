//! The deals of fair mode that the vendor offered, and what their Opens come to: a key chain each, and a Close where a unit
//! ends.
//!
//! Nothing secret is stored: the keys of a deal follow from the till's secret and the deal's salt.

use super::{Held, Till, TillChange, TillError};
use crate::amount::{Count, Index};
use crate::codec::{self, Wire};
use crate::coin::chain::Coin;
use crate::coin::key::{Key, KeyChain, KeyStep};
use crate::coin::payment::Pay;
use crate::coin::segment::{Open, Release, SegmentNo};
use crate::fair::deal::{self, Deal};
use crate::fair::packing::Sealer;
use crate::id::{ChainId, ObjectHash};
use crate::keys::{Signed, Unverified};
use crate::record::chain::Line;
use crate::time::Time;
use crate::wallet::SPEND_MARGIN;
use crate::wire::hello::HolderTag;
use crate::wire::trade::{Span, Terms};
use serde::{Deserialize, Serialize};

/// The most deals remembered that nobody has opened; beyond, the oldest is forgotten.
pub const MAX_DEALS: usize = 1024;

/// A deal as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DealRow {
    /// C*.
    pub deal: Unverified<Deal>,
    /// Whence the holder key.
    pub tag: HolderTag,
}

impl Wire for DealRow {
    const MAX: usize = 512;
}

/// What a buyer asks a deal about.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What, on the vendor's terms.
    pub terms: Terms,
    /// Which units of it.
    pub span: Span,
    /// The segment that would be opened.
    pub j: SegmentNo,
    /// Whence the holder key.
    pub tag: HolderTag,
}

/// A deal that was offered.
#[derive(Clone, Debug)]
pub(super) struct Made {
    deal: Signed<Deal>,
    tag: HolderTag,
}

/// Where a segment is closed.
pub(super) struct End {
    pub index: Index,
    /// W_e. A segment that was never paid may not know it: the root then stands in, and pays nothing.
    pub coin: Coin,
    pub release: Release,
    pub key: Option<Key>,
}

impl Till {
    /// The deal about what a buyer wishes, out of the chain shown; the same wish has the same deal.
    ///
    /// # Errors
    /// If the chain cannot be spent here, or its segment was opened already.
    pub fn deal_about(
        &mut self,
        line: &Line,
        wish: &Wish,
        now: Time,
    ) -> Result<(Signed<Deal>, Vec<TillChange>), TillError> {
        let chain = line.chain();
        if self.blocked.get(&chain).is_some_and(|until| now < *until) {
            return Err(TillError::Blocked);
        }
        if line.touchstone.spend_by <= now.plus(SPEND_MARGIN) {
            return Err(TillError::Expired);
        }
        if self.held.served_by(&wish.tag).is_some_and(|served| served != chain) {
            return Err(TillError::TagReused);
        }
        if let Some(held) = self.held.get(&chain, wish.j) {
            return Err(TillError::NotOpen(held.close.as_ref().map(|close| Box::new(close.wire()))));
        }
        let deal = self.draft(line, wish, now)?;
        let is_same = |made: &&Made| *made.deal == Deal { made: made.deal.made, ..deal.clone() };
        if let Some(made) = self.deals.values().find(is_same) {
            // It may be another stream that made it, and not be durable yet.
            let (deal, change) = (made.deal.clone(), TillChange::Deal(made.deal.hash()));
            return Ok((deal, vec![change]));
        }
        let mut changes = self.make_room();
        let deal = wish.tag.holder(&self.secret).sign(&self.network, deal);
        changes.push(TillChange::Deal(deal.hash()));
        self.deals.insert(deal.hash(), Made { deal: deal.clone(), tag: wish.tag });
        Ok((deal, changes))
    }

    fn draft(&self, line: &Line, wish: &Wish, now: Time) -> Result<Deal, TillError> {
        let (chain, holder) = (line.chain(), self.holder(&wish.tag));
        let mut deal = wish.terms.deal(wish.span, (chain, wish.j), holder, line.touchstone.chain_key);
        let coins = deal.coins().ok_or(TillError::Fair)?;
        // Another wish has another salt, and with it other keys.
        let salt = blake3::keyed_hash(&self.fair_secret("netpay 2026 deal salts"), &codec::encode(&deal));
        deal.salt.copy_from_slice(&salt.as_bytes()[..16]);
        deal.key_root = self.keys(&deal.salt, &deal.step(), coins).root();
        deal.made = now;
        Ok(deal)
    }

    /// Forgets the oldest deal that nobody opened, if there are too many.
    fn make_room(&mut self) -> Vec<TillChange> {
        let is_open = |made: &Made| self.held.get(&made.deal.chain, made.deal.j).is_some();
        let waiting: Vec<&Made> = self.deals.values().filter(|made| !is_open(made)).collect();
        if waiting.len() < MAX_DEALS {
            return Vec::new();
        }
        let oldest = waiting.into_iter().min_by_key(|made| made.deal.made).map(|made| made.deal.hash());
        oldest.and_then(|oldest| self.forget_deal(&oldest)).into_iter().collect()
    }

    pub(super) fn forget_deal(&mut self, hash: &ObjectHash) -> Option<TillChange> {
        self.deals.remove(hash).map(|_| TillChange::Deal(*hash))
    }

    /// Takes a deal from its stored row.
    ///
    /// # Errors
    /// If the row does not hold.
    pub fn load_deal(&mut self, row: DealRow) -> Result<(), TillError> {
        let deal = row.deal.verify(&self.network, &self.holder(&row.tag))?;
        self.deals.insert(deal.hash(), Made { deal, tag: row.tag });
        Ok(())
    }

    /// A deal's row, or `None` if it was forgotten.
    #[must_use]
    pub fn deal_row(&self, hash: &ObjectHash) -> Option<DealRow> {
        self.deals.get(hash).map(|made| DealRow { deal: made.deal.wire(), tag: made.tag })
    }

    /// A deal of this vendor's.
    #[must_use]
    pub fn deal(&self, hash: &ObjectHash) -> Option<&Signed<Deal>> {
        self.deals.get(hash).map(|made| &made.deal)
    }

    /// The keys of a deal.
    #[must_use]
    pub fn keys_of(&self, deal: &Deal) -> Option<KeyChain> {
        Some(self.keys(&deal.salt, &deal.step(), deal.coins()?))
    }

    /// What the units of a deal are sealed with.
    #[must_use]
    pub fn sealer(&self, hash: &ObjectHash) -> Option<Sealer> {
        let Made { deal, tag } = self.deals.get(hash)?;
        Some(Sealer::new(self.network, tag.holder(&self.secret), deal.clone(), self.keys_of(deal)?))
    }

    /// Counts a payment in a segment of fair mode, which is on no tab. The same payment again counts nothing.
    ///
    /// # Errors
    /// As [`Till::pay`], and if the segment is one of plain mode.
    pub fn pay_fair(&mut self, chain: &ChainId, pay: &Pay, now: Time) -> Result<Vec<TillChange>, TillError> {
        if self.held.get(chain, pay.j).is_some_and(|held| held.open.fair.is_none()) {
            return Err(TillError::NotOpen(None));
        }
        let gained = self.count(chain, pay, now)?;
        Ok((gained > Count::ZERO).then_some(TillChange::Segment(*chain, pay.j)).into_iter().collect())
    }

    /// Whether an Open is of plain mode, or binds a deal made here under this tag.
    pub(super) fn is_of_a_deal(&self, open: &Open, tag: HolderTag) -> bool {
        let Some(terms) = &open.fair else { return true };
        let made = self.deals.get(&terms.deal).filter(|made| made.tag == tag);
        made.is_some_and(|made| deal::bound(&made.deal, open).is_ok())
    }

    /// Where a segment is to be closed: what opens a unit is shown with any of its coins, so none is claimed in part.
    pub(super) fn end_of(&self, held: &Held) -> Option<End> {
        let (paid, meter) = (held.meter.paid(), &held.meter);
        let Some(terms) = &held.open.fair else {
            let (index, coin, release) = (meter.index(), meter.anchor().1, meter.release());
            return Some(End { index, coin, release, key: None });
        };
        let deal = self.deal(&terms.deal)?;
        let whole = deal.paid_by(paid).and_then(|b| deal.last_coin(b)).unwrap_or(Count::ZERO);
        let beyond = Count(paid.0 - whole.0);
        Some(End {
            index: held.open.start.advance(whole)?,
            coin: meter.anchor().1.walk_down(beyond.0),
            release: held.open.release_key().walk_down(paid, &meter.release(), beyond),
            key: self.keys_of(deal)?.link(whole),
        })
    }

    fn keys(&self, salt: &[u8; 16], step: &KeyStep, coins: Count) -> KeyChain {
        KeyChain::grow(&self.fair_secret("netpay 2026 deal keys"), salt, step, coins)
    }

    fn fair_secret(&self, use_of_it: &str) -> [u8; 32] {
        blake3::derive_key(use_of_it, &self.secret)
    }
}

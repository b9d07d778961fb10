//! A buyer in fair mode by hand: it asks for deals, opens for them and pays, and signs whatever it likes.

use super::Offer;
use super::purse::Purse;
use super::villain::{Villain, Visit};
use anyhow::{Context as _, Result, bail};
use netpay_core::amount::Coins;
use netpay_core::codec::Bytes;
use netpay_core::coin::key::Key;
use netpay_core::coin::segment::{Open, SegmentNo};
use netpay_core::content::units::GROUP;
use netpay_core::fair::deal::{self, Deal};
use netpay_core::fair::judge::{self, Junk};
use netpay_core::fair::sealed::{self, Sealed, SealedUnit};
use netpay_core::keys::{Signed, Unverified};
use netpay_core::record::chain::Line;
use netpay_core::wire::bank::{Accuse, AskKeys, BankReply, BankRequest, ShownKey};
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::trade::{Span, Terms, ToBuyer, ToVendor};
use netpay_node::clock;

/// A deal that a vendor made, and whence its holder key.
pub struct Dealt {
    pub tag: HolderTag,
    pub deal: Signed<Deal>,
}

impl Villain {
    /// Asks for a deal about the first units of an offer, in units of 16 KiB, out of a chain that nobody opened yet.
    pub async fn deals(&self, visit: &mut Visit, purse: &Purse, offer: &Offer, count: u64) -> Result<Dealt> {
        let tag = HolderTag(clock::random());
        let holder = self.holder(offer.node.parse()?, tag).await?;
        let line = purse.fresh();
        let terms = Terms {
            root: offer.shared.id.parse()?,
            size: offer.shared.size,
            price: Coins(offer.shared.price),
            unit_log: 0,
        };
        let (span, j) = (Span { first: 0, count }, line.next().0);
        let record = line.record().context("a short line")?;
        visit.say(&ToVendor::AskDeal { terms, span, record, j, tag }).await?;
        match visit.hears().await? {
            Some(ToBuyer::Deal(deal)) => Ok(Dealt { tag, deal: deal.verify(&self.network, &holder)? }),
            other => bail!("expected a deal, saw {other:?}"),
        }
    }

    /// The keys that the broker was shown for a chain.
    pub async fn asks_keys(&self, purse: &Purse) -> Result<Vec<ShownKey>> {
        let (account, chain, from) = (self.account.public(), purse.id(), SegmentNo::FIRST);
        let ask = AskKeys { account, chain, from, at: clock::time() };
        match self.bank(&BankRequest::Keys(self.account.sign(&self.network, ask).wire())).await? {
            BankReply::Keys(keys) => Ok(keys.into_vec()),
            other => bail!("expected keys, saw {other:?}"),
        }
    }

    /// Says to the broker that a vendor sold junk.
    pub fn accusation(&self, junk: Junk) -> BankRequest {
        let accuse = Accuse { account: self.account.public(), junk: judge::digest(&junk) };
        BankRequest::Accuse { accuse: self.account.sign(&self.network, accuse).wire(), junk }
    }
}

impl Purse {
    /// The line with an Open that binds a deal of this hash.
    pub fn opened_for(&self, dealt: &Dealt, cap: u32) -> Result<(Line, Open)> {
        let mut line = self.fresh();
        let terms = Some(deal::terms(&dealt.deal));
        let open = Open { fair: terms, ..self.open(&line, dealt.deal.holder, 0, cap) };
        line.extend(self.key.sign(&self.network, open.clone()))?;
        Ok((line, open))
    }
}

/// What would prove that a unit as it came is junk, if it were.
pub fn junk((unit, bytes): &(SealedUnit, Vec<u8>), dealt: &Dealt, line: &Line, key: Key) -> Result<Junk> {
    let units = dealt.deal.units().context("a geometry")?;
    let said = Sealed { deal: dealt.deal.hash(), unit: unit.unit, root: sealed::root_of(bytes) };
    let leaf = bytes.chunks(usize::try_from(GROUP)?).next().context("a leaf")?;
    Ok(Junk {
        open: line.newest().context("opened")?.open.wire(),
        deal: dealt.deal.wire(),
        sealed: Unverified::rebuild(&said, unit.signature),
        leaf: 0,
        bytes: Bytes::try_from(leaf.to_vec()).ok().context("no longer than a leaf")?,
        sealed_path: sealed::path_in(bytes, 0).context("a path")?,
        key,
        should_be: *unit.leaves.first().context("a leaf")?,
        path: sealed::leaf_path(units, unit.unit, &unit.leaves, 0, &unit.proof).context("a path")?,
    })
}

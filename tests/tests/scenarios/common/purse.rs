//! A chain in the hands of somebody who signs whatever it likes.

use anyhow::{Context as _, Result};
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::coin::chain::Chain;
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::{Open, ReleaseChain, SegmentNo};
use netpay_core::coin::touchstone::{Touchstone, chain_id};
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::{PublicKey, SecretKey, Signed};
use netpay_core::record::chain::Line;
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::trade::Funding;

pub struct Purse {
    pub network: NetworkId,
    pub key: SecretKey,
    pub touchstone: Signed<Touchstone>,
    pub coins: Chain,
}

impl Purse {
    pub fn id(&self) -> ChainId {
        chain_id(&self.touchstone)
    }

    pub fn fresh(&self) -> Line {
        Line::fresh(self.touchstone.clone())
    }

    fn releases(&self, (j, holder, start, cap): (SegmentNo, PublicKey, Index, Cap)) -> ReleaseChain {
        ReleaseChain::grow(&[51; 32], self.id(), j, &holder, (start, cap))
    }

    /// The Open after those of `line`.
    pub fn open(&self, line: &Line, holder: PublicKey, start: u32, cap: u32) -> Open {
        let (j, prev, _) = line.next();
        let (start, cap) = (Index(start), Cap(cap));
        let release_root = self.releases((j, holder, start, cap)).root();
        Open { chain: self.id(), j, prev, holder, start, cap, release_root, fair: None }
    }

    /// The line with one more Open.
    pub fn opened(&self, line: &Line, holder: PublicKey, start: u32, cap: u32) -> Result<Line> {
        let mut line = line.clone();
        line.extend(self.key.sign(&self.network, self.open(&line, holder, start, cap)))?;
        Ok(line)
    }

    pub fn pay(&self, open: &Open, index: u32) -> Result<Pay> {
        let releases = self.releases((open.j, open.holder, open.start, open.cap));
        let release = releases.link(Count(index - open.start.0)).context("within the lease")?;
        let coin = self.coins.coin(Index(index)).context("within the chain")?;
        Ok(Pay { j: open.j, index: Index(index), coin, release })
    }
}

/// An order's funding that shows this line.
pub fn shown(tag: HolderTag, line: &Line, pay: Pay) -> Result<Funding> {
    Ok(Funding::Opened { tag, record: line.record().context("a short line")?, pay })
}

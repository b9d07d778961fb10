//! What is still open at the vendors of downloads that ended or stopped: payments that were never counted, receipts
//! that never came. Whoever was cut off comes back for that, if need be after the next start.

use super::fair;
use super::job::PATIENCE;
use super::kept::DealRow;
use super::rows::{DownloadRow, TabRow};
use super::visit::{Heard, Visit};
use super::{Node, is_active};
use crate::app::{Trouble, lock};
use crate::clock;
use crate::store::Batch;
use futures::StreamExt as _;
use netpay_core::amount::Coins;
use netpay_core::id::ObjectHash;
use netpay_core::session::buyer::{Input, Purchase};
use netpay_core::time::DAY;
use netpay_core::wire::trade::{Span, TabId, Terms};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a vendor that does not answer is called on again, after the first while.
const AGAIN: Duration = Duration::from_secs(600);
/// So long after a download began its vendors are called on, in seconds.
const FOR: u64 = 7 * DAY;
/// Downloads whose debts are paid at the same time.
const AT_ONCE: usize = 8;

/// Pays debts as they arise, as long as the node runs.
pub async fn run(node: Node) {
    let mut patience = PATIENCE.iter();
    while !node.is_stopping() {
        let indebted = node.indebted();
        let soon = patience.next().filter(|_| !indebted.is_empty());
        futures::stream::iter(indebted)
            .for_each_concurrent(AT_ONCE, |id| {
                let node = &node;
                async move { node.pay_debts(id).await }
            })
            .await;
        let wait = soon.map_or(AGAIN, |millis| Duration::from_millis(*millis));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = node.0.downloads.debts.notified() => patience = PATIENCE.iter(),
            () = node.stopped() => return,
        }
    }
}

impl Node {
    /// The downloads that nobody works at and that have something open at a vendor.
    fn indebted(&self) -> Vec<u64> {
        let unsettled = self.unsettled();
        // Asked before the downloads are held: whoever pays holds the wallet first, and then them.
        let dealing: BTreeSet<u64> =
            self.open_deals(|_| true).into_iter().map(|(_, deal)| deal.download).collect();
        let all = lock(&self.0.downloads.all);
        let idle = all
            .values()
            .filter(|download| !is_active(download.row.state) && download.turn.try_lock().is_ok());
        idle.filter(|download| {
            let is_dealing = is_in_time(&download.row) && dealing.contains(&download.row.id);
            is_dealing || debts(&download.row, &unsettled).next().is_some()
        })
        .map(|download| download.row.id)
        .collect()
    }

    /// The tabs of which no vendor ever said what it counted. With a locked wallet that is not known, nor could it
    /// be paid.
    fn unsettled(&self) -> BTreeSet<TabId> {
        self.wallet(|wallet| wallet.unsettled_tabs()).unwrap_or_default()
    }

    /// Calls once on each vendor at which a download has something open.
    async fn pay_debts(&self, id: u64) {
        let Ok(turn) = self.turn(id) else { return };
        // Whoever works at it pays for it too.
        let Ok(_turn) = turn.try_lock() else { return };
        let (Ok(row), Ok(mut control)) = (self.row_of(id), self.control_of(id)) else { return };
        for tab in debts(&row, &self.unsettled()) {
            let settled = tokio::select! {
                settled = self.pay_debt(&row, tab) => settled,
                // It goes on, and needs its turn.
                _ = control.changed() => return,
            };
            match settled {
                Ok(()) => self.happened(id, "settled", &tab.vendor.to_string()),
                Err(trouble) => {
                    tracing::debug!(download = id, %trouble, "a vendor was not paid yet");
                    if matches!(trouble, Trouble::Refused(_)) && !self.unsettled().contains(&tab.tab) {
                        self.forget_debt(id, tab).await;
                    }
                }
            }
        }
        tokio::select! {
            () = self.end_deals(&row) => {}
            _ = control.changed() => {}
        }
    }

    /// Ends the deals that a break left open.
    async fn end_deals(&self, row: &DownloadRow) {
        if !is_in_time(row) {
            return;
        }
        for deal in self.open_deals(|deal| deal.download == row.id) {
            let vendor = deal.1.seller.node;
            // Who kept a key back may have claimed with it: the broker gives it at once, and the vendor for as long as it is
            // waited for does not.
            if self.kept_count(&deal.0) > 0
                && let Err(trouble) = self.ask_for_key_in_turn(deal.0, &deal.1).await
            {
                tracing::debug!(download = row.id, %trouble, "no key was asked for");
            }
            let ended = match self.late_job(row.id) {
                Ok(job) => fair::settle(self, job, deal).await,
                Err(trouble) => Err(trouble),
            };
            match ended {
                Ok(()) => self.happened(row.id, "settled", &vendor.to_string()),
                Err(trouble) => {
                    tracing::debug!(download = row.id, %trouble, "a deal was not ended yet");
                    self.dispute_soon();
                }
            }
        }
    }

    /// Deals of which no vendor said where they ended.
    fn open_deals(&self, of: impl Fn(&DealRow) -> bool) -> Vec<(ObjectHash, DealRow)> {
        let deals = self.deals(|deal| deal.open.is_some() && of(deal));
        let is_open = |deal: &DealRow| {
            let claim = deal.deal.claim().ok()?;
            self.wallet(|wallet| Some(!wallet.chain(&claim.chain)?.lease(claim.j)?.ended)).ok()?
        };
        deals.into_iter().filter(|(_, deal)| is_open(deal) == Some(true)).collect()
    }

    async fn pay_debt(&self, row: &DownloadRow, tab: &TabRow) -> Result<(), Trouble> {
        let terms = Terms { root: row.root, size: row.size, price: tab.price, unit_log: row.unit_log };
        let visit = Visit::open(self, row.id, tab.vendor, tab.price, |_, tab| Purchase {
            tab: tab.tab,
            terms,
            span: Span { first: 0, count: 0 },
            paid: tab.paid,
            owed: tab.owed,
            ahead: Coins::ZERO,
            expected: tab.owed,
        });
        let mut visit = visit.await?;
        visit.step(vec![Input::Begin], Batch::new()).await?;
        loop {
            if let Some(over) = visit.over.take() {
                return over;
            }
            match visit.heard().await? {
                Heard::Message(message) => {
                    visit.note(&message);
                    visit.step(vec![Input::Heard(Box::new(message))], Batch::new()).await?;
                }
                Heard::Unit { .. } | Heard::Sealed(..) => return Err(Trouble::WrongBytes),
            }
        }
    }

    /// A vendor that refuses its money goes without.
    async fn forget_debt(&self, id: u64, tab: &TabRow) {
        let forgotten = self.change_row(id, |row| {
            if let Some(tab) = row.tabs.iter_mut().find(|known| known.tab == tab.tab) {
                tab.owed = tab.owed.min(tab.paid);
            }
        });
        if let Ok(commit) = forgotten
            && let Err(error) = commit.await
        {
            tracing::warn!(%error, "a vendor that refused its money is asked again after the next start");
        }
    }
}

/// The tabs on which less was paid than their units cost, or of which a break left open what was counted.
fn debts<'a>(row: &'a DownloadRow, unsettled: &'a BTreeSet<TabId>) -> impl Iterator<Item = &'a TabRow> {
    let in_time = is_in_time(row);
    row.tabs.iter().filter(move |tab| in_time && (tab.paid < tab.owed || unsettled.contains(&tab.tab)))
}

/// Whether a download's vendors are still called on.
fn is_in_time(row: &DownloadRow) -> bool {
    clock::time() < row.began.plus(FOR)
}

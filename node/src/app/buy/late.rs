//! Units that are opened late: with the key that a vendor kept back, and had to show to the broker to be paid.

use super::DownloadState;
use super::kept::DealRow;
use crate::app::{Node, Trouble, disputes, lock};
use crate::store::Batch;
use netpay_core::amount::Count;
use netpay_core::coin::segment::Open;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::Junk;
use netpay_core::fair::opening::{self, NotOpened};
use netpay_core::id::ObjectHash;
use netpay_core::keys::Signed;
use netpay_core::wire::bank::ShownKey;
use std::sync::Arc;

/// What became of the units of a deal that were under seal.
#[derive(Default)]
struct Opened {
    units: Vec<u64>,
    bytes: u64,
    junk: Option<Box<Junk>>,
}

impl Node {
    /// Asks the broker for the key of a deal, and opens with it what is kept; not while somebody works at the download, who
    /// goes first. Returns whether nothing of the deal is under seal any more.
    ///
    /// # Errors
    /// If the broker cannot be reached, shows a key that is none of the deal's, or something cannot be written.
    pub(in crate::app) async fn ask_for_key(&self, hash: ObjectHash, row: &DealRow) -> Result<bool, Trouble> {
        let turn = self.turn(row.download).ok();
        match turn.as_ref().map(|turn| turn.try_lock()).transpose() {
            Ok(_turn) => self.ask_for_key_in_turn(hash, row).await,
            Err(_) => Ok(false),
        }
    }

    /// The same for whoever holds the download's turn.
    pub(super) async fn ask_for_key_in_turn(&self, hash: ObjectHash, row: &DealRow) -> Result<bool, Trouble> {
        let Some((deal, Some(open))) = row.verified(self) else { return Ok(true) };
        for shown in self.shown_keys(deal.chain, deal.j).await? {
            if shown.j == deal.j {
                self.take_late_key(hash, row, (&deal, &open), &shown).await?;
            }
        }
        Ok(self.kept_count(&hash) == 0)
    }

    async fn take_late_key(
        &self,
        hash: ObjectHash,
        row: &DealRow,
        (deal, open): (&Signed<Deal>, &Signed<Open>),
        shown: &ShownKey,
    ) -> Result<(), Trouble> {
        let Some(m) = shown.end.since(open.start).filter(|m| *m > Count::ZERO) else { return Ok(()) };
        if !deal.has_key(m, &shown.key) {
            return Err(Trouble::BrokerNonsense("the key shown is none of the deal"));
        }
        let opened = self.open_late(hash, row, (deal, open), (m, shown)).await?;
        if !opened.units.is_empty() || opened.junk.is_some() {
            let what = "the broker gave the key that the vendor kept back";
            self.happened(row.download, "key", what);
        }
        if opened.junk.is_some() {
            self.found_junk(row.seller.node).await;
        }
        if !opened.units.is_empty()
            && self.download(row.download).is_ok_and(|view| view.state == DownloadState::Failed)
        {
            self.resume_download(row.download).await?;
        }
        Ok(())
    }

    async fn open_late(
        &self,
        hash: ObjectHash,
        row: &DealRow,
        (deal, open): (&Signed<Deal>, &Signed<Open>),
        (m, shown): (Count, &ShownKey),
    ) -> Result<Opened, Trouble> {
        let job = self.late_job(row.download)?;
        let (mut batch, mut opened) = (Batch::new(), Opened::default());
        for mut kept in self.kept_units(&hash, deal)? {
            let unit = kept.unit.unit;
            match opening::open(&self.network(), open, deal, Arc::make_mut(&mut kept), (m, &shown.key)) {
                Ok(bytes) => {
                    // What came from another vendor meanwhile is there already.
                    if let Some(job) = &job
                        && !lock(&job.state).have.contains_key(&unit)
                    {
                        job.put(unit, &bytes, row.tab, &mut batch)?;
                        opened.units.push(unit);
                        opened.bytes += bytes.len() as u64;
                    }
                }
                // What the claim does not reach was not claimed.
                Err(NotOpened::Key) => {}
                Err(NotOpened::Junk(junk)) => {
                    disputes::put_junk(&mut batch, &hash, row.download, row.seller.node, &junk);
                    opened.junk = Some(junk);
                }
            }
        }
        // With the key there is no more to come, of what the power took either.
        self.take_all_out(&mut batch, &hash)?;
        if let Some(job) = job {
            let written = Arc::clone(&job);
            let synced = tokio::task::spawn_blocking(move || written.sync()).await;
            synced.map_err(|_| Trouble::Stopping)??;
            self.db().commit(batch).await?;
            let have = job.took(&opened.units, row.tab, opened.bytes);
            self.show(row.download, |view| view.have = have);
        } else {
            self.db().commit(batch).await?;
        }
        Ok(opened)
    }
}

//! Disputes of fair mode: a key that a vendor kept back is asked of the broker, who has it if the vendor was paid; junk is
//! shown to the broker, who judges. Both by themselves, and again until there is an answer.

use super::view::{DisputeState, DisputeView, Page, Part};
use super::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Batch, Table};
use netpay_core::amount::Index;
use netpay_core::codec::{self, Wire};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::{self, Junk, Verdict};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Accuse, AskKeys, BankReply, BankRequest, ShownKey};
use netpay_core::wire::reject::{Reject, RejectCode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

/// What was found to be junk, by deal.
const JUNK: Table = Table::new("junk");
/// Disputes shown at most; there is one per vendor that cheated, and it is blocked then.
const MAX_SHOWN: usize = 4096;
/// How often an open dispute is taken up again, in milliseconds, before it is once an hour: a claim can be disputed for a
/// day.
const PATIENCE: [u64; 6] = [250, 1_000, 5_000, 30_000, 120_000, 600_000];
/// How often after that.
const AGAIN: Duration = Duration::from_secs(3600);

/// Proof against a vendor, and what the broker said to it.
#[derive(Clone, Serialize, Deserialize)]
struct JunkRow {
    download: u64,
    /// The node behind the holder key.
    vendor: PublicKey,
    at: Time,
    junk: Junk,
    answer: Option<Answer>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Answer {
    Convicted(Unverified<Verdict>),
    Rejected(Reject),
}

impl Wire for JunkRow {
    const MAX: usize = Junk::MAX + 1024;
}

/// What goes on of disputes.
#[derive(Default)]
pub struct Disputes {
    /// Told when there is something to dispute.
    soon: tokio::sync::Notify,
    /// What was told of which; nothing yet of those of the last run.
    told: Mutex<Option<BTreeMap<String, DisputeState>>>,
}

/// Writes proof against a vendor, found in a deal of this hash.
pub(super) fn put_junk(batch: &mut Batch, deal: &ObjectHash, download: u64, vendor: PublicKey, junk: &Junk) {
    let row = JunkRow { download, vendor, at: clock::time(), junk: junk.clone(), answer: None };
    batch.put(JUNK, deal.0, codec::encode(&row));
}

/// Takes up disputes as they arise, as long as the node runs.
pub async fn run(node: Node) {
    let mut patience = PATIENCE.iter();
    while !node.is_stopping() {
        let is_open = node.pursue(|_| true).await.unwrap_or_else(|trouble| {
            tracing::debug!(%trouble, "disputes wait");
            true
        });
        let soon = patience.next().filter(|_| is_open);
        let wait = soon.map_or(AGAIN, |millis| Duration::from_millis(*millis));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = node.0.disputes.soon.notified() => patience = PATIENCE.iter(),
            () = node.stopped() => return,
        }
    }
}

impl Node {
    /// Has nothing to do with a vendor any more that sold junk, and takes it to the broker.
    pub(super) async fn found_junk(&self, vendor: PublicKey) {
        if let Err(trouble) = self.block(vendor.to_string()).await {
            tracing::warn!(%vendor, %trouble, "a vendor that sold junk could not be blocked");
        }
        self.dispute_soon();
    }

    /// There may be keys to ask for.
    pub(super) fn dispute_soon(&self) {
        self.0.disputes.soon.notify_one();
    }

    /// Asks the broker now for what a download is still owed, and shows it what was junk. Returns what stands open or was
    /// judged of this download.
    ///
    /// # Errors
    /// If there is no such download, the wallet is locked, or the broker cannot be reached.
    pub async fn dispute_open(&self, download: u64) -> Result<Vec<DisputeView>, Trouble> {
        self.download(download)?;
        self.purse(|_| ())?;
        self.pursue(|id| id == download).await?;
        Ok(self.disputes()?.into_iter().filter(|view| view.download == download).collect())
    }

    /// Takes up the disputes of these downloads, and tells what is new of any. Returns whether one stays open.
    async fn pursue(&self, of: impl Fn(u64) -> bool) -> Result<bool, Trouble> {
        self.tell_disputes()?;
        let is_open = self.take_up(of).await;
        self.tell_disputes()?;
        is_open
    }

    /// Tells of disputes that were opened or judged since it was called last.
    fn tell_disputes(&self) -> Result<(), Trouble> {
        let mut told = lock(&self.0.disputes.told);
        let views = self.disputes()?;
        if let Some(told) = told.as_ref() {
            let is_new = |view: &&DisputeView| told.get(&view.id) != Some(&view.state);
            views.iter().filter(is_new).for_each(|view| self.news().tell("dispute", view));
        }
        *told = Some(views.into_iter().map(|view| (view.id, view.state)).collect());
        Ok(())
    }

    async fn take_up(&self, of: impl Fn(u64) -> bool) -> Result<bool, Trouble> {
        let mut is_open = false;
        for (hash, row) in self.junk_rows()? {
            if of(row.download) && row.answer.is_none() {
                is_open |= !self.accuse(hash, row).await?;
            }
        }
        self.forget_deals_over(|row| of(row.download)).await?;
        for (hash, row) in self.deals(|row| of(row.download)) {
            if row.open.is_some() && self.kept_count(&hash) > 0 {
                // A sale that goes on gets its keys from the vendor.
                is_open |= self.is_worked_at(row.download) || !self.ask_for_key(hash, &row).await?;
            }
        }
        Ok(is_open)
    }

    /// Shows the broker junk. Returns whether it answered.
    async fn accuse(&self, hash: ObjectHash, mut row: JunkRow) -> Result<bool, Trouble> {
        let accuse = self.purse(|purse| {
            let accuse = Accuse { account: purse.account.public(), junk: judge::digest(&row.junk) };
            purse.account.sign(&self.network(), accuse).wire()
        })?;
        let answer = match self.bank(&BankRequest::Accuse { accuse, junk: row.junk.clone() }).await {
            Ok(BankReply::Judged(verdict)) => Answer::Convicted(verdict),
            Ok(_) => return Err(Trouble::BrokerNonsense("a verdict was asked for")),
            Err(Trouble::BrokerRefused(reject)) => match reject.code {
                RejectCode::Storage | RejectCode::Busy => return Ok(false),
                _ => Answer::Rejected(reject),
            },
            Err(trouble) => return Err(trouble),
        };
        let what = match &answer {
            Answer::Convicted(_) => "convicted",
            Answer::Rejected(_) => "not convicted",
        };
        row.answer = Some(answer);
        let (download, vendor) = (row.download, row.vendor);
        let mut batch = Batch::new();
        batch.put(JUNK, hash.0, codec::encode(&row));
        self.db().commit(batch).await?;
        self.happened(download, what, &vendor.to_string());
        Ok(true)
    }

    /// The keys that the broker was shown for segments of a chain, from this one on.
    pub(super) async fn shown_keys(&self, chain: ChainId, from: SegmentNo) -> Result<Vec<ShownKey>, Trouble> {
        let ask = self.purse(|purse| {
            let ask = AskKeys { account: purse.account.public(), chain, from, at: clock::time() };
            purse.account.sign(&self.network(), ask).wire()
        })?;
        match self.bank(&BankRequest::Keys(ask)).await? {
            BankReply::Keys(keys) => Ok(keys.into_vec()),
            _ => Err(Trouble::BrokerNonsense("keys were asked for")),
        }
    }

    fn junk_rows(&self) -> Result<Vec<(ObjectHash, JunkRow)>, Trouble> {
        let rows = self.db().scan(JUNK, &[], None, MAX_SHOWN)?;
        let rows = rows.iter().filter_map(|(key, row)| {
            Some((ObjectHash(key.as_slice().try_into().ok()?), codec::decode(row).ok()?))
        });
        Ok(rows.collect())
    }

    /// What is in dispute, and what was judged: junk first, then keys that did not come.
    ///
    /// # Errors
    /// If the store fails.
    pub fn disputes(&self) -> Result<Vec<DisputeView>, Trouble> {
        let mut views = Vec::new();
        let junk = self.junk_rows()?;
        let judged: BTreeSet<ObjectHash> = junk.iter().map(|(hash, _)| *hash).collect();
        views.extend(junk.iter().filter_map(|(hash, row)| self.junk_view(hash, row)));
        for (hash, row) in self.deals(|row| row.open.is_some()) {
            let units = self.kept_count(&hash);
            let Some((deal, Some(open))) = row.verified(self) else { continue };
            if units == 0 || judged.contains(&hash) || self.is_worked_at(row.download) {
                continue;
            }
            views.push(DisputeView {
                units: units as u64,
                at: row.at.0,
                state: DisputeState::KeyMissing,
                why: "the vendor was paid and gave no key; the broker gives it as soon as the vendor claims, and \
                      otherwise the coins come back when the chain is settled"
                    .to_owned(),
                ..self.deal_view(&hash, (row.download, &row.seller.node), &deal, open.start)
            });
        }
        Ok(views)
    }

    /// A part of them, in the order of their ids.
    ///
    /// # Errors
    /// If the part is none of this list, or the store fails.
    pub fn disputes_part(&self, part: &Part) -> Result<Page<DisputeView>, Trouble> {
        let is_id = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (after, limit) = (part.after(|id| is_id(id).then(|| id.to_lowercase()))?, part.limit()?);
        let mut views = self.disputes()?;
        views.sort_by(|a, b| a.id.cmp(&b.id));
        let behind = views.into_iter().filter(|view| after.as_ref().is_none_or(|after| view.id > *after));
        Ok(Page::of(behind, limit, |view| view.id.clone(), |view| view))
    }

    /// One dispute, with the proof there is.
    ///
    /// # Errors
    /// If there is none of this name, or the store fails.
    pub fn dispute(&self, id: &str) -> Result<DisputeView, Trouble> {
        let none = || Trouble::NotFound { what: "dispute", id: id.to_owned() };
        let view = self.disputes()?.into_iter().find(|view| view.id == id).ok_or_else(none)?;
        let proof = self.junk_rows()?.into_iter().find(|(hash, _)| hash.to_string() == id);
        let evidence = proof.map(|(_, row)| data_encoding::HEXLOWER.encode(&codec::encode(&row.junk)));
        Ok(DisputeView { evidence, ..view })
    }

    fn junk_view(&self, hash: &ObjectHash, row: &JunkRow) -> Option<DisputeView> {
        let (deal, state) = (row.junk.deal.claim().ok()?, &row.answer);
        let (state, why) = match state {
            None => (DisputeState::Accused, "the proof goes to the broker".to_owned()),
            Some(Answer::Convicted(verdict)) => {
                let holds = verdict.clone().verify(&self.network(), &self.broker_key()).is_ok();
                let signed =
                    if holds { "the broker signed its verdict" } else { "the verdict is not signed" };
                (
                    DisputeState::Convicted,
                    format!("{signed}: the vendor's claim is void, and the vendor banned"),
                )
            }
            Some(Answer::Rejected(reject)) => (DisputeState::Rejected, reject.to_string()),
        };
        let start = row.junk.open.claim().ok()?.start;
        let view = self.deal_view(hash, (row.download, &row.vendor), &deal, start);
        Some(DisputeView { units: 1, at: row.at.0, state, why, ..view })
    }

    /// What there is to say of any deal: what was bought of whom, and how much of its segment, which began at `start`, was
    /// released.
    fn deal_view(
        &self,
        hash: &ObjectHash,
        (download, vendor): (u64, &PublicKey),
        deal: &Deal,
        start: Index,
    ) -> DisputeView {
        let released = self.wallet(|wallet| wallet.released(&deal.chain, deal.j)).ok().flatten();
        DisputeView {
            id: hash.to_string(),
            download,
            name: self.download(download).map(|view| view.name).unwrap_or_default(),
            vendor: vendor.to_string(),
            chain: deal.chain.to_string(),
            segment: deal.j.0,
            coins: released.and_then(|at| at.since(start)).map_or(0, |count| u64::from(count.0)),
            ..DisputeView::default()
        }
    }
}

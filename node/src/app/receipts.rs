//! What vendors signed for what they were paid: kept for good, and written out to be checked by anybody.

use super::view::{Page, Part, ReceiptView};
use super::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Batch, Db, StoreError, Table};
use netpay_core::codec::{self, Wire};
use netpay_core::coin::receipt::Receipt;
use netpay_core::coin::segment::Close;
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::time::Time;
use netpay_core::wallet::Wallet;
use netpay_core::wire::trade::ToBuyer;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// The receipts, by their numbers.
const RECEIPTS: Table = Table::new("receipts");

/// A receipt, and what is known of it besides.
#[derive(Serialize, Deserialize)]
struct Row {
    /// When it came.
    at: Time,
    /// During which download.
    download: u64,
    /// The node behind the vendor's key, by this peer's own knowledge: the receipt does not say it.
    vendor: PublicKey,
    receipt: Receipt,
}

impl Wire for Row {
    const MAX: usize = Receipt::MAX + 64;
}

/// The number of the next one.
pub(super) struct Receipts(AtomicU64);

impl Receipts {
    /// Goes on behind those of the last run.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(db: &Db) -> Result<Self, StoreError> {
        let last = db.scan_back(RECEIPTS, None, 1)?;
        let last = last.first().and_then(|(key, _)| number(key)).unwrap_or(0);
        Ok(Self(AtomicU64::new(last.saturating_add(1))))
    }
}

impl Node {
    /// Takes note of the receipts among what was heard during a download, before the wallet takes them. They become
    /// durable in the same batch as what the wallet makes of them.
    pub(super) fn note_receipts<'a>(
        &self,
        wallet: &Wallet,
        download: u64,
        heard: impl Iterator<Item = &'a ToBuyer>,
    ) {
        for message in heard {
            match message {
                ToBuyer::Receipt(closes) => {
                    closes.iter().for_each(|close| self.note_receipt(wallet, download, close));
                }
                ToBuyer::Settled(close) | ToBuyer::Reject { close: Some(close), .. } => {
                    self.note_receipt(wallet, download, close);
                }
                _ => {}
            }
        }
    }

    /// One that the wallet has already, would refuse, or that is for nothing is passed over.
    fn note_receipt(&self, wallet: &Wallet, download: u64, close: &Unverified<Close>) {
        let Ok(claim) = close.claim() else { return };
        let Some(chain) = wallet.chain(&claim.chain) else { return };
        let Some(lease) = chain.lease(claim.j).filter(|lease| !lease.closed) else { return };
        let made = Receipt::of(&self.network(), chain.touchstone(), &lease.open, close.clone());
        let Ok((receipt, paid)) = made else { return };
        if paid.end > lease.released {
            return;
        }
        let row = Row { at: clock::time(), download, vendor: lease.seller.node, receipt };
        let number = self.0.receipts.0.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.owed).receipts.insert(number, codec::encode(&row));
    }

    /// A part of the receipts, newest first.
    ///
    /// # Errors
    /// If the part is none of this list, or the store fails.
    pub fn receipts(&self, part: &Part) -> Result<Page<ReceiptView>, Trouble> {
        let (after, limit) = (part.after(|id| id.parse().ok())?, part.limit()?);
        let after = after.map(u64::to_be_bytes);
        let found = self.db().scan_back(RECEIPTS, after.as_ref().map(<[u8; 8]>::as_slice), limit + 1)?;
        let found = found.iter().filter_map(|(key, row)| self.receipt_view(number(key)?, row));
        Ok(Page::of(found, limit, |view| view.id.to_string(), |view| view))
    }

    /// One receipt, with its bytes.
    ///
    /// # Errors
    /// If there is none of this number, or the store fails.
    pub fn receipt(&self, id: u64) -> Result<ReceiptView, Trouble> {
        let none = || Trouble::NotFound { what: "receipt", id: id.to_string() };
        let row = self.db().get(RECEIPTS, &id.to_be_bytes())?.ok_or_else(none)?;
        let view = self.receipt_view(id, &row).ok_or_else(none)?;
        let bytes = codec::decode::<Row>(&row).map(|row| codec::encode(&row.receipt)).map_err(|_| none())?;
        Ok(ReceiptView { receipt: Some(data_encoding::HEXLOWER.encode(&bytes)), ..view })
    }

    fn receipt_view(&self, id: u64, row: &[u8]) -> Option<ReceiptView> {
        let row: Row = codec::decode(row).ok()?;
        let (open, close) = (row.receipt.open.claim().ok()?, row.receipt.close.claim().ok()?);
        Some(ReceiptView {
            id,
            at: row.at.0,
            download: row.download,
            name: self.row_of(row.download).map(|row| row.name.to_string()).unwrap_or_default(),
            vendor: row.vendor.to_string(),
            chain: close.chain.to_string(),
            segment: close.j.0,
            coins: u64::from(close.end.0.saturating_sub(open.start.0)),
            receipt: None,
        })
    }
}

/// Puts rows that a batch owes into it.
pub(super) fn put(owed: &std::collections::BTreeMap<u64, Vec<u8>>, batch: &mut Batch) {
    for (number, row) in owed {
        batch.put(RECEIPTS, number.to_be_bytes(), row);
    }
}

fn number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::Town;
    use crate::app::view::{DownloadState, GetRequest, SharedFile};
    use std::time::{Duration, Instant};

    /// How long news may take to get around in a small town.
    const FOUND_WITHIN: Duration = Duration::from_secs(30);

    async fn buys(town: &Town, file: &SharedFile, keep_open: bool) -> u64 {
        // Whoever was just started, or has just shared something, is found a moment later.
        let began = Instant::now();
        while town.peers[2].names_found(&file.name).await.is_empty() {
            assert!(began.elapsed() < FOUND_WITHIN, "{} is not found", file.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let request = GetRequest { what: file.id.clone(), keep_open, ..GetRequest::default() };
        let view = town.peers[2].get(request).await.expect("somebody offers it");
        assert_eq!(town.peers[2].settled(view.id).await.state, DownloadState::Done);
        // What was committed before is durable when this is.
        let mut batch = Batch::new();
        batch.put(Table::new("test"), *b"flush", *b"");
        town.peers[2].db().commit(batch).await.expect("durable");
        view.id
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_coin_paid_has_a_receipt_that_holds_and_outlives_a_restart() {
        let mut town = Town::of(4).await;
        let (one, two) = (town.file("one.bin", 27_800), town.file("two.bin", 27_801));
        let one = town.peers[1].share_add(vec![one], 5, vec![], false).await.expect("shared");
        let two = town.peers[3].share_add(vec![two], 7, vec![], false).await.expect("shared");
        town.mint(2, 100).await;
        assert!(town.peers[2].receipts(&Part::default()).expect("readable").items.is_empty());
        // The first vendor signs when its chain moves on to the second.
        buys(&town, &one[0], true).await;
        let second = buys(&town, &two[0], false).await;

        let buyer = &town.peers[2];
        let all = buyer.receipts(&Part::default()).expect("readable").items;
        let said: Vec<_> = all.iter().map(|one| (one.id, one.coins, one.segment, one.download)).collect();
        assert_eq!(said, [(2, 7, 2, second), (1, 5, 1, second)]);
        assert_eq!(all[0].vendor, town.peers[3].me().to_string());
        assert_eq!(all[1].vendor, town.peers[1].me().to_string());
        assert_eq!(
            buyer.receipts(&Part { after: Some("2".to_owned()), limit: None }).expect("readable").items,
            all[1..]
        );
        for one in &all {
            let paper = buyer.receipt(one.id).expect("it is there").receipt.expect("its bytes");
            let bytes = data_encoding::HEXLOWER.decode(paper.as_bytes()).expect("hexadecimal");
            let paper: Receipt = codec::decode(&bytes).expect("a receipt");
            let paid = paper.verify(&buyer.network(), &buyer.broker_key()).expect("it holds");
            assert_eq!((u64::from(paid.coins.0), paid.chain.to_string()), (one.coins, one.chain.clone()));
        }
        assert!(matches!(buyer.receipt(3), Err(Trouble::NotFound { .. })));

        town.restart(2).await;
        assert_eq!(town.peers[2].receipts(&Part::default()).expect("readable").items, all);
        town.mint(2, 100).await;
        let third = town.file("three.bin", 27_802);
        let third = town.peers[1].share_add(vec![third], 3, vec![], false).await.expect("shared");
        buys(&town, &third[0], false).await;
        let newest = town.peers[2].receipts(&Part::default()).expect("readable").items;
        assert_eq!((newest.len(), newest[0].id, newest[0].coins), (3, 3, 3));
        town.stop().await;
    }
}

//! The peers whose addresses are kept for the next start.

use crate::app::{KNOWN, Trouble};
use crate::clock;
use crate::overlay::Multiaddr;
use crate::store::{Batch, Db, StoreError};
use netpay_core::codec::{self, List, Text, Wire};
use netpay_core::keys::PublicKey;
use netpay_core::record::presence::{MAX_ADDRESS, MAX_ADDRESSES};
use netpay_core::time::Time;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Peers kept at most; whoever told its addresses longest ago gives way.
const MAX_KNOWN: usize = 512;

#[derive(Clone, Serialize, Deserialize)]
struct KnownRow {
    at: Time,
    addresses: List<Text<MAX_ADDRESS>, MAX_ADDRESSES>,
}

impl Wire for KnownRow {
    const MAX: usize = 1200;
}

/// The peers that the last run knew, the newest first.
///
/// # Errors
/// If the store cannot be read.
pub fn known_peers(db: &Db) -> Result<Vec<(PublicKey, Vec<Multiaddr>)>, Trouble> {
    let mut rows: Vec<_> = load(db)?.into_iter().collect();
    rows.sort_by_key(|(peer, row)| (Reverse(row.at), *peer));
    let parse =
        |row: &KnownRow| row.addresses.iter().filter_map(|address| address.parse().ok()).collect::<Vec<_>>();
    Ok(rows
        .iter()
        .map(|(peer, row)| (*peer, parse(row)))
        .filter(|(_, addresses)| !addresses.is_empty())
        .collect())
}

/// Keeps addresses as they are learned.
pub(super) struct Keeper {
    db: Db,
    since: BTreeMap<PublicKey, Time>,
}

impl Keeper {
    /// Goes on where the last run ended.
    pub fn open(db: Db) -> Result<Self, StoreError> {
        let since = load(&db)?.into_iter().map(|(peer, row)| (peer, row.at)).collect();
        Ok(Self { db, since })
    }

    /// Keeps where a peer can be reached.
    pub async fn learned(&mut self, peer: PublicKey, addresses: &[Multiaddr]) -> Result<(), StoreError> {
        let texts = addresses.iter().map(ToString::to_string).filter(|text| text.len() <= MAX_ADDRESS);
        let row =
            KnownRow { at: clock::time(), addresses: List::first_of(texts.map(|text| Text::cut(&text))) };
        if row.addresses.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.since.insert(peer, row.at);
        batch.put(KNOWN, peer.0, codec::encode(&row));
        while self.since.len() > MAX_KNOWN {
            let oldest = self.since.iter().filter(|(known, _)| **known != peer).min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(known, _)| *known) else { break };
            self.since.remove(&oldest);
            batch.delete(KNOWN, oldest.0);
        }
        self.db.commit(batch).await
    }
}

fn load(db: &Db) -> Result<BTreeMap<PublicKey, KnownRow>, StoreError> {
    let (mut known, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
    loop {
        let page = db.scan(KNOWN, &[], after.as_deref(), MAX_KNOWN)?;
        let Some((last, _)) = page.last() else { return Ok(known) };
        after = Some(last.clone());
        let rows = page.iter().filter_map(|(key, value)| {
            let key = <[u8; 32]>::try_from(key.as_slice()).ok()?;
            // A row that a later version wrote is no reason not to start.
            Some((PublicKey(key), codec::decode(value).ok()?))
        });
        known.extend(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_peers_are_known_at_the_next_start() {
        let db = Db::memory();
        let mut keeper = Keeper::open(db.clone()).expect("a keeper");
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().expect("an address");
        for n in 0..600u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            keeper.learned(PublicKey(key), std::slice::from_ref(&address)).await.expect("kept");
        }
        keeper.learned(PublicKey([9; 32]), &[]).await.expect("nothing to keep");
        let known = known_peers(&db).expect("rows");
        assert_eq!(known.len(), MAX_KNOWN);
        assert!(known.iter().all(|(_, addresses)| addresses == std::slice::from_ref(&address)));
        assert_eq!(Keeper::open(db).expect("a keeper").since.len(), MAX_KNOWN);
    }
}

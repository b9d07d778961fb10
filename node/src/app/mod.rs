//! What a peer does, six things in six files: [`fund`] (register, buy coins), [`publish`] (share, list),
//! [`discover`] (search, browse, say hello), [`buy`], [`sell`], [`settle`] (redeem). [`Node`] is the only
//! door to them.

pub mod buy;
pub mod certify;
mod cheats;
pub mod discover;
mod disputes;
pub mod door;
pub mod fund;
pub mod handoff;
mod members;
pub mod news;
pub mod once;
mod pace;
mod payout;
mod pipe;
pub mod publish;
mod receipts;
mod recent;
pub mod sell;
pub mod settle;
pub mod shelf;
pub mod start;
mod statement;
pub mod tally;
pub mod trouble;
pub mod upload;
pub mod vault;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

use crate::home::{Home, HomeLock};
use crate::invite::Invite;
use crate::overlay::{Multiaddr, Overlay};
use crate::store::{Batch, Commit, Db, Table};
use crate::witness::Witness;
use certify::Certifier;
use netpay_core::amount::Coins;
use netpay_core::codec;
use netpay_core::fair::policy::Fair;
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, SecretKey, Unverified};
use netpay_core::session::vendor::{Policy, Shop};
use netpay_core::till::{Till, TillChange};
use netpay_core::wallet::{Wallet, WalletChange};
use netpay_core::wire::hello::Membership;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
pub use trouble::Trouble;
use vault::Purse;

const SEGMENTS: Table = Table::new("till-segments");
const LINES: Table = Table::new("till-lines");
const TABS: Table = Table::new("till-tabs");
const DEALS: Table = Table::new("till-deals");
const FACTS: Table = Table::new("facts");
const KNOWN: Table = Table::new("known-peers");

/// How a peer is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it calls itself.
    pub name: String,
    /// Where it listens.
    pub listen: Vec<Multiaddr>,
    /// Whether this is a network on one machine or LAN.
    pub local: bool,
    /// Whether peers on the LAN are found by mDNS.
    pub mdns: bool,
    /// Whether QUIC is offered beside TCP.
    pub quic: bool,
    /// Where downloads go.
    pub downloads: PathBuf,
    /// The broker and the network.
    pub invite: Invite,
    /// What is risked uncertified.
    pub policy: Policy,
    /// p0: the most one unit may cost, in coins.
    pub unit_price: Coins,
    /// When it buys and sells in fair mode.
    pub fair: Fair,
    /// Whether earnings are redeemed once a day.
    pub redeem_daily: bool,
}

/// Rows of which a commit failed: memory is ahead of the disk in them. They go into the next batch, so that nothing
/// is said on the strength of what only memory knows.
#[derive(Default)]
struct Owed {
    till: BTreeSet<TillChange>,
    wallet: BTreeSet<WalletChange>,
    downloads: BTreeSet<u64>,
    /// Receipts that came and are not durable yet.
    receipts: BTreeMap<u64, Vec<u8>>,
}

/// A running peer: a cheap handle, and the only door to what it does.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    home: Home,
    _lock: HomeLock,
    settings: Settings,
    network: NetworkId,
    identity: SecretKey,
    db: Db,
    overlay: Overlay,
    witness: Witness,
    certifier: Certifier,
    till: Mutex<Till>,
    purse: Mutex<Option<Purse>>,
    /// The passphrase given at the start, under which a restored wallet is kept too.
    passphrase: Option<zeroize::Zeroizing<String>>,
    membership: Mutex<Option<Unverified<Membership>>>,
    shelf: Arc<shelf::Shelf<publish::Rows>>,
    index: publish::Replicas,
    contacts: discover::Contacts,
    downloads: buy::Downloads,
    deals: buy::kept::Deals,
    disputes: disputes::Disputes,
    sales: sell::Sales,
    tally: tally::Tally,
    handoffs: handoff::Handoffs,
    bank: fund::Books,
    owed: Arc<Mutex<Owed>>,
    cheats: cheats::Cheats,
    expelled: members::Expelled,
    blocked: discover::Blocked,
    believed: discover::Believed,
    acts: once::Acts,
    news: news::News,
    receipts: receipts::Receipts,
    began: Instant,
    stopping: watch::Sender<bool>,
}

impl Node {
    /// The network.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.0.network
    }

    /// The broker's signing key.
    #[must_use]
    pub fn broker_key(&self) -> PublicKey {
        self.0.settings.invite.broker
    }

    /// This peer's node key.
    #[must_use]
    pub fn me(&self) -> PublicKey {
        self.0.overlay.me()
    }

    /// The overlay.
    #[must_use]
    pub fn overlay(&self) -> &Overlay {
        &self.0.overlay
    }

    /// How it is run.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.0.home
    }

    /// Resolves when the peer is told to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.0.stopping.subscribe();
        // The sender lives as long as the node, so waiting cannot fail before it says so.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn certifier(&self) -> &Certifier {
        &self.0.certifier
    }

    fn shop(&self) -> Shop {
        let policy = self.0.cheats.policy(self.0.settings.policy);
        Shop { network: self.network(), broker: self.broker_key(), policy, fair: self.0.settings.fair }
    }

    fn membership(&self) -> Option<Unverified<Membership>> {
        lock(&self.0.membership).clone()
    }

    /// Does something with the till, alone.
    fn till<T>(&self, work: impl FnOnce(&mut Till) -> T) -> T {
        work(&mut lock(&self.0.till))
    }

    /// Does something with the opened wallet, alone.
    ///
    /// # Errors
    /// If the wallet is locked.
    fn purse<T>(&self, work: impl FnOnce(&mut Purse) -> T) -> Result<T, Trouble> {
        lock(&self.0.purse).as_mut().map(work).ok_or(Trouble::Locked)
    }

    /// As [`Node::purse`], for what changes only the chains.
    fn wallet<T>(&self, work: impl FnOnce(&mut Wallet) -> T) -> Result<T, Trouble> {
        self.purse(|purse| work(&mut purse.wallet))
    }

    /// Hands the rows that these changes of the wallet mean to the store, while the wallet is still held; `download`
    /// is the one that they pay for.
    fn commit_wallet(
        &self,
        purse: &Purse,
        mut changes: Vec<WalletChange>,
        mut batch: Batch,
        download: Option<u64>,
    ) -> Commit {
        let mut owed = lock(&self.0.owed);
        changes.extend(std::mem::take(&mut owed.wallet));
        let receipts = std::mem::take(&mut owed.receipts);
        drop(owed);
        purse.rows(&changes, &mut batch);
        receipts::put(&receipts, &mut batch);
        if batch.is_empty() {
            return Commit::nothing();
        }
        let owed = Arc::clone(&self.0.owed);
        self.db().commit(batch).on_failure(move || {
            let mut owed = lock(&owed);
            owed.wallet.extend(changes);
            owed.receipts.extend(receipts);
            owed.downloads.extend(download);
        })
    }

    /// Changes the wallet and makes the change durable before returning.
    async fn change_wallet<T>(
        &self,
        work: impl FnOnce(&mut Wallet) -> (T, Vec<WalletChange>),
    ) -> Result<T, Trouble> {
        let batch = Batch::new();
        let (value, commit) = self.purse(|purse| {
            let (value, changes) = work(&mut purse.wallet);
            (value, self.commit_wallet(purse, changes, batch, None))
        })?;
        commit.await?;
        self.tell_wallet();
        Ok(value)
    }

    /// What is in the wallet is news.
    fn tell_wallet(&self) {
        if let Ok(view) = self.wallet_view() {
            self.news().tell("wallet", &view);
        }
    }

    /// Changes the till, and hands the rows that this means to the store while the till is still held: rows
    /// reach the disk in the order of the changes.
    fn change_till<T>(
        &self,
        batch: Batch,
        work: impl FnOnce(&mut Till) -> (T, Vec<TillChange>),
    ) -> (T, Commit) {
        self.till(|till| {
            let (value, changes) = work(till);
            let commit = self.keep_till(till, changes, batch);
            (value, commit)
        })
    }

    /// Hands the rows that these changes of the till mean to the store, while the till is still held. Where nothing
    /// changed the answer still waits for what was handed over before: somebody else's commit may be of the same rows.
    fn keep_till(&self, till: &Till, mut changes: Vec<TillChange>, mut batch: Batch) -> Commit {
        changes.extend(std::mem::take(&mut lock(&self.0.owed).till));
        till_rows(till, &changes, &mut batch);
        let owed = Arc::clone(&self.0.owed);
        self.db().commit(batch).on_failure(move || lock(&owed).till.extend(changes))
    }
}

/// The rows that these changes of the till mean.
fn till_rows(till: &Till, changes: &[TillChange], batch: &mut Batch) {
    let mut changes = changes.to_vec();
    changes.sort_unstable();
    changes.dedup();
    for change in changes {
        match change {
            TillChange::Segment(chain, j) => {
                let key = settle::segment_key(&chain, j);
                match till.row(&chain, j) {
                    Some(row) => drop(batch.put(SEGMENTS, key, codec::encode(&row))),
                    None => drop(batch.delete(SEGMENTS, key)),
                }
            }
            TillChange::Line(chain) => match till.line_row(&chain) {
                Some(row) => drop(batch.put(LINES, chain.0, codec::encode(&row))),
                None => drop(batch.delete(LINES, chain.0)),
            },
            TillChange::Deal(hash) => match till.deal_row(&hash) {
                Some(row) => drop(batch.put(DEALS, hash.0, codec::encode(&row))),
                None => drop(batch.delete(DEALS, hash.0)),
            },
            TillChange::Tab(id) => {
                if let Some(tab) = till.tab(&id) {
                    batch.put(TABS, id.0, codec::encode(tab));
                }
            }
        }
    }
}

/// A lock whose holder cannot have left anything half done: a panic elsewhere does not spread through it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

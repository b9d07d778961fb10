//! Fund: an account at the broker, coins bought for it.
//!
//! A purchase is remembered before it is asked for, under the chain's own key, and forgotten only when the
//! chain is in the wallet: after a crash the same request is sent again and gets the same chain.

use super::{FACTS, Node, Trouble, lock};
use crate::app::view::ErrorView;
use crate::clock::{self, random};
use crate::errors;
use crate::overlay::Protocol;
use crate::sealed::SealingKey;
use crate::store::{Batch, Table};
use netpay_core::amount::{Cap, Coins, MAX_CHAIN};
use netpay_core::codec::{self, Text, Wire};
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, SecretKey, Unverified};
use netpay_core::time::HOUR;
use netpay_core::wire::bank::{
    Account, BankReply, BankRequest, Buy, Info, PayIn, Query, Register, Retire, SignIn, VoucherCode,
};
use netpay_core::wire::hello::Membership;
use netpay_core::wire::reject::RejectCode;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Purchases of chains not yet in the wallet.
const PURCHASES: Table = Table::new("purchases");
const ACCOUNT: &[u8] = b"account";
const MEMBERSHIP: &[u8] = b"membership";
/// How long the broker is waited for.
const BANK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an account is asked for anew, which also renews the membership.
const REFRESH: Duration = Duration::from_secs(6 * 3600);

/// An answer about the account is as good as a new one for so long, where nobody waits for a certain change.
const FRESH: Duration = Duration::from_secs(2);
/// So long a page waits for the broker before it shows what it said last.
const PATIENCE: Duration = Duration::from_millis(250);
/// A membership that ends so much later, in seconds, is worth writing down.
const RENEWED: u64 = HOUR;

/// What the broker last said.
#[derive(Default)]
pub struct Books {
    /// Who it is.
    pub info: Mutex<Option<Info>>,
    /// What the account holds.
    pub account: Mutex<Option<Account>>,
    /// When it said so.
    heard: Mutex<Option<Instant>>,
}

/// A purchase under way: everything needed to ask again.
#[derive(Clone, Serialize, Deserialize)]
struct Purchase {
    chain_seed: [u8; 32],
    sealing_seed: [u8; 32],
    n: Cap,
}

impl Wire for Purchase {
    const MAX: usize = 128;
}

impl Node {
    /// Asks the broker something.
    ///
    /// # Errors
    /// If it cannot be reached, or refuses.
    pub async fn bank(&self, request: &BankRequest) -> Result<BankReply, Trouble> {
        let to = self.broker_node();
        let sent = self.overlay().request(to, Protocol::Bank, codec::encode(request), BANK_TIMEOUT).await;
        let frame = sent.map_err(Trouble::BrokerUnreachable)?;
        match codec::decode(&frame) {
            Ok(BankReply::Reject(reject)) => Err(Trouble::BrokerRefused(reject)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Trouble::BrokerNonsense("it does not decode")),
        }
    }

    /// The broker's node.
    #[must_use]
    pub fn broker_node(&self) -> PublicKey {
        self.0.bank.node(&self.0.settings.invite).unwrap_or_else(|| self.broker_key())
    }

    /// Opens an account, or does nothing new if there is one.
    ///
    /// # Errors
    /// If the wallet is locked, the broker cannot be reached, or refuses.
    pub async fn register(&self, voucher: Option<VoucherCode>) -> Result<Account, Trouble> {
        let register = self.purse(|purse| {
            let name = Text::cut(&self.settings().name);
            let register = Register { account: purse.account.public(), node: self.me(), name, voucher };
            purse.account.sign(&self.network(), register).wire()
        })?;
        self.take_account(self.bank(&BankRequest::Register(register)).await?).await
    }

    /// Pays a voucher in.
    ///
    /// # Errors
    /// As for [`Node::register`].
    pub async fn pay_in(&self, voucher: VoucherCode) -> Result<Account, Trouble> {
        let pay_in = self.purse(|purse| {
            let pay_in = PayIn { account: purse.account.public(), voucher };
            purse.account.sign(&self.network(), pay_in).wire()
        })?;
        self.take_account(self.bank(&BankRequest::PayIn(pay_in)).await?).await
    }

    /// Asks what the account holds, with the statement's lines after `after`.
    ///
    /// # Errors
    /// As for [`Node::register`].
    pub async fn account(&self, after: u64) -> Result<Account, Trouble> {
        let query = self.purse(|purse| {
            let query = Query { account: purse.account.public(), at: clock::time(), after };
            purse.account.sign(&self.network(), query).wire()
        })?;
        self.take_account(self.bank(&BankRequest::Account(query)).await?).await
    }

    /// A link to the account's page at the broker, which signs one browser in, once and within a minute.
    ///
    /// # Errors
    /// As for [`Node::register`], or if the broker has no pages.
    pub async fn account_link(&self) -> Result<String, ErrorView> {
        let BankReply::Pages(address) = self.bank(&BankRequest::Pages).await? else {
            return Err(Trouble::BrokerNonsense("the address of its pages was asked for").into());
        };
        if !is_address(&address) {
            return Err(errors::no_bank_pages());
        }
        let (broker, at) = (self.broker_key(), clock::time());
        let pass = self.purse(|purse| {
            let pass = SignIn { account: purse.account.public(), broker, at, nonce: random() };
            purse.account.sign(&self.network(), pass).wire()
        })?;
        let pass = data_encoding::BASE64URL_NOPAD.encode(&codec::encode(&pass));
        Ok(format!("{}/account/enter?pass={pass}", &*address))
    }

    /// Has the broker say what the account holds, unless it did a moment ago; what it does not say at once is there later.
    pub async fn look_at_account(&self) {
        if lock(&self.0.bank.heard).is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let node = self.clone();
        let asked = tokio::spawn(async move { node.account(u64::MAX).await });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(_))) => {}
            _ => tracing::debug!("the balance shown is the last one heard"),
        }
    }

    pub(super) async fn take_account(&self, reply: BankReply) -> Result<Account, Trouble> {
        let BankReply::Account(account) = reply else {
            return Err(Trouble::BrokerNonsense("an account was asked for"));
        };
        self.take_membership(account.membership.as_ref()).await?;
        let before = lock(&self.0.bank.account).replace(account.clone());
        *lock(&self.0.bank.heard) = Some(Instant::now());
        if before.is_none_or(|before| before.balance != account.balance || before.pending != account.pending)
        {
            self.tell_wallet();
        }
        Ok(account)
    }

    /// Keeps what the broker says of this node's membership: one for another node of the account changes nothing.
    async fn take_membership(&self, shown: Option<&Unverified<Membership>>) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        match shown {
            Some(shown) => {
                let membership = shown.clone().verify(&self.network(), &self.broker_key());
                let Some(membership) = membership.ok().filter(|member| member.node == self.me()) else {
                    return Ok(());
                };
                let kept = self.membership().and_then(|kept| kept.claim().ok());
                let as_good = |kept: Membership| {
                    (kept.broker, kept.node, kept.witness)
                        == (membership.broker, membership.node, membership.witness)
                        && membership.expires.since(kept.expires) < RENEWED
                };
                // Each answer brings one that ends a moment later: the disk need not wait on all of them.
                if kept.is_some_and(as_good) {
                    return Ok(());
                }
                batch.put(FACTS, MEMBERSHIP, codec::encode(shown));
                batch.put(FACTS, ACCOUNT, self.purse(|purse| purse.account.public())?.0);
            }
            None => {
                batch.delete(FACTS, MEMBERSHIP);
            }
        }
        self.db().commit(batch).await?;
        let before = std::mem::replace(&mut *lock(&self.0.membership), shown.cloned());
        if before.is_none() && shown.is_some() {
            self.greet_everyone();
        }
        Ok(())
    }

    /// Buys `coins` coins, as one chain or, beyond the longest, as several. The same name again is the same purchase.
    ///
    /// # Errors
    /// If the wallet is locked, the broker cannot be reached, or refuses. What was asked for is asked for
    /// again later.
    pub async fn buy_coins(&self, coins: Coins, name: Option<&str>) -> Result<Vec<ChainId>, Trouble> {
        if coins == Coins::ZERO || coins.0 > 64 * u64::from(MAX_CHAIN) {
            return Err(Trouble::bad(
                "number of coins",
                coins.0.to_string(),
                "1 to 1048576 can be bought at once",
            ));
        }
        let mut chains = Vec::new();
        let mut rest = coins.0;
        while rest > 0 {
            let n = u32::try_from(rest.min(u64::from(MAX_CHAIN))).unwrap_or(MAX_CHAIN);
            let seeds = match name {
                Some(name) => self.purse(|purse| named_seeds(&purse.account.seed(), name, rest))?,
                None => [random(), random()],
            };
            let [chain_seed, sealing_seed] = seeds;
            let purchase = Purchase { chain_seed, sealing_seed, n: Cap(n) };
            let mut batch = Batch::new();
            batch.put(PURCHASES, purchase.key().public().0, codec::encode(&purchase));
            self.db().commit(batch).await?;
            chains.push(self.complete(&purchase).await?);
            rest -= u64::from(n);
        }
        // Whoever bought sees what is left. The coins are there even if the broker does not say it now.
        if let Err(trouble) = self.account(u64::MAX).await {
            tracing::debug!(%trouble, "the balance is that from before the purchase");
        }
        Ok(chains)
    }

    /// Asks for the chain of a purchase, for the first time or again, and takes it into the wallet.
    async fn complete(&self, purchase: &Purchase) -> Result<ChainId, Trouble> {
        let key = purchase.key();
        let sealing = SealingKey::from_seed(&purchase.sealing_seed);
        let (chain_key, n) = (key.public(), purchase.n);
        let (buy, by_chain) = self.purse(|purse| {
            let account = purse.account.public();
            let buy = Buy { account, chain_key, n, sealing_key: sealing.public() };
            let by_chain = key.sign(&self.network(), buy.clone()).signature();
            (purse.account.sign(&self.network(), buy).wire(), by_chain)
        })?;
        let reply = match self.bank(&BankRequest::Buy { buy, by_chain }).await {
            Err(Trouble::BrokerRefused(reject)) => {
                // A clear no will be no again: there is nothing to remember. A broker whose disk failed may find
                // after its next start that it sold the chain all the same.
                if !matches!(reject.code, RejectCode::Storage | RejectCode::Busy) {
                    self.forget(&chain_key).await?;
                }
                return Err(Trouble::BrokerRefused(reject));
            }
            other => other?,
        };
        let BankReply::Sold { touchstone, sealed_seed } = reply else {
            return Err(Trouble::BrokerNonsense("a chain was asked for"));
        };
        let hash = touchstone.hash(&self.network());
        let seed = sealing
            .open(&sealed_seed, hash)
            .map_err(|_| Trouble::BrokerNonsense("the seed does not open"))?;
        let mut batch = Batch::new();
        batch.delete(PURCHASES, chain_key.0);
        let (id, commit) = self.purse(|purse| {
            let (id, change) =
                purse.wallet.add(touchstone, seed, key).map_err(super::vault::VaultError::from)?;
            Ok::<_, Trouble>((id, self.commit_wallet(purse, vec![change], batch, None)))
        })??;
        commit.await?;
        self.tell_wallet();
        Ok(id)
    }

    async fn forget(&self, chain_key: &PublicKey) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        batch.delete(PURCHASES, chain_key.0);
        Ok(self.db().commit(batch).await?)
    }

    /// Gives chains up: they are refunded at settlement.
    ///
    /// # Errors
    /// If the wallet is locked or the store fails. Where the broker cannot be reached it is told later.
    pub async fn retire_chains(&self, chains: Vec<ChainId>) -> Result<(), Trouble> {
        self.change_wallet(|wallet| {
            let changes = chains.iter().filter_map(|chain| wallet.retire(chain)).collect();
            ((), changes)
        })
        .await?;
        for some in chains.chunks(netpay_core::wire::bank::MAX_CHAINS) {
            let retire = self.purse(|purse| {
                let chains = codec::List::first_of(some.iter().copied());
                let retire = Retire { account: purse.account.public(), chains };
                purse.account.sign(&self.network(), retire).wire()
            })?;
            if let Err(trouble) = self.bank(&BankRequest::Retire(retire)).await {
                tracing::info!(%trouble, "the broker learns of retired chains at settlement");
            }
        }
        Ok(())
    }

    /// Finishes purchases that a crash or a dead broker left open.
    async fn finish_purchases(&self) {
        let Ok(page) = self.db().scan(PURCHASES, &[], None, 64) else { return };
        for (_, row) in page {
            if let Ok(purchase) = codec::decode::<Purchase>(&row)
                && let Err(trouble) = self.complete(&purchase).await
            {
                tracing::info!(%trouble, "a purchase of coins is still open");
            }
        }
    }
}

impl Purchase {
    fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.chain_seed)
    }
}

/// The seeds of a purchase of this name, while `rest` coins of it are to be bought: nobody without the account's key
/// can tell them.
fn named_seeds(account: &[u8; 32], name: &str, rest: u64) -> [[u8; 32]; 2] {
    let secret = blake3::derive_key("netpay 2026 named purchase", account);
    [b'c', b's'].map(|of| {
        let label = [&[of], &rest.to_le_bytes()[..], name.as_bytes()].concat();
        *blake3::keyed_hash(&secret, &label).as_bytes()
    })
}

/// The membership of the last run.
pub(super) fn stored_membership(db: &crate::store::Db) -> Result<Option<Unverified<Membership>>, Trouble> {
    Ok(db.get(FACTS, MEMBERSHIP)?.and_then(|row| codec::decode(&row).ok()))
}

/// The account of the last run: payments go to it while the wallet is locked, too.
pub(super) fn stored_account(db: &crate::store::Db) -> Result<Option<PublicKey>, Trouble> {
    Ok(db.get(FACTS, ACCOUNT)?.and_then(|row| row.try_into().ok()).map(PublicKey))
}

/// Remembers the account.
pub(super) async fn store_account(db: &crate::store::Db, account: PublicKey) -> Result<(), Trouble> {
    let mut batch = Batch::new();
    batch.put(FACTS, ACCOUNT, account.0);
    Ok(db.commit(batch).await?)
}

impl Books {
    fn node(&self, invite: &crate::invite::Invite) -> Option<PublicKey> {
        let last = invite.address.iter().last()?;
        match last {
            libp2p::multiaddr::Protocol::P2p(peer) => crate::overlay::node_key(&peer),
            _ => None,
        }
    }
}

/// Keeps in touch with the broker: who it is, what the account holds, purchases left open.
pub async fn run(node: Node) {
    let mut events = node.overlay().events();
    let mut refresh = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            _ = refresh.tick() => {}
            // Whoever is let in again gets its membership back.
            () = node.0.expelled.own_changed() => {}
            event = events.recv() => match event {
                Ok(crate::overlay::Event::Connected(peer)) if peer == node.broker_node() => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                Ok(_) | Err(_) => continue,
            },
            () = node.stopped() => return,
        }
        if let Ok(BankReply::Info(info)) = node.bank(&BankRequest::Info).await {
            *lock(&node.0.bank.info) = Some(info);
        }
        if let Err(trouble) = node.account(u64::MAX).await {
            tracing::debug!(%trouble, "the account was not asked for");
        }
        node.finish_purchases().await;
        node.finish_payouts().await;
    }
}

/// Whether a broker's word for where its pages are is an address that a browser can be sent to.
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_can_send_nobody_anywhere_but_to_pages() {
        for address in
            ["http://127.0.0.1:8080", "https://bank.example.org", "http://[::1]:80", "https://a.b/bank"]
        {
            assert!(is_address(address), "{address}");
        }
        for other in [
            "",
            "http://",
            "javascript:alert(1)",
            "//evil",
            "https://a b",
            "https://a\r\nX: y",
            "https://a?b=c",
            "https://a@b",
            "data:text/html,x",
        ] {
            assert!(!is_address(other), "{other}");
        }
    }
}

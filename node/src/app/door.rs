//! The peer as commands and the API see it: the views that no other room makes.

use super::view::{BrokerView, ChainView, HeldView, Page, Part, Status, WalletView};
use super::{Node, Trouble, lock, vault};
use crate::clock;
use crate::invite::Invite;
use netpay_core::id::ChainId;
use netpay_core::wallet::WalletChain;
use netpay_core::wire::bank::{Held, VoucherCode};

impl Node {
    /// The peer at a glance.
    #[must_use]
    pub fn status(&self) -> Status {
        let settings = self.settings();
        let overlay = self.overlay();
        let peer_id = crate::overlay::peer_id(&self.me());
        Status {
            name: settings.name.clone(),
            node: self.me().to_string(),
            peer_id: peer_id.to_string(),
            network: Some(settings.invite.network.clone()),
            addresses: overlay.addresses().iter().map(|address| format!("{address}/p2p/{peer_id}")).collect(),
            peers: overlay.connected().len(),
            broker: Some(self.broker_view()),
            wallet: self.wallet_view().ok(),
            shared: self.shared(),
            downloads: self.unfinished(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.uptime(),
        }
    }

    /// Gives one chain up, or all.
    ///
    /// # Errors
    /// If the id is not well-formed, there is no such chain, or the wallet is locked.
    pub async fn retire(&self, id: Option<&str>) -> Result<Vec<ChainView>, Trouble> {
        let wanted = match id {
            None => None,
            Some(id) => Some(id.parse::<ChainId>().map_err(|e| Trouble::bad("id", id, e))?),
        };
        let chains: Vec<ChainId> = self.wallet(|wallet| {
            let ids = wallet.chains().map(|(id, _)| *id);
            ids.filter(|id| wanted.is_none_or(|wanted| wanted == *id)).collect()
        })?;
        if let (Some(id), true) = (wanted, chains.is_empty()) {
            return Err(Trouble::NotFound { what: "chain", id: id.to_string() });
        }
        self.retire_chains(chains).await?;
        self.chain_views()
    }

    /// The wallet, encrypted under a passphrase of the backup's own.
    ///
    /// # Errors
    /// If the wallet is locked.
    pub async fn backup(&self, passphrase: String) -> Result<Vec<u8>, Trouble> {
        let node = self.clone();
        let backup = tokio::task::spawn_blocking(move || node.purse(|purse| purse.backup(&passphrase)));
        Ok(backup.await.map_err(|_| Trouble::Stopping)???)
    }

    /// Puts a backup in the place of this wallet, which must be empty; its chains are retired.
    ///
    /// # Errors
    /// If the backup does not open, or this wallet has chains.
    pub async fn restore(&self, backup: Vec<u8>, passphrase: String) -> Result<Vec<ChainView>, Trouble> {
        // What the till holds is paid to the present account, whose key a restored wallet does not have.
        let earned = self.till(|till| till.all().any(|held| held.paid().0 > 0));
        if earned || !self.0.sales.busy().is_empty() {
            return Err(super::vault::VaultError::NotEmpty.into());
        }
        let node = self.clone();
        let ids = (self.network(), self.broker_key());
        let restored = tokio::task::spawn_blocking(move || {
            let own = node.0.passphrase.as_ref().map(|own| own.as_str());
            vault::restore(&node.home().wallet(), &backup, &passphrase, own, node.db(), ids)
        });
        let purse = restored.await.map_err(|_| Trouble::Stopping)??;
        let account = purse.account.public();
        *lock(&self.0.purse) = Some(purse);
        super::fund::store_account(self.db(), account).await?;
        self.chain_views()
    }

    /// Whether the peer can do what it is there for.
    ///
    /// # Errors
    /// Says what it waits for: it is stopping, listens nowhere, or knows nobody yet.
    pub fn readiness(&self) -> Result<(), &'static str> {
        if self.is_stopping() {
            return Err("stopping");
        }
        if self.overlay().addresses().is_empty() {
            return Err("not listening");
        }
        if self.overlay().connected().is_empty() { Err("not connected to anybody") } else { Ok(()) }
    }

    /// Asks the peer to stop; [`Node::stop`] is what its owner then does.
    pub fn ask_to_stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// The wallet in short.
    ///
    /// # Errors
    /// If it is locked.
    pub fn wallet_view(&self) -> Result<WalletView, Trouble> {
        let now = clock::time();
        let (spendable, leased, locked, unconfirmed) = self.wallet(|wallet| {
            let (mut leased, mut locked) = (0, 0);
            for (_, chain) in wallet.chains() {
                let spread = chain.spread();
                if chain.is_spendable(now) {
                    leased += spread.leased - u64::from(chain.idle().0).min(spread.leased);
                } else {
                    locked += spread.free + spread.leased;
                }
            }
            (wallet.spendable(now).0, leased, locked, wallet.unconfirmed().0)
        })?;
        let earned = self.till(|till| till.all().map(|held| u64::from(held.paid().0)).sum());
        let account = lock(&self.0.bank.account).clone();
        Ok(WalletView {
            spendable,
            leased,
            unconfirmed,
            locked,
            earned,
            at_broker: account.as_ref().map(|account| account.balance.0),
            pending: account.as_ref().map_or(0, |account| account.pending.0),
            held: account.iter().flat_map(|account| account.held.iter().map(held_view)).collect(),
            bond: account.map_or(0, |account| account.bond.0),
        })
    }

    /// The chains.
    ///
    /// # Errors
    /// If the wallet is locked.
    pub fn chain_views(&self) -> Result<Vec<ChainView>, Trouble> {
        self.wallet(|wallet| wallet.chains().map(|(id, chain)| chain_view(id, chain)).collect())
    }

    /// Coins released to vendors, of all chains that are here.
    ///
    /// # Errors
    /// If the wallet is locked.
    pub fn spent(&self) -> Result<u64, Trouble> {
        let spent = |wallet: &mut netpay_core::wallet::Wallet| {
            wallet.chains().map(|(_, chain)| chain.spread().spent).fold(0, u64::saturating_add)
        };
        self.wallet(spent)
    }

    /// Seconds since the start.
    #[must_use]
    pub fn uptime(&self) -> u64 {
        self.0.began.elapsed().as_secs()
    }

    /// A page of the chains, in the order of their ids.
    ///
    /// # Errors
    /// If there is no such page, or the wallet is locked.
    pub fn chains_part(&self, part: &Part) -> Result<Page<ChainView>, Trouble> {
        let (after, limit) = (part.after(|id| id.parse::<ChainId>().ok())?, part.limit()?);
        self.wallet(|wallet| {
            let behind = wallet.chains().filter(|(id, _)| after.is_none_or(|after| **id > after));
            Page::of(behind, limit, |(id, _)| id.to_string(), |(id, chain)| chain_view(id, chain))
        })
    }

    /// Whether the wallet has a passphrase, so that it can be locked.
    #[must_use]
    pub fn wallet_is_lockable(&self) -> bool {
        vault::needs_passphrase(&self.home().wallet()).unwrap_or(true)
    }

    /// The broker as this peer knows it.
    #[must_use]
    pub fn broker_view(&self) -> BrokerView {
        let Invite { broker, address, .. } = &self.settings().invite;
        let node = self.broker_node();
        let info = lock(&self.0.bank.info).clone();
        let account = lock(&self.0.bank.account).clone();
        let registered = self.membership().is_some() || account.is_some();
        let frozen = account.and_then(|account| account.frozen);
        BrokerView {
            key: broker.to_string(),
            node: node.to_string(),
            addresses: vec![address.to_string()],
            connected: self.overlay().is_connected(&node),
            registered,
            frozen: frozen.is_some(),
            frozen_because: frozen.map(|why| why.to_string()),
            name: info.as_ref().map(|info| info.name.to_string()),
            contact: info.as_ref().map(|info| info.contact.to_string()),
            denomination: info.as_ref().map(|info| info.denomination.to_string()),
            held_for: info.as_ref().map(|info| info.held_for),
            false_accusation: info.map(|info| info.false_accusation.0),
        }
    }
}

fn held_view(held: &Held) -> HeldView {
    HeldView { chain: held.chain.to_string(), segment: held.j.0, coins: held.coins.0, until: held.until.0 }
}

fn chain_view(id: &ChainId, chain: &WalletChain) -> ChainView {
    let spread = chain.spread();
    let touchstone = chain.touchstone();
    ChainView {
        id: id.to_string(),
        total: spread.total,
        spent: spread.spent,
        leased: spread.leased,
        free: spread.free,
        spend_by: touchstone.spend_by.0,
        retired: chain.is_retired(),
        committee: touchstone.committee.len(),
        segments: chain.line().newest().map_or(0, |newest| newest.open.j.0),
    }
}

/// A voucher as it is printed: Base32 in groups.
///
/// # Errors
/// If it is not one.
pub fn parse_voucher(code: &str) -> Result<VoucherCode, Trouble> {
    let plain: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(plain.as_bytes()).ok();
    let code: Option<[u8; 20]> = bytes.and_then(|bytes| bytes.try_into().ok());
    code.map(VoucherCode)
        .ok_or_else(|| Trouble::bad("voucher", "that", "a voucher is 32 letters and digits in groups"))
}

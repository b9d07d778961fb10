//! The broker of a swarm, as its operator sees it.

use super::api::Api;
use super::process::{self, Program};
use anyhow::{Context as _, Result, ensure};
use netpay_broker::admin::view::{
    AccountView, AuditView, BooksView, ChainView, PageView, RedemptionView, StatusView, VouchersView,
};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The broker of a swarm.
#[derive(Clone, Debug)]
pub struct Broker {
    program: Program,
    home: PathBuf,
    api: Api,
}

/// The books in short, as the demo shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BooksInShort {
    /// Coins ever issued.
    pub issued: u64,
    /// Coins that buyers spent, as far as the caller knows.
    pub spent: u64,
    /// Coins ever redeemed.
    pub redeemed: u64,
    /// Coins issued and neither redeemed nor refunded.
    pub outstanding: i64,
    /// The sum over all books.
    pub sum: i64,
}

/// Makes a broker's home.
///
/// # Errors
/// If it cannot be made.
pub fn init(program: &Program, home: &Path, options: &[&str]) -> Result<()> {
    let mut args = vec!["init", "--name", "Swarm bank", "--contact", "operator@example.org"];
    args.extend_from_slice(options);
    program.output(process::BROKER, home, &args).map(drop)
}

impl Broker {
    pub(super) fn new(program: &Program, home: &Path) -> Self {
        Self { program: program.clone(), home: home.to_owned(), api: Api::new(home) }
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its API.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Whether it answers.
    pub async fn is_up(&self) -> bool {
        self.status().await.is_ok()
    }

    /// How it is.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> Result<StatusView> {
        self.api.get("/status").await
    }

    /// Sells vouchers.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn vouchers(&self, value: u64, count: usize) -> Result<Vec<String>> {
        let sold: VouchersView =
            self.api.post("/vouchers", &json!({ "value": value, "count": count })).await?;
        ensure!(sold.codes.len() == count, "{} vouchers instead of {count}", sold.codes.len());
        Ok(sold.codes)
    }

    /// All accounts.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn accounts(&self) -> Result<Vec<AccountView>> {
        self.pages("/accounts").await
    }

    /// Freezes the account of the peer with that node key, or lets it again: `act` is `freeze`, `unfreeze` or `close`.
    ///
    /// # Errors
    /// If there is no such account, or it does not answer.
    pub async fn account_of(&self, node: &str, act: &str) -> Result<AccountView> {
        let of_node = |account: &AccountView| account.nodes.iter().any(|known| known == node);
        let account = self.accounts().await?.into_iter().find(of_node).context("no account of that node")?;
        self.api.post(&format!("/accounts/{}/{act}", account.account), &json!({ "why": "a test" })).await
    }

    /// All chains.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn chains(&self) -> Result<Vec<ChainView>> {
        self.pages("/chains").await
    }

    /// A chain with its claims.
    ///
    /// # Errors
    /// If there is no such chain.
    pub async fn chain(&self, id: &str) -> Result<ChainView> {
        self.api.get(&format!("/chains/{id}")).await
    }

    /// The newest redemptions.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn redemptions(&self) -> Result<Vec<RedemptionView>> {
        let page: PageView<RedemptionView> = self.api.get("/redemptions").await?;
        Ok(page.items)
    }

    /// Proves the books from their journal: in entries that sum to zero, coins outstanding that are those issued and
    /// neither redeemed nor refunded, and no index of a chain paid twice.
    ///
    /// # Errors
    /// If the books do not hold.
    pub async fn check(&self) -> Result<AuditView> {
        let audit: AuditView = self.api.get("/ledger/check").await?;
        ensure!(audit.books.balance, "expected books that balance, saw {:?}", audit.books);
        let sum = sum(&audit.books);
        ensure!(sum == 0, "expected books that sum to 0, saw {sum}: {:?}", audit.books);
        for chain in self.chains().await? {
            let chain = self.chain(&chain.chain).await?;
            // What was promised twice is paid once; the other claim says that it was left short, or made up for.
            let whole = |claim: &&RedemptionView| claim.paid && claim.coins == claim.end - claim.start;
            let mut claims: Vec<_> = chain.redemptions.iter().filter(whole).collect();
            claims.sort_by_key(|claim| claim.start);
            for pair in claims.windows(2) {
                let [a, b] = [pair[0], pair[1]];
                ensure!(a.end <= b.start, "coins of chain {} were paid twice: {a:?} and {b:?}", chain.chain);
            }
        }
        Ok(audit)
    }

    /// Runs one of the broker's commands and gives back what it printed.
    ///
    /// # Errors
    /// If it ends with another code than 0.
    pub fn command(&self, args: &[&str]) -> Result<String> {
        self.program.output(process::BROKER, &self.home, args)
    }

    async fn pages<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut page: PageView<T> = self.api.get(path).await?;
        loop {
            all.append(&mut page.items);
            let Some(after) = page.next.take() else { return Ok(all) };
            page = self.api.query(path, &[("after", &after)]).await?;
        }
    }
}

/// The sum over all books; money held is what the others owe.
#[must_use]
pub fn sum(books: &BooksView) -> i64 {
    let cash = i64::try_from(books.cash).unwrap_or(i64::MAX);
    books.vouchers + books.balances + books.coins + books.payouts + books.bonds - cash
}

//! A peer of a swarm, as its user and programs see it.

use super::api::Api;
use super::process::{self, Program};
use super::until;
use anyhow::{Context as _, Result, bail};
use netpay_core::fair::policy::Fair;
use netpay_node::app::view::{
    CertificationView, ChainView, DownloadState, DownloadView, Found, GetRequest, HandoffView, Page,
    PeerView, RedeemView, SaleView, SharedFile, Status, TillView, WalletView,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a download may take.
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(120);
/// How long news may take to get around.
const NEWS_WITHIN: Duration = Duration::from_secs(60);

/// A peer of a swarm.
#[derive(Clone, Debug)]
pub struct Peer {
    program: Program,
    name: String,
    home: PathBuf,
    api: Api,
}

/// Makes a peer's home, for a network on this machine, frugal, with ports that the system chooses.
///
/// # Errors
/// If it cannot be made.
pub fn init(program: &Program, home: &Path, name: &str, invite: &str) -> Result<()> {
    let settings = [
        ("name", name),
        ("broker", invite),
        ("listen", "/ip4/127.0.0.1/tcp/0"),
        ("api.listen", "127.0.0.1:0"),
        ("local", "true"),
        ("mdns", "false"),
        ("quic", "false"),
        ("redeem.daily", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    std::fs::create_dir_all(home).with_context(|| format!("creating {}", home.display()))?;
    std::fs::write(home.join("config.toml"), netpay_node::config::document(home, &settings))?;
    program.output(process::PEER, home, &["init", "--insecure-no-passphrase"]).map(drop)
}

impl Peer {
    pub(super) fn new(program: &Program, name: &str, home: &Path) -> Self {
        Self { program: program.clone(), name: name.to_owned(), home: home.to_owned(), api: Api::new(home) }
    }

    /// What it is called in the swarm.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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

    /// The peer at a glance.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> Result<Status> {
        self.api.get("/status").await
    }

    /// Waits until it is connected to at least so many others.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn meet(&self, others: usize) -> Result<()> {
        let what = format!("{} to be connected to {others} others", self.name);
        until(&what, super::MEET_WITHIN, async || Ok((self.status().await?.peers >= others).then_some(())))
            .await
    }

    /// Waits until it is connected to the peer with that node key.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn meets(&self, node: &str) -> Result<()> {
        let what = format!("{} to be connected to {node:.8}", self.name);
        let connected = async || {
            let peers = self.peers().await?;
            Ok(peers.iter().any(|peer| peer.node == node && peer.connected).then_some(()))
        };
        until(&what, super::MEET_WITHIN, connected).await
    }

    /// Has nothing to do with the peer of that node key any more; or has again.
    ///
    /// # Errors
    /// If it does not answer, or refuses.
    pub async fn block(&self, node: &str, blocked: bool) -> Result<PeerView> {
        let path = format!("/peers/{node}/block");
        if blocked { self.api.post(&path, &json!({})).await } else { self.api.delete(&path).await }
    }

    /// The other peers.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn peers(&self) -> Result<Vec<PeerView>> {
        self.api.list("/peers", &[]).await
    }

    /// Becomes a member, with a voucher.
    ///
    /// # Errors
    /// If the broker refuses.
    pub async fn register(&self, voucher: &str) -> Result<()> {
        self.api.post::<Value>("/broker/register", &json!({ "voucher": voucher })).await.map(drop)
    }

    /// Pays a voucher in.
    ///
    /// # Errors
    /// If the broker refuses.
    pub async fn pay_in(&self, voucher: &str) -> Result<()> {
        self.api.post::<Value>("/wallet/vouchers", &json!({ "voucher": voucher })).await.map(drop)
    }

    /// Buys coins.
    ///
    /// # Errors
    /// If the broker refuses.
    pub async fn buy_coins(&self, coins: u64) -> Result<()> {
        self.api.post::<Value>("/wallet/buy", &json!({ "coins": coins })).await.map(drop)
    }

    /// The wallet in short.
    ///
    /// # Errors
    /// If it does not answer or is locked.
    pub async fn wallet(&self) -> Result<WalletView> {
        self.api.get("/wallet").await
    }

    /// The chains of the wallet.
    ///
    /// # Errors
    /// If it does not answer or is locked.
    pub async fn chains(&self) -> Result<Vec<ChainView>> {
        self.api.list("/wallet/chains", &[]).await
    }

    /// Sells a file.
    ///
    /// # Errors
    /// If it cannot be shared.
    pub async fn share(&self, path: &Path, price: u64, tags: &[&str]) -> Result<SharedFile> {
        let request = json!({ "paths": [path], "price": price, "tags": tags, "recursive": false });
        let shared: Vec<SharedFile> = self.api.post("/shares", &request).await?;
        shared.into_iter().next().with_context(|| format!("{} was not shared", path.display()))
    }

    /// Sells every file in a directory.
    ///
    /// # Errors
    /// If they cannot be shared.
    pub async fn share_all(&self, directory: &Path, price: u64) -> Result<Vec<SharedFile>> {
        let request = json!({ "paths": [directory], "price": price, "tags": [], "recursive": true });
        self.api.post("/shares", &request).await
    }

    /// Searches.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn search(&self, words: &str) -> Result<Vec<Found>> {
        Ok(self.api.query::<Page<Found>>("/search", &[("words", words)]).await?.items)
    }

    /// Searches, and notes when the first offer came.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn search_stream(&self, words: &str) -> Result<(Option<Instant>, Vec<Found>)> {
        let (mut first, mut found) = (None, Vec::new());
        let seen = |one| {
            first.get_or_insert_with(Instant::now);
            found.push(one);
        };
        self.api.lines("/search/stream", &[("words", words)], seen).await?;
        Ok((first, found))
    }

    /// Searches until a vendor's offer of that content is found.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn finds(&self, words: &str, root: &str, vendor: &str) -> Result<Found> {
        let found = async || {
            let found = self.search(words).await?;
            Ok(found.into_iter().find(|found| found.id == root && found.vendor == vendor))
        };
        until(&format!("{} to find {words:?}", self.name), NEWS_WITHIN, found).await
    }

    /// Begins a download.
    ///
    /// # Errors
    /// If it cannot begin.
    pub async fn get(&self, request: &GetRequest) -> Result<DownloadView> {
        self.api.post("/downloads", request).await
    }

    /// Where a download stands.
    ///
    /// # Errors
    /// If there is none of this number.
    pub async fn download(&self, id: u64) -> Result<DownloadView> {
        self.api.get(&format!("/downloads/{id}")).await
    }

    /// All downloads.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn downloads(&self) -> Result<Vec<DownloadView>> {
        self.api.list("/downloads", &[]).await
    }

    /// Does something to a download: `pause`, `resume` or `cancel`.
    ///
    /// # Errors
    /// If there is none of this number.
    pub async fn control(&self, id: u64, what: &str) -> Result<DownloadView> {
        self.api.post(&format!("/downloads/{id}/{what}"), &json!({})).await
    }

    /// Waits for a download to be complete.
    ///
    /// # Errors
    /// If it fails, or takes too long.
    pub async fn complete(&self, id: u64) -> Result<DownloadView> {
        let what = format!("download {id} of {}", self.name);
        let done = async || {
            let view = self.download(id).await?;
            match view.state {
                DownloadState::Done => Ok(Some(view)),
                DownloadState::Failed | DownloadState::Cancelled | DownloadState::Paused => {
                    bail!("{what} is {:?}: {:?}; {}", view.state, view.error, story(&view))
                }
                DownloadState::Waiting | DownloadState::Running => Ok(None),
            }
        };
        until(&what, DOWNLOAD_WITHIN, done).await
    }

    /// Buys something and waits for it, and for the receipts.
    ///
    /// # Errors
    /// If it fails.
    pub async fn buy(&self, request: &GetRequest) -> Result<DownloadView> {
        let begun = self.get(request).await?;
        self.complete(begun.id).await?;
        let settled = async || Ok(Some(self.download(begun.id).await?).filter(|view| view.sales == 0));
        until(&format!("the receipts of {}", self.name), DOWNLOAD_WITHIN, settled).await
    }

    /// What was sold.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn sales(&self) -> Result<Vec<SaleView>> {
        self.api.list("/sales", &[]).await
    }

    /// The segments of the till.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn till(&self) -> Result<Vec<TillView>> {
        self.api.list("/till", &[]).await
    }

    /// What it had certified, the newest last.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn certifications(&self) -> Result<Vec<CertificationView>> {
        Ok(self.api.get::<Page<_>>("/certifications").await?.items)
    }

    /// The handoffs it has asked for, the newest last.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn handoffs(&self) -> Result<Vec<HandoffView>> {
        Ok(self.api.get::<Page<_>>("/handoffs").await?.items)
    }

    /// Redeems all that was earned.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    pub async fn redeem(&self) -> Result<RedeemView> {
        self.api.post("/redeem", &json!({})).await
    }

    /// Redeems until nothing waits for a certificate any more, and adds up what was paid.
    ///
    /// # Errors
    /// If something was refused, or takes too long.
    pub async fn redeem_all(&self) -> Result<RedeemView> {
        let (mut total, mut last) = (RedeemView::default(), RedeemView::default());
        let done = async || {
            last = self.redeem().await?;
            total.paid += last.paid;
            total.segments += last.segments;
            total.refused.append(&mut last.refused);
            Ok((last.uncertified == 0).then_some(()))
        };
        until(&format!("the certificates of {}", self.name), NEWS_WITHIN, done).await?;
        let RedeemView { pending, held, held_until, balance, .. } = last;
        Ok(RedeemView { pending, held, held_until, balance, uncertified: 0, ..total })
    }

    /// Runs one of the peer's commands and gives back what it printed.
    ///
    /// # Errors
    /// If it ends with another code than 0.
    pub fn command(&self, args: &[&str]) -> Result<String> {
        self.program.output(process::PEER, &self.home, args)
    }
}

/// A request for a file from one vendor, to a directory, in plain mode: what is to be fair says so.
#[must_use]
pub fn order(what: &str, from: Option<&str>, output: &Path) -> GetRequest {
    GetRequest {
        what: what.to_owned(),
        output: Some(output.to_string_lossy().into_owned()),
        from: from.map(str::to_owned),
        fair: Some(Fair::Never),
        ..GetRequest::default()
    }
}

/// What happened to a download, in a line.
#[must_use]
pub fn story(view: &DownloadView) -> String {
    let began = view.timeline.first().map_or(0, |entry| entry.at);
    let told = |entry: &netpay_node::app::view::TimelineEntry| {
        format!("{} ms {} ({})", entry.at.saturating_sub(began), entry.what, entry.detail)
    };
    view.timeline.iter().map(told).collect::<Vec<_>>().join(", ")
}

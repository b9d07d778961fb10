//! A small town: a broker, and peers with money.

pub mod dealer;
pub mod double;
pub mod purse;
pub mod sealed;
pub mod stall;
pub mod villain;

use anyhow::{Context as _, Result, anyhow, ensure};
use netpay_broker::home::BrokerHome;
use netpay_broker::roster::Roster;
use netpay_broker::service::{Bank, system_clock};
use netpay_core::fair::policy::Fair;
use netpay_core::time::DAY;
use netpay_node::app::view::{DownloadView, GetRequest, SharedFile};
use netpay_node::home::Home;
use netpay_node::store::{Db, Table};
use netpay_tests::swarm::peer::{Peer, order};
use netpay_tests::swarm::process::Program;
use netpay_tests::swarm::{BROKER, Swarm, goods, until};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// Coins in everybody's account.
pub const SAVINGS: u64 = 10_000;

/// The binary that the processes are made of.
pub fn program() -> Program {
    Program::attached(env!("CARGO_BIN_EXE_netpay-swarm"))
}

/// The machine is one: scenarios with a crowd of processes hold this, and run one after the other.
pub async fn crowd() -> MutexGuard<'static, ()> {
    static CROWD: Mutex<()> = Mutex::const_new(());
    CROWD.lock().await
}

/// A town of that many peers, all of them members with money, none with coins.
pub async fn town(peers: usize) -> Result<(Swarm, Vec<Peer>)> {
    town_on_terms(peers, &[]).await
}

/// A town whose broker is set up otherwise than usual.
pub async fn town_on_terms(peers: usize, terms: &[(&str, u64)]) -> Result<(Swarm, Vec<Peer>)> {
    town_of(program(), peers, terms).await
}

/// A town of such processes.
pub async fn town_of(program: Program, peers: usize, terms: &[(&str, u64)]) -> Result<(Swarm, Vec<Peer>)> {
    let mut swarm = Swarm::temporary(program, 7).await?;
    if !terms.is_empty() {
        swarm.stop(BROKER).await?;
        set(&swarm.broker()?.home().join("config.toml"), terms)?;
        swarm.start(BROKER).await?;
    }
    let members = swarm.add_many(peers).await?;
    let broker = swarm.broker()?;
    for (peer, code) in members.iter().zip(broker.vouchers(SAVINGS, peers).await?) {
        peer.register(&code).await?;
    }
    let seen = async || Ok((broker.status().await?.alive >= peers).then_some(()));
    until("the broker to see all members", Duration::from_secs(60), seen).await?;
    Ok((swarm, members))
}

/// Changes numbers in a configuration.
fn set(path: &Path, settings: &[(&str, u64)]) -> Result<()> {
    let mut document: toml::Table = std::fs::read_to_string(path)?.parse()?;
    for (name, value) in settings {
        document.insert((*name).to_owned(), i64::try_from(*value)?.into());
    }
    Ok(std::fs::write(path, document.to_string())?)
}

/// A month passes for the broker, and everything that is due is settled.
pub async fn settles(swarm: &mut Swarm) -> Result<()> {
    passes(swarm, 30 * DAY).await
}

/// So many seconds pass for the broker, and what is due then is done. Its own code does it, on its own journal, by a
/// clock that is ahead; no process can be told that it is later than it is.
pub async fn passes(swarm: &mut Swarm, seconds: u64) -> Result<()> {
    swarm.stop(BROKER).await?;
    let home = BrokerHome::at(swarm.broker()?.home());
    let opened = home.open().map_err(|error| anyhow!("{error}"))?;
    let clock = Arc::new(move || system_clock()().plus(seconds));
    let roster = Arc::new(Roster::new(opened.node.public()));
    let bank =
        Bank::open(Db::open(&home.home().db())?, opened.signing, opened.settings.terms(), roster, clock)?;
    bank.settle_due().await?;
    bank.close().await?;
    drop(bank);
    swarm.start(BROKER).await
}

/// What a peer's account holds, by the broker's books.
pub async fn balance(swarm: &Swarm, peer: &Peer) -> Result<u64> {
    let node = peer.status().await?.node;
    let accounts = swarm.broker()?.accounts().await?;
    let account = accounts.into_iter().find(|account| account.nodes.contains(&node));
    Ok(account.with_context(|| format!("no account of {}", peer.name()))?.balance)
}

/// Something that a peer sells.
pub struct Offer {
    pub node: String,
    pub original: PathBuf,
    pub shared: SharedFile,
}

/// Makes a file and has a peer sell it; the buyer has found it when this returns.
pub async fn sell(
    swarm: &Swarm,
    vendor: &Peer,
    buyer: &Peer,
    name: &str,
    size: u64,
    price: u64,
) -> Result<Offer> {
    let original = goods::make(&swarm.goods().join(vendor.name()), name, size, 7)?;
    sell_this(vendor, buyer, &original, price).await
}

/// Has a peer sell a file that exists.
pub async fn sell_this(vendor: &Peer, buyer: &Peer, original: &Path, price: u64) -> Result<Offer> {
    let shared = vendor.share(original, price, &[]).await?;
    let node = vendor.status().await?.node;
    let words = original.file_stem().context("a name")?.to_string_lossy().into_owned();
    buyer.finds(&words, &shared.id, &node).await?;
    Ok(Offer { node, original: original.to_owned(), shared })
}

/// A request for it, into a directory of the buyer's own.
pub fn request(swarm: &Swarm, buyer: &Peer, offer: &Offer) -> Result<GetRequest> {
    Ok(GetRequest { from: Some(offer.node.clone()), ..request_of(swarm, buyer, &offer.shared.id)? })
}

/// The same in fair mode.
pub fn fairly(request: GetRequest) -> GetRequest {
    GetRequest { fair: Some(Fair::Always), ..request }
}

/// What became of a peer's deals is nowhere any more, soon after they are over: neither a row nor a byte is left of what was
/// under seal. It is the peer's own disk that is read, so the peer is stopped for it.
pub async fn nothing_is_under_seal(swarm: &mut Swarm, peer: &Peer) -> Result<()> {
    let home = Home::at(peer.home());
    let left = || -> Result<Option<PathBuf>> {
        let entries = std::fs::read_dir(home.partial())?.collect::<std::io::Result<Vec<_>>>()?;
        let mut paths = entries.iter().map(std::fs::DirEntry::path);
        Ok(paths.find(|path| path.extension().is_some_and(|end| end == "sealed")))
    };
    let gone = async || Ok(left()?.is_none().then_some(()));
    until("the files of what was under seal to go", Duration::from_secs(60), gone).await?;
    swarm.stop(peer.name()).await?;
    let db = Db::open(&home.db())?;
    for table in ["bought-deals", "kept-units"] {
        let rows = db.scan(Table::new(table), &[], None, 16)?;
        ensure!(rows.is_empty(), "{} rows are left in {table}", rows.len());
    }
    ensure!(left()?.is_none(), "{:?} is left", left()?);
    Ok(())
}

/// A request for some content, whoever sells it.
pub fn request_of(swarm: &Swarm, buyer: &Peer, root: &str) -> Result<GetRequest> {
    let directory = swarm.directory().join("bought").join(buyer.name());
    std::fs::create_dir_all(&directory)?;
    Ok(order(root, None, &directory))
}

/// Buys it; what comes is what was offered, at its price.
pub async fn buy(swarm: &Swarm, buyer: &Peer, offer: &Offer, keep_open: bool) -> Result<DownloadView> {
    let view = buyer.buy(&GetRequest { keep_open, ..request(swarm, buyer, offer)? }).await?;
    arrived(&view, offer)?;
    Ok(view)
}

/// What came is what was offered, at its price.
pub fn arrived(view: &DownloadView, offer: &Offer) -> Result<()> {
    ensure!(view.paid == offer.shared.price, "expected to pay {}, paid {}", offer.shared.price, view.paid);
    goods::compare(&offer.original, Path::new(&view.path))
}

/// A vendor is paid exactly this, finally; and the books hold.
pub async fn redeems(swarm: &Swarm, vendor: &Peer, coins: u64) -> Result<()> {
    let view = vendor.redeem_all().await?;
    ensure!(view.refused.is_empty(), "refused: {:?}", view.refused);
    ensure!((view.paid, view.pending) == (coins, 0), "expected {coins} coins, final; saw {view:?}");
    swarm.broker()?.check().await.map(drop)
}

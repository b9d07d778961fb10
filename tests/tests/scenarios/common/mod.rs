//! A small town: a broker, and peers with money.

use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::{DownloadView, GetRequest, SharedFile};
use netpay_tests::swarm::peer::{Peer, order};
use netpay_tests::swarm::process::Program;
use netpay_tests::swarm::{Swarm, goods, until};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Coins in everybody's account.
pub const SAVINGS: u64 = 10_000;

/// The binary that the processes are made of.
pub fn program() -> Program {
    Program::attached(env!("CARGO_BIN_EXE_netpay-swarm"))
}

/// A town of that many peers, all of them members with money, none with coins.
pub async fn town(peers: usize) -> Result<(Swarm, Vec<Peer>)> {
    let mut swarm = Swarm::temporary(program(), 7).await?;
    let members = swarm.add_many(peers).await?;
    let broker = swarm.broker()?;
    for (peer, code) in members.iter().zip(broker.vouchers(SAVINGS, peers).await?) {
        peer.register(&code).await?;
    }
    let seen = async || Ok((broker.status().await?.alive >= peers).then_some(()));
    until("the broker to see all members", Duration::from_secs(60), seen).await?;
    Ok((swarm, members))
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
    let directory = swarm.directory().join("bought").join(buyer.name());
    std::fs::create_dir_all(&directory)?;
    Ok(order(&offer.shared.id, Some(&offer.node), &directory))
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

//! The steps, each with what must hold after it.

use super::story::{BUYER, FIRST, FOURTH, GOODS, Good, LATECOMER, LECTURER, SECOND, Story, THIRD, Way, way};
use super::{PEERS, Told};
use crate::swarm::broker::{BooksInShort, sum};
use crate::swarm::peer::{Peer, story};
use crate::swarm::{BROKER, peer_name, until};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::DownloadView;
use std::time::Duration;

/// Coins in each voucher.
const VOUCHER: u64 = 100;
/// Coins of the one who buys most.
const BUDGET: u64 = 80;
/// Coins of the latecomer.
const SMALL_BUDGET: u64 = 20;
/// How long the broker may take to see its members.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// A broker and eight peers find each other.
pub async fn start(tale: &mut Story) -> Told {
    let peers = tale.swarm.add_many(PEERS).await?;
    for (n, peer) in (1..).zip(&peers) {
        tale.nodes.insert(n, peer.status().await?.node);
    }
    Ok((0, format!("a broker and {PEERS} peers, each a process, all connected")))
}

/// Everybody opens an account with a voucher.
pub async fn fund(tale: &mut Story) -> Told {
    let broker = tale.swarm.broker()?;
    let codes = broker.vouchers(VOUCHER, PEERS).await?;
    for (n, code) in (1..=PEERS).zip(&codes) {
        tale.peer(n)?.register(code).await?;
    }
    let seen = async || Ok((broker.status().await?.alive >= PEERS).then_some(()));
    until("the broker to see all members", SEEN_WITHIN, seen).await?;
    let accounts = broker.accounts().await?;
    let funded = accounts.iter().filter(|account| account.balance == VOUCHER).count();
    ensure!(funded == PEERS, "expected {PEERS} accounts with {VOUCHER}, saw {funded} of {}", accounts.len());
    let total = VOUCHER * PEERS as u64;
    Ok((total, format!("{PEERS} vouchers, {PEERS} accounts")))
}

/// Two of them buy coins.
pub async fn buy_coins(tale: &mut Story) -> Told {
    for (n, coins) in [(BUYER, BUDGET), (LATECOMER, SMALL_BUDGET)] {
        let peer = tale.peer(n)?;
        peer.buy_coins(coins).await?;
        let wallet = peer.wallet().await?;
        ensure!(wallet.spendable == coins, "expected {coins} spendable coins, saw {}", wallet.spendable);
        let witnesses = peer.chains().await?.first().map_or(0, |chain| chain.committee);
        let others = PEERS - 1;
        ensure!(witnesses == others, "expected all {others} others as witnesses, saw {witnesses}");
        tale.bought.insert(n, coins);
    }
    let coins = tale.bought.values().sum();
    Ok((coins, format!("{} has {BUDGET}, {} has {SMALL_BUDGET}", peer_name(BUYER), peer_name(LATECOMER))))
}

/// Files are put up for sale.
pub async fn share(tale: &mut Story) -> Told {
    for good in &GOODS {
        let path = tale.make(good)?;
        let shared = tale.peer(good.vendor)?.share(&path, good.price, &[]).await?;
        ensure!(shared.size == good.size, "{}: expected {} bytes, saw {}", good.name, good.size, shared.size);
        tale.roots.insert(good.name, shared.id);
    }
    Ok((0, format!("{} files of five vendors", GOODS.len())))
}

/// The buyer finds every one of them by its words.
pub async fn search(tale: &mut Story) -> Told {
    let buyer = tale.peer(BUYER)?;
    for good in &GOODS {
        let root = tale.roots.get(good.name).context("a shared file")?;
        let found = buyer.finds(words(good), root, tale.node(good.vendor)?).await?;
        ensure!(
            found.price == good.price,
            "{}: expected {} coins, saw {}",
            good.name,
            good.price,
            found.price
        );
        ensure!(found.size == good.size, "{}: expected {} bytes, saw {}", good.name, good.size, found.size);
    }
    Ok((0, format!("{} files found by name and price", GOODS.len())))
}

/// A lecture of twelve units, paid unit by unit, ends with a receipt.
pub async fn download(tale: &mut Story) -> Told {
    let good = good_of(LECTURER)?;
    let view = tale.buy(BUYER, good, false).await?;
    happened(&view, "receipt")?;
    let left = tale.peer(BUYER)?.wallet().await?.spendable;
    let expected = BUDGET - good.price;
    ensure!(left == expected, "expected {expected} coins to be left, saw {left}");
    let mib = good.size >> 20;
    Ok((good.price, format!("\"{}\", {mib} MiB, paid as it came, with a receipt", good.name)))
}

/// The chain lies open at one vendor; the next asks that one for it.
pub async fn handoff_online(tale: &mut Story) -> Told {
    let (first, second) = (good_of(FIRST)?, good_of(SECOND)?);
    tale.buy(BUYER, first, true).await?;
    holds_open(&tale.peer(FIRST)?).await?;
    let view = tale.buy(BUYER, second, true).await?;
    went(&view, Way::Closed)?;
    nothing_open(&tale.peer(FIRST)?).await?;
    Ok((
        first.price + second.price,
        format!("from {} to {}, who asked it", peer_name(FIRST), peer_name(SECOND)),
    ))
}

/// The vendor that holds the chain leaves in good order; its Close is in the record.
pub async fn handoff_closed_vendor(tale: &mut Story) -> Told {
    holds_open(&tale.peer(SECOND)?).await?;
    tale.swarm.stop(&peer_name(SECOND)).await?;
    let good = good_of(THIRD)?;
    let view = tale.buy(BUYER, good, true).await?;
    went(&view, Way::Closed)?;
    Ok((good.price, format!("{} stopped; its Close was in the chain's record", peer_name(SECOND))))
}

/// The vendor that holds the chain is killed; the buyer goes on above its lease.
pub async fn handoff_crashed_vendor(tale: &mut Story) -> Told {
    holds_open(&tale.peer(THIRD)?).await?;
    tale.swarm.kill(&peer_name(THIRD)).await?;
    let good = good_of(FOURTH)?;
    let view = tale.buy(BUYER, good, false).await?;
    went(&view, Way::AtTheCap)?;
    let left = tale.peer(BUYER)?.wallet().await?.spendable;
    Ok((
        good.price,
        format!("{} was killed; the chain went on at its cap, {left} coins are left", peer_name(THIRD)),
    ))
}

/// The broker is killed, and sales go on.
pub async fn sale_without_broker(tale: &mut Story) -> Told {
    tale.swarm.kill(BROKER).await?;
    let good = &GOODS[5];
    tale.buy(BUYER, good, false).await?;
    ensure!(tale.swarm.running(BROKER).is_none(), "expected the broker to be dead");
    Ok((good.price, format!("the broker was killed; \"{}\" was sold all the same", good.name)))
}

/// A peer that was away finds the others without a broker, and buys.
pub async fn restart_without_broker(tale: &mut Story) -> Told {
    let name = peer_name(LATECOMER);
    tale.swarm.stop(&name).await?;
    tale.swarm.start(&name).await?;
    let vendor = good_of(FOURTH)?;
    let peer = tale.peer(LATECOMER)?;
    peer.meets(tale.node(FOURTH)?).await?;
    let root = tale.roots.get(vendor.name).context("a shared file")?.clone();
    peer.finds(words(vendor), &root, tale.node(FOURTH)?).await?;
    tale.buy(LATECOMER, vendor, false).await?;
    ensure!(tale.swarm.running(BROKER).is_none(), "expected the broker to be dead");
    Ok((vendor.price, format!("{name} came back, found the others, and bought \"{}\"", vendor.name)))
}

/// The broker and both vendors that went come back.
pub async fn everyone_back(tale: &mut Story) -> Told {
    tale.swarm.start(BROKER).await?;
    for n in [SECOND, THIRD] {
        tale.swarm.start(&peer_name(n)).await?;
    }
    for n in 1..=PEERS {
        let peer = tale.peer(n)?;
        let connected = async || {
            let broker = peer.status().await?.broker;
            Ok(broker.is_some_and(|broker| broker.connected).then_some(()))
        };
        until(&format!("{} to be connected to the broker", peer.name()), SEEN_WITHIN, connected).await?;
    }
    let gone = format!("{} and {}", peer_name(SECOND), peer_name(THIRD));
    Ok((0, format!("the broker, {gone} run again, with what they had")))
}

/// Every vendor redeems all it earned, with certified closes, to the coin.
pub async fn redeem(tale: &mut Story) -> Told {
    let mut total = 0;
    for (n, earned) in &tale.earned {
        let peer = tale.peer(*n)?;
        let view = peer.redeem_all().await?;
        let name = peer.name();
        ensure!(view.refused.is_empty(), "{name}: refused: {:?}", view.refused);
        ensure!(view.pending == 0, "{name}: expected everything to be final, {} coins wait", view.pending);
        ensure!(view.paid == *earned, "{name}: expected {earned} coins, was paid {}", view.paid);
        total += view.paid;
    }
    Ok((total, format!("{} vendors, all claims certified and final", tale.earned.len())))
}

/// The broker's books balance, and everybody has what is theirs.
pub async fn books(tale: &mut Story) -> Told {
    let broker = tale.swarm.broker()?;
    let books = broker.check().await?.books;
    tale.books = BooksInShort {
        issued: books.issued,
        spent: tale.spent(),
        redeemed: books.redeemed,
        outstanding: books.coins,
        sum: sum(&books),
    };
    let issued: u64 = tale.bought.values().sum();
    let spent = tale.spent();
    ensure!(books.issued == issued, "expected {issued} coins issued, saw {}", books.issued);
    ensure!(books.redeemed == spent, "expected {spent} coins redeemed, saw {}", books.redeemed);
    let outstanding = i64::try_from(issued - spent)?;
    ensure!(books.coins == outstanding, "expected {outstanding} coins outstanding, saw {}", books.coins);
    let accounts = broker.accounts().await?;
    for n in 1..=PEERS {
        let node = tale.node(n)?;
        let account = accounts.iter().find(|account| account.nodes.iter().any(|member| member == node));
        let balance = account.with_context(|| format!("the account of {}", peer_name(n)))?.balance;
        let of = |book: &std::collections::BTreeMap<usize, u64>| book.get(&n).copied().unwrap_or_default();
        let expected = VOUCHER - of(&tale.bought) + of(&tale.earned);
        ensure!(balance == expected, "{}: expected a balance of {expected}, saw {balance}", peer_name(n));
    }
    let told = format!("{issued} issued = {spent} redeemed + {outstanding} outstanding; all books sum to 0");
    Ok((spent, told))
}

/// The first good of a vendor.
fn good_of(vendor: usize) -> Result<&'static Good> {
    GOODS
        .iter()
        .find(|good| good.vendor == vendor)
        .with_context(|| format!("{} sells nothing", peer_name(vendor)))
}

/// The words to look for.
fn words(good: &Good) -> &'static str {
    good.name.rsplit_once('.').map_or(good.name, |(stem, _)| stem)
}

fn happened(view: &DownloadView, what: &str) -> Result<()> {
    let seen = view.timeline.iter().any(|entry| entry.what == what);
    ensure!(seen, "\"{}\": expected {what:?} in what happened, saw: {}", view.name, story(view));
    Ok(())
}

fn went(view: &DownloadView, expected: Way) -> Result<()> {
    let seen = way(view);
    ensure!(seen == expected, "\"{}\": expected {expected:?}, saw {seen:?}: {}", view.name, story(view));
    Ok(())
}

async fn holds_open(vendor: &Peer) -> Result<()> {
    let till = vendor.till().await?;
    let open = till.iter().any(|segment| segment.state == "open");
    ensure!(open, "{}: expected an open segment, saw {till:?}", vendor.name());
    Ok(())
}

async fn nothing_open(vendor: &Peer) -> Result<()> {
    let till = vendor.till().await?;
    let open = till.iter().any(|segment| segment.state == "open");
    ensure!(!open, "{}: expected no open segment, saw {till:?}", vendor.name());
    Ok(())
}

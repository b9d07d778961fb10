use crate::common::sealed::{Bend, SealedStall};
use crate::common::stall::offers;
use crate::common::villain::Villain;
use crate::common::{Offer, SAVINGS, balance, fairly, request_of, sell_this, settles, town};
use anyhow::{Context as _, Result, ensure};
use netpay_core::amount::Coins;
use netpay_core::wire::bank::Outcome;
use netpay_core::wire::reject::RejectCode;
use netpay_node::app::view::{DownloadView, GetRequest};
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{Swarm, goods, until};
use std::path::Path;
use std::time::Duration;

/// What cheats ask, and what the honest vendor asks for the same.
const CHEAP: u64 = 5;
const FAIR: u64 = 6;
const WITHIN: Duration = Duration::from_secs(60);

/// A cheat that sells for less what an honest vendor sells too.
struct Bait {
    villain: Villain,
    stall: SealedStall,
    offer: Offer,
}

async fn bait(swarm: &Swarm, peers: &[Peer], name: &str, size: u64, bend: Bend) -> Result<Bait> {
    let villain = Villain::join(swarm, peers).await?;
    let path = goods::make(&swarm.goods(), name, size, 7)?;
    let content = std::fs::read(&path)?;
    let stall = SealedStall::open(&villain, content.clone(), CHEAP, bend);
    let cheap = offers(&villain, peers, (&swarm.goods(), name), &content, CHEAP).await?;
    let honest = sell_this(&peers[1], &peers[0], &path, FAIR).await?;
    let words = Path::new(name).file_stem().context("a name")?.to_string_lossy();
    peers[0].finds(&words, &honest.shared.id, &cheap.node).await?;
    Ok(Bait { villain, stall, offer: cheap })
}

/// The buyer takes the cheapest, and has the file in the end: from somebody.
async fn buys(swarm: &Swarm, buyer: &Peer, bait: &Bait) -> Result<DownloadView> {
    let request = fairly(request_of(swarm, buyer, &bait.offer.shared.id)?);
    let begun = buyer.get(&GetRequest { max_price: Some(FAIR), ..request }).await?;
    let view = buyer.complete(begun.id).await?;
    goods::compare(&bait.offer.original, Path::new(&view.path))?;
    Ok(view)
}

fn happened(view: &DownloadView, what: &str) -> bool {
    view.timeline.iter().any(|entry| entry.what == what)
}

#[tokio::test]
async fn junk_convicts_its_vendor_and_costs_nothing() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, honest) = (&peers[0], &peers[1]);
    let bait = bait(&swarm, &peers, "old maps.pdf", 100_000, Bend::Junk).await?;
    buyer.buy_coins(60).await?;
    let view = buys(&swarm, buyer, &bait).await?;
    ensure!(happened(&view, "junk"), "{}", story(&view));
    let judged = async || {
        let view = buyer.download(view.id).await?;
        Ok(happened(&view, "convicted").then_some(()))
    };
    until("the verdict", WITHIN, judged).await?;
    let cheat = buyer.peers().await?.into_iter().find(|peer| peer.node == bait.offer.node);
    ensure!(cheat.context("it is known")?.blocked, "the buyer goes on with the cheat");

    // Its claim is void, and it is banned.
    let earned = bait.stall.earned();
    ensure!(earned > 0, "junk was found before it was paid");
    let outcomes = bait.stall.redeems(&bait.villain).await?;
    ensure!(!outcomes.iter().any(|outcome| matches!(outcome, Outcome::Paid(_))), "{outcomes:?}");
    let accounts = swarm.broker()?.accounts().await?;
    let account = accounts.into_iter().find(|account| account.nodes.contains(&bait.offer.node));
    ensure!(account.as_ref().is_some_and(|account| account.frozen.is_some()), "{account:?}");
    honest.redeem_all().await?;
    settles(&mut swarm).await?;
    let balances = (balance(&swarm, buyer).await?, balance(&swarm, honest).await?);
    ensure!(balances == (SAVINGS - FAIR, SAVINGS + FAIR), "{balances:?}");
    ensure!(bait.villain.balance().await? == SAVINGS, "the cheat was paid");
    swarm.broker()?.check().await.map(drop)
}

const WRONG_KEY: &str = "a key came that does not belong to the deal";
const NO_DEAL: &str = "is not the deal that was asked for";

/// What a cheat does that leaves no proof, and why its sale breaks off.
const BENDS: [(&str, u64, Bend, &str); 6] = [
    ("keys for nothing.pdf", 100_000, Bend::GarbageKeys, WRONG_KEY),
    ("soon gone.pdf", 100_001, Bend::Vanishes, "closed the stream"),
    ("old deals.pdf", 400_000, Bend::OldDeal, NO_DEAL),
    ("another song.pdf", 100_002, Bend::Swaps(|deal| deal.root.0[0] ^= 1), NO_DEAL),
    ("dear song.pdf", 100_003, Bend::Swaps(|deal| deal.price = Coins(FAIR)), NO_DEAL),
    ("long song.pdf", 100_004, Bend::Swaps(|deal| deal.size += 1), NO_DEAL),
];

#[tokio::test]
async fn what_was_paid_for_no_key_comes_back() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (buyer, honest) = (&peers[0], &peers[1]);
    // Before the cheats are there: who witnesses the chain are the others.
    buyer.buy_coins(100).await?;
    let mut baits = Vec::new();
    for (name, size, bend, _) in BENDS {
        baits.push(bait(&swarm, &peers, name, size, bend).await?);
    }
    for (bait, (name, _, _, why)) in baits.iter().zip(BENDS) {
        let view = buys(&swarm, buyer, bait).await.with_context(|| name.to_owned())?;
        let broke_off =
            view.timeline.iter().find(|entry| entry.what == "broke off").context("it broke off")?;
        ensure!(broke_off.detail.contains(why), "{name}: {}", broke_off.detail);
    }

    // Nobody has a key for what it was paid, and the first of the old deals was kept.
    let [keyless, _, replayed, ..] = &baits[..] else { anyhow::bail!("too few") };
    let refused = keyless.stall.claims_made_up(&keyless.villain).await?;
    let is_refused =
        |outcome: &Outcome| matches!(outcome, Outcome::Refused(why) if why.code == RejectCode::BadPayment);
    ensure!(refused.iter().all(is_refused), "{refused:?}");
    let kept = replayed.stall.earned();
    ensure!(kept > 0 && kept < CHEAP, "it earned {kept}");
    replayed.stall.redeems(&replayed.villain).await?;
    honest.redeem_all().await?;
    settles(&mut swarm).await?;
    let all = BENDS.len() as u64 * FAIR - FAIR + CHEAP;
    let balances = (balance(&swarm, buyer).await?, balance(&swarm, honest).await?);
    ensure!(balances == (SAVINGS - all, SAVINGS + all - kept), "{balances:?}");
    for (bait, (name, ..)) in baits.iter().zip(BENDS) {
        let earned = if name == "old deals.pdf" { kept } else { 0 };
        ensure!(bait.villain.balance().await? == SAVINGS + earned, "{name} was paid");
    }
    swarm.broker()?.check().await.map(drop)
}

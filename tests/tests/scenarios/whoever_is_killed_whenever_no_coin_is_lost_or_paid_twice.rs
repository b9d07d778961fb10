use crate::common::{Offer, SAVINGS, arrived, request, sell, town};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::{DownloadState, DownloadView};
use netpay_tests::swarm::peer::{Peer, story};
use netpay_tests::swarm::{BROKER, Swarm, until};
use std::time::Duration;

/// Kills, unless the environment says how many.
const KILLS: u64 = 10;
const WITHIN: Duration = Duration::from_secs(120);
/// What a round may cost at most: a film and some coins, and leases that a crash gave up.
const A_ROUND: u64 = 100;
/// A sale of a film takes less than this, in milliseconds; a purchase and a redemption are over in the first part.
const LONG: u64 = 400;
const SHORT: u64 = 40;

/// What was acknowledged: whatever happens, it stays so.
#[derive(Default)]
struct Acknowledged {
    coins_bought: u64,
    redeemed: [u64; 2],
    downloads: Vec<(u64, usize)>,
    /// How often a kill came between a request and its answer.
    unanswered: [u32; 3],
}

struct Scene {
    swarm: Swarm,
    buyer: Peer,
    vendors: Vec<Peer>,
    offers: Vec<Offer>,
    dice: blake3::OutputReader,
    acknowledged: Acknowledged,
}

#[tokio::test]
async fn whoever_is_killed_whenever_no_coin_is_lost_or_paid_twice() -> Result<()> {
    let number =
        |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (kills, seed) = (number("NETPAY_KILLS", KILLS), number("NETPAY_SEED", 1));
    let mut scene = Scene::set(seed, kills).await?;
    for kill in 0..kills {
        let killed = scene.kill_somebody().await.with_context(|| format!("kill {kill} of seed {seed}"));
        if killed.is_err() && std::env::var_os("NETPAY_KEEP").is_some() {
            // For whoever wants to know why: homes and logs stay.
            scene.swarm.leave();
            eprintln!("left in {}", scene.swarm.directory().display());
        }
        killed?;
    }
    scene.settle_up().await.with_context(|| format!("after {kills} kills, seed {seed}"))
}

impl Scene {
    async fn set(seed: u64, kills: u64) -> Result<Self> {
        let (swarm, peers) = town(6).await?;
        let (buyer, vendors) = (peers[0].clone(), peers[1..3].to_vec());
        for code in swarm.broker()?.vouchers(kills * A_ROUND, 1).await? {
            buyer.pay_in(&code).await?;
        }
        buyer.buy_coins(300).await?;
        let mut offers = Vec::new();
        for (n, vendor) in vendors.iter().enumerate() {
            let name = format!("unlucky film {n}.mp4");
            offers.push(sell(&swarm, vendor, &buyer, &name, 6 << 20, 30).await?);
        }
        let dice = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let acknowledged = Acknowledged { coins_bought: 300, ..Acknowledged::default() };
        Ok(Self { swarm, buyer, vendors, offers, dice, acknowledged })
    }

    fn roll(&mut self, sides: u64) -> u64 {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    }

    /// A sale, a purchase of coins and a redemption go on; somebody is killed; everybody is back; the sale ends well.
    async fn kill_somebody(&mut self) -> Result<()> {
        let n = usize::try_from(self.roll(2))?;
        let victim = match self.roll(6) {
            0 | 1 => BROKER.to_owned(),
            2 => self.buyer.name().to_owned(),
            3 => self.vendors[1 - n].name().to_owned(),
            _ => self.vendors[n].name().to_owned(),
        };
        // At which point of it all is left to chance: there is no event to wait for.
        let during = if self.roll(2) == 0 { SHORT } else { LONG };
        let moment = Duration::from_millis(self.roll(during));
        self.top_up().await?;
        let wanted = request(&self.swarm, &self.buyer, &self.offers[n])?;
        let (buyer, other) = (self.buyer.clone(), self.vendors[1 - n].clone());
        let kill = async {
            tokio::time::sleep(moment).await;
            self.swarm.kill(&victim).await
        };
        let (killed, sale, purchase, redemption) =
            tokio::join!(kill, buyer.get(&wanted), buyer.buy_coins(16), other.redeem());
        killed?;
        let answers = [sale.is_ok(), purchase.is_ok(), redemption.is_ok()];
        for (unanswered, _) in self.acknowledged.unanswered.iter_mut().zip(answers).filter(|(_, came)| !came)
        {
            *unanswered += 1;
        }
        self.acknowledged.redeemed[1 - n] += redemption.map_or(0, |view| view.paid);
        if purchase.is_ok() {
            self.acknowledged.coins_bought += 16;
        }
        self.swarm.start(&victim).await?;
        self.buyer.meets(&self.offers[n].node).await?;
        if let Ok(view) = sale {
            self.acknowledged.downloads.push((view.id, n));
            self.ends_well(view.id, n).await?;
        }
        Ok(())
    }

    /// The buyer always has enough for the next film.
    async fn top_up(&mut self) -> Result<()> {
        if self.buyer.wallet().await?.spendable < 100 {
            self.buyer.buy_coins(200).await?;
            self.acknowledged.coins_bought += 200;
        }
        Ok(())
    }

    /// A download that was acknowledged can always be brought to its end, for what it cost from the beginning.
    async fn ends_well(&self, id: u64, n: usize) -> Result<()> {
        let done = async || -> Result<Option<DownloadView>> {
            let view = self.buyer.download(id).await?;
            match view.state {
                // What a kill left open at the vendor is paid, and confirmed.
                DownloadState::Done if self.buyer.wallet().await?.unconfirmed == 0 => return Ok(Some(view)),
                DownloadState::Failed | DownloadState::Paused => drop(self.buyer.control(id, "retry").await?),
                DownloadState::Done
                | DownloadState::Waiting
                | DownloadState::Running
                | DownloadState::Cancelled => {}
            }
            Ok(None)
        };
        let ended = until(&format!("download {id}"), WITHIN, done).await;
        if ended.is_err() {
            let view = self.buyer.download(id).await?;
            eprintln!("{:?} {:?}: {}", view.state, view.error, story(&view));
            eprintln!("the buyer has {:?}", self.buyer.chains().await?);
            eprintln!("the vendor holds {:?}", self.vendors[n].till().await?);
        }
        let view = ended?;
        arrived(&view, &self.offers[n]).with_context(|| story(&view))?;
        std::fs::remove_file(&view.path)?;
        Ok(())
    }

    /// Nothing that was acknowledged is missing, and everybody has what is theirs.
    async fn settle_up(self) -> Result<()> {
        let downloads = self.buyer.downloads().await?;
        for (id, n) in &self.acknowledged.downloads {
            let view =
                downloads.iter().find(|view| view.id == *id).with_context(|| format!("download {id}"))?;
            ensure!(view.state == DownloadState::Done, "download {id} is {:?}", view.state);
            ensure!(view.root == self.offers[*n].shared.id, "download {id} is another one");
        }
        // A sale whose acknowledgement got lost was begun all the same, and ends as well as the others.
        for view in downloads.iter().filter(|view| view.state != DownloadState::Done) {
            let n = self.offers.iter().position(|offer| offer.shared.id == view.root).context("an offer")?;
            self.ends_well(view.id, n).await?;
        }
        let [sales, purchases, redemptions] = self.acknowledged.unanswered;
        eprintln!(
            "{} downloads; unanswered for a kill: {sales} sales, {purchases} purchases, {redemptions} redemptions",
            self.buyer.downloads().await?.len()
        );
        let spent: u64 = self.buyer.downloads().await?.iter().map(|view| view.paid).sum();
        let mut redeemed = 0;
        for (vendor, acknowledged) in self.vendors.iter().zip(self.acknowledged.redeemed) {
            let view = vendor.redeem_all().await?;
            ensure!(view.refused.is_empty(), "{} was refused {:?}", vendor.name(), view.refused);
            let balance = vendor.wallet().await?.at_broker.context("a balance")?;
            ensure!(
                balance >= SAVINGS + acknowledged + view.paid,
                "{} was told of {acknowledged} and {} coins, and has {balance}",
                vendor.name(),
                view.paid
            );
            redeemed += balance - SAVINGS;
        }
        ensure!(redeemed == spent, "{spent} coins were paid, {redeemed} came to the vendors");
        self.settle_books(spent).await
    }

    /// The broker's books say the same, and the wallet has all that was bought.
    async fn settle_books(&self, spent: u64) -> Result<()> {
        let books = self.swarm.broker()?.check().await?.books;
        ensure!(books.redeemed == spent, "{spent} coins were paid, {} redeemed", books.redeemed);
        let bought = self.acknowledged.coins_bought;
        ensure!(books.issued >= bought, "{bought} coins were acknowledged, {} issued", books.issued);
        let arrived = async || {
            let held: u64 = self.buyer.chains().await?.iter().map(|chain| chain.total).sum();
            Ok((held == books.issued).then_some(()))
        };
        until("every chain that was sold to be in the wallet", WITHIN, arrived).await
    }
}

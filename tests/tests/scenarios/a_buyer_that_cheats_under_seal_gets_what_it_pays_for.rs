use crate::common::dealer::junk;
use crate::common::villain::Villain;
use crate::common::{SAVINGS, balance, sell, settles, town};
use anyhow::{Context as _, Result, ensure};
use netpay_core::amount::{Count, Index};
use netpay_core::fair::deal::Deal;
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{ToBuyer, ToVendor};
use netpay_tests::swarm::until;
use std::time::Duration;

/// Ten units of two coins each.
const UNITS: u64 = 10;
const SIZE: u64 = UNITS * 16 * 1024;
const PRICE: u64 = 2 * UNITS;
/// Three units, and half of one.
const PAID: u32 = 7;
/// What a false accusation costs.
const FEE: u64 = 10;

#[tokio::test]
async fn a_buyer_that_cheats_under_seal_gets_what_it_pays_for() -> Result<()> {
    let (mut swarm, peers) = town(5).await?;
    let (vendor, other) = (&peers[0], &peers[1]);
    let villain = Villain::join(&swarm, &peers).await?;
    let offer = sell(&swarm, vendor, other, "sealed verses.txt", SIZE, PRICE).await?;
    let (purse, second) = (villain.buys(40).await?, villain.buys(40).await?);

    // It pays three and a half units, and keeps the last release back: there are keys for three.
    let mut visit = villain.visits(&offer).await?;
    let dealt = villain.deals(&mut visit, &purse, &offer, UNITS).await?;
    let (line, open) = purse.opened_for(&dealt, u32::try_from(PRICE)?)?;
    let record = line.record().context("a short line")?;
    let pay = Some(purse.pay(&open, PAID)?);
    visit.say(&ToVendor::OpenFair { tag: dealt.tag, record, pay }).await?;
    let (mut m, mut key) = (Count::ZERO, None);
    while m < Count(5) {
        match visit.hears().await?.context("the vendor goes on")? {
            ToBuyer::Key { m: given, key: link } => (m, key) = (given, Some(link)),
            ToBuyer::SealedUnit(_) | ToBuyer::Certified(_) => {}
            other => anyhow::bail!("expected units and keys, saw {other:?}"),
        }
    }
    ensure!(m == Count(5), "a key beyond what was paid came: {m:?}");
    let key = key.context("a key")?;
    ensure!(dealt.deal.has_key(m, &key), "the key is none of the deal");
    while visit.sealed.len() < usize::try_from(UNITS)? {
        ensure!(
            matches!(visit.hears().await?, Some(ToBuyer::SealedUnit(_) | ToBuyer::Certified(_))),
            "no unit"
        );
    }
    let sealed = std::mem::take(&mut visit.sealed);
    drop(visit);

    // A key that was not paid for nobody has shown.
    ensure!(villain.asks_keys(&purse).await?.is_empty(), "a key was shown before anything was claimed");
    let claimed = async || {
        let view = vendor.redeem_all().await?;
        ensure!(view.refused.is_empty(), "{view:?}");
        Ok((view.pending > 0).then_some(view.pending))
    };
    let pending = until("the claim", Duration::from_secs(60), claimed).await?;
    ensure!(pending == 6, "the vendor claims {pending}");
    let shown = villain.asks_keys(&purse).await?;
    ensure!(shown.len() == 1 && shown[0].end == Index(6), "{shown:?}");
    let fourth = dealt.deal.key_coin(3).context("a unit")?;
    ensure!(fourth > Count(6), "what was shown opens the fourth unit");

    // Another request than the deal's is opened for: there is no such deal.
    let mut swapped = villain.visits(&offer).await?;
    let mut wrong = villain.deals(&mut swapped, &second, &offer, 1).await?;
    let bent = Deal { count: UNITS, ..wrong.deal.value().clone() };
    wrong.deal = second.key.sign(&villain.network, bent);
    let (line_of_it, open_of_it) = second.opened_for(&wrong, u32::try_from(PRICE)?)?;
    let record = line_of_it.record().context("a short line")?;
    let pay = Some(second.pay(&open_of_it, 2)?);
    swapped.say(&ToVendor::OpenFair { tag: wrong.tag, record, pay }).await?;
    let refused = swapped.is_refused().await?;
    ensure!(refused == RejectCode::BadLease, "refused with {refused:?}");

    // What it accuses the vendor of is not so, and costs it the fee, once.
    let step = dealt.deal.step();
    let first = step.walk_down(m, &key, Count(m.0 - 1));
    let accusation = villain.accusation(junk(&sealed[0], &dealt, &line, first)?);
    let before = villain.balance().await?;
    for _ in 0..2 {
        let refused = villain.bank_refuses(&accusation).await?;
        ensure!(refused == RejectCode::NotProven, "refused with {refused:?}");
        ensure!(villain.balance().await? == before - FEE, "{before} and {}", villain.balance().await?);
    }

    settles(&mut swarm).await?;
    let balances = (villain.balance().await?, balance(&swarm, vendor).await?);
    ensure!(balances == (SAVINGS - 6 - FEE, SAVINGS + 6), "{balances:?}");
    swarm.broker()?.check().await.map(drop)
}

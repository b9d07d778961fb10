use crate::common::purse::{Purse, shown};
use crate::common::villain::{Villain, treasure};
use crate::common::{SAVINGS, balance, program, stall, town};
use anyhow::{Result, bail, ensure};
use netpay_core::codec::List;
use netpay_core::coin::segment::{Close, pay_to};
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::wire::bank::{Claim, Claims, Outcome};
use netpay_core::wire::reject::RejectCode;
use netpay_node::clock;
use netpay_tests::swarm::Swarm;

/// A chain like this one, but issued by somebody else or in another network; its issuer signs what it says.
fn reissued(purse: &Purse, network: NetworkId, broker: &SecretKey) -> Purse {
    let mut touchstone = purse.touchstone.value().clone();
    (touchstone.network, touchstone.broker) = (network, broker.public());
    let touchstone = broker.sign(&network, touchstone);
    let key = SecretKey::from_seed(&purse.key.seed());
    Purse { network, key, touchstone, coins: purse.coins.clone() }
}

/// Claims ten coins of a chain in the villain's name, as its own vendor.
async fn claims(villain: &Villain, purse: &Purse) -> Result<Outcome> {
    let holder = SecretKey::from_seed(&clock::random());
    let line = purse.opened(&purse.fresh(), holder.public(), 0, 60)?;
    let Some(open) = line.newest().map(|newest| newest.open.clone()) else { bail!("no Open") };
    let pay = purse.pay(&open, 10)?;
    let (salt, account) = ([3; 32], villain.account.public());
    let close = Close {
        chain: purse.id(),
        j: open.j,
        // As the broker asked will hash it.
        open: open.wire().hash(&villain.network),
        end: pay.index,
        coin: pay.coin,
        release: pay.release,
        pay_to: pay_to(&salt, &account),
    };
    let close = holder.sign(&villain.network, close).wire();
    let claim = Claim { open: open.wire(), close, salt, certificate: None, key: None };
    stall::claim(villain, Claims(List::first_of([claim]))).await
}

#[tokio::test]
async fn coins_of_another_network_or_broker_buy_nothing() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let elsewhere = Swarm::temporary(program(), 8).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let abroad = Villain::join(&elsewhere, &[]).await?;
    let offer = treasure(&peers[0], &swarm).await?;
    let vendor: PublicKey = offer.node.parse()?;
    // Genuine coins of a real broker elsewhere; coins of no broker at all that name this network.
    let foreign = abroad.buys(60).await?;
    let forger = SecretKey::from_seed(&clock::random());
    let homemade = reissued(&villain.buys(60).await?, villain.network, &forger);
    let renamed = reissued(&foreign, NetworkId::of("elsewhere", &forger.public()), &forger);
    for (purse, code) in [
        (&foreign, RejectCode::WrongNetwork),
        (&renamed, RejectCode::WrongNetwork),
        (&homemade, RejectCode::UntrustedBroker),
    ] {
        let (tag, line, open) = villain.opens(purse, &purse.fresh(), vendor, (0, 60)).await?;
        let refused = villain.is_refused(&offer, shown(tag, &line, purse.pay(&open, 10)?)?).await?;
        ensure!(refused == code, "refused with {refused:?}, expected {code:?}");
        let outcome = claims(&villain, purse).await?;
        let unknown = matches!(&outcome, Outcome::Refused(reject) if reject.code == RejectCode::UnknownChain);
        ensure!(unknown, "the broker said {outcome:?}");
    }
    ensure!(peers[0].till().await?.is_empty(), "the vendor holds foreign coins");
    let (vendor, villain) = (balance(&swarm, &peers[0]).await?, villain.balance().await?);
    ensure!((vendor, villain) == (SAVINGS, SAVINGS - 60), "saw {vendor} and {villain}");
    let books = swarm.broker()?.check().await?.books;
    ensure!(books.redeemed == 0, "{} coins were redeemed", books.redeemed);
    elsewhere.broker()?.check().await.map(drop)
}

use crate::common::purse::shown;
use crate::common::villain::{Villain, order, treasure};
use crate::common::{SAVINGS, balance, buy, redeems, sell, town};
use anyhow::{Result, ensure};
use netpay_core::amount::Cap;
use netpay_core::codec::{self, Wire};
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::wire::bank::{BankReply, BankRequest, Buy};
use netpay_core::wire::hello::Welcome;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::ToVendor;
use netpay_node::clock;
use netpay_node::overlay::{Protocol, RequestError};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

/// What a good message becomes on a bad line, or in bad hands.
fn spoiled(good: &[u8]) -> Vec<Vec<u8>> {
    let mut of_another_version = good.to_vec();
    of_another_version[0] = codec::VERSION + 1;
    let mut unknown_kind = good.to_vec();
    // The number of the message's kind stands right behind the version.
    unknown_kind.splice(1..5.min(good.len()), [0xff; 4]);
    let trailing = [good, &[0]].concat();
    let mut all = vec![Vec::new(), vec![codec::VERSION], of_another_version, unknown_kind, trailing];
    all.extend([1, 2, 3].map(|quarter| good[..good.len() * quarter / 4].to_vec()));
    all.push(good[..good.len() - 1].to_vec());
    all.push(vec![0xff; 4096]);
    all
}

/// A purchase that is good but for its length.
fn purchase(villain: &Villain, n: u32) -> BankRequest {
    let key = SecretKey::from_seed(&clock::random());
    let account = villain.account.public();
    let buy = Buy { account, chain_key: key.public(), n: Cap(n), sealing_key: [9; 32] };
    let by_chain = key.sign(&villain.network, buy.clone()).signature();
    BankRequest::Buy { buy: villain.account.sign(&villain.network, buy).wire(), by_chain }
}

#[tokio::test]
async fn the_broker_refuses_nonsense_and_chains_of_impossible_length() -> Result<()> {
    let (swarm, peers) = town(2).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    for bytes in spoiled(&codec::encode(&purchase(&villain, 60))) {
        let reply = villain.overlay.request(villain.bank, Protocol::Bank, bytes.clone(), WITHIN).await?;
        let reply = codec::decode(&reply)?;
        let refused = matches!(&reply, BankReply::Reject(reject) if reject.code == RejectCode::Malformed);
        ensure!(refused, "{} bytes: {reply:?}", bytes.len());
    }
    // 2^32 coins, and what else is no length of a chain.
    for n in [0, 16_385, 1 << 31, u32::MAX] {
        let refused = villain.bank_refuses(&purchase(&villain, n)).await?;
        ensure!(refused == RejectCode::Range, "{n} coins: refused with {refused:?}");
    }
    let refused = villain.bank_refuses(&purchase(&villain, 16_384)).await?;
    ensure!(refused == RejectCode::Funds, "more than it has: refused with {refused:?}");
    ensure!(villain.balance().await? == SAVINGS, "something was paid");
    ensure!(swarm.broker()?.chains().await?.is_empty(), "a chain was sold");
    villain.buys(60).await?;
    ensure!(villain.balance().await? == SAVINGS - 60, "a good purchase was not made");
    swarm.broker()?.check().await.map(drop)
}

/// Asks with these bytes; only a message of that protocol, or none, is an answer.
async fn asks<R: Wire>(
    villain: &Villain,
    to: PublicKey,
    what: Protocol,
    bytes: Vec<u8>,
) -> Result<Option<R>> {
    match villain.overlay.request(to, what, bytes, WITHIN).await {
        Ok(reply) => Ok(Some(codec::decode(&reply)?)),
        Err(RequestError::Closed) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn a_peer_hangs_up_on_nonsense_and_goes_on_selling() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(40).await?;
    let offer = sell(&swarm, vendor, buyer, "sturdy film.mp4", 1 << 20, 9).await?;
    let loot = treasure(vendor, &swarm).await?;
    let node: PublicKey = offer.node.parse()?;
    let record = codec::encode(&RecordRequest::GetChain(villain.buys(8).await?.id()));
    for bytes in spoiled(&record) {
        let said: Option<RecordReply> = asks(&villain, node, Protocol::Record, bytes).await?;
        ensure!(said.is_none(), "it made sense of nonsense: {said:?}");
    }
    for what in [Protocol::Hello, Protocol::Handoff, Protocol::Browse] {
        for bytes in [Vec::new(), vec![codec::VERSION + 1; 64], vec![0xff; 4096]] {
            let said: Option<Welcome> = asks(&villain, node, what, bytes).await?;
            ensure!(said.is_none(), "{what:?}: it made sense of nonsense: {said:?}");
        }
    }

    // The same in a sale: a good order, spoiled; frames that are longer than any may be, or never end.
    let purse = villain.buys(60).await?;
    let (tag, line, open) = villain.opens(&purse, &purse.fresh(), node, (0, 60)).await?;
    let good = codec::encode(&order(&loot, shown(tag, &line, purse.pay(&open, 5)?)?)?);
    let framed =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes(), bytes].concat();
    let mut streams: Vec<Vec<u8>> = spoiled(&good).iter().map(|bytes| framed(bytes)).collect();
    streams.push(u32::MAX.to_le_bytes().to_vec());
    let too_long = u32::try_from(ToVendor::MAX)? + 1;
    streams.push([too_long.to_le_bytes().as_slice(), &vec![1; ToVendor::MAX + 1]].concat());
    for bytes in streams {
        let mut visit = villain.visits(&loot).await?;
        // It may have hung up before all was said.
        let _ = visit.say_bytes(&bytes).await;
        let said = visit.hears().await?;
        ensure!(said.is_none() && visit.units == 0, "{} bytes: it said {said:?}", bytes.len());
    }
    let mut unfinished = villain.visits(&loot).await?;
    unfinished.say_bytes(&framed(&good)[..good.len() / 2]).await?;

    // One who asks properly is served, and what was not said counted for nothing.
    ensure!(vendor.till().await?.is_empty(), "the vendor holds something");
    buy(&swarm, buyer, &offer, false).await?;
    drop(unfinished);
    redeems(&swarm, vendor, 9).await?;
    ensure!(balance(&swarm, vendor).await? == SAVINGS + 9, "the vendor's balance is another");
    Ok(())
}

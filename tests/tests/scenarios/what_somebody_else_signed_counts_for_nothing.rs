use crate::common::purse::shown;
use crate::common::stall::puts;
use crate::common::villain::{Villain, any_hash, treasure};
use crate::common::{SAVINGS, balance, buy, sell, town};
use anyhow::{Context as _, Result, ensure};
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{List, Text, Wire};
use netpay_core::coin::segment::{Handover, SegmentNo};
use netpay_core::content::listing::{Listing, Modes};
use netpay_core::keys::{PublicKey, SecretKey, Signable, Signed, Unverified};
use netpay_core::record::chain::ChainRecord;
use netpay_core::record::index::{Verdict, WhyRefused};
use netpay_core::session::redeem::digest;
use netpay_core::time::HOUR;
use netpay_core::wire::bank::{BankRequest, Buy, Claims, PayIn, Payout, Query, Redeem, Register, Retire};
use netpay_core::wire::handoff::{HandoffReply, HandoffRequest};
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::Funding;
use netpay_node::clock;
use netpay_node::overlay::Protocol;

/// What somebody says, under another's signature.
fn forged<T: Signable + Wire + Clone>(villain: &Villain, value: T) -> Unverified<T> {
    SecretKey::from_seed(&clock::random()).sign(&villain.network, value).wire()
}

#[tokio::test]
async fn a_vendor_takes_no_chain_with_a_forged_signature_in_it() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let offer = treasure(&peers[0], &swarm).await?;
    let purse = villain.buys(60).await?;
    let (tag, line, open) = villain.opens(&purse, &purse.fresh(), offer.node.parse()?, (0, 60)).await?;
    let good = line.record().context("a short line")?;
    // A longer chain than was bought, by the villain's word instead of the broker's.
    let mut longer = purse.touchstone.value().clone();
    longer.n = Cap(16_384);
    let mut by_another_key = good.clone();
    let mut links = good.links.clone().into_vec();
    links[0].open = forged(&villain, open.value().clone());
    by_another_key.links = List::first_of(links);
    let records = [ChainRecord { touchstone: forged(&villain, longer), ..good.clone() }, by_another_key];
    for record in records {
        let funding = Funding::Opened { tag, record, pay: purse.pay(&open, 10)? };
        let refused = villain.is_refused(&offer, funding).await?;
        ensure!(refused == RejectCode::Forged, "refused with {refused:?}");
    }
    ensure!(peers[0].till().await?.is_empty(), "it holds a forged segment");

    // Nor is a sale that is going on closed by anybody but its buyer.
    let mut visit = villain.visits(&offer).await?;
    visit.say(&crate::common::villain::order(&offer, shown(tag, &line, purse.pay(&open, 10)?)?)?).await?;
    visit.gets(20).await?;
    let wish = Handover { chain: purse.id(), j: SegmentNo::FIRST, to: villain.account.public() };
    let request = HandoffRequest { handover: forged(&villain, wish) };
    let reply = villain.ask(offer.node.parse()?, Protocol::Handoff, &request).await?;
    ensure!(matches!(reply, HandoffReply::Reject(_)), "it closed: {reply:?}");
    let till = peers[0].till().await?;
    ensure!(till.iter().all(|held| held.state == "open" && held.coins == 10), "the till holds {till:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_lists_in_anothers_name() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let (buyer, vendor) = (&peers[0], &peers[1]);
    buyer.buy_coins(20).await?;
    let offer = sell(&swarm, vendor, buyer, "honest map.png", 50_000, 6).await?;
    let mut listing = Listing {
        vendor: offer.node.parse()?,
        root: offer.shared.id.parse()?,
        name: Text::cut("honest map.png"),
        size: offer.shared.size,
        price: Coins(1),
        media: Text::cut(""),
        tags: List::new(),
        modes: Modes::PLAIN,
        brokers: List::first_of([villain.broker]),
        sequence: u64::MAX,
        expires: clock::time().plus(HOUR),
        withdrawn: true,
    };
    // Taken back in the vendor's name; under the villain's own name, by somebody else's signature.
    let of_vendor = villain.node.sign(&villain.network, listing.clone());
    listing.vendor = villain.node.public();
    let of_villain = forged(&villain, listing);
    for forged in [of_vendor.wire(), of_villain] {
        for peer in &peers {
            let verdicts = puts(&villain, peer, &forged).await?;
            ensure!(
                verdicts.iter().all(|said| *said == Verdict::Refused(WhyRefused::Forged)),
                "{verdicts:?}"
            );
        }
    }
    buyer.finds("honest map", &offer.shared.id, &offer.node).await?;
    buy(&swarm, buyer, &offer, false).await.map(drop)
}

#[tokio::test]
async fn the_broker_does_nothing_in_anothers_name() -> Result<()> {
    let (swarm, peers) = town(4).await?;
    let villain = Villain::join(&swarm, &peers).await?;
    let victim = &peers[0];
    victim.buy_coins(40).await?;
    let node = victim.status().await?.node;
    let accounts = swarm.broker()?.accounts().await?;
    let account = accounts.iter().find(|account| account.nodes.contains(&node)).context("an account")?;
    let account: PublicKey = account.account.parse()?;
    let chain = victim.chains().await?[0].id.parse()?;
    let voucher = swarm.broker()?.vouchers(100, 1).await?.remove(0).parse()?;
    let chain_key = SecretKey::from_seed(&clock::random());
    let buy = Buy { account, chain_key: chain_key.public(), n: Cap(100), sealing_key: [9; 32] };
    let claims = Claims(List::new());
    let redeem = Redeem { account, claims: digest(&claims) };
    let payout = Payout { account, number: [1; 16], coins: Coins(100), to: Text::cut("elsewhere") };
    let name = Text::cut("thief");
    let register = Register { account, node: villain.node.public(), name, voucher: None };
    let requests = [
        BankRequest::Register(forged(&villain, register)),
        BankRequest::PayIn(forged(&villain, PayIn { account, voucher })),
        BankRequest::Buy {
            by_chain: chain_key.sign(&villain.network, buy.clone()).signature(),
            buy: forged(&villain, buy.clone()),
        },
        BankRequest::Redeem { redeem: forged(&villain, redeem), claims },
        BankRequest::Account(forged(&villain, Query { account, at: clock::time(), after: 0 })),
        BankRequest::Retire(forged(&villain, Retire { account, chains: List::first_of([chain]) })),
        BankRequest::Payout(forged(&villain, payout)),
    ];
    for request in requests {
        let refused = villain.bank_refuses(&request).await?;
        ensure!(refused == RejectCode::Forged, "{request:?}: refused with {refused:?}");
    }
    // Its own account pays for no chain whose key it does not have; claims other than those signed for are none.
    let of_villain = Buy { account: villain.account.public(), ..buy };
    let signed: Signed<Buy> = villain.account.sign(&villain.network, of_villain);
    let request = BankRequest::Buy { by_chain: signed.signature(), buy: signed.wire() };
    ensure!(villain.bank_refuses(&request).await? == RejectCode::Forged);
    let other = Redeem { account: villain.account.public(), claims: any_hash() };
    let redeem = villain.account.sign(&villain.network, other).wire();
    let request = BankRequest::Redeem { redeem, claims: Claims(List::new()) };
    ensure!(villain.bank_refuses(&request).await? == RejectCode::Malformed);

    ensure!(balance(&swarm, victim).await? == SAVINGS - 40, "the victim's balance changed");
    ensure!(villain.balance().await? == SAVINGS, "the villain's balance changed");
    ensure!(victim.chains().await?.iter().all(|chain| !chain.retired), "a chain was given up");
    victim.pay_in(&voucher.to_string()).await?;
    ensure!(balance(&swarm, victim).await? == SAVINGS + 60, "the voucher was lost");
    swarm.broker()?.check().await.map(drop)
}

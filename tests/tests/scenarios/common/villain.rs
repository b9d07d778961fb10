//! Somebody who keeps to no rule: a node of its own in this process, an account and coins as good as anybody's, and
//! whatever messages it likes.

use super::{Offer, SAVINGS, purse::Purse};
use anyhow::{Context as _, Result, bail, ensure};
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{self, List, Text, Wire};
use netpay_core::coin::chain::Chain;
use netpay_core::coin::segment::Open;
use netpay_core::coin::touchstone;
use netpay_core::content::units::Units;
use netpay_core::fair::sealed::SealedUnit;
use netpay_core::id::{NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, SecretKey, Signed, Unverified};
use netpay_core::record::chain::Line;
use netpay_core::wire::bank::{Account, BankReply, BankRequest, Buy, Query, Register};
use netpay_core::wire::hello::{Hello, HolderTag, Membership, Welcome};
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{Funding, Span, TabId, Terms, ToBuyer, ToVendor};
use netpay_node::clock;
use netpay_node::invite::Invite;
use netpay_node::overlay::{self, Overlay, Protocol, Services, Stream};
use netpay_node::sealed::SealingKey;
use netpay_tests::swarm::peer::Peer;
use netpay_tests::swarm::{Swarm, until};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long anybody may take to answer.
const WITHIN: Duration = Duration::from_secs(60);
/// The price of a unit of the goods it is after: one coin for 16 KiB.
const UNIT: u64 = 16 * 1024;
/// Units of them.
pub const UNITS: u64 = 100;

/// Somebody who keeps to no rule.
pub struct Villain {
    pub node: SecretKey,
    pub account: SecretKey,
    pub network: NetworkId,
    pub broker: PublicKey,
    pub bank: PublicKey,
    pub membership: Unverified<Membership>,
    pub overlay: Overlay,
}

impl Villain {
    /// It joins the network, registers as everybody does, and is connected to these peers.
    pub async fn join(swarm: &Swarm, peers: &[Peer]) -> Result<Self> {
        let invite: Invite = swarm.state().invite.parse()?;
        let (node, account) =
            (SecretKey::from_seed(&clock::random()), SecretKey::from_seed(&clock::random()));
        let mut config = overlay::Config::new(node.seed(), &*invite.network);
        config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
        config.local = true;
        let overlay = Overlay::start(config, Services::new()).await?;
        let broker_key = swarm.broker()?.status().await?.broker;
        let bank = node_of(&invite)?;
        overlay.connect(bank, vec![invite.address.clone()]).await?;
        for peer in peers {
            let status = peer.status().await?;
            let addresses = status.addresses.iter().map(|address| address.parse());
            overlay.connect(status.node.parse()?, addresses.collect::<Result<_, _>>()?).await?;
        }
        let (network, broker) = (invite.network_id(), invite.broker);
        ensure!(broker == broker_key.parse()?, "the invite names another broker");
        let membership = register(swarm, &overlay, bank, (&node, &account), &network).await?;
        Ok(Self { node, account, network, broker, bank, membership, overlay })
    }

    /// The same node under another name: an account that nobody knows anything of.
    pub async fn under_another_name(&self, swarm: &Swarm) -> Result<Self> {
        let account = SecretKey::from_seed(&clock::random());
        let (node, overlay, network) = (self.node.clone(), self.overlay.clone(), self.network);
        let membership = register(swarm, &overlay, self.bank, (&node, &account), &network).await?;
        Ok(Self { node, account, network, broker: self.broker, bank: self.bank, membership, overlay })
    }

    /// Asks somebody something.
    pub async fn ask<R: Wire>(&self, to: PublicKey, protocol: Protocol, request: &impl Wire) -> Result<R> {
        ask(&self.overlay, to, protocol, request).await
    }

    /// Asks the broker something.
    pub async fn bank(&self, request: &BankRequest) -> Result<BankReply> {
        self.ask(self.bank, Protocol::Bank, request).await
    }

    /// What the broker says no with.
    pub async fn bank_refuses(&self, request: &BankRequest) -> Result<RejectCode> {
        match self.bank(request).await? {
            BankReply::Reject(reject) => Ok(reject.code),
            other => bail!("expected a refusal, saw {other:?}"),
        }
    }

    /// What its account holds.
    pub async fn balance(&self) -> Result<u64> {
        let query = Query { account: self.account.public(), at: clock::time(), after: u64::MAX };
        let query = self.account.sign(&self.network, query).wire();
        match self.bank(&BankRequest::Account(query)).await? {
            BankReply::Account(account) => Ok(account.balance.0),
            other => bail!("expected an account, saw {other:?}"),
        }
    }

    /// Buys a chain as everybody does: its coins are genuine.
    pub async fn buys(&self, n: u32) -> Result<Purse> {
        let key = SecretKey::from_seed(&clock::random());
        let sealing = SealingKey::from_seed(&clock::random());
        let buy = Buy {
            account: self.account.public(),
            chain_key: key.public(),
            n: Cap(n),
            sealing_key: sealing.public(),
        };
        let by_chain = key.sign(&self.network, buy.clone()).signature();
        let buy = self.account.sign(&self.network, buy).wire();
        let reply = self.bank(&BankRequest::Buy { buy, by_chain }).await?;
        let BankReply::Sold { touchstone, sealed_seed } = reply else { bail!("not sold: {reply:?}") };
        let seed = sealing.open(&sealed_seed, touchstone.hash(&self.network)).context("a sealed seed")?;
        let touchstone = touchstone::verify(touchstone, &self.network, &self.broker)?;
        Ok(Purse { network: self.network, key, touchstone, coins: Chain::grow(&seed, Cap(n)) })
    }

    /// The key that a vendor holds a chain's segments with, under this tag.
    pub async fn holder(&self, vendor: PublicKey, tag: HolderTag) -> Result<PublicKey> {
        let hello = Hello {
            network: self.network,
            name: Text::cut("villain"),
            membership: Some(self.membership.clone()),
            tags: List::first_of([tag]),
            revoked: 0,
        };
        let welcome: Welcome = self.ask(vendor, Protocol::Hello, &hello).await?;
        welcome.holders.first().copied().context("a holder key")
    }

    /// A fresh tag, and a line with one Open of `(start, cap]` under it.
    pub async fn opens(
        &self,
        purse: &Purse,
        line: &Line,
        vendor: PublicKey,
        (start, cap): (u32, u32),
    ) -> Result<(HolderTag, Line, Signed<Open>)> {
        let tag = HolderTag(clock::random());
        let line = purse.opened(line, self.holder(vendor, tag).await?, start, cap)?;
        let open = line.newest().context("opened")?.open.clone();
        Ok((tag, line, open))
    }

    /// Comes in to buy.
    pub async fn visits(&self, offer: &Offer) -> Result<Visit> {
        let stream = self.overlay.open(offer.node.parse()?, Protocol::Trade, WITHIN).await?;
        Ok(Visit { stream, units: 0, sealed: Vec::new() })
    }

    /// Orders all of an offer in this way, and says what it was refused with.
    pub async fn is_refused(&self, offer: &Offer, funding: Funding) -> Result<RejectCode> {
        let mut visit = self.visits(offer).await?;
        visit.say(&order(offer, funding)?).await?;
        let refused = visit.is_refused().await?;
        ensure!(visit.units == 0, "{} units came for nothing", visit.units);
        Ok(refused)
    }
}

/// One stream to a vendor.
pub struct Visit {
    stream: Stream,
    /// Units that came.
    pub units: usize,
    /// Units that came under seal.
    pub sealed: Vec<(SealedUnit, Vec<u8>)>,
}

impl Visit {
    pub async fn say(&mut self, message: &ToVendor) -> Result<()> {
        Ok(self.stream.write_frame(&codec::encode(message), ToVendor::MAX).await?)
    }

    /// Says whatever these bytes are.
    pub async fn say_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next thing the vendor says; a unit is counted. `None` if it hung up.
    pub async fn hears(&mut self) -> Result<Option<ToBuyer>> {
        let heard = async {
            let Ok(frame) = self.stream.read_frame(ToBuyer::MAX).await else { return Ok(None) };
            let message: ToBuyer = codec::decode(&frame)?;
            if let ToBuyer::Unit { len, .. } | ToBuyer::SealedUnit(SealedUnit { len, .. }) = &message {
                let mut bytes = vec![0; usize::try_from(*len)?];
                self.stream.read_exact(&mut bytes).await?;
                match &message {
                    ToBuyer::SealedUnit(unit) => self.sealed.push((unit.clone(), bytes)),
                    _ => self.units += 1,
                }
            }
            anyhow::Ok(Some(message))
        };
        tokio::time::timeout(WITHIN, heard).await.context("the vendor says nothing")?
    }

    /// Waits until so many units came in all.
    pub async fn gets(&mut self, units: usize) -> Result<()> {
        while self.units < units {
            match self.hears().await? {
                Some(ToBuyer::Unit { .. } | ToBuyer::Certified(_)) => {}
                other => bail!("expected {units} units, saw {} and {other:?}", self.units),
            }
        }
        Ok(())
    }

    /// Waits for the refusal.
    pub async fn is_refused(&mut self) -> Result<RejectCode> {
        loop {
            match self.hears().await? {
                Some(ToBuyer::Reject { reject, .. }) => return Ok(reject.code),
                Some(ToBuyer::Unit { .. } | ToBuyer::SealedUnit(_) | ToBuyer::Certified(_)) => {}
                other => bail!("expected a refusal, saw {other:?}"),
            }
        }
    }

    /// Says that nothing more is wanted, and waits for the receipts: everything that was to come has come then.
    pub async fn closes(&mut self) -> Result<usize> {
        self.say(&ToVendor::Close).await?;
        loop {
            match self.hears().await? {
                Some(ToBuyer::Receipt(closes)) => return Ok(closes.len()),
                Some(ToBuyer::Unit { .. } | ToBuyer::Certified(_)) => {}
                other => bail!("expected receipts, saw {other:?}"),
            }
        }
    }
}

/// Something worth its price: a hundred units of one coin each.
pub async fn treasure(vendor: &Peer, swarm: &Swarm) -> Result<Offer> {
    let name = format!("treasure of {}.bin", vendor.name());
    let original = netpay_tests::swarm::goods::make(&swarm.goods(), &name, UNITS * UNIT, 7)?;
    let shared = vendor.share(&original, UNITS, &[]).await?;
    Ok(Offer { node: vendor.status().await?.node, original, shared })
}

/// An order of all units of 16 KiB, on a tab of its own.
pub fn order(offer: &Offer, funding: Funding) -> Result<ToVendor> {
    let units = Units::new(offer.shared.size, 0).context("a size")?;
    let terms = Terms {
        root: offer.shared.id.parse()?,
        size: offer.shared.size,
        price: Coins(offer.shared.price),
        unit_log: 0,
    };
    let span = Span { first: 0, count: units.count() };
    Ok(ToVendor::Order { tab: TabId(clock::random()), terms, span, funding })
}

/// Waits until somebody was convicted by so many proofs.
pub async fn convictions(swarm: &Swarm, count: usize) -> Result<()> {
    let broker = swarm.broker()?;
    let noted = async || Ok((broker.status().await?.convictions >= count).then_some(()));
    until("the evidence to reach the broker", WITHIN, noted).await?;
    let seen = broker.status().await?.convictions;
    ensure!(seen == count, "expected {count} convictions, saw {seen}");
    Ok(())
}

/// The hash of nothing in particular.
pub fn any_hash() -> ObjectHash {
    ObjectHash(clock::random())
}

/// Registers as everybody does, with some savings.
async fn register(
    swarm: &Swarm,
    overlay: &Overlay,
    bank: PublicKey,
    (node, account): (&SecretKey, &SecretKey),
    network: &NetworkId,
) -> Result<Unverified<Membership>> {
    let voucher = swarm.broker()?.vouchers(SAVINGS, 1).await?.remove(0);
    let register = Register {
        account: account.public(),
        node: node.public(),
        name: Text::cut("villain"),
        voucher: Some(voucher.parse()?),
    };
    let register = account.sign(network, register).wire();
    match ask(overlay, bank, Protocol::Bank, &BankRequest::Register(register)).await? {
        BankReply::Account(Account { membership, .. }) => membership.context("a membership"),
        reply => bail!("not registered: {reply:?}"),
    }
}

async fn ask<R: Wire>(overlay: &Overlay, to: PublicKey, what: Protocol, request: &impl Wire) -> Result<R> {
    let reply = overlay.request(to, what, codec::encode(request), WITHIN).await?;
    Ok(codec::decode(&reply)?)
}

/// The node that an invite leads to: its peer id holds its key.
fn node_of(invite: &Invite) -> Result<PublicKey> {
    let peer = invite.address.iter().last().context("an address")?.to_string();
    let peer = peer.strip_prefix("/p2p/").context("a peer id")?;
    overlay::node_key(&peer.parse()?).context("an Ed25519 key")
}

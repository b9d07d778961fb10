//! A villain's stall: it sells one small file for real, and claims whatever it likes.

use super::Offer;
use super::villain::Villain;
use anyhow::{Context as _, Result, bail};
use netpay_core::amount::{Coins, Index};
use netpay_core::codec::{self, List, Text, Wire};
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::{Close, Open, pay_to};
use netpay_core::content::listing::{Listing, Modes};
use netpay_core::id::{ContentRoot, NetworkId};
use netpay_core::keys::{PublicKey, Signed, Unverified};
use netpay_core::record::index::Verdict;
use netpay_core::session::redeem::digest;
use netpay_core::time::HOUR;
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, Claims, Outcome, Redeem};
use netpay_core::wire::handoff::HandoffReply;
use netpay_core::wire::hello::{Hello, HolderTag, Welcome};
use netpay_core::wire::index::{IndexReply, IndexRequest, PutListing};
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_core::wire::reject::{Reject, RejectCode};
use netpay_core::wire::trade::{Funding, ToBuyer, ToVendor};
use netpay_node::app::view::SharedFile;
use netpay_node::clock;
use netpay_node::overlay::{Protocol, Stream, handler};
use netpay_tests::swarm::peer::Peer;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

/// Opens the stall's `pay_to`.
const SALT: [u8; 32] = [3; 32];

/// One segment, as it was opened and paid.
#[derive(Clone)]
pub struct Held {
    tag: HolderTag,
    open: Signed<Open>,
    pay: Pay,
}

/// What the stall holds, and how far above its lease's end it says that it was paid when somebody asks.
#[derive(Clone)]
pub struct Stall {
    secret: [u8; 32],
    network: NetworkId,
    account: PublicKey,
    held: Arc<Mutex<Vec<Held>>>,
    above: Arc<Mutex<u32>>,
    /// Whether it hangs up after the next unit.
    drops_out: Arc<AtomicBool>,
    /// Whether it leaves those without an answer who ask it to close.
    withholds: Arc<AtomicBool>,
    /// How often a buyer came back to settle what a break left open.
    settled: Arc<AtomicUsize>,
}

impl Stall {
    /// Opens a stall: whoever comes is served this file, which is one unit.
    pub fn open(villain: &Villain, goods: Vec<u8>) -> Self {
        let stall = Self {
            secret: clock::random(),
            network: villain.network,
            account: villain.account.public(),
            held: Arc::default(),
            above: Arc::default(),
            drops_out: Arc::default(),
            withholds: Arc::default(),
            settled: Arc::default(),
        };
        greets(villain, stall.secret);
        let here = stall.clone();
        let handoff = handler(move |_, _| {
            let here = here.clone();
            async move {
                let newest = here.held().last().cloned();
                Some(codec::encode(&match newest {
                    Some(held) => HandoffReply::Closed(here.overclaim(&held)),
                    None => HandoffReply::Reject(Reject::new(RejectCode::UnknownChain, "nothing here")),
                }))
            }
        });
        villain.overlay.serve(Protocol::Handoff, handoff);
        let (streams, visitors) = mpsc::channel(8);
        villain.overlay.serve_streams(Protocol::Trade, streams);
        tokio::spawn(stall.clone().serve(visitors, goods));
        stall
    }

    /// From now on it claims so many coins above its lease.
    pub fn claims_above(&self, coins: u32) {
        *self.above.lock().unwrap_or_else(PoisonError::into_inner) = coins;
    }

    /// It hangs up after the next unit that it sends.
    pub fn drops_out(&self) {
        self.drops_out.store(true, Ordering::Relaxed);
    }

    /// Whether from now on nobody gets a receipt at the end of a sale.
    pub fn withholds_receipts(&self, withholds: bool) {
        self.withholds.store(withholds, Ordering::Relaxed);
    }

    /// How often a buyer came back to settle.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::Relaxed)
    }

    /// The segments it was paid in.
    pub fn held(&self) -> Vec<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Coins it was really paid.
    pub fn earned(&self) -> u64 {
        self.held().iter().map(|held| u64::from(held.pay.index.0 - held.open.start.0)).sum()
    }

    async fn serve(self, mut visitors: mpsc::Receiver<(PublicKey, Stream)>, goods: Vec<u8>) {
        while let Some((_, stream)) = visitors.recv().await {
            // A buyer that hangs up ends its sale.
            tokio::spawn(self.clone().sale(stream, goods.clone()));
        }
    }

    async fn sale(self, mut stream: Stream, goods: Vec<u8>) -> Result<()> {
        loop {
            let frame = stream.read_frame(ToVendor::MAX).await?;
            let reply = match codec::decode(&frame)? {
                ToVendor::Order { funding, .. } => {
                    self.takes(funding)?;
                    let len = u32::try_from(goods.len())?;
                    Some(ToBuyer::Unit { unit: 0, len, proof: List::new() })
                }
                ToVendor::Pay { pay, .. } => {
                    self.counts(pay);
                    None
                }
                ToVendor::Close if self.withholds.load(Ordering::Relaxed) => None,
                ToVendor::Close => {
                    let newest = self.held().last().cloned().context("nothing was opened")?;
                    Some(ToBuyer::Receipt(List::first_of([self.overclaim(&newest)])))
                }
                ToVendor::Done => Some(ToBuyer::Receipt(List::new())),
                ToVendor::Settle { .. } => {
                    self.settled.fetch_add(1, Ordering::Relaxed);
                    let closes = self.held().into_iter().map(|held| self.close(&held, held.pay.index));
                    Some(ToBuyer::Receipt(List::first_of(closes)))
                }
                ToVendor::Want(_) | ToVendor::Open { .. } => None,
                ToVendor::AskDeal { .. } | ToVendor::OpenFair { .. } => None,
            };
            let Some(reply) = reply else { continue };
            stream.write_frame(&codec::encode(&reply), ToBuyer::MAX).await?;
            if matches!(reply, ToBuyer::Unit { .. }) {
                stream.write_all(&goods).await?;
                stream.flush().await?;
                if self.drops_out.swap(false, Ordering::Relaxed) {
                    return Ok(());
                }
            }
        }
    }

    fn takes(&self, funding: Funding) -> Result<()> {
        let (tag, record, pay) = match funding {
            Funding::Opened { tag, record, pay } => (tag, record, pay),
            Funding::Continue { pay, .. } => {
                self.counts(pay);
                return Ok(());
            }
            Funding::Free => return Ok(()),
            Funding::Handover { .. } => bail!("not sold like this here"),
        };
        let key = record.touchstone.claim()?.chain_key;
        let holder = tag.holder(&self.secret).public();
        let opens = record.links.into_vec().into_iter().map(|link| link.open.verify(&self.network, &key));
        let opens = opens.collect::<Result<Vec<_>, _>>()?;
        let open = opens.into_iter().rfind(|open| open.holder == holder).context("an Open for this stall")?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Held { tag, open, pay });
        Ok(())
    }

    fn counts(&self, pay: Pay) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.iter_mut().rfind(|held| held.open.j == pay.j) {
            held.pay = pay;
        }
    }

    /// A Close of the whole lease, or more, with the releases that were paid: there are no others.
    fn overclaim(&self, held: &Held) -> Unverified<Close> {
        let above = *self.above.lock().unwrap_or_else(PoisonError::into_inner);
        self.close(held, Index(held.open.cap.0 + above))
    }

    fn close(&self, held: &Held, end: Index) -> Unverified<Close> {
        let close = Close {
            chain: held.open.chain,
            j: held.open.j,
            open: held.open.hash(),
            end,
            coin: held.pay.coin,
            release: held.pay.release,
            pay_to: pay_to(&SALT, &self.account),
        };
        held.tag.holder(&self.secret).sign(&self.network, close).wire()
    }

    /// Claims a segment at the broker, up to its lease's end (`all`) or what was really paid.
    pub async fn redeems(&self, villain: &Villain, held: &Held, all: bool) -> Result<Outcome> {
        let end = if all { held.open.cap.as_index() } else { held.pay.index };
        let (open, close) = (held.open.wire(), self.close(held, end));
        let claims =
            Claims(List::first_of([Claim { open, close, salt: SALT, certificate: None, key: None }]));
        claim(villain, claims).await
    }
}

/// Whoever says hello is told the holder keys that follow from this secret.
pub fn greets(villain: &Villain, secret: [u8; 32]) {
    let (network, membership) = (villain.network, villain.membership.clone());
    let hello = handler(move |_, frame: Vec<u8>| {
        let membership = membership.clone();
        async move {
            let hello: Hello = codec::decode(&frame).ok()?;
            let holders = hello.tags.iter().map(|tag| tag.holder(&secret).public());
            let (name, holders) = (Text::cut("villain"), List::first_of(holders));
            Some(codec::encode(&Welcome { network, name, membership: Some(membership), holders, revoked: 0 }))
        }
    });
    villain.overlay.serve(Protocol::Hello, hello);
}

/// Brings one claim to the broker in the villain's name.
pub async fn claim(villain: &Villain, claims: Claims) -> Result<Outcome> {
    let redeem = Redeem { account: villain.account.public(), claims: digest(&claims) };
    let redeem = villain.account.sign(&villain.network, redeem).wire();
    match villain.bank(&BankRequest::Redeem { redeem, claims }).await? {
        BankReply::Redeemed(outcomes) if outcomes.len() == 1 => Ok(outcomes.into_vec().remove(0).2),
        other => bail!("expected one outcome, saw {other:?}"),
    }
}

/// A listing of such a file under this name, signed by the villain.
pub fn listing(villain: &Villain, goods: &[u8], name: &str, price: u64) -> Result<Unverified<Listing>> {
    let listing = Listing {
        vendor: villain.node.public(),
        root: ContentRoot(*blake3::hash(goods).as_bytes()),
        name: Text::try_from(name)?,
        size: goods.len() as u64,
        price: Coins(price),
        media: Text::cut(""),
        tags: List::new(),
        modes: Modes::BOTH,
        brokers: List::first_of([villain.broker]),
        sequence: clock::time().0,
        expires: clock::time().plus(HOUR),
        withdrawn: false,
    };
    Ok(villain.node.sign(&villain.network, listing).wire())
}

/// Puts a listing at a member, at all its places.
pub async fn puts(villain: &Villain, to: &Peer, listing: &Unverified<Listing>) -> Result<Vec<Verdict>> {
    let places = List::first_of(0..u8::try_from(listing.claim()?.places().len())?);
    let put = PutListing { listing: listing.clone(), places };
    let membership = Some(villain.membership.clone());
    let request =
        RecordRequest::Index(IndexRequest::PutListings { membership, listings: List::first_of([put]) });
    let reply = villain.ask(to.status().await?.node.parse()?, Protocol::Record, &request).await?;
    let RecordReply::Index(IndexReply::Put(verdicts)) = reply else { bail!("no verdict: {reply:?}") };
    Ok(verdicts.into_vec().into_iter().flat_map(List::into_vec).collect())
}

/// Lists the stall's goods at all members; what a buyer of it compares with is in `directory`.
pub async fn offers(
    villain: &Villain,
    peers: &[Peer],
    (directory, name): (&Path, &str),
    goods: &[u8],
    price: u64,
) -> Result<Offer> {
    let original = directory.join(format!("{}.original", villain.node.public()));
    std::fs::create_dir_all(directory)?;
    std::fs::write(&original, goods)?;
    let listing = listing(villain, goods, name, price)?;
    for peer in peers {
        puts(villain, peer, &listing).await?;
    }
    let (id, size) = (listing.claim()?.root.to_string(), goods.len() as u64);
    let shared = SharedFile { id, name: name.to_owned(), size, price, ..SharedFile::default() };
    Ok(Offer { node: villain.node.public().to_string(), original, shared })
}

//! A stall in fair mode: the vendor's own machine and till over a real socket, bent at one place.

use super::stall::greets;
use super::villain::Villain;
use anyhow::{Context as _, Result, bail, ensure};
use netpay_core::amount::{Coins, Count};
use netpay_core::codec::{self, List, Wire as _};
use netpay_core::coin::key::Key;
use netpay_core::coin::payment::Pay;
use netpay_core::coin::segment::{Close, Open, pay_to};
use netpay_core::content::tree::{Tree, TreeBuilder};
use netpay_core::content::units::{GROUP, Units};
use netpay_core::fair::deal::Deal;
use netpay_core::fair::policy::Fair;
use netpay_core::fair::sealed::{self, Leaves, Sealed, SealedUnit, UnitKey};
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, SecretKey, Signed, Unverified};
use netpay_core::record::chain::ChainRecord;
use netpay_core::session::fair_vendor::FairVendor;
use netpay_core::session::redeem;
use netpay_core::session::vendor::{Input, Offer, Output, Policy, Shop};
use netpay_core::till::Till;
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, Claims, Outcome, Redeem};
use netpay_core::wire::hello::HolderTag;
use netpay_core::wire::trade::{ToBuyer, ToVendor};
use netpay_node::clock;
use netpay_node::overlay::{Protocol, Stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

/// The place where a stall keeps to no rule.
#[derive(Clone, Copy)]
pub enum Bend {
    /// What it puts under seal is not what it listed.
    Junk,
    /// It takes the payment of the first unit, which is sold last of all but the file's end, and gives no key.
    KeepsLastKey,
    /// The root of keys in its deal is one that nobody has keys for.
    GarbageKeys,
    /// It takes the first payment, and is never seen again.
    Vanishes,
    /// The first deal is its answer to all that come after.
    OldDeal,
    /// Its deal is about something else than was asked for.
    Swaps(fn(&mut Deal)),
}

/// What a buyer opened and paid first.
struct Opened {
    tag: HolderTag,
    open: Signed<Open>,
    close: Close,
}

struct Books {
    till: Till,
    /// The first deal that it ever made.
    first: Option<Unverified<Deal>>,
    /// The deal it made up, where it does not keep to its machine's.
    made_up: Option<Signed<Deal>>,
    opened: Vec<Opened>,
    /// Whence the holder key of whoever asked last.
    tag: HolderTag,
    is_gone: bool,
}

struct Counter {
    network: NetworkId,
    broker: PublicKey,
    account: SecretKey,
    secret: [u8; 32],
    content: Vec<u8>,
    tree: Tree,
    price: Coins,
    bend: Bend,
    books: Mutex<Books>,
}

/// A stall that sells one file in fair mode.
#[derive(Clone)]
pub struct SealedStall(Arc<Counter>);

/// What it says.
enum Said {
    Message(ToBuyer),
    Unit(SealedUnit, Vec<u8>),
}

impl SealedStall {
    /// Opens a stall, bent at this place: whoever comes is sold this content at this price.
    pub fn open(villain: &Villain, content: Vec<u8>, price: u64, bend: Bend) -> Self {
        let secret = clock::random();
        let mut builder = TreeBuilder::new();
        builder.update(&content);
        let (till, tag) = (Till::new(villain.network, secret, villain.account.public()), HolderTag([0; 16]));
        let books = Books { till, first: None, made_up: None, opened: Vec::new(), tag, is_gone: false };
        let stall = Self(Arc::new(Counter {
            network: villain.network,
            broker: villain.broker,
            account: villain.account.clone(),
            secret,
            content,
            tree: builder.finish(),
            price: Coins(price),
            bend,
            books: Mutex::new(books),
        }));
        greets(villain, secret);
        let (streams, mut visitors) = mpsc::channel(8);
        villain.overlay.serve_streams(Protocol::Trade, streams);
        let here = stall.clone();
        tokio::spawn(async move {
            while let Some((_, stream)) = visitors.recv().await {
                // A buyer that hangs up ends its sale.
                tokio::spawn(here.clone().sale(stream));
            }
        });
        stall
    }

    /// Coins it was paid.
    pub fn earned(&self) -> u64 {
        self.books().till.all().map(|held| u64::from(held.paid().0)).sum()
    }

    /// Brings all that it was paid to the broker, each claim with its key.
    pub async fn redeems(&self, villain: &Villain) -> Result<Vec<Outcome>> {
        let request = {
            let till = &mut self.books().till;
            let open: Vec<_> = till.all().map(|held| (held.open().chain, held.open().j)).collect();
            for (chain, j) in &open {
                till.close(chain, *j)?;
            }
            let rows = till.all().filter_map(|held| {
                let row = till.row(&held.open().chain, held.open().j)?;
                Some((row, till.salt(&held.tag())))
            });
            redeem::request(&self.0.network, &self.0.account, &rows.collect::<Vec<_>>())
        };
        let (request, _) = request.context("something to claim")?;
        outcomes(villain, &request).await
    }

    /// Claims what was paid under a deal that it made up, with any key.
    pub async fn claims_made_up(&self, villain: &Villain) -> Result<Vec<Outcome>> {
        let claim = |opened: &Opened| Claim {
            open: opened.open.clone().wire(),
            close: opened.tag.holder(&self.0.secret).sign(&self.0.network, opened.close.clone()).wire(),
            salt: self.0.secret,
            certificate: None,
            key: Some(Key([1; 32])),
        };
        let claims = Claims(List::first_of(self.books().opened.iter().map(claim)));
        ensure!(!claims.0.is_empty(), "nothing was opened");
        let redeem = Redeem { account: self.0.account.public(), claims: redeem::digest(&claims) };
        let redeem = self.0.account.sign(&self.0.network, redeem).wire();
        outcomes(villain, &BankRequest::Redeem { redeem, claims }).await
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sale(self, mut stream: Stream) -> Result<()> {
        let policy = Policy { per_chain: Coins(1_000), in_all: Coins(1_000) };
        let (network, broker) = (self.0.network, self.0.broker);
        let mut machine = FairVendor::new(Shop { network, broker, policy, fair: Fair::Always });
        loop {
            let frame = stream.read_frame(ToVendor::MAX).await?;
            if self.books().is_gone {
                return Ok(());
            }
            let message: ToVendor = codec::decode(&frame)?;
            for said in self.answers(&mut machine, message)? {
                let (message, bytes) = match said {
                    Said::Message(message) => (message, Vec::new()),
                    Said::Unit(unit, bytes) => (ToBuyer::SealedUnit(unit), bytes),
                };
                stream.write_frame(&codec::encode(&message), ToBuyer::MAX).await?;
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            }
            if machine.is_over() {
                return Ok(());
            }
        }
    }

    /// What it says to a message: what its machine has it say, bent.
    fn answers(&self, machine: &mut FairVendor, message: ToVendor) -> Result<Vec<Said>> {
        let mut books = self.books();
        if let ToVendor::OpenFair { tag, record, pay: Some(pay) } = &message {
            self.notes(&mut books, *tag, record, pay)?;
            books.is_gone = matches!(self.0.bend, Bend::Vanishes);
        }
        if let ToVendor::AskDeal { tag, .. } | ToVendor::OpenFair { tag, .. } = &message {
            books.tag = *tag;
        }
        let offer = Offer::Offered { price: self.0.price, size: self.0.content.len() as u64 };
        let input = match message {
            ToVendor::AskDeal { .. } => Input::Ordered(Box::new(message), offer),
            message => Input::Heard(Box::new(message)),
        };
        let mut out = Vec::new();
        machine.handle(clock::now(), input, &mut books.till, &mut out);
        let (mut said, mut sent) = (Vec::new(), out.len());
        while sent > 0 {
            for output in out.drain(..) {
                match output {
                    Output::Send(message) if self.keeps_back(machine, &message) => {}
                    Output::Send(message) => said.push(self.bend(&mut books, *message)?),
                    Output::SendUnit(b) => {
                        let deal = machine.deal().context("a deal")?;
                        said.push(self.seal(&books, books.made_up.as_ref().unwrap_or(deal), b)?);
                    }
                    _ => {}
                }
            }
            machine.handle(clock::now(), Input::Ready, &mut books.till, &mut out);
            sent = out.len();
        }
        if books.is_gone {
            bail!("it is gone");
        }
        Ok(said)
    }

    /// Notes what was opened here and paid first.
    fn notes(&self, books: &mut Books, tag: HolderTag, record: &ChainRecord, pay: &Pay) -> Result<()> {
        let (key, holder) = (record.touchstone.claim()?.chain_key, tag.holder(&self.0.secret).public());
        let opens = record.links.iter().map(|link| link.open.clone().verify(&self.0.network, &key));
        let opens = opens.collect::<Result<Vec<_>, _>>()?;
        let open = opens.into_iter().rfind(|open| open.holder == holder).context("an Open for this stall")?;
        if books.opened.iter().all(|known| known.open.hash() != open.hash()) {
            let pay_to = pay_to(&self.0.secret, &self.0.account.public());
            let (chain, j, hash) = (open.chain, open.j, open.hash());
            let (end, coin, release) = (pay.index, pay.coin, pay.release);
            let close = Close { chain, j, open: hash, end, coin, release, pay_to };
            books.opened.push(Opened { tag, open, close });
        }
        Ok(())
    }

    fn keeps_back(&self, machine: &FairVendor, message: &ToBuyer) -> bool {
        let is_last = || machine.deal().is_some_and(|deal| deal.first == 0);
        matches!((message, self.0.bend), (ToBuyer::Key { .. }, Bend::KeepsLastKey)) && is_last()
    }

    fn bend(&self, books: &mut Books, message: ToBuyer) -> Result<Said> {
        let message = match (message, self.0.bend) {
            (ToBuyer::Deal(deal), Bend::OldDeal) => ToBuyer::Deal(books.first.get_or_insert(deal).clone()),
            (ToBuyer::Deal(deal), Bend::GarbageKeys) => {
                self.makes_up(books, &deal, |deal| deal.key_root = Key([66; 32]))?
            }
            (ToBuyer::Deal(deal), Bend::Swaps(swap)) => self.makes_up(books, &deal, swap)?,
            // Its machine does not know the deal that it made up.
            (ToBuyer::Reject { .. }, Bend::GarbageKeys) => ToBuyer::Key { m: Count(1), key: Key([1; 32]) },
            (message, _) => message,
        };
        Ok(Said::Message(message))
    }

    fn makes_up(&self, books: &mut Books, deal: &Unverified<Deal>, bend: fn(&mut Deal)) -> Result<ToBuyer> {
        let mut deal = deal.claim()?;
        bend(&mut deal);
        let deal = books.tag.holder(&self.0.secret).sign(&self.0.network, deal);
        books.made_up = Some(deal.clone());
        Ok(ToBuyer::Deal(deal.wire()))
    }

    /// Puts a unit under seal, whatever it is.
    fn seal(&self, books: &Books, deal: &Signed<Deal>, b: u64) -> Result<Said> {
        let counter = &*self.0;
        let units = Units::new(counter.content.len() as u64, deal.unit_log).context("a geometry")?;
        let range = units.range(b).context("a unit")?;
        let mut bytes = counter.content[usize::try_from(range.start)?..usize::try_from(range.end)?].to_vec();
        let len = bytes.len();
        bytes[0] ^= u8::from(matches!(counter.bend, Bend::Junk));
        let keys = books.till.deal(&deal.hash()).and_then(|deal| books.till.keys_of(deal));
        let key = deal.key_coin(b).zip(keys).and_then(|(m, keys)| keys.link(m)).unwrap_or(Key([1; 32]));
        sealed::turn(&UnitKey::of(&key, &deal.hash(), b), &mut bytes);
        let said = Sealed { deal: deal.hash(), unit: b, root: sealed::root_of(&bytes) };
        let first = usize::try_from(sealed::first_leaf(units, b))?;
        let leaves = if counter.content.len() as u64 <= GROUP {
            Leaves::new()
        } else {
            let count = len.div_ceil(usize::try_from(GROUP)?);
            Leaves::first_of(counter.tree.nodes()[first..first + count].iter().copied())
        };
        let proof = counter.tree.proof(units, b).context("a unit")?;
        let signature = books.tag.holder(&counter.secret).sign(&counter.network, said).signature();
        let unit = SealedUnit { unit: b, len: u32::try_from(len)?, proof, leaves, signature };
        Ok(Said::Unit(unit, bytes))
    }
}

async fn outcomes(villain: &Villain, request: &BankRequest) -> Result<Vec<Outcome>> {
    match villain.bank(request).await? {
        BankReply::Redeemed(outcomes) => {
            Ok(outcomes.into_vec().into_iter().map(|(_, _, outcome)| outcome).collect())
        }
        other => bail!("expected outcomes, saw {other:?}"),
    }
}

//! One visit to a vendor: the buyer's machine at its end of `/netpay/trade/1`.
//!
//! What the machine decides becomes durable in one write, with the rows of the units that it pays for, before any of
//! it is said.

use super::rows::TabRow;
use crate::app::pipe::{self, Step};
use crate::app::vault::Purse;
use crate::app::{Node, Trouble};
use crate::clock;
use crate::overlay::{Protocol, RequestError, Stream};
use crate::store::{Batch, Commit};
use futures::FutureExt as _;
use netpay_core::amount::Coins;
use netpay_core::codec::{self, Wire};
use netpay_core::content::tree::Proof;
use netpay_core::content::units::MAX_UNIT;
use netpay_core::fair::policy::Mode;
use netpay_core::fair::sealed::SealedUnit;
use netpay_core::keys::PublicKey;
use netpay_core::session::buyer::{Buyer, Input, Output, Purchase};
use netpay_core::wallet::{Wallet, WalletChange};
use netpay_core::wire::trade::ToBuyer;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, ReadHalf};
use tokio::sync::mpsc;

/// How long a vendor may take to answer the dial and the order.
const OPEN_TIMEOUT: Duration = Duration::from_secs(8);
/// A vendor that sends nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(20);
/// Messages and units read ahead of being looked at.
pub(super) const AHEAD: usize = 8;
/// Steps waiting for the writer.
const OUTBOX: usize = 4;
/// Tags asked for per visit: as many chains can be begun in it.
const TAGS: usize = 3;

/// What the vendor sent.
pub(super) enum Heard {
    Message(ToBuyer),
    Unit { unit: u64, proof: Proof, bytes: Vec<u8> },
    Sealed(Box<SealedUnit>, Vec<u8>),
}

/// The two ends of a line to a vendor.
pub(super) struct Line {
    pub inbox: mpsc::Receiver<Heard>,
    pub outbox: mpsc::Sender<Step>,
}

impl Line {
    /// Calls a vendor.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn dial(node: &Node, vendor: PublicKey) -> Result<Self, Trouble> {
        let stream = node.overlay().open(vendor, Protocol::Trade, OPEN_TIMEOUT).await;
        let (reader, writer) = tokio::io::split(stream.map_err(Trouble::PeerUnreachable)?);
        let (to_inbox, inbox) = mpsc::channel(AHEAD);
        let (outbox, steps) = mpsc::channel(OUTBOX);
        // A buyer sends no goods.
        let (_, no_goods) = mpsc::channel(1);
        tokio::spawn(read(reader, to_inbox));
        tokio::spawn(pipe::write(writer, steps, no_goods));
        Ok(Self { inbox, outbox })
    }

    /// Has the writer do this next.
    ///
    /// # Errors
    /// If the line is gone.
    pub async fn send(&self, step: Step) -> Result<(), Trouble> {
        self.outbox.send(step).await.map_err(|_| closed())
    }
}

/// A visit that goes on.
pub(super) struct Visit {
    pub node: Node,
    /// The download it is for.
    pub id: u64,
    pub vendor: PublicKey,
    /// The vendor's price of the whole file.
    pub price: Coins,
    /// Which of the download's tabs.
    pub tab: usize,
    pub buyer: Buyer,
    /// How it ended, once it has.
    pub over: Option<Result<(), Trouble>>,
    line: Line,
}

impl Visit {
    /// Calls on a vendor, for what `purchase` makes of the tab there.
    ///
    /// # Errors
    /// If the vendor cannot be reached.
    pub async fn open(
        node: &Node,
        id: u64,
        vendor: PublicKey,
        price: Coins,
        purchase: impl FnOnce(usize, &TabRow) -> Purchase,
    ) -> Result<Self, Trouble> {
        let line = Line::dial(node, vendor).await?;
        let (tab, row) = node.tab_of(id, vendor, price, Mode::Plain)?;
        let fresh = if price > Coins::ZERO { node.sellers(vendor, TAGS).await? } else { Vec::new() };
        let buyer = Buyer::new(purchase(tab, &row), vendor, fresh);
        Ok(Self { node: node.clone(), id, vendor, price, tab, buyer, over: None, line })
    }

    /// Waits for what the vendor sends next.
    ///
    /// # Errors
    /// If it hangs up or falls silent, or this node stops.
    pub async fn heard(&mut self) -> Result<Heard, Trouble> {
        tokio::select! {
            heard = self.line.inbox.recv() => heard.ok_or_else(closed),
            () = self.node.stopped() => Err(Trouble::Stopping),
            () = tokio::time::sleep(IDLE) => Err(Trouble::TimedOut),
        }
    }

    /// What the vendor sent beside that already.
    pub fn heard_more(&mut self) -> Option<Heard> {
        self.line.inbox.try_recv().ok()
    }

    /// Gives the machine its inputs and passes on what it wants done; `units` are the rows of those verified.
    ///
    /// # Errors
    /// If the wallet is locked, or the stream is gone.
    pub async fn step(&mut self, inputs: Vec<Input>, units: Batch) -> Result<(), Trouble> {
        let now = clock::now();
        let node = self.node.clone();
        let mut out = Vec::new();
        let paid_before = self.buyer.paid();
        // The rows go to the store while the wallet is held, so that they reach the disk in order.
        let commit = if self.price > Coins::ZERO {
            node.purse(|purse| {
                node.note_receipts(&purse.wallet, self.id, inputs.iter().filter_map(heard));
                for input in inputs {
                    self.buyer.handle(now, input, &mut purse.wallet, &mut out);
                }
                self.buyer.handle(now, Input::Settle, &mut purse.wallet, &mut out);
                let changes = out.iter().filter_map(|output| match output {
                    Output::Persist { changes, .. } => Some(changes.clone()),
                    _ => None,
                });
                self.commit(paid_before, units, Some((purse, changes.flatten().collect())))
            })?
        } else {
            let mut nothing = Wallet::new(node.network(), node.broker_key(), [0; 32]);
            inputs.into_iter().for_each(|input| self.buyer.handle(now, input, &mut nothing, &mut out));
            self.commit(paid_before, units, None)
        };
        if !commit.is_nothing() {
            self.send(Step::Commit(commit.shared())).await?;
        }
        for output in out {
            match output {
                Output::Persist { .. } => {}
                Output::Send(message) => self.send(Step::Say(codec::encode(&*message))).await?,
                Output::Finished => self.over = Some(Ok(())),
                Output::Refused(reject) => self.over = Some(Err(Trouble::Refused(reject))),
                Output::OutOfCoins => self.over = Some(Err(self.out_of_coins())),
            }
        }
        Ok(())
    }

    /// Hands the rows of units verified, of the tab and of the wallet's changes to the store.
    fn commit(
        &self,
        paid_before: Coins,
        batch: Batch,
        wallet: Option<(&Purse, Vec<WalletChange>)>,
    ) -> Commit {
        let (paid, owed) = (self.buyer.paid(), self.buyer.owed());
        // Beside units goes the row with the tab that they are of.
        let is_new = !batch.is_empty() || paid != paid_before;
        let change = |tab: &mut TabRow| (tab.paid, tab.owed) = (paid, owed);
        self.node.commit_tab((self.id, self.tab), is_new, change, batch, wallet)
    }

    /// Notes what a message means for the download.
    pub fn note(&self, message: &ToBuyer) {
        let (node, id) = (&self.node, self.id);
        match message {
            ToBuyer::Settled(_) => node.happened(id, "handoff", "the last vendor closed; the chain moves on"),
            ToBuyer::Unsettled => {
                node.happened(id, "handoff", "the last vendor is gone; the chain moves on at its cap")
            }
            ToBuyer::Reject { reject, .. } => node.happened(id, "refused", &reject.to_string()),
            ToBuyer::Unit { .. } | ToBuyer::Certified(_) | ToBuyer::Receipt(_) => {}
            // Of fair mode, which is not asked for here.
            ToBuyer::Deal(_) | ToBuyer::SealedUnit(_) | ToBuyer::Key { .. } => {}
        }
    }

    fn out_of_coins(&self) -> Trouble {
        let have = self.node.wallet(|wallet| wallet.spendable(clock::time()));
        self.node.out_of_coins(self.id, self.buyer.paid(), have.unwrap_or_default())
    }

    async fn send(&self, step: Step) -> Result<(), Trouble> {
        self.line.send(step).await
    }
}

/// Gives back what the visit held of the wallet, and the tags it had no use for, however it ended.
impl Drop for Visit {
    fn drop(&mut self) {
        let unused = self.node.wallet(|wallet| self.buyer.let_go(wallet));
        self.node.unused(unused.into_iter().flatten());
    }
}

/// What the vendor said, among what happened.
fn heard(input: &Input) -> Option<&ToBuyer> {
    match input {
        Input::Heard(message) => Some(message),
        _ => None,
    }
}

pub(super) fn closed() -> Trouble {
    Trouble::PeerUnreachable(RequestError::Closed)
}

/// Reads what the vendor sends.
async fn read(mut reader: ReadHalf<Stream>, inbox: mpsc::Sender<Heard>) {
    loop {
        let Ok(frame) = pipe::read_frame(&mut reader, ToBuyer::MAX).await else { return };
        let Ok(message) = codec::decode::<ToBuyer>(&frame) else { return };
        let heard = match message {
            ToBuyer::Unit { unit, len, proof } => match raw(&mut reader, len).await {
                Some(bytes) => Heard::Unit { unit, proof, bytes },
                None => return,
            },
            ToBuyer::SealedUnit(unit) => match raw(&mut reader, unit.len).await {
                Some(bytes) => Heard::Sealed(Box::new(unit), bytes),
                None => return,
            },
            message => Heard::Message(message),
        };
        if inbox.send(heard).await.is_err() {
            return;
        }
    }
}

/// The bytes of a unit behind its frame.
async fn raw(reader: &mut ReadHalf<Stream>, len: u32) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_UNIT)?;
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

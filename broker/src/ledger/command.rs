//! What goes into the books ([`Command`]: checked facts, no signature left to doubt), what is journaled ([`Event`] in a
//! [`Record`]), and what comes out ([`Decision`]).

use super::intervals::Range;
use netpay_core::amount::{Cap, Coins, Count, Index, MAX_CHAIN};
use netpay_core::codec::{Bytes, List, Text, Wire};
use netpay_core::coin::chain::Coin;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::coin::touchstone::{MAX_COMMITTEE, Touchstone};
use netpay_core::fair::judge::{Junk, NotProven};
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::record::chain::{Culprit, Evidence};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Claim, MAX_CHAINS, MAX_CLAIMS, Outcome, SEALED_SEED, VoucherCode};
use netpay_core::wire::reject::Reject;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::chain::{ClaimKey, Facts};
use super::redeeming::MAX_CLAIMS_PER_CHAIN;

/// Accounts whose bonds come back in one step.
pub const MAX_RETURNED: usize = 64;
/// The most charges of one settlement: each empties a purse or makes up for a claim. The purses are the buyer's balance
/// and bond, and the bonds of the committee.
const MAX_CHARGES: usize = MAX_CLAIMS_PER_CHAIN + 2 + MAX_COMMITTEE;
/// The most vouchers printed in one step.
pub const MAX_VOUCHERS: usize = 1000;
/// The most stretches a settlement can pay: each has at least one coin.
const MAX_RANGES: usize = MAX_CHAIN as usize;
/// The most stretches one claim can be paid in, between claims paid before.
const MAX_RANGES_PER_CLAIM: usize = MAX_RANGES / 2;

/// A voucher by the hash of its code: whoever reads the journal or a backup cannot spend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VoucherId(pub [u8; 32]);

impl VoucherId {
    /// The id of the voucher with this code.
    #[must_use]
    pub fn of(code: &VoucherCode) -> Self {
        Self(blake3::derive_key("netpay 2026 voucher id", &code.0))
    }
}

/// A payout: the account, and the number its owner gave it.
pub type PayoutId = (PublicKey, [u8; 16]);

/// Everything about a new chain that was chosen or drawn by lot. The seed is not among it: only its sealed form.
#[derive(Clone, Debug)]
pub struct Mint {
    /// The touchstone, signed.
    pub facts: Arc<Facts>,
    /// The seed, sealed to the buyer.
    pub sealed: Bytes<SEALED_SEED>,
}

/// How a claim stands with its chain's committee. The greater is served first at settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Standing {
    /// A quorum acked its Close: it is paid at once.
    pub is_final: bool,
    /// A quorum acked its Open, or its Close: no other Open of this number can be certified any more.
    pub opened: bool,
    /// How many acked its Close.
    pub acks: u8,
}

/// A claim whose signatures, walks and `pay_to` held.
#[derive(Clone, Debug)]
pub struct CheckedClaim {
    /// The chain.
    pub chain: ChainId,
    /// The segment.
    pub j: SegmentNo,
    /// The coins claimed; empty if the segment was closed at its start.
    pub range: Range,
    /// `W_e`, where coins are claimed.
    pub coin: Coin,
    /// Hash of the Open.
    pub open: ObjectHash,
    /// Hash of the Close.
    pub close: ObjectHash,
    /// How it stands with the chain's committee.
    pub standing: Standing,
    /// Whether it is of fair mode: its key was checked, and it is final [`HELD_FOR`](super::HELD_FOR) after it came.
    pub is_fair: bool,
    /// The claim as it came.
    pub proof: Claim,
}

/// A claim that was checked, or refused before the books were asked.
pub type ClaimResult = Result<Box<CheckedClaim>, (ChainId, SegmentNo, Reject)>;

/// What is asked of the books.
#[derive(Clone, Debug)]
pub enum Command {
    /// Vouchers were sold for money outside.
    IssueVouchers {
        /// Their ids and values.
        vouchers: Vec<(VoucherId, Coins)>,
    },
    /// Opens an account, or adds a node to it.
    Register {
        /// The account.
        account: PublicKey,
        /// The node that asks.
        node: PublicKey,
        /// What it calls itself.
        name: Text<64>,
        /// Paid in at once.
        voucher: Option<VoucherId>,
        /// Whether a new account must bring one.
        voucher_needed: bool,
        /// What a new account sets aside as its bond.
        bond: Coins,
    },
    /// Pays a voucher in.
    PayIn {
        /// The account.
        account: PublicKey,
        /// The voucher.
        voucher: VoucherId,
    },
    /// The operator credits money that came in outside.
    Credit {
        /// The same number again is the same credit.
        id: [u8; 16],
        /// The account.
        account: PublicKey,
        /// How much.
        coins: Coins,
        /// What for.
        note: Text<80>,
    },
    /// Sells a chain.
    Buy {
        /// Who pays.
        account: PublicKey,
        /// The chain key: the request's id.
        chain_key: PublicKey,
        /// How many coins.
        n: Cap,
        /// Hash of the request.
        request: ObjectHash,
        /// The new chain; not needed where the request was answered before.
        mint: Option<Box<Mint>>,
    },
    /// Redeems claims.
    Redeem {
        /// Who is paid.
        account: PublicKey,
        /// The claims.
        claims: Vec<ClaimResult>,
    },
    /// Gives chains up.
    Retire {
        /// Who bought them.
        account: PublicKey,
        /// The chains.
        chains: List<ChainId, MAX_CHAINS>,
    },
    /// Keeps an account from buying and being paid out.
    Freeze {
        /// The account.
        account: PublicKey,
        /// Why.
        why: Text<80>,
    },
    /// Lets it again.
    Unfreeze {
        /// The account.
        account: PublicKey,
    },
    /// Makes the account's nodes members no more. Its bond comes back later.
    Close {
        /// The account.
        account: PublicKey,
    },
    /// Gives closed accounts their bonds back that vouch for nothing any more.
    ReturnBonds,
    /// Sets money aside to be paid out.
    AskPayout {
        /// The account, and its number for this payout.
        id: PayoutId,
        /// How much.
        coins: Coins,
        /// Where to.
        to: Text<80>,
    },
    /// The operator has paid it out.
    Payout {
        /// Which.
        id: PayoutId,
        /// The reference of the transfer.
        reference: Text<80>,
    },
    /// Evidence that convicts somebody.
    NoteEvidence {
        /// Whom.
        culprit: Culprit,
        /// The evidence.
        evidence: Box<Evidence>,
    },
    /// A vendor is said to have sold junk; the proof was judged.
    Accuse {
        /// Who says so.
        account: PublicKey,
        /// The chain that paid.
        chain: ChainId,
        /// The segment.
        j: SegmentNo,
        /// Hash of the Open.
        open: ObjectHash,
        /// What was shown.
        junk: Box<Junk>,
        /// The accused vendor's holder key, or why nothing is proven.
        judged: Result<PublicKey, NotProven>,
    },
    /// Pays the claims of fair mode of a chain that nobody disputed in time.
    Release {
        /// The chain.
        chain: ChainId,
    },
    /// The bank was away so long that settlements wait until then.
    Resume {
        /// No settlement before.
        settle_from: Time,
    },
    /// Pays what waits on a chain and gives the rest back to the buyer.
    Settle {
        /// The chain.
        chain: ChainId,
    },
}

/// What happened: everything random or chosen is in it, so that folding it needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "made once, folded at once")]
pub enum Event {
    /// See [`Command::IssueVouchers`].
    VouchersIssued(List<(VoucherId, Coins), MAX_VOUCHERS>),
    /// See [`Command::Register`].
    Registered {
        /// The account.
        account: PublicKey,
        /// The node.
        node: PublicKey,
        /// What it calls itself.
        name: Text<64>,
        /// A voucher not paid in before.
        voucher: Option<VoucherId>,
        /// What it sets aside as its bond now.
        bond: Coins,
    },
    /// See [`Command::PayIn`].
    PaidIn {
        /// The account.
        account: PublicKey,
        /// The voucher.
        voucher: VoucherId,
    },
    /// See [`Command::Credit`].
    Credited {
        /// Its number.
        id: [u8; 16],
        /// The account.
        account: PublicKey,
        /// How much.
        coins: Coins,
        /// What for.
        note: Text<80>,
    },
    /// See [`Command::Buy`].
    Sold {
        /// Who paid.
        account: PublicKey,
        /// Hash of the request.
        request: ObjectHash,
        /// The touchstone.
        touchstone: Unverified<Touchstone>,
        /// The seed, sealed to the buyer.
        sealed: Bytes<SEALED_SEED>,
    },
    /// See [`Command::Redeem`].
    Redeemed {
        /// Who is paid.
        account: PublicKey,
        /// The claims taken.
        claims: List<TakenClaim, MAX_CLAIMS>,
    },
    /// See [`Command::Retire`].
    Retired {
        /// Who bought them.
        account: PublicKey,
        /// The chains.
        chains: List<ChainId, MAX_CHAINS>,
    },
    /// See [`Command::Freeze`].
    Frozen {
        /// The account.
        account: PublicKey,
        /// Why.
        why: Text<80>,
    },
    /// See [`Command::Unfreeze`].
    Unfrozen {
        /// The account.
        account: PublicKey,
    },
    /// See [`Command::Close`].
    Closed {
        /// The account.
        account: PublicKey,
    },
    /// See [`Command::ReturnBonds`].
    BondsReturned(List<PublicKey, MAX_RETURNED>),
    /// See [`Command::AskPayout`].
    PayoutAsked {
        /// Which.
        id: PayoutId,
        /// How much.
        coins: Coins,
        /// Where to.
        to: Text<80>,
    },
    /// See [`Command::Payout`].
    PaidOut {
        /// Which.
        id: PayoutId,
        /// The reference of the transfer.
        reference: Text<80>,
    },
    /// See [`Command::NoteEvidence`].
    EvidenceNoted {
        /// Whom it convicts.
        culprit: Culprit,
        /// The evidence.
        evidence: Evidence,
    },
    /// See [`Command::Accuse`]: it is proven.
    Convicted {
        /// Who said so.
        account: PublicKey,
        /// The vendor's holder key.
        holder: PublicKey,
        /// The chain that paid.
        chain: ChainId,
        /// The segment.
        j: SegmentNo,
        /// Hash of the Open.
        open: ObjectHash,
        /// What convicts.
        junk: Junk,
    },
    /// See [`Command::Accuse`]: it is not.
    FalselyAccused {
        /// Who said so.
        account: PublicKey,
        /// The chain that paid.
        chain: ChainId,
        /// The segment.
        j: SegmentNo,
        /// Hash of the Open.
        open: ObjectHash,
        /// What was shown, by its digest.
        digest: ObjectHash,
        /// Why it proves nothing.
        why: Text<80>,
        /// What it costs.
        fee: Coins,
        /// What was shown, where the whole fee was paid: nothing fills the journal for less.
        junk: Option<Junk>,
    },
    /// See [`Command::Release`].
    Released {
        /// The chain.
        chain: ChainId,
        /// What each claim was paid.
        claims: List<SettledClaim, MAX_CLAIMS_PER_CHAIN>,
    },
    /// See [`Command::Resume`].
    Resumed {
        /// No settlement before.
        settle_from: Time,
    },
    /// See [`Command::Settle`].
    Settled {
        /// The chain.
        chain: ChainId,
        /// What each waiting claim was paid, in the order in which they were served.
        claims: List<SettledClaim, MAX_CLAIMS_PER_CHAIN>,
        /// What went back to the buyer.
        refund: Count,
        /// What those convicted of something about this chain pay claims for coins that others were paid.
        charges: List<Charge, MAX_CHARGES>,
    },
}

/// A claim as it was taken, with all that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenClaim {
    /// The chain.
    pub chain: ChainId,
    /// The segment.
    pub j: SegmentNo,
    /// The coins claimed.
    pub range: Range,
    /// `W_e`.
    pub coin: Coin,
    /// Hash of the Open.
    pub open: ObjectHash,
    /// Hash of the Close.
    pub close: ObjectHash,
    /// How it stands with the chain's committee.
    pub standing: Standing,
    /// Whether it is of fair mode.
    pub is_fair: bool,
    /// The stretches paid, if the claim is final.
    pub paid: Option<List<Range, MAX_RANGES_PER_CLAIM>>,
    /// The claim as it came.
    pub proof: Claim,
}

/// What a waiting claim was paid at settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledClaim {
    /// Its place among the chain's claims, in the order of [`super::chain::ClaimKey`].
    pub claim: u32,
    /// The stretches paid.
    pub paid: List<Range, MAX_RANGES>,
}

/// What a convict pays a claim for coins that were promised twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The claim's place among the chain's claims.
    pub claim: u32,
    /// Out of which money.
    pub purse: Purse,
    /// How much.
    pub coins: Count,
}

/// Money out of which those convicted of something about a chain make up for coins of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purse {
    /// The buyer's balance, with what comes back of the chain.
    Balance,
    /// The buyer's bond.
    Bond,
    /// The bond of the witness in this seat of the committee.
    Seat(u8),
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub event: Event,
}

impl Wire for Record {
    /// A settlement of as many claims and stretches as a chain can have is the largest.
    const MAX: usize = 512 * 1024;
}

/// What the books say to a command.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What is to happen; `None` if it happened before, or changes nothing.
    pub event: Option<Event>,
    /// What to answer once that is durable.
    pub answer: Answer,
}

/// What is answered, in terms of the state after the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The account as it is then.
    Account(PublicKey),
    /// The chain that was sold.
    Sold(ChainId),
    /// The vendor of this segment is convicted.
    Judged(ChainId, ClaimKey),
    /// Nothing is proven.
    NotProven(NotProven),
    /// What became of the claims, in their order.
    Outcomes(Vec<(ChainId, SegmentNo, Outcome)>),
}

impl CheckedClaim {
    /// Whether it claims no coins at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.start == self.range.end
    }

    /// The highest coin it proves.
    #[must_use]
    pub const fn anchor(&self) -> (Index, Coin) {
        (self.range.end, self.coin)
    }
}

/// The largest batch: a redemption with all its proofs fits a record many times.
const _: () = assert!(MAX_CLAIMS * 4096 < Record::MAX);

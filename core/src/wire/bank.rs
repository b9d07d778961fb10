//! `/netpay/bank/1`: registering, buying coins, redeeming, and what an account holds. One request, one
//! reply; the same request again gets the same reply.

use super::BULK_FRAME;
use super::hello::Membership;
use super::reject::Reject;
use crate::amount::{Cap, Coins, Index};
use crate::codec::{Bytes, List, Text, Wire};
use crate::coin::key::Key;
use crate::coin::segment::{Close, Open, SegmentNo};
use crate::coin::touchstone::Touchstone;
use crate::fair::judge::{Junk, Verdict};
use crate::id::{ChainId, ObjectHash};
use crate::keys::{Domain, PublicKey, SelfSigned, Signable, Signature, Unverified};
use crate::record::chain::{Certificate, Evidence};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Claims in one redemption.
pub const MAX_CLAIMS: usize = 24;
/// Chains in one retirement or statement page.
pub const MAX_CHAINS: usize = 64;
/// Keys in one answer.
pub const MAX_KEYS: usize = 256;
/// Claims that wait in one answer about an account.
pub const MAX_HELD: usize = 64;
/// Lines in one statement page.
pub const MAX_LINES: usize = 100;
/// The longest address of a broker's pages, in bytes.
pub const MAX_ADDRESS: usize = 256;
/// How far a signed query's time may be off the broker's clock, in seconds.
pub const QUERY_WINDOW: u64 = 300;
/// How long a link lets an account's owner in to the broker's pages, in seconds. So far its time may also be ahead of the
/// broker's clock.
pub const SIGN_IN_WINDOW: u64 = 60;
/// A sealed seed: HPKE encapsulated key (32), ciphertext (16), tag (16).
pub const SEALED_SEED: usize = 64;

/// A voucher's code: 20 random bytes (160 bits), shown in Base32 groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VoucherCode(pub [u8; 20]);

/// The digits of a voucher: Base32 (RFC 4648).
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Digits of a voucher, and how many stand together.
const VOUCHER_DIGITS: usize = 32;
const GROUP: usize = 4;

/// A text that is no voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a voucher has {VOUCHER_DIGITS} letters and digits (A-Z, 2-7) in groups of {GROUP}")]
pub struct BadVoucher;

impl fmt::Display for VoucherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (block, five) in self.0.chunks_exact(5).enumerate() {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for digit in 0..8 {
                if digit % GROUP == 0 && (block, digit) != (0, 0) {
                    f.write_str("-")?;
                }
                let value = usize::try_from(bits >> (35 - 5 * digit) & 31).unwrap_or(0);
                write!(f, "{}", char::from(DIGITS[value]))?;
            }
        }
        Ok(())
    }
}

impl FromStr for VoucherCode {
    type Err = BadVoucher;
    /// Takes it as a person types it: in either case, with or without dashes and spaces.
    fn from_str(text: &str) -> Result<Self, BadVoucher> {
        let digits =
            text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase());
        let digits: Vec<u8> = digits.take(VOUCHER_DIGITS + 1).collect();
        if digits.len() != VOUCHER_DIGITS {
            return Err(BadVoucher);
        }
        let mut code = [0; 20];
        for (five, eight) in code.chunks_exact_mut(5).zip(digits.chunks_exact(8)) {
            let mut bits = 0_u64;
            for digit in eight {
                let value = DIGITS.iter().position(|known| known == digit).ok_or(BadVoucher)?;
                bits = bits << 5 | value as u64;
            }
            five.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        Ok(Self(code))
    }
}

/// Opens an account for a key and makes the asking node a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The account's key; signs this.
    pub account: PublicKey,
    /// The member's node: must be the node that asks.
    pub node: PublicKey,
    /// What it calls itself.
    pub name: Text<64>,
    /// A voucher to credit at once, as registration may ask for one.
    pub voucher: Option<VoucherCode>,
}

/// Pays a voucher into an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayIn {
    /// The account; signs this.
    pub account: PublicKey,
    /// The voucher.
    pub voucher: VoucherCode,
}

/// Buys one chain. The request's id is the chain key: the same again gets the same chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buy {
    /// The account that pays; signs this.
    pub account: PublicKey,
    /// The chain's key; signs this too ([`BankRequest::Buy`]).
    pub chain_key: PublicKey,
    /// How many coins.
    pub n: Cap,
    /// X25519 key to which the seed is sealed.
    pub sealing_key: [u8; 32],
}

/// Redeems the claims that go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeem {
    /// The account to be paid; signs this.
    pub account: PublicKey,
    /// BLAKE3 of the encoded list of claims.
    pub claims: ObjectHash,
}

/// Asks what the account holds, from statement line `after` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The account; signs this.
    pub account: PublicKey,
    /// When it was asked; at most [`QUERY_WINDOW`] off.
    pub at: Time,
    /// The last line already known, 0 for none.
    pub after: u64,
}

/// Gives chains up: no refund is asked before settlement, and no Open will be signed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retire {
    /// The account that bought them; signs this.
    pub account: PublicKey,
    /// The chains.
    pub chains: List<ChainId, MAX_CHAINS>,
}

/// Asks for money to be paid out. The same number again is the same payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// The account; signs this.
    pub account: PublicKey,
    /// The account's own number for this payout.
    pub number: [u8; 16],
    /// How much.
    pub coins: Coins,
    /// Where to, as the operator's bank understands it.
    pub to: Text<80>,
}

/// Says that a vendor sold junk. The same accusation again gets the same verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accuse {
    /// The account that bought the chain; signs this.
    pub account: PublicKey,
    /// BLAKE3 of the encoded proof.
    pub junk: ObjectHash,
}

/// Asks for the keys that vendors had to show to be paid out of a chain, from segment `from` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskKeys {
    /// The account that bought the chain; signs this.
    pub account: PublicKey,
    /// The chain.
    pub chain: ChainId,
    /// The first segment asked about.
    pub from: SegmentNo,
    /// When it was asked; at most [`QUERY_WINDOW`] off.
    pub at: Time,
}

/// What a vendor showed to be paid: `K_{e−s}` of the segment, with which everything paid for in it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownKey {
    /// The segment.
    pub j: SegmentNo,
    /// `e`, as the claim says.
    pub end: Index,
    /// `K_{e−s}`.
    pub key: Key,
}

/// Signs the account's owner in to the broker's pages: it travels in a link, which lets one browser in, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The account; signs this.
    pub account: PublicKey,
    /// The broker it is for. The network is in what is signed, as always.
    pub broker: PublicKey,
    /// When the link was made; at most [`SIGN_IN_WINDOW`] off.
    pub at: Time,
    /// Makes it one of its kind.
    pub nonce: [u8; 16],
}

macro_rules! by_account {
    ($($name:ident $max:literal $domain:literal)*) => {$(
        impl Wire for $name {
            const MAX: usize = $max;
        }
        impl Signable for $name {
            const DOMAIN: Domain = *$domain;
        }
        impl SelfSigned for $name {
            fn signer(&self) -> PublicKey {
                self.account
            }
        }
    )*};
}

by_account! {
    Register 256 b"netpay/register\0"
    PayIn 128 b"netpay/pay-in\0\0\0"
    Buy 160 b"netpay/buy\0\0\0\0\0\0"
    Redeem 128 b"netpay/redeem\0\0\0"
    Query 128 b"netpay/query\0\0\0\0"
    Retire 2200 b"netpay/retire\0\0\0"
    Payout 192 b"netpay/payout\0\0\0"
    SignIn 128 b"netpay/sign-in\0\0"
    Accuse 128 b"netpay/accuse\0\0\0"
    AskKeys 128 b"netpay/ask-keys\0"
}

/// One segment's earnings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// O_j.
    pub open: Unverified<Open>,
    /// C_j.
    pub close: Unverified<Close>,
    /// Opens `pay_to`.
    pub salt: [u8; 32],
    /// Acks of C_j: a quorum of them makes the claim final at once. Or, where there is no quorum of those to be had, of
    /// O_j: a quorum gives the claim its place at settlement before all that have none.
    pub certificate: Option<Certificate>,
    /// `K_{e−s}`, without which nothing is paid under an Open with fair terms; `None` under any other.
    pub key: Option<Key>,
}

/// The claims of one redemption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub List<Claim, MAX_CLAIMS>);

impl Wire for Claims {
    const MAX: usize = BULK_FRAME - 1024;
}

/// What is asked of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum BankRequest {
    /// Who are you?
    Info,
    /// See [`Register`].
    Register(Unverified<Register>),
    /// See [`PayIn`].
    PayIn(Unverified<PayIn>),
    /// See [`Buy`].
    Buy {
        /// Signed by the account.
        buy: Unverified<Buy>,
        /// The chain key's signature over the same object.
        by_chain: Signature,
    },
    /// See [`Redeem`].
    Redeem {
        /// Signed by the account.
        redeem: Unverified<Redeem>,
        /// The claims its digest names.
        claims: Claims,
    },
    /// See [`Query`].
    Account(Unverified<Query>),
    /// See [`Retire`].
    Retire(Unverified<Retire>),
    /// Somebody signed two things of which the rules allow one.
    Evidence(Evidence),
    /// See [`Payout`].
    Payout(Unverified<Payout>),
    /// Where are your pages?
    Pages,
    /// See [`Accuse`].
    Accuse {
        /// Signed by the account.
        accuse: Unverified<Accuse>,
        /// The proof that its digest names.
        junk: Junk,
    },
    /// See [`AskKeys`].
    Keys(Unverified<AskKeys>),
}

impl Wire for BankRequest {
    const MAX: usize = BULK_FRAME;
}

/// What a broker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The network's name.
    pub network: Text<64>,
    /// The signing key.
    pub broker: PublicKey,
    /// The operator's name for it.
    pub name: Text<64>,
    /// How to reach the operator.
    pub contact: Text<128>,
    /// What one coin is worth, for a person ("1 cent").
    pub denomination: Text<64>,
    /// Whether registering needs a voucher.
    pub voucher_needed: bool,
    /// What a new account sets aside as its bond: it takes a voucher of at least so much. Zero for none.
    pub bond: Coins,
    /// For so long after they came claims of fair mode can be disputed, and are not paid, in seconds: Δ.
    pub held_for: u64,
    /// What it costs to say falsely that something was junk.
    pub false_accusation: Coins,
}

/// What became of one claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Paid into the account, finally.
    Paid(Coins),
    /// Kept until settlement, since the close is not certified.
    Pending {
        /// The coins claimed.
        coins: Coins,
        /// When settlement is due at the earliest.
        until: Time,
    },
    /// Not paid.
    Refused(Reject),
}

/// One line of an account's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// Its number, rising.
    pub number: u64,
    /// When.
    pub at: Time,
    /// What, for a person.
    pub what: Text<120>,
    /// Coins added to the balance; negative if taken.
    pub change: i64,
    /// The balance after it.
    pub balance: Coins,
}

/// A claim of fair mode that waits, as it can still be disputed or is not certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The chain that pays.
    pub chain: ChainId,
    /// The segment.
    pub j: SegmentNo,
    /// The coins claimed.
    pub coins: Coins,
    /// When it is paid at the earliest.
    pub until: Time,
}

/// What an account holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Coins' worth of money that can buy chains or be paid out.
    pub balance: Coins,
    /// Claims that wait for settlement.
    pub pending: Coins,
    /// Its bond: set aside for what its nodes might sign twice, and part of no balance.
    pub bond: Coins,
    /// Why the account is frozen, if it is.
    pub frozen: Option<Text<80>>,
    /// Claims of fair mode among those that wait, those of which the time to dispute them ends first.
    pub held: List<Held, MAX_HELD>,
    /// The node's membership, renewed; `None` if it is a member no more.
    pub membership: Option<Unverified<Membership>>,
    /// Lines after the one asked.
    pub lines: List<StatementLine, MAX_LINES>,
}

/// The broker's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "decoded once, handled at once")]
pub enum BankReply {
    /// To Info.
    Info(Info),
    /// To Register, PayIn, Account and Payout.
    Account(Account),
    /// To Buy.
    Sold {
        /// T.
        touchstone: Unverified<Touchstone>,
        /// The seed, sealed with HPKE to the sealing key; `info` is the touchstone's hash.
        sealed_seed: Bytes<SEALED_SEED>,
    },
    /// To Redeem: an outcome per claim, in their order.
    Redeemed(List<(ChainId, SegmentNo, Outcome), MAX_CLAIMS>),
    /// To Retire and Evidence.
    Noted,
    /// No.
    Reject(Reject),
    /// To Pages: the address that people open in a browser; empty if there is none.
    Pages(Text<MAX_ADDRESS>),
    /// To Keys: in the order of the segments; as many as fit.
    Keys(List<ShownKey, MAX_KEYS>),
    /// To Accuse, where the proof holds: the broker's word.
    Judged(Unverified<Verdict>),
}

impl Wire for BankReply {
    const MAX: usize = BULK_FRAME;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voucher_is_base32_in_groups_and_reads_back_as_typed() {
        let code = VoucherCode(std::array::from_fn(|i| u8::try_from(i * 13).expect("small")));
        let text = code.to_string();
        let plain = text.replace('-', "");
        assert_eq!(plain, data_encoding::BASE32_NOPAD.encode(&code.0));
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 8]);
        assert_eq!((text.parse(), plain.to_lowercase().parse()), (Ok(code), Ok(code)));
        for bad in ["", "AAAA", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "1")] {
            assert_eq!(bad.parse::<VoucherCode>(), Err(BadVoucher), "{bad}");
        }
    }
}

//! What the bank keeps of a customer: the balance, the nodes, and the lines of the statement.

use super::chain::ClaimKey;
use netpay_core::amount::{Coins, Count};
use netpay_core::codec::{List, Text};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::ChainId;
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
pub use netpay_core::wire::bank::Held;
use netpay_core::wire::bank::{MAX_LINES, StatementLine};
use std::collections::{BTreeSet, VecDeque};

/// The newest lines of a statement that are kept at hand; older ones are in the journal.
pub const MAX_KEPT_LINES: usize = 1000;
/// The most nodes of one account.
pub const MAX_NODES: usize = 8;

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// What it calls itself.
    pub name: Text<64>,
    /// Its nodes, the newest last.
    pub nodes: Vec<PublicKey>,
    /// Since when.
    pub since: Time,
    /// Money that can buy chains or be paid out.
    pub balance: Coins,
    /// Claims that wait for settlement.
    pub pending: Coins,
    /// Set aside for what its nodes might sign twice; part of no balance.
    pub bond: Coins,
    /// Since when and why it may neither buy nor have money paid out, if so. Its nodes are members no more meanwhile.
    pub frozen: Option<(Time, Text<80>)>,
    /// When it was closed: its nodes are members no more, and its bond comes back once it vouches for nothing.
    pub closed: Option<Time>,
    /// The chains it bought, the newest last.
    pub bought: Vec<ChainId>,
    /// The records by which it brought claims, the newest last.
    pub brought: Vec<u64>,
    /// Its claims of fair mode that wait, by the time until which they can be disputed.
    pub(super) held: BTreeSet<(Time, ChainId, ClaimKey)>,
    lines: VecDeque<Line>,
    last_line: u64,
}

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, rising from 1.
    pub number: u64,
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
    /// Added to the balance; negative if taken.
    pub change: i64,
    /// The balance after it.
    pub balance: Coins,
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A voucher was paid in.
    Voucher,
    /// The operator credited something.
    Credit(Text<80>),
    /// A chain was bought.
    Bought(ChainId, Count),
    /// Certified claims were paid.
    Redeemed(usize),
    /// Claims of a chain were paid at its settlement.
    Settled(ChainId),
    /// The unspent coins of a chain came back.
    Refunded(ChainId),
    /// Coins of this chain were promised twice, and are made up for.
    Charged(ChainId),
    /// Coins of this chain that another was paid were made up for by whoever is convicted.
    MadeUp(ChainId),
    /// Money was asked to be paid out.
    PayoutAsked(Text<80>),
    /// A bond was set aside.
    BondSet,
    /// So much of the bond made up for coins of this chain that were promised twice.
    BondCharged(ChainId, Count),
    /// The bond came back.
    BondReturned,
    /// Claims of fair mode on this chain were paid: nobody disputed them in time.
    Released(ChainId),
    /// What was said to be junk was not.
    AccusedFalsely,
    /// The vendor that sold junk for coins of this chain, in this segment, is convicted.
    Convicted(ChainId, SegmentNo),
    /// A claim of so many coins of this chain is void: junk was sold.
    Void(ChainId, Count),
}

impl What {
    fn words(&self) -> Text<120> {
        Text::cut(&match self {
            Self::Voucher => "voucher paid in".to_owned(),
            Self::Credit(note) => format!("credit: {}", &**note),
            Self::Bought(chain, n) => format!("bought {} as chain {chain:.12}", Coins::from(*n)),
            Self::Redeemed(1) => "redeemed 1 claim".to_owned(),
            Self::Redeemed(claims) => format!("redeemed {claims} claims"),
            Self::Settled(chain) => format!("settlement of claims on chain {chain:.12}"),
            Self::Refunded(chain) => format!("unspent coins of chain {chain:.12}"),
            Self::Charged(chain) => format!("coins of chain {chain:.12} promised twice"),
            Self::MadeUp(chain) => format!("made up: coins of chain {chain:.12} promised twice"),
            Self::PayoutAsked(to) => format!("payout to {}", &**to),
            Self::BondSet => "set aside as bond".to_owned(),
            Self::BondCharged(chain, coins) => {
                format!("{} of the bond: coins of chain {chain:.12} promised twice", Coins::from(*coins))
            }
            Self::BondReturned => "the bond came back".to_owned(),
            Self::Released(chain) => format!("undisputed claims on chain {chain:.12}"),
            Self::AccusedFalsely => "fee: what was said to be junk was not".to_owned(),
            Self::Convicted(chain, j) => {
                format!("who sold junk in segment {j} of chain {chain:.12} is convicted")
            }
            Self::Void(chain, coins) => {
                format!("claim of {} on chain {chain:.12} is void: junk was sold", Coins::from(*coins))
            }
        })
    }
}

/// What an account's owner is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// See [`Customer::balance`].
    pub balance: Coins,
    /// See [`Customer::pending`].
    pub pending: Coins,
    /// See [`Customer::bond`].
    pub bond: Coins,
    /// Why it is frozen, if it is.
    pub frozen: Option<String>,
    /// Claims of fair mode that wait.
    pub held: Vec<Held>,
    /// Its nodes that are members, the newest last.
    pub members: Vec<PublicKey>,
    /// Lines after the one asked.
    pub lines: List<StatementLine, MAX_LINES>,
}

impl Customer {
    /// The account with the lines after number `after`, as far as it tells by itself.
    pub(super) fn view(&self, after: u64) -> AccountView {
        AccountView {
            balance: self.balance,
            pending: self.pending,
            bond: self.bond,
            frozen: None,
            held: Vec::new(),
            members: self.nodes.clone(),
            lines: List::first_of(self.lines_after(after).map(|line| StatementLine {
                number: line.number,
                at: line.at,
                what: line.what.words(),
                change: line.change,
                balance: line.balance,
            })),
        }
    }

    /// Since when its nodes are members no more, if so.
    #[must_use]
    pub fn expelled(&self) -> Option<Time> {
        self.frozen.as_ref().map(|(at, _)| *at).into_iter().chain(self.closed).min()
    }

    /// The number of the newest line.
    #[must_use]
    pub const fn last_line(&self) -> u64 {
        self.last_line
    }

    /// The newest lines kept that come before number `before`, newest first, with their words.
    pub fn lines_before(&self, before: u64) -> impl Iterator<Item = (&Line, Text<120>)> {
        let end = self.lines.partition_point(|line| line.number < before);
        self.lines.range(..end).rev().map(|line| (line, line.what.words()))
    }

    /// The lines kept that come after number `after`, oldest first.
    pub fn lines_after(&self, after: u64) -> impl Iterator<Item = &Line> {
        let from = self.lines.partition_point(|line| line.number <= after);
        self.lines.range(from..)
    }

    pub(super) fn since(at: Time) -> Self {
        Self { since: at, ..Self::default() }
    }

    pub(super) fn write(&mut self, at: Time, what: What, change: i64) {
        self.last_line += 1;
        if self.lines.len() >= MAX_KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { number: self.last_line, at, what, change, balance: self.balance });
    }
}

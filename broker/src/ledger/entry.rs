//! Double entry: the books, and the entries that one step makes in them. Liabilities are positive, cash is their
//! counterpart and negative, so the entries of every step sum to zero, and so do the books.

use netpay_core::amount::Coins;
use netpay_core::keys::PublicKey;
use std::fmt;

/// The most money the bank takes in all. It keeps every sum far from the ends of `i64`, and exact in JSON.
pub const MAX_MONEY: u64 = 1 << 53;

/// One account of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Book {
    /// The operator's money outside: vouchers sold, manual credit, payouts made. Never positive.
    Cash,
    /// Vouchers sold and not yet paid in.
    Vouchers,
    /// A customer's balance.
    Balance(PublicKey),
    /// Coins outstanding: issued, not redeemed and not refunded.
    Coins,
    /// Payouts asked for and not yet made.
    Payouts,
    /// A customer's bond.
    Bond(PublicKey),
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cash => f.write_str("cash"),
            Self::Vouchers => f.write_str("vouchers"),
            Self::Balance(account) => write!(f, "balance:{account}"),
            Self::Coins => f.write_str("coins"),
            Self::Payouts => f.write_str("payouts"),
            Self::Bond(account) => write!(f, "bond:{account}"),
        }
    }
}

/// One side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub book: Book,
    /// How much more, or less.
    pub change: i64,
}

impl Entry {
    /// Moves `coins` from one book to another: two entries that sum to zero.
    #[must_use]
    pub fn moved(coins: Coins, from: Book, to: Book) -> [Self; 2] {
        let amount = signed(coins);
        [Self { book: from, change: -amount }, Self { book: to, change: amount }]
    }
}

/// The totals of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// [`Book::Cash`].
    pub cash: i64,
    /// [`Book::Vouchers`].
    pub vouchers: i64,
    /// All customers' balances.
    pub balances: i64,
    /// [`Book::Coins`].
    pub coins: i64,
    /// [`Book::Payouts`].
    pub payouts: i64,
    /// All customers' bonds.
    pub bonds: i64,
    /// Coins ever issued.
    pub issued: u64,
    /// Coins ever redeemed.
    pub redeemed: u64,
    /// Coins ever refunded.
    pub refunded: u64,
}

impl Books {
    /// The sum of all books: zero, always.
    #[must_use]
    pub const fn sum(&self) -> i64 {
        self.cash + self.vouchers + self.balances + self.coins + self.payouts + self.bonds
    }

    /// Money held for others.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.cash.unsigned_abs()
    }

    /// Whether no book is on the wrong side and coins outstanding are those issued and neither redeemed nor refunded.
    #[must_use]
    pub fn are_sound(&self) -> bool {
        let outstanding = i128::from(self.issued) - i128::from(self.redeemed) - i128::from(self.refunded);
        self.sum() == 0
            && self.cash <= 0
            && [self.vouchers, self.balances, self.coins, self.payouts, self.bonds]
                .iter()
                .all(|book| *book >= 0)
            && i128::from(self.coins) == outstanding
    }

    pub(super) fn post(&mut self, entry: &Entry) {
        let total = match entry.book {
            Book::Cash => &mut self.cash,
            Book::Vouchers => &mut self.vouchers,
            Book::Balance(_) => &mut self.balances,
            Book::Coins => &mut self.coins,
            Book::Payouts => &mut self.payouts,
            Book::Bond(_) => &mut self.bonds,
        };
        *total = total.saturating_add(entry.change);
    }
}

/// An amount as a signed number. Amounts above [`MAX_MONEY`] are refused long before they get here.
pub(super) fn signed(coins: Coins) -> i64 {
    i64::try_from(coins.0).unwrap_or(i64::MAX)
}

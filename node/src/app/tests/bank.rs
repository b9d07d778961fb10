//! A bank in a town: enough of a broker to sell coins and take vouchers, asked over real sockets. It runs at the first
//! peer, which is where the invites of the others point.

use super::Town;
use crate::app::lock;
use crate::clock;
use crate::overlay::{NodeKey, Protocol, handler};
use crate::sealed::seal;
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Text};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::fair::judge::{self, Junk, Verdict};
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::time::DAY;
use netpay_core::wire::bank::{
    Account, BankReply, BankRequest, Buy, Claim, Claims, Info, MAX_LINES, Outcome, StatementLine, VoucherCode,
};
use netpay_core::wire::hello::Membership;
use netpay_core::wire::reject::{Reject, RejectCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What each voucher is worth.
pub(crate) const VOUCHER: u64 = 50;

/// The books of one account, which is all that this bank has.
pub(crate) struct Bank {
    network: NetworkId,
    key: SecretKey,
    committee: Vec<PublicKey>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    lines: Vec<StatementLine>,
    sold: BTreeMap<PublicKey, BankReply>,
    vouchers: Vec<VoucherCode>,
}

impl Books {
    fn balance(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.balance.0)
    }

    fn book(&mut self, what: &str, change: i64) {
        let (balance, number) = (self.balance(), self.lines.len() as u64 + 1);
        let balance = Coins(balance.checked_add_signed(change).expect("it was looked at before"));
        self.lines.push(StatementLine { number, at: clock::time(), what: Text::cut(what), change, balance });
    }
}

impl Town {
    /// Opens a bank at the first peer; the account there has so many coins.
    pub(crate) fn bank(&self, balance: u64) -> Arc<Bank> {
        let bank = Arc::new(Bank {
            network: self.peers[0].network(),
            key: self.broker.clone(),
            committee: self.peers.iter().map(|peer| peer.me()).collect(),
            books: Mutex::default(),
        });
        lock(&bank.books).book("at first", i64::try_from(balance).expect("an amount"));
        let teller = Arc::clone(&bank);
        let answers = handler(move |from, frame: Vec<u8>| {
            let reply =
                codec::decode(&frame).ok().map(|request| codec::encode(&teller.answer(from, request)));
            async move { reply }
        });
        self.peers[0].overlay().serve(Protocol::Bank, answers);
        bank
    }
}

impl Bank {
    /// What the account has.
    pub(crate) fn balance(&self) -> u64 {
        lock(&self.books).balance()
    }

    /// How many chains were sold.
    pub(crate) fn sold(&self) -> usize {
        lock(&self.books).sold.len()
    }

    /// Books lines that say nothing.
    pub(crate) fn pretend_lines(&self, many: usize) {
        let mut books = lock(&self.books);
        (0..many).for_each(|_| books.book("nothing", 0));
    }

    fn answer(&self, from: NodeKey, request: BankRequest) -> BankReply {
        match request {
            BankRequest::Info => BankReply::Info(Info {
                network: Text::cut("town"),
                broker: self.key.public(),
                name: Text::cut("Town bank"),
                contact: Text::cut("bank@example.org"),
                denomination: Text::cut("nothing"),
                voucher_needed: false,
                bond: Coins::ZERO,
                held_for: 86_400,
                false_accusation: Coins(10),
            }),
            BankRequest::Buy { buy, .. } => {
                buy.claim().map_or_else(|_| refused(RejectCode::Malformed), |buy| self.sell(&buy))
            }
            BankRequest::PayIn(pay_in) => match pay_in.claim() {
                Ok(pay_in) => self.pay_in(from, pay_in.voucher),
                Err(_) => refused(RejectCode::Malformed),
            },
            BankRequest::Account(query) => {
                self.account(from, query.claim().map_or(u64::MAX, |query| query.after))
            }
            BankRequest::Register(_) => self.account(from, u64::MAX),
            BankRequest::Redeem { claims, .. } => self.redeem(&claims),
            BankRequest::Accuse { junk, .. } => self.judge(&junk),
            BankRequest::Keys(_) => BankReply::Keys(List::new()),
            _ => BankReply::Noted,
        }
    }

    /// Pays what was earned in plain mode, and holds the rest for a day.
    fn redeem(&self, claims: &Claims) -> BankReply {
        let outcome = |claim: &Claim| {
            let (open, close) = (claim.open.claim().ok()?, claim.close.claim().ok()?);
            let coins = Coins::from(close.end.since(open.start)?);
            let outcome = match open.fair {
                Some(_) => Outcome::Pending { coins, until: clock::time().plus(DAY) },
                None => {
                    lock(&self.books).book("redeemed", i64::try_from(coins.0).ok()?);
                    Outcome::Paid(coins)
                }
            };
            Some((open.chain, open.j, outcome))
        };
        BankReply::Redeemed(List::first_of(claims.0.iter().filter_map(outcome)))
    }

    fn judge(&self, junk: &Junk) -> BankReply {
        let (Ok(deal), Ok(open)) = (junk.deal.claim(), junk.open.claim()) else {
            return refused(RejectCode::Malformed);
        };
        if judge::judge(&self.network, &deal.buyer, junk).is_err() {
            return refused(RejectCode::Malformed);
        }
        let open = self.key.sign(&self.network, open).hash();
        let verdict = Verdict { chain: deal.chain, j: deal.j, open, holder: deal.holder, at: clock::time() };
        BankReply::Judged(self.key.sign(&self.network, verdict).wire())
    }

    fn account(&self, node: NodeKey, after: u64) -> BankReply {
        let books = lock(&self.books);
        let expires = clock::time().plus(3600);
        let member = Membership { broker: self.key.public(), node, witness: true, expires };
        let lines = books.lines.iter().filter(|line| line.number > after).take(MAX_LINES).cloned();
        BankReply::Account(Account {
            balance: Coins(books.balance()),
            pending: Coins::ZERO,
            bond: Coins::ZERO,
            frozen: None,
            held: List::default(),
            membership: Some(self.key.sign(&self.network, member).wire()),
            lines: List::first_of(lines),
        })
    }

    fn pay_in(&self, from: NodeKey, voucher: VoucherCode) -> BankReply {
        let mut books = lock(&self.books);
        if !books.vouchers.contains(&voucher) {
            books.vouchers.push(voucher);
            books.book("voucher", i64::try_from(VOUCHER).expect("an amount"));
        }
        drop(books);
        self.account(from, u64::MAX)
    }

    fn sell(&self, buy: &Buy) -> BankReply {
        let mut books = lock(&self.books);
        if let Some(sold) = books.sold.get(&buy.chain_key) {
            return sold.clone();
        }
        if books.balance() < u64::from(buy.n.0) {
            return refused(RejectCode::Funds);
        }
        let (seed, now) = (Seed(clock::random()), clock::time());
        let touchstone = Touchstone {
            network: self.network,
            broker: self.key.public(),
            chain_key: buy.chain_key,
            n: buy.n,
            root: Chain::root_of(&seed, buy.n),
            nonce: clock::random(),
            committee: List::first_of(self.committee.iter().copied()),
            issued: now,
            spend_by: now.plus(86_400),
            redeem_by: now.plus(2 * 86_400),
        };
        let touchstone = self.key.sign(&self.network, touchstone);
        let Ok(sealed_seed) = seal(&seed, &buy.sealing_key, touchstone.hash()) else {
            return refused(RejectCode::Malformed);
        };
        let sold = BankReply::Sold { touchstone: touchstone.wire(), sealed_seed };
        books.book("coins", -i64::from(buy.n.0));
        books.sold.insert(buy.chain_key, sold.clone());
        sold
    }
}

fn refused(code: RejectCode) -> BankReply {
    BankReply::Reject(Reject::new(code, "no"))
}

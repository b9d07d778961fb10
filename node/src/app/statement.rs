//! The account's statement. Its lines never change, so those that were asked for once are kept, and only newer ones are
//! asked for again: a page of it is read here, however long it is.

use super::view::{HistoryLine, Page, Part};
use super::{Node, Trouble};
use crate::store::{Batch, Row, Table};
use netpay_core::codec::{self, CodecError, Text, Wire};
use netpay_core::keys::PublicKey;
use netpay_core::time::Time;
use netpay_core::wire::bank::StatementLine;
use serde::{Deserialize, Serialize};

/// Lines asked for at one look at the statement, at most: what is then still missing comes with the next one.
const MAX_NEW: usize = 100_000;

/// A line as it is kept, under its account and its number.
#[derive(Serialize, Deserialize)]
struct LineRow {
    account: PublicKey,
    number: u64,
    at: Time,
    what: Text<120>,
    change: i64,
    balance: u64,
}

impl Wire for LineRow {
    const MAX: usize = 512;
}

impl Row for LineRow {
    const TABLE: Table = Table::new("statement");
    type Error = CodecError;

    fn key(&self) -> Vec<u8> {
        key(&self.account, self.number)
    }

    fn value(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn parse(_: &[u8], value: &[u8]) -> Result<Self, CodecError> {
        codec::decode(value)
    }
}

impl LineRow {
    fn of(account: PublicKey, line: StatementLine) -> Self {
        let StatementLine { number, at, what, change, balance } = line;
        Self { account, number, at, what, change, balance: balance.0 }
    }

    fn view(self) -> HistoryLine {
        HistoryLine {
            number: self.number,
            at: self.at.0,
            what: self.what.to_string(),
            change: self.change,
            balance: self.balance,
        }
    }
}

fn key(account: &PublicKey, number: u64) -> Vec<u8> {
    [&account.0[..], &number.to_be_bytes()].concat()
}

impl Node {
    /// A page of the account's statement, oldest line first.
    ///
    /// # Errors
    /// If there is no such page, the wallet is locked, or the broker cannot be reached or refuses.
    pub async fn history_part(&self, part: &Part) -> Result<Page<HistoryLine>, Trouble> {
        let (after, limit) = (part.after(|number| number.parse().ok())?.unwrap_or(0), part.limit()?);
        let account = self.statement().await?;
        let rows = self.db().scan(LineRow::TABLE, &account.0, Some(&key(&account, after)), limit + 1)?;
        Ok(Page::of(parsed(&account, rows), limit, |line| line.number.to_string(), LineRow::view))
    }

    /// A page of the account's statement, newest line first.
    ///
    /// # Errors
    /// As [`Node::history_part`].
    pub async fn newest_history(&self, part: &Part) -> Result<Page<HistoryLine>, Trouble> {
        let (before, limit) = (part.after(|number| number.parse().ok())?.unwrap_or(u64::MAX), part.limit()?);
        let account = self.statement().await?;
        let rows = self.db().scan_back(LineRow::TABLE, Some(&key(&account, before)), limit + 1)?;
        Ok(Page::of(parsed(&account, rows), limit, |line| line.number.to_string(), LineRow::view))
    }

    /// Asks the broker for what is new in the statement, and keeps it. Returns whose it is.
    async fn statement(&self) -> Result<PublicKey, Trouble> {
        let account = self.purse(|purse| purse.account.public())?;
        let newest = self.db().scan_back(LineRow::TABLE, Some(&key(&account, u64::MAX)), 1)?;
        let mut known = parsed(&account, newest).next().map_or(0, |line| line.number);
        for _ in 0..MAX_NEW.div_ceil(netpay_core::wire::bank::MAX_LINES) {
            let lines = self.account(known).await?.lines.into_vec();
            // Lines lead on, or the broker talks nonsense and would never end.
            let Some(last) = lines.last().map(|line| line.number).filter(|last| *last > known) else { break };
            known = last;
            let mut batch = Batch::new();
            for line in lines {
                batch.put_row(&LineRow::of(account, line));
            }
            self.db().commit(batch).await?;
        }
        Ok(account)
    }
}

/// The lines of this account among rows that may lead on to those of another.
fn parsed(account: &PublicKey, rows: Vec<(Vec<u8>, Vec<u8>)>) -> impl Iterator<Item = LineRow> {
    let rows = rows.into_iter().filter_map(|(_, row)| codec::decode::<LineRow>(&row).ok());
    rows.take_while(move |line| line.account == *account)
}

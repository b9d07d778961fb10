//! Money out of the account: the broker sets it aside, and its operator pays it.
//!
//! A payout is remembered before it is asked for, under its own number, and forgotten only when the broker answered:
//! after a crash, or when the broker was away, the same one is asked for again and made once.

use super::{Node, Trouble};
use crate::store::{Batch, Table};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, Text, Wire};
use netpay_core::wire::bank::{BankRequest, Payout};
use netpay_core::wire::reject::RejectCode;
use serde::{Deserialize, Serialize};

/// Payouts that the broker has not answered yet, by their numbers.
const PAYOUTS: Table = Table::new("payouts");
/// The longest text that says where to, in bytes.
pub const MAX_TO: usize = 80;
/// Payouts that wait for an answer at once.
const MAX_OPEN: usize = 64;

type Number = [u8; 16];

/// A payout under way: everything needed to ask again.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    coins: Coins,
    to: Text<MAX_TO>,
}

impl Wire for Row {
    const MAX: usize = MAX_TO + 16;
}

impl Node {
    /// Has money of the account paid out. The same name again is the same payout, and so is the same amount to the
    /// same place while the broker has not answered.
    ///
    /// # Errors
    /// If it cannot be asked for so, the wallet is locked, the broker refuses or cannot be reached. In the last case it
    /// is asked for again as soon as the broker is back.
    pub async fn pay_out(&self, coins: Coins, to: &str, name: &str) -> Result<(), Trouble> {
        let to = to.trim();
        if coins == Coins::ZERO {
            return Err(Trouble::bad("amount to be paid out", "0", "there is nothing to pay"));
        }
        if to.is_empty() || to.len() > MAX_TO || to.chars().any(crate::shown::deceives) {
            let why = format!("it is a text of 1 to {MAX_TO} bytes that can be read");
            return Err(Trouble::bad("place to pay to", to, why));
        }
        let row = Row { coins, to: Text::cut(to) };
        let open = self.open_payouts()?;
        let same = open.iter().find(|(_, open)| open.coins == coins && *open.to == *row.to);
        let number = match same {
            Some((number, _)) => *number,
            None if open.len() >= MAX_OPEN => {
                return Err(Trouble::bad("payout", to, "too many wait for the broker already"));
            }
            None => self.purse(|purse| number_of(&purse.account.seed(), name))?,
        };
        let mut batch = Batch::new();
        batch.put(PAYOUTS, number, codec::encode(&row));
        self.db().commit(batch).await?;
        self.ask_payout(number, row).await
    }

    /// Asks for those that a crash or a dead broker left open.
    pub(super) async fn finish_payouts(&self) {
        let Ok(open) = self.open_payouts() else { return };
        for (number, row) in open {
            if let Err(trouble) = self.ask_payout(number, row).await {
                tracing::info!(%trouble, "a payout was not taken yet");
            }
        }
    }

    async fn ask_payout(&self, number: Number, row: Row) -> Result<(), Trouble> {
        let payout = self.purse(|purse| {
            let payout = Payout { account: purse.account.public(), number, coins: row.coins, to: row.to };
            purse.account.sign(&self.network(), payout).wire()
        })?;
        match self.bank(&BankRequest::Payout(payout)).await {
            Ok(reply) => {
                self.take_account(reply).await?;
                self.forget_payout(number).await
            }
            Err(Trouble::BrokerRefused(reject)) => {
                // A clear no will be no again; a broker whose disk failed may find that it took it all the same.
                if !matches!(reject.code, RejectCode::Storage | RejectCode::Busy) {
                    self.forget_payout(number).await?;
                }
                Err(Trouble::BrokerRefused(reject))
            }
            Err(other) => Err(other),
        }
    }

    async fn forget_payout(&self, number: Number) -> Result<(), Trouble> {
        let mut batch = Batch::new();
        batch.delete(PAYOUTS, number);
        Ok(self.db().commit(batch).await?)
    }

    fn open_payouts(&self) -> Result<Vec<(Number, Row)>, Trouble> {
        let page = self.db().scan(PAYOUTS, &[], None, MAX_OPEN)?;
        let row = |(key, row): &(Vec<u8>, Vec<u8>)| {
            Some((key.as_slice().try_into().ok()?, codec::decode(row).ok()?))
        };
        Ok(page.iter().filter_map(row).collect())
    }
}

/// The number of the payout of this name: the same name gets the same, and nobody else can tell it.
fn number_of(account: &[u8; 32], name: &str) -> Number {
    let secret = blake3::derive_key("netpay 2026 named payout", account);
    let mut number = [0; 16];
    number.copy_from_slice(&blake3::keyed_hash(&secret, name.as_bytes()).as_bytes()[..16]);
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::Town;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_payout_that_the_broker_did_not_hear_is_kept_and_the_same_again_is_the_same() {
        // The town's broker never answers.
        let town = Town::of(1).await;
        let peer = &town.peers[0];
        let unheard = |trouble| matches!(trouble, Err(Trouble::BrokerUnreachable(_)));
        assert!(unheard(peer.pay_out(Coins(5), " DE00 1234 ", "one").await));
        let first = peer.open_payouts().expect("readable");
        assert_eq!(first.len(), 1);
        assert_eq!((first[0].1.coins, &*first[0].1.to), (Coins(5), "DE00 1234"));
        for name in ["one", "two"] {
            assert!(unheard(peer.pay_out(Coins(5), "DE00 1234", name).await));
            let open = peer.open_payouts().expect("readable");
            assert_eq!(open.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [first[0].0]);
        }
        assert!(unheard(peer.pay_out(Coins(6), "DE00 1234", "three").await));
        assert_eq!(peer.open_payouts().expect("readable").len(), 2);
        for (coins, to) in [(0, "DE00"), (1, " "), (1, "a\u{202e}b"), (1, &*"x".repeat(81))] {
            let refused = peer.pay_out(Coins(coins), to, "bad").await;
            assert!(matches!(refused, Err(Trouble::BadInput { .. })), "{coins} to {to:?}: {refused:?}");
        }
        assert_eq!(peer.open_payouts().expect("readable").len(), 2);
        town.stop().await;
    }
}

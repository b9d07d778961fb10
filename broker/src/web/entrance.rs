//! Letting an account's owner in: a link that its peer signed with the account's key counts once, within a minute, for an
//! account that exists at this broker.

use crate::errors::{self, ErrorView};
use crate::service::storage;
use crate::store::{Journal, JournalError};
use data_encoding::BASE64URL_NOPAD;
use netpay_core::codec;
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{SIGN_IN_WINDOW, SignIn};
use netpay_node::store::Commit;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Where the links lead, below the address of the pages.
pub const PATH: &str = "/account/enter";
/// Links of one account that count within the window.
const MAX_EACH: usize = 8;
/// Accounts whose links are remembered at once.
const MAX_ACCOUNTS: usize = 16_384;

/// The links of each account that came within the window.
type Came = BTreeMap<PublicKey, Vec<(Time, [u8; 16])>>;

/// Which links came.
pub struct Entrance {
    network: NetworkId,
    broker: PublicKey,
    journal: Journal,
    /// The latest time of a link that came before the start: nobody remembers which others of that age did.
    before: Option<Time>,
    came: Mutex<Came>,
}

impl Entrance {
    /// The entrance of this broker.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(journal: Journal, network: NetworkId, broker: PublicKey) -> Result<Self, JournalError> {
        let before = journal.last_entered()?;
        Ok(Self { network, broker, journal, before, came: Mutex::default() })
    }

    /// Whose link that is, as far as it says so itself.
    ///
    /// # Errors
    /// If it is none, or for another broker.
    pub fn read(&self, pass: &str) -> Result<Unverified<SignIn>, ErrorView> {
        let bytes = BASE64URL_NOPAD.decode(pass.trim().as_bytes()).map_err(|_| nonsense())?;
        let signed: Unverified<SignIn> = codec::decode(&bytes).map_err(|_| nonsense())?;
        let claim = signed.claim().map_err(|_| nonsense())?;
        if claim.broker != self.broker {
            return Err(errors::bad_pass("it was made for another broker"));
        }
        Ok(signed)
    }

    /// The account that a link lets in. The link is used up, also for a broker that is started again.
    ///
    /// # Errors
    /// If its signature does not hold, it comes late, early or again, or the disk fails.
    pub async fn enter(&self, signed: Unverified<SignIn>, now: Time) -> Result<PublicKey, ErrorView> {
        let forged = |_| errors::bad_pass("its signature is not that of the account in this network");
        let pass = signed.verify_own(&self.network).map_err(forged)?;
        in_time(&pass, now)?;
        if self.before.is_some_and(|before| pass.at <= before) {
            return Err(errors::bad_pass("the broker was started again since it was made"));
        }
        let durable = self.come(&pass, now)?;
        durable.await.map_err(|error| errors::refused(&storage(&error.into())))?;
        Ok(pass.account)
    }

    fn come(&self, pass: &SignIn, now: Time) -> Result<Commit, ErrorView> {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever is older than the window is refused for that.
        came.retain(|_, links| {
            links.retain(|(at, _)| now.since(*at) <= SIGN_IN_WINDOW);
            !links.is_empty()
        });
        if came.len() >= MAX_ACCOUNTS && !came.contains_key(&pass.account) {
            return Err(errors::crowded());
        }
        let links = came.entry(pass.account).or_default();
        if links.contains(&(pass.at, pass.nonce)) {
            return Err(errors::bad_pass("it was used before"));
        }
        if links.len() >= MAX_EACH {
            return Err(errors::bad_pass(format!("{MAX_EACH} links of this account came within a minute")));
        }
        links.push((pass.at, pass.nonce));
        let latest = came.values().flatten().map(|(at, _)| *at).max();
        // Handed over while nobody else comes in, so that the latest is noted last.
        Ok(self.journal.note_entered(latest.max(self.before).unwrap_or(pass.at)))
    }
}

fn in_time(pass: &SignIn, now: Time) -> Result<(), ErrorView> {
    if now.since(pass.at) > SIGN_IN_WINDOW {
        return Err(errors::bad_pass(format!("it is older than {SIGN_IN_WINDOW} seconds")));
    }
    if pass.at.since(now) > SIGN_IN_WINDOW {
        let why =
            format!("its time is more than {SIGN_IN_WINDOW} seconds ahead: one of the two clocks is wrong");
        return Err(errors::bad_pass(why));
    }
    Ok(())
}

fn nonsense() -> ErrorView {
    errors::bad_pass("it is not whole: the address may have been cut when it was copied")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use netpay_core::keys::SecretKey;
    use netpay_node::store::Db;

    const NOW: Time = Time(1_800_000_000);

    struct Bank {
        entrance: Entrance,
        journal: Journal,
        network: NetworkId,
        key: SecretKey,
    }

    fn bank() -> Bank {
        let (key, network) = (SecretKey::from_seed(&[1; 32]), NetworkId([2; 32]));
        let journal = Journal::open(Db::memory(), &network).expect("readable");
        let entrance = Entrance::open(journal.clone(), network, key.public()).expect("readable");
        Bank { entrance, journal, network, key }
    }

    fn ann() -> SecretKey {
        SecretKey::from_seed(&[3; 32])
    }

    fn link(bank: &Bank, at: Time, nonce: u8, change: impl FnOnce(&mut SignIn)) -> String {
        let (account, broker) = (ann().public(), bank.key.public());
        let mut pass = SignIn { account, broker, at, nonce: [nonce; 16] };
        change(&mut pass);
        BASE64URL_NOPAD.encode(&codec::encode(&ann().sign(&bank.network, pass).wire()))
    }

    fn tried(bank: &Bank, link: &str, now: Time) -> Result<PublicKey, String> {
        let entered = bank.entrance.read(link).and_then(|signed| block_on(bank.entrance.enter(signed, now)));
        entered.map_err(|error| {
            assert_eq!(error.code, "NP-BROKER-035");
            error.why
        })
    }

    #[test]
    fn a_link_lets_its_maker_in_once_and_within_a_minute() {
        let bank = bank();
        let fresh = link(&bank, NOW, 1, |_| ());
        let late = link(&bank, NOW, 2, |_| ());
        assert_eq!(tried(&bank, &fresh, NOW.plus(60)), Ok(ann().public()));
        assert!(tried(&bank, &fresh, NOW.plus(60)).is_err_and(|why| why.contains("used before")));
        assert!(tried(&bank, &late, NOW.plus(61)).is_err_and(|why| why.contains("older")));
        // Long after, the memory of it is gone, and it is refused for its age.
        assert!(tried(&bank, &fresh, NOW.plus(500)).is_err_and(|why| why.contains("older")));
        let early = link(&bank, NOW.plus(61), 3, |_| ());
        assert!(tried(&bank, &early, NOW).is_err_and(|why| why.contains("ahead")));
        // A clock that is a little ahead does not let a link be used twice either.
        let ahead = link(&bank, NOW.plus(60), 4, |_| ());
        assert!(tried(&bank, &ahead, NOW).is_ok());
        assert!(tried(&bank, &ahead, NOW.plus(119)).is_err_and(|why| why.contains("used before")));
    }

    #[test]
    fn a_link_that_somebody_else_made_or_for_somebody_else_lets_nobody_in() {
        let bank = bank();
        let other = link(&bank, NOW, 1, |pass| pass.broker = ann().public());
        assert!(tried(&bank, &other, NOW).is_err_and(|why| why.contains("another broker")));
        // Signed by Ann, for an account that is not hers.
        let stolen = link(&bank, NOW, 1, |pass| pass.account = bank.key.public());
        assert!(tried(&bank, &stolen, NOW).is_err_and(|why| why.contains("signature")));
        let elsewhere = Bank { network: NetworkId([9; 32]), ..self::bank() };
        let foreign = link(&elsewhere, NOW, 1, |_| ());
        assert!(tried(&bank, &foreign, NOW).is_err_and(|why| why.contains("signature")));
        let whole = link(&bank, NOW, 1, |_| ());
        for broken in ["", "x", "<script>", &whole[1..], &whole[..whole.len() - 1], &format!("{whole}A")] {
            assert!(tried(&bank, broken, NOW).is_err(), "{broken}");
        }
        assert!(tried(&bank, &whole, NOW).is_ok());
    }

    #[test]
    fn a_restart_lets_no_old_link_in_again() {
        let bank = bank();
        let (used, ahead) = (link(&bank, NOW, 1, |_| ()), link(&bank, NOW.plus(2), 1, |_| ()));
        assert!(tried(&bank, &ahead, NOW).is_ok());
        assert!(tried(&bank, &used, NOW).is_ok());
        let again = Entrance::open(bank.journal.clone(), bank.network, bank.key.public()).expect("readable");
        let bank = Bank { entrance: again, ..bank };
        for old in [&used, &ahead] {
            assert!(tried(&bank, old, NOW.plus(2)).is_err_and(|why| why.contains("started again")));
        }
        assert!(tried(&bank, &link(&bank, NOW.plus(3), 1, |_| ()), NOW.plus(3)).is_ok());
    }

    #[test]
    fn one_account_cannot_fill_the_memory() {
        let bank = bank();
        for nonce in 0..8 {
            assert!(tried(&bank, &link(&bank, NOW, nonce, |_| ()), NOW).is_ok());
        }
        assert!(tried(&bank, &link(&bank, NOW, 8, |_| ()), NOW).is_err_and(|why| why.contains("within")));
        let later = NOW.plus(61);
        assert!(tried(&bank, &link(&bank, later, 9, |_| ()), later).is_ok());
    }
}

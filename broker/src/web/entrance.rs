//! Letting an account's owner in: a link that its peer signed with the account's key counts once, within a minute, for an
//! account that exists at this broker.

use crate::errors::{self, ErrorView};
use data_encoding::BASE64URL_NOPAD;
use netpay_core::codec;
use netpay_core::id::NetworkId;
use netpay_core::keys::{PublicKey, Unverified};
use netpay_core::time::Time;
use netpay_core::wire::bank::{SIGN_IN_WINDOW, SignIn};
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
    /// Links from before are refused, since nobody remembers which of them came.
    began: Time,
    came: Mutex<Came>,
}

impl Entrance {
    /// The entrance of this broker, which began to let people in at that time.
    #[must_use]
    pub fn new(network: NetworkId, broker: PublicKey, began: Time) -> Self {
        Self { network, broker, began, came: Mutex::default() }
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

    /// The account that a link lets in. The link is used up.
    ///
    /// # Errors
    /// If its signature does not hold, or it comes late, early or again.
    pub fn enter(&self, signed: Unverified<SignIn>, now: Time) -> Result<PublicKey, ErrorView> {
        let forged = |_| errors::bad_pass("its signature is not that of the account in this network");
        let pass = signed.verify_own(&self.network).map_err(forged)?;
        if now.since(pass.at) > SIGN_IN_WINDOW {
            return Err(errors::bad_pass(format!("it is older than {SIGN_IN_WINDOW} seconds")));
        }
        if pass.at.since(now) > SIGN_IN_WINDOW {
            let why = format!(
                "its time is more than {SIGN_IN_WINDOW} seconds ahead: one of the two clocks is wrong"
            );
            return Err(errors::bad_pass(why));
        }
        if pass.at <= self.began {
            return Err(errors::bad_pass("it is from before the broker was started"));
        }
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
        Ok(pass.account)
    }
}

fn nonsense() -> ErrorView {
    errors::bad_pass("it is not whole: the address may have been cut when it was copied")
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::keys::SecretKey;

    const NOW: Time = Time(1_800_000_000);

    struct Bank {
        entrance: Entrance,
        network: NetworkId,
        key: SecretKey,
    }

    fn bank() -> Bank {
        let (key, network) = (SecretKey::from_seed(&[1; 32]), NetworkId([2; 32]));
        let entrance = Entrance::new(network, key.public(), Time(NOW.0 - 1000));
        Bank { entrance, network, key }
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
        let entered = bank.entrance.read(link).and_then(|signed| bank.entrance.enter(signed, now));
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
        let began = Entrance::new(bank.network, bank.key.public(), NOW);
        let bank = Bank { entrance: began, ..bank };
        assert!(tried(&bank, &link(&bank, NOW, 1, |_| ()), NOW).is_err_and(|why| why.contains("started")));
        assert!(tried(&bank, &link(&bank, NOW.plus(1), 1, |_| ()), NOW).is_ok());
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

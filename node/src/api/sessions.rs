//! Who is signed in: people with a browser. A link from the command lets in once, within a minute; so does a password,
//! where one was set. What lets in is a cookie whose name carries the peer's key, since cookies ignore ports and many
//! peers may run on one machine. Everything is in memory: a restart signs everybody out.

use super::password::Password;
use crate::app::view::ErrorView;
use crate::clock::random;
use crate::errors;
use axum::http::{HeaderMap, header};
use netpay_core::keys::PublicKey;
use netpay_core::time::{DAY, MINUTE, Time};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a link lets in, in seconds.
pub const LINK_LIFE: u64 = MINUTE;
/// How long a session lasts that nobody uses, in seconds.
pub const SESSION_LIFE: u64 = 7 * DAY;
/// Links that wait to be used, at most; the oldest gives way.
const MAX_LINKS: usize = 32;
/// Sessions of one visitor at most; the one used longest ago gives way.
pub const MAX_SESSIONS: usize = 64;
/// Wrong passwords within [`TRIES_WITHIN`] after which none is looked at.
const MAX_TRIES: usize = 5;
/// In seconds.
const TRIES_WITHIN: u64 = MINUTE;

/// The hash of a secret: what is kept of links and cookies, and compared.
pub type Digest = [u8; 32];

/// A browser that is signed in.
#[derive(Clone, Debug)]
struct Session<W> {
    who: W,
    cookie: Digest,
    csrf: String,
    used: Time,
}

#[derive(Debug)]
struct State<W> {
    links: VecDeque<(Digest, Time)>,
    /// Those used longest ago first.
    sessions: VecDeque<Session<W>>,
    /// When wrong passwords came.
    wrong: VecDeque<Time>,
}

/// All that are signed in. `W` is who that can be; there is but one owner of a peer.
#[derive(Debug)]
pub struct Sessions<W = ()> {
    cookie: String,
    /// Sessions in all, and of one visitor, at most.
    most: usize,
    most_each: usize,
    state: Mutex<State<W>>,
}

impl Sessions {
    /// Nobody is signed in at this peer.
    #[must_use]
    pub fn of(node: &PublicKey) -> Self {
        Self::named(format!("netpay-{node:.16}"), MAX_SESSIONS, MAX_SESSIONS)
    }

    /// A new key for a link.
    pub fn invite(&self, now: Time) -> String {
        let key = secret();
        let mut state = self.state();
        if state.links.len() >= MAX_LINKS {
            state.links.pop_front();
        }
        state.links.push_back((digest(&key), now.plus(LINK_LIFE)));
        key
    }

    /// Signs in whoever has a link's key; returns the cookie to be set. The key is used up.
    ///
    /// # Errors
    /// If no link of this key waits: it was used, is too old, or never was.
    pub fn enter_by_link(&self, key: &str, now: Time) -> Result<String, ErrorView> {
        let given = digest(key);
        let mut state = self.state();
        state.links.retain(|(_, until)| *until > now);
        let at = state.links.iter().position(|(link, _)| *link == given);
        let at = at.ok_or_else(errors::link_used)?;
        state.links.remove(at);
        Ok(self.begin(&mut state, (), now))
    }

    /// Signs in whoever knows the password; returns the cookie to be set.
    ///
    /// # Errors
    /// If it is wrong, or too many wrong ones came within a minute.
    pub fn enter_by_password(
        &self,
        password: &Password,
        given: &str,
        now: Time,
    ) -> Result<String, ErrorView> {
        {
            let mut state = self.state();
            state.wrong.retain(|at| now.since(*at) < TRIES_WITHIN);
            if state.wrong.len() >= MAX_TRIES {
                return Err(errors::too_many_tries());
            }
            // Counted before it is looked at, so that many at once are no way around.
            state.wrong.push_back(now);
        }
        if !password.is(given) {
            return Err(errors::wrong_password());
        }
        let mut state = self.state();
        state.wrong.pop_back();
        Ok(self.begin(&mut state, (), now))
    }
}

impl<W: Clone + PartialEq> Sessions<W> {
    /// Nobody is signed in. The cookie has this name; there are so many sessions at most, in all and of one visitor.
    #[must_use]
    pub fn named(cookie: String, most: usize, most_each: usize) -> Self {
        let state = State { links: VecDeque::new(), sessions: VecDeque::new(), wrong: VecDeque::new() };
        Self { cookie, most, most_each, state: Mutex::new(state) }
    }

    /// Signs in whoever has shown who it is; returns the cookie to be set.
    pub fn enter(&self, who: W, now: Time) -> String {
        self.begin(&mut self.state(), who, now)
    }

    fn begin(&self, state: &mut State<W>, who: W, now: Time) -> String {
        let cookie = secret();
        if state.sessions.iter().filter(|session| session.who == who).count() >= self.most_each {
            let oldest = state.sessions.iter().position(|session| session.who == who);
            oldest.and_then(|at| state.sessions.remove(at));
        }
        if state.sessions.len() >= self.most {
            state.sessions.pop_front();
        }
        state.sessions.push_back(Session { who, cookie: digest(&cookie), csrf: secret(), used: now });
        format!("{}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_LIFE}", self.cookie)
    }

    /// The secret of the session that a request's cookie belongs to, which its forms carry; `None` if it is signed out.
    #[must_use]
    pub fn of_request(&self, headers: &HeaderMap, now: Time) -> Option<String> {
        self.visitor(headers, now).map(|(_, csrf)| csrf)
    }

    /// Who a request's cookie belongs to, and the secret of that session; `None` if it is signed out.
    #[must_use]
    pub fn visitor(&self, headers: &HeaderMap, now: Time) -> Option<(W, String)> {
        let mut state = self.state();
        state.sessions.retain(|session| now.since(session.used) < SESSION_LIFE);
        let at = self.position(&state, headers)?;
        let mut session = state.sessions.remove(at)?;
        session.used = now;
        let visitor = (session.who.clone(), session.csrf.clone());
        state.sessions.push_back(session);
        Some(visitor)
    }

    /// Signs the request's session out; returns the cookie that takes the place of its own.
    pub fn leave(&self, headers: &HeaderMap) -> String {
        let mut state = self.state();
        if let Some(at) = self.position(&state, headers) {
            state.sessions.remove(at);
        }
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie)
    }

    /// How many are signed in.
    #[must_use]
    pub fn count(&self, now: Time) -> usize {
        self.state().sessions.iter().filter(|session| now.since(session.used) < SESSION_LIFE).count()
    }

    /// Signs everybody out but the request's session; links that wait let nobody in any more. Returns how many that were.
    pub fn end_others(&self, headers: &HeaderMap) -> usize {
        let mut state = self.state();
        state.links.clear();
        let own = self.position(&state, headers).and_then(|at| state.sessions.remove(at));
        let others = state.sessions.len();
        state.sessions = own.into_iter().collect();
        others
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self, state: &State<W>, headers: &HeaderMap) -> Option<usize> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|one| one.trim().split_once('='));
        let given = digest(pairs.find(|(name, _)| *name == self.cookie)?.1);
        state.sessions.iter().position(|session| session.cookie == given)
    }
}

fn secret() -> String {
    data_encoding::HEXLOWER.encode(&random::<32>())
}

/// Digests are compared, so that the time taken says nothing about the secret.
#[must_use]
pub fn digest(secret: &str) -> Digest {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const NOW: Time = Time(1_800_000_000);

    fn sessions() -> Sessions {
        Sessions::of(&PublicKey([7; 32]))
    }

    fn shows(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().expect("a pair");
        let jar = format!("netpay-0000000000000000=other; {pair}; theme=dark");
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&jar).expect("a header"))])
    }

    #[test]
    fn a_link_lets_in_once_and_within_a_minute() {
        let sessions = sessions();
        let (key, late) = (sessions.invite(NOW), sessions.invite(NOW));
        let cookie = sessions.enter_by_link(&key, NOW.plus(LINK_LIFE - 1)).expect("the first time");
        assert!(sessions.of_request(&shows(&cookie), NOW.plus(LINK_LIFE)).is_some());
        let replayed = sessions.enter_by_link(&key, NOW.plus(LINK_LIFE - 1)).expect_err("replayed");
        assert_eq!(replayed.code, "NP-DAEMON-007");
        assert!(sessions.enter_by_link(&late, NOW.plus(LINK_LIFE)).is_err(), "too late");
        assert!(sessions.enter_by_link("", NOW).is_err());
    }

    #[test]
    fn who_signs_out_or_stays_away_for_a_week_is_signed_out() {
        let sessions = sessions();
        let enter = |at| sessions.enter_by_link(&sessions.invite(at), at).expect("in time");
        let (one, other) = (enter(NOW), enter(NOW));
        assert_ne!(sessions.of_request(&shows(&one), NOW), sessions.of_request(&shows(&other), NOW));
        assert!(sessions.leave(&shows(&one)).contains("Max-Age=0"));
        assert!(sessions.of_request(&shows(&one), NOW).is_none());
        let later = NOW.plus(SESSION_LIFE - 1);
        assert!(sessions.of_request(&shows(&other), later).is_some());
        assert!(sessions.of_request(&shows(&other), later.plus(SESSION_LIFE)).is_none());
        assert!(sessions.of_request(&HeaderMap::new(), NOW).is_none());
    }

    #[test]
    fn who_changes_the_locks_stays_in_alone() {
        let sessions = sessions();
        let enter = || sessions.enter_by_link(&sessions.invite(NOW), NOW).expect("in time");
        let (one, own, other) = (enter(), enter(), enter());
        let waiting = sessions.invite(NOW);
        assert_eq!(sessions.end_others(&shows(&own)), 2);
        assert!(sessions.of_request(&shows(&own), NOW).is_some());
        assert!([one, other].iter().all(|cookie| sessions.of_request(&shows(cookie), NOW).is_none()));
        assert!(sessions.enter_by_link(&waiting, NOW).is_err());
        assert_eq!((sessions.end_others(&HeaderMap::new()), sessions.count(NOW)), (1, 0));
    }

    #[test]
    fn passwords_cannot_be_tried_in_a_row() {
        let (sessions, password) = (sessions(), Password::of("open sesame"));
        for _ in 0..MAX_TRIES {
            let wrong = sessions.enter_by_password(&password, "guess", NOW).expect_err("wrong");
            assert_eq!(wrong.code, "NP-DAEMON-008");
        }
        let right = sessions.enter_by_password(&password, "open sesame", NOW);
        assert_eq!(right.expect_err("too many").code, "NP-DAEMON-009");
        let cookie = sessions.enter_by_password(&password, "open sesame", NOW.plus(TRIES_WITHIN));
        assert!(sessions.of_request(&shows(&cookie.expect("a minute later")), NOW).is_some());
    }

    #[test]
    fn the_oldest_session_gives_way() {
        let sessions = sessions();
        let enter = || sessions.enter_by_link(&sessions.invite(NOW), NOW).expect("in time");
        let first = enter();
        let others: Vec<_> = (0..MAX_SESSIONS).map(|_| enter()).collect();
        assert!(sessions.of_request(&shows(&first), NOW).is_none());
        assert!(others.iter().all(|cookie| sessions.of_request(&shows(cookie), NOW).is_some()));
    }
}

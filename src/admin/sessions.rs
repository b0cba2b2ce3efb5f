//! Browsers that have signed in.
//!
//! A session stands for the token that it was opened with, as that is in the file: who takes the token out, gives it another secret or
//! another role ends its sessions. It is known by 256 bits from the system, of which only a SHA-256 is kept, as of a token. It ends
//! when nobody has used it for a while, when its time is over, when it is signed out and with the process, since nothing of it is
//! written anywhere.
//!
//! Beside the cookie, which a browser adds to requests by itself, each call that changes something must show a second value, which only a
//! page of this port can read. It is made of the id by a hash, so that it needs no place, and gives nothing of the id away.

use super::settings::{Limits, SessionTimes, Token};
use crate::clock::Now;
use crate::secret::{self, Digest, digest};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the second value is made with, so that it is no hash of anything else.
const SECOND: &[u8] = b"freshgate session, second value: ";

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    times: SessionTimes,
    limits: Limits,
    /// By the digest of their ids. A table will do for a secret by the argument of [`secret::Known`].
    open: HashMap<Digest, Session>,
}

#[derive(Debug)]
struct Session {
    token: Token,
    /// `Now::mono` of its beginning and of its last use.
    begun: u64,
    used: u64,
}

impl Session {
    fn is_over(&self, times: &SessionTimes, now: Now) -> bool {
        let since = |then: u64| Duration::from_millis(now.mono.saturating_sub(then));
        since(self.begun) >= times.lifetime || since(self.used) >= times.idle
    }
}

impl Sessions {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on they last so long.
    pub(super) fn last(&self, times: &SessionTimes) {
        self.book().times = times.clone();
    }

    /// From now on so many may be open. More that are stay until others begin.
    pub(super) fn limit(&self, limits: &Limits) {
        self.book().limits = limits.clone();
    }

    /// Ends those whose token isn't among these as it was.
    pub(super) fn keep(&self, tokens: &[Token]) {
        self.book().open.retain(|_, session| tokens.contains(&session.token));
    }

    /// A new one; its id, which is what its cookie holds. `None` when the system has no random bytes.
    pub(super) fn begin(&self, token: &Token, now: Now) -> Option<String> {
        let id = hex(&secret::random()?);
        let mut book = self.book();
        let Book { times, limits, open } = &mut *book;
        open.retain(|_, session| !session.is_over(times, now));
        let is_of_this = |session: &Session| session.token.name == token.name;
        while open.values().filter(|session| is_of_this(session)).count() >= limits.sessions_per_token {
            remove_oldest(open, is_of_this);
        }
        while open.len() >= limits.sessions {
            remove_oldest(open, |_| true);
        }
        open.insert(digest(id.as_bytes()), Session { token: token.clone(), begun: now.mono, used: now.mono });
        drop(book);
        Some(id)
    }

    /// The token that the session `id` was opened with. `used`: whether this counts as use of it.
    pub(super) fn token(&self, id: &str, now: Now, used: bool) -> Option<Token> {
        let mut book = self.book();
        let Book { times, open, .. } = &mut *book;
        let key = digest(id.as_bytes());
        let session = open.get_mut(&key)?;
        if session.is_over(times, now) {
            open.remove(&key);
            return None;
        }
        if used {
            session.used = now.mono;
        }
        Some(session.token.clone())
    }

    /// Ends the session `id`.
    pub(super) fn end(&self, id: &str) {
        self.book().open.remove(&digest(id.as_bytes()));
    }
}

fn remove_oldest(open: &mut HashMap<Digest, Session>, of: impl Fn(&Session) -> bool) {
    let oldest = open.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.used);
    if let Some(key) = oldest.map(|(key, _)| *key) {
        open.remove(&key);
    }
}

/// What calls that change something must show beside the cookie with this id.
pub(super) fn second(id: &str) -> String {
    hex(&digest(&[SECOND, id.as_bytes()].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Proof, Role};
    use super::*;

    fn token(name: &str) -> Token {
        Token { name: name.into(), role: Role::Viewer, proof: Proof::Secret([7; 32]) }
    }

    fn at(seconds: u64) -> Now {
        Now { mono: seconds * 1_000, unix: 0 }
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_its_time_is_over() {
        let sessions = Sessions::default();
        let (idle, busy) = (sessions.begin(&token("a"), at(0)).unwrap(), sessions.begin(&token("a"), at(0)).unwrap());
        for minute in 1..12 * 60 {
            assert!(sessions.token(&busy, at(minute * 60), true).is_some(), "{minute}");
            assert_eq!(sessions.token(&idle, at(minute * 60), false).is_some(), minute < 30, "{minute}");
        }
        assert!(sessions.token(&busy, at(12 * 3_600), true).is_none());
        assert!(sessions.book().open.is_empty());
    }

    #[test]
    fn there_are_only_so_many_and_the_one_used_longest_ago_goes() {
        let sessions = Sessions::default();
        const PER_TOKEN: usize = 50;
        let first: Vec<_> = (0..2).map(|n| sessions.begin(&token("many"), at(n)).unwrap()).collect();
        assert!(sessions.token(&first[0], at(3), true).is_some());
        let other = sessions.begin(&token("other"), at(0)).unwrap();
        for n in 0..PER_TOKEN as u64 - 1 {
            sessions.begin(&token("many"), at(4 + n)).unwrap();
        }
        let there = |id: &str| sessions.token(id, at(60), false).is_some();
        assert_eq!((there(&first[0]), there(&first[1]), there(&other)), (true, false, true));
        assert_eq!(sessions.book().open.len(), PER_TOKEN + 1);
        for n in 0..1_000 {
            sessions.begin(&token(&format!("token {n}")), at(100)).unwrap();
        }
        assert_eq!(sessions.book().open.len(), 1_000);
        assert!(!there(&other));
        sessions.limit(&Limits { sessions: 3, sessions_per_token: 2, ..Limits::default() });
        assert_eq!(sessions.book().open.len(), 1_000, "nobody is signed out by a reload");
        for (name, open) in [("a", 3), ("a", 3), ("a", 3), ("b", 3)] {
            sessions.begin(&token(name), at(200)).unwrap();
            assert_eq!(sessions.book().open.len(), open);
        }
        assert_eq!(sessions.book().open.values().filter(|session| session.token.name == "a").count(), 2);
    }

    #[test]
    fn neither_id_nor_second_value_is_kept_and_all_differ() {
        let sessions = Sessions::default();
        let ids: Vec<_> = (0..20).map(|_| sessions.begin(&token("a"), at(0)).unwrap()).collect();
        let all: std::collections::HashSet<_> = ids.iter().flat_map(|id| [id.clone(), second(id)]).collect();
        assert_eq!(all.len(), 40);
        assert!(all.iter().all(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())));
        let kept = sessions.book().open.keys().map(|key| hex(key)).collect::<Vec<_>>();
        assert!(kept.iter().all(|key| !all.contains(key)));
    }
}

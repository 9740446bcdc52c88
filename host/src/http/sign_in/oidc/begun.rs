//! Sign-ins that are on their way to the provider and back: in memory, for some
//! minutes, and each good for one return to the browser that began it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::oidc::Metadata;
use crate::domain::session::{TokenHash, TokenText};
use crate::domain::time::Timestamp;
use crate::domain::user::Email;

/// Whoever is not back by then begins anew.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// With so many, the oldest goes. Beginning costs tries (`guesses.rs`), so that few
/// can push out nobody.
const MOST: usize = 10_000;

/// Of where somebody wanted to go, so much is remembered: strangers can begin too.
const LONGEST: usize = 2048;

/// All of them, by what comes back with each.
#[derive(Default)]
pub struct Begun(Mutex<HashMap<TokenHash, SignIn>>);

pub(super) struct SignIn {
    /// What the cookie of the browser has that began it: a return that somebody
    /// else was talked into is not theirs.
    pub(super) browser: TokenHash,
    /// Where they wanted to go.
    pub(super) then: String,
    pub(super) ends_at: Timestamp,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// They were sent to the provider.
    Asked(Asked),
    /// The provider vouches for this address, which several users have: they are
    /// asked which they are.
    Vouched(Email),
}

/// What has to fit what the provider answers.
pub(super) struct Asked {
    pub(super) metadata: Arc<Metadata>,
    pub(super) nonce: TokenText,
    pub(super) verifier: TokenText,
}

impl Begun {
    pub(super) fn put(&self, key: TokenHash, mut sign_in: SignIn, now: Timestamp) {
        if sign_in.then.len() > LONGEST {
            "/".clone_into(&mut sign_in.then);
        }
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() >= MOST {
            begun.retain(|_, other| now < other.ends_at);
        }
        if begun.len() >= MOST {
            let oldest = begun.iter().min_by_key(|(_, other)| other.ends_at).map(|(key, _)| *key);
            oldest.and_then(|oldest| begun.remove(&oldest));
        }
        begun.insert(key, sign_in);
    }

    /// The sign-in that `key` came back with, if a browser that shows one of these
    /// cookies began it. It comes back once; from another browser it was not it.
    pub(super) fn take(&self, key: TokenHash, cookies: &[TokenText], now: Timestamp) -> Option<SignIn> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |sign_in: &&SignIn| cookies.iter().any(|cookie| cookie.hash() == sign_in.browser);
        begun.get(&key).filter(is_own)?;
        begun.remove(&key).filter(|sign_in| now < sign_in.ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> TokenText {
        TokenText::given(text)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn begin(begun: &Begun, key: &str, now: Timestamp) {
        let email = "jane@example.com".parse().unwrap();
        let (browser, stage) = (token("cookie").hash(), Stage::Vouched(email));
        begun.put(token(key).hash(), SignIn { browser, then: "/".to_owned(), ends_at: now + PATIENCE, stage }, now);
    }

    #[test]
    fn it_comes_back_once_to_the_browser_that_began_it() {
        let begun = Begun::default();
        let take = |key: &str, cookies: &[&str]| {
            let cookies: Vec<TokenText> = cookies.iter().map(|cookie| token(cookie)).collect();
            begun.take(token(key).hash(), &cookies, at(1)).is_some()
        };
        begin(&begun, "a", at(0));
        begin(&begun, "b", at(0));
        assert!(!take("a", &[]) && !take("a", &["other"]) && !take("c", &["cookie"]));
        assert!(take("a", &["other", "cookie"]), "what others tried did not end it");
        assert!(!take("a", &["cookie"]), "once");
        assert!(take("b", &["cookie"]));
    }

    #[test]
    fn it_ends_and_memory_of_it_does_not_grow() {
        let begun = Begun::default();
        let cookie = [token("cookie")];
        begin(&begun, "late", at(0));
        assert!(begun.take(token("late").hash(), &cookie, at(600)).is_none());
        begin(&begun, "first", at(0));
        for number in 0..MOST {
            begin(&begun, &number.to_string(), at(1));
        }
        assert!(begun.take(token("first").hash(), &cookie, at(2)).is_none(), "the oldest went");
        assert!(begun.take(token("0").hash(), &cookie, at(2)).is_some());
        assert!(begun.0.lock().unwrap().len() <= MOST);
    }
}

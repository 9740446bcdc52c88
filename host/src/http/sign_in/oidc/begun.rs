//! Sign-ins that are on their way to the provider and back. What has to be known of
//! one goes with the browser that began it, in a cookie that nobody else can read
//! or write, so that any host that has the master key can end what another began.
//!
//! Each is good for some minutes and, at one host, once. At several, what is good
//! once is the provider's code; and the cookie is taken away with the first return.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::session::{TokenHash, TokenText};
use crate::domain::time::Timestamp;
use crate::domain::user::Email;
use crate::store::seal::{Label, Seal};

/// Whoever is not back by then begins anew.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// So many returns are remembered, the newest.
const MOST: usize = 10_000;
/// Of where somebody wanted to go, so much is remembered: a browser keeps 4096 bytes
/// of a cookie.
const LONGEST: usize = 1024;

/// What seals them, and those that have come back. Holds a key, so that it has no
/// `Debug`.
pub struct Begun {
    seal: Seal,
    /// By what came back with each, until it would have ended.
    returned: Mutex<HashMap<TokenHash, Timestamp>>,
}

pub(super) struct SignIn {
    /// Where they wanted to go.
    pub(super) then: String,
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
    pub(super) nonce: TokenText,
    pub(super) verifier: TokenText,
}

/// What the cookie has.
#[derive(Serialize, Deserialize)]
struct Written {
    then: String,
    /// Milliseconds since 1970.
    ends_at: i64,
    stage: WrittenStage,
}

#[derive(Serialize, Deserialize)]
enum WrittenStage {
    Asked { nonce: String, verifier: String },
    Vouched(String),
}

impl Begun {
    /// With a key that has no other purpose.
    pub fn new(key: [u8; 32]) -> Self {
        Self { seal: Seal::new(key), returned: Mutex::default() }
    }

    /// The cookie of a browser that begins; `key` has to come back with it.
    pub(super) fn begin(&self, key: &TokenText, sign_in: SignIn, now: Timestamp) -> TokenText {
        let SignIn { mut then, stage } = sign_in;
        if then.len() > LONGEST {
            "/".clone_into(&mut then);
        }
        let stage = match stage {
            Stage::Asked(Asked { nonce, verifier }) => {
                WrittenStage::Asked { nonce: nonce.reveal().to_owned(), verifier: verifier.reveal().to_owned() }
            }
            Stage::Vouched(email) => WrittenStage::Vouched(email.as_str().to_owned()),
        };
        let written = Written { then, ends_at: (now + PATIENCE).as_millis(), stage };
        let plain = serde_json::to_vec(&written).expect("texts and numbers are JSON");
        TokenText::given(URL_SAFE_NO_PAD.encode(self.seal.seal(label(key), &plain)))
    }

    /// The sign-in that `key` came back with, if a browser that shows one of these
    /// cookies began it. It comes back once; from another browser it was not it.
    pub(super) fn take(&self, key: &TokenText, cookies: &[TokenText], now: Timestamp) -> Option<SignIn> {
        let written = cookies.iter().find_map(|cookie| self.open(key, cookie))?;
        let ends_at = Timestamp::from_millis(written.ends_at);
        let is_good = now < ends_at && self.returns(key.hash(), ends_at, now);
        let stage = match written.stage {
            WrittenStage::Asked { nonce, verifier } => {
                Stage::Asked(Asked { nonce: TokenText::given(nonce), verifier: TokenText::given(verifier) })
            }
            WrittenStage::Vouched(email) => Stage::Vouched(email.parse().ok()?),
        };
        is_good.then_some(SignIn { then: written.then, stage })
    }

    fn open(&self, key: &TokenText, cookie: &TokenText) -> Option<Written> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie.reveal()).ok()?;
        serde_json::from_slice(&self.seal.open(label(key), &sealed).ok()?).ok()
    }

    /// Whether it comes back for the first time.
    fn returns(&self, key: TokenHash, ends_at: Timestamp, now: Timestamp) -> bool {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        if returned.len() >= MOST {
            returned.retain(|_, ends_at| now < *ends_at);
        }
        if returned.len() >= MOST {
            let oldest = returned.iter().min_by_key(|(_, ends_at)| **ends_at).map(|(key, _)| *key);
            oldest.and_then(|oldest| returned.remove(&oldest));
        }
        returned.insert(key, ends_at).is_none()
    }
}

/// What is sealed for one return opens with no other.
fn label(key: &TokenText) -> Label<'_> {
    Label { what: "sign-in", whose: key.reveal() }
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

    fn begin(begun: &Begun, key: &str, then: &str) -> TokenText {
        let asked = Asked { nonce: token("nonce"), verifier: token("verifier") };
        begun.begin(&token(key), SignIn { then: then.to_owned(), stage: Stage::Asked(asked) }, at(0))
    }

    #[test]
    fn it_comes_back_once_to_the_browser_that_began_it() {
        let begun = Begun::new([7; 32]);
        let (one, other) = (begin(&begun, "a", "/x"), begin(&begun, "b", "/"));
        let take = |key: &str, cookies: &[&TokenText]| {
            let cookies: Vec<TokenText> = cookies.iter().map(|cookie| token(cookie.reveal())).collect();
            begun.take(&token(key), &cookies, at(1))
        };
        let strange = [token(""), token("x"), token(&"A".repeat(100))];
        assert!(take("a", &[]).is_none() && take("a", &[&other]).is_none() && take("c", &[&one]).is_none());
        assert!(take("a", &strange.each_ref()).is_none());
        let taken = take("a", &[&other, &one]).expect("what others tried did not end it");
        assert!(matches!(&taken.stage, Stage::Asked(asked)
            if (asked.nonce.reveal(), asked.verifier.reveal()) == ("nonce", "verifier")));
        assert_eq!(taken.then, "/x");
        assert!(take("a", &[&one]).is_none(), "once");
        assert!(take("b", &[&other]).is_some());
    }

    #[test]
    fn any_host_with_the_key_takes_it_back() {
        let email: Email = "jane@example.com".parse().unwrap();
        let vouched = SignIn { then: "/".to_owned(), stage: Stage::Vouched(email.clone()) };
        let cookie = Begun::new([7; 32]).begin(&token("a"), vouched, at(0));
        let back = |key, now| Begun::new([key; 32]).take(&token("a"), &[token(cookie.reveal())], now);
        assert!(matches!(back(7, at(599)), Some(SignIn { stage: Stage::Vouched(found), .. }) if found == email));
        assert!(back(8, at(1)).is_none() && back(7, at(600)).is_none());
    }

    #[test]
    fn a_browser_keeps_it_and_memory_of_it_does_not_grow() {
        let begun = Begun::new([7; 32]);
        let long = begin(&begun, "long", &"\"".repeat(LONGEST));
        assert!(long.reveal().len() < 3800, "{}", long.reveal().len());
        let too_long = begin(&begun, "too long", &"/".repeat(LONGEST + 1));
        assert_eq!(begun.take(&token("too long"), &[too_long], at(0)).map(|taken| taken.then).as_deref(), Some("/"));
        for number in 0..=MOST {
            assert!(begun.returns(token(&number.to_string()).hash(), at(1), at(0)));
        }
        assert!(begun.returned.lock().unwrap().len() <= MOST);
    }
}

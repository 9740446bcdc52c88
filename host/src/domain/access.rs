//! How an endpoint proves to its receiver who is calling: headers whose values
//! are secret, a login, a certificate. What each may be, and nothing of how it
//! is fetched or sent.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dialect::Dialect;
use super::evidence::Locator;
use super::header::Header;
use super::oauth::OAuth;
use super::secret::Secret;
use super::signature::Form;
use super::tls::Tls;

/// At most this many bytes in a user's name, and in a password.
const MAX_LOGIN: usize = 1024;
/// And in a token: room for a large JWT, within one header's value.
const MAX_TOKEN: usize = 7 * 1024;

/// The header that a login is sent in.
pub const AUTHORIZATION: &str = "authorization";

/// All of it. `Debug` shows no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub headers: Vec<SecretHeader>,
    pub auth: Option<Auth>,
    pub tls: Option<Tls>,
}

/// A header of the endpoint's whose value is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// In lower case.
    pub name: String,
    pub value: Arc<Secret>,
}

/// What the header `Authorization` has.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// RFC 7617.
    Basic { username: String, password: Arc<Secret> },
    /// RFC 6750.
    Bearer { token: Arc<Secret> },
    /// RFC 6749, section 4.4: a bearer token that is fetched.
    OAuth(OAuth),
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHeader({})", self.name)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username:?})"),
            Self::Bearer { .. } => f.write_str("Bearer"),
            Self::OAuth(oauth) => oauth.fmt(f),
        }
    }
}

/// A part that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub struct BadAccess {
    /// Below `auth` or `tls`.
    pub field: &'static str,
    pub problem: String,
}

pub(super) fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Result<T, BadAccess> {
    Err(BadAccess { field, problem: problem.into() })
}

impl Access {
    /// What stands in the way of a login, of an endpoint with these other headers
    /// that speaks `dialect`.
    pub fn check(&self, shown: &[Header], dialect: &Dialect) -> Result<(), BadAccess> {
        if self.auth.is_none() {
            return Ok(());
        }
        let secret = self.headers.iter().map(|header| &header.name);
        if shown.iter().map(|header| &header.name).chain(secret).any(|name| name == AUTHORIZATION) {
            return wrong("", "the endpoint has a header `authorization` as well; keep one of the two");
        }
        let of_dialect = dialect.headers.iter().any(|header| header.name.eq_ignore_ascii_case(AUTHORIZATION));
        let login = Locator::Header(AUTHORIZATION.to_owned());
        let signs_there = |form: &Form| matches!(form, Form::Value(value) if value.at == login);
        if of_dialect || dialect.signature.iter().any(|scheme| signs_there(&scheme.form)) {
            return wrong("", format!("{} sets the header `authorization` itself", dialect.title));
        }
        Ok(())
    }

    /// The headers that are there before anything is fetched: those that are
    /// secret, and a login that needs no token.
    pub fn standing(&self) -> Vec<Header> {
        let own = self.headers.iter().map(|SecretHeader { name, value }| header(name, value.reveal().to_owned()));
        own.chain(self.auth.as_ref().and_then(Auth::standing)).collect()
    }
}

impl Auth {
    /// A login with a name and a password, each as the receiver has it.
    pub fn basic(username: String, password: Arc<Secret>) -> Result<Self, BadAccess> {
        // RFC 7617, section 2: the first colon ends the name.
        if username.contains(':') || username.chars().any(char::is_control) || username.len() > MAX_LOGIN {
            return wrong("username", format!("give up to {MAX_LOGIN} bytes, no colon and no control character"));
        }
        let text = password.reveal();
        if text.chars().any(char::is_control) || text.len() > MAX_LOGIN {
            return wrong("password", format!("give up to {MAX_LOGIN} bytes, no control character"));
        }
        if username.is_empty() && text.is_empty() {
            return wrong("username", "name and password cannot both be empty");
        }
        Ok(Self::Basic { username, password })
    }

    pub fn bearer(token: Arc<Secret>) -> Result<Self, BadAccess> {
        if is_token(token.reveal()) {
            return Ok(Self::Bearer { token });
        }
        wrong("token", format!("give 1 to {MAX_TOKEN} visible ASCII characters, without `Bearer` and without spaces"))
    }

    /// The word that the API uses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::OAuth(_) => "oauth2",
        }
    }

    fn standing(&self) -> Option<Header> {
        match self {
            Self::Basic { username, password } => Some(basic_header(username, password.reveal())),
            Self::Bearer { token } => Some(bearer_header(token.reveal())),
            Self::OAuth(_) => None,
        }
    }
}

/// Whether a text can be a bearer token. RFC 6750, section 2.1, is narrower than
/// what is in use: Laravel's tokens have a `|` in them.
pub(super) fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub fn bearer_header(token: &str) -> Header {
    header(AUTHORIZATION, format!("Bearer {token}"))
}

pub(super) fn basic_header(username: &str, password: &str) -> Header {
    header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

fn header(name: &str, value: String) -> Header {
    Header { name: name.to_owned(), value }
}

/// What stands where a secret came back.
const HIDDEN: &[u8] = b"(hidden)";
/// Shorter ones stand in too much that is none.
const SHORTEST_HIDDEN: usize = 6;

/// `text` without the secrets that were sent. Some receivers answer with what
/// they got, and answers are kept and shown.
pub fn without(secrets: &[String], text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        // At the end, what was cut may have been the rest of one.
        let is_here = |one: &&String| {
            let shared = one.len().min(rest.len());
            shared >= SHORTEST_HIDDEN && rest[..shared] == one.as_bytes()[..shared]
        };
        match secrets.iter().find(is_here) {
            Some(secret) => {
                clean.extend_from_slice(HIDDEN);
                rest = &rest[secret.len().min(rest.len())..];
            }
            None => {
                clean.push(*first);
                rest = after;
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Arc<Secret> {
        Arc::new(Secret::stored(text.to_owned()))
    }

    #[track_caller]
    fn check(auth: Result<Auth, BadAccess>, expected: &str) {
        let said = match auth {
            Ok(auth) => auth.standing().map(|header| header.value).unwrap_or_default(),
            Err(bad) => format!("{}: {}", bad.field, bad.problem),
        };
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn a_login_is_a_header_as_the_rfcs_write_it() {
        // RFC 7617, section 2 and section 2.1.
        check(Auth::basic("Aladdin".to_owned(), secret("open sesame")), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check(Auth::basic("test".to_owned(), secret("123\u{a3}")), "Basic dGVzdDoxMjPCow==");
        check(Auth::basic("key".to_owned(), secret("")), "Basic a2V5Og==");
        check(Auth::basic("a:b".to_owned(), secret("c")), "username: ");
        check(Auth::basic("a".to_owned(), secret("c\n")), "password: ");
        check(Auth::basic(String::new(), secret("")), "username: ");
        check(Auth::bearer(secret("mF_9.B5f-4.1JqM")), "Bearer mF_9.B5f-4.1JqM");
        check(Auth::bearer(secret("Bearer x")), "token: ");
        check(Auth::bearer(secret("")), "token: ");
        check(Auth::bearer(secret("x\r\nhost: y")), "token: ");
    }

    #[test]
    fn what_is_printed_has_no_secret() {
        let access = Access {
            headers: vec![SecretHeader { name: "x-key".to_owned(), value: secret("hush-header") }],
            auth: Auth::basic("user".to_owned(), secret("hush-password")).ok(),
            tls: None,
        };
        let printed = format!("{access:?}");
        assert!(printed.contains("x-key") && printed.contains("user") && !printed.contains("hush"), "{printed}");
    }

    #[test]
    fn secrets_are_taken_out_of_what_comes_back() {
        let secrets = ["hush-hush".to_owned(), "no".to_owned()];
        let clean = |text: &str| String::from_utf8(without(&secrets, text.as_bytes())).unwrap();
        assert_eq!(
            clean("{\"you sent\":\"hush-hush\"} hush-hushhush-hus"),
            "{\"you sent\":\"(hidden)\"} (hidden)(hidden)"
        );
        assert_eq!(clean("not now, hush"), "not now, hush");
    }
}

//! Sessions and links: what a browser shows in the place of a password, how long
//! it is good for, and what a portal's may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::{KeyId, NotAnId, TenantId, UserId};
use super::key::KeyHash;
use super::time::Timestamp;
use super::user::Whose;

/// Whoever does nothing for so long has gone.
pub const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// And nobody stays signed in for longer.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many are signed in as one user, or with one key, at once: one person has a few
/// browsers, and whoever signs in without end is in nobody's way but their own.
pub const MOST_OF_HOLDER: u32 = 50;
/// A link that was not taken by then is forgotten.
pub const LINK: Duration = Duration::from_secs(24 * 60 * 60);
/// That somebody is still there is written down this often at most.
const SEEN_EVERY: Duration = Duration::from_secs(5 * 60);

/// What opens a session or a link: 256 random bits. Has no `Debug` on purpose.
pub struct TokenText(String);

impl TokenText {
    pub fn new(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// One that somebody presents.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the store knows it by. No password hash: it cannot be guessed.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// For the cookie or the link, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub hash: TokenHash,
    pub holder: Holder,
    /// The tenant that the operator has entered.
    pub entered: Option<TenantId>,
    pub created_at: Timestamp,
    /// It is over then, unless somebody is seen before.
    pub lapses_at: Timestamp,
    /// It is over then.
    pub ends_at: Timestamp,
}

/// By what somebody is signed in, and with the end of which the session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    User(Whose, UserId),
    /// A tenant's key, or the operator's.
    Key(Whose, KeyHash),
    Portal(TenantId, PortalScope, Option<Maker>),
}

/// Who made a portal's link, which is worth nothing once they may make none any
/// more. The operator, who always may, is nobody here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    User(UserId),
    Key(KeyId),
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
        }
    }
}

impl FromStr for Maker {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self::User).or_else(|_| text.parse().map(Self::Key))
    }
}

impl Holder {
    pub fn whose(&self) -> Whose {
        match self {
            Self::User(whose, _) | Self::Key(whose, _) => *whose,
            Self::Portal(tenant, ..) => Whose::Tenant(*tenant),
        }
    }

    /// Who it is, for a line of the log: a user's id, or by what else they are in.
    pub fn who(&self) -> String {
        match self {
            Self::User(_, id) => id.to_string(),
            Self::Key(..) => "key".to_owned(),
            Self::Portal(..) => "portal".to_owned(),
        }
    }
}

impl Session {
    /// A person's, from now on.
    pub fn new(hash: TokenHash, holder: Holder, now: Timestamp) -> Self {
        Self { hash, holder, entered: None, created_at: now, lapses_at: now + IDLE, ends_at: now + LONGEST }
    }

    /// One that lasts for a set time, seen or not.
    pub fn portal(
        hash: TokenHash,
        (tenant, scope, maker): (TenantId, PortalScope, Option<Maker>),
        now: Timestamp,
        lasts: Duration,
    ) -> Self {
        let (holder, end) = (Holder::Portal(tenant, scope, maker), now + lasts);
        Self { hash, holder, entered: None, created_at: now, lapses_at: end, ends_at: end }
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.lapses_at.min(self.ends_at) <= now
    }

    /// Until when it lasts, now that somebody was seen, where that is worth
    /// writing down.
    pub fn seen(&self, now: Timestamp) -> Option<Timestamp> {
        let lapses_at = (now + IDLE).min(self.ends_at);
        (lapses_at > self.lapses_at && lapses_at.since(self.lapses_at) >= SEEN_EVERY).then_some(lapses_at)
    }
}

/// A link that lets somebody in once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub hash: TokenHash,
    pub whose: Whose,
    /// Absent: whoever takes it becomes the operator's first user.
    pub user: Option<UserId>,
    pub ends_at: Timestamp,
}

/// What a portal's visitor may do beside looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Endpoints, deliveries and events. Every portal has it.
    View,
    /// Set endpoints up and change them.
    Endpoints,
    /// Retry deliveries and replay.
    Replay,
    /// Send test events.
    Test,
}

impl Capability {
    pub const ALL: [Self; 4] = [Self::View, Self::Endpoints, Self::Replay, Self::Test];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Endpoints => "endpoints",
            Self::Replay => "replay",
            Self::Test => "test",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == text)
    }
}

/// What a portal's session reaches of its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalScope {
    /// Only what is this account's; absent: all of the tenant's.
    pub account: Option<String>,
    pub capabilities: BTreeSet<Capability>,
    /// The pages that may show it in a frame.
    pub embed_origins: Vec<EmbedOrigin>,
}

impl PortalScope {
    pub fn can(&self, capability: Capability) -> bool {
        capability == Capability::View || self.capabilities.contains(&capability)
    }

    /// Whether it can change anything.
    pub fn can_write(&self) -> bool {
        Capability::ALL.into_iter().skip(1).any(|capability| self.capabilities.contains(&capability))
    }
}

/// `https://app.example.com`: letters that mean nothing else in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmbedOrigin(String);

/// The text is no origin that a portal can be shown in.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnOrigin;

impl fmt::Display for NotAnOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give an origin, such as https://app.example.com: https (or http on localhost), a host, no path")
    }
}

impl EmbedOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmbedOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let url = url::Url::parse(text).map_err(|_| NotAnOrigin)?;
        let host = url.host_str().ok_or(NotAnOrigin)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        match is_safe && is_bare && host.chars().all(is_plain) {
            true => Ok(Self(url.origin().ascii_serialization())),
            false => Err(NotAnOrigin),
        }
    }
}

impl TryFrom<String> for EmbedOrigin {
    type Error = NotAnOrigin;

    fn try_from(text: String) -> Result<Self, NotAnOrigin> {
        text.parse()
    }
}

impl From<EmbedOrigin> for String {
    fn from(origin: EmbedOrigin) -> Self {
        origin.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TypedId as _;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * 60 * 60 * 1000)
    }

    #[test]
    fn a_session_lasts_while_somebody_is_seen_and_not_for_ever() {
        let holder = Holder::User(Whose::Operator, UserId::new(at(0), [1; 10]));
        let mut session = Session::new(TokenHash([1; 32]), holder, at(0));
        assert!(!session.is_over(at(11)) && session.is_over(at(12)));
        assert_eq!(session.seen(Timestamp::from_millis(1000)), None, "that is not worth a write");
        for hours in (6..).step_by(6) {
            if session.is_over(at(hours)) {
                assert_eq!(hours, 7 * 24);
                break;
            }
            session.lapses_at = session.seen(at(hours)).unwrap_or(session.lapses_at);
        }
    }

    #[test]
    fn a_portal_ends_when_it_was_said() {
        let scope = PortalScope { account: None, capabilities: BTreeSet::new(), embed_origins: Vec::new() };
        let tenant = TenantId::new(at(0), [1; 10]);
        let lasts = Duration::from_secs(20 * 60 * 60);
        let session = Session::portal(TokenHash([1; 32]), (tenant, scope, None), at(0), lasts);
        assert!(!session.is_over(at(19)) && session.is_over(at(20)));
        assert_eq!(session.seen(at(19)), None);
    }

    #[track_caller]
    fn check(text: &str, origin: Option<&str>) {
        assert_eq!(text.parse::<EmbedOrigin>().ok().as_ref().map(EmbedOrigin::as_str), origin, "{text}");
    }

    #[test]
    fn an_origin_has_nothing_that_a_header_could_misread() {
        check("https://app.example.com", Some("https://app.example.com"));
        check("https://App.Example.com:443/", Some("https://app.example.com"));
        check("https://app.example.com:8443", Some("https://app.example.com:8443"));
        check("http://localhost:3000", Some("http://localhost:3000"));
        check("http://app.example.com", None);
        check("https://*.example.com", None);
        check("https://a;script-src.example.com", None);
        check("https://a'b.example.com", None);
        check("https://app.example.com/page", None);
        check("https://me:pass@app.example.com", None);
        check("javascript:alert(1)", None);
        check("*", None);
    }

    #[test]
    fn a_capability_survives_its_word() {
        for capability in Capability::ALL {
            assert_eq!(Capability::parse(capability.as_str()), Some(capability));
        }
        assert_eq!(Capability::parse("admin"), None);
    }
}

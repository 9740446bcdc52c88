//! Asks the operator's OpenID provider: what it is, for tokens, for its keys.
//!
//! Where it is is the operator's choice, like the egress proxy, and what it names
//! is its own: `dial` is for what tenants name. But its answers are bounded in
//! bytes and time, and a redirect is an answer that is not followed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use tokio::sync::Semaphore;

use crate::domain::claims::NoAddress;
use crate::domain::id_token::{self, Expected};
use crate::domain::jwks::Keys;
use crate::domain::oauth::NoToken;
use crate::domain::oidc::{Metadata, OidcSettings, Unusable, read_tokens};
use crate::domain::session::TokenText;
use crate::domain::time::Timestamp;
use crate::domain::user::Email;

/// Each of the three or four questions of one sign-in is answered within this
/// time.
const DEADLINE: Duration = Duration::from_secs(5);
/// At most this many bytes of an answer are read: room for many keys with their
/// certificates.
const READ: usize = 256 * 1024;
/// What the provider says of itself is believed for so long.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// It is asked so many things at once, however many strangers begin to sign in.
const AT_ONCE: usize = 16;

/// The provider.
pub struct Provider {
    pub settings: OidcSettings,
    client: Client,
    seats: Semaphore,
    known: Mutex<Option<Known>>,
}

struct Known {
    metadata: Arc<Metadata>,
    until: Timestamp,
}

/// A sign-in that has come back with a code.
pub struct Return<'a> {
    pub metadata: &'a Metadata,
    pub code: &'a str,
    pub redirect_uri: &'a str,
    pub nonce: &'a TokenText,
    pub verifier: &'a TokenText,
    pub now: Timestamp,
}

/// The provider is of no use just now. For the operator's log.
#[derive(Debug)]
pub struct Failure {
    what: &'static str,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unreached(reqwest::Error),
    Status(u16),
    TooLong,
    Busy,
    NoToken(NoToken),
    Unusable(Unusable),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the provider's {}: ", self.what)?;
        match &self.why {
            Why::Unreached(error) => write!(f, "{error}"),
            Why::Status(status) => write!(f, "it answered status {status}"),
            Why::TooLong => write!(f, "it answered more than {READ} bytes"),
            Why::Busy => write!(f, "{AT_ONCE} others are asking it already"),
            Why::NoToken(why) => why.fmt(f),
            Why::Unusable(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Unreached(error) => error.source(),
            _ => None,
        }
    }
}

const DISCOVERY: &str = "discovery document";
const TOKENS: &str = "token endpoint";
const KEYS: &str = "keys";
const ID_TOKEN: &str = "ID token";
const USERINFO: &str = "userinfo endpoint";

impl Provider {
    pub fn new(settings: OidcSettings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .timeout(DEADLINE)
            .build()?;
        Ok(Self { settings, client, seats: Semaphore::new(AT_ONCE), known: Mutex::default() })
    }

    /// What it says of itself, lately.
    pub async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, Failure> {
        if let Some(metadata) = self.known(now) {
            return Ok(metadata);
        }
        let body = self.get(DISCOVERY, self.client.get(self.settings.issuer.discovery())).await?;
        let metadata = Metadata::read(&self.settings.issuer, &body).map_err(unusable(DISCOVERY))?;
        let metadata = Arc::new(metadata);
        let known = Known { metadata: metadata.clone(), until: now + FRESH };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(metadata)
    }

    fn known(&self, now: Timestamp) -> Option<Arc<Metadata>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| now < known.until).map(|known| known.metadata.clone())
    }

    /// Whom the provider vouches for: the code is exchanged, and what comes of it
    /// is held against the provider's keys, which are read each time, because they
    /// may have changed since the last.
    pub async fn vouched(&self, came: &Return<'_>) -> Result<Result<Email, NoAddress>, Failure> {
        let OidcSettings { issuer, client_id, email_claim, .. } = &self.settings;
        let (form, headers) = self.settings.exchange(came.metadata, came.code, came.verifier, came.redirect_uri);
        let mut request = self.client.post(came.metadata.token.clone()).body(form);
        for header in &headers {
            request = request.header(&header.name, &header.value);
        }
        let (status, body) = self.ask(TOKENS, request).await?;
        let tokens = read_tokens(status, &body).map_err(|why| Failure { what: TOKENS, why: Why::NoToken(why) })?;
        let keys = self.get(KEYS, self.client.get(came.metadata.keys.clone())).await?;
        let keys = Keys::read(&keys).ok_or(Unusable("they are no JSON Web Key Set")).map_err(unusable(KEYS))?;
        let expected = Expected { issuer, client_id, nonce: came.nonce, now: came.now };
        let mut claims = id_token::read(&tokens.id, &keys, &expected).map_err(unusable(ID_TOKEN))?;
        if let (false, Some(url), Some(access)) =
            (claims.has_address(email_claim), &came.metadata.userinfo, &tokens.access)
        {
            let request = self.client.get(url.clone()).bearer_auth(access.reveal());
            claims = claims.more(&self.get(USERINFO, request).await?).map_err(unusable(USERINFO))?;
        }
        Ok(claims.address(email_claim))
    }

    /// What is answered with status 200.
    async fn get(&self, what: &'static str, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        match self.ask(what, request).await? {
            (200, body) => Ok(body),
            (status, _) => Err(Failure { what, why: Why::Status(status) }),
        }
    }

    async fn ask(&self, what: &'static str, request: RequestBuilder) -> Result<(u16, Vec<u8>), Failure> {
        let failed = |why| Failure { what, why };
        let unreached = |error: reqwest::Error| failed(Why::Unreached(error.without_url()));
        let seat = tokio::time::timeout(DEADLINE, self.seats.acquire()).await;
        let Ok(Ok(_seat)) = seat else { return Err(failed(Why::Busy)) };
        let mut response = request.send().await.map_err(unreached)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreached)? {
            body.extend_from_slice(&chunk);
            if body.len() > READ {
                return Err(failed(Why::TooLong));
            }
        }
        Ok((response.status().as_u16(), body))
    }
}

fn unusable(what: &'static str) -> impl FnOnce(Unusable) -> Failure {
    move |why| Failure { what, why: Why::Unusable(why) }
}

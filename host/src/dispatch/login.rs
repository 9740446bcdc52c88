//! Proves to a receiver who is calling: the headers that an endpoint's owner keeps
//! secret, and its login, for which a token may have to be fetched first.
//!
//! Tokens are kept in memory only. One is fetched at a time for an endpoint, and
//! whoever wants it meanwhile waits for that one, and shares its failure too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::dial::{Dialler, Reply};
use crate::domain::access::{self, Auth, bearer_header};
use crate::domain::attempt::Answer;
use crate::domain::delivery::Unreachable;
use crate::domain::endpoint::Endpoint;
use crate::domain::header::Header;
use crate::domain::id::EndpointId;
use crate::domain::oauth::{AccessToken, OAuth, read_token};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// A token comes within this time, and within half of what the attempt has.
const TOKEN_DEADLINE: Duration = Duration::from_secs(5);
/// At most this many bytes of a token endpoint's answer are read.
const READ_TOKEN: usize = 64 * 1024;
/// With tokens of this many endpoints, those that nobody is using are dropped.
const MANY: usize = 10_000;

/// What goes with one request.
#[derive(Default)]
pub(super) struct Login {
    pub(super) headers: Vec<Header>,
    /// The token among them, where one was fetched.
    token: Option<Arc<Secret>>,
}

/// The tokens of all endpoints.
pub(super) struct Logins {
    dialler: Arc<Dialler>,
    clock: Arc<dyn Clock>,
    desks: Mutex<HashMap<EndpointId, Arc<Desk>>>,
}

/// One endpoint's token.
#[derive(Default)]
struct Desk {
    /// Whoever has it fetches.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    token: Option<Held>,
    /// What the last fetch came to, where there was no token.
    failure: Option<Unreachable>,
    /// Counts the fetches that came to an end.
    fetched: u64,
}

struct Held {
    text: Arc<Secret>,
    until: Timestamp,
    /// Of the way in which it was asked for.
    fingerprint: [u8; 32],
}

impl Kept {
    fn token(&self, fingerprint: [u8; 32], now: Timestamp) -> Option<Arc<Secret>> {
        let held = self.token.as_ref().filter(|held| held.fingerprint == fingerprint && now < held.until);
        held.map(|held| held.text.clone())
    }
}

impl Desk {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logins {
    pub(super) fn new(dialler: Arc<Dialler>, clock: Arc<dyn Clock>) -> Self {
        Self { dialler, clock, desks: Mutex::default() }
    }

    /// What goes with a request to `endpoint`, whose whole attempt may take
    /// `deadline`.
    pub(super) async fn login(&self, endpoint: &Endpoint, deadline: Duration) -> Result<Login, Unreachable> {
        let mut headers = endpoint.access.standing();
        let Some(Auth::OAuth(oauth)) = &endpoint.access.auth else { return Ok(Login { headers, token: None }) };
        let patience = TOKEN_DEADLINE.min(deadline / 2);
        let token = match tokio::time::timeout(patience, self.token(endpoint, oauth)).await {
            Ok(token) => token?,
            Err(_elapsed) => {
                let why = format!("{}: no answer within {:.1} s", oauth.token_url.authority(), patience.as_secs_f32());
                return Err(Unreachable::NoToken(why));
            }
        };
        headers.push(bearer_header(token.reveal()));
        Ok(Login { headers, token: Some(token) })
    }

    /// The receiver did not take what it was shown: the next attempt fetches a
    /// token of its own. One that came meanwhile stays.
    pub(super) fn refused(&self, endpoint: EndpointId, login: &Login) {
        let Some(refused) = &login.token else { return };
        let desk = self.desk(endpoint);
        let mut kept = desk.kept();
        if kept.token.as_ref().is_some_and(|held| Arc::ptr_eq(&held.text, refused)) {
            kept.token = None;
        }
    }

    async fn token(&self, endpoint: &Endpoint, oauth: &OAuth) -> Result<Arc<Secret>, Unreachable> {
        let desk = self.desk(endpoint.id);
        let fingerprint = oauth.fingerprint();
        let look = || {
            let kept = desk.kept();
            (kept.token(fingerprint, self.clock.now()), kept.failure.clone(), kept.fetched)
        };
        let before = match look() {
            (Some(token), ..) => return Ok(token),
            (None, _, fetched) => fetched,
        };
        // Whoever gives up, because its attempt's time is over, leaves the turn to
        // the next.
        let _turn = desk.turn.lock().await;
        match look() {
            (Some(token), ..) => return Ok(token),
            (None, Some(failure), fetched) if fetched != before => return Err(failure),
            _ => {}
        }
        let asked_at = self.clock.now();
        let fetched = self.fetch(endpoint, oauth).await;
        let mut kept = desk.kept();
        kept.fetched += 1;
        match fetched {
            Ok(AccessToken { text, life }) => {
                let text = Arc::new(text);
                kept.token = Some(Held { text: text.clone(), until: asked_at + life, fingerprint });
                kept.failure = None;
                Ok(text)
            }
            Err(failure) => {
                kept.token = None;
                kept.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Asks for a token. What is said of a failure names the host and the status,
    /// and nothing that was sent or came back.
    async fn fetch(&self, endpoint: &Endpoint, oauth: &OAuth) -> Result<AccessToken, Unreachable> {
        let host = oauth.token_url.authority();
        let failed = |why: &dyn std::fmt::Display| Unreachable::NoToken(format!("{host}: {why}"));
        let (form, headers) = oauth.question();
        let headers: Vec<&Header> = headers.iter().collect();
        // What is set up for the endpoint's host is for its token's as well.
        let is_same_host = oauth.token_url.as_url().host() == endpoint.url.as_url().host();
        let own = endpoint.access.tls.as_ref().filter(|_| is_same_host).map(|tls| (endpoint.id, tls));
        let sent = self.dialler.send_as(own, "POST", &oauth.token_url, &headers, form.into()).await;
        let mut reply = sent.map_err(|why| failed(&why))?;
        let body = read(&mut reply).await.map_err(|why| failed(&why))?;
        let Some(body) = body else { return Err(failed(&format!("it answered more than {READ_TOKEN} bytes"))) };
        read_token(reply.status().as_u16(), &body).map_err(|why| failed(&why))
    }

    fn desk(&self, endpoint: EndpointId) -> Arc<Desk> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if desks.len() > MANY {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        desks.entry(endpoint).or_default().clone()
    }
}

/// The whole body, unless it is too long.
async fn read(reply: &mut Reply) -> Result<Option<Vec<u8>>, Unreachable> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > READ_TOKEN {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

impl Login {
    /// Takes what was sent in secret out of an answer: some receivers answer with
    /// what they got.
    pub(super) fn hide(&self, answer: &mut Answer) {
        if self.headers.is_empty() {
            return;
        }
        let values = self.headers.iter().map(|header| &*header.value);
        // Of `Basic dXNlcjpw`, what is behind the scheme.
        let credentials = self.headers.iter().filter(|header| header.name == access::AUTHORIZATION);
        let credentials = credentials.filter_map(|header| header.value.split_once(' ').map(|(_, rest)| rest));
        let mut secrets: Vec<String> = values.chain(credentials.clone()).map(str::to_owned).collect();
        // And what it says: `user:password`.
        let said = credentials.filter_map(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
        secrets.extend(said.filter_map(|said| said.split_once(':').map(|(_, password)| password.to_owned())));
        answer.body = access::without(&secrets, &answer.body);
        for header in &mut answer.headers {
            header.value = String::from_utf8_lossy(&access::without(&secrets, header.value.as_bytes())).into_owned();
        }
    }
}

//! One HTTP exchange with a receiver: one deadline over everything, a bounded
//! answer. Where it may go is decided by `dial`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::login::Logins;
use crate::clock::Clock;
use crate::dial::{Dialler, Reply};
use crate::domain::attempt::{Answer, KEPT_ANSWER};
use crate::domain::delivery::{Outcome, Unreachable, Word};
use crate::domain::endpoint::Endpoint;
use crate::domain::header::Header;
use crate::domain::retry::parse_retry_after;
use crate::domain::signed_request::SignedRequest;
use crate::domain::time::Timestamp;
use crate::domain::url::DeliveryUrl;

/// At most this many bytes of an answer are read.
const READ_ANSWER: usize = 64 * 1024;
/// At most this many of its headers are kept, cut to this length.
const KEPT_HEADERS: usize = 32;
const KEPT_HEADER: usize = 512;

/// What a receiver wants done with what it refuses.
const WORD: &str = "webhook-delivery";

/// A signed request as it is sent.
fn wire<'a>(request: &'a SignedRequest<'_>) -> Wire<'a> {
    Wire {
        method: request.message.method.as_str(),
        url: &request.url,
        endpoint: request.endpoint,
        headers: request.headers().collect(),
        signature: &request.signature,
        body: request.message.body.clone(),
        deadline: request.deadline,
        sent_at: request.sent_at,
    }
}

/// An HTTP request, ready to be sent. Of two headers with one name, the later
/// one is.
pub(super) struct Wire<'a> {
    pub(super) method: &'static str,
    pub(super) url: &'a DeliveryUrl,
    /// Whose it is: how the receiver is told who calls.
    pub(super) endpoint: &'a Endpoint,
    pub(super) headers: Vec<&'a Header>,
    /// Those of them that nothing goes over.
    pub(super) signature: &'a [Header],
    pub(super) body: Bytes,
    pub(super) deadline: Duration,
    pub(super) sent_at: Timestamp,
}

/// What one exchange came to.
pub struct Exchange {
    pub outcome: Outcome,
    pub answer: Option<Answer>,
    pub duration: Duration,
}

/// Sends signed requests.
pub struct Sender {
    dialler: Arc<Dialler>,
    logins: Logins,
}

impl Sender {
    pub fn new(dialler: Arc<Dialler>, clock: Arc<dyn Clock>) -> Self {
        Self { logins: Logins::new(dialler.clone(), clock), dialler }
    }

    /// One try. Failure is an answer here, not an error.
    pub async fn send(&self, request: &SignedRequest<'_>) -> Exchange {
        self.exchange(&wire(request)).await
    }

    pub(super) async fn exchange(&self, wire: &Wire<'_>) -> Exchange {
        let started = Instant::now();
        let (outcome, answer) = match tokio::time::timeout(wire.deadline, self.request(wire)).await {
            Ok(Ok((outcome, answer))) => (outcome, Some(answer)),
            Ok(Err(unreachable)) => (Outcome::Unreachable(unreachable), None),
            Err(_elapsed) => (Outcome::Unreachable(Unreachable::TimedOut(wire.deadline)), None),
        };
        Exchange { outcome, answer, duration: started.elapsed() }
    }

    async fn request(&self, wire: &Wire<'_>) -> Result<(Outcome, Answer), Unreachable> {
        let login = self.logins.login(wire.endpoint, wire.deadline).await?;
        let is_signature = |header: &&Header| wire.signature.iter().any(|signed| signed.name == header.name);
        let login_headers = login.headers.iter().filter(|header| !is_signature(header));
        let headers: Vec<&Header> = wire.headers.iter().copied().chain(login_headers).collect();
        let own = wire.endpoint.access.tls.as_ref().map(|tls| (wire.endpoint.id, tls));
        let mut response = self.dialler.send_as(own, wire.method, wire.url, &headers, wire.body.clone()).await?;
        let status = response.status().as_u16();
        if status == 401 {
            self.logins.refused(wire.endpoint.id, &login);
        }
        let retry_after = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, wire.sent_at));
        let word = response.headers().get(WORD).and_then(|value| value.to_str().ok()).and_then(Word::parse);
        let headers = kept_headers(&response);
        let (body, cut) = read(&mut response).await?;
        let mut answer = Answer { headers, body, cut };
        login.hide(&mut answer);
        let outcome = match status {
            200..300 => Outcome::Accepted { status },
            _ => Outcome::Refused { status, retry_after, word },
        };
        Ok((outcome, answer))
    }
}

fn kept_headers(response: &Reply) -> Vec<Header> {
    let text = |value: &http::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).chars().take(KEPT_HEADER).collect::<String>()
    };
    let headers = response.headers().iter().take(KEPT_HEADERS);
    headers.map(|(name, value)| Header { name: name.as_str().to_owned(), value: text(value) }).collect()
}

/// Reads on past what is kept, so that most connections can be used again, but
/// never to the end of an endless body.
async fn read(response: &mut Reply) -> Result<(Vec<u8>, bool), Unreachable> {
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(chunk) = response.chunk().await? {
        seen += chunk.len();
        let room = KEPT_ANSWER - kept.len();
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if seen > READ_ANSWER {
            break;
        }
    }
    let cut = seen > kept.len();
    Ok((kept, cut))
}

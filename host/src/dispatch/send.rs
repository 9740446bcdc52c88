//! One HTTP exchange with a receiver, by policy: no redirect, no proxy, no
//! retry inside the client, one deadline over everything, a bounded answer.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};

use super::dial::{GuardedResolver, ResolveError};
use crate::domain::attempt::{Answer, KEPT_ANSWER};
use crate::domain::claim::ATTEMPT_DEADLINE;
use crate::domain::delivery::{Outcome, Unreachable};
use crate::domain::endpoint::Endpoint;
use crate::domain::header::Header;
use crate::domain::id::EventId;
use crate::domain::message::Message;
use crate::domain::retry::parse_retry_after;
use crate::domain::signature::SigningSecret;
use crate::domain::time::Timestamp;
use crate::domain::url::{DeliveryUrl, UrlPolicy};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Idle connections are closed before most servers close them under us.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 64;
/// At most this many bytes of an answer are read.
const READ_ANSWER: usize = 64 * 1024;
/// At most this many of its headers are kept, cut to this length.
const KEPT_HEADERS: usize = 32;
const KEPT_HEADER: usize = 512;

/// A message on its way: signed, with the endpoint's headers.
pub struct SignedRequest<'a> {
    pub url: DeliveryUrl,
    /// Made anew at every attempt: a receiver refuses an old timestamp.
    pub signature: Vec<Header>,
    message: &'a Message,
    endpoint: &'a Endpoint,
    sent_at: Timestamp,
}

impl<'a> SignedRequest<'a> {
    /// `webhook-id` is the event's: the same at every retry and replay, so that
    /// a receiver can tell a duplicate.
    pub fn new<'s>(
        event: EventId,
        url: DeliveryUrl,
        message: &'a Message,
        endpoint: &'a Endpoint,
        secrets: impl Iterator<Item = &'s SigningSecret>,
        sent_at: Timestamp,
    ) -> Self {
        let signatures: Vec<String> = secrets.map(|secret| secret.sign(event, sent_at, &message.body)).collect();
        let header = |name: &str, value| Header { name: name.to_owned(), value };
        let signature = vec![
            header("webhook-id", event.to_string()),
            header("webhook-timestamp", sent_at.as_secs().to_string()),
            header("webhook-signature", signatures.join(" ")),
        ];
        Self { url, signature, message, endpoint, sent_at }
    }
}

/// What one exchange came to.
pub struct Exchange {
    pub outcome: Outcome,
    pub answer: Option<Answer>,
    pub duration: Duration,
}

/// Sends signed requests.
pub struct Sender {
    client: Client,
    urls: Arc<UrlPolicy>,
}

impl Sender {
    pub fn new(urls: Arc<UrlPolicy>) -> Result<Self, reqwest::Error> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring offers TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(GuardedResolver { urls: urls.clone() }))
            // The target was checked, the place that it points to was not.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_DEADLINE)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_only()
            .user_agent(concat!("Hookyard/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, urls })
    }

    /// One try. Failure is an answer here, not an error.
    pub async fn send(&self, request: &SignedRequest<'_>) -> Exchange {
        let started = Instant::now();
        let (outcome, answer) = match tokio::time::timeout(ATTEMPT_DEADLINE, self.exchange(request)).await {
            Ok(Ok((outcome, answer))) => (outcome, Some(answer)),
            Ok(Err(unreachable)) => (Outcome::Unreachable(unreachable), None),
            Err(_elapsed) => (Outcome::Unreachable(Unreachable::TimedOut(ATTEMPT_DEADLINE)), None),
        };
        Exchange { outcome, answer, duration: started.elapsed() }
    }

    async fn exchange(&self, request: &SignedRequest<'_>) -> Result<(Outcome, Answer), Unreachable> {
        // The connector asks no resolver about a host that is an address, and
        // the operator's policy may be another than when the URL was stored.
        request.url.judge(&self.urls).map_err(|error| Unreachable::Forbidden(error.to_string()))?;
        let mut response = self.client.execute(self.build(request)?).await.map_err(classify)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, request.sent_at));
        let headers = kept_headers(&response);
        let (body, cut) = read(&mut response).await.map_err(classify)?;
        let outcome = match status {
            200..300 => Outcome::Accepted { status },
            _ => Outcome::Refused { status, retry_after },
        };
        Ok((outcome, Answer { headers, body, cut }))
    }

    fn build(&self, request: &SignedRequest<'_>) -> Result<reqwest::Request, Unreachable> {
        let method = http::Method::from_bytes(request.message.method.as_str().as_bytes())
            .expect("POST, PUT and PATCH are methods");
        let mut built = reqwest::Request::new(method, request.url.as_url().clone());
        // What the endpoint's owner set goes over what a plugin set, and the
        // signature over both.
        let headers = request.message.headers.iter().chain(&request.endpoint.headers).chain(&request.signature);
        for Header { name, value } in headers {
            let broken = |_| Unreachable::Broken(format!("header `{name}` cannot be sent"));
            let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken(()))?;
            let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| broken(()))?;
            built.headers_mut().insert(name, value);
        }
        *built.body_mut() = Some(request.message.body.clone().into());
        Ok(built)
    }
}

fn kept_headers(response: &Response) -> Vec<Header> {
    let text = |value: &http::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).chars().take(KEPT_HEADER).collect::<String>()
    };
    let headers = response.headers().iter().take(KEPT_HEADERS);
    headers.map(|(name, value)| Header { name: name.as_str().to_owned(), value: text(value) }).collect()
}

/// Reads on past what is kept, so that most connections can be used again, but
/// never to the end of an endless body.
async fn read(response: &mut Response) -> Result<(Vec<u8>, bool), reqwest::Error> {
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

/// Where in the chain of causes the reason for a failure is.
fn classify(error: reqwest::Error) -> Unreachable {
    let mut root: &(dyn Error + 'static) = &error;
    loop {
        if let Some(resolve) = root.downcast_ref::<ResolveError>() {
            return match resolve {
                ResolveError::Forbidden(forbidden) => Unreachable::Forbidden(forbidden.to_string()),
                other => Unreachable::Unresolved(other.to_string()),
            };
        }
        if let Some(tls) = root.downcast_ref::<rustls::Error>() {
            return Unreachable::Tls(tls.to_string());
        }
        // An `io::Error` that wraps another hides it from `source()`.
        let inner = root.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| root.source()) {
            Some(cause) => root = cause,
            None => break,
        }
    }
    let cause = root.to_string();
    if error.is_connect() && error.is_timeout() {
        Unreachable::Connect(format!("no connection within {} s", CONNECT_DEADLINE.as_secs()))
    } else if error.is_connect() {
        Unreachable::Connect(cause)
    } else {
        Unreachable::Broken(cause)
    }
}

//! One HTTP exchange with a receiver, by policy: no redirect, no proxy, no
//! retry inside the client, one deadline over everything, a bounded answer.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Response};

use super::dial::{GuardedResolver, ResolveError};
use crate::domain::attempt::{Answer, KEPT_ANSWER};
use crate::domain::delivery::{Outcome, Unreachable};
use crate::domain::header::Header;
use crate::domain::retry::parse_retry_after;
use crate::domain::signed_request::SignedRequest;
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

/// A signed request as it is sent.
fn wire<'a>(request: &'a SignedRequest<'_>) -> Wire<'a> {
    Wire {
        method: request.message.method.as_str(),
        url: &request.url,
        headers: request.headers().collect(),
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
    pub(super) headers: Vec<&'a Header>,
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
        // The connector asks no resolver about a host that is an address, and
        // the operator's policy may be another than when the URL was stored.
        wire.url.judge(&self.urls).map_err(|error| Unreachable::Forbidden(error.to_string()))?;
        let mut response = self.client.execute(build(wire)?).await.map_err(classify)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, wire.sent_at));
        let headers = kept_headers(&response);
        let (body, cut) = read(&mut response).await.map_err(classify)?;
        let outcome = match status {
            200..300 => Outcome::Accepted { status },
            _ => Outcome::Refused { status, retry_after },
        };
        Ok((outcome, Answer { headers, body, cut }))
    }
}

fn build(wire: &Wire<'_>) -> Result<reqwest::Request, Unreachable> {
    let method = http::Method::from_bytes(wire.method.as_bytes()).expect("what is sent has a plain method");
    let mut built = reqwest::Request::new(method, wire.url.as_url().clone());
    for Header { name, value } in &wire.headers {
        let broken = |_| Unreachable::Broken(format!("header `{name}` cannot be sent"));
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken(()))?;
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| broken(()))?;
        built.headers_mut().insert(name, value);
    }
    *built.body_mut() = Some(wire.body.clone().into());
    Ok(built)
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

//! The one way out: requests to places that tenants named, by policy. No
//! redirect, no proxy, no retry inside the client, and only addresses that may
//! be dialled.
//!
//! A name's addresses are judged by the resolver, and what was judged is what is
//! dialled: there is no second look-up in between. Hosts that are addresses
//! never get to the resolver (hyper's connector skips it for them); those are
//! judged before a connection is asked for.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Request, Response};

use crate::domain::address::Forbidden;
use crate::domain::delivery::Unreachable;
use crate::domain::header::Header;
use crate::domain::url::{DeliveryUrl, UrlPolicy};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Idle connections are closed before most servers close them under us.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 64;

/// Makes requests where policy allows it.
pub struct Dialler {
    client: Client,
    urls: Arc<UrlPolicy>,
}

impl Dialler {
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

    /// Sends a request. The answer's body is still to be read, which may fail
    /// too: see [`classify`]. Of two headers with one name, the later one is
    /// sent.
    pub async fn send(
        &self,
        method: &'static str,
        url: &DeliveryUrl,
        headers: &[&Header],
        body: Bytes,
    ) -> Result<Response, Unreachable> {
        // The connector asks no resolver about a host that is an address, and
        // the operator's policy may be another than when the URL was stored.
        url.judge(&self.urls).map_err(|error| Unreachable::Forbidden(error.to_string()))?;
        let request = build(method, url, headers, body)?;
        self.client.execute(request).await.map_err(classify)
    }
}

fn build(method: &'static str, url: &DeliveryUrl, headers: &[&Header], body: Bytes) -> Result<Request, Unreachable> {
    let method = http::Method::from_bytes(method.as_bytes()).expect("what is sent has a plain method");
    let mut built = Request::new(method, url.as_url().clone());
    for Header { name, value } in headers {
        let broken = |_| Unreachable::Broken(format!("header `{name}` cannot be sent"));
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken(()))?;
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| broken(()))?;
        built.headers_mut().insert(name, value);
    }
    *built.body_mut() = Some(body.into());
    Ok(built)
}

/// Why there is no answer: where in the chain of causes the reason is.
pub fn classify(error: reqwest::Error) -> Unreachable {
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
        let inner = root.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
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

/// The system's resolver behind the address table.
struct GuardedResolver {
    urls: Arc<UrlPolicy>,
}

/// No address of a name may be dialled, or it has none.
#[derive(Debug)]
enum ResolveError {
    Forbidden(Forbidden),
    Failed(io::Error),
    NoAddress,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::NoAddress => f.write_str("the name has no address"),
        }
    }
}

impl Error for ResolveError {}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let urls = self.urls.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(ResolveError::Failed)?;
            let addresses = judge(&urls, found)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// One forbidden address forbids the name: a name that points inside as well as
/// outside is an attack or a mistake.
fn judge(urls: &UrlPolicy, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
    let addresses: Vec<SocketAddr> = found.collect();
    for address in &addresses {
        urls.addresses.judge(address.ip()).map_err(ResolveError::Forbidden)?;
    }
    if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], expected: &str) {
        let found = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0));
        let said = match judge(&UrlPolicy::default(), found) {
            Ok(addresses) => format!("{} allowed", addresses.len()),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{addresses:?}: {said}");
    }

    #[test]
    fn a_name_is_dialled_only_when_all_its_addresses_may_be() {
        check(&["1.1.1.1", "2606:4700::1"], "2 allowed");
        check(&["1.1.1.1", "127.0.0.1"], "127.0.0.1 is a loopback address");
        check(&["169.254.169.254"], "169.254.169.254 is a link-local address");
        check(&["::ffff:10.0.0.1"], "10.0.0.1 is a private address");
        check(&[], "the name has no address");
    }
}

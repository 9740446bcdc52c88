//! The one way out: requests to places that tenants named, by policy. No
//! redirect, no retry inside the client, no proxy but the operator's, and only
//! addresses that may be dialled.
//!
//! A name's addresses are judged by the resolver, and what was judged is what is
//! dialled, or what a proxy is asked for: there is no second look-up in between.
//! Hosts that are addresses never get to the resolver (hyper's connector skips it
//! for them); those are judged before a connection is asked for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use crate::domain::address::Forbidden;
use crate::domain::delivery::Unreachable;
use crate::domain::egress::EgressProxy;
use crate::domain::header::Header;
use crate::domain::id::EndpointId;
use crate::domain::tls::{self, Tls};
use crate::domain::url::{DeliveryUrl, UrlPolicy};

mod client;
mod names;
mod route;

use client::{NoConnection, OwnPools, SharedPools};
pub use names::{Found, Names, SystemNames};
use route::{ProxyFailed, Route};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Idle connections are closed before most servers close them under us.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 64;
const USER_AGENT: &str = concat!("Hookyard/", env!("CARGO_PKG_VERSION"));
/// Of a name's addresses, at most this many are tried.
const TRIED: usize = 8;

/// Makes requests where policy allows it.
pub struct Dialler {
    urls: Arc<UrlPolicy>,
    route: Route,
    /// For whoever set up nothing of its own.
    usual: SharedPools,
    own: OwnPools,
}

/// What an answer begins with. The rest is to be read, which may fail too.
pub struct Reply {
    head: http::response::Parts,
    body: Incoming,
}

impl Dialler {
    /// Everything goes through `proxy`, if there is one.
    pub fn new(urls: Arc<UrlPolicy>, names: Arc<dyn Names>, proxy: Option<&EgressProxy>) -> Self {
        let route = Route::new(GuardedResolver { urls: urls.clone(), names }, proxy);
        let usual = SharedPools::new(route.clone(), tls::public_config());
        Self { urls, route, usual, own: OwnPools::default() }
    }

    /// Sends a request. Of two headers with one name, the later one is sent.
    pub async fn send(
        &self,
        method: &'static str,
        url: &DeliveryUrl,
        headers: &[&Header],
        body: Bytes,
    ) -> Result<Reply, Unreachable> {
        self.send_as(None, method, url, headers, body).await
    }

    /// The same over connections that are made as an endpoint's owner set up.
    pub async fn send_as(
        &self,
        own: Option<(EndpointId, &Tls)>,
        method: &'static str,
        url: &DeliveryUrl,
        headers: &[&Header],
        body: Bytes,
    ) -> Result<Reply, Unreachable> {
        // The connector asks no resolver about a host that is an address, and
        // the operator's policy may be another than when the URL was stored.
        url.judge(&self.urls).map_err(|error| Unreachable::Forbidden(error.to_string()))?;
        let request = build(method, url, headers, body)?;
        let answered = match own {
            Some((endpoint, tls)) => self.own.of(endpoint, tls, &self.route).await?.request(request).await,
            None => self.usual.of_here().request(request).await,
        };
        let (head, body) = answered.map_err(|error| classify(&error, error.is_connect()))?.into_parts();
        Ok(Reply { head, body })
    }
}

impl Reply {
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The next part of the body; nothing at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Unreachable> {
        while let Some(frame) = self.body.frame().await {
            // What is no data is a trailer.
            if let Ok(data) = frame.map_err(|error| classify(&error, false))?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn build(
    method: &'static str,
    url: &DeliveryUrl,
    headers: &[&Header],
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Unreachable> {
    let mut built = Request::new(Full::new(body));
    *built.method_mut() = http::Method::from_bytes(method.as_bytes()).expect("what is sent has a plain method");
    *built.uri_mut() = url.as_str().parse().map_err(|_| Unreachable::Broken("the URL cannot be sent".to_owned()))?;
    let sent = built.headers_mut();
    sent.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    sent.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    for Header { name, value } in headers {
        let broken = |_| Unreachable::Broken(format!("header `{name}` cannot be sent"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken(()))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| broken(()))?;
        sent.insert(name, value);
    }
    Ok(built)
}

/// Every cause of an error, the outermost first. An `io::Error` that wraps
/// another hides it from `source()`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn root_of<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// Why there is no answer: where in the chain of causes the reason is.
fn classify(error: &(dyn Error + 'static), is_connect: bool) -> Unreachable {
    for cause in causes(error) {
        if let Some(resolve) = cause.downcast_ref::<ResolveError>() {
            return match resolve {
                forbidden @ ResolveError::Forbidden(_) => Unreachable::Forbidden(forbidden.to_string()),
                other => Unreachable::Unresolved(other.to_string()),
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Unreachable::Tls(tls.to_string());
        }
        if cause.is::<NoConnection>() || cause.is::<ProxyFailed>() {
            return Unreachable::Connect(cause.to_string());
        }
    }
    let root = root_of(error).to_string();
    if is_connect { Unreachable::Connect(root) } else { Unreachable::Broken(root) }
}

/// Look-ups behind the address table.
#[derive(Clone)]
struct GuardedResolver {
    urls: Arc<UrlPolicy>,
    names: Arc<dyn Names>,
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
            // Not which: what private names stand for is nobody's business.
            Self::Forbidden(one) => write!(f, "the name leads to a {} address; {}", one.class, one.remedy()),
            Self::Failed(error) => error.fmt(f),
            Self::NoAddress => f.write_str("the name has no address"),
        }
    }
}

impl Error for ResolveError {}

impl GuardedResolver {
    /// What a name resolves to, when all of it may be dialled.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let name = names::looked_up(name, self.urls.addresses.has_exceptions());
        let found = self.names.addresses(&name).await.map_err(ResolveError::Failed)?;
        judge(&self.urls, found)
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { resolver.addresses(name.as_str()).await.map(Vec::into_iter) })
    }
}

/// One forbidden address forbids the name: a name that points inside as well as
/// outside is an attack or a mistake.
fn judge(urls: &UrlPolicy, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
    for address in &found {
        urls.addresses.judge(*address).map_err(ResolveError::Forbidden)?;
    }
    if found.is_empty() {
        return Err(ResolveError::NoAddress);
    }
    // The connector puts the URL's port in.
    Ok(found.into_iter().take(TRIED).map(|address| SocketAddr::new(address, 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], expected: &str) {
        let found = addresses.iter().map(|text| text.parse().unwrap());
        let said = match judge(&UrlPolicy::default(), found.collect()) {
            Ok(addresses) => format!("{} allowed", addresses.len()),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{addresses:?}: {said}");
    }

    #[test]
    fn a_name_is_dialled_only_when_all_its_addresses_may_be() {
        check(&["1.1.1.1", "2606:4700::1"], "2 allowed");
        check(&["1.1.1.1", "127.0.0.1"], "the name leads to a loopback address");
        check(&["169.254.169.254"], "the name leads to a link-local address");
        check(&["::ffff:10.0.0.1"], "the name leads to a private address");
        check(&["64:ff9b::a9fe:a9fe"], "the name leads to a reserved address");
        check(&["2002:a9fe:a9fe::1"], "the name leads to a 6to4 address");
        check(&["1.1.1.1"; 1000], "8 allowed");
        let mut many = ["1.1.1.1"; 1000];
        many[999] = "10.0.0.1";
        check(&many, "the name leads to a private address");
        check(&[], "the name has no address");
    }
}

//! From a URL's host to a connection: straight, or through the operator's proxy.
//! Either way the address that was judged is the one that is asked for; TLS and
//! the request keep the name.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::GuardedResolver;
use crate::domain::egress::{EgressProxy, ProxyKind};

/// A connection that nobody uses is asked for a sign of life after this long.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Of a name with many addresses this many are tried through a proxy.
const TRIED: usize = 4;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections. Clones are alike.
#[derive(Clone)]
pub(super) struct Route {
    resolver: GuardedResolver,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Straight(HttpConnector<GuardedResolver>),
    Tunnel(Tunnel<HttpConnector>),
    Socks(SocksV5<HttpConnector>),
}

/// The proxy would not, or could not.
#[derive(Debug)]
pub(super) struct ProxyFailed(String);

impl fmt::Display for ProxyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operator's egress proxy: {}", self.0)
    }
}

impl Error for ProxyFailed {}

impl Route {
    pub(super) fn new(resolver: GuardedResolver, proxy: Option<&EgressProxy>) -> Self {
        let way = match proxy {
            None => Way::Straight(plain(HttpConnector::new_with_resolver(resolver.clone()))),
            Some(proxy) => through(proxy),
        };
        Self { resolver, way }
    }
}

fn plain<R>(mut connector: HttpConnector<R>) -> HttpConnector<R> {
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEPALIVE));
    connector
}

/// The proxy's own address is the operator's: no tenant's rule is for it.
fn through(proxy: &EgressProxy) -> Way {
    let at = uri(&format!("{}:{}", proxy.host, proxy.port));
    let connector = plain(HttpConnector::new());
    match (proxy.kind, &proxy.login) {
        (ProxyKind::Connect, _) => {
            let tunnel = Tunnel::new(at, connector);
            let login = proxy.authorization().and_then(|value| value.parse().ok());
            Way::Tunnel(match login {
                Some(value) => tunnel.with_auth(value),
                None => tunnel,
            })
        }
        (ProxyKind::Socks5, Some(login)) => Way::Socks(
            SocksV5::new(at, connector).with_auth(login.username.clone(), login.password.reveal().to_owned()),
        ),
        (ProxyKind::Socks5, None) => Way::Socks(SocksV5::new(at, connector)),
    }
}

fn uri(authority: &str) -> Uri {
    let parts = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
    parts.expect("a host that was parsed and a port are an authority")
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // What is behind it has no state of its own to wait for.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let resolver = self.resolver.clone();
        match self.way.clone() {
            Way::Straight(mut connector) => {
                let connecting = connector.call(to);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Way::Tunnel(tunnel) => Box::pin(ask(resolver, tunnel, to)),
            Way::Socks(socks) => Box::pin(ask(resolver, socks, to)),
        }
    }
}

/// Asks a proxy for the addresses behind a URL's host, one after the other.
async fn ask<S>(resolver: GuardedResolver, mut proxy: S, to: Uri) -> Result<TokioIo<TcpStream>, BoxError>
where
    S: Service<Uri, Response = TokioIo<TcpStream>>,
    S::Error: Error + 'static,
{
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("http") { 80 } else { 443 });
    let host = to.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses = match host.parse() {
        // Judged with the URL.
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => resolver.addresses(host).await?,
    };
    let mut failure = ProxyFailed("the name has no address".to_owned());
    for address in addresses.iter().take(TRIED) {
        match proxy.call(uri(&SocketAddr::new(address.ip(), port).to_string())).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = ProxyFailed(crate::dial::root_of(&error).to_string()),
        }
    }
    Err(failure.into())
}

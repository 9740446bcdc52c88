//! What names stand for. The system says; whoever starts a host may bring
//! another opinion, which is judged like the system's.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

/// The addresses of a name.
pub type Found<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks names up. Asked each time that a connection is made, and nobody
/// remembers what it said.
pub trait Names: Send + Sync {
    fn addresses<'a>(&'a self, name: &'a str) -> Found<'a>;
}

/// The system's resolver.
pub struct SystemNames;

impl Names for SystemNames {
    fn addresses<'a>(&'a self, name: &'a str) -> Found<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|socket| SocketAddr::ip(&socket)).collect())
        })
    }
}

/// The name as the resolver is given it: absolute, so that it is not looked for
/// in this machine's own domain and its hosts file, unless there is something
/// private that may be reached.
pub(super) fn looked_up(name: &str, may_be_private: bool) -> Cow<'_, str> {
    if may_be_private || name.ends_with('.') { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}.")) }
}

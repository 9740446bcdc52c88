//! Resolves names to addresses that policy allows. The address that was judged
//! is the one that is dialled: there is no second look-up in between.
//!
//! Hosts that are addresses never come here (hyper's connector skips the
//! resolver for them); `send` judges those before it asks for a connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::address::Forbidden;
use crate::domain::url::UrlPolicy;

/// The system's resolver behind the address table.
pub(super) struct GuardedResolver {
    pub(super) urls: Arc<UrlPolicy>,
}

/// No address of a name may be dialled, or it has none.
#[derive(Debug)]
pub(super) enum ResolveError {
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

impl std::error::Error for ResolveError {}

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

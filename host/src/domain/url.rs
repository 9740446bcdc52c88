//! Where an endpoint's messages go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ::url::{Host, Url};

use super::address::{AddressPolicy, Forbidden};

/// Below this, nothing but HTTP's own two ports, unless the operator has made
/// exceptions for a private network: the rest are other protocols'.
const FIRST_FREE_PORT: u16 = 1024;
/// Ports that speak something else than HTTP and that a request could be made to
/// talk to: those the Fetch standard blocks
/// (<https://fetch.spec.whatwg.org/#port-blocking>), and what databases, caches,
/// container engines and clusters listen on.
const BLOCKED_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375,
    2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 6000, 6379, 6443, 6566, 6665, 6666,
    6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 27017,
];
/// Names of machines that strangers cannot know (RFC 6762, RFC 8375, ICANN's
/// `.internal`, Kubernetes).
const INTERNAL: &[&str] = &["local", "internal", "home.arpa", "svc", "cluster.local", "localdomain", "lan", "intranet"];
const MAX_LENGTH: usize = 2048;

/// What the operator lets endpoints be.
#[derive(Clone, Debug, Default)]
pub struct UrlPolicy {
    pub allow_http: bool,
    pub addresses: AddressPolicy,
    /// One socket that may be dialled, over plain HTTP too: the receiver that
    /// `hookyard demo` brings along.
    pub own_receiver: Option<SocketAddr>,
}

impl UrlPolicy {
    /// Whether a URL whose host is an address may be dialled.
    pub fn judge_literal(&self, address: IpAddr, port: Option<u16>) -> Result<(), Forbidden> {
        let is_own = |own: SocketAddr| own.ip() == address && Some(own.port()) == port;
        if self.own_receiver.is_some_and(is_own) {
            return Ok(());
        }
        self.addresses.judge(address)
    }
}

/// An absolute URL without credentials that policy allows.
///
/// That the host *name* is harmless proves nothing, since DNS can change its
/// mind; addresses are judged when dialling, in `dial`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryUrl(Url);

/// Why a URL cannot be delivered to.
#[derive(Debug, PartialEq, Eq)]
pub enum UrlError {
    NotAUrl,
    TooLong,
    NotHttps,
    HasCredentials,
    HasFragment,
    BlockedPort(u16),
    InternalName,
    Forbidden(Forbidden),
    OtherOrigin,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl => f.write_str("is not an absolute URL such as https://example.com/hooks"),
            Self::TooLong => write!(f, "is over {MAX_LENGTH} bytes long"),
            Self::NotHttps => f.write_str("must begin with https:// (the operator can allow http with --allow-http)"),
            Self::HasCredentials => f.write_str("must not have a user or password in it; use a header"),
            Self::HasFragment => f.write_str("must not have a fragment (#...)"),
            Self::BlockedPort(port) => {
                write!(f, "has port {port}, which is another protocol's; 80, 443 and most from 1024 on can be used")
            }
            Self::InternalName => f.write_str(
                "has a host name that only a private network knows; the operator can allow that network with \
                 --allow-addresses",
            ),
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::OtherOrigin => f.write_str("leads to another scheme, host or port than the endpoint's"),
        }
    }
}

impl DeliveryUrl {
    /// A URL that a tenant gives, judged by the operator's policy.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, UrlError> {
        let url = Self::read(text)?;
        url.judge(policy).map(|()| url)
    }

    /// A URL that was not judged yet. Whoever dials it judges it.
    pub fn read(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_LENGTH {
            return Err(UrlError::TooLong);
        }
        // `Url` quietly repairs `http:/host`, `http:\\host` and embedded line
        // breaks; what needs repair has no business here.
        let scheme_end = text.find("://").ok_or(UrlError::NotAUrl)?;
        if text[scheme_end..].contains('\\') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::NotAUrl);
        }
        Url::parse(text).map(Self).map_err(|_| UrlError::NotAUrl)
    }

    /// A URL that was judged when it was stored.
    pub fn stored(text: &str) -> Option<Self> {
        Url::parse(text).ok().map(Self)
    }

    /// Whether policy allows it now; it may have changed since it was stored.
    pub fn judge(&self, policy: &UrlPolicy) -> Result<(), UrlError> {
        let url = &self.0;
        match url.scheme() {
            "https" => {}
            "http" if policy.allow_http || self.is(policy.own_receiver) => {}
            "http" => return Err(UrlError::NotHttps),
            _ => return Err(UrlError::NotAUrl),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::HasCredentials);
        }
        if url.fragment().is_some() {
            return Err(UrlError::HasFragment);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            // RFC 6761, section 6.3: these names are loopback by definition.
            Some(Host::Domain(name)) if is_localhost(name) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Some(Host::Domain(_)) => None,
            None => return Err(UrlError::NotAUrl),
        };
        if let Some(address) = literal {
            policy.judge_literal(address, url.port_or_known_default()).map_err(UrlError::Forbidden)?;
        }
        let is_private = policy.addresses.has_exceptions();
        match (url.host(), url.port()) {
            (Some(Host::Domain(name)), _) if !is_private && is_internal(name) => Err(UrlError::InternalName),
            (_, Some(port)) if BLOCKED_PORTS.contains(&port) => Err(UrlError::BlockedPort(port)),
            (_, Some(port)) if !is_private && is_reserved(port) => Err(UrlError::BlockedPort(port)),
            _ => Ok(()),
        }
    }

    fn is(&self, socket: Option<SocketAddr>) -> bool {
        socket.is_some_and(|own| self.literal() == Some(own.ip()) && self.0.port_or_known_default() == Some(own.port()))
    }

    /// The URL of one message, whose target may name another path or query but
    /// never another origin.
    pub fn join(&self, target: Option<&str>) -> Result<Self, UrlError> {
        let Some(target) = target else { return Ok(self.clone()) };
        let joined = self.0.join(target).map_err(|_| UrlError::NotAUrl)?;
        let clean = joined.username().is_empty() && joined.password().is_none();
        if joined.origin() == self.0.origin() && clean { Ok(Self(joined)) } else { Err(UrlError::OtherOrigin) }
    }

    /// The host, when it is an address and no name: no resolver will see it.
    pub fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        }
    }

    /// The host as grants name it: with the port, where that is not the
    /// scheme's own.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub fn as_url(&self) -> &Url {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_reserved(port: u16) -> bool {
    port < FIRST_FREE_PORT && ![80, 443].contains(&port)
}

fn is_internal(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let under = |zone: &&str| name.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || INTERNAL.iter().any(under)
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let policy = UrlPolicy { allow_http: false, ..UrlPolicy::default() };
        let said = match DeliveryUrl::parse(text, &policy) {
            Ok(url) => url.as_str().to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{text}: {said}");
    }

    #[test]
    fn a_delivery_url_is_public_https() {
        check("https://example.com/hooks?a=1", "https://example.com/hooks?a=1");
        check("https://example.com:8443", "https://example.com:8443/");
        check("http://example.com/", "must begin with https://");
        check("ftp://example.com/", "is not an absolute URL");
        check("example.com", "is not an absolute URL");
        check("//example.com/", "is not an absolute URL");
        check("https:/example.com", "is not an absolute URL");
        check("https:\\\\example.com", "is not an absolute URL");
        check("https://exam\nple.com", "is not an absolute URL");
        check("https://user:pass@example.com/", "must not have a user");
        check("https://example.com/#a", "must not have a fragment");
        check("https://example.com:22/", "has port 22");
        check("https://example.com:80/", "https://example.com:80/");
        check("https://example.com:81/", "has port 81");
        check("https://example.com:0/", "has port 0");
        check("https://example.com:1024/", "https://example.com:1024/");
        check("https://example.com:6379/", "has port 6379");
        check("https://example.com:65535/", "https://example.com:65535/");
        check("https://metadata/", "has a host name that only a private network knows");
        check("https://metadata.google.internal/", "has a host name that only a private network knows");
        check("https://kubernetes.default.svc./", "has a host name that only a private network knows");
        check("https://a.cluster.local/", "has a host name that only a private network knows");
        check("https://PRINTER.Local/", "has a host name that only a private network knows");
        check("https://mylocal.example/", "https://mylocal.example/");
        check("https://notlocal.dev/", "https://notlocal.dev/");
        check("https://127.0.0.1/", "127.0.0.1 is a loopback address");
        check("https://0x7f.1/", "127.0.0.1 is a loopback address");
        check("https://①②⑦.⓪.⓪.①/", "127.0.0.1 is a loopback address");
        check("https://[::ffff:a9fe:a9fe]/", "169.254.169.254 is a link-local address");
        check("https://localhost./", "127.0.0.1 is a loopback address");
        check("https://foo.localhost/", "127.0.0.1 is a loopback address");
    }

    #[test]
    fn internal_names_are_for_operators_with_a_private_network() {
        let allowed = AddressPolicy::allowing(vec!["10.0.0.0/8".parse().unwrap()]);
        let policy = UrlPolicy { addresses: allowed, ..UrlPolicy::default() };
        let check = |text| DeliveryUrl::parse(text, &policy).map(|url| url.as_str().to_owned());
        assert_eq!(check("https://receiver:8443/").unwrap(), "https://receiver:8443/");
        assert_eq!(check("https://receiver.internal/").unwrap(), "https://receiver.internal/");
        assert_eq!(check("https://receiver:22/"), Err(UrlError::BlockedPort(22)));
        assert_eq!(check("https://receiver:81/").unwrap(), "https://receiver:81/");
        assert!(matches!(check("https://localhost/"), Err(UrlError::Forbidden(_))));
    }

    #[test]
    fn a_target_stays_on_its_origin() {
        let url = DeliveryUrl::stored("https://example.com/hooks/in").unwrap();
        let check = |target: &str, expected: &str| {
            let said = match url.join(Some(target)) {
                Ok(url) => url.as_str().to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(said.starts_with(expected), "{target}: {said}");
        };
        check("/contacts/7?x=1", "https://example.com/contacts/7?x=1");
        check("out", "https://example.com/hooks/out");
        check("//evil.com/", "leads to another");
        check("https://evil.com/", "leads to another");
        check("http://example.com/", "leads to another");
        check("https://example.com:444/", "leads to another");
        check("//a:b@example.com/", "leads to another");
        check("\\\\evil.com", "leads to another");
    }
}

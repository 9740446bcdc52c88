//! The operator's way out: a proxy that all connections to strangers' hosts go
//! through.

use std::fmt;
use std::sync::Arc;

use ::url::{Host, Url};

use super::access::basic_header;
use super::secret::Secret;

/// A proxy. `Debug` shows no password.
#[derive(Clone)]
pub struct EgressProxy {
    pub kind: ProxyKind,
    /// A name or an address, as a URL has it.
    pub host: String,
    pub port: u16,
    pub login: Option<ProxyLogin>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// `CONNECT` (RFC 9110, section 9.3.6).
    Connect,
    /// RFC 1928.
    Socks5,
}

#[derive(Clone)]
pub struct ProxyLogin {
    pub username: String,
    pub password: Arc<Secret>,
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} proxy at {}:{}", self.kind, self.host, self.port)
    }
}

/// The text is no proxy, and what one would be.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAProxy;

impl fmt::Display for NotAProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "give http://[user:password@]host:port or socks5://[user:password@]host:port, the parts of the login \
             percent-encoded",
        )
    }
}

impl EgressProxy {
    pub fn parse(text: &str) -> Result<Self, NotAProxy> {
        let url = Url::parse(text).map_err(|_| NotAProxy)?;
        let (kind, usual) = match url.scheme() {
            "http" => (ProxyKind::Connect, Some(80)),
            "socks5" => (ProxyKind::Socks5, Some(1080)),
            _ => return Err(NotAProxy),
        };
        let host = match url.host().ok_or(NotAProxy)? {
            // Of a scheme that it does not know, `Url` leaves addresses as they are.
            Host::Domain(name) if !name.is_empty() => name.to_owned(),
            Host::Domain(_) => return Err(NotAProxy),
            address => address.to_string(),
        };
        let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let port = url.port().or(usual).filter(|_| plain).ok_or(NotAProxy)?;
        Ok(Self { kind, host, port, login: login(&url)? })
    }

    /// What a tunnel is asked for with.
    pub fn authorization(&self) -> Option<String> {
        let ProxyLogin { username, password } = self.login.as_ref()?;
        Some(basic_header(username, password.reveal()).value)
    }
}

fn login(url: &Url) -> Result<Option<ProxyLogin>, NotAProxy> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let username = decoded(url.username())?;
    let password = Arc::new(Secret::stored(decoded(url.password().unwrap_or_default())?));
    // What SOCKS has room for (RFC 1929), and what Basic cannot say.
    let fits = |text: &str| text.len() <= 255 && !text.chars().any(char::is_control);
    if !fits(&username) || !fits(password.reveal()) || username.contains(':') {
        return Err(NotAProxy);
    }
    Ok(Some(ProxyLogin { username, password }))
}

/// Without percent-encoding. A plus stays one: this is no form.
fn decoded(text: &str) -> Result<String, NotAProxy> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_err(|_| NotAProxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let said = match EgressProxy::parse(text) {
            Ok(proxy) => {
                let login = proxy.login.as_ref().map(|login| format!("{}/{}", login.username, login.password.reveal()));
                format!("{proxy:?} {}", login.unwrap_or_default())
            }
            Err(NotAProxy) => "none".to_owned(),
        };
        assert_eq!(said.trim_end(), expected, "{text}");
    }

    #[test]
    fn a_proxy_is_a_url_with_nothing_behind_its_port() {
        check("http://proxy.internal:3128", "Connect proxy at proxy.internal:3128");
        check("http://proxy.internal/", "Connect proxy at proxy.internal:80");
        check("socks5://10.0.0.1", "Socks5 proxy at 10.0.0.1:1080");
        check("socks5://[::1]:9050", "Socks5 proxy at [::1]:9050");
        check("http://us%40er:p%3Ass+w@proxy:1", "Connect proxy at proxy:1 us@er/p:ss+w");
        check("https://proxy:1", "none");
        check("socks5h://proxy:1", "none");
        check("proxy:1", "none");
        check("http://proxy:1/path", "none");
        check("http://:1", "none");
        check("socks5://:1", "none");
        check("http://a%0d%0a:b@proxy:1", "none");
    }

    #[test]
    fn what_is_printed_has_no_password() {
        let proxy = EgressProxy::parse("http://user:hush@proxy:1").unwrap();
        assert!(!format!("{proxy:?}").contains("hush"));
        assert_eq!(proxy.authorization().as_deref(), Some("Basic dXNlcjpodXNo"));
    }
}

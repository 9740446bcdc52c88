//! HTTP header fields that tenants and plugins may set (RFC 9110, section 5).

use std::fmt;

use serde::{Deserialize, Serialize};

/// One header field. The name is lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// At most this many on one message.
pub const MAX_HEADERS: usize = 64;
/// At most this many bytes in one value.
pub const MAX_VALUE: usize = 8 * 1024;

/// Fields that belong to the connection and its framing (RFC 9110, section 7.6.1).
/// Whoever could set them could smuggle a second request (RFC 9112, section 11.2).
const CONNECTION: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that the host sets: a plugin that could would forge what receivers
/// trust.
const HOSTS: &[&str] = &["webhook-id", "webhook-signature", "webhook-timestamp"];

/// Why a header cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum HeaderError {
    BadName(String),
    BadValue(String),
    Reserved(String),
    TooMany(usize),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "`{}` is no header name (RFC 9110, section 5.1)", name.escape_debug()),
            Self::BadValue(name) => {
                write!(f, "the value of header `{name}` has control characters or over {MAX_VALUE} bytes")
            }
            Self::Reserved(name) => write!(f, "header `{name}` is set by the host and cannot be given"),
            Self::TooMany(count) => write!(f, "{count} headers, at most {MAX_HEADERS} are allowed"),
        }
    }
}

impl Header {
    /// A header that may be sent, its name in lower case.
    pub fn parse(name: &str, value: &str) -> Result<Self, HeaderError> {
        if !is_name(name) {
            return Err(HeaderError::BadName(name.chars().take(64).collect()));
        }
        let name = name.to_ascii_lowercase();
        if is_of_connection(&name) || HOSTS.contains(&name.as_str()) {
            return Err(HeaderError::Reserved(name));
        }
        if value.len() > MAX_VALUE || !value.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)) {
            return Err(HeaderError::BadValue(name));
        }
        Ok(Self { name, value: value.trim_matches([' ', '\t']).to_owned() })
    }

    /// Whether a dialect may set a header of this name.
    pub(super) fn dialects(name: &str) -> Result<(), HeaderError> {
        if !is_name(name) {
            return Err(HeaderError::BadName(name.chars().take(64).collect()));
        }
        let name = name.to_ascii_lowercase();
        if is_of_connection(&name) { Err(HeaderError::Reserved(name)) } else { Ok(()) }
    }

    /// All of `fields`, or the first reason why not.
    pub fn parse_all<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Self>, HeaderError> {
        let headers: Vec<Self> =
            fields.into_iter().map(|(name, value)| Self::parse(name, value)).collect::<Result<_, _>>()?;
        if headers.len() > MAX_HEADERS {
            return Err(HeaderError::TooMany(headers.len()));
        }
        Ok(headers)
    }
}

/// Whether a field of this name, in lower case, is one connection's, and not what
/// goes over it.
pub fn is_of_connection(name: &str) -> bool {
    CONNECTION.contains(&name)
}

/// A field name (RFC 9110, section 5.1) of a bearable length.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && name.bytes().all(is_token)
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        let said = match Header::parse(name, value) {
            Ok(header) => format!("{}: {}", header.name, header.value),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{name}: {said}");
    }

    #[test]
    fn a_header_is_a_name_and_a_value_and_nothing_smuggled() {
        check("X-Api-Key", "abc", "x-api-key: abc");
        check("x-note", " spaced ", "x-note: spaced");
        check("x-note", "größe", "x-note: größe");
        check("x note", "a", "`x note` is no header name");
        check("", "a", "`` is no header name");
        check("x-a", "a\r\nhost: b", "the value of header `x-a` has control");
        check("Host", "evil", "header `host` is set by the host");
        check("Transfer-Encoding", "chunked", "header `transfer-encoding` is set");
        check("Webhook-Signature", "v1,x", "header `webhook-signature` is set");
    }
}

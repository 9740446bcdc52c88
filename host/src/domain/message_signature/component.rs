//! Parts of a request that a signature can cover, and what each of them says.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::super::evidence::Evidence;
use super::super::header::is_name;
use super::{INPUT, SIGNATURE};

/// A part of a request that can be covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    Method,
    TargetUri,
    Authority,
    Scheme,
    Path,
    Query,
    /// Its name in lower case.
    Header(String),
}

/// The text names nothing that can be covered.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAComponent;

impl fmt::Display for NotAComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there is no such component; there are @method, @target-uri, @authority, @scheme, @path, @query and the \
             names of headers in lower case, but for signature and signature-input",
        )
    }
}

impl FromStr for Component {
    type Err = NotAComponent;

    fn from_str(text: &str) -> Result<Self, NotAComponent> {
        Ok(match text {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@path" => Self::Path,
            "@query" => Self::Query,
            INPUT | SIGNATURE => return Err(NotAComponent),
            name if is_name(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Self::Header(name.to_owned())
            }
            _ => return Err(NotAComponent),
        })
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::Header(name) => name,
        })
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Component {
    /// RFC 9421, sections 2.1 and 2.2. Nothing when the request has none.
    pub(super) fn value(&self, request: &Evidence<'_>) -> Option<String> {
        let url = || Url::parse(request.url).ok();
        let value = match self {
            Self::Method => request.method.to_owned(),
            Self::TargetUri => request.url.to_owned(),
            Self::Authority => {
                let url = url()?;
                let host = url.host_str()?.to_ascii_lowercase();
                url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
            }
            Self::Scheme => url()?.scheme().to_owned(),
            Self::Path => url()?.path().to_owned(),
            Self::Query => format!("?{}", url()?.query().unwrap_or_default()),
            Self::Header(name) => request.all_of(name)?.into_owned(),
        };
        // Section 2.5: anything else could be mistaken for another line.
        let plain = value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte));
        plain.then_some(value)
    }

    pub(super) fn is_absent(&self, request: &Evidence<'_>) -> bool {
        matches!(self, Self::Header(name) if request.all_of(name).is_none())
    }
}

impl<'a> Evidence<'a> {
    /// Every value of a header, in their order, as one (RFC 9421, section 2.1).
    pub(in crate::domain) fn all_of(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut values = self.headers.iter().filter(|header| header.name == name).map(|header| header.value.trim());
        let first = values.next()?;
        let more: Vec<&str> = values.collect();
        match more.is_empty() {
            true => Some(Cow::Borrowed(first)),
            false => Some(Cow::Owned([&[first], more.as_slice()].concat().join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::header::Header;
    use super::*;

    const URL: &str = "https://example.com/foo?param=Value&Pet=dog";

    #[test]
    fn components_are_what_the_rfc_says() {
        let check = |component: &str, url: &str, expected: Option<&str>| {
            let header = |(name, value): (&str, &str)| Header { name: name.to_owned(), value: value.to_owned() };
            let headers = [("x-a", " 1 "), ("x-a", "2"), ("x-b", "ü")].map(header);
            let value = component.parse::<Component>().unwrap().value(&Evidence::new(&headers, "", url, b""));
            assert_eq!(value.as_deref(), expected, "{component} of {url}");
        };
        check("@target-uri", URL, Some(URL));
        check("@authority", "https://EXAMPLE.com:443/", Some("example.com"));
        check("@authority", "http://[::1]:8080/", Some("[::1]:8080"));
        check("@scheme", URL, Some("https"));
        check("@path", "https://example.com", Some("/"));
        check("@query", URL, Some("?param=Value&Pet=dog"));
        check("@query", "https://example.com/", Some("?"));
        check("x-a", URL, Some("1, 2"));
        check("x-b", URL, None);
        check("x-c", URL, None);
        for wrong in ["@status", "Date", "signature", "signature-input", "a b", ""] {
            assert_eq!(wrong.parse::<Component>(), Err(NotAComponent), "{wrong}");
        }
    }
}

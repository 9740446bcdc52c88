//! Evidence: a request, as far as proofs look at it, and the places in it that
//! descriptions name.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::header::Header;

/// A place in a request: `header.x-signature`, `query.token`, `json./a/b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    /// Its name in lower case.
    Header(String),
    Query(String),
    /// A JSON Pointer (RFC 6901) into the body.
    Json(String),
}

/// What can be part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Body,
    /// The URL that the sender was given, with its query.
    Url,
    /// A form's parameters, sorted by name and written without separators.
    Form,
    /// As it was found.
    Timestamp,
    At(Locator),
}

/// A request, as far as proofs look at it.
pub struct Evidence<'a> {
    pub method: &'a str,
    pub headers: &'a [Header],
    /// Without the question mark.
    pub query: &'a str,
    pub url: &'a str,
    pub body: &'a [u8],
    json: OnceCell<Option<serde_json::Value>>,
}

impl<'a> Evidence<'a> {
    /// Of a POST.
    pub fn new(headers: &'a [Header], query: &'a str, url: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", headers, query, url, body, json: OnceCell::new() }
    }

    pub fn with_method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// What is at a place, as text.
    pub fn find(&self, at: &Locator) -> Option<Cow<'a, str>> {
        match at {
            Locator::Header(name) => {
                let header = self.headers.iter().find(|header| header.name == *name)?;
                Some(Cow::Borrowed(header.value.as_str()))
            }
            Locator::Query(name) => {
                url::form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
            }
            Locator::Json(pointer) => {
                let json = self.json.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()?;
                match json.pointer(pointer)? {
                    serde_json::Value::String(text) => Some(Cow::Owned(text.clone())),
                    number @ serde_json::Value::Number(_) => Some(Cow::Owned(number.to_string())),
                    _ => None,
                }
            }
        }
    }

    pub(super) fn part(&self, part: &Part, timestamp: Option<&str>) -> Option<Cow<'a, [u8]>> {
        match part {
            Part::Body => Some(Cow::Borrowed(self.body)),
            Part::Url => Some(Cow::Borrowed(self.url.as_bytes())),
            Part::Form => Some(Cow::Owned(self.sorted_form())),
            Part::Timestamp => timestamp.map(|text| Cow::Owned(text.as_bytes().to_vec())),
            Part::At(at) => self.find(at).map(|text| Cow::Owned(text.into_owned().into_bytes())),
        }
    }

    pub(super) fn is_form(&self) -> bool {
        let content_type = self.find(&Locator::Header("content-type".to_owned())).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// Twilio's way: parameters by name, each name's different values in order,
    /// all written one after the other.
    /// <https://www.twilio.com/docs/usage/security#validating-requests>
    fn sorted_form(&self) -> Vec<u8> {
        if !self.is_form() {
            return Vec::new();
        }
        let mut parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = url::form_urlencoded::parse(self.body).collect();
        parameters.sort();
        parameters.dedup();
        parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).flatten().copied().collect()
    }
}

impl Locator {
    /// For people: ``header `x-signature` ``.
    pub fn in_words(&self) -> String {
        match self {
            Self::Header(name) => format!("header `{name}`"),
            Self::Query(name) => format!("the query's `{name}`"),
            Self::Json(pointer) => format!("the body's `{pointer}`"),
        }
    }
}

/// The text names no place in a request.
#[derive(Debug, PartialEq, Eq)]
pub struct NotALocator;

impl fmt::Display for NotALocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such place; there are header.NAME, query.NAME and json./POINTER")
    }
}

impl FromStr for Locator {
    type Err = NotALocator;

    fn from_str(text: &str) -> Result<Self, NotALocator> {
        match text.split_once('.') {
            Some(("header", name)) if super::header::is_name(name) => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Self::Json(pointer.to_owned())),
            _ => Err(NotALocator),
        }
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Json(pointer) => write!(f, "json.{pointer}"),
        }
    }
}

impl Serialize for Locator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Locator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Part {
    type Err = NotALocator;

    fn from_str(text: &str) -> Result<Self, NotALocator> {
        match text {
            "body" => Ok(Self::Body),
            "url" => Ok(Self::Url),
            "form" => Ok(Self::Form),
            "timestamp" => Ok(Self::Timestamp),
            place => place.parse().map(Self::At),
        }
    }
}

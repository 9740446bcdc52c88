//! Messages: the HTTP request that an endpoint's pipeline made of an event,
//! before signing.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::header::{Header, HeaderError};

/// At most this many bytes in a body.
pub const MAX_BODY: usize = 1024 * 1024;

/// What is sent, the same bytes at every try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub method: Method,
    /// Relative to the endpoint's URL; the host's policy judges the result.
    pub target: Option<String>,
    pub headers: Vec<Header>,
    pub body: Bytes,
}

impl Message {
    /// A body of some type, POSTed.
    pub fn with_type(content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = Header { name: "content-type".to_owned(), value: content_type.to_owned() };
        Self { method: Method::Post, target: None, headers: vec![content_type], body: body.into() }
    }

    /// Whether it says that its body is JSON.
    pub fn is_json(&self) -> bool {
        let content_type = self.headers.iter().find(|header| header.name == "content-type");
        let essence = content_type.and_then(|header| header.value.split(';').next()).unwrap_or_default().trim();
        essence == "application/json" || essence.ends_with("+json")
    }

    /// A message of parts that a plugin made up, or what is wrong with them.
    pub fn parse<'a>(
        method: &str,
        target: Option<String>,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Vec<u8>,
    ) -> Result<Self, MessageError> {
        if body.len() > MAX_BODY {
            return Err(MessageError::TooLarge(body.len()));
        }
        if target.as_ref().is_some_and(|target| target.len() > 2048 || target.chars().any(char::is_control)) {
            return Err(MessageError::BadTarget);
        }
        Ok(Self {
            method: Method::parse(method).ok_or_else(|| MessageError::BadMethod(method.chars().take(16).collect()))?,
            target,
            headers: Header::parse_all(headers)?,
            body: body.into(),
        })
    }
}

/// What a receiver of webhooks may be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Post,
    Put,
    Patch,
}

impl Method {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// Why something is no message.
#[derive(Debug, PartialEq, Eq)]
pub enum MessageError {
    BadMethod(String),
    BadTarget,
    Header(HeaderError),
    TooLarge(usize),
}

impl From<HeaderError> for MessageError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMethod(method) => {
                write!(f, "method `{}` is none of POST, PUT and PATCH", method.escape_debug())
            }
            Self::BadTarget => f.write_str("the target has control characters or over 2048 bytes"),
            Self::Header(error) => error.fmt(f),
            Self::TooLarge(size) => write!(f, "a body of {size} bytes, at most {MAX_BODY} are allowed"),
        }
    }
}

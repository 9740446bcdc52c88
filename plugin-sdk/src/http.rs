//! Requests to other hosts. A plugin that makes some declares it:
//! `Description::capability("http")`; and whoever configures it grants the
//! hosts, letter by letter: `"grants": {"http": ["api.example.com"]}`.
//!
//! At most 4 requests a call, 5 seconds each; 256 KiB of a request's body, 1 MiB
//! of an answer's, 64 headers each way. No redirect is followed. Examples reach
//! nothing, and a preview only if it was asked to. Outside a component a test
//! answers: see [`native::answer_http`](crate::native::answer_http).
//!
//! ```
//! use hookyard_plugin::http::{self, Incoming, Outgoing};
//! use hookyard_plugin::{Refusal, native};
//!
//! fn name_of(customer: &str) -> Result<String, Refusal> {
//!     let asked = Outgoing::get(format!("https://crm.example.com/customers/{customer}/name"));
//!     match http::send(&asked) {
//!         Ok(Incoming { status: 200, body, .. }) => Ok(String::from_utf8_lossy(&body).into_owned()),
//!         Ok(other) => Err(Refusal::new("crm", format!("the CRM answered {}", other.status))),
//!         Err(error) => Err(Refusal::new("crm", error.to_string())),
//!     }
//! }
//!
//! native::answer_http(|asked| {
//!     assert_eq!((asked.method.as_str(), asked.url.as_str()), ("GET", "https://crm.example.com/customers/7/name"));
//!     Ok(Incoming { status: 200, headers: Vec::new(), body: b"Jane".to_vec() })
//! });
//! assert_eq!(name_of("7").unwrap(), "Jane");
//! ```

use crate::Field;
use std::fmt;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Absolute; `https`, unless the operator allows `http`.
    pub url: String,
    /// Of two with one name, the later one is sent.
    pub headers: Vec<Field>,
    /// Empty with `GET`, mostly.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// Asks for what is at `url`.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: "GET".to_owned(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Sends `body` to `url`.
    pub fn post(url: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let content_type = Field { name: "content-type".to_owned(), value: content_type.to_owned() };
        Self { method: "POST".to_owned(), url: url.into(), headers: vec![content_type], body: body.into() }
    }

    /// With one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Field { name: name.into(), value: value.into() });
        self
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// 200, if all is well.
    pub status: u16,
    /// Names are lower case.
    pub headers: Vec<Field>,
    /// As it came: nothing is decompressed.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Not granted, or forbidden by the operator: what it was about, and why.
    Denied(String),
    /// No complete answer in time.
    Timeout,
    /// Over a limit, and which.
    TooLarge(String),
    /// No request that can be sent, no connection, or no answer.
    Failed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::Timeout => f.write_str("no complete answer in time"),
            Self::TooLarge(which) => write!(f, "too large: {which}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Sends a request and waits for the answer.
pub fn send(request: &Outgoing) -> Result<Incoming, HttpError> {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::http::hookyard::plugin::http as host;
        let Outgoing { method, url, headers, body } = request;
        let headers: Vec<&Field> = headers.iter().collect();
        let answer =
            host::send(host::Outgoing { method, url, headers: &headers, body }).map_err(|error| match error {
                host::HttpError::Denied(why) => HttpError::Denied(why),
                host::HttpError::Timeout => HttpError::Timeout,
                host::HttpError::TooLarge(which) => HttpError::TooLarge(which),
                host::HttpError::Failed(why) => HttpError::Failed(why),
            })?;
        Ok(Incoming { status: answer.status, headers: answer.headers, body: answer.body })
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::answer(request)
}

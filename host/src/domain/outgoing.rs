//! Requests that a plugin makes: what one may be, and what may come back.

use bytes::Bytes;

use super::header::{Header, HeaderError, MAX_HEADERS};
use super::url::DeliveryUrl;

/// At most this many bytes in the body of a request, and of its answer.
pub const MAX_REQUEST: usize = 256 * 1024;
pub const MAX_ANSWER: usize = 1024 * 1024;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A request that can be sent. Whether it may be is another question.
#[derive(Debug)]
pub struct Outgoing {
    pub method: &'static str,
    pub url: DeliveryUrl,
    pub headers: Vec<Header>,
    pub body: Bytes,
}

/// What a host answered.
#[derive(Debug)]
pub struct Incoming {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Not granted, or forbidden by the operator.
    Denied(String),
    /// No complete answer in time.
    Timeout,
    /// Over a limit, and which.
    TooLarge(String),
    /// No request that can be sent, no connection, or no answer.
    Failed(String),
}

impl Outgoing {
    pub fn parse(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Self, HttpError> {
        let failed = |why: String| HttpError::Failed(why);
        let known = METHODS.iter().find(|known| **known == method);
        let method = known.ok_or_else(|| failed(format!("a method is one of {}", METHODS.join(", "))))?;
        let url = DeliveryUrl::read(url).map_err(|error| failed(format!("the URL {error}")))?;
        let headers = Header::parse_all(headers.iter().copied()).map_err(|error| match error {
            HeaderError::TooMany(count) => {
                HttpError::TooLarge(format!("{count} headers, at most {MAX_HEADERS} are allowed"))
            }
            error => failed(error.to_string()),
        })?;
        if body.len() > MAX_REQUEST {
            let problem = format!("a body of {} bytes, at most {MAX_REQUEST} are allowed", body.len());
            return Err(HttpError::TooLarge(problem));
        }
        Ok(Self { method, url, headers, body: body.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, url: &str, headers: &[(&str, &str)], bytes: usize, expected: &str) {
        let said = match Outgoing::parse(method, url, headers, vec![0; bytes]) {
            Ok(request) => format!("{} {}", request.method, request.url.authority()),
            Err(error) => format!("{error:?}"),
        };
        assert!(said.starts_with(expected), "{method} {url}: {said}");
    }

    #[test]
    fn a_request_is_plain_http() {
        check("GET", "https://api.example.com/a?b=1", &[], 0, "GET api.example.com");
        check("POST", "http://API.example.com:8443/", &[("X-A", "1")], MAX_REQUEST, "POST api.example.com:8443");
        check("POST", "https://a.example/", &[], MAX_REQUEST + 1, "TooLarge(\"a body of 262145 bytes");
        check("get", "https://a.example/", &[], 0, "Failed(\"a method is one of GET");
        check("CONNECT", "https://a.example/", &[], 0, "Failed(\"a method is one of GET");
        check("GET", "a.example", &[], 0, "Failed(\"the URL is not an absolute URL");
        check("GET", "https://a.example/", &[("host", "b.example")], 0, "Failed(\"header `host` is set by the host");
        check("GET", "https://a.example/", &[("x", "y"); 65], 0, "TooLarge(\"65 headers");
    }
}

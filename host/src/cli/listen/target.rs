//! The program that is sent to: on this machine, unless somebody said otherwise.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use url::Host;

use super::super::Failure;
use super::traffic::Copy;
use crate::domain::header::is_of_connection;
use crate::telemetry::Chain;

/// A program with a breakpoint in it may take its time, but not for ever.
const DEADLINE: Duration = Duration::from_secs(120);

pub(super) struct Target {
    http: reqwest::Client,
    url: Url,
}

/// What came back.
pub(super) struct Answered {
    pub(super) status: Option<u16>,
    pub(super) took_ms: u64,
    pub(super) error: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Target {
    pub(super) fn new(to: &str, allow_remote: bool) -> Result<Self, Failure> {
        let url = parse(to)?;
        if !allow_remote && !is_here(&url) {
            let problem = "is another machine, which would be sent all that is in there; give a port of this one, or \
                           --allow-remote";
            return Err(Failure(format!("{to} {problem}")));
        }
        let built = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(DEADLINE);
        let http = built.build().map_err(|error| Failure(Chain(&error).to_string()))?;
        Ok(Self { http, url })
    }

    pub(super) async fn send(&self, copy: &Copy) -> Answered {
        let began = Instant::now();
        let sent = self.request(copy).send().await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match sent {
            Ok(answer) => Answered { status: Some(answer.status().as_u16()), took_ms, error: None },
            Err(error) => Answered { status: None, took_ms, error: Some(Chain(&error.without_url()).to_string()) },
        }
    }

    fn request(&self, copy: &Copy) -> reqwest::RequestBuilder {
        let mut url = self.url.clone();
        if !copy.query.is_empty() {
            let query = [url.query(), Some(&copy.query)].into_iter().flatten().collect::<Vec<_>>().join("&");
            url.set_query(Some(&query));
        }
        let method = Method::from_bytes(copy.method.as_bytes()).unwrap_or(Method::POST);
        self.http.request(method, url).headers(headers(copy)).body(copy.body.clone())
    }
}

/// Of two headers with one name, the later one is sent, as in a delivery; of a
/// request, both.
fn headers(copy: &Copy) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &copy.headers {
        // What is of a connection, this one says anew.
        let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !is_of_connection(name.as_str()));
        // What the server took, it can send; what it cannot is not for us to mend.
        let Some((name, value)) = known.zip(HeaderValue::from_bytes(value.as_bytes()).ok()) else { continue };
        match copy.repeats_headers {
            true => headers.append(name, value),
            false => headers.insert(name, value).is_some(),
        };
    }
    headers
}

/// `3000`, `localhost:3000/hooks`, or a whole URL.
fn parse(to: &str) -> Result<Url, Failure> {
    let wrong = || Failure(format!("{to}: give a port, such as 3000, or a URL, such as http://localhost:3000/hooks"));
    let text = match to.parse::<u16>() {
        Ok(port) => format!("http://localhost:{port}/"),
        Err(_) if to.contains("://") => to.to_owned(),
        Err(_) => format!("http://{to}"),
    };
    Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        // RFC 6761: localhost is this machine.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: &str, expected: &str) {
        let said = match parse(to) {
            Ok(url) => format!("{url} {}", if is_here(&url) { "here" } else { "elsewhere" }),
            Err(Failure(problem)) => problem,
        };
        assert!(said.starts_with(expected), "{to}: {said}");
    }

    #[test]
    fn a_target_is_on_this_machine() {
        check("3000", "http://localhost:3000/ here");
        check("localhost:3000/hooks", "http://localhost:3000/hooks here");
        check("http://127.0.0.2:3000/a?b=1", "http://127.0.0.2:3000/a?b=1 here");
        check("http://[::1]:3000", "http://[::1]:3000/ here");
        check("app.localhost:3000", "http://app.localhost:3000/ here");
        check("https://example.com/hooks", "https://example.com/hooks elsewhere");
        check("localhost.example.com", "http://localhost.example.com/ elsewhere");
        check("10.0.0.1:3000", "http://10.0.0.1:3000/ elsewhere");
        check("ftp://localhost/", "ftp://localhost/: give a port");
        check("a b", "a b: give a port");
    }
}

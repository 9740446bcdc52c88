//! A running server, as a tenant's program sees it. The tenant's key is never a
//! flag: a command line is there for every process to read.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, Url, header};
use serde_json::Value;

use super::Failure;
use super::screen::clean;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::Timestamp;
use crate::telemetry::Chain;

/// The server answers within a minute, or says that it does not.
const DEADLINE: Duration = Duration::from_secs(70);
/// The most that a page holds.
pub(super) const PAGE: usize = 250;

/// Where the server is, and for whom the answer is.
#[derive(clap::Args)]
pub(super) struct Remote {
    /// The server; the tenant's key is in HOOKYARD_KEY
    #[arg(long, env = "HOOKYARD_SERVER", default_value = "http://127.0.0.1:8400", value_name = "URL", global = true)]
    server: Url,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// Calls of the API with one key. Has no `Debug`: the key is in it.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    key: String,
}

/// Why a call was not answered as hoped.
#[derive(Debug)]
pub(super) enum Trouble {
    Unreachable(String),
    NotHookyard(String),
    Problem(Problem),
}

/// What the API says is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) detail: String,
    field: Option<String>,
    /// The path that was asked for.
    at: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(said) | Self::NotHookyard(said) => f.write_str(said),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, detail, field, at } = self;
        match (status, field) {
            (401, _) => write!(f, "the server does not take the key in HOOKYARD_KEY: {detail}"),
            (404, _) => write!(f, "{at}: {detail}"),
            (_, Some(field)) => write!(f, "{field}: {detail}"),
            (_, None) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// Whether asking again later may help: the server restarts, or is busy.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::NotHookyard(_) => false,
            Self::Problem(problem) => matches!(problem.status, 408 | 429 | 500..=599),
        }
    }
}

/// A part of a list, newest first.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// The cursor of what is behind it: the last item, or the last that was looked
    /// at. Nothing at the list's end.
    pub(super) next: Option<String>,
}

/// Parameters of a query; those without a value are left out.
pub(super) type Query<'a> = &'a [(&'a str, Option<String>)];

impl Remote {
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let key = std::env::var("HOOKYARD_KEY").ok().filter(|key| !key.is_empty()).ok_or_else(|| {
            Failure("HOOKYARD_KEY is not set: put the tenant's API key into this variable".to_owned())
        })?;
        if !matches!(self.server.scheme(), "http" | "https") || self.server.cannot_be_a_base() {
            return Err(Failure(format!("--server {}: give a URL such as http://127.0.0.1:8400", self.server)));
        }
        let built = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(DEADLINE);
        let http = built.build().map_err(|error| Failure(Chain(&error).to_string()))?;
        Ok(Client { http, server: self.server.clone(), key })
    }
}

impl Client {
    /// `GET /v1/...`
    pub(super) async fn get(&self, path: &[&str], query: Query<'_>) -> Result<Value, Trouble> {
        let request = self.http.get(self.address(path, query));
        self.answer(path, request).await
    }

    /// `POST /v1/...`
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Trouble> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Any other.
    pub(super) async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, Trouble> {
        let mut request = self.http.request(method, self.address(path, &[]));
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.answer(path, request).await
    }

    /// `POST /v1/events`, of which a second one with the same key stores nothing.
    pub(super) async fn publish(&self, body: String, once: Option<&str>) -> Result<Value, Trouble> {
        let path = ["events"];
        let mut request = self.http.post(self.address(&path, &[])).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = once {
            request = request.header("idempotency-key", key);
        }
        self.answer(&path, request.body(body)).await
    }

    /// The newest `limit` of a list.
    pub(super) async fn list(&self, path: &[&str], query: Query<'_>, limit: usize) -> Result<Vec<Value>, Trouble> {
        let (mut found, mut cursor) = (Vec::new(), None);
        while found.len() < limit {
            let page = self.page(path, query, (limit - found.len()).min(PAGE), cursor).await?;
            found.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// What one answer has of a list: at most `limit`, from behind the cursor.
    pub(super) async fn page(
        &self,
        path: &[&str],
        query: Query<'_>,
        limit: usize,
        cursor: Option<String>,
    ) -> Result<Page, Trouble> {
        let place = [("limit", Some(limit.to_string())), ("cursor", cursor)];
        let mut answer = self.get(path, &[query, &place].concat()).await?;
        let next = answer["next"].as_str().map(str::to_owned);
        match answer["items"].take() {
            Value::Array(items) => Ok(Page { items, next }),
            _ => Ok(Page { items: Vec::new(), next }),
        }
    }

    /// All of a list that comes whole.
    pub(super) async fn whole(&self, path: &[&str]) -> Result<Vec<Value>, Trouble> {
        match self.get(path, &[]).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    fn address(&self, path: &[&str], query: Query<'_>) -> Url {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .expect("an http URL has a path, as `connect` asked")
            .pop_if_empty()
            .push("v1")
            .extend(path);
        let given: Vec<_> = query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
        if !given.is_empty() {
            url.query_pairs_mut().extend_pairs(given);
        }
        url
    }

    async fn answer(&self, path: &[&str], request: reqwest::RequestBuilder) -> Result<Value, Trouble> {
        let unreachable = |error: reqwest::Error| {
            let error = Chain(&error.without_url()).to_string();
            Trouble::Unreachable(format!("{}: {error}; is the server running? --server says where", self.server))
        };
        let answer = request.bearer_auth(&self.key).send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if body.is_empty() && status.is_success() {
            return Ok(Value::Null);
        }
        let body: Value = serde_json::from_slice(&body).map_err(|_| {
            let problem = format!("{}: status {status} and no JSON; is this a Hookyard server?", self.server);
            Trouble::NotHookyard(problem)
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let text = |name: &str| body[name].as_str().map(clean).filter(|text| !text.is_empty());
        Err(Trouble::Problem(Problem {
            status: status.as_u16(),
            detail: text("detail").unwrap_or_else(|| format!("status {status}")),
            field: text("field"),
            at: clean(&path.join("/")),
        }))
    }
}

/// An instant, or how long ago: `2026-11-21T08:30:00Z`, `90s`, `15m`, `24h`,
/// `7d`.
pub(super) fn instant(text: &str) -> Result<String, String> {
    let wrong = || "give RFC 3339, such as 2026-11-21T08:30:00Z, or how long ago, such as 15m, 24h or 7d".to_owned();
    if text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let ago = seconds(text).ok_or_else(wrong)?.checked_mul(1000).ok_or_else(wrong)?;
    let now = SystemClock.now().as_millis();
    Ok(Timestamp::from_millis(now.checked_sub(ago).ok_or_else(wrong)?).to_string())
}

fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| i64::from(number) * each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_said_by_how_long_ago_it_was() {
        assert_eq!(["90s", "15m", "24h", "7d"].map(seconds), [Some(90), Some(900), Some(86_400), Some(604_800)]);
        assert_eq!(["", "d", "7", "-1d", "7w", "7ä"].map(seconds), [None; 6]);
        assert_eq!(instant("2026-11-21T08:30:00Z").as_deref(), Ok("2026-11-21T08:30:00Z"));
        assert!(instant("yesterday").is_err_and(|said| said.contains("24h")));
    }
}

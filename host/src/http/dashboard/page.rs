//! What a page is: a path, a template, and the calls whose answers it shows.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::client::{Answer, Client, Visitor};
use super::form;
use super::live::fingerprint;
use crate::domain::time::Timestamp;

/// For whom a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Whoever acts in a tenant. The operator is led to the tenants.
    Tenant,
    /// Of those, who may change something, and is no portal's visitor.
    Member,
    /// Whoever is signed in; the API says who may read what is on it.
    Anybody,
}

/// One page.
pub(super) struct Page {
    pub(super) path: &'static str,
    pub(super) template: &'static str,
    pub(super) whom: Whom,
    /// The read that is watched while somebody looks.
    pub(super) live: Option<&'static str>,
    /// Of the page's query, where it does not say.
    pub(super) defaults: &'static [(&'static str, &'static str)],
    pub(super) reads: &'static [Read],
}

/// A call whose answer the template sees by a name.
pub(super) struct Read {
    pub(super) name: &'static str,
    /// `{id}` is of the page's path, `{event.request_id}` of what was read before;
    /// `{?state,cursor}` at the end passes those parameters of the page on.
    pub(super) call: &'static str,
    /// None in the template where it fails; otherwise its failure is the page's.
    pub(super) optional: bool,
}

pub(super) const fn read(name: &'static str, call: &'static str) -> Read {
    Read { name, call, optional: false }
}

pub(super) const fn optional(name: &'static str, call: &'static str) -> Read {
    Read { name, call, optional: true }
}

/// Somebody at a page.
pub(super) struct Visit {
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    /// The page's address.
    pub(super) here: String,
}

impl Visit {
    pub(super) fn new(page: &Page, path: BTreeMap<String, String>, query: Option<&str>) -> Self {
        let mut here = filled_path(page.path, &path);
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            here = format!("{here}?{query}");
        }
        let mut query = query_of(query);
        query.retain(|_, value| !value.is_empty());
        for (name, value) in page.defaults {
            query.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        Self { path, query, here }
    }
}

impl Page {
    /// The answers of all that it reads; or the one that decides that it cannot
    /// be shown.
    pub(super) async fn read(
        &self,
        client: &Client,
        visitor: &Visitor,
        visit: &Visit,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Answer> {
        let mut answers = Map::new();
        let mut live = None;
        let mut seen = None;
        for read in self.reads {
            let value = match fill(read.call, visit, &answers, now) {
                Some(target) => {
                    let answer = client.get(visitor, &target).await;
                    if self.live == Some(read.name) {
                        live = Some(target);
                        seen = Some(fingerprint(&answer.body));
                    }
                    match answer.status.is_success() {
                        true => answer.body,
                        false if read.optional && answer.status != StatusCode::UNAUTHORIZED => Value::Null,
                        false => return Err(answer),
                    }
                }
                None => Value::Null,
            };
            answers.insert(read.name.to_owned(), value);
        }
        answers.insert("live".to_owned(), json!(live));
        answers.insert("live_seen".to_owned(), json!(seen));
        Ok(answers)
    }
}

/// The call with its holes filled; none where what one asks for is not there.
fn fill(call: &str, visit: &Visit, answers: &Map<String, Value>, now: Timestamp) -> Option<String> {
    let (call, passed) = match call.split_once("{?") {
        Some((call, names)) => (call, names.trim_end_matches('}')),
        None => (call, ""),
    };
    let mut filled = String::with_capacity(call.len() + 32);
    let mut rest = call;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}')?;
        filled += before;
        filled += &segment(&hole(name, visit, answers)?);
        rest = behind;
    }
    filled += rest;
    for name in passed.split(',').filter(|name| !name.is_empty()) {
        if let Some(value) = visit.query.get(name) {
            let value = match name {
                "after" | "before" | "since" | "until" => form::instant(value, now),
                _ => value.clone(),
            };
            let sign = if filled.contains('?') { '&' } else { '?' };
            filled += &format!("{sign}{name}={}", segment(&value));
        }
    }
    Some(filled)
}

fn hole(name: &str, visit: &Visit, answers: &Map<String, Value>) -> Option<String> {
    match name.split_once('.') {
        None => visit.path.get(name).cloned(),
        Some((answer, field)) => {
            let pointer = format!("/{}", field.replace('.', "/"));
            match answers.get(answer)?.pointer(&pointer)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        }
    }
}

fn filled_path(pattern: &str, path: &BTreeMap<String, String>) -> String {
    path.iter()
        .fold(pattern.to_owned(), |filled, (name, value)| filled.replace(&format!("{{{name}}}"), &segment(value)))
}

/// Percent-encoded so that it stays one segment, or one value, of an address.
pub(super) fn segment(text: &str) -> String {
    // As forms do, but for the space, which is a plus in queries alone.
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Parameters of a query string; of those with one name, the last.
pub(super) fn query_of(query: Option<&str>) -> BTreeMap<String, String> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(path: &[(&str, &str)], query: &str) -> Visit {
        let path = path.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let page = Page {
            path: "/x/{id}",
            template: "x.html",
            whom: Whom::Tenant,
            live: None,
            defaults: &[("step", "900")],
            reads: &[],
        };
        Visit::new(&page, path, Some(query))
    }

    #[track_caller]
    fn check(call: &str, query: &str, expected: Option<&str>) {
        let answers = json!({"event": {"request_id": "req_1", "subject": null}});
        let visit = visit(&[("id", "a/b c?é")], query);
        let now = Timestamp::from_millis(1_705_314_600_000);
        assert_eq!(fill(call, &visit, answers.as_object().unwrap(), now).as_deref(), expected, "{call}");
    }

    #[test]
    fn a_call_is_filled_from_path_answers_and_query() {
        check("/v1/plugins", "", Some("/v1/plugins"));
        check("/v1/endpoints/{id}/test", "", Some("/v1/endpoints/a%2Fb%20c%3F%C3%A9/test"));
        check("/v1/requests/{event.request_id}", "", Some("/v1/requests/req_1"));
        check("/v1/requests/{event.subject}", "", None);
        check("/v1/requests/{nothing.at.all}", "", None);
        check("/v1/deliveries{?state,cursor}", "state=dead&cursor=&other=1", Some("/v1/deliveries?state=dead"));
        check("/v1/deliveries?limit=20{?state}", "state=a%26b", Some("/v1/deliveries?limit=20&state=a%26b"));
        check("/v1/activity{?step}", "", Some("/v1/activity?step=900"));
        check(
            "/v1/activity{?since,step}",
            "step=60&since=-1h",
            Some("/v1/activity?since=2024-01-15T09%3A30%3A00.000Z&step=60"),
        );
    }

    #[test]
    fn a_path_that_climbs_stays_a_segment() {
        let visit = visit(&[("id", "../../tenants")], "");
        let filled = fill("/v1/endpoints/{id}", &visit, &Map::new(), Timestamp::from_millis(0));
        assert_eq!(filled.as_deref(), Some("/v1/endpoints/..%2F..%2Ftenants"));
        assert_eq!(visit.here, "/x/..%2F..%2Ftenants");
    }
}

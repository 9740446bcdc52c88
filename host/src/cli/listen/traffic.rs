//! What came since the last look: a source's requests, or the messages of
//! deliveries, as the API shows them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::remote::{Client, Trouble};
use super::super::screen::{clean, note};
use super::super::watch::Watch;

/// At most this many deliveries wait for their first attempt to be looked at.
const MOST_WAITING: usize = 250;

/// One request to be sent once more.
pub(super) struct Copy {
    /// The request's or the delivery's.
    pub(super) id: String,
    pub(super) types: Vec<String>,
    pub(super) method: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    /// Of two with one name, both were sent.
    pub(super) repeats_headers: bool,
    pub(super) body: Vec<u8>,
}

/// What a thing is known by, and what is news of it.
type Key = fn(&Value) -> (String, String);

/// Where copies come from.
pub(super) struct Traffic {
    noun: &'static str,
    query: Vec<(&'static str, Option<String>)>,
    filter: Option<String>,
    watch: Watch<Key>,
    /// Deliveries whose message was not made when they were seen.
    waiting: BTreeSet<String>,
}

impl Traffic {
    pub(super) fn of_source(id: String, filter: Option<String>) -> Self {
        Self::of("requests", vec![("source", Some(id))], filter)
    }

    pub(super) fn of_endpoints(id: Option<String>, filter: Option<String>) -> Self {
        Self::of("deliveries", vec![("endpoint", id)], filter)
    }

    fn of(noun: &'static str, query: Vec<(&'static str, Option<String>)>, filter: Option<String>) -> Self {
        // Each is news once.
        let key: Key = |item| (text(item, "id"), String::new());
        Self { noun, query, filter, watch: Watch::new(key), waiting: BTreeSet::new() }
    }

    /// What is there already is not forwarded.
    pub(super) async fn begin(&mut self, client: &Client) -> Result<(), Trouble> {
        self.watch.begin(client, self.noun, &self.query).await
    }

    pub(super) async fn next(&mut self, client: &Client) -> Result<Vec<Copy>, Trouble> {
        let news = self.watch.news(client, self.noun, &self.query).await?;
        let ids = news.iter().map(|item| text(item, "id"));
        self.waiting.extend(ids);
        while self.waiting.len() > MOST_WAITING {
            if let Some(id) = self.waiting.pop_first() {
                note(&format!("{id} is not forwarded: too many wait for their first attempt"));
            }
        }
        let mut copies = Vec::new();
        for id in self.waiting.clone() {
            match self.look_at(client, &id).await {
                Ok(copy) => copies.extend(copy),
                // What there is already must not be lost; the next look meets it again.
                Err(_) if !copies.is_empty() => break,
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(copies)
    }

    /// Its copy, if it can be made by now and is wanted.
    async fn look_at(&mut self, client: &Client, id: &str) -> Result<Option<Copy>, Trouble> {
        let whole = client.get(&[self.noun, id], &[]).await?;
        let is_request = self.noun == "requests";
        let copy = if is_request { of_request(&whole) } else { of_delivery(&whole) };
        let Some(mut copy) = copy else {
            if is_request || whole["state"] != "pending" {
                self.waiting.remove(id);
                note(&format!("{id} is not forwarded: {}", why(&whole)));
            }
            return Ok(None);
        };
        copy.types = types(client, &whole).await?;
        self.waiting.remove(id);
        let is_wanted = |filter: &str| copy.types.iter().any(|kind| fits(filter, kind));
        Ok(self.filter.as_deref().is_none_or(is_wanted).then_some(copy))
    }
}

/// As it came. What did not prove who sent it is nobody's.
fn of_request(whole: &Value) -> Option<Copy> {
    if matches!(whole["state"].as_str(), Some("refused" | "answered")) || whole["bytes"].is_null() {
        return None;
    }
    Some(Copy {
        id: text(whole, "id"),
        types: Vec::new(),
        method: text(whole, "method"),
        query: text(whole, "query"),
        headers: headers(&whole["headers"]).collect(),
        repeats_headers: true,
        body: body(whole),
    })
}

/// As it went out: the signature of the last attempt goes over what the pipeline
/// made.
fn of_delivery(whole: &Value) -> Option<Copy> {
    let message = &whole["message"];
    let attempts = whole["attempts"].as_array()?;
    let signed = attempts.last().map(|attempt| &attempt["signed_headers"]).unwrap_or(&Value::Null);
    message.is_object().then(|| Copy {
        id: text(whole, "id"),
        types: Vec::new(),
        method: text(message, "method"),
        query: String::new(),
        headers: headers(&message["headers"]).chain(headers(signed)).collect(),
        repeats_headers: false,
        body: body(message),
    })
}

fn headers(list: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    list.as_array().into_iter().flatten().map(|header| (text(header, "name"), text(header, "value")))
}

fn body(of: &Value) -> Vec<u8> {
    match (of["body"].as_str(), of["body_base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_default().to_owned()
}

fn why(whole: &Value) -> String {
    let reason = whole["reason"].as_str().map(|reason| format!(", {reason}")).unwrap_or_default();
    clean(&format!("it is {}{reason}", text(whole, "state")))
}

/// Of the events that it became, or that it is made of.
async fn types(client: &Client, whole: &Value) -> Result<Vec<String>, Trouble> {
    if whole["event_type"].is_string() {
        return Ok(vec![text(whole, "event_type")]);
    }
    let mut types = Vec::new();
    for id in whole["event_ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let kind = text(&client.get(&["events", id], &[]).await?, "type");
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    Ok(types)
}

/// `order.paid`, `order.*` or `*`.
fn fits(filter: &str, kind: &str) -> bool {
    match filter.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => filter == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_filter_is_a_type_or_its_beginning() {
        let fitting = ["order.paid", "order.*", "*"].map(|filter| fits(filter, "order.paid"));
        assert_eq!(fitting, [true; 3]);
        assert!(!fits("order.*", "orders.paid") && !fits("order", "order.paid"));
    }

    #[test]
    fn what_did_not_prove_who_sent_it_is_not_forwarded() {
        let request = |state: &str| json!({"id": "req_1", "state": state, "bytes": 2, "method": "POST", "body": "{}"});
        assert!(of_request(&request("accepted")).is_some_and(|copy| copy.body == b"{}"));
        assert!(of_request(&request("quarantined")).is_some());
        assert!(of_request(&request("refused")).is_none());
        assert!(of_request(&request("answered")).is_none());
    }
}

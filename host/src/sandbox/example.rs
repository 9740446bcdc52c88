//! Runs the examples that a plugin brings along, as its upload's last gate: what
//! it says of itself must be what it does here.
//!
//! The JSON is described in `wit/settings.wit`: records with their fields in
//! snake case, `data` as the document itself, bodies as text, what is empty left
//! out.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::Called;
use super::contract::{DraftOut, EventIn, ExampleOut, FieldIn, FieldOut, JobOut, MessageIn, MessageOut};
use super::contract::{RefusalOut, RequestIn, VerdictOut};
use super::convert;
use super::fault::{Failure, Fault};
use super::guest::Guest;
use super::limits::Limits;
use super::plugin::Plugin;
use crate::domain::event::EventType;
use crate::domain::time::Timestamp;

/// When examples happen that do not say when.
const SOME_TIME: &str = "2026-11-21T08:30:00.000Z";

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RequestForm {
    id: String,
    source: String,
    received_at: String,
    method: String,
    query: Vec<FieldForm>,
    headers: Vec<FieldForm>,
    body: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventForm {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: String,
    subject: Option<String>,
    account: Option<String>,
    tags: Vec<String>,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MessageForm {
    method: String,
    target: Option<String>,
    headers: Vec<FieldForm>,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldForm {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapperInput {
    request: RequestForm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterInput {
    event: EventForm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformerInput {
    event: EventForm,
    message: MessageForm,
}

/// Nothing, or what is wrong with `example`; it is run twice.
pub(super) fn run(plugin: &Plugin, example: &ExampleOut, limits: &Limits) -> Result<(), String> {
    accepts_config(plugin, &example.config, limits)?;
    let expected: Value =
        serde_json::from_str(&example.output).map_err(|problem| format!("its output is no JSON: {problem}"))?;
    let expected = comparable(expected);
    for _ in 0..2 {
        let made = comparable(outcome(plugin, example, limits)?);
        if made != expected {
            return Err(format!("it should come to {} and came to {}", short(&expected), short(&made)));
        }
    }
    Ok(())
}

fn accepts_config(plugin: &Plugin, config: &str, limits: &Limits) -> Result<(), String> {
    match plugin.call_check(config, guest(limits), limits).result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(issues)) => {
            let first = issues.first().map_or("", |issue| &issue.message);
            Err(format!("its configuration is refused: {first}"))
        }
        Err(failure) => Err(failed(failure)),
    }
}

fn outcome(plugin: &Plugin, example: &ExampleOut, limits: &Limits) -> Result<Value, String> {
    let (config, guest) = (example.config.as_str(), guest(limits));
    match example.job {
        JobOut::Mapper => {
            let MapperInput { request } = input(example)?;
            let called = plugin.call_map(&request.record(), config, guest, limits);
            settle(called, |drafts| {
                let event_type: EventType = "example".parse().expect("it is an event type");
                convert::drafts(drafts.clone(), Some(&event_type), limits)?;
                Ok(Value::Array(drafts.into_iter().map(draft).collect()))
            })
        }
        JobOut::Filter => {
            let FilterInput { event } = input(example)?;
            let called = plugin.call_keep(&event.record(), config, guest, limits);
            settle(called, |verdict| match verdict {
                VerdictOut::Keep => Ok(json!("keep")),
                VerdictOut::Drop(reason) => Ok(json!({ "drop": reason })),
            })
        }
        JobOut::Transformer => {
            let TransformerInput { event, message: given } = input(example)?;
            let called = plugin.call_transform(&event.record(), &given.record(), config, guest, limits);
            settle(called, |made| {
                convert::message(made.clone())?;
                Ok(message(made))
            })
        }
    }
}

fn guest(limits: &Limits) -> Guest {
    Guest::new(limits, "example", SOME_TIME.parse().unwrap_or(Timestamp::from_millis(0)))
}

fn input<T: DeserializeOwned>(example: &ExampleOut) -> Result<T, String> {
    serde_json::from_str(&example.input).map_err(|problem| format!("its input: {problem}"))
}

fn settle<R>(
    called: Called<Result<R, RefusalOut>>,
    show: impl FnOnce(R) -> Result<Value, Fault>,
) -> Result<Value, String> {
    match called.result {
        Ok(Ok(made)) => show(made).map_err(|fault| fault.to_string()),
        Ok(Err(RefusalOut { code, message })) => Ok(json!({ "refusal": { "code": code, "message": message } })),
        Err(failure) => Err(failed(failure)),
    }
}

fn failed(failure: Failure) -> String {
    match failure {
        Failure::Fault(fault) => fault.to_string(),
        Failure::NoRoom => "the host had no room for it; try again".to_owned(),
    }
}

fn draft(draft: DraftOut) -> Value {
    let data: Value = serde_json::from_str(&draft.data).unwrap_or(Value::Null);
    json!({
        "type": draft.event_type, "occurred_at": draft.occurred_at, "subject": draft.subject,
        "account": draft.account, "tags": draft.tags, "data": data,
    })
}

fn message(message: MessageOut) -> Value {
    let field = |FieldOut { name, value }| json!({ "name": name, "value": value });
    json!({
        "method": message.method, "target": message.target,
        "headers": message.headers.into_iter().map(field).collect::<Vec<_>>(),
        "body": String::from_utf8_lossy(&message.body),
    })
}

/// The same for what means the same: fields that are empty and fields that are
/// not there, and bodies that are the same JSON.
fn comparable(output: Value) -> Value {
    match output {
        Value::Array(records) => Value::Array(records.into_iter().map(comparable).collect()),
        Value::Object(mut fields) => {
            if let Some(Value::String(body)) = fields.get("body")
                && let Ok(document) = serde_json::from_str(body)
            {
                fields.insert("body".to_owned(), document);
            }
            fields.retain(|name, value| name == "data" || !is_empty(value));
            Value::Object(fields)
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > 500 {
        text.truncate(text.floor_char_boundary(500));
        text.push_str("...");
    }
    text
}

impl Default for RequestForm {
    fn default() -> Self {
        Self {
            id: String::new(),
            source: String::new(),
            received_at: SOME_TIME.to_owned(),
            method: "POST".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

impl Default for EventForm {
    fn default() -> Self {
        Self {
            id: String::new(),
            event_type: String::new(),
            occurred_at: SOME_TIME.to_owned(),
            subject: None,
            account: None,
            tags: Vec::new(),
            data: RawValue::NULL.to_owned(),
        }
    }
}

impl Default for MessageForm {
    fn default() -> Self {
        Self { method: "POST".to_owned(), target: None, headers: Vec::new(), body: String::new() }
    }
}

impl RequestForm {
    fn record(&self) -> RequestIn<'_> {
        RequestIn {
            id: &self.id,
            source: &self.source,
            received_at: &self.received_at,
            method: &self.method,
            query: fields(&self.query),
            headers: fields(&self.headers),
            body: self.body.as_bytes(),
        }
    }
}

impl EventForm {
    fn record(&self) -> EventIn<'_> {
        EventIn {
            id: &self.id,
            event_type: &self.event_type,
            occurred_at: &self.occurred_at,
            subject: self.subject.as_deref(),
            account: self.account.as_deref(),
            tags: &self.tags,
            data: self.data.get(),
        }
    }
}

impl MessageForm {
    fn record(&self) -> MessageIn<'_> {
        MessageIn {
            method: &self.method,
            target: self.target.as_deref(),
            headers: fields(&self.headers),
            body: self.body.as_bytes(),
        }
    }
}

fn fields(forms: &[FieldForm]) -> Vec<FieldIn<'_>> {
    forms.iter().map(|FieldForm { name, value }| FieldIn { name, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: Value, other: Value, same: bool) {
        assert_eq!(comparable(one.clone()) == comparable(other.clone()), same, "{one} {other}");
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        check(json!([{"type": "a", "tags": [], "data": {"b": 1}}]), json!([{"type": "a", "data": {"b": 1}}]), true);
        check(json!({"method": "POST", "body": "{\"a\": 1}"}), json!({"method": "POST", "body": "{\"a\":1}"}), true);
        check(json!({"body": "{\"a\": 1}"}), json!({"body": "{\"a\": 2}"}), false);
        check(json!([{"data": null}]), json!([{"data": {}}]), false);
        check(json!("keep"), json!({"drop": "no"}), false);
    }
}

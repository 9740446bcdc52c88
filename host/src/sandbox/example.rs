//! Runs the examples that a plugin brings along, as its upload's last gate: what
//! it says of itself must be what it does here. An author's own cases are run
//! the same way.

mod form;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::form::{FilterInput, MapperInput, SOME_TIME, TransformerInput};
use super::Issue;
use super::call::Called;
use super::contract::{DraftOut, FieldOut, MessageOut, RefusalOut, VerdictOut};
use super::convert;
use super::fault::{Failure, Fault};
use super::guest::Guest;
use super::limits::Limits;
use super::plugin::Plugin;
use crate::domain::event::EventType;
use crate::domain::pipeline::LogLine;
use crate::domain::plugin::Job;
use crate::domain::time::Timestamp;

/// What a plugin is asked, as JSON text in the form that `wit/settings.wit`
/// describes.
#[derive(Clone, Debug)]
pub struct Case {
    pub job: Job,
    pub config: String,
    pub input: String,
}

/// What a case came to, with what it cost and what the plugin said.
#[derive(Clone, Debug)]
pub struct CaseRun {
    /// The output, as JSON; `{"issues": [...]}` when the plugin does not accept
    /// the configuration. Or what went wrong, for people.
    pub made: Result<Value, String>,
    pub log: Vec<LogLine>,
    pub fuel: u64,
    pub duration_us: u64,
    pub memory: u64,
}

/// Nothing, or what is wrong with the example `case` and its `output`; it is run
/// twice.
pub(super) fn check(plugin: &Plugin, case: &Case, output: &str, limits: &Limits) -> Result<(), String> {
    let expected: Value =
        serde_json::from_str(output).map_err(|problem| format!("its output is no JSON: {problem}"))?;
    let expected = comparable(expected);
    match plugin.call_check(&case.config, guest(limits), limits).result {
        Ok(Ok(())) => {}
        Ok(Err(issues)) => {
            let first = issues.first().map_or("", |issue| &issue.message);
            return Err(format!("its configuration is refused: {first}"));
        }
        Err(failure) => return Err(failed(failure)),
    }
    for _ in 0..2 {
        let CaseRun { made, log, .. } = call(plugin, case, limits);
        let made = comparable(made.map_err(|problem| with_end_of(&log, problem))?);
        if made != expected {
            return Err(format!("it should come to {} and came to {}", short(&expected), short(&made)));
        }
    }
    Ok(())
}

/// Where nothing reaches standard error, the log is where an author looks.
fn with_end_of(log: &[LogLine], problem: String) -> String {
    match log.last() {
        Some(line) => format!("{problem} Its log ends with: {}", line.text),
        None => problem,
    }
}

/// Has the plugin check the configuration, then calls it once.
pub(super) fn run(plugin: &Plugin, case: &Case, limits: &Limits) -> CaseRun {
    let checked = plugin.call_check(&case.config, guest(limits), limits);
    if matches!(checked.result, Ok(Ok(()))) {
        return call(plugin, case, limits);
    }
    let Called { result, log, fuel, duration_us, memory } = checked;
    let made = result.map_err(failed).map(|refused| {
        let issues = convert::issues(refused.err().unwrap_or_default()).into_iter();
        let issues = issues.map(|Issue { path, message }| json!({ "path": path, "message": message }));
        json!({ "issues": issues.collect::<Vec<_>>() })
    });
    CaseRun { made, log, fuel, duration_us, memory }
}

fn call(plugin: &Plugin, case: &Case, limits: &Limits) -> CaseRun {
    let (config, guest) = (case.config.as_str(), guest(limits));
    match case.job {
        Job::Mapper => on_input(case, |MapperInput { request }| {
            settle(plugin.call_map(&request.record(), config, guest, limits), |drafts| {
                let event_type: EventType = "example".parse().expect("it is an event type");
                convert::drafts(drafts.clone(), Some(&event_type), limits)?;
                Ok(Value::Array(drafts.into_iter().map(draft).collect()))
            })
        }),
        Job::Filter => on_input(case, |FilterInput { event }| {
            settle(plugin.call_keep(&event.record(), config, guest, limits), |verdict| match verdict {
                VerdictOut::Keep => Ok(json!("keep")),
                VerdictOut::Drop(reason) => Ok(json!({ "drop": reason })),
            })
        }),
        Job::Transformer => on_input(case, |TransformerInput { event, message: given }| {
            settle(plugin.call_transform(&event.record(), &given.record(), config, guest, limits), |made| {
                convert::message(made.clone())?;
                Ok(message(made))
            })
        }),
    }
}

fn guest(limits: &Limits) -> Guest {
    Guest::new(limits, "example", SOME_TIME.parse().unwrap_or(Timestamp::from_millis(0)))
}

/// An input that cannot be read costs nothing.
fn on_input<T: DeserializeOwned>(case: &Case, call: impl FnOnce(T) -> CaseRun) -> CaseRun {
    match serde_json::from_str(&case.input) {
        Ok(input) => call(input),
        Err(problem) => {
            CaseRun { made: Err(format!("its input: {problem}")), log: Vec::new(), fuel: 0, duration_us: 0, memory: 0 }
        }
    }
}

fn settle<R>(called: Called<Result<R, RefusalOut>>, show: impl FnOnce(R) -> Result<Value, Fault>) -> CaseRun {
    let Called { result, log, fuel, duration_us, memory } = called;
    let made = match result {
        Ok(Ok(made)) => show(made).map_err(|fault| fault.to_string()),
        Ok(Err(RefusalOut { code, message })) => Ok(json!({ "refusal": { "code": code, "message": message } })),
        Err(failure) => Err(failed(failure)),
    };
    CaseRun { made, log, fuel, duration_us, memory }
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
pub fn comparable(output: Value) -> Value {
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

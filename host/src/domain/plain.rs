//! Requests that no mapper looks at: what their bodies say of themselves.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::cloudevents::{self, Mode, essence};
use super::event::{Draft, EventType};
use super::header::Header;

/// The events in a request: CloudEvents, a form, or JSON whose `event` or `type`
/// is the event's type, unless the source has one, and all of which is its
/// data.
/// Headers say what the event is only where they are trusted.
pub fn drafts(
    headers: &[Header],
    body: &[u8],
    event_type: Option<&EventType>,
    trusts_headers: bool,
) -> Result<Vec<Draft>, String> {
    if let Some(mode) = Mode::of(headers).filter(|mode| trusts_headers || *mode != Mode::Binary) {
        return mode.read(headers, body);
    }
    let content_type = cloudevents::find(headers, "content-type").unwrap_or_default();
    if essence(content_type) == "application/x-www-form-urlencoded" && !looks_like_json(body) {
        return draft(form(body).to_string().as_bytes(), event_type).map(|draft| vec![draft]);
    }
    draft(body, event_type).map(|draft| vec![draft])
}

/// What `curl -d` sends says that it is a form.
fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}

/// A form as an object of texts; a name that comes again has a list.
fn form(body: &[u8]) -> Value {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        match fields.get_mut(&*name) {
            None => {
                fields.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    event: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<std::borrow::Cow<'a, str>>,
}

fn draft(body: &[u8], event_type: Option<&EventType>) -> Result<Draft, String> {
    let data: &RawValue = serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let event_type = match event_type {
        Some(event_type) => event_type.clone(),
        None => {
            let typed: Typed<'_> = serde_json::from_str(data.get()).map_err(|_| no_type())?;
            let text = typed.event.or(typed.event_type).ok_or_else(no_type)?;
            text.parse().map_err(|problem| format!("the body's type `{}`: {problem}", text.escape_debug()))?
        }
    };
    Ok(Draft {
        event_type,
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: Vec::new(),
        data: data.to_owned().into(),
    })
}

fn no_type() -> String {
    "the body names no event type: it has neither `event` nor `type` with a text; \
     give the source an `event_type` or a mapper"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_with(headers: &[(&str, &str)], body: &str, event_type: Option<&str>, expected: &str) {
        let event_type = event_type.map(|text| text.parse().unwrap());
        let header = |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).to_owned() };
        let headers: Vec<Header> = headers.iter().map(header).collect();
        let said = match drafts(&headers, body.as_bytes(), event_type.as_ref(), true) {
            Ok(drafts) => {
                let said = |draft: &Draft| format!("{} {}", draft.event_type, draft.data.get());
                drafts.iter().map(said).collect::<Vec<_>>().join("; ")
            }
            Err(reason) => reason,
        };
        assert!(said.starts_with(expected), "{body}: {said}");
    }

    #[track_caller]
    fn check(body: &str, event_type: Option<&str>, expected: &str) {
        check_with(&[], body, event_type, expected);
    }

    #[test]
    fn a_plain_body_names_its_own_type() {
        check(r#"{"event":"order.placed","a":1.0}"#, None, r#"order.placed {"event":"order.placed","a":1.0}"#);
        check(r#"{"type":"charge.succeeded"}"#, None, "charge.succeeded {");
        check(r#"{"event":"a","type":"b"}"#, None, "a {");
        check("[1, 2]", Some("list.sent"), "list.sent [1, 2]");
        check(r#"{"event":"b"}"#, Some("a"), "a {");
        check("[1]", None, "the body names no event type");
        check(r#"{"event":7}"#, None, "the body names no event type");
        check("{}", None, "the body names no event type");
        check(r#"{"event":"no spaces"}"#, None, "the body's type `no spaces`");
        check("a=b", None, "the body is not JSON");
        check("", None, "the body is not JSON");
    }

    #[test]
    fn a_form_is_an_object() {
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        check_with(&form, "From=%2B1+202&To=x&To=y", Some("sms.in"), r#"sms.in {"From":"+1 202","To":["x","y"]}"#);
        check_with(&form, r#"{"event":"a"}"#, None, r#"a {"event":"a"}"#);
        check_with(&form, "event=a", None, r#"a {"event":"a"}"#);
    }

    #[test]
    fn cloudevents_come_in_three_modes() {
        let structured = [("content-type", "application/cloudevents+json; charset=utf-8")];
        let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data":{"x":1.0}}"#;
        check_with(&structured, event, Some("ignored"), r#"a.b {"x":1.0}"#);
        check_with(&structured, r#"{"specversion":"1.0","id":"1","type":"a"}"#, None, "the CloudEvent has no `source`");
        check_with(&structured, &event.replace("1.0\",", "0.3\","), None, "the CloudEvent's specversion is `0.3`");
        check_with(
            &structured,
            &event.replace(r#""data":{"x":1.0}"#, r#""data_base64":"AA==""#),
            None,
            r#"a.b "AA==""#,
        );
        let batch = [("content-type", "application/cloudevents-batch+json")];
        check_with(&batch, &format!("[{event},{event}]"), None, r#"a.b {"x":1.0}; a.b {"x":1.0}"#);
        check_with(&batch, r#"[{"id":"1"}]"#, None, "event 0: the CloudEvent has no `source`");
        let binary = |content_type: &'static str| {
            [
                ("ce-specversion", "1.0"),
                ("ce-id", "1"),
                ("ce-source", "/s"),
                ("ce-type", "a"),
                ("content-type", content_type),
            ]
        };
        check_with(&binary("application/json"), "[1]", None, "a [1]");
        check_with(&binary("application/json"), "x", None, "the body is not JSON");
        check_with(&binary("text/plain"), "x\"", None, r#"a "x\"""#);
        check_with(&binary("text/plain"), "", None, "a null");
    }
}

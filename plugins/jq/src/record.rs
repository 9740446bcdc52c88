//! Requests, events and messages as jq sees them.

use hookyard_plugin::{Draft, Event, Field, Message, Refusal, Request};
use jaq_json::{Map, Rc, Val, read};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) fn request(request: &Request) -> Val {
    object([
        ("id", text(&request.id)),
        ("source", text(&request.source)),
        ("received_at", text(&request.received_at)),
        ("method", text(&request.method)),
        ("query", fields(&request.query)),
        ("headers", fields(&request.headers)),
        ("body", text(&String::from_utf8_lossy(&request.body))),
        ("json", document(&request.body).unwrap_or_default()),
    ])
}

pub(crate) fn event(event: &Event) -> Result<Val, Refusal> {
    let data = document(event.data.as_bytes()).ok_or_else(|| Refusal::bad_input("data: not JSON"))?;
    Ok(object([
        ("id", text(&event.id)),
        ("type", text(&event.type_)),
        ("occurred_at", text(&event.occurred_at)),
        ("subject", optional(event.subject.as_deref())),
        ("account", optional(event.account.as_deref())),
        ("tags", event.tags.iter().map(|tag| text(tag)).collect()),
        ("data", data),
    ]))
}

/// The body is a value where it is JSON, text otherwise.
pub(crate) fn message(message: &Message) -> Val {
    let body = document(&message.body).unwrap_or_else(|| text(&String::from_utf8_lossy(&message.body)));
    object([
        ("method", text(&message.method)),
        ("target", optional(message.target.as_deref())),
        ("headers", fields(&message.headers)),
        ("body", body),
    ])
}

/// As [`Draft`], with JSON's `null` where there is nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(rename = "type")]
    type_: Option<String>,
    occurred_at: Option<String>,
    subject: Option<String>,
    account: Option<String>,
    tags: Option<Vec<String>>,
    data: Option<Box<RawValue>>,
}

pub(crate) fn draft(output: &Val) -> Result<Draft, Refusal> {
    let form: Form = serde_json::from_str(&json(output)?)
        .map_err(|error| Refusal::new("bad-output", format!("program: an output is no event: {error}")))?;
    let Form { type_, occurred_at, subject, account, tags, data } = form;
    let data = data.map_or_else(|| "null".to_owned(), |data| data.get().to_owned());
    Ok(Draft { type_, occurred_at, subject, account, tags: tags.unwrap_or_default(), data })
}

/// jq has values that JSON has no word for: `nan`, and keys that are no text.
pub(crate) fn json(value: &Val) -> Result<String, Refusal> {
    let text = value.to_string();
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Refusal::new("bad-output", format!("program: an output is no JSON: {text}"))),
    }
}

fn document(bytes: &[u8]) -> Option<Val> {
    // jq's reader takes more than JSON.
    serde_json::from_slice::<&RawValue>(bytes).ok().and_then(|_| read::parse_single(bytes).ok())
}

fn object<const N: usize>(fields: [(&str, Val); N]) -> Val {
    let fields = fields.into_iter().map(|(name, value)| (text(name), value));
    Val::Obj(Rc::new(fields.collect::<Map>()))
}

fn text(text: &str) -> Val {
    Val::from(text.to_owned())
}

fn optional(given: Option<&str>) -> Val {
    given.map_or(Val::Null, text)
}

/// A name that occurs more than once has a list.
fn fields(fields: &[Field]) -> Val {
    let mut map = Map::default();
    for field in fields {
        let same = fields.iter().filter(|other| other.name == field.name).map(|field| text(&field.value));
        let mut values: Vec<Val> = same.collect();
        let value = if values.len() == 1 { values.remove(0) } else { values.into_iter().collect() };
        map.insert(text(&field.name), value);
    }
    Val::Obj(Rc::new(map))
}

//! What a script gives back, and what it means.

use crate::engine::Engine;
use crate::given;
use crate::trouble;
use boa_engine::object::JsObject;
use boa_engine::property::PropertyKey;
use boa_engine::{JsValue, js_string};
use hookyard_plugin::{Draft, Field, Message, Refusal, Verdict};
use serde::Deserialize;
use serde_json::value::RawValue;

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

impl From<Form> for Draft {
    fn from(form: Form) -> Self {
        let Form { type_, occurred_at, subject, account, tags, data } = form;
        let data = data.map_or_else(|| "null".to_owned(), |data| data.get().to_owned());
        Self { type_, occurred_at, subject, account, tags: tags.unwrap_or_default(), data }
    }
}

/// `map`: an event, a list of events, or nothing.
pub(crate) fn drafts(made: &JsValue, engine: &mut Engine) -> Result<Vec<Draft>, Refusal> {
    if made.is_null_or_undefined() {
        return Ok(Vec::new());
    }
    let Some(object) = made.as_object() else {
        return Err(wrong("map", "returned", made, "an event, a list of events, or null"));
    };
    let json = json(made, engine, "map")?;
    let bad = |error: serde_json::Error| Refusal::new("bad-output", format!("`map` returned no event: {error}"));
    match object.is_array() {
        true => serde_json::from_str(&json).map(|forms: Vec<Form>| forms.into_iter().map(Draft::from).collect()),
        false => serde_json::from_str(&json).map(|form: Form| vec![form.into()]),
    }
    .map_err(bad)
}

/// `keep`: true, false, or why not.
pub(crate) fn verdict(made: &JsValue, engine: &mut Engine) -> Result<Verdict, Refusal> {
    let because = |reason: &JsValue| reason.as_string().map(|reason| Verdict::Drop(reason.to_std_string_lossy()));
    let verdict = match made.as_boolean() {
        Some(true) => Some(Verdict::Keep),
        Some(false) => Some(Verdict::Drop("`keep` returned false".to_owned())),
        None => because(made).or_else(|| {
            let reason = made.as_object()?.get(js_string!("drop"), &mut engine.context).ok()?;
            because(&reason)
        }),
    };
    verdict.ok_or_else(|| wrong("keep", "returned", made, "true, false, or the reason for dropping as text"))
}

/// `transform`: a message, whose missing fields are those of `given`, or nothing
/// for `given` as it is now.
pub(crate) fn message(
    made: &JsValue,
    given: &JsObject,
    given_body: &JsValue,
    original: Message,
    engine: &mut Engine,
) -> Result<Message, Refusal> {
    let made = match made.as_object() {
        Some(object) => object,
        None if made.is_null_or_undefined() => given.clone(),
        None => return Err(wrong("transform", "returned", made, "a message, or null to leave it as it is")),
    };
    check_names(&made, engine)?;
    let mut field = |name: &str| {
        let own = read(&made, name, engine)?;
        if own.is_undefined() { read(given, name, engine) } else { Ok(own) }
    };
    let (method, target, headers, body) = (field("method")?, field("target")?, field("headers")?, field("body")?);
    let method = match method.as_string() {
        Some(method) => method.to_std_string_lossy(),
        None => return Err(wrong("transform", "made the method", &method, "text such as POST")),
    };
    let target = match target.as_string() {
        Some(target) => Some(target.to_std_string_lossy()),
        None if target.is_null_or_undefined() => None,
        None => return Err(wrong("transform", "made the target", &target, "text or null")),
    };
    let headers = fields(&headers, engine)?;
    let body = match JsValue::strict_equals(&body, given_body) {
        true => untouched(&body, original.body, engine)?,
        false => bytes(&body, engine)?,
    };
    Ok(Message { method, target, headers, body })
}

/// Whoever returns the body itself is told so.
fn check_names(made: &JsObject, engine: &mut Engine) -> Result<(), Refusal> {
    let names = made.own_property_keys(&mut engine.context).unwrap_or_default();
    let unknown = names.iter().find_map(|name| match name {
        PropertyKey::String(name) => {
            let name = name.to_std_string_lossy();
            (!["method", "target", "headers", "body"].contains(&name.as_str())).then_some(name)
        }
        other => Some(other.to_string()),
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(Refusal::new(
            "bad-output",
            format!(
                "`transform` returned an object with `{name}`; a message has method, target, headers and body, \
                 so return {{ body: ... }}"
            ),
        )),
    }
}

fn read(object: &JsObject, name: &str, engine: &mut Engine) -> Result<JsValue, Refusal> {
    let key = PropertyKey::from(boa_engine::JsString::from(name));
    object.get(key, &mut engine.context).map_err(|error| threw(&error, engine))
}

/// A value for each name, or a list of them; null takes a header away.
fn fields(headers: &JsValue, engine: &mut Engine) -> Result<Vec<Field>, Refusal> {
    let json = json(headers, engine, "transform")?;
    let bad = |problem: &str| Refusal::new("bad-output", format!("`transform`: headers: {problem}"));
    let headers: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&json).map_err(|_| bad("an object of names and values is expected"))?;
    let mut fields = Vec::new();
    for (name, value) in headers {
        let values = match value {
            serde_json::Value::Array(values) => values,
            serde_json::Value::Null => Vec::new(),
            one => vec![one],
        };
        for value in values {
            let value = match value {
                serde_json::Value::String(text) => text,
                number @ serde_json::Value::Number(_) => number.to_string(),
                _ => return Err(bad(&format!("`{name}` is neither text nor a list of texts"))),
            };
            fields.push(Field::new(name.to_lowercase(), value));
        }
    }
    Ok(fields)
}

/// Text is sent as it is, anything else as JSON.
fn bytes(body: &JsValue, engine: &mut Engine) -> Result<Vec<u8>, Refusal> {
    match body.as_string() {
        Some(text) => Ok(text.to_std_string_lossy().into_bytes()),
        None => json(body, engine, "transform").map(String::into_bytes),
    }
}

/// The body that was given stays byte for byte, with its large numbers and its
/// white space, unless something within it was changed.
fn untouched(body: &JsValue, original: Vec<u8>, engine: &mut Engine) -> Result<Vec<u8>, Refusal> {
    if !body.is_object() {
        return Ok(original);
    }
    let before = given::body(&original, &mut engine.context);
    let (now, before) = (json(body, engine, "transform")?, json(&before, engine, "transform")?);
    Ok(if now == before { original } else { now.into_bytes() })
}

fn json(value: &JsValue, engine: &mut Engine, function: &str) -> Result<String, Refusal> {
    match engine.stringify(value) {
        Ok(Some(json)) => Ok(json),
        Ok(None) => Err(wrong(function, "made", value, "something that JSON has a word for")),
        Err(error) => Err(threw(&error, engine)),
    }
}

fn threw(error: &boa_engine::JsError, engine: &mut Engine) -> Refusal {
    Refusal::new("script", trouble::told(error, &mut engine.context))
}

fn wrong(function: &str, did: &str, made: &JsValue, expected: &str) -> Refusal {
    let kind = match made.is_null() {
        true => "null",
        false => made.type_of(),
    };
    Refusal::new("bad-output", format!("`{function}` {did} {kind}; {expected} is expected"))
}

//! What a script gives back, and what it means.

use crate::engine::Engine;
use crate::given;
use crate::trouble;
use boa_engine::object::JsObject;
use boa_engine::object::builtins::JsArray;
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
    original: Message,
    engine: &mut Engine,
) -> Result<Message, Refusal> {
    let made = match made.as_object() {
        Some(object) => object,
        None if made.is_null_or_undefined() => given.clone(),
        None => return Err(wrong("transform", "returned", made, "a message, or null to leave it as it is")),
    };
    check_names(&made, engine)?;
    let is_given = JsObject::equals(&made, given);
    let mut field = |name: &str| {
        let own = read(&made, name, engine)?;
        if own.is_undefined() { read(given, name, engine) } else { Ok(own) }
    };
    let (method, target, headers) = (field("method")?, field("target")?, field("headers")?);
    let Some(method) = method.as_string() else {
        return Err(wrong("transform", "made the method", &method, "text such as POST"));
    };
    let target = match target.as_string() {
        Some(target) => Some(target.to_std_string_lossy()),
        None if target.is_null_or_undefined() => None,
        None => return Err(wrong("transform", "made the target", &target, "text or null")),
    };
    let own_body = if is_given { JsValue::undefined() } else { read(&made, "body", engine)? };
    let given_body = if given::is_untouched(given) { None } else { Some(read(given, "body", engine)?) };
    let body = match given_body {
        None if own_body.is_undefined() => original.body,
        Some(body) if own_body.is_undefined() || JsValue::strict_equals(&own_body, &body) => {
            changed(&body, original.body, engine)?
        }
        _ => bytes(&own_body, engine)?,
    };
    Ok(Message { method: method.to_std_string_lossy(), target, headers: fields(&headers, engine)?, body })
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
    let Some(object) = headers.as_object() else {
        return Err(wrong("transform", "made the headers", headers, "an object of names and values"));
    };
    let names = object.own_property_keys(&mut engine.context).map_err(|error| threw(&error, engine))?;
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let value = object.get(name.clone(), &mut engine.context).map_err(|error| threw(&error, engine))?;
        let name = name.to_string().to_lowercase();
        match value.as_object().map(JsArray::from_object) {
            Some(Ok(list)) => {
                let length = list.length(&mut engine.context).map_err(|error| threw(&error, engine))?;
                for at in 0..length {
                    let value = list.get(at, &mut engine.context).map_err(|error| threw(&error, engine))?;
                    fields.extend(header(&name, &value)?);
                }
            }
            _ => fields.extend(header(&name, &value)?),
        }
    }
    Ok(fields)
}

fn header(name: &str, value: &JsValue) -> Result<Option<Field>, Refusal> {
    if value.is_null_or_undefined() {
        return Ok(None);
    }
    let text = match (value.as_string(), value.as_number()) {
        (Some(text), _) => text.to_std_string_lossy(),
        (None, Some(number)) => number.to_string(),
        (None, None) => {
            return Err(wrong("transform", &format!("made the header `{name}`"), value, "text or a list of texts"));
        }
    };
    Ok(Some(Field::new(name, text)))
}

/// Text is sent as it is, anything else as JSON.
fn bytes(body: &JsValue, engine: &mut Engine) -> Result<Vec<u8>, Refusal> {
    match body.as_string() {
        Some(text) => Ok(text.to_std_string_lossy().into_bytes()),
        None => json(body, engine, "transform").map(String::into_bytes),
    }
}

/// A body that was read stays byte for byte, with its large numbers and its white
/// space, unless something within it was changed.
fn changed(body: &JsValue, original: Vec<u8>, engine: &mut Engine) -> Result<Vec<u8>, Refusal> {
    let before = given::body(&original, &mut engine.context);
    let (now, before) = (bytes(body, engine)?, bytes(&before, engine)?);
    Ok(if now == before { original } else { now })
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

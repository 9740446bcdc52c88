//! What a script is given: plain objects, in which JSON is parsed already.

use crate::value::{object, parse, put, text};
use boa_engine::object::JsObject;
use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsValue};
use hookyard_plugin::{Event, Field, Message, Refusal, Request};

pub(crate) fn request(request: &Request, context: &mut Context) -> JsValue {
    let query = fields(&request.query, context);
    let headers = fields(&request.headers, context);
    let body = String::from_utf8_lossy(&request.body);
    let json = parse(&body, context).unwrap_or_default();
    let given = [
        ("id", text(&request.id)),
        ("source", text(&request.source)),
        ("received_at", text(&request.received_at)),
        ("method", text(&request.method)),
        ("query", query.into()),
        ("headers", headers.into()),
        ("body", text(&body)),
        ("json", json),
    ];
    object(given, context).into()
}

pub(crate) fn event(event: &Event, context: &mut Context) -> Result<JsValue, Refusal> {
    let data = parse(&event.data, context).map_err(|error| Refusal::bad_input(format!("data: {error}")))?;
    let tags: Vec<JsValue> = event.tags.iter().map(|tag| text(tag)).collect();
    let tags = JsArray::from_iter(tags, context);
    let given = [
        ("id", text(&event.id)),
        ("type", text(&event.type_)),
        ("occurred_at", text(&event.occurred_at)),
        ("subject", optional(event.subject.as_deref())),
        ("account", optional(event.account.as_deref())),
        ("tags", tags.into()),
        ("data", data),
    ];
    Ok(object(given, context).into())
}

/// The message and its body, which is a value where it is JSON and text otherwise.
pub(crate) fn message(message: &Message, context: &mut Context) -> (JsObject, JsValue) {
    let headers = fields(&message.headers, context);
    let body = body(&message.body, context);
    let given = [
        ("method", text(&message.method)),
        ("target", optional(message.target.as_deref())),
        ("headers", headers.into()),
        ("body", body.clone()),
    ];
    (object(given, context), body)
}

pub(crate) fn body(bytes: &[u8], context: &mut Context) -> JsValue {
    let body = String::from_utf8_lossy(bytes);
    parse(&body, context).unwrap_or_else(|_| text(&body))
}

fn optional(given: Option<&str>) -> JsValue {
    given.map_or_else(JsValue::null, text)
}

/// A name that occurs more than once has a list.
fn fields(fields: &[Field], context: &mut Context) -> JsObject {
    let object = JsObject::with_object_proto(context.intrinsics());
    for (at, field) in fields.iter().enumerate() {
        let same = |other: &&Field| other.name == field.name;
        if fields[..at].iter().any(|earlier| same(&earlier)) {
            continue;
        }
        let values: Vec<JsValue> = fields[at..].iter().filter(same).map(|field| text(&field.value)).collect();
        let value = match <[JsValue; 1]>::try_from(values) {
            Ok([only]) => only,
            Err(several) => JsArray::from_iter(several, context).into(),
        };
        put(&object, &field.name, value, context);
    }
    object
}

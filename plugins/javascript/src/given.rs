//! What a script is given: plain objects, in which JSON is parsed already.

use crate::value::{object, parse, put, text};
use boa_engine::object::JsObject;
use boa_engine::object::builtins::JsArray;
use boa_engine::property::PropertyDescriptor;
use boa_engine::{Context, JsArgs, JsResult, JsString, JsValue, NativeFunction, js_string};
use hookyard_plugin::{Event, Field, Message, Refusal, Request};
use std::borrow::Cow;

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

/// The body is a value where it is JSON, text otherwise. It is read when the
/// script asks for it: most write a new one, and to read the old takes as long as
/// to read the event.
pub(crate) fn message(message: &Message, context: &mut Context) -> JsObject {
    let headers = fields(&message.headers, context);
    let given = [
        ("method", text(&message.method)),
        ("target", optional(message.target.as_deref())),
        ("headers", headers.into()),
    ];
    let object = object(given, context);
    let read = NativeFunction::from_copy_closure_with_captures(read_body, JsString::from(&*lossy(&message.body)));
    let realm = context.realm().clone();
    let body = PropertyDescriptor::builder()
        .get(read.to_js_function(&realm))
        .set(NativeFunction::from_fn_ptr(replace_body).to_js_function(&realm))
        .enumerable(true)
        .configurable(true);
    object.define_property_or_throw(js_string!("body"), body, context).expect("a plain object takes any field");
    object
}

/// Whether the script has neither read nor replaced the body.
pub(crate) fn is_untouched(message: &JsObject) -> bool {
    let body = message.borrow().properties().get(&js_string!("body").into());
    body.is_some_and(|body| body.is_accessor_descriptor())
}

fn read_body(this: &JsValue, _: &[JsValue], unread: &JsString, context: &mut Context) -> JsResult<JsValue> {
    let body = body(unread.to_std_string_lossy().as_bytes(), context);
    replace_body(this, std::slice::from_ref(&body), context)?;
    Ok(body)
}

fn replace_body(this: &JsValue, arguments: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    if let Some(message) = this.as_object() {
        message.create_data_property_or_throw(js_string!("body"), arguments.get_or_undefined(0).clone(), context)?;
    }
    Ok(JsValue::undefined())
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

pub(crate) fn body(bytes: &[u8], context: &mut Context) -> JsValue {
    let body = lossy(bytes);
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

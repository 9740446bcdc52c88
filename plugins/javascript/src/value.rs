//! JSON text to JavaScript values. `JSON.parse` of the engine takes its way
//! through the parser of JavaScript: ten times the instructions for 500 bytes.

use boa_engine::object::JsObject;
use boa_engine::object::builtins::JsArray;
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsString, JsValue};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The document as a value, or why it is none.
pub(crate) fn parse(json: &str, context: &mut Context) -> serde_json::Result<JsValue> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = Seed(context).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// An object with the fields that have a value.
pub(crate) fn object<const N: usize>(fields: [(&str, JsValue); N], context: &mut Context) -> JsObject {
    let object = JsObject::with_object_proto(context.intrinsics());
    for (name, value) in fields {
        put(&object, name, value, context);
    }
    object
}

/// Sets a field of an object that nobody else has seen.
pub(crate) fn put(object: &JsObject, name: &str, value: JsValue, context: &mut Context) {
    let key = PropertyKey::from(JsString::from(name));
    object.create_data_property_or_throw(key, value, context).expect("a plain object takes any field");
}

pub(crate) fn text(text: &str) -> JsValue {
    JsString::from(text).into()
}

struct Seed<'a>(&'a mut Context);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = JsValue;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<JsValue, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = JsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<JsValue, E> {
        Ok(JsValue::null())
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<JsValue, E> {
        Ok(JsValue::new(is))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<JsValue, E> {
        Ok(i32::try_from(number).map_or_else(|_| JsValue::new(number as f64), JsValue::new))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<JsValue, E> {
        Ok(i32::try_from(number).map_or_else(|_| JsValue::new(number as f64), JsValue::new))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<JsValue, E> {
        Ok(JsValue::new(number))
    }

    fn visit_str<E: Error>(self, given: &str) -> Result<JsValue, E> {
        Ok(text(given))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<JsValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Seed(&mut *self.0))? {
            items.push(item);
        }
        Ok(JsArray::from_iter(items, self.0).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<JsValue, A::Error> {
        let object = JsObject::with_object_proto(self.0.intrinsics());
        while let Some(name) = from.next_key::<Cow<'de, str>>()? {
            let value = from.next_value_seed(Seed(&mut *self.0))?;
            put(&object, &name, value, self.0);
        }
        Ok(object.into())
    }
}

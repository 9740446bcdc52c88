//! How conversions are written: a name, an object of one member, or a list of
//! either. By hand, because `phone` is both a name and an object, which none
//! of serde's representations of an enum has.

use super::{Conversion, Conversions, Phone};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

impl<'de> Deserialize<'de> for Conversions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Conversions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a conversion or a list of them")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Conversions, E> {
                let one = Conversion::deserialize(StrDeserializer::new(name))?;
                Ok(Conversions(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Conversions, A::Error> {
                let one = Conversion::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Conversions(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Conversions, A::Error> {
                let mut conversions = Vec::new();
                while let Some(conversion) = list.next_element()? {
                    conversions.push(conversion);
                }
                Ok(Conversions(conversions))
            }
        }
        from.deserialize_any(OneOrMore)
    }
}

const WITHOUT_SETTINGS: &[&str] = &["string", "number", "boolean", "lowercase", "uppercase", "trim", "phone", "date"];
const WITH_SETTINGS: &[&str] = &["phone", "split", "join", "lookup"];

impl<'de> Deserialize<'de> for Conversion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameOrObject;
        impl<'de> Visitor<'de> for NameOrObject {
            type Value = Conversion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a conversion: a name such as \"trim\" or an object such as {\"split\": \",\"}")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Conversion, E> {
                Ok(match name {
                    "string" => Conversion::String,
                    "number" => Conversion::Number,
                    "boolean" => Conversion::Boolean,
                    "lowercase" => Conversion::Lowercase,
                    "uppercase" => Conversion::Uppercase,
                    "trim" => Conversion::Trim,
                    "date" => Conversion::Date,
                    "phone" => Conversion::Phone(Phone::default()),
                    "split" | "join" | "lookup" => {
                        return Err(E::custom(format!("conversion `{name}` needs settings: {{\"{name}\": ...}}")));
                    }
                    _ => return Err(E::unknown_variant(name, WITHOUT_SETTINGS)),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Conversion, A::Error> {
                let Some(name) = map.next_key::<Cow<'de, str>>()? else {
                    return Err(A::Error::custom("an object without a conversion's name"));
                };
                let conversion = match &*name {
                    "phone" => Conversion::Phone(map.next_value()?),
                    "split" => Conversion::Split(map.next_value()?),
                    "join" => Conversion::Join(map.next_value()?),
                    "lookup" => Conversion::Lookup(map.next_value()?),
                    _ => return Err(A::Error::unknown_variant(&name, WITH_SETTINGS)),
                };
                match (&conversion, map.next_key::<Cow<'de, str>>()?) {
                    (Conversion::Split(between), _) if between.is_empty() => {
                        Err(A::Error::custom("`split` needs something to split at"))
                    }
                    (_, None) => Ok(conversion),
                    (_, Some(second)) => Err(A::Error::custom(format!(
                        "`{name}` and `{second}` in one object: several conversions are a list"
                    ))),
                }
            }
        }
        from.deserialize_any(NameOrObject)
    }
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::native;

    #[track_caller]
    fn check(conversion: &str, expected: &str) {
        let config = format!(r#"{{"rules": [{{"to": "t", "from": "v", "convert": {conversion}}}]}}"#);
        let issues = native::check::<FieldMapper>(&config).unwrap_err();
        let got = issues[0].to_string();
        assert_eq!(got.split(" at line ").next(), Some(expected), "{conversion}");
    }

    #[test]
    fn a_conversion_that_is_none_is_named() {
        let one_of = "expected one of `string`, `number`, `boolean`, `lowercase`, `uppercase`, `trim`, `phone`, `date`";
        check(r#""upcase""#, &format!("rules[0].convert: unknown variant `upcase`, {one_of}"));
        check(r#""split""#, r#"rules[0].convert: conversion `split` needs settings: {"split": ...}"#);
        check(r#"["trim", {"split": ""}]"#, "rules[0].convert[1]: `split` needs something to split at");
        check(
            r#"{"split": ",", "join": ";"}"#,
            "rules[0].convert: `split` and `join` in one object: several conversions are a list",
        );
        check(
            r#"{"phone": {"country": "001"}}"#,
            r#"rules[0].convert.phone.country: `001` is no calling code: one to three digits, such as "1" or "44""#,
        );
        check(
            r#"{"lookup": {"tabel": {}}}"#,
            "rules[0].convert.lookup.tabel: unknown field `tabel`, expected `table` or `default`",
        );
        check("7", "rules[0].convert: invalid type: integer `7`, expected a conversion or a list of them");
    }
}

//! A JSON value whose members stay in the order in which they were written,
//! which serde_json's own keeps only at the price of a seeded hash map.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;
use std::fmt;

/// A JSON value; `T` is what stands for its strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<T = String> {
    Null,
    Bool(bool),
    Number(Number),
    Text(T),
    List(Vec<Json<T>>),
    Object(Vec<(String, Json<T>)>),
}

impl<T> Json<T> {
    /// The same with each string replaced. `path` is where it stands: `.a[0]`.
    pub(crate) fn try_map<U, E>(&self, path: &str, f: &mut impl FnMut(&str, &T) -> Result<U, E>) -> Result<Json<U>, E> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Number(number) => Json::Number(number.clone()),
            Self::Text(text) => Json::Text(f(path, text)?),
            Self::List(items) => {
                let items = items.iter().enumerate();
                let mapped = items.map(|(index, item)| item.try_map(&format!("{path}[{index}]"), f));
                Json::List(mapped.collect::<Result<_, E>>()?)
            }
            Self::Object(members) => {
                let mapped = members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), member.try_map(&format!("{path}.{name}"), f)?)));
                Json::Object(mapped.collect::<Result<_, E>>()?)
            }
        })
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(bool) => to.serialize_bool(*bool),
            Self::Number(number) => number.serialize(to),
            Self::Text(text) => text.serialize(to),
            Self::List(items) => to.collect_seq(items),
            Self::Object(members) => to.collect_map(members.iter().map(|(name, member)| (name, member))),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E: Error>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E: Error>(self, bool: bool) -> Result<Json, E> {
                Ok(Json::Bool(bool))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
                Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("not a finite number"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Json::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        from.deserialize_any(Any)
    }
}

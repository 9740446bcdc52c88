//! JSON as the text that it is: a value is found by its path, or put at one,
//! and every other byte stays what it was. Numbers keep their digits, members
//! their order.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

/// A way through objects: names with dots between them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    parents: Vec<String>,
    last: String,
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (parents, last) = text.rsplit_once('.').map_or((None, text), |(parents, last)| (Some(parents), last));
        let parents: Vec<String> = parents.into_iter().flat_map(|names| names.split('.')).map(str::to_owned).collect();
        match last.is_empty() || parents.iter().any(String::is_empty) {
            true => Err(format!("path `{text}`: a name is missing beside a dot")),
            false => Ok(Self { parents, last: last.to_owned() }),
        }
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// An object's members as they were written.
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// None for what is no object.
    pub(crate) fn read(object: &'a str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    /// The JSON at a path.
    pub(crate) fn find(&self, path: &Path) -> Option<&'a str> {
        let mut names = path.parents.iter().chain([&path.last]);
        let first = self.member(names.next()?)?;
        names.try_fold(first, |object, name| Members::read(object)?.member(name))
    }

    /// Of two with the same name the last counts, as it does for nearly every
    /// reader.
    fn member(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rfind(|(other, _)| other == name)?;
        Some(value.get())
    }
}

/// `document` with `value`, which is JSON, at `path`. Objects on the way are
/// made where there is nothing or null. The error is what stands in the way.
pub(crate) fn put(document: &str, path: &Path, value: &str) -> Result<String, String> {
    let mut object = document;
    for (at, name) in path.parents.iter().enumerate() {
        let members = Members::read(object).ok_or_else(|| in_the_way(&path.parents[..at]))?;
        match members.member(name) {
            Some(inner) if inner != "null" => object = inner,
            _ => {
                let missing = path.parents[at + 1..].iter().chain([&path.last]);
                let made = missing.rfold(value.to_owned(), |inner, name| format!("{{{}:{inner}}}", quoted(name)));
                return Ok(set(document, object, &members, name, &made));
            }
        }
    }
    let members = Members::read(object).ok_or_else(|| in_the_way(&path.parents))?;
    Ok(set(document, object, &members, &path.last, value))
}

fn in_the_way(names: &[String]) -> String {
    match names {
        [] => "no JSON object".to_owned(),
        names => format!("`{}` is no object", names.join(".")),
    }
}

/// `document` with a member of `object`, a piece of it, replaced or added.
fn set(document: &str, object: &str, members: &Members<'_>, name: &str, value: &str) -> String {
    let (place, text) = match (members.member(name), members.0.last()) {
        (Some(old), _) => (range(document, old), value.to_owned()),
        (None, Some((_, last))) => {
            let end = range(document, last.get()).end;
            (end..end, format!(",{}:{value}", quoted(name)))
        }
        (None, None) => {
            let inside = range(document, object).start + object.find('{').map_or(0, |brace| brace + 1);
            (inside..inside, format!("{}:{value}", quoted(name)))
        }
    };
    [&document[..place.start], &text, &document[place.end..]].concat()
}

/// Where `part`, a piece of `document`, is in it.
fn range(document: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - document.as_ptr().addr();
    start..start + part.len()
}

/// A JSON string, with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is always a JSON string")
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_find(document: &str, path: &str, expected: Option<&str>) {
        let members = Members::read(document).unwrap();
        assert_eq!(members.find(&Path::parse(path).unwrap()), expected, "{document} {path}");
    }

    #[track_caller]
    fn check_put(document: &str, path: &str, expected: Result<&str, &str>) {
        let got = put(document, &Path::parse(path).unwrap(), "7");
        assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{document} {path}");
    }

    #[test]
    fn values_are_found_as_they_were_written() {
        let document = r#" {"a": 1.50, "b": {"c": "x\u00e9", "d": null}, "a": 2.0e1, "\u0065": []} "#;
        check_find(document, "a", Some("2.0e1"));
        check_find(document, "b.c", Some(r#""x\u00e9""#));
        check_find(document, "b.d", Some("null"));
        check_find(document, "e", Some("[]"));
        check_find(document, "b.c.x", None);
        check_find(document, "b.x", None);
        check_find(document, "x", None);
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for document in ["[1]", "\"a\"", "{", "{} 1", "", "null"] {
            assert!(Members::read(document).is_none(), "{document}");
        }
    }

    #[test]
    fn a_value_is_put_and_all_else_stays() {
        check_put("{}", "a", Ok(r#"{"a":7}"#));
        check_put(" { } ", "a", Ok(r#" {"a":7 } "#));
        check_put(r#"{"x": 1.50 , "y":1e2}"#, "a", Ok(r#"{"x": 1.50 , "y":1e2,"a":7}"#));
        check_put("{\n  \"x\": 1\n}\n", "a.b.c", Ok("{\n  \"x\": 1,\"a\":{\"b\":{\"c\":7}}\n}\n"));
        check_put(r#"{"a": "old", "z": 1}"#, "a", Ok(r#"{"a": 7, "z": 1}"#));
        check_put(r#"{"a": null}"#, "a.b", Ok(r#"{"a": {"b":7}}"#));
        check_put(r#"{"a": null}"#, "a", Ok(r#"{"a": 7}"#));
        check_put(
            r#"{"d": {"n": 12345678901234567890.0}, "z": "}"}"#,
            "d.s",
            Ok(r#"{"d": {"n": 12345678901234567890.0,"s":7}, "z": "}"}"#),
        );
        check_put(r#"{"d": {}, "d": {"x": {}}}"#, "d.x.y", Ok(r#"{"d": {}, "d": {"x": {"y":7}}}"#));
        check_put(r#"{"ä": {"b": 1}}"#, "ä.\"", Ok(r#"{"ä": {"b": 1,"\"":7}}"#));
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        check_put("[]", "a", Err("no JSON object"));
        check_put("text", "a", Err("no JSON object"));
        check_put(r#"{"a": []}"#, "a.b", Err("`a` is no object"));
        check_put(r#"{"a": {"b": "x"}}"#, "a.b.c.d", Err("`a.b` is no object"));
    }
}

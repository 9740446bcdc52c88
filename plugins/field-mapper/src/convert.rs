//! Conversions, and what they do to a value.

mod written;

use crate::json;
use crate::value::Value;
use crate::{date, phone};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Conversions in the order in which they are done: written as one or as a
/// list.
#[derive(Debug, Default)]
pub(crate) struct Conversions(pub(crate) Vec<Conversion>);

#[derive(Debug)]
pub(crate) enum Conversion {
    String,
    Number,
    Boolean,
    Lowercase,
    Uppercase,
    Trim,
    Date,
    Phone(Phone),
    Split(Box<str>),
    Join(Box<str>),
    Lookup(Lookup),
}

/// To E.164.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phone {
    /// The calling code of numbers that have none.
    #[serde(default)]
    pub(crate) country: Option<phone::Country>,
}

/// What stands for what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    table: BTreeMap<String, Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    default: Option<Box<RawValue>>,
}

/// A field that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// Why a value did not convert: the value, as it was, and the reason.
#[derive(Debug)]
pub(crate) struct Unconverted {
    pub(crate) value: String,
    pub(crate) conversion: &'static str,
    pub(crate) reason: String,
}

impl Conversion {
    fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
            Self::Trim => "trim",
            Self::Date => "date",
            Self::Phone(_) => "phone",
            Self::Split(_) => "split",
            Self::Join(_) => "join",
            Self::Lookup(_) => "lookup",
        }
    }

    /// Converts a value, or each element of a list. What is absent or null
    /// stays so: there is nothing to convert.
    pub(crate) fn apply<'a>(&'a self, value: Value<'a>) -> Result<Value<'a>, Unconverted> {
        match (self, value.opened()) {
            (_, Value::Absent) => Ok(Value::Absent),
            (Self::Join(between), Value::List(values)) => self.join(between, Value::List(values)),
            (_, Value::List(values)) => {
                let converted = values.into_iter().map(|value| self.apply(value));
                converted.collect::<Result<_, _>>().map(Value::List)
            }
            (_, Value::Json(text)) if text == "null" => Ok(Value::Json(text)),
            (_, Value::Json(text)) => self.scalar(&text).map_err(|reason| self.unconverted(&text, reason)),
            (_, Value::Object(_)) => Err(self.unconverted("{...}", "an object".to_owned())),
        }
    }

    /// `raw` is JSON and not null.
    fn scalar<'a>(&'a self, raw: &str) -> Result<Value<'a>, String> {
        let text = match raw.as_bytes().first() {
            Some(b'"') => json::unquote(raw).ok_or("half a surrogate pair is no text")?,
            Some(b'{') => return Err("an object".to_owned()),
            Some(b'[') => return Err("a list".to_owned()),
            _ => Cow::Borrowed(raw),
        };
        let is_string = raw.starts_with('"');
        match self {
            Self::String => Ok(Value::text(&text)),
            Self::Number => number(&text),
            Self::Boolean => boolean(&text),
            Self::Lowercase | Self::Uppercase | Self::Trim | Self::Split(_) if !is_string => {
                Err("not a string".to_owned())
            }
            Self::Lowercase => Ok(Value::text(&text.to_lowercase())),
            Self::Uppercase => Ok(Value::text(&text.to_uppercase())),
            Self::Trim => Ok(Value::text(text.trim())),
            Self::Date => date::to_rfc3339(&text).map(|date| Value::text(&date)),
            Self::Phone(Phone { country }) => {
                phone::to_e164(&text, country.as_ref()).map(|number| Value::text(&number)).map_err(str::to_owned)
            }
            Self::Split(_) if text.is_empty() => Ok(Value::List(Vec::new())),
            Self::Split(between) => Ok(Value::List(text.split(&**between).map(Value::text).collect())),
            Self::Join(_) => Err("not a list".to_owned()),
            Self::Lookup(lookup) => match lookup.table.get(&*text).or(lookup.default.as_ref()) {
                Some(found) => Ok(Value::raw(found.get())),
                None => Err("not in the table".to_owned()),
            },
        }
    }

    fn join<'a>(&self, between: &str, list: Value<'a>) -> Result<Value<'a>, Unconverted> {
        let Value::List(values) = list.flattened() else {
            return Ok(Value::Absent);
        };
        let mut joined = String::new();
        let mut first = true;
        for value in values {
            let text = match &value {
                Value::Json(text) if text == "null" => continue,
                Value::Json(text) if !text.starts_with(['{', '[']) => text,
                _ => return Err(self.unconverted("[...]", "an element is no text".to_owned())),
            };
            if !first {
                joined.push_str(between);
            }
            first = false;
            joined.push_str(&json::unquote(text).unwrap_or(Cow::Borrowed(text)));
        }
        Ok(Value::text(&joined))
    }

    fn unconverted(&self, value: &str, reason: String) -> Unconverted {
        Unconverted { value: value.to_owned(), conversion: self.name(), reason }
    }
}

/// Keeps the digits as they are: `49.90` is `49.90`, however many there are.
fn number<'a>(text: &str) -> Result<Value<'a>, String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    // JSON has no leading zeros; people's postal codes and amounts do.
    let significant = digits.trim_start_matches('0');
    let zero = match significant.starts_with(|first: char| first.is_ascii_digit()) {
        true => "",
        false if significant.len() < digits.len() => "0",
        false => "",
    };
    let number = format!("{sign}{zero}{significant}");
    match json::is_number(&number) {
        true => Ok(Value::Json(Cow::Owned(number))),
        false => Err("not a number".to_owned()),
    }
}

fn boolean<'a>(text: &str) -> Result<Value<'a>, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" | "1" => Ok(Value::raw("true")),
        "false" | "no" | "n" | "off" | "0" => Ok(Value::raw("false")),
        _ => Err("neither yes nor no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::{Event, Message, native};

    /// What a value becomes, both as JSON.
    #[track_caller]
    fn check(conversion: &str, value: &str, expected: &str) {
        let config = format!(r#"{{"rules": [{{"to": "t", "from": "v", "convert": {conversion}}}]}}"#);
        let event = Event::of("x").with(format!(r#"{{"v": {value}}}"#));
        let got = match native::transform::<FieldMapper>(&event, Message::default(), &config) {
            Ok(message) => message.text().unwrap().to_owned(),
            Err(refusal) => refusal.message,
        };
        let got = got.strip_prefix(r#"{"t":"#).and_then(|rest| rest.strip_suffix('}')).unwrap_or(&got);
        assert_eq!(got.split(" at line ").next().unwrap(), expected, "{conversion} of {value}");
    }

    #[test]
    fn conversions() {
        check(r#""string""#, "12.50", r#""12.50""#);
        check(r#""string""#, "true", r#""true""#);
        check(r#""string""#, r#""\u00e9""#, r#""é""#);
        check(r#""number""#, r#"" 0012.50""#, "12.50");
        check(r#""number""#, r#""-007""#, "-7");
        check(r#""number""#, r#""+0""#, "0");
        check(r#""number""#, r#""0.5""#, "0.5");
        check(r#""number""#, r#""1e3""#, "1e3");
        check(r#""number""#, r#""123456789012345678901234567890""#, "123456789012345678901234567890");
        check(r#""boolean""#, r#""Yes""#, "true");
        check(r#""boolean""#, "0", "false");
        check(r#""uppercase""#, r#""straße""#, r#""STRASSE""#);
        check(r#""lowercase""#, r#""ÀB""#, r#""àb""#);
        check(r#""trim""#, r#""\t a b ""#, r#""a b""#);
        check(r#""phone""#, r#""0044 20 7946 0018""#, r#""+442079460018""#);
        check(r#"{"phone": {"country": "+1"}}"#, "2025551234", r#""+12025551234""#);
        check(r#""date""#, "1795249800", r#""2026-11-21T08:30:00Z""#);
        check(r#"{"split": ","}"#, r#""a,b,""#, r#"["a","b",""]"#);
        check(r#"{"split": ","}"#, r#""""#, "[]");
        check(r#"[{"split": ";"}, "trim", "number"]"#, r#""1; 2""#, "[1,2]");
        check(r#"{"join": ", "}"#, r#"["a", 1, null, true]"#, r#""a, 1, true""#);
        check(r#"{"lookup": {"table": {"1": "paid", "2": {"x": 1}}}}"#, "2", r#"{"x": 1}"#);
        check(r#"{"lookup": {"table": {}, "default": null}}"#, "2", "null");
        check(r#""lowercase""#, r#"["A", "B"]"#, r#"["a","b"]"#);
        check("[]", r#""A""#, r#""A""#);
    }

    #[test]
    fn what_does_not_convert_is_refused_by_rule_and_value() {
        check(r#""number""#, r#""1,5""#, r#"rules[0]: v: "1,5" did not convert (number): not a number"#);
        check(r#""number""#, r#""""#, r#"rules[0]: v: "" did not convert (number): not a number"#);
        check(r#""number""#, "true", "rules[0]: v: true did not convert (number): not a number");
        check(r#""boolean""#, "2", "rules[0]: v: 2 did not convert (boolean): neither yes nor no");
        check(r#""trim""#, "7", "rules[0]: v: 7 did not convert (trim): not a string");
        check(r#""string""#, r#"{"a": 1}"#, r#"rules[0]: v: {"a": 1} did not convert (string): an object"#);
        check(
            r#""string""#,
            r#""\ud800""#,
            r#"rules[0]: v: "\ud800" did not convert (string): half a surrogate pair is no text"#,
        );
        check(
            r#""phone""#,
            r#""nobody""#,
            r#"rules[0]: v: "nobody" did not convert (phone): something other than digits in it"#,
        );
        check(r#"{"lookup": {"table": {}}}"#, "1", "rules[0]: v: 1 did not convert (lookup): not in the table");
        check(r#"{"join": ","}"#, r#""a""#, r#"rules[0]: v: "a" did not convert (join): not a list"#);
        let long = format!("\"{}\"", "x".repeat(500));
        let shown = format!("rules[0]: v: \"{}... did not convert (number): not a number", "x".repeat(79));
        check(r#""number""#, &long, &shown);
    }
}

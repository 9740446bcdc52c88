//! The file: TOML for people, JSON for programs, with the same in it. TOML has
//! no null and no number beyond 64 bits with a sign: what of strangers' JSON
//! does not fit is a text, `config_json` in place of `config`.

use serde_json::{Map, Value, json};

use super::super::{Failure, given};
use super::kind::Kind;

/// Another one is read by a later version of this program.
const FORMAT: u64 = 1;
/// Fields that are JSON of somebody else's.
const FOREIGN: &[&str] = &["config", "schema", "example"];

/// A file's lists, by the names that it gives them.
pub(super) type Document = Map<String, Value>;

/// Reads TOML or JSON, whichever it is.
pub(super) fn read(given: &str) -> Result<Document, Failure> {
    let text = given::file("import", given)?;
    let wrong = |problem: String| Failure(format!("{given}: {problem}"));
    let parsed: Value = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|error| wrong(format!("that is no JSON: {error}")))?,
        false => toml::from_str(&text).map_err(|error| wrong(format!("that is no TOML: {error}")))?,
    };
    let Value::Object(document) = from_texts(parsed).map_err(wrong)? else {
        return Err(wrong("that is no configuration: see `hookyard export`".to_owned()));
    };
    if document.get("format") != Some(&json!(FORMAT)) {
        return Err(wrong(format!("`format = {FORMAT}` is missing; `hookyard export` shows what a file looks like")));
    }
    let known = |name: &str| {
        matches!(name, "format" | "plugins" | "not_exported") || Kind::ALL.iter().any(|kind| kind.list() == name)
    };
    match document.keys().find(|name| !known(name)) {
        Some(name) => Err(wrong(format!("`{name}` is nothing that a configuration has"))),
        None => Ok(document),
    }
}

/// The text of a file.
pub(super) fn write(lists: Document, as_json: bool) -> Result<String, Failure> {
    let mut document = Map::from_iter([("format".to_owned(), json!(FORMAT))]);
    document.extend(lists);
    let document = Value::Object(document);
    match as_json {
        true => Ok(format!("{document:#}\n")),
        false => Ok(toml::to_string_pretty(&to_texts(document))?),
    }
}

fn to_texts(value: Value) -> Value {
    match value {
        Value::Object(parts) => parts.into_iter().map(|(name, value)| to_text(name, value)).collect(),
        Value::Array(items) => items.into_iter().map(to_texts).collect(),
        other => other,
    }
}

fn to_text(name: String, value: Value) -> (String, Value) {
    match FOREIGN.contains(&name.as_str()) {
        true if fits_toml(&value) => (name, value),
        true => (format!("{name}_json"), value.to_string().into()),
        false => (name, to_texts(value)),
    }
}

fn fits_toml(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => !number.is_u64() || number.is_i64(),
        Value::Array(items) => items.iter().all(fits_toml),
        Value::Object(parts) => parts.values().all(fits_toml),
        Value::Bool(_) | Value::String(_) => true,
    }
}

fn from_texts(value: Value) -> Result<Value, String> {
    Ok(match value {
        Value::Object(parts) => Value::Object(parts.into_iter().map(from_text).collect::<Result<_, _>>()?),
        Value::Array(items) => Value::Array(items.into_iter().map(from_texts).collect::<Result<_, _>>()?),
        other => other,
    })
}

fn from_text((name, value): (String, Value)) -> Result<(String, Value), String> {
    if FOREIGN.contains(&name.as_str()) {
        return Ok((name, value));
    }
    let foreign = name.strip_suffix("_json").filter(|name| FOREIGN.contains(name));
    match (foreign, value.as_str()) {
        (Some(foreign), Some(text)) => {
            let value = serde_json::from_str(text).map_err(|error| format!("`{name}` is no JSON: {error}"))?;
            Ok((foreign.to_owned(), value))
        }
        (Some(_), None) => Err(format!("`{name}` must be a text with JSON in it")),
        (None, _) => Ok((name, from_texts(value)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_toml_cannot_say_comes_back_as_it_was() {
        let config = json!({"default": null, "large": u64::MAX, "list": [1, 2.5, "x"]});
        let steps = json!([{"plugin": "a", "config": config}, {"plugin": "b", "config": {"c": {"d": true}}}]);
        let endpoints = json!([{"name": "crm", "headers": {"x-a": "1"}, "steps": steps, "active": false}]);
        let lists = Map::from_iter([("endpoints".to_owned(), endpoints.clone())]);
        let written = write(lists.clone(), false).map_err(|failure| failure.0).unwrap();
        assert!(written.contains("config_json"), "{written}");
        let read: Value = toml::from_str(&written).unwrap();
        assert_eq!(from_texts(read).unwrap(), json!({"format": 1, "endpoints": endpoints}));
        let written = write(lists, true).map_err(|failure| failure.0).unwrap();
        let read: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read, json!({"format": 1, "endpoints": endpoints}));
    }
}

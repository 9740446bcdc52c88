//! Whether a document fits a schema, and whether a schema is one: what the
//! `jsonschema` crate says, told by place.
//!
//! Patterns are matched in linear time, so that no text makes them run away;
//! they have no look-around and no back-references. A schema refers to itself
//! only: nothing is fetched.

use hookyard_plugin::Issue;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ReferencingError, Registry, ValidationError, Validator, options};
use serde_json::{Value, json};
use std::borrow::Cow;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A message with the value in it may be as long as the value. From this many
/// bytes on it is told without.
const MAX_MESSAGE: usize = 300;

/// Where a document first does not fit a schema, and how. The error is what is
/// wrong with the schema.
pub(crate) fn misfit(schema: &Value, document: &Value) -> Result<Option<String>, String> {
    match validator(schema)?.validate(document) {
        Ok(()) => Ok(None),
        Err(error) => {
            let pointer = error.instance_path().as_str();
            let pointer = if pointer.is_empty() { "/" } else { pointer };
            Ok(Some(format!("{pointer}: {}", brief(&error))))
        }
    }
}

/// What is wrong with a schema.
pub(crate) fn problem(schema: &Value) -> Option<Issue> {
    match schema.get("$schema").and_then(Value::as_str) {
        Some(dialect) if dialect.trim_end_matches('#') != DIALECT => {
            return Some(Issue::at("schema.$schema", format!("only {DIALECT} is understood")));
        }
        _ => {}
    }
    let built = options().with_draft(Draft::Draft202012).with_pattern_options(PatternOptions::regex()).build(schema);
    match built {
        Err(error) => Some(issue(schema, &error)),
        // What is accepted here has to work there.
        Ok(_) => validator(schema).err().map(|problem| Issue::at("schema", problem)),
    }
}

/// The validator of a schema that has been checked.
///
/// The crate always holds a schema against its meta-schema first, and in a
/// component, which remembers nothing, makes a validator of that each time: 19
/// of the 20 million instructions of a usual call. So the schema it is given
/// is one of an old and small draft, which does nothing but refer to the
/// tenant's, and that takes 4 of 5.
fn validator(schema: &Value) -> Result<Validator, String> {
    let uri = schema.get("$id").and_then(Value::as_str).unwrap_or("json-schema:///schema");
    let registry = Registry::new()
        .draft(Draft::Draft202012)
        .add(uri, Draft::Draft202012.create_resource_ref(schema))
        .and_then(|registry| registry.prepare())
        .map_err(|error| error.to_string())?;
    options()
        .with_draft(Draft::Draft4)
        .with_base_uri("json-schema:///reference")
        .with_registry(&registry)
        .with_pattern_options(PatternOptions::regex())
        // As the newer draft has it, where `format` is a remark.
        .should_validate_formats(false)
        .build(&json!({"$ref": uri}))
        .map_err(|error| error.to_string())
}

fn brief(error: &ValidationError<'_>) -> String {
    let message = error.to_string();
    match message.len() <= MAX_MESSAGE {
        true => message,
        false => error.masked().to_string(),
    }
}

fn issue(schema: &Value, error: &ValidationError<'_>) -> Issue {
    match error.kind() {
        ValidationErrorKind::Referencing(problem) => unreferenced(schema, problem),
        _ => Issue::at(dotted(schema, error.instance_path().as_str()), explained(error)),
    }
}

fn explained(error: &ValidationError<'_>) -> String {
    match error.kind() {
        // "Not valid under any of the schemas" says nothing; the first of them
        // is the usual one.
        ValidationErrorKind::AnyOf { context } => match context.first().and_then(|errors| errors.first()) {
            Some(first) => explained(first),
            None => brief(error),
        },
        ValidationErrorKind::Format { format } if format == "regex" => {
            "not a pattern that can be matched in linear time: there is no look-around, there are no \
             back-references, and repetitions have their limits"
                .to_owned()
        }
        _ => brief(error),
    }
}

/// The crate knows what it did not find, but not who asked for it.
fn unreferenced(schema: &Value, problem: &ReferencingError) -> Issue {
    let (wanted, message) = match problem {
        ReferencingError::Unretrievable { uri, .. } => {
            (Some(uri), format!("`{uri}` is elsewhere; a schema refers to itself only, to its `$defs` and `$id`s"))
        }
        ReferencingError::PointerToNowhere { pointer } => (Some(pointer), problem.to_string()),
        ReferencingError::NoSuchAnchor { anchor } => (Some(anchor), problem.to_string()),
        _ => (None, problem.to_string()),
    };
    let place = wanted.and_then(|wanted| reference_to(wanted, schema, "schema"));
    Issue::at(place.unwrap_or_else(|| "schema".to_owned()), message)
}

/// Where a reference to `wanted` stands; a relative one is its end.
fn reference_to(wanted: &str, schema: &Value, place: &str) -> Option<String> {
    let refers = |text: &str| text.ends_with(wanted) || !text.is_empty() && wanted.ends_with(text);
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match (name.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(text)) if refers(text) => Some(format!("{place}.{name}")),
            _ => reference_to(wanted, value, &format!("{place}.{name}")),
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| reference_to(wanted, item, &format!("{place}[{index}]")))
        }
        _ => None,
    }
}

/// A JSON pointer into the schema as an issue's path: `schema.items[0].type`.
fn dotted(schema: &Value, pointer: &str) -> String {
    let mut path = "schema".to_owned();
    let mut place = Some(schema);
    for name in pointer.split('/').skip(1) {
        let name = unescaped(name);
        place = match place {
            Some(Value::Array(items)) => {
                path += &format!("[{name}]");
                name.parse::<usize>().ok().and_then(|index| items.get(index))
            }
            other => {
                path += &format!(".{name}");
                other.and_then(|object| object.get(&*name))
            }
        };
    }
    path
}

/// RFC 6901, section 4.
fn unescaped(name: &str) -> Cow<'_, str> {
    match name.contains('~') {
        false => Cow::Borrowed(name),
        true => Cow::Owned(name.replace("~1", "/").replace("~0", "~")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, document: &str, expected: &str) {
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(problem(&schema), None, "{schema}");
        let document = serde_json::from_str(document).unwrap();
        let got = misfit(&schema, &document).unwrap();
        assert_eq!(got.as_deref().unwrap_or("fits"), expected, "{schema} {document}");
    }

    #[track_caller]
    fn check_problem(schema: &str, expected: &str) {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let got = problem(&schema).map(|issue| issue.to_string());
        assert_eq!(got.as_deref(), Some(expected), "{schema}");
    }

    const CUSTOMER: &str = r##"{
        "type": "object",
        "required": ["customer"],
        "properties": {
            "customer": {
                "type": "object",
                "required": ["phone"],
                "properties": {"phone": {"type": "string", "pattern": "^\\+[1-9]\\d{6,14}$"}},
                "additionalProperties": false
            },
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}}
        },
        "$defs": {"item": {"required": ["sku"], "properties": {"sku": {"minLength": 1}}}}
    }"##;

    #[test]
    fn a_misfit_is_told_by_its_place() {
        check(CUSTOMER, r#"{"customer": {"phone": "+12025551234"}, "items": [{"sku": "A"}], "more": 1}"#, "fits");
        check(CUSTOMER, r#"{"customer": {"phone": 7}}"#, r#"/customer/phone: 7 is not of type "string""#);
        check(
            CUSTOMER,
            r#"{"customer": {"phone": "0202 555"}}"#,
            r#"/customer/phone: "0202 555" does not match "^\+[1-9]\d{6,14}$""#,
        );
        check(CUSTOMER, r#"{"customer": {}}"#, r#"/customer: "phone" is a required property"#);
        check(
            CUSTOMER,
            r#"{"customer": {"phone": "+12025551234", "fax": 1}}"#,
            "/customer: Additional properties are not allowed ('fax' was unexpected)",
        );
        check(
            CUSTOMER,
            r#"{"customer": {"phone": "+12025551234"}, "items": [{"sku": "A"}, {"sku": ""}]}"#,
            r#"/items/1/sku: "" is shorter than 1 character"#,
        );
        check(CUSTOMER, "7", r#"/: 7 is not of type "object""#);
        check(r#"{"additionalProperties": {"type": "null"}}"#, r#"{"a/~b": 1}"#, r#"/a~1~0b: 1 is not of type "null""#);
        check("false", "1", "/: False schema does not allow 1");
        check("true", "1", "fits");
        check("{}", "1", "fits");
    }

    #[test]
    fn what_is_new_in_2020_12_is_understood() {
        let tree = r##"{"$defs": {"n": {"$dynamicAnchor": "n", "type": "object",
            "properties": {"next": {"$dynamicRef": "#n"}}}}, "$ref": "#/$defs/n"}"##;
        check(tree, r#"{"next": {"next": 7}}"#, r#"/next/next: 7 is not of type "object""#);
        check(r#"{"prefixItems": [true], "items": {"type": "null"}}"#, "[1, 2]", r#"/1: 2 is not of type "null""#);
        check(
            r#"{"properties": {"a": true}, "unevaluatedProperties": false}"#,
            r#"{"b": 1}"#,
            "/: Unevaluated properties are not allowed ('b' was unexpected)",
        );
        check(r#"{"dependentRequired": {"a": ["b"]}}"#, r#"{"a": 1}"#, r#"/: "b" is a required property"#);
        check(r#"{"format": "email"}"#, r#""nobody""#, "fits");
        let schema = format!(r#"{{"$schema": "{DIALECT}", "type": "integer"}}"#);
        check(&schema, "12345678901234567890", "fits");
    }

    #[test]
    fn a_schema_refers_to_itself() {
        check(
            r##"{"type": "object", "properties": {"a": {"$ref": "#"}}}"##,
            r#"{"a": 7}"#,
            r#"/a: 7 is not of type "object""#,
        );
        check(
            r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##,
            "1",
            "fits",
        );
        check(
            r##"{"$ref": "#x", "$defs": {"a": {"$anchor": "x", "type": "null"}}}"##,
            "1",
            r#"/: 1 is not of type "null""#,
        );
        check(
            r##"{"$id": "https://example.com/s", "$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}"##,
            "1",
            r#"/: 1 is not of type "null""#,
        );
        check(
            r#"{"$id": "https://example.com/s", "$ref": "b", "$defs": {"a": {"$id": "b", "type": "null"}}}"#,
            "1",
            r#"/: 1 is not of type "null""#,
        );
        check(r#"{"$id": "order.json", "type": "null"}"#, "1", r#"/: 1 is not of type "null""#);
        check(r#"{"$id": "urn:order", "type": "null"}"#, "1", r#"/: 1 is not of type "null""#);
        check(r#"{"const": {"$ref": "https://example.com/s"}}"#, r#"{"$ref": "https://example.com/s"}"#, "fits");
    }

    #[test]
    fn a_long_value_is_not_told() {
        let long = format!("\"{}\"", "x".repeat(1_000));
        check(r#"{"type": "integer"}"#, &long, r#"/: value is not of type "integer""#);
    }

    #[test]
    fn what_is_no_schema_is_told_by_its_path() {
        check_problem(
            r#"{"type": "strin"}"#,
            r#"schema.type: "strin" is not one of "array", "boolean" or 5 other candidates"#,
        );
        check_problem(
            r#"{"properties": {"a": {"allOf": [true, {"minimum": "7"}]}}}"#,
            r#"schema.properties.a.allOf[1].minimum: "7" is not of type "number""#,
        );
        check_problem("7", r#"schema: 7 is not of types "boolean", "object""#);
        check_problem(
            r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#,
            "schema.$schema: only https://json-schema.org/draft/2020-12/schema is understood",
        );
        for pattern in ["(a", "(?=a)b", r"(a)\\1", r"(\\w{1000}){1000}"] {
            check_problem(
                &format!(r#"{{"properties": {{"a": {{"pattern": "{pattern}"}}}}}}"#),
                "schema.properties.a.pattern: not a pattern that can be matched in linear time: there is no \
                 look-around, there are no back-references, and repetitions have their limits",
            );
        }
    }

    #[test]
    fn a_reference_to_elsewhere_is_refused_where_it_stands() {
        let elsewhere =
            |uri| format!("`{uri}` is elsewhere; a schema refers to itself only, to its `$defs` and `$id`s");
        for uri in ["https://example.com/a.json", "file:///etc/passwd", "other.json#/x", "urn:uuid:7"] {
            check_problem(
                &format!(r#"{{"properties": {{"a": {{"anyOf": [{{"$ref": "{uri}"}}]}}}}}}"#),
                &format!("schema.properties.a.anyOf[0].$ref: {}", elsewhere(uri)),
            );
        }
        check_problem(
            r#"{"properties": {"a": {"$dynamicRef": "https://example.com/a"}}}"#,
            &format!("schema.properties.a.$dynamicRef: {}", elsewhere("https://example.com/a")),
        );
        check_problem(
            r##"{"not": {"$ref": "#/$defs/none"}}"##,
            "schema.not.$ref: Pointer '/$defs/none' does not exist",
        );
        check_problem(r##"{"not": {"$ref": "#none"}}"##, "schema.not.$ref: Anchor 'none' does not exist");
    }
}

//! Where two JSON documents differ.

use serde::Serialize;
use serde_json::{Map, Value};

/// One place where what was made is not what was expected.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// A JSON pointer; empty for the document as a whole.
    pub(super) path: String,
    /// Absent: nothing should be there.
    pub(super) expected: Option<Value>,
    /// Absent: nothing is there.
    pub(super) made: Option<Value>,
}

/// Every smallest place that differs.
pub(super) fn differences(expected: &Value, made: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(expected), Some(made), &mut found);
    found
}

fn compare(path: &str, expected: Option<&Value>, made: Option<&Value>, found: &mut Vec<Difference>) {
    match (expected, made) {
        (Some(Value::Object(expected)), Some(Value::Object(made))) => compare_fields(path, expected, made, found),
        (Some(Value::Array(expected)), Some(Value::Array(made))) => {
            for at in 0..expected.len().max(made.len()) {
                compare(&format!("{path}/{at}"), expected.get(at), made.get(at), found);
            }
        }
        (expected, made) if expected == made => {}
        (expected, made) => {
            found.push(Difference { path: path.to_owned(), expected: expected.cloned(), made: made.cloned() });
        }
    }
}

fn compare_fields(path: &str, expected: &Map<String, Value>, made: &Map<String, Value>, found: &mut Vec<Difference>) {
    let only_made = made.keys().filter(|name| !expected.contains_key(*name));
    for name in expected.keys().chain(only_made) {
        // RFC 6901, section 3.
        let step = name.replace('~', "~0").replace('/', "~1");
        compare(&format!("{path}/{step}"), expected.get(name), made.get(name), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(expected: Value, made: Value, places: &[&str]) {
        let found = differences(&expected, &made);
        let found: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(found, places, "{expected} {made}");
    }

    #[test]
    fn the_smallest_places_are_named() {
        check(json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 2}]}), &[]);
        check(json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 3}]}), &["/a/1/b"]);
        check(json!([1]), json!([1, 2]), &["/1"]);
        check(json!({"a/b": 1, "c": 2}), json!({"d~": 3, "c": 2}), &["/a~1b", "/d~0"]);
        check(json!("keep"), json!({"drop": "no"}), &[""]);
        check(json!({"a": null}), json!({}), &["/a"]);
    }
}

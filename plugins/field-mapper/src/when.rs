//! Conditions: whether one more event is made of a request.

use crate::config::present;
use crate::input::Input;
use crate::json::{self, Kind, Node};
use crate::path::Path;
use crate::value::Value;
use hookyard_plugin::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What has to be so at a path.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Form")]
pub(crate) struct When {
    from: Path,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Equal(Box<RawValue>),
    There(bool),
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    from: Path,
    #[serde(default, deserialize_with = "present")]
    equals: Option<Box<RawValue>>,
    #[serde(default)]
    exists: Option<bool>,
}

impl TryFrom<Form> for When {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        let is = match (form.equals, form.exists) {
            (Some(value), None) => Is::Equal(value),
            (None, Some(there)) => Is::There(there),
            (Some(_), Some(_)) => return Err("`equals` and `exists` exclude each other"),
            (None, None) => return Err("missing field `equals` or `exists`"),
        };
        Ok(Self { from: form.from, is })
    }
}

impl When {
    /// Whether it is so. `place` is what the condition's path begins with.
    pub(crate) fn holds(&self, place: &str, input: &Input<'_>) -> Result<bool, Refusal> {
        let found = input
            .find(&self.from)
            .map_err(|refusal| Refusal { message: format!("{place}when: {}", refusal.message), ..refusal })?;
        let found = found.flattened();
        Ok(match &self.is {
            Is::There(there) => is_there(&found) == *there,
            Is::Equal(value) => equals(&found, value.get()),
        })
    }
}

/// A null is nothing, as it is for `required` and `default`.
fn is_there(found: &Value<'_>) -> bool {
    match found {
        Value::Json(text) => text != "null",
        Value::List(values) => values.iter().any(is_there),
        Value::Absent => false,
        Value::Object(_) => true,
    }
}

fn equals(found: &Value<'_>, value: &str) -> bool {
    if matches!(found, Value::Absent) {
        return false;
    }
    let mut text = Vec::new();
    found.write(&mut text);
    let text = String::from_utf8_lossy(&text);
    match (Node::parse(&text), Node::parse(value)) {
        (Ok(found), Ok(value)) => same(&found, &value),
        _ => false,
    }
}

/// Whether two documents mean the same: however strings are escaped, numbers
/// written, and members ordered.
fn same(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar, Kind::Scalar) => same_scalar(a.raw, b.raw),
        (Kind::List(a), Kind::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Kind::Object(members), Kind::Object(others)) => {
            let same_member = |name| match (a.member(name), b.member(name)) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            };
            members.iter().chain(others).all(|(name, _)| same_member(name))
        }
        _ => false,
    }
}

fn same_scalar(a: &str, b: &str) -> bool {
    match (json::unquote(a), json::unquote(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a == b || same_number(a, b),
        _ => false,
    }
}

/// `1` is `1.0`. Two whole numbers are compared by their digits, which may be
/// more than a float has.
fn same_number(a: &str, b: &str) -> bool {
    let is_whole = |text: &str| !text.contains(['.', 'e', 'E']);
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(_), Ok(_)) if is_whole(a) && is_whole(b) => false,
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::{Request, native};

    /// Whether a second event is made of `{"v": value}`.
    #[track_caller]
    fn check(condition: &str, value: &str, expected: bool) {
        let config = format!(r#"{{"rules": [], "also": [{{"when": {{{condition}}}}}]}}"#);
        let drafts = native::map::<FieldMapper>(&Request::post(format!(r#"{{"v": {value}}}"#)), &config).unwrap();
        assert_eq!(drafts.len() == 2, expected, "{condition} of {value}");
    }

    #[track_caller]
    fn check_issue(when: &str, expected: &str) {
        let config = format!(r#"{{"rules": [], "also": [{{"when": {when}}}]}}"#);
        let issues = native::check::<FieldMapper>(&config).unwrap_err();
        assert_eq!(issues[0].to_string().split(" at line ").next(), Some(expected), "{when}");
    }

    #[test]
    fn what_exists() {
        for (value, there) in
            [("1", true), ("false", true), (r#""""#, true), ("{}", true), ("[]", true), ("null", false)]
        {
            check(r#""from": "v", "exists": true"#, value, there);
            check(r#""from": "v", "exists": false"#, value, !there);
        }
        check(r#""from": "w", "exists": true"#, "1", false);
        check(r#""from": "w", "exists": false"#, "1", true);
        check(r#""from": "v[].a", "exists": true"#, r#"[{}, {"a": 1}]"#, true);
        check(r#""from": "v[].a", "exists": true"#, r#"[{}, {"a": null}]"#, false);
        check(r#""from": "$headers.content-type", "exists": true"#, "1", true);
        check(r#""from": "$query.page", "exists": true"#, "1", false);
    }

    #[test]
    fn what_is_equal() {
        check(r#""from": "v", "equals": "order.placed""#, r#""order\u002eplaced""#, true);
        check(r#""from": "v", "equals": "order.placed""#, r#""Order.placed""#, false);
        check(r#""from": "v", "equals": "1""#, "1", false);
        check(r#""from": "v", "equals": 1"#, "1.0", true);
        check(r#""from": "v", "equals": 49.90"#, "49.9", true);
        check(r#""from": "v", "equals": 1e2"#, "100", true);
        check(r#""from": "v", "equals": 12345678901234567890123"#, "12345678901234567890124", false);
        check(r#""from": "v", "equals": true"#, "true", true);
        check(r#""from": "v", "equals": true"#, "1", false);
        check(r#""from": "v", "equals": null"#, "null", true);
        check(r#""from": "w", "equals": null"#, "1", false);
        check(r#""from": "v", "equals": {"a": [1, {}], "b": 2}"#, r#"{"b": 2.0, "a": [1, {}]}"#, true);
        check(r#""from": "v", "equals": {"a": 1}"#, r#"{"a": 1, "b": 2}"#, false);
        check(r#""from": "v", "equals": {"a": 1, "b": 2}"#, r#"{"a": 1}"#, false);
        check(r#""from": "v", "equals": [1, 2]"#, "[2, 1]", false);
        check(r#""from": "v", "equals": [1]"#, "[1, 1]", false);
        check(r#""from": "v", "equals": []"#, "{}", false);
        check(r#""from": "v[].a", "equals": [1, 2]"#, r#"[{"a": 1}, {}, {"a": 2}]"#, true);
    }

    #[test]
    fn a_mistake_is_named() {
        check_issue(r#"{"equals": 1}"#, "also[0].when: missing field `from`");
        check_issue(r#"{"from": "a"}"#, "also[0].when: missing field `equals` or `exists`");
        check_issue(
            r#"{"from": "a", "equals": null, "exists": true}"#,
            "also[0].when: `equals` and `exists` exclude each other",
        );
        check_issue(
            r#"{"from": "a..b", "exists": true}"#,
            "also[0].when.from: path `a..b`: a name is missing after a dot",
        );
        check_issue(
            r#"{"from": "a", "exists": 1}"#,
            "also[0].when.exists: invalid type: integer `1`, expected a boolean",
        );
        check_issue(
            r#"{"from": "a", "is": 1}"#,
            "also[0].when.is: unknown field `is`, expected one of `from`, `equals`, `exists`",
        );
    }
}

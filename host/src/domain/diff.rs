//! What differs between two JSON documents, leaf by leaf, for people.

use serde::Serialize;
use serde_json::Value;

/// One place where two documents differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// A JSON Pointer (RFC 6901).
    pub path: String,
    /// Absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Absent where there is nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The first `most` differences. Lists are compared place by place.
pub fn diff(before: &Value, after: &Value, most: usize) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut String::new(), Some(before), Some(after), most, &mut found);
    found
}

fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, most: usize, found: &mut Vec<Difference>) {
    if found.len() >= most || before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let step = name.replace('~', "~0").replace('/', "~1");
                descend(path, &step, old.get(name), new.get(name), most, found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                descend(path, &at.to_string(), old.get(at), new.get(at), most, found);
            }
        }
        _ => found.push(Difference { path: path.clone(), before: before.cloned(), after: after.cloned() }),
    }
}

fn descend(
    path: &mut String,
    step: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    most: usize,
    found: &mut Vec<Difference>,
) {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    walk(path, before, after, most, found);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(before: Value, after: Value, expected: &[(&str, Option<Value>, Option<Value>)]) {
        let found: Vec<_> = diff(&before, &after, 9).into_iter().map(|one| (one.path, one.before, one.after)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(path, before, after)| ((*path).to_owned(), before.clone(), after.clone())).collect();
        assert_eq!(found, expected, "{before} {after}");
    }

    #[test]
    fn differences_are_told_leaf_by_leaf() {
        check(json!({"a": 1, "b": [1]}), json!({"b": [1], "a": 1}), &[]);
        check(json!({"a": 1}), json!({"a": 2}), &[("/a", Some(json!(1)), Some(json!(2)))]);
        check(
            json!({"a": {"x": 1}}),
            json!({"a": {"y": null}}),
            &[("/a/x", Some(json!(1)), None), ("/a/y", None, Some(json!(null)))],
        );
        check(json!([1, 2]), json!([1, 3, 4]), &[("/1", Some(json!(2)), Some(json!(3))), ("/2", None, Some(json!(4)))]);
        check(json!({"a/b~c": 1}), json!({}), &[("/a~1b~0c", Some(json!(1)), None)]);
        check(json!(1), json!("1"), &[("", Some(json!(1)), Some(json!("1")))]);
    }

    #[test]
    fn there_is_an_end_of_differences() {
        let many: Vec<u32> = (0..1000).collect();
        assert_eq!(diff(&json!(many), &json!([]), 20).len(), 20);
    }
}

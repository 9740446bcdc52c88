//! What a file says that there should be, beside what there is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kind::{Absent, Kind, normal, secret_parts};

/// One thing as a file wants it: with every field, and the secrets that it
/// brings along.
pub(super) struct Wanted {
    pub(super) fields: Map<String, Value>,
    /// What counts only when it is made.
    pub(super) first: Option<Value>,
}

/// What there is, by name.
pub(super) type Present = BTreeMap<(Kind, String), Map<String, Value>>;

/// `item` of a file, once what it leaves out is what it means.
pub(super) fn wanted(kind: Kind, item: &Value, present: Option<&Map<String, Value>>) -> Result<Wanted, String> {
    let Value::Object(item) = item else { return Err("give a table".to_owned()) };
    let known = kind.fields();
    let is_known = |name: &str| known.iter().any(|(field, _)| *field == name) || kind.first() == Some(name);
    if let Some(name) = item.keys().find(|name| !is_known(name)) {
        return Err(format!("`{name}` is no field of it"));
    }
    let mut fields = Map::new();
    for (name, absent) in known {
        let before = present.and_then(|present| present.get(name)).unwrap_or(&Value::Null);
        let value = match (item.get(name), absent) {
            (None | Some(Value::Null), Absent::Wrong) => return Err(format!("`{name}` is missing")),
            (None | Some(Value::Null), Absent::Stays) => before.clone(),
            (None | Some(Value::Null), Absent::Is(value)) => value,
            (Some(value), _) => revealed(name, filled(name, normal(name, value), before))?,
        };
        fields.insert(name.to_owned(), value);
    }
    let first = kind.first().and_then(|name| item.get(name)).map(env).transpose()?;
    Ok(Wanted { fields, first })
}

/// What a part says that is left out, where the server decides: what it has
/// decided already.
fn filled(field: &str, mut value: Value, before: &Value) -> Value {
    match (field, &mut value) {
        ("auth", Value::Object(parts)) if before["type"] == parts.get("type").cloned().unwrap_or_default() => {
            fill(parts, "client_auth", &before["client_auth"]);
        }
        ("retry", Value::Object(parts)) => fill(parts, "jitter", &before["jitter"]),
        ("steps", Value::Array(steps)) => {
            for (at, step) in steps.iter_mut().enumerate() {
                fill_step(step, &before[at]);
            }
        }
        _ => {}
    }
    value
}

fn fill(parts: &mut Map<String, Value>, name: &str, value: &Value) {
    if !value.is_null() && !parts.contains_key(name) {
        parts.insert(name.to_owned(), value.clone());
    }
}

fn fill_step(step: &mut Value, before: &Value) {
    let is_same = step["plugin"] == before["plugin"];
    let Value::Object(parts) = step else { return };
    if !is_same {
        return;
    }
    fill(parts, "version", &before["version"]);
    fill(parts, "job", &before["job"]);
    // First-party plugins are granted what they read without being asked.
    for reads in ["history", "summaries"] {
        if before["grants"][reads] == true {
            let grants = parts.entry("grants").or_insert_with(|| json!({}));
            if let Value::Object(grants) = grants {
                fill(grants, reads, &json!(true));
            }
        }
    }
}

/// With secrets in the place of the variables that stand for them.
fn revealed(field: &str, mut value: Value) -> Result<Value, String> {
    for place in secret_parts(field, &value) {
        if let Some(part) = value.pointer_mut(&place) {
            *part = env(part)?;
        }
    }
    Ok(value)
}

/// `env:NAME` is what the variable holds: a secret need not be in a file.
fn env(value: &Value) -> Result<Value, String> {
    let Some(name) = value.as_str().and_then(|text| text.strip_prefix("env:")) else { return Ok(value.clone()) };
    match std::env::var(name) {
        Ok(secret) if !secret.is_empty() => Ok(secret.into()),
        _ => Err(format!("the variable {name} is not set, which is to hold a secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_means_what_it_meant_before_or_nothing() {
        let seen = Kind::Endpoint.seen(&json!({
            "name": "crm", "url": "https://a.example/", "event_types": ["*"], "dialect": "dmhub", "state": "paused",
            "steps": [{"plugin": "summary", "version": 2, "job": "transformer", "grants": {"history": true}}],
            "rate_limit": {"limit": 5, "per": "minute"}, "active": true, "ordered": false,
        }));
        let item =
            json!({"name": "crm", "url": "https://a.example", "event_types": ["*"], "steps": [{"plugin": "summary"}]});
        let wanted = wanted(Kind::Endpoint, &item, Some(&seen)).map(|wanted| wanted.fields).unwrap();
        let differs = |name: &&str| wanted.get(*name) != seen.get(*name);
        let names: Vec<&str> = Kind::Endpoint.fields().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.into_iter().filter(differs).collect::<Vec<_>>(), ["rate_limit", "paused"]);
    }

    #[test]
    fn a_field_that_nobody_knows_is_told() {
        let check = |item: Value, expected: &str| {
            assert_eq!(wanted(Kind::Source, &item, None).err().as_deref(), Some(expected));
        };
        check(json!({"name": "shop", "ulr": 1}), "`ulr` is no field of it");
        check(json!({"event_type": "a"}), "`name` is missing");
        let secret = json!({"name": "a", "verification": {"scheme": "bearer", "secret": "env:HOOKYARD_TEST_NOT_SET"}});
        check(secret, "the variable HOOKYARD_TEST_NOT_SET is not set, which is to hold a secret");
    }
}

//! What a tenant's configuration is made of, field by field: what each means
//! when a file leaves it out, and what of it is secret.

use serde_json::{Map, Value, json};
use url::Url;

/// In the order in which they are made: what is needed comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Secret,
    EventType,
    Source,
    Endpoint,
}

/// What a field means that is not in the file.
pub(super) enum Absent {
    Wrong,
    /// It stays as it is.
    Stays,
    Is(Value),
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Secret, Self::EventType, Self::Source, Self::Endpoint];

    /// What a file calls the list of them.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::EventType => "event_types",
            Self::Source => "sources",
            Self::Endpoint => "endpoints",
        }
    }

    /// What the API calls it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::EventType => "event-types",
            other => other.list(),
        }
    }

    /// One of them, for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::EventType => "event type",
            Self::Source => "source",
            Self::Endpoint => "endpoint",
        }
    }

    /// The field by which it is known.
    pub(super) fn key(self) -> &'static str {
        if self == Self::EventType { "type" } else { "name" }
    }

    /// Its fields.
    pub(super) fn fields(self) -> Vec<(&'static str, Absent)> {
        use Absent::{Is, Stays, Wrong};
        match self {
            Self::Secret => vec![("name", Wrong)],
            Self::EventType => vec![
                ("type", Wrong),
                ("name", Stays),
                ("description", Stays),
                ("schema", Stays),
                ("example", Stays),
                ("check", Stays),
            ],
            Self::Source => vec![
                ("name", Wrong),
                ("event_type", Is(Value::Null)),
                ("verification", Is(json!({"scheme": "none"}))),
                ("rate_limit", Is(Value::Null)),
                ("steps", Is(json!([]))),
            ],
            Self::Endpoint => vec![
                ("name", Wrong),
                ("url", Wrong),
                ("event_types", Wrong),
                ("accounts", Is(json!([]))),
                ("tags", Is(json!([]))),
                ("dialect", Stays),
                ("signature", Stays),
                ("headers", Is(json!({}))),
                ("auth", Is(Value::Null)),
                ("tls", Is(Value::Null)),
                ("steps", Is(json!([]))),
                ("retry", Is(Value::Null)),
                ("rate_limit", Is(Value::Null)),
                ("max_in_flight", Is(Value::Null)),
                ("timeout_seconds", Is(Value::Null)),
                ("ordered", Is(json!(false))),
                ("active", Is(json!(true))),
                ("paused", Is(json!(false))),
            ],
        }
    }

    /// What counts only when it is made.
    pub(super) fn first(self) -> Option<&'static str> {
        match self {
            Self::Secret => Some("value"),
            Self::Endpoint => Some("secret"),
            Self::EventType | Self::Source => None,
        }
    }

    /// It as the API shows it, with every field, and none that is not ours to
    /// say.
    pub(super) fn seen(self, view: &Value) -> Map<String, Value> {
        let field = |(name, absent): (&'static str, Absent)| {
            let value = match name {
                "paused" => json!(view["state"] == "paused"),
                name => normal(name, &view[name]),
            };
            let value = match (value, absent) {
                (Value::Null, Absent::Is(value)) => value,
                (value, _) => value,
            };
            (name.to_owned(), value)
        };
        self.fields().into_iter().map(field).collect()
    }
}

/// One of several ways to write the same.
pub(super) fn normal(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("rate_limit", Value::Number(limit)) => json!({"limit": limit, "per": "second"}),
        ("ordered", Value::String(of)) if of == "endpoint" => json!(true),
        ("url", Value::String(text)) => Url::parse(text).map_or_else(|_| value.clone(), |url| url.as_str().into()),
        ("auth" | "tls" | "retry", Value::Object(parts)) => without_null(parts),
        ("verification", Value::Object(parts)) => {
            let Value::Object(mut parts) = without_null(parts) else { return Value::Null };
            parts.shift_remove("has_secret");
            // Its other name.
            if let Some(password) = parts.shift_remove("password") {
                parts.insert("secret".to_owned(), password);
            }
            Value::Object(parts)
        }
        ("headers", Value::Object(headers)) => {
            headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), header(value))).collect()
        }
        ("steps", Value::Array(steps)) => steps.iter().map(step).collect(),
        (_, value) => value.clone(),
    }
}

fn without_null(parts: &Map<String, Value>) -> Value {
    parts.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn header(value: &Value) -> Value {
    match value {
        Value::Object(parts) if value["secret"] == true => without_null(parts),
        Value::Object(_) => value["value"].clone(),
        text => text.clone(),
    }
}

/// What every step has unless it says otherwise is left out.
fn step(step: &Value) -> Value {
    let Value::Object(parts) = step else { return step.clone() };
    let usual = [("on_failure", json!("fail")), ("config", json!({})), ("grants", json!({})), ("budget", Value::Null)];
    let is_usual = |name: &str, value: &Value| usual.iter().any(|(field, usual)| *field == name && usual == value);
    let parts = parts.iter().filter(|(name, value)| !is_usual(name, value));
    parts.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The parts of a field that are never shown: where they are in it.
pub(super) fn secret_parts(field: &str, value: &Value) -> Vec<String> {
    let parts: &[&str] = match field {
        "auth" => &["password", "token", "client_secret"],
        "tls" => &["client_key"],
        "verification" => &["secret", "verify_token"],
        "headers" => {
            let headers = value.as_object().into_iter().flatten().filter(|(_, header)| header["secret"] == true);
            return headers.map(|(name, _)| format!("/{}/value", name.replace('~', "~0").replace('/', "~1"))).collect();
        }
        _ => &[],
    };
    parts.iter().map(|part| format!("/{part}")).collect()
}

/// A field without its secret parts: what two of them are compared by.
pub(super) fn bare(field: &str, value: &Value) -> Value {
    let mut bare = value.clone();
    for place in secret_parts(field, value) {
        let Some((parent, part)) = place.rsplit_once('/') else { continue };
        if let Some(Value::Object(parts)) = bare.pointer_mut(parent) {
            parts.shift_remove(part);
        }
    }
    bare
}

/// Secret parts that a new one cannot do without, and that are not given.
pub(super) fn missing_parts(field: &str, value: &Value) -> Vec<String> {
    let needed: Vec<String> = match (field, value["type"].as_str()) {
        ("auth", Some("basic")) => vec!["/password".to_owned()],
        ("auth", Some("bearer")) => vec!["/token".to_owned()],
        ("auth", Some("oauth2")) => vec!["/client_secret".to_owned()],
        ("tls", _) if !value["client_certificate"].is_null() => vec!["/client_key".to_owned()],
        ("headers", _) => secret_parts(field, value),
        _ => Vec::new(),
    };
    let is_missing = |place: &String| value.pointer(place).is_none_or(Value::is_null);
    needed.into_iter().filter(is_missing).map(|place| format!("{field}{}", place.replace('/', "."))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_written_in_two_ways_is_the_same() {
        let same =
            |field: &str, one: Value, other: Value| assert_eq!(normal(field, &one), normal(field, &other), "{field}");
        same("rate_limit", json!(10), json!({"limit": 10, "per": "second"}));
        same("ordered", json!("endpoint"), json!(true));
        same("url", json!("https://example.com"), json!("https://example.com/"));
        same("auth", json!({"type": "bearer", "token": null}), json!({"type": "bearer"}));
        same("headers", json!({"X-A": {"value": "1", "secret": false}}), json!({"x-a": "1"}));
        same("steps", json!([{"plugin": "a", "config": {}, "on_failure": "fail"}]), json!([{"plugin": "a"}]));
        same(
            "verification",
            json!({"scheme": "basic", "password": "x", "has_secret": true}),
            json!({"scheme": "basic", "secret": "x"}),
        );
    }

    #[test]
    fn a_secret_is_not_compared_and_must_be_there_for_a_new_one() {
        let headers = json!({"x-key": {"value": "hush", "secret": true}, "x-a": "1"});
        assert_eq!(bare("headers", &headers), json!({"x-key": {"secret": true}, "x-a": "1"}));
        assert!(missing_parts("headers", &headers).is_empty());
        assert_eq!(missing_parts("headers", &bare("headers", &headers)), ["headers.x-key.value"]);
        assert_eq!(missing_parts("auth", &json!({"type": "basic", "username": "u"})), ["auth.password"]);
        assert_eq!(missing_parts("tls", &json!({"ca": "..."})), Vec::<String>::new());
    }
}

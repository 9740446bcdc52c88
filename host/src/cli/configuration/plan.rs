//! What an import would do, before it does anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::screen::{clean, shown, state};
use super::file::Document;
use super::kind::{Absent, Kind, bare, missing_parts, secret_parts};
use super::wanted::{Present, Wanted, wanted};

/// A value of this length is shown in a line.
const SHOWN: usize = 200;

/// What is to be done to one thing.
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) act: Act,
}

pub(super) enum Act {
    Create(Wanted),
    Change(Vec<Field>, Wanted),
    Delete,
}

/// A field that is not as it should be.
pub(super) struct Field {
    pub(super) name: String,
    old: Value,
    new: Value,
}

/// All that is to be done, in this order.
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    unchanged: usize,
    /// Secrets that the file has and that stay as they are.
    pub(super) kept: Vec<String>,
    /// What is there and not in the file, and stays.
    beside: Vec<(Kind, String)>,
}

impl Plan {
    /// What makes `present` what `document` says.
    pub(super) fn new(document: &Document, present: &Present, prune: bool) -> Result<Self, String> {
        let (mut changes, mut unchanged, mut kept) = (Vec::new(), 0, Vec::new());
        let (mut named, mut missing) = (BTreeSet::new(), Vec::new());
        for kind in Kind::ALL {
            for (name, item) in items(document, kind)? {
                let at = format!("{} `{}`", kind.word(), clean(&name));
                if !named.insert((kind, name.clone())) {
                    return Err(format!("{at} is in the file twice"));
                }
                let before = present.get(&(kind, name.clone()));
                let wanted = wanted(kind, item, before).map_err(|problem| format!("{at}: {problem}"))?;
                let Some(before) = before else {
                    missing.extend(missing_of(kind, &wanted).into_iter().map(|part| format!("{part} of {at}")));
                    changes.push(Change { kind, name, act: Act::Create(wanted) });
                    continue;
                };
                let fields = differences(kind, before, &wanted, item);
                kept.extend(kept_of(kind, &wanted, &fields).map(|part| format!("{}.{name}.{part}", kind.list())));
                match fields {
                    fields if fields.is_empty() => unchanged += 1,
                    fields if fields.iter().any(|field| field.name == "signature") => {
                        return Err(format!(
                            "{at}: `signature` changes with its key: `hookyard endpoints rotate-secret`"
                        ));
                    }
                    fields => changes.push(Change { kind, name, act: Act::Change(fields, wanted) }),
                }
            }
        }
        if !missing.is_empty() {
            let all = missing.join(", ");
            return Err(format!("nothing new can do without its secret: give {all}, as text or as \"env:VARIABLE\""));
        }
        let others = present.keys().filter(|key| !named.contains(*key)).cloned();
        let (mut beside, mut deleted) = (others.collect::<Vec<_>>(), Vec::new());
        if prune {
            // What uses others goes before them.
            deleted = std::mem::take(&mut beside).into_iter().rev().collect();
        }
        changes.extend(deleted.into_iter().map(|(kind, name)| Change { kind, name, act: Act::Delete }));
        Ok(Self { changes, unchanged, kept, beside })
    }

    /// For people: what is made, changed field by field, and deleted.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Change { kind, name, act } in &self.changes {
            let (word, fields) = match act {
                Act::Create(_) => ("created", &[][..]),
                Act::Change(fields, _) => ("changed", &fields[..]),
                Act::Delete => ("deleted", &[][..]),
            };
            text.push_str(&format!("{}  {} {}\n", state(word), kind.word(), clean(name)));
            for field in fields {
                let (old, new) = (short(&field.old), short(&field.new));
                text.push_str(&format!("    {}: {old} -> {new}\n", field.name));
            }
        }
        for (kind, name) in &self.beside {
            text.push_str(&format!(
                "stays    {} {}, which is not in the file; --prune deletes it\n",
                kind.word(),
                clean(name)
            ));
        }
        text + &format!("{} unchanged\n", self.unchanged)
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let change = |change: &Change| {
            let (act, fields) = match &change.act {
                Act::Create(_) => ("created", Vec::new()),
                Act::Change(fields, _) => ("changed", fields.iter().map(Field::json).collect()),
                Act::Delete => ("deleted", Vec::new()),
            };
            json!({"kind": change.kind.word(), "name": change.name, "change": act, "fields": fields})
        };
        let changes: Vec<Value> = self.changes.iter().map(change).collect();
        let beside = self.beside.iter().map(|(kind, name)| json!({"kind": kind.word(), "name": name}));
        let beside: Vec<Value> = beside.collect();
        json!({"changes": changes, "unchanged": self.unchanged, "kept": self.kept, "stays": beside})
    }
}

impl Field {
    fn json(&self) -> Value {
        json!({"field": self.name, "old": self.old, "new": self.new})
    }
}

/// The items of one list, by name.
pub(super) fn items(document: &Document, kind: Kind) -> Result<Vec<(String, &Value)>, String> {
    let list = match document.get(kind.list()) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("`{}` is no list", kind.list())),
    };
    let named = |at: usize, item: &Value| match item[kind.key()].as_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(format!("{}[{at}]: `{}` is missing", kind.list(), kind.key())),
    };
    list.iter().enumerate().map(|(at, item)| Ok((named(at, item)?, item))).collect()
}

fn differences(kind: Kind, before: &Map<String, Value>, wanted: &Wanted, item: &Value) -> Vec<Field> {
    let null = Value::Null;
    let field = |(name, _): (&'static str, Absent)| {
        let (old, new) = (before.get(name).unwrap_or(&null), wanted.fields.get(name).unwrap_or(&null));
        let (old, new) = (bare(name, old), bare(name, new));
        (old != new).then(|| Field { name: name.to_owned(), old, new })
    };
    let mut fields: Vec<Field> = kind.fields().into_iter().filter_map(field).collect();
    // One that has no secret yet is not changed by anything that is compared.
    let brings = |part: &str| item["verification"][part].is_string();
    let has_secret = before.get("has_secret").is_none_or(|has| has == true);
    if kind == Kind::Source && !has_secret && (brings("secret") || brings("password")) {
        let (old, new) = (json!("none"), json!("given"));
        fields.push(Field { name: "verification.secret".to_owned(), old, new });
    }
    fields
}

/// Secrets that a new one needs and that the file does not bring.
fn missing_of(kind: Kind, wanted: &Wanted) -> Vec<String> {
    let value = (kind == Kind::Secret && wanted.first.is_none()).then(|| "value".to_owned());
    value.into_iter().chain(wanted.fields.iter().flat_map(|(name, value)| missing_parts(name, value))).collect()
}

/// Secrets that the file brings for what has its own: only a field that changes is
/// sent, all of it, and headers and logins with a new URL.
fn kept_of<'w>(kind: Kind, wanted: &'w Wanted, changed: &[Field]) -> impl Iterator<Item = String> + use<'w> {
    let sent: BTreeSet<String> = changed
        .iter()
        .flat_map(|field| match &*field.name {
            "url" => vec!["url".to_owned(), "headers".to_owned(), "auth".to_owned()],
            name => vec![name.split('.').next().unwrap_or_default().to_owned()],
        })
        .collect();
    let first = wanted.first.as_ref().filter(|first| first.is_string()).and(kind.first()).map(str::to_owned);
    let parts = wanted.fields.iter().filter(move |(name, _)| !sent.contains(*name)).flat_map(|(name, value)| {
        let given = secret_parts(name, value).into_iter();
        given.filter(|part| value.pointer(part).is_some_and(Value::is_string)).map(move |part| (name, part))
    });
    first.into_iter().chain(parts.map(|(name, part)| format!("{name}{}", part.replace('/', "."))))
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) | Value::Object(_) => clean(&value.to_string()),
        other => shown(other),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(endpoint: Value) -> Present {
        let seen = Kind::Endpoint.seen(&endpoint);
        Present::from([((Kind::Endpoint, "crm".to_owned()), seen)])
    }

    #[track_caller]
    fn check(document: Value, prune: bool, expected: &str) {
        let there = json!({"name": "crm", "url": "https://a.example/", "event_types": ["*"], "state": "active",
            "active": true, "ordered": false, "headers": {"x-key": {"value": null, "secret": true}}});
        let Value::Object(document) = document else { panic!("a table") };
        let said = Plan::new(&document, &present(there), prune).map_or_else(|problem| problem, |plan| plan.text());
        assert_eq!(said, expected);
    }

    #[test]
    fn a_diff_says_what_is_made_changed_and_deleted() {
        let same = json!({"name": "crm", "url": "https://a.example", "event_types": ["*"], "headers": {"x-key": {"secret": true}}});
        check(json!({"endpoints": [same]}), true, "1 unchanged\n");
        let changed = json!({"name": "crm", "url": "https://a.example", "event_types": ["order.*"], "rate_limit": 5});
        let diff = "changed  endpoint crm\n    event_types: [\"*\"] -> [\"order.*\"]\n    headers: {\"x-key\":{\"secret\":true}} -> {}\n    \
                    rate_limit: nothing -> {\"limit\":5,\"per\":\"second\"}\n0 unchanged\n";
        check(json!({"endpoints": [changed]}), false, diff);
        let other = json!([{"name": "shop"}]);
        let stays =
            "created  source shop\nstays    endpoint crm, which is not in the file; --prune deletes it\n0 unchanged\n";
        check(json!({"sources": other}), false, stays);
        check(json!({"sources": other}), true, "created  source shop\ndeleted  endpoint crm\n0 unchanged\n");
    }

    #[test]
    fn a_secret_that_is_there_is_kept_and_that_is_said() {
        let there = json!({"name": "crm", "url": "https://a.example/", "event_types": ["*"], "state": "active",
            "active": true, "ordered": false, "headers": {"x-key": {"value": null, "secret": true}}});
        let kept = |change: Value| {
            let mut wanted = json!({"name": "crm", "url": "https://a.example", "event_types": ["*"], "secret": "whsec_x",
                "headers": {"x-key": {"value": "hush", "secret": true}}});
            wanted.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let Value::Object(document) = json!({"endpoints": [wanted]}) else { panic!("a table") };
            Plan::new(&document, &present(there.clone()), false).map(|plan| plan.kept.join(" "))
        };
        let all = "endpoints.crm.secret endpoints.crm.headers.x-key.value";
        assert_eq!(kept(json!({})).as_deref(), Ok(all));
        assert_eq!(kept(json!({"tags": ["a"]})).as_deref(), Ok(all), "another field changes");
        let other = json!({"headers": {"x-key": {"value": "hush", "secret": true}, "x-a": "1"}});
        for sent in [other, json!({"url": "https://b.example"})] {
            assert_eq!(kept(sent).as_deref(), Ok("endpoints.crm.secret"));
        }
        assert_eq!(kept(json!({"secret": null, "headers": {"x-key": {"secret": true}}})).as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_done_is_said_before_anything_is() {
        check(
            json!({"secrets": [{"name": "k"}]}),
            false,
            "nothing new can do without its secret: give value of secret `k`, as text or as \"env:VARIABLE\"",
        );
        check(json!({"sources": [{"name": "a"}, {"name": "a"}]}), false, "source `a` is in the file twice");
        check(json!({"sources": [{"event_type": "a"}]}), false, "sources[0]: `name` is missing");
    }
}

//! Does what a plan says, a call of the API each. What was done stays done when
//! a later one fails: a second import goes on from there.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::remote::{Client, Trouble};
use super::super::screen::bar;
use super::Failure;
use super::kind::Kind;
use super::plan::{Act, Change, Field, Plan};
use super::wanted::Wanted;

/// Where each thing is, by name.
pub(super) type Ids = BTreeMap<(Kind, String), String>;

/// What the makers of new things have to be told, once.
pub(super) struct Made {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// What is signed with, or where requests go to.
    pub(super) told: Value,
}

pub(super) async fn apply(client: &Client, plan: Plan, ids: &Ids) -> Result<Vec<Made>, Failure> {
    let bar = bar(plan.changes.len() as u64, "imported");
    let mut made = Vec::new();
    for change in plan.changes {
        let (kind, name) = (change.kind, change.name.clone());
        match one(client, change, ids).await {
            Ok(told) => made.extend(told.map(|told| Made { kind, name, told })),
            Err(trouble) => {
                bar.finish_and_clear();
                tell(&made)?;
                let problem = "what stands before it was done; mend it and import again";
                return Err(Failure(format!("{} `{name}`: {trouble} ({problem})", kind.word())));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(made)
}

/// Also when a later one fails: a secret is shown this once.
pub(super) fn tell(made: &[Made]) -> Result<(), Failure> {
    let line = |made: &Made| format!("{} {}  {}\n", made.kind.word(), made.name, super::shown(&made.told));
    super::print(&made.iter().map(line).collect::<String>())
}

async fn one(client: &Client, change: Change, ids: &Ids) -> Result<Option<Value>, Trouble> {
    let Change { kind, name, act } = change;
    let key = (kind, name);
    let id = ids.get(&key).unwrap_or(&key.1);
    match act {
        Act::Delete => client.call(Method::DELETE, &[kind.noun(), id], None).await.map(|_| None),
        Act::Create(wanted) => create(client, kind, &key.1, wanted).await,
        Act::Change(..) if kind == Kind::Secret => Ok(None),
        Act::Change(_, wanted) if kind == Kind::EventType => create(client, kind, &key.1, wanted).await,
        Act::Change(fields, wanted) => change_fields(client, kind, id, &fields, &wanted).await.map(|()| None),
    }
}

async fn create(client: &Client, kind: Kind, name: &str, wanted: Wanted) -> Result<Option<Value>, Trouble> {
    let Wanted { mut fields, first } = wanted;
    let paused = fields.shift_remove("paused");
    fields.retain(|_, value| !value.is_null());
    match kind {
        Kind::Secret => {
            let body = json!({"value": first});
            client.call(Method::PUT, &["secrets", name], Some(&body)).await.map(|_| None)
        }
        Kind::EventType => {
            fields.shift_remove("type");
            client.call(Method::PUT, &["event-types", name], Some(&Value::Object(fields))).await.map(|_| None)
        }
        Kind::Source => {
            let made = client.post(&["sources"], &Value::Object(fields)).await?;
            Ok(Some(made["url"].clone()).filter(|url| !url.is_null()))
        }
        Kind::Endpoint => {
            let was_given = first.is_some();
            fields.extend(first.map(|secret| ("secret".to_owned(), secret)));
            let made = client.post(&["endpoints"], &Value::Object(fields)).await?;
            if let Some(id) = made["id"].as_str().filter(|_| paused == Some(json!(true))) {
                client.post(&["endpoints", id, "pause"], &json!({})).await?;
            }
            Ok(Some(made["secret"].clone()).filter(|secret| !secret.is_null() && !was_given))
        }
    }
}

async fn change_fields(
    client: &Client,
    kind: Kind,
    id: &str,
    fields: &[Field],
    wanted: &Wanted,
) -> Result<(), Trouble> {
    let mut body = Map::new();
    for field in fields.iter().filter(|field| field.name != "paused") {
        // Of `verification.secret`, all of the verification.
        let name = field.name.split('.').next().unwrap_or_default();
        body.insert(name.to_owned(), wanted.fields.get(name).cloned().unwrap_or_default());
    }
    if body.contains_key("url") {
        // What was meant for the host before is not kept for another.
        for name in ["headers", "auth"] {
            let value = wanted.fields.get(name).filter(|value| !value.is_null() && **value != json!({}));
            body.extend(value.map(|value| (name.to_owned(), value.clone())));
        }
    }
    if !body.is_empty() {
        client.call(Method::PATCH, &[kind.noun(), id], Some(&Value::Object(body))).await?;
    }
    if fields.iter().any(|field| field.name == "paused") {
        let action = if wanted.fields.get("paused") == Some(&json!(true)) { "pause" } else { "resume" };
        client.post(&[kind.noun(), id, action], &json!({})).await?;
    }
    Ok(())
}

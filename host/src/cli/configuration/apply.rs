//! Does what a plan says, a call of the API each. What was done stays done when
//! a later one fails or somebody interrupts: a second import goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::signal::ctrl_c;

use super::super::remote::{Client, Trouble};
use super::super::screen::{bar, clean, note, print, shown};
use super::Failure;
use super::kind::Kind;
use super::plan::{Act, Change, Field, Plan};
use super::wanted::Wanted;

/// Where each thing is, by name.
pub(super) type Ids = BTreeMap<(Kind, String), String>;

/// What the makers of new things have to be told, once.
pub(super) struct Made {
    kind: Kind,
    name: String,
    /// What is signed with, or where requests go to.
    told: Value,
}

/// How far an import came.
pub(super) struct Progress {
    made: Vec<Made>,
    done: usize,
    of: usize,
    /// What it stopped at, and why; nothing when all is done.
    stopped: Option<(Kind, String, String)>,
    /// Who reads it; a program gets all of it in one document.
    as_json: bool,
    bar: ProgressBar,
}

pub(super) async fn apply(client: &Client, plan: Plan, ids: &Ids, as_json: bool) -> Result<Progress, Failure> {
    let mut progress = Progress::none(plan.changes.len(), as_json);
    progress.bar = bar(plan.changes.len() as u64, "imported");
    let is_interrupted = interrupted();
    for change in plan.changes {
        let (kind, name) = (change.kind, change.name.clone());
        if is_interrupted.load(Ordering::Relaxed) {
            progress.stopped = Some((kind, name, "you interrupted it before".to_owned()));
            break;
        }
        if let Err(failure) = one(client, change, ids, &mut progress).await {
            progress.stopped = Some((kind, name, failure.0));
            break;
        }
        progress.done += 1;
        progress.bar.inc(1);
    }
    progress.bar.finish_and_clear();
    Ok(progress)
}

/// Set by Ctrl-C. What is being done then is done to its end: a secret of something
/// new comes with the answer, and never again.
fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    tokio::spawn(async move {
        // An error means that there are no signals to wait for.
        let Ok(()) = ctrl_c().await else { return };
        set.store(true, Ordering::Relaxed);
        note("Stopping after this one; Ctrl-C again ends it at once.");
        if let Ok(()) = ctrl_c().await {
            std::process::exit(1);
        }
    });
    flag
}

impl Progress {
    /// Nothing is done yet, of so many changes.
    pub(super) fn none(of: usize, as_json: bool) -> Self {
        Self { made: Vec::new(), done: 0, of, stopped: None, as_json, bar: ProgressBar::hidden() }
    }

    /// At once, and not in the end: whoever ends this program must not have lost
    /// what is shown only this once.
    fn tell(&mut self, kind: Kind, name: &str, told: &Value) -> Result<(), Failure> {
        if told.is_null() {
            return Ok(());
        }
        self.made.push(Made { kind, name: name.to_owned(), told: told.clone() });
        let line = format!("{} {}  {}\n", kind.word(), clean(name), shown(told));
        if self.as_json { Ok(()) } else { self.bar.suspend(|| print(&line)) }
    }

    /// Whether it did not stop before the end.
    pub(super) fn is_whole(&self) -> bool {
        self.stopped.is_none()
    }

    /// For programs.
    pub(super) fn json(&self) -> Map<String, Value> {
        let made = self.made.iter();
        let made = made.map(|made| json!({"kind": made.kind.word(), "name": made.name, "told": made.told}));
        let stopped = self.stopped.as_ref();
        let stopped = stopped.map(|(kind, name, why)| json!({"kind": kind.word(), "name": name, "problem": why}));
        let told = [("made", made.collect()), ("done", json!(self.done)), ("stopped_at", stopped.into())];
        told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// That all of it is done, or where it stopped.
    pub(super) fn end(self) -> Result<(), Failure> {
        let Self { done, of, stopped, .. } = self;
        let Some((kind, name, why)) = stopped else { return Ok(()) };
        Err(Failure(format!(
            "stopped at the {} `{}`: {why}; {done} of {of} changes are made and stay: import again, and it goes on from \
             there",
            kind.word(),
            clean(&name),
        )))
    }
}

async fn one(client: &Client, change: Change, ids: &Ids, progress: &mut Progress) -> Result<(), Failure> {
    let Change { kind, name, act } = change;
    let key = (kind, name);
    let id = ids.get(&key).unwrap_or(&key.1);
    match act {
        Act::Delete => {
            client.call(Method::DELETE, &[kind.noun(), id], None).await?;
        }
        Act::Create(wanted) => create(client, (kind, &key.1), wanted, progress).await?,
        Act::Change(..) if kind == Kind::Secret => {}
        Act::Change(_, wanted) if kind == Kind::EventType => {
            create(client, (kind, &key.1), wanted, progress).await?;
        }
        Act::Change(fields, wanted) => change_fields(client, kind, id, &fields, &wanted).await?,
    }
    Ok(())
}

async fn create(
    client: &Client,
    (kind, name): (Kind, &str),
    wanted: Wanted,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let Wanted { mut fields, first } = wanted;
    let paused = fields.shift_remove("paused");
    fields.retain(|_, value| !value.is_null());
    match kind {
        Kind::Secret => {
            let body = json!({"value": first});
            client.call(Method::PUT, &["secrets", name], Some(&body)).await?;
        }
        Kind::EventType => {
            fields.shift_remove("type");
            client.call(Method::PUT, &["event-types", name], Some(&Value::Object(fields))).await?;
        }
        Kind::Source => {
            let made = client.post(&["sources"], &Value::Object(fields)).await?;
            progress.tell(kind, name, &made["url"])?;
        }
        Kind::Endpoint => {
            let was_given = first.is_some();
            fields.extend(first.map(|secret| ("secret".to_owned(), secret)));
            let made = client.post(&["endpoints"], &Value::Object(fields)).await.map_err(unsure)?;
            if !was_given {
                progress.tell(kind, name, &made["secret"])?;
            }
            if let Some(id) = made["id"].as_str().filter(|_| paused == Some(json!(true))) {
                client.post(&["endpoints", id, "pause"], &json!({})).await?;
            }
        }
    }
    Ok(())
}

/// Without an answer, an endpoint may have been made all the same, with a secret
/// that nobody was told.
fn unsure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Problem(problem) => Trouble::Problem(problem).into(),
        Trouble::Unreachable(said) | Trouble::NotHookyard(said) => Failure(format!(
            "{said} (if it was made, `hookyard endpoints rotate-secret` gives it a secret that you know)"
        )),
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

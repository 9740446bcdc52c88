//! `hookyard export` and `hookyard import`: a tenant's whole configuration as a
//! file, and a tenant made to be what a file says.
//!
//! Things are matched by name. Secrets are in no answer of the API and so in no
//! file; the file says which are not in it.

mod apply;
mod file;
mod kind;
mod plan;
mod steps;
mod wanted;

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use self::apply::{Ids, Progress, apply};
use self::file::Document;
use self::kind::{Absent, Kind};
use self::plan::Plan;
use self::wanted::Present;
use super::Failure;
use super::remote::{Client, Remote, Trouble};
use super::screen::{clean, confirm, note, print, print_json};

#[derive(clap::Args)]
#[command(
    after_help = "In the file are endpoints, sources, your own event types, the names of secrets, and the versions that steps pin. Values
of secrets are not: `not_exported` names them. Examples:
  hookyard export > hookyard.acme.toml
  hookyard export --json --to acme.json"
)]
pub(super) struct Export {
    #[command(flatten)]
    remote: Remote,
    /// The file to be written [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(
    after_help = "Things are matched by name; what a file leaves out is what it is when nobody says anything. Importing a file again changes
nothing; one that stopped half-way is gone on with. Where a secret is needed, give it in the file, or \"env:VARIABLE\" to
have it taken from there; what has its secret already keeps it, unless the field that it is in changes. Examples:
  hookyard import acme.toml --dry-run                only the difference
  hookyard import acme.toml                          shows it, asks, does it
  hookyard import acme.toml --prune --yes            deletes what is not in the file, too"
)]
pub(super) struct Import {
    #[command(flatten)]
    remote: Remote,
    /// What `hookyard export` wrote, TOML or JSON, or - for standard input
    file: String,
    /// Delete what is there and not in the file
    #[arg(long)]
    prune: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.connect()?;
        let mut lists = Document::new();
        let mut hidden = Vec::new();
        for kind in Kind::ALL {
            let views = views(&client, kind).await?;
            hidden.extend(views.iter().flat_map(|view| not_exported(kind, view)));
            lists.insert(kind.list().to_owned(), views.iter().map(|view| exported(kind, view)).collect());
        }
        let pinned = steps::pinned(&client, &lists).await?;
        lists.insert("plugins".to_owned(), pinned.into());
        lists.insert("not_exported".to_owned(), hidden.clone().into());
        let text = file::write(in_order(lists), self.remote.json)?;
        match &self.to {
            None => print(&text)?,
            Some(path) => {
                fs::write(path, text).map_err(|error| Failure(format!("--to {}: {error}", path.display())))?
            }
        }
        if !hidden.is_empty() {
            note(&format!("Not in the file, because no answer shows it: {}", clean(&hidden.join(", "))));
        }
        Ok(())
    }
}

/// What is short first; nothing that is empty.
fn in_order(mut lists: Document) -> Document {
    let order = ["not_exported", "plugins", "secrets", "event_types", "sources", "endpoints"];
    let list = |name: &str| Some((name.to_owned(), lists.shift_remove(name)?));
    order.into_iter().filter_map(list).filter(|(_, list)| *list != json!([])).collect()
}

impl Import {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut document = file::read(&self.file)?;
        let client = self.remote.connect()?;
        steps::resolve(&client, &mut document).await?;
        let (present, ids) = present(&client).await?;
        let plan = Plan::new(&document, &present, self.prune)
            .map_err(|problem| Failure(format!("{}: {problem}", self.file)))?;
        let difference = plan.json();
        if !self.remote.json {
            print(&plan.text())?;
        }
        if !plan.kept.is_empty() {
            note(&format!(
                "In the file and not taken from it, because a secret that is there is not replaced by an import: {}",
                clean(&plan.kept.join(", "))
            ));
        }
        let count = plan.changes.len();
        if count == 0 || self.dry_run {
            return self.end(difference, Progress::none(count, self.remote.json));
        }
        // What was asked for by a program is in its answer, not before it.
        confirm(&format!("Make these {count} changes?"), self.yes)?;
        let progress = apply(&client, plan, &ids, self.remote.json).await?;
        self.end(difference, progress)
    }

    fn end(&self, mut difference: Value, progress: Progress) -> Result<(), Failure> {
        if let Value::Object(parts) = &mut difference
            && self.remote.json
        {
            parts.extend(progress.json());
            parts.insert("applied".to_owned(), (!self.dry_run && progress.is_whole()).into());
            print_json(&difference)?;
        }
        progress.end()
    }
}

/// All of a kind that is the tenant's own.
async fn views(client: &Client, kind: Kind) -> Result<Vec<Value>, Trouble> {
    Ok(match kind {
        Kind::Secret => client.whole(&["secrets"]).await?,
        Kind::EventType => {
            let all = client.whole(&["event-types"]).await?;
            all.into_iter().filter(|one| one["origin"] == "tenant").collect()
        }
        Kind::Source | Kind::Endpoint => {
            let mut all = client.list(&[kind.noun()], &[], usize::MAX).await?;
            // The file changes where something was changed.
            all.reverse();
            all
        }
    })
}

/// What there is, and where.
async fn present(client: &Client) -> Result<(Present, Ids), Trouble> {
    let (mut present, mut ids) = (Present::new(), Ids::new());
    for kind in Kind::ALL {
        for view in views(client, kind).await? {
            let name = view[kind.key()].as_str().unwrap_or_default().to_owned();
            let mut seen = kind.seen(&view);
            if kind == Kind::Source {
                seen.insert("has_secret".to_owned(), view["verification"]["has_secret"].clone());
            }
            if let Some(id) = view["id"].as_str() {
                ids.insert((kind, name.clone()), id.to_owned());
            }
            present.insert((kind, name), seen);
        }
    }
    Ok((present, ids))
}

/// It without what it would be anyway.
fn exported(kind: Kind, view: &Value) -> Value {
    let seen = kind.seen(view);
    let says_something = |(name, absent): &(&'static str, Absent)| match (seen.get(*name), absent) {
        (None | Some(Value::Null), _) => false,
        (Some(value), Absent::Is(usual)) => value != usual,
        (Some(_), _) => true,
    };
    let fields = kind.fields().into_iter().filter(says_something);
    fields.map(|(name, _)| (name.to_owned(), seen[name].clone())).collect::<Map<_, _>>().into()
}

/// The secrets that it has and that are not shown.
fn not_exported(kind: Kind, view: &Value) -> Vec<String> {
    let name = view[kind.key()].as_str().unwrap_or_default();
    let parts = match kind {
        Kind::Secret => vec!["value".to_owned()],
        Kind::EventType => Vec::new(),
        Kind::Source if view["verification"]["has_secret"] == true => vec!["verification.secret".to_owned()],
        Kind::Source => Vec::new(),
        Kind::Endpoint => {
            let parts =
                ["headers", "auth", "tls"].into_iter().flat_map(|field| kind::missing_parts(field, &view[field]));
            // Unsigned dialects have none; whoever cannot tell is told once too often.
            parts.chain([String::from("secret")]).collect()
        }
    };
    parts.into_iter().map(|part| format!("{}.{name}.{part}", kind.list())).collect()
}

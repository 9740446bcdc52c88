//! `hookyard requests`: what sources received.

use serde_json::{Value, json};

use super::Failure;
use super::remote::{Client, Remote};
use super::screen::{cell, clean, clean_lines, print, print_json, state};
use super::table::table;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard requests list --state quarantined         what the source's pipeline could not read
  hookyard requests show req_01JD...
  hookyard requests rerun req_01JD...                once the pipeline is mended")]
pub(super) struct Requests {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List requests, the newest first
    List(List),
    /// Show one as it came, and what was made of it
    Show { id: String },
    /// Run some through their sources' pipelines as they are now
    Rerun {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Default, clap::Args)]
struct List {
    /// Of this source: its id or its name
    #[arg(long)]
    source: Option<String>,
    /// accepted, ignored, quarantined, answered or refused
    #[arg(long)]
    state: Option<String>,
    /// At most this many [default: 50]
    #[arg(long)]
    limit: Option<usize>,
}

impl Requests {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (client, as_json) = (self.remote.connect()?, self.remote.json);
        match self.action.unwrap_or_else(|| Action::List(List::default())) {
            Action::List(list) => list.run(&client, as_json).await,
            Action::Show { id } => {
                let request = client.get(&["requests", &id], &[]).await?;
                if as_json { print_json(&request) } else { print(&whole(&request)) }
            }
            Action::Rerun { ids } => {
                for id in ids {
                    let answer = client.post(&["requests", &id, "rerun"], &json!({})).await?;
                    match as_json {
                        true => print_json(&answer)?,
                        false => print(&format!("{id} became {}\n", cell(&answer, "event_ids")))?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl List {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let source = match self.source {
            Some(given) => Some(client.id_of("sources", "src_", &given).await?),
            None => None,
        };
        let query = [("source", source), ("state", self.state)];
        let found = client.list(&["requests"], &query, self.limit.unwrap_or(50)).await?;
        if as_json {
            return print_json(&Value::Array(found));
        }
        let row = |request: &Value| {
            let [id, source, received, method, bytes, reason] =
                ["id", "source_id", "received_at", "method", "bytes", "reason"].map(|field| cell(request, field));
            vec![id, source, received, method, bytes, state(request["state"].as_str().unwrap_or_default()), reason]
        };
        let headings = ["id", "source", "received", "method", "bytes", "state", "reason"];
        print(&table(&headings, found.iter().map(row).collect()))
    }
}

/// As it came, below what became of it.
fn whole(request: &Value) -> String {
    let mut text = format!("{}  {}", cell(request, "id"), state(request["state"].as_str().unwrap_or_default()));
    if let Some(reason) = request["reason"].as_str() {
        text.push_str(&format!("  {}", clean(reason)));
    }
    text.push_str(&format!("\nreceived {} by {}\n", cell(request, "received_at"), cell(request, "source_id")));
    text.push_str(&format!("events   {}\n\n", cell(request, "event_ids")));
    let query = request["query"].as_str().filter(|query| !query.is_empty());
    let query = query.map(|query| format!(" ?{}", clean(query))).unwrap_or_default();
    text.push_str(&format!("{}{query}\n", cell(request, "method")));
    text + &message(request)
}

/// Headers and body.
pub(super) fn message(of: &Value) -> String {
    let mut text = String::new();
    for header in of["headers"].as_array().into_iter().flatten() {
        text.push_str(&format!("{}: {}\n", cell(header, "name"), cell(header, "value")));
    }
    match (of["body"].as_str(), of["body_base64"].as_str()) {
        (Some(""), _) | (None, None) => text,
        (Some(body), _) => text + &format!("\n{}\n", clean_lines(body)),
        (None, Some(body)) => text + &format!("\n(base64) {}\n", clean(body)),
    }
}

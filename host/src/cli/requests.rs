//! `hookyard requests`: what sources received.

use serde_json::{Value, json};

use super::Failure;
use super::named::SOURCES;
use super::remote::{Client, Remote};
use super::screen::{answer, answer_list, cell, clean, clean_lines, state_of};

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
                answer(&request, as_json, whole)
            }
            Action::Rerun { ids } => {
                for id in ids {
                    let rerun = client.post(&["requests", &id, "rerun"], &json!({})).await?;
                    answer(&rerun, as_json, |rerun| format!("{id} became {}\n", cell(rerun, "event_ids")))?;
                }
                Ok(())
            }
        }
    }
}

impl List {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let source = SOURCES.id_if(client, self.source).await?;
        let query = [("source", source), ("state", self.state)];
        let found = client.list(&["requests"], &query, self.limit.unwrap_or(50)).await?;
        let row = |request: &Value| {
            let [id, source, received, method, bytes, reason] =
                ["id", "source_id", "received_at", "method", "bytes", "reason"].map(|field| cell(request, field));
            vec![id, source, received, method, bytes, state_of(request), reason]
        };
        let headings = ["id", "source", "received", "method", "bytes", "state", "reason"];
        answer_list(found, as_json, &headings, row)
    }
}

/// As it came, below what became of it.
fn whole(request: &Value) -> String {
    let mut text = format!("{}  {}", cell(request, "id"), state_of(request));
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

//! `hookyard events`: what was published and received.

use serde_json::{Value, json};

use super::Failure;
use super::remote::{Client, Remote, instant};
use super::screen::{answer, answer_list, cell, clean, clean_lines, print_json, state_of};
use super::table::columns;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard events                                    the newest 50
  hookyard events list --type order.paid --after 24h
  hookyard events explain evt_01JD...                which endpoints got it, and why the others did not")]
pub(super) struct Events {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List events, the newest first
    List(List),
    /// Show one with its data
    Show { id: String },
    /// Say what became of one at every endpoint, and why
    Explain { id: String },
    /// Send nothing more of one
    Cancel { id: String },
}

#[derive(Default, clap::Args)]
struct List {
    /// Of types that fit this pattern, such as order.*
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// With this tag
    #[arg(long)]
    tag: Option<String>,
    /// About this subject
    #[arg(long)]
    subject: Option<String>,
    /// Of this account
    #[arg(long)]
    account: Option<String>,
    /// At or after: RFC 3339, or how long ago, such as 24h
    #[arg(long, value_parser = instant, value_name = "TIME")]
    after: Option<String>,
    /// Before: likewise
    #[arg(long, value_parser = instant, value_name = "TIME")]
    before: Option<String>,
    /// At most this many [default: 50]
    #[arg(long)]
    limit: Option<usize>,
}

impl Events {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (client, as_json) = (self.remote.connect()?, self.remote.json);
        match self.action.unwrap_or_else(|| Action::List(List::default())) {
            Action::List(list) => list.run(&client, as_json).await,
            Action::Show { id } => print_json(&client.get(&["events", &id], &[]).await?),
            Action::Explain { id } => explain(&client, &id, as_json).await,
            Action::Cancel { id } => {
                let ended = client.post(&["events", &id, "cancel"], &json!({})).await?;
                answer(&ended, as_json, |ended| format!("{} deliveries are cancelled\n", ended["cancelled"]))
            }
        }
    }
}

impl List {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let query = [
            ("type", self.event_type),
            ("tag", self.tag),
            ("subject", self.subject),
            ("account", self.account),
            ("after", self.after),
            ("before", self.before),
        ];
        let found = client.list(&["events"], &query, self.limit.unwrap_or(50)).await?;
        let fields = ["id", "type", "subject", "account", "tags", "received_at"];
        let headings = ["id", "type", "subject", "account", "tags", "received"];
        answer_list(found, as_json, &headings, |event| fields.map(|field| cell(event, field)).to_vec())
    }
}

async fn explain(client: &Client, id: &str, as_json: bool) -> Result<(), Failure> {
    let story = client.get(&["events", id, "explain"], &[]).await?;
    answer(&story, as_json, told)
}

fn told(story: &Value) -> String {
    let mut rows = Vec::new();
    for line in story["endpoints"].as_array().into_iter().flatten() {
        rows.push(vec![state_of(line), cell(line, "name"), cell(line, "summary")]);
        if let Some(advice) = line["advice"].as_str() {
            rows.push(vec![String::new(), String::new(), format!("-> {}", clean(advice))]);
        }
    }
    format!("{}\n{}", clean_lines(story["summary"].as_str().unwrap_or_default()), columns(&rows))
}

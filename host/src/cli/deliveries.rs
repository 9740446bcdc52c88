//! `hookyard deliveries`: what became of events on their way, as it is and as it
//! happens.

use serde_json::{Value, json};

use super::Failure;
use super::named::ENDPOINTS;
use super::remote::{Client, Remote, Trouble, instant};
use super::requests::message;
use super::screen::{answer, answer_list, cell, clean, note, print, print_json_line, state_of, status};
use super::table::{columns, table};
use super::watch::{Watch, pause};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard deliveries list --state dead --after 24h
  hookyard deliveries tail                           each change as it happens, until Ctrl-C
  hookyard deliveries tail --json | jq 'select(.state == \"dead\")'
  hookyard deliveries show dlv_01JD...               steps, message and every attempt
  hookyard deliveries retry dlv_01JD...")]
pub(super) struct Deliveries {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List deliveries, the newest first
    List(List),
    /// Print deliveries as they are made and as their state changes; looks at the newest 250
    Tail(Filter),
    /// Show one with its steps, its message and every attempt
    Show { id: String },
    /// Make some due now; that is the schedule's next attempt, made early
    Retry {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Attempt some no more
    Cancel {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Default, clap::Args)]
struct Filter {
    /// Of this event
    #[arg(long)]
    event: Option<String>,
    /// To this endpoint: its id or its name
    #[arg(long)]
    endpoint: Option<String>,
    /// pending, delivered, dropped, dead or cancelled
    #[arg(long)]
    state: Option<String>,
    /// Of events of this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
}

#[derive(Default, clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// Made at or after: RFC 3339, or how long ago, such as 24h
    #[arg(long, value_parser = instant, value_name = "TIME")]
    after: Option<String>,
    /// Made before: likewise
    #[arg(long, value_parser = instant, value_name = "TIME")]
    before: Option<String>,
    /// At most this many [default: 50]
    #[arg(long)]
    limit: Option<usize>,
}

impl Filter {
    async fn query(self, client: &Client) -> Result<Vec<(&'static str, Option<String>)>, Failure> {
        let endpoint = ENDPOINTS.id_if(client, self.endpoint).await?;
        Ok(vec![("event", self.event), ("endpoint", endpoint), ("state", self.state), ("type", self.event_type)])
    }
}

impl Deliveries {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (client, as_json) = (self.remote.connect()?, self.remote.json);
        match self.action.unwrap_or_else(|| Action::List(List::default())) {
            Action::List(list) => list.run(&client, as_json).await,
            Action::Tail(filter) => tail(&client, filter, as_json).await,
            Action::Show { id } => {
                let delivery = client.get(&["deliveries", &id], &[]).await?;
                answer(&delivery, as_json, whole)
            }
            Action::Retry { ids } => each(&client, &ids, "retry", as_json).await,
            Action::Cancel { ids } => each(&client, &ids, "cancel", as_json).await,
        }
    }
}

impl List {
    async fn run(self, client: &Client, as_json: bool) -> Result<(), Failure> {
        let mut query = self.filter.query(client).await?;
        query.extend([("after", self.after), ("before", self.before)]);
        let found = client.list(&["deliveries"], &query, self.limit.unwrap_or(50)).await?;
        let headings = ["id", "state", "attempts", "status", "endpoint", "type", "updated", "reason"];
        answer_list(found, as_json, &headings, row)
    }
}

fn row(delivery: &Value) -> Vec<String> {
    let [id, attempts, endpoint, kind, updated, reason] =
        ["id", "attempt_count", "endpoint_name", "event_type", "updated_at", "reason"]
            .map(|field| cell(delivery, field));
    let answered = status(delivery["last_status"].as_u64());
    vec![id, state_of(delivery), attempts, answered, endpoint, kind, updated, reason]
}

/// Until Ctrl-C. A server that restarts is waited for.
async fn tail(client: &Client, filter: Filter, as_json: bool) -> Result<(), Failure> {
    let query = filter.query(client).await?;
    let mut watch = Watch::new(|delivery| {
        let id = delivery["id"].as_str().unwrap_or_default().to_owned();
        (id, format!("{} {}", delivery["state"], delivery["attempt_count"]))
    });
    watch.begin(client, "deliveries", &query).await?;
    note("Waiting for deliveries; Ctrl-C ends it.");
    let mut is_lost = false;
    loop {
        match watch.news(client, "deliveries", &query).await {
            Ok(news) => {
                is_lost = false;
                for delivery in &news {
                    print_one(delivery, as_json)?;
                }
            }
            Err(trouble) => lost(trouble, &mut is_lost)?,
        }
        pause().await;
    }
}

/// Says once that the server is not there.
pub(super) fn lost(trouble: Trouble, is_lost: &mut bool) -> Result<(), Failure> {
    if !trouble.passes() {
        return Err(trouble.into());
    }
    if !std::mem::replace(is_lost, true) {
        note(&format!("{trouble}; trying again"));
    }
    Ok(())
}

fn print_one(delivery: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json_line(delivery);
    }
    let [updated, id, kind, endpoint, reason] =
        ["updated_at", "id", "event_type", "endpoint_name", "reason"].map(|field| cell(delivery, field));
    let answered = status(delivery["last_status"].as_u64());
    print(&columns(&[vec![updated, state_of(delivery), answered, id, kind, endpoint, reason]]))
}

async fn each(client: &Client, ids: &[String], action: &str, as_json: bool) -> Result<(), Failure> {
    for id in ids {
        let delivery = client.post(&["deliveries", id, action], &json!({})).await?;
        answer(&delivery, as_json, |delivery| columns(&[row(delivery)]))?;
    }
    Ok(())
}

/// A delivery as the log of its life.
fn whole(delivery: &Value) -> String {
    let mut text = format!("{}  {}", cell(delivery, "id"), state_of(delivery));
    if let Some(reason) = delivery["reason"].as_str() {
        text.push_str(&format!("  {}", clean(reason)));
    }
    let facts = [
        ["event", "event_type", "event_id"],
        ["endpoint", "endpoint_name", "endpoint_id"],
        ["made", "created_at", ""],
        ["next", "next_attempt_at", ""],
    ];
    let facts = facts.map(|[name, of, id]| {
        let id = delivery[id].as_str().map(clean).unwrap_or_default();
        vec![name.to_owned(), cell(delivery, of), id]
    });
    text.push_str(&format!("\n{}", columns(&facts)));
    let list = |field: &str| delivery[field].as_array().into_iter().flatten();
    let steps: Vec<_> = list("steps").map(step).collect();
    text.push_str(&section("Steps", &table(&["plugin", "version", "outcome", "said"], steps)));
    if !delivery["message"].is_null() {
        let made = format!("{}\n{}", cell(&delivery["message"], "method"), message(&delivery["message"]));
        text.push_str(&section("Message", &made));
    }
    let attempts: Vec<_> = list("attempts").map(attempt).collect();
    let headings = ["attempt", "started", "status", "outcome", "ms", "error"];
    text.push_str(&section("Attempts", &table(&headings, attempts)));
    if let Some(answer) = list("attempts").next_back().map(|attempt| &attempt["response"]).filter(|one| !one.is_null())
    {
        text.push_str(&section("Last answer", &message(answer)));
    }
    text
}

fn step(step: &Value) -> Vec<String> {
    let said = if step["reason"].is_null() { cell(step, "message") } else { cell(step, "reason") };
    [&["plugin", "version", "outcome"].map(|field| cell(step, field))[..], &[said]].concat()
}

fn attempt(attempt: &Value) -> Vec<String> {
    let [number, started, outcome, took, error] =
        ["number", "started_at", "outcome", "duration_ms", "error"].map(|field| cell(attempt, field));
    vec![number, started, status(attempt["status"].as_u64()), outcome, took, error]
}

fn section(title: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("\n{title}\n{text}") }
}

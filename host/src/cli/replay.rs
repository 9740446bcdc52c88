//! `hookyard replay`: makes an endpoint's past deliveries again, counted first
//! and followed to the end.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::ctrl_c;

use super::named::ENDPOINTS;
use super::remote::{Client, Remote, instant};
use super::screen::{answer, bar, cell, confirm, note};
use super::{Failure, given};

/// Between two looks at it.
const EVERY: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hookyard replay crm --since 24h                    what died within a day, with the bytes of then
  hookyard replay crm --since 7d --type 'order.*' --state dead --state dropped --pipeline current
  hookyard replay crm --since 24h --dry-run          only counts")]
pub(super) struct Replay {
    #[command(flatten)]
    remote: Remote,
    /// The endpoint: its id or its name
    endpoint: String,
    /// Deliveries made at or after: RFC 3339, or how long ago, such as 24h
    #[arg(long, value_parser = instant, value_name = "TIME")]
    since: String,
    /// Made before: likewise [default: now]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    until: Option<String>,
    /// In this state; may be given several times [default: dead]
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
    /// Of events of this type, such as order.*; several times
    #[arg(long = "type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// as-sent: the message of then; current: what the endpoint's pipeline makes of the event now
    #[arg(long, default_value = "as-sent", value_parser = ["as-sent", "current"])]
    pipeline: String,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// On Ctrl-C, cancel the replay; otherwise it goes on in the server
    #[arg(long)]
    cancel: bool,
}

impl Replay {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.connect()?;
        let id = ENDPOINTS.id(&client, &self.endpoint).await?;
        let path = ["endpoints", &id, "replay"];
        let counted = client.post(&path, &self.form(true)).await?;
        let count = counted["deliveries"].as_u64().unwrap_or(0);
        if self.dry_run || count == 0 {
            return self.say(&counted, |_| format!("{count} deliveries would be made again\n"));
        }
        let question =
            format!("Make {count} deliveries ({}) of {id} again, {}?", cell(&counted, "states"), self.pipeline);
        confirm(&question, self.yes)?;
        let replay = client.post(&path, &self.form(false)).await?;
        let ended = self.follow(&client, replay).await?;
        self.say(&ended, |ended| format!("{}: {} of {count} made again\n", cell(ended, "state"), ended["made"]))
    }

    fn form(&self, dry_run: bool) -> Value {
        let mut form = json!({"since": self.since, "pipeline": self.pipeline, "dry_run": dry_run});
        let more = [
            ("until", self.until.clone().map(Value::from)),
            ("states", given::some(&self.states)),
            ("event_types", given::some(&self.event_types)),
        ];
        for (field, value) in more {
            if let Some(value) = value {
                form[field] = value;
            }
        }
        form
    }

    fn say(&self, replay: &Value, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        answer(replay, self.remote.json, words)
    }

    /// The replay once it has ended, or once somebody does not want to wait.
    async fn follow(&self, client: &Client, mut replay: Value) -> Result<Value, Failure> {
        let id = replay["id"].as_str().unwrap_or_default().to_owned();
        let bar = bar(replay["deliveries"].as_u64().unwrap_or(0), "made again");
        // One for all rounds: what is pressed between two would be lost.
        let mut interrupt = pin!(ctrl_c());
        while replay["state"] == "running" {
            bar.set_position(replay["made"].as_u64().unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                pressed = &mut interrupt => {
                    pressed?;
                    bar.finish_and_clear();
                    return self.interrupted(client, &id).await;
                }
            }
            replay = client.get(&["replays", &id], &[]).await?;
        }
        bar.finish_and_clear();
        Ok(replay)
    }

    async fn interrupted(&self, client: &Client, id: &str) -> Result<Value, Failure> {
        if self.cancel {
            return Ok(client.post(&["replays", id, "cancel"], &json!({})).await?);
        }
        note(&format!("The replay {id} goes on in the server; with --cancel, Ctrl-C ends it."));
        Ok(client.get(&["replays", id], &[]).await?)
    }
}

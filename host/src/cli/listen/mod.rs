//! `hookyard listen`: sends what a source receives, or what endpoints are sent,
//! to a program on this machine as well, to work on it with real traffic.
//!
//! It looks into the log, as anybody with the key can: nothing changes on its
//! way, and the receivers get what they get. What is sent here is what came in, or
//! what went out, byte for byte, with the signature of the last attempt.

mod target;
mod traffic;

use std::io::{self, BufRead as _};
use std::thread;

use serde_json::json;
use tokio::sync::mpsc;

use self::target::{Answered, Target};
use self::traffic::{Copy, Traffic};
use super::Failure;
use super::deliveries::lost;
use super::named::{ENDPOINTS, SOURCES};
use super::remote::{Client, Remote};
use super::screen::{clean, note, print, print_json_line, status};
use super::table::columns;
use super::watch::pause;
use crate::clock::{Clock as _, SystemClock};

#[derive(clap::Args)]
#[command(
    after_help = "Of a source, each request that proved who sent it is forwarded as it came: method, query, headers, body.
Of an endpoint, or of all of them when neither is named, each message is forwarded once it was attempted, with the
signature of that attempt. What a paused endpoint holds is not forwarded: no message was made of it yet. Headers that an
endpoint logs in with are in no log, and not here either. Nothing is taken away from the real receivers.

Press r and Enter to send the last one again.

Examples:
  hookyard listen --source shop 3000
  hookyard listen --endpoint crm http://localhost:3000/hooks --filter order.paid
  hookyard listen 3000 --json"
)]
pub(super) struct Listen {
    #[command(flatten)]
    remote: Remote,
    /// Where to: a port of this machine, or a URL
    #[arg(value_name = "TO")]
    to: String,
    /// A source's requests: its id or its name
    #[arg(long, conflicts_with = "endpoint")]
    source: Option<String>,
    /// An endpoint's messages: its id or its name
    #[arg(long)]
    endpoint: Option<String>,
    /// Only of events of this type; order.* is every type that begins with order.
    #[arg(long, value_name = "TYPE")]
    filter: Option<String>,
    /// Let TO be another machine, which is sent all that is in there
    #[arg(long)]
    allow_remote: bool,
}

impl Listen {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let target = Target::new(&self.to, self.allow_remote)?;
        let client = self.remote.connect()?;
        let (mut traffic, of) = self.traffic(&client).await?;
        traffic.begin(&client).await?;
        note(&format!("Forwarding {of} to {target}; r and Enter send the last one again, Ctrl-C ends it."));
        let mut lines = typed();
        let (mut last, mut is_lost) = (None, false);
        loop {
            match traffic.next(&client).await {
                Ok(copies) => {
                    is_lost = false;
                    for copy in copies {
                        self.forward(&target, &copy).await?;
                        last = Some(copy);
                    }
                }
                Err(trouble) => lost(trouble, &mut is_lost)?,
            }
            tokio::select! {
                () = pause() => {}
                Some(line) = lines.recv() => match (line.trim(), &last) {
                    ("r", Some(copy)) => self.forward(&target, copy).await?,
                    ("r", None) => note("Nothing was forwarded yet."),
                    _ => note("r sends the last one again."),
                },
            }
        }
    }

    async fn traffic(&self, client: &Client) -> Result<(Traffic, String), Failure> {
        let filter = self.filter.clone();
        Ok(match (&self.source, &self.endpoint) {
            (Some(given), _) => {
                let id = SOURCES.id(client, given).await?;
                (Traffic::of_source(id, filter), format!("the source `{}`", clean(given)))
            }
            (None, Some(given)) => {
                let id = ENDPOINTS.id(client, given).await?;
                (Traffic::of_endpoints(Some(id), filter), format!("the endpoint `{}`", clean(given)))
            }
            (None, None) => (Traffic::of_endpoints(None, filter), "every endpoint's messages".to_owned()),
        })
    }

    async fn forward(&self, target: &Target, copy: &Copy) -> Result<(), Failure> {
        let answered = target.send(copy).await;
        let at = SystemClock.now().in_seconds();
        let types = copy.types.join(", ");
        if self.remote.json {
            let Answered { status, took_ms, error } = answered;
            return print_json_line(&json!({
                "at": at, "id": copy.id, "types": copy.types, "method": copy.method,
                "status": status, "duration_ms": took_ms, "error": error,
            }));
        }
        let end = match &answered.error {
            Some(error) => clean(error),
            None => format!("{} ms", answered.took_ms),
        };
        let code = answered.status.map(u64::from);
        print(&columns(&[vec![at, status(code), copy.method.clone(), clean(&types), copy.id.clone(), end]]))
    }
}

/// What is typed, a line at a time. The thread waits for the terminal, and ends
/// with the program.
fn typed() -> mpsc::Receiver<String> {
    let (line_typed, lines) = mpsc::channel(8);
    let reading = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line_typed.blocking_send(line).is_err() {
                return;
            }
        }
    };
    if thread::Builder::new().name("typed".to_owned()).spawn(reading).is_err() {
        note("What is typed cannot be read here.");
    }
    lines
}

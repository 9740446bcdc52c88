//! `hookyard bench`: publishes events to a running server and says how fast it
//! takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Failure;
use super::remote::{Client, Remote, Trouble};
use super::screen::{answer, bar, confirm};
use super::table::{columns, duration};

/// A server is measured, not filled.
const MOST_EVENTS: u64 = 1_000_000;

#[derive(clap::Args)]
#[command(
    after_help = "The events are stored and delivered like any other: to every endpoint that wants their type. Examples:
  hookyard bench
  hookyard bench --events 100000 --in-flight 64 --batch 100"
)]
pub(super) struct Bench {
    #[command(flatten)]
    remote: Remote,
    /// How many events
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=MOST_EVENTS))]
    events: u64,
    /// Calls at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=256))]
    in_flight: u64,
    /// Events in a call
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=500))]
    batch: u64,
    /// What they are called
    #[arg(long = "type", value_name = "TYPE", default_value = "hookyard.bench")]
    event_type: String,
    /// Bytes of data in each
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=65536))]
    size: u64,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What one caller has seen.
#[derive(Default)]
struct Seen {
    /// Of each call, in microseconds.
    latencies: Vec<u64>,
    published: u64,
    /// Refused to be asked again: too fast, or too much at once.
    put_off: u64,
}

impl Bench {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.connect()?;
        let endpoints = client.list(&["endpoints"], &[], usize::MAX).await?;
        if !endpoints.is_empty() {
            let (events, name, count) = (self.events, &self.event_type, endpoints.len());
            let question = format!(
                "Publish {events} events of type `{name}`, which go to all of the {count} endpoints that want it?"
            );
            confirm(&question, self.yes)?;
        }
        let began = Instant::now();
        let seen = self.publish(&client).await?;
        let took = began.elapsed();
        let report = report(seen, took);
        answer(&report, self.remote.json, text)
    }

    async fn publish(&self, client: &Client) -> Result<Seen, Failure> {
        let bar = bar(self.events, "published");
        let left = Arc::new(AtomicU64::new(self.events));
        let event = json!({"type": self.event_type, "data": {"padding": "x".repeat(usize::try_from(self.size)?)}});
        let mut callers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (client, left, event, bar) = (client.clone(), left.clone(), event.clone(), bar.clone());
            let batch = self.batch;
            callers.spawn(async move {
                let mut seen = Seen::default();
                while let Some(count) = take(&left, batch) {
                    call(&client, &event, count, &mut seen).await?;
                    bar.inc(count);
                }
                Ok::<Seen, Trouble>(seen)
            });
        }
        let mut all = Seen::default();
        while let Some(ended) = callers.join_next().await {
            let seen = ended??;
            all.latencies.extend(seen.latencies);
            all.published += seen.published;
            all.put_off += seen.put_off;
        }
        bar.finish_and_clear();
        Ok(all)
    }
}

/// How many the next call publishes; nothing when all are taken.
fn take(left: &AtomicU64, batch: u64) -> Option<u64> {
    let before =
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left > 0).then(|| left.saturating_sub(batch)));
    before.ok().map(|before| before.min(batch))
}

/// One call, made again while the server asks for that.
async fn call(client: &Client, event: &Value, count: u64, seen: &mut Seen) -> Result<(), Trouble> {
    let body = match count {
        1 => event.to_string(),
        count => Value::Array((0..count).map(|_| event.clone()).collect()).to_string(),
    };
    loop {
        let began = Instant::now();
        match client.publish(body.clone(), None).await {
            Ok(_) => {
                seen.latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                seen.published += count;
                return Ok(());
            }
            Err(Trouble::Problem(problem)) if matches!(problem.status, 429 | 503) => {
                seen.put_off += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

fn report(mut seen: Seen, took: Duration) -> Value {
    seen.latencies.sort_unstable();
    let at = |share: f64| {
        let last = seen.latencies.len().saturating_sub(1);
        seen.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
    };
    json!({
        "events": seen.published,
        "calls": seen.latencies.len(),
        "put_off": seen.put_off,
        "seconds": took.as_secs_f64(),
        "events_per_second": seen.published as f64 / took.as_secs_f64().max(0.001),
        "latency_us": {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)},
    })
}

fn text(report: &Value) -> String {
    let latency = |name: &str| duration(report["latency_us"][name].as_u64().unwrap_or(0));
    let number = |name: &str| report[name].as_f64().unwrap_or(0.0);
    let rows = [
        ("events", report["events"].to_string()),
        ("calls", report["calls"].to_string()),
        ("asked to wait", report["put_off"].to_string()),
        ("time", format!("{:.2} s", number("seconds"))),
        ("rate", format!("{:.0} events a second", number("events_per_second"))),
        ("a call, half", latency("p50")),
        ("a call, 95 %", latency("p95")),
        ("a call, 99 %", latency("p99")),
        ("a call, longest", latency("max")),
    ];
    columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_taken_once() {
        let left = AtomicU64::new(7);
        let taken: Vec<u64> = std::iter::from_fn(|| take(&left, 3)).collect();
        assert_eq!(taken, [3, 3, 1]);
    }

    #[test]
    fn a_report_has_the_slowest_call() {
        let seen = Seen { latencies: (1..=100).rev().collect(), published: 100, put_off: 0 };
        let report = report(seen, Duration::from_secs(2));
        assert_eq!(report["latency_us"], json!({"p50": 51, "p95": 95, "p99": 99, "max": 100}));
        assert_eq!(report["events_per_second"], 50.0);
    }
}

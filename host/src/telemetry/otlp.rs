//! Spans on their way to an OpenTelemetry collector: OTLP over HTTP, as JSON.
//!
//! Written by hand. Our spans are told when they are over, and their identifiers
//! follow from what they are of; of OpenTelemetry's crates that would leave the
//! encoding alone, and bring prost and an HTTP client that blocks a thread.
//!
//! Nothing waits for this: what finds no room, and what the collector does not
//! take, is dropped and counted. Nor does the end of the server, for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use url::Url;

use super::Chain;
use crate::domain::meter::Counter;
use crate::domain::trace::{Side, Span, TraceParent};

/// Spans that wait to be sent.
const WAITING: usize = 8192;
/// And how many are sent together.
const TOGETHER: usize = 512;
/// How long the first of them waits for others.
const LINGER: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(10);
/// What was told by the end is sent within this time or not at all: whoever stops
/// the server kills it soon, and a collector that hangs is no reason for that.
const LAST: Duration = Duration::from_secs(5);
/// A collector that takes nothing is complained of this often.
const COMPLAINS: Duration = Duration::from_secs(60);

/// Takes spans. Clones lead to the same collector, or to none.
#[derive(Clone, Default)]
pub struct Tracer {
    spans: Option<mpsc::Sender<Span>>,
    meters: Arc<Meters>,
}

/// What became of spans since the start.
#[derive(Default)]
pub struct Meters {
    pub exported: Counter,
    pub dropped: Counter,
}

/// Sends them.
pub struct Exporter {
    client: Client,
    url: Url,
    spans: mpsc::Receiver<Span>,
    /// What is sent together next.
    batch: Vec<Span>,
    meters: Arc<Meters>,
    complained: Option<Instant>,
}

/// The two ends, of which there is one only without a collector. `collector` is
/// what `/v1/traces` is put behind.
pub fn tracer(collector: Option<&Url>) -> Result<(Tracer, Option<Exporter>), reqwest::Error> {
    let Some(collector) = collector else { return Ok((Tracer::default(), None)) };
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .timeout(DEADLINE)
        .build()?;
    let mut url = collector.clone();
    url.set_path(&format!("{}/v1/traces", collector.path().trim_end_matches('/')));
    let (sender, spans) = mpsc::channel(WAITING);
    let meters = Arc::new(Meters::default());
    let tracer = Tracer { spans: Some(sender), meters: meters.clone() };
    let batch = Vec::with_capacity(TOGETHER);
    Ok((tracer, Some(Exporter { client, url, spans, batch, meters, complained: None })))
}

impl Tracer {
    /// Whether there is a collector, for which traces are begun.
    pub fn is_on(&self) -> bool {
        self.spans.is_some()
    }

    /// Whether the spans of a trace are wanted.
    pub fn wants(&self, trace: TraceParent) -> bool {
        self.is_on() && trace.is_sampled()
    }

    pub fn tell(&self, span: Span) {
        let Some(spans) = &self.spans else { return };
        if spans.try_send(span).is_err() {
            self.meters.dropped.add(1);
        }
    }

    pub fn meters(&self) -> &Meters {
        &self.meters
    }
}

impl Exporter {
    /// Sends until `stop` says true, and then what was told by then, if that is
    /// taken soon.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut asked = stop.clone();
        let out_of_time = async move {
            drop(asked.wait_for(|stop| *stop).await);
            tokio::time::sleep(LAST).await;
        };
        tokio::select! {
            () = self.send_all(stop) => {}
            () = out_of_time => {
                self.spans.close();
                self.lose(self.batch.len() + self.spans.len(), "the server stops and does not wait for it any longer");
            }
        }
    }

    async fn send_all(&mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let is_over = tokio::select! {
                told = self.spans.recv_many(&mut self.batch, TOGETHER) => told == 0,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            // With a batch there already, others are waiting behind it.
            if !is_over && self.batch.len() < TOGETHER {
                tokio::select! {
                    () = tokio::time::sleep(LINGER) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
            while !self.batch.is_empty() || is_over {
                while self.batch.len() < TOGETHER
                    && let Ok(span) = self.spans.try_recv()
                {
                    self.batch.push(span);
                }
                if self.batch.is_empty() {
                    return;
                }
                self.send().await;
                self.batch.clear();
            }
        }
    }

    async fn send(&mut self) {
        let body = request(&self.batch).to_string();
        let request = self.client.post(self.url.clone()).header("content-type", "application/json").body(body);
        let problem = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                self.meters.exported.add(self.batch.len() as u64);
                self.complained = None;
                return;
            }
            Ok(answer) => words(answer.status()),
            Err(error) => Chain(&error.without_url()).to_string(),
        };
        self.lose(self.batch.len(), &problem);
    }

    fn lose(&mut self, spans: usize, problem: &str) {
        self.meters.dropped.add(spans as u64);
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINS) {
            tracing::warn!(spans, problem, "the collector took no traces; they are dropped");
            self.complained = Some(Instant::now());
        }
    }
}

fn words(status: StatusCode) -> String {
    format!("it answered status {}", status.as_u16())
}

/// An `ExportTraceServiceRequest` in OTLP's JSON: identifiers in hexadecimal,
/// 64-bit numbers as text.
fn request(spans: &[Span]) -> Value {
    json!({
        "resourceSpans": [{
            "resource": {"attributes": [
                attribute("service.name", "hookyard"),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
            ]},
            "scopeSpans": [{
                "scope": {"name": "hookyard", "version": env!("CARGO_PKG_VERSION")},
                "spans": spans.iter().map(span).collect::<Value>(),
            }],
        }],
    })
}

fn span(span: &Span) -> Value {
    let began = i128::from(span.began.as_micros()) * 1000;
    let ended = began + i128::try_from(span.took.as_nanos()).unwrap_or(0);
    let side = match span.side {
        Side::Inside => 1,
        Side::Server => 2,
        Side::Client => 3,
    };
    let status = match &span.error {
        None => json!({"code": 1}),
        Some(error) => json!({"code": 2, "message": error}),
    };
    let mut view = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": side,
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": ended.to_string(),
        "attributes": span.fields.iter().map(|(key, value)| attribute(key, value)).collect::<Value>(),
        "status": status,
    });
    if let Some(parent) = span.parent {
        view["parentSpanId"] = json!(parent.to_string());
    }
    view
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

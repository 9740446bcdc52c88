//! `cargo bench --workspace --bench retention`: what publishing takes while old
//! rows are being removed, and while they lie there. One run, one database: first
//! with everything kept for ever, then with the old rows over their time.
//!
//! `HOOKYARD_BENCH_OLD` (events that are over their time, default 250000, each
//! with a delivery, a message and an attempt), `HOOKYARD_BENCH_RATE` (events a
//! second, default 200) and `HOOKYARD_BENCH_SECONDS` (of each phase, default 15).

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hookyard::clock::{Clock as _, SystemClock, mint};
use hookyard::domain::attempt::{Answer, Attempt};
use hookyard::domain::claim::ClaimToken;
use hookyard::domain::delivery::{Next, Outcome};
use hookyard::domain::event::Event;
use hookyard::domain::id::TenantId;
use hookyard::domain::message::{Message, Method};
use hookyard::domain::time::Timestamp;
use hookyard::store::Ledger as _;
use hookyard::store::ledger::{DeliveryQuery, FreshDelivery, Prepared, Recording, Settlement, Start};
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::{Api, HostProcess, TempDir, text};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Older than anything is kept.
const AGE: Duration = Duration::from_secs(40 * 24 * 60 * 60);
/// Publishers at once, for throughput.
const AT_ONCE: usize = 32;
const KEEP: [&str; 5] = [
    "HOOKYARD_KEEP_REQUESTS",
    "HOOKYARD_KEEP_EVENTS",
    "HOOKYARD_KEEP_ATTEMPTS",
    "HOOKYARD_KEEP_BODIES",
    "HOOKYARD_KEEP_ANSWERS",
];

const LOG: (&str, &str) = ("HOOKYARD_LOG", "hookyard::cli=info");

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let old = setting("HOOKYARD_BENCH_OLD", 250_000);
    let data = TempDir::new();
    let forever = KEEP.map(|name| (name, "forever"));
    // Answers and attempts would take rows away before their events go.
    let month = KEEP.map(|name| (name, "30d"));

    let host = HostProcess::start_with(data.path(), &[[LOG].as_slice(), &forever].concat()).await;
    let made = host.operator.post("/v1/tenants", json!({"name": "bench"})).await.expect(201);
    let (key, tenant) = (text(&made["key"]).to_owned(), text(&made["id"]).parse().expect("a tenant's id"));
    host.terminate().await;
    let started = Instant::now();
    fill(data.path(), tenant, old).await;
    println!("{old} old events, {} rows, written in {:.0} s", 4 * old, started.elapsed().as_secs_f64());

    println!("{:<22} {:>10} {:>10} {:>10} {:>14}", "", "p50 ms", "p99 ms", "p99 ratio", "events/s at most");
    let mut alone = None;
    for (name, variables) in [("old rows lie there", &forever), ("old rows are removed", &month)] {
        let before = left(data.path(), tenant).await;
        let host = HostProcess::start_with(data.path(), &[[LOG].as_slice(), variables].concat()).await;
        let api = Api::new(host.operator.base(), Some(&key));
        let started = Instant::now();
        let times = steady(&api).await;
        let most = flat_out(&api).await;
        let took = started.elapsed();
        host.terminate().await;
        let removed = before - left(data.path(), tenant).await;
        let p99 = at(&times, 0.99);
        let ratio = p99 / *alone.get_or_insert(p99);
        println!("{name:<22} {:>10.2} {p99:>10.2} {ratio:>10.2} {most:>14.0}", at(&times, 0.5));
        println!("{:<22} {removed} old events removed, {:.0} a second", "", removed as f64 / took.as_secs_f64());
    }
}

/// Old events that were delivered, each with all that belongs to it.
async fn fill(data: &std::path::Path, tenant: TenantId, count: u64) {
    let store = open(data).await;
    let first = Timestamp::from_millis(SystemClock.now().as_millis() - i64::try_from(AGE.as_millis()).unwrap_or(0));
    let mut writing = JoinSet::new();
    for n in 0..count {
        let store = store.clone();
        writing.spawn(async move { one(&store, tenant, first + Duration::from_millis(n)).await });
        if writing.len() >= 256 {
            writing.join_next().await.expect("there are some").expect("it does not panic");
        }
    }
    while let Some(written) = writing.join_next().await {
        written.expect("it does not panic");
    }
    store.close().await;
}

async fn open(data: &std::path::Path) -> Arc<SqliteStore> {
    let opened = SqliteStore::open(&data.join("hookyard.db"), Seal::new(MASTER_KEY)).await;
    Arc::new(opened.expect("the host has ended"))
}

async fn one(store: &SqliteStore, tenant: TenantId, when: Timestamp) {
    let data = json!({"padding": "x".repeat(400)}).to_string();
    let event = Arc::new(Event {
        id: mint(when),
        tenant,
        event_type: "a.b".parse().expect("a type"),
        occurred_at: when,
        received_at: when,
        deliver_at: None,
        subject: Some(format!("subject {}", when.as_millis() % 1000)),
        account: None,
        tags: Vec::new(),
        data: serde_json::value::RawValue::from_string(data.clone()).expect("JSON").into(),
        request_id: None,
        traceparent: None,
        data_gone_at: None,
    });
    let (delivery, token) = (mint(when), ClaimToken(1));
    let fresh = FreshDelivery {
        id: delivery,
        event: event.id,
        endpoint: mint(when),
        start: Start::Claimed { token, until: when },
        place: None,
        message: None,
        replay_of: None,
    };
    let recording = Recording {
        tenant,
        received: None,
        events: vec![event],
        deliveries: vec![fresh],
        idempotency: None,
        portion: None,
    };
    store.record(recording).await.expect("it is recorded");
    let message = Message { method: Method::Post, target: None, headers: Vec::new(), body: data.into() };
    let settlement = Settlement {
        tenant,
        delivery,
        token,
        has_line: false,
        prepared: Some(Prepared { steps: Vec::new(), message: Some(Arc::new(message)) }),
        attempt: Some(Attempt {
            id: mint(when),
            number: 1,
            started_at: when,
            duration: Duration::from_millis(3),
            url: "https://example.com/".to_owned(),
            signed_headers: Vec::new(),
            outcome: Outcome::Accepted { status: 200 },
            answer: Some(Answer { headers: Vec::new(), body: b"ok".to_vec(), cut: false }),
        }),
        next: Next::Delivered,
        health: None,
        now: when,
    };
    assert!(store.settle(settlement).await.expect("it is settled"));
}

/// Old deliveries that are there.
async fn left(data: &std::path::Path, tenant: TenantId) -> u64 {
    let store = open(data).await;
    let left = store.count_deliveries(tenant, DeliveryQuery::default()).await.expect("they can be counted");
    store.close().await;
    left
}

/// Milliseconds until the answer, of events that come at a steady rate; sorted.
async fn steady(api: &Api) -> Vec<f64> {
    let rate = u32::try_from(setting("HOOKYARD_BENCH_RATE", 200)).unwrap_or(200);
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (started, mut publishing, mut times) = (Instant::now(), JoinSet::new(), Vec::new());
    while started.elapsed() < phase() {
        let due = ticks.tick().await;
        let api = api.clone();
        publishing.spawn(async move {
            publish(&api).await;
            due.elapsed().as_secs_f64() * 1e3
        });
    }
    while let Some(time) = publishing.join_next().await {
        times.push(time.expect("it does not panic"));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Events a second, as fast as some publishers can.
async fn flat_out(api: &Api) -> f64 {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut publishing = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (api, stop, count) = (api.clone(), stop.clone(), count.clone());
        publishing.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                publish(&api).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let started = Instant::now();
    tokio::time::sleep(phase() / 2).await;
    let rate = count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while publishing.join_next().await.is_some() {}
    rate
}

fn phase() -> Duration {
    Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 15))
}

async fn publish(api: &Api) {
    api.publish(json!({"type": "a.b", "data": {"padding": "x".repeat(400)}})).await;
}

/// The percentile that is `share` of all.
fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

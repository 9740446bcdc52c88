//! What customers' code costs: from upload to use, after a restart, by call, by
//! the thousand, and in a shadow run.
//!
//! `cargo bench --workspace --bench plugins`; `HOOKYARD_BENCH_TENANTS`
//! (1000) says how many tenants have a plugin of their own.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookyard::domain::event::{Draft, Event};
use hookyard::domain::id::{EventId, TenantId};
use hookyard::domain::message::Message;
use hookyard::domain::pipeline::{Pipeline, Step};
use hookyard::domain::plugin::Job;
use hookyard::domain::time::Timestamp;
use hookyard::house;
use hookyard::sandbox::{EndpointJob, EndpointResult, Sandbox, SandboxSettings};
use hookyard_tests::{Api, Host, TempDir, build, text};
use serde_json::{Value, json};

/// Steps of each tenant.
const STEPS: usize = 10;
/// Events of the shadow run.
const EVENTS: u32 = 10_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let upload = upload_and_restart();
        Box::pin(upload).await;
        Box::pin(overhead()).await;
        Box::pin(shadow()).await;
        Box::pin(many()).await;
    });
}

/// A component of which there is no other: a custom section more.
fn unique(component: &[u8], number: usize) -> Vec<u8> {
    let name = format!("{number:08}");
    let mut unique = component.to_vec();
    unique.extend([
        0,
        u8::try_from(1 + name.len()).expect("it is short"),
        u8::try_from(name.len()).expect("it is short"),
    ]);
    unique.extend(name.as_bytes());
    unique
}

fn mapper() -> Value {
    json!({"rules": [{"to": "contact.phone", "from": "customer.phone", "convert": "phone"}, {"to": "id", "from": "id"}]})
}

fn order(number: u32) -> Value {
    json!({"type": "order.paid", "data": {"id": number, "customer": {"phone": "+1 202 555 1234"}, "note": "x".repeat(400)}})
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (work.await, started.elapsed())
}

async fn upload_and_restart() {
    let mut host = Host::start().await;
    let mut tenant = host.tenant("acme").await;
    let component = house::component("field-mapper").expect("it is embedded");
    let event = order(1);
    let form = json!({"steps": [{"plugin": "mine", "config": mapper()}], "event": event});
    let mut times = Vec::new();
    for number in 0..5 {
        let (_, took) = timed(async {
            tenant.post_bytes("/v1/plugins?name=mine", unique(component, number)).await.expect(201);
            tenant.post("/v1/try", form.clone()).await.expect(200);
        })
        .await;
        times.push(took);
    }
    report(&format!("upload of {} KiB to its first answer", component.len() >> 10), &mut times);

    let (mut first, mut second) = (Vec::new(), Vec::new());
    let stored = tenant.publish(event).await;
    for _ in 0..5 {
        let key = tenant.key().to_owned();
        host = host.restart().await;
        tenant = host.operator.with_key(Some(&key));
        // The connection and the store are warm, the plugin is not.
        tenant.get(&format!("/v1/events/{stored}")).await.expect(200);
        first.push(timed(tenant.post("/v1/try", form.clone())).await.1);
        second.push(timed(tenant.post("/v1/try", form.clone())).await.1);
    }
    report("first call after a restart, through the API", &mut first);
    report("second call after a restart, through the API", &mut second);
}

async fn overhead() {
    let data = TempDir::new();
    let sandbox = Sandbox::start(SandboxSettings {
        compiled_dir: data.path().to_owned(),
        compiler: build::hookyard().to_owned(),
        ..SandboxSettings::default()
    })
    .expect("the sandbox starts");
    let component = house::component("tag-filter").expect("it is embedded");
    let digest = sandbox.admit_own(component.into()).await.expect("it is admitted").digest;
    let config = r#"{"expression": "a"}"#.to_owned();
    let step = Step::new("tag-filter".parse().expect("a name"), 1, digest, Job::Filter, config);
    let pipeline = Pipeline { steps: vec![step] };
    let event = Arc::new(event());
    let message = || Message::with_type("application/json", "{}");
    let job = || EndpointJob::new(event.tenant, pipeline.clone(), event.clone(), message());
    let mut times = Vec::new();
    for _ in 0..60 {
        let jobs: Vec<EndpointJob> = std::iter::repeat_with(job).take(500).collect();
        let (runs, took) = timed(sandbox.run_endpoints(jobs)).await;
        assert!(runs.iter().all(|run| matches!(run.result, EndpointResult::Send(_))));
        times.push(took / 500);
    }
    report("a fresh call of tag-filter, whole (host, instance and guest)", &mut times);
}

fn event() -> Event {
    let at = Timestamp::from_millis(1_795_249_800_000);
    let draft = Draft {
        event_type: "order.paid".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: vec!["a".to_owned()],
        data: serde_json::value::to_raw_value(&order(1)["data"]).expect("JSON").into(),
    };
    draft.into_event(EventId::floor(at), TenantId::floor(at), at, None)
}

async fn shadow() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    // Nothing is sent meanwhile.
    let step = json!([{"plugin": "field-mapper", "config": mapper()}]);
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"steps": step})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    for batch in 0..EVENTS / 500 {
        let events: Vec<Value> = (0..500).map(|n| order(batch * 500 + n)).collect();
        tenant.post("/v1/events", json!(events)).await.expect(202);
    }
    let mut other = mapper();
    other["rules"][1]["to"] = json!("number");
    let form = json!({"steps": [{"plugin": "field-mapper", "config": other}], "last": EVENTS});
    let mut times = Vec::new();
    for _ in 0..5 {
        let (found, took) = timed(tenant.post(&format!("{path}/shadow"), form.clone())).await;
        let found = found.expect(200);
        assert_eq!((&found["changed"], &found["complete"]), (&json!(EVENTS), &json!(true)));
        times.push(took);
    }
    report(&format!("shadow of {EVENTS} events, field-mapper beside field-mapper"), &mut times);
}

async fn many() {
    let tenants = std::env::var("HOOKYARD_BENCH_TENANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let host = Host::start().await;
    let component = build::hostile();
    let mut all: Vec<Api> = Vec::new();
    let before = resident();
    let (_, took) = timed(async {
        for number in 0..tenants {
            let tenant = host.tenant(&format!("tenant {number}")).await;
            tenant.post_bytes("/v1/plugins?name=mine", unique(&component, number)).await.expect(201);
            for at in 0..STEPS {
                let more = json!({"name": format!("{at}"), "steps": [{"plugin": "mine", "config": {"do": "nothing"}}]});
                tenant.endpoint("http://127.0.0.1:4/", more).await;
            }
            all.push(tenant);
        }
    })
    .await;
    println!(
        "{tenants} tenants with a plugin of {} KiB and {STEPS} steps each: set up in {took:.0?}",
        component.len() >> 10
    );
    let form = json!({"steps": [{"plugin": "mine", "config": {"do": "nothing"}}], "event": order(1)});
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for tenant in &all {
        cold.push(timed(tenant.post("/v1/try", form.clone())).await.1);
        warm.push(timed(tenant.post("/v1/try", form.clone())).await.1);
    }
    report("a cold step's first call, through the API", &mut cold);
    report("the same step's second call", &mut warm);
    println!("resident: {} MiB before, {} MiB with {} steps", before >> 20, resident() >> 20, tenants * STEPS);
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:.2?}, p99 {:.2?}, worst {:.2?} of {}", at(0.5), at(0.99), at(1.0), times.len());
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says so");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has the line");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kib << 10
}

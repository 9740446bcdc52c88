//! The two tenants: one that does what tenants do, and one that does what it
//! can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookyard_tests::{Api, HostProcess, Receiver, build};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::latency::Latencies;

/// Between two of the victim's calls.
const PAUSE: Duration = Duration::from_millis(10);

/// What the hostile tenant's calls do, in turn.
const DEEDS: [&str; 6] = ["loop", "hoard", "log-flood", "grow", "recurse", "output"];

/// Calls its field-mapper at a steady rate.
pub(crate) struct Victim {
    api: Api,
    receiver: Receiver,
}

impl Victim {
    pub(crate) async fn settle(host: &HostProcess) -> Self {
        let api = host.tenant("victim").await;
        let receiver = Receiver::start().await;
        api.endpoint(&receiver.url(), json!({"steps": steps()})).await;
        Self { api, receiver }
    }

    /// What `POST /v1/try` takes, from when each call was due.
    pub(crate) async fn trials(&self, duration: Duration) -> Latencies {
        let mut calls = JoinSet::new();
        let mut ticks = interval(PAUSE);
        let started = Instant::now();
        while started.elapsed() < duration {
            let due = ticks.tick().await.into_std();
            let (api, form) = (self.api.clone(), json!({"steps": steps(), "event": event(0)}));
            calls.spawn(async move {
                let trial = api.post("/v1/try", form).await.expect(200);
                assert_eq!(trial["outcome"], "send", "{trial}");
                due.elapsed()
            });
        }
        Latencies::of(calls.join_all().await)
    }

    /// What an event takes from when it was to be published until its receiver
    /// has it.
    pub(crate) async fn deliveries(&mut self, duration: Duration) -> Latencies {
        let mut ticks = interval(PAUSE);
        let started = Instant::now();
        let mut published = Vec::new();
        let mut calls = JoinSet::new();
        let mut arrived = Vec::new();
        while started.elapsed() < duration {
            tokio::select! {
                biased;
                arrival = self.receiver.next() => arrived.push((number(&arrival.json()), Instant::now())),
                due = ticks.tick() => {
                    let (api, number) = (self.api.clone(), published.len());
                    published.push(due.into_std());
                    calls.spawn(async move { api.publish(event(number)).await });
                }
            }
        }
        while arrived.len() < published.len() {
            arrived.push((number(&self.receiver.next().await.json()), Instant::now()));
        }
        calls.join_all().await;
        Latencies::of(arrived.into_iter().map(|(number, at)| at - published[number]))
    }
}

fn steps() -> Value {
    json!([{"plugin": "field-mapper", "config": {"rules": [
        {"to": "number", "from": "number"},
        {"to": "phone", "from": "customer.phone", "convert": "phone"},
        {"to": "skus", "from": "items[].sku"},
    ]}}])
}

fn event(number: usize) -> Value {
    json!({"type": "order.paid", "data": {
        "number": number,
        "customer": {"phone": "+1 (202) 555-1234", "name": "Jane Smith"},
        "items": [{"sku": "A-1", "quantity": 2}, {"sku": "B-7", "quantity": 1}],
        "note": "Please leave the parcel with the neighbour at number fourteen if nobody opens the door.",
    }})
}

fn number(body: &Value) -> usize {
    body["number"].as_u64().and_then(|number| number.try_into().ok()).expect("each event has its number")
}

/// Calls runaway plugins.
pub(crate) struct Hostile(Api);

/// Under way until it is ended.
pub(crate) struct Raid {
    over: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    raiders: JoinSet<()>,
}

impl Hostile {
    pub(crate) async fn settle(host: &HostProcess) -> Self {
        let api = host.tenant("hostile").await;
        api.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
        Self(api)
    }

    /// Keeps `at_once` calls going.
    pub(crate) fn raid(&self, at_once: u64) -> Raid {
        let mut raid = Raid { over: Arc::default(), calls: Arc::default(), raiders: JoinSet::new() };
        for raider in 0..at_once {
            let (api, over, calls) = (self.0.clone(), raid.over.clone(), raid.calls.clone());
            raid.raiders.spawn(async move {
                for deed in DEEDS.iter().cycle().skip(raider as usize % DEEDS.len()) {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let steps = json!([{"plugin": "hostile", "config": {"do": deed}}]);
                    api.post("/v1/try", json!({"steps": steps, "event": event(0)})).await.expect(200);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        raid
    }
}

impl Raid {
    /// Lets the calls that are under way end; answers how many there were.
    pub(crate) async fn end(self) -> u64 {
        self.over.store(true, Ordering::SeqCst);
        self.raiders.join_all().await;
        self.calls.load(Ordering::SeqCst)
    }
}

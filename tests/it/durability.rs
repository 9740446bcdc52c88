//! What was acknowledged is delivered, whatever happens to the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookyard_tests::{Api, HostProcess, Receiver, TempDir};
use serde_json::json;
use tokio::task::JoinSet;

/// Kills in one run of the test; `tests/soak` does more.
const CYCLES: u32 = 5;
const PUBLISHERS: usize = 32;
/// Acknowledged before the kill comes, so that it comes under load.
const ACKNOWLEDGED_FIRST: usize = 300;

/// Publishes until the server is gone; answers what was acknowledged.
async fn publish_until_it_dies(tenant: Api, acknowledged: Arc<tokio::sync::Semaphore>) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let body = json!({"type": "a.b", "data": {"n": events.len(), "padding": "x".repeat(400)}});
        let request = tenant.request(reqwest::Method::POST, "/v1/events").body(body.to_string());
        let Ok(response) = request.send().await else { return events };
        let status = response.status();
        let Ok(bytes) = response.bytes().await else { return events };
        if status == 202 {
            let answer: serde_json::Value = serde_json::from_slice(&bytes).expect("a 202 is JSON");
            events.push(answer["id"].as_str().expect("an id").to_owned());
            acknowledged.add_permits(1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_event_is_delivered_after_kill_9_under_load() {
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let mut host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let mut acknowledged = BTreeSet::new();
    for _ in 0..CYCLES {
        let enough = Arc::new(tokio::sync::Semaphore::new(0));
        let api = Api::new(host.operator.base(), Some(tenant.key()));
        let mut publishers: JoinSet<_> =
            (0..PUBLISHERS).map(|_| publish_until_it_dies(api.clone(), enough.clone())).collect();
        let permits = enough.acquire_many(ACKNOWLEDGED_FIRST as u32).await.unwrap();
        drop(permits);
        host.kill().await;
        while let Some(events) = publishers.join_next().await {
            acknowledged.extend(events.expect("a publisher does not panic"));
        }
        host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    }
    assert!(acknowledged.len() >= ACKNOWLEDGED_FIRST * CYCLES as usize);

    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    while acknowledged.iter().any(|event| !times.contains_key(event)) {
        *times.entry(receiver.next().await.header("webhook-id").to_owned()).or_default() += 1;
    }
    // At least once: what was in flight at a kill comes again, and no more. An
    // endpoint has 64 in flight, and a settlement waits for its commit.
    let again: u32 = times.values().map(|times| times - 1).sum();
    assert!(again <= CYCLES * 512, "{again} duplicates");
    let tenant = Api::new(host.operator.base(), Some(tenant.key()));
    hookyard_tests::eventually("an end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending").await.expect(200);
        pending["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}

/// The control: a host that forgets loses events, and the check above notices.
/// Here the data directory is taken away instead of kept.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_data_a_host_has_lost_what_it_acknowledged() {
    let (data, empty) = (TempDir::new(), TempDir::new());
    let host = HostProcess::start(data.path()).await;
    let tenant = host.tenant("acme").await;
    // Paused: nothing can be delivered before the kill.
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    tenant.post(&format!("/v1/endpoints/{}/pause", endpoint["id"].as_str().unwrap()), json!({})).await.expect(200);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    host.kill().await;

    let other = HostProcess::start(empty.path()).await;
    let key = tenant.key().to_owned();
    Api::new(other.operator.base(), Some(&key)).get(&format!("/v1/events/{event}")).await.problem(401, "");
    let again = HostProcess::start(data.path()).await;
    let tenant = Api::new(again.operator.base(), Some(&key));
    tenant.get(&format!("/v1/events/{event}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_loses_nothing_and_cuts_no_answer_off() {
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let host = HostProcess::start_logging(data.path(), "hookyard=info").await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let stopping = Arc::new(AtomicBool::new(false));
    let mut publishers = JoinSet::new();
    let enough = Arc::new(tokio::sync::Semaphore::new(0));
    for _ in 0..8 {
        let (tenant, enough, stopping) = (tenant.clone(), enough.clone(), stopping.clone());
        publishers.spawn(async move {
            let mut events = Vec::new();
            loop {
                let request = tenant.request(reqwest::Method::POST, "/v1/events");
                match request.body(r#"{"type":"a.b","data":1}"#).send().await {
                    Ok(response) => {
                        assert_eq!(response.status(), 202);
                        let body = response.bytes().await.expect("an answer that began is whole");
                        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
                        events.push(answer["id"].as_str().unwrap().to_owned());
                        enough.add_permits(1);
                    }
                    Err(error) => {
                        assert!(stopping.load(Ordering::SeqCst), "refused before it was told to stop: {error}");
                        return events;
                    }
                }
            }
        });
    }
    drop(enough.acquire_many(200).await.unwrap());
    stopping.store(true, Ordering::SeqCst);
    let (ended_well, log) = host.terminate().await;
    assert!(ended_well, "{:?}", log.last());

    let mut acknowledged = BTreeSet::new();
    while let Some(events) = publishers.join_next().await {
        acknowledged.extend(events.expect("no answer is cut off"));
    }
    let _again = HostProcess::start(data.path()).await;
    let mut arrived = BTreeSet::new();
    while !acknowledged.is_subset(&arrived) {
        arrived.insert(receiver.next().await.header("webhook-id").to_owned());
    }
}

//! What was acknowledged is delivered, whatever happens to the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookyard_tests::load::Load;
use hookyard_tests::seed::Seed;
use hookyard_tests::{Api, HostProcess, Receiver, TempDir, eventually, figures, list, setting, text};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinSet;

/// Kills in one run of the test; `tests/soak` does more.
const CYCLES: u64 = 50;
const PUBLISHERS: usize = 32;
/// At most this many are acknowledged before a kill comes, so that it comes under
/// load, and at any moment of it.
const ACKNOWLEDGED_FIRST: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_event_is_delivered_after_kill_9_under_load() {
    let mut seed = Seed::given();
    let cycles = setting("HOOKYARD_CYCLES").unwrap_or(CYCLES);
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let mut host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let mut tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let (mut acknowledged, mut arrived) = (BTreeSet::new(), BTreeMap::new());
    for _ in 0..cycles {
        let load = Load::start(&tenant, PUBLISHERS, 400, || 0);
        load.acknowledged(1 + seed.below(ACKNOWLEDGED_FIRST) as u32).await;
        host.kill().await;
        acknowledged.extend(load.end().await.acknowledged.into_iter().map(|one| one.event));
        count(&mut receiver, &mut arrived);
        host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
        tenant = Api::new(host.operator.base(), Some(tenant.key()));
    }
    drained(&tenant).await;
    count(&mut receiver, &mut arrived);
    assert_eq!(lost(&acknowledged, &arrived), Vec::<&String>::new(), "of {} acknowledged", acknowledged.len());
    // At least once: what was in flight at a kill comes again, and no more. An
    // endpoint has 64 in flight, and a settlement waits for its commit.
    let again: u64 = arrived.values().map(|times| times - 1).sum();
    assert!(again <= cycles * 512, "{again} duplicates");
    figures(format_args!("{} acknowledged, 0 lost, {again} sent again, {cycles} kills", acknowledged.len()));
}

/// The control: had one delivery been lost in a crash, the check above would say
/// which.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_taken_out_of_the_file_is_noticed() {
    let data = TempDir::new();
    let mut receiver = Receiver::start().await;
    let host = HostProcess::start(data.path()).await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    // Paused: nothing is delivered before the kill.
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let mut acknowledged = BTreeSet::new();
    for n in 0..20 {
        acknowledged.insert(tenant.publish(json!({"type": "a.b", "data": n})).await);
    }
    host.kill().await;
    let unlucky = acknowledged.first().expect("there are twenty").clone();
    let mut database =
        SqliteConnectOptions::new().filename(data.path().join("hookyard.db")).connect().await.expect("it opens");
    let deleting = sqlx::query("DELETE FROM deliveries WHERE event_id = ?").bind(&unlucky).execute(&mut database);
    assert_eq!(deleting.await.expect("it is ours").rows_affected(), 1);
    database.close().await.expect("it closes");

    let again = HostProcess::start(data.path()).await;
    let tenant = Api::new(again.operator.base(), Some(tenant.key()));
    tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
    drained(&tenant).await;
    let mut arrived = BTreeMap::new();
    count(&mut receiver, &mut arrived);
    assert_eq!(lost(&acknowledged, &arrived), [&unlucky]);
}

fn lost<'a>(acknowledged: &'a BTreeSet<String>, arrived: &BTreeMap<String, u64>) -> Vec<&'a String> {
    acknowledged.iter().filter(|event| !arrived.contains_key(*event)).collect()
}

/// How often each event has come.
fn count(receiver: &mut Receiver, arrived: &mut BTreeMap<String, u64>) {
    for request in receiver.so_far() {
        *arrived.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
}

/// Nothing waits any more, and nothing is in a state that it cannot leave.
async fn drained(tenant: &Api) {
    eventually("an end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending").await.expect(200);
        list(&pending["items"]).is_empty().then_some(())
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

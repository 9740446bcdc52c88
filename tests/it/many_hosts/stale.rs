//! A host that was suspended while it had something to say, and says it too late.

use std::time::{Duration, Instant};

use hookyard_tests::{HostProcess, PATIENCE, Receiver, eventually, figures, list, setting, text};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::{Holding, at, claims_run_out, database, drained, host_on, routes_to};

const TOO_LATE: &str = "settled too late";

fn says_so(log: &[Value]) -> bool {
    log.iter().any(|line| line["message"].as_str().is_some_and(|message| message.starts_with(TOO_LATE)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_of_a_host_that_was_stopped_for_longer_than_its_claim_changes_nothing() {
    let database = database().await;
    let stale = HostProcess::start_on(database.url()).await;
    let mut receiver = Holding::start().await;
    let at_stale = stale.tenant("acme").await;
    at_stale.endpoint(receiver.url(), json!({})).await;
    let event = at_stale.publish(json!({"type": "a.b", "data": 1})).await;
    let first = receiver.next().await;
    assert_eq!(first.id, event);
    let other = host_on(&database).await;
    let tenant = at(&other.operator, &at_stale);
    stale.stop();

    claims_run_out(&database).await;
    let second = receiver.next().await;
    assert_eq!(second.id, event);
    assert!(second.answer(204));
    let delivered = tenant.delivery_in(&event, "delivered").await;
    assert_eq!(list(&delivered["attempts"]).len(), 1);

    // What it hears would have it tried again.
    stale.cont();
    assert!(first.answer(500), "it did not wait any more");
    let (ended_well, log) = stale.terminate().await;
    assert!(ended_well && says_so(&log), "{log:?}");
    let path = format!("/v1/deliveries/{}", text(&delivered["id"]));
    assert_eq!(tenant.get(&path).await.expect(200), delivered);
    assert!(receiver.another().is_none());
}

/// The control: whoever goes on in time is heard.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_of_a_host_that_was_stopped_for_less_than_its_claim_counts() {
    let database = database().await;
    let stopped = HostProcess::start_on(database.url()).await;
    let mut receiver = Holding::start().await;
    let at_stopped = stopped.tenant("acme").await;
    at_stopped.endpoint(receiver.url(), json!({"retry": {"schedule": []}})).await;
    let event = at_stopped.publish(json!({"type": "a.b", "data": 1})).await;
    let first = receiver.next().await;
    let other = host_on(&database).await;
    stopped.stop();
    stopped.cont();
    assert!(first.answer(500));
    let (ended_well, log) = stopped.terminate().await;
    assert!(ended_well && !says_so(&log), "{log:?}");
    at(&other.operator, &at_stopped).delivery_in(&event, "dead").await;
}

/// What it has locked in the database is locked for as long as its connection has a
/// transaction open, and nobody there can know that it will not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_stopped_in_a_transaction_is_in_others_way_for_a_short_time() {
    let database = database().await;
    let stopped = HostProcess::start_on(database.url()).await;
    let mut receiver = Receiver::start().await;
    let at_stopped = stopped.tenant("acme").await;
    let endpoint = at_stopped.endpoint(&receiver.url(), json!({"ordered": true})).await;
    let other = host_on(&database).await;
    let tenant = at(&other.operator, &at_stopped);
    routes_to(&tenant, &endpoint).await;
    // What it had been sending would be waited for, for as long as it is claimed.
    drained(&tenant).await;

    // It has a place in the line when it comes to write down the key.
    let mut holding = PgConnection::connect(database.url()).await.expect("it takes connections");
    let mut hold = holding.begin().await.expect("it takes connections");
    sqlx::query("LOCK TABLE idempotency IN SHARE MODE").execute(&mut *hold).await.expect("nobody writes to it");
    let publishing = tokio::spawn(async move {
        let request = at_stopped.request(Method::POST, "/v1/events").header("idempotency-key", "once");
        at_stopped.send(request.body(json!({"type": "a.b", "data": "stopped"}).to_string())).await
    });
    eventually("a host that waits", async || {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'idempotency'::regclass";
        (database.psql(waits).await == "1").then_some(())
    })
    .await;
    stopped.stop();
    hold.rollback().await.expect("it takes connections");
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state = 'idle in transaction'";
    eventually("a transaction that nobody goes on with", async || (database.psql(idle).await == "1").then_some(()))
        .await;

    let began = Instant::now();
    let event = eventually("an event that another takes in", async || {
        let answer = tenant.post("/v1/events", json!({"type": "a.b", "data": "other"})).await;
        assert!(matches!(answer.status.as_u16(), 202 | 503), "{answer:?}");
        answer.body["id"].as_str().map(str::to_owned)
    })
    .await;
    let waited = began.elapsed();
    while receiver.next().await.header("webhook-id") != event {}
    // And whoever goes on has to begin anew.
    stopped.cont();
    let answer = publishing.await.expect("nothing panics");
    assert!(matches!(answer.status.as_u16(), 202 | 503), "{answer:?}");
    if let Some(event) = answer.body["id"].as_str() {
        while receiver.next().await.header("webhook-id") != event {}
    }
    figures(format_args!("in others' way for {waited:.1?}"));
}

/// The same by the machine's clock. The claim is longer than an attempt may last: the
/// answer finds nobody, and it is this that the host tells too late.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: tests/soak runs it"]
async fn a_host_that_is_stopped_for_longer_than_its_claim_is_overtaken() {
    let rounds = setting("HOOKYARD_STOPS").unwrap_or(1);
    let database = database().await;
    let stale = HostProcess::start_on(database.url()).await;
    let mut receiver = Holding::start().await;
    let at_stale = stale.tenant("acme").await;
    at_stale.endpoint(receiver.url(), json!({"retry": {"schedule": [3600, 3600]}})).await;
    let other = HostProcess::start_on(database.url()).await;
    let tenant = at(&other.operator, &at_stale);
    let mut longest = Duration::ZERO;
    for n in 0..rounds {
        // Whoever is told of an event sends it, where it has a place free.
        let event = at_stale.publish(json!({"type": "a.b", "data": n})).await;
        let first = receiver.next().await;
        stale.stop();
        let began = Instant::now();
        let second = receiver.next_within(2 * PATIENCE).await;
        longest = longest.max(began.elapsed());
        assert_eq!((&first.id, &second.id), (&event, &event));
        assert!(second.answer(204));
        let delivered = tenant.delivery_in(&event, "delivered").await;
        stale.cont();
        let _nobody_may_hear_it = first.answer(500);
        eventually("a host that is counted again", async || {
            (at_stale.get("/v1/endpoints").await.status == 200).then_some(())
        })
        .await;
        let path = format!("/v1/deliveries/{}", text(&delivered["id"]));
        assert_eq!(tenant.get(&path).await.expect(200), delivered);
    }
    let (ended_well, log) = stale.terminate().await;
    assert!(ended_well && says_so(&log), "{log:?}");
    let all = tenant.get("/v1/deliveries?state=delivered").await.expect(200);
    assert_eq!(list(&all["items"]).len() as u64, rounds);
    figures(format_args!(
        "{rounds} stops, taken over after {:.1} s at most, 0 late settlements counted",
        longest.as_secs_f64()
    ));
}

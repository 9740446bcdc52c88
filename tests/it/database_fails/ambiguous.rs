//! The connection is lost while a transaction is committed: nobody can tell by that
//! whether it has happened.

use hookyard_tests::postgres::{Database, Lost, Relay, shared};
use hookyard_tests::{Api, HostProcess, Receiver, eventually, figures, list, setting, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::many_hosts::{claims_run_out, database, drained};

const BOTH: [Lost; 2] = [Lost::Reply, Lost::Request];

async fn with_key(tenant: &Api, key: &str) -> (u16, Value) {
    let request = tenant.request(Method::POST, "/v1/events").header("idempotency-key", key);
    let answer = tenant.send(request.body(json!({"type": "a.b", "data": key}).to_string())).await;
    (answer.status.as_u16(), answer.body["id"].clone())
}

/// Events and deliveries of them.
async fn stored(database: &Database) -> [String; 2] {
    [database.psql("SELECT count(*) FROM events").await, database.psql("SELECT count(*) FROM deliveries").await]
}

/// A host behind a relay, on a database of the shared cluster.
async fn behind(database: &Database) -> (Relay, HostProcess) {
    let relay = Relay::start(shared().await.address()).await;
    let host = HostProcess::start_on(&relay.url(database.name())).await;
    (relay, host)
}

/// The server is there all the time: the host finds out by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_publication_whose_commit_was_lost_is_stored_once_and_acknowledged() {
    let rounds = setting("HOOKYARD_LOSSES").unwrap_or(3);
    let database = database().await;
    let (relay, host) = behind(&database).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let mut published: usize = 0;
    for round in 0..rounds {
        for what in BOTH {
            let lost = relay.lost();
            relay.lose_commit_of(what, "INTO events");
            let event = match round % 2 {
                0 => tenant.publish(json!({"type": "a.b", "data": round})).await,
                _ => {
                    let key = format!("{what:?} {round}");
                    let (status, event) = with_key(&tenant, &key).await;
                    assert_eq!((status, with_key(&tenant, &key).await), (202, (202, event.clone())));
                    text(&event).to_owned()
                }
            };
            published += 1;
            assert_eq!(relay.lost(), lost + 1, "the control: a commit was lost");
            assert_eq!(receiver.next().await.header("webhook-id"), event);
            tenant.delivery_in(&event, "delivered").await;
            assert_eq!(stored(&database).await, [published.to_string(), published.to_string()], "{what:?}");
        }
    }
    assert!(receiver.so_far().is_empty());
    figures(format_args!("{} commits lost, each event there once and sent once", 2 * rounds));
}

/// The server stays away: the client is told to come again, and is given the same
/// event when it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_who_comes_again_with_its_key_is_told_what_became_of_the_first() {
    for what in BOTH {
        let database = database().await;
        let (relay, host) = behind(&database).await;
        let mut receiver = Receiver::start().await;
        let tenant = host.tenant("acme").await;
        tenant.endpoint(&receiver.url(), json!({})).await;
        // Both writers are connected; nobody gets in after them.
        let warm = published(&tenant, 8).await;
        drained(&tenant).await;
        receiver.so_far();
        relay.shut();
        relay.lose_commit_of(what, "INTO events");
        let (status, _) = with_key(&tenant, "once").await;
        assert_eq!((status, relay.lost()), (503, 1));
        let expected = warm + usize::from(what == Lost::Reply);
        assert_eq!(stored(&database).await, [expected.to_string(), expected.to_string()], "{what:?}: all or nothing");

        relay.open();
        let event = eventually("an answer to the same request", async || {
            let (status, event) = with_key(&tenant, "once").await;
            assert!(matches!(status, 202 | 503), "{status}");
            (status == 202).then(|| text(&event).to_owned())
        })
        .await;
        // Where it had happened, nobody knew who was to send it until its claim ran out.
        claims_run_out(&database).await;
        assert_eq!(receiver.next().await.header("webhook-id"), event);
        tenant.delivery_in(&event, "delivered").await;
        drained(&tenant).await;
        assert!(receiver.so_far().is_empty());
        assert_eq!(stored(&database).await, [(warm + 1).to_string(), (warm + 1).to_string()]);
    }
}

/// So many events at once, so that the writers have their connections.
async fn published(tenant: &Api, count: usize) -> usize {
    let mut publishing = tokio::task::JoinSet::new();
    for n in 0..count {
        let tenant = tenant.clone();
        publishing.spawn(async move { tenant.publish(json!({"type": "a.b", "data": n})).await });
    }
    publishing.join_all().await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_settlement_s_commit_was_lost_is_made_once_and_written_once() {
    let database = database().await;
    let (relay, host) = behind(&database).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [3600]}})).await;
    for (n, (what, answer, state)) in [
        (Lost::Reply, 204, "delivered"),
        (Lost::Request, 204, "delivered"),
        (Lost::Reply, 500, "pending"),
        (Lost::Request, 500, "pending"),
    ]
    .into_iter()
    .enumerate()
    {
        relay.lose_commit_of(what, "INTO attempts");
        receiver.answer(&[answer]);
        let event = tenant.publish(json!({"type": "a.b", "data": n})).await;
        assert_eq!(receiver.next().await.header("webhook-id"), event);
        eventually("the loss of a commit", async || (relay.lost() == n + 1).then_some(())).await;
        let delivery = eventually("a settled delivery", async || {
            let found = tenant.get(&format!("/v1/deliveries?event={event}&state={state}")).await.expect(200);
            found["items"].get(0).filter(|one| one["attempt_count"] == 1).cloned()
        })
        .await;
        let delivery = tenant.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).await.expect(200);
        assert_eq!(list(&delivery["attempts"]).len(), 1, "{what:?}: {delivery}");
        assert_eq!(delivery["attempts"][0]["status"], answer);
    }
    assert!(receiver.so_far().is_empty(), "an attempt was made again");
    // Nothing was told too late either.
    let (ended_well, log) = host.terminate().await;
    assert!(ended_well);
    let late = log.iter().filter(|line| line["message"].as_str().is_some_and(|said| said.contains("too late")));
    assert_eq!(late.count(), 0, "{log:?}");
}

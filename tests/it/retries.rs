//! Receivers that fail, and what becomes of their deliveries.

use std::time::Duration;

use axum::http::Response;
use hookyard_tests::{Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_retry_sends_the_same_bytes_with_a_fresh_signature() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let secret = endpoint["secret"].as_str().unwrap();
    receiver.answer(&[500, 503]);

    let event = tenant.publish(json!({"type": "a.b", "data": {"n": 1}})).await;

    let first = receiver.next().await;
    waiting(&tenant, &event, 1).await;
    host.clock.advance(MINUTE);
    let second = receiver.next().await;
    waiting(&tenant, &event, 2).await;
    host.clock.advance(10 * MINUTE);
    let third = receiver.next().await;
    for request in [&first, &second, &third] {
        assert_eq!(request.body, first.body);
        assert_eq!(request.header("webhook-id"), event);
        assert!(request.is_signed_with(secret));
    }
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    let delivery = tenant.delivery_in(&event, "delivered").await;
    let statuses: Vec<&Value> = delivery["attempts"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [500, 503, 204]);
}

#[tokio::test]
async fn a_retry_does_not_come_before_its_time() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [100]}})).await;
    receiver.answer(&[500]);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    receiver.next().await;
    let id = waiting(&tenant, &event, 1).await;

    // The jitter is a fifth at most, so 79 s are too early for certain. Another
    // event that goes through shows that the dispatcher has looked since.
    host.clock.advance(Duration::from_secs(79));
    tenant.publish(json!({"type": "a.b", "data": 2})).await;
    assert_ne!(receiver.next().await.header("webhook-id"), event);
    let delivery = tenant.get(&format!("/v1/deliveries/{id}")).await.expect(200);
    assert_eq!((&delivery["state"], &delivery["attempt_count"]), (&json!("pending"), &json!(1)));

    host.clock.advance(Duration::from_secs(42));
    assert_eq!(receiver.next().await.header("webhook-id"), event);
}

#[tokio::test]
async fn a_receiver_can_ask_for_more_time() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [1]}})).await;
    let later = Response::builder().status(429).header("retry-after", "3600").body(String::new()).unwrap();
    receiver.answer_with(later);

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    receiver.next().await;
    let id = waiting(&tenant, &event, 1).await;
    let delivery = tenant.get(&format!("/v1/deliveries/{id}")).await.expect(200);
    let due: jiff::Timestamp = delivery["next_attempt_at"].as_str().unwrap().parse().unwrap();
    let tried: jiff::Timestamp = delivery["attempts"][0]["started_at"].as_str().unwrap().parse().unwrap();
    assert!((3600..3660).contains(&(due.as_second() - tried.as_second())), "{delivery}");
}

#[tokio::test]
async fn a_delivery_that_failed_for_good_is_dead_until_it_is_retried_by_hand() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    receiver.answer(&[500]);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let dead = tenant.delivery_in(&event, "dead").await;
    assert!(dead["reason"].as_str().unwrap().contains("status 500"), "{dead}");
    receiver.next().await;

    let path = format!("/v1/deliveries/{}/retry", dead["id"].as_str().unwrap());
    tenant.post(&path, json!({})).await.expect(202);

    assert_eq!(receiver.next().await.header("webhook-id"), event);
    let delivery = tenant.delivery_in(&event, "delivered").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
    tenant.post(&path, json!({})).await.problem(409, "");
}

#[tokio::test]
async fn a_replay_makes_new_deliveries_as_sent_or_through_the_current_pipeline() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let constant = |n: u32| json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "v", "const": n}]}}]);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"steps": constant(1)})).await;
    let event = tenant.publish(json!({"type": "a.b", "data": {}})).await;
    assert_eq!(receiver.next().await.json(), json!({"v": 1}));
    let original = tenant.delivery_in(&event, "delivered").await;
    let path = format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap());
    tenant.patch(&path, json!({"steps": constant(2)})).await.expect(200);
    host.clock.advance(Duration::from_secs(1));

    let replay = |pipeline: &str, dry_run: bool| {
        let form = json!({"since": "2020-01-01T00:00:00Z", "until": original["updated_at"], "states": ["delivered"],
            "pipeline": pipeline, "dry_run": dry_run});
        let (tenant, path) = (tenant.clone(), format!("{path}/replay"));
        async move { tenant.post(&path, form).await.expect(202)["deliveries"].clone() }
    };
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(replay("as-sent", true).await, 1);
    assert!(receiver.so_far().is_empty());
    assert_eq!(replay("as-sent", false).await, 1);
    assert_eq!(receiver.next().await.json(), json!({"v": 1}));
    assert_eq!(replay("current", false).await, 1);
    let current = receiver.next().await;
    assert_eq!(current.json(), json!({"v": 2}));
    assert_eq!(current.header("webhook-id"), event);

    let all = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
    let replays = all["items"].as_array().unwrap().iter().filter(|one| one["replay_of"] == original["id"]);
    assert_eq!(replays.count(), 2);
}

#[tokio::test]
async fn a_replay_is_watched_and_makes_each_delivery_once() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let other = host.tenant("other").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["*"]})).await;
    let mut ids = Vec::new();
    // More than one portion.
    for n in 0..5 {
        let of = |type_: &str| json!({"type": type_, "data": n});
        let events: Vec<_> = (0..99).map(|_| of("order.paid")).chain([of("user.new")]).collect();
        let answer = tenant.post("/v1/events", json!(events)).await.expect(202);
        ids.extend(list(&answer["ids"]).iter().map(|id| text(id).to_owned()));
    }
    let all_at_rest = || async {
        let open = tenant.get("/v1/deliveries?state=pending&limit=1").await.expect(200);
        list(&open["items"]).is_empty().then_some(())
    };
    eventually("the end of all", all_at_rest).await;
    assert_eq!(receiver.so_far().len(), 500);
    host.clock.advance(Duration::from_secs(1));
    let form = |dry_run: bool, types: &[&str]| {
        json!({"since": "2020-01-01T00:00:00Z", "states": ["delivered"], "types": types,
            "pipeline": "current", "dry_run": dry_run})
    };
    let replay_path = format!("/v1/endpoints/{}/replay", text(&endpoint["id"]));
    let counted = tenant.post(&replay_path, form(true, &["user.*"])).await.expect(202);
    assert_eq!((&counted["deliveries"], &counted["made"], &counted["id"]), (&json!(5), &json!(0), &json!(null)));
    tenant.post(&replay_path, form(false, &["a b"])).await.problem(422, "event_types[0]");

    let begun = tenant.post(&replay_path, form(false, &[])).await.expect(202);
    assert_eq!(begun["deliveries"], 500);
    let replay = format!("/v1/replays/{}", text(&begun["id"]));
    let done = eventually("the replay", async || {
        let replay = tenant.get(&replay).await.expect(200);
        (replay["state"] == "done").then_some(replay)
    })
    .await;
    assert_eq!((&done["made"], &done["endpoint_id"]), (&json!(500), &endpoint["id"]));
    let mut got = Vec::new();
    while got.len() < 500 {
        got.push(receiver.next().await.header("webhook-id").to_owned());
    }
    got.sort();
    ids.sort();
    assert_eq!(got, ids);
    eventually("the end of all", all_at_rest).await;
    assert!(receiver.so_far().is_empty());

    let listed = tenant.get(&format!("/v1/replays?endpoint={}", text(&endpoint["id"]))).await.expect(200);
    assert_eq!(list(&listed["items"])[0]["id"], begun["id"]);
    tenant.post(&format!("{replay}/cancel"), json!({})).await.problem(409, "");
    other.get(&replay).await.problem(404, "");
    other.post(&format!("{replay}/cancel"), json!({})).await.problem(404, "");
    assert!(list(&other.get("/v1/replays").await.expect(200)["items"]).is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_endpoint() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    receiver.answer(&[410]);

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    tenant.delivery_in(&event, "dead").await;
    let path = format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap());
    // It is disabled once the attempt was written down.
    let endpoint = eventually("the end of the endpoint", async || {
        let endpoint = tenant.get(&path).await.expect(200);
        (endpoint["state"] == "disabled").then_some(endpoint)
    })
    .await;
    assert!(text(&endpoint["reason"]).contains("410"), "{endpoint}");
    let next = tenant.publish(json!({"type": "a.b", "data": 2})).await;
    assert_eq!(tenant.get(&format!("/v1/deliveries?event={next}")).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_paused_endpoint_loses_nothing() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap());
    assert_eq!(tenant.post(&format!("{path}/pause"), json!({})).await.expect(200)["state"], "paused");

    let mut events = Vec::new();
    for n in 0..3 {
        events.push(tenant.publish(json!({"type": "a.b", "data": n})).await);
    }
    let held = tenant.get(&format!("/v1/deliveries?event={}", events[0])).await.expect(200);
    assert_eq!((&held["items"][0]["state"], &held["items"][0]["next_attempt_at"]), (&json!("pending"), &Value::Null));
    host.clock.advance(10 * MINUTE);
    assert!(receiver.so_far().is_empty());

    tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
    let mut arrived = Vec::new();
    for _ in &events {
        arrived.push(receiver.next().await.header("webhook-id").to_owned());
    }
    arrived.sort();
    events.sort();
    assert_eq!(arrived, events);
}

#[tokio::test]
async fn what_was_held_for_an_endpoint_that_is_deleted_is_cancelled() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap());
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let held = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    tenant.delete(&path).await.expect(204);

    let delivery = tenant.delivery_in(&held, "cancelled").await;
    assert!(delivery["reason"].as_str().unwrap().contains("deleted"), "{delivery}");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_rotated_secret_overlaps_and_then_signs_alone() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let old = endpoint["secret"].as_str().unwrap();
    let path = format!("/v1/endpoints/{}/rotate-secret", endpoint["id"].as_str().unwrap());
    tenant.post_bytes(&path, "").await.expect(200);
    let rotated = tenant.post(&path, json!({"overlap_seconds": 600})).await.expect(200);
    let new = rotated["secret"].as_str().unwrap();

    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let during = receiver.next().await;
    assert!(during.is_signed_with(old) && during.is_signed_with(new));

    host.clock.advance(11 * MINUTE);
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let after = receiver.next().await;
    assert!(!after.is_signed_with(old) && after.is_signed_with(new));
}

#[tokio::test]
async fn an_unreachable_receiver_is_tried_again_and_says_why() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let gone = Receiver::start().await.url();
    tenant.endpoint(&gone, json!({})).await;

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    let id = waiting(&tenant, &event, 1).await;
    let delivery = tenant.get(&format!("/v1/deliveries/{id}")).await.expect(200);
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("connect"), &Value::Null));
    assert!(attempt["error"].as_str().unwrap().contains("could not connect"), "{attempt}");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let mut elsewhere = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    let there = Response::builder().status(307).header("location", elsewhere.url()).body(String::new()).unwrap();
    receiver.answer_with(there);

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    let delivery = tenant.delivery_in(&event, "dead").await;
    assert_eq!(delivery["attempts"][0]["status"], 307);
    assert!(elsewhere.so_far().is_empty());
}

#[tokio::test]
async fn a_large_answer_is_cut_and_still_an_answer() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    receiver.answer_with(Response::new("x".repeat(1_000_000)));

    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;

    let delivery = tenant.delivery_in(&event, "delivered").await;
    let response = &delivery["attempts"][0]["response"];
    assert_eq!((response["body"].as_str().unwrap().len(), &response["cut"]), (16 * 1024, &json!(true)));
}

/// The delivery of `event`, once so many attempts have failed and been written
/// down: only then does turning the clock make it due.
async fn waiting(tenant: &hookyard_tests::Api, event: &str, attempts: u32) -> String {
    let path = format!("/v1/deliveries?event={event}&state=pending");
    hookyard_tests::eventually("a failed attempt", async || {
        let found = tenant.get(&path).await.expect(200)["items"].get(0).cloned()?;
        (found["attempt_count"] == attempts && found["next_attempt_at"].is_string())
            .then(|| found["id"].as_str().expect("an id").to_owned())
    })
    .await
}

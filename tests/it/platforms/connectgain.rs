//! ConnectGain: seventeen events, three headers, an optional given secret, a body
//! that survives `JSON.stringify`, one attempt, a log, a test event.

use hookyard_tests::{Host, Receiver, list, oracle, text};
use serde_json::{Value, json};

use super::{every_type_arrives, headers, is_signed_as, members};

const SECRET: &str = "your-hmac-secret";

#[tokio::test]
async fn seventeen_events_carry_three_headers_and_verify_by_both_recipes() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    // The fields are called what the page calls them.
    let form =
        json!({"name": "My Integration", "url": receiver.url(), "events": ["*"], "secret": SECRET, "is_active": true});
    let endpoint = tenant.post("/v1/endpoints", form).await.expect(201);
    assert_eq!((&endpoint["secret"], &endpoint["active"]), (&json!(SECRET), &json!(true)));

    let requests = every_type_arrives(&tenant, &mut receiver, "connectgain").await;

    assert_eq!(requests.len(), 17);
    for request in &requests {
        let body = request.json();
        assert_eq!(members(&body), ["event", "timestamp", "data"]);
        let at = text(&body["timestamp"]);
        assert_eq!(at.len(), "2024-01-15T10:30:00Z".len(), "{at}");
        assert_eq!(request.header("x-webhook-event"), body["event"]);
        assert_eq!(request.header("x-webhook-timestamp"), at);
        // The recipe in JavaScript: over the body, parsed and written again.
        is_signed_as("connectgain", SECRET, request).await;
    }
    // And the one in Python, over the raw body.
    let request = &requests[0];
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    let question =
        json!({"do": "verify", "library": "connectgain", "secret": SECRET, "headers": headers(request), "body": body});
    assert_eq!(oracle::python(question.clone()).await["valid"], true);
    let mut wrong = question;
    wrong["secret"] = json!("another");
    assert_eq!(oracle::python(wrong).await["valid"], false);
}

/// Data whose text JavaScript would write differently.
const AWKWARD: &str = r#"{ "b" : 1.0, "10": 2, "9": [1e2, -0, 1.10, 18446744073709551616, 1E400], "é": "\u00e9\/\u2028\ud83d\ude00\ud800",
    "a": {"x": 1, "x": 2, "": null, "01": 0}, "__proto__": {"y": 0.1e-6}, "big": 123456789012345678901234567890, "s": 5e-324 }"#;

#[tokio::test]
async fn the_body_is_what_json_stringify_prints_of_it() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"secret": SECRET})).await;

    tenant.post_bytes("/v1/events", format!(r#"{{"type":"deal.updated","data":{AWKWARD}}}"#)).await.expect(202);

    let request = receiver.next().await;
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    let printed = oracle::node(json!({"do": "stringify", "body": body})).await;
    assert_eq!(printed["text"], body);
    // And it is what was published, and not something shorter.
    let data = oracle::node(json!({"do": "stringify", "body": AWKWARD})).await;
    assert!(body.ends_with(&format!(r#","data":{}}}"#, text(&data["text"]))), "{body}");
    is_signed_as("connectgain", SECRET, &request).await;
}

#[tokio::test]
async fn numbers_are_printed_as_javascript_prints_them() {
    // A list of numbers that a linear congruence makes, in several notations.
    let mut seed: u64 = 7;
    let mut numbers = Vec::new();
    for _ in 0..3000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = f64::from_bits(seed);
        if bits.is_finite() {
            numbers.push(format!("{bits:e}"));
        }
        numbers.push(format!("{}.{:03}e{}", (seed >> 40) as i32 - 8_000_000, seed % 1000, (seed >> 33) % 60));
        numbers.push(seed.to_string());
    }
    let given = format!("[{}]", numbers.join(", "));
    let printed = oracle::node(json!({"do": "stringify", "body": given})).await;
    let ours = hookyard::domain::canonical::javascript(&given).expect("it is JSON");
    let theirs = text(&printed["text"]);
    for ((ours, theirs), given) in ours.split(',').zip(theirs.split(',')).zip(given.split(", ")) {
        assert_eq!(ours, theirs, "{given}");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    assert_eq!(endpoint["secret"], Value::Null);
    tenant.publish(json!({"type": "deal.created", "data": {}})).await;
    let request = receiver.next().await;
    assert!(request.headers.get("x-webhook-signature").is_none(), "{request:?}");
    assert_eq!(request.header("x-webhook-event"), "deal.created");
    // It can be given one later.
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/rotate-secret"), json!({})).await.problem(422, "secret");
    tenant.post(&format!("{path}/rotate-secret"), json!({"secret": SECRET})).await.expect(200);
    tenant.publish(json!({"type": "deal.created", "data": {}})).await;
    is_signed_as("connectgain", SECRET, &receiver.next().await).await;
}

#[tokio::test]
async fn an_inactive_webhook_is_not_called() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"is_active": false})).await;
    let event = tenant.publish(json!({"type": "deal.created", "data": {}})).await;
    let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    assert_eq!(explained["endpoints"][0]["reason"], "disabled");
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.patch(&path, json!({"is_active": true})).await.expect(200);
    tenant.publish(json!({"type": "deal.updated", "data": {}})).await;
    assert_eq!(receiver.next().await.json()["event"], "deal.updated");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn it_is_fired_once_and_logged_with_type_payload_status_body_and_error() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    receiver.answer_with(axum::http::Response::builder().status(500).body("boom".to_owned()).unwrap());

    let event = tenant.publish(json!({"type": "message.failed", "data": {"id": "1"}})).await;

    let request = receiver.next().await;
    let log = tenant.delivery_in(&event, "dead").await;
    assert_eq!(text(&log["message"]["body"]).as_bytes(), request.body);
    let attempts = list(&log["attempts"]);
    assert_eq!(attempts.len(), 1, "fire and forget");
    assert_eq!((&attempts[0]["status"], &attempts[0]["response"]["body"]), (&json!(500), &json!("boom")));
    assert_eq!(tenant.get(&format!("/v1/events/{event}")).await.expect(200)["type"], "message.failed");
}

#[tokio::test]
async fn a_test_event_arrives_signed() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let mut receiver = Receiver::start().await;
    let more = json!({"events": ["deal.stage.changed"], "secret": SECRET});
    let mut form = json!({"name": "a", "url": receiver.url()});
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let endpoint = tenant.post("/v1/endpoints", form).await.expect(201);
    tenant.post(&format!("/v1/endpoints/{}/test", text(&endpoint["id"])), json!({})).await.expect(202);
    let request = receiver.next().await;
    assert_eq!(request.json()["event"], "deal.stage.changed");
    is_signed_as("connectgain", SECRET, &request).await;
}

#[tokio::test]
async fn plain_http_is_advised_against() {
    let host = Host::start().await;
    let tenant = host.tenant_of("connectgain").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:8443/", json!({})).await;
    assert!(text(&endpoint["warnings"][0]).contains("http"), "{endpoint}");
}

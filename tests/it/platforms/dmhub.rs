//! DMHub: inbound and outbound webhooks, field mapping, signature, delivery log.

use std::time::Duration;

use hookyard_tests::{Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

use super::{every_type_arrives, is_signed_as, members};

/// The page's payload.
fn order() -> Value {
    json!({
        "event": "order.placed",
        "customer": {"phone": "+1 (202) 555-1234", "email": "customer@example.com", "name": "Jane Smith"},
        "data": {"order_id": "ORD-789", "total": 49.99, "items": []},
    })
}

/// The page's mapping: the phone is the contact's, the order is a tag and an
/// attribute, and an automation is triggered.
fn mapping() -> Value {
    json!({
        "type": {"from": "event"},
        "subject": {"from": "customer.phone", "convert": "phone"},
        "tags": [{"from": "data.order_id"}],
        "rules": [
            {"to": "contact.phone", "from": "customer.phone", "convert": "phone"},
            {"to": "attributes.order_id", "from": "data.order_id"},
        ],
        "also": [{
            "when": {"from": "event", "equals": "order.placed"},
            "type": {"const": "automation.triggered"},
            "subject": {"from": "customer.phone", "convert": "phone"},
            "rules": [{"to": "automation", "const": "order-thanks"}, {"to": "order_id", "from": "data.order_id"}],
        }],
    })
}

#[tokio::test]
async fn an_inbound_request_is_mapped_and_fires_an_automation() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    let (mut crm, mut automations) = (Receiver::start().await, Receiver::start().await);
    tenant.endpoint(&crm.url(), json!({"event_types": ["order.placed"]})).await;
    tenant.endpoint(&automations.url(), json!({"event_types": ["automation.triggered"]})).await;
    let steps = json!([{"plugin": "field-mapper", "config": mapping()}]);
    let source = tenant.post("/v1/sources", json!({"name": "orders", "steps": steps})).await.expect(201);
    let url = text(&source["url"]);
    let token = url.rsplit('/').next().unwrap();
    assert!(token.starts_with("wh_"), "{url}");

    // The page's own form of the URL.
    let receipt = tenant.post(&format!("/api/webhooks/inbound/{token}"), order()).await.expect(202);
    assert_eq!(list(&receipt["event_ids"]).len(), 2, "one request, two events");

    let mapped = crm.next().await.json();
    assert_eq!(mapped["data"], json!({"contact": {"phone": "+12025551234"}, "attributes": {"order_id": "ORD-789"}}));
    let fired = automations.next().await.json();
    assert_eq!(fired["event"], "automation.triggered");
    assert_eq!(fired["data"], json!({"automation": "order-thanks", "order_id": "ORD-789"}));
    let stored = tenant.get(&format!("/v1/events/{}", text(&receipt["event_ids"][0]))).await.expect(200);
    assert_eq!(stored["tags"], json!(["ORD-789"]));
    assert_eq!(stored["subject"], "+12025551234");
    // Another event of the same sender fires none.
    let mut other = order();
    other["event"] = json!("order.cancelled");
    let receipt = tenant.post(url, other).await.expect(202);
    assert_eq!(list(&receipt["event_ids"]).len(), 1);
}

#[tokio::test]
async fn outbound_events_are_signed_as_the_page_verifies() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    let mut receiver = Receiver::start().await;
    let more = json!({
        "event_types": ["conversation.created", "conversation.resolved", "message.sent", "contact.created"],
        "headers": {"X-Api-Key": "k1"},
    });
    let endpoint = tenant.endpoint(&receiver.url(), more).await;
    let secret = endpoint["secret"].as_str().expect("shown once");
    let shown = tenant.get(&format!("/v1/endpoints/{}", text(&endpoint["id"]))).await.expect(200);
    assert!(shown.get("secret").is_none(), "{shown}");

    let requests = every_type_arrives(&tenant, &mut receiver, "dmhub").await;
    assert_eq!(requests.len(), 4);
    for request in requests {
        is_signed_as("dmhub", secret, &request).await;
        assert_eq!(members(&request.json()), ["event", "timestamp", "data"]);
        assert_eq!(request.header("x-api-key"), "k1");
        assert_eq!((request.method.as_str(), request.header("content-type")), ("POST", "application/json"));
    }
}

#[tokio::test]
async fn a_failed_delivery_is_retried_three_times_with_growing_delays_and_logged() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    receiver.answer(&[500, 502, 503, 500]);

    let event = tenant.publish(json!({"type": "message.sent", "data": {"text": "hi"}})).await;

    let first = receiver.next().await;
    let mut delays = Vec::new();
    for attempt in 1..=3 {
        let path = format!("/v1/deliveries?event={event}");
        let (tried, next) = eventually("the next attempt is planned", async || {
            let delivery = tenant.get(&path).await.expect(200)["items"][0].clone();
            let waits = delivery["attempt_count"] == attempt && delivery["next_attempt_at"].is_string();
            let at = |field: &str| delivery[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            waits.then(|| (at("updated_at"), at("next_attempt_at")))
        })
        .await;
        delays.push(next.duration_since(tried).as_secs());
        host.clock.advance(Duration::from_secs(600));
        assert_eq!(receiver.next().await.body, first.body);
    }
    assert!(delays[0] * 2 < delays[1] && delays[1] * 2 < delays[2], "exponential: {delays:?}");

    let dead = tenant.delivery_in(&event, "dead").await;
    let attempts = list(&dead["attempts"]);
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [500, 502, 503, 500], "one attempt and three retries");
    assert_eq!(text(&dead["message"]["body"]).as_bytes(), first.body);
    assert!(attempts.iter().all(|attempt| attempt["response"].is_object()), "{dead}");
}

//! The product's main job, as the README tells it.

use hookyard_tests::{Host, Receiver};
use serde_json::{Value, json};

/// The request of the DMHub page.
fn order() -> Value {
    json!({
        "event": "order.placed",
        "customer": {"phone": "+1 (202) 555-1234", "email": "customer@example.com", "name": "Jane Smith"},
        "data": {"order_id": "ORD-789", "total": 49.99, "items": []},
    })
}

fn mapping() -> Value {
    json!({
        "type": {"from": "event"},
        "subject": {"from": "customer.phone", "convert": "phone"},
        "tags": [{"const": "paid"}, {"from": "data.order_id"}],
        "rules": [
            {"to": "contact.phone", "from": "customer.phone", "convert": "phone"},
            {"to": "attributes.order_id", "from": "data.order_id"},
            {"to": "attributes.total", "from": "data.total"},
        ],
    })
}

#[tokio::test]
async fn an_order_is_mapped_filtered_signed_and_delivered() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let steps = json!([{"plugin": "field-mapper", "config": mapping()}]);
    let source = tenant.post("/v1/sources", json!({"name": "orders", "steps": steps})).await.expect(201);
    let steps = json!([{"plugin": "tag-filter", "config": {"expression": "paid and not test"}}]);
    let more = json!({"event_types": ["order.*"], "steps": steps, "headers": {"X-Api-Key": "k1"}});
    let endpoint = tenant.endpoint(&receiver.url(), more).await;

    let receipt = tenant.post(source["url"].as_str().unwrap(), order()).await.expect(202);

    let request = receiver.next().await;
    let body = request.json();
    assert_eq!(body["type"], "order.placed");
    let data = json!({"contact": {"phone": "+12025551234"}, "attributes": {"order_id": "ORD-789", "total": 49.99}});
    assert_eq!(body["data"], data);
    assert!(request.is_signed_with(endpoint["secret"].as_str().unwrap()));
    assert_eq!(request.header("x-api-key"), "k1");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), receipt["event_ids"][0]);

    let event = receipt["event_ids"][0].as_str().unwrap();
    let delivery = tenant.delivery_in(event, "delivered").await;
    assert_eq!(delivery["steps"][0]["outcome"], "kept");
    assert_eq!(delivery["message"]["body"].as_str().unwrap().as_bytes(), request.body);
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("accepted"), &json!(204)));
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);

    let stored = tenant.get(&format!("/v1/events/{event}")).await.expect(200);
    assert_eq!(stored["tags"], json!(["paid", "ORD-789"]));
    assert_eq!(stored["subject"], "+12025551234");
    assert_eq!(stored["request_id"], receipt["request_id"]);
    let path = format!("/v1/requests/{}", receipt["request_id"].as_str().unwrap());
    let kept = tenant.get(&path).await.expect(200);
    assert_eq!(kept["body"], order().to_string());
    assert_eq!(kept["event_ids"], receipt["event_ids"]);
    assert_eq!(kept["steps"][0]["outcome"], "mapped");
}

#[tokio::test]
async fn a_filter_that_says_no_leaves_a_reason_and_sends_nothing() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let steps = json!([{"plugin": "tag-filter", "config": {"expression": "paid and not test"}}]);
    tenant.endpoint(&receiver.url(), json!({"steps": steps})).await;

    let event = tenant.publish(json!({"type": "order.paid", "data": {}, "tags": ["paid", "test"]})).await;

    let delivery = tenant.delivery_in(&event, "dropped").await;
    assert!(delivery["reason"].as_str().unwrap().contains("paid and not test"), "{delivery}");
    assert_eq!(delivery["attempts"], json!([]));
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_template_makes_a_chat_message() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let config = json!({"json": {"text": "Order {{ data.order.id }} for {{ event.subject }}", "total": "{{ data.order.total }}"}});
    let steps = json!([{"plugin": "template", "config": config}]);
    tenant.endpoint(&receiver.url(), json!({"steps": steps})).await;

    let data = json!({"order": {"id": "A \"7\"", "total": 12.5}});
    tenant.publish(json!({"type": "order.paid", "subject": "Jane", "data": data})).await;

    assert_eq!(receiver.next().await.json(), json!({"text": "Order A \"7\" for Jane", "total": 12.5}));
}

#[tokio::test]
async fn what_is_published_arrives_byte_for_byte() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let data = r#"{ "n": 18446744073709551616, "x":1.10, "a":1,"a":2, "u":"\u00e9" }"#;

    tenant.post_bytes("/v1/events", format!(r#"{{"type":"a.b","data":{data}}}"#)).await.expect(202);

    let body = String::from_utf8(receiver.next().await.body.to_vec()).unwrap();
    assert!(body.ends_with(&format!(r#","data":{data}}}"#)), "{body}");
}

#[tokio::test]
async fn each_endpoint_gets_what_it_selected() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receivers = Vec::new();
    for selection in [
        json!({"name": "by type", "event_types": ["order.*"]}),
        json!({"name": "by account", "accounts": ["acme-eu"]}),
        json!({"name": "by tag", "tags": ["vip", "gold"]}),
        json!({"name": "off", "active": false}),
    ] {
        let receiver = Receiver::start().await;
        tenant.endpoint(&receiver.url(), selection).await;
        receivers.push(receiver);
    }

    let one = tenant.publish(json!({"type": "order.paid", "data": 1, "account": "acme-us", "tags": ["gold"]})).await;
    let two = tenant.publish(json!({"type": "contact.created", "data": 2, "account": "acme-eu"})).await;

    for (at, event) in [(0, &one), (1, &two), (2, &one)] {
        assert_eq!(receivers[at].next().await.header("webhook-id"), event, "receiver {at}");
    }
    let count = |answer: Value| answer["items"].as_array().unwrap().len();
    assert_eq!(count(tenant.get(&format!("/v1/deliveries?event={one}")).await.expect(200)), 2);
    assert_eq!(count(tenant.get(&format!("/v1/deliveries?event={two}")).await.expect(200)), 1);
    assert!(receivers.iter_mut().all(|receiver| receiver.so_far().is_empty()));
}

#[tokio::test]
async fn a_request_that_a_mapper_refuses_is_kept_and_run_again() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let rule = |from: &str| {
        json!([{"plugin": "field-mapper", "config": {
            "type": {"const": "order.paid"}, "rules": [{"to": "id", "from": from, "required": true}],
        }}])
    };
    let source = json!({"name": "orders", "steps": rule("order.number")});
    let source = tenant.post("/v1/sources", source).await.expect(201);

    let receipt = tenant.post(source["url"].as_str().unwrap(), json!({"order": {"id": 7}})).await.expect(202);

    assert_eq!((&receipt["event_ids"], &receipt["state"]), (&json!([]), &json!("quarantined")));
    let request = format!("/v1/requests/{}", receipt["request_id"].as_str().unwrap());
    let kept = tenant.get(&request).await.expect(200);
    assert_eq!(kept["state"], "quarantined");
    assert!(kept["reason"].as_str().unwrap().contains("order.number"), "{kept}");
    let listed = tenant.get("/v1/requests?state=quarantined").await.expect(200);
    assert_eq!(listed["items"][0]["id"], receipt["request_id"]);

    let path = format!("/v1/sources/{}", source["id"].as_str().unwrap());
    tenant.patch(&path, json!({"steps": rule("order.id")})).await.expect(200);
    let again = tenant.post(&format!("{request}/rerun"), json!({})).await.expect(202);

    assert_eq!(receiver.next().await.json()["data"], json!({"id": 7}));
    let kept = tenant.get(&request).await.expect(200);
    assert_eq!((&kept["state"], &kept["event_ids"]), (&json!("accepted"), &again["event_ids"]));
    tenant.post(&format!("{request}/rerun"), json!({})).await.problem(409, "");
}

#[tokio::test]
async fn a_trial_says_what_production_then_does() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let rules =
        json!({"rules": [{"to": "order", "from": "id", "convert": "string"}, {"to": "kind", "from": "$event.type"}]});
    let steps = json!([
        {"plugin": "tag-filter", "config": {"expression": "paid"}},
        {"plugin": "field-mapper", "config": rules},
    ]);
    let event =
        json!({"type": "order.paid", "data": {"id": 7}, "tags": ["paid"], "occurred_at": "2026-11-21T08:30:00Z"});

    let trial = tenant.post("/v1/try", json!({"steps": steps, "event": event})).await.expect(200);
    assert!(receiver.so_far().is_empty());
    tenant.endpoint(&receiver.url(), json!({"steps": steps})).await;
    let id = tenant.publish(event).await;

    assert_eq!(trial["outcome"], "send");
    let sent = receiver.next().await;
    assert_eq!(trial["message"]["body"].as_str().unwrap().as_bytes(), sent.body);
    assert_eq!(sent.json(), json!({"order": "7", "kind": "order.paid"}));
    let delivery = tenant.delivery_in(&id, "delivered").await;
    for step in 0..2 {
        assert_eq!(trial["steps"][step]["fuel"], delivery["steps"][step]["fuel"], "fuel of step {step}");
    }

    let request = json!({"steps": [{"plugin": "field-mapper", "config": {
        "type": {"from": "$headers.x-kind"}, "rules": [{"to": "a", "from": "b"}, {"to": "q", "from": "$query.page"}]}}],
        "request": {"body": {"b": 1}, "headers": {"X-Kind": "a.b"}, "query": "page=2"}});
    let trial = tenant.post("/v1/try", request).await.expect(200);
    assert_eq!(trial["outcome"], "events");
    assert_eq!((&trial["events"][0]["type"], &trial["events"][0]["data"]), (&json!("a.b"), &json!({"a": 1, "q": "2"})));
}

#[tokio::test]
async fn json_is_json_whatever_its_sender_calls_it() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let steps = json!([{"plugin": "field-mapper", "config": mapping()}]);
    let source = tenant.post("/v1/sources", json!({"name": "orders", "steps": steps})).await.expect(201);
    // What `curl -d` says of everything.
    let request = tenant.request(reqwest::Method::POST, hookyard_tests::text(&source["url"])).body(order().to_string());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let receipt = tenant.send(request).await.expect(202);
    assert_eq!(receipt["event_ids"].as_array().map(Vec::len), Some(1), "{receipt}");
}

//! What charts, whoever is to look after something, and the operator are told.

use std::time::Duration;

use hookyard_tests::{Api, Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

/// All steps that are shown, added up.
fn sum(activity: &Value, name: &str) -> u64 {
    list(&activity["items"]).iter().map(|step| step[name].as_u64().expect("a number")).sum()
}

async fn settled(tenant: &Api, events: u64, attempts: u64) -> Value {
    eventually("the counts", async || {
        let activity = tenant.get("/v1/activity").await.expect(200);
        (sum(&activity, "events") == events && sum(&activity, "attempts") == attempts).then_some(activity)
    })
    .await
}

#[tokio::test]
async fn what_happened_is_counted_once_also_after_a_restart() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    receiver.answer(&[204, 500]);
    for number in 0..2 {
        let event = tenant.publish(json!({"type": "a.b", "data": number})).await;
        tenant.delivery_in(&event, if number == 0 { "delivered" } else { "dead" }).await;
    }
    let activity = settled(&tenant, 2, 2).await;
    assert_eq!((sum(&activity, "delivered"), sum(&activity, "dead"), sum(&activity, "dropped")), (1, 1, 0));
    assert_eq!(sum(&activity, "failed"), 1);
    assert_eq!(activity["step_seconds"], 300);
    let steps = list(&activity["items"]);
    assert!((288..=289).contains(&steps.len()), "a day in five minutes: {}", steps.len());
    let is_timed = |step: &&Value| step["p50_ms"].is_u64() && step["p95_ms"].is_u64();
    assert!(steps.iter().filter(is_timed).count() >= 1 && steps[0]["p50_ms"].is_null());

    let host = host.restart().await;
    let tenant = Api::new(host.operator.base(), Some(tenant.key()));
    let activity = settled(&tenant, 2, 2).await;
    assert_eq!((sum(&activity, "delivered"), sum(&activity, "dead")), (1, 1));
    let other = Api::new(host.operator.base(), Some(other.key()));
    settled(&other, 0, 0).await;
}

#[tokio::test]
async fn a_span_that_cannot_be_shown_is_refused_by_its_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let refused =
        async |query: &str, field: &str| tenant.get(&format!("/v1/activity?{query}")).await.problem(422, field);
    assert!(refused("step=60", "step").await.contains("a multiple of 300"));
    refused("step=0", "step").await;
    refused("step=99999900", "step").await;
    refused("since=yesterday", "since").await;
    refused("until=later", "until").await;
    refused("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since").await;
    let many = refused("since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z", "step").await;
    assert!(many.contains("at most 2000"), "{many}");
    let steps = tenant.get("/v1/activity?since=2026-01-01T00:10:00Z&until=2026-01-01T02:00:00Z&step=3600").await;
    let steps = steps.expect(200);
    let begins: Vec<&str> = list(&steps["items"]).iter().map(|step| text(&step["at"])).collect();
    assert_eq!(begins, ["2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z"]);
}

#[tokio::test]
async fn what_wants_attention_is_told_and_nothing_else() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    let quiet = tenant.get("/v1/attention").await.expect(200);
    let expected = json!({"count": 0, "since": quiet["dead"]["since"]});
    assert_eq!(quiet["dead"], expected);
    let lists = ["disabled_endpoints", "failing_endpoints", "open_circuits", "faulting_plugins"];
    assert!(lists.iter().all(|name| quiet[name] == json!([])), "{quiet}");

    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    // It is gone for good.
    receiver.answer(&[410]);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    tenant.delivery_in(&event, "dead").await;
    let source = tenant.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    tenant.post_bytes(text(&source["url"]), "no JSON").await.expect(202);
    let told = eventually("the endpoint's end", async || {
        let told = tenant.get("/v1/attention").await.expect(200);
        (told["disabled_endpoints"] != json!([])).then_some(told)
    })
    .await;
    assert_eq!((&told["dead"]["count"], &told["quarantined_requests"]["count"]), (&json!(1), &json!(1)));
    let disabled = &told["disabled_endpoints"][0];
    assert_eq!((&disabled["id"], &disabled["name"]), (&endpoint["id"], &endpoint["name"]));
    assert!(text(&disabled["reason"]).contains("410"), "{disabled}");
    // A day later it is old news.
    host.clock.advance(Duration::from_secs(25 * 60 * 60));
    assert_eq!(tenant.get("/v1/attention").await.expect(200)["dead"]["count"], 0);
    let his = other.get("/v1/attention").await.expect(200);
    assert_eq!((&his["dead"]["count"], &his["disabled_endpoints"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn a_receiver_that_fails_is_named_before_it_is_left_alone() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    receiver.answer(&[503]);
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    tenant.delivery_in(&event, "dead").await;
    let told = tenant.get("/v1/attention").await.expect(200);
    let failing = &told["failing_endpoints"][0];
    assert_eq!((&failing["id"], &failing["name"]), (&endpoint["id"], &endpoint["name"]));
    assert!(failing["failing_since"].is_string() && told["open_circuits"] == json!([]), "{told}");
    assert_eq!(other.get("/v1/attention").await.expect(200)["failing_endpoints"], json!([]));
    // Paused, it fails nobody.
    tenant.post(&format!("/v1/endpoints/{}/pause", text(&endpoint["id"])), json!({})).await.expect(200);
    assert_eq!(tenant.get("/v1/attention").await.expect(200)["failing_endpoints"], json!([]));
}

#[tokio::test]
async fn a_receiver_that_is_left_alone_is_named() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let failing = tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [1, 1, 1]}})).await;
    receiver.answer_by(|_| Some(axum::http::Response::builder().status(500).body(String::new()).expect("a status")));
    for number in 0..12 {
        tenant.publish(json!({"type": "a.b", "data": number})).await;
    }
    let told = eventually("an open circuit", async || {
        let told = tenant.get("/v1/attention").await.expect(200);
        (told["open_circuits"] != json!([])).then_some(told)
    })
    .await;
    let circuit = &told["open_circuits"][0];
    assert_eq!((&circuit["id"], &circuit["name"]), (&failing["id"], &failing["name"]));
    assert!(text(&circuit["until"]) > text(&circuit["failing_since"]), "{circuit}");
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_named_with_what_it_says() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    let step =
        json!({"plugin": "field-mapper", "config": {"rules": [{"to": "x", "from": "data.missing", "required": true}]}});
    tenant.endpoint(&receiver.url(), json!({"steps": [step]})).await;
    for number in 0..5 {
        let event = tenant.publish(json!({"type": "a.b", "data": {"number": number}})).await;
        tenant.delivery_in(&event, "dead").await;
    }
    let told = tenant.get("/v1/attention").await.expect(200);
    let plugin = &told["faulting_plugins"][0];
    assert_eq!((&plugin["name"], &plugin["failures"]), (&json!("field-mapper"), &json!(5)));
    assert!(text(&plugin["last_error"]).contains("missing"), "{plugin}");
    assert_eq!(told["dead"]["count"], 5);
    assert_eq!(other.get("/v1/attention").await.expect(200)["faulting_plugins"], json!([]));
}

#[tokio::test]
async fn the_operator_is_told_how_the_server_does() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    host.clock.advance(Duration::from_secs(100));
    let status = host.operator.get("/v1/operator/status").await.expect(200);
    assert_eq!((&status["version"], &status["tenants"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(1)));
    assert!(status["uptime_seconds"].as_u64().is_some_and(|seconds| seconds >= 100), "{status}");
    let database = &status["database"];
    assert_eq!((&database["kind"], &database["takes_writes"]), (&json!("sqlite"), &json!(true)));
    assert!(database["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{database}");
    assert_eq!((&status["queue"]["due"], &status["queue"]["oldest_due_seconds"]), (&json!(0), &Value::Null));
    let connections = &status["connections"];
    assert!(connections["held"].as_u64() >= Some(1) && connections["most"].as_u64() > Some(1), "{connections}");
    assert_eq!((list(&status["hosts"]).len(), &status["hosts"][0]["is_this"]), (1, &json!(true)));
    tenant.get("/v1/operator/status").await.problem(403, "");
}

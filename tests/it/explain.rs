//! Explanations: why an event did or did not arrive, for every row of the
//! platforms' troubleshooting tables.

use hookyard_tests::{Api, Host, Receiver, text};
use serde_json::{Value, json};

/// How one endpoint is explained.
async fn line(tenant: &Api, event: &str, endpoint: &Value) -> Value {
    let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    let lines = explained["endpoints"].as_array().expect("endpoints");
    lines.iter().find(|line| line["endpoint_id"] == endpoint["id"]).expect("every endpoint is explained").clone()
}

#[track_caller]
fn says(line: &Value, state: &str, reason: &str, words: &[&str], advice: &str) {
    assert_eq!((line["state"].as_str(), line["reason"].as_str()), (Some(state), Some(reason)), "{line}");
    let summary = line["summary"].as_str().expect("words");
    assert!(words.iter().all(|word| summary.contains(word)), "{line}");
    assert!(line["advice"].as_str().unwrap_or_default().contains(advice), "{line}");
    assert_eq!(line["advice"].is_null(), advice.is_empty(), "{line}");
}

#[tokio::test]
async fn each_endpoint_says_why_it_got_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    let make = async |name: &str, more: Value| {
        let mut form = json!({"name": name});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tenant.endpoint(&format!("{}/{name}", receiver.url()), form).await
    };
    let by_type = make("type", json!({"event_types": ["order.*"]})).await;
    let by_account = make("account", json!({"accounts": ["berlin"]})).await;
    let by_tag = make("tag", json!({"tags": ["vip", "booked"]})).await;
    let off = make("off", json!({"active": false})).await;
    let steps = json!([{"plugin": "tag-filter", "config": {"expression": "paid"}}]);
    let dropped = make("dropped", json!({"steps": steps})).await;
    let steps = json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "a", "from": "b", "required": true}]}}]);
    let failed = make("failed", json!({"steps": steps})).await;
    let paused = make("paused", json!({})).await;
    tenant.post(&format!("/v1/endpoints/{}/pause", text(&paused["id"])), json!({})).await.expect(200);
    let unverified = make("unverified", json!({"dialect": "dmtolead"})).await;

    let event = json!({"type": "contact.created", "data": {}, "account": "paris", "tags": ["new"]});
    let event = tenant.publish(event).await;
    let later = make("later", json!({})).await;
    tenant.delivery_in(&event, "dropped").await;
    tenant.delivery_in(&event, "dead").await;

    let line = async |endpoint: &Value| line(&tenant, &event, endpoint).await;
    says(&line(&by_type).await, "skipped", "type", &["order.*", "contact.created"], "Add contact.created");
    says(&line(&by_account).await, "skipped", "account", &["berlin", "paris"], "Add the account");
    says(&line(&by_tag).await, "skipped", "tag", &["vip, booked", "has new"], "Select one of the event's tags");
    says(&line(&off).await, "skipped", "disabled", &["switched off by its owner"], "`active`");
    says(&line(&dropped).await, "dropped", "step", &["step 1 (tag-filter)", "paid"], "change what the step keeps");
    says(&line(&failed).await, "dead", "step", &["Step 1 (field-mapper)", "b"], "Correct the step's");
    says(&line(&paused).await, "pending", "paused", &["held", "paused"], "Resume");
    says(&line(&unverified).await, "skipped", "unverified", &["not verified"], "verify the endpoint again");
    says(&line(&later).await, "skipped", "created-later", &["created later"], "Publish the event again");
    let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    assert!(text(&explained["summary"]).starts_with("Of 9 endpoints, "), "{explained}");
}

#[tokio::test]
async fn a_receivers_fault_is_told_with_a_cure() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (status, cure) in [
        (302, "Redirects are not followed"),
        (401, "secret"),
        (404, "URL"),
        (405, "POST"),
        (415, "JSON"),
        (429, "fewer"),
        (500, "log"),
    ] {
        let receiver = Receiver::start().await;
        receiver.answer(&[status]);
        let more =
            json!({"name": format!("{status}"), "event_types": [format!("e{status}")], "retry": {"schedule": []}});
        let endpoint = tenant.endpoint(&receiver.url(), more).await;
        let event = tenant.publish(json!({"type": format!("e{status}"), "data": {}})).await;
        tenant.delivery_in(&event, "dead").await;
        let line = line(&tenant, &event, &endpoint).await;
        says(&line, "dead", "receiver", &[&format!("status {status}")], cure);
    }
    // While there is another attempt to come.
    let receiver = Receiver::start().await;
    receiver.answer(&[503]);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["slow"]})).await;
    let event = tenant.publish(json!({"type": "slow", "data": {}})).await;
    let path = format!("/v1/deliveries?event={event}");
    hookyard_tests::eventually("it was tried", async || {
        let delivery = tenant.get(&path).await.expect(200)["items"][0].clone();
        (delivery["attempt_count"] == 1 && delivery["next_attempt_at"].is_string()).then_some(())
    })
    .await;
    says(&line(&tenant, &event, &endpoint).await, "pending", "retrying", &["status 503", "tried again at"], "log");
}

#[tokio::test]
async fn two_endpoints_with_one_url_are_warned_of_and_explained() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    let first = tenant.endpoint(&receiver.url(), json!({"name": "first"})).await;
    assert_eq!(first["warnings"], json!([]));
    let second = tenant.endpoint(&receiver.url(), json!({"name": "second"})).await;
    let warning = second["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("first") && warning.contains("same URL"), "{warning}");

    let event = tenant.publish(json!({"type": "a.b", "data": {}})).await;
    let path = format!("/v1/deliveries?event={event}&state=delivered");
    hookyard_tests::eventually("both got it", async || {
        (tenant.get(&path).await.expect(200)["items"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let said = line(&tenant, &event, &second).await;
    says(&said, "delivered", "delivered", &["at the first attempt", "“first” has the same URL"], "Delete one");
    // Alone, there is nothing to do.
    tenant.delete(&format!("/v1/endpoints/{}", text(&first["id"]))).await.expect(204);
    says(&line(&tenant, &event, &second).await, "delivered", "delivered", &["answered 204"], "");
}

#[tokio::test]
async fn an_event_is_explained_to_its_tenant_alone() {
    let host = Host::start().await;
    let (tenant, other) = (host.tenant("acme").await, host.tenant("other").await);
    let event = tenant.publish(json!({"type": "a.b", "data": {}})).await;
    let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    assert!(text(&explained["summary"]).contains("no endpoint"), "{explained}");
    other.get(&format!("/v1/events/{event}/explain")).await.problem(404, "");
}

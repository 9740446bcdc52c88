//! Steps without `state` and `http` are deterministic, found out by running them
//! again.

use std::collections::BTreeSet;
use std::time::Duration;

use hookyard_tests::{Api, Host, Receiver, build, list, text};
use serde_json::{Value, json};

/// What a delivery's pipeline came to and what it cost, but for the time.
async fn made(tenant: &Api, delivery: &Value) -> String {
    let path = format!("/v1/deliveries/{}", text(&delivery["id"]));
    let whole = tenant.get(&path).await.expect(200);
    let mut steps = list(&whole["steps"]).clone();
    for step in &mut steps {
        step["duration_us"].take();
    }
    json!([whole["message"], steps]).to_string()
}

#[tokio::test]
async fn a_step_without_effects_comes_to_the_same_whenever_it_is_run() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    let mut receiver = Receiver::start().await;
    // Clock, dice, a flooded log, much memory, and what came before the event.
    let hostile = |deed: &str| json!({"plugin": "hostile", "config": {"do": deed}});
    let steps = json!([hostile("log-flood"), hostile("grow"), hostile("clock"),
        {"plugin": "summary", "config": {"to": "summary", "types": ["message.sent"]}}]);
    let endpoint = json!({"event_types": ["message.sent"], "steps": steps});
    let endpoint = tenant.endpoint(&receiver.url(), endpoint).await;
    let said = |text: &str| json!({"type": "message.sent", "subject": "c1", "data": {"text": text}});
    tenant.publish(said("Is it paid?")).await;
    receiver.next().await;
    host.clock.advance(Duration::from_secs(1));
    let event = tenant.publish(said("It is.")).await;
    let sent = receiver.next().await.body;
    let original = tenant.delivery_in(&event, "delivered").await;

    let mut host = host;
    let mut tenant = tenant;
    for round in 0..20 {
        if round == 10 {
            host = host.restart().await;
            tenant = host.operator.with_key(Some(tenant.key()));
        }
        host.clock.advance(Duration::from_secs(1));
        let path = format!("/v1/endpoints/{}/replay", endpoint["id"].as_str().unwrap());
        let form = json!({"since": original["created_at"], "until": original["updated_at"], "states": ["delivered"],
            "pipeline": "current"});
        assert_eq!(tenant.post(&path, form).await.expect(202)["deliveries"], 1);
        assert_eq!(receiver.next().await.body, sent);
    }

    let path = format!("/v1/deliveries?event={event}&state=delivered&limit=100");
    let all = hookyard_tests::eventually("an end of every replay", async || {
        let found = tenant.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
        (found.len() == 21).then_some(found)
    });
    let mut outcomes = BTreeSet::new();
    for delivery in all.await {
        outcomes.insert(made(&tenant, &delivery).await);
    }
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    assert!(outcomes.first().unwrap().contains("\"fuel\":"), "{outcomes:?}");
}

//! What steps keep: theirs alone, within its quota, and no change is lost.

use hookyard_tests::{Host, Receiver, list};
use serde_json::{Value, json};

use super::{results, starts, step, tenant, tried};

fn counting() -> Value {
    json!([{"count": {"key": "seen"}}])
}

async fn counts(receiver: &mut Receiver, deliveries: usize) -> Vec<u64> {
    let mut counts = Vec::new();
    for _ in 0..deliveries {
        counts.push(receiver.next().await.json()[0].as_u64().expect("a count"));
    }
    counts.sort_unstable();
    counts
}

#[tokio::test]
async fn a_step_counts_across_deliveries_and_loses_none() {
    let host = Host::start().await;
    let (mut first, mut second, mut third) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let acme = tenant(&host, "acme").await;
    let other = tenant(&host, "other").await;
    let steps = json!({"steps": [step(counting(), &[])]});
    let endpoint = acme.endpoint(&first.url(), steps.clone()).await;
    acme.endpoint(&second.url(), steps.clone()).await;
    other.endpoint(&third.url(), steps).await;

    // All of them at once: four of a tenant's at a time meet each other.
    let events: Vec<Value> = (0..24).map(|n| json!({"type": "a.b", "data": n})).collect();
    acme.post("/v1/events", json!(events)).await.expect(202);
    assert_eq!(counts(&mut first, 24).await, (1..=24).collect::<Vec<u64>>());
    assert_eq!(counts(&mut second, 24).await, (1..=24).collect::<Vec<u64>>());
    other.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(counts(&mut third, 1).await, [1], "another tenant's");

    // It outlives the host, and another configuration of the step.
    let host = host.restart().await;
    let acme = host.operator.with_key(Some(acme.key()));
    let path = format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap());
    let more = json!([{"count": {"key": "seen"}}, {"get": {"key": "seen"}}]);
    acme.patch(&path, json!({"steps": [step(more, &[])]})).await.expect(200);
    acme.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(first.next().await.json()[0], 25);

    // A new endpoint begins anew.
    acme.delete(&path).await.expect(204);
    acme.endpoint(&first.url(), json!({"name": "anew", "steps": [step(counting(), &[])]})).await;
    acme.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(counts(&mut first, 1).await, [1]);
}

#[tokio::test]
async fn a_sources_steps_keep_their_own() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let source = json!({"name": "s", "event_type": "a.b", "steps": [step(counting(), &[])]});
    let source = acme.post("/v1/sources", source).await.expect(201);
    for expected in ["[1]", "[2]"] {
        let taken = acme.post(source["url"].as_str().unwrap(), json!({})).await.expect(202);
        let path = format!("/v1/requests/{}", taken["request_id"].as_str().unwrap());
        let request = acme.get(&path).await.expect(200);
        assert_eq!(request["steps"][0]["reason"], expected, "{request}");
    }
}

#[tokio::test]
async fn a_change_that_expects_something_else_conflicts() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let put = |value: &str, expected: Value| json!({"put": {"key": "k", "value": value, "expected": expected}});
    let get = json!({"get": {"key": "k"}});
    let deeds = json!([
        put("a", json!(1)), put("a", json!(0)), put("b", json!(0)), put("b", json!(1)), get,
        {"delete": {"key": "k", "expected": 1}}, {"delete": {"key": "k", "expected": 2}}, get, put("c", json!(0)),
    ]);
    let expected = json!(["Conflict", 1, "Conflict", 2, ["b", 2], "Conflict", null, null, 3]);
    // In a preview and in production alike.
    assert_eq!(json!(tried(&acme, deeds.clone(), &[]).await), expected);
    let mut receiver = Receiver::start().await;
    acme.endpoint(&receiver.url(), json!({"steps": [step(deeds, &[])]})).await;
    acme.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(receiver.next().await.json(), expected);
}

#[tokio::test]
async fn a_step_keeps_little_and_is_told_so() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let fill = |keys: u32, bytes: u32| json!([{"fill": {"keys": keys, "bytes": bytes}}]);
    let long = json!([{"get": {"key": "k".repeat(129)}}, {"get": {"key": ""}}]);
    let mut receiver = Receiver::start().await;
    for (deeds, done, words) in [
        (fill(64, 4096), json!(64), ""),
        (fill(65, 1), json!(64), "at most 64 keys"),
        (fill(1, 4097), json!(0), "at most 4096 bytes"),
    ] {
        let made = tried(&acme, deeds.clone(), &[]).await;
        let endpoint = acme.endpoint(&receiver.url(), json!({"steps": [step(deeds, &[])]})).await;
        acme.publish(json!({"type": "a.b", "data": 1})).await;
        let kept = receiver.next().await.json();
        assert_eq!(kept, json!(made), "a preview says what production does");
        assert_eq!(kept[0][0], done, "{kept}");
        assert!(kept[0][1].as_str().unwrap_or_default().contains(words), "{kept}");
        acme.delete(&format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap())).await.expect(204);
    }
    for said in tried(&acme, long, &[]).await {
        starts(&said, "Quota(\"a key has 1 to 128 bytes");
    }
    let many = vec![json!({"get": {"key": "k"}}); 130];
    let said = tried(&acme, json!(many), &[]).await;
    assert_eq!(said[127], Value::Null);
    starts(&said[128], "Quota(\"a call has at most 128 operations");
}

#[tokio::test]
async fn each_step_of_a_pipeline_keeps_its_own_and_a_preview_leaves_no_trace() {
    let host = Host::start().await;
    let acme = tenant(&host, "acme").await;
    let put = json!([{"put": {"key": "k", "value": "v"}}, {"get": {"key": "k"}}]);
    let get = json!([{"get": {"key": "k"}}]);
    let event = json!({"type": "a.b", "data": {}});
    let try_steps =
        async |steps: Value| results(&acme.post("/v1/try", json!({"steps": steps, "event": event})).await.expect(200));
    assert_eq!(try_steps(json!([step(put.clone(), &[])])).await[1], json!(["v", 1]), "it sees what it wrote");
    assert_eq!(try_steps(json!([step(put.clone(), &[]), step(get.clone(), &[])])).await, [Value::Null]);
    assert_eq!(try_steps(json!([step(get, &[])])).await, [Value::Null], "the next preview does not");

    let mut receiver = Receiver::start().await;
    acme.endpoint(&receiver.url(), json!({"steps": [step(counting(), &[]), step(counting(), &[])]})).await;
    for expected in [1, 2] {
        let event = acme.publish(json!({"type": "a.b", "data": 1})).await;
        assert_eq!(receiver.next().await.json(), json!([expected]));
        let delivery = acme.delivery_in(&event, "delivered").await;
        assert_eq!(list(&delivery["steps"]).len(), 2);
    }
}

//! What one host is told, all of them act on.

use std::time::Instant;

use hookyard_tests::{Api, Receiver, build, eventually, figures, list, text};
use serde_json::{Value, json};

use super::{at, database, host_on};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_made_at_one_host_gets_what_is_published_at_another() {
    let (shared, own) = (database().await, database().await);
    let (a, b, stranger) = (host_on(&shared).await, host_on(&shared).await, host_on(&own).await);
    let mut receiver = Receiver::start().await;
    let at_a = a.tenant("acme").await;
    let endpoint = at_a.endpoint(&receiver.url(), json!({})).await;
    let made = Instant::now();
    let at_b = at(&b.operator, &at_a);
    let event = eventually("a delivery of another host's event", async || {
        let event = published(&at_b).await?;
        let deliveries = at_b.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
        (!list(&deliveries["items"]).is_empty()).then_some(event)
    })
    .await;
    let known = made.elapsed();
    while receiver.next().await.header("webhook-id") != event {}
    at_a.delivery_to(&event, text(&endpoint["id"]), "delivered").await;

    // Each answers the same, whoever was asked before.
    let paths = ["/v1/events", "/v1/deliveries", "/v1/endpoints", "/v1/keys"].map(str::to_owned);
    for path in paths.into_iter().chain([format!("/v1/events/{event}"), format!("/v1/events/{event}/explain")]) {
        let [one, other] = [at_a.get(&path).await.expect(200), at_b.get(&path).await.expect(200)];
        assert_eq!(without_what_passes(one), without_what_passes(other), "{path}");
    }
    // The control: whoever does not have the database knows nothing of it.
    at(&stranger.operator, &at_a).get("/v1/events").await.problem(401, "");
    figures(format_args!("another host knew of a tenant and its endpoint after {} ms", known.as_millis()));
}

/// An event's id, once the host knows the tenant's key.
async fn published(tenant: &Api) -> Option<String> {
    let answer = tenant.post("/v1/events", json!({"type": "a.b", "data": 1})).await;
    assert!(matches!(answer.status.as_u16(), 202 | 401), "{answer:?}");
    answer.body["id"].as_str().map(str::to_owned)
}

/// When a key was last used is written down by each host after a while.
fn without_what_passes(mut answer: Value) -> Value {
    for item in answer["items"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        item.remove("last_used_at");
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_uploaded_at_one_host_runs_at_another() {
    let shared = database().await;
    let (a, b) = (host_on(&shared).await, host_on(&shared).await);
    let mut receiver = Receiver::start().await;
    let at_a = a.tenant("acme").await;
    let at_b = at(&b.operator, &at_a);
    let form = |steps: Value| json!({"name": "mine", "url": receiver.url(), "event_types": ["*"], "steps": steps});
    let steps = json!([{"plugin": "mine", "version": 1, "config": {"do": "remember"}}]);
    eventually("a host that knows the tenant", async || (at_b.get("/v1/endpoints").await.status == 200).then_some(()))
        .await;
    // The control: nobody has it before.
    at_b.post("/v1/endpoints", form(steps.clone())).await.problem(422, "steps[0].plugin");

    let uploaded = at_a.post_bytes("/v1/plugins?name=mine", build::hostile()).await.expect(201);
    let made = Instant::now();
    eventually("an endpoint with another host's plugin", async || {
        let answer = at_b.post("/v1/endpoints", form(steps.clone())).await;
        (answer.status == 201).then_some(())
    })
    .await;
    let known = made.elapsed();
    assert_eq!(at_b.get("/v1/plugins/mine/versions/1").await.expect(200)["digest"], uploaded["digest"]);
    let event = at_b.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(receiver.next().await.json(), json!({"calls": 1}));
    let delivery = at_a.delivery_in(&event, "delivered").await;
    assert_eq!(delivery["steps"][0]["plugin"], "mine", "{delivery}");
    figures(format_args!("another host had the plugin after {} ms", known.as_millis()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_revoked_at_one_host_is_refused_at_another() {
    let shared = database().await;
    let (a, b) = (host_on(&shared).await, host_on(&shared).await);
    let at_a = a.tenant("acme").await;
    let made = at_a.post("/v1/keys", json!({"role": "publish"})).await.expect(201);
    let publisher = b.operator.with_key(made["key"].as_str());
    eventually("a host that knows the key", async || published(&publisher).await).await;

    at_a.delete(&format!("/v1/keys/{}", text(&made["id"]))).await.expect(204);
    let revoked = Instant::now();
    at_a.with_key(made["key"].as_str()).post("/v1/events", json!({"type": "a.b", "data": 1})).await.problem(401, "");
    eventually("a refusal by the other host", async || published(&publisher).await.is_none().then_some(())).await;
    figures(format_args!("another host refused a revoked key after {} ms", revoked.elapsed().as_millis()));
    // And the tenant's other key opens as before.
    at(&b.operator, &at_a).publish(json!({"type": "a.b", "data": 1})).await;
}

//! Nothing crosses from one tenant to another.

use hookyard_tests::{Api, Host, Receiver};
use reqwest::Method;
use serde_json::{Value, json};

/// Everything that a tenant can have, by the path it is at.
async fn things_of(tenant: &Api, receiver: &Receiver) -> Vec<String> {
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let source = tenant.post("/v1/sources", json!({"name": "s", "event_type": "a.b"})).await.expect(201);
    let receipt = tenant.post(source["url"].as_str().expect("text"), json!({"secret": "mine"})).await.expect(202);
    let event = receipt["event_ids"][0].as_str().expect("text");
    let delivery = tenant.delivery_in(event, "delivered").await;
    let component = hookyard_tests::build::hostile();
    tenant.post_bytes("/v1/plugins?name=mine", component).await.expect(201);
    let path = |kind: &str, value: &Value| format!("/v1/{kind}/{}", value.as_str().expect("text"));
    vec![
        path("endpoints", &endpoint["id"]),
        path("sources", &source["id"]),
        path("requests", &receipt["request_id"]),
        path("events", &receipt["event_ids"][0]),
        path("deliveries", &delivery["id"]),
        "/v1/plugins/mine".to_owned(),
        "/v1/plugins/mine/versions/1".to_owned(),
    ]
}

#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let owner = host.tenant("owner").await;
    let other = host.tenant("other").await;
    let things = things_of(&owner, &receiver).await;

    let mut calls: Vec<(Method, String)> = things.iter().map(|path| (Method::GET, path.clone())).collect();
    calls.extend(things[..2].iter().map(|path| (Method::PATCH, path.clone())));
    calls.extend([0, 1, 5].map(|at| (Method::DELETE, things[at].clone())));
    for action in ["pause", "resume", "rotate-secret"] {
        calls.push((Method::POST, format!("{}/{action}", things[0])));
    }
    calls.push((Method::POST, format!("{}/rerun", things[2])));
    calls.push((Method::POST, format!("{}/retry", things[4])));
    for (method, path) in calls {
        let request = other.request(method.clone(), &path).body("{}");
        let answer = other.send(request).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    let replay = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current"});
    other.post(&format!("{}/replay", things[0]), replay).await.problem(404, "");
    let steps = json!([{"plugin": "mine"}]);
    let form = json!({"name": "x", "url": receiver.url(), "event_types": ["*"], "steps": steps});
    other.post("/v1/endpoints", form).await.problem(422, "steps[0].plugin");

    for list in ["endpoints", "sources", "requests", "events", "deliveries"] {
        let items = other.get(&format!("/v1/{list}")).await.expect(200)["items"].clone();
        assert_eq!(items, json!([]), "{list}");
        // The control: its owner finds it there.
        let items = owner.get(&format!("/v1/{list}")).await.expect(200)["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 1, "{list}");
    }
    for path in &things {
        owner.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn a_foreign_id_in_a_filter_finds_nothing() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let owner = host.tenant("owner").await;
    let other = host.tenant("other").await;
    let things = things_of(&owner, &receiver).await;
    let id = |at: usize| things[at].rsplit('/').next().unwrap().to_owned();
    for path in [
        format!("/v1/deliveries?endpoint={}", id(0)),
        format!("/v1/deliveries?event={}", id(3)),
        format!("/v1/requests?source={}", id(1)),
        format!("/v1/deliveries?cursor={}", id(4)),
    ] {
        assert_eq!(other.get(&path).await.expect(200)["items"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_at_once() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let source = tenant.post("/v1/sources", json!({"name": "s", "event_type": "a.b"})).await.expect(201);
    tenant.publish(json!({"type": "a.b", "data": "control"})).await;
    assert_eq!(receiver.next().await.json()["data"], "control");
    let id = host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"].clone();

    host.operator.delete(&format!("/v1/tenants/{}", id.as_str().unwrap())).await.expect(204);

    tenant.get("/v1/endpoints").await.problem(401, "");
    tenant.post(source["url"].as_str().unwrap(), json!({})).await.problem(404, "");
    assert!(receiver.so_far().is_empty());
    host.tenant("acme").await;
}

//! One file per platform, each in the order of the platform's page: what the
//! page promises, Hookyard keeps. Receivers verify with the page's own recipe,
//! run by Node.

mod cloudevents;
mod connectgain;
mod dmchamp;
mod dmhub;
mod dmtolead;
mod docssmith;
mod every;
mod own;
mod secrets;
mod standard_webhooks;

use hookyard_tests::{Api, Arrived, oracle, text};
use serde_json::{Map, Value, json};

/// Whether the platform's recipe takes a request.
async fn recipe_takes(platform: &str, secret: &str, request: &Arrived) -> bool {
    let body = String::from_utf8(request.body.to_vec()).expect("JSON is text");
    let question = json!({"platform": platform, "secret": secret, "headers": headers(request), "body": body});
    oracle::node(question).await["valid"] == true
}

/// Whether it takes the request, and no other body and no other secret.
async fn is_signed_as(platform: &str, secret: &str, request: &Arrived) {
    assert!(recipe_takes(platform, secret, request).await, "{request:?}");
    assert!(!recipe_takes(platform, "another secret", request).await, "{request:?}");
    let mut changed = request.clone();
    changed.body = format!("{{\"a\":1,{}", &String::from_utf8_lossy(&request.body)[1..]).into();
    assert!(!recipe_takes(platform, secret, &changed).await, "{changed:?}");
}

fn headers(request: &Arrived) -> Map<String, Value> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    request.headers.iter().map(|(name, value)| (name.to_string(), Value::String(text(value)))).collect()
}

/// The names of an object's members, in their order.
fn members(body: &Value) -> Vec<&str> {
    body.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The dialect's catalogue, as the API lists it.
async fn types_of(tenant: &Api, dialect: &str) -> Vec<Value> {
    let dialect = tenant.get(&format!("/v1/dialects/{dialect}")).await.expect(200);
    dialect["events"].as_array().expect("events").clone()
}

/// Publishes the catalogue's own example of every type and answers what arrives
/// of each. Every schema holds for its example.
async fn every_type_arrives(tenant: &Api, receiver: &mut hookyard_tests::Receiver, dialect: &str) -> Vec<Arrived> {
    let mut arrived = Vec::new();
    for kind in types_of(tenant, dialect).await {
        let event_type = text(&kind["type"]);
        // The handshake's, which is no event.
        if event_type == "webhook.verify" {
            continue;
        }
        assert!(!text(&kind["name"]).is_empty() && !text(&kind["description"]).is_empty());
        // Turned on, so that a schema that its own example breaks is noticed.
        tenant
            .send(
                tenant
                    .request(reqwest::Method::PUT, &format!("/v1/event-types/{event_type}"))
                    .body(json!({"check": true}).to_string()),
            )
            .await
            .expect(200);
        tenant.publish(json!({"type": event_type, "data": kind["example"]})).await;
        let request = receiver.next().await;
        assert_eq!(request.json()["data"].is_null(), request.json()["payload"].is_object(), "{request:?}");
        arrived.push(request);
    }
    arrived
}

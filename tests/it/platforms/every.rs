//! What every platform's dialect does alike.

use std::time::Duration;

use axum::http::Response;
use hookyard_tests::{Api, Host, Receiver, list, text};
use serde_json::{Value, json};

use super::{is_signed_as, recipe_takes};

const PLATFORMS: [&str; 5] = ["dmhub", "dmtolead", "dmchamp", "docssmith", "connectgain"];

/// An endpoint whose receiver passes any handshake.
async fn endpoint(tenant: &Api, more: Value) -> (Receiver, Value) {
    let mut receiver = Receiver::start().await;
    receiver.answer_by(|request| {
        let json: Value = serde_json::from_slice(&request.body).ok()?;
        let answer = json!({"verifyToken": json["verifyToken"].as_str()?}).to_string();
        Response::builder().header("content-type", "application/json").body(answer).ok()
    });
    let endpoint = tenant.endpoint(&receiver.url(), more).await;
    assert_eq!(endpoint["state"], "active", "{endpoint}");
    receiver.so_far();
    (receiver, endpoint)
}

#[tokio::test]
async fn a_rotation_keeps_the_old_secret_while_it_overlaps() {
    let host = Host::start().await;
    for platform in PLATFORMS.into_iter().filter(|platform| *platform != "dmchamp") {
        let tenant = host.tenant_of(platform).await;
        let (mut receiver, endpoint) = endpoint(&tenant, json!({"secret": "the first one"})).await;
        let path = format!("/v1/endpoints/{}/rotate-secret", text(&endpoint["id"]));
        let event = json!({"type": "message.sent", "data": {}});

        // By default at once: the header has no room for two.
        tenant.post(&path, json!({"secret": "the second one"})).await.expect(200);
        tenant.publish(event.clone()).await;
        let request = receiver.next().await;
        is_signed_as(platform, "the second one", &request).await;
        assert!(!recipe_takes(platform, "the first one", &request).await);

        // With an overlap, the old one signs until its end.
        let form = json!({"overlap_seconds": 60, "secret": "the third one"});
        tenant.post(&path, form).await.expect(200);
        tenant.publish(event.clone()).await;
        is_signed_as(platform, "the second one", &receiver.next().await).await;
        host.clock.advance(Duration::from_secs(61));
        tenant.publish(event).await;
        is_signed_as(platform, "the third one", &receiver.next().await).await;
    }
}

#[tokio::test]
async fn a_test_event_arrives_in_the_platforms_form() {
    let host = Host::start().await;
    for platform in PLATFORMS {
        let tenant = host.tenant_of(platform).await;
        let (mut receiver, endpoint) = endpoint(&tenant, json!({})).await;
        let path = format!("/v1/endpoints/{}/test", text(&endpoint["id"]));
        let sent = tenant.post(&path, json!({})).await.expect(202);
        let body = receiver.next().await.json();
        let kinds = super::types_of(&tenant, platform).await;
        let kind = kinds.iter().find(|kind| kind["type"] == sent["type"]).expect("a type of the catalogue");
        assert_ne!(kind["type"], "webhook.verify");
        assert!([&body["event"], &body["type"]].contains(&&kind["wire_name"]), "{platform}: {body}");
        assert!([&body["data"], &body["payload"]].contains(&&kind["example"]), "{platform}: {body}");
        tenant.delivery_in(text(&sent["event_id"]), "delivered").await;
    }
}

#[tokio::test]
async fn an_event_is_explained_whatever_the_platform() {
    let host = Host::start().await;
    for platform in PLATFORMS {
        let tenant = host.tenant_of(platform).await;
        let kinds = super::types_of(&tenant, platform).await;
        let event_type = text(&kinds.last().expect("a type")["type"]).to_owned();
        let (receiver, wants) = endpoint(&tenant, json!({"name": "wants", "event_types": [event_type]})).await;
        let (_other, other) = endpoint(&tenant, json!({"name": "other", "event_types": ["something.else"]})).await;
        receiver.answer(&[404]);
        let event = tenant.publish(json!({"type": event_type, "data": {}})).await;
        let path = format!("/v1/deliveries?event={event}");
        hookyard_tests::eventually("it was tried", async || {
            let delivery = tenant.get(&path).await.expect(200)["items"][0].clone();
            (delivery["attempt_count"] == 1 && (delivery["state"] == "dead" || delivery["next_attempt_at"].is_string()))
                .then_some(())
        })
        .await;
        let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
        let line = |endpoint: &Value| {
            let lines = list(&explained["endpoints"]);
            lines.iter().find(|line| line["endpoint_id"] == endpoint["id"]).expect("it is explained").clone()
        };
        assert!(text(&line(&wants)["summary"]).contains("status 404"), "{platform}: {explained}");
        assert!(text(&line(&wants)["advice"]).contains("URL"), "{platform}: {explained}");
        assert_eq!(line(&other)["reason"], "type", "{platform}: {explained}");
    }
}

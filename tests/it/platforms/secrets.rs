//! Secrets in dialects other than Standard Webhooks.

use std::time::Duration;

use hookyard_tests::{Host, Receiver, text};
use serde_json::json;

use super::{is_signed_as, recipe_takes};

#[tokio::test]
async fn a_dialect_with_room_for_one_signature_keeps_the_old_secret_while_it_overlaps() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmhub").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}/rotate-secret", text(&endpoint["id"]));
    let first = text(&endpoint["secret"]);
    let event = json!({"type": "message.sent", "data": {}});

    // By default at once: there is no room for two.
    let rotated = tenant.post(&path, json!({})).await.expect(200);
    let second = text(&rotated["secret"]);
    tenant.publish(event.clone()).await;
    let request = receiver.next().await;
    is_signed_as("dmhub", second, &request).await;
    assert!(!recipe_takes("dmhub", first, &request).await);

    // With an overlap, the old one signs until its end.
    let rotated = tenant.post(&path, json!({"overlap_seconds": 60, "secret": "mine, from before"})).await.expect(200);
    assert_eq!(rotated["secret"], "mine, from before");
    tenant.publish(event.clone()).await;
    is_signed_as("dmhub", second, &receiver.next().await).await;
    host.clock.advance(Duration::from_secs(61));
    tenant.publish(event).await;
    is_signed_as("dmhub", "mine, from before", &receiver.next().await).await;
}

#[tokio::test]
async fn another_dialect_is_spoken_with_the_same_secret_or_not_at_all() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let (path, secret) = (format!("/v1/endpoints/{}", text(&endpoint["id"])), text(&endpoint["secret"]));
    // As it is written: its text is the key there.
    tenant.patch(&path, json!({"dialect": "dmhub"})).await.expect(200);
    tenant.publish(json!({"type": "message.sent", "data": {}})).await;
    is_signed_as("dmhub", secret, &receiver.next().await).await;
    tenant.post(&format!("{path}/rotate-secret"), json!({"secret": "plain text"})).await.expect(200);
    let said = tenant.patch(&path, json!({"dialect": "standard-webhooks"})).await.problem(422, "dialect");
    assert!(said.contains("rotate"), "{said}");
}

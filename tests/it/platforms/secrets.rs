//! Secrets when an endpoint changes its dialect.

use hookyard_tests::{Host, Receiver, text};
use serde_json::json;

use super::is_signed_as;

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

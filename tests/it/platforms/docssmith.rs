//! DocsSmith: `id`, `type`, `payload`; fifteen events; one header.

use hookyard_tests::{Host, Receiver, text};
use serde_json::json;

use super::{every_type_arrives, is_signed_as, members};

#[tokio::test]
async fn fifteen_events_are_enveloped_and_signed_as_the_page_says() {
    let host = Host::start().await;
    let tenant = host.tenant_of("docssmith").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;

    let requests = every_type_arrives(&tenant, &mut receiver, "docssmith").await;

    assert_eq!(requests.len(), 15);
    for request in requests {
        let body = request.json();
        assert_eq!(members(&body), ["id", "type", "payload"]);
        let (noun, verb) = text(&body["type"]).split_once('.').expect("a noun and a verb");
        assert!(["contact", "conversation", "message", "group", "attachment"].contains(&noun), "{body}");
        assert!(["created", "updated", "deleted"].contains(&verb), "{body}");
        assert!(!request.header("x-docssmith-demo2-signature").is_empty());
        is_signed_as("docssmith", text(&endpoint["secret"]), &request).await;
    }
}

#[tokio::test]
async fn a_retry_has_the_same_id() {
    let host = Host::start().await;
    let tenant = host.tenant_of("docssmith").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [1]}})).await;
    receiver.answer(&[500]);
    tenant.publish(json!({"type": "message.updated", "data": {"id": "SIuA"}})).await;
    let first = receiver.next().await;
    host.clock.advance(std::time::Duration::from_secs(3));
    let second = receiver.next().await;
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert!(first.json()["id"].as_str().unwrap().len() >= 16);
}

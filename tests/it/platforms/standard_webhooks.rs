//! Standard Webhooks, verified by the reference library.

use hookyard_tests::{Host, Receiver, oracle, text};
use serde_json::json;

use super::headers;

#[tokio::test]
async fn the_reference_library_verifies_what_is_sent() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    tenant.publish(json!({"type": "order.paid", "data": {"a": 1}})).await;
    let request = receiver.next().await;
    for library in ["standardwebhooks", "svix"] {
        let verify = |secret: &str, body: &str| {
            let mut fields = headers(&request);
            if library == "svix" {
                for name in ["id", "timestamp", "signature"] {
                    let value = fields[&format!("webhook-{name}")].clone();
                    fields.insert(format!("svix-{name}"), value);
                }
            }
            oracle::python(
                json!({"do": "verify", "library": library, "secret": secret, "headers": fields, "body": body}),
            )
        };
        let (secret, body) = (text(&endpoint["secret"]), String::from_utf8_lossy(&request.body));
        assert_eq!(verify(secret, &body).await["valid"], true, "{library}");
        assert_eq!(verify(secret, &format!("{body} ")).await["valid"], false, "{library}");
        assert_eq!(verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &body).await["valid"], false, "{library}");
    }
}

#[tokio::test]
async fn an_asymmetric_key_signs_v1a_and_its_public_half_verifies() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let keys = oracle::python(json!({"do": "ed25519-keys"})).await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"secret": keys["private"]})).await;
    assert_eq!(endpoint["public_key"], keys["public"]);
    let verifying = json!({"name": "b", "url": receiver.url(), "event_types": ["*"], "secret": keys["public"]});
    tenant.post("/v1/endpoints", verifying).await.problem(422, "secret");
    tenant.publish(json!({"type": "order.paid", "data": {}})).await;
    let request = receiver.next().await;
    assert!(request.header("webhook-signature").starts_with("v1a,"));
    let verify = |body: String| {
        let question = json!({
            "do": "verify", "library": "standardwebhooks-v1a", "secret": keys["public"],
            "headers": headers(&request), "body": body,
        });
        oracle::python(question)
    };
    let body = String::from_utf8_lossy(&request.body);
    assert_eq!(verify(body.to_string()).await["valid"], true);
    assert_eq!(verify(format!("{body} ")).await["valid"], false);
}

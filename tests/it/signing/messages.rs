//! HTTP message signatures (RFC 9421), verified by `http-message-signatures`.

use std::time::Duration;

use hookyard_tests::{Api, Arrived, Host, Receiver, oracle, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::{headers, keys};

/// What the library says of the signature with this label.
async fn verdict(algorithm: &str, key: &Value, key_id: &Value, label: &str, request: &Arrived) -> Value {
    let question = json!({
        "do": "verify", "library": "http-message-signatures", "algorithm": algorithm, "secret": key, "keyid": key_id,
        "label": label, "method": request.method, "url": request.uri.to_string(), "headers": headers(request),
        "body": String::from_utf8_lossy(&request.body),
    });
    oracle::python(question).await
}

async fn send(tenant: &Api, receiver: &mut Receiver) -> Arrived {
    tenant.publish(json!({"type": "order.paid", "data": {"a": 1}})).await;
    let mut request = receiver.next().await;
    request.uri = receiver.url().parse().expect("a URL");
    request
}

#[tokio::test]
async fn a_library_verifies_what_both_algorithms_sign_and_no_other_request() {
    let host = Host::start().await;
    let tenant = host.tenant_of("http-message-signatures").await;
    for (algorithm, name) in [("hmac-sha256", "a"), ("ed25519", "b")] {
        let mut receiver = Receiver::start().await;
        let form = json!({"name": name, "signature": algorithm, "headers": {"x-plain": "not covered"}});
        let endpoint = tenant.endpoint(&receiver.url(), form).await;
        let key = if algorithm == "ed25519" { &endpoint["public_key"] } else { &endpoint["secret"] };
        let request = send(&tenant, &mut receiver).await;
        let valid = async |changed: &Arrived| verdict(algorithm, key, &endpoint["key_id"], "sig1", changed).await;
        let said = valid(&request).await;
        assert_eq!(said["valid"], true, "{said} {request:?}");
        let covered = r#"("@method" "@target-uri" "content-digest" "content-type" "webhook-id")"#;
        assert!(request.header("signature-input").starts_with(&format!("sig1={covered};created=")), "{request:?}");

        let mut changes: Vec<Arrived> = vec![request.clone(); 5];
        changes[0].body = "{}".into();
        changes[1].method = "PUT".to_owned();
        changes[2].uri = format!("{}?a=1", receiver.url()).parse().unwrap();
        changes[3].headers.insert("webhook-id", "evt_1".parse().unwrap());
        changes[4].headers.insert("content-type", "text/plain".parse().unwrap());
        for changed in &changes {
            assert_eq!(valid(changed).await["valid"], false, "{changed:?}");
        }
        tenant.delete(&format!("/v1/endpoints/{}", text(&endpoint["id"]))).await.expect(204);
    }
}

#[tokio::test]
async fn a_rotation_sends_a_signature_of_each_key_under_its_own_label() {
    let host = Host::start().await;
    let tenant = host.tenant_of("http-message-signatures").await;
    let mut receiver = Receiver::start().await;
    let shared = tenant.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}/rotate-secret", text(&shared["id"]));
    let pair = tenant.post(&path, json!({"signature": "ed25519", "overlap_seconds": 60})).await.expect(200);
    let request = send(&tenant, &mut receiver).await;
    let new = verdict("ed25519", &pair["public_key"], &pair["key_id"], "sig1", &request).await;
    let old = verdict("hmac-sha256", &shared["secret"], &shared["key_id"], "sig2", &request).await;
    assert_eq!((&new["valid"], &old["valid"]), (&json!(true), &json!(true)), "{new} {old} {request:?}");
    let [jwk] = &keys(text(&pair["jwks_url"])).await[..] else { panic!("one key") };
    assert_eq!(jwk["kid"], pair["key_id"]);

    host.clock.advance(Duration::from_secs(61));
    let request = send(&tenant, &mut receiver).await;
    assert!(!request.header("signature-input").contains("sig2"), "{request:?}");
}

#[tokio::test]
async fn a_source_takes_what_is_signed_so_once_and_nothing_else() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = json!({
        "name": "out", "url": "http://127.0.0.1:8099/", "event_types": ["order.paid"], "signature": "ed25519",
        "dialect": "http-message-signatures",
    });
    let endpoint = tenant.post("/v1/endpoints", endpoint).await.expect(201);
    let verification = json!({"scheme": "http-message-signatures", "secret": endpoint["public_key"]});
    let source = json!({"name": "in", "event_type": "a.b", "verification": verification});
    let source = tenant.post("/v1/sources", source).await.expect(201);
    // What production would send there.
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.patch(&path, json!({"url": source["url"]})).await.expect(200);
    let trial = json!({"endpoint": endpoint["id"], "event": {"type": "order.paid", "data": {"a": 1}}});
    let signed = tenant.post("/v1/try", trial).await.expect(200)["signed"].clone();

    let post = async |body: &str| {
        let mut request = Api::new("", None).request(Method::POST, text(&source["url"])).body(body.to_owned());
        for (name, value) in signed["headers"].as_object().expect("headers") {
            request = request.header(name, text(value));
        }
        tenant.send(request).await
    };
    let body = text(&signed["body"]);
    let said = post(&format!("{body} ")).await.problem(401, "");
    assert!(said.contains("the body is not the one"), "{said}");
    post(body).await.expect(202);
    let said = post(body).await.problem(401, "");
    assert!(said.contains("it came before"), "{said}");
    host.clock.advance(Duration::from_secs(301));
    let said = post(body).await.problem(401, "");
    assert!(said.contains("300 s are tolerated"), "{said}");
}

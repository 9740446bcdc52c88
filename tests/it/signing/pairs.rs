//! `v1a`: a key pair that the server makes, whose public half is all that a
//! receiver gets.

use std::time::Duration;

use hookyard_tests::{Api, Arrived, Host, Receiver, oracle, text};
use serde_json::{Value, json};

use super::{headers, keys};

/// Whether one of the request's `v1a` signatures is by the public key.
async fn is_by(request: &Arrived, public: &Value) -> bool {
    let question = json!({
        "do": "verify", "library": "standardwebhooks-v1a", "secret": public, "headers": headers(request),
        "body": String::from_utf8_lossy(&request.body),
    });
    oracle::python(question).await["valid"] == true
}

async fn send(tenant: &Api, receiver: &mut Receiver) -> Arrived {
    tenant.publish(json!({"type": "order.paid", "data": {"a": 1}})).await;
    receiver.next().await
}

/// Another pair's public key, and its thumbprint.
const STRANGERS: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[tokio::test]
async fn a_pair_is_made_and_its_private_half_is_shown_to_nobody() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let created = tenant.endpoint(&receiver.url(), json!({"signature": "v1a"})).await;
    assert_eq!((&created["signature"], &created["secret"]), (&json!("v1a"), &Value::Null));
    let public = &created["public_key"];
    assert!(text(public).starts_with("whpk_"), "{created}");

    let request = send(&tenant, &mut receiver).await;
    assert!(request.header("webhook-signature").starts_with("v1a,"), "{request:?}");
    assert!(is_by(&request, public).await);
    assert!(!is_by(&request, &json!(STRANGERS)).await);

    let shown = tenant.get(&format!("/v1/endpoints/{}", text(&created["id"]))).await.expect(200);
    assert_eq!((&shown["public_key"], &shown["signature"]), (public, &json!("v1a")));
    for answer in [&created, &shown, &tenant.get("/v1/endpoints").await.expect(200)] {
        assert!(!answer.to_string().contains("whsk_"), "{answer}");
    }
    let [jwk] = &keys(text(&created["jwks_url"])).await[..] else { panic!("one key") };
    let x = text(public).trim_start_matches("whpk_").trim_end_matches('=').replace('+', "-").replace('/', "_");
    let expected = json!({
        "kty": "OKP", "crv": "Ed25519", "x": x, "kid": created["key_id"], "use": "sig", "alg": "EdDSA",
    });
    assert_eq!(*jwk, expected);
}

#[tokio::test]
async fn both_keys_sign_and_are_published_while_a_rotation_overlaps() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let first = tenant.endpoint(&receiver.url(), json!({"signature": "v1a"})).await;
    let jwks = text(&first["jwks_url"]);
    let path = format!("/v1/endpoints/{}/rotate-secret", text(&first["id"]));
    let second = tenant.post(&path, json!({"overlap_seconds": 60})).await.expect(200);
    assert_eq!((&second["signature"], &second["secret"]), (&json!("v1a"), &Value::Null), "{second}");
    assert_ne!(first["public_key"], second["public_key"]);

    let request = send(&tenant, &mut receiver).await;
    assert!(is_by(&request, &first["public_key"]).await && is_by(&request, &second["public_key"]).await);
    let both = keys(jwks).await;
    assert_eq!(both.len(), 2);
    assert!([&first, &second].iter().all(|one| both.iter().any(|jwk| jwk["kid"] == one["key_id"])), "{both:?}");

    host.clock.advance(Duration::from_secs(61));
    let request = send(&tenant, &mut receiver).await;
    assert!(!is_by(&request, &first["public_key"]).await && is_by(&request, &second["public_key"]).await);
    let [one] = &keys(jwks).await[..] else { panic!("one key") };
    assert_eq!(one["kid"], second["key_id"]);
}

#[tokio::test]
async fn a_receiver_can_move_from_a_shared_secret_to_a_public_key() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let shared = tenant.endpoint(&receiver.url(), json!({})).await;
    assert_eq!((&shared["signature"], shared.get("public_key")), (&json!("v1"), None));
    let path = format!("/v1/endpoints/{}", text(&shared["id"]));
    let said = tenant.patch(&path, json!({"signature": "v1a"})).await.problem(422, "signature");
    assert!(said.contains("rotate-secret"), "{said}");
    let rotate = format!("{path}/rotate-secret");
    let said = tenant.post(&rotate, json!({"signature": "v2"})).await.problem(422, "signature");
    assert!(said.contains("`v1`, `v1a`"), "{said}");
    let pair = tenant.post(&rotate, json!({"signature": "v1a", "overlap_seconds": 60})).await.expect(200);

    let request = send(&tenant, &mut receiver).await;
    assert!(request.is_signed_with(text(&shared["secret"])) && is_by(&request, &pair["public_key"]).await);
    // Nobody knows the pair's text, so it cannot become a shared secret.
    let said = tenant.patch(&path, json!({"dialect": "dmhub"})).await.problem(422, "dialect");
    assert!(said.contains("rotate"), "{said}");
    // And back again; the answer shows what is shared.
    let again = tenant.post(&rotate, json!({"signature": "v1", "overlap_seconds": 0})).await.expect(200);
    let request = send(&tenant, &mut receiver).await;
    assert!(request.is_signed_with(text(&again["secret"])) && !is_by(&request, &pair["public_key"]).await);
    tenant.patch(&path, json!({"dialect": "dmhub"})).await.expect(200);
}

#[tokio::test]
async fn a_signature_and_a_secret_that_do_not_fit_are_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let form = |more: &[(&str, &str)]| {
        let mut form = json!({"name": "a", "url": "http://127.0.0.1:8099/", "event_types": ["*"]});
        more.iter().for_each(|(field, value)| form[*field] = json!(value));
        form
    };
    let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (more, field, says) in [
        (&[("signature", "v1b")][..], "signature", "Standard Webhooks has `v1`, `v1a`"),
        (&[("signature", "v1a"), ("secret", shared)], "secret", "`whsk_`"),
        (&[("signature", "v1"), ("secret", "whsk_x")], "secret", "`whsec_`"),
        (&[("signature", "v1"), ("dialect", "dmhub")], "signature", "leaves no choice"),
    ] {
        let said = tenant.post("/v1/endpoints", form(more)).await.problem(422, field);
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn keys_are_a_tenants_own_and_gone_with_it() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    let receiver = Receiver::start().await;
    let hers = acme.endpoint(&receiver.url(), json!({"signature": "v1a"})).await;
    let his = other.endpoint(&receiver.url(), json!({"signature": "v1a"})).await;
    assert_ne!(hers["jwks_url"], his["jwks_url"]);
    let kids: Vec<Value> = keys(text(&hers["jwks_url"])).await.into_iter().map(|jwk| jwk["kid"].clone()).collect();
    assert_eq!(kids, [hers["key_id"].clone()]);

    acme.delete(&format!("/v1/endpoints/{}", text(&hers["id"]))).await.expect(204);
    assert!(keys(text(&hers["jwks_url"])).await.is_empty());
    let tenants = host.operator.get("/v1/tenants").await.expect(200);
    let id = text(&tenants["items"].as_array().unwrap().iter().find(|one| one["name"] == "other").unwrap()["id"]);
    host.operator.delete(&format!("/v1/tenants/{id}")).await.expect(204);
    let nobody = Api::new(host.operator.base(), None);
    nobody.get(text(&his["jwks_url"])).await.problem(404, "");
    nobody.get("/.well-known/hookyard/acme/jwks.json").await.problem(404, "");
}

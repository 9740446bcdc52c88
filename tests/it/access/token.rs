//! OAuth 2.0 client credentials, with a token endpoint on loopback: how often it is
//! asked, and what becomes of deliveries when it does not answer as it should.

use std::time::Duration;

use axum::http::Response;
use hookyard::domain::address::AddressPolicy;
use hookyard::domain::url::UrlPolicy;
use hookyard_tests::{Host, Receiver, list, text};
use serde_json::{Value, json};

use super::{MINUTE, failure, once, path, publish};

/// Gives tokens, `t1` first, each for an hour.
struct Issuer {
    asked: Receiver,
}

fn granted(token: &str) -> Response<String> {
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600});
    Response::builder().status(200).body(body.to_string()).expect("a response")
}

impl Issuer {
    async fn start() -> Self {
        let asked = Receiver::start().await;
        let count = std::sync::atomic::AtomicU32::new(0);
        asked.answer_by(move |_| {
            let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Some(granted(&format!("t{number}")))
        });
        Self { asked }
    }

    fn auth(&self) -> Value {
        json!({"type": "oauth2", "token_url": self.asked.url(), "client_id": "me", "client_secret": "hush-secret"})
    }

    fn times_asked(&mut self) -> usize {
        self.asked.so_far().len()
    }
}

#[tokio::test]
async fn a_token_is_asked_for_as_its_owner_says() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let mut issuer = Issuer::start().await;
    let mut auth = issuer.auth();
    auth["scope"] = json!("hooks:write all");
    auth["audience"] = json!("https://api.example/");
    let endpoint = tenant.endpoint(&receiver.url(), json!({"auth": auth})).await;
    let shown = json!({"type": "oauth2", "token_url": issuer.asked.url(), "client_id": "me", "client_secret": null,
        "scope": "hooks:write all", "audience": "https://api.example/", "client_auth": "basic"});
    assert_eq!(endpoint["auth"], shown);
    publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t1");
    let asked = issuer.asked.next().await;
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("POST", "Basic bWU6aHVzaC1zZWNyZXQ="));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let form = "grant_type=client_credentials&scope=hooks%3Awrite+all&audience=https%3A%2F%2Fapi.example%2F";
    assert_eq!(asked.body, form);

    // Another way of asking is another token, and what was shown can be sent back.
    let mut changed = endpoint["auth"].clone();
    changed["client_auth"] = json!("body");
    tenant.patch(&path(&endpoint), json!({"auth": changed})).await.expect(200);
    publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t2");
    let asked = issuer.asked.next().await;
    assert_eq!(asked.header("authorization"), "");
    assert_eq!(asked.body, format!("{form}&client_id=me&client_secret=hush-secret"));

    // The secret is kept for the server that it was given for.
    changed["token_url"] = json!(receiver.url());
    tenant.patch(&path(&endpoint), json!({"auth": changed})).await.problem(422, "auth.client_secret");
}

#[tokio::test]
async fn a_token_serves_until_shortly_before_its_end() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let mut issuer = Issuer::start().await;
    tenant.endpoint(&receiver.url(), json!({"auth": issuer.auth()})).await;
    for _ in 0..12 {
        publish(&tenant).await;
    }
    for _ in 0..12 {
        assert_eq!(receiver.next().await.header("authorization"), "Bearer t1");
    }
    assert_eq!(issuer.times_asked(), 1, "deliveries side by side wait for one token");

    host.clock.advance(58 * MINUTE);
    publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t1");
    // 30 s before its end it is not used any more.
    host.clock.advance(Duration::from_secs(91));
    publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t2");
    assert_eq!(issuer.times_asked(), 1);

    // Another endpoint has a token of its own.
    let other = json!({"name": "other", "auth": issuer.auth(), "event_types": ["other"]});
    tenant.endpoint(&receiver.url(), other).await;
    tenant.publish(json!({"type": "other", "data": 1})).await;
    let mut tokens = [receiver.next().await, receiver.next().await].map(|one| one.header("authorization").to_owned());
    tokens.sort();
    assert_eq!(tokens, ["Bearer t2", "Bearer t3"]);
}

#[tokio::test]
async fn a_token_that_the_receiver_refuses_is_not_used_again() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let mut issuer = Issuer::start().await;
    tenant.endpoint(&receiver.url(), json!({"auth": issuer.auth(), "retry": {"schedule": [30, 30]}})).await;
    receiver.answer(&[401, 500]);
    let event = publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t1");
    waiting(&tenant, &event, 1).await;
    host.clock.advance(MINUTE);
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t2");
    // The control: another failure is not the token's.
    waiting(&tenant, &event, 2).await;
    host.clock.advance(MINUTE);
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t2");
    tenant.delivery_in(&event, "delivered").await;
    assert_eq!(issuer.times_asked(), 2);
}

/// Until an event's delivery has had this many attempts.
async fn waiting(tenant: &hookyard_tests::Api, event: &str, attempts: usize) {
    hookyard_tests::eventually("an attempt", async || {
        let delivery = tenant.delivery_in(event, "pending").await;
        (list(&delivery["attempts"]).len() == attempts).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_a_failed_attempt_that_says_so() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let issuer = Issuer::start().await;
    let refused = |status: u16, body: &str| Response::builder().status(status).body(body.to_owned()).unwrap();
    let known = r#"{"error": "invalid_client", "error_description": "hush-secret is wrong"}"#;
    let moved = Response::builder().status(307).header("location", receiver.url()).body("hush".to_owned()).unwrap();
    once(&tenant, &receiver, json!({"auth": issuer.auth()})).await;
    let at = issuer.asked.address();
    for (answer, said) in [
        (refused(401, known), "it answered status 401 (invalid_client)"),
        (refused(503, "you sent hush-secret"), "it answered status 503"),
        (refused(200, "{\"hush\": 1}"), "it answered status 200, and its body is not JSON"),
        (refused(200, &"x".repeat(100_000)), "it answered more than 65536 bytes"),
        // Nobody follows it.
        (moved, "it answered status 307"),
    ] {
        issuer.asked.answer_with(answer);
        let event = publish(&tenant).await;
        let (outcome, error) = failure(&tenant, &event).await;
        assert_eq!(outcome, "no-token", "{error}");
        assert!(error.starts_with(&format!("no access token for the receiver: {at}: {said}")), "{error}");
        let delivery = tenant.delivery_in(&event, "dead").await.to_string();
        assert!(!delivery.contains("hush"), "{delivery}");
    }
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_has_its_own_part_of_the_time() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    // It takes connections, and nobody reads them.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let at = hanging.local_addr().expect("it is bound");
    let auth = json!({"type": "oauth2", "token_url": format!("http://{at}/"), "client_id": "a", "client_secret": "b"});
    once(&tenant, &receiver, json!({"auth": auth, "timeout_seconds": 1})).await;
    let event = publish(&tenant).await;
    let (outcome, error) = failure(&tenant, &event).await;
    assert_eq!((&*outcome, error.ends_with(&format!("{at}: no answer within 0.5 s"))), ("no-token", true), "{error}");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_delivery_without_a_token_is_tried_again_as_its_schedule_says() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let issuer = Issuer::start().await;
    issuer.asked.answer(&[500]);
    tenant.endpoint(&receiver.url(), json!({"auth": issuer.auth(), "retry": {"schedule": [30]}})).await;
    let event = publish(&tenant).await;
    waiting(&tenant, &event, 1).await;
    host.clock.advance(MINUTE);
    assert_eq!(receiver.next().await.header("authorization"), "Bearer t1");
    let delivery = tenant.delivery_in(&event, "delivered").await;
    let outcomes: Vec<&str> = list(&delivery["attempts"]).iter().map(|one| text(&one["outcome"])).collect();
    assert_eq!(outcomes, ["no-token", "accepted"]);
}

#[tokio::test]
async fn a_token_is_fetched_only_from_where_it_may_be() {
    let mut issuer = Issuer::start().await;
    let mut receiver = Receiver::start().await;
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let port = issuer.asked.address().port();
    // What is allowed is judged again when it is dialled: the receiver is on
    // 127.0.0.1, and its token would come from 127.0.0.2.
    let mut auth = issuer.auth();
    auth["token_url"] = json!(format!("http://127.0.0.2:{port}/token"));
    once(&tenant, &receiver, json!({"auth": auth})).await;
    let only = UrlPolicy {
        allow_http: true,
        addresses: AddressPolicy::allowing(vec!["127.0.0.1/32".parse().unwrap()]),
        own_receiver: None,
    };
    let host = host.restart_with(only).await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    let event = publish(&tenant).await;
    let (outcome, error) = failure(&tenant, &event).await;
    assert_eq!(outcome, "no-token");
    assert!(error.contains(&format!("127.0.0.2:{port}: not dialled: 127.0.0.2 is a loopback address")), "{error}");
    assert_eq!((issuer.times_asked(), receiver.so_far().len()), (0, 0));
}

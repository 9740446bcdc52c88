//! Where secrets could come to light: the files, the log, and receivers that answer
//! with what they got.

use axum::http::Response;
use hookyard_tests::tls::Authority;
use hookyard_tests::{Host, HostProcess, Receiver, TempDir, list};
use serde_json::json;

use super::publish;

#[tokio::test]
async fn nothing_secret_is_in_the_files_or_in_the_log() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "trace").await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let issuer = Receiver::start().await;
    let client = Authority::new("clients").client("hookyard");
    let grant = json!({"access_token": "hush-access-token", "token_type": "Bearer", "expires_in": 3600}).to_string();
    issuer.answer(&[500]);
    issuer.answer_with(Response::builder().status(200).body(grant).unwrap());
    let header = json!({"x-key": {"value": "hush-header", "secret": true}});
    let tls = json!({"client_certificate": client.certificate, "client_key": client.key});
    let oauth = json!({"type": "oauth2", "token_url": format!("{}?key=x", issuer.url()), "client_id": "me",
        "client_secret": "hush-client-secret"});
    for (name, auth) in [
        ("basic", json!({"type": "basic", "username": "me", "password": "hush-password"})),
        ("bearer", json!({"type": "bearer", "token": "hush-token"})),
        ("failing", oauth.clone()),
        ("oauth", oauth),
    ] {
        let more = json!({"name": name, "auth": auth, "headers": header, "tls": tls, "event_types": [name],
            "retry": {"schedule": []}});
        tenant.endpoint(&receiver.url(), more).await;
        let event = tenant.publish(json!({"type": name, "data": "a-body-to-be-found"})).await;
        let state = if name == "failing" { "dead" } else { "delivered" };
        tenant.delivery_in(&event, state).await;
    }
    let arrived = receiver.so_far();
    let last = arrived.last().expect("three deliveries");
    assert_eq!((arrived.len(), last.header("authorization")), (3, "Bearer hush-access-token"));

    // The middle of the key: its first line is the same for all keys of a kind.
    let key_line = client.key.lines().nth(2).expect("a key has lines").to_owned();
    let (_, log) = host.terminate().await;
    let log: Vec<u8> = log.iter().flat_map(|line| line.to_string().into_bytes()).collect();
    let mut places = vec![("the log".to_owned(), log)];
    for file in std::fs::read_dir(data.path()).unwrap().flatten().filter(|file| file.path().is_file()) {
        places.push((file.path().display().to_string(), std::fs::read(file.path()).unwrap()));
    }
    let found = |what: &str| {
        let has = |content: &[u8]| content.windows(what.len()).any(|window| window == what.as_bytes());
        places.iter().find(|(_, content)| has(content)).map(|(place, _)| place.clone())
    };
    // The control: the search finds what is there.
    assert!(found("a-body-to-be-found").is_some() && found("delivery dlv_").is_some());
    // Also as Basic has it: `me:hush-password` and `me:hush-client-secret`.
    for secret in ["hush", "bWU6aHVzaC", &key_line] {
        assert_eq!(found(secret), None, "{secret}");
    }
}

#[tokio::test]
async fn what_a_receiver_sends_back_of_a_secret_is_not_kept() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    receiver.answer_by(|arrived| {
        let (login, key) = (arrived.header("authorization"), arrived.header("x-key"));
        let body = json!({"you": {"sent": login}, "key": key, "and": "more"}).to_string();
        Some(Response::builder().header("x-login", login).body(body).unwrap())
    });
    let auth = json!({"type": "basic", "username": "me", "password": "hush-password"});
    let headers = json!({"x-key": {"value": "hush-header", "secret": true}});
    tenant.endpoint(&receiver.url(), json!({"auth": auth, "headers": headers})).await;
    let event = publish(&tenant).await;
    let delivery = tenant.delivery_in(&event, "delivered").await;
    let answer = &list(&delivery["attempts"])[0]["response"];
    assert_eq!(answer["body"], r#"{"you":{"sent":"(hidden)"},"key":"(hidden)","and":"more"}"#, "{answer}");
    assert!(answer["headers"].to_string().contains("(hidden)"), "{answer}");
}

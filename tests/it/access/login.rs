//! Headers that are secret, Basic and bearer: what is sent, what is shown, and what
//! a change keeps.

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, Receiver, TempDir, text};
use serde_json::{Value, json};

use super::{path, publish};

#[tokio::test]
async fn a_login_is_sent_with_everything_and_shown_nowhere() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let basic = json!({"type": "basic", "username": "me", "password": "hush-password"});
    let bearer = json!({"type": "bearer", "token": "hush-token"});
    for (auth, sent, shown) in [
        (basic, "Basic bWU6aHVzaC1wYXNzd29yZA==", json!({"type": "basic", "username": "me", "password": null})),
        (bearer, "Bearer hush-token", json!({"type": "bearer", "token": null})),
    ] {
        let mut receiver = Receiver::start().await;
        let headers = json!({"x-open": "seen", "X-Key": {"value": "hush-header", "secret": true}});
        let more = json!({"auth": auth, "headers": headers});
        let endpoint = tenant.endpoint(&receiver.url(), more).await;
        let own = path(&endpoint);
        let event = publish(&tenant).await;
        let shown_headers = json!({"x-open": "seen", "x-key": {"value": null, "secret": true}});
        assert_eq!((&endpoint["auth"], &endpoint["headers"]), (&shown, &shown_headers));

        let arrived = receiver.next().await;
        assert_eq!((arrived.header("authorization"), arrived.header("x-key")), (sent, "hush-header"));
        assert_eq!(arrived.header("x-open"), "seen");
        assert!(arrived.is_signed_with(text(&endpoint["secret"])));
        let delivery = tenant.delivery_to(&event, text(&endpoint["id"]), "delivered").await;

        // A test is a delivery.
        tenant.post(&format!("{own}/test"), json!({})).await.expect(202);
        assert_eq!(receiver.next().await.header("authorization"), sent);

        let form = json!({"endpoint": endpoint["id"], "event": {"type": "a.b", "data": 1}});
        let trial = tenant.post("/v1/try", form).await.expect(200);
        assert_eq!(trial["signed"]["headers"]["x-key"], "(hidden)", "{trial}");
        assert_eq!(trial["signed"]["headers"].get("authorization"), None);
        assert_eq!(trial["signed"]["auth"], shown["type"]);
        let answers = [
            endpoint.to_string(),
            tenant.get(&own).await.expect(200).to_string(),
            tenant.get("/v1/endpoints").await.expect(200).to_string(),
            tenant.patch(&own, json!({"name": text(&endpoint["id"])})).await.expect(200).to_string(),
            tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200).to_string(),
            delivery.to_string(),
            trial.to_string(),
        ];
        for answer in answers {
            assert!(!answer.contains("hush") && !answer.contains("aHVzaC"), "{answer}");
        }
        tenant.delete(&own).await.expect(204);
    }
}

#[tokio::test]
async fn what_was_shown_can_be_sent_back() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let form = json!({
        "auth": {"type": "basic", "username": "me", "password": "hush"},
        "headers": {"x-key": {"value": "hush-header", "secret": true}},
    });
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    let own = path(&endpoint);
    let as_before = async |receiver: &mut Receiver, what: Value| {
        tenant.patch(&own, what).await.expect(200);
        publish(&tenant).await;
        let arrived = receiver.next().await;
        assert_eq!((arrived.header("authorization"), arrived.header("x-key")), ("Basic bWU6aHVzaA==", "hush-header"));
    };
    let shown = tenant.get(&own).await.expect(200);
    let back = json!({"auth": shown["auth"], "tls": shown["tls"], "headers": shown["headers"]});
    as_before(&mut receiver, back).await;
    as_before(&mut receiver, json!({"headers": {"X-KEY": {"secret": true}}})).await;
    let elsewhere = json!({"url": format!("{}/elsewhere", receiver.url())});
    as_before(&mut receiver, elsewhere).await;

    // What there is nothing to keep for has to be given.
    let basic = json!({"auth": {"type": "basic", "username": "another"}});
    tenant.patch(&own, basic).await.problem(422, "auth.password");
    tenant.patch(&own, json!({"auth": {"type": "bearer", "token": null}})).await.problem(422, "auth.token");
    let header = json!({"headers": {"x-other": {"secret": true}}});
    tenant.patch(&own, header).await.problem(422, "headers.x-other");
    let shown = json!({"headers": {"x-key": {"value": null, "secret": false}}});
    tenant.patch(&own, shown).await.problem(422, "headers.x-key");

    // A new one takes its place, and null takes it away.
    let bearer = json!({"auth": {"type": "bearer", "token": "t0k"}, "headers": {}});
    tenant.patch(&own, bearer).await.expect(200);
    publish(&tenant).await;
    let arrived = receiver.next().await;
    assert_eq!((arrived.header("authorization"), arrived.header("x-key")), ("Bearer t0k", ""));
    assert_eq!(tenant.patch(&own, json!({"auth": null})).await.expect(200)["auth"], Value::Null);
    publish(&tenant).await;
    assert_eq!(receiver.next().await.header("authorization"), "");
}

#[tokio::test]
async fn another_host_does_not_get_what_was_meant_for_one() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let (receiver, mut other) = (Receiver::start().await, Receiver::start().await);
    let auth = json!({"type": "bearer", "token": "hush"});
    let headers = json!({"x-key": {"value": "hush-header", "secret": true}});
    let endpoint = tenant.endpoint(&receiver.url(), json!({"auth": auth, "headers": headers})).await;
    let (own, away) = (path(&endpoint), other.url());
    let hidden = json!({"type": "bearer", "token": null});

    tenant.patch(&own, json!({"url": away, "headers": {}})).await.problem(422, "auth");
    tenant.patch(&own, json!({"url": away, "headers": {}, "auth": hidden})).await.problem(422, "auth.token");
    tenant.patch(&own, json!({"url": away, "auth": auth})).await.problem(422, "headers");
    let kept = json!({"x-key": {"secret": true}});
    tenant.patch(&own, json!({"url": away, "auth": null, "headers": kept})).await.problem(422, "headers.x-key");
    assert_eq!(tenant.get(&own).await.expect(200)["url"], endpoint["url"]);

    tenant.patch(&own, json!({"url": away, "auth": auth, "headers": headers})).await.expect(200);
    publish(&tenant).await;
    assert_eq!(other.next().await.header("authorization"), "Bearer hush");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_its_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let oauth = |more: Value| {
        let mut auth = json!({"type": "oauth2", "token_url": "http://127.0.0.1:4/token", "client_id": "me",
            "client_secret": "hush"});
        auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"auth": auth})
    };
    let with_header = |headers: Value| json!({"auth": {"type": "bearer", "token": "x"}, "headers": headers});
    for (more, field) in [
        (json!({"auth": {"type": "digest"}}), "auth.type"),
        (json!({"auth": {"type": "basic", "password": "x"}}), "auth.username"),
        (json!({"auth": {"type": "basic", "username": "a:b", "password": "x"}}), "auth.username"),
        (json!({"auth": {"type": "basic", "username": "a", "password": "x\ny"}}), "auth.password"),
        (json!({"auth": {"type": "basic", "username": "a"}}), "auth.password"),
        (json!({"auth": {"type": "basic", "username": 7}}), "auth.username"),
        (json!({"auth": {"type": "basic", "username": "a", "pasword": "x"}}), "auth.pasword"),
        (json!({"auth": {"type": "basic", "username": "a", "password": "x", "token": "y"}}), "auth.token"),
        (json!({"auth": {"username": "a", "password": "x"}}), "auth.type"),
        (json!({"auth": {"type": "bearer"}}), "auth.token"),
        (json!({"auth": {"type": "bearer", "token": "Bearer x"}}), "auth.token"),
        (json!({"auth": {"type": "bearer", "token": "x".repeat(8000)}}), "auth.token"),
        (oauth(json!({"client_secret": null})), "auth.client_secret"),
        (oauth(json!({"client_id": ""})), "auth.client_id"),
        (oauth(json!({"scope": "ä"})), "auth.scope"),
        (oauth(json!({"audience": ""})), "auth.audience"),
        (oauth(json!({"client_auth": "query"})), "auth.client_auth"),
        (oauth(json!({"token_url": "http://10.0.0.1/token"})), "auth.token_url"),
        (oauth(json!({"token_url": "http://169.254.169.254/token"})), "auth.token_url"),
        (oauth(json!({"token_url": "https://me:pw@id.example/"})), "auth.token_url"),
        (with_header(json!({"Authorization": "Bearer y"})), "auth"),
        (with_header(json!({"authorization": {"value": "Bearer y", "secret": true}})), "auth"),
        (json!({"headers": {"x-a": 7}}), "headers.x-a"),
        (json!({"headers": {"x-a": {"value": "x", "hidden": true}}}), "headers.x-a"),
        (json!({"headers": {"host": {"value": "x", "secret": true}}}), "headers.host"),
        (json!({"headers": {"x-a": {"value": "x\r\ny", "secret": true}}}), "headers.x-a"),
    ] {
        let mut form = json!({"name": "a", "url": "http://127.0.0.1:4/", "event_types": ["*"]});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = tenant.post("/v1/endpoints", form).await;
        assert!(!answer.body.to_string().contains("hush"), "{more}: {}", answer.body);
        answer.problem(422, field);
    }
    // A header of that name alone is what it was before there were logins.
    let header = json!({"name": "b", "headers": {"authorization": {"value": "Bearer y", "secret": true}}});
    tenant.endpoint("http://127.0.0.1:4/", header).await;
}

#[tokio::test]
async fn a_dialect_that_logs_in_itself_takes_no_other_login() {
    let directory = TempDir::new();
    let dialect = |at: &str| {
        format!(
            "title = \"Own\"\nsummary = \"x\"\n[envelope]\nbody = \"data\"\n[[signature]]\nkind = \"hmac-sha256\"\nat = \"{at}\"\nsigned = \"{{body}}\"\n"
        )
    };
    std::fs::write(directory.path().join("own.toml"), dialect("header.authorization")).unwrap();
    std::fs::write(directory.path().join("plain.toml"), dialect("header.x-signature")).unwrap();
    let extra = Extra { dialects: Some(directory.path().to_owned()), ..Extra::default() };
    let host = Host::start_as(local(), extra).await;
    let tenant = host.tenant_of("plain").await;
    let auth = json!({"type": "bearer", "token": "x"});
    let own = path(&tenant.endpoint("http://127.0.0.1:4/", json!({"auth": auth})).await);
    let said = tenant.patch(&own, json!({"dialect": "own"})).await.problem(422, "auth");
    assert!(said.contains("Own sets the header"), "{said}");
    tenant.patch(&own, json!({"dialect": "own", "auth": null})).await.expect(200);
    tenant.patch(&own, json!({"auth": auth})).await.problem(422, "auth");
}

#[tokio::test]
async fn a_pipeline_neither_sees_a_login_nor_replaces_it() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let source = "function transform(event, message) { return { headers: { authorization: 'Bearer evil', 'x-key': 'evil', \
                  'x-own': 'mine' }, body: { saw: JSON.stringify([event, message]) } }; }";
    let form = json!({
        "auth": {"type": "bearer", "token": "hush-token"},
        "headers": {"x-key": {"value": "hush-header", "secret": true}},
        "steps": [{"plugin": "javascript", "config": {"source": source}}],
    });
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    publish(&tenant).await;
    let arrived = receiver.next().await;
    assert_eq!(arrived.header("x-own"), "mine", "the step's headers are sent");
    assert_eq!((arrived.header("authorization"), arrived.header("x-key")), ("Bearer hush-token", "hush-header"));
    let saw = arrived.json()["saw"].to_string();
    assert!(saw.contains("a.b") && !saw.contains("hush"), "{saw}");

    let form = json!({"endpoint": endpoint["id"], "event": {"type": "a.b", "data": 1}});
    let trial = tenant.post("/v1/try", form).await.expect(200);
    let headers = &trial["signed"]["headers"];
    assert_eq!((&headers["x-key"], &headers["x-own"]), (&json!("(hidden)"), &json!("mine")), "{trial}");
    assert_eq!(headers.get("authorization"), None, "what the step gave is not what is sent");
}

#[tokio::test]
async fn a_handshake_has_the_login_too() {
    let host = Host::start().await;
    let tenant = host.tenant_of("cloudevents").await;
    let mut receiver = Receiver::start().await;
    let auth = json!({"type": "basic", "username": "me", "password": "hush"});
    tenant.endpoint(&receiver.url(), json!({"auth": auth})).await;
    let asked = receiver.next().await;
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("OPTIONS", "Basic bWU6aHVzaA=="));
}

//! DMtoLead: registration with verification, API key, account filter, signature,
//! retries, plan limits.

use std::time::Duration;

use axum::http::Response;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::oracle::NodeReceiver;
use hookyard_tests::{Api, Host, Receiver, TempDir, eventually, list, oracle, text};
use serde_json::{Value, json};

use super::{every_type_arrives, is_signed_as, members};

/// A receiver that answers the verification as `answer` says, given the token.
async fn registered(
    tenant: &Api,
    name: &str,
    answer: impl Fn(&str) -> Response<String> + Send + Sync + 'static,
) -> (Receiver, Value) {
    let receiver = Receiver::start().await;
    receiver.answer_by(move |request| {
        let json: Value = serde_json::from_slice(&request.body).ok()?;
        (json["event"] == "webhook.verify").then(|| answer(json["verifyToken"].as_str().unwrap_or_default()))
    });
    let form = json!({"name": name, "url": receiver.url(), "event_types": ["*"]});
    let endpoint = tenant.post("/v1/endpoints", form).await.expect(201);
    (receiver, endpoint)
}

fn echo(token: &str) -> Response<String> {
    json_answer(200, &json!({"verifyToken": token}).to_string())
}

fn json_answer(status: u16, body: &str) -> Response<String> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body.to_owned()).expect("an answer")
}

#[tokio::test]
async fn a_receiver_written_against_the_page_works_unchanged() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    // Node, a server as the page describes it: echoes the token.
    let mut receiver = NodeReceiver::start("dmtolead", None).await;

    let endpoint = tenant.endpoint(&receiver.url(), json!({"name": "Production CRM"})).await;

    assert_eq!((&endpoint["state"], &endpoint["reason"]), (&json!("active"), &Value::Null), "{endpoint}");
    let key = endpoint["secret"].as_str().expect("the API key, shown once");
    let verification = receiver.next().await;
    let body: Value = serde_json::from_str(text(&verification["body"])).unwrap();
    assert_eq!(members(&body), ["event", "verifyToken", "timestamp"]);
    assert_eq!(body["event"], "webhook.verify");
    let at = text(&body["timestamp"]);
    assert!(at.len() == 24 && at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok(), "{at}");
    // "Every webhook POST includes" the signature, so this one does.
    let takes = |request: &Value| json!({"platform": "dmtolead", "secret": key, "headers": request["headers"], "body": request["body"]});
    assert_eq!(oracle::node(takes(&verification)).await["valid"], true, "{verification}");

    let data = json!({"conversationId": "65f3a2", "firstMessage": "Hi, do you have the green one in M?"});
    tenant.publish(json!({"type": "conversation.created", "data": data})).await;
    let request = receiver.next().await;
    assert_eq!(oracle::node(takes(&request)).await["valid"], true, "{request}");
    assert!(request["headers"]["x-dmtolead-signature"].is_string(), "{request}");
}

#[tokio::test]
async fn five_events_and_the_verification_are_sent_and_signed_with_the_api_key() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, endpoint) = registered(&tenant, "crm", echo).await;
    assert_eq!(receiver.next().await.json()["event"], "webhook.verify");
    receiver.answer_by(|_| None);

    let requests = every_type_arrives(&tenant, &mut receiver, "dmtolead").await;

    let kinds = super::types_of(&tenant, "dmtolead").await;
    assert_eq!((kinds.len(), requests.len()), (6, 5), "webhook.verify is the setup's alone");
    // Nobody can send it as an event.
    let published = tenant.publish(json!({"type": "webhook.verify", "data": {}})).await;
    let path = format!("/v1/deliveries?event={published}");
    assert_eq!(tenant.get(&path).await.expect(200)["items"], json!([]));
    for request in requests {
        is_signed_as("dmtolead", text(&endpoint["secret"]), &request).await;
        let body = request.json();
        assert_eq!(members(&body), ["event", "timestamp", "data"]);
        assert_eq!(text(&body["timestamp"]).len(), "2026-05-13T19:24:02.310Z".len());
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_the_pages_leaves_the_endpoint_unverified_with_the_reason() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let redirect = |_: &str| Response::builder().status(302).header("location", "/").body(String::new()).unwrap();
    let typed = |token: &str| Response::new(json!({"verifyToken": token}).to_string());
    type Answer = Box<dyn Fn(&str) -> Response<String> + Send + Sync>;
    let cases: Vec<(&str, Answer, &str)> = vec![
        (
            "another token",
            Box::new(|_| json_answer(200, r#"{"verifyToken":"abc123"}"#)),
            "not the one that it was sent",
        ),
        ("no token", Box::new(|_| json_answer(200, r#"{"ok":true}"#)), "with the token at /verifyToken"),
        ("no json", Box::new(|_| json_answer(200, "ok")), "with the token at /verifyToken"),
        ("no content type", Box::new(typed), "no content type"),
        (
            "another status",
            Box::new(|token| {
                let mut a = echo(token);
                *a.status_mut() = axum::http::StatusCode::CREATED;
                a
            }),
            "status 201",
        ),
        ("an error", Box::new(|_| json_answer(500, "{}")), "status 500"),
        ("a redirect", Box::new(redirect), "a redirect, which is not followed"),
        ("megabytes", Box::new(|_| json_answer(200, &" ".repeat(4 << 20))), "too long"),
    ];
    for (name, answer, reason) in cases {
        let (mut receiver, endpoint) = registered(&tenant, name, answer).await;
        assert_eq!(endpoint["state"], "unverified", "{name}: {endpoint}");
        assert!(text(&endpoint["reason"]).contains(reason), "{name}: {endpoint}");
        assert!(endpoint["secret"].is_string(), "it is saved all the same");
        assert_eq!(receiver.next().await.json()["event"], "webhook.verify");

        // Saved, but nothing is sent to it.
        let event = tenant.publish(json!({"type": "message.received", "data": {}})).await;
        let id = text(&endpoint["id"]);
        let deliveries = tenant.get(&format!("/v1/deliveries?event={event}&endpoint={id}")).await.expect(200);
        assert_eq!(deliveries["items"], json!([]), "{name}");
        let said = tenant.post(&format!("/v1/endpoints/{id}/test"), json!({})).await.problem(409, "");
        assert!(said.contains("not verified"), "{said}");
        tenant.post(&format!("/v1/endpoints/{id}/resume"), json!({})).await.problem(409, "");
        let still = tenant.patch(&format!("/v1/endpoints/{id}"), json!({"active": true})).await.expect(200);
        assert_eq!(still["state"], "unverified", "{name}");
        assert!(receiver.so_far().is_empty(), "{name}");
        tenant.delete(&format!("/v1/endpoints/{id}")).await.expect(204);
    }
}

#[tokio::test]
async fn a_receiver_that_nobody_reaches_is_unverified() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let endpoint = tenant.endpoint(&format!("http://{closed}/"), json!({})).await;
    assert_eq!(endpoint["state"], "unverified", "{endpoint}");
    assert!(text(&endpoint["reason"]).contains("connect"), "{endpoint}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_unverified_when_its_time_is_over() {
    // The same dialect with a second instead of ten: data, not code.
    let directory = TempDir::new();
    let page = include_str!("../../../host/dialects/dmtolead.toml");
    assert!(page.contains("\ndeadline_seconds = 10\nrequired = true\n"), "ten seconds, as the page says");
    let quick = page.replace("\ndeadline_seconds = 10\nrequired = true\n", "\ndeadline_seconds = 1\nrequired = true\n");
    std::fs::write(directory.path().join("impatient.toml"), quick).unwrap();
    let extra = Extra { dialects: Some(directory.path().to_owned()), ..Extra::default() };
    let host = Host::start_as(local(), extra).await;
    let tenant = host.tenant_of("impatient").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = listener.local_addr().unwrap();

    let endpoint = tenant.endpoint(&format!("http://{hanging}/"), json!({})).await;

    assert_eq!(endpoint["state"], "unverified", "{endpoint}");
    assert!(text(&endpoint["reason"]).contains("within 1 s"), "{endpoint}");
}

#[tokio::test]
async fn a_fixed_receiver_is_verified_again() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, endpoint) = registered(&tenant, "crm", |_| json_answer(500, "{}")).await;
    assert_eq!(endpoint["state"], "unverified");
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let failed = tenant.post(&format!("{path}/verify"), json!({})).await.expect(200);
    assert_eq!(failed["state"], "unverified");

    receiver.answer_by(|request| {
        let json: Value = serde_json::from_slice(&request.body).ok()?;
        json["verifyToken"].as_str().map(echo)
    });
    let verified = tenant.post(&format!("{path}/verify"), json!({})).await.expect(200);
    assert_eq!((&verified["state"], &verified["reason"]), (&json!("active"), &Value::Null));

    // Each verification had a token of its own.
    let tokens: Vec<Value> = receiver.so_far().iter().map(|request| request.json()["verifyToken"].clone()).collect();
    assert!(tokens.len() == 3 && tokens[0] != tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
    // Another URL is another receiver, which has to be asked as well.
    let other = Receiver::start().await;
    let moved = tenant.patch(&path, json!({"url": other.url()})).await.expect(200);
    assert_eq!(moved["state"], "unverified", "{moved}");
}

#[tokio::test]
async fn what_is_on_its_way_outlives_a_failed_verification_and_a_move() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, endpoint) = registered(&tenant, "crm", echo).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    receiver.next().await;
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let held = tenant.publish(json!({"type": "message.sent", "data": {"n": 1}})).await;

    // Moved while it is paused: asked, moved, and still paused.
    let (mut other, _) = registered(&tenant, "other", echo).await;
    other.next().await;
    // (With a name that is taken, nothing is changed, and that is said.)
    let taken = json!({"url": other.url(), "name": "other"});
    let said = tenant.patch(&path, taken).await.problem(409, "");
    assert!(said.contains("the name is taken"), "{said}");
    other.next().await;
    let moved = tenant.patch(&path, json!({"url": other.url()})).await.expect(200);
    assert_eq!((&moved["state"], &moved["url"]), (&json!("paused"), &json!(other.url())), "{moved}");
    assert_eq!(other.next().await.json()["event"], "webhook.verify");

    // Verified again, and it fails: what is held stays held.
    other.answer_by(|_| Some(json_answer(500, "{}")));
    let failed = tenant.post(&format!("{path}/verify"), json!({})).await.expect(200);
    assert_eq!(failed["state"], "unverified");
    let deliveries = tenant.get(&format!("/v1/deliveries?event={held}&endpoint={}", text(&endpoint["id"]))).await;
    assert_eq!(deliveries.expect(200)["items"][0]["state"], "pending");
    let explained = tenant.get(&format!("/v1/events/{held}/explain")).await.expect(200);
    let line = list(&explained["endpoints"]).iter().find(|line| line["endpoint_id"] == endpoint["id"]);
    assert_eq!(line.expect("it is explained")["reason"], "unverified");

    // And goes out once the receiver is well.
    other.answer_by(|request| {
        let json: Value = serde_json::from_slice(&request.body).ok()?;
        Some(json["verifyToken"].as_str().map_or_else(|| json_answer(200, "{}"), echo))
    });
    let verified = tenant.post(&format!("{path}/verify"), json!({})).await.expect(200);
    assert_eq!(verified["state"], "active");
    tenant.delivery_to(&held, text(&endpoint["id"]), "delivered").await;
    assert!(receiver.so_far().iter().all(|request| request.json()["data"]["n"] != 1), "the old one got nothing more");
}

#[tokio::test]
async fn a_retry_that_comes_due_while_the_receiver_is_unverified_is_held() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, endpoint) = registered(&tenant, "crm", echo).await;
    let verify = format!("/v1/endpoints/{}/verify", text(&endpoint["id"]));
    receiver.next().await;
    receiver.answer_by(|_| Some(json_answer(500, "{}")));
    let event = tenant.publish(json!({"type": "message.sent", "data": {}})).await;
    receiver.next().await;
    let path = format!("/v1/deliveries?event={event}");
    let delivery = async || tenant.get(&path).await.expect(200)["items"][0].clone();
    eventually("a retry is planned", async || delivery().await["next_attempt_at"].is_string().then_some(())).await;
    assert_eq!(tenant.post(&verify, json!({})).await.expect(200)["state"], "unverified");

    host.clock.advance(Duration::from_secs(60));

    eventually("it is held", async || {
        delivery().await["reason"].as_str().is_some_and(|reason| reason.starts_with("held")).then_some(())
    })
    .await;
    receiver.answer_by(|request| {
        let json: Value = serde_json::from_slice(&request.body).ok()?;
        Some(json["verifyToken"].as_str().map_or_else(|| json_answer(200, "{}"), echo))
    });
    assert_eq!(tenant.post(&verify, json!({})).await.expect(200)["state"], "active");
    tenant.delivery_in(&event, "delivered").await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_retried_like_any_other() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, endpoint) = registered(&tenant, "crm", echo).await;
    receiver.next().await;
    receiver.answer(&[410]);
    let event = tenant.publish(json!({"type": "message.sent", "data": {}})).await;
    let first = receiver.next().await;
    eventually("a retry is planned", async || {
        let delivery = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200)["items"][0].clone();
        delivery["next_attempt_at"].is_string().then_some(())
    })
    .await;
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(receiver.next().await.body, first.body);
    let shown = tenant.get(&format!("/v1/endpoints/{}", text(&endpoint["id"]))).await.expect(200);
    assert_eq!(shown["state"], "active");
}

#[tokio::test]
async fn an_account_filter_selects_and_an_empty_one_takes_all() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (all, _) = registered(&tenant, "all", echo).await;
    let (some, _) = registered(&tenant, "some", echo).await;
    let id = tenant.get("/v1/endpoints").await.expect(200)["items"][0]["id"].clone();
    let path = format!("/v1/endpoints/{}", id.as_str().unwrap());
    tenant.patch(&path, json!({"accounts": ["berlin", "paris"]})).await.expect(200);

    let event = |account: Option<&str>| json!({"type": "message.received", "data": {"a": account}, "account": account});
    let ids = [None, Some("berlin"), Some("london")].map(event);
    let published = tenant.post("/v1/events", json!(ids)).await.expect(202);
    for (id, receivers) in list(&published["ids"]).iter().zip([1, 2, 1]) {
        let path = format!("/v1/deliveries?event={}&state=delivered", id.as_str().unwrap());
        eventually("all who selected it got it", async || {
            (tenant.get(&path).await.expect(200)["items"].as_array()?.len() == receivers).then_some(())
        })
        .await;
    }
    let got = |mut receiver: Receiver| {
        let events = receiver.so_far().into_iter().map(|request| request.json());
        events.filter(|body| body["event"] != "webhook.verify").count()
    };
    assert_eq!((got(all), got(some)), (3, 1));
}

#[tokio::test]
async fn retries_come_after_the_pages_delays_and_then_end() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let (mut receiver, _) = registered(&tenant, "crm", echo).await;
    receiver.next().await;
    receiver.answer_by(|_| Some(json_answer(500, "{}")));
    let event = tenant.publish(json!({"type": "message.sent", "data": {}})).await;
    receiver.next().await;

    let path = format!("/v1/deliveries?event={event}");
    for (attempt, seconds) in [1, 5, 30, 300, 1800].into_iter().enumerate() {
        eventually("it waits for its time", async || {
            let delivery = tenant.get(&path).await.expect(200)["items"][0].clone();
            let planned = delivery["attempt_count"] == attempt + 1 && delivery["next_attempt_at"].is_string();
            if !planned {
                return None;
            }
            let at = |field: &str| delivery[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            let waits = at("next_attempt_at").duration_since(at("updated_at"));
            assert_eq!(waits.as_millis(), i128::from(seconds * 1000), "attempt {}", attempt + 1);
            Some(())
        })
        .await;
        host.clock.advance(Duration::from_secs(seconds));
        receiver.next().await;
    }
    let dead = tenant.delivery_in(&event, "dead").await;
    assert_eq!(list(&dead["attempts"]).len(), 6);
    assert!(text(&dead["reason"]).starts_with("gave up after 6 attempts"), "{dead}");
}

#[tokio::test]
async fn a_plan_limits_urls_and_says_which_allows_more() {
    let host = Host::start().await;
    let form = json!({"name": "free", "dialect": "dmtolead", "plan": "free"});
    let tenant = host.operator.post("/v1/tenants", form).await.expect(201);
    assert_eq!(tenant["plan"], "Free");
    let id = text(&tenant["id"]).to_owned();
    let api = host.operator.with_key(tenant["key"].as_str());
    let (first, endpoint) = registered(&api, "one", echo).await;
    let create = async |name: &str, url: &str| {
        api.post("/v1/endpoints", json!({"name": name, "url": url, "event_types": ["*"]})).await
    };
    let second = Receiver::start().await;
    let refused = create("two", &second.url()).await;
    assert_eq!(refused.body["type"], "urn:hookyard:problem:plan-limit");
    let said = refused.problem(403, "");
    assert!(said.contains("Free allows 1 webhook URL") && said.contains("Starter allows 3"), "{said}");
    // One URL is one webhook, however many endpoints it has.
    create("one more", &first.url()).await.expect(201);
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    api.patch(&path, json!({"url": second.url()})).await.problem(403, "");

    let plan = async |plan: &str| host.operator.patch(&format!("/v1/tenants/{id}"), json!({"plan": plan})).await;
    let said = plan("Platinum").await.problem(422, "plan");
    assert!(said.contains("Free, Starter, Pro, Business, Agency"), "{said}");
    plan("Starter").await.expect(200);
    create("two", &second.url()).await.expect(201);
    let third = Receiver::start().await;
    create("three", &third.url()).await.expect(201);
    let said = create("four", "http://127.0.0.1:9/").await.problem(422, "url");
    assert!(said.contains("port 9"), "{said}");
    let said = create("four", "http://127.0.0.1:8443/").await.problem(403, "");
    assert!(said.contains("Pro allows 10"), "{said}");
    plan("Agency").await.expect(200);
    create("four", "http://127.0.0.1:8443/").await.expect(201);
}

#[tokio::test]
async fn a_smaller_plan_leaves_the_newest_urls_out() {
    let host = Host::start().await;
    let form = json!({"name": "shrinking", "dialect": "dmtolead", "plan": "Business"});
    let tenant = host.operator.post("/v1/tenants", form).await.expect(201);
    let api = host.operator.with_key(tenant["key"].as_str());
    let (mut first, _) = registered(&api, "first", echo).await;
    let (_second, over) = registered(&api, "second", echo).await;
    let path = format!("/v1/tenants/{}", text(&tenant["id"]));
    host.operator.patch(&path, json!({"plan": "Free"})).await.expect(200);
    first.next().await;

    let event = api.publish(json!({"type": "message.sent", "data": {}})).await;

    first.next().await;
    let explained = api.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    let line = list(&explained["endpoints"]).iter().find(|line| line["endpoint_id"] == over["id"]);
    let line = line.expect("every endpoint is explained");
    assert_eq!((&line["state"], &line["reason"]), (&json!("skipped"), &json!("plan-limit")), "{line}");
    assert!(text(&line["advice"]).contains("Starter covers 3"), "{line}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let host = Host::start().await;
    let tenant = host.tenant_of("dmtolead").await;
    let address = hookyard_tests::tls::self_signed().await;
    let endpoint = tenant.endpoint(&format!("https://{address}/"), json!({})).await;
    assert_eq!(endpoint["state"], "unverified", "{endpoint}");
    assert!(text(&endpoint["reason"]).contains("certificate"), "{endpoint}");
}

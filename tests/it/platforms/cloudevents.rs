//! CloudEvents over HTTP: three modes in and out, read and written by the SDK,
//! and the OPTIONS handshake on both sides.

use axum::http::Response;
use hookyard_tests::{Api, Arrived, Host, Receiver, list, oracle, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::headers;

async fn read(request: &Arrived) -> Value {
    let body = String::from_utf8_lossy(&request.body);
    oracle::python(json!({"do": "cloudevents-read", "headers": headers(request), "body": body})).await
}

/// One event, published to an endpoint that speaks `dialect`.
async fn sent(tenant: &Api, dialect: &str) -> (String, Arrived) {
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"dialect": dialect})).await;
    let asked = receiver.next().await;
    assert_eq!(asked.method, "OPTIONS");
    assert_eq!(asked.header("webhook-request-origin"), "127.0.0.1");
    let event = json!({"type": "order.paid", "subject": "Jané 7", "account": "berlin", "data": {"total": 1.5}});
    let id = tenant.publish(event).await;
    (id, receiver.next().await)
}

fn is_the_event(event: &Value, id: &str) {
    let attributes = &event["attributes"];
    assert_eq!((&attributes["id"], &attributes["type"]), (&json!(id), &json!("order.paid")), "{event}");
    assert_eq!((&attributes["specversion"], &attributes["subject"]), (&json!("1.0"), &json!("Jané 7")), "{event}");
    assert_eq!(attributes["account"], "berlin");
    assert!(text(&attributes["source"]).contains("ten_"), "{event}");
    assert_eq!(event["data"], json!({"total": 1.5}));
}

#[tokio::test]
async fn the_sdk_reads_what_is_sent_in_each_mode() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let (id, structured) = sent(&tenant, "cloudevents").await;
    assert_eq!(structured.header("content-type"), "application/cloudevents+json");
    assert_eq!(structured.header("webhook-request-origin"), "127.0.0.1");
    is_the_event(&read(&structured).await, &id);

    let tenant = host.tenant("binary").await;
    let (id, binary) = sent(&tenant, "cloudevents-binary").await;
    assert_eq!(binary.body, r#"{"total": 1.5}"#.replace(' ', ""));
    assert_eq!(binary.header("ce-subject"), "Jan%C3%A9%207");
    is_the_event(&read(&binary).await, &id);

    let tenant = host.tenant("batch").await;
    let (id, batch) = sent(&tenant, "cloudevents-batch").await;
    assert_eq!(batch.header("content-type"), "application/cloudevents-batch+json");
    let mut one = batch.clone();
    let list = batch.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    one.body = list[0].to_string().into();
    one.headers.insert("content-type", "application/cloudevents+json".parse().unwrap());
    is_the_event(&read(&one).await, &id);
}

#[tokio::test]
async fn the_sdks_events_come_in_in_each_mode() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "events"})).await.expect(201);
    let url = text(&source["url"]);
    let attributes = json!({
        "id": "a-1", "source": "/shop", "type": "com.example.order.paid", "subject": "Jané 7",
        "time": "2026-05-13T19:24:02.310Z",
    });
    let write = async |mode: &str| {
        let question =
            json!({"do": "cloudevents-write", "mode": mode, "attributes": attributes, "data": {"total": 1.5}});
        oracle::python(question).await
    };
    let post = async |headers: &Value, body: String| {
        let mut request = tenant.request(Method::POST, url).body(body);
        for (name, value) in headers.as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        tenant.send(request).await
    };
    let check = async |ids: &Value| {
        for id in ids.as_array().unwrap() {
            let event = tenant.get(&format!("/v1/events/{}", id.as_str().unwrap())).await.expect(200);
            assert_eq!((&event["type"], &event["subject"]), (&json!("com.example.order.paid"), &json!("Jané 7")));
            assert_eq!(
                (&event["occurred_at"], &event["data"]),
                (&json!("2026-05-13T19:24:02.310Z"), &json!({"total": 1.5}))
            );
        }
    };
    for mode in ["binary", "structured"] {
        let written = write(mode).await;
        let receipt = post(&written["headers"], text(&written["body"]).to_owned()).await.expect(202);
        assert_eq!(list(&receipt["event_ids"]).len(), 1, "{mode}");
        check(&receipt["event_ids"]).await;
    }
    let one = text(&write("structured").await["body"]).to_owned();
    let batched = json!({"content-type": "application/cloudevents-batch+json"});
    let receipt = post(&batched, format!("[{one},{one}]")).await.expect(202);
    assert_eq!(list(&receipt["event_ids"]).len(), 2);
    check(&receipt["event_ids"]).await;
    // What is no CloudEvent is kept and can be run again.
    let receipt = post(&batched, r#"[{"specversion":"1.0"}]"#.to_owned()).await.expect(202);
    assert_eq!(receipt["event_ids"], json!([]));
    let kept = tenant.get(&format!("/v1/requests/{}", text(&receipt["request_id"]))).await.expect(200);
    assert_eq!(kept["state"], "quarantined");
    assert!(text(&kept["reason"]).contains("has no `id`"), "{kept}");
}

#[tokio::test]
async fn a_source_gives_permission_to_who_asks() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "events"})).await.expect(201);
    let request = tenant.request(Method::OPTIONS, text(&source["url"]));
    let answer = tenant.send(request.header("webhook-request-origin", "eventemitter.example.com")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["webhook-allowed-origin"], "eventemitter.example.com");
    assert_eq!(answer.headers["webhook-allowed-rate"], "*");
    assert!(answer.headers["allow"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn a_receiver_that_allows_another_origin_gets_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let answer = |origin: &'static str| {
        move |request: &Arrived| {
            let answer = Response::builder().status(200).header("webhook-allowed-origin", origin);
            (request.method == "OPTIONS").then(|| answer.body(String::new()).expect("an answer"))
        }
    };
    for (name, origin, state) in
        [("other", "other.example.com", "unverified"), ("ours", "127.0.0.1", "active"), ("all", "*", "active")]
    {
        let receiver = Receiver::start().await;
        receiver.answer_by(answer(origin));
        let endpoint = tenant.endpoint(&receiver.url(), json!({"name": name, "dialect": "cloudevents"})).await;
        assert_eq!(endpoint["state"], state, "{endpoint}");
    }
    // One that has never heard of it is delivered to.
    let receiver = Receiver::start().await;
    receiver.answer(&[405]);
    let endpoint = tenant.endpoint(&receiver.url(), json!({"name": "plain", "dialect": "cloudevents"})).await;
    assert_eq!(endpoint["state"], "active", "{endpoint}");
}

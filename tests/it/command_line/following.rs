//! What is followed as it happens: deliveries, and traffic that is forwarded to a
//! program on this machine.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Response;
use hookyard_tests::{Host, Receiver, text};
use serde_json::{Value, json};

use super::hookyard;

#[tokio::test]
async fn a_delivery_is_printed_as_it_happens() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"name": "crm"})).await;
    let before = tenant.publish(json!({"type": "order.paid", "data": {}})).await;
    tenant.delivery_in(&before, "delivered").await;

    let tail = hookyard(&["deliveries", "tail", "--endpoint", "crm", "--json"]).by(&tenant);
    let mut tail = tail.running("Waiting for deliveries").await;
    let event = tenant.publish(json!({"type": "order.paid", "data": {}})).await;
    let line: Value = serde_json::from_str(&tail.prints("\"delivered\"").await).expect("a line is a document");
    assert_eq!(line["event_id"], event.as_str(), "and not what was delivered before");
}

/// A server whose log is long, and in which the filter finds next to nothing: each
/// answer has looked at so many and says where it stopped.
#[tokio::test]
async fn what_fits_seldom_is_not_looked_for_in_the_whole_log_again_and_again() {
    let mut server = Receiver::start().await;
    let has_begun = AtomicBool::new(false);
    server.answer_by(move |asked| {
        let query = asked.uri.query().unwrap_or_default();
        let cursor = query.split('&').find_map(|part| part.strip_prefix("cursor="));
        let (items, next) = match cursor {
            None if !has_begun.swap(true, Ordering::Relaxed) => (json!([]), "dlv_3"),
            // So much came meanwhile that one answer does not reach what was there before.
            None => (json!([]), "dlv_9"),
            Some("dlv_9") => (json!([{"id": "dlv_7", "state": "pending", "attempt_count": 0}]), "dlv_2"),
            Some(_) => (json!([]), "dlv_1"),
        };
        let answer = json!({"items": items, "next": next, "searched": 3000});
        Some(Response::new(answer.to_string()))
    });
    let tail = hookyard(&["deliveries", "tail", "--type", "order.paid", "--json"])
        .with("HOOKYARD_SERVER", &format!("http://{}", server.address()))
        .with("HOOKYARD_KEY", "a-key");
    let mut tail = tail.running("Waiting for deliveries").await;
    assert!(tail.prints("dlv_7").await.contains("pending"));
    // That it asks again says that it has not looked any further before.
    let mut asked = Vec::new();
    while asked.len() < 5 {
        asked.push(server.next().await.uri.query().expect("it says how many").replace("type=order.paid&limit=250", ""));
    }
    assert_eq!(asked, ["", "", "&cursor=dlv_9", "", ""]);
}

#[tokio::test]
async fn a_sources_requests_are_forwarded_as_they_came() {
    let (host, mut here) = (Host::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    let listen = hookyard(&["listen", "--source", "shop", &here.url(), "--filter", "order.*"]).by(&tenant);
    let mut listen = listen.running("Forwarding the source `shop`").await;

    let url = format!("{}?from=shop", text(&source["url"]));
    tenant.post(&url, json!({"event": "cart.left"})).await.expect(202);
    let body = "{ \"event\": \"order.paid\",\n \"order\": 7 }";
    let request = tenant.request(reqwest::Method::POST, &url).header("x-shop", "7").body(body);
    tenant.send(request).await.expect(202);

    let forwarded = here.next().await;
    assert_eq!((&*forwarded.body, forwarded.uri.query()), (body.as_bytes(), Some("from=shop")));
    assert_eq!((forwarded.header("x-shop"), forwarded.uri.path()), ("7", "/hooks"));
    let line = listen.prints("order.paid").await;
    assert!(line.contains("204") && line.contains("POST"), "{line}");

    here.answer(&[500]);
    listen.types("r").await;
    assert_eq!(&*here.next().await.body, body.as_bytes());
    let line = listen.prints("order.paid").await;
    assert!(line.contains("500"), "{line}");
}

#[tokio::test]
async fn an_endpoints_messages_are_forwarded_with_their_signature() {
    let (host, mut there, mut here) = (Host::start().await, Receiver::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&there.url(), json!({"name": "crm"})).await;
    let target = here.address().port().to_string();
    let listen = hookyard(&["listen", "--endpoint", "crm", &target, "--json"]).by(&tenant);
    let mut listen = listen.running("Forwarding the endpoint `crm`").await;

    tenant.publish(json!({"type": "order.paid", "data": {"order": 7}})).await;
    let (sent, forwarded) = (there.next().await, here.next().await);
    assert_eq!(forwarded.body, sent.body);
    assert!(forwarded.is_signed_with(text(&endpoint["secret"])));
    assert_eq!((forwarded.method.as_str(), forwarded.uri.path()), ("POST", "/"));
    let line: Value = serde_json::from_str(&listen.prints("order.paid").await).expect("a line is a document");
    assert_eq!((line["status"].as_u64(), &line["types"]), (Some(204), &json!(["order.paid"])));
}

#[tokio::test]
async fn nothing_is_forwarded_to_another_machine_unless_somebody_says_so() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for target in ["https://example.com/hooks", "10.0.0.1:80", "localhost.example.com"] {
        hookyard(&["listen", target]).by(&tenant).badly("--allow-remote").await;
    }
    hookyard(&["listen", "ftp://localhost"]).by(&tenant).badly("give a port, such as 3000").await;
}

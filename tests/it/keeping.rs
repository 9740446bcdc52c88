//! What happened is kept for its time, and what somebody wants erased is gone
//! from the files too.

use std::path::Path;
use std::time::Duration;

use axum::http::Response;
use hookyard_tests::{Api, Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Waits until the path answers with this status.
async fn answers(api: &Api, path: &str, status: u16) -> Value {
    eventually(&format!("{status} for {path}"), async || {
        let answer = api.get(path).await;
        (answer.status.as_u16() == status).then_some(answer.body)
    })
    .await
}

/// Whether any file of the store has these bytes.
fn in_files(data: &Path, bytes: &str) -> bool {
    let files = std::fs::read_dir(data).expect("the data directory is there").flatten();
    files.map(|entry| entry.path()).filter(|path| path.is_file()).any(|path| {
        let content = std::fs::read(path).expect("a readable file");
        content.windows(bytes.len()).any(|window| window == bytes.as_bytes())
    })
}

#[tokio::test]
async fn what_is_over_its_time_is_gone_and_what_is_held_is_not() {
    let host = Host::start().await;
    let short = json!({"name": "acme", "retention": {"requests": "1h", "events": "2h"}});
    let (tenant, other) = (host.tenant_with(short).await, host.tenant("other").await);
    let mut receiver = Receiver::start().await;
    let held = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "held", "event_types": ["kept.*"]})).await;
    let held = format!("/v1/endpoints/{}", text(&held["id"]));
    tenant.post(&format!("{held}/pause"), json!({})).await.expect(200);
    tenant.endpoint(&receiver.url(), json!({"event_types": ["a.*"]})).await;
    other.endpoint(&receiver.url(), json!({})).await;
    let source = tenant.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    let received = tenant.post_bytes(text(&source["url"]), r#"{"type": "a.b"}"#).await.expect(202);
    let request = format!("/v1/requests/{}", text(&received["request_id"]));
    let gone = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let stays = tenant.publish(json!({"type": "kept.b", "data": "what was kept"})).await;
    let theirs = other.publish(json!({"type": "a.b", "data": 3})).await;
    let delivery = text(&tenant.delivery_in(&gone, "delivered").await["id"]).to_owned();
    other.delivery_in(&theirs, "delivered").await;

    host.clock.advance(3 * HOUR);
    answers(&tenant, &format!("/v1/events/{gone}"), 404).await;
    answers(&tenant, &request, 404).await;
    for path in [format!("/v1/deliveries/{delivery}"), format!("/v1/events/{gone}/explain")] {
        tenant.get(&path).await.problem(404, "");
    }
    tenant.post(&format!("/v1/deliveries/{delivery}/retry"), json!({})).await.problem(404, "");
    answers(&other, &format!("/v1/events/{theirs}"), 200).await;
    let left = tenant.get(&format!("/v1/events?limit=1&cursor={stays}")).await.expect(200);
    assert_eq!((list(&left["items"]).len(), &left["next"]), (0, &Value::Null), "a cursor leads to the end: {left}");

    // It was older than that all the time, and goes out whole.
    tenant.get(&format!("/v1/events/{stays}")).await.expect(200);
    receiver.so_far();
    tenant.patch(&held, json!({"url": receiver.url()})).await.expect(200);
    tenant.post(&format!("{held}/resume"), json!({})).await.expect(200);
    assert_eq!(receiver.next().await.json()["data"], "what was kept");
    // What had to stay is looked at again on the next day.
    host.clock.advance(25 * HOUR);
    answers(&tenant, &format!("/v1/events/{stays}"), 404).await;
}

#[tokio::test]
async fn bodies_go_first_and_what_happened_can_still_be_read() {
    let host = Host::start().await;
    let short = json!({"name": "acme", "retention": {"bodies": "2h", "answers": "1h"}});
    let tenant = host.tenant_with(short).await;
    let receiver = Receiver::start().await;
    receiver.answer_by(|_| Some(Response::builder().status(410).body("never again".to_owned()).expect("a response")));
    let endpoint = tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": []}})).await;
    let event = tenant.publish(json!({"type": "a.b", "data": {"name": "Jane"}})).await;
    let delivery = tenant.delivery_in(&event, "dead").await;
    assert_eq!(delivery["attempts"][0]["response"]["body"], "never again");
    let source = tenant.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    let received = tenant.post_bytes(text(&source["url"]), "no JSON").await.expect(202);
    let request = format!("/v1/requests/{}", text(&received["request_id"]));
    assert_eq!(tenant.get(&request).await.expect(200)["body"], "no JSON");

    host.clock.advance(3 * HOUR);
    let gone = eventually("an event without its data", async || {
        let event = tenant.get(&format!("/v1/events/{event}")).await.expect(200);
        event["data_gone_at"].is_string().then_some(event)
    })
    .await;
    assert_eq!((&gone["data"], &gone["type"]), (&Value::Null, &json!("a.b")));
    let path = format!("/v1/deliveries/{}", text(&delivery["id"]));
    let delivery = eventually("a delivery without its answer", async || {
        let delivery = tenant.get(&path).await.expect(200);
        (delivery["attempts"][0]["response_gone"] == true).then_some(delivery)
    })
    .await;
    assert_eq!((&delivery["message"], &delivery["state"]), (&Value::Null, &json!("dead")));
    assert!(delivery["message_gone_at"].is_string(), "{delivery}");
    assert_eq!((&delivery["attempts"][0]["status"], &delivery["attempts"][0]["response"]), (&json!(410), &Value::Null));
    let told = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    assert!(text(&told["endpoints"][0]["summary"]).contains("answered with status 410"), "{told}");
    let kept = tenant.get(&request).await.expect(200);
    assert_eq!((&kept["body"], &kept["bytes"], &kept["state"]), (&json!(""), &Value::Null, &json!("quarantined")));

    // Nothing is made of what is not there.
    for (path, body) in [
        (format!("{path}/retry"), json!({})),
        (format!("{request}/rerun"), json!({})),
        ("/v1/try".to_owned(), json!({"event_id": event, "steps": []})),
        ("/v1/try".to_owned(), json!({"request_id": received["request_id"]})),
    ] {
        let said = tenant.post(&path, body).await.problem(409, "");
        assert!(said.contains("not kept any more"), "{path}: {said}");
    }
    let replay = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current", "dry_run": true});
    let replayed = tenant.post(&format!("/v1/endpoints/{}/replay", text(&endpoint["id"])), replay).await.expect(202);
    assert_eq!(replayed["deliveries"], 0);
}

#[tokio::test]
async fn a_tenant_keeps_nothing_longer_than_the_server() {
    let host = Host::start().await;
    let made = host.operator.post("/v1/tenants", json!({"name": "acme"})).await.expect(201);
    let path = format!("/v1/tenants/{}", text(&made["id"]));
    assert_eq!(made["retention"], json!({}));
    let change = |retention: Value| host.operator.patch(&path, json!({"retention": retention}));
    change(json!({"events": "7d", "answers": "12h"})).await.expect(200);
    let said = change(json!({"events": "31d"})).await.problem(422, "retention.events");
    assert!(said.contains("31d") && said.contains("30d") && said.contains("keep-events"), "{said}");
    change(json!({"requests": "forever"})).await.problem(422, "retention.requests");
    let said = change(json!({"bodies": "a week"})).await.problem(422, "retention.bodies");
    assert!(said.contains("30d or 12h"), "{said}");
    change(json!({"body": "1d"})).await.problem(422, "retention.body");
    let form = json!({"name": "other", "retention": {"answers": "8d"}});
    host.operator.post("/v1/tenants", form).await.problem(422, "retention.answers");
    let host = host.restart().await;
    assert_eq!(host.operator.get(&path).await.expect(200)["retention"], json!({"events": "7d", "answers": "12h"}));
}

/// Events of both subjects, interleaved, some of them larger than a page; each
/// is delivered, some after a refusal, and the answers repeat what was sent.
async fn a_past(host: &Host, tenant: &Api, receiver: &Receiver, count: usize) {
    receiver.answer_by(|arrived| {
        let body = String::from_utf8_lossy(&arrived.body).into_owned();
        Some(Response::builder().status(200).body(body).expect("a response"))
    });
    receiver.answer(&[500; 3]);
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [0, 0, 0], "jitter": 0}})).await;
    let source = json!({"name": "shop", "steps": [{"plugin": "field-mapper", "config": {
        "type": {"const": "a.b"}, "subject": {"from": "who"}, "rules": [{"to": "said", "from": "said"}]}}]});
    let source = tenant.post("/v1/sources", source).await.expect(201);
    for n in 0..count {
        let (who, size) = (["jane@example.com", "joe@example.com"][n % 2], [10, 500, 9000][n % 3]);
        let said = format!("{who} said number {n}: {}", "so ".repeat(size));
        if n % 4 < 2 {
            let body = json!({"type": "a.b", "who": who, "said": said}).to_string();
            tenant.post_bytes(text(&source["url"]), body).await.expect(202);
        } else {
            tenant.publish(json!({"type": "a.b", "subject": who, "data": {"said": said}})).await;
        }
    }
    let tenant = tenant.clone();
    eventually("the end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending").await.expect(200);
        list(&pending["items"]).is_empty().then_some(())
    })
    .await;
    for who in ["jane@example.com", "joe@example.com", "jane@example.com said number"] {
        assert!(in_files(host.data(), who), "{who} is in the files before");
    }
}

async fn erased(tenant: &Api, subject: &str) -> Value {
    let asked = tenant.post("/v1/erasures", json!({"subject": subject})).await.expect(202);
    assert_eq!((&asked["state"], &asked["subject"]), (&json!("erasing"), &json!(subject)));
    let path = format!("/v1/erasures/{}", text(&asked["id"]));
    eventually("the end of the erasure", async || {
        let erasure = tenant.get(&path).await.expect(200);
        (erasure["state"] == "done").then_some(erasure)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_erased_subject_no_byte_is_in_the_files() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    a_past(&host, &tenant, &receiver, 120).await;
    let erasure = erased(&tenant, "jane@example.com").await;
    assert_eq!(erasure["subject"], Value::Null);
    assert_eq!((&erasure["erased"]["events"], &erasure["erased"]["requests"]), (&json!(60), &json!(30)), "{erasure}");
    assert!(!in_files(host.data(), "jane@example"), "her name or what she said is there");
    // The control: the search finds what is there.
    assert!(in_files(host.data(), "joe@example.com said number 119"));
    let of = |who: &str| format!("/v1/events?subject={who}");
    assert!(list(&tenant.get(&of("jane@example.com")).await.expect(200)["items"]).is_empty());
    assert!(!list(&tenant.get(&of("joe@example.com")).await.expect(200)["items"]).is_empty());
    assert_eq!(list(&tenant.get("/v1/erasures").await.expect(200)["items"]), std::slice::from_ref(&erasure));
    let other = host.tenant("other").await;
    other.get(&format!("/v1/erasures/{}", text(&erasure["id"]))).await.problem(404, "");
    tenant.post("/v1/erasures", json!({"subject": ""})).await.problem(422, "subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_tenant_no_byte_is_in_the_files() {
    let host = Host::start().await;
    let form = host.operator.post("/v1/tenants", json!({"name": "acme"})).await.expect(201);
    let tenant = host.operator.with_key(form["key"].as_str());
    let receiver = Receiver::start().await;
    a_past(&host, &tenant, &receiver, 60).await;
    let other = host.tenant("other").await;
    other.publish(json!({"type": "a.b", "data": "what another said"})).await;
    host.operator.delete(&format!("/v1/tenants/{}", text(&form["id"]))).await.expect(204);
    eventually("clean files", async || {
        (!in_files(host.data(), "jane@example") && !in_files(host.data(), "joe@example")).then_some(())
    })
    .await;
    assert!(in_files(host.data(), "what another said"));
}

#[tokio::test]
async fn a_delivery_that_is_in_flight_when_its_subject_is_erased_leaves_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let url = format!("http://{}/", hanging.local_addr().expect("it is bound"));
    tenant.endpoint(&url, json!({"event_types": ["a.b"]})).await;
    let event = tenant.publish(json!({"type": "a.b", "subject": "jane@example.com", "data": 1})).await;
    let (connection, _) = hanging.accept().await.expect("it is sent");
    erased(&tenant, "jane@example.com").await;
    // The exchange ends, and its settlement finds nothing to settle.
    drop((connection, hanging));
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({"event_types": ["c.d"]})).await;
    let after = tenant.publish(json!({"type": "c.d", "data": 1})).await;
    receiver.next().await;
    tenant.delivery_in(&after, "delivered").await;
    tenant.get(&format!("/v1/events/{event}")).await.problem(404, "");
    let deliveries = tenant.get("/v1/deliveries").await.expect(200);
    assert_eq!(list(&deliveries["items"]).len(), 1, "{deliveries}");
    assert!(!in_files(host.data(), "jane@example"));
}

#[tokio::test]
async fn an_erasure_goes_on_after_a_restart() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let events: Vec<Value> =
        (0..500).map(|n| json!({"type": "a.b", "subject": "jane@example.com", "data": n})).collect();
    for _ in 0..4 {
        tenant.post("/v1/events", json!(events)).await.expect(202);
    }
    let asked = tenant.post("/v1/erasures", json!({"subject": "jane@example.com"})).await.expect(202);
    let key = tenant.key().to_owned();
    let host = host.restart().await;
    let tenant = host.operator.with_key(Some(&key));
    let path = format!("/v1/erasures/{}", text(&asked["id"]));
    let erasure = eventually("the end of the erasure", async || {
        let erasure = tenant.get(&path).await.expect(200);
        (erasure["state"] == "done").then_some(erasure)
    })
    .await;
    assert_eq!(erasure["erased"]["events"], 2000);
    assert!(!in_files(host.data(), "jane@example"));
}

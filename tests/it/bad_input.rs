//! Bad input gets an error that names the field; nothing is half done.

use hookyard_tests::{Api, Host};
use serde_json::{Value, json};

/// Posts what is wrong and expects the status, the field, and words of the
/// detail that say what to do.
async fn check(api: &Api, path: &str, body: Value, status: u16, field: &str, detail: &str) {
    let said = api.post(path, body.clone()).await.problem(status, field);
    assert!(said.contains(detail), "{path} {body}: {said}");
}

#[tokio::test]
async fn an_endpoint_that_is_wrong_is_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let form = |field: &str, value: Value| {
        let mut form = json!({"name": "a", "url": "https://example.com/", "event_types": ["*"]});
        form[field] = value;
        form
    };
    for (field, value, named, detail) in [
        ("name", json!(""), "name", "must not be empty"),
        ("name", json!(7), "name", "expected a string"),
        ("url", json!("example.com"), "url", "absolute URL"),
        ("url", json!("https://user:pw@example.com/"), "url", "user or password"),
        ("url", json!("http://10.0.0.1/"), "url", "private"),
        ("event_types", json!([]), "event_types", "order.*"),
        ("event_types", json!(["a.b", "no spaces"]), "event_types[1]", "type pattern"),
        ("tags", json!(["a\nb"]), "tags", "control character"),
        ("dialect", json!("morse"), "dialect", "standard-webhooks"),
        ("headers", json!({"Host": "evil"}), "headers.Host", "`host` is set by the host"),
        ("headers", json!({"x-a": "b\r\nc: d"}), "headers.x-a", "control"),
        ("secret", json!("hunter2"), "secret", "whsec_"),
        ("retry", json!({"schedule": [100_000]}), "retry.schedule", "86400 seconds"),
        ("retry", json!({"schedule": "soon"}), "retry.schedule", "expected a sequence"),
        ("timeout_seconds", json!("soon"), "timeout_seconds", "expected a whole number"),
        ("colour", json!("red"), "colour", "unknown field"),
        ("steps", json!([{"plugin": "nobody"}]), "steps[0].plugin", "no plugin `nobody`"),
        ("steps", json!([{"plugin": "tag-filter", "version": 99}]), "steps[0].version", "no such version"),
        (
            "steps",
            json!([{"plugin": "tag-filter", "config": {"expression": "a and ("}}]),
            "steps[0].config.expression",
            "column",
        ),
        (
            "steps",
            json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "a", "form": "b"}]}}]),
            "steps[0].config.rules[0].form",
            "form",
        ),
    ] {
        check(&tenant, "/v1/endpoints", form(field, value), 422, named, detail).await;
    }
    check(&tenant, "/v1/endpoints", json!({"name": "a", "event_types": ["*"]}), 422, "url", "missing field").await;
    // The field says where: columns are for whoever counts them.
    let said =
        tenant.post("/v1/endpoints", form("timeout_seconds", json!("soon"))).await.problem(422, "timeout_seconds");
    assert!(!said.contains("column"), "{said}");
    assert_eq!(tenant.get("/v1/endpoints").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn an_event_that_is_wrong_is_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (body, status, field, detail) in [
        (json!({"data": 1}), 422, "type", "missing field"),
        (json!({"type": "a b", "data": 1}), 422, "type", "event type"),
        (json!({"type": "a.b"}), 422, "data", "missing field"),
        (json!({"type": "a.b", "data": 1, "occurred_at": "noon"}), 422, "occurred_at", "RFC 3339"),
        (json!({"type": "a.b", "data": 1, "tags": "vip"}), 422, "tags", "expected a sequence"),
        (json!({"type": "a.b", "data": 1, "subject": "x".repeat(300)}), 422, "subject", "256 bytes"),
        (json!([{"type": "a.b", "data": 1}, {"type": "", "data": 1}]), 422, "[1].type", "event type"),
        (json!([{"type": "a.b", "data": 1}, {"type": "a.b"}]), 422, "[1].data", "missing field"),
        (json!([]), 422, "", "give 1 to 500"),
    ] {
        check(&tenant, "/v1/events", body, status, field, detail).await;
    }
    let two = "{\"type\":\"a.b\",\"data\":1}\n{\"type\":\"a.b\",\"data\":2}";
    for body in ["{\"type\":", "{\"type\":\"a.b\",\"data\":1}x", two, ""] {
        let said = tenant.post_bytes("/v1/events", body).await.problem(400, "");
        assert!(said.contains("not JSON"), "{said}");
    }
    assert_eq!(tenant.get("/v1/events").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (query, field, detail) in [
        ("sate=dead", "sate", "unknown field"),
        ("limit=some", "limit", "invalid digit"),
        ("limit=0", "limit", "give 1 to 250"),
        ("state=dead&state=pending", "state", "duplicate field"),
    ] {
        let said = tenant.get(&format!("/v1/deliveries?{query}")).await.problem(422, field);
        assert!(said.contains(detail), "{query}: {said}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_while_it_streams() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "s"})).await.expect(201);
    let large = vec![b' '; 1024 * 1024 + 1];
    for path in ["/v1/events", source["url"].as_str().unwrap()] {
        let said = tenant.post_bytes(path, large.clone()).await.problem(413, "");
        assert!(said.contains("1048576"), "{said}");
    }
    let just_fits = format!("{{\"type\":\"a.b\",\"data\":\"{}\"}}", "x".repeat(1024 * 1024 - 25));
    tenant.post_bytes("/v1/events", just_fits).await.expect(202);
}

#[tokio::test]
async fn names_are_taken_once() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    host.operator.post("/v1/tenants", json!({"name": "acme"})).await.problem(409, "name");
    tenant.post("/v1/sources", json!({"name": "s"})).await.expect(201);
    tenant.post("/v1/sources", json!({"name": "s"})).await.problem(409, "name");
    let other = host.tenant("other").await;
    other.post("/v1/sources", json!({"name": "s"})).await.expect(201);
    tenant.post_bytes("/v1/plugins?name=field-mapper", "x").await.problem(409, "name");
}

#[tokio::test]
async fn a_step_stands_where_its_plugin_can_work() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = json!({"name": "s", "steps": [{"plugin": "template", "config": {"body": "x"}}]});
    check(&tenant, "/v1/sources", source, 422, "steps[0].plugin", "must be a mapper or a filter").await;
    let verified = json!({"name": "s", "verification": {"scheme": "magic"}});
    check(&tenant, "/v1/sources", verified, 422, "verification.scheme", "magic").await;
}

#[tokio::test]
async fn keys_decide_who_may_what() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for key in [None, Some("hk_wrong"), Some("")] {
        let api = tenant.with_key(key);
        for path in ["/v1/endpoints", "/v1/events", "/v1/tenants", "/v1/plugins"] {
            let answer = api.get(path).await;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.problem(401, "");
        }
        api.post("/v1/events", json!({"type": "a.b", "data": 1})).await.problem(401, "");
    }
    tenant.get("/v1/tenants").await.problem(403, "");
    host.operator.get("/v1/endpoints").await.problem(403, "");
    tenant.get("/v1/nothing").await.problem(404, "");
    tenant.get("/in/wh_nobody").await.problem(404, "");
    tenant.post("/in/wh_nobody", json!({})).await.problem(404, "");
    tenant.delete("/v1/events").await.problem(405, "");
    for path in ["/v1/endpoints?limit=0", "/v1/events?limit=1000"] {
        tenant.get(path).await.problem(422, "limit");
    }
    tenant.get("/v1/events?cursor=xyz").await.problem(422, "cursor");
    tenant.get("/v1/deliveries?state=lost").await.problem(422, "state");
}

#[tokio::test]
async fn an_idempotency_key_makes_one_event_of_many_calls() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let publish = async |n: u32| {
        let body = json!({"type": "a.b", "data": n}).to_string();
        let request = tenant.request(reqwest::Method::POST, "/v1/events").header("idempotency-key", "k1").body(body);
        tenant.send(request).await
    };
    let first = publish(1).await.expect(202);
    let (a, b, c) = tokio::join!(publish(1), publish(1), publish(1));
    for again in [a, b, c] {
        assert_eq!(again.expect(202), first);
    }
    let said = publish(2).await.problem(409, "Idempotency-Key");
    assert!(said.contains("another request"), "{said}");
    assert_eq!(tenant.get("/v1/events").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut published = Vec::new();
    for n in 0..5 {
        // Ids sort by the millisecond, and two events can share one.
        host.clock.advance(std::time::Duration::from_millis(1));
        published.push(tenant.publish(json!({"type": "a.b", "data": n, "tags": [format!("n{}", n % 2)]})).await);
    }
    published.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/events?limit=2".to_owned();
    loop {
        let page = tenant.get(&path).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/events?limit=2&cursor={next}");
    }
    assert_eq!(seen, published);
    let tagged = tenant.get("/v1/events?tag=n1").await.expect(200);
    let data: Vec<&Value> = tagged["items"].as_array().unwrap().iter().map(|event| &event["data"]).collect();
    assert_eq!(data, [3, 1]);
}

//! How much a tenant and a source may bring in: 429 over it, nothing stored, and
//! nobody else is any the worse for it.

use std::time::Duration;

use hookyard_tests::{Answer, Api, Host, list};
use reqwest::Method;
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn batch(count: usize) -> Value {
    (0..count).map(|number| json!({"type": "a.b", "data": number})).collect()
}

async fn stored(tenant: &Api, what: &str) -> usize {
    list(&tenant.get(&format!("/v1/{what}?limit=250")).await.expect(200)["items"]).len()
}

/// A refusal, its type's last word and how long to wait.
#[track_caller]
fn refused(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let kind = answer.body["type"].as_str().expect("a type").rsplit(':').next().expect("a word").to_owned();
    let wait = answer.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    (kind, wait)
}

#[tokio::test]
async fn a_tenant_s_rate_counts_events_and_holds_for_it_alone() {
    let host = Host::start().await;
    let limits = json!({"events_per_second": 2});
    let acme = host.tenant_with(json!({"name": "acme", "limits": limits})).await;
    let other = host.tenant_with(json!({"name": "other", "limits": limits})).await;
    let source = acme.post("/v1/sources", json!({"name": "in"})).await.expect(201);
    let url = source["url"].as_str().expect("a URL");

    // Five seconds' worth may come at once: ten.
    acme.post("/v1/events", batch(9)).await.expect(202);
    let two = acme.post("/v1/events", batch(2)).await;
    assert_eq!(refused(&two).0, "rate-limited");
    assert!(two.body["detail"].as_str().is_some_and(|said| said.contains("2 events a second")), "{}", two.body);
    acme.with_key(None).post(url, json!({"event": "c.d"})).await.expect(202);
    let (kind, wait) = refused(&acme.with_key(None).post(url, json!({"event": "c.d"})).await);
    assert_eq!((kind.as_str(), wait), ("rate-limited", 1));
    assert_eq!((stored(&acme, "events").await, stored(&acme, "requests").await), (10, 1));
    other.post("/v1/events", batch(10)).await.expect(202);

    host.clock.advance(SECOND);
    acme.post("/v1/events", batch(2)).await.expect(202);
    let stats = acme.get("/v1/stats").await.expect(200);
    assert_eq!(stats["events"]["today"], json!({"taken": 12, "refused": 3}));
    assert_eq!(stats["limits"]["events_per_second"], 2);
    assert_eq!(other.get("/v1/stats").await.expect(200)["events"]["month"], json!({"taken": 10, "refused": 0}));
}

#[tokio::test]
async fn a_quota_survives_a_restart_and_ends_with_its_day() {
    let host = Host::start().await;
    let limits = json!({"events_per_day": 5, "events_per_month": 7});
    let tenant = host.operator.post("/v1/tenants", json!({"name": "acme", "limits": limits})).await.expect(201);
    let acme = host.operator.with_key(tenant["key"].as_str());
    acme.post("/v1/events", batch(4)).await.expect(202);
    let publish = async |api: &Api, key: &str| {
        let request = api.request(Method::POST, "/v1/events").header("idempotency-key", key);
        api.send(request.body(json!({"type": "a.b", "data": 1}).to_string())).await
    };
    // What was stored before, and what is refused for another reason, is not
    // counted.
    let first = publish(&acme, "once").await.expect(202);
    assert_eq!(stored(&acme, "events").await, 5);
    host.clock.advance(SECOND);

    let host = host.restart().await;
    let acme = host.operator.with_key(Some(acme.key()));
    let (kind, wait) = refused(&acme.post("/v1/events", batch(1)).await);
    assert_eq!(kind, "quota-spent");
    let to_midnight = 86_400 - host.now().as_secs().rem_euclid(86_400);
    assert!((to_midnight - 300..=to_midnight + 1).contains(&(wait as i64)), "{wait} s, {to_midnight} s");
    assert_eq!(stored(&acme, "events").await, 5);
    // Whoever did not hear the answer then hears it now.
    assert_eq!(publish(&acme, "once").await.expect(202), first);
    publish(&acme, "twice").await.problem(429, "");

    let path = format!("/v1/tenants/{}", tenant["id"].as_str().expect("an id"));
    let change = json!({"limits": {"events_per_day": 6, "events_per_month": 7}});
    assert_eq!(host.operator.patch(&path, change).await.expect(200)["limits"]["events_per_day"], 6);
    assert_eq!(publish(&acme, "once").await.expect(202), first, "the same again is no other event");
    acme.post("/v1/events", batch(2)).await.problem(429, "");
    acme.post("/v1/events", batch(1)).await.expect(202);
    host.operator.patch(&path, json!({"limits": {}})).await.expect(200);
    acme.post("/v1/events", batch(100)).await.expect(202);
}

#[tokio::test]
async fn a_day_s_quota_begins_anew_at_midnight() {
    let host = Host::start().await;
    // The middle of a month, whenever this runs.
    let day = host.now().as_secs().div_euclid(86_400);
    let (_, next) = hookyard::domain::limits::month(day);
    host.clock.advance(24 * HOUR * u32::try_from(next - day + 9).expect("a few days"));
    let acme = host.tenant_with(json!({"name": "acme", "limits": {"events_per_day": 5, "events_per_month": 7}})).await;
    acme.post("/v1/events", batch(5)).await.expect(202);
    assert_eq!(refused(&acme.post("/v1/events", batch(1)).await).0, "quota-spent");
    host.clock.advance(24 * HOUR);
    let said = acme.post("/v1/events", batch(3)).await.problem(429, "");
    assert!(said.contains("7 events a month"), "{said}");
    acme.post("/v1/events", batch(2)).await.expect(202);
}

#[tokio::test]
async fn a_source_s_rate_is_its_own() {
    let host = Host::start().await;
    let acme = host.tenant("acme").await;
    let form = |name: &str, rate: Value| json!({"name": name, "rate_limit": rate});
    let slow = acme.post("/v1/sources", form("slow", json!({"limit": 2, "per": "minute"}))).await.expect(201);
    let fast = acme.post("/v1/sources", form("fast", json!(100))).await.expect(201);
    assert_eq!(slow["rate_limit"], json!({"limit": 2, "per": "minute"}));
    assert_eq!(fast["rate_limit"], json!({"limit": 100, "per": "second"}));
    acme.post("/v1/sources", form("none", json!(0))).await.problem(422, "rate_limit");
    let send = async |source: &Value| {
        acme.with_key(None).post(source["url"].as_str().expect("a URL"), json!({"event": "a.b"})).await
    };
    send(&slow).await.expect(202);
    send(&slow).await.expect(202);
    let third = send(&slow).await;
    assert!(refused(&third).1 > 20 && refused(&third).1 <= 30, "{:?}", third.headers);
    assert_eq!(stored(&acme, "requests").await, 2);
    send(&fast).await.expect(202);

    let asked = acme.request(Method::OPTIONS, slow["url"].as_str().expect("a URL"));
    let permission = acme.send(asked.header("webhook-request-origin", "a.example")).await;
    assert_eq!(permission.headers["webhook-allowed-rate"], "2");

    host.clock.advance(31 * SECOND);
    send(&slow).await.expect(202);
    let path = format!("/v1/sources/{}", slow["id"].as_str().expect("an id"));
    assert_eq!(acme.patch(&path, json!({"rate_limit": null})).await.expect(200)["rate_limit"], Value::Null);
    for _ in 0..5 {
        send(&slow).await.expect(202);
    }
}

#[tokio::test]
async fn limits_that_cannot_be_meant_are_refused() {
    let host = Host::start().await;
    let create = async |limits: Value| host.operator.post("/v1/tenants", json!({"name": "x", "limits": limits})).await;
    let said = create(json!({"events_per_second": 0})).await.problem(422, "limits.events_per_second");
    assert!(said.contains("between 1 and 1000000"), "{said}");
    create(json!({"events_per_month": 1_000_000_000_001_u64})).await.problem(422, "limits.events_per_month");
    create(json!({"events_per_week": 1})).await.problem(422, "limits.events_per_week");
    create(json!({"fuel": 0})).await.problem(422, "limits.fuel");
}

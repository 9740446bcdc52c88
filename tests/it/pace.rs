//! How fast receivers are sent to, when they are left alone, and when they are
//! given up.

use std::time::Duration;

use axum::http::Response;
use hookyard_tests::{Api, Host, Receiver, eventually, list, text};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn publish(tenant: &Api, n: u32) -> String {
    tenant.publish(json!({"type": "a.b", "data": n})).await
}

async fn show(tenant: &Api, endpoint: &Value) -> Value {
    tenant.get(&format!("/v1/endpoints/{}", text(&endpoint["id"]))).await.expect(200)
}

/// When an event's only delivery is tried next, in seconds from now.
async fn wait_of(host: &Host, tenant: &Api, event: &str) -> i64 {
    let found = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
    let due: jiff::Timestamp = text(&list(&found["items"])[0]["next_attempt_at"]).parse().expect("an instant");
    due.as_second() - host.now().as_secs()
}

/// Why the event is where it is, at the first endpoint.
async fn explained(tenant: &Api, event: &str) -> String {
    let explained = tenant.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    text(&list(&explained["endpoints"])[0]["reason"]).to_owned()
}

/// The same tenant after a restart.
fn tenant_of(host: &Host, tenant: &Api) -> Api {
    Api::new(host.operator.base(), Some(tenant.key()))
}

/// Shows that the dispatcher has looked for work since: what it was not to send
/// was not sent.
async fn has_looked(tenant: &Api) {
    let mut bystander = Receiver::start().await;
    let form = json!({"name": "bystander", "event_types": ["look.here"]});
    let endpoint = tenant.endpoint(&bystander.url(), form).await;
    // Two, one after the other, through the store: between them lies a whole look.
    for _ in 0..2 {
        let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
        tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
        tenant.publish(json!({"type": "look.here", "data": 1})).await;
        tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
        bystander.next().await;
    }
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.delete(&path).await;
}

#[tokio::test]
async fn a_rate_limit_spreads_requests() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"event_types": ["a.b"], "rate_limit": {"limit": 2, "per": "hour"}});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    assert_eq!(endpoint["rate_limit"], json!({"limit": 2, "per": "hour"}));
    for n in 1..=3 {
        publish(&tenant, n).await;
    }
    receiver.next().await;
    host.clock.advance(29 * MINUTE);
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());
    host.clock.advance(2 * MINUTE);
    receiver.next().await;
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());

    // Without the limit, the third goes at once.
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let changed = tenant.patch(&path, json!({"rate_limit": null, "max_in_flight": 3})).await.expect(200);
    assert_eq!((&changed["rate_limit"], &changed["max_in_flight"]), (&json!(null), &json!(3)));
    receiver.next().await;
}

#[tokio::test]
async fn a_receiver_that_only_fails_is_left_alone_and_probed() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"event_types": ["a.b"], "retry": {"schedule": [86400, 86400]}});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    receiver.answer(&[500; 11]);
    for n in 0..10 {
        publish(&tenant, n).await;
        receiver.next().await;
    }
    let open = eventually("the circuit to open", async || {
        let shown = show(&tenant, &endpoint).await;
        (shown["health"]["circuit"] == "open").then_some(shown)
    })
    .await;
    assert!(open["health"]["failing_since"].is_string() && open["state"] == "active", "{open}");

    let waiting = publish(&tenant, 10).await;
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());

    // It is probed half a minute later, and twice that after the probe failed;
    // a restart does not make it well.
    let host = host.restart().await;
    let tenant = tenant_of(&host, &tenant);
    assert_eq!(show(&tenant, &endpoint).await["health"]["circuit"], "open");
    host.clock.advance(Duration::from_secs(31));
    assert_eq!(receiver.next().await.header("webhook-id"), waiting);
    let reopened = eventually("the circuit to open again", async || {
        let shown = show(&tenant, &endpoint).await;
        (shown["health"]["circuit"] == "open").then_some(shown)
    })
    .await;
    let until: jiff::Timestamp = text(&reopened["health"]["open_until"]).parse().unwrap();
    assert!((50..=60).contains(&(until.as_second() - host.now().as_secs())), "{reopened}");
    let next = publish(&tenant, 11).await;
    host.clock.advance(MINUTE + Duration::from_secs(1));
    assert_eq!(receiver.next().await.header("webhook-id"), next);
    tenant.delivery_in(&next, "delivered").await;
    assert_eq!(
        show(&tenant, &endpoint).await["health"],
        json!({"circuit": "closed", "open_until": null, "failing_since": null})
    );
}

#[tokio::test]
async fn who_asks_by_hand_need_not_wait_for_the_circuit() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"event_types": ["a.b"], "retry": {"schedule": [86400]}});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    let later = Response::builder().status(503).header("retry-after", "3000").body(String::new()).unwrap();
    receiver.answer_with(later);
    let refused = publish(&tenant, 1).await;
    receiver.next().await;
    eventually("the receiver's wish to be noted", async || {
        (show(&tenant, &endpoint).await["health"]["circuit"] == "open").then_some(())
    })
    .await;
    // What it asked for holds for every delivery.
    let other = publish(&tenant, 2).await;
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());
    assert!(wait_of(&host, &tenant, &other).await <= 1);

    let found = tenant.get(&format!("/v1/deliveries?event={refused}")).await.expect(200);
    let path = format!("/v1/deliveries/{}/retry", text(&list(&found["items"])[0]["id"]));
    tenant.post(&path, json!({})).await.expect(202);
    let mut ids = [receiver.next().await, receiver.next().await].map(|arrived| arrived.header("webhook-id").to_owned());
    ids.sort();
    assert_eq!(ids, [refused, other]);
}

#[tokio::test]
async fn five_days_of_only_failures_disable_an_endpoint_and_its_owner_is_told() {
    let host = Host::start().await;
    let (mut receiver, mut desk) = (Receiver::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let schedule = json!([86400, 86400, 86400, 86400, 86400, 86400, 86400]);
    let form = json!({"event_types": ["a.b"], "retry": {"schedule": schedule, "jitter": 0}});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    tenant.endpoint(&desk.url(), json!({"name": "desk", "event_types": ["endpoint.disabled"]})).await;
    receiver.answer(&[404; 6]);
    let event = publish(&tenant, 1).await;
    for attempt in 1..=5 {
        receiver.next().await;
        eventually("the attempt to be noted", async || {
            let found = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
            (list(&found["items"])[0]["attempt_count"] == json!(attempt)).then_some(())
        })
        .await;
        assert_eq!(show(&tenant, &endpoint).await["state"], "active", "after {attempt}");
        host.clock.advance(DAY + MINUTE);
    }
    receiver.next().await;

    let notice = desk.next().await.json();
    assert_eq!((&notice["type"], &notice["data"]["endpoint"]["id"]), (&json!("endpoint.disabled"), &endpoint["id"]));
    assert!(text(&notice["data"]["text"]).contains("every attempt has failed for 5 days"), "{notice}");
    let disabled = show(&tenant, &endpoint).await;
    assert_eq!(disabled["state"], "disabled");

    // Switched on again, it begins anew.
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let active = tenant.patch(&path, json!({"active": true})).await.expect(200);
    assert_eq!((&active["state"], &active["health"]["failing_since"]), (&json!("active"), &json!(null)));
    let after = publish(&tenant, 2).await;
    tenant.delivery_in(&after, "delivered").await;
}

#[tokio::test]
async fn a_receiver_can_say_that_a_delivery_or_all_of_them_are_unwanted() {
    let host = Host::start().await;
    let (mut receiver, mut desk) = (Receiver::start().await, Receiver::start().await);
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["a.b"]})).await;
    tenant.endpoint(&desk.url(), json!({"name": "desk", "event_types": ["endpoint.disabled"]})).await;
    let says =
        |word: &str| Response::builder().status(422).header("webhook-delivery", word).body(String::new()).unwrap();
    receiver.answer_with(says("abort"));
    let aborted = publish(&tenant, 1).await;
    let dead = tenant.delivery_in(&aborted, "dead").await;
    assert!(text(&dead["reason"]).contains("webhook-delivery: abort"), "{dead}");
    assert_eq!(show(&tenant, &endpoint).await["state"], "active");
    receiver.next().await;

    receiver.answer_with(says("disable"));
    let last = publish(&tenant, 2).await;
    tenant.delivery_in(&last, "dead").await;
    assert_eq!(desk.next().await.json()["data"]["endpoint"]["id"], endpoint["id"]);
    assert_eq!(show(&tenant, &endpoint).await["state"], "disabled");
}

#[tokio::test]
async fn the_owner_of_an_endpoint_that_only_fails_is_told_before_it_is_disabled() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let mut desk = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let day = 86_400;
    let form = json!({"name": "crm", "event_types": ["a.b"],
        "retry": {"schedule": [day, day, day, day, day], "jitter": 0}});
    tenant.endpoint(&receiver.url(), form).await;
    tenant.endpoint(&desk.url(), json!({"name": "desk", "event_types": ["endpoint.*"]})).await;
    receiver.answer(&[500; 6]);
    let event = publish(&tenant, 1).await;
    let mut host = host;
    let mut told = Vec::new();
    for attempts in 1..=6 {
        let tenant = tenant_of(&host, &tenant);
        hookyard_tests::eventually("the attempt", async || {
            let found = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
            (list(&found["items"])[0]["attempt_count"] == attempts).then_some(())
        })
        .await;
        // After the first day, the third and the fifth; none is told twice, whatever
        // restarts in between.
        if [2, 4, 6].contains(&attempts) {
            let notice = desk.next().await.json();
            told.push(text(&notice["type"]).to_owned());
            assert!(text(&notice["data"]["text"]).contains("\"crm\""), "{notice}");
        }
        host = host.restart().await;
        host.clock.advance(DAY + MINUTE);
    }
    assert_eq!(told, ["endpoint.failing", "endpoint.failing", "endpoint.disabled"]);
    has_looked(&tenant_of(&host, &tenant)).await;
    assert!(desk.so_far().is_empty());
}

#[tokio::test]
async fn an_ordered_endpoint_gets_one_after_the_other() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"event_types": ["a.b"], "ordered": true, "retry": {"schedule": [600, 600], "jitter": 0}});
    tenant.endpoint(&receiver.url(), form).await;
    receiver.answer(&[204, 500]);
    let events: Vec<Value> = (0..20).map(|n| json!({"type": "a.b", "data": n})).collect();
    let answer = tenant.post("/v1/events", json!(events)).await.expect(202);
    let ids: Vec<&str> = list(&answer["ids"]).iter().map(text).collect();
    assert_eq!(receiver.next().await.header("webhook-id"), ids[0]);
    assert_eq!(receiver.next().await.header("webhook-id"), ids[1]);
    // The second was refused: all wait for it, those that come now as well. A
    // restart does not change who is first.
    let late = publish(&tenant, 20).await;
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());
    let host = host.restart().await;
    host.clock.advance(11 * MINUTE);
    let mut got = Vec::new();
    while got.len() < 20 {
        got.push(receiver.next().await.header("webhook-id").to_owned());
    }
    let expected: Vec<&str> = ids[1..].iter().copied().chain([late.as_str()]).collect();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_replay_to_an_ordered_endpoint_goes_out_in_the_old_order() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["a.b"], "ordered": true})).await;
    let mut events = Vec::new();
    for n in 0..5 {
        events.push(publish(&tenant, n).await);
        host.clock.advance(Duration::from_millis(10));
        assert_eq!(receiver.next().await.header("webhook-id"), events.last().unwrap());
    }
    tenant.delivery_in(&events[4], "delivered").await;
    host.clock.advance(Duration::from_secs(1));
    let path = format!("/v1/endpoints/{}/replay", text(&endpoint["id"]));
    let form = json!({"since": "2020-01-01T00:00:00Z", "states": ["delivered"], "pipeline": "as-sent"});
    assert_eq!(tenant.post(&path, form).await.expect(202)["deliveries"], 5);
    let mut again = Vec::new();
    while again.len() < 5 {
        again.push(receiver.next().await.header("webhook-id").to_owned());
    }
    assert_eq!(again, events);
}

#[tokio::test]
async fn each_subject_is_a_line_of_its_own() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let form = json!({"event_types": ["a.b"], "ordered": "subject", "retry": {"schedule": [600], "jitter": 0}});
    let endpoint = tenant.endpoint(&receiver.url(), form).await;
    assert_eq!(endpoint["ordered"], "subject");
    let refused = || Response::builder().status(500).body(String::new()).unwrap();
    receiver.answer_by(move |request| (request.json()["data"] == "bad").then(refused));
    let of = |subject: Value, data: &str| json!({"type": "a.b", "subject": subject, "data": data});
    let ann = [of(json!("ann"), "bad"), of(json!("ann"), "ann 2"), of(json!("ann"), "ann 3")];
    let rest = [of(json!("bob"), "bob 1"), of(json!("bob"), "bob 2"), of(json!(null), "nobody's")];
    let answer = tenant.post("/v1/events", json!([ann.as_slice(), &rest].concat())).await.expect(202);
    let mut got = Vec::new();
    while got.len() < 4 {
        got.push(text(&receiver.next().await.json()["data"]).to_owned());
    }
    assert!(got.iter().position(|data| data == "bob 1") < got.iter().position(|data| data == "bob 2"));
    assert!(got.contains(&"nobody's".to_owned()) && got.contains(&"bad".to_owned()), "{got:?}");
    let waiting = tenant.get(&format!("/v1/deliveries?event={}", text(&answer["ids"][1]))).await.expect(200);
    let waiting = &list(&waiting["items"])[0];
    assert_eq!((&waiting["state"], &waiting["next_attempt_at"]), (&json!("pending"), &json!(null)));
    assert!(text(&waiting["reason"]).contains("those before it"));
    assert_eq!(explained(&tenant, text(&answer["ids"][1])).await, "line");
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty(), "what is behind one that failed waits for it");

    // It is given up after its second attempt, and the others go on.
    host.clock.advance(11 * MINUTE);
    for expected in ["bad", "ann 2", "ann 3"] {
        assert_eq!(receiver.next().await.json()["data"], expected);
    }
}

#[tokio::test]
async fn an_event_waits_for_its_time() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"event_types": ["a.b"]})).await;
    let time = (host.now() + 10 * MINUTE).to_string();
    let delayed = |data| json!({"type": "a.b", "data": data, "deliver_at": time});
    let id = tenant.publish(delayed(1)).await;
    let unwanted = tenant.publish(delayed(2)).await;
    let sooner = tenant.publish(delayed(3)).await;
    tenant.publish(json!({"type": "a.b", "data": 4, "deliver_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(receiver.next().await.json()["data"], 4, "a time that has passed is now");
    assert_eq!(tenant.get(&format!("/v1/events/{id}")).await.expect(200)["deliver_at"], time);
    let found = tenant.get(&format!("/v1/deliveries?event={id}")).await.expect(200);
    assert_eq!(list(&found["items"])[0]["next_attempt_at"], time);
    assert_eq!(explained(&tenant, &id).await, "later");
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());

    let cancelled = tenant.post(&format!("/v1/events/{unwanted}/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled["cancelled"], 1);
    tenant.delivery_in(&unwanted, "cancelled").await;
    let found = tenant.get(&format!("/v1/deliveries?event={sooner}")).await.expect(200);
    let path = format!("/v1/deliveries/{}", text(&list(&found["items"])[0]["id"]));
    tenant.post(&format!("{path}/retry"), json!({})).await.expect(202);
    assert_eq!(receiver.next().await.json()["data"], 3, "whoever asks for it by hand has it now");
    tenant.delivery_in(&sooner, "delivered").await;
    tenant.post(&format!("{path}/cancel"), json!({})).await.problem(409, "");

    // A restart forgets neither.
    let host = host.restart().await;
    host.clock.advance(11 * MINUTE);
    assert_eq!(receiver.next().await.json()["data"], 1);
    has_looked(&tenant_of(&host, &tenant)).await;
    assert!(receiver.so_far().is_empty());
    let too_late = (host.now() + 367 * DAY).to_string();
    let form = json!([{"type": "a.b", "data": 5, "deliver_at": too_late}]);
    let tenant = tenant_of(&host, &tenant);
    let detail = tenant.post("/v1/events", form).await.problem(422, "[0].deliver_at");
    assert!(detail.contains("366 days"), "{detail}");
}

#[tokio::test]
async fn what_is_for_a_paused_endpoint_waits_for_its_time_as_well() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["a.b"]})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let now = publish(&tenant, 1).await;
    tenant.publish(json!({"type": "a.b", "data": 2, "deliver_at": (host.now() + 10 * MINUTE).to_string()})).await;
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());
    let found = tenant.get(&format!("/v1/deliveries?event={now}")).await.expect(200);
    let held = &list(&found["items"])[0];
    assert_eq!((&held["state"], &held["next_attempt_at"]), (&json!("pending"), &json!(null)));
    assert!(text(&held["reason"]).starts_with("held"));
    tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
    assert_eq!(receiver.next().await.json()["data"], 1);
    has_looked(&tenant).await;
    assert!(receiver.so_far().is_empty());
    host.clock.advance(11 * MINUTE);
    assert_eq!(receiver.next().await.json()["data"], 2);
}

#[tokio::test]
async fn an_attempt_ends_when_its_owner_says() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    // It accepts connections and never reads from them.
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", hangs.local_addr().unwrap());
    tenant.endpoint(&url, json!({"timeout_seconds": 1, "retry": {"schedule": []}})).await;
    let event = publish(&tenant, 1).await;
    let dead = tenant.delivery_in(&event, "dead").await;
    assert!(text(&dead["reason"]).contains("no complete answer within 1 s"), "{dead}");
}

#[tokio::test]
async fn a_pace_out_of_bounds_is_refused_by_field() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    for (field, value, says) in [
        ("rate_limit", json!(0), "1 to 10000"),
        ("rate_limit", json!({"limit": 20000, "per": "minute"}), "1 to 10000"),
        ("max_in_flight", json!(0), "1 to 256"),
        ("rate_limit", json!("fast"), "a number per second"),
        ("timeout_seconds", json!(31), "1 to 30"),
    ] {
        let mut form = json!({"name": "crm", "url": "http://127.0.0.1:8099/", "event_types": ["*"]});
        form[field] = value;
        let detail = tenant.post("/v1/endpoints", form).await.problem(422, field);
        assert!(detail.contains(says), "{detail}");
    }
    let shown = tenant.endpoint("http://127.0.0.1:8099/", json!({"rate_limit": 5, "timeout_seconds": 30})).await;
    assert_eq!(shown["rate_limit"], json!({"limit": 5, "per": "second"}));
}

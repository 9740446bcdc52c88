//! Previews: what `/v1/try`, a shadow run and a dry rerun say is what
//! production does.

use std::time::Duration;

use hookyard_tests::api::client;
use hookyard_tests::{Api, Host, Receiver, build, eventually, list, text};
use serde_json::{Value, json};

fn mapper(to: &str) -> Value {
    json!({"plugin": "field-mapper", "config": {"rules": [{"to": to, "from": "n"}]}})
}

fn only_tagged(tag: &str) -> Value {
    json!({"plugin": "tag-filter", "config": {"expression": tag}})
}

#[tokio::test]
async fn a_stored_event_is_tried_as_it_was_delivered() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let more = json!({"steps": [only_tagged("paid"), mapper("first"), mapper("second")], "headers": {"x-mine": "1"}});
    let endpoint = tenant.endpoint(&receiver.url(), more).await;
    let event = tenant.publish(json!({"type": "a.b", "data": {"n": 7}, "tags": ["paid"]})).await;
    let sent = receiver.next().await;
    let delivery = tenant.delivery_in(&event, "delivered").await;
    let whole = tenant.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).await.expect(200);

    let trial = tenant.post("/v1/try", json!({"event_id": event, "endpoint": endpoint["id"]})).await.expect(200);
    assert_eq!(trial["message"], whole["message"]);
    for (tried, ran) in trial["steps"].as_array().unwrap().iter().zip(whole["steps"].as_array().unwrap()) {
        for field in ["plugin", "version", "job", "outcome", "log", "fuel", "memory"] {
            assert_eq!(tried[field], ran[field], "{field}");
        }
    }
    let after: Vec<&Value> = trial["steps"].as_array().unwrap().iter().map(|step| &step["message"]["body"]).collect();
    assert_eq!(after, [&Value::Null, &json!(r#"{"first":7}"#), &json!(r#"{"second":7}"#)]);

    let signed = &trial["signed"];
    assert_eq!(
        (text(&signed["url"]), text(&signed["body"])),
        (receiver.url().as_str(), std::str::from_utf8(&sent.body).unwrap())
    );
    for name in ["webhook-id", "content-type", "x-mine"] {
        assert_eq!(text(&signed["headers"][name]), sent.header(name), "{name}");
    }
    assert!(text(&signed["headers"]["webhook-signature"]).starts_with("v1,"), "{signed}");
}

#[tokio::test]
async fn other_steps_are_tried_on_stored_events_and_requests() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "in", "event_type": "a.b"})).await.expect(201);
    let arrival = client().post(text(&source["url"])).body(r#"{"n": 3}"#);
    let taken = tenant.send(arrival).await.expect(202);
    let (request, event) = (&taken["request_id"], &taken["event_ids"][0]);

    let trial = tenant.post("/v1/try", json!({"event_id": event, "steps": [mapper("m")]})).await.expect(200);
    assert_eq!(trial["message"]["body"], r#"{"m":3}"#);
    assert_eq!(trial["signed"], Value::Null);
    let trial = tenant.post("/v1/try", json!({"request_id": request, "steps": [mapper("m")]})).await.expect(200);
    assert_eq!(trial["events"][0]["data"], json!({"m": 3}));
    let trial = tenant.post("/v1/try", json!({"request_id": request})).await.expect(200);
    assert_eq!(trial["events"][0]["data"], json!({"n": 3}));

    let stranger = host.tenant("stranger").await;
    stranger.post("/v1/try", json!({"event_id": event})).await.problem(422, "event_id");
    stranger.post("/v1/try", json!({"request_id": request})).await.problem(422, "request_id");
    tenant.post("/v1/try", json!({"request_id": request, "event_id": event})).await.problem(422, "event");
    tenant.post("/v1/try", json!({"event_id": event, "endpoint": "ep_1"})).await.problem(422, "endpoint");
    tenant.post("/v1/try", json!({"event_id": event, "source": "src_1"})).await.problem(422, "source");
    tenant.post("/v1/try", json!({"request_id": request, "dialect": "svix"})).await.problem(422, "dialect");
}

#[tokio::test]
async fn a_shadow_run_counts_what_would_change() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    let more = json!({"event_types": ["a.*"], "steps": [only_tagged("keep or maybe"), mapper("n")]});
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", more).await;
    let event = |n: u32, kind: &str, tags: Value| json!({"type": kind, "data": {"n": n}, "tags": tags});
    let mut events = Vec::new();
    for n in 0..20 {
        events.push(event(n, "a.b", json!(["keep"])));
        events.push(event(n, "a.b", json!(["maybe"])));
        events.push(event(n, "a.b", json!(["never"])));
        events.push(event(n, "other", json!(["keep"])));
    }
    tenant.post("/v1/events", json!(events)).await.expect(202);
    let path = format!("/v1/endpoints/{}/shadow", text(&endpoint["id"]));
    let shadow = async |steps: Value, last: u32| {
        let found = tenant.post(&path, json!({"steps": steps, "last": last})).await.expect(200);
        let count = |name: &str| found[name].as_u64().unwrap();
        (["compared", "same", "changed", "dropped", "failed", "added"].map(count), found)
    };
    let (counts, found) = shadow(json!([only_tagged("keep or maybe"), mapper("n")]), 100).await;
    assert_eq!(
        (counts, found["complete"].as_bool()),
        ([60, 60, 0, 0, 0, 0], Some(true)),
        "the endpoint wants 60 of 80"
    );
    assert_eq!(found["current"]["fuel"], found["candidate"]["fuel"], "the same steps cost the same");

    let (counts, found) = shadow(json!([only_tagged("keep or never"), mapper("m")]), 100).await;
    assert_eq!(counts, [60, 0, 20, 20, 0, 20]);
    let changed = found["examples"].as_array().unwrap().iter().find(|one| one["kind"] == "changed").unwrap();
    let n = &changed["diff"][0]["before"];
    assert_eq!(changed["diff"], json!([{"path": "/body/n", "before": n}, {"path": "/body/m", "after": n}]));
    assert!(found["examples"].as_array().unwrap().len() <= 30, "ten of each kind");
    assert_eq!([&found["candidate"]["sent"], &found["candidate"]["dropped"]], [40, 20]);
    let newest = found["newest"].as_array().unwrap();
    let passes = |one: &Value| (one["outcome"] == "send") == (one["tags"] != json!(["maybe"]));
    assert!(newest.len() == 10 && newest.iter().all(passes), "{newest:?}");

    let (counts, found) = shadow(json!([{"plugin": "hostile", "config": {"do": "trap"}}]), 30).await;
    assert_eq!(counts, [30, 0, 0, 0, 30, 0], "{found}");
    let failed = &found["examples"][0];
    assert!(text(&failed["candidate"]["reason"]).contains("a hostile plugin was here"), "{failed}");

    assert!(tenant.get("/v1/deliveries?state=delivered").await.expect(200)["items"].as_array().unwrap().is_empty());
    tenant.post(&path, json!({"steps": [], "last": 0})).await.problem(422, "last");
    host.tenant("stranger").await.post(&path, json!({"steps": []})).await.problem(404, "");
}

#[tokio::test]
async fn a_shadow_run_ends_when_its_time_is_up() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"event_types": ["a.*"]})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let events: Vec<Value> = (0..10).map(|n| json!({"type": "a.b", "data": n})).collect();
    tenant.post("/v1/events", json!(events)).await.expect(202);

    host.clock.hurry(Duration::from_secs(41));
    let found = tenant.post(&format!("{path}/shadow"), json!({"steps": []})).await.expect(200);
    host.clock.hurry(Duration::ZERO);

    assert_eq!((&found["compared"], &found["complete"]), (&json!(1), &json!(false)), "{found}");
    let found = tenant.post(&format!("{path}/shadow"), json!({"steps": []})).await.expect(200);
    assert_eq!((&found["compared"], &found["complete"]), (&json!(10), &json!(true)), "one after the other is fine");
}

#[tokio::test]
async fn quarantined_requests_go_through_the_corrected_pipeline() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let required = |from: &str| {
        json!([{"plugin": "field-mapper", "config": {
        "rules": [{"to": "n", "from": from, "required": true}]}}])
    };
    let form = json!({"name": "in", "event_type": "a.b", "steps": required("wrong")});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    for body in [r#"{"right": 1}"#, r#"{"neither": 2}"#, r#"{"right": 3}"#] {
        tenant.send(client().post(text(&source["url"])).body(body)).await.expect(202);
    }
    let path = format!("/v1/sources/{}", text(&source["id"]));
    let rerun = async |form: Value| tenant.post(&format!("{path}/rerun"), form).await;
    let counts = |view: &Value| ["requests", "accepted", "quarantined"].map(|name| view[name].as_u64().unwrap());

    let dry = rerun(json!({"dry_run": true})).await.expect(200);
    assert_eq!(counts(&dry), [3, 0, 3]);
    let dry = rerun(json!({"dry_run": true, "steps": required("right")})).await.expect(200);
    assert_eq!(counts(&dry), [3, 2, 1]);
    assert!(text(&dry["reasons"][0]["reason"]).contains("right"), "{dry}");
    rerun(json!({"steps": required("right")})).await.problem(422, "steps");
    rerun(json!({"states": ["refused"]})).await.problem(422, "states");
    assert_eq!(counts(&rerun(json!({"dry_run": true, "until": "2020-01-01T00:00:00Z"})).await.expect(200)), [0, 0, 0]);

    tenant.patch(&path, json!({"steps": required("right")})).await.expect(200);
    let done = rerun(json!({})).await.expect(200);
    assert_eq!((counts(&done), &done["complete"]), ([3, 2, 1], &json!(true)));
    let mut numbers =
        [receiver.next().await, receiver.next().await].map(|sent| sent.json()["data"]["n"].as_u64().unwrap());
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(counts(&rerun(json!({})).await.expect(200)), [1, 0, 1], "what became events is not run again");
}

#[tokio::test]
async fn however_many_run_a_request_again_it_becomes_events_once() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let required = |from: &str| json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "n", "from": from, "required": true}]}}]);
    let form = json!({"name": "in", "event_type": "a.b", "steps": required("wrong")});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    let mut requests = Vec::new();
    for _ in 0..20 {
        let taken = tenant.send(client().post(text(&source["url"])).body(r#"{"right": 1}"#)).await.expect(202);
        requests.push(format!("/v1/requests/{}", text(&taken["request_id"])));
    }
    let path = format!("/v1/sources/{}", text(&source["id"]));
    tenant.patch(&path, json!({"steps": required("right")})).await.expect(200);

    let all = format!("{path}/rerun");
    let (one, other) = tokio::join!(tenant.post(&all, json!({})), tenant.post(&all, json!({})));
    let (one, other) = (one.expect(200), other.expect(200));
    let accepted = [&one, &other].map(|view| view["accepted"].as_u64().unwrap());
    assert_eq!(accepted.iter().sum::<u64>(), 20, "{one} {other}");
    for request in requests {
        let kept = tenant.get(&request).await.expect(200);
        assert_eq!((&kept["state"], list(&kept["event_ids"]).len()), (&json!("accepted"), 1), "{kept}");
    }
    assert_eq!(list(&tenant.get("/v1/events?type=a.b&limit=100").await.expect(200)["items"]).len(), 20);
}

#[tokio::test]
async fn a_rerun_that_runs_out_of_time_goes_on_behind_what_it_has_run() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let rules = json!([{"to": "n", "from": "missing", "required": true}]);
    let steps = json!([{"plugin": "field-mapper", "config": {"rules": rules}}]);
    let form = json!({"name": "in", "event_type": "a.b", "steps": steps});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    let mut requests = Vec::new();
    for _ in 0..3 {
        let taken = tenant.send(client().post(text(&source["url"])).body("{}")).await.expect(202);
        requests.push(taken["request_id"].clone());
        host.clock.advance(Duration::from_secs(1));
    }
    let path = format!("/v1/sources/{}/rerun", text(&source["id"]));
    tenant.post(&path, json!({"after": "req_1"})).await.problem(422, "after");

    host.clock.hurry(Duration::from_secs(41));
    let mut after = Value::Null;
    for request in &requests {
        let form = json!({"states": ["quarantined", "quarantined"], "after": after});
        let ran = tenant.post(&path, form).await.expect(200);
        assert_eq!((&ran["requests"], &ran["quarantined"], &ran["complete"]), (&json!(1), &json!(1), &json!(false)));
        assert_eq!((&ran["reasons"][0]["request_id"], &ran["next"]), (request, request), "the oldest first");
        after = ran["next"].clone();
    }
    host.clock.hurry(Duration::ZERO);

    let ran = tenant.post(&path, json!({"after": after})).await.expect(200);
    assert_eq!((&ran["requests"], &ran["complete"], &ran["next"]), (&json!(0), &json!(true), &Value::Null));
    let ran = tenant.post(&path, json!({"states": ["quarantined", "quarantined"]})).await.expect(200);
    assert_eq!((&ran["requests"], &ran["complete"]), (&json!(3), &json!(true)));
}

async fn notices(tenant: &Api, at_least: usize) -> Vec<Value> {
    eventually("a notice", async || {
        let found = tenant.get("/v1/events?type=plugin.faulting").await.expect(200);
        let items = list(&found["items"]).clone();
        (items.len() >= at_least).then_some(items)
    })
    .await
}

#[tokio::test]
async fn the_tenant_of_a_plugin_that_keeps_failing_is_told() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    let mut receiver = Receiver::start().await;
    let step = json!([{"plugin": "hostile", "config": {"do": "trap"}}]);
    let failing = tenant.endpoint("http://127.0.0.1:4/", json!({"name": "failing", "steps": step})).await;
    let told = tenant.endpoint(&receiver.url(), json!({"name": "told", "event_types": ["plugin.*"]})).await;
    // It fails on the notice too, and that must not lead to another.
    let named = json!({"name": "named", "event_types": ["plugin.faulting"], "steps": step});
    tenant.endpoint("http://127.0.0.1:4/", named).await;

    let mut events = Vec::new();
    for n in 0..12 {
        events.push(tenant.publish(json!({"type": "a.b", "data": n})).await);
    }
    let sent = receiver.next().await.json();
    assert_eq!(sent["type"], "plugin.faulting");
    let data = &sent["data"];
    assert_eq!((&data["plugin"], &data["version"], &data["whose"]), (&json!("hostile"), &json!(1), &failing["id"]));
    assert_eq!((&data["failures_in_a_row"], &data["error"]["limit"]), (&json!(5), &json!("trap")));
    assert!(text(&data["error"]["message"]).contains("a hostile plugin was here"), "{data}");
    assert!(data["backtrace"].as_array().unwrap().iter().any(|frame| text(frame).contains("commit")), "{data}");
    assert!(events.iter().any(|event| data["about"] == **event), "{data}");

    for event in &events {
        tenant.delivery_in(event, "dead").await;
    }
    let notice = &notices(&tenant, 1).await[0];
    let deliveries = format!("/v1/deliveries?event={}", text(&notice["id"]));
    eventually("an end of the notice's deliveries", async || {
        let found = tenant.get(&deliveries).await.expect(200);
        let items = found["items"].as_array().unwrap();
        assert_eq!(items.len(), 2, "a star does not mean notices: {found}");
        items.iter().all(|one| one["state"] != "pending").then_some(())
    })
    .await;
    let of = |endpoint: &Value| endpoint["id"].clone();
    tenant.delivery_to(text(&notice["id"]), text(&of(&told)), "delivered").await;
    assert_eq!(notices(&tenant, 1).await.len(), 1, "once an hour, and never of a notice");
}

#[tokio::test]
async fn what_plugins_use_is_counted_and_survives_a_restart() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let event = json!({"type": "a.b", "data": {"n": 1}});
    let mut fuel = 0;
    for _ in 0..3 {
        let trial = tenant.post("/v1/try", json!({"steps": [mapper("m")], "event": event})).await.expect(200);
        fuel += trial["steps"][0]["fuel"].as_u64().unwrap();
    }
    let refused =
        json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "a", "from": "b", "required": true}]}}]);
    let trial = tenant.post("/v1/try", json!({"steps": refused, "event": event})).await.expect(200);
    fuel += trial["steps"][0]["fuel"].as_u64().unwrap();

    let stats = tenant.get("/v1/stats").await.expect(200);
    let used = stats["plugins"][0].clone();
    assert_eq!((&used["plugin"], &used["calls"], &used["refused"]), (&json!("field-mapper"), &json!(4), &json!(1)));
    assert_eq!((used["fuel"].as_u64().unwrap(), &used["days"][0]["calls"]), (fuel, &json!(4)));
    assert!(used["memory"].as_u64().unwrap() > 0);
    assert_eq!(stats["limits"]["fuel"], 1_000_000_000);
    assert_eq!(stats["fuel_table"], hookyard::domain::budget::FUEL_TABLE);

    let host = host.restart().await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    assert_eq!(tenant.get("/v1/stats").await.expect(200)["plugins"][0], used);
    let stranger = host.tenant("stranger").await;
    assert_eq!(stranger.get("/v1/stats").await.expect(200)["plugins"], json!([]));
    tenant.get("/v1/stats?days=0").await.problem(422, "days");
}

//! Plugins that misbehave: the host lives, the error names the limit, nothing
//! is remembered, and another tenant's deliveries go on meanwhile.

use hookyard_tests::{Api, Host, Receiver, build};
use serde_json::{Value, json};

async fn uploaded(host: &Host) -> Api {
    let tenant = host.tenant("hostile").await;
    let plugin = tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    assert_eq!((&plugin["name"], &plugin["version"]), (&json!("hostile"), &json!(1)));
    tenant
}

fn step(config: Value) -> Value {
    json!([{"plugin": "hostile", "config": config}])
}

/// What a trial of one misbehaviour says of its step.
async fn outcome(tenant: &Api, config: Value) -> Value {
    let event = json!({"type": "a.b", "data": {"n": 1}, "occurred_at": "2026-11-21T08:30:00Z"});
    tenant.post("/v1/try", json!({"steps": step(config), "event": event})).await.expect(200)
}

#[tokio::test]
async fn each_limit_has_its_name() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    for (misbehaviour, limit, words) in [
        ("loop", "fuel", "fuel"),
        ("hoard", "memory", "memory"),
        ("recurse", "stack", "stack"),
        ("trap", "trap", "panicked"),
        ("output", "output", "bytes"),
    ] {
        let trial = outcome(&tenant, json!({"do": misbehaviour})).await;
        assert_eq!(trial["outcome"], "fail", "{misbehaviour}: {trial}");
        let step = &trial["steps"][0];
        assert_eq!((&step["outcome"], &step["limit"]), (&json!("faulted"), &json!(limit)), "{misbehaviour}: {step}");
        assert!(step["message"].as_str().unwrap().contains(words), "{misbehaviour}: {step}");
        // The next call works as if nothing had been.
        assert_eq!(outcome(&tenant, json!({"do": "nothing"})).await["outcome"], "send");
    }
}

#[tokio::test]
async fn a_plugin_that_is_told_no_more_memory_may_live_on() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let trial = outcome(&tenant, json!({"do": "grow"})).await;
    let taken: Value = serde_json::from_str(trial["message"]["body"].as_str().unwrap()).unwrap();
    assert!((1..=32).contains(&taken["mebibytes"].as_u64().unwrap()), "{taken}");
}

#[tokio::test]
async fn headers_that_belong_to_the_host_are_refused() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    for name in ["Host", "content-length", "transfer-encoding", "webhook-signature", "x-a\r\nb", ""] {
        let trial = outcome(&tenant, json!({"header": [name, "v"]})).await;
        assert_eq!(trial["outcome"], "fail", "{name}: {trial}");
        assert_eq!(trial["steps"][0]["limit"], "contract", "{name}: {trial}");
    }
    let trial = outcome(&tenant, json!({"header": ["X-Mine", "v"]})).await;
    assert!(trial["message"]["headers"].to_string().contains("x-mine"), "{trial}");
}

#[tokio::test]
async fn a_refusal_is_no_fault() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let trial = outcome(&tenant, json!({"do": "refuse"})).await;
    assert_eq!((&trial["outcome"], &trial["steps"][0]["outcome"]), (&json!("fail"), &json!("refused")));
}

#[tokio::test]
async fn a_log_flood_is_cut_and_no_error() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let trial = outcome(&tenant, json!({"do": "log-flood"})).await;
    let log = trial["steps"][0]["log"].as_array().unwrap();
    let bytes: usize = log.iter().map(|line| line["text"].as_str().unwrap().len()).sum();
    assert!((1..=65).contains(&log.len()) && bytes <= 17 * 1024, "{} lines, {bytes} bytes", log.len());
}

#[tokio::test]
async fn nothing_survives_between_two_calls_and_equal_calls_are_equal() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let first = outcome(&tenant, json!({"do": "remember"})).await;
    for _ in 0..5 {
        assert_eq!(outcome(&tenant, json!({"do": "remember"})).await["message"]["body"], first["message"]["body"]);
    }
    let told = outcome(&tenant, json!({"do": "clock"})).await;
    let body = told["message"]["body"].as_str().unwrap();
    let millis: i64 = 1_795_249_800_000;
    assert!(body.contains(&millis.to_string()), "its clock stands at the event's time: {body}");
}

#[tokio::test]
async fn a_plugin_that_hangs_while_it_checks_is_an_error_of_the_step() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let form = json!({"name": "a", "url": "http://127.0.0.1:4/", "event_types": ["*"],
        "steps": step(json!({"do": "nothing", "check": "loop"}))});
    let said = tenant.post("/v1/endpoints", form).await.problem(422, "steps[0].config");
    assert!(said.contains("fuel"), "{said}");
}

#[tokio::test]
async fn another_tenants_deliveries_go_on_meanwhile() {
    let host = Host::start().await;
    let hostile = uploaded(&host).await;
    let mut receiver = Receiver::start().await;
    let victim = host.tenant("victim").await;
    let steps = json!([{"plugin": "field-mapper", "config": {"rules": [{"to": "n", "from": "n"}]}}]);
    victim.endpoint(&receiver.url(), json!({"steps": steps})).await;
    for misbehaviour in ["loop", "hoard", "recurse", "trap", "output", "log-flood"] {
        let more = json!({"name": misbehaviour, "steps": step(json!({"do": misbehaviour}))});
        hostile.endpoint("http://127.0.0.1:4/", more).await;
    }

    let mut events = Vec::new();
    for n in 0..20 {
        events.push(hostile.publish(json!({"type": "a.b", "data": n})).await);
        victim.publish(json!({"type": "a.b", "data": {"n": n}})).await;
    }
    let mut numbers = Vec::new();
    for _ in 0..20 {
        numbers.push(receiver.next().await.json()["n"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<u64>>());

    let path = format!("/v1/deliveries?event={}", events[0]);
    let dead = hookyard_tests::eventually("an end of the hostile deliveries", async || {
        let found = hostile.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
        let dead = found.iter().filter(|one| one["state"] == "dead").count();
        // A log flood is no fault: that one fails at the closed port instead.
        (dead == 5).then_some(dead)
    });
    assert_eq!(dead.await, 5);
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_what_and_why() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let module = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let socket =
        wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.6" (instance (export "create" (func)))))"#).unwrap();
    let foreign = wat::parse_str(r#"(component (import "acme:secrets/all@1.0.0" (instance)))"#).unwrap();
    let mut broken = build::hostile();
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0xff);
    let mut short = build::hostile();
    short.truncate(middle);
    for (name, component, words) in [
        ("text", b"#!/bin/sh".to_vec(), "component"),
        ("nothing", Vec::new(), "component"),
        ("module", module, "component"),
        ("empty", empty, "settings"),
        ("socket", socket, "wasi:sockets/tcp"),
        ("foreign", foreign, "acme:secrets/all"),
        ("broken", broken, ""),
        ("short", short, ""),
    ] {
        let path = format!("/v1/plugins?name={name}");
        let said = tenant.post_bytes(&path, component).await.problem(422, "");
        assert!(said.contains(words), "{name}: {said}");
        tenant.get(&format!("/v1/plugins/{name}")).await.problem(404, "");
    }
    let large = vec![0; hookyard::sandbox::MAX_COMPONENT + 1];
    tenant.post_bytes("/v1/plugins?name=large", large).await.problem(413, "");
    tenant.post_bytes("/v1/plugins?name=No%20Name", "x").await.problem(422, "name");
    tenant.post_bytes("/v1/plugins", "x").await.problem(422, "name");
}

#[tokio::test]
async fn a_plugin_in_use_stays_and_versions_are_pinned() {
    let host = Host::start().await;
    let tenant = uploaded(&host).await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"steps": step(json!({"do": "nothing"}))})).await;
    assert_eq!(endpoint["steps"][0]["version"], 1);
    let again = tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    assert_eq!(again["version"], 1, "the same bytes are the same version");
    tenant.delete("/v1/plugins/hostile").await.problem(409, "name");

    let host = host.restart().await;
    let tenant = host.operator.with_key(Some(tenant.key()));
    tenant.publish(json!({"type": "a.b", "data": 1})).await;
    receiver.next().await;

    tenant.delete(&format!("/v1/endpoints/{}", endpoint["id"].as_str().unwrap())).await.expect(204);
    tenant.delete("/v1/plugins/hostile").await.expect(204);
    tenant.get("/v1/plugins/hostile").await.problem(404, "");
    tenant.delete("/v1/plugins/tag-filter").await.problem(403, "");
    let all = tenant.get("/v1/plugins").await.expect(200);
    let names: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|plugin| &plugin["name"]).collect();
    assert_eq!(names, ["field-mapper", "javascript", "jq", "json-schema", "summary", "tag-filter", "template"]);
}

//! What a step may say beside its plugin and configuration: what a failure
//! means, what it is granted, what it may use.

use hookyard_tests::api::client;
use hookyard_tests::{Api, Host, Receiver, build, eventually};
use serde_json::{Value, json};

async fn hostile(host: &Host) -> Api {
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    tenant
}

fn failing(on_failure: &str) -> Value {
    json!({"plugin": "hostile", "config": {"do": "trap"}, "on_failure": on_failure})
}

async fn settled(tenant: &Api, event: &str) -> Value {
    let path = format!("/v1/deliveries?event={event}");
    eventually("an end of the delivery", async || {
        let found = tenant.get(&path).await.expect(200)["items"][0].clone();
        (found["state"] != "pending").then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_failing_step_fails_passes_or_drops_as_it_says() {
    let host = Host::start().await;
    let tenant = hostile(&host).await;
    let mut receiver = Receiver::start().await;
    for (policy, state) in [("fail", "dead"), ("pass", "delivered"), ("drop", "dropped")] {
        let endpoint = json!({"name": policy, "event_types": [policy], "steps": [failing(policy)]});
        let endpoint = tenant.endpoint(&receiver.url(), endpoint).await;
        assert_eq!(endpoint["steps"][0]["on_failure"], policy);
        let event = tenant.publish(json!({"type": policy, "data": {"n": 1}})).await;
        let delivery = settled(&tenant, &event).await;
        assert_eq!(delivery["state"], state, "{delivery}");
        let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        let whole = tenant.get(&path).await.expect(200);
        let step = &whole["steps"][0];
        assert_eq!((&step["outcome"], &step["limit"]), (&json!("faulted"), &json!("trap")), "{step}");
        let said = if policy == "fail" { Value::Null } else { json!(policy) };
        assert_eq!(step["on_failure"], said, "{step}");
        let frames = step["backtrace"].as_array().unwrap();
        assert!(frames.iter().any(|frame| frame.as_str().unwrap().contains("commit")), "{step}");
    }
    assert_eq!(receiver.next().await.json()["data"], json!({"n": 1}), "as if the step were not there");
}

#[tokio::test]
async fn a_mapper_that_fails_quarantines_or_is_ignored_and_is_never_passed_over() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mapper = |policy: &str| {
        let rules = json!([{"to": "n", "from": "missing", "required": true}]);
        json!([{"plugin": "field-mapper", "on_failure": policy, "config": {"rules": rules}}])
    };
    for (policy, state) in [("fail", "quarantined"), ("drop", "ignored")] {
        let form = json!({"name": policy, "event_type": "a.b", "steps": mapper(policy)});
        let source = tenant.post("/v1/sources", form).await.expect(201);
        let arrival = client().post(source["url"].as_str().unwrap()).body("{}");
        let taken = tenant.send(arrival).await.expect(202);
        let path = format!("/v1/requests/{}", taken["request_id"].as_str().unwrap());
        let request = tenant.get(&path).await.expect(200);
        assert_eq!(request["state"], state, "{request}");
    }
    let form = json!({"name": "pass", "event_type": "a.b", "steps": mapper("pass")});
    tenant.post("/v1/sources", form).await.problem(422, "steps[0].on_failure");
}

#[tokio::test]
async fn a_step_may_use_more_or_less_up_to_its_tenants_ceilings() {
    let host = Host::start().await;
    let tenant = hostile(&host).await;
    let taken = async |tenant: &Api, budget: Value| {
        let step = json!({"plugin": "hostile", "config": {"do": "grow"}, "budget": budget});
        let event = json!({"type": "a.b", "data": 1});
        let trial = tenant.post("/v1/try", json!({"steps": [step], "event": event})).await.expect(200);
        let body = trial["message"]["body"].as_str().unwrap_or_else(|| panic!("{trial}"));
        serde_json::from_str::<Value>(body).unwrap()["mebibytes"].as_u64().unwrap()
    };
    let usual = taken(&tenant, json!({})).await;
    let little = taken(&tenant, json!({"memory": 8 << 20})).await;
    let much = taken(&tenant, json!({"memory": 64 << 20})).await;
    assert!(little < 8 && usual > 8 && usual < 32 && much > 32 && much < 64, "{little} {usual} {much}");

    let step = |budget: Value| {
        json!({"steps": [{"plugin": "hostile", "config": {}, "budget": budget}],
        "event": {"type": "a.b", "data": 1}})
    };
    let said = tenant.post("/v1/try", step(json!({"memory": 65 << 20}))).await.problem(422, "steps[0].budget.memory");
    assert!(said.contains("at most 67108864"), "{said}");
    tenant.post("/v1/try", step(json!({"fuel": 0}))).await.problem(422, "steps[0].budget.fuel");
    let poor = tenant.post("/v1/try", step(json!({"fuel": 1000}))).await.problem(422, "steps[0].config");
    assert!(poor.contains("fuel"), "{poor}");

    // What the operator takes back is taken back from steps that are saved.
    let tenants = host.operator.get("/v1/tenants").await.expect(200);
    let id = tenants["items"][0]["id"].as_str().unwrap();
    let limits = json!({"limits": {"memory": 4 << 20}});
    host.operator.patch(&format!("/v1/tenants/{id}"), limits).await.expect(200);
    let said = tenant.post("/v1/try", step(json!({"memory": 8 << 20}))).await.problem(422, "steps[0].budget.memory");
    assert!(said.contains("at most 4194304"), "{said}");
    assert!(taken(&tenant, json!({})).await < 4);
    let roof = json!({"limits": {"memory": 1_u64 << 40}});
    host.operator.patch(&format!("/v1/tenants/{id}"), roof).await.problem(422, "limits.memory");
}

#[tokio::test]
async fn what_a_plugin_wants_and_nobody_granted_is_refused_by_name() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    tenant.post_bytes("/v1/plugins?name=mine", hookyard::house::component("summary").unwrap()).await.expect(201);
    let step = |grants: Value| {
        json!({"steps": [{"plugin": "mine", "config": {}, "grants": grants}],
        "event": {"type": "a.b", "data": {}}})
    };
    let said = tenant.post("/v1/try", step(json!({}))).await.problem(422, "steps[0].grants.history");
    assert!(said.contains(r#"{"history": true}"#), "{said}");
    let needless = json!({"history": true, "summaries": true, "state": true});
    tenant.post("/v1/try", step(needless)).await.problem(422, "steps[0].grants.state");
    let trial = tenant.post("/v1/try", step(json!({"history": true, "summaries": true}))).await.expect(200);
    assert_eq!(trial["outcome"], "send", "{trial}");

    // What comes with the server reads the tenant's own without being asked.
    let ours =
        json!({"name": "a", "url": "http://127.0.0.1:4/", "event_types": ["*"], "steps": [{"plugin": "summary"}]});
    let endpoint = tenant.post("/v1/endpoints", ours).await.expect(201);
    assert_eq!(endpoint["steps"][0]["grants"], json!({"history": true, "summaries": true}));
}

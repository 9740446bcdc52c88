//! What steps reach out of the sandbox, through `tests/capable`, a tenant's own
//! plugin: only what was granted, and only as far as it goes.

use hookyard_tests::{Api, Host, build, list, text};
use serde_json::{Value, json};

mod http;
mod rerun;
mod secrets;
mod state;

/// What `crm` is worth in every tenant here.
const SECRET: &str = "a secret that nobody may ever see";

/// A new tenant that has the plugin and the secret `crm`.
async fn tenant(host: &Host, name: &str) -> Api {
    let tenant = host.tenant(name).await;
    set_up(&tenant).await;
    tenant
}

async fn set_up(tenant: &Api) {
    tenant.post_bytes("/v1/plugins?name=capable", build::capable()).await.expect(201);
    put_secret(tenant, "crm", SECRET).await.expect(200);
}

async fn put_secret(tenant: &Api, name: &str, value: &str) -> hookyard_tests::Answer {
    let request = tenant.request(reqwest::Method::PUT, &format!("/v1/secrets/{name}"));
    tenant.send(request.body(json!({"value": value}).to_string())).await
}

/// A step that is granted all and these hosts.
fn step(deeds: Value, hosts: &[&str]) -> Value {
    // The plugin wants `http`; nothing answers at this name.
    let hosts = if hosts.is_empty() { &["nobody.invalid"] } else { hosts };
    json!({"plugin": "capable", "config": {"do": deeds},
        "grants": {"secrets": ["crm"], "state": true, "http": hosts}})
}

/// What a preview of one step says its deeds came to.
async fn tried(tenant: &Api, deeds: Value, hosts: &[&str]) -> Vec<Value> {
    let event = json!({"type": "a.b", "data": {}});
    let form = json!({"steps": [step(deeds, hosts)], "event": event, "http": true});
    results(&tenant.post("/v1/try", form).await.expect(200))
}

/// What the deeds of the last step came to.
#[track_caller]
fn results(trial: &Value) -> Vec<Value> {
    assert_eq!(trial["outcome"], "send", "{trial}");
    let body: Value = serde_json::from_str(text(&trial["message"]["body"])).expect("JSON");
    list(&body).clone()
}

#[track_caller]
fn starts(result: &Value, beginning: &str) {
    assert!(result.as_str().is_some_and(|said| said.starts_with(beginning)), "{result} is not {beginning}");
}

#[tokio::test]
async fn what_is_not_granted_is_refused_by_name_when_it_is_saved() {
    let host = Host::start().await;
    let tenant = tenant(&host, "acme").await;
    let refused = async |grants: Value, field: &str| {
        let step = json!({"plugin": "capable", "config": {}, "grants": grants});
        let form = json!({"name": "a", "url": "http://127.0.0.1:4/", "event_types": ["*"], "steps": [step]});
        tenant.post("/v1/endpoints", form).await.problem(422, field)
    };
    let said = refused(json!({"state": true, "http": ["a.example"]}), "steps[0].grants.secrets").await;
    assert!(said.contains("wants `secrets`"), "{said}");
    let said = refused(json!({"secrets": ["crm"], "http": ["a.example"]}), "steps[0].grants.state").await;
    assert!(said.contains("wants `state`"), "{said}");
    let said = refused(json!({"secrets": ["crm"], "state": true}), "steps[0].grants.http").await;
    assert!(said.contains("wants `http`"), "{said}");
    let nobodys = json!({"secrets": ["crm", "erp"], "state": true, "http": ["a.example"]});
    let said = refused(nobodys, "steps[0].grants.secrets").await;
    assert!(said.contains("no secret `erp`"), "{said}");
    for wrong in ["https://a.example", "a.example/path", "*.example", "A.example", "a.example:443"] {
        let said = refused(json!({"secrets": ["crm"], "state": true, "http": [wrong]}), "steps[0].grants.http").await;
        assert!(said.contains("is no host"), "{wrong}: {said}");
    }
}

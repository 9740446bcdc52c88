//! Components of each released contract, which have to load and run for ever:
//! tenants uploaded such, and nobody has their sources.
//!
//! The files in `golden` are frozen. A change of `wit/` or of the sandbox that
//! breaks one of them is wrong, and not the file: growth is a new interface
//! version beside the old, with a golden component of its own. They are text,
//! because nothing that is compiled is kept in here; `wat` only encodes it.

use hookyard_tests::{Api, Host, list, text};
use serde_json::{Value, json};

const PLUGIN_0_1_0: &str = include_str!("golden/plugin-0.1.0.wat");

async fn tried(tenant: &Api, form: Value) -> Value {
    tenant.post("/v1/try", form).await.expect(200)
}

#[tokio::test]
async fn a_component_of_contract_0_1_0_is_taken_and_says_what_it_is() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let component = wat::parse_str(PLUGIN_0_1_0).expect("it is frozen");
    let plugin = tenant.post_bytes("/v1/plugins?name=golden", component).await.expect(201);
    assert_eq!(plugin["interfaces"], json!(["mapper", "filter", "transformer"]));
    assert_eq!(plugin["capabilities"], json!(["history"]));
    let whole = tenant.get("/v1/plugins/golden/versions/1").await.expect(200);
    assert_eq!(whole["description"]["version"], "0.1.0");
    assert_eq!(whole["description"]["summary"], "A component of contract 0.1.0.");
    assert_eq!(whole["description"]["config_schema"], json!({"type": "object"}));
    // The host has run them, twice.
    let jobs: Vec<&str> = list(&whole["description"]["examples"]).iter().map(|one| text(&one["job"])).collect();
    assert_eq!(jobs, ["mapper", "filter", "transformer"]);
}

#[tokio::test]
async fn a_component_of_contract_0_1_0_does_all_of_its_jobs() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let component = wat::parse_str(PLUGIN_0_1_0).expect("it is frozen");
    tenant.post_bytes("/v1/plugins?name=golden", component).await.expect(201);

    let mapped = json!({"steps": [{"plugin": "golden", "grants": {"history": true}}], "request": {"body": {"n": 7}, "event_type": "a.b"}});
    let trial = tried(&tenant, mapped).await;
    assert_eq!((&trial["outcome"], &trial["events"][0]["data"]), (&json!("events"), &json!({"n": 7})), "{trial}");

    let two = [
        json!({"plugin": "golden", "grants": {"history": true}}),
        json!({"plugin": "golden", "grants": {"history": true}}),
    ];
    let filtered = json!({"steps": two, "request": {"body": {"n": 7}, "event_type": "a.b"}});
    let trial = tried(&tenant, filtered).await;
    assert_eq!((&trial["outcome"], &trial["steps"][1]["reason"]), (&json!("ignore"), &json!("no tags")), "{trial}");

    let event = json!({"type": "a.b", "subject": "s", "data": {"n": 7}});
    let sent = json!({"steps": [{"plugin": "golden", "grants": {"history": true}}], "event": event});
    let trial = tried(&tenant, sent.clone()).await;
    assert_eq!((&trial["message"]["body"], &trial["steps"][0]["log"]), (&json!("{\"n\":7}"), &json!([])), "{trial}");
    tenant.publish(event).await;
    let trial = tried(&tenant, sent).await;
    assert_eq!(trial["steps"][0]["log"], json!([{"level": "info", "text": "seen before"}]), "{trial}");

    let wrong = json!({"steps": [{"plugin": "golden", "grants": {"history": true}, "config": []}], "event": {"type": "a.b", "data": 1}});
    let said = tenant.post("/v1/try", wrong).await.problem(422, "steps[0].config");
    assert!(said.contains("not an object"), "{said}");
}

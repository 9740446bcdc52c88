//! The audit log: every change, by whom, and nothing secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Response;
use hookyard_tests::{Api, Host, Receiver, eventually, list, text};
use reqwest::Method;
use serde_json::{Value, json};

async fn entries(admin: &Api, query: &str) -> Vec<Value> {
    list(&admin.get(&format!("/v1/audit?limit=250{query}")).await.expect(200)["items"]).clone()
}

/// The newest entry about `target`: its action, author and changes.
async fn last(admin: &Api, target: &Value) -> (String, String, Value) {
    let found = entries(admin, &format!("&target={}", text(target))).await;
    let one = found.first().unwrap_or_else(|| panic!("nothing is said of {target}"));
    (text(&one["action"]).to_owned(), text(&one["by"]["id"]).to_owned(), one["changes"].clone())
}

async fn put(api: &Api, path: &str, body: Value) -> Value {
    api.send(api.request(Method::PUT, path).body(body.to_string())).await.expect(200)
}

#[tokio::test]
async fn every_change_leaves_an_entry_and_no_secret() {
    let host = Host::start().await;
    // One after another, also for a clock that counts milliseconds.
    let tick = || host.clock.advance(Duration::from_millis(2));
    let receiver = Receiver::start().await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/keys", json!({"name": "ci", "role": "member"})).await.expect(201);
    let member = admin.with_key(made["key"].as_str());
    let by = text(&made["id"]);
    let (id, said) = (|thing: &Value| text(&thing["id"]).to_owned(), async |target: &Value| last(&admin, target).await);

    let form = json!({"headers": {"x-api-key": "hush-header"}});
    let endpoint = member.endpoint(&receiver.url(), form).await;
    let path = format!("/v1/endpoints/{}", id(&endpoint));
    let (action, author, changes) = said(&endpoint["id"]).await;
    assert_eq!((&*action, &*author), ("endpoint.created", by));
    let headers: Vec<&Value> = list(&changes).iter().filter(|one| text(&one["field"]).starts_with("headers")).collect();
    assert_eq!(
        headers,
        [&json!({"field": "headers", "new": ["x-api-key"]}), &json!({"field": "headers.values", "hidden": "secret"}),]
    );

    tick();
    member.patch(&path, json!({"name": "crm", "tags": ["paid"]})).await.expect(200);
    let renamed = json!([
        {"field": "name", "old": endpoint["name"], "new": "crm"},
        {"field": "tags", "old": [], "new": ["paid"]},
    ]);
    assert_eq!(said(&endpoint["id"]).await, ("endpoint.updated".to_owned(), by.to_owned(), renamed));
    let steps = json!([{"plugin": "template", "config": {"body": "hush-config"}}]);
    for (call, body, action) in [
        ("/pause", json!({}), "endpoint.paused"),
        ("/resume", json!({}), "endpoint.resumed"),
        ("/rotate-secret", json!({}), "endpoint.secret-rotated"),
        ("/replay", json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current"}), "endpoint.replayed"),
    ] {
        tick();
        let answer = member.post(&format!("{path}{call}"), body).await;
        assert!(answer.status.is_success(), "{call}: {}", answer.body);
        assert_eq!(said(&endpoint["id"]).await.0, action);
    }
    tick();
    member.patch(&path, json!({"steps": steps})).await.expect(200);
    let (_, _, changes) = said(&endpoint["id"]).await;
    assert_eq!(changes[0]["new"][0]["plugin"], "template");
    assert_eq!(changes[1], json!({"field": "steps.config", "hidden": "secret"}));

    let form = json!({"name": "shop", "verification": {"scheme": "hmac", "secret": "hush-source", "header": "x-s"}});
    let source = member.post("/v1/sources", form).await.expect(201);
    assert_eq!(said(&source["id"]).await.0, "source.created");
    let path_of_source = format!("/v1/sources/{}", id(&source));
    tick();
    member.patch(&path_of_source, json!({"verification": {"scheme": "none"}})).await.expect(200);
    let (action, _, changes) = said(&source["id"]).await;
    assert_eq!(action, "source.updated");
    assert_eq!(changes[0], json!({"field": "verification.scheme", "old": "hmac", "new": "none"}));
    assert!(list(&changes).contains(&json!({"field": "verification.secret", "hidden": "secret"})), "{changes}");
    tick();
    member.post(&format!("{path_of_source}/rerun"), json!({})).await.expect(200);
    assert_eq!(said(&source["id"]).await.0, "source.rerun");
    tick();
    member.delete(&path_of_source).await.expect(204);
    assert_eq!(said(&source["id"]).await.0, "source.deleted");

    put(&member, "/v1/secrets/crm", json!({"value": "hush-named"})).await;
    let hidden = json!([{"field": "value", "hidden": "secret"}]);
    assert_eq!(said(&json!("crm")).await, ("secret.put".to_owned(), by.to_owned(), hidden));
    tick();
    member.delete("/v1/secrets/crm").await.expect(204);
    assert_eq!(said(&json!("crm")).await.0, "secret.deleted");

    put(&member, "/v1/event-types/a.b", json!({"description": "One."})).await;
    tick();
    put(&member, "/v1/event-types/a.b", json!({"description": "Two."})).await;
    let changes = json!([{"field": "description", "old": "One.", "new": "Two."}]);
    assert_eq!(said(&json!("a.b")).await, ("event-type.described".to_owned(), by.to_owned(), changes));
    tick();
    member.delete("/v1/event-types/a.b").await.expect(204);
    assert_eq!(said(&json!("a.b")).await.0, "event-type.deleted");

    member.post_bytes("/v1/plugins?name=mine", hookyard_tests::build::hostile()).await.expect(201);
    assert_eq!(said(&json!("mine")).await.0, "plugin.uploaded");
    tick();
    member.delete("/v1/plugins/mine").await.expect(204);
    let changes = json!([{"field": "versions", "old": [1]}]);
    assert_eq!(said(&json!("mine")).await, ("plugin.deleted".to_owned(), by.to_owned(), changes));

    tick();
    member.delete(&path).await.expect(204);
    assert_eq!(said(&endpoint["id"]).await.0, "endpoint.deleted");
    tick();
    admin.delete(&format!("/v1/keys/{by}")).await.expect(204);
    let (action, author, _) = said(&made["id"]).await;
    assert_eq!(action, "key.revoked");
    assert_ne!(author, by, "an admin did it");

    let everything = Value::Array(entries(&admin, "").await).to_string();
    assert!(everything.contains("\"name\":\"ci\""), "the key's name outlives it: {everything}");
    for secret in ["hush", member.key(), text(&endpoint["secret"]), text(&source["url"]).rsplit('/').next().unwrap()] {
        assert!(!everything.contains(secret), "`{secret}` is in {everything}");
    }
    // The controls: all of it was there to be told.
    assert!(endpoint.to_string().contains("hush-header") && made.to_string().contains(member.key()));
}

#[tokio::test]
async fn what_a_preview_or_a_refusal_changes_is_nothing() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("acme").await;
    let endpoint = admin.endpoint(&receiver.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    let before = entries(&admin, "").await;
    let replay = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current", "dry_run": true});
    admin.post(&format!("{path}/replay"), replay).await.expect(202);
    admin.post("/v1/try", json!({"event": {"type": "a.b", "data": 1}, "steps": []})).await.expect(200);
    admin.patch(&path, json!({"url": "nowhere"})).await.problem(422, "url");
    let form = json!({"name": endpoint["name"], "url": receiver.url(), "event_types": ["*"]});
    admin.post("/v1/endpoints", form).await.problem(409, "name");
    admin.delete("/v1/endpoints/ep_01arz3ndektsv4rrffq69g5fav").await.problem(404, "");
    assert_eq!(entries(&admin, "").await, before);
}

#[tokio::test]
async fn the_log_is_read_by_who_what_and_when() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let own = admin.get("/v1/keys").await.expect(200)["items"][0]["id"].clone();
    let source = |name: &str| admin.post("/v1/sources", json!({"name": name}));
    let first = source("first").await.expect(201);
    host.clock.advance(Duration::from_secs(60));
    let between = host.now();
    host.clock.advance(Duration::from_secs(60));
    let second = source("second").await.expect(201);

    let targets = async |query: &str| -> Vec<Value> {
        entries(&admin, query).await.into_iter().map(|entry| entry["target"].clone()).collect()
    };
    let (first, second) = (&first["id"], &second["id"]);
    assert_eq!(targets(&format!("&by={}", text(&own))).await, [second.clone(), first.clone()]);
    assert_eq!(targets("&action=source.created").await, [second.clone(), first.clone()]);
    assert_eq!(targets(&format!("&after={between}")).await, std::slice::from_ref(second));
    assert_eq!(targets(&format!("&before={between}&action=source.created")).await, std::slice::from_ref(first));
    assert_eq!(targets(&format!("&target={}", text(first))).await, std::slice::from_ref(first));
    let by_operator = entries(&admin, "&by=operator").await;
    assert_eq!((by_operator.len(), &by_operator[0]["action"]), (1, &json!("tenant.created")));
    // Which key it began with.
    assert!(list(&by_operator[0]["changes"]).contains(&json!({"field": "key", "new": own})), "{by_operator:?}");

    let page = admin.get("/v1/audit?limit=2").await.expect(200);
    let rest = admin.get(&format!("/v1/audit?limit=2&cursor={}", text(&page["next"]))).await.expect(200);
    assert_eq!((&rest["items"][0]["action"], &rest["next"]), (&json!("tenant.created"), &Value::Null));
    for (query, field) in [("action=source.stolen", "action"), ("by=me", "by"), ("after=now", "after")] {
        admin.get(&format!("/v1/audit?{query}")).await.problem(422, field);
    }
    let tenant = host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"].clone();
    let of_operator = host.operator.get(&format!("/v1/tenants/{}/audit?limit=250", text(&tenant))).await.expect(200);
    assert_eq!(of_operator["items"], Value::Array(entries(&admin, "").await));
    // Nobody else's.
    let other = host.tenant("other").await;
    assert_eq!(entries(&other, &format!("&target={}", text(first))).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_the_host_does_by_itself_is_its_own() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("acme").await;
    let endpoint = admin.endpoint(&receiver.url(), json!({})).await;
    receiver.answer(&[410]);
    admin.publish(json!({"type": "a.b", "data": 1})).await;
    let entry = eventually("the entry", async || entries(&admin, "&action=endpoint.disabled").await.pop()).await;
    assert_eq!((&entry["target"], &entry["by"]), (&endpoint["id"], &json!({"id": "hookyard", "name": null})));
    let state = json!({"field": "state", "old": "active", "new": "disabled"});
    assert!(list(&entry["changes"]).contains(&state), "{entry}");
}

#[tokio::test]
async fn what_a_receiver_is_asked_for_somebody_is_theirs() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant_of("cloudevents").await;
    let own = tenant.get("/v1/keys").await.expect(200)["items"][0]["id"].clone();
    // It allows somebody else, and then everybody.
    let allow = |origin: &str| {
        Response::builder().header("webhook-allowed-origin", origin).body(String::new()).expect("an answer")
    };
    receiver.answer_by(move |_| Some(allow("other.example.com")));
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    assert_eq!(endpoint["state"], "unverified");
    let asked = entries(&tenant, "&action=endpoint.not-verified").await;
    assert_eq!((asked.len(), &asked[0]["by"]["id"], &asked[0]["target"]), (1, &own, &endpoint["id"]));
    receiver.answer_by(move |_| Some(allow("*")));
    host.clock.advance(Duration::from_millis(2));
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/verify"), json!({})).await.expect(200);
    let (action, by, changes) = last(&tenant, &endpoint["id"]).await;
    assert_eq!((&*action, &*by), ("endpoint.verified", text(&own)));
    assert_eq!(changes[0], json!({"field": "state", "old": "unverified", "new": "active"}));
    // A new address is taken once it has been asked, with what it said.
    let other = Receiver::start().await;
    other.answer_by(move |_| Some(allow("*")));
    host.clock.advance(Duration::from_millis(2));
    tenant.patch(&path, json!({"url": other.url()})).await.expect(200);
    let (action, by, changes) = last(&tenant, &endpoint["id"]).await;
    assert_eq!((&*action, &*by), ("endpoint.updated", text(&own)));
    assert_eq!(changes, json!([{"field": "url", "old": receiver.url(), "new": other.url()}]));
    assert_eq!(receiver.so_far().len(), 2, "it was asked twice and sent nothing");
}

#[tokio::test]
async fn the_deletion_of_a_tenant_stays_with_the_operator() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    admin.post("/v1/sources", json!({"name": "shop"})).await.expect(201);
    let id = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    host.operator.patch(&format!("/v1/tenants/{id}"), json!({"plan": "gold"})).await.expect(200);
    host.operator.delete(&format!("/v1/tenants/{id}")).await.expect(204);
    let audit = format!("/v1/tenants/{id}/audit");
    // Upkeep purges the rest.
    let left = eventually("the purge", async || {
        let items = host.operator.get(&audit).await.expect(200)["items"].clone();
        (list(&items).len() == 1).then_some(items)
    });
    let left = left.await;
    assert_eq!((&left[0]["action"], &left[0]["by"]["id"]), (&json!("tenant.deleted"), &json!("operator")));
    assert_eq!(left[0]["changes"][0], json!({"field": "name", "old": "acme"}));
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the sources are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What of the catalogue changes nothing that anybody set up.
const READS: &[&str] =
    &["noting", "note", "audit", "tenants", "deleted_tenants", "plugins", "last_move", "component", "picture"];

#[test]
fn nobody_changes_the_catalogue_without_an_entry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let catalog = fs::read_to_string(root.join("store/catalog.rs")).expect("it is there");
    let (_, methods) = catalog.split_once("pub trait Catalog").expect("the trait");
    let methods = methods.split("\n}\n").next().unwrap_or_default();
    let methods: BTreeSet<&str> =
        methods.split("\n    fn ").skip(1).filter_map(|method| method.split(['(', '<']).next()).collect();
    let writes: Vec<&str> = methods.into_iter().filter(|method| !READS.contains(method)).collect();
    assert!(writes.len() > 15 && writes.contains(&"update_endpoint"), "{writes:?}");

    let mut files = Vec::new();
    for part in ["http", "dispatch", "intake"] {
        sources(&root.join(part), &mut files);
    }
    let mut noted = 0;
    for file in files {
        let source: String = fs::read_to_string(&file).expect("text").split_whitespace().collect();
        for method in &writes {
            let call = format!("catalog.{method}(");
            assert!(
                !source.contains(&call),
                "{} has `{call}`: say who does it, `catalog.noting(entry)`",
                file.display()
            );
            noted += source.matches(&format!(").{method}(")).count();
        }
    }
    assert!(noted >= writes.len(), "the sources are not where they were: {noted} noted changes");
}

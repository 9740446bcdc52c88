//! A tenant's configuration goes to a file and comes out of it again.

use std::fs;
use std::path::Path;

use axum::http::Response;
use hookyard_tests::{Api, Host, PATIENCE, Receiver, TempDir, list, text};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::hookyard;

/// Something of everything.
async fn furnish(tenant: &Api, url: &str) {
    tenant.send(tenant.request(reqwest::Method::PUT, "/v1/secrets/crm").body(r#"{"value": "hush"}"#)).await.expect(200);
    let kind = json!({"description": "Paid", "schema": {"type": "object", "default": null}, "example": {"order": 7}});
    let put = tenant.request(reqwest::Method::PUT, "/v1/event-types/order.paid").body(kind.to_string());
    tenant.send(put).await.expect(200);
    let verification = json!({"scheme": "bearer", "secret": "a-token-of-some-length"});
    let source = json!({"name": "shop", "event_type": "order.paid", "verification": verification, "rate_limit": 5});
    tenant.post("/v1/sources", source).await.expect(201);
    let step = json!({"plugin": "tag-filter", "config": {"expression": "paid"}, "on_failure": "drop"});
    let headers = json!({"X-Shop": "1", "X-Key": {"value": "hush-hush", "secret": true}});
    let more = json!({"name": "crm", "event_types": ["order.*"], "headers": headers, "steps": [step], "ordered": true,
        "retry": {"schedule": [5, 60]}});
    let endpoint = tenant.endpoint(url, more).await;
    tenant
        .post(&format!("/v1/endpoints/{}/pause", endpoint["id"].as_str().expect("an id")), json!({}))
        .await
        .expect(200);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}

/// How many changes a tenant has made so far.
async fn entries(tenant: &Api) -> usize {
    list(&tenant.get("/v1/audit?limit=250").await.expect(200)["items"]).len()
}

#[tokio::test]
async fn what_was_exported_changes_nothing_when_it_is_imported() {
    let (host, receiver, dir) = (Host::start().await, Receiver::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    furnish(&tenant, &receiver.url()).await;
    let before = entries(&tenant).await;
    for format in [&[][..], &["--json"]] {
        let file = dir.path().join("acme");
        hookyard(&[&["export", "--to", path(&file)][..], format].concat()).by(&tenant).well().await;
        let text = fs::read_to_string(&file).expect("it was written");
        assert!(!text.contains("hush") && !text.contains("a-token-of-some-length"), "{text}");
        for hidden in ["secrets.crm.value", "sources.shop.verification.secret", "endpoints.crm.headers.x-key.value"] {
            assert!(text.contains(hidden), "{hidden}: {text}");
        }
        let said = hookyard(&["import", path(&file)]).by(&tenant).well().await;
        assert_eq!(said, "4 unchanged\n");
    }
    assert_eq!(entries(&tenant).await, before);
}

#[tokio::test]
async fn another_tenant_becomes_the_same_with_the_secrets_that_a_file_cannot_have() {
    let (host, receiver, dir) = (Host::start().await, Receiver::start().await, TempDir::new());
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    furnish(&acme, &receiver.url()).await;
    let mut document = hookyard(&["export", "--json"]).by(&acme).json().await;
    let file = dir.path().join("acme.json");
    let write = |document: &Value| fs::write(&file, document.to_string()).expect("it can be written");
    write(&document);
    let import = ["import", path(&file), "--yes"];
    hookyard(&import).by(&other).badly("headers.x-key.value of endpoint `crm`").await;
    assert_eq!(hookyard(&["endpoints", "--json"]).by(&other).json().await, json!([]), "nothing was begun");

    document["secrets"][0]["value"] = "env:CRM_VALUE".into();
    document["endpoints"][0]["headers"]["x-key"]["value"] = "env:CRM_KEY".into();
    document["sources"][0]["verification"]["secret"] = "a-token-of-some-length".into();
    write(&document);
    hookyard(&import).by(&other).badly("the variable CRM_").await;
    let typed = || hookyard(&import).by(&other).with("CRM_VALUE", "hush").with("CRM_KEY", "hush-hush");
    let said = typed().well().await;
    let created = "created  secret crm\ncreated  event type order.paid\ncreated  source shop\ncreated  endpoint crm\n0 unchanged\n";
    assert!(said.starts_with(created), "{said}");
    assert!(said.contains("endpoint crm  whsec_") && said.contains("source shop  http"), "told once: {said}");

    let before = entries(&other).await;
    assert_eq!(typed().well().await, "4 unchanged\n");
    let again = hookyard(&["import", path(&file), "--json"]).by(&other).with("CRM_VALUE", "x").with("CRM_KEY", "x");
    let kept = ["secrets.crm.value", "sources.shop.verification.secret", "endpoints.crm.headers.x-key.value"];
    assert_eq!(again.json().await["kept"], json!(kept), "it is said that no secret is replaced");
    assert_eq!(entries(&other).await, before);
    let without = |mut document: Value| {
        document.as_object_mut().expect("a table").remove("plugins");
        document
    };
    let (one, two) = (hookyard(&["export", "--json"]).by(&acme), hookyard(&["export", "--json"]).by(&other));
    assert_eq!(without(one.json().await), without(two.json().await));
}

#[tokio::test]
async fn a_difference_is_shown_field_by_field_and_then_made() {
    let (host, receiver, dir) = (Host::start().await, Receiver::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"name": "crm", "tags": ["paid"]})).await;
    tenant.endpoint(&receiver.url(), json!({"name": "old"})).await;
    let file = dir.path().join("acme.toml");
    let url = receiver.url();
    let text = format!(
        "format = 1\n\n[[endpoints]]\nname = \"crm\"\nurl = \"{url}\"\nevent_types = [\"order.*\"]\nrate_limit = 5\n\n\
         [[sources]]\nname = \"shop\"\n"
    );
    fs::write(&file, text).expect("it can be written");
    let difference = "created  source shop\nchanged  endpoint crm\n    event_types: [\"*\"] -> [\"order.*\"]\n    \
                      tags: [\"paid\"] -> []\n    rate_limit: nothing -> {\"limit\":5,\"per\":\"second\"}\n";
    let kept = "stays    endpoint old, which is not in the file; --prune deletes it\n0 unchanged\n";
    let shown = hookyard(&["import", path(&file), "--dry-run"]).by(&tenant).well().await;
    assert_eq!(shown, format!("{difference}{kept}"));
    let asked =
        hookyard(&["import", path(&file)]).by(&tenant).badly("Make these 2 changes? Nobody is there to ask").await;
    assert_eq!(asked, shown);

    let made = hookyard(&["import", path(&file), "--prune", "--yes", "--json"]).by(&tenant).json().await;
    let changes = list(&made["changes"]).iter().map(|change| format!("{} {}", change["change"], change["name"]));
    assert_eq!(changes.collect::<Vec<_>>().join(", "), r#""created" "shop", "changed" "crm", "deleted" "old""#);
    let again = hookyard(&["import", path(&file), "--prune"]).by(&tenant).well().await;
    assert_eq!(again, "2 unchanged\n");
    let left = hookyard(&["endpoints", "--json"]).by(&tenant).json().await;
    assert_eq!(left[0]["rate_limit"], json!({"limit": 5, "per": "second"}));
    assert_eq!(list(&left).len(), 1);
}

/// A tenant of one source and as many endpoints.
fn tenant_of(endpoints: &[Value]) -> String {
    json!({"format": 1, "sources": [{"name": "shop"}], "endpoints": endpoints}).to_string()
}

#[tokio::test]
async fn an_import_that_fails_says_where_and_is_gone_on_with() {
    let (host, receiver, dir) = (Host::start().await, Receiver::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    let file = dir.path().join("acme.json");
    let endpoint =
        |name: &str, url: &str| json!({"name": name, "url": url, "event_types": ["*"], "paused": name == "a"});
    let with = |url: &str| {
        let endpoints =
            ["a", "b", "c"].map(|name| endpoint(name, if name == "b" { url } else { "https://example.com" }));
        fs::write(&file, tenant_of(&endpoints)).expect("it can be written");
    };
    with("http://10.0.0.1/");
    let import = ["import", path(&file), "--yes"];
    let told = hookyard(&import).by(&tenant).badly("stopped at the endpoint `b`: url: ").await;
    let lines = told.lines().skip(5).collect::<Vec<_>>();
    let [source, endpoint] = lines[..] else { panic!("{told}") };
    assert!(source.starts_with("source shop  http") && endpoint.starts_with("endpoint a  whsec_"), "{told}");
    let by_program = [&import[..], &["--json"]].concat();
    let told = hookyard(&by_program).by(&tenant).badly("0 of 2 changes are made and stay: import again").await;
    let told: Value = serde_json::from_str(&told).expect("JSON, in spite of it");
    assert_eq!((&told["done"], &told["stopped_at"]["name"], &told["unchanged"]), (&json!(0), &json!("b"), &json!(2)));
    assert_eq!(told["applied"], json!(false));

    with(&receiver.url());
    let said = hookyard(&import).by(&tenant).well().await;
    assert!(said.starts_with("created  endpoint b\ncreated  endpoint c\n2 unchanged\n"), "{said}");
    assert_eq!(hookyard(&import).by(&tenant).well().await, "4 unchanged\n");
}

#[tokio::test]
async fn a_secret_is_told_also_where_the_new_endpoint_cannot_be_paused() {
    let (host, receiver, dir) = (Host::start().await, Receiver::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    // It does not take the handshake, and what is not verified cannot be paused.
    receiver.answer_by(|_| Some(Response::builder().status(500).body(String::new()).expect("a status")));
    let endpoint =
        json!({"name": "crm", "url": receiver.url(), "event_types": ["*"], "dialect": "cloudevents", "paused": true});
    let file = dir.path().join("acme.json");
    fs::write(&file, tenant_of(&[endpoint])).expect("it can be written");
    let told = hookyard(&["import", path(&file), "--yes", "--json"]).by(&tenant);
    let told = told.badly("stopped at the endpoint `crm`: ").await;
    let told: Value = serde_json::from_str(&told).expect("JSON, in spite of it");
    let made = &told["made"][1];
    assert!(made["name"] == "crm" && text(&made["told"]).starts_with("whsec_"), "{told}");
}

#[tokio::test]
async fn a_name_from_a_file_moves_no_cursor() {
    let (host, dir) = (Host::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    let file = dir.path().join("acme.json");
    let sources = [json!({"name": "a\u{1b}[2J"})];
    fs::write(&file, json!({"format": 1, "sources": sources}).to_string()).expect("it can be written");
    let import = hookyard(&["import", path(&file), "--yes"]).by(&tenant);
    let told = import.badly("stopped at the source `a\u{fffd}[2J`: name: has a control character").await;
    assert!(told.contains("source a\u{fffd}[2J") && !told.contains('\u{1b}'), "{told}");
}

#[tokio::test]
async fn an_import_that_is_interrupted_has_told_what_it_made() {
    let (host, dir) = (Host::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    // It is asked for a word and says nothing, so that making `b` takes its time.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let url = format!("http://{}/", silent.local_addr().expect("it is bound"));
    let file = dir.path().join("acme.json");
    let endpoint = |name: &str| match name {
        "b" => json!({"name": "b", "url": url, "event_types": ["*"], "dialect": "dmtolead"}),
        name => json!({"name": name, "url": "https://example.com", "event_types": ["*"]}),
    };
    fs::write(&file, tenant_of(&["a", "b", "c"].map(endpoint))).expect("it can be written");
    let mut import = hookyard(&["import", path(&file), "--yes"]).by(&tenant).running_at_once();
    // Whoever ended it now would know the secret of what was made.
    import.prints("endpoint a  whsec_").await;
    let asked = tokio::time::timeout(PATIENCE, silent.accept()).await.expect("it is asked").expect("a connection");
    import.interrupt().await;
    import.notes_until("Stopping after this one").await;
    drop((asked, silent));
    import.prints("endpoint b  ").await;
    import.notes_until("stopped at the endpoint `c`: you interrupted it before; 3 of 4 changes are made").await;

    let said = hookyard(&["import", path(&file), "--yes"]).by(&tenant).well().await;
    assert!(said.starts_with("created  endpoint c\n3 unchanged\n"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_not_right_does_nothing() {
    let (host, dir) = (Host::start().await, TempDir::new());
    let tenant = host.tenant("acme").await;
    let file = dir.path().join("wrong");
    let check = async |text: &str, words: &str| {
        fs::write(&file, text).expect("it can be written");
        hookyard(&["import", path(&file), "--yes"]).by(&tenant).badly(words).await;
    };
    check("format = 2", "`format = 1` is missing").await;
    check("format = 1\n[[endpoint]]\n", "`endpoint` is nothing that a configuration has").await;
    check("format = 1\n[[sources]]\nname = \"a\"\nulr = 1\n", "source `a`: `ulr` is no field of it").await;
    check("{", "that is no JSON").await;
    check("=", "that is no TOML").await;
    let plugin = "format = 1\n[[sources]]\nname = \"a\"\nsteps = [{plugin = \"nobodys\", version = 3}]\n";
    check(plugin, "steps use plugins that are not here: `nobodys` version 3").await;
    hookyard(&["import", "/nowhere"]).by(&tenant).badly("/nowhere: No such file").await;
    assert_eq!(hookyard(&["sources", "--json"]).by(&tenant).json().await, json!([]));
}

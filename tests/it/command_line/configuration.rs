//! A tenant's configuration goes to a file and comes out of it again.

use std::fs;
use std::path::Path;

use hookyard_tests::{Api, Host, Receiver, TempDir, list};
use serde_json::{Value, json};

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

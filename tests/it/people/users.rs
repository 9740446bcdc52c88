//! A tenant's users: who may be one, what a role opens, and whose things they see.

use hookyard_tests::{Host, list, text};
use serde_json::{Value, json};

use super::{at, user};

#[tokio::test]
async fn users_make_sense_or_are_not_made() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    for (form, field) in [
        (json!({}), "email"),
        (json!({"email": "jane"}), "email"),
        (json!({"email": "jane@example.com", "role": "publish"}), "role"),
        (json!({"email": "jane@example.com", "role": "operator"}), "role"),
        (json!({"email": "jane@example.com", "name": "a\nb"}), "name"),
        (json!({"email": "jane@example.com", "password": "x"}), "password"),
    ] {
        admin.post("/v1/users", form).await.problem(422, field);
    }
    let made = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    assert_eq!(made["name"], "jane");
    admin.post("/v1/users", json!({"email": "JANE@example.com"})).await.problem(409, "email");
    admin.patch(&at(&made), json!({"role": "root"})).await.problem(422, "role");
    // The operator sees the same, and may the same.
    let tenant = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let of_operator = host.operator.get(&format!("/v1/tenants/{tenant}/users")).await.expect(200);
    assert_eq!(of_operator, admin.get("/v1/users").await.expect(200));
    let path = format!("/v1/tenants/{tenant}/users/{}", text(&made["id"]));
    host.operator.patch(&path, json!({"role": "admin"})).await.expect(200);
    assert_eq!(host.operator.get(&path).await.expect(200), admin.get(&at(&made)).await.expect(200));
    host.operator.post(&format!("{path}/link"), json!({})).await.expect(201);
    host.operator.delete(&path).await.expect(204);
    admin.get(&at(&made)).await.problem(404, "");
}

#[tokio::test]
async fn a_role_is_the_users_at_once() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut tab) = user(&host, &admin, "jane@example.com", "viewer").await;
    let source = |name: &str| json!({"name": name, "event_type": "a.b"});
    assert_eq!(tab.change("POST /v1/sources", source("one")).await.0, 403);
    admin.patch(&at(&jane), json!({"role": "member", "name": "Jane Smith"})).await.expect(200);
    let (status, made) = tab.change("POST /v1/sources", source("two")).await;
    assert_eq!(status, 303, "{made}");
    assert_eq!(tab.ask("GET /v1/keys", Value::Null).await.0, 403);
    admin.patch(&at(&jane), json!({"role": "admin"})).await.expect(200);
    assert_eq!(tab.ask("GET /v1/keys", Value::Null).await.0, 200);
    admin.patch(&at(&jane), json!({"role": "viewer"})).await.expect(200);
    assert_eq!(tab.change("POST /v1/sources", source("three")).await.0, 403);

    let log = admin.get(&format!("/v1/audit?target={made}")).await.expect(200);
    assert_eq!(log["items"][0]["by"], json!({"id": jane["id"], "name": "Jane Smith"}));
    let by_her = admin.get(&format!("/v1/audit?by={}", text(&jane["id"]))).await.expect(200);
    let actions: Vec<&Value> = list(&by_her["items"]).iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["source.created", "user.password-chosen"]);
    assert_eq!(by_her["items"][1]["changes"], json!([{"field": "password", "hidden": "secret"}]));
    let about_her = admin.get(&format!("/v1/audit?target={}", text(&jane["id"]))).await.expect(200);
    let actions: Vec<&Value> = list(&about_her["items"]).iter().map(|entry| &entry["action"]).collect();
    let updated = "user.updated";
    assert_eq!(actions, [updated, updated, updated, "user.password-chosen", "user.created"]);
    let role = json!({"field": "role", "old": "admin", "new": "viewer"});
    assert_eq!(about_her["items"][0]["changes"], json!([role]));
}

#[tokio::test]
async fn another_tenants_user_sees_nothing() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    let source = acme.post("/v1/sources", json!({"name": "hers", "event_type": "a.b"})).await.expect(201);
    let (jane, _) = user(&host, &acme, "jane@example.com", "admin").await;
    let (_, mut his) = user(&host, &other, "john@example.com", "admin").await;
    for path in [format!("/v1/sources/{}", text(&source["id"])), at(&jane)] {
        assert_eq!(his.ask(&format!("GET {path}"), Value::Null).await.0, 404);
        assert_eq!(his.change(&format!("DELETE {path}"), Value::Null).await.0, 404);
    }
    assert_eq!(his.change(&format!("POST {}/link", at(&jane)), json!({})).await.0, 404);
    for path in ["/v1/sources", "/v1/users", "/v1/audit"] {
        let (status, seen) = his.ask(&format!("GET {path}"), Value::Null).await;
        assert_eq!(status, 200);
        assert!(!seen.to_string().contains(text(&source["id"])) && !seen.to_string().contains(text(&jane["id"])));
    }
    assert_eq!(his.ask("GET /v1/tenants", Value::Null).await.0, 403);
    // The control.
    acme.get(&at(&jane)).await.expect(200);
}

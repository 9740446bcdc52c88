//! API keys: what each role may, when a key ends, and that nobody locks
//! themselves out.

use std::time::Duration;

use hookyard_tests::{Api, Host, Receiver, list, text};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A key of the tenant's, made by itself: what is known of it, and its API.
async fn key(admin: &Api, form: Value) -> (Value, Api) {
    let key = admin.post("/v1/keys", form).await.expect(201);
    let api = admin.with_key(key["key"].as_str());
    (key, api)
}

async fn role(admin: &Api, role: &str) -> Api {
    key(admin, json!({"role": role})).await.1
}

fn at(key: &Value) -> String {
    format!("/v1/keys/{}", text(&key["id"]))
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_text() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let end = (host.now() + HOUR).to_string();
    let (made, api) = key(&admin, json!({"name": "ci", "role": "publish", "expires_at": end})).await;
    api.publish(json!({"type": "a.b", "data": 1})).await;

    let shown = admin.get(&at(&made)).await.expect(200);
    assert_eq!((text(&shown["name"]), text(&shown["role"]), text(&shown["expires_at"])), ("ci", "publish", &*end));
    assert_eq!(shown["expired"], false);
    assert_eq!(shown["created_at"], made["created_at"]);
    let listed = admin.get("/v1/keys").await.expect(200);
    let [newest, first] = &list(&listed["items"])[..] else { panic!("two keys: {listed}") };
    assert_eq!(newest, &shown);
    // The one that came with the tenant.
    assert_eq!(
        (text(&first["role"]), &first["expires_at"], text(&first["name"])),
        ("admin", &Value::Null, "first key")
    );
    let everything = format!("{listed} {shown}");
    assert!(!everything.contains(api.key()) && !everything.contains(admin.key()), "{everything}");
    // The control: the answer that made it has it.
    assert!(made.to_string().contains(api.key()));

    let page = admin.get("/v1/keys?limit=1").await.expect(200);
    let rest = admin.get(&format!("/v1/keys?limit=1&cursor={}", text(&page["next"]))).await.expect(200);
    assert_eq!((&rest["items"][0], &rest["next"]), (first, &Value::Null));
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_not_made() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let past = host.now().to_string();
    for (form, field) in [
        (json!({"role": "root"}), "role"),
        (json!({"role": null, "name": ""}), "name"),
        (json!({"expires_at": "tomorrow"}), "expires_at"),
        (json!({"expires_at": past}), "expires_at"),
        (json!({"scope": "all"}), "scope"),
    ] {
        admin.post("/v1/keys", form).await.problem(422, field);
    }
    assert_eq!(list(&admin.get("/v1/keys").await.expect(200)["items"]).len(), 1);
}

#[tokio::test]
async fn an_expired_key_ends_at_its_instant_and_says_so() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let end = (host.now() + HOUR).to_string();
    let (made, short) = key(&admin, json!({"role": "viewer", "expires_at": end})).await;
    short.get("/v1/endpoints").await.expect(200);

    host.clock.advance(HOUR);

    let why = short.get("/v1/endpoints").await.problem(401, "");
    assert!(why.contains("expired") && why.contains(&end), "{why}");
    assert_eq!(admin.get(&at(&made)).await.expect(200)["expired"], true);
    // After a restart as well.
    let host = host.restart().await;
    let short = host.operator.with_key(Some(short.key()));
    assert!(short.get("/v1/endpoints").await.problem(401, "").contains("expired"));
}

#[tokio::test]
async fn a_revoked_key_is_not_known_from_the_next_call_on() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (made, member) = key(&admin, json!({"role": "member"})).await;
    member.get("/v1/endpoints").await.expect(200);

    admin.delete(&at(&made)).await.expect(204);

    let why = member.get("/v1/endpoints").await.problem(401, "");
    // A key that never was is told the same.
    assert_eq!(why, member.with_key(Some("hk_no-such-key")).get("/v1/endpoints").await.problem(401, ""));
    admin.get(&at(&made)).await.problem(404, "");
    admin.delete(&at(&made)).await.problem(404, "");
    let host = host.restart().await;
    host.operator.with_key(Some(member.key())).get("/v1/endpoints").await.problem(401, "");
}

#[tokio::test]
async fn a_tenant_does_not_lock_itself_out() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let own = admin.get("/v1/keys").await.expect(200)["items"][0].clone();
    role(&admin, "member").await;
    let end = (host.now() + HOUR).to_string();
    let (second, other) = key(&admin, json!({"role": "admin", "expires_at": end})).await;

    // Another admin is left; and then none.
    admin.delete(&at(&own)).await.expect(204);
    admin.get("/v1/keys").await.problem(401, "");
    let why = other.delete(&at(&second)).await.problem(409, "");
    assert!(why.contains("admin"), "{why}");
    other.get("/v1/keys").await.expect(200);

    // The operator may, and makes another.
    let keys =
        format!("/v1/tenants/{}/keys", text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]));
    host.operator.delete(&format!("{keys}/{}", text(&second["id"]))).await.expect(204);
    other.get("/v1/keys").await.problem(401, "");
    let made = host.operator.send(host.operator.request(reqwest::Method::POST, &keys)).await.expect(201);
    assert_eq!(made["role"], "admin");
    let third = host.operator.with_key(made["key"].as_str());
    let listed = third.get("/v1/keys").await.expect(200);
    assert_eq!(listed, host.operator.get(&keys).await.expect(200), "the operator sees the same");
    let one = host.operator.get(&format!("{keys}/{}", text(&made["id"]))).await.expect(200);
    assert_eq!(one, listed["items"][0]);
}

#[tokio::test]
async fn an_expired_admin_key_does_not_count_as_one() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let own = admin.get("/v1/keys").await.expect(200)["items"][0].clone();
    key(&admin, json!({"expires_at": (host.now() + HOUR).to_string()})).await;
    host.clock.advance(HOUR);
    admin.delete(&at(&own)).await.problem(409, "");
}

#[tokio::test]
async fn a_role_that_is_not_enough_is_told_which_would_be() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (member, viewer, publisher) =
        (role(&admin, "member").await, role(&admin, "viewer").await, role(&admin, "publish").await);
    let told = |why: String, has: &str, needs: &str| {
        assert!(why.contains(&format!("role {has};")) && why.ends_with(&format!("role {needs}")), "{why}");
    };
    told(member.get("/v1/keys").await.problem(403, ""), "member", "admin");
    told(member.get("/v1/audit").await.problem(403, ""), "member", "admin");
    told(viewer.post("/v1/events", json!({})).await.problem(403, ""), "viewer", "publish, member or admin");
    told(viewer.post("/v1/endpoints", json!({})).await.problem(403, ""), "viewer", "member or admin");
    told(publisher.get("/v1/events").await.problem(403, ""), "publish", "viewer, member or admin");
    told(publisher.get("/v1/dialects").await.problem(403, ""), "publish", "viewer, member or admin");
    // The controls: what each is for.
    member.get("/v1/endpoints").await.expect(200);
    viewer.get("/v1/events").await.expect(200);
    publisher.publish(json!({"type": "a.b", "data": 1})).await;
}

#[tokio::test]
async fn a_viewer_gets_nothing_that_sends_or_signs() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let admin = host.tenant("acme").await;
    let viewer = role(&admin, "viewer").await;
    let endpoint = admin.endpoint(&receiver.url(), json!({})).await;
    let source = admin.post("/v1/sources", json!({"name": "shop", "event_type": "a.b"})).await.expect(201);
    admin.send(admin.request(reqwest::Method::PUT, "/v1/secrets/crm").body(r#"{"value": "hush"}"#)).await.expect(200);

    // A trial shows the message; with a signature it could be sent.
    let event = json!({"type": "a.b", "data": 1, "occurred_at": "2026-11-21T08:30:00Z"});
    let trial = json!({"event": event, "endpoint": endpoint["id"]});
    let (seen, whole) = (viewer.post("/v1/try", trial.clone()).await, admin.post("/v1/try", trial.clone()).await);
    let (seen, whole) = (seen.expect(200), whole.expect(200));
    assert_eq!((&seen["outcome"], &seen["message"]), (&whole["outcome"], &whole["message"]));
    assert!(seen.get("signed").is_none() && whole["signed"]["headers"].is_object(), "{seen} {whole}");

    let mut sending = trial.clone();
    sending["http"] = json!(true);
    viewer.post("/v1/try", sending.clone()).await.problem(403, "");
    admin.post("/v1/try", sending).await.expect(200);

    // What a step signs is a signature, whether the step is there or only tried.
    admin.post_bytes("/v1/plugins?name=capable", hookyard_tests::build::capable()).await.expect(201);
    let grants = json!({"secrets": ["crm"], "state": true, "http": ["nobody.invalid"]});
    let deeds = json!({"do": [{"hmac": {"name": "crm", "data": "x"}}]});
    let steps = json!([{"plugin": "capable", "config": deeds, "grants": grants}]);
    let form = json!({"name": "signing", "steps": steps});
    let signing = admin.endpoint(&receiver.url(), form).await;
    for (path, form) in [
        ("/v1/try".to_owned(), json!({"event": event, "steps": steps})),
        ("/v1/try".to_owned(), json!({"event": event, "endpoint": signing["id"]})),
        (format!("/v1/endpoints/{}/shadow", text(&endpoint["id"])), json!({"steps": steps, "last": 1})),
    ] {
        let why = viewer.post(&path, form.clone()).await.problem(403, "");
        assert!(why.ends_with("role member or admin"), "{why}");
        admin.post(&path, form).await.expect(200);
    }

    // Whoever has the URL may send to it.
    let path = format!("/v1/sources/{}", text(&source["id"]));
    assert_eq!(viewer.get(&path).await.expect(200)["url"], Value::Null);
    assert_eq!(viewer.get("/v1/sources").await.expect(200)["items"][0]["url"], Value::Null);
    assert_eq!(admin.get(&path).await.expect(200)["url"], source["url"]);
    assert!(receiver.so_far().is_empty());
}

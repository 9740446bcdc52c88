//! Sessions: when they end, where they begin, and the operator's in a tenant.

use std::time::Duration;

use hookyard::domain::session::MOST_OF_HOLDER;
use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, list, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{HOUR, PASSWORD, Tab, at, user};

#[tokio::test]
async fn a_session_ends_when_it_should() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut tab) = user(&host, &admin, "jane@example.com", "member").await;

    // By signing out: the cookie that was stolen before is worth nothing.
    let stolen = tab.cookie.clone();
    let shown = tab.post("/sign-out", &[]).await;
    assert_eq!((shown.status, tab.cookie.clone()), (StatusCode::SEE_OTHER, None));
    tab.cookie = stolen;
    assert!(!tab.is_in().await);

    // By doing nothing.
    tab.cookie = None;
    tab.sign_in("jane@example.com", PASSWORD).await;
    host.clock.advance(11 * HOUR);
    assert!(tab.is_in().await);
    host.clock.advance(11 * HOUR);
    assert!(tab.is_in().await, "somebody was seen meanwhile");
    host.clock.advance(12 * HOUR);
    assert!(!tab.is_in().await);

    // After a week, whatever is done.
    tab.sign_in("jane@example.com", PASSWORD).await;
    for day in 0..14 {
        assert!(tab.is_in().await, "{day}");
        host.clock.advance(12 * HOUR - Duration::from_secs(60));
    }
    host.clock.advance(Duration::from_secs(14 * 60));
    assert!(!tab.is_in().await);

    // With its user.
    tab.sign_in("jane@example.com", PASSWORD).await;
    assert!(tab.is_in().await);
    admin.delete(&at(&jane)).await.expect(204);
    assert!(!tab.is_in().await);
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn a_key_signs_in_and_takes_the_session_with_it() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let end = (host.now() + HOUR).to_string();
    let short = admin.post("/v1/keys", json!({"role": "viewer", "expires_at": end})).await.expect(201);
    let long = admin.post("/v1/keys", json!({"role": "member", "name": "mine"})).await.expect(201);
    let program = admin.post("/v1/keys", json!({"role": "publish"})).await.expect(201);
    let mut tabs = [Tab::at(&host), Tab::at(&host)];
    for (tab, key) in tabs.iter_mut().zip([&short, &long]) {
        assert_eq!(tab.post("/sign-in", &[("key", text(&key["key"]))]).await.status, 303);
        assert!(tab.is_in().await);
    }
    let mut other = Tab::at(&host);
    for key in [text(&program["key"]), "hk_nobodys"] {
        assert_eq!(other.post("/sign-in", &[("key", key)]).await.status, 401);
    }
    // The key's role is the session's, and the key is who did it.
    let form = json!({"name": "shop", "event_type": "a.b"});
    assert_eq!(tabs[0].change("POST /v1/sources", form.clone()).await.0, 403);
    let (status, source) = tabs[1].change("POST /v1/sources", form).await;
    assert_eq!(status, 303, "{source}");
    let log = admin.get(&format!("/v1/audit?target={source}")).await.expect(200);
    assert_eq!(log["items"][0]["by"], json!({"id": long["id"], "name": "mine"}));

    host.clock.advance(HOUR);
    assert!(!tabs[0].is_in().await, "it has expired");
    assert!(tabs[1].is_in().await);
    admin.delete(&format!("/v1/keys/{}", text(&long["id"]))).await.expect(204);
    assert!(!tabs[1].is_in().await, "it was revoked");
}

#[tokio::test]
async fn whoever_signs_in_without_end_loses_their_own_sessions() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/keys", json!({"role": "viewer"})).await.expect(201);
    let (_, mut jane) = user(&host, &admin, "jane@example.com", "admin").await;
    let mut tabs: Vec<Tab> = (0..=MOST_OF_HOLDER).map(|_| Tab::at(&host)).collect();
    for tab in &mut tabs {
        assert_eq!(tab.post("/sign-in", &[("key", text(&made["key"]))]).await.status, 303);
        host.clock.advance(Duration::from_millis(2));
    }
    assert!(!tabs[0].is_in().await, "the oldest");
    assert!(tabs[1].is_in().await && tabs[50].is_in().await);
    assert!(jane.is_in().await);
}

#[tokio::test]
async fn a_user_of_a_tenant_that_is_gone_is_out() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (_, mut tab) = user(&host, &admin, "jane@example.com", "admin").await;
    assert!(tab.is_in().await);
    let tenant = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    host.operator.delete(&format!("/v1/tenants/{tenant}")).await.expect(204);
    assert!(!tab.is_in().await);
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn one_goes_back_to_where_one_wanted_to_go_and_nowhere_else() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (_, mut tab) = user(&host, &admin, "jane@example.com", "member").await;
    tab.post("/sign-out", &[]).await;
    let shown = tab.get("/deliveries?state=dead").await;
    assert_eq!(shown.location, "/sign-in?then=%2Fdeliveries%3Fstate%3Ddead");
    let page = tab.get(&shown.location).await;
    assert!(page.status == 200 && page.body.contains("deliveries?state=dead"), "{}", page.body);
    for (then, to) in [
        ("/deliveries?state=dead", "/deliveries?state=dead"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ] {
        tab.cookie = None;
        let fields = [("email", "jane@example.com"), ("password", PASSWORD), ("then", then)];
        assert_eq!(tab.post("/sign-in", &fields).await.location, to);
    }
}

#[tokio::test]
async fn the_operator_enters_a_tenant_as_itself_and_leaves() {
    let host = Host::start_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let admin = host.tenant("acme").await;
    let tenant = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let mut tab = Tab::at(&host);
    tab.post(host.first_link.as_deref().expect("a link"), &[("skip", "1")]).await;
    assert_eq!(tab.post("/operator", &[("_call", "POST /v1/sources"), ("name", "x")]).await.status, 403);

    let shown = tab.post(&format!("/operator/tenants/{tenant}/open"), &[]).await;
    assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"));
    let entered = admin.get("/v1/audit?action=tenant.entered").await.expect(200);
    assert_eq!((&entered["items"][0]["by"]["id"], list(&entered["items"]).len()), (&json!("operator"), 1));
    let (status, source) = tab.change("POST /v1/sources", json!({"name": "x", "event_type": "a.b"})).await;
    assert_eq!(status, 303, "{source}");
    let log = admin.get(&format!("/v1/audit?target={source}")).await.expect(200);
    assert_eq!(log["items"][0]["by"]["id"], "operator");
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 403, "while it is in there");
    assert_eq!(tab.post("/operator/tenants/ten_01arz3ndektsv4rrffq69g5fav/open", &[]).await.status, 404);

    assert_eq!(tab.post("/operator/leave", &[]).await.location, "/operator");
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
    // Nobody else enters.
    let (_, mut jane) = user(&host, &admin, "jane@example.com", "admin").await;
    host.tenant("other").await;
    let other = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let shown = jane.post(&format!("/operator/tenants/{other}/open"), &[]).await;
    assert!(shown.location.starts_with("/sign-in"), "{} {}", shown.status, shown.body);
    let (_, seen) = jane.ask("GET /v1/sources", Value::Null).await;
    assert_eq!(text(&seen["items"][0]["id"]), source, "she is where she was");
}

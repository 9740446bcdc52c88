//! Links: each lets somebody in once, and the first of them makes the operator.

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, text};
use serde_json::{Value, json};

use super::{HOUR, PASSWORD, Tab, WRONG, at};

#[tokio::test]
async fn a_link_lets_in_once_and_looking_at_it_does_not_take_it() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": "Jane@Example.com", "name": "Jane"})).await.expect(201);
    assert_eq!((text(&made["email"]), text(&made["role"])), ("jane@example.com", "member"));
    assert_eq!(made["has_password"], false);
    let link = text(&made["link"]);
    let mut tab = Tab::at(&host);
    for _ in 0..3 {
        let shown = tab.get(link).await;
        assert_eq!(shown.status, 200);
        assert!(shown.body.contains("jane@example.com") && shown.body.contains("acme"), "{}", shown.body);
        assert!(shown.policy.contains("frame-ancestors 'none'"), "{}", shown.policy);
    }
    let shown = tab.post(link, &[("password", "short")]).await;
    assert_eq!(shown.status, 422, "{}", shown.body);
    assert!(!tab.is_in().await);
    assert_eq!(tab.post(link, &[("password", PASSWORD)]).await.status, 303);
    assert!(tab.is_in().await);
    assert_eq!(admin.get(&at(&made)).await.expect(200)["has_password"], true);

    let mut other = Tab::at(&host);
    assert_eq!(other.get(link).await.status, 410);
    assert_eq!(other.post(link, &[("password", WRONG)]).await.status, 410);
    assert_eq!(other.post(link, &[("skip", "1")]).await.status, 410);
    assert!(!other.is_in().await);
    assert_eq!(other.get("/link/no-such-link").await.status, 410);
}

#[tokio::test]
async fn a_link_ends_and_another_takes_its_place() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let second = admin.post(&format!("{}/link", at(&made)), json!({})).await.expect(201);
    let mut tab = Tab::at(&host);
    assert_eq!(tab.get(text(&made["link"])).await.status, 410, "the one before opens nothing any more");
    assert_eq!(tab.get(text(&second["url"])).await.status, 200);
    host.clock.advance(24 * HOUR);
    assert_eq!(tab.get(text(&second["url"])).await.status, 410);
    assert_eq!(tab.post(text(&second["url"]), &[("skip", "1")]).await.status, 410);
    assert!(!tab.is_in().await);
}

#[tokio::test]
async fn the_first_link_makes_the_operator() {
    let host = Host::start_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let first = host.first_link.clone().expect("nobody is the operator yet");
    let host = host.restart_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let second = host.first_link.clone().expect("nobody is the operator yet");
    let mut tab = Tab::at(&host);
    let path = |link: &str| format!("/link/{}", link.rsplit('/').next().unwrap_or_default());
    assert_eq!(tab.get(&path(&first)).await.status, 410, "the one of the start before");
    // What is no address makes nobody, and the link stays good.
    let fields = [("email", "me"), ("name", "Me"), ("password", PASSWORD)];
    assert_eq!(tab.post(&path(&second), &fields).await.status, 422);
    let fields = [("email", "me@example.com"), ("name", "Me"), ("password", PASSWORD)];
    assert_eq!(tab.post(&path(&second), &fields).await.status, 303);
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
    assert_eq!(tab.ask("GET /v1/endpoints", Value::Null).await.0, 403);
    let made = host.operator.get("/v1/operator/audit?action=user.created").await.expect(200)["items"][0].clone();
    assert_eq!(made["by"]["id"], "operator");
    assert_eq!(made["changes"][0], json!({"field": "email", "new": "me@example.com"}));

    let host = host.restart_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    assert_eq!(host.first_link, None, "there is one now");
    let mut tab = Tab::at(&host);
    assert_eq!(tab.sign_in("me@example.com", PASSWORD).await.status, 303);
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
}

//! A portal's end before its time: with whoever made it, or when somebody says so.

use hookyard_tests::{Host, list, text};
use serde_json::{Value, json};

use super::super::{HOUR, Tab, at, user};
use super::{portal, shown_link};

#[tokio::test]
async fn a_portal_ends_with_the_key_that_made_it() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let end = (host.now() + HOUR).to_string();
    let short = admin.post("/v1/keys", json!({"role": "member", "expires_at": end})).await.expect(201);
    let long = admin.post("/v1/keys", json!({"role": "member"})).await.expect(201);
    let form = json!({"expires_in_seconds": 86400, "capabilities": ["endpoints"]});
    let mut tabs = Vec::new();
    for key in [&short, &long] {
        tabs.push(portal(&host, &admin.with_key(key["key"].as_str()), form.clone()).await);
    }
    tabs.push(portal(&host, &admin, form).await);
    let mut are_in = async || {
        let mut are_in = Vec::new();
        for tab in &mut tabs {
            are_in.push(tab.is_in().await);
        }
        are_in
    };
    assert_eq!(are_in().await, [true, true, true]);
    admin.delete(&format!("/v1/keys/{}", text(&long["id"]))).await.expect(204);
    assert_eq!(are_in().await, [true, false, true], "it was revoked");
    host.clock.advance(HOUR);
    assert_eq!(are_in().await, [false, false, true], "it has expired");
}

#[tokio::test]
async fn a_portal_ends_with_its_makers_right_to_make_one() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut her) = user(&host, &admin, "jane@example.com", "member").await;
    let fields = [("_call", "POST /v1/portal-sessions"), ("_show", "1"), ("capabilities[]", "endpoints")];
    let shown = her.post("/members", &fields).await;
    let url = shown_link(&shown.body);
    let mut visitor = Tab::at(&host);
    assert_eq!(visitor.get(&url).await.status, 303, "{url}");
    assert!(visitor.is_in().await);
    admin.patch(&at(&jane), json!({"role": "viewer"})).await.expect(200);
    assert!(!visitor.is_in().await);
    assert_eq!(Tab::at(&host).get(&url).await.status, 410, "the link opens nothing either");
    // Nothing was taken away that somebody did not mean to.
    admin.patch(&at(&jane), json!({"role": "member"})).await.expect(200);
    assert!(visitor.is_in().await);
    admin.delete(&at(&jane)).await.expect(204);
    assert!(!visitor.is_in().await);
}

#[tokio::test]
async fn portals_are_ended_by_account_or_all_at_once() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    let of = |account: &str| json!({"account": account, "capabilities": ["endpoints"]});
    let mut tabs = [
        portal(&host, &acme, of("berlin")).await,
        portal(&host, &acme, of("paris")).await,
        portal(&host, &acme, json!({})).await,
        portal(&host, &other, of("berlin")).await,
    ];
    let (_, mut jane) = user(&host, &acme, "jane@example.com", "member").await;
    for (query, ended, left) in [
        ("?account=rome", 0, [true, true, true, true]),
        ("?account=berlin", 1, [false, true, true, true]),
        ("", 2, [false, false, false, true]),
    ] {
        let answer = acme.delete(&format!("/v1/portal-sessions{query}")).await.expect(200);
        assert_eq!(answer, json!({"ended": ended}), "{query}");
        let mut are_in = [false; 4];
        for (tab, is_in) in tabs.iter_mut().zip(&mut are_in) {
            *is_in = tab.is_in().await;
        }
        assert_eq!(are_in, left, "{query}");
    }
    assert!(jane.is_in().await, "people are no portals");
    acme.delete("/v1/portal-sessions?account=").await.problem(422, "account");
    let log = acme.get("/v1/audit?action=portal-sessions.ended").await.expect(200);
    let targets: Vec<&Value> = list(&log["items"]).iter().map(|entry| &entry["target"]).collect();
    assert_eq!(targets, ["portal", "berlin", "rome"]);
    // A visitor ends nobody's, and a member does by the page.
    assert_eq!(tabs[3].change("DELETE /v1/portal-sessions", Value::Null).await.0, 403);
    let mut last = portal(&host, &acme, json!({})).await;
    assert_eq!(jane.post("/members", &[("_call", "DELETE /v1/portal-sessions")]).await.status, 303);
    assert!(!last.is_in().await && tabs[3].is_in().await);
}

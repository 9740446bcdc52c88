//! A page offers a visitor what their portal was given, and nothing that is refused.

use std::collections::BTreeSet;

use hookyard_tests::{Host, Receiver, text};
use serde_json::{Value, json};

use super::super::{Tab, user};
use super::{plain, portal, shown_link};

/// The calls that the forms of these pages are.
async fn offered(tab: &mut Tab, pages: &[String]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for path in pages {
        let shown = tab.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.body);
        let html = plain(&shown.body);
        let forms = html.split("name=\"_call\" value=\"").skip(1);
        calls.extend(forms.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()));
    }
    calls
}

#[tokio::test]
async fn a_visitor_is_offered_what_the_portal_was_given() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    let receiver = Receiver::start().await;
    receiver.answer(&[500]);
    let endpoint =
        tenant.endpoint(&receiver.url(), json!({"accounts": ["berlin"], "retry": {"schedule": [3600]}})).await;
    let endpoint = text(&endpoint["id"]);
    let event = tenant.publish(json!({"type": "a.b", "data": {}, "account": "berlin"})).await;
    // One that goes on, so that it could be retried or cancelled.
    let delivery = hookyard_tests::eventually("a failed attempt", async || {
        let found = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
        found["items"].get(0).filter(|delivery| delivery["attempt_count"] != 0).cloned()
    });
    let delivery = text(&delivery.await["id"]).to_owned();
    let pages = [
        "/endpoints".to_owned(),
        "/endpoints/new".to_owned(),
        format!("/endpoints/{endpoint}"),
        format!("/endpoints/{endpoint}/edit"),
        "/deliveries".to_owned(),
        format!("/deliveries/{delivery}"),
        "/events".to_owned(),
        format!("/events/{event}"),
        "/replays".to_owned(),
    ];
    let of_endpoints = vec![
        "POST /v1/endpoints".to_owned(),
        format!("PATCH /v1/endpoints/{endpoint}"),
        format!("DELETE /v1/endpoints/{endpoint}"),
        format!("POST /v1/endpoints/{endpoint}/pause"),
        format!("POST /v1/endpoints/{endpoint}/rotate-secret"),
    ];
    let of_replay =
        vec![format!("POST /v1/endpoints/{endpoint}/replay"), format!("POST /v1/deliveries/{delivery}/retry")];
    let of_test = vec![format!("POST /v1/endpoints/{endpoint}/test")];
    for (given, expected) in [("view", vec![]), ("endpoints", of_endpoints), ("replay", of_replay), ("test", of_test)] {
        let mut visitor = portal(&host, &tenant, json!({"account": "berlin", "capabilities": [given]})).await;
        assert_eq!(offered(&mut visitor, &pages).await, BTreeSet::from_iter(expected), "with {given}");
        assert_eq!(visitor.get("/members").await.status, 403);
    }
    // The control: the tenant's own people may cancel, too.
    let (_, mut jane) = user(&host, &tenant, "jane@example.com", "member").await;
    let calls = offered(&mut jane, &pages).await;
    for call in [format!("POST /v1/deliveries/{delivery}/cancel"), format!("POST /v1/events/{event}/cancel")] {
        assert!(calls.contains(&call), "{call} is not in {calls:?}");
    }
}

#[tokio::test]
async fn a_member_makes_links_for_customers_on_a_page() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    tenant.post("/v1/keys", json!({"name": "of the admins", "role": "viewer"})).await.expect(201);
    let (_, mut jane) = user(&host, &tenant, "jane@example.com", "member").await;
    let tabs = plain(&jane.get("/endpoints").await.body);
    assert!(tabs.contains("href=\"/members\""), "{tabs}");
    let page = ["/members".to_owned()];
    let links = ["POST /v1/portal-sessions", "DELETE /v1/portal-sessions"];
    assert_eq!(offered(&mut jane, &page).await, BTreeSet::from(links.map(str::to_owned)));
    let fields = [("_call", links[0]), ("_show", "1"), ("account:?", "berlin"), ("capabilities[]", "view")];
    let shown = jane.post("/members", &fields).await;
    let url = shown_link(&shown.body);
    let mut visitor = Tab::at(&host);
    assert_eq!(visitor.get(&url).await.status, 303);
    assert_eq!(visitor.ask("GET /v1/endpoints", Value::Null).await.0, 200);
    // Whose names are the admins' business stays it.
    for secret in ["of the admins", "jane@example.com"] {
        assert!(!jane.get("/members").await.body.contains(secret), "{secret}");
    }
    let (_, mut john) = user(&host, &tenant, "john@example.com", "viewer").await;
    assert_eq!(john.get("/members").await.status, 403);
    let tabs = plain(&john.get("/endpoints").await.body);
    assert!(!tabs.contains("href=\"/members\""), "{tabs}");
}

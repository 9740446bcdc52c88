//! A portal's visitor: what the account has, what the link allows, and until when.

use std::time::Duration;

use hookyard_tests::{Api, Host, Receiver, list, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{HOUR, Tab, user};

/// A tenant with an endpoint and a delivered event of each of two accounts, and
/// one endpoint of its own.
struct Accounts {
    admin: Api,
    receiver: Receiver,
    endpoints: [Value; 3],
    events: [String; 2],
    deliveries: [Value; 2],
}

impl Accounts {
    async fn at(host: &Host) -> Self {
        let receiver = Receiver::start().await;
        let admin = host.tenant("agency").await;
        let steps = json!([{"plugin": "tag-filter", "config": {"expression": "not hush_config"}}]);
        let mut endpoints = Vec::new();
        for (name, accounts) in [("berlin", json!(["berlin"])), ("paris", json!(["paris"])), ("both", json!([]))] {
            let form = json!({"name": name, "accounts": accounts, "steps": steps, "url": format!("{}/{name}", receiver.url())});
            endpoints.push(admin.endpoint(&receiver.url(), form).await);
        }
        let mut events = Vec::new();
        let mut deliveries = Vec::new();
        for (at, account) in ["berlin", "paris"].into_iter().enumerate() {
            let event = admin.publish(json!({"type": "a.b", "data": {"of": account}, "account": account})).await;
            deliveries.push(admin.delivery_to(&event, text(&endpoints[at]["id"]), "delivered").await);
            events.push(event);
        }
        Self {
            admin,
            receiver,
            endpoints: endpoints.try_into().expect("three"),
            events: events.try_into().expect("two"),
            deliveries: deliveries.try_into().expect("two"),
        }
    }

    async fn portal(&self, host: &Host, form: Value) -> Tab {
        let made = self.admin.post("/v1/portal-sessions", form).await.expect(201);
        let mut tab = Tab::at(host);
        let shown = tab.get(text(&made["url"])).await;
        assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"), "{}", shown.body);
        tab
    }
}

#[tokio::test]
async fn a_portal_shows_its_account_and_nothing_else() {
    let host = Host::start().await;
    let all = Accounts::at(&host).await;
    let mut tab = all.portal(&host, json!({"account": "berlin"})).await;
    let [own, foreign, shared] = all.endpoints.each_ref().map(|endpoint| text(&endpoint["id"]));
    let mut seen = String::new();
    for (path, ids) in [
        ("/v1/endpoints".to_owned(), vec![own]),
        ("/v1/deliveries".to_owned(), vec![text(&all.deliveries[0]["id"])]),
        (format!("/v1/deliveries?endpoint={own}"), vec![text(&all.deliveries[0]["id"])]),
        ("/v1/deliveries?state=dead".to_owned(), vec![]),
        ("/v1/events".to_owned(), vec![&*all.events[0]]),
        ("/v1/events?account=paris".to_owned(), vec![&*all.events[0]]),
        ("/v1/replays".to_owned(), vec![]),
    ] {
        let (status, page) = tab.ask(&format!("GET {path}"), Value::Null).await;
        assert_eq!(status, 200, "{path}: {page}");
        let found: Vec<&str> = list(&page["items"]).iter().map(|item| text(&item["id"])).collect();
        assert_eq!(found, ids, "{path}");
        seen += &page.to_string();
    }
    for path in [
        format!("/v1/endpoints/{own}"),
        format!("/v1/deliveries/{}", text(&all.deliveries[0]["id"])),
        format!("/v1/events/{}", all.events[0]),
    ] {
        let (status, thing) = tab.ask(&format!("GET {path}"), Value::Null).await;
        assert_eq!(status, 200, "{path}");
        seen += &thing.to_string();
    }
    for path in [
        format!("/v1/endpoints/{foreign}"),
        format!("/v1/endpoints/{shared}"),
        format!("/v1/deliveries/{}", text(&all.deliveries[1]["id"])),
        format!("/v1/deliveries?endpoint={foreign}"),
        format!("/v1/events/{}", all.events[1]),
    ] {
        let (status, problem) = tab.ask(&format!("GET {path}"), Value::Null).await;
        assert_eq!(status, 404, "{path}: {problem}");
    }
    for path in ["/v1/sources", "/v1/keys", "/v1/users", "/v1/audit", "/v1/plugins", "/v1/stats", "/v1/secrets"] {
        let (status, problem) = tab.ask(&format!("GET {path}"), Value::Null).await;
        assert_eq!(status, 403, "{path}: {problem}");
    }
    for secret in ["hush_config", "paris", foreign, shared] {
        assert!(!seen.contains(secret), "{secret} is in {seen}");
    }
    // The control: the tenant's own people see all of it.
    let (_, mut jane) = user(&host, &all.admin, "jane@example.com", "admin").await;
    let (_, page) = jane.ask("GET /v1/endpoints", Value::Null).await;
    assert!(page.to_string().contains("hush_config") && page.to_string().contains(foreign));
    // What was another account's when it was delivered stays so.
    all.admin.patch(&format!("/v1/endpoints/{foreign}"), json!({"accounts": ["berlin"]})).await.expect(200);
    let old = format!("GET /v1/deliveries/{}", text(&all.deliveries[1]["id"]));
    assert_eq!(tab.ask(&old, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_portal_does_what_it_was_given_with_its_own() {
    let host = Host::start().await;
    let mut all = Accounts::at(&host).await;
    let [own, foreign, _] = all.endpoints.each_ref().map(|endpoint| text(&endpoint["id"]).to_owned());
    let replay =
        json!({"since": "2020-01-01T00:00:00Z", "pipeline": "as-sent", "states": ["delivered"], "dry_run": true});
    let calls = |endpoint: &str| {
        [
            ("endpoints", format!("PATCH /v1/endpoints/{endpoint}"), json!({"name": format!("mine {endpoint}")})),
            ("endpoints", format!("POST /v1/endpoints/{endpoint}/rotate-secret"), json!({})),
            ("replay", format!("POST /v1/endpoints/{endpoint}/replay"), replay.clone()),
            ("test", format!("POST /v1/endpoints/{endpoint}/test"), json!({})),
        ]
    };
    for given in ["view", "endpoints", "replay", "test"] {
        let mut tab = all.portal(&host, json!({"account": "berlin", "capabilities": [given]})).await;
        for (needs, call, body) in calls(&own) {
            let (found, answer) = tab.change(&call, body).await;
            assert_eq!(found, if needs == given { 303 } else { 403 }, "{call} with {given}: {answer}");
        }
        for (needs, call, body) in calls(&foreign) {
            let (found, answer) = tab.change(&call, body).await;
            assert_eq!(found, if needs == given { 404 } else { 403 }, "{call} with {given}: {answer}");
        }
    }
    let mut tab = all.portal(&host, json!({"account": "berlin", "capabilities": ["endpoints", "test"]})).await;
    let form = json!({"name": "new", "url": format!("{}/new", all.receiver.url()), "event_types": ["*"]});
    let with = |field: &str, value: Value| {
        let mut form = form.clone();
        form[field] = value;
        form
    };
    for (field, value) in [
        ("steps", json!([{"plugin": "template", "config": {"body": "x"}, "grants": {"secrets": ["crm"]}}])),
        ("accounts", json!(["paris"])),
        ("accounts", json!(["berlin", "paris"])),
    ] {
        let (status, page) = tab.change("POST /v1/endpoints", with(field, value)).await;
        assert!(status == 422 && page.contains(&format!("<code>{field}</code>")), "{status} {page}");
    }
    let (status, made) = tab.change("POST /v1/endpoints", form.clone()).await;
    assert_eq!(status, 303, "{made}");
    let path = format!("/v1/endpoints/{made}");
    let accounts = async || all.admin.get(&path).await.expect(200)["accounts"].clone();
    assert_eq!(accounts().await, json!(["berlin"]));
    // It stays the account's, whatever is sent.
    for (change, status) in [
        (json!({"name": "renamed"}), 303),
        (json!({"accounts": []}), 303),
        (json!({"accounts": ["paris"]}), 422),
        (json!({"steps": []}), 422),
    ] {
        assert_eq!(tab.change(&format!("PATCH {path}"), change).await.0, status);
        assert_eq!(accounts().await, json!(["berlin"]));
    }
    let log = all.admin.get(&format!("/v1/audit?target={made}")).await.expect(200);
    assert_eq!(log["items"][0]["by"], json!({"id": "portal", "name": "berlin"}));
    // A test event is the account's.
    let (status, tested) = tab.change(&format!("POST {path}/test"), json!({"account": null})).await;
    assert_eq!(status, 303, "{tested}");
    let event = all.admin.get(&format!("/v1/events/{tested}")).await.expect(200);
    assert_eq!(event["account"], "berlin");
    assert_eq!(tab.change(&format!("POST {path}/test"), json!({"account": "paris"})).await.0, 422);
    all.admin.delivery_in(&tested, "delivered").await;
    assert!(!all.receiver.so_far().is_empty());
    assert_eq!(tab.change(&format!("DELETE {path}"), Value::Null).await.0, 303);
    all.admin.get(&path).await.problem(404, "");
    let unchanged = all.admin.get(&format!("/v1/endpoints/{foreign}")).await.expect(200);
    assert_eq!(unchanged["name"], "paris");
}

#[tokio::test]
async fn a_portals_lists_go_on_page_by_page() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("agency").await;
    for name in ["one", "two", "three"] {
        let url = format!("{}/{name}", receiver.url());
        admin.endpoint(&url, json!({"name": name, "accounts": ["berlin"]})).await;
    }
    for number in 0..4 {
        let event = admin.publish(json!({"type": "a.b", "data": number, "account": "berlin"})).await;
        hookyard_tests::eventually("its deliveries", async || {
            let path = format!("/v1/deliveries?event={event}&state=delivered");
            let page = admin.get(&path).await.expect(200);
            (list(&page["items"]).len() == 3).then_some(())
        })
        .await;
    }
    let made = admin.post("/v1/portal-sessions", json!({"account": "berlin"})).await.expect(201);
    let mut tab = Tab::at(&host);
    tab.get(text(&made["url"])).await;
    for (path, count) in [("/v1/deliveries", 12), ("/v1/endpoints", 3), ("/v1/events", 4)] {
        let whole = admin.get(path).await.expect(200);
        let whole: Vec<&str> = list(&whole["items"]).iter().map(|item| text(&item["id"])).collect();
        assert_eq!(whole.len(), count, "{path}");
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) = tab.ask(&format!("GET {path}?limit=2{cursor}"), Value::Null).await;
            assert_eq!(status, 200, "{path}: {page}");
            assert!(list(&page["items"]).len() <= 2);
            found.extend(list(&page["items"]).iter().map(|item| text(&item["id"]).to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, whole, "{path}");
    }
}

#[tokio::test]
async fn a_portal_ends_when_it_was_said_and_with_its_tenant() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    for (form, field) in [
        (json!({"account": ""}), "account"),
        (json!({"capabilities": ["view", "admin"]}), "capabilities[1]"),
        (json!({"expires_in_seconds": 59}), "expires_in_seconds"),
        (json!({"expires_in_seconds": 86401}), "expires_in_seconds"),
        (json!({"embed_origins": ["https://a.example; script-src *"]}), "embed_origins[0]"),
        (json!({"embed_origins": ["*"]}), "embed_origins[0]"),
    ] {
        admin.post("/v1/portal-sessions", form).await.problem(422, field);
    }
    let short = admin.post("/v1/portal-sessions", json!({"expires_in_seconds": 60})).await.expect(201);
    let long = admin.post("/v1/portal-sessions", json!({"expires_in_seconds": 86400})).await.expect(201);
    let (mut first, mut second) = (Tab::at(&host), Tab::at(&host));
    // It may be opened again, such as by a frame that is shown again.
    for _ in 0..2 {
        assert_eq!(first.get(text(&short["url"])).await.status, 303);
    }
    second.get(text(&long["url"])).await;
    assert!(first.is_in().await && second.is_in().await);
    host.clock.advance(Duration::from_secs(60));
    assert!(!first.is_in().await && second.is_in().await);
    let gone = first.get(text(&short["url"])).await;
    assert_eq!((gone.status, gone.set_cookie.len()), (StatusCode::GONE, 0));
    assert_eq!(first.get("/portal/no-such-portal").await.status, 410);
    host.clock.advance(20 * HOUR);
    assert!(second.is_in().await, "nobody need be seen meanwhile");
    let log = admin.get("/v1/audit?action=portal-session.created").await.expect(200);
    assert_eq!(list(&log["items"]).len(), 2);

    let tenant = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    host.operator.delete(&format!("/v1/tenants/{tenant}")).await.expect(204);
    assert!(!second.is_in().await);
}

//! The portal: what a customer of a tenant sees, and where it may be embedded.

use axum::http::Response;
use axum::serve::Listener as _;
use hookyard_tests::tls::{self, Authority};
use hookyard_tests::{Api, Browser, Host, HostProcess, Page, Receiver, Role, TempDir, text};
use serde_json::{Value, json};

/// A tenant with two customers, each with an endpoint and a delivery, and an endpoint
/// of its own.
struct Agency {
    tenant: Api,
    _receiver: Receiver,
    adas: Customer,
    bobs: Customer,
}

struct Customer {
    endpoint: String,
    event: String,
    delivery: String,
}

impl Agency {
    async fn of(tenant: Api) -> Self {
        let receiver = Receiver::start().await;
        tenant.endpoint(&receiver.url(), json!({"name": "the agency's own", "event_types": ["agency.*"]})).await;
        let adas = Customer::of(&tenant, &receiver, "ada").await;
        let bobs = Customer::of(&tenant, &receiver, "bob").await;
        Self { tenant, _receiver: receiver, adas, bobs }
    }

    /// A portal's address.
    async fn portal(&self, form: Value) -> String {
        let session = self.tenant.post("/v1/portal-sessions", form).await.expect(201);
        text(&session["url"]).to_owned()
    }
}

impl Customer {
    async fn of(tenant: &Api, receiver: &Receiver, account: &str) -> Self {
        let more = json!({"name": format!("{account}'s receiver"), "event_types": ["order.*"], "accounts": [account]});
        let endpoint = tenant.endpoint(&receiver.url(), more).await;
        let event =
            json!({"type": "order.paid", "account": account, "subject": format!("{account}'s friend"), "data": {}});
        let event = tenant.publish(event).await;
        let delivery = tenant.delivery_in(&event, "delivered").await;
        Self { endpoint: text(&endpoint["id"]).to_owned(), event, delivery: text(&delivery["id"]).to_owned() }
    }
}

/// The status that the page came with.
async fn status(page: &Page, path: &str) -> u64 {
    page.goto(path).await;
    let status = page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus").await;
    status.as_u64().expect("a status")
}

#[tokio::test]
async fn a_customer_sees_what_is_theirs_and_nothing_else() {
    let host = Host::start().await;
    let agency = Agency::of(host.tenant("agency").await).await;
    let browser = Browser::start().await;
    let page = browser.page(agency.tenant.base()).await;
    let capabilities = json!(["view", "endpoints", "replay", "test"]);
    page.goto(&agency.portal(json!({"account": "ada", "capabilities": capabilities})).await).await;
    page.expect_complaint("the server responded with a status of 40");

    for path in ["/endpoints", "/deliveries", "/events", "/"] {
        assert_eq!(status(&page, path).await, 200, "{path}");
        let shown = page.text().await;
        assert!(!shown.contains("bob") && !shown.contains("agency's own"), "{path}: {shown}");
    }
    page.goto("/endpoints").await;
    page.see("ada's receiver").await;
    let Customer { endpoint, event, delivery } = &agency.adas;
    for path in [format!("/endpoints/{endpoint}"), format!("/events/{event}"), format!("/deliveries/{delivery}")] {
        assert_eq!(status(&page, &path).await, 200, "{path}");
    }
    let Customer { endpoint, event, delivery } = &agency.bobs;
    for path in [format!("/endpoints/{endpoint}"), format!("/events/{event}"), format!("/deliveries/{delivery}")] {
        assert_eq!(status(&page, &path).await, 404, "{path}");
        assert!(!page.text().await.contains("bob"), "{path}");
    }
    for path in ["/sources", "/requests", "/plugins", "/secrets", "/members", "/audit", "/plan", "/operator"] {
        let status = status(&page, path).await;
        assert!(status == 403 || status == 404, "{path}: {status}");
    }
}

#[tokio::test]
async fn a_customer_who_has_nothing_yet_is_told_how_to_begin() {
    let host = Host::start().await;
    let tenant = host.tenant("agency").await;
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    let portal =
        async |form: Value| text(&tenant.post("/v1/portal-sessions", form).await.expect(201)["url"]).to_owned();
    page.expect_complaint("the server responded with a status of 40");
    for account in [json!("ada"), Value::Null] {
        page.goto(&portal(json!({"account": account, "capabilities": ["view", "endpoints"]})).await).await;
        page.goto("/").await;
        page.see("No endpoints yet").await;
        page.find_a(Role::Link, "Create an endpoint").await;
    }
    page.screenshot("portal-empty").await;
    // Who may only look is offered nothing, and with an endpoint there is a next step.
    page.goto(&portal(json!({"account": "ada", "capabilities": ["view"]})).await).await;
    page.goto("/").await;
    page.see("No endpoints yet").await;
    assert!(!page.has(Role::Link, "Create").await, "an endpoint can be created");
    tenant.endpoint("http://127.0.0.1:4/", json!({"accounts": ["ada"]})).await;
    page.goto("/").await;
    page.see("Nothing was sent yet").await;
}

#[tokio::test]
async fn a_portal_that_may_only_be_looked_at_has_nothing_to_press() {
    let host = Host::start().await;
    let agency = Agency::of(host.tenant("agency").await).await;
    let browser = Browser::start().await;
    let page = browser.page(agency.tenant.base()).await;
    page.goto(&agency.portal(json!({"account": "ada", "capabilities": ["view"]})).await).await;
    page.expect_complaint("the server responded with a status of 40");
    let endpoint = format!("/endpoints/{}", agency.adas.endpoint);
    page.goto(&endpoint).await;
    page.see("ada's receiver").await;
    for name in ["Pause", "Send a test event", "Replay", "Delete", "Rotate"] {
        assert!(!page.has(Role::Button, name).await, "{name} can be pressed");
    }
    page.goto("/endpoints/new").await;
    assert!(!page.has(Role::Button, "Create").await, "an endpoint can be created");

    let other = browser.page(agency.tenant.base()).await;
    other.goto(&agency.portal(json!({"account": "ada", "capabilities": ["view", "endpoints"]})).await).await;
    other.goto(&endpoint).await;
    other.find_a(Role::Button, "Pause").await;
}

#[tokio::test]
async fn a_portal_ends_when_its_time_is_over() {
    let host = Host::start().await;
    let agency = Agency::of(host.tenant("agency").await).await;
    let browser = Browser::start().await;
    let page = browser.page(agency.tenant.base()).await;
    page.goto(&agency.portal(json!({"account": "ada", "expires_in_seconds": 60})).await).await;
    page.goto("/endpoints").await;
    page.see("ada's receiver").await;

    host.clock.advance(std::time::Duration::from_secs(61));

    page.expect_complaint("the server responded with a status of 40");
    page.goto("/endpoints").await;
    assert!(!page.text().await.contains("ada's receiver"));
}

/// What is seen of a portal in a page of another origin, at `host` on loopback.
async fn embedded(browser: &Browser, agency: &Agency, host: &str, is_allowed: bool) -> String {
    // Where the site is has to be known before its page is.
    let site = Receiver::start().await;
    let origin = format!("http://{host}:{}", site.address().port());
    let allowed = if is_allowed { origin.as_str() } else { "https://elsewhere.example" };
    let portal = agency.portal(json!({"account": "ada", "embed_origins": [allowed]})).await;
    let html = format!(r#"<!doctype html><title>site</title><iframe title="portal" src="{portal}"></iframe>"#);
    site.answer_by(move |_| {
        let response = Response::builder().header("content-type", "text/html");
        Some(response.body(html.clone()).expect("an answer"))
    });
    let page = browser.page(&origin).await;
    if !is_allowed {
        page.expect_complaint("frame-ancestors");
    }
    page.goto("/").await;
    page.text_of_frame().await
}

#[tokio::test]
async fn a_portal_can_be_embedded_where_it_may_be_and_nowhere_else() {
    let host = Host::start().await;
    let agency = Agency::of(host.tenant("agency").await).await;
    let browser = Browser::start().await;
    assert!(embedded(&browser, &agency, "127.0.0.1", true).await.contains("Endpoints"));
    assert!(!embedded(&browser, &agency, "127.0.0.1", false).await.contains("Endpoints"));
}

#[tokio::test]
async fn behind_tls_a_portal_can_be_embedded_in_another_site() {
    let listener = Authority::new("an authority").listener(None).await;
    let url = format!("https://{}", listener.local_addr().expect("it is bound"));
    let data = TempDir::new();
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_PUBLIC_URL", &url)]).await;
    tls::in_front(listener, host.address());
    let agency = Agency::of(host.tenant("agency").await).await;
    let browser = Browser::start().await;
    // To a browser, `localhost` and `127.0.0.1` are two sites: a cookie that is not
    // meant for frames stays away.
    assert!(embedded(&browser, &agency, "localhost", true).await.contains("Endpoints"));
    assert!(!embedded(&browser, &agency, "localhost", false).await.contains("Endpoints"));
}

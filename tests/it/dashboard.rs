//! The dashboard, through HTTP as a browser without scripts uses it.

use std::fs;
use std::path::Path;

use axum::http::Response as Answer;
use hookyard_tests::api::client_that_stays;
use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Api, Host, Receiver, text};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

/// What would run if it were taken for markup, in an attribute or between tags.
const EVIL: &str = "\"'><img src=x onerror=alert(1)></pre></textarea></script><script>alert(2)</script>";

/// Somebody at a browser.
struct Browser {
    client: Client,
    base: String,
    cookie: Option<String>,
}

/// A page that came.
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Browser {
    fn new(host: &Host) -> Self {
        Self { client: client_that_stays(), base: host.operator.base().to_owned(), cookie: None }
    }

    async fn signed_in(host: &Host, key: &str) -> Self {
        let mut browser = Self::new(host);
        let page = browser.post("/sign-in", &[("key", key)]).await;
        assert_eq!(page.status, 303, "{}", page.text);
        let cookie = page.headers[SET_COOKIE].to_str().expect("a plain cookie");
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        browser
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Page {
        Page::of(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        Page::of(self.form(path, fields).header("sec-fetch-site", "same-origin")).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = self.request(Method::POST, path).body(body.finish());
        request.header("content-type", "application/x-www-form-urlencoded")
    }
}

impl Page {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a page is text") }
    }

    fn location(&self) -> &str {
        self.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    fn has(&self, what: &str) {
        assert!(self.text.contains(what), "no `{what}` in\n{}", self.text);
    }
}

/// The paths of the page table, read out of the sources.
fn pages() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/http/dashboard/pages");
    let files = fs::read_dir(directory).expect("the pages are there").flatten();
    let sources = files.map(|entry| fs::read_to_string(entry.path()).expect("a source is text"));
    let paths = sources.flat_map(|source| {
        let lines = source.lines().filter_map(|line| line.trim().strip_prefix("path: \"")?.strip_suffix("\","));
        lines.map(str::to_owned).collect::<Vec<_>>()
    });
    let paths: Vec<String> = paths.collect();
    assert!(paths.len() > 8, "{paths:?}");
    paths
}

/// A tenant with one of everything, all of it named to do harm.
struct Things {
    tenant: Api,
    endpoint: String,
    source: String,
    request: String,
    event: String,
    delivery: String,
}

impl Things {
    async fn of(host: &Host, receiver: &Receiver) -> Self {
        receiver.answer_by(|_| Answer::builder().status(500).header("x-evil", EVIL).body(EVIL.to_owned()).ok());
        let tenant = host.tenant("acme").await;
        let evil = json!({"name": EVIL, "tags": [EVIL], "headers": {"x-evil": EVIL}});
        let endpoint = tenant.endpoint(&receiver.url(), evil).await;
        let source = tenant.post("/v1/sources", json!({"name": EVIL, "event_type": "a.b"})).await.expect(201);
        let receipt = tenant.post(text(&source["url"]), json!({"harm": EVIL, EVIL: 1})).await.expect(202);
        let event = json!({"type": "a.b", "data": {"harm": EVIL}, "tags": [EVIL], "subject": EVIL, "account": EVIL});
        let event = tenant.publish(event).await;
        let delivery = hookyard_tests::eventually("a failed attempt", async || {
            let found = tenant.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
            found["items"].get(0).filter(|delivery| delivery["attempt_count"] != 0).cloned()
        });
        let delivery = text(&delivery.await["id"]).to_owned();
        let (endpoint, source) = (text(&endpoint["id"]).to_owned(), text(&source["id"]).to_owned());
        let request = text(&receipt["request_id"]).to_owned();
        Self { tenant, endpoint, source, request, event, delivery }
    }

    /// The page's address with what it is about.
    fn fill(&self, page: &str) -> String {
        let id = match page.split('/').nth(1).unwrap_or_default() {
            "endpoints" => &self.endpoint,
            "sources" => &self.source,
            "requests" => &self.request,
            "events" => &self.event,
            "deliveries" => &self.delivery,
            _ => "x",
        };
        page.replace("{id}", id).replace("{name}", "field-mapper").replace("{version}", "1")
    }
}

fn is_operators(page: &str) -> bool {
    page.starts_with("/operator")
}

#[tokio::test]
async fn pages_need_a_session() {
    let host = Host::start().await;
    let browser = Browser::new(&host);
    for path in pages() {
        let page = browser.get(&path.replace(['{', '}'], "")).await;
        assert_eq!((page.status, page.location().starts_with("/sign-in?then=%2F")), (303, true), "{path}");
    }
    let live = browser.get("/live?of=/v1/events").await;
    assert_eq!(live.status, 401);
    // The control: with one they are shown.
    let tenant = host.tenant("acme").await;
    assert_eq!(Browser::signed_in(&host, tenant.key()).await.get("/endpoints").await.status, 200);
}

#[tokio::test]
async fn every_page_shows_what_there_is_as_text_and_says_what_to_do_where_there_is_nothing() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let empty = Browser::signed_in(&host, host.tenant("empty").await.key()).await;
    let things = Things::of(&host, &receiver).await;
    let full = Browser::signed_in(&host, things.tenant.key()).await;
    let mut escaped = 0;
    for path in pages().iter().filter(|path| !is_operators(path)) {
        if !path.contains('{') {
            let page = empty.get(path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
        }
        let page = full.get(&things.fill(path)).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        for markup in ["<img src=x", "<script>alert", "onerror=alert(1)>"] {
            assert!(!page.text.contains(markup), "{path} has {markup}\n{}", page.text);
        }
        assert!(
            !page.text.contains(" style=\"") && !page.text.contains("<script>"),
            "{path} has what its policy forbids"
        );
        escaped += usize::from(page.text.contains("&lt;img src=x"));
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
    }
    assert!(escaped > 6, "what was named to do harm is shown on {escaped} pages");
    empty.get("/").await.has("Create an endpoint");
    empty.get("/deliveries").await.has("No deliveries yet");
}

#[tokio::test]
async fn the_operators_pages_are_the_operators() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let id = text(&host.operator.get("/v1/tenants").await.expect(200)["items"][0]["id"]).to_owned();
    let operator = Browser::signed_in(&host, OPERATOR_KEY).await;
    let stranger = Browser::signed_in(&host, tenant.key()).await;
    for path in pages().iter().filter(|path| is_operators(path)) {
        let path = path.replace("{id}", &id);
        assert_eq!(operator.get(&path).await.status, 200, "{path}");
        assert_eq!(stranger.get(&path).await.status, 403, "{path}");
    }
    assert_eq!(operator.get("/endpoints").await.location(), "/operator");
}

#[tokio::test]
async fn another_tenants_things_have_no_page() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let things = Things::of(&host, &receiver).await;
    let other = Browser::signed_in(&host, host.tenant("other").await.key()).await;
    for path in pages().iter().filter(|path| path.contains("{id}") && !is_operators(path)) {
        let page = other.get(&things.fill(path)).await;
        assert_eq!(page.status, 404, "{path}: {}", page.text);
        page.has("There is no such thing");
    }
    let pause = format!("POST /v1/endpoints/{}/pause", things.endpoint);
    assert_eq!(other.post("/endpoints/new", &[("_call", &pause)]).await.status, 404);
    let endpoint = things.tenant.get(&format!("/v1/endpoints/{}", things.endpoint)).await.expect(200);
    assert_eq!(endpoint["state"], "active");
}

#[tokio::test]
async fn an_endpoint_is_created_tried_replayed_and_deleted_by_forms() {
    let host = Host::start().await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let browser = Browser::signed_in(&host, tenant.key()).await;
    let form = |name: &'static str, url: String| {
        let fixed = [("_call", "POST /v1/endpoints"), ("_show", "1"), ("dialect", "standard-webhooks")];
        let typed = [("name", name), ("event_types:lines", "order.*"), ("tags:list", "a, b"), ("secret:?", "")];
        let all = fixed.into_iter().chain(typed).map(|(name, value)| (name.to_owned(), value.to_owned()));
        all.chain([("url".to_owned(), url)]).collect::<Vec<_>>()
    };
    let pairs = |form: &[(String, String)]| form.iter().map(|(a, b)| (a.clone(), b.clone())).collect::<Vec<_>>();
    let send = async |form: Vec<(String, String)>| {
        let form = pairs(&form);
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.post("/endpoints/new", &fields).await
    };

    // What is wrong is said at its field, and what was typed is still there.
    let wrong = send(form("Till <1>", "nowhere".to_owned())).await;
    assert_eq!(wrong.status, 422);
    wrong.has("id=\"p-url\"");
    wrong.has("value=\"Till &lt;1&gt;\"");
    wrong.has("order.*");

    let created = send(form("Till", receiver.url())).await;
    assert_eq!(created.status, 200);
    created.has("whsec_");
    let endpoint = tenant.get("/v1/endpoints").await.expect(200)["items"][0].clone();
    assert_eq!((&endpoint["event_types"], &endpoint["tags"]), (&json!(["order.*"]), &json!(["a", "b"])));
    let page = format!("/endpoints/{}", text(&endpoint["id"]));
    let shown = browser.get(&page).await;
    assert!(!shown.text.contains("whsec_"), "a secret is shown once");

    let test = format!("POST /v1{page}/test");
    let tested = browser.post(&page, &[("_call", &test), ("_then", "/deliveries/{delivery_id}")]).await;
    assert_eq!(tested.status, 303);
    assert!(tested.location().starts_with("/deliveries/dlv_"), "{}", tested.location());
    receiver.next().await;
    assert_eq!(browser.get(tested.location()).await.status, 200);

    let replay = format!("POST /v1{page}/replay");
    let count = [
        ("_call", replay.as_str()),
        ("_show", "1"),
        ("dry_run:bool", "true"),
        ("since:instant", "-1h"),
        ("pipeline", "current"),
        ("states[]", "delivered"),
        ("states[]", "dead"),
    ];
    let delivered = "/v1/deliveries?state=delivered";
    hookyard_tests::eventually("the delivery", async || {
        tenant.get(delivered).await.expect(200)["items"].get(0).cloned()
    })
    .await;
    browser.post(&page, &count).await.has("<strong>1 delivery</strong>");

    let delete = format!("DELETE /v1{page}");
    let deleted = browser.post(&page, &[("_call", &delete), ("_then", "/endpoints")]).await;
    assert_eq!((deleted.status, deleted.location()), (303, "/endpoints#deleted"));
    assert_eq!(browser.get(&page).await.status, 404);
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let browser = Browser::signed_in(&host, tenant.key()).await;
    let event = [("_call", "POST /v1/events"), ("type", "a.b"), ("data:json", "{}")];
    for site in ["cross-site", "same-site"] {
        let page = Page::of(browser.form("/events", &event).header("sec-fetch-site", site)).await;
        assert_eq!(page.status, 403, "{site}");
    }
    let page = Page::of(browser.form("/events", &event).header("origin", "https://evil.example")).await;
    assert_eq!(page.status, 403);
    assert_eq!(Page::of(browser.form("/events", &event)).await.status, 403);
    assert_eq!(tenant.get("/v1/events").await.expect(200)["items"], json!([]));
    // The control: the same form of ours; and a cookie alone opens no API.
    let ours = Page::of(browser.form("/events", &event).header("origin", browser.base.clone())).await;
    assert_eq!(ours.status, 303);
    assert_eq!(browser.get("/v1/events").await.status, 401);
    // Nor does a form reach anything else.
    let page = browser.post("/events", &[("_call", "POST /sign-out")]).await;
    assert_eq!(page.status, 422);
}

#[tokio::test]
async fn the_first_load_is_light() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let things = Things::of(&host, &receiver).await;
    let browser = Browser::signed_in(&host, things.tenant.key()).await;
    let page = browser.get("/").await;
    let mut weight = page.text.len();
    for part in
        page.text.split(['"']).filter(|part| part.starts_with("/assets/")).collect::<std::collections::BTreeSet<_>>()
    {
        let asset = browser.get(part).await;
        assert_eq!(asset.status, 200, "{part}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"), "{part}");
        weight += asset.text.len();
    }
    assert!(weight <= 150 * 1024, "{weight} bytes");
    hookyard_tests::figures(format_args!("dashboard_first_load_bytes={weight}"));
}

#[tokio::test]
async fn whoever_looks_is_told_that_something_changed() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let browser = Browser::signed_in(&host, tenant.key()).await;
    let mut stream = browser.request(Method::GET, "/live?of=/v1/deliveries").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    while !heard.contains("event: here") {
        heard += &String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("it goes on"));
    }
    tenant.publish(json!({"type": "a.b", "data": {}})).await;
    while !heard.contains("event: changed") {
        heard += &String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("it goes on"));
    }
}

#[tokio::test]
async fn the_log_is_searched_by_state_type_time_and_text() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({"name": "Big Till"})).await;
    let paid = tenant.publish(json!({"type": "order.paid", "data": 1, "subject": "jane_50%"})).await;
    let sent = tenant.publish(json!({"type": "order.sent", "data": 2, "subject": "john"})).await;
    for event in [&paid, &sent] {
        tenant.delivery_in(event, "delivered").await;
    }
    let check = async |query: &str, expected: &[&String]| {
        let page = tenant.get(&format!("/v1/deliveries?{query}")).await.expect(200);
        let found: Vec<&str> = page["items"].as_array().unwrap().iter().map(|one| text(&one["event_id"])).collect();
        assert_eq!(found, expected.iter().map(|id| id.as_str()).collect::<Vec<_>>(), "{query}: {page}");
        assert_eq!(page["next"], json!(null), "{query}");
        page
    };
    let page = check("type=order.*", &[&sent, &paid]).await;
    let first = &page["items"][0];
    assert_eq!(
        (&first["event_type"], &first["endpoint_name"], &first["last_status"]),
        (&json!("order.sent"), &json!("Big Till"), &json!(204))
    );
    check("type=order.paid", &[&paid]).await;
    check("text=JANE", &[&paid]).await;
    check("text=jane_50%25", &[&paid]).await;
    check("text=john_50%25", &[]).await;
    check("text=big+till", &[&sent, &paid]).await;
    check(&format!("text={paid}"), &[&paid]).await;
    check("state=delivered&after=2020-01-01T00:00:00Z", &[&sent, &paid]).await;
    check("before=2020-01-01T00:00:00Z", &[]).await;
    check("state=dead", &[]).await;
    assert_eq!(check("text=john", &[&sent]).await["searched"], 3000);
    assert_eq!(check("", &[&sent, &paid]).await["searched"], json!(null));
    tenant.get("/v1/deliveries?text=").await.problem(422, "text");
    tenant.get("/v1/deliveries?type=no%20pattern").await.problem(422, "type");
    tenant.get("/v1/deliveries?after=soon").await.problem(422, "after");
    // A page at a time, whatever is asked.
    let first = tenant.get("/v1/deliveries?type=order.*&limit=1").await.expect(200);
    let rest = tenant.get(&format!("/v1/deliveries?type=order.*&limit=1&cursor={}", text(&first["next"]))).await;
    assert_eq!(rest.expect(200)["items"][0]["event_id"], json!(paid));
}

//! Pages for setting up and looking after: there with nothing and with
//! something, offering what a role may do, and doing it by plain forms.

use hookyard_tests::api::client_that_stays;
use hookyard_tests::{Api, Host, build, text};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use url::form_urlencoded;

/// Somebody at a browser without scripts.
pub(crate) struct Visitor {
    client: Client,
    base: String,
    cookie: String,
}

/// A page, or where it leads.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) to: String,
    pub(crate) html: String,
}

impl Visitor {
    pub(crate) async fn signed_in(host: &Host, key: &str) -> Self {
        let mut visitor =
            Self { client: client_that_stays(), base: host.operator.base().to_owned(), cookie: String::new() };
        let sign_in = visitor.request(Method::POST, "/sign-in").body(encoded(&[("key", key)]));
        let answer = sign_in.send().await.expect("the server answers");
        assert_eq!(answer.status(), 303, "signing in leads on");
        let cookie = answer.headers()[header::SET_COOKIE].to_str().expect("text");
        visitor.cookie = cookie.split(';').next().expect("a cookie").to_owned();
        visitor
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        request
            .header(header::COOKIE, &self.cookie)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    async fn shown(&self, request: reqwest::RequestBuilder) -> Shown {
        let answer = request.send().await.expect("the server answers");
        let to = answer.headers().get(header::LOCATION).map(|to| to.to_str().expect("text").to_owned());
        let status = answer.status();
        Shown { status, to: to.unwrap_or_default(), html: answer.text().await.expect("text") }
    }

    pub(crate) async fn look(&self, path: &str) -> Shown {
        self.shown(self.request(Method::GET, path)).await
    }

    /// The page, which is there and whole.
    pub(crate) async fn page(&self, path: &str) -> String {
        let shown = self.look(path).await;
        assert_eq!(shown.status, 200, "{path}: {} {}", shown.to, shown.html);
        assert!(shown.html.contains("<h1") && shown.html.trim_end().ends_with("</html>"), "{path}: {}", shown.html);
        shown.html
    }

    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        self.shown(self.request(Method::POST, path).body(encoded(fields))).await
    }

    /// What a script of the dashboard's asks.
    async fn ask(&self, call: &str, body: Value) -> (u16, Value) {
        let path = format!("/ask?call={}", form_urlencoded::byte_serialize(call.as_bytes()).collect::<String>());
        let shown = self.shown(self.request(Method::POST, &path).body(body.to_string())).await;
        (shown.status.as_u16(), serde_json::from_str(&shown.html).unwrap_or(Value::Null))
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What must never be on a page as it is.
const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// A tenant that has one of each, with markup wherever somebody else may write.
struct Furnished {
    source: String,
    endpoint: String,
    accepted: String,
    quarantined: String,
}

async fn furnish(tenant: &Api) -> Furnished {
    let steps = json!([{"plugin": "field-mapper", "config": {
        "type": {"from": "event"},
        "rules": [{"to": "id", "from": "data.id", "required": true}, {"to": "note", "from": "note"}]}}]);
    let source =
        json!({"name": format!("orders {MARKUP}"), "steps": steps, "rate_limit": {"limit": 600, "per": "minute"}});
    let source = tenant.post("/v1/sources", source).await.expect(201);
    let url = text(&source["url"]);
    let sent = async |body: Value| {
        let answer = tenant.post(url, body).await.expect(202);
        text(&answer["request_id"]).to_owned()
    };
    let accepted = sent(json!({"event": "order.placed", "data": {"id": 7}, "note": MARKUP})).await;
    let quarantined = sent(json!({"event": "order.placed", "note": MARKUP})).await;
    let more = json!({"verification": {"scheme": "bearer", "secret": "s3cret"}, "name": "kept closed"});
    let closed = tenant.post("/v1/sources", more).await.expect(201);
    tenant.post(text(&closed["url"]), json!({})).await.expect(401);
    let filter = json!([{"plugin": "tag-filter", "config": {"expression": format!("not \"{MARKUP}\"")}}]);
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"name": MARKUP, "steps": filter})).await;
    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    let described =
        json!({"name": MARKUP, "description": MARKUP, "schema": {"title": MARKUP}, "example": {"a": MARKUP}});
    tenant
        .send(tenant.request(Method::PUT, "/v1/event-types/order.placed").body(described.to_string()))
        .await
        .expect(200);
    tenant.send(tenant.request(Method::PUT, "/v1/secrets/crm").body(r#"{"value": "s3cret"}"#)).await.expect(200);
    tenant.post("/v1/keys", json!({"name": MARKUP, "role": "viewer"})).await.expect(201);
    let id = |value: &Value| text(&value["id"]).to_owned();
    Furnished { source: id(&source), endpoint: id(&endpoint), accepted, quarantined }
}

async fn key_of(tenant: &Api, role: &str) -> String {
    let key = tenant.post("/v1/keys", json!({"name": role, "role": role})).await.expect(201);
    text(&key["key"]).to_owned()
}

/// Those that need nothing to be there.
const LISTS: [(&str, &str); 11] = [
    ("/sources", "No sources yet"),
    ("/sources/new", "New source"),
    ("/requests", "No request has come yet"),
    ("/plugins", "field-mapper"),
    ("/plugins/field-mapper", "An order becomes an event about its customer"),
    ("/event-types", "Event types"),
    ("/event-types/new", "Describe an event type"),
    ("/secrets", "No secrets yet"),
    ("/plan", "This month"),
    ("/members", "Nobody signs in here yet"),
    ("/audit", "Audit log"),
];

#[tokio::test]
async fn a_page_without_anything_says_what_to_do_next() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    for (path, says) in LISTS {
        assert!(visitor.page(path).await.contains(says), "{path} says: {says}");
    }
    for path in ["/sources/src_00000000000000000000000000", "/requests/x", "/plugins/nothing", "/endpoints/x/pipeline"]
    {
        assert_eq!(visitor.look(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_page_shows_what_is_there_as_text() {
    let host = Host::start().await;
    let tenant = host.tenant(&format!("acme {MARKUP}")).await;
    let there = furnish(&tenant).await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let source = format!("/sources/{}", there.source);
    let pages = [
        ("/sources".to_owned(), "orders &lt;img"),
        (source.clone(), "Run quarantined requests again"),
        (format!("{source}?state=quarantined"), "data.id is missing"),
        (format!("{source}/pipeline"), "&quot;data.id&quot;"),
        (format!("/endpoints/{}/pipeline", there.endpoint), "Compare with what there is"),
        ("/requests?state=refused".to_owned(), "kept closed"),
        (format!("/requests/{}", there.accepted), "evt_"),
        (format!("/requests/{}", there.quarantined), "Mend the pipeline"),
        ("/plugins".to_owned(), "hostile"),
        ("/plugins/hostile".to_owned(), "Delete this plugin"),
        ("/plugins/hostile/versions/1".to_owned(), "sha256:"),
        ("/event-types/order.placed".to_owned(), "Change it"),
        ("/secrets".to_owned(), "Delete crm"),
        ("/plan".to_owned(), "field-mapper"),
        ("/members".to_owned(), "Revoke &lt;img"),
        ("/audit?action=source.created".to_owned(), "source.created"),
    ];
    for (path, says) in pages {
        let html = visitor.page(&path).await;
        assert!(html.contains(says), "{path} says {says}: {html}");
        assert!(!html.contains(MARKUP), "{path} has markup of somebody else's");
        assert!(!html.contains("s3cret"), "{path} has a secret");
    }
}

#[tokio::test]
async fn a_role_is_offered_what_it_may_do() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let there = furnish(&tenant).await;
    let viewer = Visitor::signed_in(&host, &key_of(&tenant, "viewer").await).await;
    let member = Visitor::signed_in(&host, &key_of(&tenant, "member").await).await;
    let source = format!("/sources/{}", there.source);
    let changes = [
        "/sources/new".to_owned(),
        source.clone(),
        format!("/requests/{}", there.quarantined),
        "/plugins/hostile".to_owned(),
        "/event-types/order.placed".to_owned(),
        "/secrets".to_owned(),
    ];
    for path in changes {
        assert!(!viewer.page(&path).await.contains("name=\"_call\""), "{path} offers a viewer nothing");
        assert!(member.page(&path).await.contains("name=\"_call\""), "{path} offers a member something");
    }
    let seen = viewer.page(&source).await;
    assert!(!seen.contains("/in/"), "a viewer does not see the URL: {seen}");
    let pipeline = format!("{source}/pipeline");
    assert!(!viewer.page(&pipeline).await.contains("Save the pipeline"));
    for path in ["/members", "/audit"] {
        assert_eq!(viewer.look(path).await.status, 403, "{path}");
    }
    assert_eq!(member.look("/audit").await.status, 403);
    // What is not offered is not taken either.
    let path = format!("/v1/sources/{}", there.source);
    let sent = viewer.send(&source, &[("_call", &format!("DELETE {path}"))]).await;
    assert_eq!(sent.status, 403, "{sent:?}");
    tenant.get(&path).await.expect(200);
    for path in ["/operator", "/operator/tenants", "/operator/tenants/new"] {
        assert_eq!(member.look(path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn scripts_read_and_preview_and_change_nothing() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let there = furnish(&tenant).await;
    let visitor = Visitor::signed_in(&host, &key_of(&tenant, "viewer").await).await;
    let steps = json!([{"plugin": "tag-filter", "config": {"expression": "paid"}}]);

    let (status, tried) = visitor.ask("POST /v1/try", json!({"steps": steps, "event": {"type": "a", "data": 1}})).await;
    assert_eq!((status, &tried["outcome"]), (200, &json!("drop")), "{tried}");
    let wrong = json!([{"plugin": "tag-filter", "config": {"expression": "paid orr"}}]);
    let (status, problem) =
        visitor.ask("POST /v1/try", json!({"steps": wrong, "event": {"type": "a", "data": 1}})).await;
    assert_eq!((status, text(&problem["field"])), (422, "steps[0].config.expression"), "{problem}");
    let (status, shadow) =
        visitor.ask(&format!("POST /v1/endpoints/{}/shadow", there.endpoint), json!({"steps": steps})).await;
    assert_eq!((status, &shadow["candidate"]["sent"]), (200, &json!(0)), "{shadow}");
    let (status, sources) = visitor.ask("GET /v1/sources?limit=1", json!({})).await;
    assert_eq!((status, sources["items"].as_array().map(Vec::len)), (200, Some(1)));

    let admin = Visitor::signed_in(&host, tenant.key()).await;
    let changes = [
        ("POST /v1/sources", json!({"name": "by a script"})),
        ("POST /v1/events", json!({"type": "a.b", "data": 1})),
        ("POST /v1/keys", json!({})),
        ("PUT /v1/secrets/crm", json!({"value": "x"})),
    ];
    for (call, body) in changes {
        assert_eq!(admin.ask(call, body).await.0, 422, "{call}");
    }
    let path = format!("/v1/sources/{}", there.source);
    for method in ["PATCH", "DELETE"] {
        assert_eq!(admin.ask(&format!("{method} {path}"), json!({"name": "x"})).await.0, 422, "{method}");
    }
    let upload = admin.request(Method::POST, "/ask?call=POST%20%2Fv1%2Fplugins%3Fname%3Dby-script");
    let uploaded = admin.shown(upload.body(build::hostile())).await;
    assert_eq!(uploaded.status, 201, "{uploaded:?}");

    let elsewhere = visitor.client.post(format!("{}/ask?call=GET%20%2Fv1%2Fsources", visitor.base));
    let elsewhere = elsewhere.header(header::COOKIE, &visitor.cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
    let stranger = Visitor { cookie: String::new(), client: visitor.client.clone(), base: visitor.base.clone() };
    assert_eq!(stranger.ask("GET /v1/sources", json!({})).await.0, 401);
}

#[tokio::test]
async fn nothing_is_missed_between_a_page_and_its_first_look() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let source = tenant.post("/v1/sources", json!({"name": "orders"})).await.expect(201);
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let html = visitor.page(&format!("/sources/{}", text(&source["id"]))).await;
    let seen = html.split("data-live-seen=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("what it shows");
    tenant.post(text(&source["url"]), json!({"event": "a.b"})).await.expect(202);
    let of = format!("/v1/requests?source={}&limit=20", text(&source["id"]));
    let of: String = form_urlencoded::byte_serialize(of.as_bytes()).collect();
    let looks = visitor.request(Method::GET, &format!("/live?of={of}&seen={seen}"));
    let first = looks.send().await.unwrap().chunk().await.unwrap().expect("something is said");
    assert!(String::from_utf8_lossy(&first).contains("event: changed"), "{first:?}");
}

#[tokio::test]
async fn a_source_is_made_mapped_and_mended_by_forms() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let made = [
        ("_call", "POST /v1/sources"),
        ("_then", "/sources/{id}/pipeline?add=field-mapper"),
        ("name", "shop"),
        ("verification.scheme", "none"),
        ("verification.secret:?", ""),
        ("event_type:?", ""),
    ];
    let made = visitor.send("/sources/new", &made).await;
    assert_eq!(made.status, 303, "{made:?}");
    let pipeline = made.to.split('?').next().unwrap().to_owned();
    let page = pipeline.trim_end_matches("/pipeline");
    let call = format!("/v1{page}");
    visitor.page(&made.to).await;

    let wrong = r#"[{"plugin": "field-mapper", "config": {"rules": [{"to": "id", "from": "data."}]}}]"#;
    let fields = [("_call", &*format!("PATCH {call}")), ("steps:json", wrong)];
    let said = visitor.send(&pipeline, &fields).await;
    assert_eq!(said.status, 422);
    assert!(said.html.contains("steps[0].config.rules[0].from"), "the place is named: {}", said.html);
    assert!(said.html.contains("&quot;data.&quot;"), "what was typed is still there: {}", said.html);
    let said = visitor.send(&pipeline, &[("_call", &*format!("PATCH {call}")), ("steps:json", "[")]).await;
    assert!(said.status == 422 && said.html.contains("this is not JSON"), "{}", said.html);

    let strict = r#"[{"plugin": "field-mapper", "config": {"type": {"const": "order.placed"},
        "rules": [{"to": "id", "from": "order_id", "required": true}]}}]"#;
    let saved = visitor.send(&pipeline, &[("_call", &format!("PATCH {call}")), ("steps:json", strict)]).await;
    assert_eq!((saved.status.as_u16(), saved.to), (303, format!("{pipeline}#saved")));
    let source = tenant.get(&call).await.expect(200);
    let taken = tenant.post(text(&source["url"]), json!({"data": {"id": 7}})).await.expect(202);
    assert_eq!(taken["event_ids"], json!([]));

    let mended = strict.replace("order_id", "data.id");
    visitor.send(&pipeline, &[("_call", &format!("PATCH {call}")), ("steps:json", &mended)]).await;
    let rerun = format!("POST {call}/rerun");
    let counted = visitor.send(page, &[("_call", &rerun), ("_show", "1"), ("dry_run:bool", "true")]).await;
    assert!(counted.html.contains("Of 1 request, 1 would become 1 event"), "{}", counted.html);
    let run = visitor.send(page, &[("_call", &rerun), ("_show", "1")]).await;
    assert!(run.html.contains("Of 1 request, 1 became 1 event"), "{}", run.html);

    let wrong = [("_call", &*format!("PATCH {call}")), ("name", "shop"), ("rate_limit:rate:null?", "fast")];
    let said = visitor.send(page, &wrong).await;
    assert!(said.status == 422 && said.html.contains("value=\"fast\""), "{}", said.html);
    let gone = visitor.send(page, &[("_call", &format!("DELETE {call}")), ("_then", "/sources")]).await;
    assert_eq!((gone.status.as_u16(), gone.to.as_str()), (303, "/sources#deleted"));
    tenant.get(&call).await.expect(404);
}

#[tokio::test]
async fn a_shadow_run_is_shown_without_scripts() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({})).await;
    let event = |tag: &str| json!({"type": "a.b", "tags": [tag], "data": {}});
    tenant.post("/v1/events", json!([event("paid"), event("paid"), event("test")])).await.expect(202);
    let visitor = Visitor::signed_in(&host, tenant.key()).await;
    let (id, steps) = (text(&endpoint["id"]), r#"[{"plugin": "tag-filter", "config": {"expression": "paid"}}]"#);
    let fields = [
        ("_call", &*format!("POST /v1/endpoints/{id}/shadow")),
        ("_show", "1"),
        ("last:number", "10"),
        ("steps:json", steps),
    ];
    let shown = visitor.send(&format!("/endpoints/{id}/pipeline"), &fields).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    assert!(shown.html.contains("Of the last 3 events"), "{}", shown.html);
    assert!(shown.html.contains("not met: paid"), "an example says why: {}", shown.html);
}

#[tokio::test]
async fn plugins_types_secrets_and_keys_are_looked_after_by_forms() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let visitor = Visitor::signed_in(&host, tenant.key()).await;

    let secret = [("_call", "PUT /v1/secrets/{_name}"), ("_name", "crm"), ("value", "s3cret")];
    assert_eq!(visitor.send("/secrets", &secret).await.status, 303);
    let wrong = [("_call", "PUT /v1/secrets/{_name}"), ("_name", "no name!"), ("value", "s3cret")];
    let said = visitor.send("/secrets", &wrong).await;
    assert!(said.status == 422 && said.html.contains("value=\"no name!\""), "{}", said.html);
    assert!(!said.html.contains("s3cret"), "a secret is typed again");
    assert_eq!(tenant.get("/v1/secrets").await.expect(200)["items"][0]["name"], "crm");

    let described = [
        ("_call", "PUT /v1/event-types/{_type}"),
        ("_then", "/event-types/{type}"),
        ("_type", "order.placed"),
        ("name:?", "Order placed"),
        ("example:json?", ""),
        ("schema:json?", r#"{"required": ["id"]}"#),
        ("check:bool?", ""),
    ];
    let described = visitor.send("/event-types/new", &described).await;
    assert_eq!(
        (described.status.as_u16(), described.to.as_str()),
        (303, "/event-types/order.placed#saved"),
        "{described:?}"
    );
    tenant.post("/v1/events", json!({"type": "order.placed", "data": {}})).await.problem(422, "data");

    let key = [
        ("_call", "POST /v1/keys"),
        ("_show", "1"),
        ("name:?", "ci"),
        ("role", "publish"),
        ("expires_at:instant?", ""),
    ];
    let shown = visitor.send("/members", &key).await;
    assert!(shown.status == 200 && shown.html.contains("shown this once"), "{}", shown.html);
    assert!(!visitor.page("/members").await.contains("shown this once"));

    tenant.post_bytes("/v1/plugins?name=hostile", build::hostile()).await.expect(201);
    tenant.endpoint("http://127.0.0.1:4/", json!({"steps": [{"plugin": "hostile", "config": {}}]})).await;
    // Another version: a custom section more.
    let mut another = build::hostile();
    another.extend([0, 3, 1, b'n', 2]);
    tenant.post_bytes("/v1/plugins?name=hostile", another).await.expect(201);
    let upgrade = |dry: &'static str| {
        [
            ("_call", "POST /v1/plugins/hostile/upgrade"),
            ("_show", "1"),
            ("version:number", "2"),
            ("from:number?", ""),
            ("dry_run:bool", dry),
        ]
    };
    let counted = visitor.send("/plugins/hostile", &upgrade("true")).await;
    assert!(counted.html.contains("1 step would move"), "{}", counted.html);
    let moved = visitor.send("/plugins/hostile", &upgrade("false")).await;
    assert!(moved.html.contains("1 step moved"), "{}", moved.html);
    let back = [("_call", "POST /v1/plugins/hostile/rollback"), ("_show", "1"), ("dry_run:bool", "false")];
    let back = visitor.send("/plugins/hostile", &back).await;
    assert!(back.html.contains("version 2 → 1"), "{}", back.html);
}

#[tokio::test]
async fn the_operator_makes_and_limits_tenants() {
    let host = Host::start().await;
    let visitor = Visitor::signed_in(&host, host.operator.key()).await;
    for (path, says) in
        [("/operator", "No tenants yet"), ("/operator/tenants", "No tenants yet"), ("/operator/tenants/new", "Dialect")]
    {
        assert!(visitor.page(path).await.contains(says), "{path}");
    }
    let status = host.operator.get("/v1/operator/status").await.expect(200);
    let id = text(&status["hosts"][0]["id"]);
    assert!(visitor.page("/operator").await.contains(id), "the host is listed");
    let made = [
        ("_call", "POST /v1/tenants"),
        ("_show", "1"),
        ("name", MARKUP),
        ("dialect", "standard-webhooks"),
        ("plan:?", ""),
    ];
    let made = visitor.send("/operator/tenants/new", &made).await;
    assert!(
        made.status == 200 && made.html.contains("shown this once") && !made.html.contains(MARKUP),
        "{}",
        made.html
    );
    let tenants = host.operator.get("/v1/tenants").await.expect(200);
    let id = text(&tenants["items"][0]["id"]).to_owned();

    let page = format!("/operator/tenants/{id}");
    let call = format!("PATCH /v1/tenants/{id}");
    let limits = |second: &'static str| {
        [("_call".to_owned(), call.clone())]
            .into_iter()
            .chain(
                [
                    ("name", "acme"),
                    ("plan:null?", ""),
                    ("limits:json", "{}"),
                    ("limits.events_per_second:number?", second),
                    ("limits.fuel:number?", ""),
                    ("limits.memory:mib?", "32"),
                    ("limits.log:kib?", "64"),
                    ("retention:json", "{}"),
                    ("retention.bodies:?", "12h"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            )
            .collect::<Vec<_>>()
    };
    let sent = async |second: &'static str| {
        let fields = limits(second);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        visitor.send(&page, &fields).await
    };
    assert_eq!(sent("50").await.status, 303);
    let tenant = host.operator.get(&format!("/v1/tenants/{id}")).await.expect(200);
    assert_eq!((&tenant["limits"]["events_per_second"], &tenant["retention"]), (&json!(50), &json!({"bodies": "12h"})));
    assert_eq!((&tenant["limits"]["memory"], &tenant["limits"]["log"]), (&json!(32 << 20), &json!(64 << 10)));
    let shown = visitor.page(&page).await;
    assert!(shown.contains("name=\"limits.memory:mib?\" value=\"32\""), "{shown}");
    let said = sent("0").await;
    assert!(said.status == 422 && said.html.contains("events_per_second"), "{}", said.html);
    sent("").await;
    let tenant = host.operator.get(&format!("/v1/tenants/{id}")).await.expect(200);
    assert_eq!(tenant["limits"]["events_per_second"], Value::Null, "what is empty has no limit again");

    let opened = visitor.send(&format!("{page}/open"), &[]).await;
    assert_eq!((opened.status.as_u16(), opened.to.as_str()), (303, "/"));
    assert!(visitor.page("/sources").await.contains("No sources yet"), "the operator acts in the tenant");
    visitor.send("/operator/leave", &[]).await;
    assert!(visitor.page(&page).await.contains("Newest changes"));
}

//! People: how they come in, what ends their being in, and what a portal's visitor
//! reaches. By HTTP, as a browser does it.

use std::fs;
use std::time::Duration;

use hookyard::domain::password::Password;
use hookyard_tests::host::{Extra, OPERATOR_KEY, local};
use hookyard_tests::{Api, Host, HostProcess, Receiver, TempDir, list, text};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);
const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

/// A browser with one page open: it keeps cookies, follows nothing by itself and
/// says where a request comes from.
struct Tab {
    client: Client,
    base: String,
    cookie: Option<String>,
}

/// What it was shown.
struct Shown {
    status: StatusCode,
    location: String,
    set_cookie: Vec<String>,
    policy: String,
    body: String,
}

impl Tab {
    fn at(host: &Host) -> Self {
        Self::of(host.operator.base())
    }

    fn of(base: &str) -> Self {
        // Somebody has chosen what TLS is made by.
        drop(hookyard_tests::api::client());
        let none = reqwest::redirect::Policy::none();
        let client = Client::builder().no_proxy().redirect(none).build().expect("a client");
        Self { client, base: base.to_owned(), cookie: None }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Shown {
        let response = request.send().await.expect("the server answers");
        let headers = response.headers().clone();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
        let one = |name| headers.get(name).map(text).unwrap_or_default();
        let shown = Shown {
            status: response.status(),
            location: one(LOCATION.as_str()),
            set_cookie: headers.get_all(SET_COOKIE).iter().map(text).collect(),
            policy: one("content-security-policy"),
            body: response.text().await.expect("a whole answer"),
        };
        for cookie in &shown.set_cookie {
            let pair = cookie.split(';').next().unwrap_or_default();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        shown
    }

    async fn get(&mut self, path: &str) -> Shown {
        self.send(self.request(Method::GET, path)).await
    }

    /// As a page of the server's own does it.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin").body(form(fields));
        self.send(request).await
    }

    async fn sign_in(&mut self, email: &str, password: &str) -> Shown {
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }

    /// Whether it is shown a page, and not where to sign in.
    async fn is_in(&mut self) -> bool {
        let shown = self.get("/endpoints").await;
        assert!(shown.status == 200 || shown.location.starts_with("/sign-in?then="), "{} {}", shown.status, shown.body);
        shown.status == 200
    }

    /// A call of the API by a page of the dashboard.
    async fn ask(&mut self, call: &str, body: Value) -> (u16, Value) {
        let (method, target) = call.split_once(' ').expect("a method and a target");
        let call: String = url::form_urlencoded::byte_serialize(format!("{method} {target}").as_bytes()).collect();
        let request = self.request(Method::POST, &format!("/ask?call={call}")).header("sec-fetch-site", "same-origin");
        let shown = self.send(request.header("content-type", "application/json").body(body.to_string())).await;
        (shown.status.as_u16(), serde_json::from_str(&shown.body).unwrap_or(Value::Null))
    }

    /// A form of the dashboard that changes something: 303 and the id of what was
    /// made, or the page that says why not.
    async fn change(&mut self, call: &str, body: Value) -> (u16, String) {
        let then = if call.ends_with("/test") { "/done/{event_id}" } else { "/done/{id}" };
        let mut fields = vec![("_call".to_owned(), call.to_owned()), ("_then".to_owned(), then.to_owned())];
        for (name, value) in body.as_object().into_iter().flatten() {
            fields.push((format!("{name}:json"), value.to_string()));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let shown = self.post("/endpoints", &fields).await;
        match shown.status.as_u16() {
            303 => (303, shown.location.strip_prefix("/done/").unwrap_or_default().to_owned()),
            status => (status, shown.body),
        }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A user of the tenant's, who has taken their link and chosen a password.
async fn user(host: &Host, admin: &Api, email: &str, role: &str) -> (Value, Tab) {
    let made = admin.post("/v1/users", json!({"email": email, "role": role})).await.expect(201);
    let mut tab = Tab::at(host);
    let shown = tab.post(text(&made["link"]), &[("password", PASSWORD)]).await;
    assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"), "{}", shown.body);
    (made, tab)
}

fn at(user: &Value) -> String {
    format!("/v1/users/{}", text(&user["id"]))
}

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
async fn a_new_password_signs_out_everywhere_else() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (jane, mut first) = user(&host, &admin, "jane@example.com", "member").await;
    let link = admin.post(&format!("{}/link", at(&jane)), json!({})).await.expect(201);
    assert!(first.is_in().await, "a link by itself changes nothing");
    let mut second = Tab::at(&host);
    assert_eq!(second.post(text(&link["url"]), &[("password", WRONG)]).await.status, 303);
    assert!(second.is_in().await && !first.is_in().await);
    assert_eq!(first.sign_in("jane@example.com", PASSWORD).await.status, 401);
    assert_eq!(first.sign_in("jane@example.com", WRONG).await.status, 303);
}

#[tokio::test]
async fn whoever_fails_is_told_the_same_whatever_was_wrong() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    user(&host, &admin, "jane@example.com", "member").await;
    admin.post("/v1/users", json!({"email": "invited@example.com"})).await.expect(201);
    let mut tab = Tab::at(&host);
    let mut answers = Vec::new();
    for (email, password) in [
        ("jane@example.com", WRONG),
        ("jane@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("invited@example.com", ""),
    ] {
        let shown = tab.sign_in(email, password).await;
        answers.push((shown.status, shown.body.replace(email, "EMAIL")));
        assert!(shown.set_cookie.is_empty());
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // The control, and an address is found however it is typed.
    let shown = tab.sign_in(" JANE@example.com", PASSWORD).await;
    assert_eq!((shown.status, &*shown.location), (StatusCode::SEE_OTHER, "/"));
    assert!(tab.is_in().await);
}

#[tokio::test]
async fn guessing_becomes_slow_and_time_mends_it() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    user(&host, &admin, "jane@example.com", "member").await;
    let mut tab = Tab::at(&host);
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(tab.sign_in("jane@example.com", WRONG).await.status.as_u16());
    }
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 21, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    // The right one is not looked at either: that would be an answer.
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 429);
    // For somebody else it is not in the way.
    assert_eq!(tab.sign_in("john@example.com", WRONG).await.status, 401);
    host.clock.advance(HOUR);
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_person_of_two_tenants_says_which() {
    let host = Host::start().await;
    let (acme, other) = (host.tenant("acme").await, host.tenant("other").await);
    user(&host, &acme, "jane@example.com", "member").await;
    user(&host, &other, "jane@example.com", "member").await;
    let mut tab = Tab::at(&host);
    let shown = tab.sign_in("jane@example.com", PASSWORD).await;
    assert_eq!(shown.status, 409);
    assert!(shown.body.contains("<option>acme</option>") && shown.body.contains("<option>other</option>"));
    assert!(!tab.is_in().await);
    // Whoever does not know the password learns nothing of where she is.
    let wrong = tab.sign_in("jane@example.com", WRONG).await;
    assert!(wrong.status == 401 && !wrong.body.contains("acme"), "{}", wrong.body);
    let fields = [("email", "jane@example.com"), ("password", PASSWORD), ("tenant", "other")];
    assert_eq!(tab.post("/sign-in", &fields).await.status, 303);
    let (status, keys) = tab.ask("GET /v1/endpoints", Value::Null).await;
    assert_eq!((status, &keys["items"]), (200, &json!([])));
}

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
    assert_eq!(list(&by_her["items"]).len(), 1);
    let about_her = admin.get(&format!("/v1/audit?target={}", text(&jane["id"]))).await.expect(200);
    let actions: Vec<&Value> = list(&about_her["items"]).iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["user.updated", "user.updated", "user.updated", "user.created"]);
    let role = json!({"field": "role", "old": "admin", "new": "viewer"});
    assert_eq!(about_her["items"][0]["changes"], json!([role]));
}

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

#[tokio::test]
async fn a_request_of_another_sites_page_is_refused() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (_, mut tab) = user(&host, &admin, "jane@example.com", "member").await;
    let own = host.operator.base().to_owned();
    let headers = |site: Option<&str>, origin: Option<&str>| {
        let site = site.map(|site| ("sec-fetch-site", site.to_owned()));
        let origin = origin.map(|origin| (ORIGIN.as_str(), origin.to_owned()));
        site.into_iter().chain(origin).collect::<Vec<_>>()
    };
    for (given, allowed) in [
        (headers(Some("cross-site"), None), false),
        (headers(Some("same-site"), None), false),
        (headers(Some("cross-site"), Some(&own)), false),
        (headers(None, Some("https://evil.example")), false),
        (headers(None, Some("null")), false),
        (headers(None, None), false),
        // The controls.
        (headers(Some("same-origin"), None), true),
        (headers(None, Some(&own)), true),
    ] {
        for path in ["/sign-in", "/sign-out", "/operator/leave", "/link/x", "/endpoints"] {
            let mut request = tab.request(Method::POST, path).body("email=x&password=y");
            for (name, value) in &given {
                request = request.header(*name, value);
            }
            // A browser of somebody else's, so that nothing is ended here.
            let cookie = tab.cookie.clone();
            if path == "/sign-out" && allowed {
                continue;
            }
            let shown = tab.send(request).await;
            tab.cookie = cookie;
            assert_eq!(shown.status == 403, !allowed, "{path} with {given:?}: {} {}", shown.status, shown.body);
        }
        assert!(tab.is_in().await, "{given:?}");
    }
}

#[tokio::test]
async fn the_api_takes_no_cookie() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let (_, mut tab) = user(&host, &admin, "jane@example.com", "admin").await;
    for path in ["/v1/endpoints", "/v1/keys", "/v1/dialects"] {
        assert_eq!(tab.get(path).await.status, 401, "{path}");
        let token = tab.cookie.clone().expect("it is signed in");
        let token = token.split_once('=').expect("a cookie").1;
        assert_eq!(tab.send(tab.request(Method::GET, path).bearer_auth(token)).await.status, 401, "{path}");
        // The control: it is the browser that is not enough, not its user.
        assert_eq!(tab.ask(&format!("GET {path}"), Value::Null).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn cookies_are_kept_from_scripts_and_other_sites() {
    let host = Host::start().await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let mut tab = Tab::at(&host);
    let shown = tab.post(text(&made["link"]), &[("skip", "1")]).await;
    let [cookie] = &shown.set_cookie[..] else { panic!("one cookie: {:?}", shown.set_cookie) };
    let flags: Vec<&str> = cookie.split("; ").skip(1).collect();
    assert!(cookie.starts_with("hookyard="), "{cookie}");
    assert_eq!(flags, ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Lax"], "over plain HTTP");

    let data = TempDir::new();
    let host = HostProcess::start_flagged(data.path(), "info", &["--public-url", "https://hooks.example.com"]).await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let path = text(&made["link"]).strip_prefix("https://hooks.example.com").expect("the public URL").to_owned();
    let mut tab = Tab::of(host.operator.base());
    let shown = tab.post(&path, &[("skip", "1")]).await;
    let flags: Vec<&str> = shown.set_cookie[0].split("; ").skip(1).collect();
    assert!(shown.set_cookie[0].starts_with("__Host-hookyard="), "{:?}", shown.set_cookie);
    assert_eq!(flags, ["Path=/", "Max-Age=604800", "Secure", "HttpOnly", "SameSite=Lax"]);
    assert!(tab.is_in().await);
    // The name without the prefix, which anybody on the way could set, is not looked at.
    tab.cookie = tab.cookie.map(|cookie| cookie.replace("__Host-", ""));
    assert!(!tab.is_in().await);

    let form = json!({"embed_origins": ["https://app.example.com"], "expires_in_seconds": 600});
    let portal = admin.post("/v1/portal-sessions", form).await.expect(201);
    let path = text(&portal["url"]).strip_prefix("https://hooks.example.com").expect("the public URL").to_owned();
    let mut framed = Tab::of(host.operator.base());
    let shown = framed.get(&path).await;
    let flags: Vec<&str> =
        shown.set_cookie[0].split("; ").skip(1).filter(|flag| !flag.starts_with("Max-Age")).collect();
    assert_eq!(flags, ["Path=/", "Secure", "HttpOnly", "SameSite=None", "Partitioned"]);
    let page = framed.get("/endpoints").await;
    assert!(page.policy.contains("frame-ancestors https://app.example.com"), "{}", page.policy);
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
async fn the_first_link_makes_the_operator() {
    let host = Host::start_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let first = host.first_link.clone().expect("nobody is the operator yet");
    let host = host.restart_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    let second = host.first_link.clone().expect("nobody is the operator yet");
    let mut tab = Tab::at(&host);
    let path = |link: &str| format!("/link/{}", link.rsplit('/').next().unwrap_or_default());
    assert_eq!(tab.get(&path(&first)).await.status, 410, "the one of the start before");
    // To look around first, without a name.
    let fields = [("email", "me"), ("name", "Me"), ("password", PASSWORD)];
    assert_eq!(tab.post(&path(&second), &fields).await.status, 422);
    let fields = [("email", "me@example.com"), ("name", "Me"), ("password", PASSWORD)];
    assert_eq!(tab.post(&path(&second), &fields).await.status, 303);
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
    assert_eq!(tab.ask("GET /v1/endpoints", Value::Null).await.0, 403);

    let host = host.restart_as(local(), Extra { first_link: true, ..Extra::default() }).await;
    assert_eq!(host.first_link, None, "there is one now");
    let mut tab = Tab::at(&host);
    assert_eq!(tab.sign_in("me@example.com", PASSWORD).await.status, 303);
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
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

#[tokio::test]
async fn what_opens_something_is_in_no_file_and_no_log() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "trace,hyper=info").await;
    let admin = host.tenant("acme").await;
    let made = admin.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let spare = admin.post("/v1/users", json!({"email": "spare@example.com"})).await.expect(201);
    let portal = admin.post("/v1/portal-sessions", json!({"account": "berlin"})).await.expect(201);
    let mut tab = Tab::of(host.operator.base());
    let token = |url: &Value| text(url).rsplit('/').next().unwrap_or_default().to_owned();
    let link = format!("/link/{}", token(&made["link"]));
    assert_eq!(tab.post(&link, &[("password", PASSWORD)]).await.status, 303);
    let first = tab.cookie.clone().expect("a cookie");
    assert_eq!(tab.sign_in("jane@example.com", PASSWORD).await.status, 303);
    let second = tab.cookie.clone().expect("a cookie");
    assert_eq!(tab.sign_in("jane@example.com", WRONG).await.status, 401);
    tab.cookie = None;
    assert_eq!(tab.post("/sign-in", &[("key", OPERATOR_KEY)]).await.status, 303);
    let mut visitor = Tab::of(host.operator.base());
    visitor.get(&format!("/portal/{}", token(&portal["url"]))).await;
    assert!(visitor.is_in().await);

    let log = host.kill().await;
    let log: String = log.iter().map(ToString::to_string).collect();
    assert!(log.contains("somebody came in by a link"), "the control: what happened is in the log");
    let files: Vec<Vec<u8>> =
        ["hookyard.db", "hookyard.db-wal"].iter().filter_map(|file| fs::read(data.path().join(file)).ok()).collect();
    let in_files = |text: &str| files.iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(in_files("jane@example.com"), "the control: she is in a file");
    let cookie = |cookie: &str| cookie.split_once('=').map(|(_, token)| token.to_owned()).expect("a cookie");
    let hash = "$argon2id$";
    let secrets = [
        token(&made["link"]),
        token(&spare["link"]),
        token(&portal["url"]),
        cookie(&first),
        cookie(&second),
        PASSWORD.to_owned(),
        WRONG.to_owned(),
        PASSWORD.replace(' ', "+"),
        OPERATOR_KEY.to_owned(),
        hash.to_owned(),
    ];
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
        assert!(!in_files(&secret), "{secret} is in a file");
    }
    // The control: that is what a hash would be found by.
    assert!(Password::given(PASSWORD.to_owned()).hash([1; 16]).reveal().starts_with(hash));
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

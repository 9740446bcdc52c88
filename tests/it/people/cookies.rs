//! Cookies, and what a page of somebody else's can do with one: nothing.

use hookyard_tests::{Host, HostProcess, TempDir, text};
use reqwest::Method;
use reqwest::header::ORIGIN;
use serde_json::{Value, json};

use super::{Tab, user};

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

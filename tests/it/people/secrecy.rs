//! What opens something is written down nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hookyard::domain::password::Password;
use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{HostProcess, TempDir, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PASSWORD, Tab, WRONG};

#[tokio::test]
async fn what_opens_something_is_in_no_file_and_no_log() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "trace,hyper=info").await;
    let of_operator = host.first_link().rsplit('/').next().unwrap_or_default().to_owned();
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
    for line in ["operator.link", "somebody came in by a link", "somebody signed in"] {
        assert!(log.contains(line), "the control: what happened is in the log");
    }
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
        of_operator,
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
async fn the_operators_link_is_in_a_file_of_its_own_until_it_was_taken() {
    let data = TempDir::new();
    let file = data.path().join("operator.link");
    // One that others may read, of whatever put it there.
    fs::write(&file, "x").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let host = HostProcess::start(data.path()).await;
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let link = host.first_link().to_owned();
    let mut tab = Tab::of(host.operator.base());
    let me = [("email", "me@example.com"), ("name", "Me"), ("password", PASSWORD)];
    assert_eq!(tab.post(&link, &me).await.status, 303);
    assert_eq!(tab.ask("GET /v1/tenants", Value::Null).await.0, 200);
    host.kill().await;

    let host = HostProcess::start(data.path()).await;
    assert!(!file.exists(), "there is an operator");
    let (_, log) = host.terminate().await;
    assert!(!log.iter().any(|line| line.to_string().contains("/link/")), "{log:?}");
}

#[tokio::test]
async fn the_log_says_who_came_from_where_and_which_proxy_is_not_believed() {
    let data = TempDir::new();
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_PROXIES", "192.0.2.0/24")]).await;
    let admin = host.tenant("acme").await;
    let key = admin.post("/v1/keys", json!({"role": "viewer"})).await.expect(201);
    let mut tab = Tab::of(host.operator.base());
    for key in ["hk_nobodys", "hk_nobodys", text(&key["key"])] {
        let request = tab.request(Method::POST, "/sign-in").header("sec-fetch-site", "same-origin");
        tab.send(request.header("x-forwarded-for", "203.0.113.9").body(format!("key={key}"))).await;
    }
    assert!(tab.is_in().await);
    let (_, log) = host.terminate().await;
    let said = |start: &str| -> Vec<&Value> {
        let starts = |line: &&Value| line["message"].as_str().is_some_and(|message| message.starts_with(start));
        log.iter().filter(starts).map(|line| &line["address"]).collect()
    };
    assert_eq!(said("X-Forwarded-For is not believed"), ["127.0.0.1"], "once");
    assert_eq!(said("somebody could not sign in"), ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(said("somebody signed in"), ["127.0.0.1"]);
}

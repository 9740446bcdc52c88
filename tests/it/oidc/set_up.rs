//! How an operator sets it up, what is told when that is wrong, and what the log
//! says of those who are not let in.

use hookyard_tests::{Host, HostProcess, LOCAL, TempDir};
use serde_json::Value;

use super::faulty::{By, Fault, Faulty};
use super::visitor::Visitor;
use super::{CLIENT, CLIENT_SECRET, JANE, add, refused};

fn variables(issuer: &str) -> [(&str, &str); 4] {
    [
        ("HOOKYARD_OIDC_ISSUER", issuer),
        ("HOOKYARD_OIDC_CLIENT_ID", CLIENT),
        ("HOOKYARD_OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ("HOOKYARD_OIDC_EMAIL_CLAIM", "upn"),
    ]
}

#[tokio::test]
async fn the_log_says_why_and_nothing_secret() {
    let provider = Faulty::start().await;
    let data = TempDir::new();
    let process = HostProcess::start_with(data.path(), &variables(&provider.issuer)).await;
    add(&process.tenant("acme").await, JANE).await;
    let mut jane = Visitor::of(process.operator.base());
    let page = jane.go("/sign-in").await;
    assert!(page.body.contains("Sign in with 127.0.0.1"), "it has the name of its host: {}", page.body);
    let begin = "/sign-in/oidc";
    for (fault, status, why) in [
        (Fault::Signed(By::Another), 502, "could not tell"),
        (Fault::Answer("iss", "https://id.example"), 502, "could not tell"),
        (Fault::Status("/token", 401), 502, "could not tell"),
        (Fault::Nothing, 403, "did not say"),
        (Fault::Claim("upn", "john@example.com".into()), 403, "Nobody here"),
    ] {
        provider.does(fault);
        let shown = jane.go(begin).await;
        refused(&jane, &shown, status, why);
    }
    provider.does(Fault::Claim("upn", JANE.into()));
    assert!(jane.go(begin).await.status == 200 && jane.is_in().await);
    let (ended_well, log) = process.terminate().await;
    assert!(ended_well);
    let reasons: Vec<&str> = log.iter().filter_map(|line| line["why"].as_str()).collect();
    let expected = [
        "the provider's ID token: its signature is not the provider's",
        "what came back: its `iss` is another issuer",
        "the provider's token endpoint: it answered status 401 (invalid_client)",
        "the claim that names the e-mail address is not there",
        "no user has the address",
    ];
    assert_eq!(reasons, expected, "{log:?}");
    let came_in = log.iter().find(|line| line["message"] == "somebody signed in by the provider");
    assert_eq!(came_in.map(|line| &line["address"]), Some(&"127.0.0.1".into()), "{log:?}");
    let all = Value::Array(log).to_string();
    for secret in ["hush", "code-", "eyJ", "john@example.com", JANE] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn over_tls_the_cookie_is_of_this_host_alone() {
    let provider = Faulty::start().await;
    let data = TempDir::new();
    let flags = [LOCAL, &["--public-url", "https://hooks.example.com", "--oidc-name", "Example ID"]].concat();
    let process = HostProcess::start_from(data.path(), &flags, &variables(&provider.issuer)).await;
    let mut visitor = Visitor::of(process.operator.base());
    let shown = visitor.step("/sign-in/oidc").await;
    let [cookie] = shown.set_cookie.as_slice() else { panic!("{:?}", shown.set_cookie) };
    let (name, rest) = cookie.split_once('=').expect("a cookie");
    assert_eq!(name, "__Host-hookyard-oidc");
    assert!(rest.ends_with("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"), "{rest}");
    let to = shown.location.expect("to the provider");
    let back = to.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, value)| value.into_owned());
    assert_eq!(back.as_deref(), Some("https://hooks.example.com/sign-in/oidc/callback"));
}

#[tokio::test]
async fn a_setting_that_is_wrong_is_named() {
    let refused = async |variables: &[(&str, &str)]| HostProcess::refused(TempDir::new().path(), variables).await;
    let said = refused(&[("HOOKYARD_OIDC_ISSUER", "https://id.example.com")]).await;
    assert!(said.contains("oidc-client-id") && said.contains("HOOKYARD_OIDC_CLIENT_SECRET"), "{said}");
    let said = refused(&variables("http://id.example.com")).await;
    assert!(said.contains("oidc-issuer") && said.contains("http://localhost:port"), "{said}");
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_to_one() {
    let host = Host::start().await;
    let mut visitor = Visitor::at(&host);
    assert!(!visitor.go("/sign-in").await.body.contains("/sign-in/oidc"));
    let shown = visitor.step("/sign-in/oidc").await;
    assert_eq!(shown.location.as_ref().map(|url| url.path()), Some("/sign-in"));
    let shown = visitor.step("/sign-in/oidc/callback?state=x&code=y").await;
    refused(&visitor, &shown, 400, "Begin again");
}

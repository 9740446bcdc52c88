//! A sixth platform: a TOML file of the operator's, and no Rust.

use hookyard_tests::host::{Extra, local};
use hookyard_tests::{Host, HostProcess, Receiver, TempDir, list, text};
use serde_json::json;

const SIXTH: &str = r#"
title = "Sixth"
summary = "A platform that nobody has heard of."
wire_separator = "-"

[envelope]
fields = [
    { name = "kind", value = "{type}" },
    { name = "who", value = "{subject}" },
    { name = "what", value = "{data}" },
]

[[headers]]
name = "X-Sixth-Kind"
value = "sixth/{type} (100% \"plain\")"

# As Stripe has it: time and signatures in one value.
[[signature]]
kind = "hmac-sha512"
encoding = "base64"
at = "header.x-sixth-signature"
split = ","
prefix = "s="
signed = "{timestamp}|{header.x-sixth-kind}|{body}"
timestamp = { at = "header.x-sixth-signature", split = ",", prefix = "t=", tolerance_seconds = 60 }

[secret]
prefix = "sx_"

[[events]]
type = "lamp.lit"
name = "Lamp lit"
description = "Somebody has lit a lamp."
schema = '''{"type": "object", "required": ["watts"]}'''
example = '''{"watts": 7}'''
"#;

#[tokio::test]
async fn a_sixth_platform_needs_a_file_and_no_code() {
    let directory = TempDir::new();
    std::fs::write(directory.path().join("sixth.toml"), SIXTH).unwrap();
    let extra = Extra { dialects: Some(directory.path().to_owned()), ..Extra::default() };
    let host = Host::start_as(local(), extra).await;
    let tenant = host.tenant_of("sixth").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"event_types": ["lamp-lit"]})).await;
    let secret = text(&endpoint["secret"]);
    assert!(secret.starts_with("sx_"), "{secret}");

    tenant.publish(json!({"type": "lamp.lit", "data": {"watts": 7}, "subject": "me"})).await;

    let request = receiver.next().await;
    assert_eq!(request.body, r#"{"kind":"lamp-lit","who":"me","what":{"watts":7}}"#);
    assert_eq!(request.header("x-sixth-kind"), r#"sixth/lamp-lit (100% "plain")"#);
    // What it signs is what a source of the same name verifies.
    let form = json!({"name": "back", "event_type": "a.b", "verification": {"scheme": "sixth", "secret": secret}});
    let source = tenant.post("/v1/sources", form).await.expect(201);
    let url = text(&source["url"]);
    let post = async |body: axum::body::Bytes| {
        let again = tenant.request(reqwest::Method::POST, url).body(body);
        let again = again.header("x-sixth-kind", request.header("x-sixth-kind"));
        tenant.send(again.header("x-sixth-signature", request.header("x-sixth-signature"))).await
    };
    post(request.body.slice(1..)).await.problem(401, "");
    post(request.body.clone()).await.expect(202);
    post(request.body.clone()).await.problem(401, "");
    let listed = tenant.get("/v1/dialects").await.expect(200);
    let names: Vec<&str> = list(&listed["items"]).iter().map(|one| text(&one["name"])).collect();
    for name in
        ["cloudevents", "connectgain", "dmchamp", "dmhub", "dmtolead", "docssmith", "sixth", "standard-webhooks"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn a_wrong_file_is_refused_at_start_with_line_and_reason() {
    let directory = TempDir::new();
    let wrong = SIXTH.replace("{subject}", "{subjekt}");
    std::fs::write(directory.path().join("sixth.toml"), wrong).unwrap();
    let data = TempDir::new();
    let dialects = directory.path().to_str().unwrap();
    let said = HostProcess::refused(data.path(), &[("HOOKYARD_DIALECTS", dialects)]).await;
    assert!(said.contains("sixth.toml: line 9: `{subjekt}`: there is no such place"), "{said}");
}

#[tokio::test]
async fn a_server_does_not_start_without_a_dialect_that_is_spoken() {
    let directory = TempDir::new();
    std::fs::write(directory.path().join("sixth.toml"), SIXTH).unwrap();
    let extra = Extra { dialects: Some(directory.path().to_owned()), ..Extra::default() };
    let mut host = Host::start_as(local(), extra).await;
    host.tenant_of("sixth").await;
    host.stop().await;
    let said = HostProcess::refused(host.data(), &[]).await;
    assert!(said.contains("speaks the dialect `sixth`"), "{said}");
}

//! What the page on signatures says of verifying is what verifies.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use hookyard_tests::{Arrived, Host, Receiver, TempDir, text};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::headers;

/// The page's first block of a language.
fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/docs/signatures.md");
    let page = fs::read_to_string(page).expect("it is there");
    let block = page.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block").to_owned()
}

fn question(request: &Arrived, url: &str, more: Value) -> Value {
    let mut question = json!({
        "method": request.method, "url": url, "headers": headers(request),
        "body": String::from_utf8_lossy(&request.body),
    });
    question.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    question
}

/// What the program prints when it is asked.
async fn ask(command: &mut Command, place: &TempDir, question: &Value) -> String {
    let command = command.current_dir(place.path()).env("NO_PROXY", "*").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("tests/run installs Node and Python");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(question.to_string().as_bytes()).await.expect("it reads");
    drop(input);
    let ended = tokio::time::timeout(hookyard_tests::PATIENCE, child.wait_with_output()).await.expect("it ends");
    String::from_utf8(ended.expect("it ran").stdout).expect("it is text").trim().to_owned()
}

#[tokio::test]
async fn the_pages_node_verifies_v1a() {
    let place = TempDir::new();
    fs::write(place.path().join("verify.mjs"), block("js")).unwrap();
    let asking = r#"
        import { isSigned } from "./verify.mjs";
        import { readFileSync } from "node:fs";
        const { publicKey, headers, body } = JSON.parse(readFileSync(0, "utf8"));
        console.log(isSigned(publicKey, headers, Buffer.from(body)));
    "#;
    fs::write(place.path().join("ask.mjs"), asking).unwrap();
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"signature": "v1a"})).await;
    tenant.publish(json!({"type": "order.paid", "data": {"a": "ü"}})).await;
    let request = receiver.next().await;
    let said = async |request: &Arrived| {
        let question = question(request, "", json!({"publicKey": endpoint["public_key"]}));
        ask(Command::new("node").arg("ask.mjs"), &place, &question).await
    };
    assert_eq!(said(&request).await, "true");
    let mut changed = request.clone();
    changed.body = "{}".into();
    assert_eq!(said(&changed).await, "false");
    let mut late = request.clone();
    late.headers.insert("webhook-timestamp", "1".parse().unwrap());
    assert_eq!(said(&late).await, "false");
}

#[tokio::test]
async fn the_pages_python_verifies_messages_by_the_published_keys() {
    let place = TempDir::new();
    fs::write(place.path().join("verify.py"), block("python")).unwrap();
    let asking = "
import json, sys
from http_message_signatures import InvalidSignature
from verify import public_keys, verify
ask = json.load(sys.stdin)
try:
    verify(public_keys(ask['jwks_url']), ask['method'], ask['url'], ask['headers'], ask['body'].encode())
    print('valid')
except InvalidSignature:
    print('invalid')
";
    fs::write(place.path().join("ask.py"), asking).unwrap();
    let host = Host::start().await;
    let tenant = host.tenant_of("http-message-signatures").await;
    let mut receiver = Receiver::start().await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    // In the overlap with a shared secret, and with another pair.
    let path = format!("/v1/endpoints/{}/rotate-secret", text(&endpoint["id"]));
    for _ in 0..2 {
        let rotated = tenant.post(&path, json!({"signature": "ed25519"})).await.expect(200);
        tenant.publish(json!({"type": "order.paid", "data": {"a": "ü"}})).await;
        let request = receiver.next().await;
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/oracles/bin/python");
        let said = async |request: &Arrived, url: &str| {
            let question = question(request, url, json!({"jwks_url": rotated["jwks_url"]}));
            ask(Command::new(&python).arg("ask.py"), &place, &question).await
        };
        assert_eq!(said(&request, &receiver.url()).await, "valid");
        assert_eq!(said(&request, &format!("{}?a", receiver.url())).await, "invalid");
        let mut changed = request.clone();
        changed.body = "{}".into();
        assert_eq!(said(&changed, &receiver.url()).await, "invalid");
    }
}

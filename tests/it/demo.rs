//! `hookyard demo` and `hookyard serve`, typed as a newcomer types them.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::{HostProcess, PATIENCE, Receiver, TempDir, build};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn the_demo_ends_with_a_verified_request_and_a_server_that_is_up() {
    let data = TempDir::new();
    let mut demo = Command::new(build::hookyard())
        .args(["demo", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program was built");
    let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines();
    let mut story = String::new();
    let listening = async {
        while let Some(line) = lines.next_line().await.expect("it is text") {
            story.push_str(&line);
            story.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.expect("the demo comes to its end");
    for words in ["webhook-signature: v1,", "\"phone\": \"+12025551234\"", "The receiver verified the signature"] {
        assert!(story.contains(words), "{words} is missing:\n{story}");
    }
    let base = story.split("server is up at ").nth(1).and_then(|rest| rest.split(". ").next()).expect("an address");
    let ready = hookyard_tests::api::client().get(format!("{base}/readyz")).send();
    assert_eq!(ready.await.unwrap().status(), 200);

    let asked = Command::new("kill").arg(demo.id().unwrap().to_string()).status().await.unwrap();
    assert!(asked.success());
    let ended = tokio::time::timeout(Duration::from_secs(60), demo.wait()).await.expect("SIGTERM ends it");
    assert!(ended.unwrap().success());
}

#[tokio::test]
async fn keys_are_kept_to_their_owner_and_secrets_out_of_the_log() {
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "trace,hyper=info").await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({"headers": {"x-api-key": "header-secret-7"}})).await;
    let secret = endpoint["secret"].as_str().unwrap().to_owned();
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    receiver.next().await;
    tenant.delivery_in(&event, "delivered").await;
    let key = tenant.key().to_owned();

    let (ended_well, log) = host.terminate().await;

    assert!(ended_well);
    let log: String = log.iter().map(ToString::to_string).collect();
    assert!(log.contains(&event), "the control: the event is in the log");
    for secret in [&secret["whsec_".len()..], &key, hookyard_tests::host::OPERATOR_KEY, "header-secret-7"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_first_start_makes_keys_that_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = TempDir::new();
    let under = data.path().join("fresh");
    let output = Command::new(build::hookyard())
        .args(["serve", "--listen", "256.0.0.1:1", "--data"])
        .arg(&under)
        .output()
        .await
        .expect("the program was built");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("listen = `256.0.0.1:1`"), "{said}");
    assert!(!under.exists(), "nothing is made before the settings are right");

    let mut serve = Command::new(build::hookyard())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&under)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program was built");
    let mut lines = BufReader::new(serve.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("ready") {
            break;
        }
    }
    for (name, mode) in [("operator.key", 0o600), ("master.key", 0o600), ("hookyard.db", 0o600), (".", 0o700)] {
        let found = std::fs::metadata(under.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    let second = Command::new(build::hookyard())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&under)
        .output()
        .await
        .expect("the program was built");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another"), "{said}");
}

/// As a container does, in which everybody may come.
#[tokio::test]
async fn whoever_listens_everywhere_is_told_to_say_the_public_url() {
    for (public_url, is_told) in [(None, true), (Some("https://hooks.example.com"), false)] {
        let data = TempDir::new();
        build::compiled_into(data.path());
        let mut server = Command::new(build::hookyard())
            .args(["serve", "--listen", "0.0.0.0:0", "--data"])
            .arg(data.path())
            .args(public_url.into_iter().flat_map(|url| ["--public-url", url]))
            .env("HOOKYARD_MASTER_KEY", STANDARD.encode(hookyard_tests::host::MASTER_KEY))
            .env_remove("HOOKYARD_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program was built");
        let mut lines = BufReader::new(server.stderr.take().expect("it is piped")).lines();
        let starting = async {
            let mut log = String::new();
            while !log.contains("\"message\":\"ready\"") {
                log.push_str(&lines.next_line().await.expect("it is text").expect("it starts"));
            }
            log
        };
        let log = tokio::time::timeout(PATIENCE, starting).await.expect("it starts");
        assert_eq!(log.contains("say HOOKYARD_PUBLIC_URL"), is_told, "{log}");
    }
}

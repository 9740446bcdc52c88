//! `hookyard plugin`, typed as a plugin's author types it: from nothing to a
//! plugin that events go through, and what is said on the way when something is
//! wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use hookyard_tests::{Host, Receiver, TempDir, build};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

/// What a command printed, and how it ended.
struct Ended {
    code: i32,
    printed: String,
    complaint: String,
}

impl Ended {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.printed, self.complaint);
        self.printed
    }

    #[track_caller]
    fn badly(self, code: i32, words: &str) -> String {
        assert_eq!(self.code, code, "{}{}", self.printed, self.complaint);
        assert!(self.complaint.starts_with("hookyard: ") || code == 2, "{}", self.complaint);
        assert!(self.complaint.contains(words), "{}", self.complaint);
        self.printed
    }
}

async fn plugin(arguments: &[&str], key: Option<&str>) -> Ended {
    let mut command = Command::new(build::hookyard());
    command.arg("plugin").args(arguments).env_remove("HOOKYARD_KEY").env_remove("HOOKYARD_SERVER");
    if let Some(key) = key {
        command.env("HOOKYARD_KEY", key);
    }
    let Output { status, stdout, stderr } = command.output().await.expect("the program was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Ended { code: status.code().expect("it ends by itself"), printed: text(stdout), complaint: text(stderr) }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}

fn cases(dir: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(dir).expect("cases").flatten().map(|entry| entry.path()).collect();
    cases.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    cases.sort();
    cases
}

/// `plugin test` of a component with all the cases of a directory.
async fn tested(component: &Path, dir: &Path) -> String {
    let cases = cases(dir);
    let arguments: Vec<&str> =
        ["test", path(component)].into_iter().chain(cases.iter().map(|file| path(file))).collect();
    plugin(&arguments, None).await.well()
}

#[tokio::test]
async fn a_rust_plugin_goes_from_nothing_to_a_delivery() {
    let place = TempDir::new();
    let dir = place.path().join("paid-greeter");
    let next = plugin(&["new", "--lang", "rust", "paid-greeter", path(&dir)], None).await.well();
    assert!(next.contains("target/wasm32-wasip2/release/paid_greeter.wasm"), "{next}");

    let component = build::plugin(&dir, "paid-greeter");
    let checked = plugin(&["check", path(&component)], None).await.well();
    for words in ["paid-greeter 1.0.0", "mapper, filter, transformer", "sha256:", "KiB", "none"] {
        assert!(checked.contains(words), "{words}: {checked}");
    }
    let said = tested(&component, &dir.join("tests")).await;
    assert!(said.contains("17 passed, 0 failed"), "{said}");

    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let push = ["push", path(&component), "--url", tenant.base()];
    let pushed = plugin(&push, Some(tenant.key())).await.well();
    assert!(pushed.starts_with("paid-greeter version 1: mapper, filter, transformer\nsha256:"), "{pushed}");

    let mut receiver = Receiver::start().await;
    let step = json!({"plugin": "paid-greeter", "config": {"greeting": "Hello"}});
    tenant.endpoint(&receiver.url(), json!({"steps": [step]})).await;
    let order = json!({"order": 7, "total": 25, "customer": {"name": "Jane"}});
    tenant.publish(json!({"type": "order.placed", "data": order})).await;
    let request = receiver.next().await;
    assert_eq!(request.json()["text"], "Hello, Jane! Order 7 came to 25.");
    assert_eq!((request.uri.path(), request.header("x-order")), ("/orders/7", "7"));
}

#[tokio::test]
async fn what_other_languages_made_passes_the_cases_that_came_with_it() {
    for language in ["javascript", "c"] {
        let dir = TempDir::new();
        plugin(&["new", "--lang", language, "order-greeter", path(dir.path())], None).await.well();
        assert!(dir.path().join("wit/settings.wit").exists());
        let said = tested(&build::example(language), &dir.path().join("tests")).await;
        assert!(said.contains("17 passed, 0 failed"), "{language}: {said}");
    }
}

#[tokio::test]
async fn a_case_that_differs_is_shown_and_can_be_updated() {
    let (component, dir) = (build::example("c"), TempDir::new());
    let file = dir.path().join("small.json");
    let write = |output: &str| {
        let case = r#"{"name": "Small", "job": "filter", "config": {"greeting": "Hi", "min_total": 10},
            "input": {"event": {"data": {"order": 1, "total": 2, "customer": {"name": "J"}}}}OUTPUT}"#;
        fs::write(&file, case.replace("OUTPUT", output)).expect("it can be written");
    };
    let test = ["test", path(&component), path(&file)];

    write(r#", "output": {"drop": "too small"}"#);
    let shown = plugin(&test, None).await.badly(1, "1 of 4 cases failed");
    for words in ["FAILED", "/drop\n", "\"too small\"", "\"order 1: a total of 2 is below 10\"", "3 passed, 1 failed"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let json = plugin(&[&test[..], &["--json"]].concat(), None).await.badly(1, "1 of 4");
    let report: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&json!(3), &json!(1)));
    let last = &report["cases"][3];
    assert_eq!((&last["outcome"], &last["differences"][0]["path"]), (&json!("failed"), &json!("/drop")));
    assert!(last["fuel"].as_u64().unwrap() > 0 && last["memory"].as_u64().unwrap() > 0, "{last}");

    write("");
    plugin(&test, None).await.badly(1, "1 of 4");
    let updated = plugin(&[&test[..], &["--update"]].concat(), None).await.well();
    assert!(updated.contains("updated"), "{updated}");
    let said = plugin(&test, None).await.well();
    assert!(said.contains("4 passed, 0 failed"), "{said}");
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).expect("it is still JSON");
    assert_eq!(kept["output"], json!({"drop": "order 1: a total of 2 is below 10"}));
    assert_eq!(kept["input"]["event"]["data"]["total"], 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_by_its_name() {
    let dir = TempDir::new();
    let (text, nowhere, case) = (dir.path().join("a.wasm"), dir.path().join("b.wasm"), dir.path().join("case.json"));
    fs::write(&text, "no component").unwrap();
    plugin(&["check", path(&text)], None).await.badly(1, "a.wasm: not a WebAssembly component: it does not begin");
    let json = plugin(&["check", "--json", path(&text)], None).await.badly(1, "not a WebAssembly component");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["accepted"], false);
    plugin(&["check", path(&nowhere)], None).await.badly(2, "b.wasm: No such file");
    let component = build::example("c");
    for (wrong, words) in [
        ("{", "case.json: EOF"),
        (r#"{"name": "a", "job": "cook", "input": {}}"#, "unknown variant `cook`"),
        (r#"{"name": "a", "job": "filter"}"#, "missing field `input`"),
        (r#"{"name": "a", "job": "filter", "input": {}, "outpt": 1}"#, "unknown field `outpt`"),
    ] {
        fs::write(&case, wrong).unwrap();
        plugin(&["test", path(&component), path(&case)], None).await.badly(2, words);
    }
    let config = r#"{"greeting": "Hi"}"#;
    let case_of = |input: &str| format!(r#"{{"name": "a", "job": "filter", "config": {config}, "input": {input}}}"#);
    fs::write(&case, case_of(r#"{"evnt": {}}"#)).unwrap();
    let shown = plugin(&["test", path(&component), path(&case)], None).await.badly(1, "1 of 4");
    assert!(shown.contains("its input: unknown field `evnt`"), "{shown}");
    plugin(&["new", "--lang", "c", "x", path(dir.path())], None).await.badly(2, "is there and not empty");
    plugin(&["new", "--lang", "c", "No Name"], None).await.badly(2, "lower case letters");
    plugin(&["new", "--lang", "cobol", "x"], None).await.badly(2, "rust, javascript, python, c");
}

#[tokio::test]
async fn an_upload_that_fails_says_what_to_do() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let (file, url) = (build::example("c"), tenant.base().to_owned());
    let push = ["push", path(&file), "--name", "greeter", "--url", &url];
    plugin(&push, None).await.badly(2, "HOOKYARD_KEY is not set");
    plugin(&push, Some("hky_of_nobody")).await.badly(2, "does not know the key in HOOKYARD_KEY");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nowhere = format!("http://{closed}");
    let lost = ["push", path(&file), "--name", "greeter", "--url", &nowhere];
    plugin(&lost, Some(tenant.key())).await.badly(2, "is the server running?");
    let taken = ["push", path(&file), "--name", "tag-filter", "--url", &url];
    plugin(&taken, Some(tenant.key())).await.badly(1, "comes with Hookyard; choose another name");
    let dir = TempDir::new();
    let text = dir.path().join("a.wasm");
    fs::write(&text, "no component").unwrap();
    let broken = ["push", path(&text), "--name", "greeter", "--url", &url];
    plugin(&broken, Some(tenant.key())).await.badly(1, "not a WebAssembly component");

    let json = plugin(&[&push[..], &["--json"]].concat(), Some(tenant.key())).await.well();
    let made: Value = serde_json::from_str(&json).expect("it is what the server said");
    assert_eq!((&made["name"], &made["version"]), (&json!("greeter"), &json!(1)));
}

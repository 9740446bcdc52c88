//! `hookyard doctor` on good and bad ground.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::{HostProcess, LOCAL, Receiver, TempDir, list};
use serde_json::Value;

use super::{Typed, hookyard};

/// On this directory, for a server that takes any port.
fn doctor(data: &Path, more: &[&str]) -> Typed {
    let data = data.to_str().expect("a path of ours is text");
    hookyard(&[&["doctor", "--data", data, "--listen", "127.0.0.1:0"][..], more].concat())
}

/// The state of a check and what it says.
pub(super) fn line(report: &Value, check: &str) -> (String, String) {
    let found = list(report).iter().find(|line| line["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {report}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("said") + " -> " + &text("mend"))
}

pub(super) fn private() -> TempDir {
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    dir
}

#[tokio::test]
async fn a_good_directory_is_well() {
    let dir = private();
    let printed = doctor(dir.path(), &[]).well().await;
    assert!(printed.lines().all(|line| !line.starts_with("fail")), "{printed}");
    assert!(fs::read_dir(dir.path()).expect("it is there").next().is_none(), "nothing is left in it");
}

#[tokio::test]
async fn a_missing_directory_fails_with_what_to_do() {
    let dir = private();
    let printed = doctor(&dir.path().join("nowhere"), &[]).badly("one check failed").await;
    assert!(printed.contains("-> give --data where it is"), "{printed}");
    fs::write(dir.path().join("file"), "").expect("it can be written");
    let printed = doctor(&dir.path().join("file"), &[]).badly("one check failed").await;
    assert!(printed.contains("must name a directory"), "{printed}");
}

#[tokio::test]
async fn a_directory_that_takes_no_writes_fails_with_what_to_do() {
    // Nobody can make a file there, not even root.
    let printed = doctor(Path::new("/proc/self"), &[]).badly("failed").await;
    assert!(printed.contains("/proc/self cannot be written to"), "{printed}");
    assert!(printed.contains("-> let the user that the server runs as write there"), "{printed}");
}

#[tokio::test]
async fn a_running_server_is_looked_at_without_being_disturbed() {
    let (data, receiver) = (private(), Receiver::start().await);
    let host = HostProcess::start(data.path()).await;
    let address = host.operator.base().trim_start_matches("http://").to_owned();
    let reach = receiver.url();
    let more = [&["--json", "--listen", &address, "--reach", &reach][..], LOCAL].concat();
    let data_path = data.path().to_str().expect("a path of ours is text");
    let looked = |key: &[u8]| {
        let key = STANDARD.encode(key);
        let typed = hookyard(&[&["doctor", "--data", data_path][..], &more].concat());
        typed.with("HOOKYARD_MASTER_KEY", &key).with("HOOKYARD_OPERATOR_KEY", "operator-key-for-tests-only")
    };
    let report = looked(&MASTER_KEY).json().await;
    for (check, words) in [
        ("data directory", "mode 700"),
        ("disk", "a sync takes"),
        ("disk space", "free of"),
        ("database", "sound; SQLite 3."),
        ("schema", "version "),
        ("secrets", "the master key opens them"),
        ("lock", "a server has the database open"),
        ("port", "a server answers at"),
        ("names", "127.0.0.1"),
        ("way out", "answers 204"),
        ("time", "the same as the receiver's"),
        ("clock", "it runs on"),
    ] {
        let (state, said) = line(&report, check);
        assert!(matches!(state.as_str(), "ok" | "warn") && said.contains(words), "{check}: {state} {said}");
    }
    let printed = looked(&[7; 32]).badly("one check failed").await;
    let report: Value = serde_json::from_str(&printed).expect("it is JSON");
    assert_eq!(line(&report, "secrets").0, "fail");
    host.tenant("acme").await;
    assert!(host.terminate().await.0);
}

#[tokio::test]
async fn a_port_that_something_else_has_is_told() {
    let (dir, taken) = (private(), std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a port"));
    let address = taken.local_addr().expect("it is bound").to_string();
    // It says something else than a server would, and ends.
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = taken.accept().expect("somebody asks");
        std::io::Write::write_all(&mut stream, b"SSH-2.0-x\r\n").expect("it listens");
    });
    let data = dir.path().to_str().expect("a path of ours is text");
    let printed = hookyard(&["doctor", "--data", data, "--listen", &address]).badly("one check failed").await;
    assert!(printed.contains("give another --listen"), "{printed}");
    answering.join().expect("it was asked");
}

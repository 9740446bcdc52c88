//! The files for operators, and readiness.

use std::fs;
use std::path::Path;
use std::process::Command;

use hookyard_tests::{Host, TempDir, build};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/operations").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each `HOOKYARD_*` in a file, and each flag of ours.
fn settings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    words.filter(|word| word.starts_with("HOOKYARD_") || word.starts_with("--")).map(str::to_owned).collect()
}

/// What `serve` knows.
fn help() -> String {
    let help = Command::new(build::hookyard()).args(["serve", "--help"]).output().expect("the program runs");
    String::from_utf8(help.stdout).expect("it is text")
}

#[test]
fn the_files_set_what_the_program_knows() {
    let help = help();
    // Keys are never flags, so that the help does not name them.
    let known = ["HOOKYARD_OPERATOR_KEY", "HOOKYARD_MASTER_KEY", "HOOKYARD_LOG", "HOOKYARD_CHAT_KEY"];
    let unit = file("hookyard.service");
    let image = file("Dockerfile");
    let own: Vec<String> =
        image.lines().filter(|line| line.starts_with("ENV") || line.starts_with("ENTRY")).map(str::to_owned).collect();
    let asked = [settings(&unit), settings(&own.join("\n"))].concat();
    assert!(asked.len() > 2, "{asked:?}");
    for setting in asked {
        assert!(help.contains(&setting) || known.contains(&setting.as_str()), "{setting} is no setting:\n{help}");
    }
}

/// systemd itself reads the unit.
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let unit = file("hookyard.service");
    // Loaded code is made executable once it is written: with this the server
    // could not run a plugin.
    assert!(!unit.lines().any(|line| line.trim() == "MemoryDenyWriteExecute=yes"), "{unit}");
    let place = TempDir::new();
    let path = place.path().join("hookyard.service");
    let program = build::hookyard().display().to_string();
    assert!(unit.contains("/usr/local/bin/hookyard"), "{unit}");
    fs::write(&path, unit.replace("/usr/local/bin/hookyard", &program)).expect("it can be written");
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
    let verified = verified.expect("tests/run installs systemd");
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("hookyard.service")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

#[tokio::test]
async fn ready_means_that_writes_go_through() {
    let mut host = Host::start().await;
    let anybody = host.operator.with_key(None);
    assert_eq!(anybody.get("/readyz").await.expect(200), "ready");
    let commits = async || {
        let page = host.operator.get("/metrics").await.expect(200);
        let page = page.as_str().expect("text").to_owned();
        let line = page.lines().find_map(|line| line.strip_prefix("hookyard_store_commit_seconds_count "));
        line.expect("it is counted").parse::<u64>().expect("a number")
    };
    // One write says it for a while: whoever asks often has little written.
    let before = commits().await;
    for _ in 0..50 {
        anybody.get("/readyz").await.expect(200);
    }
    let after = commits().await;
    assert!(after - before < 25, "{before} and {after}");
    host.stop().await;
}

//! The files for operators, and readiness.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

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

#[test]
fn every_flag_is_on_the_page_of_settings() {
    let page = file("../docs/settings.md");
    let flags = settings(&help()).into_iter().filter(|word| word.starts_with("--") && word != "--help");
    let missed: Vec<String> = flags.filter(|flag| !page.contains(&format!("`{flag}`"))).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// systemd itself reads the units.
#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    // Loaded code is made executable once it is written: with this the server
    // could not run a plugin.
    let unit = file("hookyard.service");
    assert!(!unit.lines().any(|line| line.trim() == "MemoryDenyWriteExecute=yes"), "{unit}");
    let place = TempDir::new();
    let program = build::hookyard().display().to_string();
    assert!(unit.contains("/usr/local/bin/hookyard"), "{unit}");
    let units = ["hookyard.service", "hookyard-backup.service", "hookyard-backup.timer"].map(|name| {
        let path = place.path().join(name);
        fs::write(&path, file(name).replace("/usr/local/bin/hookyard", &program)).expect("it can be written");
        path
    });
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output();
    let verified = verified.expect("tests/run installs systemd");
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("hookyard")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

/// What the unit does at night, done as systemd would have it done.
#[tokio::test]
async fn the_nightly_copy_is_made_and_old_ones_go() {
    let host = Host::start().await;
    let place = TempDir::new();
    let copies = place.path().join("copies");
    let unit = file("hookyard-backup.service");
    let night = || {
        for line in unit.lines().filter(|line| line.starts_with("Exec")) {
            let (_, command) = line.split_once('=').expect("a command");
            let command = command.replace("$$", "$").replace("%%", "%");
            let command = command.replace("/usr/local/bin/hookyard", &build::hookyard().display().to_string());
            let command = command.replace("/var/backups/hookyard", &copies.display().to_string());
            let mut shell = Command::new("sh");
            let ended = shell.args(["-c", &command]).env("HOOKYARD_DATA", host.data()).output().expect("it runs");
            assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
        }
    };
    let only_copy = || {
        let entries = fs::read_dir(&copies).expect("it was made");
        let entries: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    };
    night();
    let aged = copies.join("hookyard-old.db");
    fs::rename(only_copy(), &aged).expect("it can be named");
    let two_weeks_and_more = Duration::from_secs(16 * 86_400);
    let file = fs::File::open(&aged).expect("it is there");
    let made = file.metadata().and_then(|made| made.modified()).expect("it has a time");
    file.set_modified(made - two_weeks_and_more).expect("it can be aged");
    night();
    assert_ne!(only_copy(), aged, "the old one is gone and the new one is there");
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

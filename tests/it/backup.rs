//! Backups: taken while a server works, put in place elsewhere, and refused
//! where something would be lost.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::backup::{BackupError, backup, restore};
use hookyard_tests::host::{MASTER_KEY, OPERATOR_KEY};
use hookyard_tests::{Api, Host, HostProcess, Receiver, TempDir, build, eventually, list, text};
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinSet;

/// Backups in one run of the test; a soak takes more.
fn rounds() -> usize {
    std::env::var("HOOKYARD_BACKUP_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

const PUBLISHERS: usize = 8;

async fn hookyard(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(build::hookyard());
    command.args(arguments).env_remove("HOOKYARD_MASTER_KEY");
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().await.expect("the program was built")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

type Acknowledged = Arc<Mutex<Vec<String>>>;

fn so_far(acknowledged: &Acknowledged) -> Vec<String> {
    acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn more_than(count: usize, acknowledged: &Acknowledged) {
    eventually("more events", async || (so_far(acknowledged).len() > count).then_some(())).await;
}

/// Publishes without a pause until it is told to stop.
async fn publish(tenant: Api, acknowledged: Acknowledged, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let id = tenant.publish(json!({"type": "a.b", "data": {"padding": "x".repeat(400)}})).await;
        acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

async fn all_events(tenant: &Api) -> BTreeSet<String> {
    let (mut events, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = tenant.get(&format!("/v1/events?limit=100{cursor}")).await.expect(200);
        events.extend(list(&page["items"]).iter().map(|event| text(&event["id"]).to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

/// A server on a backup. What compiles plugins has done it already.
async fn restored(from: &Path, data: &Path) -> (TempDir, HostProcess) {
    let place = TempDir::new();
    copy(&data.join("compiled"), &place.path().join("compiled"));
    let output = hookyard(&["restore"], &[("--from", from), ("--data", place.path())]).await;
    assert!(output.status.success(), "{}", said(&output));
    let host = HostProcess::start_logging(place.path(), "hookyard::cli=info").await;
    (place, host)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("a directory").flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_has_every_event_that_was_acknowledged_before_it_began() {
    let (data, backups) = (TempDir::new(), TempDir::new());
    let mut receiver = Receiver::start().await;
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let endpoint = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{endpoint}/pause"), json!({})).await.expect(200);
    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        publishers.spawn(publish(tenant.clone(), acknowledged.clone(), stop.clone()));
    }
    let mut before = Vec::new();
    for round in 0..rounds() {
        more_than(before.len() + 100, &acknowledged).await;
        before = so_far(&acknowledged);
        let file = backups.path().join(format!("{round}.db"));
        let output = hookyard(&["backup"], &[("--data", data.path()), ("--to", &file)]).await;
        assert!(output.status.success(), "{}", said(&output));
        // They went on meanwhile, and are not kept from it afterwards.
        more_than(so_far(&acknowledged).len() + 20, &acknowledged).await;

        let (_place, again) = restored(&file, data.path()).await;
        let restored = Api::new(again.operator.base(), Some(tenant.key()));
        let there = all_events(&restored).await;
        let missing = before.iter().filter(|event| !there.contains(*event)).count();
        assert_eq!(missing, 0, "of {} events that were acknowledged before round {round}", before.len());
        if round == 0 {
            // Held until now: deliveries go on where they were.
            restored.post(&format!("{endpoint}/resume"), json!({})).await.expect(200);
            let mut arrived = BTreeSet::new();
            while !before.iter().all(|event| arrived.contains(event)) {
                arrived.insert(receiver.next().await.header("webhook-id").to_owned());
            }
        }
        again.kill().await;
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = publishers.join_next().await {
        ended.expect("no publisher is refused while a backup is taken");
    }

    // Nobody has the database open, and its log was left as a crash leaves it.
    host.kill().await;
    let file = backups.path().join("last.db");
    backup(&data.path().join("hookyard.db"), &file).await.expect("a database that nobody has open");
    let (_place, again) = restored(&file, data.path()).await;
    let there = all_events(&Api::new(again.operator.base(), Some(tenant.key()))).await;
    assert!(so_far(&acknowledged).iter().all(|event| there.contains(event)));
    // The control: what was acknowledged later is not in an earlier one.
    let (_place, first) = restored(&backups.path().join("0.db"), data.path()).await;
    let earlier = all_events(&Api::new(first.operator.base(), Some(tenant.key()))).await;
    assert!(earlier.len() < there.len());
}

/// A host with an event, a secret and a backup of it.
async fn a_backup() -> (Host, String, TempDir, std::path::PathBuf) {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint("http://127.0.0.1:4/", json!({"headers": {"x-api-key": "a-secret-header"}})).await;
    tenant.publish(json!({"type": "a.b", "data": "something to be found"})).await;
    let place = TempDir::new();
    let file = place.path().join("backup.db");
    backup(&host.data().join("hookyard.db"), &file).await.expect("a backup beside the running host");
    (host, text(&endpoint["secret"]).to_owned(), place, file)
}

fn names(place: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.path())
        .expect("the directory is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_is_for_its_owner_alone_and_has_no_secret_in_it() {
    let (_host, secret, place, file) = a_backup().await;
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names(&place), ["backup.db"], "nothing is left beside it");
    let content = std::fs::read(&file).expect("it can be read");
    let has = |bytes: &[u8]| content.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"something to be found"), "the search finds what is there");
    let secret = secret.strip_prefix("whsec_").expect("a secret");
    let raw = STANDARD.decode(secret).expect("base64");
    for hidden in [secret.as_bytes(), &raw, b"a-secret-header", OPERATOR_KEY.as_bytes(), &MASTER_KEY] {
        assert!(!has(hidden));
    }
}

#[tokio::test]
async fn nothing_is_written_over() {
    let (host, _, place, file) = a_backup().await;
    let database = host.data().join("hookyard.db");
    let before = std::fs::read(&file).expect("it can be read");
    assert!(matches!(backup(&database, &file).await, Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&file).expect("it can be read"), before);
    assert!(matches!(restore(&file, &database, None).await, Err(BackupError::Place(_))), "a host has it open");
    let elsewhere = place.path().join("hookyard.db");
    restore(&file, &elsewhere, None).await.expect("an empty place");
    assert!(matches!(restore(&file, &elsewhere, None).await, Err(BackupError::Exists(_))));
    // A log that a lost database left would be taken for the backup's.
    let orphan = TempDir::new();
    std::fs::write(orphan.path().join("hookyard.db-wal"), b"").expect("it can be written");
    assert!(matches!(restore(&file, &orphan.path().join("hookyard.db"), None).await, Err(BackupError::Exists(_))));
    let nowhere = TempDir::new();
    let missing = nowhere.path().join("hookyard.db");
    assert!(matches!(backup(&missing, &place.path().join("b")).await, Err(BackupError::NoDatabase(_))));
    assert!(names(&nowhere).is_empty());
}

#[tokio::test]
async fn what_is_no_whole_backup_is_not_restored() {
    let (host, _, _place, file) = a_backup().await;
    let content = std::fs::read(&file).expect("it can be read");
    let refused = async |content: &[u8], seal: Option<Seal>| {
        let place = TempDir::new();
        let bad = place.path().join("bad.db");
        std::fs::write(&bad, content).expect("it can be written");
        let error = restore(&bad, &place.path().join("hookyard.db"), seal.as_ref()).await.expect_err("it is bad");
        let left: Vec<String> = names(&place).into_iter().filter(|name| name != "hookyard.db.lock").collect();
        assert_eq!(left, ["bad.db"], "nothing is left: {error}");
        error
    };
    let mut bent = content.clone();
    let page = bent.len() / 4096 / 2 * 4096;
    bent[page..page + 4096].fill(0x5a);
    assert!(matches!(refused(&bent, None).await, BackupError::Damaged(_)));
    assert!(matches!(refused(&content[..content.len() / 2], None).await, BackupError::Damaged(_)));
    assert!(matches!(refused(b"no database", None).await, BackupError::NotABackup(_)));
    let live = std::fs::read(host.data().join("hookyard.db")).expect("it can be read");
    assert!(matches!(refused(&live, None).await, BackupError::NotABackup(_)), "its log would be missing");
    let other_key = Some(Seal::new([9; 32]));
    assert!(matches!(refused(&content, other_key).await, BackupError::WrongMasterKey));
    let place = TempDir::new();
    let seal = Seal::new(MASTER_KEY);
    restore(&file, &place.path().join("hookyard.db"), Some(&seal)).await.expect("its own key");
}

/// A disk that is full, as far as the program can see: files may not grow.
#[tokio::test]
async fn a_backup_that_finds_no_room_leaves_nothing() {
    let (host, _, _place, _file) = a_backup().await;
    let place = TempDir::new();
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" backup --data \"$1\" --to \"$2\""])
        .arg(build::hookyard())
        .arg(host.data())
        .arg(place.path().join("backup.db"))
        .output()
        .await
        .expect("there is a shell");
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).starts_with("hookyard: "), "{}", said(&output));
    assert!(names(&place).is_empty(), "{:?}", names(&place));
}

#[tokio::test]
async fn the_commands_say_what_else_is_needed() {
    let (host, _, place, _) = a_backup().await;
    let (file, data) = (place.path().join("other.db"), place.path().join("new"));
    let output = hookyard(&["backup"], &[("--data", host.data()), ("--to", &file)]).await;
    assert!(output.status.success() && said(&output).contains("master.key"), "{}", said(&output));
    let output = hookyard(&["restore"], &[("--from", &file), ("--data", &data)]).await;
    assert!(output.status.success() && said(&output).contains("HOOKYARD_MASTER_KEY"), "{}", said(&output));
    let output = hookyard(&["restore"], &[("--from", &file), ("--data", &data)]).await;
    assert!(!output.status.success() && said(&output).contains("nothing is written over"), "{}", said(&output));

    // With the key in its place it is compared.
    let (fits, other) = (TempDir::new(), TempDir::new());
    for (place, key) in [(&fits, MASTER_KEY), (&other, [9; 32])] {
        std::fs::write(place.path().join("master.key"), STANDARD.encode(key)).expect("it can be written");
    }
    let output = hookyard(&["restore"], &[("--from", &file), ("--data", fits.path())]).await;
    assert!(output.status.success() && said(&output).contains("belongs to it"), "{}", said(&output));
    let output = hookyard(&["restore"], &[("--from", &file), ("--data", other.path())]).await;
    assert!(!output.status.success() && said(&output).contains("another master key"), "{}", said(&output));
}

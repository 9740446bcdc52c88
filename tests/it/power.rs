//! The power fails: what was not synced is lost, in part or in whole, in any
//! order; what was acknowledged is not.

use std::collections::BTreeSet;

use hookyard_tests::disk::{FaultyDisk, Journal, Syncs};
use hookyard_tests::load::{Acknowledged, Load, Told, kept};
use hookyard_tests::seed::Seed;
use hookyard_tests::{Api, HostProcess, Receiver, TempDir, eventually, figures, list, setting, text};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

const PUBLISHERS: usize = 16;
/// Cuts in one run of the test; `tests/soak` does more.
const CUTS: u64 = 20;
/// How many are made of the same run.
const CUTS_OF_ONE: u64 = 50;
/// Cuts after which the control must have lost something.
const CONTROL: u64 = 40;

/// A disk after three runs under load, of which the second ended in order.
struct Recorded {
    journal: Journal,
    tenant: Api,
    /// Where in the journal the tenant was there.
    from: u64,
    acknowledged: Vec<Acknowledged>,
    _disk: FaultyDisk,
}

async fn record() -> Recorded {
    let disk = std::sync::Arc::new(FaultyDisk::with_journal());
    let receiver = Receiver::start().await;
    let mut host = start(&disk).await;
    let mut tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let from = disk.written();
    let mut acknowledged = Vec::new();
    for run in 0..3 {
        let mark = disk.clone();
        let load = Load::start(&tenant, PUBLISHERS, 4000, move || mark.written());
        load.acknowledged(300).await;
        overwrite_the_log(&tenant).await;
        load.acknowledged(300).await;
        if run == 1 {
            let (ended_well, _) = host.terminate().await;
            assert!(ended_well);
        } else {
            host.kill().await;
        }
        acknowledged.append(&mut load.end().await.acknowledged);
        if run == 2 {
            break;
        }
        host = start(&disk).await;
        tenant = Api::new(host.operator.base(), Some(tenant.key()));
    }
    let journal = disk.remembered();
    let disk = std::sync::Arc::into_inner(disk).expect("nobody publishes any more");
    Recorded { journal, tenant, from, acknowledged, _disk: disk }
}

async fn start(disk: &FaultyDisk) -> HostProcess {
    disk.host("hookyard::cli=info").await
}

/// Before an erasure is done, the log is moved into the database and overwritten.
async fn overwrite_the_log(tenant: &Api) {
    let asked = tenant.post("/v1/erasures", json!({"subject": "nobody"})).await.expect(202);
    let path = format!("/v1/erasures/{}", text(&asked["id"]));
    eventually("an end of the erasure", async || {
        (tenant.get(&path).await.expect(200)["state"] == "done").then_some(())
    })
    .await;
}

/// Of what should be in a data directory, what is not; and whether the database
/// is whole.
async fn lost(data: &TempDir, key: &str, expected: &BTreeSet<&str>) -> (Vec<String>, String) {
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let tenant = Api::new(host.operator.base(), Some(key));
    let (events, delivered) = kept(&tenant).await;
    let has_endpoint = !list(&tenant.get("/v1/endpoints").await.expect(200)["items"]).is_empty();
    let is_kept = |event: &str| events.contains(event) && (!has_endpoint || delivered.contains(event));
    let lost = expected.iter().filter(|event| !is_kept(event)).map(|event| (*event).to_owned()).collect();
    // And it goes on as if nothing had been.
    tenant.publish(json!({"type": "a.b", "data": "after"})).await;
    host.kill().await;
    (lost, integrity(data).await)
}

async fn integrity(data: &TempDir) -> String {
    let options = SqliteConnectOptions::new().filename(data.path().join("hookyard.db"));
    let mut database = options.connect().await.expect("the database opens");
    let said = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut database).await.expect("it can be read");
    database.close().await.expect("it closes");
    said
}

/// However the power fails now, everything that was acknowledged is there.
pub(crate) async fn everything_survives(disk: &FaultyDisk, tenant: &Api, told: &Told, cuts: u64, seed: &mut Seed) {
    let journal = disk.remembered();
    let expected = told.acknowledged.iter().map(|one| one.event.as_str()).collect();
    for _ in 0..cuts {
        let data = TempDir::new();
        journal.cut(u64::MAX, seed).leave(Syncs::Done, data.path(), seed);
        assert_eq!(lost(&data, tenant.key(), &expected).await, (Vec::new(), "ok".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let mut seed = Seed::given();
    let cuts = setting("HOOKYARD_CUTS").unwrap_or(CUTS);
    let (mut recorded, mut checked) = (record().await, 0);
    for number in 0..cuts {
        if number % CUTS_OF_ONE == CUTS_OF_ONE - 1 {
            recorded = record().await;
        }
        let cut = recorded.journal.cut(recorded.from, &mut seed);
        let (expected, data) = (recorded.acknowledged_by(cut.at()), TempDir::new());
        cut.leave(Syncs::Done, data.path(), &mut seed);
        let found = lost(&data, recorded.tenant.key(), &expected).await;
        assert_eq!(found, (Vec::new(), "ok".to_owned()), "cut {number} at byte {}", cut.at());
        checked += expected.len();
    }
    figures(format_args!("{cuts} cuts, {checked} acknowledged events looked for, 0 lost"));
}

/// The control: on a disk that does not sync the log when it is asked to, events
/// are lost, and the check above notices.
#[tokio::test(flavor = "multi_thread")]
async fn without_syncs_of_the_log_a_power_cut_loses_what_was_acknowledged() {
    let mut seed = Seed::given();
    let recorded = record().await;
    let cuts = setting("HOOKYARD_CONTROL_CUTS").unwrap_or(CONTROL);
    for number in 1..=cuts {
        let cut = recorded.journal.cut(recorded.from, &mut seed);
        let (expected, data) = (recorded.acknowledged_by(cut.at()), TempDir::new());
        cut.leave(Syncs::OfTheLogNot, data.path(), &mut seed);
        let missing = missing_in_the_file(&data, &expected).await;
        // Silently: the database is whole, and has others.
        if !missing.is_empty() && missing.len() < expected.len() && integrity(&data).await == "ok" {
            return figures(format_args!("{} of {} lost at cut {number}", missing.len(), expected.len()));
        }
    }
    panic!("nothing was lost in {cuts} cuts, so the test above proves nothing");
}

/// The same question put to the file itself: a host would not know the tenant,
/// or would not start.
async fn missing_in_the_file(data: &TempDir, expected: &BTreeSet<&str>) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(data.path().join("hookyard.db"));
    let found: BTreeSet<String> = match options.connect().await {
        Ok(mut database) => {
            let rows = sqlx::query_scalar("SELECT id FROM events").fetch_all(&mut database).await;
            rows.unwrap_or_default().into_iter().collect()
        }
        Err(_) => BTreeSet::new(),
    };
    expected.iter().filter(|event| !found.contains(**event)).map(|event| (*event).to_owned()).collect()
}

impl Recorded {
    fn acknowledged_by(&self, at: u64) -> BTreeSet<&str> {
        let before = self.acknowledged.iter().filter(|one| one.mark <= at);
        before.map(|one| one.event.as_str()).collect()
    }
}

//! Disks that are full, read-only or broken: nothing is acknowledged that is not
//! on them, nothing that was is lost, and what can recover does.

use std::collections::BTreeSet;

use hookyard_tests::disk::{FaultyDisk, Mode, Of};
use hookyard_tests::load::{Load, Told};
use hookyard_tests::seed::Seed;
use hookyard_tests::{Api, HostProcess, Receiver, eventually, figures, list, setting};
use reqwest::Method;
use serde_json::{Value, json};

const PUBLISHERS: usize = 16;
/// Power cuts after each failed sync.
const CUTS: u64 = 3;

async fn start(disk: &FaultyDisk) -> HostProcess {
    disk.host("hookyard=info").await
}

async fn status(api: &Api, path: &str) -> u16 {
    api.send(api.request(Method::GET, path)).await.status.as_u16()
}

/// Everything acknowledged has come, and every delivery has ended.
async fn all_arrive(tenant: &Api, receiver: &mut Receiver, told: &Told) {
    let mut missing: BTreeSet<&str> = told.acknowledged.iter().map(|one| one.event.as_str()).collect();
    while !missing.is_empty() {
        missing.remove(receiver.next().await.header("webhook-id"));
    }
    eventually("an end of every delivery", async || {
        let pending = tenant.get("/v1/deliveries?state=pending").await.expect(200);
        list(&pending["items"]).is_empty().then_some(())
    })
    .await;
}

fn says(log: &[Value], words: &str) -> usize {
    log.iter().filter(|line| line["message"].as_str().is_some_and(|message| message.contains(words))).count()
}

/// Under load, the disk goes from well to `mode` and back, some times over.
async fn refuses_and_recovers(mode: Mode) {
    let disk = FaultyDisk::new();
    let host = start(&disk).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let load = Load::start(&tenant, PUBLISHERS, 400, || 0);
    let rounds = setting("HOOKYARD_DISK_ROUNDS").unwrap_or(3);
    for round in 0..rounds {
        load.acknowledged(100).await;
        if round % 2 == 1 {
            disk.tears();
        }
        disk.is(mode);
        load.forget();
        load.refused(100).await;
        // What can be answered from what is there still is.
        assert_eq!(status(&tenant, "/v1/events").await, 200);
        assert_eq!(status(&host.operator, "/readyz").await, 503, "it wants no traffic");
        assert_eq!(status(&host.operator, "/healthz").await, 200, "a restart would not help");
        disk.is(Mode::Well);
        load.forget();
    }
    load.acknowledged(100).await;
    assert_eq!(status(&host.operator, "/readyz").await, 200);
    let told = load.end().await;
    assert!(disk.failures() > 0);
    for refused in &told.refused {
        assert_eq!((refused.status, refused.problem.as_str()), (503, "urn:hookyard:problem:unwritable"));
        assert_eq!(refused.retry_after.as_deref(), Some("5"));
    }
    all_arrive(&tenant, &mut receiver, &told).await;
    let log = host.kill().await;
    let (complaints, relief) = (says(&log, "the disk takes no writes"), says(&log, "the disk takes writes again"));
    assert!(
        complaints > 0 && complaints as u64 <= 2 * rounds && relief > 0,
        "{complaints} complaints, {relief} times relieved"
    );
    let (acknowledged, refused) = (told.acknowledged.len(), told.refused.len());
    figures(format_args!("{acknowledged} acknowledged, {refused} refused, 0 lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_events_and_takes_them_again_once_there_is_room() {
    refuses_and_recovers(Mode::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_refuses_events_and_takes_them_again_once_it_is_writable() {
    refuses_and_recovers(Mode::ReadOnly).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_writes_is_tried_again() {
    refuses_and_recovers(Mode::WriteFails).await;
}

/// As a disk becomes full in life: what fits into the files as they are is still
/// written, and what does not is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_to_grow_loses_nothing() {
    let disk = FaultyDisk::new();
    let host = start(&disk).await;
    let mut receiver = Receiver::start().await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let load = Load::start(&tenant, PUBLISHERS, 100_000, || 0);
    load.acknowledged(20).await;
    disk.is(Mode::NoGrowth);
    load.refused(20).await;
    disk.is(Mode::Well);
    load.forget();
    load.acknowledged(100).await;
    let told = load.end().await;
    assert!(disk.failures() > 0 && told.refused.iter().all(|refused| refused.status == 503));
    all_arrive(&tenant, &mut receiver, &told).await;
    let (acknowledged, refused) = (told.acknowledged.len(), told.refused.len());
    figures(format_args!("{acknowledged} acknowledged, {refused} refused, 0 lost"));
}

/// A sync that failed is not tried again: the program ends, and the next one
/// writes again what is only in memory. Then the power fails.
async fn ends_after_a_failed_sync(of: Of, padding: usize) {
    let (mut seed, mut acknowledged) = (Seed::given(), 0);
    let rounds = setting("HOOKYARD_DISK_ROUNDS").unwrap_or(3);
    for _ in 0..rounds {
        let disk = FaultyDisk::with_journal();
        let host = start(&disk).await;
        let tenant = host.tenant("acme").await;
        let load = Load::start(&tenant, PUBLISHERS, padding, || 0);
        load.acknowledged(50).await;
        let spared = if matches!(of, Of::Log) { seed.below(40) } else { seed.below(2) };
        disk.fails(Mode::SyncFails, of, i32::try_from(spared).expect("a small number"), 1);
        let (status, log) = host.ended().await;
        assert!(!status.success());
        assert!(says(&log, "the disk has failed") == 1, "{log:?}");
        let last = log.iter().rev().find_map(Value::as_str).expect("it says why it ends");
        assert!(last.contains("start again"), "{last}");
        let mut told = load.end().await;
        assert_eq!(disk.failures(), 1);
        assert!(told.refused.iter().all(|refused| refused.status == 503), "{:?}", told.refused);

        let host = start(&disk).await;
        let tenant = Api::new(host.operator.base(), Some(tenant.key()));
        let load = Load::start(&tenant, PUBLISHERS, padding, || 0);
        load.acknowledged(300).await;
        host.kill().await;
        told.acknowledged.append(&mut load.end().await.acknowledged);
        acknowledged += told.acknowledged.len();
        super::power::everything_survives(&disk, &tenant, &told, CUTS, &mut seed).await;
    }
    figures(format_args!("{rounds} failed syncs, {} cuts, {acknowledged} acknowledged, 0 lost", rounds * CUTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sync_of_the_log_failed_nothing_acknowledged_is_lost() {
    ends_after_a_failed_sync(Of::Log, 400).await;
}

/// The log is emptied into the database while the server runs, and begun anew
/// once that is synced.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_sync_of_the_database_failed_nothing_acknowledged_is_lost() {
    ends_after_a_failed_sync(Of::Database, 50_000).await;
}

//! What has to be done now and then, beside something that takes long.

use std::sync::Arc;

use hookyard::activity::Activity;
use hookyard::clock::{Clock as _, SystemClock, random};
use hookyard::domain::event::Draft;
use hookyard::domain::host::Membership;
use hookyard::domain::id::{EventId, KeyId, TenantId, TypedId as _};
use hookyard::domain::key::{Key, KeyHash};
use hookyard::domain::limits::Limits;
use hookyard::domain::retention::{OwnRetention, Retention};
use hookyard::domain::tenant::{DEFAULT_DIALECT, Tenant};
use hookyard::domain::time::Timestamp;
use hookyard::gate::Gate;
use hookyard::sandbox::{Sandbox, SandboxSettings};
use hookyard::store::catalog::NewKey;
use hookyard::store::ledger::Recording;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard::store::{Catalog, Figures as _, Ledger, Picture};
use hookyard::upkeep::{self, Upkeep};
use hookyard_tests::{PATIENCE, TempDir};
use serde_json::value::RawValue;
use tokio::sync::watch;

/// Forty portions of what is purged in one transaction.
const EVENTS: usize = 20_000;
const TOGETHER: usize = 1_000;

async fn tenant(catalog: &dyn Catalog, now: Timestamp) -> TenantId {
    let id = TenantId::new(now, random());
    let tenant = Tenant {
        id,
        name: id.to_string(),
        plan: None,
        dialect: DEFAULT_DIALECT.to_owned(),
        limits: Limits::default(),
        retention: OwnRetention::default(),
        created_at: now,
    };
    let key = NewKey { hash: KeyHash(random()), key: Key::admin(KeyId::new(now, random()), now) };
    catalog.create_tenant(&tenant, key).await.expect("there is room");
    id
}

async fn fill(ledger: &dyn Ledger, tenant: TenantId, now: Timestamp) {
    let draft = Draft {
        event_type: "a.b".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: Vec::new(),
        data: Arc::from(RawValue::NULL.to_owned()),
    };
    let event = |_| Arc::new(draft.clone().into_event(EventId::new(now, random()), tenant, now, None));
    for _ in 0..EVENTS / TOGETHER {
        let events = (0..TOGETHER).map(event).collect();
        let deliveries = Vec::new();
        let recording = Recording { tenant, received: None, events, deliveries, idempotency: None, portion: None };
        ledger.record(recording).await.expect("it is stored");
    }
}

#[tokio::test]
async fn what_happened_is_written_down_while_a_large_tenant_is_purged() {
    let (place, now) = (TempDir::new(), SystemClock.now());
    let store = SqliteStore::open(&place.path().join("hookyard.db"), Seal::new([7; 32])).await;
    let store = Arc::new(store.expect("an empty directory takes a database"));
    let (large, other) = (tenant(&*store, now).await, tenant(&*store, now).await);
    fill(&*store, large, now).await;
    store.delete_tenant(large, now).await.expect("it is there");
    let activity = Activity::default();
    let sandbox =
        SandboxSettings { compiled_dir: place.path().join("compiled"), threads: 1, ..SandboxSettings::default() };
    let upkeep = Upkeep {
        catalog: store.clone(),
        ledger: store.clone(),
        people: store.clone(),
        picture: Arc::new(Picture::load(&*store).await.expect("the store answers")),
        retention: Retention::default(),
        sandbox: Sandbox::start(sandbox).expect("the sandbox starts"),
        gate: Gate::default(),
        activity: activity.clone(),
        membership: Membership::default(),
        clock: Arc::new(SystemClock),
    };
    activity.stored(other, 3, now);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(upkeep::run(upkeep, stopped));
    let written = async {
        while store.activity(other, Timestamp::from_millis(0), now + PATIENCE).await.expect("it answers").is_empty() {}
    };
    tokio::time::timeout(PATIENCE, written).await.expect("it is written down");
    assert_eq!(store.deleted_tenants().await.expect("it answers"), [large], "there is more to purge");
    stop.send(true).expect("it runs");
    running.await.expect("it does not panic");
}

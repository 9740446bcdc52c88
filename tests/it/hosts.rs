//! Hosts that share a database: they find each other, divide what is to be divided
//! and hear of each other's changes. Here the database is one in memory that only
//! knows who lives; what is in it is every engine's own business.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hookyard::clock::{Clock as _, mint, random};
use hookyard::dialects;
use hookyard::domain::host::{Duty, Membership, Part};
use hookyard::domain::id::{HostId, KeyId, TenantId};
use hookyard::domain::key::{Key, KeyHash};
use hookyard::domain::limits::Limits;
use hookyard::domain::plugin::Owner;
use hookyard::domain::retention::OwnRetention;
use hookyard::domain::tenant::{DEFAULT_DIALECT, Tenant};
use hookyard::domain::time::Timestamp;
use hookyard::handoff::lanes::Lanes;
use hookyard::hosts::{self, Member};
use hookyard::sandbox::{Sandbox, SandboxSettings};
use hookyard::store::catalog::NewKey;
use hookyard::store::hosts::{Beat, Hosts};
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard::store::{Catalog, Ledger, Picture, Reply};
use hookyard_tests::{Host, TempDir, TestClock, eventually};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A database, as far as hosts know each other by it.
#[derive(Default)]
struct Register {
    clock: Arc<TestClock>,
    /// Milliseconds that its own clock is before that.
    ahead: AtomicI64,
    /// It does not answer who has changed something, once.
    is_silent: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    living: BTreeMap<HostId, Timestamp>,
    duties: Vec<(Duty, HostId, Timestamp)>,
    changes: Vec<Owner>,
}

impl Register {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().as_millis() + self.ahead.load(Ordering::SeqCst))
    }

    /// Somebody has changed a part of the catalogue.
    fn change(&self, owner: Owner) {
        self.state().changes.push(owner);
    }
}

impl Hosts for Register {
    fn is_alone(&self) -> bool {
        false
    }

    fn beat<'a>(&'a self, host: HostId, life: Duration, duties: &'a [Duty]) -> Reply<'a, Beat> {
        Box::pin(async move {
            let (mut state, clock) = (self.state(), self.now());
            state.living.insert(host, clock + life);
            state.living.retain(|_, until| *until > clock);
            state.duties.retain(|(_, holder, until)| *until > clock && *holder != host);
            let is_free = |duty: &Duty| state.duties.iter().all(|(held, ..)| held != duty);
            let held: Vec<Duty> = duties.iter().copied().filter(is_free).collect();
            state.duties.extend(held.iter().map(|duty| (*duty, host, clock + life)));
            let count = |count: usize| u32::try_from(count).expect("a few");
            let part = Part { rank: count(state.living.range(..host).count()), of: count(state.living.len()) };
            Ok(Beat { part, clock, held })
        })
    }

    fn leave(&self, host: HostId) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut state = self.state();
            state.living.remove(&host);
            state.duties.retain(|(_, holder, _)| *holder != host);
            Ok(())
        })
    }

    fn living(&self) -> Reply<'_, Vec<HostId>> {
        Box::pin(async move {
            let (state, now) = (self.state(), self.now());
            Ok(state.living.iter().filter(|(_, until)| **until > now).map(|(host, _)| *host).collect())
        })
    }

    fn changed(&self, since: i64) -> Reply<'_, (i64, Vec<Owner>)> {
        Box::pin(async move {
            if self.is_silent.swap(false, Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let state = self.state();
            let seen = usize::try_from(since).expect("it was told");
            let newest = i64::try_from(state.changes.len()).expect("a few");
            Ok((newest, state.changes[seen..].to_vec()))
        })
    }
}

/// One host of several, without what takes in and sends.
pub(crate) struct Running {
    pub(crate) id: HostId,
    pub(crate) membership: Membership,
    picture: Arc<Picture>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(register: &Arc<Register>, store: &Arc<SqliteStore>, place: &TempDir) -> Self {
        Self::start_on(register.clone(), store, register.clock.clone(), place).await
    }

    /// One that has this clock.
    pub(crate) async fn start_on(
        hosts: Arc<dyn Hosts>,
        store: &Arc<impl Catalog + Ledger + 'static>,
        clock: Arc<TestClock>,
        place: &TempDir,
    ) -> Self {
        let membership = Membership::outside();
        let id: HostId = mint(clock.now());
        let picture = Arc::new(Picture::load(&**store).await.expect("the store answers"));
        let sandbox = SandboxSettings {
            compiled_dir: place.path().join(id.to_string()),
            threads: 1,
            ..SandboxSettings::default()
        };
        let (dialects, _) = dialects::load(None).expect("they come with the program");
        let member = Member {
            id,
            hosts,
            catalog: store.clone(),
            ledger: store.clone(),
            picture: picture.clone(),
            seen: 0,
            lanes: Lanes::remembering(Vec::new(), membership.clone()),
            sandbox: Sandbox::start(sandbox).expect("the sandbox starts"),
            dialects: Arc::new(dialects),
            membership: membership.clone(),
            clock,
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(hosts::run(member, stopped.clone(), stopped));
        Self { id, membership, picture, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(true).expect("it runs");
        self.task.await.expect("it does not panic");
    }
}

async fn a_store(place: &TempDir) -> Arc<SqliteStore> {
    let store = SqliteStore::open(&place.path().join("hookyard.db"), Seal::new([7; 32])).await;
    Arc::new(store.expect("an empty directory takes a database"))
}

async fn a_tenant(store: &SqliteStore, dialect: &str, now: Timestamp) -> TenantId {
    let id: TenantId = mint(now);
    let tenant = Tenant {
        id,
        name: id.to_string(),
        plan: None,
        dialect: dialect.to_owned(),
        limits: Limits::default(),
        retention: OwnRetention::default(),
        created_at: now,
    };
    let key = NewKey { hash: KeyHash(random()), key: Key::admin(mint::<KeyId>(now), now) };
    store.create_tenant(&tenant, key).await.expect("there is room");
    tenant.id
}

#[tokio::test]
async fn hosts_have_equal_parts_and_one_has_each_duty() {
    let (place, register) = (TempDir::new(), Arc::<Register>::default());
    let store = a_store(&place).await;
    let clock = register.clock.clone();
    let part = async |host: &Running, rank, of| {
        let wanted = Some(Part { rank, of });
        eventually("a part of it", async || (host.membership.part(clock.now()) == wanted).then_some(())).await;
    };
    let duties = |host: &Running| Duty::ALL.map(|duty| host.membership.has(duty, clock.now()));
    let has_all = async |host: &Running| {
        eventually("its duties", async || (duties(host) == [true; 2]).then_some(())).await;
    };

    let first = Running::start(&register, &store, &place).await;
    part(&first, 0, 1).await;
    has_all(&first).await;
    clock.advance(Duration::from_millis(10));
    let second = Running::start(&register, &store, &place).await;
    assert_eq!(second.membership.part(clock.now()), None, "the first may not know of it yet");
    assert!(second.membership.why_not(clock.now()).is_some());
    part(&first, 0, 2).await;
    part(&second, 1, 2).await;
    assert_eq!((duties(&first), duties(&second)), ([true; 2], [false; 2]));
    assert_eq!(register.living().await.expect("it answers"), [first.id, second.id]);

    // It dies: nobody says so, and nobody counts it any more, itself included.
    first.task.abort();
    clock.advance(Duration::from_secs(5));
    assert_eq!((first.membership.part(clock.now()), duties(&first)), (None, [false; 2]));
    part(&second, 0, 1).await;
    has_all(&second).await;
    // One that stops is gone at once.
    let third = Running::start(&register, &store, &place).await;
    part(&second, 0, 2).await;
    second.stop().await;
    part(&third, 0, 1).await;
    has_all(&third).await;
    third.stop().await;
    assert!(register.state().living.is_empty() && register.state().duties.is_empty());
}

#[tokio::test]
async fn what_one_host_changes_the_others_see() {
    let (place, register) = (TempDir::new(), Arc::<Register>::default());
    let store = a_store(&place).await;
    let host = Running::start(&register, &store, &place).await;
    let now = register.clock.now();
    let tenant = a_tenant(&store, DEFAULT_DIALECT, now).await;
    assert!(host.picture.tenant(tenant).is_none());
    register.change(Owner::Tenant(tenant));
    eventually("the tenant", async || host.picture.tenant(tenant)).await;
    store.delete_tenant(tenant, now).await.expect("it is there");
    register.change(Owner::House);
    register.change(Owner::Tenant(tenant));
    eventually("its end", async || host.picture.tenant(tenant).is_none().then_some(())).await;

    // What this host could not send it says that it cannot.
    let why_not = || host.membership.why_not(register.clock.now());
    eventually("a part", async || why_not().is_none().then_some(())).await;
    let stranger = a_tenant(&store, "of-another-host", now).await;
    register.change(Owner::Tenant(stranger));
    eventually("a word on it", async || why_not().filter(|why| why.contains("dialect"))).await;
    store.delete_tenant(stranger, now).await.expect("it is there");
    register.change(Owner::Tenant(stranger));
    eventually("an end of it", async || why_not().is_none().then_some(())).await;
    host.stop().await;
}

#[tokio::test]
async fn one_tenant_that_cannot_be_read_keeps_no_other_from_being_seen() {
    let (place, register) = (TempDir::new(), Arc::<Register>::default());
    let store = a_store(&place).await;
    let host = Running::start(&register, &store, &place).await;
    let why_not = || host.membership.why_not(register.clock.now());
    eventually("a part", async || why_not().is_none().then_some(())).await;
    let now = register.clock.now();
    let [broken, sound] = [a_tenant(&store, DEFAULT_DIALECT, now).await, a_tenant(&store, DEFAULT_DIALECT, now).await];
    let name = async |value: &str| {
        let path = place.path().join("hookyard.db");
        let mut database = SqliteConnectOptions::new().filename(path).connect().await.expect("it opens");
        let named = format!("UPDATE tenants SET name = {value} WHERE id = '{broken}'");
        sqlx::query(sqlx::AssertSqlSafe(named)).execute(&mut database).await.expect("it is ours");
        database.close().await.expect("it closes");
    };
    name("x'ff'").await;
    register.change(Owner::Tenant(broken));
    register.change(Owner::Tenant(sound));
    eventually("the other tenant", async || host.picture.tenant(sound)).await;
    assert!(host.picture.tenant(broken).is_none());
    // Whoever has not read everything for long says so.
    register.clock.advance(Duration::from_secs(10));
    eventually("a word on it", async || why_not().filter(|why| why.contains("not read for 10 s"))).await;

    // Nor is one answer waited for that does not come.
    register.is_silent.store(true, Ordering::SeqCst);
    eventually("a question", async || (!register.is_silent.load(Ordering::SeqCst)).then_some(())).await;
    name("'sound'").await;
    eventually("the tenant", async || host.picture.tenant(broken)).await;
    eventually("an end of it", async || why_not().is_none().then_some(())).await;
    host.stop().await;
}

#[tokio::test]
async fn a_host_goes_by_the_databases_clock_and_says_when_its_own_is_far_off() {
    let (place, register) = (TempDir::new(), Arc::<Register>::default());
    let store = a_store(&place).await;
    register.ahead.store(60_000, Ordering::SeqCst);
    let host = Running::start(&register, &store, &place).await;
    let why_not = || host.membership.why_not(register.clock.now());
    eventually("a word on it", async || why_not().filter(|why| why.contains("clock") && why.contains("5 s"))).await;
    let now = register.clock.now();
    let ahead = host.membership.in_step(now).since(now);
    assert!(ahead > Duration::from_secs(59) && ahead < Duration::from_secs(61), "{ahead:?}");
    // It lives until then by that clock, or the others would take it for dead.
    eventually("a life", async || {
        let until = register.state().living.get(&host.id).copied();
        until.filter(|until| *until > now + Duration::from_secs(60))
    })
    .await;
    register.ahead.store(0, Ordering::SeqCst);
    eventually("an end of it", async || why_not().is_none().then_some(())).await;
    host.stop().await;
}

/// Where there are others, they take it at once.
#[tokio::test]
async fn a_host_that_stops_gives_back_what_it_has_not_begun() {
    let mut host = Host::start().await;
    // It takes a request and does not answer before it is told to.
    let receiver = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let url = format!("http://{}/", receiver.local_addr().expect("it is bound"));
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&url, json!({"max_in_flight": 1, "timeout_seconds": 30})).await;
    let first = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    let (in_flight, _) = receiver.accept().await.expect("the first is being sent");
    let second = tenant.publish(json!({"type": "a.b", "data": 2})).await;

    let path = host.data().join("hookyard.db");
    let held = async || {
        let mut database = SqliteConnectOptions::new().filename(&path).connect().await.expect("it opens");
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT event_id, attempts FROM deliveries WHERE claim IS NOT NULL ORDER BY event_id")
                .fetch_all(&mut database)
                .await
                .expect("it is ours");
        database.close().await.expect("it closes");
        rows
    };
    assert_eq!(held().await, [(first.clone(), 0), (second.clone(), 0)]);
    let address = host.address();
    let answer = async {
        eventually("an end of all listening", async || TcpStream::connect(address).await.err()).await;
        eventually("the second's return", async || (held().await == [(first.clone(), 0)]).then_some(())).await;
        drop(in_flight);
    };
    tokio::join!(host.stop(), answer);
    assert_eq!(held().await, []);

    let again = host.restart().await;
    let (stream, _) = receiver.accept().await.expect("the next start sends what is due");
    drop((stream, again));
}

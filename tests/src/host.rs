//! A host inside the test's own process, with a clock that the test turns.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use hookyard::RunError;
use hookyard::clock::{Clock, SystemClock};
use hookyard::config::{Door, MasterKey, Settings};
use hookyard::dial::{Names, SystemNames};
use hookyard::domain::address::AddressPolicy;
use hookyard::domain::chat::ChatSettings;
use hookyard::domain::database::Durability;
use hookyard::domain::egress::EgressProxy;
use hookyard::domain::key::KeyText;
use hookyard::domain::oidc::OidcSettings;
use hookyard::domain::retention::Retention;
use hookyard::domain::time::Timestamp;
use hookyard::domain::url::UrlPolicy;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::postgres::{self, Database};
use crate::{PATIENCE, TempDir, build};

/// Set, it has every host that says nothing else keep what it keeps in PostgreSQL:
/// the whole suite is a test of that engine then.
const ON_POSTGRES: &str = "HOOKYARD_TESTS_ON_POSTGRES";

/// The operator's key of every host under test.
pub const OPERATOR_KEY: &str = "operator-key-for-tests-only";
/// And its master key.
pub const MASTER_KEY: [u8; 32] = [42; 32];

/// Runs with the machine's clock, and ahead of it as far as the test says.
#[derive(Default)]
pub struct TestClock {
    ahead: AtomicI64,
    stride: AtomicI64,
    is_broken: AtomicBool,
}

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// From now on whoever looks at it sees it that much later than whoever did
    /// before: work that looks whether its time is up finds that it is.
    pub fn hurry(&self, by: Duration) {
        self.stride.store(millis(by), Ordering::SeqCst);
    }

    /// Whoever looks at it next panics, and nobody else.
    pub fn break_once(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        assert!(!self.is_broken.swap(false, Ordering::SeqCst), "the clock is broken, as the test wants it");
        let stride = self.stride.load(Ordering::SeqCst);
        let ahead = stride + self.ahead.fetch_add(stride, Ordering::SeqCst);
        Timestamp::from_millis(SystemClock.now().as_millis() + ahead)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a short time")
}

/// What few tests set.
#[derive(Default)]
pub struct Extra {
    /// A PostgreSQL database; in the data directory, where there is none.
    pub database: Option<Arc<Database>>,
    pub dialects: Option<PathBuf>,
    pub chat: Option<ChatSettings>,
    pub egress: Option<EgressProxy>,
    /// Where spans are sent.
    pub otlp: Option<reqwest::Url>,
    /// Whom people may sign in with.
    pub oidc: Option<OidcSettings>,
    pub door: Door,
    /// What names stand for, other than the system says.
    pub names: Option<Arc<dyn Names>>,
    /// Makes the link for the operator's first user, as `serve` does.
    pub first_link: bool,
    /// Serves once the plugins are ready that take long to compile, too.
    pub complete: bool,
}

/// A running host.
pub struct Host {
    pub operator: Api,
    pub clock: Arc<TestClock>,
    /// Lets the operator's first user in, where it was asked for and there is
    /// none.
    pub first_link: Option<String>,
    address: SocketAddr,
    running: Option<Running>,
    data: Arc<TempDir>,
    database: Option<Arc<Database>>,
}

struct Running {
    /// Said or dropped, it ends.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), RunError>>,
}

impl Host {
    /// A fresh one that may deliver to loopback over plain HTTP.
    pub async fn start() -> Self {
        Self::start_with(local()).await
    }

    /// A fresh one with another policy for URLs.
    pub async fn start_with(urls: UrlPolicy) -> Self {
        Self::start_as(urls, Extra::default()).await
    }

    /// A fresh one with what else an operator may set.
    pub async fn start_as(urls: UrlPolicy, mut extra: Extra) -> Self {
        let data = TempDir::new();
        copy(template().await.path(), data.path());
        if extra.database.is_none() && std::env::var_os(ON_POSTGRES).is_some() {
            extra.database = Some(Arc::new(postgres::database().await));
        }
        Self::on(Arc::new(data), urls, Arc::default(), extra).await
    }

    async fn on(data: Arc<TempDir>, urls: UrlPolicy, clock: Arc<TestClock>, extra: Extra) -> Self {
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: data.path().to_owned(),
            database: match &extra.database {
                Some(database) => kept_in(database),
                None => hookyard::domain::database::Database::Sqlite(data.path().join("hookyard.db")),
            },
            public_url: None,
            operator_key: KeyText::given(OPERATOR_KEY),
            master_key: MasterKey::new(MASTER_KEY),
            urls,
            retention: Retention::default(),
            egress: extra.egress,
            door: extra.door,
            dialects: extra.dialects,
            chat: extra.chat,
            otlp: extra.otlp,
            oidc: extra.oidc,
            compiler: build::hookyard().to_owned(),
        };
        let listener = TcpListener::bind(settings.listen).await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let base = format!("http://{address}");
        let names = extra.names.unwrap_or_else(|| Arc::new(SystemNames));
        let host = hookyard::Host::start_with_names(settings, clock.clone(), base.clone(), names).await;
        let host = host.expect("the host starts");
        if extra.complete {
            host.prepare_rest().await.expect("every first-party plugin compiles");
        }
        let first_link = match extra.first_link {
            true => host.first_link().await.expect("the store answers"),
            false => None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let told_or_dropped = async {
                let _either = stopped.await;
            };
            host.serve(listener, told_or_dropped).await
        });
        let operator = Api::new(base, Some(OPERATOR_KEY));
        let (running, database) = (Some(Running { stop, serving }), extra.database);
        Self { operator, clock, first_link, address, running, data, database }
    }

    /// By its own clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A new tenant's API.
    pub async fn tenant(&self, name: &str) -> Api {
        self.tenant_with(json!({"name": name})).await
    }

    /// A new tenant's API, all of its form given.
    pub async fn tenant_with(&self, form: serde_json::Value) -> Api {
        let tenant = self.operator.post("/v1/tenants", form).await.expect(201);
        self.operator.with_key(tenant["key"].as_str())
    }

    /// A new tenant that speaks a dialect.
    pub async fn tenant_of(&self, dialect: &str) -> Api {
        self.tenant_with(json!({"name": format!("a tenant of {dialect}"), "dialect": dialect})).await
    }

    /// Stops as SIGTERM does, then starts again on the same data.
    pub async fn restart(self) -> Self {
        self.restart_with(local()).await
    }

    /// The same, with another policy for URLs.
    pub async fn restart_with(self, urls: UrlPolicy) -> Self {
        self.restart_as(urls, Extra::default()).await
    }

    /// The same, with what else an operator may set.
    pub async fn restart_as(mut self, urls: UrlPolicy, mut extra: Extra) -> Self {
        self.stop().await;
        extra.database = extra.database.or(self.database.clone());
        Self::on(self.data.clone(), urls, self.clock.clone(), extra).await
    }

    /// Stops as SIGTERM does.
    pub async fn stop(&mut self) {
        if let Some(Running { stop, serving }) = self.running.take() {
            let _ends_by_itself = stop.send(());
            serving.await.expect("the host does not panic").expect("nothing fails");
        }
    }

    /// Why it ended without being told to.
    pub async fn ended(&mut self) -> RunError {
        let Running { stop: _stop, serving } = self.running.take().expect("it runs");
        let ended = tokio::time::timeout(PATIENCE, serving).await.expect("it ends");
        ended.expect("the host does not panic").expect_err("nobody told it to stop")
    }
}

/// As the settings say it.
pub fn kept_in(database: &Database) -> hookyard::domain::database::Database {
    let url = database.url().parse().expect("a server's URL");
    hookyard::domain::database::Database::Postgres(url, Durability::Required)
}

/// Loopback, over plain HTTP.
pub fn local() -> UrlPolicy {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    UrlPolicy { allow_http: true, addresses: AddressPolicy::allowing(vec![loopback]), own_receiver: None }
}

/// A data directory as a first start leaves it: compiling the first-party
/// plugins once is enough.
async fn template() -> &'static TempDir {
    static TEMPLATE: OnceCell<TempDir> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(async || {
            let data = Arc::new(TempDir::new());
            // What an earlier run compiled is as good: it is sealed with the
            // key of every host under test, and named by what it was made of.
            let (compiled, kept) = (data.path().join("compiled"), build::target_dir().join("compiled"));
            std::fs::create_dir_all(&kept).expect("the target directory can be written");
            std::fs::create_dir(&compiled).expect("a directory can be made");
            copy(&kept, &compiled);
            let complete = Extra { complete: true, ..Extra::default() };
            let mut host = Host::on(data.clone(), local(), Arc::default(), complete).await;
            host.stop().await;
            drop(host);
            copy(&compiled, &kept);
            Arc::into_inner(data).expect("the host is gone")
        })
        .await
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a directory can be made");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a file can be copied");
        }
    }
}

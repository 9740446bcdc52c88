//! A host on a database of its own, its tenants and their receiver; and what is read
//! off before and after it was sent to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hookyard_tests::postgres::{Cluster, Database};
use hookyard_tests::{Api, HostProcess, TempDir, eventually, text};
use serde_json::json;
use tokio::time::Instant;

use crate::counters::{Counters, FLUSH};
use crate::load::{self, Target};
use crate::measured::Spent;
use crate::receiver::Receiver;
use crate::shape::{Shape, Way};

const TENANTS: usize = 10;
/// No checkpoint but those that are asked for; and what counts statements.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "1GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1h"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.max", "20000"),
];

/// What all subjects share.
pub(crate) struct Place {
    cluster: Cluster,
    receiver: Receiver,
}

impl Place {
    pub(crate) async fn start() -> Self {
        let receiver = Receiver::start().await;
        let cluster = Cluster::start_with(SETTINGS).await;
        cluster.psql("CREATE EXTENSION pg_stat_statements").await;
        Self { cluster, receiver }
    }

    /// The machine and the server.
    pub(crate) async fn told(&self) -> String {
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let version = self.cluster.psql("SHOW server_version").await;
        let sync = self.sync();
        format!(
            "{cpus} processors ({}), PostgreSQL {version}. A write of 8 KiB is on the disk after {:.2} ms (median of \
             200). Host, PostgreSQL, load and receiver share it.\n",
            model.trim_start_matches([':', ' ', '\t']),
            sync.as_secs_f64() * 1e3,
        )
    }

    /// How long the disk takes for what a commit asks of it.
    fn sync(&self) -> Duration {
        use std::io::{Seek as _, Write as _};
        let mut file = std::fs::File::create(self.cluster.directory().join("sync")).expect("it can be written");
        file.write_all(&[0; 8192]).and_then(|()| file.sync_all()).expect("it can be written");
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let began = std::time::Instant::now();
                file.rewind().and_then(|()| file.write_all(&[1; 8192])).expect("it can be written");
                file.sync_data().expect("it can be synced");
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

/// One host, and one kind of load for it.
pub(crate) struct Subject<'p> {
    place: &'p Place,
    database: Database,
    host: HostProcess,
    target: Arc<Target>,
    _data: TempDir,
}

impl<'p> Subject<'p> {
    pub(crate) async fn start(place: &'p Place, shape: Shape) -> Self {
        let (database, data) = (place.cluster.database().await, TempDir::new());
        let variables = [("HOOKYARD_DATABASE", database.url()), ("HOOKYARD_LOG", "hookyard::cli=info")];
        let host = HostProcess::start_with(data.path(), &variables).await;
        let address = host.address().to_string();
        let mut heads = Vec::new();
        for tenant in 0..TENANTS {
            let api = host.tenant(&format!("tenant {tenant}")).await;
            for endpoint in 0..shape.deliveries {
                let url = format!("http://{}/", place.receiver.address);
                api.endpoint(&url, json!({"name": format!("endpoint {endpoint}")})).await;
            }
            heads.push(head(&address, &api, shape.way).await);
        }
        let target = Arc::new(Target { address, heads, shape, sent: AtomicU64::new(0) });
        let subject = Self { place, database, host, target, _data: data };
        // A host that starts is not let in at once.
        eventually("a host that is ready", async || {
            (subject.host.operator.get("/readyz").await.status == 200).then_some(())
        })
        .await;
        subject
    }

    /// Sends events and waits until what was made of them has come to rest.
    pub(crate) async fn send(&self, events: u64, rate: Option<u64>) {
        let came = self.place.receiver.came();
        load::send(self.target.clone(), events, rate).await;
        let wanted = came + events * self.target.shape.deliveries;
        let mut last = (Instant::now(), came);
        while last.1 < wanted {
            let now = self.place.receiver.came();
            if now > last.1 {
                last = (Instant::now(), now);
            }
            assert!(last.0.elapsed() < hookyard_tests::PATIENCE, "{} of {wanted} came, and then none", last.1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eventually("the end of every delivery", async || {
            (self.database.psql("SELECT EXISTS (SELECT 1 FROM deliveries_pending)").await == "f").then_some(())
        })
        .await;
    }

    /// What so many events cost, with what the host does anyway.
    pub(crate) async fn measured(&self, events: u64, rate: Option<u64>) -> Spent {
        let (before, began) = (self.counters().await, Instant::now());
        self.send(events, rate).await;
        let busy = began.elapsed();
        let after = self.counters().await;
        Spent { counters: after - before, events, busy, whole: began.elapsed() }
    }

    /// What the host does with nothing to do.
    pub(crate) async fn at_rest(&self, duration: Duration) -> Spent {
        let (before, began) = (self.counters().await, Instant::now());
        tokio::time::sleep(duration).await;
        let after = self.counters().await;
        Spent { counters: after - before, events: 0, busy: duration, whole: began.elapsed() }
    }

    /// From here on the first change of each page is written with the whole page.
    pub(crate) async fn checkpoint(&self) {
        self.place.cluster.psql("CHECKPOINT").await;
    }

    async fn counters(&self) -> Counters {
        // The server's processes tell what they did at most so much later.
        tokio::time::sleep(FLUSH).await;
        Counters::read(&self.place.cluster, &self.database, self.host.id()).await
    }
}

/// What a tenant's request begins with.
async fn head(address: &str, api: &Api, way: Way) -> String {
    let json = "content-type: application/json\r\n";
    match way {
        Way::Api => {
            format!("POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n{json}", api.key())
        }
        Way::Source => {
            let source = api.post("/v1/sources", json!({"name": "orders"})).await.expect(201);
            let url = text(&source["url"]);
            let path = url.split_once("//").and_then(|(_, rest)| rest.split_once('/')).expect("a URL has a path").1;
            format!("POST /{path} HTTP/1.1\r\nhost: {address}\r\n{json}")
        }
    }
}

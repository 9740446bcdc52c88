//! What is measured: hosts on an engine, each with its part of the load.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::postgres::{Cluster, Database};
use hookyard_tests::{Api, TempDir, build};
use serde_json::json;
use tokio::process::Command;

use crate::load;
use crate::program::Program;

/// Of all hosts together.
const CONNECTIONS: usize = 64;
const WARM_UP_SECONDS: f64 = 3.0;
const OPERATOR_KEY: &str = "operator-key-for-the-benchmark";

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// What was found out.
pub(crate) struct Figures {
    accepted: f64,
    pub(crate) delivered: f64,
    /// Of the hosts.
    cpu_per_1000: f64,
    /// Of the database's server.
    server_per_1000: f64,
    wal_per_event: f64,
    memory: f64,
}

type Row = (&'static str, fn(&Figures) -> f64);

impl Figures {
    pub(crate) const ROWS: &[Row] = &[
        ("accepted/s", |figures| figures.accepted),
        ("delivered/s, all of them", |figures| figures.delivered),
        ("hosts' CPU s per 1,000 events", |figures| figures.cpu_per_1000),
        ("server's CPU s per 1,000 events", |figures| figures.server_per_1000),
        ("WAL bytes per event", |figures| figures.wal_per_event),
        ("hosts' memory, MiB", |figures| figures.memory),
    ];
}

/// A database, if the engine has one outside its hosts.
struct Server {
    cluster: Cluster,
    database: Database,
}

impl Server {
    async fn start() -> Self {
        let settings = [("shared_buffers", "1GB"), ("max_wal_size", "8GB")];
        let cluster = Cluster::start_with(&settings).await;
        let database = cluster.database().await;
        Self { cluster, database }
    }

    async fn wal(&self) -> f64 {
        let bytes = self.database.psql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").await;
        bytes.trim().parse().expect("a number of bytes")
    }
}

/// A host that serves.
struct Host {
    program: Program,
    address: String,
    _data: TempDir,
}

/// Hosts on an engine, ready for their parts of the load.
pub(crate) struct Subject {
    server: Option<Server>,
    hosts: Vec<Host>,
    /// Each host's address and the head of a request to it.
    targets: Vec<(String, String)>,
    /// Counts what is delivered.
    receiver: Api,
    /// How much was accepted so far.
    accepted: u64,
    _receiving: Program,
}

impl Subject {
    pub(crate) async fn start(engine: Engine, hosts: usize) -> Self {
        let mut receiving = Program::itself("receiver", &[]).await;
        let target = receiving.line().await;
        let server = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Server::start().await),
        };
        let mut running = Vec::new();
        for _ in 0..hosts {
            running.push(serve(server.as_ref().map(|server| &server.database)).await);
        }
        // Hosts that share nothing have a tenant each.
        let mut tenants = Vec::new();
        for host in running.iter().take(if engine == Engine::Sqlite { hosts } else { 1 }) {
            tenants.push(tenant_at(host, &target).await);
        }
        for (host, tenant) in running.iter().zip(tenants.iter().cycle()) {
            ready(&Api::new(format!("http://{}", host.address), Some(tenant.key()))).await;
        }
        let targets = running.iter().zip(tenants.iter().cycle());
        let targets = targets.map(|(host, tenant)| (host.address.clone(), head(&host.address, tenant.key()))).collect();
        let receiver = Api::new(format!("http://{target}"), None);
        let mut subject = Self { server, hosts: running, targets, receiver, accepted: 0, _receiving: receiving };
        subject.load(WARM_UP_SECONDS).await;
        subject
    }

    /// Loads it until all is delivered.
    pub(crate) async fn measure(&mut self, duration: Duration) -> Figures {
        let (cpu, server_cpu, wal) = (self.cpu(), self.server_cpu(), self.wal().await);
        let Load { events, accepted_in, delivered_in } = self.load(duration.as_secs_f64()).await;
        let per_1000 = |spent: Duration| spent.as_secs_f64() / events * 1000.0;
        Figures {
            accepted: events / accepted_in,
            delivered: events / delivered_in,
            cpu_per_1000: per_1000(self.cpu() - cpu),
            server_per_1000: per_1000(self.server_cpu().saturating_sub(server_cpu)),
            wal_per_event: (self.wal().await - wal) / events,
            memory: self.hosts.iter().map(|host| host.program.memory()).sum(),
        }
    }

    async fn load(&mut self, seconds: f64) -> Load {
        let started = Instant::now();
        let accepted = send(&self.targets, seconds).await;
        let accepted_in = started.elapsed().as_secs_f64();
        self.accepted += accepted;
        until(&self.receiver, self.accepted).await;
        Load { events: accepted as f64, accepted_in, delivered_in: started.elapsed().as_secs_f64() }
    }

    /// Of the hosts, so far.
    fn cpu(&self) -> Duration {
        self.hosts.iter().map(|host| host.program.cpu()).sum()
    }

    /// Of the database's server, where there is one.
    fn server_cpu(&self) -> Duration {
        self.server.as_ref().map(|server| server.cluster.cpu()).unwrap_or_default()
    }

    async fn wal(&self) -> f64 {
        match &self.server {
            Some(server) => server.wal().await,
            None => 0.0,
        }
    }

    pub(crate) async fn end(self) {
        for host in self.hosts {
            host.program.terminate().await;
        }
    }
}

/// What was accepted and delivered, and in how many seconds.
struct Load {
    events: f64,
    accepted_in: f64,
    delivered_in: f64,
}

async fn tenant_at(host: &Host, target: &str) -> Api {
    let operator = Api::new(format!("http://{}", host.address), Some(OPERATOR_KEY));
    let tenant = operator.post("/v1/tenants", json!({"name": "bench"})).await.expect(201);
    let tenant = operator.with_key(tenant["key"].as_str());
    let steps = json!([{"plugin": "field-mapper", "config": load::mapping()}]);
    tenant.endpoint(&format!("http://{target}/"), json!({"steps": steps})).await;
    tenant
}

/// The host knows the tenant, and has compiled what is compiled beside the start.
async fn ready(host: &Api) {
    for (plugin, config) in [("javascript", json!({"source": "function keep() {}"})), ("jq", json!({"program": "."}))] {
        let trial = json!({"steps": [{"plugin": plugin, "job": "filter", "config": config}],
            "event": {"type": "a.b", "data": 1}});
        hookyard_tests::eventually("a host that is ready", async || {
            (host.post("/v1/try", trial.clone()).await.status == 200).then_some(())
        })
        .await;
    }
}

fn head(address: &str, key: &str) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
}

/// One program loads all hosts: several would take processor time from what is measured.
async fn send(targets: &[(String, String)], seconds: f64) -> u64 {
    let arguments = [
        ("TARGETS", json!(targets).to_string()),
        ("CONNECTIONS", CONNECTIONS.to_string()),
        ("SECONDS", seconds.to_string()),
    ];
    let printed = Program::itself("load", &arguments).await.finish().await;
    printed.trim().parse().expect("the load prints a count")
}

async fn until(receiver: &Api, count: u64) {
    hookyard_tests::eventually("delivery of everything accepted", async || {
        let answer = receiver.get("/count").await.expect(200);
        let seen = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
        (seen.parse::<u64>().expect("a count") >= count).then_some(())
    })
    .await;
}

async fn serve(database: Option<&Database>) -> Host {
    let data = TempDir::new();
    build::compiled_into(data.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("loopback has a port").to_string();
    let log = std::fs::File::create(data.path().join("log")).expect("the directory can be written");
    let mut command = Command::new(build::hookyard());
    command.args(["serve", "--listen", &address, "--allow-http", "--allow-addresses", "127.0.0.0/8", "--data"]);
    command.arg(data.path()).env("HOOKYARD_OPERATOR_KEY", OPERATOR_KEY);
    command.env("HOOKYARD_MASTER_KEY", STANDARD.encode([7; 32]));
    if let Some(database) = database {
        command.env("HOOKYARD_DATABASE", database.url());
    }
    let program = Program::start_logging(command, log);
    let operator = Api::new(format!("http://{address}"), Some(OPERATOR_KEY));
    hookyard_tests::eventually("a host that listens", async || {
        tokio::net::TcpStream::connect(&address).await.ok().map(drop)
    })
    .await;
    operator.get("/readyz").await;
    Host { program, address, _data: data }
}

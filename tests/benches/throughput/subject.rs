//! What is measured, and how: the same load, the same receiver, one after the
//! other.

use std::time::{Duration, Instant};

use hookyard_tests::{Api, TempDir, build};
use serde_json::json;
use tokio::process::Command;

use crate::load;
use crate::program::Program;

const CONNECTIONS: u32 = 64;
const LOW_RATE: u32 = 100;
const LOW_RATE_SECONDS: f64 = 10.0;
const WARM_UP_SECONDS: f64 = 2.0;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Subject {
    Forwarder,
    Hookyard,
}

/// What was found out about one subject.
#[derive(Default)]
pub(crate) struct Figures {
    start_ms: f64,
    memory_at_rest: f64,
    accepted: f64,
    pub(crate) delivered: f64,
    cpu_per_1000: f64,
    memory_after: f64,
    p50_ms: f64,
    p99_ms: f64,
}

type Row = (&'static str, fn(&Figures) -> f64);

impl Figures {
    pub(crate) const ROWS: &[Row] = &[
        ("accepted/s", |figures| figures.accepted),
        ("delivered/s, all of them", |figures| figures.delivered),
        ("CPU seconds per 1,000 events", |figures| figures.cpu_per_1000),
        ("publish to receiver, p50 ms", |figures| figures.p50_ms),
        ("publish to receiver, p99 ms", |figures| figures.p99_ms),
        ("start to ready, ms", |figures| figures.start_ms),
        ("memory at rest, MiB", |figures| figures.memory_at_rest),
        ("memory after the load, MiB", |figures| figures.memory_after),
    ];
}

/// A subject that runs, and how to send it an event.
struct Running {
    program: Program,
    address: String,
    head: String,
    start_ms: f64,
    _data: Option<TempDir>,
}

pub(crate) async fn measure(subject: Subject, duration: Duration) -> Figures {
    let mut receiver = Program::itself("receiver", &[]).await;
    let target = receiver.line().await;
    let running = match subject {
        Subject::Forwarder => forwarder(&target).await,
        Subject::Hookyard => hookyard(&target).await,
    };
    let desk = Api::new(format!("http://{target}"), None);
    let mut figures =
        Figures { start_ms: running.start_ms, memory_at_rest: running.program.memory(), ..Figures::default() };
    // Latency first: what a flat-out run leaves behind (a grown database, a
    // checkpoint) belongs to the flat-out run.
    let warmed = send(&running, 8, WARM_UP_SECONDS, Some(500)).await;
    until(&desk, warmed).await;
    ask(&desk, "/latencies").await;
    let slow = send(&running, 4, LOW_RATE_SECONDS, Some(LOW_RATE)).await;
    until(&desk, warmed + slow).await;
    let latencies = ask(&desk, "/latencies").await;
    let mut latencies = latencies.split(' ').map(|text| text.parse::<f64>().expect("nanoseconds") / 1e6);
    figures.p50_ms = latencies.next().unwrap_or_default();
    figures.p99_ms = latencies.next().unwrap_or_default();

    let before = running.program.cpu();
    let started = Instant::now();
    let accepted = send(&running, CONNECTIONS, duration.as_secs_f64(), None).await;
    figures.accepted = accepted as f64 / started.elapsed().as_secs_f64();
    until(&desk, warmed + slow + accepted).await;
    figures.delivered = accepted as f64 / started.elapsed().as_secs_f64();
    figures.cpu_per_1000 = (running.program.cpu() - before).as_secs_f64() / accepted as f64 * 1000.0;
    figures.memory_after = running.program.memory();
    figures
}

async fn send(running: &Running, connections: u32, seconds: f64, rate: Option<u32>) -> u64 {
    let mut arguments = vec![
        ("TARGETS", json!([[running.address, running.head]]).to_string()),
        ("CONNECTIONS", connections.to_string()),
        ("SECONDS", seconds.to_string()),
    ];
    arguments.extend(rate.map(|rate| ("RATE", rate.to_string())));
    let printed = Program::itself("load", &arguments).await.finish().await;
    printed.trim().parse().expect("the load prints a count")
}

async fn ask(desk: &Api, path: &str) -> String {
    let answer = desk.get(path).await.expect(200);
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

async fn until(desk: &Api, count: u64) {
    hookyard_tests::eventually("delivery of everything accepted", async || {
        let seen: u64 = ask(desk, "/count").await.parse().expect("a count");
        (seen >= count).then_some(())
    })
    .await;
}

async fn forwarder(target: &str) -> Running {
    let started = Instant::now();
    let mut program = Program::itself("forwarder", &[("TARGET", format!("http://{target}/"))]).await;
    let address = program.line().await;
    let head = format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    Running { program, address, head, start_ms: started.elapsed().as_secs_f64() * 1e3, _data: None }
}

/// Set up once, stopped, and started again: what is timed is a start with an
/// existing database.
async fn hookyard(target: &str) -> Running {
    let data = TempDir::new();
    let (first, operator, _) = serve(&data).await;
    let tenant = operator.post("/v1/tenants", json!({"name": "bench"})).await.expect(201);
    let tenant = operator.with_key(tenant["key"].as_str());
    let steps = json!([{"plugin": "field-mapper", "config": load::mapping()}]);
    tenant.endpoint(&format!("http://{target}/"), json!({"steps": steps})).await;
    // The interpreters are compiled beside the first start; the load is not to
    // compete with that.
    for (plugin, config) in [("javascript", json!({"source": "function keep() {}"})), ("jq", json!({"program": "."}))] {
        let trial = json!({"steps": [{"plugin": plugin, "job": "filter", "config": config}], "event": {"type": "a.b", "data": 1}});
        hookyard_tests::eventually("the interpreters' preparation", async || {
            (tenant.post("/v1/try", trial.clone()).await.status == 200).then_some(())
        })
        .await;
    }
    first.terminate().await;

    let (program, operator, start_ms) = serve(&data).await;
    let address = operator.base().trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        tenant.key()
    );
    Running { program, address, head, start_ms, _data: Some(data) }
}

async fn serve(data: &TempDir) -> (Program, Api, f64) {
    const KEY: &str = "operator-key-for-the-benchmark";
    // The port is chosen here, because standard output says nothing and the log
    // goes where an operator's would: into a file.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("loopback has a port").to_string();
    let log = std::fs::File::create(data.path().join("log")).expect("the directory can be written");
    let mut command = Command::new(build::hookyard());
    command.args(["serve", "--listen", &address, "--allow-http", "--allow-addresses", "127.0.0.0/8", "--data"]);
    command.arg(data.path()).env("HOOKYARD_OPERATOR_KEY", KEY);
    let started = Instant::now();
    let program = Program::start_logging(command, log);
    let operator = Api::new(format!("http://{address}"), Some(KEY));
    // Connecting is tried again every millisecond, which is what the start is
    // known to.
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    operator.get("/readyz").await;
    (program, operator, started.elapsed().as_secs_f64() * 1e3)
}

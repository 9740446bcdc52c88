//! `cargo bench --workspace --bench door`: what the API's callers wait, alone and
//! beside connections that drip their heads, in one run. Every call comes over a
//! connection of its own.
//!
//! `HOOKYARD_BENCH_SLOW` (default 10000), `HOOKYARD_BENCH_RATE` (calls a second of
//! each kind, default 100), `HOOKYARD_BENCH_SECONDS` (default 15) and
//! `HOOKYARD_BENCH_CAP` (connections the server holds; its own default) say how
//! many and for how long.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod slow;

use std::net::SocketAddr;
use std::time::Duration;

use hookyard_tests::{Api, HostProcess, TempDir, Wire};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use slow::Slow;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("it may be raised to its maximum");
    // Whoever measures does not wait for whoever drips. In life the slow clients'
    // processors are their own: here they run when nobody else wants to.
    let dripping = Builder::new_multi_thread().worker_threads(1).on_thread_start(yield_to_all).enable_all().build();
    let dripping = dripping.expect("a runtime");
    let measuring = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    measuring.block_on(async {
        let data = TempDir::new();
        let cap = setting("HOOKYARD_BENCH_CAP", 0).to_string();
        let flags = ["--allow-http", "--max-connections", &cap];
        let flags = if cap == "0" { &flags[..1] } else { &flags };
        let host = HostProcess::start_flagged(data.path(), "hookyard::cli=info", flags).await;
        run(&host, dripping.handle()).await;
    });
}

/// The lowest priority; on Linux for this thread only.
fn yield_to_all() {
    rustix::process::nice(19).expect("anybody may become less important");
}

async fn run(host: &HostProcess, dripping: &tokio::runtime::Handle) {
    let tenant = host.tenant("acme").await;
    let address: SocketAddr = tenant.base().trim_start_matches("http://").parse().expect("an address");
    let count = setting("HOOKYARD_BENCH_SLOW", 10_000);
    println!(
        "{:<16} {:>8} {:>8} {:>10} {:>10} {:>10} {:>8} {:>9}",
        "beside", "call", "answers", "p50 ms", "p99 ms", "p99 ratio", "failed", "RSS MiB"
    );
    measure(address, &tenant, Duration::from_secs(3)).await;
    let seconds = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 15));
    let alone = measure(address, &tenant, seconds).await;
    report("nobody", host, &alone, &alone);
    let slow = Slow::start(dripping, address, usize::try_from(count).expect("a count"));
    slow.all_there().await;
    let beside = measure(address, &tenant, seconds).await;
    report(&format!("{} dripping", slow.connected()), host, &beside, &alone);
    println!("{} were cut off and came again", slow.again());
    drop(slow);
}

/// What calls took, and how many were not answered.
struct Measured {
    kind: &'static str,
    millis: Vec<f64>,
    failed: usize,
}

impl Measured {
    fn at(&self, part: f64) -> f64 {
        let last = self.millis.len().saturating_sub(1);
        self.millis.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

fn report(beside: &str, host: &HostProcess, measured: &[Measured], alone: &[Measured]) {
    for (one, before) in measured.iter().zip(alone) {
        let (p50, p99) = (one.at(0.5), one.at(0.99));
        let (kind, count, failed, ratio) = (one.kind, one.millis.len(), one.failed, p99 / before.at(0.99));
        let resident = resident(host.id());
        println!("{beside:<16} {kind:>8} {count:>8} {p50:>10.2} {p99:>10.2} {ratio:>10.2} {failed:>8} {resident:>9}");
    }
}

/// MiB of memory that a process has.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}

/// Calls at a steady rate, whatever the answers take.
async fn measure(address: SocketAddr, tenant: &Api, duration: Duration) -> [Measured; 2] {
    let event = json!({"type": "a.b", "data": {"n": 1}}).to_string();
    let key = tenant.key();
    let head =
        |start: &str| format!("{start} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nconnection: close\r\n");
    let calls = [
        ("read", "200", format!("{}\r\n", head("GET /v1/endpoints"))),
        ("publish", "202", format!("{}content-length: {}\r\n\r\n{event}", head("POST /v1/events"), event.len())),
    ];
    let mut tick =
        interval(Duration::from_secs(1) / u32::try_from(setting("HOOKYARD_BENCH_RATE", 100)).expect("a rate"));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let due = tick.tick().await;
        for (at, (_, status, request)) in calls.iter().enumerate() {
            let (status, request) = (*status, request.clone());
            running.spawn(async move {
                let mut wire = Wire::to(address).await;
                wire.send(request).await;
                let answered = wire.rest().await.starts_with(&format!("HTTP/1.1 {status}"));
                (at, answered.then(|| due.elapsed().as_secs_f64() * 1000.0))
            });
        }
    }
    let mut measured = calls.map(|(kind, _, _)| Measured { kind, millis: Vec::new(), failed: 0 });
    for (at, millis) in running.join_all().await {
        match millis {
            Some(millis) => measured[at].millis.push(millis),
            None => measured[at].failed += 1,
        }
    }
    measured.iter_mut().for_each(|one| one.millis.sort_by(f64::total_cmp));
    measured
}

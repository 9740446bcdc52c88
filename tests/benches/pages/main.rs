//! `cargo bench --workspace --bench pages`: what each page of the dashboard takes the
//! server when there are a million deliveries, and what a first look weighs.
//!
//! `HOOKYARD_BENCH_DELIVERIES` (default 1000000) and `HOOKYARD_BENCH_LOOKS` (at each
//! page, default 100).

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod fill;
mod look;

use hookyard_tests::{Api, HostProcess, Receiver, TempDir};
use serde_json::json;
use tokio::time::Instant;

/// The pages that read what there is much of, and those that read little.
const PAGES: [&str; 24] = [
    "/",
    "/deliveries",
    "/deliveries?state=dead",
    "/deliveries?state=pending",
    "/deliveries?endpoint={endpoint}",
    "/deliveries?endpoint={endpoint}&state=dead",
    "/deliveries?type=order.7",
    "/deliveries?type=order.none",
    "/deliveries?text=needle",
    "/deliveries?after=2020-01-01T00:00&before=2021-01-01T00:00",
    "/deliveries/{delivery}",
    "/events",
    "/events?type=order.7",
    "/events?type=order.none",
    "/events/{event}",
    "/endpoints",
    "/endpoints/{endpoint}",
    "/endpoints/{endpoint}/pipeline",
    "/sources",
    "/requests",
    "/replays",
    "/plugins",
    "/audit",
    "/plan",
];

const WANTED_MS: f64 = 50.0;

fn setting(name: &str, default: u64) -> u64 {
    hookyard_tests::setting(name).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let data = TempDir::new();
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_LOG", "hookyard::cli=info")]).await;
    let receiver = Receiver::start().await;
    let tenant = host.tenant("bench").await;
    let models = fill::models(&tenant, &receiver).await;
    host.terminate().await;
    let count = setting("HOOKYARD_BENCH_DELIVERIES", 1_000_000);
    let started = Instant::now();
    fill::multiply(data.path(), &models, count).await;
    println!("{count} deliveries written in {:.0} s", started.elapsed().as_secs_f64());

    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_LOG", "hookyard::cli=info")]).await;
    let tenant = Api::new(host.operator.base(), Some(tenant.key()));
    let visitor = look::Visitor::signed_in(&tenant).await;
    println!("{:<60} {:>8} {:>8} {:>8} {:>10}", "", "p50 ms", "p95 ms", "most ms", "bytes");
    let mut slow = Vec::new();
    for page in PAGES {
        let path = models.fill(page);
        let looks = visitor.look(&path, setting("HOOKYARD_BENCH_LOOKS", 100)).await;
        let (p50, p95, most) = (looks.at(0.5), looks.at(0.95), looks.at(1.0));
        println!("{page:<60} {p50:>8.1} {p95:>8.1} {most:>8.1} {:>10}", looks.bytes);
        slow.extend((p95 > WANTED_MS).then_some(page));
    }
    println!("a first look, with style and scripts: {} bytes at most", visitor.heaviest());
    println!("slower than {WANTED_MS} ms at p95: {slow:?}");
    host.terminate().await;
}

fn endpoint_form(name: &str, types: &str) -> serde_json::Value {
    json!({"name": name, "event_types": [types], "retry": {"schedule": []}})
}

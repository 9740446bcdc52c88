//! `cargo bench --workspace --bench fairness`: what healthy receivers' deliveries
//! take from publishing to arrival, alone and beside receivers that hang; and what
//! other tenants' take beside one with much waiting. All in one run, on one host.
//!
//! `HOOKYARD_BENCH_ENDPOINTS` (default 10000), `HOOKYARD_BENCH_WAITING` (default
//! 100000), `HOOKYARD_BENCH_RATE` (events a second, default 200) and
//! `HOOKYARD_BENCH_SECONDS` (default 15) say how many and for how long.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod arrivals;

use std::sync::Arc;
use std::time::Duration;

use hookyard_tests::{Api, HostProcess, TempDir, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use arrivals::{Arrivals, at};

const ENDPOINTS_OF_A_TENANT: usize = 100;
/// Of how many tenants one has much waiting.
const TENANTS: usize = 50;
/// Requests to the API at once, while things are set up.
const AT_ONCE: usize = 8;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let data = TempDir::new();
        let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
        let arrivals = Arrivals::start().await;
        hanging(&host, &arrivals).await;
        waiting(&host, &arrivals).await;
    });
}

/// One endpoint, and the type of event that goes to it alone.
struct Place {
    tenant: Api,
    path: String,
    event_type: String,
}

async fn hanging(host: &HostProcess, arrivals: &Arrivals) {
    let count = setting("HOOKYARD_BENCH_ENDPOINTS", 10_000) as usize;
    let rate = setting("HOOKYARD_BENCH_RATE", 200);
    let duration = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 15));
    let places = Arc::new(set_up(host, arrivals, count).await);
    // It accepts connections and never reads from them.
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let url = format!("http://{}/", hangs.local_addr().expect("it is bound"));
    println!("{count} endpoints of {} tenants, {rate} events a second", count.div_ceil(ENDPOINTS_OF_A_TENANT));
    println!("{:<22} {:>8} {:>10} {:>10} {:>10}", "hanging", "healthy", "p50 ms", "p99 ms", "p99 ratio");
    let mut alone = None;
    let mut broken = 0;
    send(&places, 0, rate, Duration::from_secs(5), arrivals).await;
    for hanging in [0, 1, 100, 1000] {
        while broken < hanging.min(count / 2) {
            let place = &places[spread(broken, count)];
            place.tenant.patch(&place.path, json!({"url": url})).await.expect(200);
            broken += 1;
        }
        let times = send(&places, broken, rate, duration, arrivals).await;
        let p99 = at(&times, 0.99);
        let ratio = p99 / *alone.get_or_insert(p99);
        println!("{hanging:<22} {:>8} {:>10.2} {p99:>10.2} {ratio:>10.2}", times.len(), at(&times, 0.5));
    }
}

/// The place of the `n`th of those that break: every tenth, then those between.
fn spread(n: usize, count: usize) -> usize {
    (n * 10 + n * 10 / count) % count
}

async fn set_up(host: &HostProcess, arrivals: &Arrivals, count: usize) -> Vec<Place> {
    let mut making = JoinSet::new();
    let mut places = Vec::with_capacity(count);
    for owner in 0..count.div_ceil(ENDPOINTS_OF_A_TENANT) {
        let tenant = host.tenant(&format!("tenant {owner}")).await;
        let url = arrivals.url();
        making.spawn(async move {
            let mut places = Vec::new();
            for n in 0..ENDPOINTS_OF_A_TENANT {
                let event_type = format!("e.n{n}");
                let form = json!({"name": event_type, "event_types": [event_type]});
                let made = tenant.endpoint(&url, form).await;
                let path = format!("/v1/endpoints/{}", hookyard_tests::text(&made["id"]));
                places.push(Place { tenant: tenant.clone(), path, event_type });
            }
            places
        });
        if making.len() >= AT_ONCE {
            places.extend(making.join_next().await.expect("there are some").expect("it does not panic"));
        }
    }
    while let Some(made) = making.join_next().await {
        places.extend(made.expect("it does not panic"));
    }
    places.truncate(count);
    places
}

/// Publishes to endpoint after endpoint, and answers how long those took that do
/// not hang.
async fn send(places: &Arc<Vec<Place>>, broken: usize, rate: u64, duration: Duration, arrivals: &Arrivals) -> Vec<f64> {
    let count = places.len();
    let hanging: std::collections::HashSet<usize> = (0..broken).map(|n| spread(n, count)).collect();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (started, mut healthy, mut publishing, mut next) = (Instant::now(), 0, JoinSet::new(), 0);
    arrivals.take();
    while started.elapsed() < duration {
        ticks.tick().await;
        // A step that meets every endpoint, hanging ones as often as others.
        next = (next + 7_919) % count;
        healthy += usize::from(!hanging.contains(&next));
        let (places, at, now) = (places.clone(), next, arrivals.now());
        publishing.spawn(async move {
            let place = &places[at];
            place.tenant.publish(json!({"type": place.event_type, "data": {"at": now}})).await;
        });
        while publishing.try_join_next().is_some() {}
    }
    while publishing.join_next().await.is_some() {}
    eventually("the healthy receivers' deliveries", async || (arrivals.count() >= healthy).then_some(())).await;
    arrivals.take()
}

async fn waiting(host: &HostProcess, arrivals: &Arrivals) {
    let waiting = setting("HOOKYARD_BENCH_WAITING", 100_000);
    let duration = Duration::from_secs(setting("HOOKYARD_BENCH_SECONDS", 15));
    let flood = Arrivals::start_elsewhere();
    let greedy = host.tenant("greedy").await;
    let made = greedy.endpoint(&flood.url(), json!({"rate_limit": {"limit": 1, "per": "hour"}})).await;
    let path = format!("/v1/endpoints/{}", hookyard_tests::text(&made["id"]));
    let mut others = Vec::new();
    for n in 1..TENANTS {
        let tenant = host.tenant(&format!("other {n}")).await;
        tenant.endpoint(&arrivals.url(), json!({})).await;
        others.push(tenant);
    }
    let events: Vec<Value> = (0..500).map(|n| json!({"type": "a.b", "data": {"at": 0, "n": n}})).collect();
    for _ in 0..waiting.div_ceil(500) {
        greedy.post("/v1/events", json!(events)).await.expect(202);
    }
    let _warm = each_second(&others, Duration::from_secs(3), arrivals).await;
    let alone = each_second(&others, duration, arrivals).await;
    let before = flood.count();
    greedy.patch(&path, json!({"rate_limit": null})).await.expect(200);
    let started = Instant::now();
    let beside = each_second(&others, duration, arrivals).await;
    let drained = flood.count() - before;
    println!("\n{waiting} deliveries of one tenant waiting; {} others at 1 event a second each", others.len());
    println!("{:<22} {:>8} {:>10} {:>10} {:>10}", "", "events", "p50 ms", "p99 ms", "p99 ratio");
    for (name, times) in [("while they wait", &alone), ("while they go out", &beside)] {
        let ratio = at(times, 0.99) / at(&alone, 0.99);
        println!("{name:<22} {:>8} {:>10.2} {:>10.2} {ratio:>10.2}", times.len(), at(times, 0.5), at(times, 0.99));
    }
    println!("of those that waited, {:.0} a second went out", drained as f64 / started.elapsed().as_secs_f64());
}

/// One event of each tenant in each second, spread over it.
async fn each_second(tenants: &[Api], duration: Duration, arrivals: &Arrivals) -> Vec<f64> {
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(tenants.len()).unwrap_or(1));
    let (started, mut sent, mut publishing) = (Instant::now(), 0, JoinSet::new());
    arrivals.take();
    while started.elapsed() < duration {
        ticks.tick().await;
        let (tenant, now) = (tenants[sent % tenants.len()].clone(), arrivals.now());
        publishing.spawn(async move { tenant.publish(json!({"type": "a.b", "data": {"at": now}})).await });
        sent += 1;
    }
    while publishing.join_next().await.is_some() {}
    eventually("the other tenants' deliveries", async || (arrivals.count() >= sent).then_some(())).await;
    arrivals.take()
}

//! Long runs, which `tests/soak` starts: a million events, five hundred bad
//! receivers at once, and faults of every kind for as long as one likes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookyard_tests::disk::{FaultyDisk, Mode};
use hookyard_tests::faulty::Faulty;
use hookyard_tests::load::Load;
use hookyard_tests::seed::Seed;
use hookyard_tests::{Api, HostProcess, PATIENCE, TempDir, eventually, figures, list, setting, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
/// What many bad receivers at once may cost.
const MOST_GROWTH: u64 = 64 * MIB;
/// What a host may grow by in an hour of faults.
const MOST_AN_HOUR: f64 = 1.0;

/// How often each event has come.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<HashMap<String, u32>>>);

impl Tally {
    /// Where it listens. One of so many requests is refused; 0 means none.
    async fn start(refuses: u32) -> (Self, String) {
        let tally = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("it is bound"));
        let router = Router::new().fallback(count).with_state((tally.clone(), refuses));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (tally, url)
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, u32>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn count(State((tally, refuses)): State<(Tally, u32)>, headers: HeaderMap) -> StatusCode {
    let id = headers["webhook-id"].to_str().expect("an id").to_owned();
    let number = u32::from_le_bytes(hookyard::clock::random());
    if refuses > 0 && number.is_multiple_of(refuses) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    tally.with(|arrived| *arrived.entry(id).or_default() += 1);
    StatusCode::NO_CONTENT
}

/// Resident memory of a process, now and at most, in bytes.
fn memory(host: &HostProcess) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// What it had at most counts from now on.
fn forget_most(host: &HostProcess) {
    std::fs::write(format!("/proc/{}/clear_refs", host.id()), "5").expect("Linux lets its owner do so");
}

fn open_files(host: &HostProcess) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", host.id())).expect("it runs").count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: tests/soak runs it"]
async fn no_event_comes_twice_in_a_healthy_run() {
    const A_LIST: u64 = 100;
    let events = setting("HOOKYARD_EVENTS").unwrap_or(1_000_000);
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let (tally, url) = Tally::start(0).await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&url, json!({})).await;
    let list: Vec<Value> = (0..A_LIST).map(|n| json!({"type": "a.b", "data": {"n": n}})).collect();
    let mut published = 0;
    let mut publishing: JoinSet<usize> = JoinSet::new();
    while published < events.div_ceil(A_LIST) * A_LIST || !publishing.is_empty() {
        if published < events.div_ceil(A_LIST) * A_LIST {
            published += A_LIST;
            let (tenant, body) = (tenant.clone(), json!(list));
            publishing.spawn(async move {
                let answer = tenant.post("/v1/events", body).await.expect(202);
                answer["ids"].as_array().expect("one for each").len()
            });
        }
        if publishing.len() >= 8 || published >= events {
            let ids = publishing.join_next().await.expect("there are some").expect("it does not panic");
            assert_eq!(ids as u64, A_LIST);
        }
    }
    // As long as some come, more may.
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let arrived = tally.with(|arrived| arrived.len()) as u64;
        if arrived >= published {
            break;
        }
        if arrived > before {
            (before, since) = (arrived, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{arrived} of {published} have come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drained(&tenant).await;
    let again: u32 = tally.with(|arrived| arrived.values().map(|times| times - 1).sum());
    figures(format_args!("{published} published, {} came, {again} twice", tally.with(|arrived| arrived.len())));
    assert_eq!((again, tally.with(|arrived| arrived.len()) as u64), (0, published));
}

async fn drained(tenant: &Api) {
    eventually("an end of every delivery", async || {
        list(&tenant.get("/v1/deliveries?state=pending").await.expect(200)["items"]).is_empty().then_some(())
    })
    .await;
}

/// As many endpoints, each of which hangs, drips, floods or lies.
async fn bad_endpoints(tenant: &Api, faulty: &Faulty, count: u64, retry: Value) {
    const WAYS: [&str; 10] = [
        "endless-body",
        "endless-chunks",
        "promises/kept",
        "drip/body",
        "drip/headers",
        "endless-headers",
        "header-line/1048576",
        "bomb/gzip",
        "silent",
        "endless-extension",
    ];
    for n in 0..count {
        let way = WAYS[n as usize % WAYS.len()];
        let form = json!({"name": format!("{way} {n}"), "timeout_seconds": 5, "retry": retry});
        tenant.endpoint(&faulty.url(way), form).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: tests/soak runs it"]
async fn hundreds_of_bad_receivers_at_once_cost_little_memory() {
    let receivers = setting("HOOKYARD_RECEIVERS").unwrap_or(500);
    let data = TempDir::new();
    let host = HostProcess::start_logging(data.path(), "hookyard::cli=info").await;
    let faulty = Faulty::start().await;
    // Of how many tenants, so that no tenant's share of the slots is what bounds it.
    const TENANTS: u64 = 10;
    let mut tenants = Vec::new();
    for n in 0..TENANTS {
        let tenant = host.tenant(&format!("tenant {n}")).await;
        bad_endpoints(&tenant, &faulty, receivers / TENANTS, json!({"schedule": []})).await;
        tenants.push(tenant);
    }
    forget_most(&host);
    let before = memory(&host).0;
    for tenant in &tenants {
        tenant.publish(json!({"type": "a.b", "data": 1})).await;
    }
    let mut longest = 0;
    for tenant in &tenants {
        drained(tenant).await;
        for delivery in list(&tenant.get("/v1/deliveries?limit=250").await.expect(200)["items"]) {
            let delivery = tenant.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).await.expect(200);
            longest = longest.max(delivery["attempts"][0]["duration_ms"].as_u64().expect("a number"));
        }
    }
    let growth = memory(&host).1.saturating_sub(before);
    figures(format_args!(
        "{receivers} bad receivers, {:.1} MiB more at most, longest attempt {longest} ms of 5000",
        growth as f64 / MIB as f64
    ));
    assert!(longest <= 5500, "{longest} ms");
    assert!(growth <= MOST_GROWTH, "{growth} bytes");
}

/// Bad receivers, a flaky one and a disk that comes and goes, while events are
/// published; how memory and open files go, and that nothing is lost.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: tests/soak runs it"]
async fn faults_of_every_kind_lose_nothing_and_leak_nothing() {
    let minutes = setting("HOOKYARD_MINUTES").unwrap_or(60);
    let mut seed = Seed::given();
    let disk = FaultyDisk::new();
    let host = disk.host("hookyard::cli=info").await;
    let (faulty, (tally, url)) = (Faulty::start().await, Tally::start(50).await);
    let (good, bad) = (host.tenant("good").await, host.tenant("bad").await);
    good.endpoint(&url, json!({"retry": {"schedule": [1, 1, 1, 1, 1, 1, 1, 1]}})).await;
    bad_endpoints(&bad, &faulty, 50, json!({"schedule": [1]})).await;
    let load = Load::start(&good, 2, 400, || 0);
    let started = Instant::now();
    let (duration, mut samples) = (Duration::from_secs(60 * minutes), Vec::new());
    while started.elapsed() < duration {
        let mode = [Mode::Well, Mode::Full, Mode::ReadOnly, Mode::WriteFails][seed.below(4)];
        disk.is(mode);
        tokio::time::sleep(Duration::from_millis(seed.below(1500) as u64)).await;
        disk.is(Mode::Well);
        load.forget();
        load.acknowledged(100).await;
        bad.publish(json!({"type": "a.b", "data": 1})).await;
        samples.push((started.elapsed().as_secs_f64() / 3600.0, memory(&host).0, open_files(&host)));
    }
    let told = load.end().await;
    let expected: BTreeSet<&String> = told.acknowledged.iter().map(|one| &one.event).collect();
    drained(&good).await;
    let lost = tally.with(|arrived| expected.iter().filter(|event| !arrived.contains_key(**event)).count());
    // The first third warms caches and pools.
    let warm = samples.split_off(samples.len() / 3);
    let memory = slope(warm.iter().map(|(at, memory, _)| (*at, *memory as f64 / MIB as f64)));
    let files = slope(warm.iter().map(|(at, _, files)| (*at, *files as f64)));
    figures(format_args!(
        "{} acknowledged, {} refused, {lost} lost; memory {memory:+.2} MiB an hour, open files {files:+.1} an hour",
        told.acknowledged.len(),
        told.refused.len(),
    ));
    assert_eq!(lost, 0);
    // In a short run a slope is noise.
    assert!(minutes < 60 || memory <= MOST_AN_HOUR, "{memory} MiB an hour");
}

/// Of the line that fits best.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count().max(1) as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (over, under) = points.fold((0.0, 0.0), |(over, under), point| {
        (over + (point.0 - x) * (point.1 - y), under + (point.0 - x) * (point.0 - x))
    });
    if under == 0.0 { 0.0 } else { over / under }
}

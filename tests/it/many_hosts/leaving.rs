//! Hosts that are told to stop while they are under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hookyard_tests::postgres::Database;
use hookyard_tests::{Api, HostProcess, eventually, figures, setting, text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Followed, Holding, at, database, drained, host_on, takes_part};

/// Hosts that stop in one run of the test; `tests/soak` does more.
const STOPS: u64 = 3;
/// More than have their turn soon.
const EVENTS: u64 = 30;
/// Answered at once, before the receiver keeps the host waiting.
const WELL: u64 = 3;

/// Publishers at one host until it takes no more connections.
struct Publishers {
    stopping: Arc<AtomicBool>,
    enough: Arc<Semaphore>,
    tasks: JoinSet<Vec<String>>,
}

impl Publishers {
    fn start(tenant: &Api) -> Self {
        let (stopping, enough) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            tasks.spawn(publish(tenant.clone(), stopping.clone(), enough.clone()));
        }
        Self { stopping, enough, tasks }
    }

    async fn acknowledged(&self, count: u32) {
        self.enough.acquire_many(count).await.expect("it is not closed").forget();
    }

    /// From now on the host may refuse connections, and nothing else.
    fn expect_the_end(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    async fn end(self) -> Vec<String> {
        self.tasks.join_all().await.concat()
    }
}

async fn publish(tenant: Api, stopping: Arc<AtomicBool>, enough: Arc<Semaphore>) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let request = tenant.request(Method::POST, "/v1/events").body(r#"{"type":"a.b","data":1}"#);
        match request.send().await {
            Ok(response) => {
                assert_eq!(response.status(), 202);
                let body = response.bytes().await.expect("an answer that began is whole");
                let answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
                events.push(answer["id"].as_str().expect("an id").to_owned());
                enough.add_permits(1);
            }
            Err(error) => {
                assert!(stopping.load(Ordering::SeqCst), "refused before it was told to stop: {error}");
                return events;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_stop_one_after_the_other_lose_nothing_and_send_nothing_twice() {
    let stops = setting("HOOKYARD_LEAVES").unwrap_or(STOPS);
    let database = database().await;
    let stays = host_on(&database).await;
    let tenant = stays.tenant("acme").await;
    let mut followed = Followed::start().await;
    tenant.endpoint(&followed.url(), json!({})).await;
    let mut longest = std::time::Duration::ZERO;
    let mut host = HostProcess::start_on(database.url()).await;
    takes_part(&host.operator).await;
    for _ in 0..stops {
        let publishers = Publishers::start(&at(&host.operator, &tenant));
        publishers.acknowledged(300).await;
        let next = HostProcess::start_on(database.url()).await;
        takes_part(&next.operator).await;
        publishers.expect_the_end();
        let told = Instant::now();
        let (ended_well, log) = std::mem::replace(&mut host, next).terminate().await;
        assert!(ended_well, "{log:?}");
        longest = longest.max(told.elapsed());
        publishers.end().await.into_iter().for_each(|event| followed.acknowledge(event));
    }
    assert!(host.terminate().await.0);
    followed.all_have_come().await;
    drained(&tenant).await;
    assert_eq!(followed.again().len(), 0, "{:?}", followed.again());
    let acknowledged = followed.acknowledged();
    figures(format_args!("{stops} stops, {acknowledged} acknowledged, 0 lost, 0 twice, {longest:.1?} at most to stop"));
}

/// What waits and is claimed, and what waits for anybody.
async fn waiting(database: &Database) -> [u64; 2] {
    let sql = "SELECT count(*) FILTER (WHERE claim IS NOT NULL), count(*) FILTER (WHERE claim IS NULL) \
               FROM deliveries_pending";
    let counts = database.psql(sql).await;
    let (claimed, free) = counts.split_once('|').expect("two columns");
    [claimed, free].map(|count| count.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_gives_back_what_it_has_not_begun() {
    let database = database().await;
    let host = HostProcess::start_on(database.url()).await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Holding::start().await;
    // What has its turn soon is claimed and waits for it.
    let form = json!({"rate_limit": {"limit": 2, "per": "second"}});
    let endpoint = tenant.endpoint(receiver.url(), form).await;
    let events: Value = (0..EVENTS).map(|n| json!({"type": "a.b", "data": n})).collect();
    tenant.post("/v1/events", events).await.expect(202);
    // A receiver that does well is given more at a time.
    for _ in 0..WELL {
        assert!(receiver.next().await.answer(204));
    }
    let mut under_way = vec![receiver.next().await];
    // The control: a host that is there has more than it has begun.
    eventually("claims of what is not begun", async || {
        let [claimed, _] = waiting(&database).await;
        under_way.extend(std::iter::from_fn(|| receiver.another()));
        (claimed > under_way.len() as u64 + 1).then_some(())
    })
    .await;

    let ending = tokio::spawn(host.terminate());
    // Given back while it waits for those that are under way.
    let left = eventually("the end of the others' claims", async || {
        let [claimed, free] = waiting(&database).await;
        under_way.extend(std::iter::from_fn(|| receiver.another()));
        (claimed == under_way.len() as u64).then_some(free)
    })
    .await;
    assert_eq!(left, EVENTS - WELL - under_way.len() as u64);
    for held in under_way {
        assert!(held.answer(204), "it waits for the answer");
    }
    let (ended_well, log) = ending.await.expect("nothing panics");
    assert!(ended_well, "{log:?}");
    assert_eq!(waiting(&database).await, [0, left]);

    let began = Instant::now();
    let other = HostProcess::start_on(database.url()).await;
    let tenant = at(&other.operator, &tenant);
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.patch(&path, json!({"rate_limit": null})).await.expect(200);
    for _ in 0..left {
        assert!(receiver.next().await.answer(204));
    }
    drained(&tenant).await;
    assert!(receiver.another().is_none());
    figures(format_args!("{left} taken over within {:.1?} of the other's start", began.elapsed()));
}

//! Lines of ordered endpoints that many hosts fill and send from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hookyard_tests::postgres::Database;
use hookyard_tests::{Api, Host, HostProcess, figures, setting, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Held, Holding, at, claims_run_out, database, host_on, routes_to};

/// Each host is told of this many, before anything is sent and once more while it is.
const EVENTS: u64 = 8;
const SUBJECTS: u64 = 3;

/// Each host is told of its events one after the other, all hosts at once; answers
/// the events.
fn publish(hosts: &[Api], events: std::ops::Range<u64>) -> JoinSet<Vec<String>> {
    let mut publishers = JoinSet::new();
    for (from, tenant) in hosts.iter().cloned().enumerate() {
        let events = events.clone();
        publishers.spawn(async move {
            let mut published = Vec::new();
            for n in events {
                let subject = format!("subject {}", n % SUBJECTS);
                let event = json!({"type": "a.b", "subject": subject, "data": {"from": from, "n": n}});
                published.push(tenant.publish(event).await);
            }
            published
        });
    }
    publishers
}

/// Events in the order of their line, as the store has it.
async fn in_store_s_order(database: &Database, events: &[String]) -> Vec<String> {
    let among = events.iter().map(|event| format!("'{event}'")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT event_id FROM deliveries WHERE event_id IN ({among}) ORDER BY turn, event_id, id");
    database.psql(&sql).await.lines().map(str::to_owned).collect()
}

/// What has come, in order, and what waits for its answer.
struct Watched {
    receiver: Holding,
    line: fn(&Value) -> String,
    open: VecDeque<(String, Held)>,
    came: Vec<(String, Value)>,
}

impl Watched {
    async fn start(line: fn(&Value) -> String) -> Self {
        Self { receiver: Holding::start().await, line, open: VecDeque::new(), came: Vec::new() }
    }

    /// Waits until so many have come and were answered, each only after all hosts have
    /// had time to send another of its line.
    async fn answer(&mut self, count: usize, hosts: &[Api]) {
        let until = self.came.len() + count;
        while self.came.len() < until || !self.open.is_empty() {
            if self.open.is_empty() {
                let held = self.receiver.next().await;
                self.take(held);
            }
            for host in hosts {
                host.get("/v1/deliveries?state=pending").await.expect(200);
            }
            while let Some(held) = self.receiver.another() {
                self.take(held);
            }
            let (_, oldest) = self.open.pop_front().expect("one has come");
            assert!(oldest.answer(204), "nobody waited for the answer");
        }
    }

    fn take(&mut self, held: Held) {
        let line = (self.line)(&held.body["data"]);
        let beside = self.open.iter().find(|(other, _)| *other == line);
        assert!(beside.is_none(), "two of line {line:?} at a time: {} beside {}", held.id, beside.expect("some").1.id);
        self.came.push((held.id.clone(), held.body["data"].clone()));
        self.open.push_back((line, held));
    }

    /// Of one host and one line, what came later was published later.
    fn follows_each_publisher(&self) {
        let mut last: BTreeMap<(String, u64), u64> = BTreeMap::new();
        for (event, data) in &self.came {
            let [from, n] = ["from", "n"].map(|field| data[field].as_u64().expect("a number"));
            let before = last.insert(((self.line)(data), from), n);
            assert!(before.is_none_or(|before| before < n), "{event}, number {n} of {from}, came after {before:?}");
        }
    }

    fn ids(&self, lines: &str, of: &[String]) -> Vec<String> {
        let ours = |(event, data): &&(String, Value)| of.contains(event) && (self.line)(data) == lines;
        self.came.iter().filter(ours).map(|(event, _)| event.clone()).collect()
    }
}

/// Three hosts, and what is known everywhere of an endpoint that they fill.
struct Filled {
    shared: Arc<Database>,
    _hosts: [Host; 3],
    everywhere: Vec<Api>,
    path: String,
    watched: Watched,
}

impl Filled {
    async fn start(ordered: Value, line: fn(&Value) -> String) -> Self {
        let shared = database().await;
        let hosts = [host_on(&shared).await, host_on(&shared).await, host_on(&shared).await];
        let watched = Watched::start(line).await;
        let tenant = hosts[0].tenant("acme").await;
        let form = json!({"event_types": ["a.b"], "ordered": ordered});
        let endpoint = tenant.endpoint(watched.receiver.url(), form).await;
        let everywhere: Vec<Api> = hosts.iter().map(|host| at(&host.operator, &tenant)).collect();
        // It is known everywhere when another is that came later.
        let later = tenant.endpoint("http://127.0.0.1:4/", json!({"event_types": ["warm.up"]})).await;
        for tenant in &everywhere {
            routes_to(tenant, &later).await;
        }
        tenant.delete(&format!("/v1/endpoints/{}", text(&later["id"]))).await.expect(204);
        let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
        Self { shared, _hosts: hosts, everywhere, path, watched }
    }
}

async fn is_kept(ordered: Value, line: fn(&Value) -> String, lines: &[&str]) {
    let rounds = setting("HOOKYARD_LINES").unwrap_or(1);
    let Filled { shared, _hosts, everywhere, path, mut watched } = Filled::start(ordered, line).await;
    let tenant = &everywhere[0];
    let mut number = 0;
    for _ in 0..rounds {
        tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
        let waiting: Vec<String> = publish(&everywhere, number..number + EVENTS).join_all().await.concat();
        tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
        let flowing = publish(&everywhere, number + EVENTS..number + 2 * EVENTS);
        watched.answer(2 * waiting.len(), &everywhere).await;
        flowing.join_all().await;
        number += 2 * EVENTS;

        let expected = in_store_s_order(&shared, &waiting).await;
        for line in lines {
            let came = watched.ids(line, &waiting);
            let expected: Vec<String> = expected.iter().filter(|event| came.contains(event)).cloned().collect();
            assert_eq!(came, expected, "line {line:?}");
        }
    }
    watched.follows_each_publisher();
    assert_eq!(watched.came.len() as u64, number * everywhere.len() as u64, "each once");
    figures(format_args!("{} in order, one at a time", watched.came.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_s_line_is_sent_in_its_order_and_one_at_a_time() {
    is_kept(json!(true), |_| String::new(), &[""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_subject_s_line_is_sent_in_its_order_and_one_at_a_time() {
    let line = |data: &Value| format!("{}", data["n"].as_u64().expect("a number") % SUBJECTS);
    is_kept(json!("subject"), line, &["0", "1", "2"]).await;
}

/// What joins a line with nobody in it is first, until somebody comes that was
/// accepted before it and is stored after it.
#[tokio::test(flavor = "multi_thread")]
async fn of_those_that_come_to_an_empty_line_at_once_one_is_sent_at_a_time() {
    let rounds = setting("HOOKYARD_LINES").unwrap_or(1) * 20;
    let Filled { _hosts, everywhere, mut watched, .. } = Filled::start(json!(true), |_| String::new()).await;
    for round in 0..rounds {
        let published = publish(&everywhere, round..round + 1);
        watched.answer(everywhere.len(), &everywhere).await;
        published.join_all().await;
    }
    watched.follows_each_publisher();
    figures(format_args!("{rounds} times {} at once, one at a time", everywhere.len()));
}

/// The control: without a line, what the receiver holds is not waited for.
#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "two of line")]
async fn without_a_line_they_come_side_by_side() {
    is_kept(json!(false), |_| String::new(), &[""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_goes_on_where_hosts_were_killed() {
    let shared = database().await;
    let (one, other) = (HostProcess::start_on(shared.url()).await, HostProcess::start_on(shared.url()).await);
    let tenant = one.tenant("acme").await;
    let mut watched = Watched::start(|_| String::new()).await;
    let form = json!({"event_types": ["*"], "ordered": true});
    let endpoint = tenant.endpoint(watched.receiver.url(), form).await;
    let both = [tenant.clone(), at(&other.operator, &tenant)];
    // What shows that the other knows the endpoint is the first of the line.
    routes_to(&both[1], &endpoint).await;
    let mut events: Vec<String> = publish(&both, 0..EVENTS).join_all().await.concat();
    let head = watched.receiver.next().await;
    assert!(!events.contains(&head.id));
    one.kill().await;
    other.kill().await;

    let third = host_on(&shared).await;
    claims_run_out(&shared).await;
    let again = watched.receiver.next().await;
    assert_eq!(again.id, head.id, "the first of the line was under way, and comes again");
    assert!(again.answer(204) && !head.answer(204));
    let here = [at(&third.operator, &tenant)];
    events.extend(publish(&here, EVENTS..2 * EVENTS).join_all().await.concat());
    // Of what the other host was asked before it knew the endpoint, nothing is in line.
    watched.answer(events.len(), &here).await;
    let came: Vec<String> = watched.came.iter().map(|(event, _)| event.clone()).collect();
    assert_eq!(came, in_store_s_order(&shared, &came).await);
    watched.follows_each_publisher();
}

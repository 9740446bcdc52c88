//! What is limited is limited for all hosts together, as tightly as
//! `host/docs/hosts.md` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Response;
use hookyard_tests::postgres::Database;
use hookyard_tests::{Api, Host, Receiver, eventually, figures, text};
use serde_json::{Value, json};

use super::{at, database, has_looked, host_on, routes_to, takes_part};

/// Two hosts that have their parts, and a tenant's API at each.
struct Two {
    _hosts: [Host; 2],
    apis: [Api; 2],
    databases: [Arc<Database>; 2],
}

impl Two {
    /// On one database.
    async fn together(tenant: Value) -> Self {
        let shared = database().await;
        let hosts = [host_on(&shared).await, host_on(&shared).await];
        for host in &hosts {
            takes_part(&host.operator).await;
        }
        let first = hosts[0].tenant_with(tenant).await;
        let apis = [first.clone(), at(&hosts[1].operator, &first)];
        eventually("a host that knows the tenant", async || {
            (apis[1].post("/v1/events", json!([])).await.status != 401).then_some(())
        })
        .await;
        Self { _hosts: hosts, apis, databases: [shared.clone(), shared] }
    }

    /// The control: each has a database of its own, and nobody to divide with.
    async fn apart(tenant: Value) -> Self {
        let databases = [database().await, database().await];
        let hosts = [host_on(&databases[0]).await, host_on(&databases[1]).await];
        let apis = [hosts[0].tenant_with(tenant.clone()).await, hosts[1].tenant_with(tenant).await];
        Self { _hosts: hosts, apis, databases }
    }

    /// An endpoint that both route to.
    async fn endpoint(&self, url: &str, form: Value) -> [Value; 2] {
        let first = self.apis[0].endpoint(url, form.clone()).await;
        if !self.are_together() {
            return [first, self.apis[1].endpoint(url, form).await];
        }
        let later = self.apis[0].endpoint("http://127.0.0.1:4/", json!({"event_types": ["warm.up"]})).await;
        routes_to(&self.apis[1], &later).await;
        self.apis[0].delete(&format!("/v1/endpoints/{}", text(&later["id"]))).await.expect(204);
        [first.clone(), first]
    }

    /// Whatever waits for a time waits no more.
    async fn make_due(&self) {
        for database in &self.databases {
            database.psql("UPDATE deliveries_pending SET due_at = 0 WHERE claim IS NULL AND due_at IS NOT NULL").await;
        }
    }

    fn are_together(&self) -> bool {
        Arc::ptr_eq(&self.databases[0], &self.databases[1])
    }

    async fn have_looked(&self) {
        for api in &self.apis {
            has_looked(api).await;
        }
    }
}

/// How many of six are sent at once, of a rate of two an hour.
async fn sent_of_two_an_hour(two: &Two) -> usize {
    let mut receiver = Receiver::start().await;
    let form = json!({"event_types": ["a.b"], "rate_limit": {"limit": 2, "per": "hour"}});
    two.endpoint(&receiver.url(), form).await;
    for api in two.apis.iter().cycle().take(6) {
        api.publish(json!({"type": "a.b", "data": 1})).await;
    }
    let mut sent = 0;
    // What one host puts off is another's: each may have all of them before it.
    for _ in 0..3 {
        two.make_due().await;
        two.have_looked().await;
        sent += receiver.so_far().len();
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_slow_rate_of_an_endpoint_one_host_has_all() {
    let tenant = json!({"name": "acme"});
    assert_eq!(sent_of_two_an_hour(&Two::together(tenant.clone()).await).await, 1);
    assert_eq!(sent_of_two_an_hour(&Two::apart(tenant).await).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_fast_rate_of_an_endpoint_each_host_has_its_part() {
    const EACH: u32 = 12;
    const A_SECOND: u32 = 8;
    let two = Two::together(json!({"name": "acme"})).await;
    let mut receiver = Receiver::start().await;
    let form = json!({"event_types": ["a.b"], "rate_limit": {"limit": A_SECOND, "per": "second"}});
    two.endpoint(&receiver.url(), form).await;
    let began = Instant::now();
    for api in two.apis.iter().cycle().take(2 * EACH as usize) {
        api.publish(json!({"type": "a.b", "data": 1})).await;
    }
    for _ in 0..2 * EACH {
        receiver.next().await;
    }
    // One more than the limit for each host but one, and the first of each at once. A
    // busy machine only makes it longer.
    let took = began.elapsed();
    let at_least = Duration::from_secs(1) * (2 * EACH - 2) / A_SECOND;
    assert!(took >= at_least, "{took:?} for {} at {A_SECOND} a second", 2 * EACH);
    figures(format_args!("{} at {A_SECOND} a second in {:.2} s, at least {at_least:?}", 2 * EACH, took.as_secs_f64()));
}

/// How many of a tenant's events are let in until each host refuses one, and what
/// time that took.
async fn let_in(two: &Two) -> (u32, Duration) {
    let (began, mut taken) = (Instant::now(), 0);
    for api in &two.apis {
        loop {
            match api.post("/v1/events", json!({"type": "a.b", "data": 1})).await.status.as_u16() {
                202 => taken += 1,
                429 => break,
                status => panic!("{status}"),
            }
        }
    }
    (taken, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_s_rate_is_divided_among_the_hosts() {
    const A_SECOND: u32 = 8;
    const AT_ONCE: u32 = 5 * A_SECOND;
    let tenant = json!({"name": "acme", "limits": {"events_per_second": A_SECOND}});
    let (taken, took) = let_in(&Two::together(tenant.clone()).await).await;
    let more = (took.as_secs_f64() * f64::from(A_SECOND)) as u32 + 2;
    assert!(taken <= AT_ONCE + more, "{taken} in {took:?}");
    // Each has its part: nobody is refused before that.
    assert!(taken >= AT_ONCE, "{taken}");
    let (apart, _) = let_in(&Two::apart(tenant).await).await;
    assert!(apart >= 2 * AT_ONCE, "{apart}");
    figures(format_args!("{taken} events of {AT_ONCE} at once and {A_SECOND} a second in {:.2} s", took.as_secs_f64()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_one_host_opens_is_open_at_the_other() {
    for (two, is_shared) in
        [(Two::together(json!({"name": "acme"})).await, true), (Two::apart(json!({"name": "acme"})).await, false)]
    {
        let mut receiver = Receiver::start().await;
        let form = json!({"event_types": ["a.b"], "retry": {"schedule": [86400]}});
        let endpoints = two.endpoint(&receiver.url(), form).await;
        receiver.answer_by(|_| Some(Response::builder().status(500).body(String::new()).expect("a response")));
        let circuit = async |of: usize| {
            let shown = two.apis[of].get(&format!("/v1/endpoints/{}", text(&endpoints[of]["id"]))).await.expect(200);
            shown["health"]["circuit"].clone()
        };
        // Ten in a row at one of them at the latest, whoever sends which.
        eventually("the circuit to open", async || {
            two.apis[0].publish(json!({"type": "a.b", "data": "before"})).await;
            (circuit(0).await == "open").then_some(())
        })
        .await;
        if is_shared {
            eventually("the circuit to open there too", async || (circuit(1).await == "open").then_some(())).await;
        }
        receiver.so_far();
        let event = two.apis[1].publish(json!({"type": "a.b", "data": "after"})).await;
        two.have_looked().await;
        // The control: a host that has not heard of it sends.
        let sent = receiver.so_far().iter().any(|arrived| arrived.header("webhook-id") == event);
        assert_eq!(sent, !is_shared);
        let found = two.apis[1].get(&format!("/v1/deliveries?event={event}&state=pending")).await.expect(200);
        assert_eq!(found["items"][0]["attempt_count"], if is_shared { 0 } else { 1 }, "{found}");
    }
}

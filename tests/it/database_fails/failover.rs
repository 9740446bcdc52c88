//! The primary is lost for good, and its standby takes its place.

use hookyard_tests::load::Load;
use hookyard_tests::postgres::{Cluster, Relay};
use hookyard_tests::{Api, HostProcess, eventually, figures, setting, text};
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::many_hosts::{Followed, at, drained, routes_to, takes_part};

/// Failovers in one run of the test; `tests/soak` does more.
const FAILOVERS: u64 = 1;
const PUBLISHERS: usize = 8;

/// A database on a primary, at an address that stays.
async fn behind(primary: &Cluster) -> (Relay, String) {
    primary.psql("CREATE DATABASE hookyard").await;
    let relay = Relay::start(primary.address()).await;
    let url = relay.url("hookyard");
    (relay, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_to_a_synchronous_standby_loses_nothing() {
    let failovers = setting("HOOKYARD_FAILOVERS").unwrap_or(FAILOVERS);
    let mut primary = Cluster::start().await;
    let (relay, url) = behind(&primary).await;
    let hosts = [HostProcess::start_on(&url).await, HostProcess::start_on(&url).await];
    let mut followed = Followed::start().await;
    let tenant = hosts[0].tenant("acme").await;
    let endpoint = tenant.endpoint(&followed.url(), json!({})).await;
    let apis = [tenant.clone(), at(&hosts[1].operator, &tenant)];
    routes_to(&apis[1], &endpoint).await;
    for host in &hosts {
        takes_part(&host.operator).await;
    }
    for _ in 0..failovers {
        let standby = Cluster::standby(&primary).await;
        let loads = apis.each_ref().map(|api| Load::start(api, PUBLISHERS, 400, || 0));
        for load in &loads {
            load.acknowledged(150).await;
        }
        primary.kill().await;
        standby.promote().await;
        relay.switch(standby.address());
        for load in loads {
            load.forget();
            load.acknowledged(50).await;
            followed.take(load.end().await);
        }
        // The old one is gone with its data.
        primary = standby;
    }
    followed.all_have_come().await;
    drained(&tenant).await;
    let again: u64 = followed.again().values().sum();
    let (acknowledged, refused) = (followed.acknowledged(), followed.refused());
    figures(format_args!(
        "{failovers} failovers, {acknowledged} acknowledged, 0 lost, {again} sent again, {refused} told to come again"
    ));
}

/// The control: a standby that nobody waits for has less, and the check above sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_to_a_standby_that_is_behind_loses_what_was_acknowledged() {
    let primary = Cluster::start().await;
    let (relay, url) = behind(&primary).await;
    let host = HostProcess::start_on(&url).await;
    let mut followed = Followed::start().await;
    let tenant = host.tenant("acme").await;
    let endpoint = tenant.endpoint(&followed.url(), json!({})).await;
    // Nothing is delivered before the failover.
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let standby = Cluster::asynchronous_standby(&primary).await;
    let kept = tenant.publish(json!({"type": "a.b", "data": "before"})).await;
    caught_up(&primary).await;
    standby.kill().await;
    let lost = tenant.publish(json!({"type": "a.b", "data": "after"})).await;
    [kept, lost.clone()].into_iter().for_each(|event| followed.acknowledge(event));

    primary.kill().await;
    standby.restart_immediate().await;
    standby.promote().await;
    relay.switch(standby.address());
    eventually("a host that can be told something", async || {
        (tenant.post(&format!("{path}/resume"), json!({})).await.status == 200).then_some(())
    })
    .await;
    drained(&tenant).await;
    assert_eq!(followed.lost(), [&lost]);
}

/// Waits until the standby has all that there is.
async fn caught_up(primary: &Cluster) {
    let sql = "SELECT bool_and(flush_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication";
    eventually("a standby that has all", async || (primary.psql(sql).await == "t").then_some(())).await;
}

async fn publish_once(tenant: &Api, key: &str) -> (u16, Option<String>) {
    let request = tenant.request(Method::POST, "/v1/events").header("idempotency-key", key);
    let answer = tenant.send(request.body(json!({"type": "a.b", "data": key}).to_string())).await;
    (answer.status.as_u16(), answer.body["id"].as_str().map(str::to_owned))
}

/// A commit that waits for its standby is in the primary already, and whoever comes
/// by another connection sees it once its own is ended. That does not acknowledge it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_standby_does_not_have_is_acknowledged_in_no_roundabout_way() {
    let primary = Cluster::start().await;
    let (relay, url) = behind(&primary).await;
    let standby = Cluster::standby(&primary).await;
    let host = HostProcess::start_on(&url).await;
    let tenant = host.tenant("acme").await;
    let before = publish_once(&tenant, "before").await;
    assert_eq!(before.0, 202);

    standby.kill().await;
    let waiting = tokio::spawn({
        let tenant = tenant.clone();
        async move { publish_once(&tenant, "behind").await }
    });
    // Until it is one that writes the event that is broken off: hosts commit now and
    // then that they live.
    eventually("the event in the primary", async || {
        primary.terminate_backends().await;
        (events(&primary).await == 2).then_some(())
    })
    .await;
    // The host looks whether its commit has happened, and its client asks again, which
    // finds the key.
    let again = tokio::spawn({
        let tenant = tenant.clone();
        async move { publish_once(&tenant, "behind").await }
    });
    // Each is answered, or waits for the standby with something of its own.
    eventually("an answer, or none", async || {
        let ended = u64::from(waiting.is_finished()) + u64::from(again.is_finished());
        (ended + marks_that_wait(&primary).await >= 2).then_some(())
    })
    .await;

    primary.kill().await;
    standby.restart_immediate().await;
    standby.promote().await;
    relay.switch(standby.address());
    for answer in [waiting.await.expect("no panic"), again.await.expect("no panic")] {
        let (status, event) = answer;
        assert!(matches!(status, 202 | 503), "{status}");
        if let Some(event) = event {
            is_there(&tenant, &event).await;
        }
    }
    // The control: the key is known, or it is not, and in the end it is there once.
    let (status, event) = publish_once(&tenant, "behind").await;
    assert_eq!(status, 202);
    assert_eq!(events(&standby).await, 2);
    is_there(&tenant, &event.expect("an id")).await;
}

/// A connection to the server that is gone answers 503 once.
async fn is_there(tenant: &Api, event: &str) {
    let status = eventually("an answer", async || {
        let status = tenant.get(&format!("/v1/events/{event}")).await.status.as_u16();
        (status != 503).then_some(status)
    });
    assert_eq!(status.await, 200, "{event}");
}

async fn events(cluster: &Cluster) -> i64 {
    let mut connection = PgConnection::connect(&cluster.url("hookyard")).await.expect("it takes connections");
    sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut connection).await.expect("it answers")
}

async fn marks_that_wait(primary: &Cluster) -> u64 {
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE wait_event = 'SyncRep' AND query LIKE '%pg_logical_emit_message%' AND pid <> pg_backend_pid()";
    primary.psql(sql).await.parse().expect("a number")
}

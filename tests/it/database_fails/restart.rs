//! The server goes away under load, and comes back with what it had.

use hookyard_tests::load::Load;
use hookyard_tests::postgres::Cluster;
use hookyard_tests::{Api, HostProcess, eventually, figures, setting};
use serde_json::json;

use crate::many_hosts::{Followed, at, drained, routes_to, takes_part};

/// Faults of each kind in one run of the test; `tests/soak` does more.
const ROUNDS: u64 = 1;
const PUBLISHERS: usize = 8;

/// What can befall a server.
#[derive(Clone, Copy, Debug)]
enum Fault {
    RestartImmediate,
    RestartFast,
    Killed,
    BackendsTerminated,
    Silent,
}

impl Fault {
    const ALL: [Self; 5] =
        [Self::BackendsTerminated, Self::RestartFast, Self::RestartImmediate, Self::Killed, Self::Silent];

    /// Until it is over.
    async fn befalls(self, cluster: &Cluster, hosts: [&Api; 2]) {
        match self {
            Self::RestartImmediate => cluster.restart_immediate().await,
            Self::RestartFast => cluster.restart_fast().await,
            Self::Killed => {
                cluster.kill().await;
                cluster.restart_immediate().await;
            }
            Self::BackendsTerminated => {
                assert!(cluster.terminate_backends().await > 2, "the hosts are connected");
            }
            Self::Silent => {
                cluster.stop();
                // Long enough that the hosts have noticed.
                for host in hosts {
                    eventually("a host that says that it is not well", async || {
                        (host.with_key(None).get("/readyz").await.status == 503).then_some(())
                    })
                    .await;
                }
                cluster.cont();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_costs_nothing_but_time() {
    let rounds = setting("HOOKYARD_FAULTS").unwrap_or(ROUNDS);
    let cluster = Cluster::start().await;
    let database = cluster.database().await;
    let hosts = [HostProcess::start_on(database.url()).await, HostProcess::start_on(database.url()).await];
    let mut followed = Followed::start().await;
    let tenant = hosts[0].tenant("acme").await;
    tenant.endpoint(&followed.url(), json!({})).await;
    let apis = [tenant.clone(), at(&hosts[1].operator, &tenant)];
    eventually("a host that knows the tenant", async || {
        (apis[1].post("/v1/events", json!([])).await.status != 401).then_some(())
    })
    .await;
    // What it lets in before it knows the endpoint has no delivery; that is no loss.
    routes_to(&apis[1], &apis[0].get("/v1/endpoints").await.expect(200)["items"][0]).await;
    for host in &hosts {
        takes_part(&host.operator).await;
    }
    for round in 0..rounds {
        for fault in Fault::ALL {
            let loads = apis.each_ref().map(|api| Load::start(api, PUBLISHERS, 400, || 0));
            for load in &loads {
                load.acknowledged(50).await;
            }
            fault.befalls(&cluster, apis.each_ref()).await;
            // Nobody does anything for it.
            for load in loads {
                load.forget();
                load.acknowledged(50).await;
                followed.take(load.end().await);
            }
            for host in &hosts {
                takes_part(&host.operator).await;
            }
            figures(format_args!(
                "round {round}, {fault:?}: {} acknowledged, {} told to come again",
                followed.acknowledged(),
                followed.refused()
            ));
        }
    }
    followed.all_have_come().await;
    drained(&tenant).await;
    let again: u64 = followed.again().values().sum();
    let (acknowledged, refused) = (followed.acknowledged(), followed.refused());
    figures(format_args!(
        "{} faults, {acknowledged} acknowledged, 0 lost, {again} sent again, {refused} told to come again",
        rounds * Fault::ALL.len() as u64
    ));
    for host in hosts {
        let (ended_well, log) = host.terminate().await;
        assert!(ended_well, "{:?}", log.last());
    }
}

//! Hosts that are killed under load, and others that take their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookyard_tests::load::Load;
use hookyard_tests::postgres::Database;
use hookyard_tests::seed::Seed;
use hookyard_tests::{Api, HostProcess, eventually, figures, setting, text};
use serde_json::json;

use super::{Followed, at, claims_run_out, database, drained, host_on, takes_part};

/// Kills in one run of the test; `tests/soak` does more.
const KILLS: u64 = 2;
const PUBLISHERS: usize = 8;
/// At most this many are acknowledged by a host before it is killed, so that it is
/// killed under load, and at any moment of it.
const ACKNOWLEDGED_FIRST: usize = 200;

/// A host that may be killed: what it is connected as tells its connections from
/// others'.
struct Victim {
    host: HostProcess,
    role: String,
    load: Load,
}

impl Victim {
    async fn start(database: &Database, number: u64, tenant: &Api) -> Self {
        let role = format!("{}_{number}", database.name());
        database.psql(&format!("CREATE ROLE {role} LOGIN SUPERUSER")).await;
        let host = HostProcess::start_on(&database.url().replacen("//postgres@", &format!("//{role}@"), 1)).await;
        takes_part(&host.operator).await;
        let load = Load::start(&at(&host.operator, tenant), PUBLISHERS, 400, || 0);
        Self { host, role, load }
    }

    /// SIGKILL; afterwards nothing of what it has sent to the server is under way.
    async fn kill(self, database: &Database, followed: &mut Followed) {
        self.host.kill().await;
        followed.take(self.load.end().await);
        let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.role);
        eventually("the end of its connections", async || (database.psql(&connected).await == "0").then_some(())).await;
    }
}

async fn events_where(database: &Database, condition: &str) -> BTreeSet<String> {
    let sql = format!("SELECT event_id FROM deliveries_pending WHERE {condition}");
    database.psql(&sql).await.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_hosts_lose_nothing_and_send_twice_only_what_they_held() {
    let mut seed = Seed::given();
    let kills = setting("HOOKYARD_KILLS").unwrap_or(KILLS);
    let database = database().await;
    let survivor = host_on(&database).await;
    let tenant = survivor.tenant("acme").await;
    let mut followed = Followed::start().await;
    tenant.endpoint(&followed.url(), json!({})).await;
    let load = Load::start(&tenant, PUBLISHERS, 400, || 0);
    let mut victims = vec![Victim::start(&database, 0, &tenant).await, Victim::start(&database, 1, &tenant).await];
    // What was claimed when a host died, by it or by another.
    let mut held = BTreeSet::new();
    for kill in 0..kills {
        let victim = victims.swap_remove(seed.below(victims.len()));
        victim.load.acknowledged(1 + seed.below(ACKNOWLEDGED_FIRST) as u32).await;
        victim.kill(&database, &mut followed).await;
        held.append(&mut events_where(&database, "claim IS NOT NULL").await);
        victims.push(Victim::start(&database, 2 + kill, &tenant).await);
    }
    for Victim { host, load, .. } in victims {
        followed.take(load.end().await);
        // It gives back what it holds.
        assert!(host.terminate().await.0);
    }
    followed.take(load.end().await);
    // What is left is what the dead have held: nobody has it before its time.
    let left = eventually("the end of all that the living have", async || {
        let left = events_where(&database, "true").await;
        let claimed = events_where(&database, "claim IS NOT NULL").await;
        (left == claimed && left.is_subset(&held)).then_some(left)
    })
    .await;
    claims_run_out(&database).await;
    drained(&tenant).await;
    followed.all_have_come().await;
    let again = followed.again();
    assert!(again.keys().all(|event| held.contains(*event)), "nobody held what was sent again: {again:?}");
    let again: u64 = again.values().sum();
    figures(format_args!(
        "{} acknowledged, 0 lost, {again} sent again of {} held at {kills} kills, {} left at the end",
        followed.acknowledged(),
        held.len(),
        left.len(),
    ));
    for number in 0..kills + 2 {
        let role = format!("{}_{number}", database.name());
        // It may have had the duty of making days.
        database.psql(&format!("REASSIGN OWNED BY {role} TO postgres; DROP ROLE {role}")).await;
    }
}

/// The control: had one delivery been lost with its host, the check above would say
/// which.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_taken_out_of_the_database_is_noticed() {
    let database: Arc<Database> = database().await;
    let survivor = host_on(&database).await;
    let tenant = survivor.tenant("acme").await;
    let mut followed = Followed::start().await;
    let endpoint = tenant.endpoint(&followed.url(), json!({})).await;
    let path = format!("/v1/endpoints/{}", text(&endpoint["id"]));
    // Paused: nothing is delivered before the kill.
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let killed = HostProcess::start_on(database.url()).await;
    let mut events = Vec::new();
    for n in 0..20 {
        events.push(at(&killed.operator, &tenant).publish(json!({"type": "a.b", "data": n})).await);
    }
    killed.kill().await;
    let unlucky = &events[7];
    database.psql(&format!("DELETE FROM deliveries_pending WHERE event_id = '{unlucky}'")).await;
    events.iter().cloned().for_each(|event| followed.acknowledge(event));
    tenant.post(&format!("{path}/resume"), json!({})).await.expect(200);
    drained(&tenant).await;
    eventually("all others", async || (followed.lost() == [unlucky]).then_some(())).await;
}

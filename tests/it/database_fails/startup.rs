//! What a server has to be before anything is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::postgres::Cluster;
use hookyard_tests::{HostProcess, TempDir, eventually};
use serde_json::json;

use crate::many_hosts::{at, database};

async fn refused(url: &str) -> String {
    HostProcess::refused(TempDir::new().path(), &[("HOOKYARD_DATABASE", url)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_lose_what_was_committed_is_refused_by_the_setting_s_name() {
    let cluster = Cluster::start().await;
    for (name, value) in
        [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("synchronous_commit", "local")]
    {
        set(&cluster, name, value).await;
        let said = refused(&cluster.url("postgres")).await;
        assert!(
            said.contains(&format!("`{name}` is `{value}`")) && said.contains("--allow-unsafe-durability"),
            "{said}"
        );
        // Nothing was made there.
        assert_eq!(cluster.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, "0");
        set(&cluster, name, "on").await;
    }

    set(&cluster, "fsync", "off").await;
    set(&cluster, "synchronous_commit", "off").await;
    let database = cluster.database().await;
    let data = TempDir::new();
    let allowed = [("HOOKYARD_DATABASE", database.url()), ("HOOKYARD_ALLOW_UNSAFE_DURABILITY", "true")];
    let (ended_well, log) = HostProcess::start_with(data.path(), &allowed).await.terminate().await;
    assert!(ended_well, "{log:?}");
    let told: Vec<&str> = log.iter().filter_map(|line| line["setting"].as_str()).collect();
    assert_eq!(told, ["fsync", "synchronous_commit"], "{log:?}");

    // The control: as the server is by itself, it is taken.
    set(&cluster, "fsync", "on").await;
    set(&cluster, "synchronous_commit", "on").await;
    HostProcess::start_on(database.url()).await;
}

async fn set(cluster: &Cluster, name: &str, value: &str) {
    cluster.psql(&format!("ALTER SYSTEM SET {name} = '{value}'")).await;
    cluster.psql("SELECT pg_reload_conf()").await;
    eventually("another setting", async || (cluster.psql(&format!("SHOW {name}")).await == value).then_some(())).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_database_s_url_is_said_once_and_without_its_password() {
    for (url, wanted, refusals) in [
        ("postgres://me:hush@127.0.0.1:1/hookyard", "postgres://me@127.0.0.1:1/hookyard: ", 1),
        ("host=127.0.0.1 password=hush dbname=hookyard", "give sqlite:<path> or postgres://", 0),
        ("host=127.0.0.1 password=hush:er dbname=hookyard", "give sqlite:<path> or postgres://", 0),
        ("postgres://me:hush@one,two/hookyard", "several hosts", 0),
    ] {
        let said = refused(url).await;
        assert!(said.contains(wanted) && !said.contains("hush"), "{said}");
        assert_eq!(said.matches("refused (os error").count(), refusals, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_and_its_primary_is_not() {
    let primary = Cluster::start().await;
    HostProcess::start_on(&primary.url("postgres")).await.terminate().await;
    let standby = Cluster::asynchronous_standby(&primary).await;
    let said = refused(&standby.url("postgres")).await;
    assert!(said.contains("takes no writes") && said.contains("name the primary"), "{said}");
    standby.promote().await;
    HostProcess::start_on(&standby.url("postgres")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_master_key_is_refused() {
    let database = database().await;
    let first = HostProcess::start_on(database.url()).await;
    let key = STANDARD.encode([7; 32]);
    let variables = [("HOOKYARD_DATABASE", database.url()), ("HOOKYARD_MASTER_KEY", &key)];
    let said = HostProcess::refused(TempDir::new().path(), &variables).await;
    assert!(said.contains("another master key") && said.contains("HOOKYARD_MASTER_KEY"), "{said}");
    // Whoever was there goes on.
    first.tenant("acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_together_on_an_empty_database_all_come_up() {
    let database = database().await;
    let url = database.url();
    let (one, two, three) =
        tokio::join!(HostProcess::start_on(url), HostProcess::start_on(url), HostProcess::start_on(url));
    let tenant = one.tenant("acme").await;
    for host in [&two, &three] {
        eventually("a host that knows the tenant", async || {
            let answer = at(&host.operator, &tenant).post("/v1/events", json!({"type": "a.b", "data": 1})).await;
            (answer.status == 202).then_some(())
        })
        .await;
    }
    for host in [one, two, three] {
        let (ended_well, log) = host.terminate().await;
        assert!(ended_well && !log.iter().any(|line| line["level"] == "ERROR"), "{log:?}");
    }
}

//! The tests' own PostgreSQL does to a program what a real one does: what is
//! built on it would prove nothing if it did not.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use hookyard_tests::eventually;
use hookyard_tests::postgres::{Cluster, Lost, PgBouncer, Relay, database, shared};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

async fn connected(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("it takes connections")
}

async fn inserted(connection: &mut PgConnection, number: i64) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO numbers VALUES ($1)").bind(number).execute(&mut *transaction).await?;
    transaction.commit().await
}

const NUMBERS: &str = "SELECT string_agg(number::text, ' ' ORDER BY number) FROM numbers";

#[tokio::test]
async fn databases_do_not_see_each_other() {
    let (first, second) = (database().await, database().await);
    first.psql("CREATE TABLE numbers (number BIGINT)").await;
    let copy = shared().await.database_like(first.name()).await;
    first.psql("INSERT INTO numbers VALUES (1)").await;
    let is_there = "SELECT to_regclass('numbers') IS NOT NULL";
    assert_eq!(second.psql(is_there).await, "f");
    assert_eq!(copy.psql(is_there).await, "t");
    assert_eq!((first.psql(NUMBERS).await, copy.psql(NUMBERS).await), ("1".to_owned(), String::new()));
}

#[tokio::test]
async fn the_standby_has_what_was_committed_before_the_primary_was_killed() {
    let primary = Cluster::start().await;
    let standby = Cluster::standby(&primary).await;
    primary.psql("CREATE TABLE numbers (number BIGINT)").await;
    let relay = Relay::start(primary.address()).await;
    let mut connection = connected(&relay.url("postgres")).await;
    inserted(&mut connection, 1).await.expect("it takes writes");

    primary.kill().await;
    inserted(&mut connection, 2).await.expect_err("nobody is there");
    standby.promote().await;
    relay.switch(standby.address());

    let mut connection = connected(&relay.url("postgres")).await;
    inserted(&mut connection, 3).await.expect("it takes writes");
    assert_eq!(standby.psql(NUMBERS).await, "1 3");
}

/// Without that, the test above would pass by luck.
#[tokio::test]
async fn a_commit_waits_for_a_synchronous_standby_and_for_no_other() {
    let primary = Cluster::start().await;
    let standby = Cluster::standby(&primary).await;
    primary.psql("CREATE TABLE numbers (number BIGINT)").await;
    let mut connection = connected(&primary.url("postgres")).await;
    standby.stop();
    let waiting = tokio::spawn(async move { inserted(&mut connection, 1).await });
    eventually("a commit that waits", async || {
        let waits = primary.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await;
        (waits == "1").then_some(())
    })
    .await;
    assert!(!waiting.is_finished());
    standby.cont();
    waiting.await.expect("nothing panics").expect("the standby has it");

    primary.waits_for_nobody().await;
    standby.stop();
    let mut connection = connected(&primary.url("postgres")).await;
    inserted(&mut connection, 2).await.expect("it waits for nobody");
    assert_eq!(primary.psql(NUMBERS).await, "1 2");
}

#[tokio::test]
async fn a_server_comes_back_with_what_was_committed() {
    let cluster = Cluster::start_with(&[("log_min_duration_statement", "0")]).await;
    cluster.psql("CREATE TABLE numbers (number BIGINT)").await;
    for number in 1..=3 {
        let mut connection = connected(&cluster.url("postgres")).await;
        inserted(&mut connection, number).await.expect("it takes writes");
        let mut half = connection.begin().await.expect("it takes connections");
        sqlx::query("INSERT INTO numbers VALUES (-1)").execute(&mut *half).await.expect("it takes writes");
        match number {
            1 => {
                cluster.kill().await;
                cluster.restart_immediate().await;
            }
            2 => cluster.restart_fast().await,
            _ => assert_eq!(cluster.terminate_backends().await, 1),
        }
        half.commit().await.expect_err("its server is gone");
    }
    assert_eq!(cluster.psql(NUMBERS).await, "1 2 3");
    // The setting was taken.
    assert!(cluster.log().contains("duration: "), "{}", cluster.log());
}

#[tokio::test]
async fn the_loss_of_a_commit_is_not_the_loss_of_its_reply() {
    let database = database().await;
    database.psql("CREATE TABLE numbers (number BIGINT)").await;
    let relay = Relay::start(shared().await.address()).await;
    let url = relay.url(database.name());

    for (number, what) in [(1, Lost::Reply), (2, Lost::Request)] {
        let mut connection = connected(&url).await;
        relay.lose_commit(what);
        inserted(&mut connection, number).await.expect_err("the connection was cut");
    }
    assert_eq!(relay.lost(), 2);

    let alone = "INSERT INTO numbers VALUES ($1)";
    for (number, what) in [(3_i64, Lost::Reply), (4, Lost::Request)] {
        let mut connection = connected(&url).await;
        // Prepared before, so that the words are not sent again.
        sqlx::query(alone).bind(number * 10).execute(&mut connection).await.expect("nothing is lost yet");
        relay.lose_commit_of(what, "INTO numbers");
        sqlx::query("SELECT 1").execute(&mut connection).await.expect("no words of it are there");
        sqlx::query(alone).bind(number).execute(&mut connection).await.expect_err("the connection was cut");
    }
    assert_eq!(relay.lost(), 4);

    let mut connection = connected(&url).await;
    inserted(&mut connection, 5).await.expect("nothing more is to be lost");
    relay.cut();
    inserted(&mut connection, 6).await.expect_err("the connection was cut");
    assert_eq!(database.psql(NUMBERS).await, "1 3 5 30 40");
}

#[tokio::test]
async fn a_bouncer_shares_its_connections_in_transaction_mode() {
    let shared = shared().await;
    for (mode, is_shared) in [("transaction", true), ("session", false)] {
        let bouncer = PgBouncer::start_with(shared, &[("pool_mode", mode), ("default_pool_size", "2")]).await;
        let mut servers = Vec::new();
        let mut connections = Vec::new();
        for _ in 0..2 {
            let mut connection = connected(&bouncer.url("postgres")).await;
            let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut connection).await.expect("it answers");
            servers.push(row.get::<i32, _>(0));
            connections.push(connection);
        }
        assert_eq!(servers[0] == servers[1], is_shared, "{mode}: {servers:?}");
    }
}

/// Run by the test below, in a process of its own.
#[ignore = "it waits until it is killed"]
#[tokio::test]
async fn a_cluster_is_held() {
    let cluster = Cluster::start().await;
    println!("\nheld: {}", cluster.directory().display());
    std::future::pending::<()>().await;
}

/// It is not there, and nobody works in it, which is possible all the same.
fn is_gone(directory: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").expect("it is mounted").flatten();
    let works_in_it =
        |process: &Path| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory));
    !directory.exists() && !processes.map(|entry| entry.path()).any(|process| works_in_it(&process))
}

#[tokio::test]
async fn nothing_of_a_cluster_outlives_it_or_the_process() {
    let cluster = Cluster::start().await;
    let directory = cluster.directory().to_owned();
    assert!(!is_gone(&directory));
    // Stopped, as a failed test may leave it.
    cluster.stop();
    drop(cluster);
    assert!(is_gone(&directory));

    let itself = std::env::current_exe().expect("a test is a program");
    let mut holding = Command::new(itself)
        .args(["--exact", "--ignored", "--nocapture", "cluster::a_cluster_is_held"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a test is a program");
    let mut lines = BufReader::new(holding.stdout.take().expect("it is piped")).lines();
    let directory = loop {
        let line = lines.next_line().await.expect("it can be read").expect("it starts a cluster");
        if let Some(directory) = line.strip_prefix("held: ") {
            break PathBuf::from(directory);
        }
    };
    assert!(!is_gone(&directory));
    holding.kill().await.expect("it is ours to kill");
    eventually("the end of what it left", async || is_gone(&directory).then_some(())).await;
}

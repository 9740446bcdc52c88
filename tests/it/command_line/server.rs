//! The commands for a PostgreSQL database: `migrate`, `doctor` and
//! `rotate-master-key`.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::postgres::{Cluster, Database, PgBouncer, database, shared};
use hookyard_tests::{Api, HostProcess, LOCAL, Receiver, TempDir, eventually, text};
use serde_json::{Value, json};

use super::doctor::{line, private};
use super::{Typed, hookyard};

fn on(url: &str, arguments: &[&str]) -> Typed {
    hookyard(arguments).with("HOOKYARD_DATABASE", url)
}

const TABLES: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";

#[tokio::test]
async fn many_may_make_the_schema_at_once() {
    let database = database().await;
    let url = database.url();
    let migrate = || on(url, &["migrate"]).well();
    let (one, two, three, four) = tokio::join!(migrate(), migrate(), migrate(), migrate());
    let all = [one, two, three, four];
    assert_eq!(all.iter().filter(|said| said.contains("it had none")).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|said| said.ends_with(", as before\n")).count(), 3, "{all:?}");

    // A host that runs goes on.
    let (data, mut receiver) = (TempDir::new(), Receiver::start().await);
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", url)]).await;
    let tenant = host.tenant("acme").await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    on(url, &["migrate"]).well().await;
    let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
    assert_eq!(receiver.next().await.header("webhook-id"), event);
}

#[tokio::test]
async fn a_schema_that_was_cut_off_while_it_was_made_is_all_or_nothing() {
    for _ in 0..3 {
        let database = database().await;
        let mut running = on(database.url(), &["migrate"]).running_at_once();
        let works = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", database.name());
        eventually("it to have begun or ended", async || {
            let begun = shared().await.psql(&works).await != "0";
            (begun || running.child.try_wait().expect("it is our child").is_some()).then_some(())
        })
        .await;
        running.child.kill().await.expect("it is our child");
        eventually("its end on the server", async || (shared().await.psql(&works).await == "0").then_some(())).await;
        let made: u32 = database.psql(TABLES).await.parse().expect("a number");
        assert!(made == 0 || made > 30, "{made} tables");
        on(database.url(), &["migrate"]).well().await;
        assert!(database.psql(TABLES).await.parse::<u32>().expect("a number") > 30);
    }
}

#[tokio::test]
async fn a_file_is_migrated_while_no_server_has_it() {
    let data = TempDir::new();
    let path = data.path().to_str().expect("a path of ours is text");
    hookyard(&["migrate", "--data", path]).badly("there is none to migrate").await;
    let host = HostProcess::start(data.path()).await;
    hookyard(&["migrate", "--data", path]).badly("stop it first").await;
    // It listens for signals once it serves.
    host.tenant("acme").await;
    assert!(host.terminate().await.0);
    let said = hookyard(&["migrate", "--data", path]).well().await;
    assert!(said.contains("hookyard.db: schema version 1") && said.ends_with(", as before\n"), "{said}");
}

/// A schema that this program does not know is another's.
#[tokio::test]
async fn a_later_schema_is_left_alone() {
    let database = database().await;
    on(database.url(), &["migrate"]).well().await;
    let later = "INSERT INTO _sqlx_migrations SELECT 999, description, installed_on, success, checksum, execution_time
        FROM _sqlx_migrations LIMIT 1";
    database.psql(later).await;
    on(database.url(), &["migrate"]).badly("version 999, which this program does not know").await;
}

fn look(data: &TempDir, url: &str, key: &[u8; 32]) -> Typed {
    let path = data.path().to_str().expect("a path of ours is text");
    let typed = on(url, &["doctor", "--json", "--data", path, "--listen", "127.0.0.1:0"]);
    typed
        .with("HOOKYARD_MASTER_KEY", &STANDARD.encode(key))
        .with("HOOKYARD_OPERATOR_KEY", "operator-key-for-tests-only")
}

async fn looked(data: &TempDir, url: &str) -> Value {
    look(data, url, &MASTER_KEY).json().await
}

/// What it reports when one check fails.
async fn failed(typed: Typed) -> Value {
    serde_json::from_str(&typed.badly("one check failed").await).expect("it is JSON")
}

#[tokio::test]
async fn a_doctor_says_what_a_server_is_like() {
    let (data, database) = (private(), database().await);
    let report = looked(&data, database.url()).await;
    assert!(line(&report, "schema").1.contains("none yet"), "{report}");
    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", database.url())]).await;
    database.psql("INSERT INTO hosts VALUES ('host_a', 1, 99999999999999), ('host_b', 1, 2)").await;
    let report = looked(&data, database.url()).await;
    for (check, state, words) in [
        ("database", "ok", "PostgreSQL 1"),
        ("pooler", "ok", "none that mixes"),
        ("durability", "ok", "synchronous_commit are on"),
        ("standbys", "warn", "lost with its disk"),
        ("server's clock", "ok", "the same as this machine's"),
        ("schema", "ok", "version "),
        ("secrets", "ok", "the master key opens them"),
        ("hosts", "ok", "host_a"),
        ("autovacuum", "ok", "on"),
        ("dead rows", "ok", "pending deliveries"),
    ] {
        let (is, said) = line(&report, check);
        assert!(is == state && said.contains(words), "{check}: {is} {said}");
    }
    assert!(!line(&report, "hosts").1.contains("host_b"), "it is dead: {report}");
    assert!(host.terminate().await.0);
}

#[tokio::test]
async fn a_doctor_says_what_is_wrong_with_a_server() {
    let (data, database) = (private(), database().await);
    on(database.url(), &["migrate"]).well().await;
    let with = |setting: &str| format!("{}?options=-c%20{setting}", database.url());

    let unsafe_url = with("synchronous_commit%3Doff");
    let report = failed(look(&data, &unsafe_url, &MASTER_KEY)).await;
    assert!(line(&report, "durability").1.contains("synchronous_commit is off"), "{report}");
    let allowed = look(&data, &unsafe_url, &MASTER_KEY).with("HOOKYARD_ALLOW_UNSAFE_DURABILITY", "true");
    assert_eq!(line(&allowed.json().await, "durability").0, "warn");
    let report = failed(look(&data, &with("default_transaction_read_only%3Don"), &MASTER_KEY)).await;
    assert!(line(&report, "database").1.contains("it takes no writes"), "{report}");

    let host = HostProcess::start_with(data.path(), &[("HOOKYARD_DATABASE", database.url())]).await;
    // It listens for signals once it serves.
    host.tenant("acme").await;
    assert!(host.terminate().await.0);
    let report = failed(look(&data, database.url(), &[9; 32])).await;
    assert!(line(&report, "secrets").1.contains("another master key"), "{report}");
    database.psql("INSERT INTO meta VALUES ('copy', '{}')").await;
    let report = failed(look(&data, database.url(), &MASTER_KEY)).await;
    assert!(line(&report, "copy").1.contains("cut off"), "{report}");

    let bouncer = PgBouncer::start(shared().await, "transaction").await;
    let report = failed(look(&data, &bouncer.url(database.name()), &MASTER_KEY)).await;
    assert!(line(&report, "pooler").1.contains("PgBouncer 1.21"), "{report}");
    let report = failed(look(&data, "postgres://me:hush@127.0.0.1:1/x", &MASTER_KEY)).await;
    assert!(line(&report, "database").1.contains("127.0.0.1:1/x") && !report.to_string().contains("hush"), "{report}");
}

#[tokio::test]
async fn a_doctor_sees_whether_a_commit_waits_for_a_standby() {
    let (data, primary) = (private(), Cluster::start().await);
    let standby = Cluster::standby(&primary).await;
    let report = looked(&data, &primary.url("postgres")).await;
    let (state, said) = line(&report, "standbys");
    assert!(state == "ok" && said.contains("a commit waits for") && said.contains("1 of 1"), "{said}");
    let report = failed(look(&data, &standby.url("postgres"), &MASTER_KEY)).await;
    assert!(line(&report, "database").1.contains("name the primary"), "{report}");
    primary.waits_for_nobody().await;
    let (state, said) = line(&looked(&data, &primary.url("postgres")).await, "standbys");
    assert!(state == "warn" && said.contains("a failover can lose"), "{said}");
}

/// A server that has its keys in files, and an endpoint.
struct Yard {
    data: TempDir,
    database: Database,
    tenant: Api,
    secret: String,
    receiver: Receiver,
}

impl Yard {
    async fn new() -> Self {
        let (data, database, receiver) = (private(), database().await, Receiver::start().await);
        fs::write(data.path().join("master.key"), STANDARD.encode(MASTER_KEY)).expect("it is ours");
        let host = HostProcess::start_from(data.path(), LOCAL, &variables(&database, &[])).await;
        let tenant = host.tenant("acme").await;
        let endpoint = tenant.endpoint(&receiver.url(), json!({"headers": {"x-key": "a-secret-header"}})).await;
        let path = format!("/v1/endpoints/{}/rotate-secret", text(&endpoint["id"]));
        tenant.post(&path, json!({})).await;
        assert!(host.terminate().await.0);
        let secret = text(&endpoint["secret"]).to_owned();
        Self { data, database, tenant, secret, receiver }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.data.path().join(name)
    }

    fn rotate(&self) -> Typed {
        let data = self.data.path().to_str().expect("a path of ours is text");
        on(self.database.url(), &["rotate-master-key", "--data", data])
            .with("HOOKYARD_OPERATOR_KEY", "operator-key-for-tests-only")
    }

    /// A host starts on it and sends what is signed with the secret.
    async fn works(&mut self, data: &Path, more: &[(&str, &str)]) {
        let host = HostProcess::start_from(data, LOCAL, &variables(&self.database, more)).await;
        let tenant = Api::new(host.operator.base(), Some(self.tenant.key()));
        let event = tenant.publish(json!({"type": "a.b", "data": 1})).await;
        let request = self.receiver.next().await;
        assert_eq!((request.header("webhook-id"), request.header("x-key")), (&*event, "a-secret-header"));
        assert!(request.is_signed_with(&self.secret));
        assert!(host.terminate().await.0);
    }

    async fn sealed(&self) -> Vec<String> {
        let sealed =
            "SELECT encode(sealed, 'hex') FROM endpoint_secrets UNION SELECT encode(headers, 'hex') FROM endpoints";
        self.database.psql(sealed).await.lines().map(str::to_owned).collect()
    }
}

fn variables<'a>(database: &'a Database, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("HOOKYARD_LOG", "info"), ("HOOKYARD_DATABASE", database.url())], more].concat()
}

const A_HOST: &str = "INSERT INTO hosts VALUES ('host_a', 1, 99999999999999)";

#[tokio::test]
async fn a_new_master_key_opens_a_servers_database_and_the_old_one_nothing() {
    let mut yard = Yard::new().await;
    let (old, before) = (STANDARD.encode(MASTER_KEY), yard.sealed().await);
    assert!(before.len() >= 2);
    yard.database.psql(A_HOST).await;
    yard.rotate().badly("host_a; stop them first").await;
    assert!(!yard.file("master.key.next").exists());
    assert_eq!(yard.sealed().await, before);
    yard.database.psql("DELETE FROM hosts").await;

    let said = yard.rotate().well().await;
    assert!(said.contains("secrets are encrypted") && said.contains("copy it to every other host"), "{said}");
    assert!(!yard.sealed().await.iter().any(|sealed| before.contains(sealed)));
    let new = fs::read_to_string(yard.file("master.key")).expect("it is there");
    assert_ne!(new.trim(), old);
    let data = yard.data.path().to_owned();
    yard.works(&data, &[]).await;
    let refused = HostProcess::refused(&data, &variables(&yard.database, &[("HOOKYARD_MASTER_KEY", &old)])).await;
    assert!(refused.contains("made with another master key"), "{refused}");

    // Another host takes the file.
    let other = private();
    fs::copy(yard.file("master.key"), other.path().join("master.key")).expect("it is ours");
    yard.works(other.path(), &[]).await;
}

#[tokio::test]
async fn hosts_that_start_with_both_keys_go_over_once_and_only_when_none_lives() {
    let mut yard = Yard::new().await;
    let (old, new) = (STANDARD.encode(MASTER_KEY), STANDARD.encode([9; 32]));
    let both = [("HOOKYARD_MASTER_KEY", &*new), ("HOOKYARD_MASTER_KEY_OLD", &*old)];
    let data = yard.data.path().to_owned();
    yard.database.psql(A_HOST).await;
    let refused = HostProcess::refused(&data, &variables(&yard.database, &both)).await;
    assert!(refused.contains("host_a; stop them first"), "{refused}");
    yard.database.psql("DELETE FROM hosts").await;
    yard.works(&data, &both).await;
    // The second finds it done, whoever lives.
    yard.database.psql(A_HOST).await;
    yard.works(&data, &both).await;
}

#[tokio::test]
async fn kill_9_while_it_rotates_a_servers_database_leaves_a_key_that_opens() {
    let mut yard = Yard::new().await;
    for _ in 0..4 {
        let mut rotating = yard.rotate().running_at_once();
        eventually("it to have begun or ended", async || {
            let has_ended = rotating.child.try_wait().expect("it is our child").is_some();
            (has_ended || yard.file("master.key.next").exists()).then_some(())
        })
        .await;
        // It may have ended, which is as good.
        let _killed_or_ended = rotating.child.kill().await;
        yard.rotate().well().await;
    }
    let data = yard.data.path().to_owned();
    yard.works(&data, &[]).await;
}

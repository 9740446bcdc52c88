//! The README's "More than one machine", pasted block after block, with a cluster of
//! the test's own where Debian would have one; and what the page about PostgreSQL
//! asks of a database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_tests::host::{MASTER_KEY, OPERATOR_KEY};
use hookyard_tests::postgres::{Cluster, database, program};
use hookyard_tests::{Api, HostProcess, LOCAL, TempDir, build, eventually, list};
use serde_json::json;

use crate::terminal::{Terminal, blocks, free_port, section};

/// As `sudo` is there, for whoever administers this cluster.
fn sudo(directory: &Path, port: &str) {
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2\" = '-u postgres' ] || exit 1\nshift 2\n\
         PGHOST=127.0.0.1 PGPORT={port} PGUSER=postgres PGDATABASE=postgres exec \"$@\"\n"
    );
    let path = directory.join("sudo");
    fs::create_dir_all(directory).and_then(|()| fs::write(&path, script)).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A data directory as a first start leaves it, with keys of the test's: what was
/// compiled counts with its master key alone.
fn started_once(data: &Path) {
    build::compiled_into(data);
    fs::write(data.join("master.key"), STANDARD.encode(MASTER_KEY)).expect("it can be written");
    fs::write(data.join("operator.key"), OPERATOR_KEY).expect("it can be written");
}

/// What the README's first event leaves behind: a stopped server's file.
async fn first_event(data: &Path) {
    fs::create_dir_all(data).expect("it can be made");
    started_once(data);
    let host = HostProcess::start_from(data, LOCAL, &[("HOOKYARD_LOG", "info")]).await;
    host.tenant("Acme").await.publish(json!({"type": "order.placed", "data": {"order_id": "ORD-0"}})).await;
    let (is_well, _) = host.terminate().await;
    assert!(is_well);
}

#[tokio::test]
async fn the_readmes_two_hosts_do_what_it_says() {
    let cluster = Cluster::start().await;
    let place = TempDir::new();
    let home = place.path();
    let port = cluster.port().to_string();
    sudo(&home.join("bin"), &port);
    first_event(&home.join("first-event/data")).await;
    for data in ["one", "two"] {
        build::compiled_into(&home.join(data));
    }
    started_once(&home.join("one"));

    let (one, two) = (free_port(), free_port());
    let blocks = blocks(&section("## More than one machine"), "\n```sh\n").into_iter();
    let blocks: Vec<String> = blocks.map(|block| block.replace("8401", &one).replace("8402", &two)).collect();
    let [a_database, hosts, publish, look, stop, copy]: [String; 6] = blocks.try_into().expect("six blocks");
    // The README's address has no port: it is PostgreSQL's usual one.
    let variables = [("HOME", home.to_str().expect("it is text")), ("PGPORT", &port)];
    let (own, createdb) = (home.join("bin"), program("createdb"));
    let programs = [&*own, createdb.parent().unwrap_or(home)];
    let mut terminal = Terminal::open(home, &variables, &programs).await;

    terminal.paste(&a_database).await;
    terminal.paste(&hosts).await;
    let said = terminal.paste(&publish).await;
    assert!(said.contains("evt_"), "{said}");
    let key = terminal.paste("echo \"key=$TENANT.\"").await;
    let key = key.split_once("key=").and_then(|(_, rest)| rest.split_once('.')).expect("the tenant has a key").0;
    let other = Api::new(format!("http://127.0.0.1:{two}"), Some(key));
    eventually("the key, at the other host", async || (other.get("/v1/events").await.status == 200).then_some(()))
        .await;
    let said = terminal.paste(&look).await;
    assert!(said.contains("order.placed"), "{said}");

    terminal.paste(&stop).await;
    let events = other.get("/v1/events").await.expect(200);
    assert_eq!(list(&events["items"]).len(), 2, "{events}");

    let said = terminal.paste(&copy).await;
    assert!(said.contains("are the same on both sides"), "{said}");
    let count =
        "sudo -u postgres psql -d moved -Atc \"SELECT 'moved ' || count(*) || ' of ' || min(type) FROM events\"";
    let said = terminal.paste(count).await;
    assert!(said.contains("moved 1 of order.placed"), "{said}");
    terminal.paste("kill $TWO; wait $TWO").await;
}

#[tokio::test]
async fn the_pages_questions_to_postgresql_are_answered() {
    let database = database().await;
    let host = HostProcess::start_on(database.url()).await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/docs/postgresql.md");
    let page = fs::read_to_string(page).expect("it is there");
    let questions = blocks(&page, "\n```sql\n").concat();
    let said = database.psql(&questions).await;
    assert!(said.contains("host_"), "a host lives: {said}");
    assert!(said.contains("deliveries_rested_"), "tables have sizes: {said}");
    host.terminate().await;
}

//! What is not copied, and why.

use hookyard_tests::postgres::{PgBouncer, database, shared};
use hookyard_tests::{HostProcess, TempDir};
use sqlx::Connection as _;

use super::{command, copied, ended, not_copied, sqlite, unused, url};

#[tokio::test]
async fn nothing_is_written_over_and_no_part_is_mixed_with_anothers() {
    let place = TempDir::new();
    let files: Vec<_> = ["one", "other", "third"].map(|name| place.path().join(name)).into();
    for file in &files[..2] {
        unused(file).await;
    }
    let said = not_copied(&url(&files[0]), &url(&files[1])).await;
    assert!(said.contains("nothing is written over") && said.contains("`meta`"), "{said}");
    copied(&url(&files[0]), &url(&files[2])).await;
    let said = not_copied(&url(&files[1]), &url(&files[2])).await;
    assert!(said.contains("a part of another database"), "{said}");

    let server = database().await;
    server.psql("CREATE TABLE mine (id TEXT PRIMARY KEY)").await;
    let said = not_copied(&url(&files[0]), server.url()).await;
    assert!(said.contains("different schemas: `mine`"), "{said}");
}

/// What somebody adds to the schema of one engine is not left behind in silence.
#[tokio::test]
async fn a_table_or_a_column_that_one_side_lacks_is_told() {
    let place = TempDir::new();
    for (change, told) in [
        ("CREATE TABLE later (id TEXT PRIMARY KEY)", "`later`"),
        ("ALTER TABLE tenants ADD COLUMN later TEXT", "`tenants`"),
        ("CREATE TABLE later (id REAL PRIMARY KEY)", "`later.id` is `REAL`"),
        ("CREATE TABLE later (id TEXT)", "no primary key"),
    ] {
        let file = place.path().join(told.replace(['`', ' ', '.'], ""));
        unused(&file).await;
        let mut conn = sqlite(&file).await;
        sqlx::raw_sql(change).execute(&mut conn).await.expect("a change");
        conn.close().await.expect("it closes");
        let server = database().await;
        let said = not_copied(&url(&file), server.url()).await;
        assert!(said.contains("different schemas") && said.contains(told), "{said}");
    }
}

#[tokio::test]
async fn whoever_works_on_it_is_named() {
    let place = TempDir::new();
    let host = HostProcess::start(place.path()).await;
    let (file, server) = (url(&place.path().join("hookyard.db")), database().await);
    let said = not_copied(&file, server.url()).await;
    assert!(said.contains("stop it first"), "{said}");
    // It listens for signals once it serves.
    host.tenant("acme").await;
    assert!(host.terminate().await.0);
    copied(&file, server.url()).await;

    // As a host that lives says it.
    server.psql("INSERT INTO hosts VALUES ('host_a', 1, 99999999999999), ('host_b', 1, 2)").await;
    let other = database().await;
    for (from, to) in [(server.url(), other.url()), (other.url(), server.url())] {
        let said = not_copied(from, to).await;
        assert!(said.contains("host_a; stop them first") || said.contains("no server has ever used"), "{said}");
    }
    server.psql("DELETE FROM hosts WHERE id = 'host_a'").await;
    copied(server.url(), other.url()).await;
}

#[tokio::test]
async fn the_master_key_has_to_be_there_and_the_same() {
    let place = TempDir::new();
    let (file, to) = (place.path().join("hookyard.db"), place.path().join("to.db"));
    unused(&file).await;
    let mut other = command(&url(&file), &url(&to));
    other.env("HOOKYARD_MASTER_KEY", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
    let (is_well, said) = ended(other).await;
    assert!(!is_well && said.contains("made with another master key"), "{said}");
    let mut none = command(&url(&file), &url(&to));
    none.env_remove("HOOKYARD_MASTER_KEY");
    let (is_well, said) = ended(none).await;
    assert!(!is_well && said.contains("/nowhere/master.key"), "{said}");
    assert!(!to.exists(), "nothing was begun");

    // The place that it goes to has another.
    let server = database().await;
    let seal = hookyard::store::seal::Seal::new([9; 32]);
    let durability = hookyard::domain::database::Durability::Required;
    let postgres_url = server.url().parse().expect("a server's URL");
    let store = hookyard::store::postgres::PostgresStore::open(&postgres_url, seal, durability).await;
    store.expect("an empty database").close().await;
    let said = not_copied(&url(&file), server.url()).await;
    assert!(said.contains("the database to be copied to was made with another master key"), "{said}");
}

#[tokio::test]
async fn what_is_not_there_or_was_never_used_is_not_copied() {
    let place = TempDir::new();
    let missing = place.path().join("missing.db");
    let said = not_copied(&url(&missing), &url(&place.path().join("to.db"))).await;
    assert!(said.contains("there is no database at") && !missing.exists(), "{said}");
    let (empty, server) = (database().await, database().await);
    let said = not_copied(empty.url(), server.url()).await;
    assert!(said.contains("no server has ever used"), "{said}");
    assert_eq!(empty.psql("SELECT to_regclass('meta') IS NULL").await, "t", "a mistyped name gets no schema");
    let said = not_copied("mysql://x/y", "sqlite:x").await;
    assert!(said.contains("--from: "), "{said}");
    let said = not_copied("postgres://me:hush@127.0.0.1:1/x", "sqlite:/nowhere/x").await;
    assert!(said.contains("the database to be copied: ") && !said.contains("hush"), "{said}");
}

#[tokio::test]
async fn a_pooler_that_mixes_statements_is_not_copied_through() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    unused(&file).await;
    let server = database().await;
    let bouncer = PgBouncer::start(shared().await, "transaction").await;
    let said = not_copied(&url(&file), &bouncer.url(server.name())).await;
    assert!(said.contains("mixes prepared statements"), "{said}");
    let bouncer = PgBouncer::start(shared().await, "session").await;
    copied(&url(&file), &bouncer.url(server.name())).await;
}

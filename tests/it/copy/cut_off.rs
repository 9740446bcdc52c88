//! Cut off anywhere, the same command goes on and ends right; and what was changed
//! behind its back is noticed.

use std::path::Path;

use hookyard::domain::database::Durability;
use hookyard_tests::postgres::{Database, database};
use hookyard_tests::{HostProcess, TempDir, eventually};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tokio::process::Child;

use super::{command, content_of_postgres, content_of_sqlite, copied, not_copied, sqlite, unused, url};

/// Large enough for some portions.
const EVENTS: u32 = 11_000;
const KILLS: usize = 4;

async fn many_events(file: &Path) {
    unused(file).await;
    let mut conn = sqlite(file).await;
    let insert = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {EVENTS})
         INSERT INTO events (tenant_id, id, type, occurred_at, received_at, tags, data)
         SELECT 'ten_' || (n % 3), printf('evt_%08d', n), 'a.b', n, n, '[]', hex(randomblob(200)) FROM n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut conn).await.expect("rows");
    conn.close().await.expect("it closes");
}

/// How many events the copy says that it has, once it says something.
fn events(mark: Option<String>) -> Option<u64> {
    let mark: Value = serde_json::from_str(&mark?).ok()?;
    Some(mark["tables"]["events"]["rows"].as_u64().unwrap_or(0))
}

async fn reached_in_postgres(database: &Database) -> Option<u64> {
    let is_there = database.psql("SELECT to_regclass('meta') IS NOT NULL").await;
    let mark = "SELECT convert_from(value, 'UTF8') FROM meta WHERE name = 'copy'";
    if is_there == "t" { events(Some(database.psql(mark).await)) } else { None }
}

async fn reached_in_sqlite(file: &Path) -> Option<u64> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut conn: SqliteConnection = sqlx::ConnectOptions::connect(&options).await.ok()?;
    let mark = sqlx::query_scalar("SELECT CAST(value AS TEXT) FROM meta WHERE name = 'copy'");
    let reached = events(mark.fetch_optional(&mut conn).await.ok().flatten());
    conn.close().await.ok()?;
    reached
}

/// Kills the command as soon as it has come further than before; answers how far, or
/// nothing when it has ended.
async fn killed(mut running: Child, before: u64, reached: impl AsyncFn() -> Option<u64>) -> Option<u64> {
    let further = eventually("some progress", async || {
        if running.try_wait().expect("it is our child").is_some() {
            return Some(None);
        }
        reached().await.filter(|reached| *reached > before).map(Some)
    });
    let further = further.await?;
    running.kill().await.expect("it is our child");
    Some(further)
}

#[tokio::test]
async fn kill_9_while_a_file_goes_to_a_server_loses_and_doubles_nothing() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    many_events(&file).await;
    let database = database().await;
    let (mut kills, mut before) = (0, 0);
    while kills < KILLS {
        let running = command(&url(&file), database.url()).spawn().expect("the program was built");
        let Some(reached) = killed(running, before, async || reached_in_postgres(&database).await).await else { break };
        (kills, before) = (kills + 1, reached);
        if kills == 1 {
            let refused = HostProcess::refused(place.path(), &[("HOOKYARD_DATABASE", database.url())]).await;
            assert!(refused.contains("a copy that was cut off"), "{refused}");
            let refused = not_copied(database.url(), &url(&place.path().join("other.db"))).await;
            assert!(refused.contains("itself a copy that was cut off"), "{refused}");
        }
    }
    assert!(kills > 1, "it was never cut off half-way");
    let said = copied(&url(&file), database.url()).await;
    assert!(said.contains("the same on both sides") || said.contains("complete copy already"), "{said}");
    assert_eq!(content_of_postgres(database.url()).await, content_of_sqlite(&file).await);
}

#[tokio::test]
async fn kill_9_while_a_server_goes_to_a_file_loses_and_doubles_nothing() {
    let place = TempDir::new();
    let (file, back) = (place.path().join("hookyard.db"), place.path().join("back.db"));
    many_events(&file).await;
    let database = database().await;
    copied(&url(&file), database.url()).await;
    let (mut kills, mut before) = (0, 0);
    while kills < KILLS {
        let running = command(database.url(), &url(&back)).spawn().expect("the program was built");
        let Some(reached) = killed(running, before, async || reached_in_sqlite(&back).await).await else { break };
        (kills, before) = (kills + 1, reached);
    }
    assert!(kills > 1, "it was never cut off half-way");
    copied(database.url(), &url(&back)).await;
    assert_eq!(content_of_sqlite(&back).await, content_of_sqlite(&file).await);
}

/// Between its first table and its mark: there is neither, as before the command, and
/// so nothing that a host would take for its own. The same command goes on from there.
#[tokio::test]
async fn a_copy_that_cannot_be_marked_leaves_no_schema() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    unused(&file).await;
    let database = database().await;
    let refuse_the_mark = "
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no marks'; END $$;
        CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF to_regclass('meta') IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'no_mark') THEN
                CREATE TRIGGER no_mark BEFORE INSERT ON meta FOR EACH ROW WHEN (NEW.name = 'copy')
                    EXECUTE FUNCTION refuse();
            END IF;
        END $$;
        CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch()";
    database.psql(refuse_the_mark).await;
    let said = not_copied(&url(&file), database.url()).await;
    assert!(said.contains("no marks"), "{said}");
    assert_eq!(database.psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").await, "0");

    database.psql("DROP EVENT TRIGGER watch").await;
    copied(&url(&file), database.url()).await;
    assert_eq!(content_of_postgres(database.url()).await, content_of_sqlite(&file).await);
}

/// A copy that was cut off just before both sides are compared, and one of the two is
/// not what was copied any more.
#[tokio::test]
async fn a_changed_byte_a_lost_row_and_a_new_one_are_noticed() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    let insert = "
        INSERT INTO events (tenant_id, id, type, occurred_at, received_at, tags, data)
        VALUES ('ten', 'evt_1', 'a.b', 1, 1, '', 'data'), ('ten', 'evt_2', 'a.b', 1, 1, '', 'data')";
    sqlx::raw_sql(insert).execute(&mut conn).await.expect("rows");
    conn.close().await.expect("it closes");
    let database = database().await;
    copied(&url(&file), database.url()).await;
    let cut_off = r#"
        UPDATE meta SET value = convert_to(replace(convert_from(value, 'UTF8'), '"is_complete":true',
            '"is_complete":false'), 'UTF8') WHERE name = 'copy'"#;
    for (change, back) in [
        ("UPDATE events SET data = 'dbta' WHERE id = 'evt_1'", "UPDATE events SET data = 'data' WHERE id = 'evt_1'"),
        ("UPDATE events SET id = 'evt_3' WHERE id = 'evt_2'", "UPDATE events SET id = 'evt_2' WHERE id = 'evt_3'"),
        ("INSERT INTO keys (hash, id, tenant_id, created_at) VALUES ('\\x00', 'a', 'ten', 1)", "DELETE FROM keys"),
    ] {
        database.psql(&format!("{cut_off}; {change}")).await;
        let said = not_copied(&url(&file), database.url()).await;
        let table = if change.contains("keys") { "keys" } else { "events" };
        assert!(said.contains(&format!("not the same in {table}:")), "{said}");
        assert!(said.lines().any(|line| line.starts_with(table) && line.ends_with("differs")), "{said}");
        assert!(said.lines().any(|line| line.starts_with("tenants") && line.ends_with("same")), "{said}");
        let refused = HostProcess::refused(place.path(), &[("HOOKYARD_DATABASE", database.url())]).await;
        assert!(refused.contains("a copy that was cut off"), "{refused}");
        database.psql(back).await;
    }
    // The control: as it was, it is complete.
    copied(&url(&file), database.url()).await;
    let said = copied(&url(&file), database.url()).await;
    assert!(said.contains("complete copy already"), "{said}");
}

/// Half-way through a table, while more of it is being read.
#[tokio::test]
async fn a_server_that_takes_a_row_not_is_told_of_and_gone_on_with() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    many_events(&file).await;
    let target = database().await;
    let postgres_url = target.url().parse().expect("a server's URL");
    let migrated = hookyard::store::postgres::migrate(&postgres_url, Durability::Required).await;
    migrated.expect("an empty database");
    target.psql("ALTER TABLE events ADD CONSTRAINT no_one CHECK (tenant_id <> 'ten_1')").await;
    let said = not_copied(&url(&file), target.url()).await;
    assert!(said.contains("the same command goes on where it was") && said.contains("no_one"), "{said}");
    let reached = reached_in_postgres(&target).await.expect("it was begun");
    assert!(reached > 0 && reached < u64::from(EVENTS), "{reached}");
    assert_eq!(target.psql("SELECT count(*) FROM events").await, reached.to_string());

    target.psql("ALTER TABLE events DROP CONSTRAINT no_one").await;
    copied(&url(&file), target.url()).await;
    assert_eq!(content_of_postgres(target.url()).await, content_of_sqlite(&file).await);
}

/// Of two commands that copy to one place, one gives up and the other ends right.
#[tokio::test]
async fn two_at_once_do_not_mix() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    many_events(&file).await;
    let server = database().await;
    copied(&url(&file), server.url()).await;
    let target = database().await;
    let (one, other) = tokio::join!(
        super::ended(command(server.url(), target.url())),
        super::ended(command(server.url(), target.url())),
    );
    assert!(one.0 || other.0, "{} {}", one.1, other.1);
    for (is_well, said) in [one, other] {
        let is_told = said.contains("another copy") || said.contains("something in the database");
        assert!(is_well || is_told, "{said}");
    }
    assert_eq!(content_of_postgres(target.url()).await, content_of_sqlite(&file).await);
}

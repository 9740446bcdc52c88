//! Every row and every column arrives, as it was.

use hookyard::domain::id::{DeliveryId, EventId, RequestId};
use hookyard::domain::time::Timestamp;
use hookyard_tests::TempDir;
use hookyard_tests::postgres::database;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{OWN, content_of_postgres, content_of_sqlite, copied, sqlite, tables_of_sqlite, unused, url};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Rows in every table that there is, also in one that somebody adds after this was
/// written: each column has something else, and every second row nothing where it may.
async fn fill(conn: &mut SqliteConnection) -> usize {
    const MAY_BE_NULL: &str = "SELECT name FROM pragma_table_info(?) WHERE \"notnull\" = 0 AND pk = 0";
    let mut filled = 0;
    for (table, columns) in tables_of_sqlite(conn).await {
        if OWN.contains(&&*table) {
            continue;
        }
        let may: Vec<String> =
            sqlx::query_scalar(MAY_BE_NULL).bind(table.clone()).fetch_all(&mut *conn).await.expect("a table");
        for row in 0..4_i64 {
            let value = |(at, (name, kind, _)): (usize, &(String, String, i64))| match (&**name, &**kind) {
                // The only texts that are no texts of somebody's.
                ("state", _) if table == "deliveries" => "'dead'".to_owned(),
                (name, _) if row % 2 == 1 && may.iter().any(|may| may == name) => "NULL".to_owned(),
                (_, "TEXT") => format!("'{table} {at} {row} größe ''\"\\ \u{1f980}'"),
                (_, "BLOB") => format!("x'00ff{at:02x}{row:02x}'"),
                (_, "BIGINT") => (row * 1_000_000_007 - i64::try_from(at).expect("few")).to_string(),
                (_, other) => panic!("{table}.{name} is `{other}`: say here what it may have"),
            };
            let values: Vec<String> = columns.iter().enumerate().map(value).collect();
            let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
            sqlx::query(AssertSqlSafe(insert)).execute(&mut *conn).await.expect("a row");
        }
        filled += 1;
    }
    filled
}

#[tokio::test]
async fn every_table_and_every_column_goes_to_a_server_and_to_another_and_back() {
    let place = TempDir::new();
    let (file, back) = (place.path().join("hookyard.db"), place.path().join("back.db"));
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    let filled = fill(&mut conn).await;
    assert!(filled > 25, "{filled} tables");
    conn.close().await.expect("it closes");
    let content = content_of_sqlite(&file).await;
    assert!(content.values().all(|rows| rows.len() >= 4), "{content:?}");

    let (server, other) = (database().await, database().await);
    let said = copied(&url(&file), server.url()).await;
    assert!(said.contains(&format!("rows in {filled} tables are the same on both sides")), "{said}");
    assert_eq!(content_of_postgres(server.url()).await, content);
    copied(server.url(), other.url()).await;
    assert_eq!(content_of_postgres(other.url()).await, content);
    copied(other.url(), &url(&back)).await;
    assert_eq!(content_of_sqlite(&back).await, content);
    // The first is what it was, and a copy that is complete is one.
    assert_eq!(content_of_sqlite(&file).await, content);
    let said = copied(&url(&file), server.url()).await;
    assert!(said.contains("complete copy already"), "{said}");
}

/// Deliveries of an ordered endpoint: `a` is under way, `b` waits behind it; `d` is
/// under way too, and `c`, which was retried by hand, is before it; `e` was delivered.
async fn lines(conn: &mut SqliteConnection) {
    let insert = "
        INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, attempts, due_at, claim, updated_at,
            line, turn, not_before) VALUES
        ('ten', 'z-a', 'evt-a', 'ep', 'pending', 1, 99000, 7, 5, 'one', 1, NULL),
        ('ten', 'y-b', 'evt-b', 'ep', 'pending', 0, 3000, NULL, 6, 'one', 2, NULL),
        ('ten', 'x-d', 'evt-d', 'ep', 'pending', 1, 99000, 8, 7, 'two', 4, NULL),
        ('ten', 'w-c', 'evt-c', 'ep', 'dead', 1, NULL, NULL, 8, 'two', 3, NULL),
        ('ten', 'v-e', 'evt-e', 'ep', 'delivered', 1, NULL, NULL, 9, 'two', 5, NULL)";
    sqlx::raw_sql(insert).execute(&mut *conn).await.expect("rows");
    let retried = "UPDATE deliveries SET state = 'pending', due_at = 4000 WHERE id = 'w-c'";
    sqlx::raw_sql(retried).execute(conn).await.expect("a row");
}

const LINES: &str = "
    SELECT id || ' ' || state || ' ' || coalesce(line, '-') || ' ' ||
        CASE WHEN due_at IS NULL THEN 'waits' WHEN due_at < 1000000 THEN CAST(due_at AS TEXT) ELSE 'now' END || ' ' ||
        coalesce(CAST(claim AS TEXT), 'free') || ' ' || coalesce(CAST(not_before AS TEXT), '-')
    FROM deliveries ORDER BY id";

#[tokio::test]
async fn what_waits_in_a_line_keeps_its_place_and_what_was_under_way_is_due() {
    let place = TempDir::new();
    let (file, back) = (place.path().join("hookyard.db"), place.path().join("back.db"));
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    lines(&mut conn).await;
    let before: Vec<String> = sqlx::query_scalar(LINES).fetch_all(&mut conn).await.expect("rows");
    conn.close().await.expect("it closes");
    assert_eq!(
        before,
        [
            "v-e delivered two waits free -",
            "w-c pending two 4000 free -",
            "x-d pending two 99000 8 -",
            "y-b pending one waits free 3000",
            "z-a pending one 99000 7 -",
        ]
    );

    let server = database().await;
    let said = copied(&url(&file), server.url()).await;
    assert!(said.contains("2 deliveries that the old server had begun are due again"), "{said}");
    // Of `d` it is seen that another is before it.
    let after = [
        "v-e delivered two waits free -",
        "w-c pending two 4000 free -",
        "x-d pending two waits free",
        "y-b pending one waits free 3000",
        "z-a pending one now free -",
    ];
    let lines = server.psql(LINES).await;
    assert!(lines.lines().zip(after).all(|(line, is)| line.starts_with(is)), "{lines}");
    copied(server.url(), &url(&back)).await;
    let mut conn = sqlite(&back).await;
    let lines_back: Vec<String> = sqlx::query_scalar(LINES).fetch_all(&mut conn).await.expect("rows");
    assert_eq!(lines_back, lines.lines().collect::<Vec<_>>());
    conn.close().await.expect("it closes");

    // The lines go on: the second follows when the first has arrived.
    server.psql("UPDATE deliveries SET state = 'delivered', due_at = NULL WHERE id = 'z-a'").await;
    let lines = server.psql(LINES).await;
    assert!(lines.contains("y-b pending one 3000 free -"), "{lines}");
}

#[tokio::test]
async fn each_day_has_its_own_part_from_the_first_row_on() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    let now = hookyard::clock::Clock::now(&hookyard::clock::SystemClock).as_millis();
    for (days_ago, data) in [(0, "today"), (40, "a month"), (4_000, "years")] {
        let at = Timestamp::from_millis(now - days_ago * DAY);
        let (event, delivery) = (EventId::floor(at), DeliveryId::floor(at));
        let insert = format!(
            "INSERT INTO requests VALUES ('ten', '{}', 'src', 1, 'PUT', '', '', x'00', 'accepted', NULL, '', '', NULL);
             INSERT INTO events (tenant_id, id, type, occurred_at, received_at, tags, data)
                 VALUES ('ten', '{event}', 'a.b', 1, 1, '', '{data}');
             INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, state, attempts, updated_at)
                 VALUES ('ten', '{delivery}', '{event}', 'ep', 'delivered', 1, 1);
             INSERT INTO messages (delivery_id, tenant_id, steps) VALUES ('{delivery}', 'ten', '');
             INSERT INTO attempts VALUES ('{delivery}', 'ten', 1, 'att', 1, 1, '', '', '', NULL, NULL, NULL, NULL, 0)",
            RequestId::floor(at),
        );
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut conn).await.expect("rows");
    }
    conn.close().await.expect("it closes");
    let server = database().await;
    copied(&url(&file), server.url()).await;
    for table in ["requests", "events", "deliveries_rested", "messages", "attempts"] {
        let whole = table.strip_suffix("_rested").unwrap_or(table);
        let parts = server.psql(&format!("SELECT tableoid::regclass FROM {whole} ORDER BY 1")).await;
        let is_day = |part: &&str| part.starts_with(&format!("{table}_2"));
        assert_eq!(parts.lines().filter(is_day).count(), 2, "{parts}");
        // What is older than any server keeps it.
        assert_eq!(parts.lines().filter(|part| part.ends_with("_other_days")).count(), 1, "{parts}");
    }
}

#[tokio::test]
async fn what_postgresql_does_not_take_is_replaced_and_told() {
    let place = TempDir::new();
    let (file, other) = (place.path().join("hookyard.db"), place.path().join("other.db"));
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    let insert = "
        INSERT INTO attempts VALUES ('dlv', 'ten', 1, 'att', 1, 1, '', '', '', NULL, CAST(x'6100620063' AS TEXT),
            NULL, x'0000', 0)";
    sqlx::raw_sql(insert).execute(&mut conn).await.expect("a row");
    conn.close().await.expect("it closes");
    let server = database().await;
    let said = copied(&url(&file), server.url()).await;
    assert!(said.contains("1 texts had U+0000"), "{said}");
    let error = server.psql("SELECT error || ' ' || encode(answer_body, 'hex') FROM attempts").await;
    assert_eq!(error, "a\u{fffd}b\u{fffd}c 0000");
    // A file takes it as it is.
    let said = copied(&url(&file), &url(&other)).await;
    assert!(!said.contains("U+0000"), "{said}");
    assert_eq!(content_of_sqlite(&file).await, content_of_sqlite(&other).await);
}

/// Rows of many MiB go in portions of few.
#[tokio::test]
async fn large_rows_do_not_fill_the_memory() {
    let place = TempDir::new();
    let file = place.path().join("hookyard.db");
    unused(&file).await;
    let mut conn = sqlite(&file).await;
    let insert = "
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
        INSERT INTO components (digest, component) SELECT printf('%05d', n), randomblob(1000000) FROM n";
    sqlx::raw_sql(insert).execute(&mut conn).await.expect("rows");
    conn.close().await.expect("it closes");
    let server = database().await;
    let mut command = tokio::process::Command::new("bash");
    // Addresses, of which a program takes some for nothing: what it holds is far below.
    let limited = "ulimit -v 500000; exec \"$0\" copy --data /nowhere";
    command.args(["-c", limited]).arg(hookyard_tests::build::hookyard());
    command.env("HOOKYARD_COPY_FROM", url(&file)).env("HOOKYARD_COPY_TO", server.url());
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hookyard_tests::host::MASTER_KEY);
    command.env("HOOKYARD_MASTER_KEY", key).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let (is_well, said) = super::ended(command).await;
    assert!(is_well, "{said}");
    assert_eq!(server.psql("SELECT count(*), sum(length(component)) FROM components").await, "300|300000000");
}

//! What retention rests on in this engine: no statement of it reads a whole
//! table, and no table forgets that its tenant was deleted.

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::SqliteStore;
use super::backup::{BackupError, backup, restore};
use super::open::MIGRATIONS;
use super::sql::{changes, figures, people, remove, sweep, upkeep};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::seal::Seal;

/// The schema, in memory.
pub(super) async fn database() -> SqliteConnection {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for (_, _, sql) in MIGRATIONS {
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }
    conn
}

pub(super) async fn plan(conn: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

/// Lists that a statement is given may be read from end to end, and what a part of
/// it has found: how it found it, its own steps say.
fn reads_all(steps: &[String]) -> bool {
    let lists = ["VIRTUAL TABLE", "CONSTANT ROW", "(subquery", "SCAN few"];
    steps.iter().any(|step| step.starts_with("SCAN") && !lists.iter().any(|list| step.contains(list)))
}

#[tokio::test]
async fn no_statement_of_a_sweep_reads_a_whole_table() {
    let mut conn = database().await;
    let counted = [figures::DEAD, figures::QUARANTINED, figures::FORGET, figures::SINCE];
    let bounded = counted.into_iter().chain(people::END_OLDEST);
    for statement in sweep::STATEMENTS.into_iter().chain(remove::STATEMENTS).chain(bounded) {
        let steps = plan(&mut conn, statement).await;
        assert!(!reads_all(&steps), "{statement}\n{steps:#?}");
        assert!(steps.iter().any(|step| step.contains("USING")), "{statement}\n{steps:#?}");
    }
    // The control: without an index it would be noticed.
    let steps = plan(&mut conn, "DELETE FROM events WHERE received_at < ?1").await;
    assert!(reads_all(&steps), "{steps:#?}");
}

/// The tables with a column of this name, and their columns' names and types.
async fn tables_with(conn: &mut SqliteConnection, column: &str) -> Vec<(String, Vec<(String, String)>)> {
    const TABLES: &str = "
        SELECT name FROM sqlite_schema WHERE type = 'table'
        AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_schema.name) AS c WHERE c.name = ?) ORDER BY name";
    const COLUMNS: &str = "SELECT name, type FROM pragma_table_info(?)";
    let names: Vec<String> = sqlx::query_scalar(TABLES).bind(column.to_owned()).fetch_all(&mut *conn).await.unwrap();
    let mut tables = Vec::new();
    for name in names {
        let columns = sqlx::query_as(COLUMNS).bind(name.clone()).fetch_all(&mut *conn).await.unwrap();
        tables.push((name, columns));
    }
    tables
}

async fn count(conn: &mut SqliteConnection, table: &str, owner: &str, tenant: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {owner} = ?"));
    sqlx::query_scalar(count).bind(tenant.to_owned()).fetch_one(conn).await.unwrap()
}

/// A row of each table that says whose it is: also of those that somebody adds
/// after this was written.
#[tokio::test]
async fn a_deleted_tenant_is_in_no_table() {
    let mut conn = database().await;
    let now = Timestamp::from_millis(1_763_700_000_123);
    let tenant = TenantId::floor(now);
    let text = tenant.to_string();
    sqlx::query("INSERT INTO tenants (id, name, dialect, created_at) VALUES (?, 'acme', 'x', 1)")
        .bind(text.clone())
        .execute(&mut conn)
        .await
        .unwrap();
    let mut filled = Vec::new();
    for owner in ["tenant_id", "owner"] {
        for (table, columns) in tables_with(&mut conn, owner).await {
            let value = |(name, kind): &(String, String)| match (name == owner, kind.as_str()) {
                (true, _) => "?1",
                (false, "TEXT") => "'x'",
                (false, "BLOB") => "x'00'",
                (false, _) => "1",
            };
            let values: Vec<&str> = columns.iter().map(value).collect();
            let insert = AssertSqlSafe(format!("INSERT INTO {table} VALUES ({})", values.join(", ")));
            sqlx::query(insert).bind(text.clone()).execute(&mut conn).await.unwrap();
            assert_eq!(count(&mut conn, &table, owner, &text).await, 1, "{table}");
            filled.push((table, owner));
        }
    }
    assert!(filled.len() > 15, "{filled:?}");

    changes::delete_tenant(&mut conn, tenant, now).await.unwrap();
    while upkeep::purge(&mut conn, tenant, 3).await.unwrap() {}
    for (table, owner) in filled {
        assert_eq!(count(&mut conn, &table, owner, &text).await, 0, "{table} still has the tenant's row");
    }
    assert_eq!(count(&mut conn, "tenants", "id", &text).await, 0);
}

#[tokio::test]
async fn a_backup_of_a_later_version_is_not_restored() {
    let place = std::env::temp_dir().join(format!("hookyard-backup-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let (database, file) = (place.join("hookyard.db"), place.join("backup.db"));
    SqliteStore::open(&database, Seal::new([1; 32])).await.unwrap().close().await;
    backup(&database, &file).await.unwrap();
    let mut conn = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let later = "UPDATE _sqlx_migrations SET version = 999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    sqlx::raw_sql(later).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let refused = restore(&file, &place.join("new.db"), None).await;
    assert!(matches!(refused, Err(BackupError::Newer { found: 999, .. })), "{refused:?}");
    std::fs::remove_dir_all(&place).unwrap();
}

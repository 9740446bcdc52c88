//! Wiping: the log's file is overwritten on demand. A checkpoint leaves in it
//! what it was, until something else happens to be written there; what was
//! deleted has to go from there too.

use std::path::Path;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::log;
use super::open::{BUSY_TIMEOUT, log_path};

/// Moves all that is in the log into the database, empties the log's file and
/// lengthens it anew. Answers no where somebody goes on reading from the log:
/// writers are not kept waiting for long.
pub(super) async fn log(conn: &mut SqliteConnection, path: &Path) -> Result<bool, sqlx::Error> {
    let is_empty = empty(conn).await?;
    if is_empty {
        let path = log_path(path);
        let grown = tokio::task::spawn_blocking(move || log::grow(&path)).await;
        if !matches!(grown, Ok(Ok(()))) {
            // It grows by itself, more slowly.
            tracing::warn!("the log's file could not be lengthened");
        }
    }
    Ok(is_empty)
}

/// Answers no where somebody goes on reading from the log.
pub(super) async fn empty(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Once all is in the database, new readers need no log, and only those that
    // began before are waited for.
    sqlx::query("PRAGMA busy_timeout = 50").execute(&mut *conn).await?;
    let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
    let usual = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    sqlx::query(AssertSqlSafe(usual)).execute(conn).await?;
    let is_busy: i64 = emptied?.try_get(0)?;
    Ok(is_busy == 0)
}

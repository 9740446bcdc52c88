//! Wiping: the log's file is overwritten on demand. A checkpoint leaves in it
//! what it was, until something else happens to be written there; what was
//! deleted has to go from there too.

use std::path::Path;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::log;
use super::open::{BUSY_TIMEOUT, log_path};

/// Moves all that is in the log into the database and overwrites the log's file.
/// Answers no where somebody goes on reading from the log: writers are not kept
/// waiting for long.
///
/// For whoever is the only one to write: a log that begins anew meanwhile would
/// be overwritten too.
pub(super) async fn log(conn: &mut SqliteConnection, path: &Path) -> Result<bool, sqlx::Error> {
    let is_moved = move_all(conn).await?;
    if is_moved {
        let path = log_path(path);
        let blanked = tokio::task::spawn_blocking(move || log::blank(&path)).await;
        blanked.map_err(|_| sqlx::Error::WorkerCrashed)?.map_err(sqlx::Error::Io)?;
    }
    Ok(is_moved)
}

/// Answers no where somebody goes on reading from the log.
async fn move_all(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Once all is in the database, new readers need no log, and only those that
    // began before are waited for.
    sqlx::query("PRAGMA busy_timeout = 50").execute(&mut *conn).await?;
    // Not TRUNCATE: until its file's new length is synced, what of the old log is
    // left after a power cut would be taken for a log, older than the database.
    let moved = sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut *conn).await;
    let usual = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    sqlx::query(AssertSqlSafe(usual)).execute(conn).await?;
    let is_busy: i64 = moved?.try_get(0)?;
    Ok(is_busy == 0)
}

//! The log's file: lengthened once, and overwritten on demand. A checkpoint
//! leaves in it what it was, until something else happens to be written there;
//! what was deleted has to go from there too.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::open::{BUSY_TIMEOUT, log_path};

/// What the log's file is grown to: rewriting a file in place syncs in a tenth
/// of the time that growing it does.
const LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Moves all that is in the log into the database, empties the log's file and
/// lengthens it anew. Answers no where somebody goes on reading from the log:
/// writers are not kept waiting for long.
pub(super) async fn log(conn: &mut SqliteConnection, path: &Path) -> bool {
    let emptied = match empty(conn).await {
        Ok(emptied) => emptied,
        Err(error) => {
            tracing::warn!(%error, "the log could not be emptied; it is tried again");
            false
        }
    };
    if emptied {
        let path: PathBuf = path.to_owned();
        let grown = tokio::task::spawn_blocking(move || grow_log(&path)).await;
        if !matches!(grown, Ok(Ok(()))) {
            // It grows by itself, more slowly.
            tracing::warn!("the log's file could not be lengthened");
        }
    }
    emptied
}

/// An earlier run may have ended between deleting and wiping.
pub(super) async fn at_start(conn: &mut SqliteConnection) {
    if let Err(error) = empty(conn).await {
        tracing::warn!(%error, "the log could not be emptied");
    }
}

async fn empty(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Once all is in the database, new readers need no log, and only those that
    // began before are waited for.
    sqlx::query("PRAGMA busy_timeout = 50").execute(&mut *conn).await?;
    let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
    let usual = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    sqlx::query(AssertSqlSafe(usual)).execute(conn).await?;
    let is_busy: i64 = emptied?.try_get(0)?;
    Ok(is_busy == 0)
}

/// Lengthens the log's file with zeros. To SQLite they are frames with a wrong
/// checksum, which it takes as the log's end, after a crash too.
pub(super) fn grow_log(path: &Path) -> io::Result<()> {
    let mut log = OpenOptions::new().append(true).open(log_path(path))?;
    let length = log.metadata()?.len();
    // In whole and really written: space that is only promised is as slow.
    if let Some(missing) = LOG_BYTES.checked_sub(length) {
        io::copy(&mut io::Read::take(io::repeat(0), missing), &mut log)?;
        log.flush()?;
        log.sync_data()?;
    }
    Ok(())
}

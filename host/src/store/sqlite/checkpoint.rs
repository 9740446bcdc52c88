//! Checkpoints: what the log has gathered goes into the database file, and the
//! log begins anew in its old place.
//!
//! Most of it is moved here, on a connection of its own, while the writer goes
//! on writing. Only the little that was written meanwhile is moved by the
//! writer itself, between two batches: then nothing is left in the log and the
//! next transaction starts it over. Done by the writer alone, the whole of it
//! would keep everybody waiting; done here alone, it would never end under
//! load, and the log would grow for ever.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use super::fault;
use super::writer::Operation;

/// How many pages the log may gather before they are moved.
const PAGES: i64 = 2000;
/// How often the log is looked at, while it grows.
const PACE: Duration = Duration::from_millis(50);

/// Runs until `ended` is dropped, and then closes its connection.
pub(super) async fn run(
    mut conn: SqliteConnection,
    written: Arc<Notify>,
    writer: mpsc::WeakSender<Operation>,
    mut ended: oneshot::Receiver<()>,
) {
    let wait = || async {
        written.notified().await;
        tokio::time::sleep(PACE).await;
    };
    loop {
        tokio::select! {
            _ = &mut ended => break,
            () = wait() => {}
        }
        match look(&mut conn, &writer).await {
            Ok(()) => {}
            // Another sync would say that all is well, and begin the log anew: but
            // what the first one lost is in memory only, and SQLite does not write
            // again what an earlier, unfinished checkpoint has moved.
            Err(error) if fault::is_final(&error) => {
                let Some(writer) = writer.upgrade() else { continue };
                // An error means that it has ended already.
                drop(writer.send(Operation::Fail(error)).await);
            }
            Err(error) => {
                // The log only stays longer; the next look tries again.
                tracing::warn!(%error, "checkpoint failed");
            }
        }
    }
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "the checkpoints' connection did not close in order");
    }
}

async fn look(conn: &mut SqliteConnection, writer: &mpsc::WeakSender<Operation>) -> Result<(), sqlx::Error> {
    if pages_waiting(conn, "PRAGMA wal_checkpoint(NOOP)").await? < PAGES {
        return Ok(());
    }
    pages_waiting(conn, "PRAGMA wal_checkpoint(PASSIVE)").await?;
    let Some(writer) = writer.upgrade() else { return Ok(()) };
    let (done, finished) = oneshot::channel();
    if writer.send(Operation::Checkpoint(done)).await.is_ok() {
        drop(finished.await);
    }
    Ok(())
}

async fn pages_waiting(conn: &mut SqliteConnection, pragma: &'static str) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(pragma).fetch_one(conn).await?;
    let (in_log, moved): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    Ok(in_log - moved)
}

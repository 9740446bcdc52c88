//! SQLite: the engine for one machine, inside the binary.
//!
//! One task owns the only connection that writes (`writer.rs`), and the writes
//! of many callers share a transaction (`batch.rs`). Reads have connections of
//! their own and never wait for it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use self::sql::meters::Meters;
use self::writer::{Answer, Ask, Operation};
use super::figures::Vitals;
use super::keeping::{DroppedDays, Old};
use super::ledger::{Recorded, Recording, Settlement};
use super::seal::Seal;
use super::{Reply, StoreError};
use crate::domain::audit::Entry;
use crate::domain::time::Timestamp;

#[macro_use]
mod words;
pub mod backup;
mod batch;
mod bulk;
mod checkpoint;
mod claims;
mod copying;
mod db;
mod fault;
mod hosts;
pub mod inspect;
#[cfg(test)]
mod keeping_tests;
mod log;
mod open;
#[cfg(test)]
mod plan_tests;
mod reseal;
#[path = "../sql/mod.rs"]
mod sql;
mod wipe;
mod writer;

pub use open::OpenError;
pub use reseal::Offline;

use SqliteStore as Store;

/// At most this many operations wait for the writer.
const MAX_WAITING: usize = 4096;
/// At most this many KiB of recordings wait for the writer: a flood of the
/// largest requests must not fill the memory that everybody shares.
const MAX_WAITING_KIB: usize = 64 * 1024;

/// A catalogue and a ledger in one SQLite file.
pub struct SqliteStore {
    writer: mpsc::Sender<Operation>,
    has_failed: watch::Receiver<bool>,
    room: Arc<Semaphore>,
    readers: SqlitePool,
    /// One more for dispatch alone: it does not wait behind callers' long lists.
    claiming: SqlitePool,
    seal: Arc<Seal>,
    /// Held for as long as the store is: two hosts on one file would take over
    /// each other's claims.
    lock: Arc<File>,
    /// The database's file.
    path: Arc<Path>,
    /// SQLite's version.
    version: Arc<str>,
    meters: Arc<Meters>,
    /// Written with the next change, where somebody answers for it.
    note: Option<Entry>,
}

impl SqliteStore {
    /// Writes what is waiting, empties the log into the database and closes it.
    /// Every later write is [`StoreError::Closed`].
    pub async fn close(&self) {
        // Readers first: the last connection to close empties the log.
        self.readers.close().await;
        self.claiming.close().await;
        let (done, closed) = oneshot::channel();
        if self.writer.send(Operation::Close(done)).await.is_ok() {
            // An error means that the writer has ended already.
            drop(closed.await);
        }
        drop(self.lock.unlock());
    }

    /// The same store, whose change writes `entry` too.
    fn noting(&self, entry: Entry) -> Self {
        Self {
            writer: self.writer.clone(),
            has_failed: self.has_failed.clone(),
            room: self.room.clone(),
            readers: self.readers.clone(),
            claiming: self.claiming.clone(),
            seal: self.seal.clone(),
            lock: self.lock.clone(),
            path: self.path.clone(),
            version: self.version.clone(),
            meters: self.meters.clone(),
            note: Some(entry),
        }
    }

    /// Over once the disk has failed so that nothing on it can be trusted before
    /// it is read again by a new process.
    pub async fn failed(&self) {
        if self.has_failed.clone().wait_for(|failed| *failed).await.is_err() {
            // It was closed in order, and does not fail any more.
            std::future::pending().await
        }
    }

    /// Room for what `recording` holds, until it is written.
    fn room_for(&self, recording: &Recording) -> Result<OwnedSemaphorePermit, StoreError> {
        // One that is larger than all the room may go when nothing else waits.
        let kib = u32::try_from((1 + recording.bytes() / 1024).min(MAX_WAITING_KIB)).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(kib).map_err(|_| StoreError::Full)
    }

    /// Has the writer do `operation`, or answers at once that too much waits.
    async fn try_ask<T>(&self, operation: impl FnOnce(Answer<T>) -> Operation) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.try_send(operation(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Has the writer do `operation`, as soon as it can.
    async fn ask<T>(&self, operation: impl FnOnce(Answer<T>) -> Operation) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(operation(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// The one write that is refused rather than kept waiting: its sender can be
    /// told to come back, and everything else must go on.
    async fn put(&self, recording: Recording) -> Result<Recorded, StoreError> {
        let held = self.room_for(&recording)?;
        self.try_ask(|answer| Operation::Record(Box::new(recording), answer, held)).await
    }

    async fn put_settlement(&self, settlement: Settlement) -> Result<bool, StoreError> {
        self.ask(|answer| Operation::Settle(Box::new(settlement), answer)).await
    }

    /// Overwrites what the log still has; answers no where somebody reads from it.
    async fn wipe_log(&self) -> Result<bool, StoreError> {
        let (done, wiped) = oneshot::channel();
        self.writer.send(Operation::Wipe(done)).await.map_err(|_| StoreError::Closed)?;
        wiped.await.map_err(|_| StoreError::Closed)
    }

    /// There are no days: what is old goes row by row.
    const HAS_DAYS: bool = false;

    async fn make_days_ahead(&self, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn drop_days_before(&self, _old: Old) -> Result<DroppedDays, StoreError> {
        Ok(DroppedDays::default())
    }

    fn vital_signs(&self) -> Vitals {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let meters = &self.meters;
        Vitals {
            kind: "sqlite",
            version: self.version.to_string(),
            bytes: size(&self.path),
            log_bytes: size(&open::log_path(&self.path)),
            free_bytes: rustix::fs::statvfs(&*self.path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            waiting: self.writer.max_capacity() - self.writer.capacity(),
            room: self.writer.max_capacity(),
            is_failing: meters.is_failing(),
            written: meters.written(),
            commits: meters.commits.read(),
            batches: meters.batches.read(),
            failures: meters.failures.get(),
        }
    }

    /// Has the writer do `work` in a transaction. There is one writer, so that it is
    /// no less alone than a [change](Self::change).
    fn write<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Reply<'c, T> + Send + 'static,
    {
        self.change(work)
    }

    /// The same: nothing that the writer does keeps it for long.
    fn promptly<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Reply<'c, T> + Send + 'static,
    {
        self.change(work)
    }

    /// Has the writer do `work` in a transaction, and write down who had it done.
    fn change<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Reply<'c, T> + Send + 'static,
    {
        let note = self.note.clone();
        Box::pin(self.ask(|answer| Operation::Change(Box::new(Ask { work, note, answer }))))
    }
}

//! PostgreSQL: the engine for many machines, which share one database.
//!
//! What comes for every event is written by a few tasks with a connection each
//! (`writer.rs`), many callers in one transaction. Reads and seldom writes have
//! pools. Nothing of a connection is relied on beyond a transaction, so that there
//! may be a pooler in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::sql::audit;
use self::sql::meters::Meters;
use self::writer::{Answer, Operation, in_time};
use super::figures::Vitals;
use super::ledger::{Recorded, Recording, Settlement};
use super::seal::Seal;
use super::{Reply, StoreError};
use crate::domain::audit::Entry;

#[macro_use]
mod words;
mod bulk;
mod claims;
mod copying;
mod days;
mod db;
mod fault;
mod hosts;
pub mod inspect;
mod offline;
mod open;
mod pooler;
#[path = "../sql/mod.rs"]
mod sql;
mod writer;

pub(super) use copying::Copying;
pub use offline::Offline;
pub use open::{OpenError, migrate};

use PostgresStore as Store;

/// At most this many operations of a kind wait for the writers.
const MAX_WAITING: usize = 4096;
/// At most this many KiB of recordings wait for the writers.
const MAX_WAITING_KIB: usize = 64 * 1024;
/// A change that somebody else was in the way of is tried so often.
const TRIES: u32 = 8;
/// The lock that changes of the catalogue hold until they are committed. Any number
/// that no other lock has.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(7205759403792794)";

/// A catalogue and a ledger in a PostgreSQL database.
pub struct PostgresStore {
    recordings: mpsc::Sender<Operation>,
    settlements: mpsc::Sender<Operation>,
    room: Arc<Semaphore>,
    /// Says true when the store is closed, which ends the tasks that write.
    closing: Arc<watch::Sender<bool>>,
    writers: Arc<Mutex<JoinSet<()>>>,
    readers: PgPool,
    /// Of claims and of what hosts say to each other: they wait neither behind
    /// callers' long lists nor behind changes.
    claiming: PgPool,
    changing: PgPool,
    /// How many hosts share the database, when that was last heard of.
    living: Arc<AtomicU32>,
    seal: Arc<Seal>,
    /// Says true once the database was found sealed with another key.
    resealed: Arc<watch::Sender<bool>>,
    /// The server's version.
    version: Arc<str>,
    /// The database's size, when it was last asked for.
    bytes: Arc<AtomicU64>,
    meters: Arc<Meters>,
    /// Written with the next change, where somebody answers for it.
    note: Option<Entry>,
}

impl PostgresStore {
    /// Writes what is waiting and ends the connections. Every later write is
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let mut writers = self.writers.lock().await;
        while writers.join_next().await.is_some() {}
        for pool in [&self.readers, &self.claiming, &self.changing] {
            pool.close().await;
        }
    }

    /// Over once the database was found sealed with another key, which is looked for
    /// with every beat: what this host sealed from then on nobody could open.
    pub async fn was_resealed(&self) {
        let mut resealed = self.resealed.subscribe();
        let _said_or_gone = resealed.wait_for(|resealed| *resealed).await;
    }

    /// The same store, whose change writes `entry` too.
    fn noting(&self, entry: Entry) -> Self {
        Self {
            recordings: self.recordings.clone(),
            settlements: self.settlements.clone(),
            room: self.room.clone(),
            closing: self.closing.clone(),
            writers: self.writers.clone(),
            readers: self.readers.clone(),
            claiming: self.claiming.clone(),
            changing: self.changing.clone(),
            living: self.living.clone(),
            seal: self.seal.clone(),
            resealed: self.resealed.clone(),
            version: self.version.clone(),
            bytes: self.bytes.clone(),
            meters: self.meters.clone(),
            note: Some(entry),
        }
    }

    /// The one write that is refused rather than kept waiting: its sender can be
    /// told to come back, and everything else must go on.
    async fn put(&self, recording: Recording) -> Result<Recorded, StoreError> {
        let held = self.room_for(&recording)?;
        let (answer, answered) = oneshot::channel();
        let operation = Operation::Record(Box::new(recording), answer, held);
        self.recordings.try_send(operation).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn put_settlement(&self, settlement: Settlement) -> Result<bool, StoreError> {
        let (answer, answered): (Answer<bool>, _) = oneshot::channel();
        let operation = Operation::Settle(Box::new(settlement), answer);
        self.settlements.send(operation).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Room for what `recording` holds, until it is written.
    fn room_for(&self, recording: &Recording) -> Result<OwnedSemaphorePermit, StoreError> {
        // One that is larger than all the room may go when nothing else waits.
        let kib = u32::try_from((1 + recording.bytes() / 1024).min(MAX_WAITING_KIB)).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(kib).map_err(|_| StoreError::Full)
    }

    /// Does `work` in a transaction, one at a time over all hosts, and writes down who
    /// had it done: what it looks at before it writes stays as it is.
    fn change<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> Reply<'c, T> + Clone + Send + 'static,
    {
        Box::pin(self.repeated(work, &self.changing, Some(ONE_AT_A_TIME)))
    }

    /// Does `work` in a transaction, beside others. What it rests on is held by its own
    /// statements.
    fn write<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> Reply<'c, T> + Clone + Send + 'static,
    {
        Box::pin(self.repeated(work, &self.changing, None))
    }

    /// The same over connections that changes do not take: what must not wait behind
    /// them, who may all be waiting for each other.
    fn promptly<T, W>(&self, work: W) -> Reply<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> Reply<'c, T> + Clone + Send + 'static,
    {
        Box::pin(self.repeated(work, &self.claiming, None))
    }

    async fn repeated<T, W>(&self, work: W, pool: &PgPool, lock: Option<&'static str>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> Reply<'c, T> + Clone + Send + 'static,
    {
        let mut tries = 1;
        loop {
            match self.once(work.clone(), pool, lock).await {
                Err(error) if fault::is_to_be_repeated(&error) && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    async fn once<T, W>(&self, work: W, pool: &PgPool, lock: Option<&'static str>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> Reply<'c, T> + Send + 'static,
    {
        let began = Instant::now();
        let mut lent = Lent::from(pool).await?;
        let conn = lent.conn();
        let done = in_time(async {
            let mut transaction = conn.begin_with(words::BEGIN).await?;
            if let Some(lock) = lock {
                sqlx::query(lock).execute(&mut *transaction).await?;
            }
            let done = work(&mut transaction).await?;
            if let Some(entry) = &self.note {
                audit::write(&mut transaction, entry).await?;
            }
            transaction.commit().await?;
            Ok(done)
        })
        .await;
        if !matches!(&done, Err(error) if fault::is_lost(error)) {
            lent.give_back();
        }
        if done.is_ok() {
            self.meters.committed(1, began.elapsed());
        }
        done
    }

    /// There is no file here of which a part could be overwritten: a vacuum of the
    /// server's gives the room of deleted rows to others, and its log is the
    /// server's to keep or to throw away.
    async fn wipe_log(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn vital_signs(&self) -> Vitals {
        let meters = &self.meters;
        let inbox = |inbox: &mpsc::Sender<Operation>| inbox.max_capacity() - inbox.capacity();
        Vitals {
            kind: "postgresql",
            version: self.version.to_string(),
            bytes: self.bytes.load(Ordering::Relaxed),
            log_bytes: 0,
            free_bytes: None,
            waiting: inbox(&self.recordings) + inbox(&self.settlements),
            room: self.recordings.max_capacity() + self.settlements.max_capacity(),
            is_failing: meters.is_failing(),
            written: meters.written(),
            commits: meters.commits.read(),
            batches: meters.batches.read(),
            failures: meters.failures.get(),
        }
    }
}

/// A connection of a pool's. One that is dropped before it was given back is ended:
/// the pool would ask a server that may be gone how it is, and keep its place until
/// the kernel gives up.
struct Lent(Option<PoolConnection<Postgres>>);

impl Lent {
    async fn from(pool: &PgPool) -> Result<Self, StoreError> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    fn conn(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it was not given back")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(conn.detach());
        }
    }
}

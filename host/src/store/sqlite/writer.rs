//! The writer: one task that owns the only connection that writes.
//!
//! Callers leave what they want written and wait for the answer. Whatever
//! arrived while one transaction was being synced is the next transaction, so
//! that many callers share one sync (group commit). What the operations do is
//! in `batch.rs` and `changes.rs`.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::batch::{Batch, Failed};
use super::sql::audit;
use super::sql::meters::Meters;
use super::sql::together::Statements;
use super::{fault, wipe};
use crate::domain::audit::Entry;
use crate::store::ledger::{Recorded, Recording, Settlement};
use crate::store::{Reply, StoreError};

/// At most this many operations share a transaction: more would make the first
/// of them wait for what hardly gets cheaper.
pub(super) const MAX_BATCH: usize = 512;
/// A disk that takes no writes is complained of this often.
const COMPLAINS: Duration = Duration::from_secs(10);
/// And tried this often.
const TRIES: Duration = Duration::from_secs(1);

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to be written.
pub(super) enum Operation {
    Record(Box<Recording>, Answer<Recorded>, OwnedSemaphorePermit),
    Settle(Box<Settlement>, Answer<bool>),
    Change(Box<dyn Change>),
    /// Moves what is in the log into the database, while nobody writes.
    Checkpoint(oneshot::Sender<()>),
    /// Overwrites the log; answers whether nobody was reading it.
    Wipe(oneshot::Sender<bool>),
    /// A checkpoint has found that the disk fails.
    Fail(sqlx::Error),
    Close(oneshot::Sender<()>),
}

/// Any other write: an operation that comes too seldom to share statements.
pub(super) trait Change: Send {
    /// Does it, and answers what to tell the caller once it is committed.
    fn run<'c>(self: Box<Self>, conn: &'c mut SqliteConnection) -> ReplyOf<'c>;

    /// It was not tried.
    fn refuse(self: Box<Self>, error: StoreError);
}

type ReplyOf<'c> = Pin<Box<dyn Future<Output = Done> + Send + 'c>>;

/// A change that was tried but not yet committed.
pub(super) struct Done {
    pub(super) result: Result<(), StoreError>,
    pub(super) tell: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A [`Change`] made of a closure and of whoever waits for what it answers.
pub(super) struct Ask<T, W> {
    pub(super) work: W,
    /// Who answers for it: written if it is done, and it is done only if that is.
    pub(super) note: Option<Entry>,
    pub(super) answer: Answer<T>,
}

impl<T, W> Change for Ask<T, W>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut SqliteConnection) -> Reply<'c, T> + Send + 'static,
{
    fn run<'c>(self: Box<Self>, conn: &'c mut SqliteConnection) -> ReplyOf<'c> {
        Box::pin(async move {
            let result = match ((self.work)(&mut *conn).await, &self.note) {
                (Ok(done), Some(entry)) => audit::write(conn, entry).await.map(|()| done),
                (result, _) => result,
            };
            let answer = self.answer;
            Done {
                result: result.as_ref().map(|_| ()).map_err(StoreError::clone),
                // Whoever asked may have gone; what was done stays done.
                tell: Box::new(move |commit| drop(answer.send(commit.and(result)))),
            }
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}

/// The task's state.
pub(super) struct Writer {
    pub(super) conn: SqliteConnection,
    /// The database's file.
    pub(super) path: PathBuf,
    pub(super) statements: Box<Statements>,
    pub(super) inbox: mpsc::Receiver<Operation>,
    /// Tells the checkpointer that the log has grown.
    pub(super) written: Arc<Notify>,
    /// The checkpointer, which ends when `alive` is dropped.
    pub(super) checkpoints: JoinHandle<()>,
    pub(super) alive: oneshot::Sender<()>,
    /// Says true once the disk has failed for good.
    pub(super) failed: watch::Sender<bool>,
    /// Since the disk takes no writes: when that was last logged.
    pub(super) complained: Option<Instant>,
    /// What the disk did not take; it is part of the next batch.
    pub(super) unsettled: Vec<(Box<Settlement>, Answer<bool>)>,
    pub(super) meters: Arc<Meters>,
}

impl Writer {
    /// Writes until the store is closed or dropped, or the disk fails for good.
    pub(super) async fn run(mut self) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        let mut closing = None;
        while self.next(&mut waiting).await {
            self.gather(&mut waiting).await;
            let mut wipes = Vec::new();
            let mut batch = Batch { settlements: std::mem::take(&mut self.unsettled), ..Batch::default() };
            let (mut checkpoint, mut failed) = (None, false);
            for operation in waiting.drain(..) {
                match operation {
                    Operation::Record(recording, answer, held) => batch.records.push((recording, answer, held)),
                    Operation::Settle(settlement, answer) => batch.settlements.push((settlement, answer)),
                    Operation::Change(change) => batch.changes.push(change),
                    Operation::Checkpoint(done) => checkpoint = Some(done),
                    Operation::Wipe(done) => wipes.push(done),
                    Operation::Fail(error) => {
                        complain_for_good(&error);
                        failed = true;
                    }
                    Operation::Close(done) => {
                        // What is in the inbox is still written.
                        self.inbox.close();
                        closing = Some(done);
                    }
                }
            }
            failed = failed || (!batch.is_empty() && !self.commit(batch).await);
            if !failed && let Some(done) = checkpoint {
                failed = !self.checkpoint().await;
                done.send(()).ok();
            }
            if !failed && !wipes.is_empty() {
                let wiped = self.wipe().await;
                failed = wiped.is_none();
                for done in wipes {
                    done.send(wiped == Some(true)).ok();
                }
            }
            if failed {
                return self.give_up().await;
            }
        }
        // The last connection to close empties the log, and the others wait.
        drop(self.alive);
        drop(self.checkpoints.await);
        if let Err(error) = self.conn.close().await {
            tracing::error!(%error, "the database did not close in order");
        }
        if let Some(done) = closing {
            done.send(()).ok();
        }
    }

    /// Waits for something to write; where the disk has not taken something, not
    /// for long. Answers whether there may be more.
    async fn next(&mut self, waiting: &mut Vec<Operation>) -> bool {
        let received = self.inbox.recv_many(waiting, MAX_BATCH);
        match self.unsettled.is_empty() {
            true => received.await > 0,
            false => !matches!(tokio::time::timeout(TRIES, received).await, Ok(0)),
        }
    }

    /// Lets the callers that the last commit woke up join this one: they are
    /// about to ask for their next write, and would each wait for a sync of
    /// somebody else's.
    async fn gather(&mut self, waiting: &mut Vec<Operation>) {
        loop {
            let before = waiting.len();
            tokio::task::yield_now().await;
            while waiting.len() < MAX_BATCH {
                match self.inbox.try_recv() {
                    Ok(operation) => waiting.push(operation),
                    Err(_) => break,
                }
            }
            if waiting.len() == before || waiting.len() >= MAX_BATCH {
                return;
            }
        }
    }

    /// Writes a batch in one transaction and answers everybody. Says whether
    /// the writer can go on.
    async fn commit(&mut self, batch: Batch) -> bool {
        let (operations, began) = (batch.len(), Instant::now());
        let Err(Failed { error, settlements }) = Box::pin(batch.write(&mut self.conn, &self.statements)).await else {
            self.meters.committed(operations, began.elapsed());
            self.written.notify_one();
            if self.complained.take().is_some() {
                tracing::info!("the disk takes writes again");
            }
            return true;
        };
        self.meters.failed();
        self.unsettled = settlements;
        match error {
            StoreError::Unwritable(error) if fault::is_final(&error) => {
                complain_for_good(&error);
                false
            }
            StoreError::Unwritable(error) => {
                if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINS) {
                    tracing::error!(error = ?error, "the disk takes no writes: events are refused until it does");
                    self.complained = Some(Instant::now());
                }
                true
            }
            error => {
                tracing::error!(error = ?error, "a transaction failed");
                true
            }
        }
    }

    /// Says whether the writer can go on.
    async fn checkpoint(&mut self) -> bool {
        match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.conn).await {
            Ok(_) => true,
            Err(error) if fault::is_final(&error) => {
                complain_for_good(&error);
                false
            }
            Err(error) => {
                // The log only stays longer; the next one tries again.
                tracing::warn!(%error, "checkpoint failed");
                true
            }
        }
    }

    /// Says whether the log was overwritten; nothing when the writer cannot go on.
    async fn wipe(&mut self) -> Option<bool> {
        match wipe::log(&mut self.conn, &self.path).await {
            Ok(is_wiped) => Some(is_wiped),
            Err(error) if fault::is_final(&error) => {
                complain_for_good(&error);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the log could not be emptied; it is tried again");
                Some(false)
            }
        }
    }

    /// The disk has failed: nobody can say what of the last transaction is on
    /// it, and trying a failed sync again would only say that all is well. So the
    /// files are left as they are, and whoever opens them next writes the log
    /// again (`log.rs`).
    async fn give_up(mut self) {
        // Closing would empty the log into the database, and sync.
        std::mem::forget(self.conn);
        self.failed.send_replace(true);
        self.inbox.close();
        while let Some(operation) = self.inbox.recv().await {
            match operation {
                Operation::Record(_, answer, _) => drop(answer.send(Err(StoreError::Closed))),
                Operation::Settle(_, answer) => drop(answer.send(Err(StoreError::Closed))),
                Operation::Change(change) => change.refuse(StoreError::Closed),
                Operation::Wipe(done) => {
                    done.send(false).ok();
                }
                Operation::Fail(_) => {}
                Operation::Checkpoint(done) | Operation::Close(done) => {
                    done.send(()).ok();
                }
            }
        }
    }
}

fn complain_for_good(error: &sqlx::Error) {
    tracing::error!(?error, "the disk has failed: nothing more is written");
}

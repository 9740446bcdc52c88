//! The writers: two tasks with a connection each. Whatever arrived while one of them
//! was busy is its next transaction (group commit): one of each, because fewer
//! transactions of more are less work for the server.
//!
//! Recordings and settlements have tasks of their own: a recording's caller does not
//! wait for somebody's settlements.
//!
//! A connection that is lost is made anew: to the same server, which starts again,
//! or to the one that took its place. What was not committed is written again. Where
//! the answer to a commit was lost, the rows themselves say whether it happened:
//! nothing is written twice, and nobody is told of a failure that was none.
//!
//! What is seen is not always on the standby that is to take over: a commit whose wait
//! for it was broken off, by the end of its connection or of the server, is seen by
//! everybody, and nobody waits any more. So whoever is told of what was there already
//! is told after something else was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::fault;
use super::sql::meters::Meters;
use super::sql::together::{Statements, Verdicts, roll_back, run, write_ledger};
use crate::store::StoreError;
use crate::store::ledger::{Recorded, Recording, Settlement};
use crate::store::text::id_text;

/// At most this many operations share a transaction.
const MAX_BATCH: usize = 512;
/// For each other host: how long after the beginning of a writer's last transaction
/// more is gathered at most.
const APART: Duration = Duration::from_millis(3);
/// Where nothing comes for so long, there is nothing to wait for. The shortest that a
/// timer can do.
const MORE_COMES: Duration = Duration::from_millis(1);
/// So that nobody waits long.
const LONGEST_APART: Duration = Duration::from_millis(30);
/// A transaction that takes longer has lost its server.
const SLOWEST: Duration = Duration::from_secs(20);
/// So long a server may be away until who publishes is told, once the try that is
/// under way is over; an attempt that was made
/// is kept for longer, because otherwise it is made again.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_OF_SETTLEMENTS: Duration = Duration::from_secs(40);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// A server that is away is complained of this often.
const COMPLAINS: Duration = Duration::from_secs(10);

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to be written.
pub(super) enum Operation {
    Record(Box<Recording>, Answer<Recorded>, OwnedSemaphorePermit),
    Settle(Box<Settlement>, Answer<bool>),
}

/// A task's state.
pub(super) struct Writer {
    pub(super) options: PgConnectOptions,
    pub(super) conn: Option<PgConnection>,
    pub(super) statements: Arc<Statements>,
    pub(super) inbox: mpsc::Receiver<Operation>,
    /// Says true when what waits is still to be written, and nothing more.
    pub(super) closing: watch::Receiver<bool>,
    pub(super) meters: Arc<Meters>,
    /// How many hosts share the server, as far as this one knows.
    pub(super) living: Arc<AtomicU32>,
    /// When its last transaction began.
    pub(super) began: Instant,
    /// Since the server is away: when that was last logged.
    pub(super) complained: Option<Instant>,
}

/// What is written in one transaction, and who waits for it.
#[derive(Default)]
struct Batch {
    records: Vec<(Box<Recording>, Answer<Recorded>, OwnedSemaphorePermit)>,
    settlements: Vec<(Box<Settlement>, Answer<bool>)>,
}

/// What became of a transaction.
enum End {
    Committed(Verdicts),
    Failed(StoreError),
}

impl Writer {
    /// Writes until the store is closed or dropped.
    pub(super) async fn run(mut self) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        loop {
            if self.next(&mut waiting).await == 0 {
                return;
            }
            self.gather(&mut waiting).await;
            self.began = Instant::now();
            let mut batch = Batch::default();
            for operation in waiting.drain(..) {
                match operation {
                    Operation::Record(recording, answer, held) => batch.records.push((recording, answer, held)),
                    Operation::Settle(settlement, answer) => batch.settlements.push((settlement, answer)),
                }
            }
            let verdicts = Box::pin(self.write(&batch)).await;
            batch.answer(verdicts);
        }
    }

    /// Waits for something to write; answers how much, and nothing at the end.
    async fn next(&mut self, waiting: &mut Vec<Operation>) -> usize {
        tokio::select! {
            received = self.inbox.recv_many(waiting, MAX_BATCH) => return received,
            // Said, or nobody is left who could say it.
            _closing = self.closing.wait_for(|closing| *closing) => {}
        }
        self.inbox.close();
        self.inbox.recv_many(waiting, MAX_BATCH).await
    }

    /// Hosts that share a server begin their transactions no oftener together than one
    /// alone, as long as more comes: many small ones are more work for it than few
    /// large ones. Whatever comes after a pause goes at once.
    async fn gather(&mut self, waiting: &mut Vec<Operation>) {
        let others = self.living.load(Ordering::Relaxed).saturating_sub(1);
        let latest = self.began + (APART * others).min(LONGEST_APART);
        let mut had = 0;
        while had < waiting.len() && waiting.len() < MAX_BATCH && Instant::now() < latest {
            had = waiting.len();
            tokio::time::sleep(MORE_COMES).await;
            while waiting.len() < MAX_BATCH
                && let Ok(operation) = self.inbox.try_recv()
            {
                waiting.push(operation);
            }
        }
    }

    /// Writes a batch, again and again where that is right.
    async fn write(&mut self, batch: &Batch) -> Result<Verdicts, StoreError> {
        let began = Instant::now();
        let patience = if batch.settlements.is_empty() { PATIENCE } else { PATIENCE_OF_SETTLEMENTS };
        let (mut tries, mut doubt) = (1, None);
        loop {
            let error = match self.try_write(batch, &mut doubt).await {
                End::Committed(verdicts) => {
                    self.written(batch, began);
                    return Ok(verdicts);
                }
                End::Failed(error) if fault::is_to_be_repeated(&error) && tries < super::TRIES => {
                    tries += 1;
                    continue;
                }
                End::Failed(error) if fault::is_lost(&error) => error,
                End::Failed(error) => return Err(self.failed(error)),
            };
            self.conn = None;
            self.complain(&error);
            if began.elapsed() >= patience {
                return Err(self.failed(error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// `doubt` is what a transaction came to whose answer was lost. It is there whole
    /// or not at all, so that one of its rows answers for all. Where it has not ended
    /// yet, the same rows wait for it, and cannot be written beside it.
    async fn try_write(&mut self, batch: &Batch, doubt: &mut Option<Verdicts>) -> End {
        let statements = self.statements.clone();
        let conn = match self.connected().await {
            Ok(conn) => conn,
            Err(error) => return End::Failed(error),
        };
        match is_there(conn, batch, doubt).await {
            Ok(Some(verdicts)) => return End::Committed(verdicts),
            Ok(None) => {}
            Err(error) => return End::Failed(error),
        }
        let recordings: Vec<&Recording> = batch.records.iter().map(|(recording, ..)| &**recording).collect();
        let settlements: Vec<&Settlement> = batch.settlements.iter().map(|(settlement, _)| &**settlement).collect();
        let writing = Box::pin(write_ledger(conn, &statements, &recordings, &settlements));
        let verdicts = match in_time(writing).await {
            Ok(verdicts) => verdicts,
            Err(error) => {
                if !fault::is_lost(&error) {
                    roll_back(conn).await;
                }
                return End::Failed(error);
            }
        };
        match in_time(run(conn, "COMMIT")).await {
            // What was refused may have been so because it was there.
            Ok(()) => match is_there(conn, batch, doubt).await {
                Ok(Some(before)) => End::Committed(before),
                Ok(None) if only_repeats(&verdicts) => match in_time(wait_for_standbys(conn)).await {
                    Ok(()) => End::Committed(verdicts),
                    Err(error) => End::Failed(error),
                },
                Ok(None) => End::Committed(verdicts),
                Err(error) => End::Failed(error),
            },
            Err(error) => {
                if fault::is_lost(&error) && doubt.is_none() {
                    *doubt = Some(verdicts);
                }
                End::Failed(error)
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => in_time(async { Ok(self.options.connect().await?) }).await?,
        };
        Ok(self.conn.insert(conn))
    }

    fn written(&mut self, batch: &Batch, began: Instant) {
        self.meters.committed(batch.len(), began.elapsed());
        if self.complained.take().is_some() {
            tracing::info!("the database takes writes again");
        }
    }

    fn failed(&mut self, error: StoreError) -> StoreError {
        self.meters.failed();
        if matches!(error, StoreError::Unwritable(_)) {
            self.complain(&error);
        } else {
            tracing::error!(error = ?error, "a transaction failed");
        }
        error
    }

    fn complain(&mut self, error: &StoreError) {
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINS) {
            tracing::error!(error = ?error, "the database is away or takes no writes: it is tried again");
            self.complained = Some(Instant::now());
        }
    }
}

impl Batch {
    fn len(&self) -> usize {
        self.records.len() + self.settlements.len()
    }

    fn answer(self, verdicts: Result<Verdicts, StoreError>) {
        let verdicts =
            verdicts.unwrap_or_else(|error| Verdicts::all(&error, self.records.len(), self.settlements.len()));
        // Whoever asked may have gone; what was done stays done.
        for ((_, answer, _), verdict) in self.records.into_iter().zip(verdicts.records) {
            drop(answer.send(verdict));
        }
        for ((_, answer), verdict) in self.settlements.into_iter().zip(verdicts.settlements) {
            drop(answer.send(verdict));
        }
    }

    /// A row that is there if the batch is. None where nothing new was written, and to
    /// write it again says the same.
    fn trace(&self, verdicts: &Verdicts) -> Option<Trace> {
        let stored =
            self.records.iter().zip(&verdicts.records).filter(|(_, verdict)| matches!(verdict, Ok(Recorded::Stored)));
        let recorded = stored.map(|((recording, ..), _)| recording).find_map(|recording| Trace::of(recording));
        let held =
            self.settlements.iter().zip(&verdicts.settlements).filter(|(_, verdict)| matches!(verdict, Ok(true)));
        recorded.or_else(|| {
            held.map(|((settlement, _), _)| settlement).find_map(|settlement| Trace::of_settled(settlement))
        })
    }
}

/// What a transaction that was committed has left.
struct Trace {
    look: &'static str,
    keys: [Arc<str>; 2],
}

impl Trace {
    fn of(recording: &Recording) -> Option<Self> {
        let tenant = id_text(&recording.tenant);
        if let Some(event) = recording.events.first() {
            let look = "SELECT EXISTS (SELECT 1 FROM events WHERE tenant_id = $1 AND id = $2)";
            return Some(Self { look, keys: [tenant, id_text(&event.id)] });
        }
        if let Some(delivery) = recording.deliveries.first() {
            let look = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE tenant_id = $1 AND id = $2)";
            return Some(Self { look, keys: [tenant, id_text(&delivery.id)] });
        }
        let received = recording.received.as_ref().filter(|received| received.rerun_of.is_none())?;
        let look = "SELECT EXISTS (SELECT 1 FROM requests WHERE tenant_id = $1 AND id = $2)";
        Some(Self { look, keys: [tenant, id_text(&received.request.id)] })
    }

    fn of_settled(settlement: &Settlement) -> Option<Self> {
        let attempt = settlement.attempt.as_ref()?;
        let look = "SELECT EXISTS (SELECT 1 FROM attempts WHERE delivery_id = $1 AND id = $2)";
        Some(Self { look, keys: [id_text(&settlement.delivery), id_text(&attempt.id)] })
    }

    async fn look(&self, conn: &mut PgConnection) -> Result<bool, StoreError> {
        let [one, other] = self.keys.clone();
        Ok(sqlx::query_scalar(self.look).bind(one).bind(other).fetch_one(conn).await?)
    }
}

/// What a transaction came to whose answer was lost, if it happened.
async fn is_there(
    conn: &mut PgConnection,
    batch: &Batch,
    doubt: &mut Option<Verdicts>,
) -> Result<Option<Verdicts>, StoreError> {
    let Some(trace) = doubt.as_ref().and_then(|verdicts| batch.trace(verdicts)) else { return Ok(None) };
    if !in_time(trace.look(conn)).await? {
        return Ok(None);
    }
    in_time(wait_for_standbys(conn)).await?;
    Ok(doubt.take())
}

/// Nothing was written, and somebody is told of what was there before.
fn only_repeats(verdicts: &Verdicts) -> bool {
    let repeats = verdicts.records.iter().any(|verdict| matches!(verdict, Ok(Recorded::Repeated(_))));
    let writes = verdicts.records.iter().any(|verdict| matches!(verdict, Ok(Recorded::Stored)))
        || verdicts.settlements.iter().any(|verdict| matches!(verdict, Ok(true)));
    repeats && !writes
}

/// Commits something that is nobody's, which waits as every commit does: what was
/// seen before is then where it has to be.
async fn wait_for_standbys(conn: &mut PgConnection) -> Result<(), StoreError> {
    run(conn, "SELECT pg_logical_emit_message(true, 'hookyard', '')").await
}

/// What takes longer has lost its server: nothing else ends a connection whose other
/// side is gone without a word.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(SLOWEST, work).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

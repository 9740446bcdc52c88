//! One batch, one transaction.
//!
//! All recordings and all settlements of a batch are written together. When
//! one of them cannot be, the transaction is rolled back and they are written
//! one by one, each in a savepoint: one caller's mistake or late settlement
//! costs its neighbours some time and nothing else.

use sqlx::SqliteConnection;
use tokio::sync::OwnedSemaphorePermit;

use super::fault;
use super::record::{self, RecordStatements};
use super::settle::{self, SettleStatements};
use super::writer::{Answer, Change, Done};
use crate::store::StoreError;
use crate::store::ledger::{Recorded, Recording, Settlement};

/// Every statement that takes many rows.
pub(super) struct Statements {
    pub(super) record: RecordStatements,
    pub(super) settle: SettleStatements,
}

impl Statements {
    pub(super) fn new() -> Self {
        Self { record: RecordStatements::new(), settle: SettleStatements::new() }
    }
}

/// What is written in one transaction, and who waits for it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<(Box<Recording>, Answer<Recorded>, OwnedSemaphorePermit)>,
    pub(super) settlements: Vec<(Box<Settlement>, Answer<bool>)>,
    pub(super) changes: Vec<Box<dyn Change>>,
}

/// Nothing of a batch was written.
pub(super) struct Failed {
    pub(super) error: StoreError,
    /// What the disk did not take and nobody was told of. An attempt that was made
    /// is noted as soon as that is possible; given up, it would be made again.
    pub(super) settlements: Vec<(Box<Settlement>, Answer<bool>)>,
}

/// What became of each operation, in order.
struct Verdicts {
    records: Vec<Result<Recorded, StoreError>>,
    settlements: Vec<Result<bool, StoreError>>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.records.len() + self.settlements.len() + self.changes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes it and answers everybody. The error is one that nothing of the
    /// batch has survived, which the writer logs.
    pub(super) async fn write(self, conn: &mut SqliteConnection, statements: &Statements) -> Result<(), Failed> {
        let recordings: Vec<&Recording> = self.records.iter().map(|(recording, ..)| &**recording).collect();
        let settlements: Vec<&Settlement> = self.settlements.iter().map(|(settlement, _)| &**settlement).collect();

        let mut changed = Vec::with_capacity(self.changes.len());
        let mut changes = self.changes.into_iter();
        let result = async {
            let verdicts = write_ledger(conn, statements, &recordings, &settlements).await?;
            for change in changes.by_ref() {
                changed.push(write_change(conn, change).await?);
            }
            run(conn, "COMMIT").await?;
            Ok(verdicts)
        }
        .await;

        let (verdicts, end) = match result {
            Ok(verdicts) => (verdicts, Ok(())),
            Err(error) => {
                roll_back(conn).await;
                let error = fault::told(error);
                (Verdicts::all(&error, recordings.len(), settlements.len()), Err(error))
            }
        };
        // Whoever asked may have gone; what was done stays done.
        for ((_, answer, _), verdict) in self.records.into_iter().zip(verdicts.records) {
            drop(answer.send(verdict));
        }
        let (settlements, mut kept) = (self.settlements, Vec::new());
        match &end {
            Err(StoreError::Unwritable(_)) => kept = settlements,
            _ => settlements.into_iter().zip(verdicts.settlements).for_each(|((_, answer), verdict)| {
                drop(answer.send(verdict));
            }),
        }
        changed.into_iter().for_each(|done: Done| (done.tell)(end.clone()));
        if let Err(error) = &end {
            changes.for_each(|change| change.refuse(error.clone()));
        }
        end.map_err(|error| Failed { error, settlements: kept })
    }
}

impl Verdicts {
    fn all(error: &StoreError, records: usize, settlements: usize) -> Self {
        Self {
            records: (0..records).map(|_| Err(error.clone())).collect(),
            settlements: (0..settlements).map(|_| Err(error.clone())).collect(),
        }
    }
}

/// Leaves a transaction open in which all is written that can be.
async fn write_ledger(
    conn: &mut SqliteConnection,
    statements: &Statements,
    recordings: &[&Recording],
    settlements: &[&Settlement],
) -> Result<Verdicts, StoreError> {
    run(conn, "BEGIN IMMEDIATE").await?;
    match write_together(conn, statements, recordings, settlements).await {
        Ok(Some(verdicts)) => return Ok(verdicts),
        Ok(None) => {}
        Err(error) if fault::is_ones_own(&error) => {}
        Err(error) => return Err(error),
    }
    run(conn, "ROLLBACK").await?;
    run(conn, "BEGIN IMMEDIATE").await?;
    write_one_by_one(conn, statements, recordings, settlements).await
}

/// Nothing when some settlement's claim is no longer held.
async fn write_together(
    conn: &mut SqliteConnection,
    statements: &Statements,
    recordings: &[&Recording],
    settlements: &[&Settlement],
) -> Result<Option<Verdicts>, StoreError> {
    let records = record::record(conn, &statements.record, recordings).await?;
    let all_held = settle::settle(conn, &statements.settle, settlements).await?;
    Ok(all_held.then(|| Verdicts {
        records: records.into_iter().map(Ok).collect(),
        settlements: settlements.iter().map(|_| Ok(true)).collect(),
    }))
}

async fn write_one_by_one(
    conn: &mut SqliteConnection,
    statements: &Statements,
    recordings: &[&Recording],
    settlements: &[&Settlement],
) -> Result<Verdicts, StoreError> {
    let mut verdicts = Verdicts { records: Vec::new(), settlements: Vec::new() };
    for recording in recordings {
        run(conn, "SAVEPOINT one").await?;
        let mut recorded = record::record(conn, &statements.record, &[recording]).await;
        leave(conn, recorded.as_ref().err()).await?;
        let only = recorded.as_mut().map(|recorded| recorded.swap_remove(0));
        verdicts.records.push(only.map_err(|error| error.clone()));
    }
    for settlement in settlements {
        run(conn, "SAVEPOINT one").await?;
        let held = settle::settle(conn, &statements.settle, &[settlement]).await;
        leave(conn, held.as_ref().err()).await?;
        verdicts.settlements.push(held);
    }
    Ok(verdicts)
}

async fn write_change(conn: &mut SqliteConnection, change: Box<dyn Change>) -> Result<Done, StoreError> {
    if let Err(error) = run(conn, "SAVEPOINT one").await {
        change.refuse(error.clone());
        return Err(error);
    }
    let done = change.run(conn).await;
    match leave(conn, done.result.as_ref().err()).await {
        Ok(()) => Ok(done),
        Err(error) => {
            (done.tell)(Err(error.clone()));
            Err(error)
        }
    }
}

/// Ends a savepoint: keeps what was written, or takes it back when it failed.
/// A failure that may be the disk's ends the whole transaction: SQLite may have
/// rolled it back already, and another statement would begin a new one.
async fn leave(conn: &mut SqliteConnection, failed: Option<&StoreError>) -> Result<(), StoreError> {
    match failed {
        None => {}
        Some(error) if fault::is_ones_own(error) => run(conn, "ROLLBACK TO one").await?,
        Some(error) => return Err(error.clone()),
    }
    run(conn, "RELEASE one").await
}

async fn roll_back(conn: &mut SqliteConnection) {
    // Fails where SQLite has rolled back by itself, which is as well.
    drop(run(conn, "ROLLBACK").await);
}

async fn run(conn: &mut SqliteConnection, statement: &'static str) -> Result<(), StoreError> {
    sqlx::query(statement).execute(conn).await?;
    Ok(())
}

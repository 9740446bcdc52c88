//! Recordings and settlements of many callers in one transaction.
//!
//! All of a batch are written together. When one of them cannot be, the
//! transaction is rolled back and they are written one by one, each in a
//! savepoint: one caller's mistake or late settlement costs its neighbours some
//! time and nothing else.

use super::db::Connection;
use super::fault;
use super::record::{self, RecordStatements};
use super::settle::{self, SettleStatements};
use super::words::BEGIN_LOOKING_UP;
use crate::store::StoreError;
use crate::store::ledger::{Recorded, Recording, Settlement};

/// Every statement that takes many rows.
pub(crate) struct Statements {
    pub(crate) record: RecordStatements,
    pub(crate) settle: SettleStatements,
}

impl Statements {
    pub(crate) fn new() -> Self {
        Self { record: RecordStatements::new(), settle: SettleStatements::new() }
    }
}

/// What became of each operation, in order.
pub(crate) struct Verdicts {
    pub(crate) records: Vec<Result<Recorded, StoreError>>,
    pub(crate) settlements: Vec<Result<bool, StoreError>>,
}

impl Verdicts {
    pub(crate) fn all(error: &StoreError, records: usize, settlements: usize) -> Self {
        Self {
            records: (0..records).map(|_| Err(error.clone())).collect(),
            settlements: (0..settlements).map(|_| Err(error.clone())).collect(),
        }
    }
}

/// Leaves a transaction open in which all is written that can be.
pub(crate) async fn write_ledger(
    conn: &mut Connection,
    statements: &Statements,
    recordings: &[&Recording],
    settlements: &[&Settlement],
) -> Result<Verdicts, StoreError> {
    begin(conn).await?;
    match write_together(conn, statements, recordings, settlements).await {
        Ok(Some(verdicts)) => return Ok(verdicts),
        Ok(None) => {}
        Err(error) if fault::is_ones_own(&error) => {}
        Err(error) => return Err(error),
    }
    run(conn, "ROLLBACK").await?;
    begin(conn).await?;
    write_one_by_one(conn, statements, recordings, settlements).await
}

/// Nothing when some settlement's claim is no longer held.
async fn write_together(
    conn: &mut Connection,
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
    conn: &mut Connection,
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
        let held = settle::settle_one(conn, &statements.settle, settlement).await;
        leave(conn, held.as_ref().err()).await?;
        verdicts.settlements.push(held);
    }
    Ok(verdicts)
}

/// Ends a savepoint: keeps what was written, or takes it back when it failed.
/// A failure that may not be its own ends the whole transaction: the engine may
/// have rolled it back already, and another statement would begin a new one.
pub(crate) async fn leave(conn: &mut Connection, failed: Option<&StoreError>) -> Result<(), StoreError> {
    match failed {
        None => {}
        Some(error) if fault::is_ones_own(error) => run(conn, "ROLLBACK TO one").await?,
        Some(error) => return Err(error.clone()),
    }
    run(conn, "RELEASE one").await
}

pub(crate) async fn roll_back(conn: &mut Connection) {
    // Fails where the engine has rolled back by itself, which is as well.
    drop(run(conn, "ROLLBACK").await);
}

async fn begin(conn: &mut Connection) -> Result<(), StoreError> {
    // As it stands: it may be more than one statement.
    sqlx::raw_sql(BEGIN_LOOKING_UP).execute(conn).await?;
    Ok(())
}

pub(crate) async fn run(conn: &mut Connection, statement: &'static str) -> Result<(), StoreError> {
    sqlx::query(statement).execute(conn).await?;
    Ok(())
}

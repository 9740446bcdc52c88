//! One batch, one transaction, and the changes of the same moment in it.

use sqlx::SqliteConnection;
use tokio::sync::OwnedSemaphorePermit;

use super::fault;
use super::sql::together::{Statements, Verdicts, leave, roll_back, run, write_ledger};
use super::writer::{Answer, Change, Done};
use crate::store::StoreError;
use crate::store::ledger::{Recorded, Recording, Settlement};

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

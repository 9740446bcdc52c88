//! What a database error means for the writer.

use crate::store::StoreError;

// https://sqlite.org/rescode.html
const CORRUPT: u32 = 11;
const IOERR: u32 = 10;
const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const NOT_A_DATABASE: u32 = 26;
/// Growing the shared index file failed: the disk is full, nothing was lost.
const IOERR_SHMSIZE: u32 = 10 | (19 << 8);

/// One operation's own fault: the others of its batch can be written.
pub(super) fn is_ones_own(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error) => matches!(primary(error), Some(CONSTRAINT | TOO_BIG | MISMATCH)),
        StoreError::NameTaken
        | StoreError::OverLimit
        | StoreError::NotFound
        | StoreError::Changed
        | StoreError::InUse
        | StoreError::LastAdmin
        | StoreError::Gone
        | StoreError::Corrupt(_) => true,
        StoreError::Full | StoreError::Closed => false,
    }
}

/// The disk or the file cannot be trusted any more. A full disk is not that:
/// space comes back.
pub(super) fn is_final(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    match code(error) {
        Some(IOERR_SHMSIZE) => false,
        Some(code) => matches!(code & 0xff, IOERR | CORRUPT | NOT_A_DATABASE),
        // The connection's thread has died.
        None => matches!(error.as_ref(), sqlx::Error::WorkerCrashed),
    }
}

/// A unique index had the value already.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn primary(error: &sqlx::Error) -> Option<u32> {
    code(error).map(|code| code & 0xff)
}

fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}
